// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * What the driver makes of calls that are not well formed, come from the wrong
 * caller, or at the wrong time.
 */
#include <linux/capability.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "raw.h"

#define MAX_SECTORS (UINT64_C(1) << 54) /* the disk ends at 2^63 bytes */

/* The calls, and their structures' sizes in ABI version 1: set in stone. */
static const struct {
	unsigned long request;
	uint32_t size;
} calls[] = {
	{ SVMDK_IOC_VERSION, 40 },  { SVMDK_IOC_CREATE, 88 },  { SVMDK_IOC_ADD_EXTENTS, 32 },
	{ SVMDK_IOC_SET_RUNS, 32 }, { SVMDK_IOC_COMMIT, 40 },  { SVMDK_IOC_DETACH, 40 },
	{ SVMDK_IOC_STATUS, 152 },  { SVMDK_IOC_EXTENTS, 32 },
};

#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

/* A structure of any of the calls, with room to grow. */
union any {
	uint32_t size;
	unsigned char bytes[8192];
};

static int call_sized(int control, size_t i, uint32_t size)
{
	union any arg = { .size = size };

	return call(control, calls[i].request, &arg);
}

static void want_eperm(int control)
{
	size_t i;

	for (i = 0; i < NR_CALLS; i++)
		WANT(-EPERM, call_sized(control, i, calls[i].size));
	CHECK(open(SVMDK_CONTROL_PATH, O_RDWR) < 0 && (errno == EPERM || errno == EACCES));
}

static void as_nobody(int control)
{
	CHECK(setresgid(65534, 65534, 65534) == 0);
	CHECK(setresuid(65534, 65534, 65534) == 0);
	want_eperm(control);
}

/* Root still, by name. */
static void without_sys_admin(int control)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	CHECK(syscall(SYS_capget, &header, caps) == 0);
	caps[0].effective &= ~(1U << CAP_SYS_ADMIN);
	CHECK(syscall(SYS_capset, &header, caps) == 0);
	want_eperm(control);
}

/* With all capabilities, in a world that does not own the machine's disks. */
static void in_user_namespace(int control)
{
	CHECK(unshare(CLONE_NEWUSER) == 0);
	want_eperm(control);
}

static void test_privilege(void)
{
	int control = open_control();
	int fd;

	in_child(as_nobody, control);
	in_child(without_sys_admin, control);
	fd = open("/proc/sys/user/max_user_namespaces", O_RDONLY);
	if (fd >= 0)
		in_child(in_user_namespace, control);
	close(fd);
	WANT(0, call_sized(control, 0, calls[0].size));
	close(control);
}

static void test_unknown_call(void)
{
	int control = open_control();
	union any arg = { .size = 40 };
	char byte;

	WANT(-ENOTTY, call(control, _IO(SVMDK_IOC_MAGIC, NR_CALLS), &arg));
	WANT(-ENOTTY, call(control, _IO(SVMDK_IOC_MAGIC, 255), &arg));
	WANT(-ENOTTY, call(control, _IO(SVMDK_IOC_MAGIC + 1, 0), &arg));
	WANT(-ENOTTY, call(control, BLKGETSIZE64, &arg));
	CHECK(read(control, &byte, 1) < 0 && write(control, &byte, 1) < 0);
	close(control);
}

static void test_wrong_size(void)
{
	int control = open_control();
	uint32_t size;
	size_t i;

	for (i = 0; i < NR_CALLS; i++) {
		for (size = 0; size < calls[i].size; size++)
			WANT(-EINVAL, call_sized(control, i, size));
		WANT(-E2BIG, call_sized(control, i, sizeof(union any)));
		WANT(-E2BIG, call_sized(control, i, UINT32_MAX));
	}
	close(control);
}

static void test_unknown_tail(void)
{
	int control = open_control();
	uint32_t at;
	size_t i;

	for (i = 0; i < NR_CALLS; i++) {
		for (at = calls[i].size; at < calls[i].size + 64; at++) {
			union any arg = { .size = calls[i].size + 64 };

			arg.bytes[at] = 1;
			WANT(-E2BIG, call(control, calls[i].request, &arg));
		}
	}
	close(control);
}

