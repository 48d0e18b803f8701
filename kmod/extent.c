// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "backing.h"
#include "compat.h"
#include "device.h"
#include "extent.h"
#include "source.h"
#include "table.h"

static bool verify_runs;
module_param(verify_runs, bool, 0644);
MODULE_PARM_DESC(verify_runs, "Check every block of every run against the file (slow)");

/* Runs are copied from the caller by so many at a time. */
#define SVMDK_RUNS_CHUNK 256

/* A disk's size in bytes is signed. */
#define SVMDK_MAX_SECTORS ((1ULL << (63 - SECTOR_SHIFT)) - 1)

static bool svmdk_extent_fits_block(const struct svmdk_extent *extent, unsigned int bytes)
{
	return IS_ALIGNED((extent->start | extent->sectors | extent->offset) << SECTOR_SHIFT,
			  bytes);
}

static int svmdk_extent_check_size(const struct svmdk_new_extent *arg, struct inode *inode)
{
	u64 have = i_size_read(inode) >> SECTOR_SHIFT;

	return arg->offset <= have && arg->sectors <= have - arg->offset ? 0 : -ENODATA;
}

static int svmdk_extent_check_file(const struct svmdk_new_extent *arg, struct file *file,
				   bool write)
{
	umode_t mode = file->f_mapping->host->i_mode;

	if (arg->kind == SVMDK_KIND_BDEV ? !S_ISBLK(mode) : !S_ISREG(mode))
		return -EINVAL;
	if (!file->f_op->read_iter || (write && !file->f_op->write_iter))
		return -EINVAL;
	/* It would send every write to the end. */
	if (write && (file->f_flags & O_APPEND))
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ) || (write && !(file->f_mode & FMODE_WRITE)))
		return -EACCES;
	return svmdk_extent_check_size(arg, file->f_mapping->host);
}

static int svmdk_extent_check_arg(const struct svmdk_device *dev,
				  const struct svmdk_new_extent *arg)
{
	if (arg->kind < SVMDK_KIND_FILE || arg->kind > SVMDK_KIND_ZERO)
		return -EINVAL;
	if (arg->flags & ~(SVMDK_EXTENT_RDONLY | SVMDK_EXTENT_NOACCESS))
		return -EINVAL;
	if (arg->io > SVMDK_IO_FILE || !arg->sectors)
		return -EINVAL;
	if (dev->nr_extents >= SVMDK_MAX_EXTENTS)
		return -EFBIG;
	if (arg->sectors > SVMDK_MAX_SECTORS || arg->offset > SVMDK_MAX_SECTORS ||
	    dev->sectors > SVMDK_MAX_SECTORS - arg->sectors)
		return -EFBIG;
	return 0;
}

/* Which way an extent of a file or block device has, as far as is known now. */
static void svmdk_extent_choose_way(struct svmdk_extent *extent)
{
	struct svmdk_source *source = extent->source;
	bool fits = svmdk_extent_fits_block(extent, source->backing->logical_block);

	extent->direct = fits && (source->file->f_mode & FMODE_CAN_ODIRECT) &&
			 (extent->read_only || direct_write_is_stable(source->file));
	extent->nowait = extent->direct && svmdk_source_keeps_nowait(source);
	extent->reason = source->reason;
	if (!extent->reason && !fits)
		extent->reason = SVMDK_REASON_UNALIGNED;
	extent->way = extent->reason ? SVMDK_WAY_FILE : SVMDK_WAY_MAPPED;
}

static int svmdk_extent_open(struct svmdk_device *dev, struct svmdk_extent *extent,
			     const struct svmdk_new_extent *arg, s32 *holder)
{
	bool write = !extent->read_only;
	struct svmdk_source *source;
	struct file *file;
	int err;

	file = fget(arg->fd);
	if (!file)
		return -EBADF;
	err = svmdk_extent_check_file(arg, file, write);
	if (!err) {
		source = svmdk_source_get(dev, file, write, arg->io, holder);
		err = PTR_ERR_OR_ZERO(source);
	}
	fput(file);
	if (err)
		return err;

	extent->source = source;
	extent->backing = source->backing;
	/* Pinned, nothing can cut it short any more; look again. */
	err = svmdk_extent_check_size(arg, svmdk_source_inode(source));
	if (err)
		goto err_put;

	svmdk_extent_choose_way(extent);
	if (extent->way == SVMDK_WAY_FILE &&
	    (arg->io == SVMDK_IO_MAPPED || svmdk_source_is_bdev(source))) {
		err = -EOPNOTSUPP;
		goto err_put;
	}
	return 0;

err_put:
	svmdk_source_put(source);
	return err;
}

