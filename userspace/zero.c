// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interrupt.h"
#include "write_all.h"
#include "zero.h"

#define CHUNK (UINT64_C(1) << 20)
#define ALIGNMENT UINT64_C(4096) /* no disk asks for more */

int zero_begin(struct zeroer *z, struct progress *progress, struct svmdk_error *err)
{
	void *buffer =
		mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*z = (struct zeroer){ .progress = progress };
	if (buffer == MAP_FAILED)
		return error_errno(err, errno, "cannot get memory for zeroes");
	z->buffer = buffer;
	return 0;
}

void zero_end(struct zeroer *z)
{
	if (z->buffer)
		munmap(z->buffer, CHUNK);
	*z = (struct zeroer){ 0 };
}

static bool set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return false;
	flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
	return fcntl(fd, F_SETFL, flags) == 0;
}

/* How much to write in one go, so that the rest of it can be aligned. */
static uint64_t next_length(uint64_t begin, uint64_t end)
{
	uint64_t length = end - begin;
	uint64_t odd = begin % ALIGNMENT;

	if (odd)
		return length < ALIGNMENT - odd ? length : ALIGNMENT - odd;
	if (length >= CHUNK)
		return CHUNK;
	return length >= ALIGNMENT ? length - length % ALIGNMENT : length;
}

int zero_range(struct zeroer *z, int fd, uint64_t begin, uint64_t length, struct svmdk_error *err)
{
	uint64_t at = begin, end = begin + length, want;
	bool direct = true, is_direct = false, wish;
	ssize_t done = 0;

	while (at < end && !interrupt_seen()) {
		want = next_length(at, end);
		wish = direct && (want | at) % ALIGNMENT == 0;
		if (wish != is_direct) {
			direct = set_direct(fd, wish) && direct;
			is_direct = direct && wish;
		}
		done = pwrite(fd, z->buffer, want, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EINVAL && is_direct) {
			direct = is_direct = false;
			set_direct(fd, false);
			continue;
		}
		if (done < 0)
			break;
		/* Waits for the chunk before the last, so that memory does not fill up. */
		if (!is_direct && write_out(fd, at, CHUNK, at < CHUNK ? 0 : CHUNK)) {
			done = -1;
			break;
		}
		at += done;
		z->done += done;
		progress_show(z->progress, z->done);
	}
	if (done < 0 && errno != EINTR)
		error_errno(err, errno, "cannot write");
	else if (at < end)
		error_set(err, EINTR, "interrupted");
	if (is_direct)
		set_direct(fd, false);
	return at < end ? -1 : 0;
}
