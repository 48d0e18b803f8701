// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/bio.h>
#include <linux/blk-cgroup.h>
#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "backing.h"
#include "compat.h"
#include "device.h"
#include "extent.h"
#include "io.h"
#include "source.h"
#include "trace.h"

/* A reserve of each disk, for when memory is short. */
#define SVMDK_MIN_CMDS 16

/**
 * struct svmdk_cmd - a bio that goes through the file system
 * @iocb: the kiocb
 * @work: submits it
 * @bio: the bio, all of it in one extent
 * @dev: the disk
 * @extent: the extent
 * @source: first sector in the file
 * @start_time: of accounting, in jiffies
 * @done: bytes that are done
 * @accounted: accounting was begun
 * @again: a worker is to go on with it at the last put
 * @refs: one until it is complete or to go on, one while it is being submitted:
 *	a file system may look at the kiocb after it has completed it
 */
struct svmdk_cmd {
	struct kiocb iocb;
	struct work_struct work;
	struct bio *bio;
	struct svmdk_device *dev;
	struct svmdk_extent *extent;
	u64 source;
	unsigned long start_time;
	u32 done;
	bool accounted;
	bool again;
	atomic_t refs;
};

static struct kmem_cache *svmdk_cmd_cache;

static void svmdk_cmd_put(struct svmdk_cmd *cmd)
{
	if (!atomic_dec_and_test(&cmd->refs))
		return;
	if (unlikely(cmd->again)) {
		cmd->again = false;
		atomic_set(&cmd->refs, 1);
		queue_work(cmd->dev->wq, &cmd->work);
		return;
	}
	svmdk_pool_free(&cmd->dev->cmds, cmd);
}

/* Give the bio back to its owner. The disk may be gone when this returns. */
static void svmdk_cmd_finish(struct svmdk_cmd *cmd, long ret)
{
	struct bio *bio = cmd->bio;

	if (ret < 0)
		bio->bi_status = errno_to_blk_status(ret);
	if (op_is_write(bio_op(bio))) {
		/* What it wrote comes before a look at what tells a flush of it. */
		smp_mb();
		svmdk_extent_mark_written(cmd->extent);
		svmdk_source_unsync(cmd->extent->source);
		if (cmd->extent->source->holds_times)
			svmdk_source_touch(cmd->extent->source);
		svmdk_backing_end_write(cmd->extent->backing);
	}
	trace_svmdk_complete(bio->bi_bdev, cmd->extent->number, bio_op(bio), bio->bi_iter.bi_sector,
			     bio_sectors(bio), bio->bi_status);
	if (cmd->accounted)
		bdev_end_io_acct(bio->bi_bdev, bio_op(bio), bio_sectors(bio), cmd->start_time);
	svmdk_cmd_put(cmd);
	bio_endio(bio);
}

/*
 * What is short is tried again from where it stopped, which brings out the
 * reason: an error, or nothing at all where the file has become too short. So
 * is what could not be done without waiting, for memory too, now or further down.
 */
static void svmdk_cmd_done(struct svmdk_cmd *cmd, long ret)
{
	bool again = false;

	if (ret == 0) {
		ret = -EIO;
	} else if (ret > 0) {
		cmd->done += ret;
		again = cmd->done < cmd->bio->bi_iter.bi_size;
	} else if (ret == -EAGAIN || ret == -EOPNOTSUPP || ret == -ENOMEM) {
		again = cmd->iocb.ki_flags & IOCB_NOWAIT;
	}
	if (again) {
		cmd->again = true;
		svmdk_cmd_put(cmd);
	} else {
		svmdk_cmd_finish(cmd, ret);
	}
}

static void svmdk_cmd_complete(struct kiocb *iocb, long ret)
{
	svmdk_cmd_done(container_of(iocb, struct svmdk_cmd, iocb), ret);
}

