/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Included by compat.h. A block device opened as a file, where the kernel
 * opens it as itself: the "file" is then ours, and good for nothing but what
 * is defined here.
 */
#ifndef _SVMDK_COMPAT_BDEV_FILE_H
#define _SVMDK_COMPAT_BDEV_FILE_H

#ifndef SVMDK_HAVE_BDEV_FILE_OPEN_BY_DEV_EXISTS

struct blk_holder_ops;

struct compat_bdev_file {
	struct block_device *bdev;
	fmode_t mode;
};

static inline struct file *bdev_file_open_by_dev(dev_t dev, blk_mode_t mode, void *holder,
						 const struct blk_holder_ops *hops)
{
	struct compat_bdev_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return ERR_PTR(-ENOMEM);
	file->mode = mode | (holder ? FMODE_EXCL : 0);
	file->bdev = blkdev_get_by_dev(dev, file->mode, holder);
	if (IS_ERR(file->bdev)) {
		int err = PTR_ERR(file->bdev);

		kfree(file);
		return ERR_PTR(err);
	}
	return (struct file *)file;
}

static inline struct block_device *file_bdev(struct file *bdev_file)
{
	return ((struct compat_bdev_file *)bdev_file)->bdev;
}

static inline void bdev_fput(struct file *bdev_file)
{
	struct compat_bdev_file *file = (struct compat_bdev_file *)bdev_file;

	blkdev_put(file->bdev, file->mode);
	kfree(file);
}

#endif

#endif /* _SVMDK_COMPAT_BDEV_FILE_H */
