/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_MANIFEST_FILE_H
#define SVMDK_MANIFEST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "descriptor.h"
#include "hash.h"
#include "message.h"

/*
 * FILE.sha256 beside the descriptor FILE: a line a file of the container, as
 * sha256sum(1) writes them and `sha256sum -c` reads them in that folder. What a
 * name in it leads to is never opened for that: it is only ever compared with
 * the names that the descriptor has.
 */

#define MANIFEST_SUFFIX ".sha256"

/**
 * struct manifest_line - a file and its hash
 * @name: as the descriptor has it
 * @hash: of all of it
 * @line: of the manifest, from 1; 0 when it was not read
 */
struct manifest_line {
	char *name;
	unsigned char hash[HASH_SIZE];
	unsigned int line;
};

/**
 * struct manifest - the files of a container and their hashes
 * @list: array; in the order of names once it was read
 * @nr: number of these
 * @room: of the array
 */
struct manifest {
	struct manifest_line *list;
	size_t nr;
	size_t room;
};

/**
 * manifest_read() - read a manifest
 * @m: filled, to be freed; all zero on failure
 * @dirfd: the folder it is in
 * @name: of it; no folder
 * @err: filled on failure, with @err->file and, for a line that is none of
 *	sha256sum's, @err->line; @err->code is ENOENT when there is none
 *
 * Returns 0 or -1.
 */
int manifest_read(struct manifest *m, int dirfd, const char *name, struct svmdk_error *err);

/**
 * manifest_find() - find a file's hash
 * @m: a manifest that was read
 * @name: of the file, as the descriptor has it
 *
 * Returns its line, or NULL.
 */
const struct manifest_line *manifest_find(const struct manifest *m, const char *name);

/**
 * manifest_find_self() - find the descriptor's hash
 * @m: a manifest that was read
 * @name: of the manifest, for messages
 * @self: the name of the descriptor's file
 * @err: filled when there is none, with @err->file
 *
 * Returns its line, or NULL: it was cut short, or is of another container.
 */
const struct manifest_line *manifest_find_self(const struct manifest *m, const char *name,
					       const char *self, struct svmdk_error *err);

/**
 * manifest_lacks_extent() - find out whether a container has more than a manifest
 * @m: a manifest that was read
 * @dirfd: the folder that names of extents begin in
 * @d: the descriptor
 *
 * It has after a growth. An extent that is not there does not count: that is a
 * damaged descriptor's. Returns whether one that is there has no line.
 */
bool manifest_lacks_extent(const struct manifest *m, int dirfd, const struct descriptor *d);

/**
 * manifest_check_shape() - find out whether a manifest is of these extents at all
 * @m: a manifest that was read
 * @dirfd: the folder that names of extents begin in
 * @name: of the manifest, for messages
 * @d: the descriptor
 * @self: the name of the descriptor's file
 * @err: filled on failure, with @err->file and @err->line
 *
 * A resplit that is killed may leave the manifest of the old extents, and one
 * who edits a descriptor does: then it names a file that the container has not,
 * and has nothing of one that it has. Each of the two alone is no matter, and
 * neither is an extent that is not there: that is a damaged descriptor's. The last
 * line is the descriptor's own, so that one that was cut short has none.
 * Returns 0 or -1.
 */
int manifest_check_shape(const struct manifest *m, int dirfd, const char *name,
			 const struct descriptor *d, const char *self, struct svmdk_error *err);

/**
 * manifest_add() - add a line
 * @m: begins all zero
 * @name: of the file; copied
 * @hash: of all of it
 *
 * Returns 0, or -1 when there is no memory.
 */
int manifest_add(struct manifest *m, const char *name, const unsigned char hash[HASH_SIZE]);

/**
 * manifest_write() - write a manifest in place of the one that is there, or anew
 * @m: the lines, in the order in which they shall stand
 * @dirfd: the folder it is in
 * @name: of it; no folder
 * @like: status of a file whose owner and mode a new one gets
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1, as replace_whole().
 */
int manifest_write(const struct manifest *m, int dirfd, const char *name, const struct stat *like,
		   struct svmdk_error *err);

/**
 * manifest_free() - free all lines
 * @m: all zero afterwards
 */
void manifest_free(struct manifest *m);

#endif /* SVMDK_MANIFEST_FILE_H */
