// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * What the driver makes of calls that grow a disk: in the wrong order, two at
 * once, of a disk that goes meanwhile, or not to the end. And of what is asked
 * about dirty extents.
 */
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "raw.h"

#define ROUNDS 200
#define LARGE_SECTORS (160 * 2048) /* enough for a btrfs */

static int commit_with(int control, int descriptor, struct svmdk_ioc_commit *answer)
{
	*answer = (struct svmdk_ioc_commit){
		.size = sizeof(*answer),
		.flags = SVMDK_COMMIT_DESCRIPTOR,
		.descriptor_fd = descriptor,
	};
	return call(control, SVMDK_IOC_COMMIT, answer);
}

static uint32_t attach_file(int control, int index, const char *name, enum svmdk_io io)
{
	struct svmdk_ioc_commit end;

	WANT(0, create(control, index));
	WANT(0, add_file(control, name, io));
	WANT(0, commit(control, &end));
	return end.index;
}

static uint32_t make_disk(int control)
{
	return attach_file(control, -1, "one", SVMDK_IO_FILE);
}

static void test_order(void)
{
	int control = open_control(), other = open_control();
	uint32_t index = make_disk(control);
	struct svmdk_ioc_commit end;

	WANT(-EINVAL, begin_growth(other, -1));
	WANT(-ENODEV, begin_growth(other, index + 1));
	WANT(0, begin_growth(other, index));
	WANT(-EBUSY, begin_growth(other, index));
	WANT(-EBUSY, begin_growth(control, index));
	WANT(-EBUSY, create(other, -1));
	WANT(-ENODATA, commit(other, &end));
	/* A file that the disk has cannot come again. */
	WANT(-EBUSY, add_file(other, "one", SVMDK_IO_FILE));
	WANT(0, add_file(other, "two", SVMDK_IO_AUTO));
	WANT(-ENOENT, set_runs_of(other, 0, "two"));
	WANT(0, set_runs_of(other, 1, "two"));
	WANT(-EBADF, commit_with(other, 1000, &end));
	CHECK(sectors_of(control, index) == FILE_SECTORS);
	WANT(0, commit(other, &end));
	CHECK(end.index == index && end.sectors == 2 * FILE_SECTORS);
	CHECK(sectors_of(control, index) == 2 * FILE_SECTORS);
	WANT(-EINVAL, commit(other, &end));

	/* And again, by either. */
	WANT(0, begin_growth(control, index));
	WANT(0, add_zero(control, 8));
	WANT(0, commit(control, &end));
	CHECK(sectors_of(control, index) == 2 * FILE_SECTORS + 8);
	WANT(0, detach(control, index));
	close(other);
	close(control);
}

/* Every byte of these sectors of the disk is that one. */
static void check_bytes(uint32_t index, uint64_t sector, uint64_t sectors, char byte)
{
	char node[32], bytes[512], wanted[512];
	int fd;

	memset(wanted, byte, sizeof(wanted));
	snprintf(node, sizeof(node), "/dev/svmdk%u", index);
	fd = open_file(node, O_RDONLY);
	for (; sectors--; sector++) {
		CHECK(pread(fd, bytes, sizeof(bytes), sector * 512) == sizeof(bytes));
		CHECK(memcmp(bytes, wanted, sizeof(bytes)) == 0);
	}
	close(fd);
}

/* A file that was to be mapped when the commit failed goes by file at the next try. */
static void test_again(void)
{
	int control = open_control(), other = open_control();
	uint32_t index = make_disk(control);
	struct svmdk_ioc_commit end;

	WANT(0, begin_growth(other, index));
	WANT(0, add_file(other, "two", SVMDK_IO_AUTO));
	WANT(0, set_runs_of(other, 1, "two"));
	WANT(-EBADF, commit_with(other, 1000, &end));
	WANT(0, add_file(other, "two", SVMDK_IO_FILE));
	WANT(0, commit(other, &end));
	check_bytes(index, 0, FILE_SECTORS, 1);
	check_bytes(index, FILE_SECTORS, 2 * FILE_SECTORS, 2);
	WANT(0, detach(control, index));
	close(other);
	close(control);
}

/* What was begun is as if it had never been. */
static void test_abandoned(void)
{
	int control = open_control(), other = open_control();
	uint32_t index = make_disk(control);

	WANT(0, begin_growth(other, index));
	WANT(0, add_file(other, "two", SVMDK_IO_MAPPED));
	WANT(-ETXTBSY, write_nothing("two"));
	close(other);
	WANT(0, write_nothing("two"));
	CHECK(sectors_of(control, index) == FILE_SECTORS);
	other = open_control();
	WANT(0, begin_growth(other, index));
	close(other);
	WANT(0, detach(control, index));
	close(control);
}

