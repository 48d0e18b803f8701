// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Until then it was bdev_nonrot(), which says the opposite.
 */
#include <linux/blkdev.h>

bool bdev_rot_exists(struct block_device *bdev);

bool bdev_rot_exists(struct block_device *bdev)
{
	return bdev_rot(bdev);
}
