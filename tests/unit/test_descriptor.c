// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The descriptor's parser: what it reads, and what it refuses and why. */
#include "unit.h"

#include <stdio.h>

#include "descriptor.h"
#include "size.h"

#define HEAD "# Disk DescriptorFile\nversion=1\nCID=a4c1e30f\nparentCID=ffffffff\n"
#define TYPE "createType=\"twoGbMaxExtentFlat\"\n"
#define ONE "RW 2048 FLAT \"a-f001.vmdk\" 0\n"
#define KEYS HEAD TYPE

static void parse_ok(struct descriptor *d, const char *text, size_t length)
{
	struct svmdk_error err;

	if (descriptor_parse(d, text, length, &err))
		fail_msg("line %u: %s\n%s", err.line, err.text, text);
}

static void reads_all_of_it(void **state)
{
	static const char text[] = "# Disk DescriptorFile\n"
				   "version=1\n"
				   "encoding=\"UTF-8\"\n"
				   "CID=a4c1e30f\n"
				   "parentCID=ffffffff\n"
				   "createType=\"twoGbMaxExtentFlat\"\n"
				   "\n"
				   "# Extent description\n"
				   "RW 4194304 FLAT \"a b-f001.vmdk\" 0\n"
				   "RDONLY 63 FLAT \"x.mbr\" 7\n"
				   "NOACCESS 10 ZERO\n"
				   "RW 11 ZERO \"unused\" 5\n"
				   "RW 2 FLAT \"/dev/sda1\" 9 \"8d2c-uuid\" disk#1\n"
				   "\n"
				   "# The Disk Data Base\n"
				   "#DDB\n"
				   "ddb.geometry.cylinders = \"4421\"\n"
				   "ddb.geometry.heads = \"16\"\n"
				   "ddb.geometry.sectors = \"63\"\n"
				   "ddb.adapterType = \"ide\"\n"
				   "ddb.longContentID = \"0123456789abcdef01234567a4c1e30f\"\n";
	struct descriptor d;
	const struct extent *e;

	(void)state;
	parse_ok(&d, text, strlen(text));
	assert_int_equal(d.version, 1);
	assert_int_equal(d.cid, 0xa4c1e30f);
	assert_int_equal(d.cid_digits, 8);
	assert_int_equal(d.create_type, CREATE_TWO_GB_MAX_EXTENT_FLAT);
	assert_string_equal(d.create_type_text, "twoGbMaxExtentFlat");
	assert_string_equal(d.encoding, "UTF-8");
	assert_string_equal(d.adapter_type, "ide");
	assert_true(d.has_geometry);
	assert_int_equal(d.cylinders, 4421);
	assert_int_equal(d.heads, 16);
	assert_int_equal(d.track_sectors, 63);
	assert_int_equal(d.nr_extents, 5);
	assert_int_equal(d.sectors, 4194304 + 63 + 10 + 11 + 2);
	assert_string_equal(d.text, text);

	e = d.extents;
	assert_string_equal(e->name, "a b-f001.vmdk");
	assert_int_equal(e->line, 9);
	assert_true(extent_has_file(e));
	e++;
	assert_int_equal(e->access, EXTENT_RDONLY);
	assert_int_equal(e->start, 4194304);
	assert_int_equal(e->offset, 7);
	e++;
	assert_int_equal(e->access, EXTENT_NOACCESS);
	assert_null(e->name);
	assert_false(extent_has_file(e));
	e++;
	assert_int_equal(e->type, EXTENT_ZERO);
	assert_string_equal(e->name, "unused");
	assert_false(extent_has_file(e));
	e++;
	assert_int_equal(e->start, 4194304 + 63 + 10 + 11);
	assert_int_equal(e->offset, 9);
	descriptor_free(&d);
}

