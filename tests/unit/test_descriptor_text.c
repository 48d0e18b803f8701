// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The descriptor's writer: a new one, and one with a new content ID. */
#include "unit.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "descriptor.h"
#include "size.h"

static char *compose(const struct descriptor_plan *plan, size_t *length)
{
	struct svmdk_error err;
	char *text;

	if (descriptor_compose(plan, &text, length, &err))
		fail_msg("%s", err.text);
	return text;
}

/* Byte for byte what qemu-img of QEMU 7.2 makes of the same disk. */
static void writes_as_qemu_does(void **state)
{
	const struct descriptor_plan plan = { "q", 4456448, 4194304, 0xb08e217d };
	static const char qemu[] = "# Disk DescriptorFile\n"
				   "version=1\n"
				   "CID=b08e217d\n"
				   "parentCID=ffffffff\n"
				   "createType=\"twoGbMaxExtentFlat\"\n"
				   "\n"
				   "# Extent description\n"
				   "RW 4194304 FLAT \"q-f001.vmdk\" 0\n"
				   "RW 262144 FLAT \"q-f002.vmdk\" 0\n"
				   "\n"
				   "# The Disk Data Base\n"
				   "#DDB\n"
				   "\n"
				   "ddb.virtualHWVersion = \"4\"\n"
				   "ddb.geometry.cylinders = \"4421\"\n"
				   "ddb.geometry.heads = \"16\"\n"
				   "ddb.geometry.sectors = \"63\"\n"
				   "ddb.adapterType = \"ide\"\n"
				   "ddb.toolsVersion = \"2147483647\"\n";
	size_t length;
	char *text = compose(&plan, &length);

	(void)state;
	assert_string_equal(text, qemu);
	assert_int_equal(length, strlen(qemu));
	free(text);
}

/* Many shapes: each parses again, adds up, and is no multiple of 512 long. */
static void writes_what_it_reads(void **state)
{
	struct descriptor_plan plan = { "a disk", 1, 1, 0x00000001 };
	struct svmdk_error err;
	struct descriptor d;
	size_t length, multiples = 0;
	char *text;

	(void)state;
	for (plan.sectors = 1; plan.sectors < 1200; plan.sectors++) {
		plan.extent_sectors = plan.sectors % 7 + 1;
		text = compose(&plan, &length);
		assert_int_not_equal(length % SECTOR_SIZE, 0);
		multiples += text[length - 2] == '\n';
		if (descriptor_parse(&d, text, length, &err))
			fail_msg("%s", err.text);
		assert_int_equal(d.sectors, plan.sectors);
		assert_int_equal(d.cid_digits, 8);
		assert_int_equal(d.cid, 1);
		assert_null(strstr(text, "\n\nRW"));
		descriptor_free(&d);
		free(text);
	}
	/* The rule was needed, or the loop has shown nothing. */
	assert_int_not_equal(multiples, 0);
}

static void names_extents(void **state)
{
	static const struct {
		uint64_t number;
		const char *name;
	} cases[] = {
		{ 1, "x-f001.vmdk" },
		{ 999, "x-f999.vmdk" },
		{ 1000, "x-f1000.vmdk" },
	};
	size_t i;
	char *name;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		name = descriptor_extent_name("x", cases[i].number);
		assert_string_equal(name, cases[i].name);
		free(name);
	}
}

static void refuses_to_write(void **state)
{
	const struct descriptor_plan plans[] = {
		{ "a\"b", 1, 1, 1 },  { "a\nb", 1, 1, 1 },
		{ "", 1, 1, 1 },      { "x", UINT64_C(1) << 40, 1, 1 },
		{ "x", 60000, 1, 1 },
	};
	static const char *const why[] = {
		"quotes or control", "quotes or control", "needs a name",
		"too many",	     "larger than 1 MiB",
	};
	struct svmdk_error err;
	size_t i, length;
	char *text;

	(void)state;
	for (i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		assert_int_equal(descriptor_compose(&plans[i], &text, &length, &err), -1);
		assert_has(err.text, why[i]);
	}
}

