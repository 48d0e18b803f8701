// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/*
 * side_file_read() and replace_whole() without a file system, which would cost
 * more than what is looked at. The linker puts them in the place of the real
 * ones (--wrap).
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "replace.h"
#include "side_file.h"

int __wrap_side_file_read(struct side_file *file, int dirfd, const char *name,
			  struct svmdk_error *err);
int __wrap_replace_whole(int dirfd, const char *name, const struct stat *like,
			 replace_print_fn print, void *arg, struct svmdk_error *err);

static const void *given;
static size_t given_length;
static char given_self[SELF_LEN];

static char replaced[1 << 20];
static size_t replaced_length;
static char replaced_self[SELF_LEN];

void side_file_give(const void *bytes, size_t length, const char *self)
{
	given = bytes;
	given_length = length;
	snprintf(given_self, sizeof(given_self), "%s", self);
}

void side_file_give_replaced(void)
{
	side_file_give(replaced, replaced_length, replaced_self);
}

int __wrap_side_file_read(struct side_file *file, int dirfd, const char *name,
			  struct svmdk_error *err)
{
	(void)dirfd;
	(void)name;
	(void)err;
	*file = (struct side_file){ .length = given_length };
	/* No byte more, so that a sanitizer sees what is read behind it. */
	file->bytes = malloc(given_length + 1);
	HOLDS(file->bytes);
	memcpy(file->bytes, given, given_length);
	file->bytes[given_length] = '\0';
	strcpy(file->self, given_self);
	return 0;
}

/* A file still, though of no file system: a lock is taken on it. */
int __wrap_replace_whole(int dirfd, const char *name, const struct stat *like,
			 replace_print_fn print, void *arg, struct svmdk_error *err)
{
	int fd = memfd_create("replaced", MFD_CLOEXEC);
	FILE *to = fdopen(fd, "w+");

	(void)dirfd;
	(void)name;
	(void)like;
	(void)err;
	HOLDS(to && print(to, arg) == 0 && fflush(to) == 0);
	HOLDS(self_line(fd, replaced_self) == 0);
	rewind(to);
	replaced_length = fread(replaced, 1, sizeof(replaced), to);
	HOLDS(replaced_length < sizeof(replaced));
	fclose(to);
	return 0;
}
