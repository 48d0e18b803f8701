/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_PROGRESS_H
#define SVMDK_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/**
 * struct progress - a line on a terminal that says how far something is
 * @what: what is done, e.g. "Writing"
 * @total: bytes there are to do
 * @begun: when it began
 * @shown: when it was last drawn
 * @terminal: stderr is one that can draw a line anew; else nothing is ever drawn
 * @drawn: there is something to wipe away
 */
struct progress {
	const char *what;
	uint64_t total;
	struct timespec begun;
	struct timespec shown;
	bool terminal;
	bool drawn;
};

/**
 * progress_begin() - begin
 * @p: filled; nothing is drawn before a second is over
 * @what: what is done; must stay
 * @total: bytes there are to do
 */
void progress_begin(struct progress *p, const char *what, uint64_t total);

/**
 * progress_show() - say how far it is
 * @p: begun
 * @done: bytes done since the begin
 *
 * Cheap enough to be called after every write.
 */
void progress_show(struct progress *p, uint64_t done);

/**
 * progress_end() - wipe the line away
 * @p: begun; call it before anything else is printed
 */
void progress_end(struct progress *p);

#endif /* SVMDK_PROGRESS_H */
