// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmount.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mounted.h"
#include "sysfs.h"

/* A loop device on a file on a loop device on …: more is a mistake. */
#define MAX_DEPTH 16

/**
 * struct device_above - a block device that the disk is beneath, or the disk
 * @block: its name and number
 * @depth: how many file systems lie between
 */
struct device_above {
	struct sysfs_block block;
	unsigned int depth;
};

/**
 * struct walk - where a search is
 * @mounted: what was found
 * @devices: the disk, its partitions, and what is built upon them
 * @nr: number of these
 * @failed: there was no memory
 */
struct walk {
	struct mounted *mounted;
	struct device_above *devices;
	size_t nr;
	bool failed;
};

static const struct device_above *device_of(const struct walk *w, dev_t devno)
{
	size_t i;

	for (i = 0; devno && i < w->nr; i++)
		if (w->devices[i].block.devno == devno)
			return &w->devices[i];
	return NULL;
}

/* A disk and its partitions, unless they are known already. */
static void add_device(struct walk *w, const char *name, unsigned int depth)
{
	struct device_above *more;
	struct sysfs_block *blocks;
	int nr, i;

	nr = sysfs_disk_and_parts(name, &blocks);
	if (nr <= 0 || device_of(w, blocks[0].devno)) {
		w->failed |= nr < 0;
		free(blocks);
		return;
	}
	more = reallocarray(w->devices, w->nr + nr, sizeof(*more));
	if (more) {
		w->devices = more;
		for (i = 0; i < nr; i++)
			more[w->nr++] = (struct device_above){ blocks[i], depth };
	}
	w->failed |= !more;
	free(blocks);
}

/* Device-mapper, md and the like say what they are built upon. */
static void add_holders(struct walk *w, size_t i)
{
	const unsigned int depth = w->devices[i].depth;
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/block/%s/holders", w->devices[i].block.name);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_device(w, entry->d_name, depth);
	if (dir)
		closedir(dir);
}

/* Never asks a server: one that is gone would take us along. */
static int stat_path(int fd, const char *path, struct statx *st)
{
	return statx(fd, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
		     STATX_TYPE | STATX_MNT_ID, st);
}

/* The file system's number by a mount of it: st_dev of btrfs is another. */
static dev_t mount_devno(uint64_t mount_id)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	dev_t devno = 0;

	while (table && iter && !devno && mnt_table_next_fs(table, iter, &fs) == 0)
		if ((uint64_t)mnt_fs_get_id(fs) == mount_id)
			devno = mnt_fs_get_devno(fs);
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return devno;
}

static struct mounted_fs *find_fs(const struct mounted *mounted, dev_t dev)
{
	size_t i;

	for (i = 0; dev && i < mounted->nr; i++)
		if (mounted->list[i].dev == dev)
			return &mounted->list[i];
	return NULL;
}

const struct mounted_fs *mounted_holding(const struct mounted *mounted, int fd)
{
	struct statx st;

	if (stat_path(fd, "", &st) || !(st.stx_mask & STATX_MNT_ID))
		return NULL;
	return find_fs(mounted, mount_devno(st.stx_mnt_id));
}

/* Opens a mount, unless another one lies upon it. */
static int open_mount(struct libmnt_fs *fs, const char *root)
{
	char path[PATH_MAX];
	struct statx st;
	int fd;

	if (snprintf(path, sizeof(path), "%s%s", root, mnt_fs_get_target(fs)) >= PATH_MAX)
		return -1;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && (stat_path(fd, "", &st) || !(st.stx_mask & STATX_MNT_ID) ||
			st.stx_mnt_id != (uint64_t)mnt_fs_get_id(fs))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* A btrfs has a made-up number, and may be on several devices. */
static const struct device_above *find_btrfs_device(const struct walk *w, int fd)
{
	struct btrfs_ioctl_fs_info_args info = { 0 };
	char path[PATH_MAX], uuid[37];
	const __u8 *u = info.fsid;
	size_t i;

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &info))
		return NULL;
	snprintf(uuid, sizeof(uuid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		 u[15]);
	for (i = 0; i < w->nr; i++) {
		snprintf(path, sizeof(path), "/sys/fs/btrfs/%s/devices/%s", uuid,
			 w->devices[i].block.name);
		if (access(path, F_OK) == 0)
			return &w->devices[i];
	}
	return NULL;
}

static void add_fs(struct walk *w, struct libmnt_fs *fs, unsigned int depth, int fd)
{
	struct mounted *m = w->mounted;
	struct mounted_fs *more = reallocarray(m->list, m->nr + 1, sizeof(*more));

	if (!more)
		goto failed;
	m->list = more;
	more[m->nr] = (struct mounted_fs){
		.path = strdup(mnt_fs_get_target(fs)),
		.type = strdup(mnt_fs_get_fstype(fs)),
		.dev = mnt_fs_get_devno(fs),
		.depth = depth,
		.fd = fd,
	};
	if (more[m->nr].path && more[m->nr].type) {
		m->nr++;
		return;
	}
	free(more[m->nr].path);
	free(more[m->nr].type);
failed:
	if (fd >= 0)
		close(fd);
	w->failed = true;
}

