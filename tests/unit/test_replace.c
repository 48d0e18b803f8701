// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* A file is replaced by one that is whole, and that nobody else takes for left over. */
#include "scratch.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "replace.h"

static int renames;

/* What another svmdk does with the temporary file's name at the worst moment. */
static void look_at_temp(const char *temp)
{
	int fd = open(temp, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	renames++;
	errno = 0;
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	close(fd);
}

/* In place of the C library's. */
int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	look_at_temp(from);
	return syscall(SYS_renameat, from_fd, from, to_fd, to);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
	look_at_temp(from);
	return syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

static int set_up(void **state)
{
	static struct scratch scratch;

	scratch_enter(&scratch);
	renames = 0;
	*state = &scratch;
	return 0;
}

static int tear_down(void **state)
{
	scratch_leave(*state);
	return 0;
}

/* It has the text, one file was renamed, and nobody has a lock any more. */
static void assert_replaced(const char *name, const char *want)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	size_t length;
	char *text = scratch_read(name, &length);

	assert_string_equal(text, want);
	free(text);
	assert_int_equal(renames, 1);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

/* And nothing is left beside it. */
static void assert_done(const char *name, const char *want)
{
	assert_replaced(name, want);
	assert_int_equal(access(".svmdk-file.tmp", F_OK), -1);
}

static int print(FILE *to, void *arg)
{
	return fputs(arg, to) < 0 ? -1 : 0;
}

static void replace_old_by_new(void)
{
	struct svmdk_error err;
	struct stat st;

	scratch_file("file", "old", 0);
	assert_int_equal(stat("file", &st), 0);
	assert_int_equal(replace_whole(AT_FDCWD, "file", &st, print, "new", &err), 0);
}

static void locks_a_new_file_until_it_has_its_name(void **state)
{
	struct svmdk_error err;

	(void)state;
	assert_int_equal(replace_create(AT_FDCWD, "file", 0644, "new", 3, &err), 0);
	assert_done("file", "new");
}

static void locks_what_is_printed_until_it_has_its_name(void **state)
{
	(void)state;
	replace_old_by_new();
	assert_done("file", "new");
}

static void keeps_the_lock_where_it_is_wanted(void **state)
{
	struct svmdk_error err;
	int fd;

	(void)state;
	scratch_file("file", "old", 0);
	assert_int_equal(replace_file_locked(AT_FDCWD, "file", "new", 3, &fd, &err), 0);
	look_at_temp("file");
	renames--;
	close(fd);
	assert_done("file", "new");
}

static int fail_to_print(FILE *to, void *arg)
{
	(void)to;
	(void)arg;
	errno = EIO;
	return -1;
}

static void leaves_the_old_file_where_the_new_one_fails(void **state)
{
	struct svmdk_error err;
	struct stat st;
	size_t length;
	char *text;

	(void)state;
	scratch_file("file", "old", 0);
	assert_int_equal(stat("file", &st), 0);
	assert_int_equal(replace_whole(AT_FDCWD, "file", &st, fail_to_print, NULL, &err), -1);
	assert_int_equal(err.code, EIO);
	text = scratch_read("file", &length);
	assert_string_equal(text, "old");
	free(text);
	assert_int_equal(access(".svmdk-file.tmp", F_OK), -1);
	assert_int_equal(renames, 0);
}

/* Who has it locked is at work on it. */
static void leaves_alone_what_somebody_has_locked(void **state)
{
	int fd = open(".svmdk-file.tmp", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	replace_old_by_new();
	assert_replaced("file", "new");
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	close(fd);
}

/* Whoever owns the folder can put one there, and see that it was opened. */
static void leaves_alone_what_is_no_file(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(mkfifo(".svmdk-file.tmp", 0600), 0);
	replace_old_by_new();
	assert_replaced("file", "new");
	assert_int_equal(stat(".svmdk-file.tmp", &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(locks_a_new_file_until_it_has_its_name, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(locks_what_is_printed_until_it_has_its_name, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(keeps_the_lock_where_it_is_wanted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(leaves_alone_what_somebody_has_locked, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(leaves_alone_what_is_no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leaves_the_old_file_where_the_new_one_fails, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