/* A caller of a later version, whose structures are longer than ours. */
static void test_longer_structures(void)
{
	struct {
		struct svmdk_new_extent extent;
		uint64_t more[3];
	} extents[2] = {
		{ .extent = { .kind = SVMDK_KIND_ZERO, .sectors = 8 } },
		{ .extent = { .kind = SVMDK_KIND_ZERO, .sectors = 16 } },
	};
	struct {
		struct svmdk_extent_info info;
		uint64_t more[5];
	} infos[2] = { 0 };
	int control = open_control(), descriptor = open_file("descriptor", O_RDONLY);
	struct {
		struct svmdk_ioc_create arg;
		char more[64];
	} begin = { .arg = { .size = sizeof(begin), .abi = SVMDK_ABI_VERSION, .index = -1 } };
	struct {
		struct svmdk_ioc_add_extents arg;
		char more[64];
	} batch = { .arg = { .size = sizeof(batch),
			     .nr = 2,
			     .extent_size = sizeof(extents[0]),
			     .extents = (uintptr_t)extents } };
	struct {
		struct svmdk_ioc_commit arg;
		char more[64];
	} end = { .arg = { .size = sizeof(end) } };
	struct {
		struct svmdk_ioc_extents arg;
		char more[64];
	} list = { .arg = { .size = sizeof(list),
			    .nr = 2,
			    .info_size = sizeof(infos[0]),
			    .infos = (uintptr_t)infos } };

	begin.arg.descriptor_fd = descriptor;
	WANT(0, call(control, SVMDK_IOC_CREATE, &begin));
	extents[1].more[2] = 1;
	WANT(-E2BIG, call(control, SVMDK_IOC_ADD_EXTENTS, &batch));
	CHECK(batch.arg.error_index == 1 && batch.arg.error_reason == SVMDK_REASON_NONE);
	extents[1].more[2] = 0;
	extents[0].more[0] = 1;
	WANT(-E2BIG, call(control, SVMDK_IOC_ADD_EXTENTS, &batch));
	CHECK(batch.arg.error_index == 0);
	/* Nothing was read of the extent, so there is nothing to say of it. */
	CHECK(batch.arg.error_reason == SVMDK_REASON_NONE);
	extents[0].more[0] = 0;
	WANT(0, call(control, SVMDK_IOC_ADD_EXTENTS, &batch));
	CHECK(extents[0].extent.way == SVMDK_WAY_ZERO && extents[1].extent.way == SVMDK_WAY_ZERO);
	WANT(0, call(control, SVMDK_IOC_COMMIT, &end));
	CHECK(end.arg.sectors == 24);
	list.arg.index = end.arg.index;
	WANT(0, call(control, SVMDK_IOC_EXTENTS, &list));
	CHECK(list.arg.nr == 2 && infos[0].info.sectors == 8 && infos[1].info.start == 8);
	CHECK(infos[0].more[0] == 0 && infos[1].more[4] == 0);
	WANT(0, detach(control, end.arg.index));
	close(descriptor);
	close(control);
}

static void test_short_elements(void)
{
	int control = open_control();
	struct svmdk_new_extent extent = { .kind = SVMDK_KIND_ZERO, .sectors = 8 };
	struct svmdk_ioc_add_extents batch = { .size = sizeof(batch),
					       .nr = 1,
					       .extents = (uintptr_t)&extent };
	struct svmdk_ioc_extents list = { .size = sizeof(list), .nr = 1 };

	WANT(0, create(control, -1));
	for (batch.extent_size = 0; batch.extent_size < sizeof(extent); batch.extent_size++)
		WANT(-EINVAL, call(control, SVMDK_IOC_ADD_EXTENTS, &batch));
	batch.extent_size = UINT32_MAX;
	WANT(-E2BIG, call(control, SVMDK_IOC_ADD_EXTENTS, &batch));
	for (; list.info_size < sizeof(struct svmdk_extent_info); list.info_size++)
		WANT(-EINVAL, call(control, SVMDK_IOC_EXTENTS, &list));
	list.info_size = UINT32_MAX;
	WANT(-E2BIG, call(control, SVMDK_IOC_EXTENTS, &list));
	close(control);
}

static void test_bad_pointers(void)
{
	const long page = sysconf(_SC_PAGESIZE);
	char *map =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int control = open_control();
	struct svmdk_new_extent *extent = (void *)map;
	struct svmdk_ioc_add_extents batch = { .size = sizeof(batch),
					       .nr = 1,
					       .extent_size = sizeof(*extent) };
	uint32_t *cut;
	size_t i;

	CHECK(map != MAP_FAILED && munmap(map + page, page) == 0);
	for (i = 0; i < NR_CALLS; i++) {
		WANT(-EFAULT, call(control, calls[i].request, NULL));
		WANT(-EFAULT, call(control, calls[i].request, map + page));
		WANT(-EFAULT, call(control, calls[i].request, (void *)0xffff888000000000));
		/* Its size can be read, the rest of it not. */
		cut = (void *)(map + page - 8);
		*cut = calls[i].size;
		WANT(-EFAULT, call(control, calls[i].request, cut));
	}
	WANT(0, create(control, -1));
	WANT(-EFAULT, call(control, SVMDK_IOC_ADD_EXTENTS, &batch));
	/* An answer that cannot be written: the extent is not taken either. */
	*extent = (struct svmdk_new_extent){ .kind = SVMDK_KIND_FILE, .sectors = FILE_SECTORS };
	extent->fd = open_file("one", O_RDWR);
	CHECK(mprotect(map, page, PROT_READ) == 0);
	batch.extents = (uintptr_t)map;
	WANT(-EFAULT, call(control, SVMDK_IOC_ADD_EXTENTS, &batch));
	WANT(0, write_nothing("one"));
	close(extent->fd);
	close(control);
}

