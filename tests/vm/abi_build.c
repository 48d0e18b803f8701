// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * What the driver makes of calls that build a disk in the wrong order, with
 * runs that are not the file's, from several threads at once, or not to the
 * end.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "raw.h"

#define ROUNDS 40 /* of what races */
#define THREADS 3

static void test_order(void)
{
	struct svmdk_new_extent extent = { .kind = SVMDK_KIND_ZERO, .sectors = 8 };
	struct svmdk_ioc_commit end;
	struct svmdk_run run = { .sectors = 8 };
	int control = open_control();

	WANT(-EINVAL, add_zero(control, 8));
	WANT(-EINVAL, set_runs(control, 0, &run, 1));
	WANT(-EINVAL, commit(control, &end));

	WANT(0, create(control, -1));
	WANT(-EBUSY, create(control, -1));
	WANT(-ENOENT, set_runs(control, 0, &run, 1));
	WANT(-ENODATA, commit(control, &end));
	/* It is not there before it is whole. */
	WANT(-ENODEV, status(control, 0, 0));
	WANT(-ENODEV, detach(control, 0));

	WANT(0, add(control, extent));
	WANT(0, add_file(control, "one", SVMDK_IO_AUTO));
	WANT(0, add_file(control, "two", SVMDK_IO_FILE));
	WANT(-ENOENT, set_runs(control, 0, &run, 1));
	WANT(-ENOENT, set_runs_of(control, 2, "two"));
	WANT(-ENOENT, set_runs(control, 3, &run, 1));
	WANT(-ENOENT, set_runs(control, UINT32_MAX, &run, 1));
	WANT(0, set_runs_of(control, 1, "one"));
	WANT(-ENOENT, set_runs_of(control, 1, "one"));

	WANT(0, commit(control, &end));
	CHECK(end.sectors == 8 + 2 * FILE_SECTORS);
	WANT(0, status(control, end.index, 0));
	/* This control file is free for the next one. */
	WANT(-EINVAL, add(control, extent));
	WANT(-EINVAL, commit(control, &end));
	WANT(0, create(control, -1));
	WANT(0, detach(control, 0));
	WANT(-ENODEV, detach(control, 0));
	close(control);
}

/* What the caller forgets to say is not made up. */
static void test_no_runs(void)
{
	struct svmdk_ioc_commit end;
	int control = open_control();

	WANT(0, create(control, -1));
	WANT(0, add_file(control, "one", SVMDK_IO_MAPPED));
	WANT(-EOPNOTSUPP, set_runs(control, 0, NULL, 0));
	WANT(-EOPNOTSUPP, commit(control, &end));
	CHECK(end.error_extent == 0);
	close(control);

	control = open_control();
	WANT(0, create(control, -1));
	WANT(0, add_file(control, "one", SVMDK_IO_AUTO));
	WANT(0, add_file(control, "two", SVMDK_IO_AUTO));
	WANT(0, set_runs(control, 1, NULL, 0));
	WANT(0, commit(control, &end));
	/* Both are reached through the file system, so neither is pinned. */
	WANT(0, write_nothing("one"));
	WANT(0, write_nothing("two"));
	WANT(0, detach(control, end.index));
	close(control);
}

static void test_index(void)
{
	int first = open_control(), second = open_control();
	struct svmdk_ioc_commit end;

	WANT(0, create(first, 7));
	WANT(-EEXIST, create(second, 7));
	WANT(0, add_zero(first, 8));
	WANT(0, commit(first, &end));
	CHECK(end.index == 7 && access("/sys/block/svmdk7", F_OK) == 0);
	WANT(-EEXIST, create(second, 7));
	/* The lowest that is free; nobody has it a second time. */
	WANT(0, create(second, -1));
	WANT(-EEXIST, create(first, 0));
	WANT(0, create(first, -1));
	WANT(0, add_zero(first, 8));
	WANT(0, commit(first, &end));
	CHECK(end.index == 1);
	WANT(0, detach(second, 7));
	WANT(0, detach(second, 1));
	WANT(0, create(first, INT32_MAX));
	WANT(0, add_zero(first, 8));
	WANT(0, commit(first, &end));
	CHECK(end.index == INT32_MAX && access("/sys/block/svmdk2147483647", F_OK) == 0);
	WANT(0, detach(first, INT32_MAX));
	close(first);
	close(second);
}

/* Two disks that would write the same file, one of them not even there yet. */
static void test_shared_file(void)
{
	struct svmdk_new_extent extent = { .kind = SVMDK_KIND_FILE, .sectors = FILE_SECTORS };
	struct svmdk_ioc_add_extents answer;
	int first = open_control(), second = open_control();

	extent.fd = open_file("one", O_RDWR);
	WANT(0, create(first, 3));
	WANT(0, create(second, -1));
	WANT(0, add_batch(first, &extent, 1, &answer));
	WANT(-EBUSY, add_batch(second, &extent, 1, &answer));
	CHECK(answer.holder == 3);
	extent.flags = SVMDK_EXTENT_RDONLY;
	WANT(-EBUSY, add_batch(second, &extent, 1, &answer));
	close(first);
	WANT(0, add_batch(second, &extent, 1, &answer));
	close(extent.fd);
	close(second);
}