static int detach_now(int control, uint32_t index, uint32_t flags)
{
	struct svmdk_ioc_detach arg = { .size = sizeof(arg), .index = index, .flags = flags };
	int ret;

	/* udev lets go of it some time. */
	do {
		ret = call(control, SVMDK_IOC_DETACH, &arg);
	} while (ret == -EBUSY && arg.openers);
	return ret;
}

/* It goes when the last one closes it, which is here or in udev. */
static void detach_lazily(int control, uint32_t index)
{
	struct svmdk_ioc_detach arg = {
		.size = sizeof(arg),
		.index = index,
		.flags = SVMDK_DETACH_LAZY,
	};
	char node[32];
	int fd;

	snprintf(node, sizeof(node), "/dev/svmdk%u", index);
	fd = open_file(node, O_RDONLY);
	WANT(0, call(control, SVMDK_IOC_DETACH, &arg));
	CHECK(arg.deferred);
	close(fd);
	for (;;) {
		int other = open_control(), ret = create(other, index);

		close(other);
		if (ret == 0)
			break;
		WANT(-EEXIST, ret);
		usleep(1000);
	}
}

/* As svmdk attaches one. */
static uint32_t make_locked_disk(int control)
{
	int fd = open_file("descriptor", O_RDONLY);
	struct svmdk_ioc_commit end;

	CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0);
	WANT(0, create_with(control, -1, fd));
	close(fd);
	WANT(0, add_file(control, "one", SVMDK_IO_FILE));
	WANT(0, commit(control, &end));
	return end.index;
}

static bool descriptor_is_locked(void)
{
	int fd = open_file("descriptor", O_RDONLY);
	bool locked = flock(fd, LOCK_EX | LOCK_NB) != 0;

	close(fd);
	return locked;
}

static void test_gone_meanwhile(void)
{
	int control = open_control(), other = open_control();
	uint32_t index = make_locked_disk(control);
	struct svmdk_ioc_commit end;

	WANT(0, begin_growth(other, index));
	WANT(0, add_file(other, "two", SVMDK_IO_FILE));
	/* It is in use, though nobody has it open. */
	WANT(-EBUSY, detach_now(control, index, 0));
	WANT(-EBUSY, detach_now(control, index, SVMDK_DETACH_LAZY));
	detach_lazily(control, index);
	/* The lock on its descriptor is there as long as the container may be changed. */
	CHECK(descriptor_is_locked());
	WANT(0, add_zero(other, 8));
	WANT(-ENODEV, commit(other, &end));
	CHECK(descriptor_is_locked());
	close(other);
	CHECK(!descriptor_is_locked());
	WANT(0, write_nothing("two"));

	/* And without a commit. */
	index = make_disk(control);
	other = open_control();
	WANT(0, begin_growth(other, index));
	WANT(0, add_zero(other, 8));
	detach_lazily(control, index);
	close(other);
	close(control);
}

struct race {
	uint32_t index;
	int stop;
};

static void *grow_again(void *arg)
{
	const struct race *race = arg;
	struct svmdk_ioc_commit end;
	int ret;

	do {
		int control = open_control();

		ret = begin_growth(control, race->index);
		if (!ret) {
			WANT(0, add_zero(control, 8));
			ret = commit(control, &end);
		}
		close(control);
	} while (ret == 0 || ret == -EBUSY);
	WANT(-ENODEV, ret);
	return NULL;
}

