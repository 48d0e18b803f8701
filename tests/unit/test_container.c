// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* A descriptor in its folder: opened, locked, replaced; its extents' files. */
#include "unit.h"

#include <errno.h>
#include <sys/resource.h>

#include "container.h"
#include "overlap.h"
#include "replace.h"
#include "scratch.h"

#define TEXT                                                               \
	"# Disk DescriptorFile\nversion=1\nCID=a4c1\nparentCID=ffffffff\n" \
	"createType=\"twoGbMaxExtentFlat\"\n"                              \
	"RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 8\nRDONLY 8 FLAT \"b\" 0\nRW 8 ZERO\n"

static int set_up(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	scratch_enter(s);
	scratch_file("c.vmdk", TEXT, 0);
	scratch_file("a", "a", 4096);
	scratch_file("b", "b", 8192);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	scratch_leave(*state);
	free(*state);
	return 0;
}

static void open_ok(struct container *c, const char *path)
{
	struct svmdk_error err;

	if (container_open(c, path, NULL, 0, &err))
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
}

static void opens(void **state)
{
	struct extent_file file;
	struct svmdk_error err;
	struct container c;
	size_t i;

	(void)state;
	open_ok(&c, "c.vmdk");
	assert_string_equal(c.path, "c.vmdk");
	assert_string_equal(c.name, "c.vmdk");
	assert_int_equal(c.descriptor.nr_extents, 4);
	for (i = 0; i < 3; i++) {
		assert_int_equal(container_open_extent(&c, i, O_RDWR, &file, &err), 0);
		assert_int_equal(file.size, i ? 8192 : 4096);
		assert_int_equal(fcntl(file.fd, F_GETFL) & O_ACCMODE, i == 2 ? O_RDONLY : O_RDWR);
		close(file.fd);
	}
	assert_int_equal(container_open_extent_writable(&c, 2, &file, &err), 0);
	assert_int_equal(fcntl(file.fd, F_GETFL) & O_ACCMODE, O_RDWR);
	close(file.fd);
	container_close(&c);
}

/* The user may use a link; the extents are beside the file it leads to. */
static void follows_the_users_link(void **state)
{
	struct extent_file file;
	struct svmdk_error err;
	struct container c;

	(void)state;
	assert_int_equal(mkdir("else", 0755), 0);
	assert_int_equal(symlink("../c.vmdk", "else/link"), 0);
	open_ok(&c, "else/link");
	assert_string_equal(c.name, "c.vmdk");
	assert_int_equal(container_open_extent(&c, 0, O_RDONLY, &file, &err), 0);
	close(file.fd);
	assert_int_equal(container_new_cid(&c, &err), 0);
	container_close(&c);
	/* The link is still one. */
	assert_true(readlink("else/link", (char[16]){ 0 }, 16) > 0);
}

static void refuses_to_open(void **state)
{
	static const struct {
		const char *path;
		int code;
	} cases[] = {
		{ "missing", ENOENT },	 { "dir", EISDIR },  { "fifo", EINVAL },
		{ "empty", EINVAL },	 { "large", EFBIG }, { "a", EINVAL },
		{ "c.vmdk/x", ENOTDIR },
	};
	struct svmdk_error err;
	struct container c;
	size_t i;

	(void)state;
	assert_int_equal(mkdir("dir", 0755), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	scratch_file("empty", "", 0);
	scratch_file("large", TEXT, (1 << 20) + 1);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(container_open(&c, cases[i].path, NULL, 0, &err), -1);
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.file, cases[i].path);
	}
}

static void says_how_short(void **state)
{
	struct extent_file file;
	struct svmdk_error err;
	struct container c;

	(void)state;
	assert_int_equal(truncate("b", 8191), 0);
	open_ok(&c, "c.vmdk");
	assert_int_equal(container_open_extent(&c, 1, O_RDONLY, &file, &err), -1);
	assert_int_equal(err.code, ENODATA);
	assert_has(err.text, "extent b is short: 1 bytes of 8192");
	assert_string_equal(err.file, "c.vmdk");
	assert_int_equal(err.line, 7);
	/* The part of it that is there is fine. */
	assert_int_equal(container_open_extent(&c, 2, O_RDONLY, &file, &err), 0);
	close(file.fd);
	container_close(&c);
}

/* One file, two names, one range. */
static void sees_through_hard_links(void **state)
{
	struct extent_file file;
	struct overlap o = { 0 };
	struct svmdk_error err;
	struct container c;
	size_t i;

	(void)state;
	assert_int_equal(unlink("a"), 0);
	assert_int_equal(link("b", "a"), 0);
	open_ok(&c, "c.vmdk");
	for (i = 0; i < 3; i++) {
		assert_int_equal(container_open_extent(&c, i, O_RDONLY, &file, &err), 0);
		assert_int_equal(overlap_add(&o, &c.descriptor.extents[i], i, &file, true, &err),
				 0);
		close(file.fd);
	}
	assert_int_equal(overlap_check(&o, &c, &err), -1);
	assert_int_equal(err.line, 8);
	assert_has(err.text, "extent b holds sectors that line 6 has too (a)");
	overlap_free(&o);
	container_close(&c);
}

