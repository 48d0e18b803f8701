// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Since Linux 6.9 a block device is opened as a file.
 */
#include <linux/blkdev.h>

struct block_device *bdev_file_open_by_dev_exists(dev_t dev);

struct block_device *bdev_file_open_by_dev_exists(dev_t dev)
{
	struct file *file = bdev_file_open_by_dev(dev, BLK_OPEN_READ, NULL, NULL);

	bdev_fput(file);
	return file_bdev(file);
}
