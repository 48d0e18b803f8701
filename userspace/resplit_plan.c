// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resplit_plan.h"

static int copy_old(struct resplit_plan *plan, const struct descriptor *d, struct svmdk_error *err)
{
	const struct extent *e;
	struct extent *copy;

	plan->old = calloc(d->nr_extents, sizeof(*plan->old));
	if (!plan->old)
		return error_errno(err, ENOMEM, "cannot plan the new extents");
	for (e = d->extents; e < d->extents + d->nr_extents; e++) {
		if (e->access != EXTENT_RW) {
			error_set(
				err, EINVAL,
				"a container with %s extents is not split anew: what may be written would be mixed with what may not",
				extent_access_text(e->access));
			return error_at(err, NULL, e->line);
		}
		copy = &plan->old[plan->nr_old++];
		*copy = *e;
		copy->name = e->name ? strdup(e->name) : NULL;
		if (e->name && !copy->name)
			return error_errno(err, ENOMEM, "cannot plan the new extents");
	}
	return 0;
}

static int make_new(struct resplit_plan *plan, struct svmdk_error *err)
{
	uint64_t nr = (plan->sectors - 1) / plan->extent_sectors + 1;
	uint64_t left = plan->sectors;
	size_t i;

	/* No line is shorter than 16 bytes: do not begin what cannot end well. */
	if (nr > DESCRIPTOR_MAX_BYTES / 16)
		return error_set(err, EFBIG,
				 "%" PRIu64
				 " extents are too many for a descriptor; use larger ones",
				 nr);
	plan->targets = calloc(nr, sizeof(*plan->targets));
	if (!plan->targets)
		return error_errno(err, ENOMEM, "cannot plan the new extents");
	plan->nr_targets = nr;
	for (i = 0; i < nr; i++) {
		plan->targets[i].start = i * plan->extent_sectors;
		plan->targets[i].sectors = left < plan->extent_sectors ? left :
									 plan->extent_sectors;
		left -= plan->targets[i].sectors;
	}
	return 0;
}

int resplit_plan_begin(struct resplit_plan *plan, const struct descriptor *d,
		       uint64_t extent_sectors, struct svmdk_error *err)
{
	*plan = (struct resplit_plan){
		.sectors = d->sectors,
		.extent_sectors = extent_sectors < d->sectors ? extent_sectors : d->sectors,
	};
	if (copy_old(plan, d, err) == 0 && make_new(plan, err) == 0)
		return 0;
	resplit_plan_free(plan);
	return -1;
}

static void free_names(struct resplit_plan *plan)
{
	size_t i;

	for (i = 0; i < plan->nr_targets; i++) {
		free(plan->targets[i].name);
		plan->targets[i].name = NULL;
		plan->targets[i].kept = false;
	}
}

void resplit_plan_free(struct resplit_plan *plan)
{
	size_t i;

	free_names(plan);
	free(plan->targets);
	for (i = 0; i < plan->nr_old; i++)
		free(plan->old[i].name);
	free(plan->old);
	*plan = (struct resplit_plan){ 0 };
}

bool resplit_in_shape(const struct resplit_plan *plan)
{
	const struct extent *e;
	size_t i;

	if (plan->nr_old != plan->nr_targets)
		return false;
	for (i = 0; i < plan->nr_targets; i++) {
		e = &plan->old[i];
		if (e->type == EXTENT_ZERO || e->offset || e->sectors != plan->targets[i].sectors)
			return false;
	}
	return true;
}