/* Spellings met in the wild: each of them the same one extent of 2048. */
static void reads_the_wild(void **state)
{
	static const char *const texts[] = {
		KEYS ONE,
		"\n\n" KEYS ONE,
		"#Disk Descriptor File\nversion=1\nCID=1\n" TYPE ONE,
		"# DISK DESCRIPTORFILE of mine\nversion=1\nCID=1\n" TYPE ONE,
		"# made by hand\n\n# and edited\nversion=1\nCID=1\n" TYPE ONE,
		"version = 1\nCID = A4c1\n" TYPE ONE,
		"version= 1\nCID= 1\n" TYPE ONE "ddb.x= 1\n",
		"# Disk DescriptorFile\r\nversion=1\r\nCID=00000000\r\n"
		"createType=\"twoGbMaxExtentFlat\"\r\nRW 2048 FLAT \"a-f001.vmdk\" 0\r\n",
		KEYS "RW 2048 FLAT \"a-f001.vmdk\" 0",
		KEYS "RW 2048 FLAT \"a-f001.vmdk\" 0   \t \n",
		KEYS "  rw\t2048  flat \"a-f001.vmdk\"\t0\n",
		"# Disk DescriptorFile\nVERSION=3\ncid=12ab\nPARENTcid=FFFFFFFF\n"
		"createtype=\"TWOGBMAXEXTENTFLAT\"\n" ONE "changeTrackPath=\"x-ctk.vmdk\"\n",
		KEYS "encoding=\"windows-1252\"\nisNativeSnapshot=\"no\"\n" ONE,
		KEYS "parentFileNameHint=\"\"\nencryptionKeys=\"\"\n" ONE,
		HEAD "createType=\"2GbMaxExtentFlat\"\n" ONE,
		HEAD "createType=\"vmfs\"\nRW 2048 VMFS \"a-f001.vmdk\"\n",
		HEAD "createType=\"vmfs\"\nRW 2048 VMFS \"a-f001.vmdk\" 0\n",
		HEAD "createType=\"vmfsPreallocated\"\nRW 2048 VMFS \"a-f001.vmdk\"\n",
		HEAD "createType=\"vmfsEagerZeroedThick\"\nRW 2048 VMFS \"a-f001.vmdk\"\n",
		HEAD "createType=\"fullDevice\"\n" ONE,
		HEAD "createType=\"partitionedDevice\"\n" ONE,
		HEAD "createType=\"custom\"\n" ONE,
		HEAD "createType=\"monolithicFlat\"\n# Extent (1 MB = 2048 sectors)\n" ONE,
		HEAD "createType=monolithicFlat\n" ONE,
		KEYS ONE "ddb.uuid.image=\"8dcce260\"\nddb.comment = \"\"\nddb.x=y z\nddb.e=\n",
		KEYS "RW 2048 FLAT \"a-f001.vmdk\" 0 uuid \"the device\"\n",
	};
	struct descriptor d;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		parse_ok(&d, texts[i], strlen(texts[i]));
		assert_int_equal(d.nr_extents, 1);
		assert_int_equal(d.sectors, 2048);
		assert_int_equal(d.extents[0].offset, 0);
		assert_string_equal(d.extents[0].name, "a-f001.vmdk");
		descriptor_free(&d);
	}
}

/* The last is what QEMU leaves that replaces "\r\n" behind the CID by "\n". */
static void stops_at_nul(void **state)
{
	static const char nul[] = KEYS ONE "\0", nuls[] = KEYS ONE "\0\0\0\0\0\0\0";
	static const char shorter[] = KEYS ONE "\0\" 0\n\0\0";
	struct descriptor d;

	(void)state;
	parse_ok(&d, nul, sizeof(nul));
	assert_int_equal(d.length, strlen(KEYS ONE));
	descriptor_free(&d);
	parse_ok(&d, nuls, sizeof(nuls));
	assert_int_equal(d.length, strlen(KEYS ONE));
	descriptor_free(&d);
	parse_ok(&d, shorter, sizeof(shorter));
	assert_int_equal(d.length, strlen(KEYS ONE));
	descriptor_free(&d);
}

