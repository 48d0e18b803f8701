/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#ifndef _SVMDK_POOL_H
#define _SVMDK_POOL_H

#include <linux/blk_types.h>
#include <linux/mempool.h>
#include <linux/percpu.h>

#include "compat.h"

/**
 * struct svmdk_pool - objects of one size that can always be had, mostly at once
 * @reserve: what is left when memory is short, and where the others come from
 * @spare: of each processor, the object that was given back there last, or NULL
 *
 * One I/O gives back what the next one takes. Through the slab allocator that
 * costs as much as all the rest of a mapped I/O.
 */
struct svmdk_pool {
	mempool_t reserve;
	void *__percpu *spare;
};

int svmdk_pool_init(struct svmdk_pool *pool, int reserved, struct kmem_cache *cache);
void svmdk_pool_exit(struct svmdk_pool *pool);

/**
 * svmdk_pool_alloc - take an object for a bio
 * @pool: the pool
 * @opf: the bio's; with REQ_NOWAIT it does not wait until there is one
 *
 * Context: process; may sleep without REQ_NOWAIT. Returns NULL with it alone. The
 * object is not cleared.
 */
static inline void *svmdk_pool_alloc(struct svmdk_pool *pool, blk_opf_t opf)
{
	void *object = this_cpu_xchg(*pool->spare, NULL);

	if (likely(object))
		return object;
	return mempool_alloc(&pool->reserve, opf & REQ_NOWAIT ? GFP_NOWAIT : GFP_NOIO);
}

/**
 * svmdk_pool_free - give an object back
 * @pool: the pool
 * @object: from svmdk_pool_alloc()
 *
 * While the reserve is not full somebody may wait for this very object, so it
 * goes there: the rule, and the barrier, of mempool_free().
 *
 * Context: any.
 */
static inline void svmdk_pool_free(struct svmdk_pool *pool, void *object)
{
	smp_rmb();
	if (likely(mempool_is_saturated(&pool->reserve)))
		object = this_cpu_xchg(*pool->spare, object);
	if (unlikely(object))
		mempool_free(object, &pool->reserve);
}

#endif /* _SVMDK_POOL_H */