static void locks(void **state)
{
	struct container one, two;
	struct svmdk_error err;

	(void)state;
	open_ok(&one, "c.vmdk");
	open_ok(&two, "c.vmdk");
	assert_int_equal(container_lock(&one, &err), 0);
	assert_int_equal(container_lock(&one, &err), 0);
	assert_int_equal(container_lock(&two, &err), -1);
	assert_int_equal(err.code, EWOULDBLOCK);
	assert_int_equal(container_new_cid(&two, &err), -1);
	container_close(&one);
	assert_int_equal(container_lock(&two, &err), 0);
	container_close(&two);
}

/* By range, so that a file at two offsets does not lock itself out. */
static void locks_extents(void **state)
{
	struct extent_file one, other, again, reader;
	struct svmdk_error err;
	struct container c;

	(void)state;
	scratch_file("c.vmdk",
		     "version=1\nCID=1\ncreateType=\"custom\"\n"
		     "RW 8 FLAT \"b\" 0\nRW 8 FLAT \"b\" 8\nRDONLY 8 FLAT \"b\" 0\n",
		     0);
	open_ok(&c, "c.vmdk");
	assert_int_equal(container_open_extent(&c, 0, O_RDWR, &one, &err), 0);
	assert_int_equal(container_open_extent(&c, 1, O_RDWR, &other, &err), 0);
	assert_int_equal(container_open_extent(&c, 0, O_RDWR, &again, &err), 0);
	assert_int_equal(container_open_extent(&c, 2, O_RDWR, &reader, &err), 0);
	assert_int_equal(container_lock_extent(&c, 0, &one, &err), 0);
	assert_int_equal(container_lock_extent(&c, 1, &other, &err), 0);
	assert_int_equal(container_lock_extent(&c, 2, &reader, &err), 0);
	assert_int_equal(container_lock_extent(&c, 0, &again, &err), -1);
	assert_int_equal(err.code, EBUSY);
	assert_int_equal(err.line, 4);
	close(one.fd);
	assert_int_equal(container_lock_extent(&c, 0, &again, &err), 0);
	close(other.fd);
	close(again.fd);
	close(reader.fd);
	container_close(&c);
}

/* Wherever in it, for all of it goes. */
static void locks_a_whole_file(void **state)
{
	struct flock writes = { .l_type = F_RDLCK, .l_start = 101, .l_len = 1 };
	struct extent_file other, whole, reader;
	struct svmdk_error err;
	struct container c;

	(void)state;
	scratch_file("c.vmdk",
		     "version=1\nCID=1\ncreateType=\"custom\"\n"
		     "RW 8 FLAT \"b\" 0\nRW 8 FLAT \"b\" 8\n",
		     0);
	open_ok(&c, "c.vmdk");
	assert_int_equal(container_open_extent(&c, 1, O_RDWR, &other, &err), 0);
	assert_int_equal(container_open_extent(&c, 0, O_RDWR, &whole, &err), 0);
	assert_int_equal(container_open_extent(&c, 0, O_RDONLY, &reader, &err), 0);

	assert_int_equal(container_lock_extent(&c, 1, &other, &err), 0);
	assert_int_equal(container_lock_whole(&c, 0, &whole, &err), -1);
	assert_int_equal(err.code, EBUSY);
	assert_int_equal(err.line, 4);
	assert_has(err.text, "attached by way of another descriptor");
	assert_int_equal(container_lock_whole(&c, 0, &reader, &err), -1);
	assert_int_equal(err.code, EBUSY);
	close(other.fd);

	/* A lock for reading keeps a writer away as well. */
	assert_int_equal(container_lock_whole(&c, 0, &reader, &err), 0);
	assert_int_equal(container_open_extent(&c, 1, O_RDWR, &other, &err), 0);
	assert_int_equal(container_lock_extent(&c, 1, &other, &err), -1);
	close(reader.fd);
	assert_int_equal(container_lock_whole(&c, 0, &whole, &err), 0);
	assert_int_equal(container_lock_extent(&c, 1, &other, &err), -1);
	close(whole.fd);

	assert_int_equal(fcntl(other.fd, F_OFD_SETLK, &writes), 0);
	assert_int_equal(container_open_extent(&c, 0, O_RDONLY, &reader, &err), 0);
	assert_int_equal(container_lock_whole(&c, 0, &reader, &err), -1);
	assert_has(err.text, "QEMU writes to it");
	close(reader.fd);
	close(other.fd);
	container_close(&c);
}

/* Whether a program that speaks QEMU's protocol would find @byte locked. */
static int is_locked(int fd, off_t byte)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = byte, .l_len = 1 };

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type != F_UNLCK;
}