/* Grown and read by several until it goes. */
static void test_race(void)
{
	pthread_t threads[3];
	int control = open_control();
	uint64_t before = 0, now;
	int round, i;

	for (round = 0; round < 5; round++) {
		struct race race = { .index = make_disk(control) };

		for (i = 0; i < 3; i++)
			CHECK(pthread_create(&threads[i], NULL, grow_again, &race) == 0);
		for (i = 0; i < ROUNDS; i++) {
			now = sectors_of(control, race.index);
			CHECK(now >= before);
			before = now;
		}
		before = 0;
		WANT(0, detach(control, race.index));
		for (i = 0; i < 3; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
	}
	close(control);
}

static int ask_extents(int control, uint32_t index, uint32_t flags, struct svmdk_extent_info *infos,
		       uint32_t nr)
{
	struct svmdk_ioc_extents arg = {
		.size = sizeof(arg),
		.index = index,
		.nr = nr,
		.info_size = sizeof(*infos),
		.flags = flags,
		.infos = (uintptr_t)infos,
	};

	return call(control, SVMDK_IOC_EXTENTS, &arg);
}

/* The answer has no place to go, though the question could be read. */
static int ask_read_only(int control, uint32_t index, struct svmdk_extent_info *infos, uint32_t nr)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	struct svmdk_ioc_extents *arg =
		mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ret;

	CHECK(arg != MAP_FAILED);
	*arg = (struct svmdk_ioc_extents){
		.size = sizeof(*arg),
		.index = index,
		.nr = nr,
		.info_size = sizeof(*infos),
		.flags = SVMDK_EXTENTS_CLEAN,
		.infos = (uintptr_t)infos,
	};
	CHECK(mprotect(arg, page, PROT_READ) == 0);
	ret = call(control, SVMDK_IOC_EXTENTS, arg);
	munmap(arg, page);
	return ret;
}

static void write_at(uint32_t index, uint64_t sector)
{
	char node[32], bytes[512] = "dirty";
	int fd;

	snprintf(node, sizeof(node), "/dev/svmdk%u", index);
	fd = open_file(node, O_RDWR | O_SYNC);
	CHECK(pwrite(fd, bytes, sizeof(bytes), sector * 512) == sizeof(bytes));
	close(fd);
}

static void test_dirty(void)
{
	struct svmdk_extent_info infos[2];
	int control = open_control();
	struct svmdk_ioc_detach end = { .size = sizeof(end), .timeout_ms = 60000 };
	struct svmdk_ioc_commit commit_answer;
	uint8_t dirty[3] = { 0xff, 0xff, 0xff };
	uint32_t index;

	WANT(0, create(control, -1));
	WANT(0, add_file(control, "one", SVMDK_IO_FILE));
	WANT(0, add_file(control, "two", SVMDK_IO_AUTO));
	WANT(0, set_runs_of(control, 1, "two"));
	WANT(0, commit(control, &commit_answer));
	index = commit_answer.index;

	WANT(0, ask_extents(control, index, 0, infos, 2));
	CHECK(!infos[0].dirty && !infos[1].dirty && !infos[0].written);
	write_at(index, 0);
	write_at(index, FILE_SECTORS);
	WANT(0, ask_extents(control, index, SVMDK_EXTENTS_CLEAN, infos, 2));
	CHECK(infos[0].dirty && infos[1].dirty && infos[0].written && infos[1].written);
	WANT(0, ask_extents(control, index, 0, infos, 2));
	CHECK(!infos[0].dirty && !infos[1].dirty && infos[0].written && infos[1].written);

	/* Who could not be told has cleaned nothing. */
	write_at(index, FILE_SECTORS);
	WANT(-EFAULT, ask_extents(control, index, SVMDK_EXTENTS_CLEAN, (void *)8, 2));
	WANT(0, ask_extents(control, index, 0, infos, 2));
	CHECK(infos[1].dirty);
	WANT(-EFAULT, ask_read_only(control, index, infos, 2));
	WANT(0, ask_extents(control, index, 0, infos, 2));
	CHECK(infos[1].dirty);
	WANT(0, ask_extents(control, index, SVMDK_EXTENTS_CLEAN, infos, 2));

	/* What cannot be told is not done. */
	write_at(index, FILE_SECTORS + 8);
	end.index = index;
	end.dirty = 8;
	end.dirty_size = 1;
	WANT(-EFAULT, call(control, SVMDK_IOC_DETACH, &end));
	WANT(0, status(control, index, 0));
	end.dirty = (uintptr_t)dirty;
	end.dirty_size = 2;
	WANT(0, call(control, SVMDK_IOC_DETACH, &end));
	CHECK(end.written == 2 && dirty[0] == 2 && dirty[1] == 0 && dirty[2] == 0xff);
	close(control);
}

static int add_disk(int control, const char *node, uint64_t sectors)
{
	int fd = open_file(node, O_RDWR);
	int ret = add(control, (struct svmdk_new_extent){
				       .kind = SVMDK_KIND_BDEV,
				       .fd = fd,
				       .sectors = sectors,
			       });

	close(fd);
	return ret;
}