/* The last old extent that begins at @at or before it. */
static size_t find_old(const struct resplit_plan *plan, uint64_t at)
{
	size_t low = 0, high = plan->nr_old, middle;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (plan->old[middle].start <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Of a name with its folder, the folder with its slash; of a ZERO extent, none. */
static int folder_length(const struct extent *e)
{
	const char *slash = e->type != EXTENT_ZERO ? strrchr(e->name, '/') : NULL;

	return slash ? (int)(slash + 1 - e->name) : 0;
}

static char *new_name(const struct resplit_plan *plan, size_t i, const char *stem,
		      unsigned int series)
{
	const struct extent *e = &plan->old[find_old(plan, plan->targets[i].start)];
	const char *beside = e->name ? e->name : "";
	char *folder_and_stem = NULL, *name = NULL;
	int length = folder_length(e), ret;

	if (series == 1)
		ret = asprintf(&folder_and_stem, "%.*s%s", length, beside, stem);
	else
		ret = asprintf(&folder_and_stem, "%.*s%s-%u", length, beside, stem, series);
	if (ret < 0)
		return NULL;
	if (plan->nr_targets > 1)
		name = descriptor_extent_name(folder_and_stem, i + 1);
	else if (asprintf(&name, "%s-flat.vmdk", folder_and_stem) < 0)
		name = NULL;
	free(folder_and_stem);
	return name;
}

unsigned int resplit_plan_series(const struct resplit_plan *plan, const char *stem,
				 unsigned int end)
{
	const struct extent *first = &plan->old[0];
	unsigned int series, found = 0;
	char *name;

	if (first->type == EXTENT_ZERO || first->offset ||
	    first->sectors > plan->targets[0].sectors)
		return 0;
	for (series = 1; series < end && !found; series++) {
		name = new_name(plan, 0, stem, series);
		if (name && strcmp(name, first->name) == 0)
			found = series;
		free(name);
	}
	return found;
}

/* The old extent that is already at the begin of a new one, in its file. */
static const struct extent *find_begun(const struct resplit_plan *plan, size_t i)
{
	const struct extent *e = &plan->old[find_old(plan, plan->targets[i].start)];

	if (e->start == plan->targets[i].start && e->type != EXTENT_ZERO && !e->offset &&
	    e->sectors <= plan->targets[i].sectors && strcmp(e->name, plan->targets[i].name) == 0)
		return e;
	return NULL;
}

int resplit_plan_name(struct resplit_plan *plan, const char *stem, unsigned int series,
		      struct svmdk_error *err)
{
	const struct extent *begun;
	size_t i;

	free_names(plan);
	for (i = 0; i < plan->nr_targets; i++) {
		plan->targets[i].name = new_name(plan, i, stem, series);
		if (!plan->targets[i].name)
			return error_errno(err, ENOMEM, "cannot plan the new extents");
		begun = find_begun(plan, i);
		plan->targets[i].kept = begun && begun->sectors == plan->targets[i].sectors;
	}
	return 0;
}

struct resplit_piece resplit_piece_at(const struct resplit_plan *plan, uint64_t at)
{
	struct resplit_piece piece = {
		.old = find_old(plan, at),
		.target = at / plan->extent_sectors,
		.at = at,
	};
	const struct extent *from = &plan->old[piece.old];
	const struct target_extent *to = &plan->targets[piece.target];
	uint64_t old_end = from->start + from->sectors, new_end = to->start + to->sectors;

	piece.old_at = from->offset + (at - from->start);
	piece.target_at = at - to->start;
	piece.sectors = (old_end < new_end ? old_end : new_end) - at;
	return piece;
}

uint64_t resplit_begun(const struct resplit_plan *plan)
{
	const struct extent *begun;
	size_t i;

	for (i = 0; i < plan->nr_targets && plan->targets[i].kept; i++)
		;
	if (i == plan->nr_targets)
		return plan->sectors;
	begun = find_begun(plan, i);
	return plan->targets[i].start + (begun ? begun->sectors : 0);
}

size_t resplit_mix(const struct resplit_plan *plan, uint64_t moved, struct extent *extents)
{
	size_t i, nr = 0;

	for (i = 0; i < plan->nr_targets && plan->targets[i].start < moved; i++) {
		extents[nr++] = (struct extent){
			.access = EXTENT_RW,
			.type = EXTENT_FLAT,
			.sectors = plan->targets[i].sectors < moved - plan->targets[i].start ?
					   plan->targets[i].sectors :
					   moved - plan->targets[i].start,
			.start = plan->targets[i].start,
			.name = plan->targets[i].name,
		};
	}
	if (moved >= plan->sectors)
		return nr;
	for (i = find_old(plan, moved); i < plan->nr_old; i++) {
		extents[nr] = plan->old[i];
		extents[nr].line = 0;
		/* What is left of a VMFS extent may have an offset, which VMFS has not. */
		if (extents[nr].type == EXTENT_VMFS)
			extents[nr].type = EXTENT_FLAT;
		if (extents[nr].start < moved) {
			extents[nr].sectors -= moved - extents[nr].start;
			if (extents[nr].type != EXTENT_ZERO)
				extents[nr].offset += moved - extents[nr].start;
			extents[nr].start = moved;
		}
		nr++;
	}
	return nr;
}

const char *resplit_create_type(const struct resplit_plan *plan)
{
	return plan->nr_targets > 1 ? "twoGbMaxExtentFlat" : "monolithicFlat";
}
