/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_ZERO_H
#define SVMDK_ZERO_H

#include <stdbool.h>
#include <stdint.h>
#include "message.h"
#include "progress.h"

/*
 * Writes zeroes for real, so that the file system has nothing left to decide:
 * a range that was only allocated would have to change state at its first
 * write, which a mapped extent may not.
 */

/**
 * struct zeroer - what writes zeroes, to one file after the other
 * @buffer: of zeroes, aligned for direct I/O
 * @progress: shown after every write
 * @done: bytes written so far, all files together
 */
struct zeroer {
	void *buffer;
	struct progress *progress;
	uint64_t done;
};

/**
 * zero_begin() - get ready
 * @z: filled, to be freed
 * @progress: begun
 * @err: filled on failure
 *
 * Returns 0 or -1.
 */
int zero_begin(struct zeroer *z, struct progress *progress, struct svmdk_error *err);

/**
 * zero_range() - write zeroes to a range of a file
 * @z: ready
 * @fd: open for writing; O_DIRECT is used where it works, and is off afterwards
 * @begin: first byte
 * @length: in bytes
 * @err: filled on failure; @err->code is EINTR after a signal that
 *	interrupt_catch() caught, ENOSPC when the disk is full, ETXTBSY when a
 *	device has the file
 *
 * Dirty memory stays small. Call fsync() afterwards. Returns 0 or -1.
 */
int zero_range(struct zeroer *z, int fd, uint64_t begin, uint64_t length, struct svmdk_error *err);

/**
 * zero_end() - free what zero_begin() made
 * @z: all zero afterwards
 */
void zero_end(struct zeroer *z);

#endif /* SVMDK_ZERO_H */
