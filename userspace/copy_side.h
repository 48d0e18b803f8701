/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_COPY_SIDE_H
#define SVMDK_COPY_SIDE_H

#include <stdbool.h>
#include <stdint.h>
#include "../kmod/uapi/svmdk.h"
#include "copy_set.h"
#include "message.h"
#include "side_file.h"
#include "sidecar.h"

/*
 * What goes with the extents to a copy: the descriptor, the manifest and the
 * sidecar. The first two as they are; the sidecar says of what was written since
 * the manifest that it was, so that the copy can be verified by itself.
 */

/**
 * struct copy_side - these files, in memory
 * @descriptor: the descriptor
 * @manifest: the manifest; all zero when there is none
 * @sidecar: the sidecar, if @has_sidecar
 * @has_sidecar: there is one
 */
struct copy_side {
	struct side_file descriptor;
	struct side_file manifest;
	struct sidecar sidecar;
	bool has_sidecar;
};

/**
 * copy_side_read() - read them
 * @side: filled, to be freed; may hold what an earlier call read
 * @container: whose they are
 * @err: filled on failure, with @err->file; @err->code is ESTALE when the
 *	descriptor is not the one that was opened
 *
 * To be called before the extents are surveyed for the last time. Returns 0 or
 * -1.
 */
int copy_side_read(struct copy_side *side, const struct container *container,
		   struct svmdk_error *err);

/**
 * copy_side_mark() - bring the sidecar up to date for the copy
 * @side: read
 * @set: the extents' files; nothing is left to be copied
 * @infos: what the driver says of the extents; NULL when it is not attached
 */
void copy_side_mark(struct copy_side *side, const struct copy_set *set,
		    const struct svmdk_extent_info *infos);

/**
 * copy_side_stage() - put into the staging what the copy has not
 * @side: read, and marked
 * @set: all of it is kept
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int copy_side_stage(const struct copy_side *side, const struct copy_set *set,
		    struct svmdk_error *err);

/**
 * copy_side_free() - free what copy_side_read() made
 * @side: all zero afterwards. One that is all zero is fine.
 */
void copy_side_free(struct copy_side *side);

#endif /* SVMDK_COPY_SIDE_H */
