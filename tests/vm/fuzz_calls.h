/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Calls of the driver made of a number: mostly what a caller would do who knows
 * the contract, and in places not. For abifuzz.c, which has several threads do
 * them at once, on the same control files.
 */
#ifndef _SVMDK_TESTS_FUZZ_CALLS_H
#define _SVMDK_TESTS_FUZZ_CALLS_H

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

#include "raw.h"

#define NR_FILES 6 /* of FILE_SECTORS each */
#define NR_CONTROLS 3
#define NR_SHARED 4 /* structures that several threads use at once */
#define NR_ADDED 8
#define POOL_BYTES (1U << 20)
#define PAGE 4096U

/**
 * struct chance - where random numbers come from
 * @state: anything
 */
struct chance {
	uint64_t state;
};

static inline uint64_t draw(struct chance *c)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static inline uint32_t below(struct chance *c, uint32_t end)
{
	return draw(c) % end;
}

/* Once in so many times. */
static inline bool one_in(struct chance *c, uint32_t times)
{
	return below(c, times) == 0;
}

/**
 * struct added - an extent that a control file was given, as far as is known
 * @file: which of the files
 * @sectors: length
 * @offset: where it begins in the file
 */
struct added {
	uint32_t file;
	uint64_t sectors;
	uint64_t offset;
};

/**
 * struct reached - how far the calls got
 * @calls: all of them
 * @taken: of these, returned 0
 * @disks: disks that appeared
 * @grown: and became larger
 * @mapped: extents whose runs were taken
 * @detached: disks that went
 * @io: reads, writes and flushes that were done
 */
struct reached {
	unsigned long calls, taken, disks, grown, mapped, detached, io;
};

/**
 * struct world - what all threads share
 * @folder: of the files
 * @controls: control files; closed and opened again meanwhile by whoever likes
 * @files: extents' files, open for reading and writing
 * @runs: where these lie
 * @nr_runs: number of these
 * @odd: what is no such file
 * @nr_odd: number of these
 * @added: to each control file, number by number; and how many. Nobody locks
 *	it: it is a guess, as good as any.
 * @nr_added: how many
 * @pool: memory that calls may read and write wherever they like, with a page
 *	behind it that they may not
 * @readonly: a page that they may read
 * @want_eperm: every call has to fail with EPERM
 */
struct world {
	int folder;
	int controls[NR_CONTROLS];
	int files[NR_FILES];
	struct svmdk_run runs[NR_FILES][MAX_PIECES];
	uint32_t nr_runs[NR_FILES];
	int odd[16];
	uint32_t nr_odd;
	struct added added[NR_CONTROLS][NR_ADDED];
	uint32_t nr_added[NR_CONTROLS];
	unsigned char *pool;
	unsigned char *readonly;
	bool want_eperm;
};

/**
 * struct caller - a thread that calls
 * @w: the world
 * @c: its chances
 * @reached: what its calls did
 * @grows: for each control file, whether a growth was begun on it; a guess, too
 * @bound: 1 + the control file that all calls go to, or 0
 */
struct caller {
	struct world *w;
	struct chance c;
	struct reached reached;
	bool grows[NR_CONTROLS];
	uint32_t bound;
};

static inline uint64_t odd_number(struct chance *c)
{
	static const uint64_t numbers[] = {
		0,
		1,
		2,
		7,
		8,
		63,
		64,
		127,
		128,
		129,
		511,
		512,
		4095,
		4096,
		4097,
		SVMDK_MAX_BATCH,
		SVMDK_MAX_BATCH + 1,
		SVMDK_MAX_EXTENTS,
		SVMDK_MAX_RUNS,
		SVMDK_MAX_RUNS + 1,
		INT32_MAX,
		0x80000000,
		UINT32_MAX,
		UINT32_MAX - 1,
		UINT64_C(1) << 32,
		(UINT64_C(1) << 54) - 1,
		UINT64_C(1) << 54,
		INT64_MAX,
		UINT64_C(1) << 63,
		UINT64_MAX,
		UINT64_MAX - 127,
	};

	return one_in(c, 8) ? draw(c) : numbers[below(c, sizeof(numbers) / sizeof(numbers[0]))];
}

/* Never one at which this program has something of its own. */
static inline uint64_t odd_pointer(struct caller *caller)
{
	struct world *w = caller->w;
	const uint64_t pointers[] = {
		0,
		1,
		0xffff888000000000,
		0xffffffff81000000,
		0x0000800000000000,
		UINT64_MAX,
		(uintptr_t)w->readonly,
		(uintptr_t)w->pool + POOL_BYTES,
		(uintptr_t)w->pool + POOL_BYTES - 8,
		(uintptr_t)w->pool + POOL_BYTES - 41,
		(uintptr_t)w->pool + below(&caller->c, POOL_BYTES / 2),
	};

	return pointers[below(&caller->c, sizeof(pointers) / sizeof(pointers[0]))];
}

