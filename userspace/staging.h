/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_STAGING_H
#define SVMDK_STAGING_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "message.h"

/*
 * A folder with a copy of a container, which is brought up to date all at once:
 * new files gather in DIR/.FILE.svmdk-copy/files, and go to their places when
 * the last one is there and on disk. Until then the copy in DIR is what it was;
 * while they go there is no descriptor in DIR, so that nobody attaches half of
 * it, and a mark says that they must all go.
 */

/**
 * struct staging - the folder
 * @dir: path of it, as the user gave it
 * @last: name of the descriptor, which goes to its place after all others
 * @name: of the folder in it that new files gather in
 * @dirfd: the folder
 * @fd: the folder in it, locked
 * @files: the folder "files" in that
 * @lock: the descriptor of the copy, locked; -1 when there is none
 * @any: something has been kept
 * @moving: the copy is on its way from old to new, and the next call goes on with that
 */
struct staging {
	const char *dir;
	const char *last;
	char name[NAME_MAX + 1];
	int dirfd;
	int fd;
	int files;
	int lock;
	bool any;
	bool moving;
};

/**
 * staging_open() - get ready to bring a copy up to date
 * @s: filled, to be closed
 * @dir: the folder; must stay, and exist
 * @last: name of the container's descriptor, without a folder; must stay
 * @err: filled on failure, with @err->file; @err->code is EWOULDBLOCK when the
 *	copy is attached, or when somebody else is at work on it
 *
 * Finishes what an earlier call had to leave between old and new. Returns 0 or
 * -1.
 */
int staging_open(struct staging *s, const char *dir, const char *last, struct svmdk_error *err);

/**
 * staging_close() - be done
 * @s: open; one that is all zero is fine
 *
 * What was kept and not committed stays for the next call.
 */
void staging_close(struct staging *s);

/**
 * staging_new() - open a new file to write to
 * @s: open
 * @number: what it is known by until it is kept
 * @err: filled on failure
 *
 * Returns a file descriptor, or -1.
 */
int staging_new(struct staging *s, size_t number, struct svmdk_error *err);

/**
 * staging_drop() - take a new file away again
 * @s: open
 * @number: as above
 */
void staging_drop(struct staging *s, size_t number);

/**
 * staging_flush() - begin to write a new file to disk
 * @s: open
 * @number: as above
 *
 * Does not wait. To be called for several files before the first is kept.
 */
void staging_flush(struct staging *s, size_t number);

/**
 * staging_keep() - a new file is complete: put it on disk, and keep it
 * @s: open
 * @number: as above
 * @name: the name that it will have: no "..", no leading slash
 * @like: where its mode, owner and modification time are taken from
 * @err: filled on failure
 *
 * Its content survives a crash then. Returns 0 or -1.
 */
int staging_keep(struct staging *s, size_t number, const char *name, const struct stat *like,
		 struct svmdk_error *err);

/**
 * staging_stat_kept() - status of a file that was kept, in this call or an earlier one
 * @s: open
 * @name: as above
 * @st: filled
 *
 * Returns 0; -1 with errno: ENOENT when there is none, EINVAL when it is not a regular
 * file.
 */
int staging_stat_kept(const struct staging *s, const char *name, struct stat *st);

/**
 * staging_stat_copy() - status of a file of the copy as it is
 * @s: open
 * @name: as above
 * @st: filled
 *
 * Returns as staging_stat_kept().
 */
int staging_stat_copy(const struct staging *s, const char *name, struct stat *st);

/**
 * staging_purge() - throw away what an earlier call kept and nobody needs
 * @s: open
 * @wanted: tells whether a file of that name and status is needed
 * @arg: for @wanted
 * @err: filled on failure
 *
 * Returns 0 or -1.
 */
int staging_purge(struct staging *s,
		  bool (*wanted)(const char *name, const struct stat *st, void *arg), void *arg,
		  struct svmdk_error *err);

/**
 * staging_commit() - move all that was kept to its place
 * @s: open; the descriptor is among what was kept
 * @err: filled on failure, with @err->file
 *
 * Returns 0; or -1: the copy is what it was, or it is between old and new and
 * has no descriptor, until staging_open() is called for it again.
 */
int staging_commit(struct staging *s, struct svmdk_error *err);

#endif /* SVMDK_STAGING_H */
