// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/blkdev.h>

#include "backing.h"
#include "compat.h"
#include "device.h"
#include "extent.h"
#include "source.h"

/*
 * Nothing here cuts a request to size: the disk beneath does that, by its own
 * limits. So ours need not be small where those are (brd has 127 KiB), and
 * readahead can be what it is elsewhere. In sectors.
 */
#define SVMDK_MIN_REQUEST 2560U

/* What the file way can promise of an extent. */
static void svmdk_limits_of_file(struct queue_limits *lim, const struct svmdk_extent *extent)
{
	struct super_block *sb = svmdk_source_inode(extent->source)->i_sb;
	const struct svmdk_backing *backing = extent->backing;
	unsigned int block = min_t(unsigned long, sb->s_blocksize, PAGE_SIZE);

	/* The block layer writes zeroes where we do not: a hole would not be zeroes on disk. */
	lim->max_write_zeroes_sectors = 0;
	lim->physical_block_size = max(lim->physical_block_size, block);

	/* A file system that reads what is written twice must not see it change between. */
	if (!svmdk_source_fs_is_safe(sb) || backing->stable_writes)
		lim->features |= BLK_FEAT_STABLE_WRITES;
	if (backing->rotational)
		lim->features |= BLK_FEAT_ROTATIONAL;
	lim->features &= ~BLK_FEAT_POLL;
	if (extent->direct) {
		lim->logical_block_size = max(lim->logical_block_size, backing->logical_block);
		lim->dma_alignment = max(lim->dma_alignment, backing->dma_alignment);
	}
}

/**
 * svmdk_device_limits - the queue limits that the disk's extents allow
 * @dev: the disk, its extents settled
 * @lim: out
 *
 * A write cache is announced always: a flush is also what brings mtimes up to
 * date, and it costs nothing where nothing is dirty. Discard is not: on a flat
 * disk there is nothing to give back, and a hole could not be mapped. Polling is
 * where every extent is mapped to what polls: a bio sent there is polled there.
 *
 * Context: may sleep.
 */
void svmdk_device_limits(struct svmdk_device *dev, struct queue_limits *lim)
{
	struct svmdk_backing *backing;
	struct svmdk_extent *extent;
	unsigned long i;

	blk_set_stacking_limits(lim);
	lim->features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA | BLK_FEAT_NOWAIT | BLK_FEAT_IO_STAT;
	if (dev->nr_mapped)
		lim->features |= BLK_FEAT_POLL;

	list_for_each_entry(backing, &dev->backings, list)
		if (backing->mapped)
			queue_limits_stack_bdev(lim, backing->bdev, 0, "svmdk");
	xa_for_each(&dev->extents, i, extent)
		if (extent->way == SVMDK_WAY_FILE)
			svmdk_limits_of_file(lim, extent);
	/* Only zeroes, or no access: nothing set a bound. */
	if (lim->max_write_zeroes_sectors == UINT_MAX)
		lim->max_write_zeroes_sectors = 0;

	if (!dev->nr_mapped)
		lim->max_hw_sectors = 0;
	lim->max_hw_sectors = max(lim->max_hw_sectors, SVMDK_MIN_REQUEST);
	lim->max_sectors = clamp(lim->max_sectors, SVMDK_MIN_REQUEST, lim->max_hw_sectors);
	lim->physical_block_size = max(lim->physical_block_size, lim->logical_block_size);
	lim->io_min = max(lim->io_min, lim->physical_block_size);

	/* Where a boundary beneath lies says nothing about where it is above. */
	lim->alignment_offset = 0;
	lim->chunk_sectors = 0;
	lim->max_discard_sectors = 0;
	lim->max_hw_discard_sectors = 0;
	lim->discard_granularity = 0;
	lim->discard_alignment = 0;
	lim->max_secure_erase_sectors = 0;
	queue_limits_no_unmap(lim);
	queue_limits_forget_misaligned(lim);
}
