// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Names of files become names of links that udev leaves as they are. */
#include "unit.h"

#include <string.h>

#include "short_name.h"

static void check(const char *file, const char *want)
{
	char name[SVMDK_NAME_LEN];

	memset(name, 'X', sizeof(name));
	assert_int_equal(short_name(name, file), 0);
	assert_string_equal(name, want);
}

static void loses_suffix(void **state)
{
	(void)state;
	check("backup.vmdk", "backup");
	check("backup.VmDk", "backup");
	check("2_125G", "2_125G");
	check("a.vmdk.vmdk", "a.vmdk");
	check("vmdk", "vmdk");
}

static void keeps_what_udev_allows(void **state)
{
	(void)state;
	check("A-z0.9:=@_#+.vmdk", "A-z0.9:=@_#+");
	check("\xc3\x9c"
	      "bung \xe6\x97\xa5.vmdk",
	      "\xc3\x9c"
	      "bung_\xe6\x97\xa5");
}

static void replaces_the_rest(void **state)
{
	(void)state;
	check("a b\tc.vmdk", "a_b_x09c");
	check("$(reboot);\"'`|&*?", "__reboot_________");
	check("back\\slash", "back_slash");
	check("caf\xe9.vmdk", "caf_xe9");
	check("\x1b[31m", "_x1b_31m");
}

static void is_never_empty(void **state)
{
	(void)state;
	check(".vmdk", ".vmdk");
	check("", "_");
}

static void is_cut_between_characters(void **state)
{
	char file[256], want[SVMDK_NAME_LEN];

	(void)state;
	memset(file, 'a', 200);
	strcpy(file + 200, ".vmdk");
	memset(want, 'a', sizeof(want) - 1);
	want[sizeof(want) - 1] = '\0';
	check(file, want);

	/* 62 bytes, and one of three bytes that would end at 65 */
	strcpy(file + SVMDK_NAME_LEN - 2, "\xe6\x97\xa5");
	want[SVMDK_NAME_LEN - 2] = '\0';
	check(file, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loses_suffix),
		cmocka_unit_test(keeps_what_udev_allows),
		cmocka_unit_test(replaces_the_rest),
		cmocka_unit_test(is_never_empty),
		cmocka_unit_test(is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
