// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <trace/events/block.h>

#include "backing.h"
#include "compat.h"
#include "device.h"
#include "extent.h"
#include "io.h"
#include "source.h"
#include "table.h"
#include "trace.h"

/*
 * A reserve of each disk, for when memory is short. Disks do not share one: one
 * that hangs, or that lies on another, must not use up what the other needs.
 */
#define SVMDK_MIN_HOOKS 16

/**
 * struct svmdk_hook - what to do when a mapped bio completes
 * @bio: the bio
 * @end_io: its owner's completion
 * @private: its owner's
 * @extent: where it went
 * @bdev: the disk or partition that it was sent to
 * @start_time: of accounting, in jiffies
 * @sector: in the disk
 * @bytes: its length
 * @accounted: accounting was begun
 * @work: for what must sleep
 *
 * A bio is pointed elsewhere in place, and only where its completion matters
 * to us is it hooked; a clone would cost three times as much.
 */
struct svmdk_hook {
	struct bio *bio;
	bio_end_io_t *end_io;
	void *private;
	struct svmdk_extent *extent;
	struct block_device *bdev;
	unsigned long start_time;
	u64 sector;
	u32 bytes;
	bool accounted;
	struct work_struct work;
};

static struct kmem_cache *svmdk_hook_cache;

/* What bio_chain() sets; the block layer does not export it. */
static bio_end_io_t *svmdk_chain_end_io;

static void __init svmdk_learn_chain_end_io(void)
{
	struct bio child, parent;

	bio_init(&child, NULL, NULL, 0, REQ_OP_READ);
	bio_init(&parent, NULL, NULL, 0, REQ_OP_READ);
	bio_chain(&child, &parent);
	svmdk_chain_end_io = child.bi_end_io;
}

/* Give the bio back to its owner. The disk may be gone when this returns. */
static void svmdk_hook_finish(struct svmdk_hook *hook)
{
	struct bio *bio = hook->bio;

	if (trace_svmdk_complete_enabled())
		trace_svmdk_complete(hook->bdev, hook->extent->number, bio_op(bio), hook->sector,
				     hook->bytes >> SECTOR_SHIFT, bio->bi_status);
	if (likely(hook->accounted))
		bdev_end_io_acct(hook->bdev, bio_op(bio), hook->bytes >> SECTOR_SHIFT,
				 hook->start_time);
	bio->bi_end_io = hook->end_io;
	bio->bi_private = hook->private;
	svmdk_pool_free(&hook->extent->source->dev->hooks, hook);
	if (likely(bio->bi_end_io != svmdk_chain_end_io)) {
		/* bio_endio() has run for the disk beneath: it is what called us. */
		if (bio->bi_end_io)
			bio->bi_end_io(bio);
		return;
	}
	/* Only bio_endio() may complete a chained bio; what it must not do twice is undone. */
	bio_clear_flag(bio, BIO_QOS_THROTTLED);
	bio_clear_flag(bio, BIO_QOS_MERGED);
	bio_endio(bio);
}

static inline struct address_space *svmdk_hook_mapping(const struct svmdk_hook *hook)
{
	return hook->extent->source->file->f_mapping;
}

/* First and last byte in the source, where its cached pages may lie. */
static inline loff_t svmdk_hook_start(const struct svmdk_hook *hook)
{
	const struct svmdk_extent *extent = hook->extent;

	return (extent->offset + (hook->sector - extent->start)) << SECTOR_SHIFT;
}

static inline loff_t svmdk_hook_end(const struct svmdk_hook *hook)
{
	return svmdk_hook_start(hook) + hook->bytes - 1;
}

static void svmdk_hook_invalidate_work(struct work_struct *work)
{
	struct svmdk_hook *hook = container_of(work, struct svmdk_hook, work);
	unsigned int noio = memalloc_noio_save();

	if (invalidate_inode_pages2_range(svmdk_hook_mapping(hook),
					  svmdk_hook_start(hook) >> PAGE_SHIFT,
					  svmdk_hook_end(hook) >> PAGE_SHIFT))
		pr_warn_ratelimited(
			"%pg: extent %u: stale pages stay in the page cache of its file\n",
			hook->bdev, hook->extent->number);
	svmdk_hook_finish(hook);
	memalloc_noio_restore(noio);
}

