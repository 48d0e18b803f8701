// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* New files of a copy gather aside, and go to their places together. */
#include "unit.h"

#include <errno.h>
#include <sys/file.h>

#include "scratch.h"
#include "staging.h"

#define ASIDE "to/.c.vmdk.svmdk-copy"

static int set_up(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	scratch_enter(s);
	mkdir("to", 0755);
	scratch_file("to/c.vmdk", "old", 0);
	scratch_file("to/a", "old", 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	scratch_leave(*state);
	free(*state);
	return 0;
}

static void open_ok(struct staging *s)
{
	struct svmdk_error err;

	if (staging_open(s, "to", "c.vmdk", &err))
		fail_msg("%s: %s", err.file, err.text);
}

static void keep(struct staging *s, size_t number, const char *name, const char *text)
{
	const struct stat like = {
		.st_mode = S_IFREG | 0640,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_mtim = { 1234567890, 123456789 },
	};
	struct svmdk_error err;
	int fd = staging_new(s, number, &err);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	if (staging_keep(s, number, name, &like, &err))
		fail_msg("%s: %s", err.file, err.text);
}

static void commit_ok(struct staging *s)
{
	struct svmdk_error err;

	if (staging_commit(s, &err))
		fail_msg("%s: %s", err.file, err.text);
}

static void assert_content(const char *name, const char *text)
{
	size_t length;
	char *content = scratch_read(name, &length);

	assert_string_equal(content, text);
	free(content);
}

static void goes_to_its_place_at_once(void **state)
{
	struct staging s;
	struct stat st;

	(void)state;
	open_ok(&s);
	keep(&s, 0, "a", "new");
	keep(&s, 1, "b", "new");
	keep(&s, 2, "below/it/d", "new");
	keep(&s, 3, "c.vmdk", "new");
	assert_content("to/a", "old");
	assert_content("to/c.vmdk", "old");
	assert_int_equal(access("to/b", F_OK), -1);
	assert_int_equal(access("to/below", F_OK), -1);
	assert_int_equal(staging_stat_kept(&s, "below/it/d", &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1234567890);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(staging_stat_copy(&s, "a", &st), 0);
	assert_int_equal(st.st_size, 3);
	commit_ok(&s);
	staging_close(&s);
	assert_content("to/a", "new");
	assert_content("to/b", "new");
	assert_content("to/below/it/d", "new");
	assert_content("to/c.vmdk", "new");
	assert_int_equal(access(ASIDE, F_OK), -1);
}

static void what_is_kept_stays_for_the_next_call(void **state)
{
	struct svmdk_error err;
	struct staging s;
	struct stat st;

	(void)state;
	open_ok(&s);
	keep(&s, 0, "a", "new");
	assert_true(staging_new(&s, 1, &err) >= 0); /* and never kept */
	staging_close(&s);
	assert_content("to/a", "old");
	open_ok(&s);
	assert_int_equal(staging_stat_kept(&s, "a", &st), 0);
	assert_int_equal(access(ASIDE "/part-1", F_OK), -1);
	keep(&s, 0, "c.vmdk", "new");
	commit_ok(&s);
	staging_close(&s);
	assert_content("to/a", "new");
	assert_content("to/c.vmdk", "new");
}

static bool is_a(const char *name, const struct stat *st, void *arg)
{
	assert_true(S_ISREG(st->st_mode));
	(void)arg;
	return strcmp(name, "a") == 0;
}

static void purges_what_nobody_needs(void **state)
{
	struct svmdk_error err;
	struct staging s;
	struct stat st;

	(void)state;
	open_ok(&s);
	keep(&s, 0, "a", "new");
	keep(&s, 1, "below/b", "new");
	staging_close(&s);
	open_ok(&s);
	assert_false(s.any);
	assert_int_equal(staging_purge(&s, is_a, NULL, &err), 0);
	assert_true(s.any);
	assert_int_equal(staging_stat_kept(&s, "a", &st), 0);
	assert_int_equal(staging_stat_kept(&s, "below/b", &st), -1);
	assert_int_equal(access(ASIDE "/files/below", F_OK), -1);
	staging_close(&s);
}

/* As if it had been interrupted when the mark was there, and a had gone already. */
static void finishes_what_was_begun(void **state)
{
	struct staging s;

	(void)state;
	open_ok(&s);
	keep(&s, 0, "a", "new");
	keep(&s, 1, "b", "new");
	keep(&s, 2, "c.vmdk", "new");
	staging_close(&s);
	scratch_file(ASIDE "/complete", "", 0);
	assert_int_equal(rename(ASIDE "/files/a", "to/a"), 0);
	open_ok(&s);
	staging_close(&s);
	assert_content("to/a", "new");
	assert_content("to/b", "new");
	assert_content("to/c.vmdk", "new");
	assert_int_equal(access(ASIDE, F_OK), -1);
}

/* btrfs after a power cut: the new name of what was moved is there, and the old one. */
static void takes_what_is_in_both_places(void **state)
{
	struct staging s;

	(void)state;
	mkdir(ASIDE, 0700);
	mkdir(ASIDE "/files", 0700);
	mkdir(ASIDE "/files/below", 0700);
	mkdir("to/below", 0755);
	scratch_file(ASIDE "/complete", "", 0);
	scratch_file("to/below/b", "new", 0);
	assert_int_equal(link("to/a", ASIDE "/files/a"), 0);
	assert_int_equal(link("to/below/b", ASIDE "/files/below/b"), 0);
	assert_int_equal(link("to/c.vmdk", ASIDE "/files/c.vmdk"), 0);
	open_ok(&s);
	staging_close(&s);
	assert_content("to/a", "old");
	assert_content("to/below/b", "new");
	assert_content("to/c.vmdk", "old");
	assert_int_equal(access(ASIDE, F_OK), -1);
}

static void never_leaves_the_folder(void **state)
{
	struct svmdk_error err;
	struct staging s;
	struct stat st, like = { .st_mode = 0600 };
	size_t i;
	static const char *const names[] = { "../e", "x/../../e", "../to/e" };

	(void)state;
	scratch_file("e", "not ours", 0);
	open_ok(&s);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		close(staging_new(&s, i, &err));
		assert_int_equal(staging_keep(&s, i, names[i], &like, &err), -1);
		assert_int_equal(staging_stat_copy(&s, names[i], &st), -1);
	}
	staging_close(&s);
	assert_content("e", "not ours");
}

/* Nothing goes to its place when one of them cannot. */
static void refuses_a_place_that_is_taken(void **state)
{
	struct svmdk_error err;
	struct staging s;

	(void)state;
	mkdir("elsewhere", 0755);
	assert_int_equal(symlink("../elsewhere", "to/link"), 0);
	open_ok(&s);
	keep(&s, 0, "a", "new");
	keep(&s, 1, "link/b", "new");
	keep(&s, 2, "c.vmdk", "new");
	assert_int_equal(staging_commit(&s, &err), -1);
	assert_has(err.file, "link");
	staging_close(&s);
	assert_content("to/a", "old");
	assert_content("to/c.vmdk", "old");
	assert_int_equal(access("elsewhere/b", F_OK), -1);

	assert_int_equal(unlink("to/link"), 0);
	mkdir("to/a2", 0755);
	open_ok(&s);
	keep(&s, 0, "a2", "new");
	assert_int_equal(staging_commit(&s, &err), -1);
	assert_has(err.file, "to/a2");
	staging_close(&s);
	assert_content("to/c.vmdk", "old");
}

static void one_at_a_time(void **state)
{
	struct svmdk_error err;
	struct staging s, other;
	int fd;

	(void)state;
	open_ok(&s);
	assert_int_equal(staging_open(&other, "to", "c.vmdk", &err), -1);
	assert_int_equal(err.code, EWOULDBLOCK);
	assert_has(err.text, "copying to it");
	staging_close(&s);

	fd = open("to/c.vmdk", O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(staging_open(&s, "to", "c.vmdk", &err), -1);
	assert_int_equal(err.code, EWOULDBLOCK);
	assert_has(err.text, "attached");
	close(fd);
	assert_int_equal(access(ASIDE, F_OK), -1);
}

static void trusts_no_folder_that_others_write_to(void **state)
{
	struct svmdk_error err;
	struct staging s;

	(void)state;
	mkdir(ASIDE, 0700);
	chmod(ASIDE, 0777);
	assert_int_equal(staging_open(&s, "to", "c.vmdk", &err), -1);
	assert_int_equal(err.code, EPERM);
	rmdir(ASIDE);
	mkdir("elsewhere", 0700);
	assert_int_equal(symlink("../elsewhere", ASIDE), 0);
	assert_int_equal(staging_open(&s, "to", "c.vmdk", &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(goes_to_its_place_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_kept_stays_for_the_next_call, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(purges_what_nobody_needs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(finishes_what_was_begun, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_what_is_in_both_places, set_up, tear_down),
		cmocka_unit_test_setup_teardown(never_leaves_the_folder, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_a_place_that_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(trusts_no_folder_that_others_write_to, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