static void see_mount(struct walk *w, struct libmnt_fs *fs, const char *root)
{
	const struct device_above *device = device_of(w, mnt_fs_get_devno(fs));
	struct mounted_fs *known = find_fs(w->mounted, mnt_fs_get_devno(fs));
	const char *type = mnt_fs_get_fstype(fs);
	const bool btrfs = type && strcmp(type, "btrfs") == 0;
	int fd;

	if ((!device && !btrfs) || !type || (known && known->fd >= 0))
		return;
	fd = open_mount(fs, root);
	if (btrfs && !device && fd >= 0)
		device = find_btrfs_device(w, fd);
	if (known && known->fd < 0)
		known->fd = fd;
	else if (device)
		add_fs(w, fs, device->depth, fd);
	else if (fd >= 0)
		close(fd);
}

/* @root leads to the mount namespace whose @mountinfo it is. */
static void see_mounts(struct walk *w, const char *mountinfo, const char *root)
{
	struct libmnt_table *table = mnt_new_table_from_file(mountinfo);
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;

	while (table && iter && mnt_table_next_fs(table, iter, &fs) == 0)
		see_mount(w, fs, root);
	mnt_free_iter(iter);
	mnt_unref_table(table);
}

static bool is_new_namespace(const char *pid, ino_t **seen, size_t *nr)
{
	char path[PATH_MAX];
	struct stat st;
	ino_t *more;
	size_t i;

	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	if (stat(path, &st))
		return false;
	for (i = 0; i < *nr; i++)
		if ((*seen)[i] == st.st_ino)
			return false;
	more = reallocarray(*seen, *nr + 1, sizeof(*more));
	if (!more)
		return false;
	more[(*nr)++] = st.st_ino;
	*seen = more;
	return true;
}

/* Ours first; a service may keep what is not mounted anywhere else. */
static void see_namespaces(struct walk *w)
{
	char mountinfo[PATH_MAX], root[PATH_MAX];
	struct dirent *entry;
	ino_t *seen = NULL;
	size_t nr = 0;
	DIR *dir;

	if (is_new_namespace("self", &seen, &nr))
		see_mounts(w, "/proc/self/mountinfo", "");
	dir = opendir("/proc");
	while (dir && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !is_new_namespace(entry->d_name, &seen, &nr))
			continue;
		snprintf(mountinfo, sizeof(mountinfo), "/proc/%s/mountinfo", entry->d_name);
		snprintf(root, sizeof(root), "/proc/%s/root", entry->d_name);
		see_mounts(w, mountinfo, root);
	}
	if (dir)
		closedir(dir);
	free(seen);
}

static void see_loop(struct walk *w, const char *name)
{
	const struct device_above *device = NULL;
	const struct mounted_fs *fs = NULL;
	char file[PATH_MAX];
	struct statx st;

	if (sysfs_attr(name, "loop/backing_file", file, sizeof(file)) ||
	    stat_path(AT_FDCWD, file, &st))
		return;
	if (S_ISBLK(st.stx_mode))
		device = device_of(w, makedev(st.stx_rdev_major, st.stx_rdev_minor));
	else if (st.stx_mask & STATX_MNT_ID)
		fs = find_fs(w->mounted, mount_devno(st.stx_mnt_id));
	if (device)
		add_device(w, name, device->depth);
	else if (fs && fs->depth < MAX_DEPTH)
		add_device(w, name, fs->depth + 1);
}

static void see_loops(struct walk *w)
{
	DIR *dir = opendir("/sys/class/block");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "loop", 4) == 0)
			see_loop(w, entry->d_name);
	if (dir)
		closedir(dir);
}

/* Until nothing is found any more that lies on what was found. */
static void see_all(struct walk *w)
{
	size_t done = 0, devices, file_systems;

	do {
		devices = w->nr;
		file_systems = w->mounted->nr;
		for (; done < w->nr; done++)
			add_holders(w, done);
		see_namespaces(w);
		see_loops(w);
	} while ((w->nr != devices || w->mounted->nr != file_systems) && !w->failed);
}

static int deepest_first(const void *a, const void *b)
{
	const struct mounted_fs *first = a, *second = b;

	return (first->depth < second->depth) - (first->depth > second->depth);
}

int mounted_find(struct mounted *mounted, const char *disk, struct svmdk_error *err)
{
	struct walk w = { .mounted = mounted };
	size_t i;

	*mounted = (struct mounted){ 0 };
	add_device(&w, disk, 0);
	see_all(&w);
	free(w.devices);
	if (w.failed) {
		mounted_free(mounted);
		return error_errno(err, ENOMEM, "cannot find what is mounted from it");
	}
	for (i = 0; i < mounted->nr; i++) {
		if (mounted->list[i].fd >= 0)
			continue;
		error_set(err, EACCES,
			  "%s (%s) lies on it and cannot be opened; unmount what hides it",
			  mounted->list[i].path, mounted->list[i].type);
		mounted_free(mounted);
		return -1;
	}
	if (mounted->nr)
		qsort(mounted->list, mounted->nr, sizeof(*mounted->list), deepest_first);
	return 0;
}

void mounted_free(struct mounted *mounted)
{
	size_t i;

	for (i = 0; i < mounted->nr; i++) {
		if (mounted->list[i].fd >= 0)
			close(mounted->list[i].fd);
		free(mounted->list[i].path);
		free(mounted->list[i].type);
	}
	free(mounted->list);
	*mounted = (struct mounted){ 0 };
}
