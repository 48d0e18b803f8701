// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* What tells that a disk has grown since the descriptor that is to be put back. */
#include "unit.h"

#include <errno.h>

#include "later_extents.h"
#include "manifest_file.h"
#include "scratch.h"

#define HEAD "# Disk DescriptorFile\nversion=1\nCID=a4c1\ncreateType=\"twoGbMaxExtentFlat\"\n"
#define LATER HEAD "RW 8 FLAT \"c-2-f001.vmdk\" 0\n"
#define TWO HEAD "RW 8 FLAT \"c-f001.vmdk\" 0\nRW 8 FLAT \"c-f002.vmdk\" 0\n"

static const unsigned char hash[HASH_SIZE];

/**
 * struct folders - the disk's, in which the test is, and the copy's
 * @self: name of the descriptor
 * @scratch: the first
 * @to: the same
 * @from: the second, "copy" in it
 * @m: the manifest
 */
struct folders {
	const char *self;
	struct scratch scratch;
	struct open_policy to;
	struct open_policy from;
	struct manifest m;
};

static int enter(void **state)
{
	struct folders *f = calloc(1, sizeof(*f));
	const struct stat none = { 0 };
	struct svmdk_error err;
	char path[PATH_MAX + 8];

	scratch_enter(&f->scratch);
	assert_int_equal(mkdir("copy", 0755), 0);
	assert_int_equal(mkdir("sub", 0755), 0);
	snprintf(path, sizeof(path), "%s/copy", f->scratch.path);
	assert_int_equal(open_policy_init(&f->to, f->scratch.path, &none, &err), 0);
	assert_int_equal(open_policy_init(&f->from, path, &none, &err), 0);
	scratch_file("c-f001.vmdk", "", 4096);
	scratch_file("c-f002.vmdk", "", 4096);
	f->self = "c.vmdk";
	*state = f;
	return 0;
}

static int leave(void **state)
{
	struct folders *f = *state;

	manifest_free(&f->m);
	open_policy_free(&f->to);
	open_policy_free(&f->from);
	scratch_leave(&f->scratch);
	free(f);
	return 0;
}

static int ask(const struct folders *f, const char *text, struct svmdk_error *err)
{
	struct descriptor d;
	const struct older o = { f->self, &d, &f->m, &f->to, &f->from };
	int ret;

	if (descriptor_parse(&d, text, strlen(text), err))
		fail_msg("%u: %s", err->line, err->text);
	ret = later_extents_refuse(&o, err);
	descriptor_free(&d);
	return ret;
}

static void accept(const struct folders *f, const char *text)
{
	struct svmdk_error err;

	if (ask(f, text, &err))
		fail_msg("%s", err.text);
}

static void refuse(const struct folders *f, const char *text, const char *why)
{
	struct svmdk_error err;

	assert_int_equal(ask(f, text, &err), -1);
	assert_int_equal(err.code, ESTALE);
	assert_has(err.text, why);
	assert_has(err.text, f->from.dir.path);
}

static void other_files_say_nothing(void **state)
{
	struct folders *f = *state;

	scratch_file("c.vmdk", "", 0);
	scratch_file("c-flat.vmdk", "", 0);
	scratch_file("c-f03.vmdk", "", 0);
	scratch_file("c-f003.vmdk.bak", "", 0);
	scratch_file("c-2-f003.vmdk", "", 0);
	scratch_file("d-f003.vmdk", "", 0);
	scratch_file("cc-f003.vmdk", "", 0);
	scratch_file("sub/c-f003.vmdk", "", 0);
	scratch_file("copy/c-f003.vmdk", "", 0);
	assert_int_equal(mkdir("c-f003.vmdk", 0755), 0);
	assert_int_equal(symlink("c-f001.vmdk", "c-f004.vmdk"), 0);
	accept(f, TWO);
	/* One before the last is an older shape's. */
	accept(f, HEAD "RW 8 FLAT \"c-f002.vmdk\" 0\n");
}

