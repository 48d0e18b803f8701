/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#ifndef _SVMDK_SOURCE_H
#define _SVMDK_SOURCE_H

#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/llist.h>

struct svmdk_backing;
struct svmdk_device;

/*
 * An mtime is set within a second of a write. Not much sooner, for each costs a
 * transaction of the file system, and there may be thousands. In jiffies.
 */
#define SVMDK_TOUCH_DELAY (HZ - HZ / 10)

/* svmdk_source.flags */
#define SVMDK_SOURCE_TOUCHED 0 /* on svmdk_device.touched */
#define SVMDK_SOURCE_UNSYNCED 1 /* on svmdk_device.unsynced */

/**
 * struct svmdk_source - a file or block device that extents of a disk lie in
 * @node: in the registry, by inode; guarded by its lock
 * @list: in svmdk_device.sources
 * @dev: the disk
 * @file: open as the caller of the ioctl had it
 * @claim: the exclusive open of a block device; NULL for a file
 * @backing: what it lies on
 * @touched: in svmdk_device.touched while SVMDK_SOURCE_TOUCHED
 * @unsynced: in svmdk_device.unsynced while SVMDK_SOURCE_UNSYNCED
 * @flags: SVMDK_SOURCE_* bits
 * @users: extents that lie in it; changed in setup and at the end alone
 * @reason: why it cannot be mapped, or SVMDK_REASON_NONE: then it is pinned,
 *	or a block device
 * @writable: the disk may write to it; guarded by the registry's lock
 * @pinned: it holds S_SWAPFILE on the inode; guarded by the registry's lock
 * @holds_times: writes through @file leave the mtime to svmdk_source_touch()
 */
struct svmdk_source {
	struct hlist_node node;
	struct list_head list;
	struct svmdk_device *dev;
	struct file *file;
	struct file *claim;
	struct svmdk_backing *backing;
	struct llist_node touched;
	struct llist_node unsynced;
	unsigned long flags;
	u32 users;
	u8 reason;
	bool writable;
	bool pinned;
	bool holds_times;
};

bool svmdk_source_fs_is_safe(const struct super_block *sb);
bool svmdk_source_keeps_nowait(const struct svmdk_source *source);
struct svmdk_source *svmdk_source_get(struct svmdk_device *dev, struct file *file, bool write,
				      u32 io, s32 *holder);
void svmdk_source_adopt(struct svmdk_device *dev, struct svmdk_device *growth);
void svmdk_source_put(struct svmdk_source *source);
void svmdk_source_unpin(struct svmdk_source *source, u8 reason);
void svmdk_source_hold_times(struct svmdk_source *source);
void __svmdk_source_touch(struct svmdk_source *source);
void svmdk_source_update_times(struct svmdk_source *source);
void __svmdk_source_unsync(struct svmdk_source *source);

/* The inode that the data is in, also where a file system lies on another. */
static inline struct inode *svmdk_source_inode(const struct svmdk_source *source)
{
	return source->file->f_mapping->host;
}

static inline bool svmdk_source_is_bdev(const struct svmdk_source *source)
{
	return source->claim;
}

/**
 * svmdk_source_touch - its mtime is behind
 * @source: a file that a write has just changed
 *
 * Context: any, also interrupts.
 */
static inline void svmdk_source_touch(struct svmdk_source *source)
{
	if (!test_bit(SVMDK_SOURCE_TOUCHED, &source->flags))
		__svmdk_source_touch(source);
}

/**
 * svmdk_source_unsync - the next flush must reach its file
 * @source: a file that the file way has written to
 *
 * Context: any, also interrupts.
 */
static inline void svmdk_source_unsync(struct svmdk_source *source)
{
	if (!test_bit(SVMDK_SOURCE_UNSYNCED, &source->flags))
		__svmdk_source_unsync(source);
}

#endif /* _SVMDK_SOURCE_H */
