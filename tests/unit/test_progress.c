// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The line that says how far something is: what a terminal gets to see, and when. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "progress.h"

#define GIB (UINT64_C(1) << 30)

/* The C library's is not asked: what stands in for a terminal here is a file. */
static bool terminal;

int isatty(int fd)
{
	return fd == STDERR_FILENO && terminal;
}

static int file, before;

/* stderr goes to a file. */
static int divert(void **state)
{
	(void)state;
	terminal = true;
	file = fileno(tmpfile());
	before = dup(STDERR_FILENO);
	if (file < 0 || before < 0 || dup2(file, STDERR_FILENO) != STDERR_FILENO)
		return -1;
	return setenv("TERM", "xterm", 1);
}

static int put_back(void **state)
{
	(void)state;
	close(file);
	return dup2(before, STDERR_FILENO) == STDERR_FILENO ? close(before) : -1;
}

/* All that was drawn since the last time. */
static const char *shown(void)
{
	static char text[1024];
	ssize_t length;

	fflush(stderr);
	length = pread(file, text, sizeof(text) - 1, 0);
	assert_true(length >= 0 && ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0);
	text[length] = '\0';
	return text;
}

/* So many seconds are over, or are yet to come; a test that has to wait does not matter. */
static void pass(struct progress *p, int seconds)
{
	p->begun.tv_sec -= seconds;
	p->shown.tv_sec -= seconds;
}

static void draws_on_a_terminal(void **state)
{
	struct progress p;

	(void)state;
	/* What is over at once is not worth a line. */
	progress_begin(&p, "Hashing", 8 * GIB);
	pass(&p, -1000);
	progress_show(&p, GIB);
	assert_string_equal(shown(), "");
	progress_end(&p);
	assert_string_equal(shown(), "");

	progress_begin(&p, "Hashing", 8 * GIB);
	pass(&p, 1 << 16);
	progress_show(&p, 4 * GIB);
	assert_has(shown(), "\rHashing:  50 %  4G of 8G  64K/s  1092:");
	/* Not again before somebody could have read it. */
	p.shown.tv_sec += 1000;
	progress_show(&p, 5 * GIB);
	assert_string_equal(shown(), "");
	p.shown.tv_sec -= 2000;
	progress_show(&p, 8 * GIB);
	assert_has(shown(), "\rHashing: 100 %  8G of 8G  128K/s  0:00 left\033[K");
	progress_end(&p);
	assert_string_equal(shown(), "\r\033[K");
}

static void work_for_long(struct progress *p, uint64_t total)
{
	progress_begin(p, "Writing", total);
	pass(p, 10);
	progress_show(p, total / 2);
	progress_end(p);
}

/* Where a line cannot be drawn anew, or is no use, there is none. */
static void draws_nowhere_else(void **state)
{
	static const char *const terms[] = { "dumb", "", NULL };
	struct progress p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
		assert_int_equal(terms[i] ? setenv("TERM", terms[i], 1) : unsetenv("TERM"), 0);
		work_for_long(&p, GIB);
		assert_string_equal(shown(), "");
	}
	assert_int_equal(setenv("TERM", "xterm", 1), 0);
	work_for_long(&p, 0);
	assert_string_equal(shown(), "");
	terminal = false;
	work_for_long(&p, GIB);
	assert_string_equal(shown(), "");
	terminal = true;
	work_for_long(&p, GIB);
	assert_has(shown(), "Writing:  50 %");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(draws_on_a_terminal, divert, put_back),
		cmocka_unit_test_setup_teardown(draws_nowhere_else, divert, put_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