static void makes_cids(void **state)
{
	uint32_t cid = 0, last;
	int i;

	(void)state;
	for (i = 0; i < 10000; i++) {
		last = cid;
		cid = descriptor_new_cid(last);
		assert_int_not_equal(cid, last);
		assert_int_not_equal(cid, 0);
		assert_true(cid < 0xfffffffe);
	}
}

static void expect_cid(const char *before, uint32_t cid, const char *after)
{
	struct svmdk_error err;
	struct descriptor d;
	size_t length;
	char *text;

	if (descriptor_parse(&d, before, strlen(before), &err))
		fail_msg("%s", err.text);
	if (descriptor_text_with_cid(&d, cid, &text, &length, &err))
		fail_msg("%s", err.text);
	assert_string_equal(text, after);
	assert_int_equal(length, strlen(after));
	free(text);
	descriptor_free(&d);
}

/* Foreign keys, comments, odd blanks and line ends are nobody's to change. */
static void changes_the_cid_alone(void **state)
{
	(void)state;
	expect_cid(
		"# Disk DescriptorFile\r\nversion=1\r\n cid =  A4C1  \r\nparentCID=ffffffff\r\n"
		"createType=\"custom\"\r\n# CID=a4c1\r\nrw 1 flat \"x\" 0 \r\n\r\n"
		"ddb.uuid.image=\"a4c1\"\r\nddb.geometry.heads = \"255\"",
		0x12,
		"# Disk DescriptorFile\r\nversion=1\r\n cid =  00000012  \r\nparentCID=ffffffff\r\n"
		"createType=\"custom\"\r\n# CID=a4c1\r\nrw 1 flat \"x\" 0 \r\n\r\n"
		"ddb.uuid.image=\"a4c1\"\r\nddb.geometry.heads = \"255\"");
}

static void keeps_the_long_content_id(void **state)
{
	(void)state;
	expect_cid("version=1\nCID=035e3acb\ncreateType=\"custom\"\nRW 1 ZERO\n"
		   "ddb.longContentID = \"6caa371639b74eee042b2d39035e3acb\"\n",
		   0xfeedbeef,
		   "version=1\nCID=feedbeef\ncreateType=\"custom\"\nRW 1 ZERO\n"
		   "ddb.longContentID = \"6caa371639b74eee042b2d39feedbeef\"\n");
	/* Before the CID, too. */
	expect_cid("version=1\nddb.longContentID=6caa371639b74eee042b2d39035e3acb\nCID=035e3acb\n"
		   "createType=\"custom\"\nRW 1 ZERO\n",
		   0xfeedbeef,
		   "version=1\nddb.longContentID=6caa371639b74eee042b2d39feedbeef\nCID=feedbeef\n"
		   "createType=\"custom\"\nRW 1 ZERO\n");
	/* One that is empty stays so. */
	expect_cid(
		"version=1\nCID=1\ncreateType=\"custom\"\nRW 1 ZERO\nddb.longContentID = \"\"\n",
		0xfeedbeef,
		"version=1\nCID=feedbeef\ncreateType=\"custom\"\nRW 1 ZERO\nddb.longContentID = \"\"\n");
}

static const char two_extents[] = "# Disk DescriptorFile\n"
				  "version=1\n"
				  "CID=12345678\n"
				  "createType=\"monolithicFlat\"\n"
				  "\n"
				  "rw 1008 flat \"a\" 0\n"
				  "# between\n"
				  "RW 1008 FLAT \"b\" 7 some-uuid device\n"
				  "\n"
				  "ddb.geometry.cylinders = \"2\"\n"
				  "ddb.geometry.heads = \"16\"\n"
				  "ddb.geometry.sectors = \"63\"";