static void svmdk_write_end_io(struct bio *bio)
{
	struct svmdk_hook *hook = bio->bi_private;
	struct svmdk_source *source = hook->extent->source;
	struct svmdk_backing *backing = hook->extent->backing;

	/*
	 * Whoever reads the file from now on must see this write. A reader puts
	 * a page into the cache before it asks the disk, so either it is seen
	 * below or its read comes after the write; the barrier is for a disk
	 * that this very CPU has just written, as brd. And a flush that finds one
	 * of these marks gone, or takes it away, must find the write.
	 */
	smp_mb();

	/* It found out that it cannot: what the disk's own users are told (blkdev_issue_zeroout()). */
	if (unlikely(bio->bi_status) && bio_op(bio) == REQ_OP_WRITE_ZEROES &&
	    !bdev_write_zeroes_sectors(backing->bdev))
		bio->bi_status = BLK_STS_NOTSUPP;

	/* Failed or not: part of it may have reached the disk. */
	if (!READ_ONCE(backing->dirty))
		WRITE_ONCE(backing->dirty, 1);
	svmdk_extent_mark_written(hook->extent);
	if (!source->claim)
		svmdk_source_touch(source);
	svmdk_backing_end_write(backing);

	if (unlikely(READ_ONCE(svmdk_hook_mapping(hook)->nrpages)) &&
	    filemap_range_has_page(svmdk_hook_mapping(hook), svmdk_hook_start(hook),
				   svmdk_hook_end(hook))) {
		INIT_WORK(&hook->work, svmdk_hook_invalidate_work);
		queue_work(source->dev->wq, &hook->work);
		return;
	}
	svmdk_hook_finish(hook);
}

static void svmdk_read_end_io(struct bio *bio)
{
	svmdk_hook_finish(bio->bi_private);
}

/* Returns false when the bio may not wait for memory; it is completed then. */
static bool svmdk_hook_bio(struct svmdk_device *dev, struct svmdk_extent *extent, struct bio *bio,
			   bool account)
{
	struct svmdk_hook *hook;

	hook = svmdk_pool_alloc(&dev->hooks, bio->bi_opf);
	if (unlikely(!hook)) {
		bio_wouldblock_error(bio);
		return false;
	}
	hook->bio = bio;
	hook->end_io = bio->bi_end_io;
	hook->private = bio->bi_private;
	hook->extent = extent;
	hook->bdev = bio->bi_bdev;
	hook->sector = bio->bi_iter.bi_sector;
	hook->bytes = bio->bi_iter.bi_size;
	hook->accounted = account;
	if (account)
		hook->start_time = bio_start_io_acct(bio);
	bio->bi_private = hook;
	bio->bi_end_io = op_is_write(bio_op(bio)) ? svmdk_write_end_io : svmdk_read_end_io;
	return true;
}

/*
 * A bio that others are chained to completes with the last of them, and that
 * may be after a thaw. What holds up a freeze must complete by itself, so it
 * gets a bio of its own.
 */
static struct bio *svmdk_unchain(struct svmdk_device *dev, struct bio *bio)
{
	struct bio *clone = bio_alloc_clone(bio->bi_bdev, bio, GFP_NOIO, &dev->split_bios);

	if (!clone) {
		bio_io_error(bio);
		return NULL;
	}
	bio_chain(clone, bio);
	/* Its own part of the count; the clone has one. */
	bio_endio(bio);
	return clone;
}

/* Point a bio at the disk beneath. */
static __always_inline void svmdk_remap_bio(struct bio *bio, struct block_device *bdev, u64 target)
{
	bio->bi_iter.bi_sector = target;
	bio_set_dev(bio, bdev);
	/* The disk beneath is to count its bytes as well. */
	bio_clear_flag(bio, BIO_CGROUP_ACCT);
}

/*
 * A write, or what is accounted or traced. Apart from the rest, which needs no more
 * registers than its callers leave it.
 */
static noinline void svmdk_map_bio(struct svmdk_device *dev, struct svmdk_extent *extent,
				   struct bio *bio, u64 target)
{
	struct svmdk_backing *backing = extent->backing;
	bool account = blk_queue_io_stat(dev->disk->queue);
	u64 sector = bio->bi_iter.bi_sector;
	bool write = op_is_write(bio_op(bio));

	if (write) {
		if (unlikely(bio_flagged(bio, BIO_CHAIN)) && backing->sb) {
			if (svmdk_backing_delays(backing, bio))
				return;
			bio = svmdk_unchain(dev, bio);
			if (!bio)
				return;
		}
		if (!svmdk_backing_begin_bio(backing, bio))
			return;
		svmdk_extent_mark_written(extent);
	}
	if (write || account || trace_svmdk_complete_enabled()) {
		if (!svmdk_hook_bio(dev, extent, bio, account)) {
			if (write)
				svmdk_backing_end_write(backing);
			return;
		}
	}

	svmdk_remap_bio(bio, backing->bdev, target);
	if (trace_block_bio_remap_enabled())
		trace_block_bio_remap(bio, disk_devt(dev->disk), sector);
	submit_bio_noacct(bio);
}

static void svmdk_zero_bio(struct svmdk_device *dev, struct svmdk_extent *extent, struct bio *bio)
{
	bool account = blk_queue_io_stat(dev->disk->queue);
	unsigned int sectors = bio_sectors(bio);
	unsigned long start_time = 0;

	if (op_is_write(bio_op(bio))) {
		svmdk_bio_fail(bio, SVMDK_STS_READ_ONLY);
		return;
	}
	if (account)
		start_time = bio_start_io_acct(bio);
	zero_fill_bio(bio);
	if (account)
		bdev_end_io_acct(bio->bi_bdev, bio_op(bio), sectors, start_time);
	bio_endio(bio);
}

