// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Which sectors go where when a container gets extents of another size. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "resplit_job.h"
#include "resplit_plan.h"
#include "size.h"

#define HEAD                                                                   \
	"# Disk DescriptorFile\nversion=1\nCID=a4c1e30f\nparentCID=ffffffff\n" \
	"createType=\"twoGbMaxExtentFlat\"\n"

static void parse(struct descriptor *d, const char *lines)
{
	struct svmdk_error err;
	char text[4096];

	snprintf(text, sizeof(text), "%s%s", HEAD, lines);
	if (descriptor_parse(d, text, strlen(text), &err))
		fail_msg("%u: %s", err.line, err.text);
}

static void plan_for(struct resplit_plan *plan, const char *lines, uint64_t extent_sectors)
{
	struct svmdk_error err;
	struct descriptor d;

	parse(&d, lines);
	if (resplit_plan_begin(plan, &d, extent_sectors, &err))
		fail_msg("%s", err.text);
	descriptor_free(&d); /* the plan has copies */
}

static void name(struct resplit_plan *plan, unsigned int series)
{
	struct svmdk_error err;

	assert_int_equal(resplit_plan_name(plan, "disk", series, &err), 0);
}

static void refuses_what_is_not_writable(void **state)
{
	static const char *const lines[] = {
		"RW 8 FLAT \"a\" 0\nRDONLY 8 FLAT \"b\" 0\n",
		"RW 8 FLAT \"a\" 0\nNOACCESS 8 FLAT \"b\" 0\n",
		"RW 8 FLAT \"a\" 0\nRDONLY 8 ZERO\n",
	};
	struct resplit_plan plan;
	struct svmdk_error err;
	struct descriptor d;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		parse(&d, lines[i]);
		assert_int_equal(resplit_plan_begin(&plan, &d, 4, &err), -1);
		assert_int_equal(err.code, EINVAL);
		assert_int_equal(err.line, 7);
		assert_has(err.text, i == 1 ? "NOACCESS" : "RDONLY");
		descriptor_free(&d);
	}
}

static void refuses_too_many(void **state)
{
	struct resplit_plan plan;
	struct svmdk_error err;
	struct descriptor d;

	(void)state;
	parse(&d, "RW 9007199254740991 FLAT \"a\" 0\n");
	assert_int_equal(resplit_plan_begin(&plan, &d, 8, &err), -1);
	assert_int_equal(err.code, EFBIG);
	assert_has(err.text, "use larger ones");
	descriptor_free(&d);
}

static void knows_its_shape(void **state)
{
	static const struct {
		const char *lines;
		uint64_t sectors;
		bool is;
	} cases[] = {
		{ "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 0\nRW 3 FLAT \"c\" 0\n", 8, true },
		{ "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 0\nRW 3 FLAT \"c\" 0\n", 19, false },
		{ "RW 8 FLAT \"a\" 0\nRW 7 FLAT \"b\" 0\nRW 3 FLAT \"c\" 0\n", 8, false },
		{ "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 1\n", 8, false },
		{ "RW 8 FLAT \"a\" 0\nRW 8 ZERO\n", 8, false },
		{ "RW 8 FLAT \"a\" 0\n", 8, true },
		{ "RW 8 FLAT \"a\" 0\n", 800, true },
		{ "RW 8 FLAT \"a\" 8\n", 800, false },
	};
	struct resplit_plan plan;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		plan_for(&plan, cases[i].lines, cases[i].sectors);
		assert_int_equal(resplit_in_shape(&plan), cases[i].is);
		resplit_plan_free(&plan);
	}
}