static void want_refused(int control, const char *what, const struct svmdk_run *runs, uint32_t nr)
{
	int ret = set_runs(control, 0, runs, nr);

	if (ret != -EINVAL)
		FAIL("runs %s: %d (%s), not EINVAL", what, ret, strerror(-ret));
}

static void try_one_run(int control, const struct svmdk_run *right)
{
	struct svmdk_run run = *right;

	run.disk_sector = right->disk_sector + 8;
	want_refused(control, "a block further", &run, 1);
	run.disk_sector = right->disk_sector + 1;
	want_refused(control, "amid a block", &run, 1);
	run.disk_sector = 0;
	want_refused(control, "at the superblock", &run, 1);
	run.disk_sector = UINT64_C(1) << 40;
	want_refused(control, "beyond the device", &run, 1);
	run.disk_sector = UINT64_MAX - 7;
	want_refused(control, "around the end of numbers", &run, 1);
	run = *right;
	run.sectors -= 8;
	want_refused(control, "too short", &run, 1);
	run.sectors += 16;
	want_refused(control, "too long", &run, 1);
	run.sectors = UINT64_MAX - 7;
	want_refused(control, "far too long", &run, 1);
	run.sectors = 0;
	want_refused(control, "empty", &run, 1);
	run = *right;
	run.file_sector = 8;
	want_refused(control, "not from the beginning", &run, 1);
}

static void try_two_runs(int control, const struct svmdk_run *right)
{
	struct svmdk_run runs[2];

	/* The right ones, in two halves. */
	runs[0] = (struct svmdk_run){ 0, right->disk_sector, 64 };
	runs[1] = (struct svmdk_run){ 64, right->disk_sector + 64, FILE_SECTORS - 64 };
	runs[1].file_sector = 72;
	want_refused(control, "with a gap", runs, 2);
	runs[1].file_sector = 56;
	want_refused(control, "that overlap", runs, 2);
	runs[1].file_sector = 64;
	runs[1].disk_sector = right->disk_sector;
	want_refused(control, "that name the same blocks", runs, 2);
	runs[0].file_sector = 64;
	runs[1].file_sector = 0;
	want_refused(control, "in the wrong order", runs, 2);
	runs[0] = *right;
	runs[1] = *right;
	want_refused(control, "told twice", runs, 2);
}

static void test_wrong_runs(void)
{
	struct svmdk_run one[MAX_PIECES], two[MAX_PIECES];
	struct svmdk_ioc_commit end;
	int control = open_control();
	char sector[512];
	int fd;

	/* So small that the file system has them in one piece. */
	CHECK(find_runs("one", one) == 1 && find_runs("two", two) == 1);
	WANT(0, create(control, -1));
	WANT(0, add_file(control, "one", SVMDK_IO_MAPPED));
	want_refused(control, "of another file", two, 1);
	try_one_run(control, one);
	try_two_runs(control, one);
	WANT(-EFAULT, set_runs(control, 0, NULL, 1));
	WANT(-EFAULT, set_runs(control, 0, (void *)0xffff888000000000, 1));

	/* After all that the right ones are as good as ever. */
	WANT(0, set_runs(control, 0, one, 1));
	WANT(0, commit(control, &end));
	fd = open_file("/dev/svmdk0", O_RDONLY);
	CHECK(pread(fd, sector, 512, (FILE_SECTORS - 1) * 512) == 512 && sector[511] == 1);
	close(fd);
	WANT(0, detach(control, end.index));
	close(control);
}

/* What the runs' first and last block do not show: see abi.bats. */
static void test_lie_in_the_middle(void)
{
	struct svmdk_run runs[MAX_PIECES];
	struct stat st;
	int control = open_control(), fd = open_file("holed", O_RDWR);

	CHECK(fstat(fd, &st) == 0 && st.st_size == 3 * 4096);
	CHECK(find_runs("holed", runs) == 3);
	CHECK(runs[2].disk_sector == runs[0].disk_sector + 16);
	CHECK(runs[1].disk_sector != runs[0].disk_sector + 8);
	runs[0].sectors = 24;
	WANT(0, create(control, -1));
	WANT(0, add(control,
		    (struct svmdk_new_extent){ .kind = SVMDK_KIND_FILE, .fd = fd, .sectors = 24 }));
	WANT(-EINVAL, set_runs(control, 0, runs, 1));
	close(fd);
	close(control);
}

/* However far it got, nothing of it stays. */
static void test_close_early(void)
{
	struct svmdk_ioc_commit end;
	int step, control;

	for (step = 0; step < 5; step++) {
		control = open_control();
		WANT(0, create(control, 0));
		if (step > 0)
			WANT(0, add_file(control, "one", SVMDK_IO_MAPPED));
		if (step > 1)
			WANT(0, set_runs_of(control, 0, "one"));
		if (step > 2)
			WANT(0, add_file(control, "two", SVMDK_IO_MAPPED));
		if (step > 3)
			WANT(-EOPNOTSUPP, commit(control, &end));
		WANT(step > 0 ? -ETXTBSY : 0, write_nothing("one"));
		close(control);
		check_nothing_left();
	}
}

