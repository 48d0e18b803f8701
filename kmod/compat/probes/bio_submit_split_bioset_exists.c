// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Until then every driver split, chained and submitted by itself.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>

struct bio *bio_submit_split_bioset_exists(struct bio *bio, struct bio_set *bs);

struct bio *bio_submit_split_bioset_exists(struct bio *bio, struct bio_set *bs)
{
	return bio_submit_split_bioset(bio, 8, bs);
}
