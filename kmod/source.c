// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/magic.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "backing.h"
#include "compat.h"
#include "device.h"
#include "source.h"

/*
 * Every file and block device that a disk has, of all disks, by inode: two
 * disks share one only where both read.
 */
static DEFINE_HASHTABLE(svmdk_sources, 12);
static DEFINE_MUTEX(svmdk_sources_lock); /* Of svmdk_sources and of pins. */

/**
 * svmdk_source_fs_is_safe - may files of a file system be mapped at all?
 * @sb: the file system
 *
 * Known to keep what bmap() said of a file that is allocated and written, as
 * long as S_SWAPFILE is set. ext2 and ext3 by the ext4 driver have other names.
 *
 * Context: any.
 */
bool svmdk_source_fs_is_safe(const struct super_block *sb)
{
	return (sb->s_magic == EXT4_SUPER_MAGIC && !strcmp(sb->s_type->name, "ext4")) ||
	       (sb->s_magic == XFS_SUPER_MAGIC && !strcmp(sb->s_type->name, "xfs"));
}

/**
 * svmdk_source_keeps_nowait - does IOCB_NOWAIT keep direct I/O from waiting for I/O?
 * @source: a file or block device
 *
 * XFS has all of a file's extents in memory or answers -EAGAIN
 * (xfs_ilock_for_iomap()). ext4_map_blocks() and btrfs_get_extent() may read
 * their trees whatever the flag says, and to wait for that in ->submit_bio() is
 * to wait for a bio that is on current->bio_list. A new atime is a transaction
 * that no flag holds back, so there must be none.
 *
 * Context: any.
 */
bool svmdk_source_keeps_nowait(const struct svmdk_source *source)
{
	const struct super_block *sb = file_inode(source->file)->i_sb;

	return !source->claim && sb->s_magic == XFS_SUPER_MAGIC &&
	       !strcmp(sb->s_type->name, "xfs") && (source->file->f_mode & FMODE_NOWAIT) &&
	       (source->file->f_flags & O_NOATIME);
}

/* Why a file cannot be mapped, as far as that shows without its map. */
static u8 svmdk_source_examine(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	/* Without swap the kernel has no use for S_SWAPFILE, and does not keep to it. */
	if (!IS_ENABLED(CONFIG_SWAP) || !svmdk_source_fs_is_safe(sb))
		return SVMDK_REASON_FILESYSTEM;
	if (!sb->s_bdev || bdev_is_zoned(sb->s_bdev) || !inode->i_mapping->a_ops->bmap)
		return SVMDK_REASON_NO_BDEV;
	if (IS_ENCRYPTED(inode))
		return SVMDK_REASON_ENCRYPTED;
	if (IS_VERITY(inode))
		return SVMDK_REASON_VERITY;
	if (IS_DAX(inode))
		return SVMDK_REASON_DAX;
	if (IS_IMMUTABLE(inode) || IS_APPEND(inode))
		return SVMDK_REASON_IMMUTABLE;
	return SVMDK_REASON_NONE;
}

/*
 * Data that is journalled may be replayed over what was written past the
 * journal. ext4 says that such a file takes no direct I/O.
 */
static bool svmdk_source_is_journalled(struct file *file)
{
	struct kstat stat;

	return !vfs_getattr(&file->f_path, &stat, STATX_DIOALIGN, AT_STATX_DONT_SYNC) &&
	       (stat.result_mask & STATX_DIOALIGN) && !stat.dio_offset_align;
}

static bool svmdk_source_pinned_by_us(const struct inode *inode)
{
	struct svmdk_source *other;

	lockdep_assert_held(&svmdk_sources_lock);
	hash_for_each_possible(svmdk_sources, other, node, (unsigned long)inode)
		if (svmdk_source_inode(other) == inode && other->pinned)
			return true;
	return false;
}

/*
 * fallocate() and XFS_IOC_SWAPEXT look at S_SWAPFILE first, then wait for a thaw or for the
 * inode's lock, and do not look again; a loop device's discards do not look at all
 * (lo_fallocate()). Each has the file open for writing. Whoever opens it now sees the flag, or
 * is seen: to become a writer is a full barrier, too (get_write_access()).
 */
static bool svmdk_source_has_writers(const struct svmdk_source *source)
{
	const int ours = source->file->f_mode & FMODE_WRITE ? 1 : 0;

	smp_mb();
	return atomic_read(&svmdk_source_inode(source)->i_writecount) > ours;
}

static void svmdk_unpin_inode(struct inode *inode)
{
	lockdep_assert_held_write(&inode->i_rwsem);
	inode->i_flags &= ~S_SWAPFILE;
	mapping_allow_writable(inode->i_mapping);
}

