// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Until then only mempool_free() looked.
 */
#include <linux/mempool.h>

bool mempool_is_saturated_exists(mempool_t *pool);

bool mempool_is_saturated_exists(mempool_t *pool)
{
	return mempool_is_saturated(pool);
}