/* The part of the bio that is not done yet. A bio may begin within a bvec. */
static void svmdk_cmd_iter(struct svmdk_cmd *cmd, struct iov_iter *iter)
{
	struct bio *bio = cmd->bio;
	struct bvec_iter rest = bio->bi_iter;
	struct bvec_iter each;
	unsigned int nr = 0;
	struct bio_vec bvec;

	if (cmd->done)
		bio_advance_iter(bio, &rest, cmd->done);
	__bio_for_each_bvec(bvec, bio, each, rest)
		nr++;
	iov_iter_bvec(iter, op_is_write(bio_op(bio)) ? ITER_SOURCE : ITER_DEST,
		      __bvec_iter_bvec(bio->bi_io_vec, rest), nr, rest.bi_size);
	iter->iov_offset = rest.bi_offset;
}

static ssize_t svmdk_cmd_rw(struct svmdk_cmd *cmd, int flags)
{
	const struct svmdk_source *source = cmd->extent->source;
	struct file *file = source->file;
	bool write = op_is_write(bio_op(cmd->bio));
	struct iov_iter iter;
	loff_t end;

	cmd->iocb = (struct kiocb){
		.ki_filp = file,
		.ki_pos = (cmd->source << SECTOR_SHIFT) + cmd->done,
		.ki_complete = svmdk_cmd_complete,
		.ki_flags = flags,
		.ki_ioprio = cmd->bio->bi_ioprio,
	};
	if (cmd->bio->bi_opf & REQ_FUA) {
		cmd->iocb.ki_flags |= IOCB_DSYNC;
		/*
		 * btrfs completes a direct write like this that nobody waits for without
		 * the metadata by which it would be found again: its own sync comes after
		 * the write has returned, and iomap takes a new extent for an overwrite.
		 */
		if (!source->claim && !svmdk_source_fs_is_safe(file_inode(file)->i_sb))
			cmd->iocb.ki_complete = NULL;
	}
	svmdk_cmd_iter(cmd, &iter);

	if (!write)
		return file->f_op->read_iter(&cmd->iocb, &iter);
	/* By this overlayfs knows what it has to let go of at the end. */
	cmd->iocb.ki_flags |= IOCB_WRITE;

	/* A file that somebody cut short must not grow again behind his back. */
	end = cmd->iocb.ki_pos + iov_iter_count(&iter);
	if (i_size_read(file_inode(file)) < end)
		return -EIO;
	return file->f_op->write_iter(&cmd->iocb, &iter);
}

/* Has a reference of its own while it does. */
static void svmdk_cmd_submit(struct svmdk_cmd *cmd, int flags)
{
	ssize_t ret;

	if (cmd->extent->direct)
		flags |= IOCB_DIRECT;
	atomic_inc(&cmd->refs);
	ret = svmdk_cmd_rw(cmd, flags);
	if (ret != -EIOCBQUEUED)
		svmdk_cmd_done(cmd, ret);
	svmdk_cmd_put(cmd);
}

static void svmdk_cmd_work(struct work_struct *work)
{
	struct svmdk_cmd *cmd = container_of(work, struct svmdk_cmd, work);
	struct cgroup_subsys_state *css = bio_blkcg_css(cmd->bio);
	unsigned int noio = memalloc_noio_save();
	unsigned int throttle = current->flags & PF_LOCAL_THROTTLE;

	/* The root is what a worker has by itself. */
	if (css == blkcg_root_css)
		css = NULL;

	/*
	 * Writeback of what is above waits for us, so allocations must not wait
	 * for writeback, and we must not be throttled for pages that we clean.
	 */
	current->flags |= PF_LOCAL_THROTTLE;
	if (css)
		kthread_associate_blkcg(css);

	svmdk_cmd_submit(cmd, 0);

	if (css)
		kthread_associate_blkcg(NULL);
	if (!throttle)
		current->flags &= ~PF_LOCAL_THROTTLE;
	memalloc_noio_restore(noio);
}

/*
 * What is written goes by the limit of whoever writes (generic_write_check_limits()), and
 * that is not he who happens to submit this. And before the file system looks at
 * IOCB_NOWAIT it looks for an xattr that a write takes away, and may read it from the disk
 * for that, unless it knows that there is none (__file_remove_privs()).
 */
static bool svmdk_may_write_inline(const struct svmdk_extent *extent)
{
	return rlimit(RLIMIT_FSIZE) == RLIM_INFINITY && IS_NOSEC(file_inode(extent->source->file));
}