static void the_first_extent_that_came_is_named(void **state)
{
	struct folders *f = *state;

	scratch_file("c-f1000.vmdk", "", 0);
	refuse(f, TWO, "put back: c-f1000.vmdk is there");
	scratch_file("c-f009.vmdk", "", 4096);
	refuse(f, TWO, "put back: c-f009.vmdk is there");
	scratch_file("c-f004.vmdk", "", 4096);
	refuse(f, TWO, "put back: c-f004.vmdk is there");
	/* Nor are the ones that it has in its way, in whatever order. */
	refuse(f, HEAD "RW 8 FLAT \"c-f004.vmdk\" 0\nRW 8 FLAT \"c-f001.vmdk\" 0\n",
	       "put back: c-f002.vmdk is there");
}

static void what_the_manifest_has_is_no_news(void **state)
{
	struct folders *f = *state;

	scratch_file("c-f003.vmdk", "", 4096);
	assert_int_equal(manifest_add(&f->m, "c-f003.vmdk", hash), 0);
	accept(f, TWO);
	scratch_file("c-f004.vmdk", "", 4096);
	refuse(f, TWO, "put back: c-f004.vmdk is there");
}

static void they_are_where_the_last_one_is(void **state)
{
	struct folders *f = *state;
	const char *text = HEAD "RW 8 FLAT \"c-f001.vmdk\" 0\nRW 8 FLAT \"sub/x-f001.vmdk\" 0\n";

	scratch_file("c-f003.vmdk", "", 0);
	scratch_file("x-f002.vmdk", "", 0);
	unlink("c-f002.vmdk");
	accept(f, text);
	scratch_file("sub/x-f002.vmdk", "", 0);
	refuse(f, text, "put back: sub/x-f002.vmdk is there");
	/* The folder may be lost as well. */
	accept(f, HEAD "RW 8 FLAT \"lost/x-f001.vmdk\" 0\n");
}

static void without_a_number_the_descriptor_names_them(void **state)
{
	struct folders *f = *state;

	scratch_file("c-flat.vmdk", "", 4096);
	scratch_file("c-f001.vmdk", "", 4096);
	refuse(f, HEAD "RW 8 FLAT \"c-flat.vmdk\" 0\n", "c-f002.vmdk is there");
	refuse(f, HEAD "RW 8 ZERO\n", "c-f002.vmdk is there");
	accept(f, HEAD "RW 8 ZERO\nRW 8 ZERO\n");
}

static void a_last_extent_that_became_longer_tells(void **state)
{
	struct folders *f = *state;

	scratch_file("c-f002.vmdk", "", 4608);
	refuse(f, TWO, "c-f002.vmdk is longer");
	scratch_file("copy/c-f002.vmdk", "", 4096);
	refuse(f, TWO, "c-f002.vmdk is longer");
	scratch_file("copy/c-f002.vmdk", "", 4608);
	accept(f, TWO);
	/* An earlier extent may be in the same file, behind it. */
	unlink("copy/c-f002.vmdk");
	accept(f, HEAD "RW 1 FLAT \"c-f002.vmdk\" 8\nRW 8 FLAT \"c-f002.vmdk\" 0\n");
	/* A growth makes none but the last one longer. */
	scratch_file("c-f001.vmdk", "", 8192);
	scratch_file("c-f002.vmdk", "", 100);
	accept(f, TWO);
}

static void what_a_resplit_makes_tells(void **state)
{
	struct folders *f = *state;

	scratch_file("c-2-f001.vmdk", "", 4096);
	scratch_file("c-3-flat.vmdk", "", 8192);
	scratch_file("c-1-f001.vmdk", "", 4096);
	scratch_file("c-02-f001.vmdk", "", 4096);
	scratch_file("c-2x-f001.vmdk", "", 4096);
	refuse(f, TWO, "put back: c-2-f001.vmdk is there");
	/* Another container's, unless it is what is left of this one. */
	scratch_file("c-2.vmdk", HEAD "RW 8 FLAT \"c-2-f001.vmdk\" 0\n", 0);
	refuse(f, TWO, "put back: c-3-flat.vmdk is there");
	unlink("c-3-flat.vmdk");
	accept(f, TWO);
	/* A copy that somebody kept of the later descriptor is none. */
	assert_int_equal(rename("c-2.vmdk", "c.vmdk.bak"), 0);
	refuse(f, TWO, "put back: c-2-f001.vmdk is there");
	assert_int_equal(rename("c.vmdk.bak", "c.vmdk"), 0);
	refuse(f, TWO, "put back: c-2-f001.vmdk is there");
	assert_int_equal(manifest_add(&f->m, "c-2-f001.vmdk", hash), 0);
	accept(f, TWO);
	/* The first names are taken again when nobody has them. */
	refuse(f, HEAD "RW 8 FLAT \"c-3-f001.vmdk\" 0\n", "put back: c-f001.vmdk is there");
	/* A part of the disk is not all of it. */
	scratch_file("c-flat.vmdk", "", 8191);
	accept(f, TWO);
	scratch_file("c-flat.vmdk", "", 8192);
	refuse(f, TWO, "put back: c-flat.vmdk is there");
}