/* Else it would be a smaller disk, and a grow would make it that. */
static void refuses_text_behind_zeroes(void **state)
{
	static const struct {
		size_t zeroes;
		const char *rest;
	} cases[] = {
		{ 512, "x" },
		{ 512, "\" 0\n" },
		{ 2, "\" 0\n" },
		{ 512, "f002.vmdk\" 0\nRW 2048 ZERO\n" },
		{ 1, "RW 2048 ZERO\n" },
		{ 1, KEYS ONE KEYS ONE },
	};
	char text[1024];
	struct svmdk_error err;
	struct descriptor d;
	size_t length, i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(text, 0, sizeof(text));
		length = sprintf(text, KEYS ONE) + cases[i].zeroes;
		length += sprintf(text + length, "%s", cases[i].rest);
		assert_int_equal(descriptor_parse(&d, text, length, &err), -1);
		assert_int_equal(err.line, 7);
		assert_has(err.text, "restore the descriptor from a copy");
	}
}

static void keeps_names_as_bytes(void **state)
{
	static const char text[] = KEYS "RW 1 FLAT \"caf\xe9 \\\\.\\x #1-flat.vmdk\" 0\n";
	struct descriptor d;

	(void)state;
	parse_ok(&d, text, strlen(text));
	assert_string_equal(d.extents[0].name, "caf\xe9 \\\\.\\x #1-flat.vmdk");
	descriptor_free(&d);
}

