// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Have each allocation of each call to the driver fail, one after the other, and see
 * that the call fails cleanly or copes. /proc/thread-self/fail-nth says which is to:
 * the Nth from then on that this thread asks for. When a call asks for less than N it
 * is on to the next one. The requests of a disk are counted too, where its make-it-fail
 * is set. See fault-injection.rst in the kernel's documentation.
 */
#include <sys/ioctl.h>

static int failing_ioctl(int fd, unsigned long request, void *arg);

#define ioctl failing_ioctl
#include "raw.h"
#undef ioctl

#define MAX_NTH 10000

static bool armed; /* calls are counted */
static unsigned int at; /* the call in which to fail */
static unsigned int calls;
static unsigned int nth;
static bool injected;
static unsigned long injected_into; /* the call's number */
static unsigned int faults;

static int fail_fd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open_file("/proc/thread-self/fail-nth", O_RDWR);
	return fd;
}

static void arm(void)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	CHECK(pwrite(fail_fd(), text, length, 0) == length);
}

/*
 * What it says is how many are left to go; then it came to nothing. To copy that here
 * may be what fails next.
 */
static bool disarm(void)
{
	char text[16] = "";

	injected = pread(fail_fd(), text, sizeof(text) - 1, 0) > 0 && strtoul(text, NULL, 10) == 0;
	while (pwrite(fail_fd(), "0", 1, 0) != 1)
		CHECK(errno == EFAULT);
	faults += injected;
	return injected;
}

static int failing_ioctl(int fd, unsigned long request, void *arg)
{
	bool now = armed && _IOC_TYPE(request) == _IOC_TYPE(SVMDK_IOC_CREATE) && calls++ == at;
	int ret, err;

	if (now)
		arm();
	ret = ioctl(fd, request, arg);
	err = errno;
	if (now)
		injected_into = disarm() ? request : 0;
	errno = err;
	return ret;
}

static void check_error(long ret)
{
	switch (ret) {
	case 0:
	case -ENOMEM:
	case -EIO: /* of what the file system or the disk made of it */
	case -EAGAIN:
	case -EFAULT: /* copying fails too */
		return;
	case -EOPNOTSUPP: /* it has to be mapped, and could not be flushed */
		if (injected_into == SVMDK_IOC_ADD_EXTENTS)
			return;
		break;
	case -EINVAL:
		/* device_add_disk() does not look whether the disk has got its name (6.1). */
		if (injected_into == SVMDK_IOC_COMMIT)
			return;
		break;
	}
	FAIL("call %u, allocation %u: %s", at, nth, strerror(-ret));
}

/*
 * Each call that it makes between start and stop, each allocation of that. It returns
 * its first error, and puts right what is left before that.
 */
static void sweep(const char *name, int (*sequence)(void))
{
	unsigned int before = faults;

	for (at = 0;; at++) {
		for (nth = 1; nth < MAX_NTH; nth++) {
			int ret;

			calls = 0;
			injected = false;
			injected_into = 0;
			ret = sequence();
			armed = false;
			check_error(ret);
			if (!injected)
				break;
		}
		CHECK(nth < MAX_NTH);
		if (calls <= at)
			break;
	}
	printf("%s: %u calls, %u faults\n", name, at, faults - before);
	CHECK(at > 0 && faults > before);
}

/* Every byte of the sectors is this one, or that one. */
static void has_bytes(int fd, uint64_t sector, uint32_t sectors, int this, int that)
{
	unsigned char *data;
	uint32_t i, j;

	CHECK(posix_memalign((void **)&data, 4096, sectors * 512) == 0);
	CHECK(pread(fd, data, sectors * 512, sector * 512) == (ssize_t)sectors * 512);
	for (i = 0; i < sectors; i++) {
		CHECK(data[i * 512] == this || data[i * 512] == that);
		for (j = 1; j < 512; j++)
			CHECK(data[i * 512 + j] == data[i * 512]);
	}
	free(data);
}

static int open_disk(uint32_t index)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/svmdk%u", index);
	return open_file(path, O_RDWR | O_DIRECT);
}

static enum svmdk_io way;

static int add_both(int control, uint32_t first)
{
	int err = first ? 0 : add_file(control, "one", way);

	if (!err)
		err = add_file(control, "two", way);
	if (!err && way == SVMDK_IO_MAPPED && !first)
		err = set_runs_of(control, 0, "one");
	if (!err && way == SVMDK_IO_MAPPED)
		err = set_runs_of(control, 1, "two");
	return err;
}

/* A detach that failed can be done again, unless it was done in spite of that. */
static int end_disk(int control, uint32_t index)
{
	int err = detach(control, index);

	if (err) {
		int again = detach(control, index);

		CHECK(again == 0 || again == -ENODEV);
	}
	return err;
}

/* The disk that may be there, for its commit's answer had no way back. */
static void end_unheard(int control)
{
	armed = false;
	if (status(control, 0, SVMDK_STATUS_NEXT) == 0)
		WANT(0, detach(control, 0));
}

/* So that there is something to flush, and times to be set; the bytes are as they were. */
static void write_same(int fd, uint64_t sector, int byte)
{
	static char data[4096] __attribute__((aligned(4096)));

	memset(data, byte, sizeof(data));
	CHECK(pwrite(fd, data, sizeof(data), sector * 512) == sizeof(data));
}