/* A piece of the pool for a thread's own use; what others do there is welcome. */
static inline void *some_room(struct caller *caller)
{
	return caller->w->pool + PAGE * (NR_SHARED + below(&caller->c, 64));
}

static inline int some_fd(struct caller *caller, int good)
{
	struct world *w = caller->w;
	struct chance *c = &caller->c;

	if (!one_in(c, 6))
		return good;
	if (one_in(c, 3))
		return (int)odd_number(c);
	return w->odd[below(c, w->nr_odd)];
}

/* One word becomes something else; a pointer another pointer. */
static inline void spoil(struct caller *caller, void *arg, size_t size, size_t pointer_at)
{
	struct chance *c = &caller->c;
	size_t at = below(c, size / 4) * 4;
	uint32_t value = odd_number(c);
	uint64_t pointer;

	if (pointer_at && (at & ~(size_t)7) == pointer_at) {
		pointer = odd_pointer(caller);
		memcpy((char *)arg + pointer_at, &pointer, sizeof(pointer));
	} else if (one_in(c, 3)) {
		*((unsigned char *)arg + at + below(c, 4)) ^= 1 << below(c, 8);
	} else {
		memcpy((char *)arg + at, &value, sizeof(value));
	}
}

/*
 * Where the structure lies: in memory of its own, in some that another thread
 * uses meanwhile, so near to the end of all that it does not fit, or nowhere.
 */
static inline void *place(struct caller *caller, const void *arg, size_t size)
{
	struct world *w = caller->w;
	unsigned char *at;

	switch (below(&caller->c, 16)) {
	case 0:
	case 1:
		at = w->pool + PAGE * below(&caller->c, NR_SHARED);
		break;
	case 2:
		size = below(&caller->c, size + 1);
		at = w->pool + POOL_BYTES - size;
		break;
	case 3:
		return one_in(&caller->c, 4) ? (void *)odd_pointer(caller) : some_room(caller);
	default:
		at = some_room(caller);
	}
	memcpy(at, arg, size);
	return at;
}

/* Hands a structure over, as it is or spoiled; returns what call() does. */
static inline int hand_over(struct caller *caller, int control, unsigned long request, void *arg,
			    uint32_t size, size_t pointer_at)
{
	static const uint32_t sizes[] = { 0, 4, 8, PAGE, PAGE + 1, UINT32_MAX, INT32_MAX };
	struct chance *c = &caller->c;
	void *at;
	int ret;

	while (one_in(c, 5))
		spoil(caller, arg, size, pointer_at);
	if (one_in(c, 24))
		*(uint32_t *)arg = one_in(c, 2) ? size + 8 * below(c, 4) - 8 :
						  sizes[below(c, sizeof(sizes) / sizeof(sizes[0]))];
	at = place(caller, arg, size);
	ret = call(control, request, at);
	caller->reached.calls++;
	caller->reached.taken += ret == 0;
	if (caller->w->want_eperm)
		WANT(-EPERM, ret);
	/* Where another may be at it too, nothing that it says is believed. */
	if (ret == 0 && at >= (void *)caller->w->pool &&
	    at < (void *)(caller->w->pool + POOL_BYTES - size))
		memcpy(arg, at, size);
	return ret;
}

static inline uint32_t some_control(struct caller *caller)
{
	return caller->bound ? caller->bound - 1 : below(&caller->c, NR_CONTROLS);
}

static inline uint32_t some_index(struct caller *caller)
{
	return one_in(&caller->c, 12) ? odd_number(&caller->c) : below(&caller->c, 4);
}

static inline void do_version(struct caller *caller)
{
	struct svmdk_ioc_version arg = { .size = sizeof(arg) };

	hand_over(caller, caller->w->controls[some_control(caller)], SVMDK_IOC_VERSION, &arg,
		  sizeof(arg), 0);
}