/*
 * May the task that submits a bio take it through the file system itself?
 * Nothing of its own may wait on current->bio_list meanwhile, for even with
 * IOCB_NOWAIT memory may be waited for. And the file system's bios are to be
 * counted where this one is.
 */
static bool svmdk_may_try_inline(const struct svmdk_cmd *cmd)
{
	const struct bio_list *waiting = current->bio_list;
	bool same = true;

	if (!cmd->extent->nowait || (current->flags & PF_KTHREAD))
		return false;
	if (op_is_write(bio_op(cmd->bio)) && !svmdk_may_write_inline(cmd->extent))
		return false;
	if (waiting && (!bio_list_empty(&waiting[0]) || !bio_list_empty(&waiting[1])))
		return false;
#ifdef CONFIG_BLK_CGROUP
	rcu_read_lock();
	same = task_css(current, io_cgrp_id) == bio_blkcg_css(cmd->bio);
	rcu_read_unlock();
#endif
	return same;
}

/* What would wait goes to a worker instead. */
static void svmdk_cmd_try_inline(struct svmdk_cmd *cmd)
{
	unsigned int noio = memalloc_noio_save();
	void *journal_info = current->journal_info;

	/* It is of the file system above. */
	current->journal_info = NULL;
	svmdk_cmd_submit(cmd, IOCB_NOWAIT);
	current->journal_info = journal_info;
	memalloc_noio_restore(noio);
}

/**
 * svmdk_file_submit - send a bio through the file system
 * @dev: the disk
 * @extent: the extent that all of it lies in
 * @bio: read or write
 * @source: its first sector in the file
 *
 * A worker does it: a file system may block, for bios of its own too, and
 * those wait on current->bio_list until ->submit_bio() has returned. Only where
 * it is known not to is it tried here and now, for half of what a worker costs.
 *
 * Context: as ->submit_bio(), or a worker.
 */
void svmdk_file_submit(struct svmdk_device *dev, struct svmdk_extent *extent, struct bio *bio,
		       u64 source)
{
	bool write = op_is_write(bio_op(bio));
	struct svmdk_cmd *cmd;

	/* Of extents that came with a growth; whoever asks writes zeroes himself. */
	if (unlikely(bio_op(bio) == REQ_OP_WRITE_ZEROES)) {
		svmdk_bio_fail(bio, BLK_STS_NOTSUPP);
		return;
	}
	/* A worker that waited for the thaw would soon keep all others from their work. */
	if (write && !svmdk_backing_begin_bio(extent->backing, bio))
		return;
	cmd = svmdk_pool_alloc(&dev->cmds, bio->bi_opf);
	if (unlikely(!cmd)) {
		if (write)
			svmdk_backing_end_write(extent->backing);
		bio_wouldblock_error(bio);
		return;
	}
	cmd->bio = bio;
	cmd->dev = dev;
	cmd->extent = extent;
	cmd->source = source;
	cmd->done = 0;
	cmd->again = false;
	atomic_set(&cmd->refs, 1);
	if (write)
		svmdk_extent_mark_written(extent);
	cmd->accounted = blk_queue_io_stat(dev->disk->queue);
	if (cmd->accounted)
		cmd->start_time = bio_start_io_acct(bio);
	INIT_WORK(&cmd->work, svmdk_cmd_work);
	if (svmdk_may_try_inline(cmd))
		svmdk_cmd_try_inline(cmd);
	else
		queue_work(dev->wq, &cmd->work);
}

/**
 * svmdk_file_io_setup - the file way's reserve of a disk
 * @dev: the disk
 *
 * Context: may sleep. Returns -ENOMEM.
 */
int svmdk_file_io_setup(struct svmdk_device *dev)
{
	return svmdk_pool_init(&dev->cmds, SVMDK_MIN_CMDS, svmdk_cmd_cache);
}

int __init svmdk_file_io_init(void)
{
	svmdk_cmd_cache = KMEM_CACHE(svmdk_cmd, 0);
	return svmdk_cmd_cache ? 0 : -ENOMEM;
}

void svmdk_file_io_exit(void)
{
	kmem_cache_destroy(svmdk_cmd_cache);
}