static void names_beside_the_old(void **state)
{
	static const char lines[] =
		"RW 8 FLAT \"a\" 0\nRW 8 FLAT \"sub/b\" 0\nRW 8 ZERO\nRW 8 FLAT \"/srv/x y/c\" 0\n";
	static const char *const names[] = { "disk-f001.vmdk", "sub/disk-f002.vmdk",
					     "disk-f003.vmdk", "/srv/x y/disk-f004.vmdk" };
	static const char *const others[] = { "disk-12-f001.vmdk", "sub/disk-12-f002.vmdk",
					      "disk-12-f003.vmdk", "/srv/x y/disk-12-f004.vmdk" };
	struct resplit_plan plan;
	size_t i;

	(void)state;
	plan_for(&plan, lines, 9);
	name(&plan, 1);
	for (i = 0; i < 4; i++)
		assert_string_equal(plan.targets[i].name, names[i]);
	name(&plan, 12);
	for (i = 0; i < 4; i++)
		assert_string_equal(plan.targets[i].name, others[i]);
	assert_string_equal(resplit_create_type(&plan), "twoGbMaxExtentFlat");
	resplit_plan_free(&plan);

	plan_for(&plan, lines, 1000);
	assert_int_equal(plan.nr_targets, 1);
	name(&plan, 1);
	assert_string_equal(plan.targets[0].name, "disk-flat.vmdk");
	name(&plan, 2);
	assert_string_equal(plan.targets[0].name, "disk-2-flat.vmdk");
	assert_string_equal(resplit_create_type(&plan), "monolithicFlat");
	resplit_plan_free(&plan);
}

/* What an interrupted run has left: two new extents, a part of the third. */
static void goes_on_where_it_was(void **state)
{
	static const char lines[] = "RW 8 FLAT \"disk-2-f001.vmdk\" 0\n"
				    "RW 8 FLAT \"disk-2-f002.vmdk\" 0\n"
				    "RW 5 FLAT \"disk-2-f003.vmdk\" 0\n"
				    "RW 10 FLAT \"disk-f002.vmdk\" 6\n";
	struct resplit_plan plan;

	(void)state;
	plan_for(&plan, lines, 8);
	assert_int_equal(resplit_plan_series(&plan, "disk", 100), 2);
	assert_int_equal(resplit_plan_series(&plan, "other", 100), 0);
	name(&plan, 2);
	assert_true(plan.targets[0].kept && plan.targets[1].kept);
	assert_false(plan.targets[2].kept || plan.targets[3].kept);
	assert_int_equal(resplit_begun(&plan), 21);
	name(&plan, 3);
	assert_false(plan.targets[0].kept);
	assert_int_equal(resplit_begun(&plan), 0);
	resplit_plan_free(&plan);

	/* Smaller than what is there: a new beginning. */
	plan_for(&plan, lines, 4);
	assert_int_equal(resplit_plan_series(&plan, "disk", 100), 0);
	name(&plan, 2);
	assert_int_equal(resplit_begun(&plan), 0);
	resplit_plan_free(&plan);

	/* A name alone does not make it one of ours. */
	plan_for(&plan, "RW 8 FLAT \"disk-f001.vmdk\" 8\nRW 8 FLAT \"x\" 0\n", 8);
	assert_int_equal(resplit_plan_series(&plan, "disk", 100), 0);
	name(&plan, 1);
	assert_int_equal(resplit_begun(&plan), 0);
	resplit_plan_free(&plan);
}

/* Where a sector of the disk is, by a list of extents; a number that says so. */
static uint64_t place(const struct extent *extents, size_t nr, uint64_t sector, const char **file)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (sector < extents[i].sectors) {
			*file = extents[i].type == EXTENT_ZERO ? NULL : extents[i].name;
			return extents[i].offset + sector;
		}
		sector -= extents[i].sectors;
	}
	fail_msg("the disk is too short");
	return 0;
}

static void check_pieces(const struct resplit_plan *plan)
{
	struct resplit_piece piece;
	const char *file;
	uint64_t at;

	for (at = 0; at < plan->sectors; at += piece.sectors) {
		piece = resplit_piece_at(plan, at);
		assert_true(piece.sectors > 0);
		assert_true(piece.at == at);
		if (plan->old[piece.old].type != EXTENT_ZERO) {
			assert_true(place(plan->old, plan->nr_old, at, &file) == piece.old_at);
			assert_ptr_equal(file, plan->old[piece.old].name);
			assert_true(place(plan->old, plan->nr_old, at + piece.sectors - 1, &file) ==
				    piece.old_at + piece.sectors - 1);
			assert_ptr_equal(file, plan->old[piece.old].name);
		}
		assert_true(piece.target == at / plan->extent_sectors);
		assert_true(piece.target_at == at % plan->extent_sectors);
		assert_true((at + piece.sectors - 1) / plan->extent_sectors == piece.target);
	}
	assert_true(at == plan->sectors);
}

