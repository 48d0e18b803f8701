/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_TRANSFER_H
#define SVMDK_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>
#include "message.h"
#include "progress.h"
#include "zero.h"

/*
 * Brings a range of one file into another: shared (FICLONERANGE) where the file
 * system can, else copied within the kernel, else read and written.
 */

/**
 * enum transfer_holes - what becomes of what was never written
 * @HOLES_KEEP: a hole stays one, and what was reserved is reserved again
 * @HOLES_FILL: zeroes are written, so that the file can be mapped
 * @HOLES_SPARSE: a hole stays one, and what was reserved becomes one
 */
enum transfer_holes {
	HOLES_KEEP,
	HOLES_FILL,
	HOLES_SPARSE,
};

/**
 * struct transfer - what does it, one range after the other
 * @holes: see above
 * @progress: shown as it goes
 * @done: bytes done so far, brought and compared, all files together
 * @at_source: the last failure was one of the file that is read
 * @buffers: two of them, side by side
 * @z: writes the zeroes
 */
struct transfer {
	enum transfer_holes holes;
	struct progress *progress;
	uint64_t done;
	bool at_source;
	char *buffers;
	struct zeroer z;
};

/**
 * struct transfer_range - what is brought where; all in bytes
 * @from: file that is read
 * @from_at: first byte
 * @to: file that is written; open for reading too
 * @to_at: first byte; nothing was ever written there
 * @length: not zero
 */
struct transfer_range {
	int from;
	uint64_t from_at;
	int to;
	uint64_t to_at;
	uint64_t length;
};

/**
 * struct transfer_need - what a range is made of, in bytes
 * @data: written
 * @reserved: has its place on the disk, but was never written
 * @holes: neither
 */
struct transfer_need {
	uint64_t data;
	uint64_t reserved;
	uint64_t holes;
};

/**
 * transfer_begin() - get ready
 * @t: filled, to be freed
 * @holes: what becomes of them
 * @progress: begun; stays the caller's
 * @err: filled on failure
 *
 * Returns 0 or -1.
 */
int transfer_begin(struct transfer *t, enum transfer_holes holes, struct progress *progress,
		   struct svmdk_error *err);

/**
 * transfer_end() - free what transfer_begin() made
 * @t: all zero afterwards. One that is all zero is fine.
 */
void transfer_end(struct transfer *t);

/**
 * transfer_range() - bring a range
 * @t: ready
 * @r: it
 * @shared: set to how many bytes from its begin on are shared now, and not a
 *	copy
 * @err: filled on failure; @err->code is EINTR after a signal that
 *	interrupt_catch() caught, ENODATA when the source has become too short
 *
 * The write-out begins at once; call fsync() afterwards. A sector that cannot be
 * read is named by its place in the file. Returns 0 or -1.
 */
int transfer_range(struct transfer *t, const struct transfer_range *r, uint64_t *shared,
		   struct svmdk_error *err);

/**
 * transfer_compare() - see whether a range has arrived
 * @t: ready
 * @r: as it was brought, and fsynced since
 * @err: filled on failure; @err->code is EBADMSG when they differ
 *
 * What was brought is read from the disk, not from memory, where the file
 * system lets go of it. Returns 0 or -1.
 */
int transfer_compare(struct transfer *t, const struct transfer_range *r, struct svmdk_error *err);

/**
 * transfer_measure() - find out what a range is made of
 * @fd: the file
 * @begin: first byte
 * @length: in bytes
 * @need: added to
 * @err: filled on failure
 *
 * Returns 0 or -1.
 */
int transfer_measure(int fd, uint64_t begin, uint64_t length, struct transfer_need *need,
		     struct svmdk_error *err);

/**
 * transfer_can_share() - whether files in a folder can share with a file
 * @fd: the file
 * @folder: the folder, O_PATH is enough
 *
 * Leaves nothing behind. Also false when it cannot be told.
 */
bool transfer_can_share(int fd, int folder);

/**
 * transfer_take_after() - make a new file one that can share with another
 * @fd: the new file, empty
 * @from: the other
 *
 * On btrfs a file that is overwritten in place shares with its like alone; so
 * the one becomes such a file when the other is.
 */
void transfer_take_after(int fd, int from);

/**
 * transfer_settle() - have a file forget that it shared blocks
 * @fd: the file, open for writing
 * @wait_ms: how long to wait for a file that was removed to let go of the blocks;
 *	reduced by what was waited
 *
 * XFS does not tell the kernel where a file lies that ever shared a block, so it
 * could not be mapped. Where nothing is shared any more, this costs nothing,
 * and the modification time stays; where something is, nothing is done. Returns
 * false when the file shares blocks still.
 */
bool transfer_settle(int fd, unsigned int *wait_ms);

/**
 * transfer_aligned() - whether a range is one that can be shared
 * @from_at: first byte of it in the one file
 * @to_at: first byte of it in the other
 */
static inline bool transfer_aligned(uint64_t from_at, uint64_t to_at)
{
	return (from_at | to_at) % 4096 == 0;
}

#endif /* SVMDK_TRANSFER_H */
