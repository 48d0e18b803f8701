// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The manifest: written as sha256sum writes, read as what may be hostile. */
#include "unit.h"

#include <errno.h>

#include "manifest_file.h"
#include "scratch.h"
#include "side_file.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

static int set_up(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	scratch_enter(s);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	scratch_leave(*state);
	free(*state);
	return 0;
}

static void read_text(struct manifest *m, const char *text)
{
	struct svmdk_error err;

	scratch_file("m", text, 0);
	if (manifest_read(m, AT_FDCWD, "m", &err))
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
}

static void reads_what_sha256sum_writes(void **state)
{
	const struct manifest_line *line;
	struct manifest m;

	(void)state;
	read_text(&m, A "  one\n" B " *two words \r\n\\" A "  b\\\\ack\\nslash\n# comment\n\n" A
			"  last");
	assert_int_equal(m.nr, 4);
	line = manifest_find(&m, "one");
	assert_int_equal(line->hash[0], 0xaa);
	assert_int_equal(line->line, 1);
	line = manifest_find(&m, "two words ");
	assert_int_equal(line->hash[31], 0xbb);
	assert_non_null(manifest_find(&m, "b\\ack\nslash"));
	assert_int_equal(manifest_find(&m, "last")->line, 6);
	assert_null(manifest_find(&m, "absent"));
	manifest_free(&m);
	assert_null(manifest_find(&m, "one"));
}

static void refuse(const char *text, unsigned int line, const char *why)
{
	struct svmdk_error err;
	struct manifest m;

	scratch_file("m", text, 0);
	assert_int_equal(manifest_read(&m, AT_FDCWD, "m", &err), -1);
	assert_string_equal(err.file, "m");
	assert_int_equal(err.line, line);
	assert_has(err.text, why);
	assert_int_equal(m.nr, 0);
}

static void refuses_other_lines(void **state)
{
	(void)state;
	refuse(A "  one\n" A " one\n", 2, "not a line as sha256sum");
	refuse(A "\n", 1, "not a line");
	refuse(A "  \n", 1, "not a line");
	refuse("aaaa  one\n", 1, "not a line");
	refuse("SHA256 (one) = " A "\n", 1, "not a line");
	refuse("\\" A "  b\\ack\n", 1, "not a line");
	refuse("\\\n", 1, "not a line");
	refuse(A "  one\n" A "  two\n" B "  one\n", 3, "stands in line 1 already");
}

static void stops_at_a_nul_in_a_line(void **state)
{
	struct svmdk_error err;
	struct manifest m;
	int fd;

	(void)state;
	scratch_file("m", A "  one", 0);
	fd = open("m", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "\0two\n", 5), 5);
	close(fd);
	assert_int_equal(manifest_read(&m, AT_FDCWD, "m", &err), -1);
	assert_int_equal(err.line, 1);
}

