// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* A list of leftovers is opened and read. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leftovers.h"
#include "safe_open.h"

static int fail(struct svmdk_error *err, int code, const char *name, const char *what)
{
	error_errno(err, code, "%s", what);
	return error_at(err, name, 0);
}

/* Whoever can write a list that is followed could remove the files himself. */
static int check_list(const struct stat *st, struct svmdk_error *err)
{
	if (!S_ISREG(st->st_mode))
		return error_set(err, EINVAL,
				 "not a regular file, so no list of svmdk's; remove it");
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return error_set(
			err, EPERM,
			"left by an interrupted command of another user (%ju); run it again as that user, or remove this list",
			(uintmax_t)st->st_uid);
	if (st->st_size > LEFTOVERS_MAX_BYTES)
		return error_set(err, EFBIG, "too large for a list of svmdk's; remove it");
	return 0;
}

int leftovers_open(const struct container *c, const char *name, int *fd, struct svmdk_error *err)
{
	int path_fd = openat(c->policy.dir.fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int ret = -1;

	*fd = -1;
	/* Beside a descriptor of such a long name there can be none. */
	if (path_fd < 0 && (errno == ENOENT || errno == ENAMETOOLONG))
		return 0;
	if (path_fd < 0)
		return fail(err, errno, name, "cannot open the list of leftovers");
	if (fstat(path_fd, &st)) {
		error_errno(err, errno, "cannot look at the list of leftovers");
	} else if (check_list(&st, err) == 0) {
		*fd = safe_reopen(path_fd, O_RDONLY);
		if (*fd >= 0)
			ret = 0;
		else
			error_errno(err, errno, "cannot open the list of leftovers");
	}
	close(path_fd);
	return ret ? error_at(err, name, 0) : 0;
}

char *leftovers_read(int fd, size_t *length)
{
	char *text = malloc(LEFTOVERS_MAX_BYTES + 1);
	ssize_t got = 1;

	*length = 0;
	while (text && got && *length < LEFTOVERS_MAX_BYTES) {
		got = pread(fd, text + *length, LEFTOVERS_MAX_BYTES - *length, *length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(text);
			return NULL;
		}
		*length += got;
	}
	if (text)
		text[*length] = '\0';
	return text;
}

bool leftovers_are_complete(const char *text, size_t length)
{
	return length >= strlen("\n" LEFTOVERS_END) && strlen(text) == length &&
	       strcmp(text + length - strlen("\n" LEFTOVERS_END), "\n" LEFTOVERS_END) == 0;
}
