// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Must compile on every kernel. If it does not, the kernel's headers or the
 * compiler are broken, and a "no" from any other probe would mean nothing.
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/module.h>

int control_builds(struct block_device *bdev, struct file *file);

int control_builds(struct block_device *bdev, struct file *file)
{
	return bdev_read_only(bdev) && file_inode(file);
}
