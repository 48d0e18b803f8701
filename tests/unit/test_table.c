// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * The driver's table: for every sector of a disk, the same segment as a look
 * from the first one on finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

typedef uint64_t u64;
typedef uint32_t u32;

#include "../../kmod/table.c"

struct svmdk_extent {
	int unused;
};

static struct svmdk_extent extents[2];

static u64 next_random(u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

static void assert_found(const struct svmdk_table *table, u64 sector)
{
	const struct svmdk_segment *segment = svmdk_table_find(table, sector);

	assert_true(segment >= table->segment && segment < table->segment + table->nr);
	assert_true(segment->start <= sector);
	assert_true(segment[1].start > sector);
}

/* Both ends of every segment: where a search goes wrong if it does. */
static void assert_all_found(const struct svmdk_table *table)
{
	u32 i;

	for (i = 0; i < table->nr; i++) {
		assert_ptr_equal(svmdk_table_find(table, table->segment[i].start),
				 table->segment + i);
		assert_ptr_equal(svmdk_table_find(table, table->segment[i + 1].start - 1),
				 table->segment + i);
	}
}

static void test_equal_extents(void **state)
{
	const u32 counts[] = { 1, 2, 3, 8, 9, 1000, 8192 };
	size_t c;

	(void)state;
	for (c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		struct svmdk_table *table = svmdk_table_alloc(counts[c]);
		u32 i;

		for (i = 0; i < counts[c]; i++)
			assert_int_equal(svmdk_table_add(table, 262144, 7, &extents[i & 1]), 0);
		assert_int_equal(svmdk_table_index(table), 0);
		assert_int_equal(table->nr, counts[c]);
		assert_int_equal(table->sectors, 262144ULL * counts[c]);
		assert_all_found(table);
		svmdk_table_free(table);
	}
}

static u64 count_buckets(const struct svmdk_table *table)
{
	return ((table->sectors - 1) >> table->shift) + 1;
}

/* Extents of 128 MiB and the like, which is what it is made for. */
static void test_a_power_of_two_is_found_at_once(void **state)
{
	const u64 sizes[] = { 1, 8, 262144, 4194304 };
	size_t s;
	u64 i;

	(void)state;
	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct svmdk_table *table = svmdk_table_alloc(48);

		for (i = 0; i < 48; i++)
			assert_int_equal(svmdk_table_add(table, sizes[s], i, &extents[i & 1]), 0);
		assert_int_equal(svmdk_table_index(table), 0);
		assert_int_equal(count_buckets(table), 48);
		for (i = 0; i < 48; i++) {
			assert_int_equal(table->bucket[i].first, i);
			assert_int_equal(table->bucket[i].last, i);
		}
		svmdk_table_free(table);
	}
}

static void test_sizes_of_any_kind(void **state)
{
	u64 seed = 1;
	int round;

	(void)state;
	for (round = 0; round < 200; round++) {
		u32 nr = 1 + next_random(&seed) % 300;
		struct svmdk_table *table = svmdk_table_alloc(nr);
		u32 i;

		for (i = 0; i < nr; i++) {
			/* From one sector to 2^40, so that buckets are of no use. */
			u64 sectors = 1 + (next_random(&seed) &
					   ((1ULL << (next_random(&seed) % 40)) - 1));

			assert_int_equal(svmdk_table_add(table, sectors, i * 3, &extents[i & 1]),
					 0);
		}
		assert_int_equal(svmdk_table_index(table), 0);
		assert_true(count_buckets(table) <= 2 * (u64)nr);
		assert_all_found(table);
		for (i = 0; i < 100; i++)
			assert_found(table, (next_random(&seed) << 31 | next_random(&seed)) %
						    table->sectors);
		svmdk_table_free(table);
	}
}

static void test_runs_that_touch_are_one(void **state)
{
	struct svmdk_table *table = svmdk_table_alloc(4);

	(void)state;
	assert_int_equal(svmdk_table_add(table, 8, 100, &extents[0]), 0);
	assert_int_equal(svmdk_table_add(table, 8, 108, &extents[0]), 0);
	/* Where the last one ended, but another extent: its writes are marked apart. */
	assert_int_equal(svmdk_table_add(table, 8, 116, &extents[1]), 0);
	/* The same extent, elsewhere. */
	assert_int_equal(svmdk_table_add(table, 8, 200, &extents[1]), 0);
	assert_int_equal(svmdk_table_index(table), 0);
	assert_int_equal(table->nr, 3);
	assert_int_equal(table->sectors, 32);
	assert_ptr_equal(svmdk_table_find(table, 15)->extent, &extents[0]);
	assert_int_equal(svmdk_table_find(table, 16)->source, 116);
	assert_int_equal(svmdk_table_find(table, 31)->source, 200);
	svmdk_table_free(table);
}

static void test_bounds(void **state)
{
	const u64 limit = (1ULL << 54) - 1; /* the size in bytes is signed */
	struct svmdk_table *table = svmdk_table_alloc(3);

	(void)state;
	assert_int_equal(svmdk_table_index(table), -ENODATA);
	assert_int_equal(svmdk_table_add(table, 0, 0, &extents[0]), -EINVAL);
	assert_int_equal(svmdk_table_add(table, limit + 1, 0, &extents[0]), -EFBIG);
	assert_int_equal(svmdk_table_add(table, ~0ULL, 0, &extents[0]), -EFBIG);
	assert_int_equal(svmdk_table_add(table, 1, 5, &extents[0]), 0);
	assert_int_equal(svmdk_table_add(table, limit, 0, &extents[1]), -EFBIG);
	assert_int_equal(svmdk_table_add(table, limit - 1, 0, &extents[1]), 0);
	assert_int_equal(svmdk_table_index(table), 0);
	assert_all_found(table);
	svmdk_table_free(table);
	svmdk_table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_extents),
		cmocka_unit_test(test_a_power_of_two_is_found_at_once),
		cmocka_unit_test(test_sizes_of_any_kind),
		cmocka_unit_test(test_runs_that_touch_are_one),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