/* To an extent that is not plain, or seen by whoever traces. */
static noinline void svmdk_submit_rest(struct svmdk_device *dev, struct svmdk_extent *extent,
				       struct bio *bio, u64 source)
{
	trace_svmdk_submit(bio, extent->number, extent->way, source);

	if (extent->unpolled)
		bio_clear_polled(bio);
	switch (extent->way) {
	case SVMDK_WAY_MAPPED:
		svmdk_map_bio(dev, extent, bio, source);
		return;
	case SVMDK_WAY_FILE:
		svmdk_file_submit(dev, extent, bio, source);
		return;
	case SVMDK_WAY_ZERO:
		svmdk_zero_bio(dev, extent, bio);
		return;
	default:
		svmdk_bio_fail(bio, BLK_STS_TARGET);
	}
}

/* What of a bio lies in its first segment goes on, the rest comes again by itself. */
static noinline void svmdk_submit_split(struct svmdk_device *dev, struct svmdk_extent *extent,
					struct bio *bio, u64 sectors)
{
	if (op_is_write(bio_op(bio)) && extent->backing &&
	    svmdk_backing_delays(extent->backing, bio))
		return;
	/* Whoever polls waits for one part, and nobody would poll the other. */
	bio_clear_polled(bio);
	bio = bio_submit_split_bioset(bio, sectors, &dev->split_bios);
	if (bio)
		svmdk_submit_bio(bio);
}

/**
 * svmdk_submit_bio - the disk's ->submit_bio()
 * @bio: any that the queue limits let through
 *
 * A mapped read that nobody accounts for goes through here and nowhere else, so
 * what is done for the others is done by functions of their own.
 *
 * Context: process; what it sends on waits on current->bio_list until it
 * returns, so nothing here may wait for I/O.
 */
void svmdk_submit_bio(struct bio *bio)
{
	struct svmdk_device *dev = bio->bi_bdev->bd_disk->private_data;
	u64 sector = bio->bi_iter.bi_sector;
	const struct svmdk_segment *segment;
	const struct svmdk_table *table;
	struct svmdk_extent *extent;
	u64 source, left;

	if (unlikely(bio->bi_opf & REQ_PREFLUSH)) {
		svmdk_flush_submit(dev, bio);
		return;
	}

	/* Shorter than rcu_read_lock() where that is a call, and as good: nothing waits here. */
	rcu_read_lock_sched();
	table = rcu_dereference_sched(dev->table);
	if (unlikely(sector >= table->sectors)) {
		rcu_read_unlock_sched();
		bio_io_error(bio);
		return;
	}
	segment = svmdk_table_find(table, sector);
	extent = segment->extent;
	source = segment->source + (sector - segment->start);
	left = segment[1].start - sector;
	rcu_read_unlock_sched();

	if (unlikely(bio_sectors(bio) > left)) {
		svmdk_submit_split(dev, extent, bio, left);
		return;
	}
	/* For a disk that is read-only as a whole, the block layer only warns. */
	if (op_is_write(bio_op(bio)) && unlikely(extent->read_only)) {
		svmdk_bio_fail(bio, SVMDK_STS_READ_ONLY);
		return;
	}
	if (unlikely(!extent->plain) || trace_svmdk_submit_enabled()) {
		svmdk_submit_rest(dev, extent, bio, source);
		return;
	}
	if (op_is_write(bio_op(bio)) || blk_queue_io_stat(dev->disk->queue) ||
	    trace_svmdk_complete_enabled() || trace_block_bio_remap_enabled()) {
		svmdk_map_bio(dev, extent, bio, source);
		return;
	}
	svmdk_remap_bio(bio, extent->backing->bdev, source);
	submit_bio_noacct(bio);
}

/**
 * svmdk_io_setup - the reserves of a disk
 * @dev: the disk
 *
 * Context: may sleep. Returns -ENOMEM; svmdk_io_teardown() is to be called all
 * the same.
 */
int svmdk_io_setup(struct svmdk_device *dev)
{
	int err;

	err = svmdk_pool_init(&dev->hooks, SVMDK_MIN_HOOKS, svmdk_hook_cache);
	if (!err)
		err = bioset_init(&dev->split_bios, BIO_POOL_SIZE, 0, 0);
	if (!err)
		err = svmdk_file_io_setup(dev);
	return err;
}

/**
 * svmdk_io_teardown - undo svmdk_io_setup()
 * @dev: the disk, without I/O
 *
 * Context: may sleep.
 */
void svmdk_io_teardown(struct svmdk_device *dev)
{
	svmdk_pool_exit(&dev->cmds);
	bioset_exit(&dev->split_bios);
	svmdk_pool_exit(&dev->hooks);
}

int __init svmdk_io_init(void)
{
	svmdk_learn_chain_end_io();
	svmdk_hook_cache = KMEM_CACHE(svmdk_hook, 0);
	return svmdk_hook_cache ? 0 : -ENOMEM;
}

void svmdk_io_exit(void)
{
	kmem_cache_destroy(svmdk_hook_cache);
}
