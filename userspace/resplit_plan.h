/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_RESPLIT_PLAN_H
#define SVMDK_RESPLIT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "descriptor.h"
#include "message.h"

/*
 * Which sectors of which old extent become which sectors of which new one.
 * Opens nothing.
 */

/**
 * struct target_extent - an extent as it shall be
 * @name: of its file, as the descriptor will have it; NULL until
 *	resplit_plan_name()
 * @start: where it begins in the disk, in sectors
 * @sectors: its length
 * @kept: it is there already: an earlier run got that far
 * @made: this run made its file
 */
struct target_extent {
	char *name;
	uint64_t start;
	uint64_t sectors;
	bool kept;
	bool made;
};

/**
 * struct resplit_plan - from one shape to another
 * @old: the extents as they are, in the order of the disk; copies
 * @nr_old: number of these
 * @targets: the extents as they shall be
 * @nr_targets: number of these
 * @sectors: size of the disk
 * @extent_sectors: size of every new extent but the last, which takes the rest
 */
struct resplit_plan {
	struct extent *old;
	size_t nr_old;
	struct target_extent *targets;
	size_t nr_targets;
	uint64_t sectors;
	uint64_t extent_sectors;
};

/**
 * struct resplit_piece - sectors that go from one old extent to one new one
 * @old: the old one's number, from 0
 * @target: the new one's number, from 0
 * @at: first sector in the disk
 * @old_at: first sector in the old extent's file
 * @target_at: first sector in the new extent's file
 * @sectors: how many
 */
struct resplit_piece {
	size_t old;
	size_t target;
	uint64_t at;
	uint64_t old_at;
	uint64_t target_at;
	uint64_t sectors;
};

/**
 * resplit_plan_begin() - plan extents of another size
 * @plan: filled, to be freed
 * @d: the container as it is
 * @extent_sectors: size of the new extents; more than the disk has is as much
 *	as the disk has
 * @err: filled on failure, with @err->line where there is one
 *
 * Refuses extents that are not RW, for what may be written cannot be told from
 * what may not within a file, and more extents than a descriptor can name.
 * Returns 0 or -1.
 */
int resplit_plan_begin(struct resplit_plan *plan, const struct descriptor *d,
		       uint64_t extent_sectors, struct svmdk_error *err);

/**
 * resplit_plan_free() - free what the others made
 * @plan: all zero afterwards. One that is all zero is fine.
 */
void resplit_plan_free(struct resplit_plan *plan);

/**
 * resplit_in_shape() - whether the container is as it shall be
 * @plan: the plan
 */
bool resplit_in_shape(const struct resplit_plan *plan);

/**
 * resplit_plan_name() - give the new extents their names
 * @plan: the plan
 * @stem: of the container's name; no folder
 * @series: 1 for STEM-f001.vmdk, 2 for STEM-2-f001.vmdk, and so on; -flat
 *	instead of -f001 for one that is the whole disk
 * @err: filled on failure
 *
 * Each is in the folder of the old extent in which it begins. Says which of them
 * are there already, by name, place and size. Returns 0 or -1 (no memory).
 */
int resplit_plan_name(struct resplit_plan *plan, const char *stem, unsigned int series,
		      struct svmdk_error *err);

/**
 * resplit_plan_series() - find the series of names that the first extent is of
 * @plan: the plan
 * @stem: as for resplit_plan_name()
 * @end: one past the last series to be thought of
 *
 * Returns 0 when it is of none: no earlier run was interrupted.
 */
unsigned int resplit_plan_series(const struct resplit_plan *plan, const char *stem,
				 unsigned int end);

/**
 * resplit_piece_at() - find the piece that begins at a sector of the disk
 * @plan: the plan
 * @at: the sector, below the size of the disk
 *
 * The next one begins where it ends. O(log n).
 */
struct resplit_piece resplit_piece_at(const struct resplit_plan *plan, uint64_t at);

/**
 * resplit_begun() - how much of the disk is in new extents already
 * @plan: the plan, with names
 *
 * In sectors, from the begin of the disk on: what resplit_mix() of an earlier
 * run has left.
 */
uint64_t resplit_begun(const struct resplit_plan *plan);

/**
 * resplit_mix() - the extents of a container that is on the way
 * @plan: the plan, with names
 * @moved: how much of the disk is in new extents, in sectors
 * @extents: array with room for @plan->nr_old + @plan->nr_targets; their names are
 *	the plan's
 *
 * Returns how many there are.
 */
size_t resplit_mix(const struct resplit_plan *plan, uint64_t moved, struct extent *extents);

/**
 * resplit_create_type() - the createType of the new shape
 * @plan: the plan
 */
const char *resplit_create_type(const struct resplit_plan *plan);

#endif /* SVMDK_RESPLIT_PLAN_H */
