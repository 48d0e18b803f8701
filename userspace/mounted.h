/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_MOUNTED_H
#define SVMDK_MOUNTED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "message.h"

/* The mounted file systems that lie on a disk. */

/**
 * struct mounted_fs - one of them
 * @path: where it is mounted, as its own mount namespace sees it; for messages
 * @type: e.g. "ext4"
 * @dev: its number, as /proc/self/mountinfo has it
 * @depth: how many of the others lie between it and the disk: 0 but for one
 *	that is on a loop device whose file is on another
 * @fd: open on it
 */
struct mounted_fs {
	char *path;
	char *type;
	dev_t dev;
	unsigned int depth;
	int fd;
};

/**
 * struct mounted - all of them
 * @list: array, the deepest first: none lies on one before it
 * @nr: number of these
 */
struct mounted {
	struct mounted_fs *list;
	size_t nr;
};

/**
 * mounted_find() - find and open the file systems that lie on a disk
 * @mounted: filled, to be freed
 * @disk: the kernel's name for it
 * @err: filled on failure
 *
 * Those on its partitions too, on what device-mapper, md and loop devices make
 * of it, and those that only another mount namespace sees. Fails when there is
 * one that cannot be opened. Returns 0 or -1.
 */
int mounted_find(struct mounted *mounted, const char *disk, struct svmdk_error *err);

/**
 * mounted_holding() - which of them an open file is on
 * @mounted: as found
 * @fd: the file or folder
 *
 * Returns NULL when it is on none of them.
 */
const struct mounted_fs *mounted_holding(const struct mounted *mounted, int fd);

/**
 * mounted_free() - close and free what mounted_find() made
 * @mounted: all zero afterwards
 */
void mounted_free(struct mounted *mounted);

#endif /* SVMDK_MOUNTED_H */