/* Neither by what lies on the disk, nor by what lies on that. */
static void test_cycle(void)
{
	int control = open_control(), growth = open_control();
	struct svmdk_ioc_commit end;

	make_file("big", 0, 16384);
	WANT(0, create(control, 0));
	WANT(0, add(control, (struct svmdk_new_extent){
				     .kind = SVMDK_KIND_FILE,
				     .fd = open_file("big", O_RDWR),
				     .sectors = 16384,
			     }));
	WANT(0, commit(control, &end));
	CHECK(system("mkfs.ext4 -q /dev/svmdk0 && mkdir -p on && mount /dev/svmdk0 on") == 0);
	make_file("on/one", 1, FILE_SECTORS);
	make_file("on/two", 1, FILE_SECTORS);
	attach_file(control, 1, "on/two", SVMDK_IO_AUTO);

	WANT(0, begin_growth(growth, 0));
	WANT(-EDEADLK, add_file(growth, "on/one", SVMDK_IO_AUTO));
	WANT(-EDEADLK, add_file(growth, "on/one", SVMDK_IO_FILE));
	WANT(-EDEADLK, add_disk(growth, "/dev/svmdk1", FILE_SECTORS));
	WANT(0, add_file(growth, "two", SVMDK_IO_AUTO));
	close(growth);
	WANT(0, write_nothing("on/one"));

	WANT(0, detach(control, 1));
	CHECK(system("umount on && rmdir on") == 0);
	WANT(0, detach(control, 0));
	close(control);
}

/* Each would lie on the other; the second commit finds that, for no call before it can. */
static void test_mutual(void)
{
	int control = open_control(), first = open_control(), second = open_control();
	struct svmdk_ioc_commit end;

	attach_file(control, 0, "one", SVMDK_IO_AUTO);
	attach_file(control, 1, "two", SVMDK_IO_AUTO);
	WANT(0, begin_growth(first, 0));
	WANT(0, begin_growth(second, 1));
	WANT(0, add_disk(first, "/dev/svmdk1", FILE_SECTORS));
	WANT(0, add_disk(second, "/dev/svmdk0", FILE_SECTORS));
	WANT(0, commit(first, &end));
	WANT(-EDEADLK, commit(second, &end));
	CHECK(sectors_of(control, 0) == 2 * FILE_SECTORS);
	CHECK(sectors_of(control, 1) == FILE_SECTORS);
	close(second);
	close(first);
	check_bytes(0, FILE_SECTORS, FILE_SECTORS, 2);
	WANT(0, detach(control, 0));
	WANT(0, detach(control, 1));
	close(control);
}

static void attach_large(int control, int index, const char *name)
{
	struct svmdk_ioc_commit end;
	int fd = open_file(name, O_RDWR | O_CREAT);

	CHECK(ftruncate(fd, LARGE_SECTORS * 512) == 0);
	WANT(0, create(control, index));
	WANT(0, add(control, (struct svmdk_new_extent){
				     .kind = SVMDK_KIND_FILE,
				     .fd = fd,
				     .sectors = LARGE_SECTORS,
			     }));
	WANT(0, commit(control, &end));
	close(fd);
}

/* What a disk lies on may have left a disk that is gone by now: it is not looked at. */
static void test_left_behind(void)
{
	int control = open_control(), growth = open_control();

	attach_large(control, 0, "left");
	attach_large(control, 1, "right");
	CHECK(system("mkfs.btrfs -q -m single -d single /dev/svmdk0 2>/dev/null && mkdir -p on && "
		     "mount /dev/svmdk0 on") == 0);
	make_file("on/one", 1, FILE_SECTORS);
	attach_file(control, 2, "on/one", SVMDK_IO_FILE);
	CHECK(system("btrfs device add -f /dev/svmdk1 on >/dev/null 2>&1 && "
		     "btrfs device remove /dev/svmdk0 on") == 0);
	WANT(0, detach(control, 0));

	attach_file(control, 3, "two", SVMDK_IO_FILE);
	WANT(0, begin_growth(growth, 3));
	WANT(0, add_disk(growth, "/dev/svmdk2", FILE_SECTORS));
	close(growth);
	WANT(0, detach(control, 3));
	WANT(0, detach(control, 2));
	CHECK(system("umount on && rmdir on && rm left right") == 0);
	WANT(0, detach(control, 1));
	close(control);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "order", test_order },
		{ "again", test_again },
		{ "abandoned", test_abandoned },
		{ "gone-meanwhile", test_gone_meanwhile },
		{ "race", test_race },
		{ "dirty", test_dirty },
		{ "cycle", test_cycle },
		{ "mutual", test_mutual },
		{ "left-behind", test_left_behind },
		{ 0 },
	};

	return run_tests(argc, argv, tests);
}
