// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * A 32-bit program that makes a disk, asks about it, and ends it: with the
 * driver's header alone and no library, for a 64-bit Debian has no other.
 * Its exit status is the number of the step that went wrong. The working
 * directory has a "descriptor" and a file "one" of 128 sectors.
 */
#include "../../kmod/uapi/svmdk.h"

#define NR_EXIT 1
#define NR_OPEN 5
#define NR_IOCTL 54
#define O_RDWR 2
#define ENODEV 19

_Static_assert(sizeof(void *) == 4, "this is to be built for 32 bits");

void _start(void);

static int syscall3(int number, unsigned long a, unsigned long b, unsigned long c)
{
	int ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return ret;
}

static void leave(int status)
{
	for (;;)
		syscall3(NR_EXIT, status, 0, 0);
}

static int open_file(const char *path)
{
	return syscall3(NR_OPEN, (unsigned long)path, O_RDWR, 0);
}

static void want(int expected, int step, int control, unsigned long request, void *arg)
{
	if (syscall3(NR_IOCTL, control, request, (unsigned long)arg) != expected)
		leave(step);
}

static void ask(int control, __u32 index)
{
	/* So that nothing above 4 GiB is taken for part of an address. */
	static char path[4096];
	struct svmdk_extent_info infos[2] = { 0 };
	struct svmdk_ioc_status status = { .size = sizeof(status), .index = index };
	struct svmdk_ioc_extents extents = { .size = sizeof(extents), .index = index, .nr = 2 };

	status.path_size = sizeof(path);
	status.path = (unsigned long)path;
	want(0, 6, control, SVMDK_IOC_STATUS, &status);
	if (status.sectors != (1ULL << 33) + 128 || status.extents != 2 || path[0] != '/')
		leave(7);
	extents.info_size = sizeof(infos[0]);
	extents.infos = (unsigned long)infos;
	want(0, 8, control, SVMDK_IOC_EXTENTS, &extents);
	if (extents.nr != 2 || infos[1].start != 1ULL << 33 || infos[1].sectors != 128)
		leave(9);
}

void _start(void)
{
	struct svmdk_new_extent extents[2] = {
		{ .kind = SVMDK_KIND_ZERO, .fd = -1, .sectors = 1ULL << 33 },
		{ .kind = SVMDK_KIND_FILE, .io = SVMDK_IO_FILE, .sectors = 128 },
	};
	struct svmdk_ioc_version version = { .size = sizeof(version) };
	struct svmdk_ioc_create create = { .size = sizeof(create), .abi = SVMDK_ABI_VERSION };
	struct svmdk_ioc_add_extents batch = { .size = sizeof(batch), .nr = 2 };
	struct svmdk_ioc_commit commit = { .size = sizeof(commit) };
	struct svmdk_ioc_detach detach = { .size = sizeof(detach), .timeout_ms = 60000 };
	int control = open_file(SVMDK_CONTROL_PATH);

	if (control < 0)
		leave(1);
	want(0, 2, control, SVMDK_IOC_VERSION, &version);
	if (version.abi != SVMDK_ABI_VERSION)
		leave(2);
	create.index = -1;
	create.descriptor_fd = open_file("descriptor");
	want(0, 3, control, SVMDK_IOC_CREATE, &create);
	extents[1].fd = open_file("one");
	batch.extent_size = sizeof(extents[0]);
	batch.extents = (unsigned long)extents;
	want(0, 4, control, SVMDK_IOC_ADD_EXTENTS, &batch);
	want(0, 5, control, SVMDK_IOC_COMMIT, &commit);
	ask(control, commit.index);
	detach.index = commit.index;
	want(0, 10, control, SVMDK_IOC_DETACH, &detach);
	want(-ENODEV, 11, control, SVMDK_IOC_DETACH, &detach);
	leave(0);
}
