/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_HASH_H
#define SVMDK_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "container.h"
#include "message.h"
#include "progress.h"

#define HASH_SIZE 32 /* of SHA-256, in bytes */
#define HASH_TEXT_LEN (2 * HASH_SIZE + 1) /* with the terminating NUL */

/**
 * hash_format() - write a hash in hexadecimal
 * @text: filled
 * @hash: the hash
 *
 * Returns @text.
 */
const char *hash_format(char text[HASH_TEXT_LEN], const unsigned char hash[HASH_SIZE]);

/**
 * hash_parse() - read a hash in hexadecimal
 * @hash: filled
 * @text: 2 * HASH_SIZE digits of either case; what follows them is not looked at
 *
 * Returns 0, or -1 when these are not digits.
 */
int hash_parse(unsigned char hash[HASH_SIZE], const char *text);

/**
 * hash_bytes() - hash what is in memory
 * @hash: filled
 * @bytes: what
 * @length: of it, in bytes
 * @err: filled on failure
 *
 * Returns 0 or -1.
 */
int hash_bytes(unsigned char hash[HASH_SIZE], const void *bytes, size_t length,
	       struct svmdk_error *err);

/**
 * hash_copy() - copy a file and hash what is copied
 * @from: the file, open for reading
 * @name: what that is called in a message that it cannot be read
 * @to: the copy, open for writing; filled from its begin
 * @size: bytes to copy
 * @hash: filled
 * @progress: begun
 * @done: bytes done before; what is copied is added
 * @err: filled on failure; @err->code is EINTR when interrupt_seen()
 *
 * Fails with ENODATA when @from is shorter. Returns 0 or -1.
 */
int hash_copy(int from, const char *name, int to, uint64_t size, unsigned char hash[HASH_SIZE],
	      struct progress *progress, uint64_t *done, struct svmdk_error *err);

enum hash_outcome {
	HASH_DONE,
	HASH_NOT_OPENED, /* hash_work.open() failed */
	HASH_UNREADABLE, /* reading failed at hash_result.offset */
};

/**
 * struct hash_result - what came of a file
 * @outcome: whether there is a hash at all
 * @hash: of all of it, when @outcome is HASH_DONE
 * @st: its status after it was read, or before where that failed; all zero when
 *	it was not opened
 * @size: of the file or block device when it was opened, in bytes
 * @moved: it was written while it was read: size, mtime or ctime are not what
 *	they were before
 * @offset: where reading failed, in bytes
 * @err: why, unless @outcome is HASH_DONE
 */
struct hash_result {
	enum hash_outcome outcome;
	unsigned char hash[HASH_SIZE];
	struct stat st;
	uint64_t size;
	bool moved;
	uint64_t offset;
	struct svmdk_error *err;
};

/**
 * struct hash_work - files to hash
 * @nr: how many
 * @open: opens one of them, by its number from 0, for reading. Returns 0, or -1
 *	with the error filled. Called by several threads at once.
 * @done: told of each when it is done, in any order, never two at once; @result
 *	is gone afterwards. Returns 0 to go on.
 * @arg: for both
 * @settle: first wait until a later write is sure to show in the file's
 *	timestamps: where the last one was just now, a clock's tick
 * @drop_cache: what was read of a file need not stay in memory
 * @progress: begun, for bytes; shown while it goes on
 */
struct hash_work {
	size_t nr;
	int (*open)(void *arg, size_t i, struct extent_file *file, struct svmdk_error *err);
	int (*done)(void *arg, size_t i, const struct hash_result *result);
	void *arg;
	bool settle;
	bool drop_cache;
	struct progress *progress;
};

/**
 * hash_files() - hash files, as many at once as there are processors
 * @work: which
 * @err: filled on failure; @err->code is EINTR when interrupt_seen()
 *
 * A file that cannot be read is no failure: @work->done() is told. Needs a
 * megabyte of memory a processor. Returns 0; 1 when @work->done() ended it; -1
 * when it failed.
 */
int hash_files(const struct hash_work *work, struct svmdk_error *err);

#endif /* SVMDK_HASH_H */
