// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/*
 * Any bytes as the list of files that an interrupted command left. What begins
 * with `@' gets the right header before it, so that it is followed: of what is
 * there, only what the descriptor does not name may go, and nothing outside of
 * its folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "leftovers.h"
#include "side_file.h"

#define LIST ".c.vmdk.svmdk-files"
#define HEADER "svmdk-files 1\n"
#define TEXT                                                                       \
	"# Disk DescriptorFile\nversion=1\nCID=a4c1\ncreateType=\"vmfs\"\n"        \
	"RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 8\nRW 8 FLAT \"sub/c\" 0\nRW 8 ZERO\n" \
	"RW 8 FLAT \"link\" 0\nRW 8 FLAT \"../outside/canary\" 0\n"

/* What stays as it is; "b" is longer than its extent, so that it can be trimmed. */
static const char *const kept[] = {
	"c.vmdk",	    "a", "b", "sub/c", "link", "linkdir", "fifo", "../outside/canary",
	"../outside/sub/c",
};

#define NR_KEPT (sizeof(kept) / sizeof(kept[0]))

static struct stat status[NR_KEPT];
static char scratch[PATH_MAX];
static struct container container;
static int box;

/* Nobody cuts the power here, and a disk would take most of the time. */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

/* The linker puts it in the place of message_warn(). */
void __wrap_message_warn(const char *file, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void __wrap_message_warn(const char *file, unsigned int line, const char *format, ...)
{
	char text[4096];
	va_list args;

	(void)line;
	va_start(args, format);
	HOLDS(file && vsnprintf(text, sizeof(text), format, args) > 0);
	va_end(args);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_scratch(void)
{
	container_close(&container);
	HOLDS(nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void make_file(const char *path, const char *text, off_t length)
{
	int fd = openat(box, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	HOLDS(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	HOLDS(ftruncate(fd, length) == 0);
	close(fd);
}

/* Of these nothing is named, so they go when the list has them. */
static void make_nobodys(void)
{
	make_file("x", "x", 1);
	make_file("sub/z", "z", 1);
	make_file("b", "b", 24 * 512);
}

static int free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

/* Nowhere does the process go itself: libFuzzer has paths of its own. */
static void make_world(void)
{
	const char *base = getenv("TMPDIR");
	struct svmdk_error err;
	char path[PATH_MAX + 16];
	size_t i;

	snprintf(scratch, sizeof(scratch), "%s/svmdk-fuzz-XXXXXX", base ? base : "/tmp");
	HOLDS(mkdtemp(scratch));
	snprintf(path, sizeof(path), "%s/box", scratch);
	HOLDS(mkdir(path, 0700) == 0);
	box = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	HOLDS(box >= 0 && mkdirat(box, "sub", 0700) == 0);
	HOLDS(mkdirat(box, "../outside", 0700) == 0 && mkdirat(box, "../outside/sub", 0700) == 0);
	make_file("../outside/canary", "canary", 8192);
	make_file("../outside/sub/c", "canary", 8192);
	make_file("c.vmdk", TEXT, strlen(TEXT));
	make_file("a", "a", 4096);
	make_file("sub/c", "c", 4096);
	HOLDS(symlinkat("../outside/canary", box, "link") == 0);
	HOLDS(symlinkat("../outside", box, "linkdir") == 0);
	HOLDS(mkfifoat(box, "fifo", 0600) == 0);
	make_nobodys();
	for (i = 0; i < NR_KEPT; i++)
		HOLDS(fstatat(box, kept[i], &status[i], AT_SYMLINK_NOFOLLOW) == 0);
	strcat(path, "/c.vmdk");
	HOLDS(container_open(&container, path, NULL, 0, &err) == 0);
	atexit(remove_scratch);
}

static void write_list(const uint8_t *data, size_t size)
{
	int fd = openat(box, LIST, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char self[SELF_LEN];

	HOLDS(fd >= 0);
	if (size && *data == '@') {
		HOLDS(self_line(fd, self) == 0);
		HOLDS(dprintf(fd, HEADER "%s", self) > 0);
		data++;
		size--;
	}
	HOLDS(write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void check_kept(const struct leftovers_found *found)
{
	struct stat st;
	size_t i;

	for (i = 0; i < NR_KEPT; i++) {
		HOLDS(fstatat(box, kept[i], &st, AT_SYMLINK_NOFOLLOW) == 0);
		HOLDS(st.st_ino == status[i].st_ino && st.st_mode == status[i].st_mode);
		if (found->trimmed && strcmp(kept[i], "b") == 0)
			HOLDS(st.st_size == 16 * 512);
		else
			HOLDS(st.st_size == status[i].st_size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct leftovers_found found = { 0 };
	struct svmdk_error err = { 0 };
	int next_fd;
	bool there;

	if (!*scratch)
		make_world();
	next_fd = free_fd();
	write_list(data, size);
	there = leftovers_recover(&container, &found, &err) != 0;
	if (there)
		check_error(&err);
	HOLDS((faccessat(box, LIST, F_OK, 0) == 0) == there);
	HOLDS(free_fd() == next_fd);
	HOLDS(found.removed <= 2 && found.trimmed <= size / 7);
	check_kept(&found);
	unlinkat(box, LIST, 0);
	if (found.removed || found.trimmed)
		make_nobodys();
	return 0;
}
