// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <stdbool.h>

#include "fuzz.h"

/* Most are like one before: printing them again takes longer than parsing. */
static bool seen_before(const struct svmdk_error *err)
{
	static uint64_t seen[4096];
	uint64_t hash = 14695981039346656037U ^ err->line;
	const char *c;
	uint64_t *slot;

	for (c = err->text; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211U;
	slot = &seen[hash % (sizeof(seen) / sizeof(seen[0]))];
	if (*slot == hash)
		return true;
	*slot = hash;
	return false;
}

void check_error(const struct svmdk_error *err)
{
	static char *line;
	static size_t length;
	static FILE *memory;
	FILE *terminal = stderr;
	size_t i;

	if (!memory)
		memory = open_memstream(&line, &length);
	HOLDS(memory && err->code > 0 && *err->text);
	if (seen_before(err))
		return;
	rewind(memory);
	stderr = memory;
	error_print(err);
	fflush(memory);
	stderr = terminal;
	HOLDS(length > strlen("svmdk: \n") && strncmp(line, "svmdk: ", 7) == 0);
	HOLDS(line[length - 1] == '\n');
	/* No locale is set, so that nothing but ASCII is safe. */
	for (i = 0; i < length - 1; i++)
		HOLDS(line[i] >= 0x20 && line[i] < 0x7f);
}

void check_same_extents(const struct descriptor *a, const struct descriptor *b)
{
	const struct extent *x, *y;
	size_t i;

	HOLDS(a->nr_extents == b->nr_extents && a->sectors == b->sectors);
	for (i = 0; i < a->nr_extents; i++) {
		x = &a->extents[i];
		y = &b->extents[i];
		HOLDS(x->access == y->access && x->type == y->type);
		HOLDS(x->sectors == y->sectors && x->start == y->start);
		/* Of zeroes it says nothing, and is not written. */
		HOLDS(x->offset == y->offset || x->type == EXTENT_ZERO);
		HOLDS(!x->name == !y->name && (!x->name || strcmp(x->name, y->name) == 0));
	}
}