/*
 * Nothing may move, grow or write the file from here on, see swapon(2): that
 * is S_SWAPFILE. Who had it open for writing before may be past that. A shared
 * mapping that could become writable later does not ask for that flag, so there
 * must be none, and no new one. The order matters: once it is set no new write
 * begins; those under way end with the inode lock or as direct I/O; then
 * everything goes to the disk, metadata too; and only an empty page cache is one
 * that cannot hide what mapped writes put there.
 *
 * All this may wait for the disk, so the registry's lock is not held. Another
 * disk that begins or ends to read the same file meanwhile finds it pinned by
 * nobody it knows, and takes the file way.
 */
static u8 svmdk_source_pin(struct svmdk_source *source)
{
	struct inode *inode = svmdk_source_inode(source);
	u8 reason = SVMDK_REASON_NONE;

	mutex_lock(&svmdk_sources_lock);
	source->pinned = svmdk_source_pinned_by_us(inode);
	mutex_unlock(&svmdk_sources_lock);

	if (!source->pinned) {
		inode_lock(inode);
		if (IS_SWAPFILE(inode))
			reason = SVMDK_REASON_SWAPFILE;
		else if (mapping_deny_writable(inode->i_mapping))
			reason = SVMDK_REASON_MMAPPED;
		else
			inode->i_flags |= S_SWAPFILE;
		if (!reason && svmdk_source_has_writers(source)) {
			svmdk_unpin_inode(inode);
			reason = SVMDK_REASON_WRITERS;
		}
		inode_unlock(inode);
		if (reason)
			return reason;

		mutex_lock(&svmdk_sources_lock);
		source->pinned = true;
		mutex_unlock(&svmdk_sources_lock);
	}

	inode_dio_wait(inode);
	if (vfs_fsync(source->file, 0) || invalidate_inode_pages2(inode->i_mapping))
		return SVMDK_REASON_CACHED;
	return SVMDK_REASON_NONE;
}

/**
 * svmdk_source_unpin - give up mapping a source
 * @source: a file that its disk does no I/O to
 * @reason: enum svmdk_reason
 *
 * Context: may sleep.
 */
void svmdk_source_unpin(struct svmdk_source *source, u8 reason)
{
	struct inode *inode = svmdk_source_inode(source);
	bool last;

	source->reason = reason;
	mutex_lock(&svmdk_sources_lock);
	last = source->pinned;
	source->pinned = false;
	if (last)
		last = !svmdk_source_pinned_by_us(inode);
	mutex_unlock(&svmdk_sources_lock);
	if (!last)
		return;
	inode_lock(inode);
	svmdk_unpin_inode(inode);
	inode_unlock(inode);
}

/* Another disk may have the file only where both read. */
static int svmdk_source_check_conflict(const struct svmdk_source *source, s32 *holder)
{
	struct inode *inode = svmdk_source_inode(source);
	struct svmdk_source *other;

	lockdep_assert_held(&svmdk_sources_lock);
	hash_for_each_possible(svmdk_sources, other, node, (unsigned long)inode) {
		if (svmdk_source_inode(other) != inode || other->dev == source->dev)
			continue;
		if (other->writable || source->writable) {
			*holder = other->dev->index;
			return -EBUSY;
		}
	}
	return 0;
}

/*
 * What others wrote to the page cache of a block device is to be seen, and what is cached
 * there is out of date once the disk is written. Who only reads leaves it: a file system
 * that is mounted has pages in use, which cannot be dropped.
 */
static int svmdk_source_sync_bdev(const struct svmdk_source *source)
{
	struct address_space *mapping = source->file->f_mapping;
	int err = filemap_write_and_wait(mapping);

	return err || !source->writable ? err : invalidate_inode_pages2(mapping);
}

/* Disks that only read may share a block device; who writes is alone. */
static int svmdk_source_claim(struct svmdk_source *source)
{
	dev_t devt = svmdk_source_inode(source)->i_rdev;
	blk_mode_t mode = BLK_OPEN_READ | (source->writable ? BLK_OPEN_WRITE : 0);
	struct file *claim;
	int err;

	claim = bdev_file_open_by_dev(devt, mode, source->writable ? source : NULL, NULL);
	if (IS_ERR(claim))
		return PTR_ERR(claim);
	err = svmdk_source_sync_bdev(source);
	if (err) {
		bdev_fput(claim);
		return err;
	}
	if (source->claim)
		bdev_fput(source->claim);
	source->claim = claim;
	return 0;
}

static int svmdk_source_set_backing(struct svmdk_source *source, struct block_device *bdev,
				    struct super_block *sb)
{
	struct svmdk_backing *backing = svmdk_backing_get(source->dev, bdev, sb);

