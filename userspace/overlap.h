/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_OVERLAP_H
#define SVMDK_OVERLAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "container.h"

/*
 * One range of a file that stands twice in a disk, writable: a write to the
 * one place would change the other. Found by device and inode, so another
 * name for the file (hard link, bind mount, a partition and its disk) does not
 * hide it.
 */

/**
 * struct file_range - what one extent takes of its file
 * @dev: st_dev of a regular file; st_rdev of a block device
 * @ino: st_ino of a regular file; 0 of a block device
 * @begin: first sector
 * @end: one past the last sector
 * @extent: which one, from 0
 * @writable: it is written to
 * @block: @dev is a block device, not what a file is on
 */
struct file_range {
	dev_t dev;
	ino_t ino;
	uint64_t begin;
	uint64_t end;
	size_t extent;
	bool writable;
	bool block;
};

/**
 * struct overlap - the ranges seen so far
 * @ranges: array of them
 * @nr: number of these
 * @room: of the array
 * @next: how many overlap_next() has looked at; they are sorted once it has
 * @reach: of these and of the same file, the one that ends last
 * @reach_writable: the same, of the writable ones; or NULL
 */
struct overlap {
	struct file_range *ranges;
	size_t nr;
	size_t room;
	size_t next;
	const struct file_range *reach;
	const struct file_range *reach_writable;
};

/**
 * overlap_add() - take note of an extent
 * @o: begins all zero
 * @e: the extent
 * @i: its number, from 0
 * @file: its file, as container_open_extent() gave it
 * @writable: whether the disk may be written to; an RDONLY extent never is
 * @err: filled on failure
 *
 * A partition counts as a range of its disk. Returns 0 or -1 (no memory).
 */
int overlap_add(struct overlap *o, const struct extent *e, size_t i, const struct extent_file *file,
		bool writable, struct svmdk_error *err);

/**
 * overlap_next() - find two extents that share a sector, one of them writable
 * @o: everything that was added; sorted by the first call, so add nothing more
 * @a: set to the number of the one
 * @b: set to the number of the other, the higher
 *
 * Costs O(n log n) for the first call, and O(n) for all of them together: of
 * an extent that overlaps many it names one. Returns true when there is one
 * more.
 */
bool overlap_next(struct overlap *o, size_t *a, size_t *b);

/**
 * overlap_check() - fail when there is any
 * @o: everything that was added
 * @c: the container
 * @err: filled on failure, with the descriptor's file and the line of the later
 *	of the two extents
 *
 * Returns 0 or -1.
 */
int overlap_check(struct overlap *o, const struct container *c, struct svmdk_error *err);

/**
 * overlap_free() - free what overlap_add() made
 * @o: all zero afterwards
 */
void overlap_free(struct overlap *o);

#endif /* SVMDK_OVERLAP_H */