/**
 * svmdk_extent_add - append an extent to a disk
 * @dev: the disk, in setup
 * @arg: in and out, see SVMDK_IOC_ADD_EXTENTS; @arg->reason is set also with
 *	-EOPNOTSUPP
 * @holder: with -EBUSY, the index of the disk that has the file, or -1
 *
 * Context: may sleep; the control file's lock is held. Errors as in
 * SVMDK_IOC_ADD_EXTENTS.
 */
int svmdk_extent_add(struct svmdk_device *dev, struct svmdk_new_extent *arg, s32 *holder)
{
	struct svmdk_extent *extent;
	int err;

	*holder = -1;
	err = svmdk_extent_check_arg(dev, arg);
	if (err)
		return err;
	extent = kzalloc(sizeof(*extent), GFP_KERNEL_ACCOUNT);
	if (!extent)
		return -ENOMEM;
	extent->start = dev->sectors;
	extent->sectors = arg->sectors;
	extent->offset = arg->offset;
	extent->number = dev->nr_extents;
	extent->kind = arg->kind;
	extent->io = arg->io;
	extent->flags = arg->flags;
	extent->read_only = dev->read_only || (arg->flags & SVMDK_EXTENT_RDONLY);

	if (arg->flags & SVMDK_EXTENT_NOACCESS) {
		extent->way = SVMDK_WAY_NONE;
	} else if (arg->kind == SVMDK_KIND_ZERO) {
		extent->way = SVMDK_WAY_ZERO;
	} else {
		err = svmdk_extent_open(dev, extent, arg, holder);
		arg->reason = extent->reason;
		if (err)
			goto err_free;
	}

	err = xa_err(xa_store(&dev->extents, extent->number, extent, GFP_KERNEL_ACCOUNT));
	if (err)
		goto err_put;
	dev->sectors += extent->sectors;
	dev->nr_extents++;
	arg->way = extent->way;
	arg->reason = extent->reason;
	return 0;

err_put:
	if (extent->source)
		svmdk_source_put(extent->source);
err_free:
	kfree(extent);
	return err;
}

/**
 * svmdk_extent_drop_from - remove extents from the end of a disk
 * @dev: the disk, in setup or without I/O
 * @first: the first to go
 *
 * Context: may sleep; the control file's lock is held, or the disk is gone.
 */
void svmdk_extent_drop_from(struct svmdk_device *dev, u32 first)
{
	struct svmdk_extent *extent;

	while (dev->nr_extents > first) {
		extent = xa_erase(&dev->extents, --dev->nr_extents);
		dev->sectors -= extent->sectors;
		if (extent->source)
			svmdk_source_put(extent->source);
		kvfree(extent->runs);
		kfree(extent);
		cond_resched();
	}
}

static bool svmdk_run_has_block(struct inode *inode, u64 file_sector, u64 disk_sector)
{
	unsigned int shift = inode->i_blkbits - SECTOR_SHIFT;
	sector_t block = file_sector >> shift;

	if (bmap(inode, &block) || !block)
		return false;
	return (block << shift) + (file_sector & ((1U << shift) - 1)) == disk_sector;
}

/* What the caller says is believed no more than the file system confirms. */
static int svmdk_run_check(struct svmdk_extent *extent, const struct svmdk_run *run)
{
	struct inode *inode = svmdk_source_inode(extent->source);
	struct block_device *bdev = extent->backing->bdev;
	u64 size = bdev_nr_sectors(bdev);
	u64 step = 1U << (inode->i_blkbits - SECTOR_SHIFT);
	u64 i;

	if (run->sectors > size || run->disk_sector > size - run->sectors)
		return -EINVAL;
	if (!IS_ALIGNED((run->disk_sector | run->sectors) << SECTOR_SHIFT,
			bdev_logical_block_size(bdev)))
		return -EINVAL;
	if (!svmdk_run_has_block(inode, run->file_sector, run->disk_sector) ||
	    !svmdk_run_has_block(inode, run->file_sector + run->sectors - 1,
				 run->disk_sector + run->sectors - 1))
		return -EINVAL;
	if (!READ_ONCE(verify_runs))
		return 0;
	for (i = 0; i < run->sectors; i += step) {
		if (!svmdk_run_has_block(inode, run->file_sector + i, run->disk_sector + i))
			return -EINVAL;
		cond_resched();
	}
	return 0;
}

