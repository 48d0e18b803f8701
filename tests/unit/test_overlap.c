// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The same sectors twice in one disk, of which one is written to. */
#include "unit.h"

#include "overlap.h"

/* One extent: which file, where in it, how long, and how it may be used. */
struct given {
	ino_t ino;
	uint64_t offset;
	uint64_t sectors;
	enum extent_access access;
};

/* Adds them all; returns how many overlaps were told of, and the last one. */
static int count(const struct given *given, size_t nr, bool writable, size_t *a, size_t *b)
{
	struct overlap o = { 0 };
	struct svmdk_error err;
	int found = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		struct extent e = {
			.access = given[i].access,
			.sectors = given[i].sectors,
			.offset = given[i].offset,
		};
		struct extent_file file = {
			.st = { .st_dev = 7, .st_ino = given[i].ino, .st_mode = S_IFREG },
		};

		assert_int_equal(overlap_add(&o, &e, i, &file, writable, &err), 0);
	}
	while (overlap_next(&o, a, b))
		found++;
	overlap_free(&o);
	return found;
}

static void finds_them(void **state)
{
	static const struct given same[] = { { 1, 0, 8, EXTENT_RW }, { 1, 0, 8, EXTENT_RW } };
	static const struct given touch[] = { { 1, 0, 8, EXTENT_RW }, { 1, 8, 8, EXTENT_RW } };
	static const struct given one[] = { { 1, 7, 8, EXTENT_RW }, { 1, 0, 8, EXTENT_RW } };
	static const struct given files[] = { { 1, 0, 8, EXTENT_RW }, { 2, 0, 8, EXTENT_RW } };
	static const struct given within[] = {
		{ 1, 0, 100, EXTENT_RW },
		{ 2, 50, 10, EXTENT_RW },
		{ 1, 10, 1, EXTENT_RW },
		{ 1, 90, 1, EXTENT_RW },
	};
	size_t a = 9, b = 9;

	(void)state;
	assert_int_equal(count(same, 2, true, &a, &b), 1);
	assert_int_equal(a, 0);
	assert_int_equal(b, 1);
	assert_int_equal(count(touch, 2, true, &a, &b), 0);
	assert_int_equal(count(one, 2, true, &a, &b), 1);
	assert_int_equal(a, 0);
	assert_int_equal(b, 1);
	assert_int_equal(count(files, 2, true, &a, &b), 0);
	assert_int_equal(count(within, 4, true, &a, &b), 2);
	assert_int_equal(a, 0);
	assert_int_equal(b, 3);
}

static void lets_readers_share(void **state)
{
	static const struct given readers[] = {
		{ 1, 0, 8, EXTENT_RDONLY },
		{ 1, 0, 8, EXTENT_RDONLY },
	};
	static const struct given mixed[] = {
		{ 1, 0, 8, EXTENT_RDONLY },
		{ 1, 4, 8, EXTENT_RW },
	};
	/* The writer ends before the second reader, the first reader does not. */
	static const struct given between[] = {
		{ 1, 0, 100, EXTENT_RDONLY },
		{ 1, 200, 8, EXTENT_RW },
		{ 1, 50, 100, EXTENT_RDONLY },
	};
	/* A reader that begins within a writer that is not the longest. */
	static const struct given behind[] = {
		{ 1, 0, 10, EXTENT_RW },
		{ 1, 20, 100, EXTENT_RDONLY },
		{ 1, 5, 1, EXTENT_RDONLY },
	};
	size_t a, b;

	(void)state;
	assert_int_equal(count(readers, 2, true, &a, &b), 0);
	assert_int_equal(count(mixed, 2, true, &a, &b), 1);
	assert_int_equal(count(mixed, 2, false, &a, &b), 0);
	assert_int_equal(count(between, 3, true, &a, &b), 0);
	assert_int_equal(count(behind, 3, true, &a, &b), 1);
}

/* All of 100,000: a second loop within the first would never end. */
static void takes_many(void **state)
{
	const size_t nr = 100000;
	struct given *given = calloc(nr, sizeof(*given));
	size_t i, a, b;

	(void)state;
	for (i = 0; i < nr; i++)
		given[i] = (struct given){ 1, (nr - i) * 8, 8, EXTENT_RW };
	assert_int_equal(count(given, nr, true, &a, &b), 0);
	given[nr / 2].offset++;
	assert_int_equal(count(given, nr, true, &a, &b), 1);
	free(given);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_them),
		cmocka_unit_test(lets_readers_share),
		cmocka_unit_test(takes_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
