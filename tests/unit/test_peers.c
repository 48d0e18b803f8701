// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* What other programs would choke on is said, and nothing else. */
#include "unit.h"

#include <stdio.h>

#include "peers.h"
#include "scratch.h"

#define KEYS "# Disk DescriptorFile\nversion=1\nCID=a4c1e30f\nparentCID=ffffffff\n"
#define TYPE "createType=\"twoGbMaxExtentFlat\"\n"
#define ONE "RW 4096 FLAT \"a\" 0\n"
#define GEOMETRY "ddb.geometry.heads=\"16\"\nddb.geometry.sectors=\"63\"\n"

/* Writes it down, opens it, and returns what stderr says; to be freed. */
static char *warnings_of(const char *text, off_t length, unsigned int *nr)
{
	FILE *f = tmpfile();
	char *said = calloc(1, 8192);
	struct svmdk_error err;
	struct container c;
	int saved;

	scratch_file("c.vmdk", text, length);
	if (container_open(&c, "c.vmdk", NULL, 0, &err))
		fail_msg("%s", err.text);
	saved = dup(STDERR_FILENO);
	dup2(fileno(f), STDERR_FILENO);
	*nr = peer_warn_container(&c);
	dup2(saved, STDERR_FILENO);
	close(saved);
	container_close(&c);
	rewind(f);
	assert_true(fread(said, 1, 8191, f) < 8191);
	fclose(f);
	return said;
}

static void warns(void **state)
{
	static const struct {
		const char *text;
		off_t length; /* of the file, when it has NULs behind the text */
		const char *said;
	} cases[] = {
		{ KEYS TYPE ONE, 0, NULL },
		{ KEYS TYPE "# Extent description\n" ONE ONE, 512, NULL },
		{ KEYS TYPE ONE GEOMETRY "ddb.geometry.cylinders=\"4\"\n", 0, NULL },
		{ KEYS TYPE ONE GEOMETRY "ddb.geometry.cylinders=\"5\"\n", 0, "VMware trusts it" },
		{ "version=1\nCID=a4c1\n" TYPE ONE, 512, "QEMU cuts the end" },
		{ "version=1\nCID=a4c1\n" TYPE ONE, 513, NULL },
		{ KEYS TYPE "\n" ONE, 0, "c.vmdk:7: warning: QEMU counts an extent twice" },
		{ KEYS TYPE " \t\r\n" ONE, 0, "QEMU counts an extent twice" },
		{ KEYS TYPE "RDONLY 1 FLAT \"a\" 0\n", 0, ":6: warning: QEMU skips RDONLY" },
		{ KEYS TYPE "NOACCESS 1 FLAT \"a\" 0\n", 0, "QEMU skips NOACCESS" },
		{ KEYS TYPE "RW 1 ZERO\n" ONE, 0,
		  "QEMU skips ZERO extents, so that everything after" },
		{ KEYS TYPE "rw 1 FLAT \"A\" 0\n", 0, "QEMU skips lower-case" },
		{ KEYS "createtype=\"custom\"\n" ONE, 0, "QEMU refuses the descriptor" },
		{ KEYS "createType=custom\n" ONE, 0, "QEMU refuses the descriptor" },
		{ KEYS "createType=\"vmfs\"\nRW 1 VMFS \"a\" 0\n", 0, NULL },
		{ KEYS "createType=\"vmfs\"\nRW 1 VMFS \"a\" 1\n", 0, "QEMU refuses a VMFS" },
		{ KEYS "createType=\"monolithicFlat\"\n" ONE ONE, 0, "VMware expects one extent" },
	};
	struct scratch scratch;
	unsigned int nr;
	char *said;
	size_t i;

	(void)state;
	scratch_enter(&scratch);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		said = warnings_of(cases[i].text, cases[i].length, &nr);
		if (nr != !!cases[i].said)
			fail_msg("%u warnings of %s\n%s", nr, cases[i].text, said);
		if (cases[i].said)
			assert_has(said, cases[i].said);
		free(said);
	}
	scratch_leave(&scratch);
}

/* The same for size: one more than each limit allows. */
static void knows_limits(void **state)
{
	const struct peer_facts fine = { 10240, 1100, 1014 };
	const struct peer_facts cases[] = {
		{ 10241, 1100, 1014 },
		{ 10240, 1101, 1014 },
		{ 10240, 1100, 1015 },
	};
	const struct peer_facts most = { (128 << 10) + 1, 1100, 1014 };
	int saved = dup(STDERR_FILENO);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	unsigned int nr[5];
	size_t i;

	(void)state;
	dup2(null, STDERR_FILENO);
	nr[0] = peer_warn_limits("c", &fine);
	for (i = 0; i < 3; i++)
		nr[i + 1] = peer_warn_limits("c", &cases[i]);
	nr[4] = peer_warn_limits("c", &most);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	assert_int_equal(nr[0], 0);
	for (i = 1; i < 4; i++)
		assert_int_equal(nr[i], 1);
	assert_int_equal(nr[4], 2);
}

static void counts_lines(void **state)
{
	(void)state;
	assert_int_equal(peer_count_lines("", 0), 0);
	assert_int_equal(peer_count_lines("a", 1), 1);
	assert_int_equal(peer_count_lines("a\n", 2), 1);
	assert_int_equal(peer_count_lines("a\n\nb", 4), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warns),
		cmocka_unit_test(knows_limits),
		cmocka_unit_test(counts_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
