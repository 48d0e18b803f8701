// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "size.h"

static double seconds_since(const struct timespec *then, const struct timespec *now)
{
	return (double)(now->tv_sec - then->tv_sec) + (double)(now->tv_nsec - then->tv_nsec) / 1e9;
}

/* A line that is drawn again and again: not every terminal can. */
static bool can_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

void progress_begin(struct progress *p, const char *what, uint64_t total)
{
	*p = (struct progress){ .what = what, .total = total };
	p->terminal = can_draw();
	clock_gettime(CLOCK_MONOTONIC, &p->begun);
	p->shown = p->begun;
}

void progress_show(struct progress *p, uint64_t done)
{
	char done_text[SIZE_TEXT_LEN], total_text[SIZE_TEXT_LEN], rate_text[SIZE_TEXT_LEN];
	struct timespec now;
	double elapsed, rate;
	unsigned int left;

	if (!p->terminal || !p->total)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (seconds_since(&p->shown, &now) < (p->drawn ? 0.2 : 1.0))
		return;
	p->shown = now;
	elapsed = seconds_since(&p->begun, &now);
	rate = (double)done / elapsed;
	left = rate > 0 && done < p->total ? (unsigned int)((double)(p->total - done) / rate) : 0;
	fprintf(stderr, "\r%s: %3u %%  %s of %s  %s/s  %u:%02u left\033[K", p->what,
		(unsigned int)(100.0 * (double)done / (double)p->total),
		size_format(done_text, done), size_format(total_text, p->total),
		size_format(rate_text, (uint64_t)rate), left / 60, left % 60);
	fflush(stderr);
	p->drawn = true;
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
