// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sysfs.h"

int sysfs_attr(const char *name, const char *attr, char *value, size_t size)
{
	char path[PATH_MAX];
	ssize_t length;
	int fd;

	value[0] = '\0';
	snprintf(path, sizeof(path), "/sys/class/block/%s/%s", name, attr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	length = read(fd, value, size - 1);
	close(fd);
	if (length < 0)
		length = 0;
	value[length] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return length ? 0 : -1;
}

dev_t sysfs_devno(const char *name)
{
	unsigned int major, minor;
	char text[32];

	if (sysfs_attr(name, "dev", text, sizeof(text)))
		return 0;
	if (sscanf(text, "%u:%u", &major, &minor) != 2)
		return 0;
	return makedev(major, minor);
}

int sysfs_name(dev_t devno, char name[SYSFS_NAME_LEN])
{
	char path[64], target[PATH_MAX];
	const char *last;
	ssize_t length;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(devno), minor(devno));
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -1;
	target[length] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= SYSFS_NAME_LEN)
		return -1;
	strcpy(name, last);
	return 0;
}

static int append(struct sysfs_block **blocks, int nr, const char *name)
{
	struct sysfs_block *more;

	if (strlen(name) >= sizeof(more->name))
		return nr;
	more = realloc(*blocks, (nr + 1) * sizeof(*more));
	if (!more)
		return -1;
	strcpy(more[nr].name, name);
	more[nr].devno = sysfs_devno(name);
	*blocks = more;
	return nr + 1;
}

/* A partition is a folder in the disk's own, and begins with its name. */
static int append_parts(struct sysfs_block **blocks, int nr, const char *disk, DIR *dir)
{
	const size_t length = strlen(disk);
	struct dirent *entry;

	while (nr > 0 && (entry = readdir(dir))) {
		char path[sizeof(entry->d_name) + sizeof("/partition")];

		if (strncmp(entry->d_name, disk, length) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/partition", entry->d_name);
		if (faccessat(dirfd(dir), path, F_OK, 0) == 0)
			nr = append(blocks, nr, entry->d_name);
	}
	return nr;
}

int sysfs_disk_and_parts(const char *disk, struct sysfs_block **blocks)
{
	char path[PATH_MAX];
	DIR *dir;
	int nr;

	*blocks = NULL;
	snprintf(path, sizeof(path), "/sys/class/block/%s", disk);
	dir = opendir(path);
	if (!dir)
		return 0;
	nr = append(blocks, 0, disk);
	nr = append_parts(blocks, nr, disk, dir);
	closedir(dir);
	if (nr <= 0) {
		free(*blocks);
		*blocks = NULL;
	}
	return nr;
}
