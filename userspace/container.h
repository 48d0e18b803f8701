/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_CONTAINER_H
#define SVMDK_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "descriptor.h"
#include "message.h"
#include "safe_open.h"

/**
 * struct container - a descriptor's file, its text understood, and the way to
 *	its extents
 * @path: as the user gave it; for messages
 * @real_path: absolute, without symbolic links
 * @name: last part of @real_path: the file in its folder
 * @fd: the descriptor's file, open for reading
 * @locked: container_lock() was called
 * @st: status of it when it was read
 * @descriptor: what it says
 * @policy: what may be opened; @policy.dir is the folder
 */
struct container {
	char *path;
	char *real_path;
	const char *name;
	int fd;
	bool locked;
	struct stat st;
	struct descriptor descriptor;
	struct open_policy policy;
};

/**
 * container_open() - read a container's descriptor
 * @c: filled, to be closed; nothing of it is open after a failure
 * @path: of the descriptor. A symbolic link is followed, for the user gave it;
 *	the container's folder is the one that the file is really in.
 * @allow: folders that --allow-outside names, or NULL
 * @nr_allow: number of these
 * @err: filled on failure, with @err->file and @err->line
 *
 * Opens no extent. Returns 0 or -1.
 */
int container_open(struct container *c, const char *path, char *const *allow, size_t nr_allow,
		   struct svmdk_error *err);

/**
 * container_side_name() - the name of a file that svmdk keeps beside the descriptor
 * @c: open
 * @suffix: that is added to the descriptor's name
 *
 * In the descriptor's folder. Returns it, to be freed, or NULL where there is no memory.
 */
char *container_side_name(const struct container *c, const char *suffix);

/**
 * container_stem() - what the names of new extents begin with
 * @c: open
 *
 * The descriptor's name without .vmdk, and without what would make them temporary files of
 * svmdk's. Returns it, to be freed, or NULL where there is no memory.
 */
char *container_stem(const struct container *c);

/**
 * container_close() - close and free
 * @c: a container; drops its lock too. One that is all zero is fine.
 */
void container_close(struct container *c);

/**
 * container_lock() - keep other svmdk commands from changing the container
 * @c: locked until it is closed
 * @err: filled on failure, with @err->file; @err->code is EWOULDBLOCK when
 *	another process has the lock
 *
 * flock() on the descriptor, without waiting; fails with ESTALE when the
 * descriptor was changed or replaced since it was read. The lock belongs to
 * the open file: a device that is given @c->fd as its descriptor holds it, from
 * attach to detach, after the tool is gone. Returns 0 or -1.
 */
int container_lock(struct container *c, struct svmdk_error *err);

/**
 * container_check_current() - is the descriptor still the one that was read?
 * @c: an open container
 * @err: filled where it is not, with ESTALE
 *
 * For who has no lock on it: svmdk grow gives an attached disk a new one. Returns 0 or -1.
 */
int container_check_current(const struct container *c, struct svmdk_error *err);

/**
 * struct extent_file - an extent's file, open
 * @fd: of it; the caller closes it
 * @st: its status: S_ISREG or S_ISBLK
 * @size: of the file or block device, in bytes
 */
struct extent_file {
	int fd;
	struct stat st;
	uint64_t size;
};

/**
 * container_open_extent() - open one extent's file
 * @c: the container
 * @i: which extent, from 0; extent_has_file() is true of it
 * @flags: as for safe_open(); O_RDWR becomes O_RDONLY for an RDONLY extent
 * @file: filled
 * @err: filled on failure, with the descriptor's file and the extent's line
 *
 * Fails with ENODATA when the file is shorter than offset + sectors: the
 * missing part never reads as zeroes. One that is longer is fine. Returns 0
 * or -1. Opens one file, so a caller that closes what it is done with needs
 * few at a time; container_batch() says how many there is room for.
 */
int container_open_extent(const struct container *c, size_t i, int flags, struct extent_file *file,
			  struct svmdk_error *err);

/**
 * container_open_extent_writable() - open one extent's file to write to it,
 *	even that of an RDONLY extent
 * @c: the container
 * @i: which extent, from 0; extent_has_file() is true of it
 * @file: filled
 * @err: filled on failure, as container_open_extent() does
 *
 * For commands that change how the content is kept and not the content.
 * Returns 0 or -1.
 */
int container_open_extent_writable(const struct container *c, size_t i, struct extent_file *file,
				   struct svmdk_error *err);

/**
 * container_may_write() - whether an extent's file was opened for writing
 * @file: open
 */
bool container_may_write(const struct extent_file *file);

/**
 * container_lock_extent() - keep other programs from writing to an extent
 * @c: the container
 * @i: which extent, from 0
 * @file: its file; nothing is done about one that is not open for writing, or
 *	that is a block device, which O_EXCL is for
 * @err: filled on failure, with the descriptor's file and the extent's line;
 *	@err->code is EBUSY
 *
 * Locks the extent's range against svmdk, and speaks QEMU's protocol: whoever
 * writes by it keeps this from succeeding, and cannot begin to afterwards;
 * readers may. The lock belongs to the open file: a device that is given
 * @file->fd holds it, from attach to detach. A file system without locks is
 * fine. Returns 0 or -1.
 */
int container_lock_extent(const struct container *c, size_t i, const struct extent_file *file,
			  struct svmdk_error *err);

/**
 * container_lock_whole() - keep other programs from writing to any of an extent's file
 * @c: the container
 * @i: which extent, from 0
 * @file: its file, which may be short, and open for reading only; nothing is done
 *	about a block device
 * @err: filled on failure, as container_lock_extent() does
 *
 * For whoever puts another file in its place: there may be extents of other
 * descriptors in it, at other offsets, that are attached. Otherwise as
 * container_lock_extent(); but of a file that is open for reading only the lock
 * does not keep another one of this kind away. Returns 0 or -1.
 */
int container_lock_whole(const struct container *c, size_t i, const struct extent_file *file,
			 struct svmdk_error *err);

/**
 * container_batch() - how many extents may be open at once
 * @want: the most that the caller has use for
 *
 * Raises the soft limit of open files when that helps. Returns 1 to @want.
 */
size_t container_batch(size_t want);

/**
 * container_replace_text() - give the descriptor another text
 * @c: the container, locked, by container_lock() or by the device that it is
 *	attached as; what it says of the text and the file is as new afterwards,
 *	and @c->fd is locked
 * @text: the text
 * @length: of it, in bytes
 * @err: filled on failure, with @err->file
 *
 * There is no moment at which a file has the name and nobody has the lock.
 * Returns 0, or -1: nothing is changed, or the descriptor is replaced and the
 * rest of it failed (its folder could not be synced, no memory).
 */
int container_replace_text(struct container *c, const char *text, size_t length,
			   struct svmdk_error *err);

/**
 * container_new_cid() - say in the descriptor that the content has changed
 * @c: a container; what it says of the descriptor's text and file is as new
 *	afterwards
 * @err: filled on failure, with @err->file
 *
 * Takes the lock, unless the caller has it, reads the file anew, gives it a
 * new CID and replaces it. Once for each attach that wrote is enough. Returns
 * 0, or -1: the descriptor is as it was, or it has its new CID and could not be
 * opened or locked again.
 */
int container_new_cid(struct container *c, struct svmdk_error *err);

#endif /* SVMDK_CONTAINER_H */
