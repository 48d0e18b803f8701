// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "backing.h"
#include "compat.h"
#include "device.h"
#include "extent.h"
#include "source.h"
#include "table.h"

/*
 * A live disk gets larger. What is added is collected in a device of its own,
 * the growth, which never becomes a disk: its extents count on from where the
 * disk ends, and at the commit they, their files and their backing devices
 * become the disk's. I/O goes on meanwhile: all it sees is another table.
 */

static int svmdk_grow_claim(struct svmdk_device *dev, struct svmdk_device *growth)
{
	int err = 0;

	mutex_lock(&dev->lock);
	if (dev->state != SVMDK_LIVE) {
		err = -ENODEV;
	} else if (dev->growing) {
		err = -EBUSY;
	} else {
		dev->growing = true;
		/* Of a live disk nothing but a growth changes these, and there is only one. */
		growth->grows = dev;
		growth->index = dev->index;
		growth->read_only = dev->read_only;
		growth->sectors = dev->sectors;
		growth->nr_extents = dev->nr_extents;
		growth->first_extent = dev->nr_extents;
		/*
		 * Should the disk go meanwhile, having been detached lazily, whoever grows it
		 * changes the container until he learns of that: the lock on the descriptor is
		 * this file's.
		 */
		growth->descriptor = get_file(dev->descriptor);
	}
	mutex_unlock(&dev->lock);
	return err;
}

static void svmdk_grow_free(struct svmdk_device *growth)
{
	struct svmdk_device *dev = growth->grows;

	mutex_lock(&dev->lock);
	dev->growing = false;
	wake_up_all(&dev->idle);
	mutex_unlock(&dev->lock);
	svmdk_device_put(dev);
	fput(growth->descriptor);
	xa_destroy(&growth->extents);
	svmdk_device_put(growth);
}

/**
 * svmdk_grow_begin - begin the growth of a live disk
 * @arg: see SVMDK_IOC_CREATE; its form is checked already
 *
 * Context: may sleep. Returns an ERR_PTR: -EBUSY, it is growing already;
 * -ENODEV; -ENOMEM.
 */
struct svmdk_device *svmdk_grow_begin(const struct svmdk_ioc_create *arg)
{
	struct svmdk_device *dev = svmdk_device_get(arg->index, false);
	struct svmdk_device *growth;
	int err;

	if (!dev)
		return ERR_PTR(-ENODEV);
	growth = svmdk_device_alloc(arg);
	if (!growth) {
		err = -ENOMEM;
		goto err_put;
	}
	err = svmdk_grow_claim(dev, growth);
	if (err)
		goto err_free;
	return growth;

err_free:
	svmdk_device_put(growth);
err_put:
	svmdk_device_put(dev);
	return ERR_PTR(err);
}

/**
 * svmdk_grow_abandon - end a growth that was never committed
 * @growth: the growth
 *
 * Context: may sleep. Its files are released and as they were.
 */
void svmdk_grow_abandon(struct svmdk_device *growth)
{
	svmdk_extent_drop_from(growth, growth->first_extent);
	svmdk_backing_free_all(growth);
	svmdk_grow_free(growth);
}

/*
 * Whoever has the disk open knows its limits, and they must go on to hold. That
 * holes of the file way are not zeroed by the disk beneath is for each bio.
 */
static bool svmdk_grow_fits(const struct svmdk_device *dev, const struct queue_limits *lim)
{
	struct block_device *bdev = dev->disk->part0;

	return lim->logical_block_size <= dev->logical_block &&
	       lim->dma_alignment <= bdev_dma_alignment(bdev) &&
	       (!(lim->features & BLK_FEAT_STABLE_WRITES) || bdev_stable_writes(bdev)) &&
	       ((lim->features & BLK_FEAT_NOWAIT) || !bdev_nowait(bdev));
}

/* A disk that polls goes on to, but for what was added where that cannot be done. */
static void svmdk_grow_unpoll(struct svmdk_device *growth, const struct queue_limits *lim)
{
	struct svmdk_extent *extent;
	unsigned long i;

	if ((lim->features & BLK_FEAT_POLL) || !queue_polls(growth->grows->disk->queue))
		return;
	xa_for_each(&growth->extents, i, extent) {
		extent->unpolled = true;
		extent->plain = false;
	}
}

/* Decides what can be decided without the disk. */
static int svmdk_grow_settle(struct svmdk_device *growth, struct svmdk_ioc_commit *arg)
{
	int err;

	if (xa_empty(&growth->extents))
		return -ENODATA;
	err = svmdk_extent_settle(growth, &arg->error_extent);
	if (err)
		return err;
	arg->logical_block = growth->grows->logical_block;
	arg->error_extent = svmdk_device_find_misfit(growth, arg->logical_block);
	return arg->error_extent == ~0U ? 0 : -EINVAL;
}