/* Each has its own words and the line that is at fault. */
static void refuses(void **state)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *why;
	} cases[] = {
		{ "", 0, "empty" },
		{ "hello\n", 0, "not a VMDK descriptor" },
		{ "# a comment\nname=x\n", 0, "not a VMDK descriptor" },
		{ "\x7f"
		  "ELF\x02\x01\x01",
		  0, "binary data" },
		{ "KDMV\x01", 0, "sparse VMDK (KDMV)" },
		{ "COWD\x01", 0, "sparse VMDK (COWD)" },
		{ KEYS, 0, "there are no extents" },
		{ HEAD ONE, 0, "no createType" },
		{ "# Disk DescriptorFile\nCID=1\n" TYPE ONE, 0, "no version" },
		{ "# Disk DescriptorFile\nversion=1\n" TYPE ONE, 0, "no CID" },

		/* cut in a line */
		{ KEYS ONE "RW 20", 7, "probably cut" },
		{ KEYS ONE "RW 2048 FL", 7, "probably cut" },
		{ KEYS ONE "RW 2048 FLAT \"a-f0", 7, "never ends" },
		{ KEYS ONE "RW 2048 FLAT \"a-f0", 7, "probably cut" },
		{ KEYS ONE "RW 2048 FLAT \"a-f002.vmdk\"", 7, "probably cut" },
		{ KEYS ONE "ddb.adap", 7, "probably cut" },
		{ KEYS ONE "ddb.adapterType = \"id", 7, "probably cut" },

		/* numbers */
		{ KEYS "RW -5 FLAT \"a\" 0\n", 6, "has a sign" },
		{ KEYS "RW +5 FLAT \"a\" 0\n", 6, "has a sign" },
		{ KEYS "RW 5x FLAT \"a\" 0\n", 6, "is no number" },
		{ KEYS "RW 0x10 FLAT \"a\" 0\n", 6, "is no number" },
		{ KEYS "RW FLAT \"a\" 0\n", 6, "is no number" },
		{ KEYS "RW\n", 6, "is missing" },
		{ KEYS "RW 18446744073709551616 FLAT \"a\" 0\n", 6, "too large" },
		{ KEYS "RW 36893488147419103240 FLAT \"a\" 0\n", 6, "too large" },
		{ KEYS "RW 18446744073709551615 FLAT \"a\" 0\n", 6, "too large" },
		{ KEYS "RW 18014398509481984 FLAT \"a\" 0\n", 6, "too large" },
		{ KEYS "RW 0 FLAT \"a\" 0\n", 6, "no sectors" },
		{ KEYS "RW 1 FLAT \"a\" -1\n", 6, "has a sign" },
		{ KEYS "RW 1 FLAT \"a\" 1k\n", 6, "is no number" },
		{ KEYS "RW 1 FLAT \"a\" 18014398509481983\n", 6, "offset is too large" },
		{ KEYS "RW 9007199254740992 ZERO\nRW 9007199254740992 ZERO\n", 7, "2^63" },

		/* words */
		{ KEYS "WR 1 FLAT \"a\" 0\n", 6, "unknown access WR" },
		{ KEYS "RW 1 FAT \"a\" 0\n", 6, "unknown extent type FAT" },
		{ KEYS "RW 1\n", 6, "type is missing" },
		{ KEYS "RW 1 FLAT\n", 6, "name is missing" },
		{ KEYS "RW 1 FLAT a 0\n", 6, "in quotes" },
		{ KEYS "RW 1 FLAT \"\" 0\n", 6, "name is empty" },
		{ KEYS "RW 1 FLAT \"\"a\"\" 0\n", 6, "doubled quotes" },
		{ KEYS "RW 1 FLAT \"a\"\" 0\n", 6, "doubled quotes" },
		{ KEYS "RW 1 FLAT \"a\"0\n", 6, "right after the quotes" },
		{ KEYS "RW 1 FLAT \"a\"\n", 6, "needs an offset" },
		{ KEYS "RW 1 FLAT \"a\" 0 b c d\n", 6, "after the end of the extent: d" },
		{ KEYS "RW 1 FLAT \"a\x1b[2J\" 0\n", 6, "control character, byte 0x1b" },
		{ KEYS "RW 1 FLAT \"a\rb\" 0\n", 6, "control character, byte 0x0d" },
		{ KEYS "RW 1 FLAT \"a\tb\" 0\n", 6, "a tab in the extent's file name" },
		{ KEYS "what is this\n" ONE, 6, "unknown line: what is this" },
		{ KEYS "a b=c\n" ONE, 6, "unknown line" },
		{ KEYS "iofilters=\"x\"\n" ONE, 6, "unknown key iofilters" },
		{ KEYS "CID=1\n" ONE, 6, "it is in line 3 already" },
		{ KEYS TYPE ONE, 6, "it is in line 5 already" },
		{ KEYS ONE "ddb.geometry.heads=1\nddb.geometry.heads=2\n", 8, "in line 7 already" },
		{ "# Disk DescriptorFile\nversion=4\n", 2, "unknown version 4" },
		{ "# Disk DescriptorFile\nversion=x\n", 2, "is no number" },
		{ "# Disk DescriptorFile\nversion=1\nCID=xyz\n", 3, "content ID" },
		{ "# Disk DescriptorFile\nversion=1\nCID=123456789\n", 3, "content ID" },
		{ "# Disk DescriptorFile\nversion=1\nCID=\n", 3, "content ID" },
		{ KEYS "encoding=\"\"UTF-8\"\"\n", 6, "doubled quotes" },
		{ KEYS "encoding=\"UTF-8\" x\n", 6, "text after the value" },
		{ KEYS "encoding=UTF\"8\n", 6, "quote within the value" },

		/* what the disk is */
		{ HEAD "createType=\"funny\"\n" ONE, 5, "unknown createType funny" },
		{ HEAD "createType=\"streamOptimized\"\n" ONE, 5, "streamOptimized is not flat" },
		{ HEAD "createType=\"monolithicSparse\"\n" ONE, 5, "is not flat" },
		{ KEYS "RW 1 SPARSE \"a\"\n", 6, "SPARSE extents are not flat" },
		{ KEYS "RW 1 VMFSSPARSE \"a\"\n", 6, "VMFSSPARSE extents" },
		{ KEYS "RW 1 SESPARSE \"a\"\n", 6, "SESPARSE extents" },
		{ KEYS "RW 1 VMFSRDM \"a\"\n", 6, "VMFSRDM extents are device maps" },
		{ KEYS "RW 1 VMFSRAW \"a\"\n", 6, "VMFSRAW extents are device maps" },
		{ KEYS ONE "RW 1 VMFS \"b\"\n", 7, "mixed types: VMFS here, FLAT in line 6" },
		{ KEYS "encryptionKeys=\"x\"\n" ONE, 6, "is encrypted" },
		{ KEYS "parentFileNameHint=\"p.vmdk\"\n" ONE, 6, "child of another one" },
		{ "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=00000001\n" TYPE ONE, 4,
		  "child of another one" },
	};
	struct svmdk_error err;
	struct descriptor d;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!descriptor_parse(&d, cases[i].text, strlen(cases[i].text), &err))
			fail_msg("taken: %s", cases[i].text);
		assert_has(err.text, cases[i].why);
		if (err.line != cases[i].line)
			fail_msg("line %u, not %u: %s", err.line, cases[i].line, err.text);
		assert_int_not_equal(err.code, 0);
		assert_null(d.extents);
		assert_null(d.text);
	}
}

