/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SAFE_OPEN_H
#define SVMDK_SAFE_OPEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "message.h"

/*
 * Which files a descriptor may name. svmdk runs as root and a descriptor may
 * come from anyone, so by default an extent is a regular file in the
 * descriptor's own folder or below, reached through no symbolic link.
 */

#define OPEN_POLICY_OWN 3

/**
 * struct allowed_dir - a folder in which extents may be
 * @path: real path of it: absolute, without symbolic links
 * @given: absolute path as the user gave it, which may differ; or NULL
 * @fd: the folder, O_PATH
 */
struct allowed_dir {
	char *path;
	char *given;
	int fd;
};

/**
 * struct open_policy - what may be opened
 * @dir: the descriptor's own folder
 * @descriptor: status of the descriptor, which is no extent of its own
 * @own: names of what svmdk keeps beside it, which are no extents either
 * @nr_own: number of these
 * @allowed: folders that widen it
 * @nr_allowed: number of these
 */
struct open_policy {
	struct allowed_dir dir;
	struct stat descriptor;
	char *own[OPEN_POLICY_OWN];
	size_t nr_own;
	struct allowed_dir *allowed;
	size_t nr_allowed;
};

/**
 * open_policy_init() - begin with the descriptor's own folder alone
 * @policy: filled, to be freed
 * @dir: real path of the folder
 * @descriptor: status of the descriptor
 * @err: filled on failure
 *
 * Returns 0 or -1.
 */
int open_policy_init(struct open_policy *policy, const char *dir, const struct stat *descriptor,
		     struct svmdk_error *err);

/**
 * open_policy_own() - refuse what svmdk itself writes beside the descriptor
 * @policy: narrowed
 * @name: of a file in the descriptor's folder; need not exist. The policy frees it. NULL is
 *	no memory.
 * @err: filled on failure
 *
 * OPEN_POLICY_OWN times at most. Returns 0 or -1.
 */
int open_policy_own(struct open_policy *policy, char *name, struct svmdk_error *err);

/**
 * open_policy_check_own() - whether a file is one of these, by whatever name it was reached
 * @policy: which ones
 * @name: of the extent, as the descriptor has it
 * @st: status of the file
 * @err: filled when it is; without a place
 *
 * Returns 0 or -1.
 */
int open_policy_check_own(const struct open_policy *policy, const char *name, const struct stat *st,
			  struct svmdk_error *err);

/**
 * open_policy_allow() - allow what is in another folder or below it
 * @policy: widened
 * @dir: path of the folder; the caller trusts it, so links in it are followed
 * @err: filled on failure, with @err->file
 *
 * Regular files and block devices may be there. A symbolic link may not stand
 * for an extent, but for those that udev makes: below /dev one is followed when
 * it leads to a block device in a folder that is allowed. Returns 0 or -1.
 */
int open_policy_allow(struct open_policy *policy, const char *dir, struct svmdk_error *err);

/**
 * open_policy_free() - free what the two above made
 * @policy: all zero afterwards. One that is all zero is fine.
 */
void open_policy_free(struct open_policy *policy);

/**
 * safe_open() - open a file that a descriptor names
 * @policy: what may be opened
 * @name: as the descriptor has it
 * @flags: O_RDONLY or O_RDWR, and O_DIRECT or O_EXCL; O_EXCL counts only for
 *	block devices. O_NONBLOCK and O_CLOEXEC are added.
 * @fd: set to the open file
 * @st: set to its status; it is a regular file or a block device
 * @err: filled on failure; names @name in its text, leaves @err->file and
 *	@err->line to the caller
 *
 * What may not be opened is not opened, not for a moment, so that a FIFO or a
 * tape drive sees nothing of it. @err->code on failure: ENOENT, ELOOP (a
 * symbolic link), EXDEV (outside), EISDIR, ENXIO (FIFO, socket, character
 * device), ENOTBLK (a block device where none is allowed), EINVAL (the
 * descriptor itself), EACCES, EROFS, EBUSY (block device in use), or what else
 * open() says. Returns 0 or -1.
 */
int safe_open(const struct open_policy *policy, const char *name, int flags, int *fd,
	      struct stat *st, struct svmdk_error *err);

/**
 * safe_open_folder() - open the folder in which a file is, or would be, that a
 *	descriptor names
 * @policy: what may be opened
 * @name: of the file, as the descriptor has it; need not exist
 * @fd: set to the folder, O_PATH
 * @base: set to the last part of @name, to be freed
 * @err: filled on failure, as safe_open() does
 *
 * For making, renaming and removing what is in it. The folder is the
 * descriptor's own or an allowed one, or below it, and no link leads there; of
 * @base it is only known that it is one name, neither `.' nor `..'. Returns 0
 * or -1.
 */
int safe_open_folder(const struct open_policy *policy, const char *name, int *fd, char **base,
		     struct svmdk_error *err);

/**
 * safe_reopen() - open in earnest what O_PATH has hold of
 * @fd: an O_PATH descriptor of something that open() does nothing to
 * @flags: for open(); O_NONBLOCK, O_NOCTTY and O_CLOEXEC are added
 *
 * Needs /proc. Returns the new file descriptor, or -1 with errno set.
 */
int safe_reopen(int fd, int flags);

/**
 * safe_open_regular() - open a file if it is a regular one
 * @dirfd: the folder it is in
 * @name: of the file; no folder
 * @flags: as for safe_reopen()
 * @st: set to its status
 *
 * Follows no link, and opens nothing else, not for a moment. Returns the file descriptor,
 * or -1 with errno set; for what is no regular file that is EBADF.
 */
int safe_open_regular(int dirfd, const char *name, int flags, struct stat *st);

/**
 * safe_flock() - take the lock on a file for oneself, without waiting
 * @fd: the file, open for reading; another one of it on NFS, which locks for writing
 *	only what is open for writing. Where nothing can be written at all a lock that
 *	keeps others from writing is enough.
 *
 * Returns 0, or -1 with errno: EWOULDBLOCK when somebody has it.
 */
int safe_flock(int *fd);

/**
 * safe_is_current() - does a name still lead to a file, and is that as it was?
 * @dirfd: the folder
 * @name: in it
 * @st: status of the file when it was opened
 *
 * For whoever has a lock on it by now: it may have been replaced before.
 */
bool safe_is_current(int dirfd, const char *name, const struct stat *st);

#endif /* SVMDK_SAFE_OPEN_H */
