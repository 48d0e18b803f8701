// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "backing.h"
#include "compat.h"
#include "device.h"
#include "extent.h"
#include "io.h"
#include "source.h"
#include "table.h"

/* The disks, by index. One in setup has its index reserved, and no entry. */
static DEFINE_XARRAY_ALLOC(svmdk_devices);

/* Ends lazily detached disks; their last closer cannot, it holds the disk. */
static struct workqueue_struct *svmdk_remove_wq;

static void svmdk_device_free(struct kref *kref)
{
	kfree(container_of(kref, struct svmdk_device, kref));
}

/**
 * svmdk_device_put - drop a reference of svmdk_device_get()
 * @dev: the device
 *
 * Context: any.
 */
void svmdk_device_put(struct svmdk_device *dev)
{
	kref_put(&dev->kref, svmdk_device_free);
}

/**
 * svmdk_device_get - find a live device
 * @index: the N of svmdkN
 * @next: take the next one above where there is no such
 *
 * Context: may sleep. Returns NULL or the device, whose memory then stays; it
 * may be dying all the same.
 */
struct svmdk_device *svmdk_device_get(u32 index, bool next)
{
	unsigned long at = index;
	struct svmdk_device *dev;

	xa_lock(&svmdk_devices);
	dev = xa_load(&svmdk_devices, at);
	if (!dev && next)
		dev = xa_find(&svmdk_devices, &at, ULONG_MAX, XA_PRESENT);
	if (dev)
		kref_get(&dev->kref);
	xa_unlock(&svmdk_devices);
	return dev;
}

/* Everything but the disk itself goes; no I/O and no other user is left. */
static void svmdk_device_release(struct svmdk_device *dev)
{
	/*
	 * First, for a worker may have its file in hand yet: a file system goes on with a
	 * kiocb whose I/O, and with it the bio, was completed elsewhere.
	 */
	destroy_workqueue(dev->flush_wq);
	destroy_workqueue(dev->wq);
	svmdk_extent_drop_from(dev, 0);
	xa_destroy(&dev->extents);
	svmdk_backing_free_all(dev);
	svmdk_io_teardown(dev);
	svmdk_table_free(rcu_dereference_protected(dev->table, true));
	fput(dev->descriptor);
	if (dev->disk)
		put_disk(dev->disk);
	xa_erase(&svmdk_devices, dev->index);
	svmdk_device_put(dev);
	module_put(THIS_MODULE);
}

/* Bit i % 8 of byte i / 8 for each extent, as the ABI has it on any machine. */
static void svmdk_device_fill_dirty(struct svmdk_device *dev, u8 *dirty, size_t bytes)
{
	struct svmdk_extent *extent;
	unsigned long i;

	xa_for_each_range(&dev->extents, i, extent, 0, bytes * BITS_PER_BYTE - 1) {
		if (atomic_read(&extent->written) & SVMDK_WRITTEN_DIRTY)
			dirty[i / BITS_PER_BYTE] |= 1U << (i % BITS_PER_BYTE);
		cond_resched();
	}
}

/* The disk goes, with all that was written to it safe; nobody has it open. */
static int svmdk_device_remove(struct svmdk_device *dev, u8 *dirty, size_t dirty_bytes)
{
	blk_status_t status;

	del_gendisk(dev->disk);
	svmdk_flush_teardown(dev);
	status = svmdk_flush(dev, true);
	if (status)
		pr_err("%s: the last flush failed with %d: what was written may not be on stable storage\n",
		       dev->disk->disk_name, blk_status_to_errno(status));
	if (dirty_bytes)
		svmdk_device_fill_dirty(dev, dirty, dirty_bytes);
	svmdk_device_release(dev);
	/* Not EAGAIN or EBUSY, for instance, which say that the disk is still there. */
	return status ? -EIO : 0;
}

static void svmdk_device_remove_work(struct work_struct *work)
{
	svmdk_device_remove(container_of(work, struct svmdk_device, remove_work), NULL, 0);
}