/**
 * struct race - threads that use one control file at once
 * @control: the control file
 * @fn: what each does
 */
struct race {
	int control;
	void *(*fn)(void *arg);
};

static void run_race(struct race *race)
{
	pthread_t threads[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, race->fn, race) == 0);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

/* Nothing but what each call may say when another thread was there first. */
static void *build_together(void *arg)
{
	struct race *race = arg;
	struct svmdk_ioc_commit end;
	int i, ret;

	for (i = 0; i < ROUNDS; i++) {
		ret = create(race->control, -1);
		CHECK(ret == 0 || ret == -EBUSY);
		ret = add_file(race->control, i % 2 ? "one" : "two", SVMDK_IO_AUTO);
		CHECK(ret == 0 || ret == -EINVAL || ret == -EBUSY);
		ret = set_runs_of(race->control, 0, i % 2 ? "one" : "two");
		CHECK(ret == 0 || ret == -EINVAL || ret == -ENOENT);
		ret = commit(race->control, &end);
		CHECK(ret == 0 || ret == -EINVAL || ret == -ENODATA);
		ret = status(race->control, 0, SVMDK_STATUS_NEXT);
		CHECK(ret == 0 || ret == -ENODEV);
		ret = detach(race->control, 0);
		CHECK(ret == 0 || ret == -ENODEV);
	}
	return NULL;
}

static void test_race(void)
{
	struct race race = { .control = open_control(), .fn = build_together };
	uint32_t i;
	int ret;

	run_race(&race);
	for (i = 0; i < THREADS; i++) {
		ret = detach(race.control, i);
		CHECK(ret == 0 || ret == -ENODEV);
	}
	close(race.control);
}

static void *detach_together(void *arg)
{
	const struct race *race = arg;
	const int ret = detach(race->control, 0);

	CHECK(ret == 0 || ret == -ENODEV);
	return NULL;
}

static void test_race_of_detach(void)
{
	struct race race = { .control = open_control(), .fn = detach_together };
	struct svmdk_ioc_commit end;
	int i;

	for (i = 0; i < ROUNDS / 4; i++) {
		WANT(0, create(race.control, 0));
		WANT(0, add_file(race.control, "one", SVMDK_IO_AUTO));
		WANT(0, commit(race.control, &end));
		run_race(&race);
		WANT(-ENODEV, status(race.control, 0, 0));
	}
	close(race.control);
}

static void map_fails(int error, int prot, int fd)
{
	errno = 0;
	CHECK(mmap(NULL, 4096, prot, MAP_SHARED, fd, 0) == MAP_FAILED);
	WANT(error, errno);
}

static void map_works(int prot, int flags, int fd)
{
	void *map = mmap(NULL, 4096, prot, flags, fd, 0);

	CHECK(map != MAP_FAILED && munmap(map, 4096) == 0);
}

static enum svmdk_way way_of(int control, const char *path)
{
	struct svmdk_ioc_commit end;
	struct svmdk_extent_info info;

	WANT(0, create(control, 0));
	WANT(0, add_file(control, path, SVMDK_IO_AUTO));
	set_runs_of(control, 0, path);
	WANT(0, commit(control, &end));
	WANT(0, first_extent(control, &info));
	return info.way;
}

/* mprotect() asks nobody, so what it could make writable must not be there. */
static void test_mappings(void)
{
	int control = open_control();
	int rw = open_file("two", O_RDWR), ro = open_file("two", O_RDONLY);
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, rw, 0);

	CHECK(map != MAP_FAILED);
	CHECK(way_of(control, "two") == SVMDK_WAY_FILE);
	CHECK(mprotect(map, 4096, PROT_READ | PROT_WRITE) == 0);
	WANT(0, detach(control, 0));
	CHECK(munmap(map, 4096) == 0);
	/* Nor may somebody have it open for writing already. */
	CHECK(way_of(control, "two") == SVMDK_WAY_FILE);
	WANT(0, detach(control, 0));
	close(rw);

	CHECK(way_of(control, "two") == SVMDK_WAY_MAPPED);
	rw = open_file("two", O_RDWR);
	map_fails(ETXTBSY, PROT_READ | PROT_WRITE, rw);
	map_fails(EPERM, PROT_READ, rw);
	map_works(PROT_READ, MAP_SHARED, ro);
	map_works(PROT_READ | PROT_WRITE, MAP_PRIVATE, rw);
	WANT(0, detach(control, 0));
	map_works(PROT_READ | PROT_WRITE, MAP_SHARED, rw);
	close(rw);
	close(ro);
	close(control);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "order", test_order },
		{ "no-runs", test_no_runs },
		{ "index", test_index },
		{ "shared-file", test_shared_file },
		{ "wrong-runs", test_wrong_runs },
		{ "lie-in-the-middle", test_lie_in_the_middle },
		{ "close-early", test_close_early },
		{ "mappings", test_mappings },
		{ "race", test_race },
		{ "race-of-detach", test_race_of_detach },
		{ 0 },
	};

	return run_tests(argc, argv, tests);
}
