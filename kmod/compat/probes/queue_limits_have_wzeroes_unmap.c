// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Since Linux 6.17 a limit says whether writing zeroes may unmap.
 */
#include <linux/blkdev.h>

void queue_limits_have_wzeroes_unmap(struct queue_limits *lim);

void queue_limits_have_wzeroes_unmap(struct queue_limits *lim)
{
	lim->max_hw_wzeroes_unmap_sectors = 0;
}
