/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_EXTENT_NAMING_H
#define SVMDK_EXTENT_NAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "message.h"

/**
 * struct extent_naming - how the files are named that a container grows by
 * @folder: of them, as the descriptor names it: "" or something that ends in /
 * @stem: what their names begin with
 * @number: of the last one that there is
 */
struct extent_naming {
	char *folder;
	char *stem;
	uint64_t number;
};

/**
 * extent_naming_find() - go on where the last extent is, and with its numbers
 * @n: filled, to be freed, also after a failure
 * @last: name of the last extent's file, as the descriptor has it; NULL when that says
 *	nothing
 * @self: name of the descriptor's file
 * @nr_extents: how many the descriptor has
 * @err: filled on failure, which is no memory
 *
 * Of names that have no number the descriptor's is the stem. Returns 0 or -1.
 */
int extent_naming_find(struct extent_naming *n, const char *last, const char *self,
		       size_t nr_extents, struct svmdk_error *err);

/**
 * extent_naming_number() - which one of these a file is
 * @n: how they are named
 * @base: name of the file, without its folder
 *
 * Returns its number; 0 when it is named in another way.
 */
uint64_t extent_naming_number(const struct extent_naming *n, const char *base);

/**
 * extent_naming_is_of_resplit() - whether svmdk resplit would name a new extent so
 * @stem: what names of the descriptor's new extents begin with
 * @base: name of the file, without its folder
 * @flat: set to whether that would be all of the disk
 */
bool extent_naming_is_of_resplit(const char *stem, const char *base, bool *flat);

/**
 * extent_naming_free() - free what extent_naming_find() made
 * @n: all zero afterwards. One that is all zero is fine.
 */
void extent_naming_free(struct extent_naming *n);

/**
 * extent_stem() - what the names of a descriptor's new extents begin with
 * @self: name of the descriptor's file
 *
 * That without .vmdk, and without what would make them temporary files of svmdk's.
 * Returns it, to be freed, or NULL where there is no memory.
 */
char *extent_stem(const char *self);

#endif /* SVMDK_EXTENT_NAMING_H */
