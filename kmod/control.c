// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "control.h"
#include "device.h"
#include "extent.h"

/* clang-format off */
/* Sizes at ABI version 1: no caller has shorter ones. Never change these. */
#define SVMDK_VERSION_SIZE_0		40
#define SVMDK_CREATE_SIZE_0		88
#define SVMDK_ADD_EXTENTS_SIZE_0	32
#define SVMDK_NEW_EXTENT_SIZE_0		40
#define SVMDK_SET_RUNS_SIZE_0		32
#define SVMDK_COMMIT_SIZE_0		40
#define SVMDK_DETACH_SIZE_0		40
#define SVMDK_STATUS_SIZE_0		152
#define SVMDK_EXTENTS_SIZE_0		32
#define SVMDK_EXTENT_INFO_SIZE_0	64
/* clang-format on */

/* Extents are described by so many at a time. */
#define SVMDK_INFO_CHUNK 64

#define SVMDK_MAX_DIRTY_BYTES (SVMDK_MAX_EXTENTS / 8)

/**
 * struct svmdk_control - an open control file
 * @lock: held by each call that builds
 * @dev: the device or growth that is being built, or NULL; guarded by @lock
 */
struct svmdk_control {
	struct mutex lock;
	struct svmdk_device *dev;
};

/* Every structure begins with its size as the caller knows it. */
static int svmdk_copy_in(void *arg, size_t size, size_t least, const void __user *from,
			 u32 *user_size)
{
	if (get_user(*user_size, (const u32 __user *)from))
		return -EFAULT;
	if (*user_size < least)
		return -EINVAL;
	if (*user_size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(arg, size, from, *user_size);
}

/* What a longer structure of the caller has besides, it has zeroed itself. */
static int svmdk_copy_out(void __user *to, const void *arg, size_t size, u32 user_size)
{
	return copy_to_user(to, arg, min_t(size_t, size, user_size)) ? -EFAULT : 0;
}

/* What cannot be undone is not begun where its answer has no place to go. */
static int svmdk_try_out(void __user *to, u32 user_size)
{
	return fault_in_safe_writeable(to, user_size) ? -EFAULT : 0;
}

/* One whose commit failed late has used up its runs, and can only be abandoned. */
static bool svmdk_control_is_building(const struct svmdk_control *control)
{
	return control->dev && !control->dev->built;
}

static long svmdk_control_version(struct svmdk_control *control, void __user *user)
{
	struct svmdk_ioc_version arg;
	u32 user_size;
	int err;

	err = svmdk_copy_in(&arg, sizeof(arg), SVMDK_VERSION_SIZE_0, user, &user_size);
	if (err)
		return err;
	arg.abi = SVMDK_ABI_VERSION;
	strscpy_pad(arg.release, SVMDK_VERSION, sizeof(arg.release));
	return svmdk_copy_out(user, &arg, sizeof(arg), user_size);
}

static long svmdk_control_create(struct svmdk_control *control, void __user *user)
{
	struct svmdk_ioc_create arg;
	struct svmdk_device *dev;
	u32 user_size;
	int err;

	err = svmdk_copy_in(&arg, sizeof(arg), SVMDK_CREATE_SIZE_0, user, &user_size);
	if (err)
		return err;
	if (arg.abi != SVMDK_ABI_VERSION)
		return -EPROTO;
	if (arg.pad || (arg.flags & ~(SVMDK_CREATE_RDONLY | SVMDK_CREATE_GROW)) || arg.index < -1 ||
	    strnlen(arg.name, sizeof(arg.name)) == sizeof(arg.name))
		return -EINVAL;
	if ((arg.flags & SVMDK_CREATE_GROW) && (arg.flags != SVMDK_CREATE_GROW || arg.index < 0 ||
						arg.descriptor_fd != -1 || *arg.name))
		return -EINVAL;
	if (control->dev)
		return -EBUSY;
	dev = arg.flags & SVMDK_CREATE_GROW ? svmdk_grow_begin(&arg) : svmdk_device_create(&arg);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	control->dev = dev;
	return 0;
}

static int svmdk_control_add_batch(struct svmdk_device *dev, struct svmdk_ioc_add_extents *arg)
{
	void __user *user = u64_to_user_ptr(arg->extents);
	u32 first = dev->nr_extents;
	struct svmdk_new_extent extent = {};
	int err = 0;
	u32 i;

	for (i = 0; i < arg->nr && !err; i++, user += arg->extent_size) {
		err = copy_struct_from_user(&extent, sizeof(extent), user, arg->extent_size);
		if (!err)
			err = svmdk_extent_add(dev, &extent, &arg->holder);
		if (err) {
			arg->error_index = i;
			arg->error_reason = extent.reason;
			break;
		}
		err = svmdk_copy_out(user, &extent, sizeof(extent), arg->extent_size);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
	}
	if (err)
		svmdk_extent_drop_from(dev, first);
	return err;
}

static long svmdk_control_add_extents(struct svmdk_control *control, void __user *user)
{
	struct svmdk_ioc_add_extents arg;
	u32 user_size;
	int err;

	err = svmdk_copy_in(&arg, sizeof(arg), SVMDK_ADD_EXTENTS_SIZE_0, user, &user_size);
	if (err)
		return err;
	if (!svmdk_control_is_building(control) || !arg.nr || arg.nr > SVMDK_MAX_BATCH ||
	    arg.extent_size < SVMDK_NEW_EXTENT_SIZE_0)
		return -EINVAL;
	if (arg.extent_size > PAGE_SIZE)
		return -E2BIG;
	arg.error_index = 0;
	arg.error_reason = SVMDK_REASON_NONE;
	arg.holder = -1;
	err = svmdk_control_add_batch(control->dev, &arg);
	return svmdk_copy_out(user, &arg, sizeof(arg), user_size) ?: err;
}

static long svmdk_control_set_runs(struct svmdk_control *control, void __user *user)
{
	struct svmdk_ioc_set_runs arg;
	u32 user_size;
	int err;

	err = svmdk_copy_in(&arg, sizeof(arg), SVMDK_SET_RUNS_SIZE_0, user, &user_size);
	if (err)
		return err;
	if (!svmdk_control_is_building(control) || arg.pad || arg.nr > SVMDK_MAX_RUNS)
		return -EINVAL;
	if (arg.nr ? arg.reason != SVMDK_REASON_NONE || arg.run_size != sizeof(struct svmdk_run) :
		     arg.reason == SVMDK_REASON_NONE || arg.reason > SVMDK_REASON_LAST)
		return -EINVAL;
	return svmdk_extent_set_runs(control->dev, &arg);
}

static long svmdk_control_commit(struct svmdk_control *control, void __user *user)
{
	struct svmdk_ioc_commit arg;
	u32 user_size;
	int err;

	err = svmdk_copy_in(&arg, sizeof(arg), SVMDK_COMMIT_SIZE_0, user, &user_size);
	if (err)
		return err;
	if (!svmdk_control_is_building(control))
		return -EINVAL;
	if (arg.flags & SVMDK_COMMIT_DESCRIPTOR ?
		    arg.flags != SVMDK_COMMIT_DESCRIPTOR || !control->dev->grows :
		    arg.flags || arg.descriptor_fd)
		return -EINVAL;
	err = svmdk_try_out(user, user_size);
	if (err)
		return err;
	err = control->dev->grows ? svmdk_grow_commit(control->dev, &arg) :
				    svmdk_device_commit(control->dev, &arg);
	if (!err)
		control->dev = NULL;
	return svmdk_copy_out(user, &arg, sizeof(arg), user_size) ?: err;
}

static int svmdk_control_detach_device(struct svmdk_device *dev, struct svmdk_ioc_detach *arg)
{
	u8 *dirty = NULL;
	int err;

	if (arg->dirty_size) {
		dirty = kvzalloc(arg->dirty_size, GFP_KERNEL_ACCOUNT);
		if (!dirty)
			return -ENOMEM;
	}
	err = svmdk_device_detach(dev, arg, dirty);
	/* One that stays has left it all zero: it says nothing. */
	if (copy_to_user(u64_to_user_ptr(arg->dirty), dirty, arg->dirty_size))
		err = err ?: -EFAULT;
	kvfree(dirty);
	return err;
}

static long svmdk_control_detach(struct svmdk_control *control, void __user *user)
{
	struct svmdk_ioc_detach arg;
	struct svmdk_device *dev;
	u32 user_size;
	int err;

	err = svmdk_copy_in(&arg, sizeof(arg), SVMDK_DETACH_SIZE_0, user, &user_size);
	if (err)
		return err;
	if (arg.flags & ~SVMDK_DETACH_LAZY)
		return -EINVAL;
	arg.dirty_size = arg.dirty ? min(arg.dirty_size, SVMDK_MAX_DIRTY_BYTES) : 0;
	err = svmdk_try_out(user, user_size) ?:
		      svmdk_try_out(u64_to_user_ptr(arg.dirty), arg.dirty_size);
	if (err)
		return err;
	arg.openers = 0;
	arg.deferred = 0;
	arg.written = 0;
	dev = svmdk_device_get(arg.index, false);
	if (!dev)
		return -ENODEV;
	err = svmdk_control_detach_device(dev, &arg);
	svmdk_device_put(dev);
	return svmdk_copy_out(user, &arg, sizeof(arg), user_size) ?: err;
}

static long svmdk_control_status(struct svmdk_control *control, void __user *user)
{
	struct svmdk_ioc_status arg;
	struct svmdk_device *dev;
	u32 user_size;
	bool next;
	int err;

	err = svmdk_copy_in(&arg, sizeof(arg), SVMDK_STATUS_SIZE_0, user, &user_size);
	if (err)
		return err;
	if (arg.flags & ~SVMDK_STATUS_NEXT)
		return -EINVAL;
	next = arg.flags & SVMDK_STATUS_NEXT;
	do {
		dev = svmdk_device_get(arg.index, next);
		if (!dev)
			return -ENODEV;
		arg.index = dev->index;
		err = svmdk_device_status(dev, &arg);
		svmdk_device_put(dev);
		/* One that is dying is passed over. */
	} while (err == -ENODEV && next && arg.index++ < INT_MAX);
	if (err)
		return err;
	return svmdk_copy_out(user, &arg, sizeof(arg), user_size);
}

/* As many as there are, up to @nr. */
static int svmdk_control_collect(struct svmdk_device *dev, u64 first, u32 nr, bool clean,
				 struct svmdk_extent_info *infos)
{
	struct svmdk_extent *extent;
	u32 i = 0;

	mutex_lock(&dev->lock);
	if (dev->state != SVMDK_LIVE) {
		mutex_unlock(&dev->lock);
		return -ENODEV;
	}
	for (; i < nr; i++) {
		extent = xa_load(&dev->extents, first + i);
		if (!extent)
			break;
		svmdk_extent_info(extent, clean, &infos[i]);
	}
	mutex_unlock(&dev->lock);
	return i;
}

/* Nobody was told that these were dirty, so they still are. */
static void svmdk_control_undo_clean(struct svmdk_device *dev, u64 first, u32 nr)
{
	struct svmdk_extent *extent;
	u32 i;

	mutex_lock(&dev->lock);
	for (i = 0; dev->state == SVMDK_LIVE && i < nr; i++) {
		extent = xa_load(&dev->extents, first + i);
		if (extent && atomic_read(&extent->written))
			svmdk_extent_mark_written(extent);
	}
	mutex_unlock(&dev->lock);
}

/* In chunks: memory of the caller is not written to with the lock held. */
static int svmdk_control_copy_infos(struct svmdk_device *dev, struct svmdk_ioc_extents *arg)
{
	bool clean = arg->flags & SVMDK_EXTENTS_CLEAN;
	void __user *user = u64_to_user_ptr(arg->infos);
	struct svmdk_extent_info *infos;
	u32 room = arg->nr;
	int err = 0;
	int nr, i;

	arg->nr = 0;
	infos = kmalloc_array(SVMDK_INFO_CHUNK, sizeof(*infos), GFP_KERNEL);
	if (!infos)
		return -ENOMEM;
	do {
		nr = min_t(u32, room - arg->nr, SVMDK_INFO_CHUNK);
		nr = svmdk_control_collect(dev, (u64)arg->first + arg->nr, nr, clean, infos);
		if (nr < 0) {
			err = nr;
			break;
		}
		for (i = 0; i < nr && !err; i++, user += arg->info_size)
			err = svmdk_copy_out(user, &infos[i], sizeof(*infos), arg->info_size);
		arg->nr += nr;
	} while (nr && !err);
	kfree(infos);
	return err;
}

static long svmdk_control_extents(struct svmdk_control *control, void __user *user)
{
	struct svmdk_ioc_extents arg;
	struct svmdk_device *dev;
	u32 user_size;
	int err;

	err = svmdk_copy_in(&arg, sizeof(arg), SVMDK_EXTENTS_SIZE_0, user, &user_size);
	if (err)
		return err;
	if ((arg.flags & ~SVMDK_EXTENTS_CLEAN) || arg.info_size < SVMDK_EXTENT_INFO_SIZE_0)
		return -EINVAL;
	if (arg.info_size > PAGE_SIZE)
		return -E2BIG;
	dev = svmdk_device_get(arg.index, false);
	if (!dev)
		return -ENODEV;
	err = svmdk_control_copy_infos(dev, &arg) ?:
		      svmdk_copy_out(user, &arg, sizeof(arg), user_size);
	if (err && (arg.flags & SVMDK_EXTENTS_CLEAN))
		svmdk_control_undo_clean(dev, arg.first, arg.nr);
	svmdk_device_put(dev);
	return err;
}

typedef long (*svmdk_control_fn)(struct svmdk_control *control, void __user *user);

static long svmdk_control_build(struct svmdk_control *control, svmdk_control_fn fn,
				void __user *user)
{
	long ret;

	mutex_lock(&control->lock);
	ret = fn(control, user);
	mutex_unlock(&control->lock);
	return ret;
}

static long svmdk_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct svmdk_control *control = file->private_data;
	void __user *user = (void __user *)arg;

	/* Not only at open: the file may have been passed on. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	switch (cmd) {
	case SVMDK_IOC_VERSION:
		return svmdk_control_version(control, user);
	case SVMDK_IOC_CREATE:
		return svmdk_control_build(control, svmdk_control_create, user);
	case SVMDK_IOC_ADD_EXTENTS:
		return svmdk_control_build(control, svmdk_control_add_extents, user);
	case SVMDK_IOC_SET_RUNS:
		return svmdk_control_build(control, svmdk_control_set_runs, user);
	case SVMDK_IOC_COMMIT:
		return svmdk_control_build(control, svmdk_control_commit, user);
	case SVMDK_IOC_DETACH:
		return svmdk_control_detach(control, user);
	case SVMDK_IOC_STATUS:
		return svmdk_control_status(control, user);
	case SVMDK_IOC_EXTENTS:
		return svmdk_control_extents(control, user);
	default:
		return -ENOTTY;
	}
}

static int svmdk_control_open(struct inode *inode, struct file *file)
{
	struct svmdk_control *control;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	control = kzalloc(sizeof(*control), GFP_KERNEL);
	if (!control)
		return -ENOMEM;
	mutex_init(&control->lock);
	file->private_data = control;
	return nonseekable_open(inode, file);
}

/* A device that was begun and not committed goes with its control file. */
static int svmdk_control_release(struct inode *inode, struct file *file)
{
	struct svmdk_control *control = file->private_data;

	if (control->dev && control->dev->grows)
		svmdk_grow_abandon(control->dev);
	else if (control->dev)
		svmdk_device_abandon(control->dev);
	kfree(control);
	return 0;
}

static const struct file_operations svmdk_control_fops = {
	.owner = THIS_MODULE,
	.open = svmdk_control_open,
	.release = svmdk_control_release,
	.unlocked_ioctl = svmdk_control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice svmdk_control_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = SVMDK_CONTROL_NAME,
	.fops = &svmdk_control_fops,
	.mode = 0600,
};

int __init svmdk_control_init(void)
{
	BUILD_BUG_ON(sizeof(struct svmdk_ioc_version) != SVMDK_VERSION_SIZE_0);
	BUILD_BUG_ON(sizeof(struct svmdk_ioc_create) != SVMDK_CREATE_SIZE_0);
	BUILD_BUG_ON(sizeof(struct svmdk_ioc_add_extents) != SVMDK_ADD_EXTENTS_SIZE_0);
	BUILD_BUG_ON(sizeof(struct svmdk_new_extent) != SVMDK_NEW_EXTENT_SIZE_0);
	BUILD_BUG_ON(sizeof(struct svmdk_ioc_set_runs) != SVMDK_SET_RUNS_SIZE_0);
	BUILD_BUG_ON(sizeof(struct svmdk_ioc_commit) != SVMDK_COMMIT_SIZE_0);
	BUILD_BUG_ON(sizeof(struct svmdk_ioc_detach) != SVMDK_DETACH_SIZE_0);
	BUILD_BUG_ON(sizeof(struct svmdk_ioc_status) != SVMDK_STATUS_SIZE_0);
	BUILD_BUG_ON(sizeof(struct svmdk_ioc_extents) != SVMDK_EXTENTS_SIZE_0);
	BUILD_BUG_ON(sizeof(struct svmdk_extent_info) != SVMDK_EXTENT_INFO_SIZE_0);
	return misc_register(&svmdk_control_misc);
}

void svmdk_control_exit(void)
{
	misc_deregister(&svmdk_control_misc);
}