static int svmdk_open(struct gendisk *disk, blk_mode_t mode)
{
	struct svmdk_device *dev = disk->private_data;
	int err = 0;

	mutex_lock(&dev->lock);
	if (dev->state == SVMDK_LIVE)
		dev->openers++;
	else
		err = -ENXIO;
	mutex_unlock(&dev->lock);
	return err;
}

static void svmdk_release(struct gendisk *disk)
{
	struct svmdk_device *dev = disk->private_data;

	mutex_lock(&dev->lock);
	if (!--dev->openers) {
		if (dev->lazy) {
			dev->state = SVMDK_DYING;
			queue_work(svmdk_remove_wq, &dev->remove_work);
		}
		wake_up_all(&dev->idle);
	}
	mutex_unlock(&dev->lock);
}

DEFINE_BLOCK_OPEN(svmdk_open);
DEFINE_BLOCK_RELEASE(svmdk_release);

static const struct block_device_operations svmdk_fops = {
	.owner = THIS_MODULE,
	.submit_bio = svmdk_submit_bio,
	.open = BLOCK_OPEN(svmdk_open),
	.release = BLOCK_RELEASE(svmdk_release),
};

/**
 * svmdk_device_get_of - the device whose disk a block device is of
 * @bdev: the block device, which somebody has open
 *
 * Context: any. Returns NULL where it is no disk of ours; else its memory stays until
 * svmdk_device_put(), though it may be dying.
 */
struct svmdk_device *svmdk_device_get_of(const struct block_device *bdev)
{
	struct svmdk_device *dev;

	if (bdev->bd_disk->fops != &svmdk_fops)
		return NULL;
	dev = bdev->bd_disk->private_data;
	kref_get(&dev->kref);
	return dev;
}

static int svmdk_device_reserve_index(struct svmdk_device *dev, s32 index)
{
	int err;

	if (index < 0)
		return xa_alloc(&svmdk_devices, &dev->index, NULL, xa_limit_31b, GFP_KERNEL);

	dev->index = index;
	err = xa_insert(&svmdk_devices, index, NULL, GFP_KERNEL);
	return err == -EBUSY ? -EEXIST : err;
}

/**
 * svmdk_device_alloc - the memory of a device, or of a growth
 * @arg: see SVMDK_IOC_CREATE
 *
 * Context: may sleep. Returns NULL when there is none; else svmdk_device_put()
 * frees it.
 */
struct svmdk_device *svmdk_device_alloc(const struct svmdk_ioc_create *arg)
{
	struct svmdk_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL_ACCOUNT);

	if (!dev)
		return NULL;
	dev->read_only = arg->flags & SVMDK_CREATE_RDONLY;
	strscpy(dev->name, arg->name, sizeof(dev->name));
	xa_init(&dev->extents);
	INIT_LIST_HEAD(&dev->sources);
	INIT_LIST_HEAD(&dev->backings);
	mutex_init(&dev->lock);
	init_waitqueue_head(&dev->idle);
	INIT_WORK(&dev->remove_work, svmdk_device_remove_work);
	kref_init(&dev->kref);
	svmdk_flush_setup(dev);
	return dev;
}

/**
 * svmdk_device_get_descriptor - the open file that a caller means by a descriptor
 * @fd: of the caller
 *
 * Context: may sleep. Returns an ERR_PTR: -EBADF; -EINVAL for what is no file,
 * as our own control file, which would then never be closed again.
 */
struct file *svmdk_device_get_descriptor(int fd)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (S_ISREG(file_inode(file)->i_mode) && (file->f_mode & FMODE_READ))
		return file;
	fput(file);
	return ERR_PTR(-EINVAL);
}

/**
 * svmdk_device_create - begin a device
 * @arg: see SVMDK_IOC_CREATE; its form is checked already
 *
 * Context: may sleep. Returns an ERR_PTR: -EBADF, -EEXIST, -ENOMEM.
 */
