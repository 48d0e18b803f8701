// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Zeroes go where they are meant to and to no other byte. */
#include "unit.h"

#include <errno.h>
#include <signal.h>

#include "interrupt.h"
#include "scratch.h"
#include "zero.h"

#define LENGTH (3 << 20)

static void zeroes_the_range_alone(void **state)
{
	static const struct {
		uint64_t begin, length;
	} cases[] = {
		{ 0, LENGTH },	{ 512, 512 },	       { 4096, 1 << 20 }, { 1536, (2 << 20) + 512 },
		{ 3584, 1024 }, { LENGTH - 512, 512 }, { 1 << 20, 0 },
	};
	char *bytes = malloc(LENGTH), *want = malloc(LENGTH);
	struct progress progress;
	struct svmdk_error err;
	struct scratch scratch;
	struct zeroer z;
	uint64_t done = 0;
	size_t i;
	int fd;

	(void)state;
	scratch_enter(&scratch);
	fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	progress_begin(&progress, "Testing", LENGTH);
	assert_int_equal(zero_begin(&z, &progress, &err), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(want, 'x', LENGTH);
		assert_int_equal(pwrite(fd, want, LENGTH, 0), LENGTH);
		if (zero_range(&z, fd, cases[i].begin, cases[i].length, &err))
			fail_msg("%s", err.text);
		memset(want + cases[i].begin, 0, cases[i].length);
		assert_int_equal(pread(fd, bytes, LENGTH, 0), LENGTH);
		assert_memory_equal(bytes, want, LENGTH);
		assert_int_equal(fcntl(fd, F_GETFL) & O_DIRECT, 0);
		done += cases[i].length;
		assert_int_equal(z.done, done);
	}
	assert_int_equal(lseek(fd, 0, SEEK_END), LENGTH);
	close(fd);

	fd = open("f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(zero_range(&z, fd, 0, 512, &err), -1);
	assert_int_equal(err.code, EBADF);
	close(fd);
	zero_end(&z);
	scratch_leave(&scratch);
	free(bytes);
	free(want);
}

/* The last test: nothing takes the note back. */
static void stops_at_a_signal(void **state)
{
	struct progress progress;
	struct svmdk_error err;
	struct scratch scratch;
	struct zeroer z;
	int fd;

	(void)state;
	scratch_enter(&scratch);
	fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	progress_begin(&progress, "Testing", LENGTH);
	assert_int_equal(zero_begin(&z, &progress, &err), 0);
	signal(SIGTERM, SIG_DFL);
	interrupt_catch();
	assert_false(interrupt_seen());
	raise(SIGTERM);
	assert_true(interrupt_seen());
	assert_int_equal(zero_range(&z, fd, 0, LENGTH, &err), -1);
	assert_int_equal(err.code, EINTR);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	zero_end(&z);
	close(fd);
	scratch_leave(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroes_the_range_alone),
		cmocka_unit_test(stops_at_a_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
