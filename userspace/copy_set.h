/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_COPY_SET_H
#define SVMDK_COPY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "container.h"
#include "file_copy.h"
#include "message.h"
#include "staging.h"

/*
 * The extents' files of a container, and which of them a copy in another folder
 * has as they are. By size and modification time, as rsync tells: svmdk sees to
 * it that an extent that was written has a new one at the next flush.
 */

/**
 * struct copy_file - a file that one or more extents are in
 * @name: as a path below the container's folder; to be freed
 * @extent: number of the first extent that is in it
 * @found: status of the file that the copy, or what waits to become it, has
 *	the content of; valid if @current
 * @current: there is such a one
 * @pending: it was copied, and is not yet kept
 * @copied: it was copied in this call
 */
struct copy_file {
	char *name;
	size_t extent;
	struct stat found;
	bool current;
	bool pending;
	bool copied;
};

/**
 * struct copy_set - all files of a container
 * @container: whose they are
 * @staging: the copy
 * @copier: copies content
 * @files: array, in the order of names
 * @nr: number of these
 * @nr_pending: of these, copied and not yet kept
 * @pending_bytes: size of these together
 */
struct copy_set {
	const struct container *container;
	struct staging *staging;
	struct file_copier *copier;
	struct copy_file *files;
	size_t nr;
	size_t nr_pending;
	uint64_t pending_bytes;
};

/**
 * struct copy_count - how much it is
 * @files: number of files
 * @bytes: their size together
 * @space: of that, what takes space on a disk
 */
struct copy_count {
	size_t files;
	uint64_t bytes;
	uint64_t space;
};

/**
 * copy_set_init() - list the files of a container
 * @set: filled, to be freed
 * @container: whose they are; must stay
 * @staging: the copy, or NULL for the list alone; must stay
 * @copier: copies content; must stay
 * @err: filled on failure, with the descriptor's file and the extent's line
 *
 * Refuses a container with an extent that is a block device, or not in the
 * descriptor's folder or below: a copy of it in one folder would name the
 * original. Returns 0 or -1.
 */
int copy_set_init(struct copy_set *set, const struct container *container, struct staging *staging,
		  struct file_copier *copier, struct svmdk_error *err);

/**
 * copy_set_purge() - throw away what an interrupted call left in the staging
 *	and is not of use
 * @set: nothing is left to be copied
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int copy_set_purge(const struct copy_set *set, struct svmdk_error *err);

/**
 * copy_set_survey() - find out what is to be copied
 * @set: of a container; each file is compared with the copy unless it was
 *	copied before
 * @todo: set to how much there is
 * @err: filled on failure, with @err->file
 *
 * Opens no file. Returns 0 or -1.
 */
int copy_set_survey(struct copy_set *set, struct copy_count *todo, struct svmdk_error *err);

/**
 * copy_set_copy() - copy what is to be copied
 * @set: surveyed
 * @keep: put what was copied on disk as it goes; and what is written meanwhile is found
 *	by the next survey, for which a time that is not over yet is waited for. Without it
 *	nobody is waited for, and copy_set_keep() is to be called.
 * @err: filled on failure, with @err->file and @err->line; @err->code is EINTR
 *	after a signal that interrupt_catch() caught
 *
 * Returns 0 or -1.
 */
int copy_set_copy(struct copy_set *set, bool keep, struct svmdk_error *err);

/**
 * copy_set_wait() - wait until a write would be seen by the next survey
 * @set: copied while nobody could write; nobody can yet
 *
 * A clock that modification times are taken from has its ticks: a write within
 * the one that an extent was written in before leaves its time as it is. Takes a
 * few milliseconds where the file system's times are exact.
 */
void copy_set_wait(const struct copy_set *set);

/**
 * copy_set_keep() - put on disk what was copied
 * @set: copied
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int copy_set_keep(struct copy_set *set, struct svmdk_error *err);

/**
 * copy_set_copied() - how much was copied in this call, each file once
 * @set: copied
 */
struct copy_count copy_set_copied(const struct copy_set *set);

/**
 * copy_set_found() - status of an extent's file as it was when it was copied
 * @set: nothing is left to be copied
 * @extent: number of the extent
 *
 * Returns NULL for one without a file, or when there is no memory.
 */
const struct stat *copy_set_found(const struct copy_set *set, size_t extent);

/**
 * copy_set_free() - free what copy_set_init() made
 * @set: all zero afterwards. One that is all zero is fine.
 */
void copy_set_free(struct copy_set *set);

#endif /* SVMDK_COPY_SET_H */
