// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/rculist.h>
#include <linux/slab.h>

#include "backing.h"
#include "compat.h"
#include "device.h"
#include "io.h"

/*
 * Waiting for a file system to thaw blocks a worker, for hours maybe, so it is
 * done apart from the workqueues that complete I/O.
 */
static struct workqueue_struct *svmdk_thaw_wq;

/* Send on what waited; what meets the next freeze parks itself again. */
static void svmdk_backing_thaw_work(struct work_struct *work)
{
	struct svmdk_backing *backing = container_of(work, struct svmdk_backing, thaw_work);
	struct bio_list bios;
	struct bio *bio;

	sb_start_write(backing->sb);

	spin_lock_irq(&backing->lock);
	bios = backing->frozen;
	bio_list_init(&backing->frozen);
	spin_unlock_irq(&backing->lock);

	while ((bio = bio_list_pop(&bios)))
		submit_bio_noacct(bio);

	sb_end_write(backing->sb);
}

/**
 * svmdk_backing_park - hold a write until the file system thaws
 * @backing: where it goes
 * @bio: the write, not yet accounted and not yet remapped
 *
 * Context: any.
 */
void svmdk_backing_park(struct svmdk_backing *backing, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&backing->lock, flags);
	bio_list_add(&backing->frozen, bio);
	spin_unlock_irqrestore(&backing->lock, flags);
	queue_work(svmdk_thaw_wq, &backing->thaw_work);
}

static struct svmdk_backing *svmdk_backing_find(struct svmdk_device *dev,
						const struct block_device *bdev,
						const struct super_block *sb)
{
	struct svmdk_backing *backing;

	list_for_each_entry(backing, &dev->backings, list)
		if (backing->bdev == bdev && backing->sb == sb)
			return backing;
	return NULL;
}

/* Disks that lie one on the other. */
#define SVMDK_MAX_DEPTH 8

DEFINE_MUTEX(svmdk_tree_lock);

/* Through no more than @depth disks of ours; more are taken for a yes. */
static bool svmdk_tree_find(const struct svmdk_device *dev, const struct svmdk_device *below,
			    unsigned int depth)
{
	const struct svmdk_backing *backing;

	lockdep_assert_held(&svmdk_tree_lock);
	if (dev == below || !depth)
		return true;
	list_for_each_entry(backing, &dev->backings, list)
		if (backing->below && svmdk_tree_find(backing->below, below, depth - 1))
			return true;
	return false;
}

/**
 * svmdk_backing_lie_on - does anything that a disk lies on lie on another?
 * @dev: the disk, or a growth, which is another one than the disk that grows
 * @below: the other disk
 *
 * What lies on a disk through another driver is not seen, and neither is where a file
 * system went that has left its device.
 *
 * Context: svmdk_tree_lock is held.
 */
bool svmdk_backing_lie_on(const struct svmdk_device *dev, const struct svmdk_device *below)
{
	return svmdk_tree_find(dev, below, SVMDK_MAX_DEPTH + 1);
}

static void svmdk_backing_free(struct svmdk_backing *backing)
{
	if (backing->below)
		svmdk_device_put(backing->below);
	kfree(backing);
}

/* A disk that grew by what lies on it would wait for itself in its first flush. */
static int svmdk_backing_set_below(struct svmdk_backing *backing)
{
	const struct svmdk_device *grows = backing->dev->grows;
	bool cycle;

	backing->below = svmdk_device_get_of(backing->bdev);
	if (!backing->below || !grows)
		return 0;
	mutex_lock(&svmdk_tree_lock);
	cycle = svmdk_tree_find(backing->below, grows, SVMDK_MAX_DEPTH);
	mutex_unlock(&svmdk_tree_lock);
	return cycle ? -EDEADLK : 0;
}

/**
 * svmdk_backing_get - the disk's record of a backing device
 * @dev: the disk, in setup
 * @bdev: the block device, or NULL where the file system has none, or many
 * @sb: the file system on it that the extent is in, or NULL
 *
 * Context: may sleep; the control file's lock is held. Returns an ERR_PTR: -ENOMEM;
 * -EDEADLK, of a growth: it lies on the disk. It lives as long as the disk.
 */
struct svmdk_backing *svmdk_backing_get(struct svmdk_device *dev, struct block_device *bdev,
					struct super_block *sb)
{
	struct svmdk_backing *backing = svmdk_backing_find(dev, bdev, sb);
	int err;