struct svmdk_device *svmdk_device_create(const struct svmdk_ioc_create *arg)
{
	struct svmdk_device *dev = svmdk_device_alloc(arg);
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	dev->descriptor = svmdk_device_get_descriptor(arg->descriptor_fd);
	if (IS_ERR(dev->descriptor)) {
		err = PTR_ERR(dev->descriptor);
		goto err_put;
	}
	err = svmdk_device_reserve_index(dev, arg->index);
	if (err)
		goto err_fput;
	/*
	 * In the path of memory reclaim: swap and writeback go through it. Of each
	 * processor's own, for what it does is short, or waits: a worker that has yet to
	 * finish takes what came meanwhile, and no other is woken for it.
	 */
	dev->wq = alloc_workqueue("svmdk%u", WQ_MEM_RECLAIM | WQ_PERCPU, 0, dev->index);
	if (!dev->wq) {
		err = -ENOMEM;
		goto err_index;
	}
	dev->flush_wq = alloc_workqueue("svmdk%u-flush", WQ_MEM_RECLAIM | WQ_PERCPU, 0, dev->index);
	if (!dev->flush_wq) {
		err = -ENOMEM;
		goto err_wq;
	}
	err = svmdk_io_setup(dev);
	if (err)
		goto err_io;
	/* The ioctl's file holds one, so this cannot fail; it keeps the module while the disk is. */
	__module_get(THIS_MODULE);
	return dev;

err_io:
	svmdk_io_teardown(dev);
	destroy_workqueue(dev->flush_wq);
err_wq:
	destroy_workqueue(dev->wq);
err_index:
	xa_release(&svmdk_devices, dev->index);
err_fput:
	fput(dev->descriptor);
err_put:
	svmdk_device_put(dev);
	return ERR_PTR(err);
}

/**
 * svmdk_device_abandon - end a device that was never committed
 * @dev: the device, in setup
 *
 * Context: may sleep. Its files are released and as they were.
 */
void svmdk_device_abandon(struct svmdk_device *dev)
{
	svmdk_device_release(dev);
}

static int svmdk_device_add_disk(struct svmdk_device *dev, struct queue_limits *lim)
{
	struct gendisk *disk;
	int err;

	dev->logical_block = lim->logical_block_size;
	disk = blk_alloc_disk(lim, NUMA_NO_NODE);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	snprintf(disk->disk_name, sizeof(disk->disk_name), "svmdk%u", dev->index);
	disk->fops = &svmdk_fops;
	disk->private_data = dev;
	set_capacity(disk, dev->sectors);
	set_disk_ro(disk, dev->read_only);
	dev->disk = disk;

	/* The scan for partitions opens it and reads. */
	mutex_lock(&dev->lock);
	dev->state = SVMDK_LIVE;
	mutex_unlock(&dev->lock);

	err = device_add_disk(NULL, disk, svmdk_disk_groups);
	if (err) {
		dev->state = SVMDK_SETUP;
		dev->disk = NULL;
		put_disk(disk);
	}
	return err;
}

/**
 * svmdk_device_find_misfit - an extent that does not fit a logical block
 * @dev: a device in setup
 * @block: the block, in bytes
 *
 * Context: the control file's lock is held. Returns its number, or ~0.
 */
u32 svmdk_device_find_misfit(struct svmdk_device *dev, unsigned int block)
{
	struct svmdk_extent *extent;
	unsigned long i;

	xa_for_each(&dev->extents, i, extent)
		if (!IS_ALIGNED(extent->sectors << SECTOR_SHIFT, block))
			return extent->number;
	return ~0U;
}

/**
 * svmdk_device_commit - make the disk appear
 * @dev: the device, in setup
 * @arg: in and out, see SVMDK_IOC_COMMIT
 *
 * Context: may sleep; the control file's lock is held. On failure the device
 * is still in setup, and can only be abandoned.
 */
