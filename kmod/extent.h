/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#ifndef _SVMDK_EXTENT_H
#define _SVMDK_EXTENT_H

#include <linux/atomic.h>
#include <linux/types.h>

#include "uapi/svmdk.h"

struct svmdk_backing;
struct svmdk_device;
struct svmdk_segment;
struct svmdk_source;

/* svmdk_extent.written */
#define SVMDK_WRITTEN_EVER 1 /* since the disk was attached */
#define SVMDK_WRITTEN_DIRTY 2 /* since attach or SVMDK_EXTENTS_CLEAN */

/**
 * struct svmdk_extent - one extent of a disk
 * @source: the file or block device; NULL for zeroes and no access
 * @backing: what the source lies on; NULL where there is no source
 * @start: first sector in the disk
 * @sectors: length
 * @offset: first sector in the source
 * @runs: what SVMDK_IOC_SET_RUNS said, until the table is built; @start of
 *	each counts from the start of the extent
 * @nr_runs: how many
 * @number: in the disk, from 0
 * @kind: enum svmdk_kind
 * @io: enum svmdk_io
 * @way: enum svmdk_way
 * @reason: enum svmdk_reason
 * @flags: SVMDK_EXTENT_*
 * @read_only: a write fails: the line says so, or the disk is read-only
 * @unpolled: it was added to a disk that polls, and lies where that cannot be done
 * @plain: it is mapped, and not @unpolled: what the I/O path asks
 * @direct: the file way uses direct I/O
 * @nowait: the file way may be tried where nothing may wait
 * @written: SVMDK_WRITTEN_* bits. Set when a write begins and, for the sake of
 *	SVMDK_EXTENTS_CLEAN, when it ends; writes after the first only read it.
 */
struct svmdk_extent {
	struct svmdk_source *source;
	struct svmdk_backing *backing;
	u64 start;
	u64 sectors;
	u64 offset;
	struct svmdk_segment *runs;
	u32 nr_runs;
	u32 number;
	u8 kind;
	u8 io;
	u8 way;
	u8 reason;
	u8 flags;
	bool read_only;
	bool unpolled;
	bool plain;
	bool direct;
	bool nowait;
	atomic_t written;
};

static inline void svmdk_extent_mark_written(struct svmdk_extent *extent)
{
	const int all = SVMDK_WRITTEN_EVER | SVMDK_WRITTEN_DIRTY;

	if (atomic_read(&extent->written) != all)
		atomic_set(&extent->written, all);
}

int svmdk_extent_add(struct svmdk_device *dev, struct svmdk_new_extent *arg, s32 *holder);
void svmdk_extent_drop_from(struct svmdk_device *dev, u32 first);
int svmdk_extent_set_runs(struct svmdk_device *dev, const struct svmdk_ioc_set_runs *arg);
int svmdk_extent_settle(struct svmdk_device *dev, u32 *error_extent);
struct svmdk_table *svmdk_extent_build_table(struct svmdk_device *dev,
					     const struct svmdk_table *before);
void svmdk_extent_info(struct svmdk_extent *extent, bool clean, struct svmdk_extent_info *info);

#endif /* _SVMDK_EXTENT_H */
