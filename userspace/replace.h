/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_REPLACE_H
#define SVMDK_REPLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "message.h"

/*
 * A small file is replaced whole, or not at all: temporary file in the same
 * folder, fsync, rename, fsync of the folder.
 */

#define REPLACE_PREFIX ".svmdk-" /* how the names of temporary files begin */

/**
 * replace_file_locked() - replace a file's content, and keep hold of the new file
 * @dirfd: the folder it is in
 * @name: of the file; no folder. It must exist, and be a regular file.
 * @bytes: the new content
 * @length: of it, in bytes
 * @fd: set to the new file, open for reading and writing; it has a flock()
 *	from before it got its name. -1 on failure.
 * @err: filled on failure, with @err->file
 *
 * Mode and owner stay. Returns 0, or -1: the file is as it was, or, when only
 * the last fsync of the folder failed, new but perhaps not for a crash.
 */
int replace_file_locked(int dirfd, const char *name, const void *bytes, size_t length, int *fd,
			struct svmdk_error *err);

/**
 * replace_create() - make a file that does not exist, with all its content
 * @dirfd: the folder it will be in
 * @name: of the file; no folder
 * @mode: of the file, before the umask
 * @bytes: its content
 * @length: of it, in bytes
 * @err: filled on failure, with @err->file; @err->code is EEXIST when
 *	something has the name already
 *
 * Returns 0 or -1. When only the last fsync of the folder failed the file is
 * taken away again.
 */
int replace_create(int dirfd, const char *name, mode_t mode, const void *bytes, size_t length,
		   struct svmdk_error *err);

/**
 * typedef replace_print_fn - writes a file's content
 * @to: the new file, which has no name of its own yet
 * @arg: of the caller
 *
 * Returns 0, or -1 with errno; an error of @to is noticed without it.
 */
typedef int (*replace_print_fn)(FILE *to, void *arg);

/**
 * replace_whole() - replace a file's content, or make the file
 * @dirfd: the folder it is in
 * @name: of the file; no folder. When it exists it must be a regular file.
 * @like: status of a file whose owner and mode (without execution) a file that
 *	did not exist gets, as far as that is allowed
 * @print: writes the new content
 * @arg: for @print
 * @err: filled on failure, with @err->file
 *
 * Mode and owner stay. Returns 0, or -1: the file is as it was, or, when only
 * the last fsync of the folder failed, new but perhaps not for a crash.
 */
int replace_whole(int dirfd, const char *name, const struct stat *like, replace_print_fn print,
		  void *arg, struct svmdk_error *err);

/**
 * replace_clear() - remove what a replacement that was killed left
 * @dirfd: the folder it was in
 * @name: of the file that was to be replaced, or made
 *
 * The next replacement of the file does so too. One that is under way is left
 * alone.
 */
void replace_clear(int dirfd, const char *name);

/**
 * replace_open_temp() - make a temporary file of a name that is always the same
 * @dirfd: the folder
 * @temp: its name; no folder
 * @mode: of it, before the umask
 *
 * What somebody who was killed left of that name is removed first. The file has a flock(),
 * by which others see that it is being filled: keep it open until it is renamed or removed.
 * Returns it, open for reading and writing, or -1 with errno: EWOULDBLOCK when somebody is
 * filling one of that name, EEXIST when something has the name that cannot be locked and
 * removed.
 */
int replace_open_temp(int dirfd, const char *temp, mode_t mode);

/**
 * replace_remove_stale() - remove a temporary file that somebody who was killed left
 * @dirfd: the folder
 * @temp: its name; no folder
 *
 * Nobody has that locked any more. Returns 0, or -1 with errno: EWOULDBLOCK when somebody
 * is filling it, ENOENT when there is none.
 */
int replace_remove_stale(int dirfd, const char *temp);

/**
 * replace_has_name() - does a name lead to a file that is open?
 * @dirfd: the folder
 * @name: in it
 * @fd: the file
 */
bool replace_has_name(int dirfd, const char *name, int fd);

/**
 * replace_rename_new() - give a file another name, unless that is taken
 * @dirfd: the folder
 * @temp: its name
 * @name: the new one, in the same folder
 *
 * Returns 0, or -1 with errno, EEXIST when something has the name.
 */
int replace_rename_new(int dirfd, const char *temp, const char *name);

/**
 * replace_sync_folder() - put the names in a folder on stable storage
 * @dirfd: the folder; O_PATH will do
 *
 * Where a file system has no such thing there is nothing to do. Returns 0, or
 * -1 with errno.
 */
int replace_sync_folder(int dirfd);

/**
 * replace_sync_name() - put the new name of a file that was renamed on stable storage
 * @dirfd: the folder it is in now; O_PATH will do
 * @fd: the file, which was fsynced under its old name
 *
 * FAT keeps where a file lies and its size with the name, and writes those only with the
 * file (fs/fat/inode.c, __fat_write_inode()): after an fsync of the folder alone a power
 * cut leaves an empty file. Returns 0, or -1 with errno.
 */
int replace_sync_name(int dirfd, int fd);

#endif /* SVMDK_REPLACE_H */
