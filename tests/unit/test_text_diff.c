// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The difference of two texts, as diff -u would print it. */
#include "unit.h"

#include <stdio.h>

#include "scratch.h"
#include "text_diff.h"

static char *diff(const char *old, const char *new)
{
	size_t length;
	char *text;
	FILE *f = open_memstream(&text, &length);

	assert_non_null(f);
	assert_int_equal(text_diff(f, "x.vmdk", old, new), 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void says(const char *old, const char *new, const char *wanted)
{
	char *text = diff(old, new);

	assert_string_equal(text, wanted);
	free(text);
}

static void nothing_is_nothing(void **state)
{
	(void)state;
	says("", "", "");
	says("a\nb\n", "a\nb\n", "");
}

static void shows_one_block(void **state)
{
	(void)state;
	says("1\n2\n3\n4\nold\n5\n6\n7\n8\n", "1\n2\n3\n4\nnew\nnewer\n5\n6\n7\n8\n",
	     "--- x.vmdk\n+++ x.vmdk\n@@ -2,7 +2,8 @@\n 2\n 3\n 4\n-old\n+new\n+newer\n 5\n 6\n 7\n");
	says("old\n1\n", "1\n", "--- x.vmdk\n+++ x.vmdk\n@@ -1,2 +1 @@\n-old\n 1\n");
	says("", "1\n", "--- x.vmdk\n+++ x.vmdk\n@@ -0,0 +1 @@\n+1\n");
	says("1\n", "", "--- x.vmdk\n+++ x.vmdk\n@@ -1 +0,0 @@\n-1\n");
}

static void shows_blocks_apart(void **state)
{
	(void)state;
	says("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
	     "--- x.vmdk\n+++ x.vmdk\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
	     "@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
	/* No more than two contexts apart: one hunk. */
	says("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
	     "--- x.vmdk\n+++ x.vmdk\n@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
}

static void says_when_there_is_no_newline(void **state)
{
	(void)state;
	says("a\nb", "a\nb\n",
	     "--- x.vmdk\n+++ x.vmdk\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n");
}

/* Whatever it finds, patch(1) makes the one of the other. */
static void patch_takes_it(void **state)
{
	static const char *const lines[] = { "\n", "one\n", "two\n", "three\n", "four\n", "# x\n" };
	char old[512], new[512], *text;
	struct scratch s;
	size_t length;
	int round, i;

	(void)state;
	if (system("command -v patch >/dev/null"))
		skip();
	srand(20261123);
	scratch_enter(&s);
	for (round = 0; round < 200; round++) {
		old[0] = new[0] = '\0';
		for (i = rand() % 20; i > 0; i--) {
			const char *line = lines[rand() % 6];

			strcat(old, rand() % 4 ? line : "");
			strcat(new, rand() % 4 ? line : lines[rand() % 6]);
		}
		text = diff(old, new);
		scratch_file("file", old, 0);
		scratch_file("diff", text, 0);
		free(text);
		assert_int_equal(system("patch -s -f --no-backup-if-mismatch file <diff >log 2>&1"),
				 0);
		text = access("file", F_OK) ? calloc(1, 1) : scratch_read("file", &length);
		assert_string_equal(text, new);
		free(text);
	}
	scratch_leave(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(shows_one_block),
		cmocka_unit_test(shows_blocks_apart),
		cmocka_unit_test(says_when_there_is_no_newline),
		cmocka_unit_test(patch_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
