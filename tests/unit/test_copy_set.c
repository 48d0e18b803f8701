// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Which extents' files a copy lacks, by size and modification time. */
#include "unit.h"

#include <errno.h>
#include <time.h>

#include "copy_set.h"
#include "scratch.h"

#define HEAD                                                               \
	"# Disk DescriptorFile\nversion=1\nCID=a4c1\nparentCID=ffffffff\n" \
	"createType=\"twoGbMaxExtentFlat\"\n"

/**
 * struct bench - a container, its copy, and what is between
 * @scratch: the folder with it; the copy is in "to"
 * @c: the container
 * @s: the staging
 * @copier: copies
 * @set: the files
 */
struct bench {
	struct scratch scratch;
	struct container c;
	struct staging s;
	struct file_copier copier;
	struct copy_set set;
};

static void begin(struct bench *b)
{
	struct svmdk_error err;

	if (container_open(&b->c, "c.vmdk", NULL, 0, &err) ||
	    staging_open(&b->s, "to", "c.vmdk", &err) ||
	    file_copier_init(&b->copier, NULL, NULL, &err) ||
	    copy_set_init(&b->set, &b->c, &b->s, &b->copier, &err))
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
}

static void end(struct bench *b)
{
	copy_set_free(&b->set);
	file_copier_free(&b->copier);
	staging_close(&b->s);
	container_close(&b->c);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	scratch_enter(&b->scratch);
	mkdir("to", 0755);
	mkdir("below", 0755);
	scratch_file("c.vmdk",
		     HEAD "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"below//b\" 8\nRW 8 FLAT \"./below/b\" 0\n"
			  "RW 8 ZERO\nNOACCESS 8 FLAT \"not there\" 0\n",
		     0);
	scratch_file("a", "a", 4096);
	scratch_file("below/b", "b", 8192);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	scratch_leave(&b->scratch);
	free(b);
	return 0;
}

static size_t nr_todo(struct bench *b)
{
	struct copy_count todo;
	struct svmdk_error err;

	if (copy_set_survey(&b->set, &todo, &err))
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	return todo.files;
}

static void copy_ok(struct bench *b, bool keep)
{
	struct svmdk_error err;

	if (copy_set_copy(&b->set, keep, &err))
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
}

static void lists_each_file_once(void **state)
{
	struct bench *b = *state;
	struct copy_count todo;
	struct svmdk_error err;

	begin(b);
	assert_int_equal(b->set.nr, 2);
	assert_string_equal(b->set.files[0].name, "a");
	assert_string_equal(b->set.files[1].name, "below/b");
	assert_int_equal(copy_set_survey(&b->set, &todo, &err), 0);
	assert_int_equal(todo.files, 2);
	assert_int_equal(todo.bytes, 4096 + 8192);
	end(b);
}

static void copies_what_differs(void **state)
{
	const struct timespec old[2] = { { 1, 2 }, { 3, 4 } };
	struct bench *b = *state;
	struct svmdk_error err;
	struct stat st;

	assert_int_equal(utimensat(AT_FDCWD, "a", old, 0), 0);
	begin(b);
	assert_int_equal(nr_todo(b), 2);
	copy_ok(b, true);
	assert_int_equal(nr_todo(b), 0);
	assert_int_equal(copy_set_copied(&b->set).files, 2);
	assert_int_equal(copy_set_found(&b->set, 0)->st_mtim.tv_sec, 3);
	assert_int_equal(copy_set_found(&b->set, 2)->st_size, 8192);
	assert_null(copy_set_found(&b->set, 3));
	assert_null(copy_set_found(&b->set, 4));
	assert_int_equal(copy_set_purge(&b->set, &err), 0);
	assert_int_equal(staging_commit(&b->s, &err), 0);
	end(b);

	begin(b);
	assert_int_equal(nr_todo(b), 0);
	/* A nanosecond is a difference, and so is a byte. */
	assert_int_equal(utimensat(AT_FDCWD, "a", (struct timespec[]){ { 1, 2 }, { 3, 5 } }, 0), 0);
	assert_int_equal(nr_todo(b), 1);
	copy_ok(b, false);
	assert_int_equal(b->set.nr_pending, 1);
	assert_int_equal(nr_todo(b), 0);
	assert_int_equal(stat("below/b", &st), 0);
	assert_int_equal(truncate("below/b", 8193), 0);
	assert_int_equal(utimensat(AT_FDCWD, "below/b",
				   (struct timespec[]){ st.st_atim, st.st_mtim }, 0),
			 0);
	assert_int_equal(nr_todo(b), 1);
	/* Again, before it was kept: the last one counts. */
	assert_int_equal(utimensat(AT_FDCWD, "a", (struct timespec[]){ { 1, 2 }, { 3, 6 } }, 0), 0);
	assert_int_equal(nr_todo(b), 2);
	copy_ok(b, false);
	assert_int_equal(b->set.nr_pending, 2);
	assert_int_equal(copy_set_keep(&b->set, &err), 0);
	assert_int_equal(b->set.nr_pending, 0);
	assert_int_equal(staging_stat_kept(&b->s, "a", &st), 0);
	assert_int_equal(st.st_mtim.tv_nsec, 6);
	assert_int_equal(copy_set_copied(&b->set).files, 2);
	end(b);
}

