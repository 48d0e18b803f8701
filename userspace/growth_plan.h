/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_GROWTH_PLAN_H
#define SVMDK_GROWTH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "claims.h"
#include "container.h"
#include "message.h"
#include "new_extents.h"

#define GROWTH_MAX_EXTENT_BYTES (UINT64_C(2) << 30)

/**
 * struct growth_plan - what a container needs to become larger
 * @extents: all extents that it will have, in the order of the disk. The names
 *	of those that it has are its descriptor's.
 * @nr_extents: how many
 * @first: the first that is new or longer: files.list[0] is its file, and so on
 * @keeps_short: the last extent that it has is shorter than the others, and
 *	stays as it is
 * @create_type: what createType has to become, or NULL
 * @files: the files to be made or made longer
 * @claimants: other containers' commands that may make files, or make them longer
 * @last: the last extent that it has, open and locked, where that may become longer; or -1
 * @like: a file that the new ones get mode and owner from
 * @path: of a file in their folder, for messages
 */
struct growth_plan {
	struct extent *extents;
	size_t nr_extents;
	size_t first;
	bool keeps_short;
	const char *create_type;
	struct new_extents files;
	struct claimants claimants;
	int last;
	struct stat like;
	char *path;
};

/**
 * growth_extent_sectors() - how large new extents are when nobody says
 * @d: the descriptor
 *
 * As the largest that it has, 2 GiB at most; a single one that is smaller than
 * svmdk create makes them says nothing. In sectors.
 */
uint64_t growth_extent_sectors(const struct descriptor *d);

/**
 * growth_plan_make() - plan it
 * @p: filled, to be freed; all zero on failure
 * @c: the container, not changed until the plan is done with
 * @sectors: the size that the disk shall have, more than it has
 * @extent_sectors: size of new extents, or 0 for growth_extent_sectors()
 * @attached: no file that it has may change
 * @err: filled on failure
 *
 * The new files have names that nobody has, in the folder of the last extent; @p->files.write
 * is left to the caller. A last extent that another container's list of leftovers names stays
 * as it is. Returns 0 or -1.
 */
int growth_plan_make(struct growth_plan *p, const struct container *c, uint64_t sectors,
		     uint64_t extent_sectors, bool attached, struct svmdk_error *err);

/**
 * growth_plan_names_free() - whether nobody has taken the files to be made since, nor the one
 *	to be made longer
 * @p: the plan
 * @c: the container
 * @free_names: set to it
 * @err: filled on failure
 *
 * For whoever has put them on the list of leftovers by now, where no other command takes
 * them any more. Returns 0 or -1.
 */
int growth_plan_names_free(struct growth_plan *p, const struct container *c, bool *free_names,
			   struct svmdk_error *err);

/**
 * growth_plan_free() - free what growth_plan_make() made
 * @p: all zero afterwards. One that is all zero is fine.
 */
void growth_plan_free(struct growth_plan *p);

#endif /* SVMDK_GROWTH_PLAN_H */
