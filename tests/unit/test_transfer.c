// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* A range of a file in another file: its bytes, its holes, its faults. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "progress.h"
#include "scratch.h"
#include "transfer.h"

#define PAGE 4096
#define PAGES 64
#define BYTES (PAGE * PAGES)

/**
 * struct world - what each test begins with
 * @s: the folder
 * @from: a file with data, holes and reserved parts, PAGES long
 * @to: an empty one
 * @content: of @from
 * @progress: of no interest
 */
struct world {
	struct scratch s;
	int from;
	int to;
	unsigned char content[BYTES];
	struct progress progress;
};

static bool is_data(unsigned int page)
{
	return page % 8 < 4;
}

static bool is_reserved(unsigned int page)
{
	return page % 8 == 5;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned int i, j;

	scratch_enter(&w->s);
	w->from = open("from", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	w->to = open("to", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(w->from >= 0 && w->to >= 0);
	assert_int_equal(ftruncate(w->from, BYTES), 0);
	for (i = 0; i < PAGES; i++) {
		for (j = 0; is_data(i) && j < PAGE; j++)
			w->content[i * PAGE + j] = 1 + (i * 31 + j * 7) % 255;
		if (is_data(i))
			assert_int_equal(pwrite(w->from, w->content + i * PAGE, PAGE, i * PAGE),
					 PAGE);
		if (is_reserved(i))
			(void)!fallocate(w->from, 0, i * PAGE, PAGE);
	}
	assert_int_equal(fsync(w->from), 0);
	progress_begin(&w->progress, "Testing", 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	close(w->from);
	close(w->to);
	scratch_leave(&w->s);
	free(w);
	return 0;
}

static uint64_t bring(struct world *w, enum transfer_holes holes, uint64_t from_at, uint64_t to_at,
		      uint64_t length)
{
	struct transfer_range r = { w->from, from_at, w->to, to_at, length };
	struct svmdk_error err;
	struct transfer t;
	uint64_t shared;

	assert_int_equal(ftruncate(w->to, to_at + length), 0);
	assert_int_equal(transfer_begin(&t, holes, &w->progress, &err), 0);
	if (transfer_range(&t, &r, &shared, &err))
		fail_msg("%s", err.text);
	assert_true(t.done == length);
	assert_true(shared <= length);
	assert_int_equal(fsync(w->to), 0);
	if (transfer_compare(&t, &r, &err))
		fail_msg("%s", err.text);
	assert_true(t.done == 2 * length);
	transfer_end(&t);
	return shared;
}

static void assert_arrived(const struct world *w, uint64_t from_at, uint64_t to_at, uint64_t length)
{
	static unsigned char got[BYTES];

	assert_int_equal(pread(w->to, got, length, to_at), length);
	assert_memory_equal(got, w->content + from_at, length);
}

static void brings_any_range(void **state)
{
	struct world *w = *state;
	uint64_t from_at, to_at, length;
	int round;

	srand(20261123);
	for (round = 0; round < 200; round++) {
		from_at = rand() % (BYTES / 512) * 512;
		length = (1 + rand() % ((BYTES - from_at) / 512)) * 512;
		to_at = rand() % 64 * 512;
		if (round % 2) { /* of the kind that can be shared */
			from_at &= ~(uint64_t)(PAGE - 1);
			to_at &= ~(uint64_t)(PAGE - 1);
		}
		assert_int_equal(ftruncate(w->to, 0), 0);
		bring(w, round % 3, from_at, to_at, length);
		assert_arrived(w, from_at, to_at, length);
	}
}

static struct transfer_need measure(int fd)
{
	struct transfer_need need = { 0 };
	struct svmdk_error err;

	assert_int_equal(transfer_measure(fd, 0, BYTES, &need, &err), 0);
	assert_true(need.data + need.reserved + need.holes == BYTES);
	return need;
}

/* What a file system makes of holes differs, so it is held against the source. */
static void holes_are_what_was_asked(void **state)
{
	struct world *w = *state;
	struct transfer_need before = measure(w->from), after;

	bring(w, HOLES_KEEP, 0, 0, BYTES);
	after = measure(w->to);
	assert_true(after.holes == before.holes && after.reserved == before.reserved);

	assert_int_equal(ftruncate(w->to, 0), 0);
	bring(w, HOLES_FILL, 0, 0, BYTES);
	after = measure(w->to);
	assert_true(after.data == BYTES);

	assert_int_equal(ftruncate(w->to, 0), 0);
	if (bring(w, HOLES_SPARSE, 0, 0, BYTES))
		return; /* what shares, shares reserved parts too */
	after = measure(w->to);
	assert_true(after.holes == before.holes + before.reserved && !after.reserved);
}

static void finds_what_did_not_arrive(void **state)
{
	struct world *w = *state;
	struct transfer_range r = { w->from, PAGE, w->to, 0, BYTES - PAGE };
	struct svmdk_error err;
	struct transfer t;

	bring(w, HOLES_KEEP, PAGE, 0, BYTES - PAGE);
	assert_int_equal(transfer_begin(&t, HOLES_KEEP, &w->progress, &err), 0);
	/* One byte, first where there is data, then in a hole of both. */
	assert_int_equal(pwrite(w->to, "\0", 1, 8193), 1);
	assert_int_equal(transfer_compare(&t, &r, &err), -1);
	assert_int_equal(err.code, EBADMSG);
	assert_has(err.text, "byte 8193 ");
	assert_int_equal(pwrite(w->to, w->content + PAGE + 8193, 1, 8193), 1);
	assert_int_equal(transfer_compare(&t, &r, &err), 0);
	assert_int_equal(pwrite(w->to, "x", 1, 6 * PAGE + 1), 1);
	assert_int_equal(transfer_compare(&t, &r, &err), -1);
	assert_has(err.text, "byte 24577 ");
	transfer_end(&t);
}

/* It was longer when it was looked at. */
static void says_what_is_missing(void **state)
{
	struct world *w = *state;
	struct transfer_range r = { w->from, 0, w->to, 0, BYTES };
	struct svmdk_error err;
	struct transfer t;

	bring(w, HOLES_KEEP, 0, 0, BYTES);
	assert_int_equal(ftruncate(w->from, 2 * PAGE), 0);
	assert_int_equal(transfer_begin(&t, HOLES_KEEP, &w->progress, &err), 0);
	assert_int_equal(transfer_compare(&t, &r, &err), -1);
	assert_int_equal(err.code, ENODATA);
	assert_true(t.at_source);
	transfer_end(&t);
}

static void says_when_it_cannot_write(void **state)
{
	struct world *w = *state;
	struct transfer_range r = { w->from, 0, -1, 0, BYTES };
	struct svmdk_error err;
	struct transfer t;
	uint64_t shared;

	r.to = open("to", O_RDONLY | O_CLOEXEC);
	assert_true(r.to >= 0);
	assert_int_equal(transfer_begin(&t, HOLES_KEEP, &w->progress, &err), 0);
	assert_int_equal(transfer_range(&t, &r, &shared, &err), -1);
	assert_int_equal(err.code, EBADF);
	assert_has(err.text, "cannot write byte 0");
	assert_false(t.at_source);
	transfer_end(&t);
	close(r.to);
}

static void asks_without_a_trace(void **state)
{
	struct world *w = *state;
	struct transfer_need need = { 0 };
	struct svmdk_error err;
	int folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool can = transfer_can_share(w->from, folder);

	close(folder);
	assert_int_equal(access("to", F_OK), 0);
	assert_int_equal(bring(w, HOLES_KEEP, 0, 0, BYTES) == BYTES, can);
	assert_int_equal(bring(w, HOLES_KEEP, 512, 0, PAGE), 0);
	assert_int_equal(transfer_measure(w->from, 0, PAGE, &need, &err), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(brings_any_range),		 TEST(holes_are_what_was_asked),
		TEST(finds_what_did_not_arrive), TEST(says_what_is_missing),
		TEST(says_when_it_cannot_write), TEST(asks_without_a_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
