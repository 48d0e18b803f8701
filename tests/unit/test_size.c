// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Sizes as the user writes them, and as svmdk shows them. */
#include "unit.h"

#include "size.h"

static void parses(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "512b", 512 },
		{ "1s", 512 },
		{ "262144s", UINT64_C(128) << 20 },
		{ "1K", 1024 },
		{ "1k", 1024 },
		{ "128M", UINT64_C(128) << 20 },
		{ "2176m", UINT64_C(2176) << 20 },
		{ "6G", UINT64_C(6) << 30 },
		{ "1.5G", UINT64_C(3) << 29 },
		{ "0.5K", 512 },
		{ "2.125G", UINT64_C(2176) << 20 },
		{ "3T", UINT64_C(3) << 40 },
		{ "2P", UINT64_C(2) << 50 },
		{ "7E", UINT64_C(7) << 60 },
		{ "9223372036854775296", UINT64_C(9223372036854775296) },
		{ "18014398509481983s", UINT64_C(18014398509481983) << 9 },
		{ "0.500000000000000000K", 512 },
	};
	struct svmdk_error err;
	uint64_t bytes;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (size_parse(cases[i].text, &bytes, &err))
			fail_msg("%s: %s", cases[i].text, err.text);
		if (bytes != cases[i].bytes)
			fail_msg("%s is %llu", cases[i].text, (unsigned long long)bytes);
	}
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "no size" },
		{ "M", "no size" },
		{ "-1M", "no size" },
		{ "+1M", "no size" },
		{ " 1M", "no size" },
		{ "1.M", "no size" },
		{ ".5G", "no size" },
		{ "0x200", "unknown suffix" },
		{ "1MB", "unknown suffix" },
		{ "1X", "unknown suffix" },
		{ "1 M", "unknown suffix" },
		{ "1.5.5G", "unknown suffix" },
		{ "511", "whole number" },
		{ "1.1G", "whole number" },
		{ "1.5s", "whole number" },
		{ "0.3K", "whole number" },
		{ "8E", "too large" },
		{ "16E", "too large" },
		{ "9223372036854775808", "too large" },
		{ "18014398509481984s", "too large" },
		{ "99999999999999999999", "too many digits" },
		{ "1.0000000000000000000G", "too many digits" },
	};
	struct svmdk_error err;
	uint64_t bytes;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!size_parse(cases[i].text, &bytes, &err))
			fail_msg("%s was taken", cases[i].text);
		assert_has(err.text, cases[i].why);
		assert_int_not_equal(err.code, 0);
	}
}

static void formats(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0B" },
		{ 512, "512B" },
		{ 1023, "1023B" },
		{ 1024, "1K" },
		{ 1536, "1.5K" },
		{ UINT64_C(128) << 20, "128M" },
		{ UINT64_C(2176) << 20, "2.1G" },
		{ (UINT64_C(1) << 30) - 512, "1G" },
		{ (UINT64_C(1) << 20) - 1, "1M" },
		{ UINT64_C(7) << 60, "7E" },
		{ UINT64_MAX, "16E" },
	};
	char text[SIZE_TEXT_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(size_format(text, cases[i].bytes), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
