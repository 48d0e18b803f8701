/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_OLD_FILES_H
#define SVMDK_OLD_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "container.h"
#include "message.h"
#include "resplit_plan.h"

/*
 * The files that a container is moved out of: open, locked, and known for what
 * else is in them.
 */

/**
 * struct old_file - one file, however many extents lie in it
 * @extent: the first of these, by number
 * @st: status of it
 * @left: sectors of the disk that are in it still
 * @whole: nothing lies in it but what the descriptor names
 */
struct old_file {
	size_t extent;
	struct stat st;
	uint64_t left;
	bool whole;
};

/**
 * struct old_extent - what of a file an extent is
 * @fd: the file, open and locked; -1 when it is not kept open
 * @file: its number among the files; OLD_FILE_NONE of a ZERO extent
 */
struct old_extent {
	int fd;
	size_t file;
};

#define OLD_FILE_NONE SIZE_MAX

/**
 * struct old_files - all of them
 * @c: the container
 * @plan: the plan; its old extents are those of @c as it was read
 * @extents: array, a member for each of @plan->old
 * @files: array
 * @nr: number of files
 * @flags: how they are opened: O_RDWR, or O_RDONLY to look only
 */
struct old_files {
	const struct container *c;
	const struct resplit_plan *plan;
	struct old_extent *extents;
	struct old_file *files;
	size_t nr;
	int flags;
};

/**
 * old_files_open() - look at all files of a container, and lock them
 * @old: filled, to be freed
 * @c: the container; must stay, and may be read anew in between
 * @plan: the plan, as it was made from @c; must stay
 * @look_only: nothing will be changed, so nothing is locked
 * @err: filled on failure, with @err->file and @err->line
 *
 * As many as may be stay open, so that their locks keep other programs from
 * writing. Refuses what is missing or short, block devices, and ranges that
 * stand twice in the disk. Returns 0 or -1.
 */
int old_files_open(struct old_files *old, const struct container *c,
		   const struct resplit_plan *plan, bool look_only, struct svmdk_error *err);

/**
 * old_files_close() - close and free
 * @old: all zero afterwards. One that is all zero is fine.
 */
void old_files_close(struct old_files *old);

/**
 * old_extent_fd() - get an extent's file
 * @old: the files
 * @i: which extent, from 0; not one of zeroes
 * @fd: set to it; to be given to old_extent_done()
 * @err: filled on failure, with @err->file and @err->line
 *
 * Returns 0 or -1.
 */
int old_extent_fd(const struct old_files *old, size_t i, int *fd, struct svmdk_error *err);

/**
 * old_extent_done() - done with it for now
 * @old: the files
 * @i: which extent
 * @fd: as old_extent_fd() set it
 */
void old_extent_done(const struct old_files *old, size_t i, int fd);

/**
 * old_file_of() - the file that an extent lies in
 * @old: the files
 * @i: which extent, from 0
 *
 * Returns NULL for one of zeroes.
 */
struct old_file *old_file_of(const struct old_files *old, size_t i);

/**
 * old_file_drop() - close a file that was removed
 * @old: the files
 * @file: which
 *
 * Its room comes free only then.
 */
void old_file_drop(struct old_files *old, const struct old_file *file);

#endif /* SVMDK_OLD_FILES_H */
