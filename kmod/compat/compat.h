/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * The driver is written for the newest kernel. What an older one lacks is
 * made up for here, under the name that it has today, and nowhere else. What
 * a kernel has is found out by compiling (probes/), not by its version.
 */
#ifndef _SVMDK_COMPAT_H
#define _SVMDK_COMPAT_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/mempool.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#ifndef SVMDK_HAVE_BVEC_ITER_HAS_BI_OFFSET
#define bi_offset bi_bvec_done
#endif

#ifndef SVMDK_HAVE_BDEV_ROT_EXISTS
static inline bool bdev_rot(struct block_device *bdev)
{
	return !bdev_nonrot(bdev);
}
#endif

#ifndef SVMDK_HAVE_BDEV_END_IO_ACCT_TAKES_SECTORS
static inline void compat_bdev_end_io_acct(struct block_device *bdev, enum req_op op,
					   unsigned int sectors, unsigned long start_time)
{
	/* They were accounted at the start. */
	bdev_end_io_acct(bdev, op, start_time);
}
#define bdev_end_io_acct compat_bdev_end_io_acct
#endif

#ifndef SVMDK_HAVE_BIO_SUBMIT_SPLIT_BIOSET_EXISTS
static inline struct bio *bio_submit_split_bioset(struct bio *bio, unsigned int sectors,
						  struct bio_set *bs)
{
	struct bio *split = bio_split(bio, sectors, GFP_NOIO, bs);

	if (IS_ERR_OR_NULL(split)) {
		bio_io_error(bio);
		return NULL;
	}
	bio_chain(split, bio);
	submit_bio_noacct(bio);
	return split;
}
#endif

#ifndef SVMDK_HAVE_MEMPOOL_IS_SATURATED_EXISTS
static inline bool mempool_is_saturated(mempool_t *pool)
{
	return READ_ONCE(pool->curr_nr) >= pool->min_nr;
}
#endif

#ifndef SVMDK_HAVE_WQ_PERCPU_EXISTS
#define WQ_PERCPU 0
#endif

#include "block_ops.h"
#include "bdev_file.h"
#include "direct_write.h"
#include "limits.h"

#endif /* _SVMDK_COMPAT_H */
