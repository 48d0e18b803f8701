/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_FREEZE_H
#define SVMDK_FREEZE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>
#include "message.h"
#include "mounted.h"

/*
 * Freezes file systems, and has them thawed whatever happens: a process of its
 * own, the guard, does both. It thaws when it is told to, when whoever began
 * it is gone, and when that one gives no sign of life for too long, since what
 * it waits for may well be one of the frozen file systems.
 */

#define FREEZE_STALL_SECONDS 60

/**
 * struct freeze - file systems that are frozen together
 * @mounted: which
 * @guard: process that thaws them; 0 when nothing is frozen
 * @socket: to it
 * @begun: when the first of them was about to be frozen
 */
struct freeze {
	const struct mounted *mounted;
	pid_t guard;
	int socket;
	struct timespec begun;
};

/**
 * freeze_begin() - freeze file systems
 * @freeze: filled
 * @mounted: which; must stay until freeze_end(). None is fine.
 * @err: filled on failure; @err->code is EINTR after a signal that
 *	interrupt_catch() caught
 *
 * What is to be written is written before, so that the time is short in which
 * the users of the file systems have to wait. When it returns 0 all of them are
 * frozen, and all that was written to them is on the device; while they are,
 * nothing may be written to them or to anything that may end up there, like a
 * terminal's log. Returns 0, or -1: none is frozen.
 */
int freeze_begin(struct freeze *freeze, const struct mounted *mounted, struct svmdk_error *err);

/**
 * freeze_alive() - say that there is progress
 * @freeze: begun; nothing happens when nothing is frozen
 *
 * After FREEZE_STALL_SECONDS without this they are thawed. Never waits.
 */
void freeze_alive(const struct freeze *freeze);

/**
 * freeze_end() - thaw
 * @freeze: begun; all zero is fine, and so is a second call
 * @seconds: set to how long they were frozen; may be NULL
 * @err: filled on failure
 *
 * Returns 0; or -1 when they were not frozen all the time, or when one is now
 * frozen still.
 */
int freeze_end(struct freeze *freeze, double *seconds, struct svmdk_error *err);

#endif /* SVMDK_FREEZE_H */
