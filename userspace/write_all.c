// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "write_all.h"

int write_all(int fd, const void *bytes, size_t length, uint64_t at)
{
	const char *next = bytes;
	ssize_t done;

	while (length) {
		done = pwrite(fd, next, length, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		next += done;
		at += done;
		length -= done;
	}
	return 0;
}

/* Some file systems cannot: there fsync() does all of it. */
static int sync_range(int fd, uint64_t at, uint64_t length, unsigned int flags)
{
	if (sync_file_range(fd, at, length, flags) == 0 || errno == ENOSYS || errno == ESPIPE ||
	    errno == EINVAL)
		return 0;
	return -1;
}

int write_out(int fd, uint64_t at, uint64_t length, uint64_t before)
{
	if (sync_range(fd, at, length, SYNC_FILE_RANGE_WRITE))
		return -1;
	if (!before)
		return 0;
	return sync_range(fd, at - before, before,
			  SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				  SYNC_FILE_RANGE_WAIT_AFTER);
}
