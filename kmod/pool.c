// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/cpumask.h>
#include <linux/slab.h>

#include "pool.h"

/**
 * svmdk_pool_init - make a pool
 * @pool: the pool, zeroed
 * @reserved: how many objects there are when memory is short
 * @cache: where they come from; outlives the pool
 *
 * Context: may sleep. Returns -ENOMEM; svmdk_pool_exit() is to be called all
 * the same.
 */
int svmdk_pool_init(struct svmdk_pool *pool, int reserved, struct kmem_cache *cache)
{
	pool->spare = alloc_percpu(void *);
	if (!pool->spare)
		return -ENOMEM;
	return mempool_init_slab_pool(&pool->reserve, reserved, cache);
}

/**
 * svmdk_pool_exit - undo svmdk_pool_init()
 * @pool: the pool; all that was taken is back
 *
 * Context: may sleep.
 */
void svmdk_pool_exit(struct svmdk_pool *pool)
{
	int cpu;

	if (pool->spare) {
		for_each_possible_cpu(cpu) {
			void *object = *per_cpu_ptr(pool->spare, cpu);

			if (object)
				mempool_free(object, &pool->reserve);
		}
		free_percpu(pool->spare);
		pool->spare = NULL;
	}
	mempool_exit(&pool->reserve);
}
