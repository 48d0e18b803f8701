// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* What a container that is to become larger gets: which files, of which size. */
#include "unit.h"

#include <errno.h>

#include "container.h"
#include "growth_plan.h"
#include "scratch.h"

#define HEAD(type) "# Disk DescriptorFile\nversion=1\nCID=a4c1\ncreateType=\"" type "\"\n"

/**
 * struct planned - a container and the plan for it
 * @files: "name begin+added" of each file, in sectors
 * @sectors: of each extent
 */
struct planned {
	struct container c;
	struct growth_plan plan;
	char files[1024];
	char sectors[1024];
};

static int enter(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	scratch_enter(s);
	*state = s;
	return 0;
}

static int leave(void **state)
{
	scratch_leave(*state);
	free(*state);
	return 0;
}

static void plan(struct planned *p, const char *text, uint64_t sectors, uint64_t each,
		 bool attached)
{
	struct svmdk_error err;
	char *at;
	size_t i;

	scratch_file("c.vmdk", text, 0);
	if (container_open(&p->c, "c.vmdk", NULL, 0, &err) ||
	    growth_plan_make(&p->plan, &p->c, sectors, each, attached, &err))
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	at = p->files;
	*at = '\0';
	for (i = 0; i < p->plan.files.nr; i++) {
		const struct new_extent *e = &p->plan.files.list[i];

		at += sprintf(at, "%s%s %llu+%llu", i ? ", " : "", e->name,
			      (unsigned long long)e->begin / 512,
			      (unsigned long long)(e->bytes - e->begin) / 512);
	}
	at = p->sectors;
	for (i = 0; i < p->plan.nr_extents; i++)
		at += sprintf(at, "%s%llu", i ? " " : "",
			      (unsigned long long)p->plan.extents[i].sectors);
}

static void done(struct planned *p)
{
	growth_plan_free(&p->plan);
	container_close(&p->c);
}

#define EQUAL_EXTENTS \
	HEAD("twoGbMaxExtentFlat") "RW 16 FLAT \"c-f001.vmdk\" 0\nRW 16 FLAT \"c-f002.vmdk\" 0\n"
#define SHORT_LAST \
	HEAD("twoGbMaxExtentFlat") "RW 16 FLAT \"c-f001.vmdk\" 0\nRW 8 FLAT \"c-f002.vmdk\" 0\n"
#define ONE_FILE HEAD("monolithicFlat") "RW 16 FLAT \"c-flat.vmdk\" 0\n"

static void adds_extents_of_the_same_size(void **state)
{
	struct planned p;

	(void)state;
	scratch_file("c-f001.vmdk", "", 8192);
	scratch_file("c-f002.vmdk", "", 8192);
	plan(&p, EQUAL_EXTENTS, 72, 0, false);
	assert_string_equal(p.files, "c-f003.vmdk 0+16, c-f004.vmdk 0+16, c-f005.vmdk 0+8");
	assert_string_equal(p.sectors, "16 16 16 16 8");
	assert_string_equal(p.plan.extents[4].name, "c-f005.vmdk");
	assert_int_equal(p.plan.first, 2);
	assert_null(p.plan.create_type);
	done(&p);
	plan(&p, EQUAL_EXTENTS, 64, 32, true);
	assert_string_equal(p.files, "c-f003.vmdk 0+32");
	done(&p);
}

static void fills_up_a_short_last_extent(void **state)
{
	struct planned p;

	(void)state;
	scratch_file("c-f001.vmdk", "", 8192);
	scratch_file("c-f002.vmdk", "", 4096);
	plan(&p, SHORT_LAST, 28, 0, false);
	assert_string_equal(p.files, "c-f002.vmdk 8+4");
	assert_string_equal(p.sectors, "16 12");
	assert_int_equal(p.plan.first, 1);
	done(&p);
	plan(&p, SHORT_LAST, 40, 0, false);
	assert_string_equal(p.files, "c-f002.vmdk 8+8, c-f003.vmdk 0+8");
	assert_string_equal(p.sectors, "16 16 8");
	done(&p);
	plan(&p, SHORT_LAST, 40, 0, true);
	assert_string_equal(p.files, "c-f003.vmdk 0+16");
	assert_string_equal(p.sectors, "16 8 16");
	assert_int_equal(p.plan.first, 2);
	done(&p);
}