static void test_other_version(void)
{
	static const uint32_t others[] = { 0, SVMDK_ABI_VERSION + 1, UINT32_MAX };
	int control = open_control(), descriptor = open_file("descriptor", O_RDONLY);
	struct svmdk_ioc_version version = { .size = sizeof(version) };
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct svmdk_ioc_create arg = {
			.size = sizeof(arg),
			.abi = others[i],
			.index = -1,
			.descriptor_fd = descriptor,
		};

		WANT(-EPROTO, call(control, SVMDK_IOC_CREATE, &arg));
	}
	/* None of these began anything. */
	WANT(-EINVAL, add_zero(control, 8));
	WANT(0, call(control, SVMDK_IOC_VERSION, &version));
	CHECK(version.abi == SVMDK_ABI_VERSION && version.release[0]);
	close(descriptor);
	close(control);
}

/* Each field that must be zero or one of a few, with the first wrong value. */
static void test_padding_and_flags(void)
{
	static const struct {
		size_t call, offset;
		uint32_t value;
	} wrong[] = {
		{ 1, offsetof(struct svmdk_ioc_create, flags), 4 },
		{ 1, offsetof(struct svmdk_ioc_create, flags), SVMDK_CREATE_GROW },
		{ 1, offsetof(struct svmdk_ioc_create, pad), 1 },
		{ 1, offsetof(struct svmdk_ioc_create, index), -2 },
		{ 3, offsetof(struct svmdk_ioc_set_runs, pad), 1 },
		{ 3, offsetof(struct svmdk_ioc_set_runs, reason), SVMDK_REASON_LAST + 1 },
		{ 3, offsetof(struct svmdk_ioc_set_runs, nr), SVMDK_MAX_RUNS + 1 },
		{ 4, offsetof(struct svmdk_ioc_commit, flags), 2 },
		{ 4, offsetof(struct svmdk_ioc_commit, flags), SVMDK_COMMIT_DESCRIPTOR },
		{ 4, offsetof(struct svmdk_ioc_commit, descriptor_fd), 1 },
		{ 5, offsetof(struct svmdk_ioc_detach, flags), 2 },
		{ 6, offsetof(struct svmdk_ioc_status, flags), 2 },
		{ 7, offsetof(struct svmdk_ioc_extents, flags), 2 },
	};
	int control = open_control(), other = open_control();
	int descriptor = open_file("descriptor", O_RDONLY);
	union {
		struct svmdk_ioc_create create;
		union any any;
	} arg;
	size_t i;

	WANT(0, create(other, -1));
	WANT(0, add_zero(other, 8));
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memset(&arg, 0, sizeof(arg));
		arg.any.size = calls[wrong[i].call].size;
		if (wrong[i].call == 1) {
			arg.create.abi = SVMDK_ABI_VERSION;
			arg.create.descriptor_fd = descriptor;
		} else if (wrong[i].call == 7) {
			((struct svmdk_ioc_extents *)&arg)->info_size =
				sizeof(struct svmdk_extent_info);
		}
		memcpy(arg.any.bytes + wrong[i].offset, &wrong[i].value, sizeof(wrong[i].value));
		/* In a state in which the same call is right, but for the value. */
		WANT(-EINVAL, call(wrong[i].call == 1 ? control : other,
				   calls[wrong[i].call].request, &arg));
	}
	memset(&arg, 0, sizeof(arg));
	arg.create = (struct svmdk_ioc_create){ .size = sizeof(arg.create),
						.abi = SVMDK_ABI_VERSION,
						.descriptor_fd = descriptor };
	memset(arg.create.name, 'x', sizeof(arg.create.name));
	WANT(-EINVAL, call(control, SVMDK_IOC_CREATE, &arg));
	close(descriptor);
	close(other);
	close(control);
}

