// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* From FIEMAP's answers to runs: clipping, merging, holes, and reasons. */
#include "unit.h"

#include <stdio.h>

#include "extent_map.h"
#include "scratch.h"
#include "size.h"

#define FE(logical, physical, length, flags)                                               \
	{                                                                                  \
		.fe_logical = (logical), .fe_physical = (physical), .fe_length = (length), \
		.fe_flags = (flags)                                                        \
	}

/* One line for each piece: begin, length, physical, reason. */
static int write_piece(const struct map_piece *piece, void *arg)
{
	char *text = arg;

	sprintf(text + strlen(text), "%llu+%llu@%llu:%s ", (unsigned long long)piece->begin,
		(unsigned long long)piece->length, (unsigned long long)piece->physical,
		extent_map_reason_text(piece->reason));
	return 0;
}

static void expect_pieces(uint64_t begin, uint64_t end, const struct fiemap_extent *extents,
			  size_t nr, const char *pieces)
{
	char text[1024] = "";
	struct map_walk w = { .at = begin, .end = end, .fn = write_piece, .arg = text };

	assert_int_equal(map_walk_feed(&w, extents, nr), 0);
	assert_int_equal(map_walk_end(&w), 0);
	assert_string_equal(text, pieces);
	assert_int_equal(w.at, end);
}

static void walks(void **state)
{
	const struct fiemap_extent two[] = {
		FE(4096, 40960, 4096, 0),
		FE(8192, 8192, 4096, FIEMAP_EXTENT_LAST),
	};
	const struct fiemap_extent wide[] = { FE(0, 1 << 20, 1 << 20, 0) };
	const struct fiemap_extent again[] = {
		FE(0, 4096, 8192, 0),
		FE(4096, 8192, 8192, 0),
		FE(0, 0, 0, 0),
	};
	const struct fiemap_extent huge[] = { FE(512, 1024, -UINT64_C(512), 0) };

	(void)state;
	expect_pieces(0, 4096, NULL, 0, "0+4096@0:hole ");
	expect_pieces(0, 16384, two, 2,
		      "0+4096@0:hole 4096+4096@40960:none 8192+4096@8192:none 12288+4096@0:hole ");
	/* A range that begins and ends within an extent. */
	expect_pieces(5120, 8704, two, 2, "5120+3072@41984:none 8192+512@8192:none ");
	expect_pieces(512, 1536, wide, 1, "512+1024@1049088:none ");
	/* Said twice, counted once. */
	expect_pieces(0, 12288, again, 3, "0+8192@4096:none 8192+4096@12288:none ");
	/* Past 2^64, and past 2^32 sectors. */
	expect_pieces(UINT64_C(1) << 42, (UINT64_C(1) << 42) + 512, huge, 1,
		      "4398046511104+512@4398046511616:none ");
}

static void gives_reasons(void **state)
{
	static const struct {
		struct fiemap_extent extent;
		enum svmdk_reason reason;
	} cases[] = {
		{ FE(0, 4096, 4096, FIEMAP_EXTENT_MERGED), SVMDK_REASON_NONE },
		{ FE(0, 4096, 4096, FIEMAP_EXTENT_UNWRITTEN), SVMDK_REASON_UNWRITTEN },
		{ FE(0, 0, 4096, FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNKNOWN),
		  SVMDK_REASON_DELALLOC },
		{ FE(0, 4096, 4096, FIEMAP_EXTENT_SHARED), SVMDK_REASON_REFLINK },
		{ FE(0, 4096, 4096, FIEMAP_EXTENT_SHARED | FIEMAP_EXTENT_UNWRITTEN),
		  SVMDK_REASON_UNWRITTEN },
		{ FE(0, 4096, 4096, FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_NOT_ALIGNED),
		  SVMDK_REASON_INLINE },
		{ FE(0, 4096, 4096, FIEMAP_EXTENT_DATA_TAIL | FIEMAP_EXTENT_NOT_ALIGNED),
		  SVMDK_REASON_INLINE },
		{ FE(0, 4096, 4096, FIEMAP_EXTENT_ENCODED), SVMDK_REASON_ENCODED },
		{ FE(0, 4096, 4096, FIEMAP_EXTENT_DATA_ENCRYPTED | FIEMAP_EXTENT_ENCODED),
		  SVMDK_REASON_ENCODED },
		{ FE(0, 0, 4096, FIEMAP_EXTENT_UNKNOWN), SVMDK_REASON_NO_FIEMAP },
		{ FE(0, 4096, 4096, FIEMAP_EXTENT_NOT_ALIGNED), SVMDK_REASON_UNALIGNED },
		{ FE(0, 4097, 4096, 0), SVMDK_REASON_UNALIGNED },
	};
	struct extent_map map = { 0 };
	struct map_walk w;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		map.reason = SVMDK_REASON_NONE;
		w = (struct map_walk){ .end = 4096, .fn = extent_map_add, .arg = &map };
		assert_int_equal(map_walk_feed(&w, &cases[i].extent, 1),
				 cases[i].reason != SVMDK_REASON_NONE);
		assert_int_equal(map.reason, cases[i].reason);
	}
	extent_map_free(&map);
}