static char *with_extents(const char *before, const struct extent *extents, size_t nr,
			  const char *create_type)
{
	struct svmdk_error err;
	struct descriptor d;
	size_t length;
	char *text;

	if (descriptor_parse(&d, before, strlen(before), &err) ||
	    descriptor_text_with_extents(&d, extents, nr, create_type, &text, &length, &err))
		fail_msg("%s", err.text);
	assert_int_equal(length, strlen(text));
	descriptor_free(&d);
	return text;
}

/* What did not change keeps its line, with whatever stands in it. */
static void appends_an_extent(void **state)
{
	struct extent extents[] = {
		{ .type = EXTENT_FLAT, .sectors = 1008, .name = (char *)"a", .line = 6 },
		{ .type = EXTENT_FLAT,
		  .sectors = 1008,
		  .offset = 7,
		  .name = (char *)"b",
		  .line = 8 },
		{ .type = EXTENT_FLAT, .sectors = 2016, .name = (char *)"c d" },
	};
	char *text = with_extents(two_extents, extents, 3, "twoGbMaxExtentFlat");

	(void)state;
	assert_string_equal(text, "# Disk DescriptorFile\n"
				  "version=1\n"
				  "CID=12345678\n"
				  "createType=\"twoGbMaxExtentFlat\"\n"
				  "\n"
				  "# Extent description\n"
				  "rw 1008 flat \"a\" 0\n"
				  "RW 1008 FLAT \"b\" 7 some-uuid device\n"
				  "RW 2016 FLAT \"c d\" 0\n"
				  "# between\n"
				  "\n"
				  "ddb.geometry.cylinders = \"4\"\n"
				  "ddb.geometry.heads = \"16\"\n"
				  "ddb.geometry.sectors = \"63\"");
	free(text);
}

/* An extent that differs from the one whose line it claims is written anew. */
static void replaces_extents(void **state)
{
	struct extent extents[] = {
		{ .type = EXTENT_FLAT, .sectors = 8, .name = (char *)"a", .line = 6 },
		{ .type = EXTENT_ZERO, .sectors = 2000, .line = 99 },
		{ .type = EXTENT_FLAT,
		  .access = EXTENT_RDONLY,
		  .sectors = 8,
		  .offset = 3,
		  .name = (char *)"b",
		  .line = 8 },
	};
	char *text = with_extents(two_extents, extents, 3, NULL);

	(void)state;
	assert_has(text, "# Extent description\nRW 8 FLAT \"a\" 0\nRW 2000 ZERO\n"
			 "RDONLY 8 FLAT \"b\" 3\n# between\n\nddb.geometry.cylinders = \"2\"\n");
	assert_has(text, "createType=\"monolithicFlat\"\n");
	free(text);
}

static void keeps_the_line_ends(void **state)
{
	static const char crlf[] = "# Disk DescriptorFile\r\nversion=1\r\nCID=1\r\n"
				   "createType=\"vmfs\"\r\nRW 8 VMFS \"a\"";
	struct extent extents[] = {
		{ .type = EXTENT_VMFS, .sectors = 8, .name = (char *)"a", .line = 5 },
		{ .type = EXTENT_VMFS, .sectors = 9, .name = (char *)"b" },
	};
	char *text = with_extents(crlf, extents, 2, NULL);

	(void)state;
	/* The last line has no end that could be copied. */
	assert_has(text, "RW 8 VMFS \"a\"\nRW 9 VMFS \"b\"\n");
	free(text);
}

static void refuses_names_with_quotes(void **state)
{
	struct extent extent = { .type = EXTENT_FLAT, .sectors = 8, .name = (char *)"a\"b" };
	struct svmdk_error err;
	struct descriptor d;
	size_t length;
	char *text;

	(void)state;
	assert_int_equal(descriptor_parse(&d, two_extents, strlen(two_extents), &err), 0);
	assert_int_equal(descriptor_text_with_extents(&d, &extent, 1, NULL, &text, &length, &err),
			 -1);
	assert_has(err.text, "quotes or control");
	descriptor_free(&d);
}