int svmdk_device_commit(struct svmdk_device *dev, struct svmdk_ioc_commit *arg)
{
	struct svmdk_table *table;
	struct queue_limits lim;
	int err;

	arg->error_extent = ~0U;
	err = svmdk_extent_settle(dev, &arg->error_extent);
	if (err)
		return err;

	svmdk_device_limits(dev, &lim);
	arg->logical_block = lim.logical_block_size;
	arg->error_extent = svmdk_device_find_misfit(dev, lim.logical_block_size);
	if (arg->error_extent != ~0U)
		return -EINVAL;

	table = svmdk_extent_build_table(dev, NULL);
	if (IS_ERR(table))
		return PTR_ERR(table);
	rcu_assign_pointer(dev->table, table);

	err = svmdk_device_add_disk(dev, &lim);
	if (err)
		return err;
	arg->index = dev->index;
	arg->major = MAJOR(disk_devt(dev->disk));
	arg->minor = MINOR(disk_devt(dev->disk));
	arg->sectors = dev->sectors;
	/* From here on it can be found, and detached; the slot is reserved. */
	xa_store(&svmdk_devices, dev->index, dev, GFP_KERNEL);
	return 0;
}

/* Whoever grows it changes the container meanwhile, whose lock goes with the disk. */
static bool svmdk_device_busy(const struct svmdk_device *dev)
{
	return READ_ONCE(dev->openers) || READ_ONCE(dev->growing);
}

/* Called with the lock held; drops it while it waits. */
static int svmdk_device_wait_idle(struct svmdk_device *dev, u32 timeout_ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(timeout_ms);

	while (svmdk_device_busy(dev) && dev->state == SVMDK_LIVE) {
		long left = end - jiffies;

		if (!timeout_ms || left <= 0)
			return -EBUSY;
		mutex_unlock(&dev->lock);
		left = wait_event_interruptible_timeout(dev->idle, !svmdk_device_busy(dev), left);
		mutex_lock(&dev->lock);
		if (left < 0)
			return -EINTR;
	}
	return dev->state == SVMDK_LIVE ? 0 : -ENODEV;
}

/**
 * svmdk_device_detach - end a disk
 * @dev: the device
 * @arg: in and out, see SVMDK_IOC_DETACH
 * @dirty: the bitmap: @arg->dirty_size bytes, zeroed; set when the disk is gone
 *
 * Context: may sleep. Errors as in SVMDK_IOC_DETACH.
 */
int svmdk_device_detach(struct svmdk_device *dev, struct svmdk_ioc_detach *arg, u8 *dirty)
{
	int err;

	mutex_lock(&dev->lock);
	err = svmdk_device_wait_idle(dev, arg->timeout_ms);
	arg->openers = dev->openers;
	if (!err) {
		/* Sets the mtimes now, where that can be done. */
		flush_delayed_work(&dev->touch_work);
		if (svmdk_flush_must_wait(dev))
			err = -EAGAIN;
	}
	if (err == -EBUSY && dev->openers && (arg->flags & SVMDK_DETACH_LAZY)) {
		dev->lazy = true;
		arg->deferred = 1;
		arg->written = svmdk_device_written(dev);
		err = 0;
	} else if (!err) {
		dev->state = SVMDK_DYING;
	}
	mutex_unlock(&dev->lock);
	if (err || arg->deferred)
		return err;

	arg->written = svmdk_device_written(dev);
	return svmdk_device_remove(dev, dirty, arg->dirty_size);
}

/**
 * svmdk_device_written - how many extents were written since attach
 * @dev: a live device, or a dying one
 *
 * Context: may sleep; of a live one the lock is held.
 */
u32 svmdk_device_written(struct svmdk_device *dev)
{
	struct svmdk_extent *extent;
	unsigned long i;
	u32 written = 0;

	xa_for_each(&dev->extents, i, extent) {
		written += atomic_read(&extent->written) & SVMDK_WRITTEN_EVER;
		cond_resched();
	}
	return written;
}

/**
 * svmdk_device_memory - what its extents and runs take, in bytes
 * @dev: a live device
 *
 * Context: its lock is held.
 */
