// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/fs.h>
#include <linux/sched/mm.h>

#include "backing.h"
#include "compat.h"
#include "device.h"
#include "io.h"
#include "source.h"

/*
 * What is in one of the lists of sources. Not while somebody has set a source's bit and
 * not put it there yet: writes that found the bit set have been completed by then.
 */
static struct llist_node *svmdk_device_take_list(struct svmdk_device *dev, struct llist_head *list)
{
	struct llist_node *first;

	spin_lock_irq(&dev->flush_lock);
	first = llist_del_all(list);
	spin_unlock_irq(&dev->flush_lock);
	return first;
}

/*
 * A mapped write does not pass the file system, and others are kept from setting
 * it, so the mtime that rsync and the rest go by is set here. Not in a file
 * system that is frozen: then it stays on the list, and is set soon after the
 * thaw; the last time, we wait.
 */
static void svmdk_touch_all(struct svmdk_device *dev, bool last)
{
	struct svmdk_source *source, *next;
	struct llist_node *list;
	bool again = false;

	/* A round under way is part of ours: a flush must not overtake it. */
	mutex_lock(&dev->touch_lock);
	list = svmdk_device_take_list(dev, &dev->touched);
	llist_for_each_entry_safe(source, next, list, touched) {
		struct super_block *sb = file_inode(source->file)->i_sb;

		if (last) {
			sb_start_write(sb);
		} else if (!sb_start_write_trylock(sb)) {
			llist_add(&source->touched, &dev->touched);
			again = true;
			continue;
		}
		/* A write that completes from here on asks for another round. */
		clear_bit(SVMDK_SOURCE_TOUCHED, &source->flags);
		smp_mb__after_atomic();
		svmdk_source_update_times(source);
		sb_end_write(sb);
	}
	mutex_unlock(&dev->touch_lock);
	if (again)
		queue_delayed_work(dev->wq, &dev->touch_work, SVMDK_TOUCH_DELAY);
}

static void svmdk_touch_work(struct work_struct *work)
{
	struct svmdk_device *dev =
		container_of(to_delayed_work(work), struct svmdk_device, touch_work);
	unsigned int noio = memalloc_noio_save();

	svmdk_touch_all(dev, false);
	memalloc_noio_restore(noio);
}

static blk_status_t svmdk_sync_files(struct svmdk_device *dev)
{
	struct llist_node *list = svmdk_device_take_list(dev, &dev->unsynced);
	struct svmdk_source *source, *next;
	blk_status_t status = BLK_STS_OK;

	llist_for_each_entry_safe(source, next, list, unsynced) {
		int err;

		clear_bit(SVMDK_SOURCE_UNSYNCED, &source->flags);
		smp_mb__after_atomic();
		err = vfs_fsync(source->file, 1);
		if (err) {
			svmdk_source_unsync(source);
			status = errno_to_blk_status(err);
		}
	}
	return status;
}

/**
 * svmdk_flush - put everything written so far on stable storage
 * @dev: the disk
 * @last: there is no I/O any more, and no other flush will come
 *
 * Only files and backing devices that were written since the last flush are
 * flushed. What fails stays dirty, for the next flush to try again.
 *
 * Context: may sleep; the disk's flush work, or after its end. Returns the
 * status of one that failed.
 */
blk_status_t svmdk_flush(struct svmdk_device *dev, bool last)
{
	blk_status_t files, devices;

	svmdk_touch_all(dev, last);
	files = svmdk_sync_files(dev);
	devices = svmdk_backing_flush_all(dev);
	return files ?: devices;
}

/*
 * All flushes that wait are served by one. A flush that arrives while another
 * is under way waits for the next: the one under way may have begun before a
 * write that this one must cover, or cover a write for which this one must
 * not return early.
 */
static void svmdk_flush_work(struct work_struct *work)
{
	struct svmdk_device *dev = container_of(work, struct svmdk_device, flush_work);
	unsigned int noio = memalloc_noio_save();
	struct bio_list bios;
	blk_status_t status;
	struct bio *bio;

	spin_lock_irq(&dev->flush_lock);
	bios = dev->flush_bios;
	bio_list_init(&dev->flush_bios);
	spin_unlock_irq(&dev->flush_lock);

	status = svmdk_flush(dev, false);

	while ((bio = bio_list_pop(&bios))) {
		bio->bi_opf &= ~REQ_PREFLUSH;
		if (status)
			svmdk_bio_fail(bio, status);
		else if (bio_sectors(bio))
			submit_bio_noacct(bio);
		else
			bio_endio(bio);
	}
	memalloc_noio_restore(noio);
}

/**
 * svmdk_flush_submit - flush, then do the rest of a bio
 * @dev: the disk
 * @bio: with REQ_PREFLUSH
 *
 * Context: any.
 */
void svmdk_flush_submit(struct svmdk_device *dev, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->flush_lock, flags);
	bio_list_add(&dev->flush_bios, bio);
	spin_unlock_irqrestore(&dev->flush_lock, flags);
	queue_work(dev->flush_wq, &dev->flush_work);
}

static bool svmdk_is_frozen(struct file *file)
{
	return READ_ONCE(file_inode(file)->i_sb->s_writers.frozen) != SB_UNFROZEN;
}

/**
 * svmdk_flush_must_wait - would the end of a disk wait for a thaw?
 * @dev: the disk, without users
 *
 * Context: its lock is held. Tells whether the mtime of a written file cannot be
 * set, because its file system is frozen; or the descriptor's is, in which the
 * one who detaches has to write that it was.
 */
bool svmdk_flush_must_wait(struct svmdk_device *dev)
{
	struct svmdk_source *source;

	if (!dev->read_only && svmdk_is_frozen(dev->descriptor))
		return true;
	list_for_each_entry(source, &dev->sources, list)
		if (test_bit(SVMDK_SOURCE_TOUCHED, &source->flags) && svmdk_is_frozen(source->file))
			return true;
	return false;
}

/**
 * svmdk_flush_setup - make a new disk ready for flushes
 * @dev: the disk, with its workqueue
 *
 * Context: any.
 */
void svmdk_flush_setup(struct svmdk_device *dev)
{
	mutex_init(&dev->touch_lock);
	init_llist_head(&dev->touched);
	init_llist_head(&dev->unsynced);
	spin_lock_init(&dev->flush_lock);
	bio_list_init(&dev->flush_bios);
	INIT_DELAYED_WORK(&dev->touch_work, svmdk_touch_work);
	INIT_WORK(&dev->flush_work, svmdk_flush_work);
}

/**
 * svmdk_flush_teardown - end the works that flush and touch
 * @dev: the disk, without I/O
 *
 * Context: may sleep.
 */
void svmdk_flush_teardown(struct svmdk_device *dev)
{
	struct svmdk_backing *backing;

	list_for_each_entry(backing, &dev->backings, list)
		flush_work(&backing->thaw_work);
	/* A flush may ask for another round of mtimes. */
	flush_work(&dev->flush_work);
	cancel_delayed_work_sync(&dev->touch_work);
}
