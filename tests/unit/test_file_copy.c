// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Content is copied byte for byte, and holes as holes. */
#include "unit.h"

#include <errno.h>
#include <signal.h>

#include "file_copy.h"
#include "interrupt.h"
#include "scratch.h"

#define MIB (1 << 20)

static struct scratch scratch;

static int enter(void **state)
{
	(void)state;
	scratch_enter(&scratch);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	scratch_leave(&scratch);
	return 0;
}

/* Data of @length bytes at @at, no two of its sectors alike. */
static void put(int fd, off_t at, size_t length)
{
	uint32_t *data = malloc(length);
	size_t i;

	for (i = 0; i < length / sizeof(*data); i++)
		data[i] = (uint32_t)(at / 512 + i);
	assert_int_equal(pwrite(fd, data, length, at), length);
	free(data);
}

static void assert_same(int a, int b, off_t size)
{
	char *one = malloc(MIB), *two = malloc(MIB);
	ssize_t got;
	off_t at;

	assert_int_equal(lseek(a, 0, SEEK_END), size);
	assert_int_equal(lseek(b, 0, SEEK_END), size);
	for (at = 0; at < size; at += got) {
		got = pread(a, one, MIB, at);
		assert_true(got > 0);
		assert_int_equal(pread(b, two, MIB, at), got);
		assert_memory_equal(one, two, got);
	}
	free(one);
	free(two);
}

static void note_done(void *arg, uint64_t done)
{
	uint64_t *last = arg;

	assert_true(done >= *last);
	*last = done;
}

static void copies_data_and_holes(void **state)
{
	static const struct {
		off_t size, data[4]; /* where 64 KiB of data begin; -1: no more */
	} cases[] = {
		{ 0, { -1 } },
		{ 4 * MIB, { -1 } },
		{ 4 * MIB, { 0, MIB - 65536, MIB, -1 } },
		{ 40 * MIB + 512, { 65536, 20 * MIB, 40 * MIB - 65536, -1 } },
		{ 512 * 7, { -1 } },
	};
	struct svmdk_error err;
	struct file_copier c;
	struct stat st;
	uint64_t total = 0, last = 0;
	int from, to;
	size_t i, j;

	(void)state;
	assert_int_equal(file_copier_init(&c, note_done, &last, &err), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		from = open("from", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		to = open("to", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		for (j = 0; cases[i].data[j] >= 0; j++)
			put(from, cases[i].data[j], 65536);
		assert_int_equal(ftruncate(from, cases[i].size), 0);
		if (file_copy(&c, from, to, cases[i].size, &err))
			fail_msg("%s", err.text);
		assert_same(from, to, cases[i].size);
		total += cases[i].size;
		assert_int_equal(c.done, total);
		assert_int_equal(last, total);
		assert_int_equal(fsync(to), 0);
		assert_int_equal(fstat(to, &st), 0);
		assert_true(st.st_blocks <= (int)(j * 128 + 64)); /* and what maps them */
		close(from);
		close(to);
	}
	file_copier_free(&c);
}

static void copies_what_has_no_holes(void **state)
{
	struct svmdk_error err;
	struct file_copier c;
	int from = open("from", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int to = open("to", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	(void)state;
	put(from, 0, 34 * MIB);
	put(from, 34 * MIB, 512);
	assert_int_equal(file_copier_init(&c, NULL, NULL, &err), 0);
	assert_int_equal(file_copy(&c, from, to, 34 * MIB + 512, &err), 0);
	assert_same(from, to, 34 * MIB + 512);
	file_copier_free(&c);
	close(from);
	close(to);
}

static void says_what_went_wrong(void **state)
{
	struct svmdk_error err;
	struct file_copier c;
	int from = open("from", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), to;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	put(from, 0, MIB);
	assert_int_equal(file_copier_init(&c, NULL, NULL, &err), 0);
	assert_int_equal(file_copy(&c, from, full, MIB, &err), -1);
	assert_int_equal(err.code, ENOSPC);
	close(full);

	/* The size comes last: what is not complete never has it. */
	to = open("to", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	raise(SIGTERM);
	assert_int_equal(file_copy(&c, from, to, MIB, &err), -1);
	assert_int_equal(err.code, EINTR);
	assert_true(lseek(to, 0, SEEK_END) < MIB);
	close(to);
	close(from);
	file_copier_free(&c);
}

int main(void)
{
	/* The last one leaves a signal behind that nothing takes back. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_data_and_holes),
		cmocka_unit_test(copies_what_has_no_holes),
		cmocka_unit_test(says_what_went_wrong),
	};

	interrupt_catch();
	return cmocka_run_group_tests(tests, enter, leave);
}