/* On the way, each sector is either where it shall be or where it was. */
static void check_mix(const struct resplit_plan *plan, uint64_t moved)
{
	struct extent extents[64];
	size_t nr = resplit_mix(plan, moved, extents);
	const char *file, *wanted;
	uint64_t at, i, sum = 0;

	assert_true(nr <= plan->nr_old + plan->nr_targets);
	for (i = 0; i < nr; i++) {
		assert_true(extents[i].sectors > 0);
		assert_true(extents[i].start == sum);
		sum += extents[i].sectors;
	}
	assert_true(sum == plan->sectors);
	for (at = 0; at < plan->sectors; at++) {
		i = place(extents, nr, at, &file);
		if (at < moved) {
			assert_ptr_equal(file, plan->targets[at / plan->extent_sectors].name);
			assert_true(i == at % plan->extent_sectors);
		} else if (place(plan->old, plan->nr_old, at, &wanted) == i || !wanted) {
			assert_ptr_equal(file, wanted);
		} else {
			fail_msg("sector %ju is at %ju", (uintmax_t)at, (uintmax_t)i);
		}
	}
}

static void loses_no_sector(void **state)
{
	char lines[2048];
	struct resplit_plan plan;
	unsigned int round, i, nr;
	uint64_t at, end;
	int length;

	(void)state;
	srand(20261123);
	for (round = 0; round < 300; round++) {
		nr = 1 + rand() % 12;
		for (i = 0, length = 0; i < nr; i++)
			length +=
				snprintf(lines + length, sizeof(lines) - length,
					 rand() % 5 ? "RW %d FLAT \"old%u\" %d\n" : "RW %d ZERO\n",
					 1 + rand() % 20, i, rand() % 3 * 4);
		plan_for(&plan, lines, 5 + rand() % 40);
		name(&plan, 1);
		check_pieces(&plan);
		for (at = 0; at <= plan.sectors; at++)
			check_mix(&plan, at);
		for (at = 0; at < plan.sectors; at = end) {
			end = resplit_step_end(&plan, at);
			assert_true(end > at && end <= plan.sectors);
			assert_true((end - 1) / plan.extent_sectors == at / plan.extent_sectors);
		}
		resplit_plan_free(&plan);
	}
}

/* Many small ones become one large one: not all in one step. */
static void steps_need_little_room(void **state)
{
	struct resplit_plan plan;
	uint64_t at, end;

	(void)state;
	plan_for(&plan,
		 "RW 200000 FLAT \"a\" 0\nRW 200000 FLAT \"b\" 0\nRW 100 FLAT \"c\" 0\n"
		 "RW 20000000 FLAT \"d\" 0\n",
		 UINT64_C(1) << 40);
	for (at = 0; at < plan.sectors; at = end) {
		end = resplit_step_end(&plan, at);
		assert_true(end - at <= STEP_MAX_SECTORS);
		assert_true(at || end == 200000);
		assert_true(at != 200000 || end == 400100);
	}
	resplit_plan_free(&plan);
}

/* A VMFS extent has no offset, so what is left of one is no VMFS extent. */
static void leaves_no_vmfs(void **state)
{
	struct extent extents[4];
	struct resplit_plan plan;

	(void)state;
	plan_for(&plan, "RW 16 VMFS \"disk-flat.vmdk\"\n", 8);
	name(&plan, 1);
	assert_int_equal(resplit_mix(&plan, 8, extents), 2);
	assert_int_equal(extents[1].type, EXTENT_FLAT);
	assert_int_equal(extents[1].offset, 8);
	resplit_plan_free(&plan);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_not_writable),
		cmocka_unit_test(refuses_too_many),
		cmocka_unit_test(knows_its_shape),
		cmocka_unit_test(names_beside_the_old),
		cmocka_unit_test(goes_on_where_it_was),
		cmocka_unit_test(loses_no_sector),
		cmocka_unit_test(steps_need_little_room),
		cmocka_unit_test(leaves_no_vmfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
