// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Since Linux 6.11 the queue's features are part of its limits, which
 * blk_alloc_disk() takes since 6.9.
 */
#include <linux/blkdev.h>

struct gendisk *queue_limits_have_features(struct queue_limits *lim);

struct gendisk *queue_limits_have_features(struct queue_limits *lim)
{
	lim->features = BLK_FEAT_WRITE_CACHE;
	queue_limits_stack_bdev(lim, NULL, 0, "");
	return blk_alloc_disk(lim, NUMA_NO_NODE);
}
