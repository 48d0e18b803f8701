/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM svmdk

#if !defined(_SVMDK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _SVMDK_TRACE_H

#include <linux/blkdev.h>
#include <linux/blktrace_api.h>
#include <linux/tracepoint.h>

#include "uapi/svmdk.h"

/* Room for what blk_fill_rwbs() writes, in any kernel. */
#define SVMDK_RWBS_LEN 16

/* clang-format off */
#define svmdk_show_way(way)						\
	__print_symbolic(way,						\
			 { SVMDK_WAY_MAPPED, "mapped" },		\
			 { SVMDK_WAY_FILE, "file" },			\
			 { SVMDK_WAY_ZERO, "zero" },			\
			 { SVMDK_WAY_NONE, "none" })

/* A bio, or the part of one that lies in one segment, on its way down. */
TRACE_EVENT(svmdk_submit,
	TP_PROTO(const struct bio *bio, u32 extent, u8 way, u64 source),
	TP_ARGS(bio, extent, way, source),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u32, extent)
		__field(u64, sector)
		__field(u64, source)
		__field(u32, sectors)
		__field(u32, way)
		__array(char, rwbs, SVMDK_RWBS_LEN)
	),
	TP_fast_assign(
		__entry->dev = bio_dev(bio);
		__entry->extent = extent;
		__entry->sector = bio->bi_iter.bi_sector;
		__entry->source = source;
		__entry->sectors = bio_sectors(bio);
		__entry->way = way;
		memset(__entry->rwbs, 0, SVMDK_RWBS_LEN);
		blk_fill_rwbs(__entry->rwbs, bio->bi_opf);
	),
	TP_printk("%d,%d %s %llu + %u extent %u %s at %llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->rwbs, __entry->sector,
		  __entry->sectors, __entry->extent, svmdk_show_way(__entry->way),
		  __entry->source)
);

/* The same, done. */
TRACE_EVENT(svmdk_complete,
	TP_PROTO(const struct block_device *bdev, u32 extent, enum req_op op, u64 sector,
		 u32 sectors, blk_status_t status),
	TP_ARGS(bdev, extent, op, sector, sectors, status),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u32, extent)
		__field(u64, sector)
		__field(u32, sectors)
		__field(int, error)
		__array(char, rwbs, SVMDK_RWBS_LEN)
	),
	TP_fast_assign(
		__entry->dev = bdev->bd_dev;
		__entry->extent = extent;
		__entry->sector = sector;
		__entry->sectors = sectors;
		__entry->error = blk_status_to_errno(status);
		memset(__entry->rwbs, 0, SVMDK_RWBS_LEN);
		blk_fill_rwbs(__entry->rwbs, (__force blk_opf_t)op);
	),
	TP_printk("%d,%d %s %llu + %u extent %u [%d]",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->rwbs, __entry->sector,
		  __entry->sectors, __entry->extent, __entry->error)
);

/* clang-format on */

#endif /* _SVMDK_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