/* An earlier call was interrupted; then somebody else brought the copy up to date. */
static void does_not_go_back_to_what_was_kept(void **state)
{
	const struct timespec before[2] = { { 1, 0 }, { 2, 0 } }, after[2] = { { 1, 0 }, { 3, 0 } };
	struct bench *b = *state;
	struct svmdk_error err;
	struct stat st;

	assert_int_equal(utimensat(AT_FDCWD, "a", before, 0), 0);
	begin(b);
	assert_int_equal(nr_todo(b), 2);
	copy_ok(b, true);
	end(b);

	assert_int_equal(utimensat(AT_FDCWD, "a", after, 0), 0);
	scratch_file("to/a", "a", 4096);
	assert_int_equal(utimensat(AT_FDCWD, "to/a", after, 0), 0);
	begin(b);
	assert_int_equal(nr_todo(b), 0);
	assert_int_equal(copy_set_purge(&b->set, &err), 0);
	assert_int_equal(staging_stat_kept(&b->s, "a", &st), -1);
	assert_int_equal(staging_stat_kept(&b->s, "below/b", &st), 0);
	end(b);
}

static void refuses_what_is_elsewhere(void **state)
{
	static const char *const names[] = { "../e", "/e", "below/../a", "./../e" };
	struct bench *b = *state;
	struct svmdk_error err;
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), HEAD "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"%s\" 0\n",
			 names[i]);
		unlink("c.vmdk");
		scratch_file("c.vmdk", text, 0);
		assert_int_equal(container_open(&b->c, "c.vmdk", NULL, 0, &err), 0);
		assert_int_equal(copy_set_init(&b->set, &b->c, NULL, NULL, &err), -1);
		assert_int_equal(err.code, EXDEV);
		assert_int_equal(err.line, 7);
		container_close(&b->c);
	}
}

/* Until a write would leave another time; and not for ever. */
static void waits_for_the_clock(void **state)
{
	struct timespec now, begun;
	struct bench *b = *state;
	struct svmdk_error err;
	struct stat st;

	begin(b);
	nr_todo(b);
	scratch_file("a", "b", 4096);
	assert_int_equal(stat("a", &st), 0);
	copy_ok(b, false);
	copy_set_wait(&b->set);
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	assert_true(now.tv_sec > st.st_mtim.tv_sec ||
		    (now.tv_sec == st.st_mtim.tv_sec && now.tv_nsec > st.st_mtim.tv_nsec));
	begun = now;
	assert_int_equal(copy_set_keep(&b->set, &err), 0);
	now.tv_sec += 1000;
	assert_int_equal(utimensat(AT_FDCWD, "a", (struct timespec[]){ now, now }, 0), 0);
	assert_int_equal(nr_todo(b), 1);
	copy_ok(b, false);
	copy_set_wait(&b->set);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_true(now.tv_sec - begun.tv_sec < 60);
	end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lists_each_file_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copies_what_differs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(does_not_go_back_to_what_was_kept, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(refuses_what_is_elsewhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(waits_for_the_clock, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
