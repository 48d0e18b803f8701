/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SCRATCH_H
#define SVMDK_SCRATCH_H

/* A folder that a test may fill; gone, with all that is in it, afterwards. */
#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/**
 * struct scratch - the folder
 * @path: absolute, without symbolic links
 * @back: where the process was before it went there
 */
struct scratch {
	char path[PATH_MAX];
	int back;
};

static inline void scratch_enter(struct scratch *s)
{
	const char *base = getenv("TMPDIR");
	char template[PATH_MAX];

	snprintf(template, sizeof(template), "%s/svmdk-unit-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(template));
	assert_non_null(realpath(template, s->path));
	s->back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->back >= 0);
	assert_int_equal(chdir(s->path), 0);
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void scratch_leave(struct scratch *s)
{
	assert_int_equal(fchdir(s->back), 0);
	close(s->back);
	assert_int_equal(nftw(s->path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Makes a file of the length of @text, or longer with a hole behind it. */
static inline void scratch_file(const char *name, const char *text, off_t length)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (length > (off_t)strlen(text))
		assert_int_equal(ftruncate(fd, length), 0);
	close(fd);
}

/* Reads a small file whole; to be freed. */
static inline char *scratch_read(const char *name, size_t *length)
{
	FILE *f = fopen(name, "re");
	char *text = calloc(1, 65536);

	assert_non_null(f);
	*length = fread(text, 1, 65535, f);
	fclose(f);
	return text;
}

#endif /* SVMDK_SCRATCH_H */