/* A text that would fill its sectors gets one newline more. */
static void avoids_multiples_of_512(void **state)
{
	static const char head[] = "version=1\nCID=1\ncreateType=\"custom\"\nRW 1 ZERO\n#";
	char text[1024];
	struct svmdk_error err;
	struct descriptor d;
	size_t length;
	char *changed;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, head, strlen(head));
	/* Seven digits come in. */
	assert_int_equal(descriptor_parse(&d, text, 512 - 7, &err), 0);
	assert_int_equal(descriptor_text_with_cid(&d, 2, &changed, &length, &err), 0);
	assert_int_equal(length, 513);
	assert_int_equal(changed[512], '\n');
	free(changed);
	descriptor_free(&d);
}

/*
 * The sanitizer has allocations of its own, which these would not reach. One fails, and
 * those after it do not.
 */
#ifdef __SANITIZE_ADDRESS__
static void has_no_memory(void **state)
{
	(void)state;
	skip();
}
#else
static unsigned long fails_at; /* counts down to 1, the one that fails; 0 for none */

static bool may_allocate(void)
{
	if (!fails_at || --fails_at)
		return true;
	errno = ENOMEM;
	return false;
}

void *__libc_malloc(size_t size);
void *__libc_realloc(void *from, size_t size);

void *malloc(size_t size)
{
	return may_allocate() ? __libc_malloc(size) : NULL;
}

void *realloc(void *from, size_t size)
{
	return may_allocate() ? __libc_realloc(from, size) : NULL;
}

/* All of it or an error, whichever allocation it is that fails. */
static void is_whole_or_an_error(const char *whole,
				 int (*make)(const void *of, char **text, size_t *length,
					     struct svmdk_error *err),
				 const void *of)
{
	struct svmdk_error err;
	size_t length;
	unsigned long number;
	int result;
	char *text;

	for (number = 1;; number++) {
		fails_at = number;
		result = make(of, &text, &length, &err);
		if (!result) {
			assert_int_equal(length, strlen(whole));
			assert_string_equal(text, whole);
			free(text);
		} else {
			assert_int_equal(err.code, ENOMEM);
		}
		if (fails_at)
			break; /* it asked for no more */
	}
	fails_at = 0;
	assert_true(number > 1);
}

static int make_new(const void *plan, char **text, size_t *length, struct svmdk_error *err)
{
	return descriptor_compose(plan, text, length, err);
}

static int make_other_cid(const void *d, char **text, size_t *length, struct svmdk_error *err)
{
	return descriptor_text_with_cid(d, 1, text, length, err);
}

static int make_other_extents(const void *of, char **text, size_t *length, struct svmdk_error *err)
{
	const struct descriptor *d = of;

	return descriptor_text_with_extents(d, d->extents, d->nr_extents, "custom", text, length,
					    err);
}

static void has_no_memory(void **state)
{
	const struct descriptor_plan plan = { "disk", 3000, 1, 1 };
	struct svmdk_error err;
	struct descriptor d;
	size_t length;
	char *text = compose(&plan, &length), *other;

	(void)state;
	is_whole_or_an_error(text, make_new, &plan);
	if (descriptor_parse(&d, text, length, &err))
		fail_msg("%s", err.text);
	is_whole_or_an_error(text, make_other_cid, &d);
	assert_int_equal(make_other_extents(&d, &other, &length, &err), 0);
	is_whole_or_an_error(other, make_other_extents, &d);
	free(other);
	free(text);
	descriptor_free(&d);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_as_qemu_does),
		cmocka_unit_test(writes_what_it_reads),
		cmocka_unit_test(names_extents),
		cmocka_unit_test(refuses_to_write),
		cmocka_unit_test(makes_cids),
		cmocka_unit_test(changes_the_cid_alone),
		cmocka_unit_test(keeps_the_long_content_id),
		cmocka_unit_test(appends_an_extent),
		cmocka_unit_test(replaces_extents),
		cmocka_unit_test(keeps_the_line_ends),
		cmocka_unit_test(refuses_names_with_quotes),
		cmocka_unit_test(avoids_multiples_of_512),
		cmocka_unit_test(has_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