u64 svmdk_device_memory(struct svmdk_device *dev)
{
	const struct svmdk_table *table = rcu_dereference_protected(dev->table, true);
	struct svmdk_backing *backing;
	struct svmdk_source *source;
	u64 bytes = sizeof(*dev) + table->bytes;

	/* An extent's pointer in the xarray takes little over its own size. */
	bytes += dev->nr_extents * (sizeof(struct svmdk_extent) + sizeof(void *));
	list_for_each_entry(source, &dev->sources, list)
		bytes += sizeof(*source);
	list_for_each_entry(backing, &dev->backings, list)
		bytes += sizeof(*backing);
	return bytes;
}

static void svmdk_device_fill_status(struct svmdk_device *dev, struct svmdk_ioc_status *arg)
{
	const struct svmdk_table *table = rcu_dereference_protected(dev->table, true);
	struct kstat stat = { 0 };

	/* Not the superblock's: a btrfs subvolume or an overlay shows another. */
	vfs_getattr(&dev->descriptor->f_path, &stat, STATX_INO, AT_STATX_DONT_SYNC);
	arg->index = dev->index;
	arg->flags = 0;
	if (dev->read_only)
		arg->flags |= SVMDK_STATUS_RDONLY;
	if (dev->lazy)
		arg->flags |= SVMDK_STATUS_DETACHING;
	arg->sectors = dev->sectors;
	arg->descriptor_ino = stat.ino;
	arg->descriptor_major = MAJOR(stat.dev);
	arg->descriptor_minor = MINOR(stat.dev);
	arg->major = MAJOR(disk_devt(dev->disk));
	arg->minor = MINOR(disk_devt(dev->disk));
	arg->extents = dev->nr_extents;
	arg->mapped = dev->nr_mapped;
	arg->written = svmdk_device_written(dev);
	arg->openers = dev->openers;
	arg->logical_block = dev->logical_block;
	arg->runs = table->nr;
	arg->memory = svmdk_device_memory(dev);
	memcpy(arg->name, dev->name, sizeof(arg->name));
}

static int svmdk_device_copy_path(const char *path, u32 room, struct svmdk_ioc_status *arg)
{
	arg->path_size = strlen(path) + 1;
	if (!room || !arg->path)
		return 0;
	room = min(room, arg->path_size);
	if (copy_to_user(u64_to_user_ptr(arg->path), path, room - 1) ||
	    put_user('\0', (char __user *)u64_to_user_ptr(arg->path) + room - 1))
		return -EFAULT;
	return 0;
}

/**
 * svmdk_device_status - describe a device
 * @dev: the device
 * @arg: in and out, see SVMDK_IOC_STATUS
 *
 * Context: may sleep. Errors: -ENODEV where it is dying, -EFAULT, -ENOMEM,
 * -ENAMETOOLONG.
 */
int svmdk_device_status(struct svmdk_device *dev, struct svmdk_ioc_status *arg)
{
	char *path = ERR_PTR(-ENODEV);
	char *buffer;
	int err;

	buffer = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	mutex_lock(&dev->lock);
	if (dev->state == SVMDK_LIVE) {
		svmdk_device_fill_status(dev, arg);
		path = file_path(dev->descriptor, buffer, PATH_MAX);
	}
	mutex_unlock(&dev->lock);

	err = PTR_ERR_OR_ZERO(path);
	if (!err)
		err = svmdk_device_copy_path(path, arg->path_size, arg);
	kfree(buffer);
	return err;
}

int __init svmdk_device_init(void)
{
	svmdk_remove_wq = alloc_workqueue("svmdk-remove", WQ_UNBOUND, 0);
	return svmdk_remove_wq ? 0 : -ENOMEM;
}

void svmdk_device_exit(void)
{
	destroy_workqueue(svmdk_remove_wq);
	WARN_ON(!xa_empty(&svmdk_devices));
	xa_destroy(&svmdk_devices);
}
