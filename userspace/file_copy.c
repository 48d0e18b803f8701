// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "file_copy.h"
#include "interrupt.h"
#include "write_all.h"

#define CHUNK (UINT64_C(1) << 20)
#define WINDOW (UINT64_C(16) << 20) /* what may be in memory and not on disk */

int file_copier_init(struct file_copier *c, void (*step)(void *arg, uint64_t done), void *arg,
		     struct svmdk_error *err)
{
	*c = (struct file_copier){ .buffer = malloc(CHUNK), .step = step, .arg = arg };
	return c->buffer ? 0 : error_errno(err, ENOMEM, "cannot copy");
}

void file_copier_free(struct file_copier *c)
{
	free(c->buffer);
	*c = (struct file_copier){ 0 };
}

static void advance(struct file_copier *c, uint64_t bytes)
{
	c->done += bytes;
	if (c->step)
		c->step(c->arg, c->done);
}

/* Returns how many bytes were read; 0 at the end of the file, or -1. */
static ssize_t read_chunk(struct file_copier *c, int from, uint64_t at, uint64_t want,
			  struct svmdk_error *err)
{
	ssize_t got;

	do {
		got = pread(from, c->buffer, want, at);
	} while (got < 0 && errno == EINTR && !interrupt_seen());
	if (got < 0 && errno != EINTR)
		error_errno(err, errno, "cannot read it at byte %" PRIu64, at);
	else if (got < 0)
		error_set(err, EINTR, "interrupted");
	return got;
}

static int write_chunk(struct file_copier *c, int to, uint64_t at, size_t length,
		       struct svmdk_error *err)
{
	if (write_all(to, c->buffer, length, at))
		return error_errno(err, errno, "cannot write its copy");
	return 0;
}

/*
 * Writes go out soon, and steadily, so that the fsync() at the end is short;
 * what was copied is of no use in memory, and a disk mapped to these pages would
 * have to throw them away at its next write.
 *
 * Whoever waits is told of a write that failed, and nobody after him: not fsync().
 */
static int let_go(int from, int to, uint64_t at, struct svmdk_error *err)
{
	if (at % WINDOW)
		return 0;
	posix_fadvise(from, at - WINDOW, WINDOW, POSIX_FADV_DONTNEED);
	if (write_out(to, at - WINDOW, WINDOW, at < 2 * WINDOW ? 0 : WINDOW))
		return error_errno(err, errno, "cannot write its copy");
	if (at >= 2 * WINDOW)
		posix_fadvise(to, at - 2 * WINDOW, WINDOW, POSIX_FADV_DONTNEED);
	return 0;
}

static int copy_data(struct file_copier *c, int from, int to, uint64_t at, uint64_t end,
		     struct svmdk_error *err)
{
	uint64_t want;
	ssize_t got;

	while (at < end) {
		if (interrupt_seen())
			return error_set(err, EINTR, "interrupted");
		/* To the next multiple of a chunk. */
		want = CHUNK - at % CHUNK;
		got = read_chunk(c, from, at, end - at < want ? end - at : want, err);
		if (got == 0)
			error_set(err, ENODATA, "it has become shorter meanwhile");
		if (got <= 0 || write_chunk(c, to, at, got, err))
			return -1;
		at += got;
		if (let_go(from, to, at, err))
			return -1;
		advance(c, got);
	}
	return 0;
}

/* Where data begins, from @at on; @size when only holes are left. */
static uint64_t find_data(int from, uint64_t at, uint64_t size)
{
	off_t data = lseek(from, at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? size : at;
	return (uint64_t)data < size ? (uint64_t)data : size;
}

/* Where the data that begins at @at ends. */
static uint64_t find_hole(int from, uint64_t at, uint64_t size)
{
	off_t hole = lseek(from, at, SEEK_HOLE);

	return hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
}

int file_copy(struct file_copier *c, int from, int to, uint64_t size, struct svmdk_error *err)
{
	uint64_t at = 0, data, hole;

	posix_fadvise(from, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (at < size) {
		data = find_data(from, at, size);
		hole = data < size ? find_hole(from, data, size) : size;
		advance(c, data - at);
		if (copy_data(c, from, to, data, hole, err))
			return -1;
		at = hole;
	}
	posix_fadvise(from, 0, 0, POSIX_FADV_DONTNEED);
	if (ftruncate(to, size))
		return error_errno(err, errno, "cannot write its copy");
	return 0;
}
