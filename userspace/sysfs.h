/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SYSFS_H
#define SVMDK_SYSFS_H

#include <stddef.h>
#include <sys/types.h>

/* What /sys says of block devices. */

#define SYSFS_NAME_LEN 64 /* of a block device, with the terminating NUL */

/**
 * struct sysfs_block - a whole disk or one of its partitions
 * @name: the kernel's name for it: svmdk0p1
 * @devno: its number, or 0 when it went away meanwhile
 */
struct sysfs_block {
	char name[SYSFS_NAME_LEN];
	dev_t devno;
};

/**
 * sysfs_disk_and_parts() - a disk and its partitions
 * @disk: the kernel's name for it
 * @blocks: set to an array, to be freed: the disk, then its partitions in no
 *	order; NULL when there is no such disk
 *
 * Returns how many, 0 when there is no such disk, -1 for lack of memory.
 */
int sysfs_disk_and_parts(const char *disk, struct sysfs_block **blocks);

/**
 * sysfs_attr() - the first line of an attribute of a block device
 * @name: the kernel's name for the device
 * @attr: path of the attribute in the device's folder
 * @value: set to the line without its end; "" when there is no such attribute
 * @size: room at @value, in bytes
 *
 * Returns 0 or -1.
 */
int sysfs_attr(const char *name, const char *attr, char *value, size_t size);

/**
 * sysfs_devno() - the number of a block device
 * @name: the kernel's name for it
 *
 * Returns 0 when there is none of that name.
 */
dev_t sysfs_devno(const char *name);

/**
 * sysfs_name() - the kernel's name for a block device
 * @devno: its number
 * @name: set to the name; "" when no block device has that number
 *
 * Returns 0 or -1.
 */
int sysfs_name(dev_t devno, char name[SYSFS_NAME_LEN]);

#endif /* SVMDK_SYSFS_H */
