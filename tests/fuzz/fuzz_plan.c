// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/*
 * Any descriptor to be split anew: two bytes are the size of the new extents, the
 * rest is the descriptor. Whichever way the work is interrupted, what the
 * descriptor says meanwhile is the same disk.
 */
#include "fuzz.h"
#include "resplit_plan.h"
#include "size.h"

#define MAX_PIECES 4096 /* a plan with more of them says nothing new */

/* The pieces are all of the disk, in order, and each lies within both its extents. */
static size_t check_pieces(const struct resplit_plan *plan)
{
	struct resplit_piece piece;
	uint64_t at = 0;
	size_t nr;

	for (nr = 0; at < plan->sectors && nr < MAX_PIECES; nr++, at += piece.sectors) {
		piece = resplit_piece_at(plan, at);
		HOLDS(piece.at == at && piece.sectors > 0 && piece.sectors <= plan->sectors - at);
		HOLDS(piece.old < plan->nr_old && piece.target < plan->nr_targets);
		HOLDS(piece.old_at >= plan->old[piece.old].offset);
		HOLDS(piece.old_at - plan->old[piece.old].offset + piece.sectors <=
		      plan->old[piece.old].sectors);
		HOLDS(piece.target_at + piece.sectors <= plan->targets[piece.target].sectors);
	}
	return nr;
}

static void check_mix(const struct resplit_plan *plan, const struct descriptor *d, uint64_t moved)
{
	struct extent *extents = calloc(plan->nr_old + plan->nr_targets, sizeof(*extents));
	struct svmdk_error err;
	struct descriptor new;
	uint64_t sectors = 0;
	size_t nr, i, length;
	char *text;

	HOLDS(extents);
	nr = resplit_mix(plan, moved, extents);
	HOLDS(nr > 0 && nr <= plan->nr_old + plan->nr_targets);
	for (i = 0; i < nr; i++)
		sectors += extents[i].sectors;
	HOLDS(sectors == plan->sectors);
	if (descriptor_text_with_extents(d, extents, nr, resplit_create_type(plan), &text, &length,
					 &err) == 0) {
		HOLDS(descriptor_parse(&new, text, length, &err) == 0);
		HOLDS(new.sectors == d->sectors &&new.nr_extents == nr);
		descriptor_free(&new);
		free(text);
	} else {
		check_error(&err);
	}
	free(extents);
}

static void check_plan(struct resplit_plan *plan, const struct descriptor *d)
{
	struct svmdk_error err;
	uint64_t sectors = 0;
	size_t i;

	for (i = 0; i < plan->nr_targets; i++) {
		HOLDS(plan->targets[i].start == sectors && plan->targets[i].sectors > 0);
		HOLDS(plan->targets[i].sectors <= plan->extent_sectors);
		sectors += plan->targets[i].sectors;
	}
	HOLDS(sectors == d->sectors);
	if (check_pieces(plan) == MAX_PIECES)
		return;
	resplit_in_shape(plan);
	HOLDS(resplit_plan_series(plan, "disk", 4) < 4);
	if (resplit_plan_name(plan, "disk", 1, &err)) {
		check_error(&err);
		return;
	}
	HOLDS(resplit_begun(plan) <= plan->sectors);
	check_mix(plan, d, 0);
	check_mix(plan, d, plan->targets[0].sectors);
	check_mix(plan, d, plan->sectors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct svmdk_error err = { 0 };
	struct resplit_plan plan;
	uint64_t extent_sectors;
	struct descriptor d;

	if (size < 2)
		return 0;
	/* A shift and what is shifted, so that large ones are tried too. */
	extent_sectors = (uint64_t)(data[1] + 1) << data[0] % 46;
	if (descriptor_parse(&d, data + 2, size - 2, &err))
		return 0;
	if (d.sectors / extent_sectors > MAX_PIECES) {
		descriptor_free(&d);
		return 0;
	}
	if (resplit_plan_begin(&plan, &d, extent_sectors, &err)) {
		check_error(&err);
	} else {
		check_plan(&plan, &d);
		resplit_plan_free(&plan);
	}
	descriptor_free(&d);
	return 0;
}