static void test_bad_extents(void)
{
	int control = open_control();
	struct svmdk_ioc_add_extents batch = { .size = sizeof(batch),
					       .extent_size = sizeof(struct svmdk_new_extent) };

	WANT(0, create(control, -1));
	WANT(-EINVAL, add(control, (struct svmdk_new_extent){ .sectors = 8 }));
	WANT(-EINVAL, add(control, (struct svmdk_new_extent){ .kind = 4, .sectors = 8 }));
	WANT(-EINVAL, add(control, (struct svmdk_new_extent){ .kind = SVMDK_KIND_ZERO }));
	WANT(-EINVAL, add(control, (struct svmdk_new_extent){
					   .kind = SVMDK_KIND_ZERO, .flags = 4, .sectors = 8 }));
	WANT(-EINVAL, add(control, (struct svmdk_new_extent){
					   .kind = SVMDK_KIND_ZERO, .io = 3, .sectors = 8 }));
	WANT(-EINVAL, call(control, SVMDK_IOC_ADD_EXTENTS, &batch));
	batch.nr = SVMDK_MAX_BATCH + 1;
	WANT(-EINVAL, call(control, SVMDK_IOC_ADD_EXTENTS, &batch));
	close(control);
}

static void test_sums(void)
{
	static struct svmdk_new_extent many[SVMDK_MAX_BATCH];
	struct svmdk_ioc_add_extents answer;
	struct svmdk_ioc_commit end;
	int control = open_control();
	uint32_t i;

	WANT(0, create(control, -1));
	WANT(-EFBIG, add_zero(control, UINT64_MAX));
	WANT(-EFBIG, add_zero(control, MAX_SECTORS + 1));
	/* A block device's size is signed: this one would be negative. */
	WANT(-EFBIG, add_zero(control, MAX_SECTORS));
	WANT(0, add_zero(control, MAX_SECTORS - 8));
	WANT(-EFBIG, add_zero(control, 8));
	WANT(-EFBIG, add_zero(control, MAX_SECTORS - 8));
	WANT(0, commit(control, &end));
	CHECK(end.sectors == MAX_SECTORS - 8);
	WANT(0, detach(control, end.index));

	WANT(0, create(control, -1));
	for (i = 0; i < SVMDK_MAX_BATCH; i++)
		many[i] = (struct svmdk_new_extent){ .kind = SVMDK_KIND_ZERO, .sectors = 8 };
	for (i = 0; i < SVMDK_MAX_EXTENTS / SVMDK_MAX_BATCH; i++)
		WANT(0, add_batch(control, many, SVMDK_MAX_BATCH, &answer));
	WANT(-EFBIG, add_zero(control, 8));
	close(control);
}

static int add_fd(int control, enum svmdk_kind kind, int fd)
{
	return add(control, (struct svmdk_new_extent){ .kind = kind, .fd = fd, .sectors = 8 });
}

static int add_opened(int control, enum svmdk_kind kind, const char *path, int flags)
{
	int fd = open_file(path, flags);
	int ret = add_fd(control, kind, fd);

	close(fd);
	return ret;
}

/* @disk: a block device that nobody uses */
static void try_fds(int control, const char *disk)
{
	int sockets[2];

	WANT(-EBADF, add_fd(control, SVMDK_KIND_FILE, -1));
	WANT(-EBADF, add_fd(control, SVMDK_KIND_FILE, 1000));
	WANT(-EBADF, add_opened(control, SVMDK_KIND_FILE, "one", O_PATH));
	WANT(-EBADF, add_opened(control, SVMDK_KIND_BDEV, disk, O_PATH));
	WANT(-EINVAL, add_opened(control, SVMDK_KIND_FILE, ".", O_RDONLY | O_DIRECTORY));
	WANT(-EINVAL, add_opened(control, SVMDK_KIND_FILE, "/dev/zero", O_RDWR));
	WANT(-EINVAL, add_opened(control, SVMDK_KIND_FILE, "fifo", O_RDWR));
	WANT(-EINVAL, add_opened(control, SVMDK_KIND_FILE, SVMDK_CONTROL_PATH, O_RDWR));
	WANT(-EINVAL, add_opened(control, SVMDK_KIND_FILE, disk, O_RDWR));
	WANT(-EINVAL, add_opened(control, SVMDK_KIND_BDEV, "one", O_RDWR));
	WANT(-EINVAL, add_opened(control, SVMDK_KIND_BDEV, "/dev/zero", O_RDWR));
	WANT(-EINVAL, add_fd(control, SVMDK_KIND_FILE, control));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	WANT(-EINVAL, add_fd(control, SVMDK_KIND_FILE, sockets[0]));
	WANT(-EINVAL, add_fd(control, SVMDK_KIND_BDEV, sockets[0]));
	close(sockets[0]);
	close(sockets[1]);

	WANT(-EACCES, add_opened(control, SVMDK_KIND_FILE, "one", O_WRONLY));
	WANT(-EACCES, add_opened(control, SVMDK_KIND_FILE, "one", O_RDONLY));
	WANT(-EINVAL, add_opened(control, SVMDK_KIND_FILE, "one", O_RDWR | O_APPEND));
	WANT(-EACCES, add_opened(control, SVMDK_KIND_BDEV, disk, O_RDONLY));
}

