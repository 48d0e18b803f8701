// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Since Linux 6.5 ->open() takes the disk and a blk_mode_t, and ->release() the
 * disk alone.
 */
#include <linux/blkdev.h>

static int probe_open(struct gendisk *disk, blk_mode_t mode)
{
	return mode & BLK_OPEN_WRITE ? -EIO : 0;
}

static void probe_release(struct gendisk *disk)
{
}

extern const struct block_device_operations block_open_takes_disk;

const struct block_device_operations block_open_takes_disk = {
	.open = probe_open,
	.release = probe_release,
};