/* The largest that fits into 2^63 bytes is fine; one sector more is not. */
static void reads_the_largest(void **state)
{
	static const char most[] = KEYS "RW 18014398509481983 ZERO\n";
	static const char more[] = KEYS "RW 18014398509481983 ZERO\nRW 1 ZERO\n";
	struct svmdk_error err;
	struct descriptor d;

	(void)state;
	parse_ok(&d, most, strlen(most));
	assert_int_equal(d.sectors, SECTORS_LIMIT - 1);
	descriptor_free(&d);
	assert_int_equal(descriptor_parse(&d, more, strlen(more), &err), -1);
	assert_int_equal(err.line, 7);
}

static void refuses_over_1_mib(void **state)
{
	const size_t length = DESCRIPTOR_MAX_BYTES + 1;
	char *text = malloc(length);
	struct svmdk_error err;
	struct descriptor d;

	(void)state;
	memset(text, '\n', length);
	memcpy(text, KEYS ONE, strlen(KEYS ONE));
	parse_ok(&d, text, length - 1);
	descriptor_free(&d);
	assert_int_equal(descriptor_parse(&d, text, length, &err), -1);
	assert_has(err.text, "larger than 1 MiB");
	free(text);
}

/* Many extents, and every one of them in its place. */
static void reads_many(void **state)
{
	const size_t nr = 20000;
	struct descriptor d;
	char *text;
	size_t length, i;
	FILE *f = open_memstream(&text, &length);

	(void)state;
	fputs(KEYS, f);
	for (i = 0; i < nr; i++)
		fprintf(f, "RW %zu FLAT \"m-f%03zu.vmdk\" 0\n", i + 1, i);
	fclose(f);
	parse_ok(&d, text, length);
	assert_int_equal(d.nr_extents, nr);
	assert_int_equal(d.sectors, nr * (nr + 1) / 2);
	assert_int_equal(d.extents[nr - 1].start, (nr - 1) * nr / 2);
	assert_string_equal(d.extents[1234].name, "m-f1234.vmdk");
	descriptor_free(&d);
	free(text);
}

/* No prefix of a good one makes the parser read past its end or crash. */
static void survives_every_cut(void **state)
{
	static const char text[] = KEYS ONE "RW 1 ZERO \"x\" 0 \"u\" d\nddb.a = \"b\"\n";
	struct svmdk_error err;
	struct descriptor d;
	size_t length;
	char *copy;

	(void)state;
	for (length = 0; length < sizeof(text); length++) {
		copy = malloc(length ? length : 1); /* so that ASan sees the end */
		memcpy(copy, text, length);
		if (descriptor_parse(&d, copy, length, &err) == 0)
			descriptor_free(&d);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all_of_it),
		cmocka_unit_test(reads_the_wild),
		cmocka_unit_test(stops_at_nul),
		cmocka_unit_test(refuses_text_behind_zeroes),
		cmocka_unit_test(keeps_names_as_bytes),
		cmocka_unit_test(refuses),
		cmocka_unit_test(reads_the_largest),
		cmocka_unit_test(refuses_over_1_mib),
		cmocka_unit_test(reads_many),
		cmocka_unit_test(survives_every_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