/* The only one of after the resplit, maybe; its name lets the user tell. */
static void a_copy_of_the_later_descriptor_has_any_name(void **state)
{
	static const char *const names[] = {
		"backup-of-c.vmdk", "a", "c", "c.VMDK", "c-2.vmdk.bak", "c-2-f001.vmdk.bak", "c-",
	};
	char why[64];
	size_t i;

	scratch_file("c-2-f001.vmdk", "", 4096);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		scratch_file(names[i], LATER, 0);
		snprintf(why, sizeof(why), "c-2-f001.vmdk is there and named by %s, so", names[i]);
		refuse(*state, TWO, why);
		assert_int_equal(unlink(names[i]), 0);
	}
}

static void another_container_is_known_by_its_extents_names(void **state)
{
	struct folders *f = *state;

	scratch_file("c-2-f001.vmdk", "", 4096);
	scratch_file("c-2.vmdk", LATER, 0);
	f->self = "c";
	accept(f, TWO);
	/* So it is when there are copies of its descriptor. */
	scratch_file("a", LATER, 0);
	scratch_file("c-2.vmdk.bak", LATER, 0);
	scratch_file("z", LATER, 0);
	accept(f, TWO);
}

/* It may be c.vmdk's, or c.vmdk a copy: this one's would be named so, too. */
static void of_a_shorter_name_it_may_be_a_copy(void **state)
{
	struct folders *f = *state;

	scratch_file("c-2-f001.vmdk", "", 4096);
	scratch_file("c-2-2-f001.vmdk", "", 4096);
	scratch_file("c.vmdk", LATER, 0);
	f->self = "c-2.vmdk";
	refuse(f, HEAD "RW 8 FLAT \"c-2-2-f001.vmdk\" 0\n",
	       "c-2-f001.vmdk is there and named by c.vmdk, so");
}

static void another_container_may_be_where_its_extents_are(void **state)
{
	const char *text = HEAD "RW 8 FLAT \"sub/c-f001.vmdk\" 0\n";

	scratch_file("sub/c-2-f001.vmdk", "", 4096);
	scratch_file("sub/c-2.vmdk", HEAD "RW 8 FLAT \"c-2-f001.vmdk\" 0\n", 0);
	accept(*state, text);
	assert_int_equal(rename("sub/c-2.vmdk", "sub/c-old.vmdk"), 0);
	refuse(*state, text, "sub/c-2-f001.vmdk is there and named by c-old.vmdk");
}

static void it_makes_them_where_the_first_one_is(void **state)
{
	struct folders *f = *state;
	const char *text = HEAD "RW 8 FLAT \"sub/c-f001.vmdk\" 0\nRW 8 FLAT \"c-f002.vmdk\" 0\n";

	scratch_file("c-2-f001.vmdk", "", 4096);
	accept(f, text);
	scratch_file("sub/c-2-f001.vmdk", "", 4096);
	refuse(f, text, "put back: sub/c-2-f001.vmdk is there");
}

