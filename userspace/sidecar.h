/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SIDECAR_H
#define SVMDK_SIDECAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include "hash.h"
#include "message.h"

/*
 * FILE.svmdk beside the descriptor FILE: what is known of the container's files
 * since they were hashed. Text, replaced whole, read as hostile:
 *
 *	svmdk sidecar 1
 *	self 1835021 1763884800.123456789
 *	session none
 *	clean 134217728 1763884800.123456789 1835007 1763884800.123456789 <hash> disk-f001.vmdk
 *	changed …
 *
 * `self' is the inode of the sidecar itself, and when that was made (0 where the
 * file system does not keep it). In a copy it is another one, or was made at
 * another time: a new file system gives out the same numbers again. Then of the
 * files only size and mtime are compared: what travels with rsync. That nothing
 * but the sidecar itself is asked whether it travelled is on purpose. If it were
 * enough that inode or ctime of every file moved, a chmod of the folder would
 * hide what a program wrote that puts the mtime back.
 * `session' is what keeps a crash from being forgotten:
 *
 *	none		each file's mark is right
 *	attached BOOT	svmdk attach wrote this before the disk appeared, and
 *			svmdk detach takes it back with the dirty extents
 *			marked. Found while it is not attached it means that
 *			this never happened: each file that could be written
 *			counts as changed.
 *	unsure BOOT	a manifest is taken while it is attached, and the
 *			driver's dirty bits are between there and here: the
 *			same, even while attached
 *
 * A file's line has its mark, size, mtime, inode, ctime, SHA-256 (or `-') and
 * name, as name_escape() has it. Inode 0 says that size, times and inode are
 * not known.
 */

#define SIDECAR_SUFFIX ".svmdk"
#define BOOT_ID_LEN 37 /* with the terminating NUL */

enum session {
	SESSION_NONE,
	SESSION_ATTACHED,
	SESSION_UNSURE,
};

/**
 * struct facts - what tells whether a file is as it was
 * @size: in bytes
 * @mtime: of its content
 * @inode: 0 when nothing of this is known
 * @ctime: of its inode
 */
struct facts {
	uint64_t size;
	struct timespec mtime;
	uint64_t inode;
	struct timespec ctime;
};

/**
 * struct sidecar_entry - a file
 * @name: as the descriptor has it; its own, for the descriptor
 * @changed: written through svmdk since @hash was taken
 * @facts: as they were when @hash was taken, or when it was marked as changed
 * @hashed: there is a @hash
 * @hash: as it went to the manifest
 * @line: of the sidecar, from 1; 0 when it was not read
 */
struct sidecar_entry {
	char *name;
	bool changed;
	struct facts facts;
	bool hashed;
	unsigned char hash[HASH_SIZE];
	unsigned int line;
};

/**
 * struct sidecar - all of it
 * @st: status of the file that it was read from
 * @session: see above
 * @boot_id: of the boot that @session is of; "" with SESSION_NONE
 * @travelled: it is a copy
 * @list: array of the files; in the order of names once it was read
 * @nr: number of these
 * @room: of the array
 */
struct sidecar {
	struct stat st;
	enum session session;
	char boot_id[BOOT_ID_LEN];
	bool travelled;
	struct sidecar_entry *list;
	size_t nr;
	size_t room;
};

/**
 * sidecar_read() - read a sidecar
 * @s: filled, to be freed; all zero on failure
 * @dirfd: the folder it is in
 * @name: of it; no folder
 * @err: filled on failure, with @err->file and @err->line; @err->code is ENOENT
 *	when there is none
 *
 * Returns 0 or -1.
 */
int sidecar_read(struct sidecar *s, int dirfd, const char *name, struct svmdk_error *err);

/**
 * sidecar_find() - find a file
 * @s: a sidecar that was read
 * @name: of the file
 *
 * Returns its entry, or NULL.
 */
struct sidecar_entry *sidecar_find(const struct sidecar *s, const char *name);

/**
 * sidecar_add() - add a file
 * @s: begins all zero
 * @entry: copied, its name too
 *
 * Returns 0, or -1 when there is no memory.
 */
int sidecar_add(struct sidecar *s, const struct sidecar_entry *entry);

/**
 * sidecar_lock() - keep other svmdk commands from changing a sidecar
 * @dirfd: the folder it is in
 * @name: of it; no folder
 * @fd: set to what holds the lock until it is closed
 * @err: filled on failure, with @err->file; @err->code is ENOENT when there is
 *	none, EWOULDBLOCK when another process has the lock
 *
 * The lock is on the sidecar and not on the descriptor, for that one's belongs
 * to the driver while the container is attached. Waits a quarter of a second at
 * most. Returns 0 or -1.
 */
int sidecar_lock(int dirfd, const char *name, int *fd, struct svmdk_error *err);

/**
 * sidecar_write() - write a sidecar in place of the one that is there, or anew
 * @s: its content; @s->travelled does not count, for it is at home now
 * @dirfd: the folder it is in
 * @name: of it; no folder
 * @like: status of a file whose owner and mode a new one gets
 * @fd: what sidecar_lock() gave, or -1 when there was none; the new one is
 *	locked in its turn before it gets its name
 * @err: filled on failure, with @err->file
 *
 * On stable storage when it returns. Returns 0 or -1, as replace_whole().
 */
int sidecar_write(const struct sidecar *s, int dirfd, const char *name, const struct stat *like,
		  int *fd, struct svmdk_error *err);

/**
 * sidecar_free() - free all
 * @s: all zero afterwards
 */
void sidecar_free(struct sidecar *s);

/**
 * boot_id_read() - which boot this is
 * @boot_id: filled; "unknown" where the kernel does not tell
 */
void boot_id_read(char boot_id[BOOT_ID_LEN]);

/**
 * facts_of() - what is to be kept of a file's status
 * @facts: filled
 * @st: its status
 * @size: in bytes; of a block device st_size does not tell
 */
void facts_of(struct facts *facts, const struct stat *st, uint64_t size);

/**
 * facts_same_content() - whether size and mtime say that it was not written
 * @a: of one time
 * @b: of another
 */
bool facts_same_content(const struct facts *a, const struct facts *b);

/**
 * facts_same_file() - whether inode and ctime say so too
 * @a: of one time
 * @b: of another
 */
bool facts_same_file(const struct facts *a, const struct facts *b);

#endif /* SVMDK_SIDECAR_H */