	if (IS_ERR(backing))
		return PTR_ERR(backing);
	source->backing = backing;
	return 0;
}

static int svmdk_source_open_bdev(struct svmdk_source *source)
{
	int err;

	err = svmdk_source_claim(source);
	if (err)
		return err;
	if (bdev_is_zoned(file_bdev(source->claim)))
		return -EINVAL;
	return svmdk_source_set_backing(source, file_bdev(source->claim), NULL);
}

static int svmdk_source_open_file(struct svmdk_source *source, u32 io)
{
	struct inode *inode = svmdk_source_inode(source);
	struct super_block *sb = inode->i_sb;
	int err;

	err = svmdk_source_set_backing(source, sb->s_bdev, sb);
	if (err)
		return err;
	if (io == SVMDK_IO_FILE)
		source->reason = SVMDK_REASON_REQUESTED;
	else
		source->reason = svmdk_source_examine(inode);
	if (!source->reason && svmdk_source_is_journalled(source->file))
		source->reason = SVMDK_REASON_JOURNALLED;
	if (!source->reason)
		source->reason = svmdk_source_pin(source);
	if (source->reason)
		svmdk_source_unpin(source, source->reason);
	/* Nobody can write to an active swap file. */
	return source->writable && source->reason && IS_SWAPFILE(inode) ? -ETXTBSY : 0;
}

/**
 * svmdk_source_put - an extent is gone
 * @source: what it lay in; released with the last of its extents
 *
 * Context: may sleep. No I/O is under way to it.
 */
void svmdk_source_put(struct svmdk_source *source)
{
	if (--source->users)
		return;
	svmdk_source_unpin(source, source->reason);
	mutex_lock(&svmdk_sources_lock);
	hash_del(&source->node);
	mutex_unlock(&svmdk_sources_lock);
	list_del(&source->list);
	if (source->claim)
		bdev_fput(source->claim);
	/* Whoever gave us the file may have it open still. */
	if (source->holds_times)
		source->file->f_mode &= ~FMODE_NOCMTIME;
	fput(source->file);
	kfree(source);
}

static struct svmdk_source *svmdk_source_new(struct svmdk_device *dev, struct file *file,
					     bool write, u32 io, s32 *holder)
{
	struct svmdk_source *source = kzalloc(sizeof(*source), GFP_KERNEL_ACCOUNT);
	int err;

	if (!source)
		return ERR_PTR(-ENOMEM);
	source->dev = dev;
	source->file = get_file(file);
	source->users = 1;
	source->writable = write;
	list_add_tail(&source->list, &dev->sources);

	mutex_lock(&svmdk_sources_lock);
	err = svmdk_source_check_conflict(source, holder);
	hash_add(svmdk_sources, &source->node, (unsigned long)svmdk_source_inode(source));
	mutex_unlock(&svmdk_sources_lock);
	if (err)
		goto err_put;

	if (S_ISBLK(svmdk_source_inode(source)->i_mode))
		err = svmdk_source_open_bdev(source);
	else
		err = svmdk_source_open_file(source, io);
	if (err)
		goto err_put;
	return source;

err_put:
	svmdk_source_put(source);
	return ERR_PTR(err);
}

/* An extent that is written lies in a source that was only to be read. */
static int svmdk_source_upgrade(struct svmdk_source *source, struct file *file, s32 *holder)
{
	int err;

	mutex_lock(&svmdk_sources_lock);
	source->writable = true;
	err = svmdk_source_check_conflict(source, holder);
	mutex_unlock(&svmdk_sources_lock);
	if (!err && source->claim)
		err = svmdk_source_claim(source);
	else if (!err && source->reason && IS_SWAPFILE(svmdk_source_inode(source)))
		err = -ETXTBSY;
	if (err) {
		mutex_lock(&svmdk_sources_lock);
		source->writable = false;
		mutex_unlock(&svmdk_sources_lock);
		return err;
	}
	fput(source->file);
	source->file = get_file(file);
	return 0;
}

/* One more extent of the disk in a source that it has. */
static int svmdk_source_join(struct svmdk_source *source, struct file *file, bool write, u32 io,
			     s32 *holder)
{
	int err;

	if (write && !source->writable) {
		err = svmdk_source_upgrade(source, file, holder);
		if (err)
			return err;
	}
	if (io == SVMDK_IO_FILE && !source->reason && !source->claim)
		svmdk_source_unpin(source, SVMDK_REASON_REQUESTED);
	source->users++;
	return 0;
}

static struct svmdk_source *svmdk_source_find(struct svmdk_device *dev, struct file *file)
{
	struct inode *inode = file->f_mapping->host;
	struct svmdk_source *source;

