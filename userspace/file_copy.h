/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_FILE_COPY_H
#define SVMDK_FILE_COPY_H

#include <stdint.h>
#include "message.h"

/*
 * Copies what is in files by reading and writing it. A copy that shares its
 * blocks with the original (reflink, and copy_file_range() may do that) goes
 * bad with it, keeps it from being mapped, and is refused while it is.
 */

/**
 * struct file_copier - what copies, one file after the other
 * @buffer: between reading and writing
 * @step: called after every write, or NULL
 * @arg: for @step
 * @done: bytes copied so far, all files together; holes count
 */
struct file_copier {
	void *buffer;
	void (*step)(void *arg, uint64_t done);
	void *arg;
	uint64_t done;
};

/**
 * file_copier_init() - get ready
 * @copier: filled, to be freed
 * @step: called after every write with how much is done, or NULL
 * @arg: for @step
 * @err: filled on failure
 *
 * Returns 0 or -1.
 */
int file_copier_init(struct file_copier *copier, void (*step)(void *arg, uint64_t done), void *arg,
		     struct svmdk_error *err);

/**
 * file_copy() - copy a file's content
 * @copier: ready
 * @from: regular file, open for reading
 * @to: regular file, empty, open for writing
 * @size: bytes to copy, from the begin; @to has this size afterwards, and less
 *	before
 * @err: filled on failure; @err->code is EINTR after a signal that
 *	interrupt_catch() caught, ENODATA when @from is shorter
 *
 * Holes stay holes. Keeps little of either file in the page cache. Call
 * fsync() afterwards. Returns 0 or -1.
 */
int file_copy(struct file_copier *copier, int from, int to, uint64_t size, struct svmdk_error *err);

/**
 * file_copier_free() - free what file_copier_init() made
 * @copier: all zero afterwards. One that is all zero is fine.
 */
void file_copier_free(struct file_copier *copier);

#endif /* SVMDK_FILE_COPY_H */
