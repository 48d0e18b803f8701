/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Included by compat.h. Queue limits with features, which older kernels keep
 * as flags of the queue.
 */
#ifndef _SVMDK_COMPAT_LIMITS_H
#define _SVMDK_COMPAT_LIMITS_H

#ifndef SVMDK_HAVE_QUEUE_LIMITS_HAVE_FEATURES

/* clang-format off */
#define BLK_FEAT_WRITE_CACHE	(1U << 0)
#define BLK_FEAT_FUA		(1U << 1)
#define BLK_FEAT_ROTATIONAL	(1U << 2)
#define BLK_FEAT_IO_STAT	(1U << 4)
#define BLK_FEAT_STABLE_WRITES	(1U << 5)
#define BLK_FEAT_NOWAIT		(1U << 7)
#define BLK_FEAT_POLL		(1U << 9)
/* clang-format on */

/* Begins as the kernel's own; its members go by their own names. */
struct compat_queue_limits {
	struct queue_limits;
	unsigned int features;
};

static inline void compat_set_stacking_limits(struct compat_queue_limits *lim)
{
	lim->features = 0;
	blk_set_stacking_limits((struct queue_limits *)lim);
}

static inline void queue_limits_stack_bdev(struct compat_queue_limits *lim,
					   struct block_device *bdev, sector_t offset,
					   const char *pfx)
{
	if (blk_stack_limits((struct queue_limits *)lim, &bdev_get_queue(bdev)->limits,
			     get_start_sect(bdev) + offset))
		pr_notice("%s: Warning: Device %pg is misaligned\n", pfx, bdev);
	if (!bdev_nonrot(bdev))
		lim->features |= BLK_FEAT_ROTATIONAL;
	if (bdev_stable_writes(bdev))
		lim->features |= BLK_FEAT_STABLE_WRITES;
	if (!bdev_nowait(bdev))
		lim->features &= ~BLK_FEAT_NOWAIT;
	if (!test_bit(QUEUE_FLAG_POLL, &bdev_get_queue(bdev)->queue_flags))
		lim->features &= ~BLK_FEAT_POLL;
}

static inline void compat_apply_features(struct request_queue *q, unsigned int features)
{
	blk_queue_write_cache(q, features & BLK_FEAT_WRITE_CACHE, features & BLK_FEAT_FUA);
	if (!(features & BLK_FEAT_ROTATIONAL))
		blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	if (features & BLK_FEAT_IO_STAT)
		blk_queue_flag_set(QUEUE_FLAG_IO_STAT, q);
	if (features & BLK_FEAT_STABLE_WRITES)
		blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, q);
	if (features & BLK_FEAT_NOWAIT)
		blk_queue_flag_set(QUEUE_FLAG_NOWAIT, q);
	if (features & BLK_FEAT_POLL)
		blk_queue_flag_set(QUEUE_FLAG_POLL, q);
}

static inline struct gendisk *compat_alloc_disk(struct gendisk *disk,
						const struct compat_queue_limits *lim)
{
	if (!disk)
		return ERR_PTR(-ENOMEM);
	disk->queue->limits = *(const struct queue_limits *)lim;
	compat_apply_features(disk->queue, lim->features);
	return disk;
}

/* The kernel's is a macro for the sake of a lock class; the name is still its own in here. */
static inline struct gendisk *compat_blk_alloc_disk(const struct compat_queue_limits *lim, int node)
{
	return compat_alloc_disk(blk_alloc_disk(node), lim);
}

#undef blk_alloc_disk
#define blk_alloc_disk compat_blk_alloc_disk
#define blk_set_stacking_limits compat_set_stacking_limits
#define queue_limits compat_queue_limits

#endif

static inline bool queue_polls(struct request_queue *q)
{
#ifdef SVMDK_HAVE_QUEUE_LIMITS_HAVE_FEATURES
	return q->limits.features & BLK_FEAT_POLL;
#else
	return test_bit(QUEUE_FLAG_POLL, &q->queue_flags);
#endif
}

/* That writing zeroes may unmap is for the disk beneath to say, not for us. */
static inline void queue_limits_no_unmap(struct queue_limits *lim)
{
#ifdef SVMDK_HAVE_QUEUE_LIMITS_HAVE_WZEROES_UNMAP
	lim->max_hw_wzeroes_unmap_sectors = 0;
#endif
}

static inline void queue_limits_forget_misaligned(struct queue_limits *lim)
{
#ifdef SVMDK_HAVE_QUEUE_LIMITS_HAVE_FEATURES
	lim->flags &= ~BLK_FLAG_MISALIGNED;
#else
	lim->misaligned = 0;
#endif
}

#endif /* _SVMDK_COMPAT_LIMITS_H */
