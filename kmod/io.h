/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#ifndef _SVMDK_IO_H
#define _SVMDK_IO_H

#include <linux/bio.h>

struct svmdk_device;
struct svmdk_extent;

/*
 * Written to a place that takes no writes: what the SCSI layer says of a
 * write-protected disk.
 */
#define SVMDK_STS_READ_ONLY BLK_STS_TARGET

void svmdk_submit_bio(struct bio *bio);

/* file_io.c */
void svmdk_file_submit(struct svmdk_device *dev, struct svmdk_extent *extent, struct bio *bio,
		       u64 source);

/* flush.c */
void svmdk_flush_submit(struct svmdk_device *dev, struct bio *bio);
blk_status_t svmdk_flush(struct svmdk_device *dev, bool last);
bool svmdk_flush_must_wait(struct svmdk_device *dev);
void svmdk_flush_setup(struct svmdk_device *dev);
void svmdk_flush_teardown(struct svmdk_device *dev);

int svmdk_io_setup(struct svmdk_device *dev);
void svmdk_io_teardown(struct svmdk_device *dev);
int svmdk_file_io_setup(struct svmdk_device *dev);

int __init svmdk_io_init(void);
void svmdk_io_exit(void);
int __init svmdk_file_io_init(void);
void svmdk_file_io_exit(void);

static inline void svmdk_bio_fail(struct bio *bio, blk_status_t status)
{
	bio->bi_status = status;
	bio_endio(bio);
}

#endif /* _SVMDK_IO_H */
