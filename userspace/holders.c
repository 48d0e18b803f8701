// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <libmount.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "holders.h"
#include "sysfs.h"

#define TEXT_NAMED 8 /* holders that holders_text() names */

/**
 * struct search - where a search is
 * @holders: what was found
 * @blocks: the disk, then its partitions
 * @nr: number of these
 * @mounted: for each of them, whether a mount of ours was found
 */
struct search {
	struct holders *holders;
	struct sysfs_block *blocks;
	int nr;
	bool *mounted;
};

/* A partition is named; the disk need not be, for the message is about it. */
__attribute__((format(printf, 4, 5))) static void add(struct search *s, int i, bool transient,
						      const char *format, ...)
{
	struct holder *more = realloc(s->holders->list, (s->holders->nr + 1) * sizeof(*more));
	char what[PATH_MAX + 256];
	va_list args;

	if (!more)
		return;
	s->holders->list = more;
	more += s->holders->nr;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (asprintf(&more->text, "%s%s%s", i ? s->blocks[i].name : "", i ? " " : "", what) < 0)
		return;
	more->transient = transient;
	s->holders->nr++;
}

static int find_devno(const struct search *s, dev_t devno)
{
	int i;

	for (i = 0; devno && i < s->nr; i++)
		if (s->blocks[i].devno == devno)
			return i;
	return -1;
}

static dev_t path_devno(const char *path)
{
	struct statx st;

	/* Never ask a server: one that is gone would take us along. */
	if (!path || path[0] != '/' ||
	    statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &st) != 0)
		return 0;
	return S_ISBLK(st.stx_mode) ? makedev(st.stx_rdev_major, st.stx_rdev_minor) : 0;
}

