// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Which files a descriptor may name, and which are not even touched. */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "safe_open.h"
#include "scratch.h"

/*
 * in/      the descriptor's folder: its file c.vmdk, a, sub/b, …
 * out/     another one: x, and links into it
 */
struct fixture {
	struct scratch scratch;
	struct open_policy policy;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "in/socket" };
	struct svmdk_error err;
	char path[PATH_MAX + 4];
	struct stat st;
	int fd;

	scratch_enter(&f->scratch);
	assert_int_equal(mkdir("in", 0755), 0);
	assert_int_equal(mkdir("in/sub", 0755), 0);
	assert_int_equal(mkdir("out", 0755), 0);
	assert_int_equal(mkdir("outside", 0755), 0);
	scratch_file("in/c.vmdk", "descriptor", 0);
	scratch_file("in/a", "a", 4096);
	scratch_file("in/sub/b", "b", 4096);
	scratch_file("out/x", "x", 4096);
	scratch_file("outside/y", "y", 4096);
	assert_int_equal(link("in/c.vmdk", "in/hardlink"), 0);
	assert_int_equal(symlink("a", "in/link"), 0);
	assert_int_equal(symlink("sub", "in/dirlink"), 0);
	assert_int_equal(symlink("../out/x", "in/outlink"), 0);
	assert_int_equal(symlink("/proc/self/fd/0", "in/magic"), 0);
	assert_int_equal(symlink("x", "out/link"), 0);
	assert_int_equal(symlink("out", "alias"), 0);
	assert_int_equal(mkfifo("in/fifo", 0600), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);

	assert_int_equal(stat("in/c.vmdk", &st), 0);
	snprintf(path, sizeof(path), "%s/in", f->scratch.path);
	assert_int_equal(open_policy_init(&f->policy, path, &st, &err), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	open_policy_free(&f->policy);
	scratch_leave(&f->scratch);
	free(f);
	return 0;
}

/* 0 and the file's first byte, or the error code. */
static int try(const struct fixture *f, const char *name, int flags, char *first)
{
	struct svmdk_error err = { 0 };
	struct stat st;
	int fd;

	if (safe_open(&f->policy, name, flags, &fd, &st, &err)) {
		assert_int_not_equal(err.code, 0);
		assert_has(err.text, name);
		return err.code;
	}
	assert_true(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
	assert_int_equal(pread(fd, first, 1, 0), 1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	return 0;
}

static void expect(const struct fixture *f, const char *name, int code, char want)
{
	char first = 0;
	int got = try(f, name, O_RDWR, &first);

	if (got != code || first != want)
		fail_msg("%s: %s, not %s", name, strerror(got), strerror(code));
}

/* The same, of an absolute path below the scratch folder. */
static void expect_absolute(const struct fixture *f, const char *name, int code, char want)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", f->scratch.path, name);
	expect(f, path, code, want);
}

static void opens_in_the_folder(void **state)
{
	const struct fixture *f = *state;

	expect(f, "a", 0, 'a');
	expect(f, "./a", 0, 'a');
	expect(f, "sub/b", 0, 'b');
	expect(f, "sub//b", 0, 'b');
	expect(f, "sub/../a", 0, 'a');
	expect(f, "../in/a", 0, 'a');
	expect_absolute(f, "in/a", 0, 'a');
}

static void refuses_outside(void **state)
{
	const struct fixture *f = *state;

	expect(f, "../out/x", EXDEV, 0);
	expect(f, "sub/../../out/x", EXDEV, 0);
	expect(f, "../../../../../../../../etc/passwd", EXDEV, 0);
	expect(f, "/etc/passwd", EXDEV, 0);
	expect(f, "//etc/passwd", EXDEV, 0);
	expect(f, "/proc/self/fd/0", EXDEV, 0);
	expect(f, "/dev/null", EXDEV, 0);
	expect_absolute(f, "out/x", EXDEV, 0);
	expect_absolute(f, "in/../out/x", EXDEV, 0);
	/* A longer name that begins the same. */
	expect_absolute(f, "inside", EXDEV, 0);
	expect_absolute(f, "out", EXDEV, 0);
}

static void refuses_links(void **state)
{
	const struct fixture *f = *state;

	expect(f, "link", ELOOP, 0);
	expect(f, "dirlink/b", ELOOP, 0);
	expect(f, "outlink", ELOOP, 0);
	expect(f, "magic", ELOOP, 0);
}

static void refuses_what_is_no_file(void **state)
{
	const struct fixture *f = *state;

	expect(f, "sub", EISDIR, 0);
	expect(f, ".", EISDIR, 0);
	expect(f, "fifo", ENXIO, 0);
	expect(f, "socket", ENXIO, 0);
	expect(f, "missing", ENOENT, 0);
	expect(f, "a/b", ENOTDIR, 0);
}

static void refuses_the_descriptor(void **state)
{
	const struct fixture *f = *state;

	expect(f, "c.vmdk", EINVAL, 0);
	expect(f, "hardlink", EINVAL, 0);
}

/* A writer that waits for a reader would notice that the FIFO was opened. */
static void leaves_a_fifo_alone(void **state)
{
	const struct fixture *f = *state;
	int fd;

	expect(f, "fifo", ENXIO, 0);
	fd = open("in/fifo", O_WRONLY | O_NONBLOCK);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, ENXIO);
}

