/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_NEW_EXTENTS_H
#define SVMDK_NEW_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "message.h"

/*
 * Makes the files of extents that are all zeroes, in one folder, and takes them
 * away again when something goes wrong.
 */

/**
 * struct new_extent - a file that is to be made, or made longer
 * @name: of the file; no folder
 * @begin: bytes that it has already; 0 for a file that is to be made
 * @bytes: what it will have
 * @fd: with @begin the file, open for writing, and locked so that it is nobody else's until
 *	the caller closes it
 */
struct new_extent {
	char *name;
	uint64_t begin;
	uint64_t bytes;
	int fd;
};

/**
 * struct new_extents - what is made together
 * @dirfd: the folder; O_PATH will do
 * @path: of a file in it, which messages take the folder's name from
 * @list: array
 * @nr: number of these
 * @made: how many of them have been changed, which is what has to be undone
 * @write: fill them with zeroes, not only allocate them
 * @like: mode and owner of the new files; NULL for 0644 and the caller's
 */
struct new_extents {
	int dirfd;
	const char *path;
	struct new_extent *list;
	size_t nr;
	size_t made;
	bool write;
	const struct stat *like;
};

/**
 * new_extents_check_room() - see whether the file system has the room
 * @n: what is to be made
 * @err: filled on failure, with @err->file; @err->code is ENOSPC
 *
 * One that does not say how much it has is fine. Returns 0 or -1.
 */
int new_extents_check_room(const struct new_extents *n, struct svmdk_error *err);

/**
 * new_extents_make() - make them, and put them on stable storage
 * @n: what is to be made; @n->made counts
 * @err: filled on failure, with @err->file; @err->code is EINTR after a signal
 *	that interrupt_catch() caught, EEXIST when a name is taken, ESTALE when a file that
 *	is to become longer has done so already
 *
 * All are allocated before the first is written: a disk that is too full says
 * so at once. The folder is synced too. Shows progress. Nothing that exists is
 * overwritten. Returns 0 or -1; then call new_extents_undo().
 */
int new_extents_make(struct new_extents *n, struct svmdk_error *err);

/**
 * new_extents_undo() - remove what was made, cut off what was added
 * @n: of any state
 *
 * What cannot be undone is said in a warning.
 */
void new_extents_undo(const struct new_extents *n);

/**
 * new_extents_free() - free the list
 * @n: its names are the list's own
 */
void new_extents_free(struct new_extents *n);

#endif /* SVMDK_NEW_EXTENTS_H */
