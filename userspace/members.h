/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_MEMBERS_H
#define SVMDK_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "container.h"
#include "message.h"
#include "sidecar.h"

/*
 * The files that a container consists of: each extent file once, however many
 * extents lie in it, and the descriptor.
 */

#define NO_MEMBER SIZE_MAX

/**
 * struct member - a file of a container
 * @name: as the descriptor has it; the descriptor's own. Belongs to the container.
 * @extent: the extent that reaches furthest into it; NO_MEMBER of the descriptor
 * @need: bytes that it must have at least
 * @writable: a write to the disk may go to it
 * @code: why @facts are not known, an errno value; or 0
 * @block: it is a block device, whose times say nothing
 * @facts: as members_look() found it
 */
struct member {
	const char *name;
	size_t extent;
	uint64_t need;
	bool writable;
	int code;
	bool block;
	struct facts facts;
};

/**
 * struct members - all of them
 * @c: the container
 * @list: array: in the order of the disk, the descriptor last
 * @nr: number of these
 * @of_extent: for each extent its member; NO_MEMBER where it has no file
 */
struct members {
	const struct container *c;
	struct member *list;
	size_t nr;
	size_t *of_extent;
};

/**
 * members_find() - find the files of a container
 * @m: filled, to be freed; all zero on failure
 * @c: the container; must stay
 * @err: filled on failure
 *
 * Opens nothing. Returns 0 or -1 (no memory).
 */
int members_find(struct members *m, const struct container *c, struct svmdk_error *err);

/**
 * members_look() - find out what there is to know of a file without reading it
 * @m: the files
 * @i: which one; its @code, @block and @facts are as new
 *
 * A file in the folder itself is not even opened; what no extent may be is an
 * error. Returns 0 or its @code.
 */
int members_look(struct members *m, size_t i);

/**
 * members_open() - open a file for reading
 * @m: the files
 * @i: which one
 * @file: filled
 * @err: filled on failure, as container_open_extent() does
 *
 * Returns 0 or -1. May be called by several threads at once.
 */
int members_open(const struct members *m, size_t i, struct extent_file *file,
		 struct svmdk_error *err);

/**
 * member_print() - print a name for a program that takes a list of files
 * @to: where to
 * @name: of a file, as the descriptor has it, or of one beside the descriptor
 * @end: what follows it
 *
 * Before a NUL, for rsync, which takes what begins with # or ; for a comment then, too
 * (its flist.c): those get "./" before them.
 */
void member_print(FILE *to, const char *name, char end);

/**
 * members_complain_outside() - say that a file cannot be sent by such a list
 * @m: the files
 * @i: which one
 *
 * For it is not in the folder, or of a block device only the node would go. Returns
 * whether it is so; nothing is said else.
 */
bool members_complain_outside(const struct members *m, size_t i);

/**
 * members_free() - free what members_find() made
 * @m: all zero afterwards. One that is all zero is fine.
 */
void members_free(struct members *m);

#endif /* SVMDK_MEMBERS_H */
