// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Until then the member was called bi_bvec_done.
 */
#include <linux/bvec.h>

unsigned int bvec_iter_has_bi_offset(struct bvec_iter *iter);

unsigned int bvec_iter_has_bi_offset(struct bvec_iter *iter)
{
	return iter->bi_offset;
}