/* A btrfs of several devices is mounted by the name of one of them. */
static int find_btrfs_member(const struct search *s, dev_t devno)
{
	char source[SYSFS_NAME_LEN], path[PATH_MAX];
	struct dirent *entry;
	int i, found = -1;
	DIR *dir;

	if (!devno || sysfs_name(devno, source) != 0)
		return -1;
	dir = opendir("/sys/fs/btrfs");
	while (dir && found < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/fs/btrfs/%s/devices/%s", entry->d_name, source);
		if (access(path, F_OK) != 0)
			continue;
		for (i = 0; i < s->nr && found < 0; i++) {
			snprintf(path, sizeof(path), "/sys/fs/btrfs/%s/devices/%s", entry->d_name,
				 s->blocks[i].name);
			if (access(path, F_OK) == 0)
				found = i;
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

static int find_mount(const struct search *s, struct libmnt_fs *fs)
{
	const char *type = mnt_fs_get_fstype(fs);
	int i = find_devno(s, mnt_fs_get_devno(fs));

	/* btrfs has a made-up device number. */
	if (i < 0 && type && strcmp(type, "btrfs") == 0) {
		const dev_t devno = path_devno(mnt_fs_get_srcpath(fs));

		i = find_devno(s, devno);
		if (i < 0)
			i = find_btrfs_member(s, devno);
	}
	return i;
}

/* @pid is 0 for our own mount namespace. */
static void search_mounts(struct search *s, const char *mountinfo, long pid)
{
	struct libmnt_table *table = mnt_new_table_from_file(mountinfo);
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	while (table && iter && mnt_table_next_fs(table, iter, &fs) == 0) {
		const char *target = mnt_fs_get_target(fs), *type = mnt_fs_get_fstype(fs);
		const int i = find_mount(s, fs);

		if (i < 0 || (pid && s->mounted[i]))
			continue;
		s->mounted[i] = true;
		if (pid)
			add(s, i, false, "mounted on %s (%s) where process %ld sees it", target,
			    type, pid);
		else
			add(s, i, false, "mounted on %s (%s)", target, type);
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
}

static void search_swaps(struct search *s)
{
	struct libmnt_table *table = mnt_new_table();
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	if (!table || !iter || mnt_table_parse_swaps(table, NULL) != 0)
		goto out;
	while (mnt_table_next_fs(table, iter, &fs) == 0) {
		const int i = find_devno(s, path_devno(mnt_fs_get_srcpath(fs)));

		if (i >= 0)
			add(s, i, false, "used as swap");
	}
out:
	mnt_free_iter(iter);
	mnt_unref_table(table);
}

/* Device-mapper, md and the like say what they are built upon. */
static void search_upper(struct search *s, int i)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/block/%s/holders", s->blocks[i].name);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char name[256];

		if (entry->d_name[0] == '.')
			continue;
		if (sysfs_attr(entry->d_name, "dm/name", name, sizeof(name)) == 0)
			add(s, i, false, "beneath %s (%s)", entry->d_name, name);
		else
			add(s, i, false, "beneath %s", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static void search_loops(struct search *s)
{
	DIR *dir = opendir("/sys/class/block");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char file[PATH_MAX];
		int i;

		if (strncmp(entry->d_name, "loop", 4) != 0 ||
		    sysfs_attr(entry->d_name, "loop/backing_file", file, sizeof(file)) != 0)
			continue;
		i = find_devno(s, path_devno(file));
		if (i >= 0)
			add(s, i, false, "beneath %s", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

/* They look at every disk that comes or changes, and let go within a moment. */
static bool is_prober(const char *comm)
{
	static const char *const probers[] = {
		"systemd-udevd", "(udev-worker)", "udevd", "blkid", "udisksd",
	};
	size_t i;

	for (i = 0; i < sizeof(probers) / sizeof(probers[0]); i++)
		if (strcmp(comm, probers[i]) == 0)
			return true;
	return false;
}

static void read_comm(int proc, char *comm, size_t size)
{
	int fd = openat(proc, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : read(fd, comm, size - 1);

	if (fd >= 0)
		close(fd);
	comm[length > 0 ? length : 0] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
}

static int openat_dir(int at, const char *path, DIR **dir)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*dir = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !*dir)
		close(fd);
	return *dir ? 0 : -1;
}

/* Once for each process and block device, however often it is open. */
static void search_process(struct search *s, int proc, long pid)
{
	int i, found = -1;
	struct dirent *entry;
	char comm[64];
	DIR *dir;

	if (openat_dir(proc, "fd", &dir) != 0)
		return;
	while ((entry = readdir(dir))) {
		struct statx st;

		if (entry->d_name[0] == '.' ||
		    statx(dirfd(dir), entry->d_name, AT_STATX_DONT_SYNC, STATX_TYPE, &st) != 0 ||
		    !S_ISBLK(st.stx_mode))
			continue;
		i = find_devno(s, makedev(st.stx_rdev_major, st.stx_rdev_minor));
		if (i < 0 || i == found)
			continue;
		found = i;
		read_comm(proc, comm, sizeof(comm));
		add(s, i, is_prober(comm), "held open by %ld (%s)", pid, comm);
	}
	closedir(dir);
}

/* A service with mounts of its own keeps what we have unmounted. */
static void search_namespace(struct search *s, int proc, long pid, ino_t **seen, size_t *nr_seen)
{
	char mountinfo[64];
	struct stat st;
	ino_t *more;
	size_t i;

	if (fstatat(proc, "ns/mnt", &st, 0) != 0)
		return;
	for (i = 0; i < *nr_seen; i++)
		if ((*seen)[i] == st.st_ino)
			return;
	more = realloc(*seen, (*nr_seen + 1) * sizeof(*more));
	if (!more)
		return;
	more[(*nr_seen)++] = st.st_ino;
	*seen = more;
	snprintf(mountinfo, sizeof(mountinfo), "/proc/%ld/mountinfo", pid);
	search_mounts(s, mountinfo, pid);
}

static void search_processes(struct search *s)
{
	ino_t *seen = calloc(1, sizeof(*seen));
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t nr_seen = 0;
	struct stat own;

	if (seen && stat("/proc/self/ns/mnt", &own) == 0)
		seen[nr_seen++] = own.st_ino;
	while (dir && (entry = readdir(dir))) {
		const long pid = strtol(entry->d_name, NULL, 10);
		int proc;

		if (!isdigit((unsigned char)entry->d_name[0]) || pid == getpid())
			continue;
		proc = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (proc < 0)
			continue;
		search_process(s, proc, pid);
		search_namespace(s, proc, pid, &seen, &nr_seen);
		close(proc);
	}
	if (dir)
		closedir(dir);
	free(seen);
}

void holders_find(struct holders *holders, const char *disk)
{
	struct search s = { .holders = holders };
	int i;

	memset(holders, 0, sizeof(*holders));
	s.nr = sysfs_disk_and_parts(disk, &s.blocks);
	s.mounted = s.nr > 0 ? calloc(s.nr, sizeof(*s.mounted)) : NULL;
	if (s.mounted) {
		search_mounts(&s, "/proc/self/mountinfo", 0);
		search_swaps(&s);
		for (i = 0; i < s.nr; i++)
			search_upper(&s, i);
		search_loops(&s);
		search_processes(&s);
	}
	free(s.mounted);
	free(s.blocks);
}

bool holders_are_transient(const struct holders *holders)
{
	size_t i;

	for (i = 0; i < holders->nr; i++)
		if (!holders->list[i].transient)
			return false;
	return true;
}

char *holders_text(const struct holders *holders)
{
	char *text = NULL;
	size_t size, i;
	FILE *out;

	if (!holders->nr)
		return NULL;
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	for (i = 0; i < holders->nr && i < TEXT_NAMED; i++)
		fprintf(out, "%s%s", i ? ", " : "", holders->list[i].text);
	if (i < holders->nr)
		fprintf(out, ", and %zu more", holders->nr - i);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

void holders_free(struct holders *holders)
{
	size_t i;

	for (i = 0; i < holders->nr; i++)
		free(holders->list[i].text);
	free(holders->list);
	memset(holders, 0, sizeof(*holders));
}