static inline void do_create(struct caller *caller)
{
	uint32_t i = some_control(caller);
	struct svmdk_ioc_create arg = {
		.size = sizeof(arg),
		.abi = SVMDK_ABI_VERSION,
		.index = one_in(&caller->c, 4) ? (int)some_index(caller) : -1,
		.descriptor_fd = some_fd(caller, caller->w->odd[0]),
		.name = "fuzz",
	};

	if (one_in(&caller->c, 8))
		arg.flags = SVMDK_CREATE_RDONLY;
	if (one_in(&caller->c, 3))
		arg = (struct svmdk_ioc_create){
			.size = sizeof(arg),
			.abi = SVMDK_ABI_VERSION,
			.flags = SVMDK_CREATE_GROW,
			.index = some_index(caller),
			.descriptor_fd = -1,
		};
	if (hand_over(caller, caller->w->controls[i], SVMDK_IOC_CREATE, &arg, sizeof(arg), 0) ==
	    0) {
		caller->grows[i] = arg.flags & SVMDK_CREATE_GROW;
		caller->w->nr_added[i] = 0;
	}
}

static inline struct svmdk_new_extent some_extent(struct caller *caller, uint32_t *file)
{
	struct chance *c = &caller->c;
	struct svmdk_new_extent e = {
		.kind = SVMDK_KIND_FILE,
		.io = below(c, 3),
		.sectors = FILE_SECTORS,
	};

	*file = below(c, NR_FILES);
	e.fd = some_fd(caller, caller->w->files[*file]);
	if (one_in(c, 3)) {
		e.offset = 8 * below(c, FILE_SECTORS / 8);
		e.sectors = one_in(c, 8) ? odd_number(c) : FILE_SECTORS - e.offset;
	}
	if (one_in(c, 6))
		e = (struct svmdk_new_extent){
			.kind = SVMDK_KIND_ZERO,
			.fd = -1,
			.sectors = one_in(c, 4) ? odd_number(c) : 8,
		};
	else if (one_in(c, 8))
		e.kind = SVMDK_KIND_BDEV;
	if (one_in(c, 8))
		e.flags = below(c, 4);
	return e;
}

/* Of a disk of ours, which may be the one that is to grow. */
static inline int open_disk(struct caller *caller, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/svmdk%u", below(&caller->c, 4));
	return open(path, flags | O_NONBLOCK | O_CLOEXEC);
}

static inline void do_add(struct caller *caller)
{
	struct world *w = caller->w;
	struct svmdk_new_extent *extents = some_room(caller);
	uint32_t i = some_control(caller), nr = 1 + below(&caller->c, 3), n, file[3];
	int disk = one_in(&caller->c, 12) ? open_disk(caller, O_RDWR) : -1, ret;
	struct svmdk_ioc_add_extents arg = {
		.size = sizeof(arg),
		.nr = nr,
		.extent_size = sizeof(*extents),
		.extents = (uintptr_t)extents,
	};

	for (n = 0; n < nr; n++) {
		extents[n] = some_extent(caller, &file[n]);
		if (one_in(&caller->c, 8))
			spoil(caller, &extents[n], sizeof(*extents), 0);
	}
	if (disk >= 0)
		extents[0] = (struct svmdk_new_extent){ SVMDK_KIND_BDEV, .fd = disk, .sectors = 8 };
	ret = hand_over(caller, w->controls[i], SVMDK_IOC_ADD_EXTENTS, &arg, sizeof(arg),
			offsetof(struct svmdk_ioc_add_extents, extents));
	if (disk >= 0)
		close(disk);
	if (ret)
		return;
	for (n = 0; n < nr; n++)
		w->added[i][w->nr_added[i]++ % NR_ADDED] =
			(struct added){ file[n], extents[n].sectors, extents[n].offset };
}

/* The part of a file's runs that an extent has. */
static inline uint32_t true_runs(const struct world *w, struct added a, struct svmdk_run *runs)
{
	uint64_t end = a.offset + a.sectors, from, to;
	uint32_t i, nr = 0;

	for (i = 0; i < w->nr_runs[a.file % NR_FILES]; i++) {
		struct svmdk_run run = w->runs[a.file % NR_FILES][i];

		from = run.file_sector > a.offset ? run.file_sector : a.offset;
		to = run.file_sector + run.sectors < end ? run.file_sector + run.sectors : end;
		if (from >= to)
			continue;
		runs[nr++] = (struct svmdk_run){
			.file_sector = from,
			.disk_sector = run.disk_sector + (from - run.file_sector),
			.sectors = to - from,
		};
	}
	return nr;
}