/* Makes room for the extents in the disk's array, or leaves it as it was. */
static int svmdk_grow_store_extents(struct svmdk_device *dev, struct svmdk_device *growth)
{
	struct svmdk_extent *extent;
	unsigned long i;
	int err = 0;

	lockdep_assert_held(&dev->lock);
	xa_for_each(&growth->extents, i, extent) {
		err = xa_err(xa_store(&dev->extents, i, extent, GFP_KERNEL_ACCOUNT));
		if (err)
			break;
	}
	if (!err)
		return 0;
	while (i-- > dev->nr_extents)
		xa_erase(&dev->extents, i);
	return err;
}

static void svmdk_grow_adopt(struct svmdk_device *dev, struct svmdk_device *growth)
{
	struct svmdk_extent *extent;
	unsigned long i;

	svmdk_backing_find_twins(dev, growth);
	svmdk_source_adopt(dev, growth);
	xa_for_each(&growth->extents, i, extent) {
		if (!extent->backing || !extent->backing->twin)
			continue;
		extent->backing->twin->mapped |= extent->backing->mapped;
		extent->backing = extent->backing->twin;
	}
	svmdk_backing_adopt(dev, growth);
	dev->nr_mapped += growth->nr_mapped;
	dev->nr_extents = growth->nr_extents;
	dev->sectors = growth->sectors;
}

/*
 * All that can fail comes first. From the swap of the table on the new sectors
 * work; then they are announced, by one uevent. Returns the table that is to go.
 */
static struct svmdk_table *svmdk_grow_switch(struct svmdk_device *growth, struct file **descriptor)
{
	struct svmdk_device *dev = growth->grows;
	struct svmdk_table *table, *old;
	int err;

	lockdep_assert_held(&dev->lock);
	old = rcu_dereference_protected(dev->table, lockdep_is_held(&dev->lock));
	table = svmdk_extent_build_table(growth, old);
	if (IS_ERR(table))
		return table;
	err = svmdk_grow_store_extents(dev, growth);
	if (err) {
		svmdk_table_free(table);
		return ERR_PTR(err);
	}
	svmdk_grow_adopt(dev, growth);
	rcu_assign_pointer(dev->table, table);
	if (*descriptor)
		swap(dev->descriptor, *descriptor);
	set_capacity_and_notify(dev->disk, dev->sectors);
	return old;
}

static int svmdk_grow_live(struct svmdk_device *growth, struct file **descriptor,
			   struct svmdk_ioc_commit *arg)
{
	struct svmdk_device *dev = growth->grows;
	struct svmdk_table *old;
	struct queue_limits lim;

	svmdk_device_limits(growth, &lim);
	mutex_lock(&svmdk_tree_lock);
	mutex_lock(&dev->lock);
	/* The disk of one that is not live may be gone. */
	if (dev->state != SVMDK_LIVE) {
		old = ERR_PTR(-ENODEV);
	} else if (svmdk_backing_lie_on(growth, dev)) {
		/* As of an extent, but what lies beneath it has grown meanwhile. */
		old = ERR_PTR(-EDEADLK);
	} else {
		arg->index = dev->index;
		arg->major = MAJOR(disk_devt(dev->disk));
		arg->minor = MINOR(disk_devt(dev->disk));
		arg->sectors = growth->sectors;
		svmdk_grow_unpoll(growth, &lim);
		old = svmdk_grow_fits(dev, &lim) ? svmdk_grow_switch(growth, descriptor) :
						   ERR_PTR(-EOPNOTSUPP);
	}
	mutex_unlock(&dev->lock);
	mutex_unlock(&svmdk_tree_lock);
	if (IS_ERR(old))
		return PTR_ERR(old);
	synchronize_rcu();
	svmdk_table_free(old);
	return 0;
}

/**
 * svmdk_grow_commit - give a disk its new size
 * @growth: the growth; gone on success, and on failure to be abandoned
 * @arg: in and out, see SVMDK_IOC_COMMIT
 *
 * Waits for no I/O: a bio that has found its segment needs the table no more.
 *
 * Context: may sleep; the control file's lock is held. Errors as in
 * SVMDK_IOC_COMMIT.
 */
int svmdk_grow_commit(struct svmdk_device *growth, struct svmdk_ioc_commit *arg)
{
	struct file *descriptor = NULL;
	int err;

	arg->error_extent = ~0U;
	err = svmdk_grow_settle(growth, arg);
	if (err)
		return err;
	if (arg->flags & SVMDK_COMMIT_DESCRIPTOR) {
		descriptor = svmdk_device_get_descriptor(arg->descriptor_fd);
		if (IS_ERR(descriptor))
			return PTR_ERR(descriptor);
	}
	err = svmdk_grow_live(growth, &descriptor, arg);
	if (!err)
		svmdk_grow_free(growth);
	/* The new one, or the one that it has replaced. */
	if (descriptor)
		fput(descriptor);
	return err;
}
