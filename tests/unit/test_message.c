// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* What a hostile name looks like once it is printed. */
#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#include "message.h"

static void escapes(void **state)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
		{ "plain name-f001.vmdk", "plain name-f001.vmdk" },
		{ "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x92\xbe",
		  "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x92\xbe" },
		{ "caf\xe9", "caf\\xe9" },
		{ "\x1b]0;title\x07", "\\x1b]0;title\\x07" },
		{ "a\nb\tc\r\x7f", "a\\x0ab\\x09c\\x0d\\x7f" },
		{ "c1 \xc2\x9b"
		  "2J",
		  "c1 \\xc2\\x9b2J" },
		{ "txt.\xe2\x80\xae"
		  "kdmv",
		  "txt.\\xe2\\x80\\xaekdmv" },
		{ "\xe2\x80\x8b\xef\xbb\xbf", "\\xe2\\x80\\x8b\\xef\\xbb\\xbf" },
		{ "\\\\.\\PhysicalDrive3", "\\\\.\\PhysicalDrive3" },
		{ "\\xe9", "\\x5cxe9" },
		{ "overlong \xc0\xaf \xe0\x80\xaf", "overlong \\xc0\\xaf \\xe0\\x80\\xaf" },
		{ "surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80" },
		{ "cut \xe2\x80", "cut \\xe2\\x80" },
		{ "past \xf4\x90\x80\x80", "past \\xf4\\x90\\x80\\x80" },
	};
	size_t i;
	char *text;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text = message_escape(cases[i].bytes);
		assert_string_equal(text, cases[i].text);
		free(text);
	}
}

/* What the functions below write to stderr; to be freed. */
static char *capture(void (*print)(void))
{
	FILE *f = tmpfile();
	char *text = calloc(1, 4096);
	int saved = dup(STDERR_FILENO);

	assert_non_null(f);
	dup2(fileno(f), STDERR_FILENO);
	print();
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	assert_int_not_equal(fread(text, 1, 4095, f), 0);
	fclose(f);
	return text;
}

static void print_all(void)
{
	struct svmdk_error err;

	error_set(&err, 1, "plain");
	error_print(&err);
	error_at(&err, "a\x1b.vmdk", 7);
	error_print(&err);
	error_set(&err, 1, "extent %s; %s", "x\ny", err.text);
	error_at(&err, "f", 0);
	error_print(&err);
	message_warn("f", 3, "odd");
	message_note(NULL, 0, "so");
}

/* A buffer that is printed into itself is empty, or worse. */
static void says_it_again_where_it_is(void **state)
{
	struct svmdk_error err;

	(void)state;
	error_set(&err, 1, "odd");
	error_at(&err, "f", 3);
	assert_int_equal(error_at(&err, err.file, 4), -1);
	assert_string_equal(err.file, "f");
	assert_int_equal(err.line, 4);
}

static void prints_lines(void **state)
{
	char *text = capture(print_all);

	(void)state;
	/* No locale is set here, so nothing but ASCII may come out. */
	assert_string_equal(text, "svmdk: plain\n"
				  "svmdk: a\\x1b.vmdk:7: plain\n"
				  "svmdk: f: extent x\\x0ay; plain\n"
				  "svmdk: f:3: warning: odd\n"
				  "svmdk: note: so\n");
	free(text);
}

static void says_errno(void **state)
{
	struct svmdk_error err;

	(void)state;
	assert_int_equal(error_errno(&err, 2, "cannot open %s", "x"), -1);
	assert_string_equal(err.text, "cannot open x: No such file or directory");
	assert_int_equal(err.code, 2);
	assert_int_equal(err.line, 0);
	assert_string_equal(err.file, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),
		cmocka_unit_test(prints_lines),
		cmocka_unit_test(says_it_again_where_it_is),
		cmocka_unit_test(says_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
