/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_FEED_H
#define SVMDK_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include "../kmod/uapi/svmdk.h"
#include "container.h"
#include "extent_map.h"
#include "message.h"
#include "overlap.h"
#include "progress.h"

/*
 * Hands the extents of a container to the driver: for a device that begins,
 * or for one that grows.
 */

/**
 * struct feed - extents on their way to the driver
 * @container: whose they are
 * @control: the control node; a device or a growth was begun on it
 * @io: the way of I/O that is asked for
 * @rdonly: nothing shall be written
 * @overlap: the ranges seen so far. This and what follows begins all zero.
 * @map: memory for the runs of one extent after the other
 * @facts: of the file system that was met last
 * @distrusted: a file system's map did not hold, and that was said
 * @progress: shown meanwhile
 */
struct feed {
	struct container *container;
	int control;
	enum svmdk_io io;
	bool rdonly;
	struct overlap overlap;
	struct extent_map map;
	struct mount_facts facts;
	bool distrusted;
	struct progress progress;
};

/**
 * feed_extents() - open, add, lock and map the extents of a container
 * @f: ready
 * @first: the first of them to be added; those before it the driver has
 * @what: what is done, for the progress line, e.g. "Attaching"
 * @err: filled on failure, with the descriptor's file and the extent's line;
 *	@err->code is EINTR after a signal that interrupt_catch() caught
 *
 * Few files are open at a time. May print a warning. Returns 0 or -1; then
 * @f->control is to be closed, which undoes all.
 */
int feed_extents(struct feed *f, size_t first, const char *what, struct svmdk_error *err);

/**
 * feed_refused() - say why the driver refuses to commit
 * @f: fed
 * @answer: of control_commit() or control_commit_growth()
 * @code: what that returned
 * @err: filled, with the descriptor's file and the extent's line where it is one
 *
 * Returns -1 always.
 */
int feed_refused(const struct feed *f, const struct svmdk_ioc_commit *answer, int code,
		 struct svmdk_error *err);

/**
 * feed_free() - free what a feed has
 * @f: of any state
 */
void feed_free(struct feed *f);

#endif /* SVMDK_FEED_H */
