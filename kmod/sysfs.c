// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/sysfs.h>

#include "device.h"

/*
 * /sys/block/svmdkN/svmdk/: what the disk is made of. The attributes go with
 * the disk, so it is live, or at least whole, while one is read.
 */

static inline struct svmdk_device *svmdk_from_dev(struct device *device)
{
	return dev_to_disk(device)->private_data;
}

static ssize_t name_show(struct device *device, struct device_attribute *attr, char *page)
{
	return sysfs_emit(page, "%s\n", svmdk_from_dev(device)->name);
}
static DEVICE_ATTR_RO(name);

static ssize_t descriptor_show(struct device *device, struct device_attribute *attr, char *page)
{
	struct svmdk_device *dev = svmdk_from_dev(device);
	size_t length;
	char *path;

	mutex_lock(&dev->lock);
	path = file_path(dev->descriptor, page, PAGE_SIZE - 1);
	mutex_unlock(&dev->lock);
	if (IS_ERR(path))
		return PTR_ERR(path);
	length = strlen(path);
	memmove(page, path, length);
	page[length++] = '\n';
	return length;
}
static DEVICE_ATTR_RO(descriptor);

static ssize_t extents_show(struct device *device, struct device_attribute *attr, char *page)
{
	return sysfs_emit(page, "%u\n", svmdk_from_dev(device)->nr_extents);
}
static DEVICE_ATTR_RO(extents);

static ssize_t mapped_extents_show(struct device *device, struct device_attribute *attr, char *page)
{
	return sysfs_emit(page, "%u\n", svmdk_from_dev(device)->nr_mapped);
}
static DEVICE_ATTR_RO(mapped_extents);

static ssize_t dirty_extents_show(struct device *device, struct device_attribute *attr, char *page)
{
	struct svmdk_device *dev = svmdk_from_dev(device);
	u32 written;

	/* A growth that fails takes its extents away again. */
	mutex_lock(&dev->lock);
	written = svmdk_device_written(dev);
	mutex_unlock(&dev->lock);
	return sysfs_emit(page, "%u\n", written);
}
static DEVICE_ATTR_RO(dirty_extents);

static ssize_t io_mode_show(struct device *device, struct device_attribute *attr, char *page)
{
	const struct svmdk_device *dev = svmdk_from_dev(device);
	const char *mode = "mixed";

	if (dev->nr_mapped == dev->nr_extents)
		mode = "mapped";
	else if (!dev->nr_mapped)
		mode = "file";
	return sysfs_emit(page, "%s\n", mode);
}
static DEVICE_ATTR_RO(io_mode);

static ssize_t memory_show(struct device *device, struct device_attribute *attr, char *page)
{
	struct svmdk_device *dev = svmdk_from_dev(device);
	u64 memory;

	mutex_lock(&dev->lock);
	memory = svmdk_device_memory(dev);
	mutex_unlock(&dev->lock);
	return sysfs_emit(page, "%llu\n", memory);
}
static DEVICE_ATTR_RO(memory);

/* clang-format off */
static struct attribute *svmdk_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_descriptor.attr,
	&dev_attr_extents.attr,
	&dev_attr_mapped_extents.attr,
	&dev_attr_dirty_extents.attr,
	&dev_attr_io_mode.attr,
	&dev_attr_memory.attr,
	NULL,
};
/* clang-format on */

static const struct attribute_group svmdk_attr_group = {
	.name = "svmdk",
	.attrs = svmdk_attrs,
};

const struct attribute_group *svmdk_disk_groups[] = {
	&svmdk_attr_group,
	NULL,
};