	if (backing)
		return backing;
	backing = kzalloc(sizeof(*backing), GFP_KERNEL_ACCOUNT);
	if (!backing)
		return ERR_PTR(-ENOMEM);
	backing->dev = dev;
	backing->bdev = bdev;
	backing->sb = sb;
	backing->logical_block = SECTOR_SIZE;
	backing->dma_alignment = SECTOR_SIZE - 1;
	if (bdev) {
		err = svmdk_backing_set_below(backing);
		if (err) {
			svmdk_backing_free(backing);
			return ERR_PTR(err);
		}
		backing->devt = bdev->bd_dev;
		backing->logical_block = bdev_logical_block_size(bdev);
		backing->dma_alignment = bdev_dma_alignment(bdev);
		backing->rotational = bdev_rot(bdev);
		backing->stable_writes = bdev_stable_writes(bdev);
	}
	spin_lock_init(&backing->lock);
	bio_list_init(&backing->frozen);
	INIT_WORK(&backing->thaw_work, svmdk_backing_thaw_work);
	list_add_tail(&backing->list, &dev->backings);
	return backing;
}

/**
 * svmdk_backing_adopt - the backing devices of a growth become the disk's
 * @dev: the disk
 * @growth: its growth
 *
 * Those that the disk has already are of no use any more; what lies on them is
 * to be moved to @backing->twin first.
 *
 * Context: svmdk_tree_lock and the disk's lock are held; flushes may be under way.
 */
void svmdk_backing_adopt(struct svmdk_device *dev, struct svmdk_device *growth)
{
	struct svmdk_backing *backing, *next;

	lockdep_assert_held(&svmdk_tree_lock);
	list_for_each_entry_safe(backing, next, &growth->backings, list) {
		list_del(&backing->list);
		if (backing->twin) {
			svmdk_backing_free(backing);
			continue;
		}
		backing->dev = dev;
		list_add_tail_rcu(&backing->list, &dev->backings);
	}
}

/**
 * svmdk_backing_find_twins - which backing devices of a growth has the disk already?
 * @dev: the disk
 * @growth: its growth; @twin of each of its backing devices is set
 *
 * Context: the disk's lock is held.
 */
void svmdk_backing_find_twins(struct svmdk_device *dev, struct svmdk_device *growth)
{
	struct svmdk_backing *backing;

	list_for_each_entry(backing, &growth->backings, list)
		backing->twin = svmdk_backing_find(dev, backing->bdev, backing->sb);
}

/**
 * svmdk_backing_free_all - forget the backing devices of a disk
 * @dev: the disk, without I/O and without sources
 *
 * Context: may sleep.
 */
void svmdk_backing_free_all(struct svmdk_device *dev)
{
	struct svmdk_backing *backing, *next;

	mutex_lock(&svmdk_tree_lock);
	list_for_each_entry_safe(backing, next, &dev->backings, list) {
		list_del(&backing->list);
		svmdk_backing_free(backing);
	}
	mutex_unlock(&svmdk_tree_lock);
}

struct svmdk_flush_wait {
	atomic_t pending;
	struct completion done;
};

static void svmdk_backing_flush_end_io(struct bio *bio)
{
	struct svmdk_flush_wait *wait = bio->bi_private;

	if (atomic_dec_and_test(&wait->pending))
		complete(&wait->done);
}

/**
 * svmdk_backing_flush_all - flush the dirty backing devices of a disk
 * @dev: the disk
 *
 * All at once, so that it takes as long as the slowest. A device that fails
 * stays dirty: the next flush fails or succeeds for it again.
 *
 * Context: may sleep; one caller a disk at a time, which is what makes it
 * right to clear dirty before the flush: nobody can see it clear while the
 * flush is still under way. Returns the status of a device that failed.
 */
blk_status_t svmdk_backing_flush_all(struct svmdk_device *dev)
{
	struct svmdk_flush_wait wait = { .pending = ATOMIC_INIT(1) };
	struct svmdk_backing *backing;
	blk_status_t status = BLK_STS_OK;

	init_completion(&wait.done);
	list_for_each_entry_lockless(backing, &dev->backings, list) {
		backing->flush_bio.bi_private = NULL;
		if (!xchg(&backing->dirty, 0))
			continue;
		bio_init(&backing->flush_bio, backing->bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
		backing->flush_bio.bi_private = &wait;
		backing->flush_bio.bi_end_io = svmdk_backing_flush_end_io;
		atomic_inc(&wait.pending);
		submit_bio(&backing->flush_bio);
	}
	if (!atomic_dec_and_test(&wait.pending))
		wait_for_completion_io(&wait.done);

	list_for_each_entry_lockless(backing, &dev->backings, list) {
		if (!backing->flush_bio.bi_private)
			continue;
		if (backing->flush_bio.bi_status) {
			WRITE_ONCE(backing->dirty, 1);
			status = backing->flush_bio.bi_status;
		}
		bio_uninit(&backing->flush_bio);
	}
	return status;
}

int __init svmdk_backing_init(void)
{
	svmdk_thaw_wq = alloc_workqueue("svmdk-thaw", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	return svmdk_thaw_wq ? 0 : -ENOMEM;
}

void svmdk_backing_exit(void)
{
	destroy_workqueue(svmdk_thaw_wq);
}
