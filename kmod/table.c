// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "table.h"

/**
 * svmdk_table_alloc - an empty table with room for segments
 * @nr: how many will be added at most
 *
 * Context: may sleep. Returns NULL when there is no memory.
 */
struct svmdk_table *svmdk_table_alloc(u32 nr)
{
	struct svmdk_table *table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);

	if (!table)
		return NULL;
	table->segment = kvcalloc((size_t)nr + 1, sizeof(*table->segment),
				  GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!table->segment) {
		kfree(table);
		return NULL;
	}
	table->bytes = sizeof(*table) + ((size_t)nr + 1) * sizeof(*table->segment);
	return table;
}

/**
 * svmdk_table_add - append a segment
 * @table: a table with room left, not indexed yet
 * @sectors: its length
 * @source: where it begins in its source, in sectors
 * @extent: whose it is
 *
 * A segment that goes on where the last one of the same extent ended becomes
 * part of it.
 *
 * Context: any. Returns -EINVAL for an empty segment, -EFBIG when the disk
 * would have 2^63 bytes or more.
 */
int svmdk_table_add(struct svmdk_table *table, u64 sectors, u64 source, struct svmdk_extent *extent)
{
	const u64 limit = (1ULL << (63 - 9)) - 1;
	struct svmdk_segment *last = table->segment + table->nr;

	if (!sectors)
		return -EINVAL;
	if (sectors > limit || table->sectors > limit - sectors)
		return -EFBIG;

	/* last is still the end marker; the one before it may grow. */
	if (table->nr && last[-1].extent == extent &&
	    last[-1].source + (table->sectors - last[-1].start) == source) {
		last--;
	} else {
		last->start = table->sectors;
		last->source = source;
		last->extent = extent;
		table->nr++;
	}
	table->sectors += sectors;
	last[1].start = table->sectors;
	return 0;
}

/**
 * svmdk_table_index - make a table ready for svmdk_table_find()
 * @table: with all its segments
 *
 * Context: may sleep. Returns -ENODATA for an empty table, -ENOMEM.
 */
int svmdk_table_index(struct svmdk_table *table)
{
	u64 buckets, i;
	u32 at = 0;

	if (!table->nr)
		return -ENODATA;

	/* The power of two at or below the mean segment. */
	table->shift = ilog2(div_u64(table->sectors, table->nr));
	buckets = ((table->sectors - 1) >> table->shift) + 1;

	table->bucket =
		kvmalloc_array(buckets, sizeof(*table->bucket), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!table->bucket)
		return -ENOMEM;
	table->bytes += buckets * sizeof(*table->bucket);

	for (i = 0; i < buckets; i++) {
		while (table->segment[at + 1].start <= i << table->shift)
			at++;
		table->bucket[i].first = at;
		while (at + 1 < table->nr && table->segment[at + 1].start < (i + 1) << table->shift)
			at++;
		table->bucket[i].last = at;
	}
	return 0;
}

/**
 * svmdk_table_free - free a table
 * @table: one that no lookup can reach any more, or NULL
 *
 * Context: may sleep.
 */
void svmdk_table_free(struct svmdk_table *table)
{
	if (!table)
		return;
	kvfree(table->bucket);
	kvfree(table->segment);
	kfree(table);
}
