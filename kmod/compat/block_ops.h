/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Included by compat.h. A driver's open and release, written as they are
 * today, in the form that the kernel calls.
 */
#ifndef _SVMDK_COMPAT_BLOCK_OPS_H
#define _SVMDK_COMPAT_BLOCK_OPS_H

/* clang-format off */
#ifdef SVMDK_HAVE_BLOCK_OPEN_TAKES_DISK

#define DEFINE_BLOCK_OPEN(fn)
#define DEFINE_BLOCK_RELEASE(fn)
#define BLOCK_OPEN(fn)		fn
#define BLOCK_RELEASE(fn)	fn

#else

typedef fmode_t blk_mode_t;
#define BLK_OPEN_READ		FMODE_READ
#define BLK_OPEN_WRITE		FMODE_WRITE

#define DEFINE_BLOCK_OPEN(fn)						\
	static int compat_##fn(struct block_device *bdev, fmode_t mode)	\
	{								\
		return fn(bdev->bd_disk, mode);				\
	}
#define DEFINE_BLOCK_RELEASE(fn)					\
	static void compat_##fn(struct gendisk *disk, fmode_t mode)	\
	{								\
		fn(disk);						\
	}
#define BLOCK_OPEN(fn)		compat_##fn
#define BLOCK_RELEASE(fn)	compat_##fn

#endif

/* clang-format on */

#endif /* _SVMDK_COMPAT_BLOCK_OPS_H */
