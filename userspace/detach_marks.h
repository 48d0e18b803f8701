/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_DETACH_MARKS_H
#define SVMDK_DETACH_MARKS_H

#include <stdbool.h>
#include <stdint.h>
#include "container.h"
#include "control.h"
#include "marks.h"
#include "message.h"

/*
 * What marks.h is about, at the end of a session: the driver's dirty bits go
 * into the sidecar.
 */

/**
 * struct detach_marks - the marks of a container that is detached
 * @usable: there are any
 * @c: the container
 * @m: its marks, locked
 * @dirty: room for the driver's last word on what is dirty, or NULL
 * @dirty_size: of it, in bytes
 */
struct detach_marks {
	bool usable;
	struct container c;
	struct marks m;
	uint8_t *dirty;
	uint32_t dirty_size;
};

/**
 * detach_marks_begin() - get ready for the marks before a detach
 * @d: filled, to be freed
 * @device: what is detached
 * @err: filled on failure
 *
 * Returns 0, also when there are no marks; or -1 when it must not be detached
 * now: another svmdk command is at work on the container.
 */
int detach_marks_begin(struct detach_marks *d, const struct device *device,
		       struct svmdk_error *err);

/**
 * detach_marks_end() - mark what was dirty, and end the session
 * @d: @d->dirty is filled; the disk is gone, and the descriptor has its new CID
 *	if it gets any
 * @err: filled on failure: then the session has not ended, and all counts as
 *	changed
 *
 * Returns 0 or -1.
 */
int detach_marks_end(struct detach_marks *d, struct svmdk_error *err);

/**
 * detach_marks_free() - drop the lock and free
 * @d: all zero afterwards
 *
 * Without detach_marks_end() the session stays one that did not end.
 */
void detach_marks_free(struct detach_marks *d);

#endif /* SVMDK_DETACH_MARKS_H */