	mutex_lock(&svmdk_sources_lock);
	hash_for_each_possible(svmdk_sources, source, node, (unsigned long)inode)
		if (svmdk_source_inode(source) == inode && source->dev == dev)
			break;
	mutex_unlock(&svmdk_sources_lock);
	return source;
}

/**
 * svmdk_source_get - a file or block device for one more extent of a disk
 * @dev: the disk, in setup
 * @file: what the caller of the ioctl has open; the mode is checked already
 * @write: the extent may be written
 * @io: enum svmdk_io
 * @holder: with -EBUSY, the index of the disk that has it, or -1
 *
 * A file that qualifies comes back pinned and with nothing cached.
 *
 * Context: may sleep; the control file's lock is held. Returns an ERR_PTR:
 * -EBUSY, -ENOMEM, or what opening the block device says.
 */
struct svmdk_source *svmdk_source_get(struct svmdk_device *dev, struct file *file, bool write,
				      u32 io, s32 *holder)
{
	struct svmdk_source *source = svmdk_source_find(dev, file);
	int err;

	if (!source)
		return svmdk_source_new(dev, file, write, io, holder);
	err = svmdk_source_join(source, file, write, io, holder);
	return err ? ERR_PTR(err) : source;
}

/**
 * svmdk_source_adopt - the files of a growth become the disk's
 * @dev: the disk
 * @growth: its growth
 *
 * Context: the disk's lock is held.
 */
void svmdk_source_adopt(struct svmdk_device *dev, struct svmdk_device *growth)
{
	struct svmdk_source *source;

	mutex_lock(&svmdk_sources_lock);
	list_for_each_entry(source, &growth->sources, list) {
		source->dev = dev;
		if (source->backing->twin)
			source->backing = source->backing->twin;
	}
	mutex_unlock(&svmdk_sources_lock);
	list_splice_tail_init(&growth->sources, &dev->sources);
}

/**
 * svmdk_source_hold_times - set the mtime after writes, not with each
 * @source: writable, and goes the file way
 *
 * ext4 and XFS would begin a transaction in the first write after each tick of
 * their clock, of each file; with thousands of files that is every write. And
 * at the start of a write is too early: whoever reads then sees a new mtime
 * with the old data. nfsd holds back times by the same flag.
 *
 * Context: the control file's lock is held; no I/O is under way.
 */
void svmdk_source_hold_times(struct svmdk_source *source)
{
	if (source->claim || !svmdk_source_fs_is_safe(file_inode(source->file)->i_sb))
		return;
	source->holds_times = true;
	source->file->f_mode |= FMODE_NOCMTIME;
}

/**
 * svmdk_source_update_times - set the mtime now
 * @source: a file
 *
 * Context: may sleep; the disk's touch_lock and write access to the file system
 * are held. A write that is under way meanwhile may set it as well.
 */
void svmdk_source_update_times(struct svmdk_source *source)
{
	if (source->holds_times)
		source->file->f_mode &= ~FMODE_NOCMTIME;
	file_update_time(source->file);
	if (source->holds_times)
		source->file->f_mode |= FMODE_NOCMTIME;
}

/*
 * Whoever finds the bit set leaves it at that and completes his write, and the flush
 * that follows must find the source in the list. So the bit is not to be seen by a flush
 * before that: see svmdk_device_take_list(). Tells whether it was not in the list.
 */
static bool svmdk_source_list(struct svmdk_source *source, int bit, struct llist_node *node,
			      struct llist_head *list)
{
	struct svmdk_device *dev = source->dev;
	unsigned long flags;
	bool added;

	spin_lock_irqsave(&dev->flush_lock, flags);
	added = !test_and_set_bit(bit, &source->flags);
	if (added)
		llist_add(node, list);
	spin_unlock_irqrestore(&dev->flush_lock, flags);
	return added;
}

/**
 * __svmdk_source_touch - the part of svmdk_source_touch() that a first write takes
 * @source: a file that a write has just changed
 *
 * Context: any, also interrupts.
 */
void __svmdk_source_touch(struct svmdk_source *source)
{
	struct svmdk_device *dev = source->dev;

	if (svmdk_source_list(source, SVMDK_SOURCE_TOUCHED, &source->touched, &dev->touched))
		queue_delayed_work(dev->wq, &dev->touch_work, SVMDK_TOUCH_DELAY);
}

/**
 * __svmdk_source_unsync - the part of svmdk_source_unsync() that a first write takes
 * @source: a file that the file way has written to
 *
 * Context: any, also interrupts.
 */
void __svmdk_source_unsync(struct svmdk_source *source)
{
	svmdk_source_list(source, SVMDK_SOURCE_UNSYNCED, &source->unsynced, &source->dev->unsynced);
}