static void merges_runs(void **state)
{
	const struct fiemap_extent extents[] = {
		FE(0, 1 << 20, 4096, 0), FE(4096, (1 << 20) + 4096, 4096, 0), /* goes on */
		FE(8192, 1 << 22, 4096, 0), /* elsewhere */
		FE(12288, (1 << 22) - 4096, 4096, 0), /* before it */
	};
	static const struct svmdk_run runs[] = {
		{ 0, 2048, 16 },
		{ 16, 8192, 8 },
		{ 24, 8184, 8 },
	};
	struct extent_map map = { 0 };
	struct map_walk w = { .end = 16384, .fn = extent_map_add, .arg = &map };

	(void)state;
	assert_int_equal(map_walk_feed(&w, extents, 4), 0);
	assert_int_equal(map_walk_end(&w), 0);
	assert_int_equal(map.reason, SVMDK_REASON_NONE);
	assert_int_equal(map.nr, 3);
	assert_memory_equal(map.runs, runs, sizeof(runs));
	extent_map_free(&map);
}

/* Every run of a long list is there, and memory grew as it had to. */
static void takes_many_runs(void **state)
{
	struct fiemap_extent e = FE(0, 0, 512, 0);
	struct extent_map map = { 0 };
	struct map_walk w = { .end = 100000 * 512, .fn = extent_map_add, .arg = &map };
	size_t i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		e.fe_logical = i * 512;
		e.fe_physical = i * 1024;
		assert_int_equal(map_walk_feed(&w, &e, 1), 0);
	}
	assert_int_equal(map.nr, 100000);
	assert_int_equal(map.runs[99999].disk_sector, 99999 * 2);
	extent_map_free(&map);
}

static void names_every_reason(void **state)
{
	int i;

	(void)state;
	for (i = SVMDK_REASON_HOLE; i <= SVMDK_REASON_LAST; i++)
		assert_string_not_equal(extent_map_reason_text(i), "unknown reason");
	assert_string_equal(extent_map_reason_text(SVMDK_REASON_LAST + 1), "unknown reason");
	assert_string_equal(extent_map_reason_text(-1), "unknown reason");
}

static int sum_holes(const struct map_piece *piece, void *arg)
{
	uint64_t *sums = arg;

	sums[piece->reason == SVMDK_REASON_HOLE] += piece->length;
	return 0;
}

/* A real file on whatever file system the tests run on: the hole is found. */
static void finds_a_real_hole(void **state)
{
	struct mount_facts facts = { 0 };
	struct extent_map map = { 0 };
	struct svmdk_error err;
	struct scratch s;
	uint64_t sums[2] = { 0 };
	char *data = calloc(1, 65537);
	int fd;

	(void)state;
	memset(data, 'x', 65536);
	scratch_enter(&s);
	scratch_file("f", data, 1 << 20);
	fd = open("f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(extent_map_walk(fd, 512, (1 << 20) - 512, sum_holes, sums, &err), 0);
	assert_int_equal(sums[0], 65536 - 512);
	assert_int_equal(sums[1], (1 << 20) - 65536);
	assert_int_equal(extent_map_read(&map, fd, 0, 2048, &facts, &err), 0);
	assert_int_not_equal(map.reason, SVMDK_REASON_NONE);
	assert_true(facts.known);
	extent_map_free(&map);
	close(fd);
	scratch_leave(&s);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks),
		cmocka_unit_test(gives_reasons),
		cmocka_unit_test(merges_runs),
		cmocka_unit_test(takes_many_runs),
		cmocka_unit_test(names_every_reason),
		cmocka_unit_test(finds_a_real_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
