// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
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