/* What lies behind an extent in its file is somebody's. */
static void lengthens_no_file_that_has_more_in_it(void **state)
{
	struct planned p;

	(void)state;
	scratch_file("c-f001.vmdk", "", 8192);
	scratch_file("c-f002.vmdk", "", 4096 + 512);
	plan(&p, SHORT_LAST, 40, 0, false);
	assert_string_equal(p.files, "c-f003.vmdk 0+16");
	done(&p);
	scratch_file("c-f001.vmdk", "", 8192);
	plan(&p,
	     HEAD("twoGbMaxExtentFlat") "RW 8 FLAT \"c-f001.vmdk\" 0\nRW 7 FLAT \"c-f001.vmdk\" 9\n",
	     16, 0, false);
	assert_string_equal(p.files, "c-f003.vmdk 0+1");
	done(&p);
}

/* It is cut off again where the command that lists it was interrupted. */
static void lengthens_no_file_that_another_list_has(void **state)
{
	static const char list[] = "svmdk-files 1\nself 1 2.3\nmade c-f002.vmdk\nend\n";
	struct svmdk_error err;
	struct planned p;
	bool free_names;

	(void)state;
	scratch_file("c-f001.vmdk", "", 8192);
	scratch_file("c-f002.vmdk", "", 4096);
	scratch_file(".c.vmdk.svmdk-files", list, 0);
	plan(&p, SHORT_LAST, 28, 0, false);
	assert_string_equal(p.files, "c-f002.vmdk 8+4");
	assert_int_equal(growth_plan_names_free(&p.plan, &p.c, &free_names, &err), 0);
	assert_true(free_names);
	/* One that has begun meanwhile. */
	scratch_file(".d.vmdk.svmdk-files", list, 0);
	assert_int_equal(growth_plan_names_free(&p.plan, &p.c, &free_names, &err), 0);
	assert_false(free_names);
	done(&p);
	plan(&p, SHORT_LAST, 28, 0, false);
	assert_string_equal(p.files, "c-f003.vmdk 0+4");
	assert_true(p.plan.keeps_short);
	done(&p);
}

static void lengthens_the_one_file_of_a_monolith(void **state)
{
	struct planned p;

	(void)state;
	scratch_file("c-flat.vmdk", "", 8192);
	plan(&p, ONE_FILE, 1 << 24, 0, false);
	assert_string_equal(p.files, "c-flat.vmdk 16+16777200");
	assert_null(p.plan.create_type);
	done(&p);
	/* Mapped, it can only be followed. */
	plan(&p, ONE_FILE, 1 << 18, 0, true);
	assert_string_equal(p.files, "c-f002.vmdk 0+262128");
	assert_string_equal(p.plan.create_type, "twoGbMaxExtentFlat");
	done(&p);
}

static void passes_over_names_that_are_taken(void **state)
{
	struct planned p;

	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	scratch_file("sub/x-f0999.vmdk", "", 8192);
	scratch_file("sub/x-f1000.vmdk", "mine", 0);
	assert_int_equal(symlink("nowhere", "sub/x-f1001.vmdk"), 0);
	plan(&p, HEAD("twoGbMaxExtentFlat") "RW 16 FLAT \"sub/x-f0999.vmdk\" 0\n", 24, 8, false);
	assert_string_equal(p.files, "x-f1002.vmdk 0+8");
	assert_string_equal(p.plan.extents[1].name, "sub/x-f1002.vmdk");
	done(&p);
}

static void takes_two_gib_at_most(void **state)
{
	struct descriptor d;
	struct svmdk_error err;
	const char *text =
		HEAD("twoGbMaxExtentFlat") "RW 8323072 FLAT \"a\" 0\nRW 9 FLAT \"b\" 0\n";

	(void)state;
	assert_int_equal(descriptor_parse(&d, text, strlen(text), &err), 0);
	assert_int_equal(growth_extent_sectors(&d), UINT64_C(2) << 21);
	descriptor_free(&d);
	text = HEAD("twoGbMaxExtentFlat") "RW 9 FLAT \"b\" 0\n";
	assert_int_equal(descriptor_parse(&d, text, strlen(text), &err), 0);
	assert_int_equal(growth_extent_sectors(&d), UINT64_C(128) << 11);
	descriptor_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(adds_extents_of_the_same_size, enter, leave),
		cmocka_unit_test_setup_teardown(fills_up_a_short_last_extent, enter, leave),
		cmocka_unit_test_setup_teardown(lengthens_no_file_that_has_more_in_it, enter,
						leave),
		cmocka_unit_test_setup_teardown(lengthens_no_file_that_another_list_has, enter,
						leave),
		cmocka_unit_test_setup_teardown(lengthens_the_one_file_of_a_monolith, enter, leave),
		cmocka_unit_test_setup_teardown(passes_over_names_that_are_taken, enter, leave),
		cmocka_unit_test(takes_two_gib_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
