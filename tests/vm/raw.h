/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * The driver's calls as they are, for the programs that test what the tool
 * never does. They work in a folder of a file system that can be mapped, with
 * three files that make_files() makes there, and say nothing unless something
 * is wrong.
 */
#ifndef _SVMDK_TESTS_RAW_H
#define _SVMDK_TESTS_RAW_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../kmod/uapi/svmdk.h"

#define FILE_SECTORS 128 /* of "one" and of "two"; each byte is 1, or 2 */
#define MAX_PIECES 64

#define FAIL(...)                                               \
	do {                                                    \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__);                   \
		fputc('\n', stderr);                            \
		exit(1);                                        \
	} while (0)

#define CHECK(condition)                                \
	do {                                            \
		if (!(condition))                       \
			FAIL("not so: %s", #condition); \
	} while (0)

/* What a call returned: 0, or an errno below zero. */
#define WANT(expected, call)                                                  \
	do {                                                                  \
		long want_ = (expected), got_ = (call);                       \
		if (got_ != want_)                                            \
			FAIL("%s: %ld (%s), not %ld", #call, got_,            \
			     got_ < 0 ? strerror(-got_) : "no error", want_); \
	} while (0)

static inline int call(int control, unsigned long request, void *arg)
{
	return ioctl(control, request, arg) < 0 ? -errno : 0;
}

static inline int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		FAIL("%s: %s", path, strerror(errno));
	return fd;
}

static inline int open_control(void)
{
	return open_file(SVMDK_CONTROL_PATH, O_RDWR);
}

static inline void make_file(const char *path, int byte, uint64_t sectors)
{
	char sector[512];
	int fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);

	memset(sector, byte, sizeof(sector));
	while (sectors--)
		CHECK(write(fd, sector, sizeof(sector)) == sizeof(sector));
	CHECK(fsync(fd) == 0);
	close(fd);
}

static inline void make_files(void)
{
	make_file("descriptor", 'd', 1);
	make_file("one", 1, FILE_SECTORS);
	make_file("two", 2, FILE_SECTORS);
}

static inline int create_with(int control, int index, int descriptor)
{
	struct svmdk_ioc_create arg = {
		.size = sizeof(arg),
		.abi = SVMDK_ABI_VERSION,
		.index = index,
		.descriptor_fd = descriptor,
		.name = "raw",
	};

	return call(control, SVMDK_IOC_CREATE, &arg);
}

static inline int create(int control, int index)
{
	int descriptor = open_file("descriptor", O_RDONLY);
	int ret = create_with(control, index, descriptor);

	close(descriptor);
	return ret;
}

static inline int begin_growth(int control, int index)
{
	struct svmdk_ioc_create arg = {
		.size = sizeof(arg),
		.abi = SVMDK_ABI_VERSION,
		.flags = SVMDK_CREATE_GROW,
		.index = index,
		.descriptor_fd = -1,
	};

	return call(control, SVMDK_IOC_CREATE, &arg);
}

static inline int add_batch(int control, struct svmdk_new_extent *extents, uint32_t nr,
			    struct svmdk_ioc_add_extents *answer)
{
	*answer = (struct svmdk_ioc_add_extents){
		.size = sizeof(*answer),
		.nr = nr,
		.extent_size = sizeof(*extents),
		.extents = (uintptr_t)extents,
	};
	return call(control, SVMDK_IOC_ADD_EXTENTS, answer);
}

static inline int add(int control, struct svmdk_new_extent extent)
{
	struct svmdk_ioc_add_extents answer;

	return add_batch(control, &extent, 1, &answer);
}

/* All of a file of FILE_SECTORS. */
static inline int add_file(int control, const char *path, enum svmdk_io io)
{
	int fd = open_file(path, O_RDWR);
	int ret = add(control, (struct svmdk_new_extent){
				       .kind = SVMDK_KIND_FILE,
				       .fd = fd,
				       .io = io,
				       .sectors = FILE_SECTORS,
			       });

	close(fd);
	return ret;
}

static inline int add_zero(int control, uint64_t sectors)
{
	return add(control, (struct svmdk_new_extent){
				    .kind = SVMDK_KIND_ZERO,
				    .fd = -1,
				    .sectors = sectors,
			    });
}

