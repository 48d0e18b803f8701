// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Write all of a disk past its page cache from a buffer that another thread
 * changes all the while. What is on the disk then is anyone's guess; but it is
 * on the disk, and can be read.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <linux/fs.h>

#include "raw.h"

#define PIECE 65536

static _Alignas(4096) unsigned char buffer[PIECE];
static atomic_bool done;

static void *change(void *arg)
{
	volatile unsigned char *byte = buffer;
	unsigned int i = 0;

	(void)arg;
	while (!atomic_load_explicit(&done, memory_order_relaxed))
		byte[i++ * 509 % PIECE] += 1;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	uint64_t size, at;
	int fd;

	CHECK(argc == 2);
	fd = open_file(argv[1], O_RDWR | O_DIRECT);
	CHECK(ioctl(fd, BLKGETSIZE64, &size) == 0);
	CHECK(pthread_create(&thread, NULL, change, NULL) == 0);
	for (at = 0; at + PIECE <= size; at += PIECE)
		CHECK(pwrite(fd, buffer, PIECE, at) == PIECE);
	atomic_store(&done, true);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(fsync(fd) == 0);
	close(fd);
	return 0;
}
