/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_REPLACE_H
#define SVMDK_REPLACE_H

#include <stddef.h>
#include <sys/types.h>
#include "message.h"

/*
 * A small file is replaced whole, or not at all: temporary file in the same
 * folder, fsync, rename, fsync of the folder.
 */

/**
 * replace_file() - replace a file's content
 * @dirfd: the folder it is in
 * @name: of the file; no folder. It must exist, and be a regular file.
 * @bytes: the new content
 * @length: of it, in bytes
 * @err: filled on failure, with @err->file
 *
 * Mode and owner stay. Returns 0, or -1: the file is as it was, or, when only
 * the last fsync of the folder failed, new but perhaps not for a crash.
 */
int replace_file(int dirfd, const char *name, const void *bytes, size_t length,
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

#endif /* SVMDK_REPLACE_H */