static int svmdk_extent_take_chunk(struct svmdk_extent *extent, const struct svmdk_run *chunk,
				   u32 nr, u64 *at)
{
	u32 i;
	int err;

	for (i = 0; i < nr; i++) {
		const struct svmdk_run *run = &chunk[i];

		if (!run->sectors || run->file_sector != extent->offset + *at ||
		    run->sectors > extent->sectors - *at)
			return -EINVAL;
		err = svmdk_run_check(extent, run);
		if (err)
			return err;
		extent->runs[extent->nr_runs].start = *at;
		extent->runs[extent->nr_runs].source = run->disk_sector;
		extent->nr_runs++;
		*at += run->sectors;
	}
	return 0;
}

static int svmdk_extent_take_runs(struct svmdk_extent *extent, const struct svmdk_ioc_set_runs *arg)
{
	const struct svmdk_run __user *from = u64_to_user_ptr(arg->runs);
	struct svmdk_run *chunk;
	u32 left = arg->nr;
	u64 at = 0;
	int err = 0;

	if (arg->nr > extent->sectors)
		return -EINVAL;
	extent->nr_runs = 0;
	chunk = kmalloc_array(SVMDK_RUNS_CHUNK, sizeof(*chunk), GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;
	extent->runs = kvmalloc_array(arg->nr, sizeof(*extent->runs), GFP_KERNEL_ACCOUNT);
	if (!extent->runs)
		err = -ENOMEM;

	while (!err && left) {
		u32 nr = min_t(u32, left, SVMDK_RUNS_CHUNK);

		if (copy_from_user(chunk, from, nr * sizeof(*chunk)))
			err = -EFAULT;
		else if (fatal_signal_pending(current))
			err = -EINTR;
		else
			err = svmdk_extent_take_chunk(extent, chunk, nr, &at);
		from += nr;
		left -= nr;
	}
	if (!err && at != extent->sectors)
		err = -EINVAL;

	kfree(chunk);
	if (err) {
		kvfree(extent->runs);
		extent->runs = NULL;
		extent->nr_runs = 0;
	}
	return err;
}

/**
 * svmdk_extent_set_runs - where a pinned extent lies on its backing device
 * @dev: the disk, in setup
 * @arg: see SVMDK_IOC_SET_RUNS; sizes and reason are checked already
 *
 * Context: may sleep; the control file's lock is held. Errors as in
 * SVMDK_IOC_SET_RUNS.
 */
int svmdk_extent_set_runs(struct svmdk_device *dev, const struct svmdk_ioc_set_runs *arg)
{
	struct svmdk_extent *extent = xa_load(&dev->extents, arg->extent);

	if (!extent || extent->kind != SVMDK_KIND_FILE || extent->way != SVMDK_WAY_MAPPED ||
	    extent->runs)
		return -ENOENT;
	if (arg->nr)
		return svmdk_extent_take_runs(extent, arg);
	if (extent->io == SVMDK_IO_MAPPED)
		return -EOPNOTSUPP;
	extent->way = SVMDK_WAY_FILE;
	extent->reason = arg->reason;
	return 0;
}

/*
 * A file is mapped with all its extents or with none, for what is mapped
 * cannot be written through the file system.
 */
static int svmdk_extent_settle_sources(struct svmdk_device *dev, u32 *error_extent)
{
	struct svmdk_extent *extent;
	unsigned long i;

	xa_for_each(&dev->extents, i, extent) {
		if (extent->way == SVMDK_WAY_FILE)
			svmdk_source_unpin(extent->source, extent->reason);
		else if (extent->kind == SVMDK_KIND_FILE && extent->way == SVMDK_WAY_MAPPED &&
			 !extent->runs)
			svmdk_source_unpin(extent->source, SVMDK_REASON_NO_FIEMAP);
	}
	xa_for_each(&dev->extents, i, extent) {
		if (extent->way != SVMDK_WAY_MAPPED || !extent->source->reason)
			continue;
		if (extent->io == SVMDK_IO_MAPPED) {
			*error_extent = extent->number;
			return -EOPNOTSUPP;
		}
		extent->way = SVMDK_WAY_FILE;
		extent->reason = extent->runs ? SVMDK_REASON_SIBLING : extent->source->reason;
		kvfree(extent->runs);
		extent->runs = NULL;
		extent->nr_runs = 0;
	}
	return 0;
}

/**
 * svmdk_extent_settle - decide each extent's way for good
 * @dev: the disk, in setup
 * @error_extent: on failure, the extent that is at fault
 *
 * Context: may sleep; the control file's lock is held. Returns -EOPNOTSUPP
 * for an extent that was to be mapped and cannot be.
 */
int svmdk_extent_settle(struct svmdk_device *dev, u32 *error_extent)
{
	struct svmdk_backing *backing;
	struct svmdk_extent *extent;
	unsigned long i;
	int err;

	err = svmdk_extent_settle_sources(dev, error_extent);
	if (err)
		return err;
	/* A commit that failed may have left what was right for other extents. */
	dev->nr_mapped = 0;
	list_for_each_entry(backing, &dev->backings, list)
		backing->mapped = false;
	xa_for_each(&dev->extents, i, extent) {
		extent->plain = extent->way == SVMDK_WAY_MAPPED;
		if (extent->plain) {
			extent->backing->mapped = true;
			dev->nr_mapped++;
		} else if (extent->way == SVMDK_WAY_FILE && !extent->read_only) {
			svmdk_source_hold_times(extent->source);
		}
	}
	return 0;
}

static int svmdk_extent_fill_table(struct svmdk_table *table, struct svmdk_extent *extent)
{
	u32 i;
	int err;

	if (!extent->runs)
		return svmdk_table_add(table, extent->sectors, extent->offset, extent);

	for (i = 0; i < extent->nr_runs; i++) {
		u64 end = i + 1 < extent->nr_runs ? extent->runs[i + 1].start : extent->sectors;

		err = svmdk_table_add(table, end - extent->runs[i].start, extent->runs[i].source,
				      extent);
		if (err)
			return err;
	}
	return 0;
}

static int svmdk_extent_copy_table(struct svmdk_table *table, const struct svmdk_table *from)
{
	const struct svmdk_segment *segment;
	int err;

	for (segment = from->segment; segment < from->segment + from->nr; segment++) {
		err = svmdk_table_add(table, segment[1].start - segment->start, segment->source,
				      segment->extent);
		if (err)
			return err;
	}
	return 0;
}

/**
 * svmdk_extent_build_table - the table of a disk, from all its extents
 * @dev: the disk, or a growth, its extents settled
 * @before: the table that they go to the end of, or NULL
 *
 * Context: may sleep; the control file's lock is held. Returns an ERR_PTR:
 * -ENODATA where there are no extents, -EFBIG, -ENOMEM.
 */
struct svmdk_table *svmdk_extent_build_table(struct svmdk_device *dev,
					     const struct svmdk_table *before)
{
	u64 nr = before ? before->nr : 0;
	struct svmdk_extent *extent;
	struct svmdk_table *table;
	unsigned long i;
	int err = 0;

	xa_for_each(&dev->extents, i, extent)
		nr += max(extent->nr_runs, 1U);
	if (nr >= U32_MAX)
		return ERR_PTR(-EFBIG);
	table = svmdk_table_alloc(nr);
	if (!table)
		return ERR_PTR(-ENOMEM);

	if (before)
		err = svmdk_extent_copy_table(table, before);
	if (err)
		goto err_free;
	xa_for_each(&dev->extents, i, extent) {
		err = svmdk_extent_fill_table(table, extent);
		if (err)
			goto err_free;
	}
	err = svmdk_table_index(table);
	if (err)
		goto err_free;

	xa_for_each(&dev->extents, i, extent) {
		kvfree(extent->runs);
		extent->runs = NULL;
	}
	dev->built = true;
	return table;

err_free:
	svmdk_table_free(table);
	return ERR_PTR(err);
}

/**
 * svmdk_extent_info - describe an extent
 * @extent: of a live disk
 * @clean: it is clean from now on
 * @info: what SVMDK_IOC_EXTENTS tells
 *
 * Whether it is dirty is told and forgotten at once: a write that begins and ends
 * in between would be lost. One that found it dirty just before says so again
 * when it ends.
 *
 * Context: any.
 */
void svmdk_extent_info(struct svmdk_extent *extent, bool clean, struct svmdk_extent_info *info)
{
	const int written = clean ? atomic_fetch_and(~SVMDK_WRITTEN_DIRTY, &extent->written) :
				    atomic_read(&extent->written);

	*info = (struct svmdk_extent_info){
		.start = extent->start,
		.sectors = extent->sectors,
		.offset = extent->offset,
		.kind = extent->kind,
		.flags = extent->flags,
		.way = extent->way,
		.reason = extent->reason,
		.written = written & SVMDK_WRITTEN_EVER,
		.dirty = !!(written & SVMDK_WRITTEN_DIRTY),
		.runs = max(extent->nr_runs, 1U),
	};
	if (extent->backing) {
		info->dev_major = MAJOR(extent->backing->devt);
		info->dev_minor = MINOR(extent->backing->devt);
	}
}