static inline void do_set_runs(struct caller *caller)
{
	struct world *w = caller->w;
	struct chance *c = &caller->c;
	struct svmdk_run *runs = some_room(caller);
	uint32_t i = some_control(caller), extent = below(c, NR_ADDED);
	struct svmdk_ioc_set_runs arg = {
		.size = sizeof(arg),
		.run_size = sizeof(*runs),
		.runs = (uintptr_t)runs,
	};

	if (w->nr_added[i] && !one_in(c, 6))
		extent %= w->nr_added[i];
	arg.extent = extent;
	arg.nr = true_runs(w, w->added[i][extent % NR_ADDED], runs);
	/* Lies: another place on the disk, a piece too many, one run as two. */
	if (arg.nr && one_in(c, 4))
		spoil(caller, &runs[below(c, arg.nr)], sizeof(*runs), 0);
	if (arg.nr && one_in(c, 6)) {
		runs[arg.nr] = runs[arg.nr - 1];
		arg.nr++;
	}
	if (one_in(c, 8)) {
		arg.nr = 0;
		arg.reason = SVMDK_REASON_HOLE;
	}
	if (hand_over(caller, w->controls[i], SVMDK_IOC_SET_RUNS, &arg, sizeof(arg),
		      offsetof(struct svmdk_ioc_set_runs, runs)) == 0)
		caller->reached.mapped += arg.nr > 0;
}

static inline void do_commit(struct caller *caller)
{
	struct world *w = caller->w;
	uint32_t i = some_control(caller);
	struct svmdk_ioc_commit arg = { .size = sizeof(arg) };

	if (caller->grows[i] && one_in(&caller->c, 2)) {
		arg.flags = SVMDK_COMMIT_DESCRIPTOR;
		arg.descriptor_fd = some_fd(caller, w->odd[0]);
	}
	if (hand_over(caller, w->controls[i], SVMDK_IOC_COMMIT, &arg, sizeof(arg), 0))
		return;
	w->nr_added[i] = 0;
	if (caller->grows[i])
		caller->reached.grown++;
	else
		caller->reached.disks++;
}

/* All of a disk, or of a growth, one after the other: that is how to get far. */
static inline void do_whole(struct caller *caller)
{
	uint32_t n;

	caller->bound = 1 + below(&caller->c, NR_CONTROLS);
	do_create(caller);
	do_add(caller);
	for (n = 0; n < 3; n++)
		do_set_runs(caller);
	do_commit(caller);
	caller->bound = 0;
}

static inline void do_detach(struct caller *caller)
{
	struct svmdk_ioc_detach arg = {
		.size = sizeof(arg),
		.index = some_index(caller),
		.flags = one_in(&caller->c, 4) ? SVMDK_DETACH_LAZY : 0,
		.timeout_ms = below(&caller->c, 20),
		.dirty_size = below(&caller->c, 64),
		.dirty = (uintptr_t)some_room(caller),
	};

	if (hand_over(caller, caller->w->controls[some_control(caller)], SVMDK_IOC_DETACH, &arg,
		      sizeof(arg), offsetof(struct svmdk_ioc_detach, dirty)) == 0)
		caller->reached.detached++;
}

static inline void do_status(struct caller *caller)
{
	struct svmdk_ioc_status arg = {
		.size = sizeof(arg),
		.index = some_index(caller),
		.flags = below(&caller->c, 2) ? SVMDK_STATUS_NEXT : 0,
		.path_size = below(&caller->c, 256),
		.path = (uintptr_t)some_room(caller),
	};

	hand_over(caller, caller->w->controls[some_control(caller)], SVMDK_IOC_STATUS, &arg,
		  sizeof(arg), offsetof(struct svmdk_ioc_status, path));
}

static inline void do_extents(struct caller *caller)
{
	struct svmdk_ioc_extents arg = {
		.size = sizeof(arg),
		.index = some_index(caller),
		.first = one_in(&caller->c, 4) ? odd_number(&caller->c) : 0,
		.nr = below(&caller->c, 80),
		.info_size = sizeof(struct svmdk_extent_info) + 8 * below(&caller->c, 2),
		.flags = one_in(&caller->c, 3) ? SVMDK_EXTENTS_CLEAN : 0,
		.infos = (uintptr_t)some_room(caller),
	};

	hand_over(caller, caller->w->controls[some_control(caller)], SVMDK_IOC_EXTENTS, &arg,
		  sizeof(arg), offsetof(struct svmdk_ioc_extents, infos));
}

static inline void do_other(struct caller *caller)
{
	uint64_t arg[16] = { sizeof(arg), draw(&caller->c) };
	unsigned long request = _IO(SVMDK_IOC_MAGIC, below(&caller->c, 12));

	if (one_in(&caller->c, 3))
		request = draw(&caller->c);
	/* What is any file's own is not the driver's. */
	if (((request >> 8) & 0xff) != SVMDK_IOC_MAGIC)
		return;
	hand_over(caller, caller->w->controls[some_control(caller)], request, arg, sizeof(arg), 0);
}

#endif /* _SVMDK_TESTS_FUZZ_CALLS_H */
