// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Whether a descriptor is of before what a list of leftovers is about. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "leftovers.h"
#include "same_time.h"

/* Of a list, the line with all that is before it. */
#define DONE_END 512

int leftovers_stat(const struct container *c, const char *name, int *folder, char **base,
		   struct stat *st, struct svmdk_error *err)
{
	if (safe_open_folder(&c->policy, name, folder, base, err))
		return -1;
	if (fstatat(*folder, *base, st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	error_errno(err, errno, "cannot look at %s", name);
	close(*folder);
	free(*base);
	return -1;
}

bool leftovers_precede(const struct stat *list, const struct stat *st)
{
	return time_since(&list->st_mtim, &st->st_ctim) >= 0;
}

/* Where the first sectors of a disk lie. */
static int hash_places(const struct descriptor *d, uint64_t sectors, unsigned char hash[HASH_SIZE])
{
	struct svmdk_error err;
	const struct extent *e;
	uint64_t part, left = sectors;
	size_t length;
	char *text;
	FILE *to = open_memstream(&text, &length);
	int ret;

	if (!to)
		return -1;
	for (e = d->extents; e < d->extents + d->nr_extents && left; e++, left -= part) {
		part = e->sectors < left ? e->sectors : left;
		fprintf(to, "%" PRIu64 " %" PRIu64 " %s\n", part, e->offset,
			extent_has_file(e) ? e->name : "");
	}
	ret = ferror(to);
	if (fclose(to) || ret) {
		free(text);
		errno = ENOMEM;
		return -1;
	}
	ret = hash_bytes(hash, text, length, &err);
	free(text);
	errno = ENOMEM;
	return ret;
}

int leftovers_done_line(const struct descriptor *d, uint64_t sectors, char line[DONE_LEN])
{
	unsigned char hash[HASH_SIZE];
	char text[HASH_TEXT_LEN];

	if (hash_places(d, sectors, hash))
		return -1;
	snprintf(line, DONE_LEN, LEFTOVERS_DONE "%020" PRIu64 " %s\n", sectors,
		 hash_format(text, hash));
	return 0;
}

/* A list of an older version has none. */
static const char *find_done(const char *text)
{
	const char *at = strstr(text, "\n" LEFTOVERS_DONE);

	return at && strlen(at + 1) >= DONE_LEN - 1 && at[DONE_LEN - 1] == '\n' ? at + 1 : NULL;
}

static uint64_t sectors_of(const char *done)
{
	return strtoull(done + strlen(LEFTOVERS_DONE), NULL, 10);
}

/* The line alone, in the place that it has: there may be no room for another list. */
static int write_done(int fd, const char *line, off_t at)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat st;
	ssize_t done;
	int code;

	if (fstat(fd, &st))
		return -1;
	times[1] = st.st_mtim;
	done = pwrite(fd, line, DONE_LEN - 1, at);
	code = done < 0 ? errno : done < (ssize_t)DONE_LEN - 1 ? EIO : 0;
	/* Where no file has a time of birth this tells what was changed since it was written. */
	if (futimens(fd, times) && !code)
		code = errno;
	if (!code)
		return fsync(fd);
	errno = code;
	return -1;
}

static int note_done(const struct container *c, int fd, uint64_t sectors)
{
	char text[DONE_END + 1] = "", line[DONE_LEN];
	const ssize_t length = pread(fd, text, DONE_END, 0);
	const char *done = length < 0 ? NULL : find_done(text);

	if (length < 0)
		return -1;
	if (!done || !sectors)
		return 0;
	/* Whoever wrote that may have been killed before it was on disk. */
	if (sectors_of(done) >= sectors)
		return fsync(fd);
	if (leftovers_done_line(&c->descriptor, sectors, line))
		return -1;
	return write_done(fd, line, done - text);
}

/* Returns it open for writing, or -1 with errno set. */
static int reopen(int fd)
{
	int again;

	if (fd < 0) {
		errno = ENOENT;
		return -1;
	}
	again = safe_reopen(fd, O_RDWR);
	close(fd);
	return again;
}

int leftovers_note_done(const struct container *c, uint64_t sectors, struct svmdk_error *err)
{
	char *name = leftovers_name(c->name);
	int fd, ret;

	if (!name) {
		error_errno(err, ENOMEM, "cannot write down what was moved");
		return error_at(err, c->path, 0);
	}
	if (leftovers_open(c, name, &fd, err)) {
		free(name);
		return -1;
	}
	fd = reopen(fd);
	ret = fd < 0 ? -1 : note_done(c, fd, sectors);
	if (ret) {
		error_errno(err, errno, "cannot write down what was moved");
		error_at(err, name, 0);
	}
	if (fd >= 0)
		close(fd);
	free(name);
	return ret;
}

/* From the end, where a command that got through has one: to look for a name takes the list. */
uint64_t leftovers_done_by(const struct descriptor *d, const char *text)
{
	uint64_t end = d->sectors;
	const struct extent *e;
	size_t i;

	for (i = d->nr_extents; i--; end -= e->sectors) {
		e = &d->extents[i];
		if (extent_has_file(e) && leftovers_has_line(text, LEFTOVERS_MADE, e->name))
			return end;
	}
	return 0;
}

/*
 * Without memory it has, so that nothing is removed. And where it cannot be told: a list that
 * an older version left of a resplit, and none of the new extents named.
 */
static bool has_other_places(const struct descriptor *d, const char *text)
{
	const char *done = find_done(text);
	char line[DONE_LEN];

	if (!done)
		return strstr(text, "\n" LEFTOVERS_EACH) && !leftovers_done_by(d, text);
	return sectors_of(done) && (leftovers_done_line(d, sectors_of(done), line) ||
				    strncmp(done, line, DONE_LEN - 1) != 0);
}

int leftovers_refuse_older(const struct container *c, const char *text,
			   const struct extent *missing, struct svmdk_error *err)
{
	const bool older = has_other_places(&c->descriptor, text);

	if (!older && !missing)
		return 0;
	if (older && missing)
		error_set(err, ESTALE,
			  "extent %s is missing, which an interrupted command used up, so that the "
			  "descriptor is of before that and what it made may be the only copy; put "
			  "back the descriptor that was here last",
			  missing->name);
	else if (older)
		error_set(
			err, ESTALE,
			"the descriptor is of before a step of a command that was interrupted, and "
			"what that made may be the only copy; put back the descriptor that was "
			"here last, or remove .%s" LEFTOVERS_SUFFIX " if this is it",
			c->name);
	else
		error_set(err, ENOENT,
			  "extent %s is missing, so that what an interrupted command left is not "
			  "cleared up; put it back, or the descriptor that was here last",
			  missing->name);
	return error_at(err, c->path, missing ? missing->line : 0);
}
