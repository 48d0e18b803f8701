/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Which code of the kernel a thread's calls reach, on a kernel that can tell
 * (KCOV). Where it cannot, nothing is ever new.
 */
#ifndef _SVMDK_TESTS_KCOV_H
#define _SVMDK_TESTS_KCOV_H

#include <fcntl.h>
#include <linux/kcov.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KCOV_PATH "/sys/kernel/debug/kcov"
#define KCOV_ENTRIES (1U << 16)
#define KCOV_BITS (1U << 20)

/**
 * struct kcov - a thread's record
 * @fd: of the record, or -1
 * @area: number of entries, and these
 */
struct kcov {
	int fd;
	unsigned long *area;
};

/* All that any thread ever reached; a bit that two set at once is set. */
static unsigned char kcov_seen[KCOV_BITS / 8];
static unsigned long kcov_nr_seen;

static inline bool kcov_exists(void)
{
	return access(KCOV_PATH, R_OK | W_OK) == 0;
}

static inline void kcov_begin(struct kcov *k)
{
	void *area;

	k->fd = open(KCOV_PATH, O_RDWR | O_CLOEXEC);
	if (k->fd < 0)
		return;
	if (ioctl(k->fd, KCOV_INIT_TRACE, (unsigned long)KCOV_ENTRIES) == 0) {
		area = mmap(NULL, KCOV_ENTRIES * sizeof(unsigned long), PROT_READ | PROT_WRITE,
			    MAP_SHARED, k->fd, 0);
		if (area != MAP_FAILED && ioctl(k->fd, KCOV_ENABLE, KCOV_TRACE_PC) == 0) {
			k->area = area;
			return;
		}
	}
	close(k->fd);
	k->fd = -1;
}

static inline void kcov_reset(struct kcov *k)
{
	if (k->fd >= 0)
		__atomic_store_n(&k->area[0], 0, __ATOMIC_RELAXED);
}

/* How much was reached since kcov_reset() that never was before. */
static inline unsigned int kcov_news(struct kcov *k)
{
	unsigned long nr, i, bit;
	unsigned int news = 0;

	if (k->fd < 0)
		return 0;
	nr = __atomic_load_n(&k->area[0], __ATOMIC_RELAXED);
	for (i = 1; i <= nr && i < KCOV_ENTRIES; i++) {
		bit = (k->area[i] * 0x9e3779b97f4a7c15 >> 32) % KCOV_BITS;
		if (!(__atomic_fetch_or(&kcov_seen[bit / 8], 1 << bit % 8, __ATOMIC_RELAXED) &
		      1 << bit % 8))
			news++;
	}
	__atomic_add_fetch(&kcov_nr_seen, news, __ATOMIC_RELAXED);
	return news;
}

static inline void kcov_end(struct kcov *k)
{
	if (k->fd < 0)
		return;
	ioctl(k->fd, KCOV_DISABLE, 0);
	munmap(k->area, KCOV_ENTRIES * sizeof(unsigned long));
	close(k->fd);
}

#endif /* _SVMDK_TESTS_KCOV_H */