static int attach_and_detach(void)
{
	int control = open_control(), err;
	struct svmdk_ioc_commit end = { 0 };

	armed = true;
	err = create(control, -1);
	if (!err)
		err = add_both(control, 0);
	if (!err)
		err = commit(control, &end);
	if (err == -EFAULT)
		end_unheard(control);
	if (!err) {
		int fd = open_disk(end.index), told;

		has_bytes(fd, 0, FILE_SECTORS, 1, 1);
		has_bytes(fd, FILE_SECTORS, FILE_SECTORS, 2, 2);
		write_same(fd, 0, 1);
		write_same(fd, FILE_SECTORS, 2);
		close(fd);
		told = status(control, end.index, 0);
		err = end_disk(control, end.index) ?: told;
	}
	armed = false;
	close(control);
	check_nothing_left();
	return err;
}

static int grow(void)
{
	int control = open_control(), growing = open_control(), fd, err;
	struct svmdk_ioc_commit end = { 0 }, grown = { 0 };
	uint64_t sectors;

	WANT(0, create(control, -1));
	WANT(0, add_file(control, "one", way));
	if (way == SVMDK_IO_MAPPED)
		WANT(0, set_runs_of(control, 0, "one"));
	WANT(0, commit(control, &end));

	armed = true;
	err = begin_growth(growing, end.index);
	if (!err)
		err = add_both(growing, 1);
	if (!err)
		err = commit(growing, &grown);
	armed = false;
	close(growing);

	/* Its answer may have had no way back. */
	sectors = sectors_of(control, end.index);
	CHECK(sectors == FILE_SECTORS || (sectors == 2 * FILE_SECTORS && (!err || err == -EFAULT)));
	CHECK(err || sectors == 2 * FILE_SECTORS);
	fd = open_disk(end.index);
	has_bytes(fd, 0, FILE_SECTORS, 1, 1);
	if (sectors == 2 * FILE_SECTORS)
		has_bytes(fd, FILE_SECTORS, FILE_SECTORS, 2, 2);
	close(fd);
	WANT(0, detach(control, end.index));
	close(control);
	check_nothing_left();
	return err;
}

/* Each thing that it does, and how many faults that met. */
static unsigned int writes, reads, flushes;

/* Each write that fails leaves what was there, or what was to be, in each sector. */
static bool write_failing(int fd, void *data, ssize_t bytes, uint64_t sector, int was, int byte)
{
	ssize_t ret;
	bool hit;

	memset(data, byte, bytes);
	arm();
	ret = pwrite(fd, data, bytes, sector * 512);
	if (ret < 0)
		check_error(-errno);
	hit = disarm();
	has_bytes(fd, sector, bytes / 512, byte, ret == bytes ? byte : was);
	CHECK(pwrite(fd, data, bytes, sector * 512) == bytes);
	has_bytes(fd, sector, bytes / 512, byte, byte);
	writes += hit;
	return hit;
}

static bool read_failing(int fd, unsigned char *data, ssize_t bytes, uint64_t sector, int byte)
{
	ssize_t ret, i;
	bool hit;

	memset(data, ~byte, bytes);
	arm();
	ret = pread(fd, data, bytes, sector * 512);
	if (ret < 0)
		check_error(-errno);
	hit = disarm();
	for (i = 0; i < ret; i++)
		CHECK(data[i] == byte);
	reads += hit;
	return hit;
}

static bool flush_failing(int fd)
{
	bool hit;

	arm();
	if (fsync(fd))
		check_error(-errno);
	hit = disarm();
	CHECK(fsync(fd) == 0);
	flushes += hit;
	return hit;
}

/* Across the border of the extents. */
static void sweep_io(int fd, uint32_t sectors)
{
	uint64_t sector = FILE_SECTORS - sectors / 2;
	ssize_t bytes = sectors * 512;
	int was = 255, byte;
	bool hit = true;
	void *data;

	CHECK(posix_memalign(&data, 4096, bytes) == 0);
	memset(data, was, bytes);
	CHECK(pwrite(fd, data, bytes, sector * 512) == bytes);
	for (nth = 1; hit; nth++) {
		CHECK(nth < MAX_NTH);
		byte = nth % 255;
		hit = write_failing(fd, data, bytes, sector, was, byte);
		hit |= read_failing(fd, data, bytes, sector, byte);
		hit |= flush_failing(fd);
		was = byte;
	}
	free(data);
}

static void io(void)
{
	struct svmdk_ioc_commit end = { 0 };
	int control = open_control(), fd;

	WANT(0, create(control, -1));
	WANT(0, add_both(control, 0));
	WANT(0, commit(control, &end));
	fd = open_disk(end.index);
	sweep_io(fd, 8);
	sweep_io(fd, FILE_SECTORS);
	close(fd);
	WANT(0, detach(control, end.index));
	close(control);
	printf("io: faults: %u in writes, %u in reads, %u in flushes\n", writes, reads, flushes);
	/* A flush is done by a worker, in which none of these fails. */
	CHECK(writes > 0 && reads > 0);
}

int main(int argc, char **argv)
{
	if (argc != 4 || chdir(argv[3])) {
		fputs("usage: failing attach|grow|io mapped|file FOLDER\n", stderr);
		return 2;
	}
	make_files();
	way = strcmp(argv[2], "mapped") ? SVMDK_IO_FILE : SVMDK_IO_MAPPED;
	if (!strcmp(argv[1], "attach"))
		sweep("attach", attach_and_detach);
	else if (!strcmp(argv[1], "grow"))
		sweep("grow", grow);
	else
		io();
	make_files();
	check_nothing_left();
	return 0;
}