/* Where a file that is all written lies; returns the number of runs. */
static inline uint32_t find_runs(const char *path, struct svmdk_run runs[MAX_PIECES])
{
	struct {
		struct fiemap map;
		struct fiemap_extent pieces[MAX_PIECES];
	} answer = {
		.map = { .fm_length = FIEMAP_MAX_OFFSET,
			 .fm_flags = FIEMAP_FLAG_SYNC,
			 .fm_extent_count = MAX_PIECES },
	};
	int fd = open_file(path, O_RDONLY);
	uint32_t i;

	CHECK(ioctl(fd, FS_IOC_FIEMAP, &answer) == 0);
	close(fd);
	for (i = 0; i < answer.map.fm_mapped_extents; i++) {
		struct fiemap_extent *piece = &answer.map.fm_extents[i];

		CHECK(!(piece->fe_flags & ~FIEMAP_EXTENT_LAST));
		runs[i] = (struct svmdk_run){
			.file_sector = piece->fe_logical / 512,
			.disk_sector = piece->fe_physical / 512,
			.sectors = piece->fe_length / 512,
		};
	}
	CHECK(i > 0 && i < MAX_PIECES);
	return i;
}

static inline int set_runs(int control, uint32_t extent, const struct svmdk_run *runs, uint32_t nr)
{
	struct svmdk_ioc_set_runs arg = {
		.size = sizeof(arg),
		.extent = extent,
		.nr = nr,
		.run_size = sizeof(*runs),
		.runs = (uintptr_t)runs,
		.reason = nr ? SVMDK_REASON_NONE : SVMDK_REASON_HOLE,
	};

	return call(control, SVMDK_IOC_SET_RUNS, &arg);
}

static inline int set_runs_of(int control, uint32_t extent, const char *path)
{
	struct svmdk_run runs[MAX_PIECES];

	return set_runs(control, extent, runs, find_runs(path, runs));
}

static inline int commit(int control, struct svmdk_ioc_commit *answer)
{
	*answer = (struct svmdk_ioc_commit){ .size = sizeof(*answer) };
	return call(control, SVMDK_IOC_COMMIT, answer);
}

/* Waits for who looks at new disks: udev. */
static inline int detach(int control, uint32_t index)
{
	struct svmdk_ioc_detach arg = {
		.size = sizeof(arg),
		.index = index,
		.timeout_ms = 60000,
	};

	return call(control, SVMDK_IOC_DETACH, &arg);
}

static inline int status(int control, uint32_t index, uint32_t flags)
{
	struct svmdk_ioc_status arg = { .size = sizeof(arg), .index = index, .flags = flags };

	return call(control, SVMDK_IOC_STATUS, &arg);
}

static inline uint64_t sectors_of(int control, uint32_t index)
{
	struct svmdk_ioc_status arg = { .size = sizeof(arg), .index = index };

	WANT(0, call(control, SVMDK_IOC_STATUS, &arg));
	return arg.sectors;
}

/* Of svmdk0. */
static inline int first_extent(int control, struct svmdk_extent_info *info)
{
	struct svmdk_ioc_extents ask = {
		.size = sizeof(ask),
		.nr = 1,
		.info_size = sizeof(*info),
		.infos = (uintptr_t)info,
	};

	return call(control, SVMDK_IOC_EXTENTS, &ask);
}

/*
 * What asks whether a file is pinned, and changes nothing: the file system
 * looks at that before it sees that there is nothing to write. XFS does not.
 */
static inline int write_nothing(const char *path)
{
	int fd = open_file(path, O_WRONLY);
	int ret = pwrite(fd, "", 0, 0) < 0 ? -errno : 0;

	close(fd);
	return ret;
}

/* No disk, no pin, and svmdk0 is free. */
static inline void check_nothing_left(void)
{
	int control = open_control();

	WANT(-ENODEV, status(control, 0, SVMDK_STATUS_NEXT));
	WANT(0, write_nothing("one"));
	WANT(0, write_nothing("two"));
	WANT(0, create(control, 0));
	close(control);
}

/* In a process of its own, so that it may end there. */
static inline void in_child(void (*fn)(int control), int control)
{
	int state;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		fn(control);
		_exit(0);
	}
	CHECK(waitpid(pid, &state, 0) == pid);
	CHECK(WIFEXITED(state) && WEXITSTATUS(state) == 0);
}

/**
 * struct test - what a program can be asked to do
 * @name: its first argument
 * @run: with the working directory set, and the files in it made anew
 */
struct test {
	const char *name;
	void (*run)(void);
};

/* PROGRAM NAME FOLDER */
static inline int run_tests(int argc, char **argv, const struct test *tests)
{
	if (argc != 3 || chdir(argv[2])) {
		fprintf(stderr, "usage: %s TEST FOLDER\n", argv[0]);
		return 2;
	}
	for (; tests->name; tests++) {
		if (strcmp(argv[1], tests->name) == 0) {
			make_files();
			tests->run();
			check_nothing_left();
			return 0;
		}
	}
	fprintf(stderr, "%s: no test %s\n", argv[0], argv[1]);
	return 2;
}

#endif /* _SVMDK_TESTS_RAW_H */
