/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#ifndef _SVMDK_BACKING_H
#define _SVMDK_BACKING_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/workqueue.h>

struct svmdk_device;

/*
 * Guards what lies on what: svmdk_device.backings of disks that others can lie on, for
 * whoever looks through more than one. Outside of a disk's lock.
 */
extern struct mutex svmdk_tree_lock;

/**
 * struct svmdk_backing - a backing device: what extents of a disk lie on
 * @list: in svmdk_device.backings
 * @dev: the disk above
 * @twin: of a growth's: the disk's record of the same
 * @bdev: the block device; NULL where a file system has none, or many
 * @sb: the file system on it whose files are the extents; NULL where the
 *	block device itself is the extent
 * @below: the disk of ours that @bdev was of at first, with a reference, or NULL
 * @devt: of @bdev. This and the next ones are asked once: a file system that is
 *	not mapped may change its device.
 * @logical_block: of @bdev, in bytes
 * @dma_alignment: of @bdev, a mask
 * @rotational: @bdev is
 * @stable_writes: @bdev wants them
 * @mapped: an extent is mapped onto it
 * @dirty: something was written to it since the last flush. Read by every
 *	write's completion, written when it changes.
 * @flush_bio: for the one flush that svmdk_device.flush_work has under way
 * @lock: of @frozen
 * @frozen: writes that wait for @sb to thaw
 * @thaw_work: waits with them
 */
struct svmdk_backing {
	struct list_head list;
	struct svmdk_device *dev;
	struct svmdk_backing *twin;
	struct block_device *bdev;
	struct super_block *sb;
	struct svmdk_device *below;
	dev_t devt;
	unsigned int logical_block;
	unsigned int dma_alignment;
	bool rotational;
	bool stable_writes;
	bool mapped;
	int dirty;
	struct bio flush_bio;
	spinlock_t lock;
	struct bio_list frozen;
	struct work_struct thaw_work;
};

struct svmdk_backing *svmdk_backing_get(struct svmdk_device *dev, struct block_device *bdev,
					struct super_block *sb);
bool svmdk_backing_lie_on(const struct svmdk_device *dev, const struct svmdk_device *below);
void svmdk_backing_find_twins(struct svmdk_device *dev, struct svmdk_device *growth);
void svmdk_backing_adopt(struct svmdk_device *dev, struct svmdk_device *growth);
void svmdk_backing_free_all(struct svmdk_device *dev);
void svmdk_backing_park(struct svmdk_backing *backing, struct bio *bio);
blk_status_t svmdk_backing_flush_all(struct svmdk_device *dev);

/**
 * svmdk_backing_start_write - keep the file system from freezing under a write
 * @backing: where the write goes
 *
 * A mapped write passes the file system by, and one by the file way must not
 * block a worker, so both take part in freezing by themselves: fsfreeze and LVM
 * snapshots wait for those under way and hold up the next. Writes are
 * asynchronous, so lockdep is told that submission gave the lock away, as
 * kiocb_start_write() does.
 *
 * Context: any. Returns false when the file system is freezing or frozen.
 */
static inline bool svmdk_backing_start_write(struct svmdk_backing *backing)
{
	if (!backing->sb)
		return true;
	if (!sb_start_write_trylock(backing->sb))
		return false;
	__sb_writers_release(backing->sb, SB_FREEZE_WRITE);
	return true;
}

/* It waits for the thaw, or is completed where it may not wait. */
static inline void svmdk_backing_delay(struct svmdk_backing *backing, struct bio *bio)
{
	if (bio->bi_opf & REQ_NOWAIT)
		bio_wouldblock_error(bio);
	else
		svmdk_backing_park(backing, bio);
}

/**
 * svmdk_backing_delays - is a write to be delayed before it is cut to size?
 * @backing: where its first sector goes
 * @bio: the write
 *
 * What waits for a thaw, for hours maybe, is not to hold what was allocated from
 * a reserve meanwhile. svmdk_backing_begin_bio() is still what decides.
 *
 * Context: any. Returns true where the bio is parked, or completed because it
 * may not wait.
 */
static inline bool svmdk_backing_delays(struct svmdk_backing *backing, struct bio *bio)
{
	if (!backing->sb || likely(READ_ONCE(backing->sb->s_writers.frozen) == SB_UNFROZEN))
		return false;
	svmdk_backing_delay(backing, bio);
	return true;
}

/**
 * svmdk_backing_begin_bio - svmdk_backing_start_write() for a bio, or the bio waits
 * @backing: where it goes
 * @bio: a write, not yet accounted and not yet remapped
 *
 * Context: any. Returns false where the bio is parked, or completed because it
 * may not wait.
 */
static inline bool svmdk_backing_begin_bio(struct svmdk_backing *backing, struct bio *bio)
{
	if (likely(svmdk_backing_start_write(backing)))
		return true;
	svmdk_backing_delay(backing, bio);
	return false;
}

/**
 * svmdk_backing_end_write - undo svmdk_backing_start_write()
 * @backing: where the write went
 *
 * Context: any.
 */
static inline void svmdk_backing_end_write(struct svmdk_backing *backing)
{
	if (!backing->sb)
		return;
	__sb_writers_acquired(backing->sb, SB_FREEZE_WRITE);
	sb_end_write(backing->sb);
}

int __init svmdk_backing_init(void);
void svmdk_backing_exit(void);

#endif /* _SVMDK_BACKING_H */