static void refuses_devices(void **state)
{
	const struct fixture *f = *state;

	if (mknod("in/chr", S_IFCHR | 0600, makedev(1, 3)) ||
	    mknod("in/blk", S_IFBLK | 0600, makedev(7, 0))) {
		print_message("skipped: not allowed to make device nodes here\n");
		skip();
	}
	expect(f, "chr", ENXIO, 0);
	expect(f, "blk", ENOTBLK, 0);
}

static void allows_by_name(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX + 8];
	struct svmdk_error err;

	assert_int_equal(open_policy_allow(&f->policy, "missing", &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(open_policy_allow(&f->policy, "in/a", &err), -1);
	assert_int_equal(err.code, ENOTDIR);
	snprintf(path, sizeof(path), "%s/alias", f->scratch.path);
	assert_int_equal(open_policy_allow(&f->policy, path, &err), 0);

	expect_absolute(f, "out/x", 0, 'x');
	expect_absolute(f, "alias/x", 0, 'x');
	expect_absolute(f, "alias//./x", 0, 'x');
	expect(f, "../out/x", 0, 'x');
	/* What was allowed before still is; what is beside it still is not. */
	expect(f, "a", 0, 'a');
	expect_absolute(f, "outside/y", EXDEV, 0);
	expect_absolute(f, "out/../outside/y", EXDEV, 0);
	/* Links are no more welcome there. */
	expect_absolute(f, "out/link", ELOOP, 0);
	expect(f, "outlink", ELOOP, 0);
	expect_absolute(f, "out", EISDIR, 0);
}

/* No effect on a character device either, allowed folder or not. */
static void refuses_character_devices_in_dev(void **state)
{
	struct fixture *f = *state;
	struct svmdk_error err;

	assert_int_equal(open_policy_allow(&f->policy, "/dev", &err), 0);
	expect(f, "/dev/null", ENXIO, 0);
	expect(f, "/dev/fd/0", ELOOP, 0);
	expect(f, "/dev/stdin", ELOOP, 0);
}

static void follows_udev_links(void **state)
{
	struct fixture *f = *state;
	char link[64], path[64];
	struct svmdk_error err;
	struct stat st;
	int fd;

	if (stat("/dev/loop0", &st) || !S_ISBLK(st.st_mode) || access("/dev", W_OK)) {
		print_message("skipped: no /dev/loop0, or not root\n");
		skip();
	}
	snprintf(link, sizeof(link), "/dev/svmdk-unit-%d", getpid());
	snprintf(path, sizeof(path), "/dev/../dev/svmdk-unit-%d", getpid());
	assert_int_equal(symlink("loop0", link), 0);
	assert_int_equal(safe_open(&f->policy, link, O_RDONLY, &fd, &st, &err), -1);
	assert_int_equal(err.code, EXDEV);
	assert_int_equal(safe_open(&f->policy, "/dev/loop0", O_RDONLY, &fd, &st, &err), -1);
	assert_int_equal(err.code, EXDEV);

	assert_int_equal(open_policy_allow(&f->policy, "/dev", &err), 0);
	if (safe_open(&f->policy, path, O_RDONLY, &fd, &st, &err) == 0) {
		assert_true(S_ISBLK(st.st_mode));
		close(fd);
	} else if (err.code != ENXIO) {
		/* An empty loop device may say that there is nothing in it. */
		unlink(link);
		fail_msg("%s", err.text);
	}
	assert_int_equal(unlink(link), 0);

	/* A link to a regular file is none of udev's, and none leaves /dev. */
	snprintf(path, sizeof(path), "/dev/svmdk-unit-file-%d", getpid());
	scratch_file(path, "x", 4096);
	assert_int_equal(symlink(path + strlen("/dev/"), link), 0);
	assert_int_equal(safe_open(&f->policy, link, O_RDONLY, &fd, &st, &err), -1);
	assert_int_equal(err.code, ELOOP);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("../etc/passwd", link), 0);
	assert_int_equal(safe_open(&f->policy, link, O_RDONLY, &fd, &st, &err), -1);
	assert_int_equal(err.code, ELOOP);
	assert_int_equal(unlink(link), 0);
}

static void finds_no_folder_of_no_name(void **state)
{
	static const char *const names[] = { "", ".", "sub/", "/", ".." };
	const struct fixture *f = *state;
	struct svmdk_error err;
	char *base, *name;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		/* Of its own, so that a sanitizer sees what is read before it. */
		name = strdup(names[i]);
		assert_int_equal(safe_open_folder(&f->policy, name, &fd, &base, &err), -1);
		assert_true(err.code == EISDIR || (*name == '.' && err.code == EXDEV));
		free(name);
	}
}

static void says_what_keeps_it_closed(void **state)
{
	const struct fixture *f = *state;
	struct svmdk_error err;
	struct stat st;
	int fd;

	if (geteuid() == 0) {
		print_message("skipped: root may open anything\n");
		skip();
	}
	assert_int_equal(chmod("in/a", 0400), 0);
	assert_int_equal(safe_open(&f->policy, "a", O_RDWR, &fd, &st, &err), -1);
	assert_int_equal(err.code, EACCES);
	assert_has(err.text, "Permission denied");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens_in_the_folder),
		TEST(refuses_outside),
		TEST(refuses_links),
		TEST(refuses_what_is_no_file),
		TEST(refuses_the_descriptor),
		TEST(leaves_a_fifo_alone),
		TEST(refuses_devices),
		TEST(allows_by_name),
		TEST(refuses_character_devices_in_dev),
		TEST(follows_udev_links),
		TEST(finds_no_folder_of_no_name),
		TEST(says_what_keeps_it_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
