// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Since Linux 6.4 sectors are accounted when the I/O ends.
 */
#include <linux/blkdev.h>

void bdev_end_io_acct_takes_sectors(struct block_device *bdev);

void bdev_end_io_acct_takes_sectors(struct block_device *bdev)
{
	bdev_end_io_acct(bdev, REQ_OP_READ, 8, 0);
}