static void refuses_what_is_no_file(void **state)
{
	struct svmdk_error err;
	struct manifest m;

	(void)state;
	assert_int_equal(manifest_read(&m, AT_FDCWD, "m", &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(mkfifo("m", 0600), 0);
	assert_int_equal(manifest_read(&m, AT_FDCWD, "m", &err), -1);
	assert_int_equal(err.code, EINVAL);
	assert_int_equal(unlink("m"), 0);
	scratch_file("file", A "  one\n", 0);
	assert_int_equal(symlink("file", "m"), 0);
	assert_int_equal(manifest_read(&m, AT_FDCWD, "m", &err), -1);
	assert_int_equal(err.code, EINVAL);
	assert_int_equal(unlink("m"), 0);
	assert_int_equal(symlink("/etc/nothing", "m"), 0);
	assert_int_equal(manifest_read(&m, AT_FDCWD, "m", &err), -1);
	assert_int_equal(err.code, EINVAL);
}

static void refuses_absurd_sizes(void **state)
{
	struct svmdk_error err;
	struct manifest m;

	(void)state;
	scratch_file("m", "", (off_t)1 << 40);
	assert_int_equal(manifest_read(&m, AT_FDCWD, "m", &err), -1);
	assert_int_equal(err.code, EFBIG);
}

static void add(struct manifest *m, const char *name, unsigned char byte)
{
	unsigned char hash[HASH_SIZE];

	memset(hash, byte, sizeof(hash));
	assert_int_equal(manifest_add(m, name, hash), 0);
}

static void writes_what_it_reads(void **state)
{
	struct stat like = { .st_mode = S_IFREG | 0640, .st_uid = getuid(), .st_gid = getgid() };
	struct manifest m = { 0 };
	struct svmdk_error err;
	struct stat st;
	size_t length;
	char *text;

	(void)state;
	add(&m, "z", 0xaa);
	add(&m, "b\\ack\nslash\r", 0xaa);
	add(&m, "a", 0x01);
	assert_int_equal(manifest_write(&m, AT_FDCWD, "m", &like, &err), 0);
	manifest_free(&m);
	assert_int_equal(stat("m", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	text = scratch_read("m", &length);
	assert_string_equal(text,
			    A "  z\n\\" A "  b\\\\ack\\nslash\\r\n"
			      "0101010101010101010101010101010101010101010101010101010101010101"
			      "  a\n");
	free(text);
	assert_int_equal(manifest_read(&m, AT_FDCWD, "m", &err), 0);
	assert_int_equal(m.nr, 3);
	assert_non_null(manifest_find(&m, "b\\ack\nslash\r"));
	manifest_free(&m);
}

/* The one that is there keeps its mode, and a link is not written through. */
static void replaces(void **state)
{
	struct stat like = { .st_mode = S_IFREG | 0644, .st_uid = getuid(), .st_gid = getgid() };
	struct manifest m = { 0 };
	struct svmdk_error err;
	struct stat st;

	(void)state;
	scratch_file("m", "old", 0);
	assert_int_equal(chmod("m", 0600), 0);
	add(&m, "a", 1);
	assert_int_equal(manifest_write(&m, AT_FDCWD, "m", &like, &err), 0);
	assert_int_equal(stat("m", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(symlink("m", "link"), 0);
	assert_int_equal(manifest_write(&m, AT_FDCWD, "link", &like, &err), -1);
	assert_has(err.text, "not a regular file");
	manifest_free(&m);
}

static void escapes_names(void **state)
{
	char to[32];

	(void)state;
	assert_int_equal(name_escape(to, "plain \xff"), 7);
	assert_string_equal(to, "plain \xff");
	assert_int_equal(name_escape(to, "a\\\n\rb"), 8);
	assert_string_equal(to, "a\\\\\\n\\rb");
	assert_int_equal(name_unescape(to), 0);
	assert_string_equal(to, "a\\\n\rb");
	strcpy(to, "a\\t");
	assert_int_equal(name_unescape(to), -1);
	strcpy(to, "a\\");
	assert_int_equal(name_unescape(to), -1);
}

static int check_shape(const struct manifest *m, const char *lines, struct svmdk_error *err)
{
	struct descriptor d;
	char *text;
	int ret;

	assert_true(asprintf(&text, "version=1\nCID=1\ncreateType=\"twoGbMaxExtentFlat\"\n%s",
			     lines) > 0);
	if (descriptor_parse(&d, text, strlen(text), err))
		fail_msg("%u: %s", err->line, err->text);
	ret = manifest_check_shape(m, AT_FDCWD, "m", &d, "disk", err);
	descriptor_free(&d);
	free(text);
	return ret;
}

static void knows_when_it_is_of_other_extents(void **state)
{
	struct svmdk_error err;
	struct manifest m;

	(void)state;
	read_text(&m, A "  a\n" A "  b\n" A "  disk\n");
	scratch_file("c", "", 0);
	assert_int_equal(check_shape(&m, "RW 1 FLAT \"a\" 0\nRW 1 FLAT \"b\" 0\n", &err), 0);
	/* It has grown; it has lost one, or a line was added; both. */
	assert_int_equal(
		check_shape(&m, "RW 1 FLAT \"a\" 0\nRW 1 FLAT \"b\" 0\nRW 1 FLAT \"c\" 0\n", &err),
		0);
	assert_int_equal(check_shape(&m, "RW 1 FLAT \"a\" 0\nRW 1 ZERO\n", &err), 0);
	assert_int_equal(check_shape(&m, "RW 1 FLAT \"a\" 0\nRW 1 FLAT \"c\" 0\n", &err), -1);
	assert_string_equal(err.file, "m");
	assert_int_equal(err.line, 2);
	assert_non_null(strstr(err.text, "b is no extent of the container"));
	/* A name that was damaged leads nowhere. */
	assert_int_equal(check_shape(&m, "RW 1 FLAT \"a\" 0\nRW 1 FLAT \"d\" 0\n", &err), 0);
	manifest_free(&m);
}

static void knows_when_it_was_cut_short(void **state)
{
	struct svmdk_error err;
	struct manifest m;

	(void)state;
	read_text(&m, A "  a\n" A "  b\n");
	assert_int_equal(check_shape(&m, "RW 1 FLAT \"a\" 0\nRW 1 FLAT \"b\" 0\n", &err), -1);
	assert_string_equal(err.file, "m");
	assert_non_null(strstr(err.text, "no line for disk, so it was cut short"));
	manifest_free(&m);
	read_text(&m, "");
	assert_int_equal(check_shape(&m, "RW 1 FLAT \"a\" 0\n", &err), -1);
	manifest_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_what_sha256sum_writes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_other_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stops_at_a_nul_in_a_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_absurd_sizes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(writes_what_it_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(replaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(knows_when_it_is_of_other_extents, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(knows_when_it_was_cut_short, set_up, tear_down),
		cmocka_unit_test(escapes_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