static void what_an_interrupted_command_made_tells(void **state)
{
	struct folders *f = *state;

	scratch_file(".c.vmdk.svmdk-files",
		     "svmdk-files 1\nself 1 2.3\nsize 16\nkept c-f002.vmdk\nmade c-f002.vmdk\n"
		     "made sub/new\nfile c-f001.vmdk\nend\n",
		     0);
	accept(f, TWO);
	scratch_file("sub/new", "", 0);
	refuse(f, TWO, "sub/new is there, which an interrupted command made (.c.vmdk.svmdk-files)");
	accept(f, TWO "RW 8 FLAT \"sub/new\" 0\n");
	assert_int_equal(manifest_add(&f->m, "sub/new", hash), 0);
	accept(f, TWO);
}

static void a_list_that_cannot_be_read_may_tell_so(void **state)
{
	struct svmdk_error err;

	assert_int_equal(mkdir(".c.vmdk.svmdk-files", 0755), 0);
	assert_int_equal(ask(*state, TWO, &err), -1);
	assert_has(err.text, ".c.vmdk.svmdk-files: not a regular file");
}

static bool is_later(const struct folders *f, const char *text)
{
	struct descriptor d, now;
	const struct older o = { f->self, &d, &f->m, &f->to, &f->from };
	struct svmdk_error err;
	bool later;

	assert_int_equal(descriptor_parse(&d, TWO, strlen(TWO), &err), 0);
	assert_int_equal(descriptor_parse(&now, text, strlen(text), &err), 0);
	later = later_extents_named(&o, &now);
	descriptor_free(&d);
	descriptor_free(&now);
	return later;
}

static void one_that_names_more_which_is_there_is_of_later(void **state)
{
	const char *more = HEAD "RW 8 FLAT \"c-f001.vmdk\" 0\nRW 9 FLAT \"c-f002.vmdk\" 0\n";
	const char *third = TWO "RW 8 FLAT \"c-f003.vmdk\" 0\n";

	assert_false(is_later(*state, TWO));
	assert_false(is_later(*state, HEAD "RW 7 FLAT \"c-f001.vmdk\" 1\n"));
	assert_false(is_later(*state, more));
	scratch_file("c-f002.vmdk", "", 4608);
	assert_true(is_later(*state, more));
	assert_false(is_later(*state, third));
	scratch_file("c-f003.vmdk", "", 4096);
	assert_true(is_later(*state, third));
	scratch_file("c-f002.vmdk", "", 4096);
	assert_false(is_later(*state, more));
}

static void outside_nothing_is_looked_at(void **state)
{
	struct svmdk_error err;

	assert_int_equal(ask(*state, HEAD "RW 8 FLAT \"/etc/c-f001.vmdk\" 0\n", &err), -1);
	assert_int_equal(err.code, EXDEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(other_files_say_nothing, enter, leave),
		cmocka_unit_test_setup_teardown(the_first_extent_that_came_is_named, enter, leave),
		cmocka_unit_test_setup_teardown(what_the_manifest_has_is_no_news, enter, leave),
		cmocka_unit_test_setup_teardown(they_are_where_the_last_one_is, enter, leave),
		cmocka_unit_test_setup_teardown(without_a_number_the_descriptor_names_them, enter,
						leave),
		cmocka_unit_test_setup_teardown(a_last_extent_that_became_longer_tells, enter,
						leave),
		cmocka_unit_test_setup_teardown(what_a_resplit_makes_tells, enter, leave),
		cmocka_unit_test_setup_teardown(a_copy_of_the_later_descriptor_has_any_name, enter,
						leave),
		cmocka_unit_test_setup_teardown(another_container_is_known_by_its_extents_names,
						enter, leave),
		cmocka_unit_test_setup_teardown(of_a_shorter_name_it_may_be_a_copy, enter, leave),
		cmocka_unit_test_setup_teardown(another_container_may_be_where_its_extents_are,
						enter, leave),
		cmocka_unit_test_setup_teardown(it_makes_them_where_the_first_one_is, enter, leave),
		cmocka_unit_test_setup_teardown(what_an_interrupted_command_made_tells, enter,
						leave),
		cmocka_unit_test_setup_teardown(a_list_that_cannot_be_read_may_tell_so, enter,
						leave),
		cmocka_unit_test_setup_teardown(one_that_names_more_which_is_there_is_of_later,
						enter, leave),
		cmocka_unit_test_setup_teardown(outside_nothing_is_looked_at, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