static void test_wrong_files(void)
{
	const char *disk = getenv("DISK");
	int control = open_control();
	int fd = open_file("one", O_RDWR);

	CHECK(disk);
	CHECK(mkfifo("fifo", 0600) == 0 || errno == EEXIST);
	WANT(0, create(control, -1));
	try_fds(control, disk);
	/* Sizes are the file's, and nothing is added up past the end. */
	WANT(-ENODATA, add(control, (struct svmdk_new_extent){ .kind = SVMDK_KIND_FILE,
							       .fd = fd,
							       .sectors = FILE_SECTORS + 1 }));
	WANT(-ENODATA, add(control, (struct svmdk_new_extent){ .kind = SVMDK_KIND_FILE,
							       .fd = fd,
							       .sectors = 8,
							       .offset = FILE_SECTORS }));
	WANT(-ENODATA, add(control, (struct svmdk_new_extent){ .kind = SVMDK_KIND_FILE,
							       .fd = fd,
							       .sectors = 8,
							       .offset = MAX_SECTORS / 2 }));
	WANT(-EFBIG,
	     add(control,
		 (struct svmdk_new_extent){
			 .kind = SVMDK_KIND_FILE, .fd = fd, .sectors = 8, .offset = UINT64_MAX }));
	WANT(0, write_nothing("one"));
	close(fd);
	/* None of these was the end of it. */
	WANT(0, add_opened(control, SVMDK_KIND_BDEV, disk, O_RDWR));
	WANT(0, add_file(control, "one", SVMDK_IO_AUTO));
	close(control);
}

static void test_wrong_descriptor(void)
{
	int control = open_control();
	int fd = open_file("descriptor", O_PATH);

	WANT(-EBADF, create_with(control, -1, -1));
	WANT(-EBADF, create_with(control, -1, 1000));
	WANT(-EBADF, create_with(control, -1, fd));
	close(fd);
	/* A disk that has its own control file would never go: a circle. */
	WANT(-EINVAL, create_with(control, -1, control));
	fd = open_file(".", O_RDONLY | O_DIRECTORY);
	WANT(-EINVAL, create_with(control, -1, fd));
	close(fd);
	fd = open_file("descriptor", O_WRONLY);
	WANT(-EINVAL, create_with(control, -1, fd));
	close(fd);
	close(control);
}

/* The second of three is at fault: the first is not kept. */
static void test_batch_is_whole(void)
{
	struct svmdk_new_extent extents[3] = {
		{ .kind = SVMDK_KIND_FILE, .sectors = FILE_SECTORS },
		{ .kind = SVMDK_KIND_FILE, .sectors = FILE_SECTORS + 1 },
		{ .kind = SVMDK_KIND_ZERO, .sectors = 8 },
	};
	struct svmdk_ioc_add_extents answer;
	struct svmdk_ioc_commit end;
	int control = open_control();

	WANT(0, create(control, -1));
	extents[0].fd = open_file("one", O_RDWR);
	extents[1].fd = open_file("two", O_RDWR);
	WANT(-ENODATA, add_batch(control, extents, 3, &answer));
	CHECK(answer.error_index == 1);
	WANT(0, write_nothing("one"));
	WANT(-ENODATA, commit(control, &end));
	close(extents[0].fd);
	close(extents[1].fd);
	close(control);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "privilege", test_privilege },
		{ "unknown-call", test_unknown_call },
		{ "wrong-size", test_wrong_size },
		{ "unknown-tail", test_unknown_tail },
		{ "longer-structures", test_longer_structures },
		{ "short-elements", test_short_elements },
		{ "bad-pointers", test_bad_pointers },
		{ "other-version", test_other_version },
		{ "padding-and-flags", test_padding_and_flags },
		{ "bad-extents", test_bad_extents },
		{ "sums", test_sums },
		{ "wrong-files", test_wrong_files },
		{ "wrong-descriptor", test_wrong_descriptor },
		{ "batch-is-whole", test_batch_is_whole },
		{ 0 },
	};

	return run_tests(argc, argv, tests);
}
