// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "find_device.h"
#include "sysfs.h"

static int not_attached(const char *arg, struct svmdk_error *err)
{
	error_set(err, ENODEV, "not attached; see svmdk list");
	return error_at(err, arg, 0);
}

static int ask_failed(const char *arg, int code, struct svmdk_error *err)
{
	if (code == -ENODEV)
		return not_attached(arg, err);
	error_errno(err, -code, "cannot ask the driver for it");
	return error_at(err, arg, 0);
}

/* Of a disk, svmdk0, or of a partition of it, svmdk0p1? */
static bool is_disk_or_part(const char *name, unsigned long *index, bool *part)
{
	const char *digits = name + strlen(DISK_PREFIX);
	char *end;

	if (strncmp(name, DISK_PREFIX, strlen(DISK_PREFIX)) != 0 ||
	    !isdigit((unsigned char)*digits))
		return false;
	errno = 0;
	*index = strtoul(digits, &end, 10);
	*part = *end == 'p';
	if (*part && isdigit((unsigned char)end[1]))
		strtoul(end + 1, &end, 10);
	return !errno && *index <= INT32_MAX && !*end;
}

static int find_by_name(int control, const char *arg, const char *name, struct device *device,
			struct svmdk_error *err)
{
	unsigned long index;
	bool part;
	int code;

	if (!is_disk_or_part(name, &index, &part)) {
		error_set(err, EINVAL, "%s is no svmdk device; see svmdk list", name);
		return error_at(err, arg, 0);
	}
	if (part) {
		error_set(err, EINVAL, "a partition; name the whole disk, /dev/" DISK_PREFIX "%lu",
			  index);
		return error_at(err, arg, 0);
	}
	code = control_device(control, index, device);
	return code ? ask_failed(arg, code, err) : 0;
}

static int find_by_node(int control, const char *arg, dev_t devno, struct device *device,
			struct svmdk_error *err)
{
	char name[SYSFS_NAME_LEN];

	if (sysfs_name(devno, name))
		return not_attached(arg, err);
	return find_by_name(control, arg, name, device, err);
}

/* The real path of a file that may be gone, though its folder is not. */
static int real_path_of_missing(const char *arg, char path[PATH_MAX])
{
	char *copy = strdup(arg), *dir = NULL;
	const char *last = strrchr(arg, '/');
	int length = -1;

	if (copy)
		dir = realpath(dirname(copy), NULL);
	if (dir)
		length = snprintf(path, PATH_MAX, "%s/%s", strcmp(dir, "/") ? dir : "",
				  last ? last + 1 : arg);
	free(dir);
	free(copy);
	return length >= 0 && length < PATH_MAX ? 0 : -1;
}

static int find_by_descriptor(int control, const char *arg, const struct stat *st,
			      struct device *device, struct svmdk_error *err)
{
	char path[PATH_MAX];
	int code;

	if (st ? !realpath(arg, path) : real_path_of_missing(arg, path)) {
		error_errno(err, errno, "cannot find it");
		return error_at(err, arg, 0);
	}
	code = control_find_device(control, st, path, device);
	return code ? ask_failed(arg, code, err) : 0;
}

int find_device(int control, const char *arg, struct device *device, struct svmdk_error *err)
{
	const char *name = strncmp(arg, "/dev/", 5) ? arg : arg + 5;
	unsigned long index;
	struct stat st;
	int missing;
	bool part;

	if (name == arg && is_disk_or_part(name, &index, &part))
		return find_by_name(control, arg, name, device, err);
	missing = stat(arg, &st);
	if (missing && errno != ENOENT) {
		error_errno(err, errno, "cannot find it");
		return error_at(err, arg, 0);
	}
	if (!missing && S_ISBLK(st.st_mode))
		return find_by_node(control, arg, st.st_rdev, device, err);
	/* A /dev without devtmpfs may lack the node. */
	if (missing && is_disk_or_part(name, &index, &part))
		return find_by_name(control, arg, name, device, err);
	return find_by_descriptor(control, arg, missing ? NULL : &st, device, err);
}