static void speaks_qemus_protocol(void **state)
{
	struct flock writes = { .l_type = F_RDLCK, .l_start = 101, .l_len = 1 };
	struct extent_file file;
	struct svmdk_error err;
	struct container c;
	int qemu = open("a", O_RDWR | O_CLOEXEC);

	(void)state;
	open_ok(&c, "c.vmdk");
	assert_int_equal(container_open_extent(&c, 0, O_RDWR, &file, &err), 0);
	assert_int_equal(container_lock_extent(&c, 0, &file, &err), 0);
	assert_true(is_locked(qemu, 201)); /* a writer may not begin */
	assert_false(is_locked(qemu, 101)); /* a reader may */
	assert_false(is_locked(qemu, 200));
	close(file.fd);
	assert_false(is_locked(qemu, 201));

	assert_int_equal(fcntl(qemu, F_OFD_SETLK, &writes), 0);
	assert_int_equal(container_open_extent(&c, 0, O_RDWR, &file, &err), 0);
	assert_int_equal(container_lock_extent(&c, 0, &file, &err), -1);
	assert_has(err.text, "QEMU writes to it");
	close(file.fd);
	close(qemu);
	container_close(&c);
}

/* Who waits for his turn must not go on with what he read before. */
static void notices_a_change(void **state)
{
	struct container one, two;
	struct svmdk_error err;

	(void)state;
	open_ok(&one, "c.vmdk");
	open_ok(&two, "c.vmdk");
	assert_int_equal(container_new_cid(&one, &err), 0);
	assert_int_equal(container_lock(&two, &err), -1);
	assert_int_equal(err.code, ESTALE);
	container_close(&one);
	container_close(&two);
}

static void gives_a_new_cid(void **state)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat before, after;
	struct svmdk_error err;
	struct container c;
	char *text, want[sizeof(TEXT) + 8];
	uint32_t first;
	size_t length;

	(void)state;
	assert_int_equal(chmod("c.vmdk", 0640), 0);
	assert_int_equal(stat("c.vmdk", &before), 0);
	open_ok(&c, "c.vmdk");
	assert_int_equal(container_new_cid(&c, &err), 0);
	first = c.descriptor.cid;
	assert_int_not_equal(first, 0xa4c1);
	snprintf(want, sizeof(want), "%.*s%08x%s", (int)(strstr(TEXT, "a4c1") - TEXT), TEXT, first,
		 strstr(TEXT, "a4c1") + 4);
	text = scratch_read("c.vmdk", &length);
	assert_string_equal(text, want);
	free(text);
	assert_int_equal(stat("c.vmdk", &after), 0);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_not_equal(after.st_ino, before.st_ino);

	/* With the lock held, and again; later by its time, whatever the clock says. */
	assert_int_equal(container_lock(&c, &err), 0);
	times[1].tv_sec = after.st_mtim.tv_sec + 1000;
	assert_int_equal(futimens(c.fd, times) | fstat(c.fd, &c.st), 0);
	assert_int_equal(container_new_cid(&c, &err), 0);
	assert_int_equal(stat("c.vmdk", &after), 0);
	assert_true(after.st_mtim.tv_sec > times[1].tv_sec);
	assert_true(c.locked);
	assert_int_not_equal(c.descriptor.cid, first);
	container_close(&c);
	/* Nothing is left beside it: c.vmdk, a, b. */
	assert_int_equal(system("test $(ls -A | wc -l) = 3"), 0);
}

/* A descriptor that was lost meanwhile is not made up again. */
static void gives_no_cid_to_what_is_gone(void **state)
{
	struct svmdk_error err;
	struct container c;

	(void)state;
	open_ok(&c, "c.vmdk");
	assert_int_equal(unlink("c.vmdk"), 0);
	assert_int_equal(container_new_cid(&c, &err), -1);
	assert_int_equal(err.code, ENOENT);
	container_close(&c);
	assert_int_equal(access("c.vmdk", F_OK), -1);
}

static void creates_once(void **state)
{
	struct svmdk_error err;
	size_t length;
	char *text;
	int fd;

	(void)state;
	assert_int_equal(replace_create(AT_FDCWD, "new", 0644, "one", 3, &err), 0);
	assert_int_equal(replace_create(AT_FDCWD, "new", 0644, "two", 3, &err), -1);
	assert_int_equal(err.code, EEXIST);
	text = scratch_read("new", &length);
	assert_string_equal(text, "one");
	free(text);
	assert_int_equal(replace_file_locked(AT_FDCWD, "none", "x", 1, &fd, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(symlink("new", "link"), 0);
	assert_int_equal(replace_file_locked(AT_FDCWD, "link", "x", 1, &fd, &err), -1);
	assert_int_equal(err.code, EINVAL);
}

static void counts_open_files(void **state)
{
	const struct rlimit few = { 100, 100 };
	struct rlimit before;

	(void)state;
	assert_true(container_batch(1) == 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(container_batch(1000), 36);
	assert_int_equal(container_batch(10), 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens),
		TEST(follows_the_users_link),
		TEST(refuses_to_open),
		TEST(says_how_short),
		TEST(sees_through_hard_links),
		TEST(locks),
		TEST(locks_extents),
		TEST(locks_a_whole_file),
		TEST(speaks_qemus_protocol),
		TEST(notices_a_change),
		TEST(gives_a_new_cid),
		TEST(gives_no_cid_to_what_is_gone),
		TEST(creates_once),
		TEST(counts_open_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
