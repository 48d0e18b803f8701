/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_LATER_EXTENTS_H
#define SVMDK_LATER_EXTENTS_H

#include <stdbool.h>
#include "descriptor.h"
#include "manifest_file.h"
#include "message.h"
#include "safe_open.h"

/**
 * struct older - a descriptor that is about to take the place of a lost one
 * @self: its name
 * @d: what it says
 * @m: the manifest that it is of
 * @to: where the extents may be
 * @from: where it and the copies of the extents are
 */
struct older {
	const char *self;
	const struct descriptor *d;
	const struct manifest *m;
	const struct open_policy *to;
	const struct open_policy *from;
};

/**
 * later_extents_refuse() - refuse a descriptor that is of before a growth or a resplit
 * @o: the descriptor
 * @err: filled on failure, without @err->file; @err->code is ESTALE when it has
 *
 * Its extents would be nobody's any more, and the next growth would take their place in the
 * disk. What tells is what a growth leaves: a file named as the next ones of this disk
 * would be that neither the descriptor nor the manifest has, or a last extent that is longer
 * than the descriptor says and than its copy. So does one that is named as those are which
 * svmdk resplit makes, with something in it, unless another container names it: one whose own
 * extents would be named so, for any other descriptor may be a copy of this one's later one.
 * Nor is it put back where a list of leftovers has a file that was to be made, is there, and
 * is of neither. Returns 0 or -1.
 */
int later_extents_refuse(const struct older *o, struct svmdk_error *err);

/**
 * later_extents_named() - whether a descriptor that is there is of after a growth
 * @o: the one that is to take its place
 * @now: what the one that is there says
 *
 * It has more of some file than the other one, and each such file is that long. What only
 * looks so, for it is damaged, has not.
 */
bool later_extents_named(const struct older *o, const struct descriptor *now);

#endif /* SVMDK_LATER_EXTENTS_H */
