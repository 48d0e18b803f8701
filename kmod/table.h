/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#ifndef _SVMDK_TABLE_H
#define _SVMDK_TABLE_H

#include <linux/types.h>

struct svmdk_extent;

/**
 * struct svmdk_segment - a range of the disk that is contiguous in its source
 * @start: first sector in the disk
 * @source: the sector that @start is in the source: on the backing device for
 *	a mapped extent, in the file for another, 0 where there is no source
 * @extent: the extent that it belongs to; opaque here
 *
 * It ends where the next one starts.
 */
struct svmdk_segment {
	u64 start;
	u64 source;
	struct svmdk_extent *extent;
};

/**
 * struct svmdk_bucket - where to look for the sectors of a range
 * @first: the segment that holds the first of them
 * @last: the segment that holds the last
 */
struct svmdk_bucket {
	u32 first;
	u32 last;
};

/**
 * struct svmdk_table - the disk's segments, in order, without a gap
 * @sectors: size of the disk
 * @bytes: memory that the table takes
 * @nr: number of segments
 * @shift: a bucket covers 1 << @shift sectors
 * @bucket: as many as cover the disk
 * @segment: @nr of them, and one more that starts at @sectors
 *
 * There are one to two buckets a segment. So where the segments are of one size,
 * as extents are, a lookup compares once or not at all however many there are;
 * where they are not, it is a binary search within a bucket.
 *
 * A table never changes once it is in use: a disk that grows gets a new one.
 */
struct svmdk_table {
	u64 sectors;
	size_t bytes;
	u32 nr;
	u32 shift;
	struct svmdk_bucket *bucket;
	struct svmdk_segment *segment;
};

/**
 * svmdk_table_find - the segment that holds a sector
 * @table: the table
 * @sector: in the disk, below @table->sectors
 *
 * Context: any; reads only. The segment's end is the start of the next one.
 */
static inline const struct svmdk_segment *svmdk_table_find(const struct svmdk_table *table,
							   u64 sector)
{
	const struct svmdk_bucket *bucket = table->bucket + (sector >> table->shift);
	u32 low = bucket->first;
	u32 high = bucket->last;

	/* The last one that starts at or before the sector. */
	while (low < high) {
		u32 middle = high - (high - low) / 2;

		if (table->segment[middle].start <= sector)
			low = middle;
		else
			high = middle - 1;
	}
	return table->segment + low;
}

struct svmdk_table *svmdk_table_alloc(u32 nr);
int svmdk_table_add(struct svmdk_table *table, u64 sectors, u64 source,
		    struct svmdk_extent *extent);
int svmdk_table_index(struct svmdk_table *table);
void svmdk_table_free(struct svmdk_table *table);

#endif /* _SVMDK_TABLE_H */
