/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_MARKS_H
#define SVMDK_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "container.h"
#include "control.h"
#include "manifest_file.h"
#include "members.h"
#include "message.h"
#include "sidecar.h"

/*
 * Which files of a container changed since its manifest: from the manifest,
 * the sidecar, the driver's dirty bits and the files' own size and times put
 * together. What cannot be proved clean counts as changed.
 */

/**
 * enum change - what is known of a file without reading it
 * @CHANGE_NONE: nothing has written it
 * @CHANGE_NEW: it is not in the manifest
 * @CHANGE_MISSING: it is not there, or nothing that may be opened
 * @CHANGE_WRITTEN: written through svmdk since
 * @CHANGE_UNSURE: it may have been, in a session that did not end, or that the
 *	sidecar knows nothing of
 * @CHANGE_UNKNOWN: there is no sidecar
 * @CHANGE_MISMATCH: manifest and sidecar do not have the same hash of it
 * @CHANGE_MOVED: another program wrote it: size or mtime are not as recorded
 * @CHANGE_TOUCHED: size and mtime are as recorded, inode or ctime are not
 * @CHANGE_DEVICE: a block device, of which nothing tells when it was written
 */
enum change {
	CHANGE_NONE,
	CHANGE_NEW,
	CHANGE_MISSING,
	CHANGE_WRITTEN,
	CHANGE_UNSURE,
	CHANGE_UNKNOWN,
	CHANGE_MISMATCH,
	CHANGE_MOVED,
	CHANGE_TOUCHED,
	CHANGE_DEVICE,
};

/**
 * struct marks - what is known of a container's files
 * @c: the container
 * @members: its files
 * @manifest_name: of the manifest, in the descriptor's folder
 * @sidecar_name: of the sidecar, as above
 * @manifest: its lines, unless @manifest_err.code
 * @manifest_err: why there is none; @code is 0, or ENOENT when there is no file
 * @manifest_st: status of the manifest before it was read; all zero where there was none
 * @sidecar_st: of the sidecar, as above
 * @has_sidecar: there is one, and it was read
 * @sidecar_err: why there is none, as @manifest_err
 * @session: as the sidecar has it
 * @boot_id: of @session
 * @this_boot: of this boot
 * @travelled: the sidecar is a copy
 * @lines: of each file its line in the manifest, or NULL
 * @entries: of each file what the sidecar has; @name is NULL where it has nothing
 * @lock: holds the lock on the sidecar, or -1
 * @control: the control node, or -1
 * @blind: it may not be asked, so whether it is attached is not known
 * @attached: it is; @device is valid
 * @device: what it is attached as
 * @live: it is attached, and writable
 * @dirty: of each file, whether the driver has it as dirty; with @live
 */
struct marks {
	struct container *c;
	struct members members;
	char *manifest_name;
	char *sidecar_name;
	struct manifest manifest;
	struct svmdk_error manifest_err;
	struct stat manifest_st;
	struct stat sidecar_st;
	bool has_sidecar;
	struct svmdk_error sidecar_err;
	enum session session;
	char boot_id[BOOT_ID_LEN];
	char this_boot[BOOT_ID_LEN];
	bool travelled;
	const struct manifest_line **lines;
	struct sidecar_entry *entries;
	int lock;
	int control;
	bool blind;
	bool attached;
	struct device device;
	bool live;
	bool *dirty;
};

/**
 * marks_open() - read manifest and sidecar
 * @m: filled, to be closed; nothing of it is open after a failure
 * @c: the container; must stay
 * @lock: take the lock on the sidecar, where there is one
 * @err: filled on failure; @err->code is EWOULDBLOCK when another svmdk command
 *	has the lock
 *
 * That one of the two is absent or broken is no failure. Returns 0 or -1.
 */
int marks_open(struct marks *m, struct container *c, bool lock, struct svmdk_error *err);

/**
 * marks_close() - close and free
 * @m: drops its lock too. One that is all zero is fine.
 */
void marks_close(struct marks *m);

/**
 * marks_ask_driver() - find out whether it is attached
 * @m: open; @control, @blind, @attached, @device, @live and @dirty are as new
 * @err: filled on failure
 *
 * A driver that is not loaded, or may not be asked, is no failure. Returns 0
 * or -1.
 */
int marks_ask_driver(struct marks *m, struct svmdk_error *err);

/**
 * marks_ask_dirty() - ask for the driver's dirty bits again
 * @m: @live
 * @clean: clear them; they stay set in @m->dirty where they were
 * @err: filled on failure; @err->code is ENODEV when it was detached meanwhile
 *
 * Returns 0 or -1.
 */
int marks_ask_dirty(struct marks *m, bool clean, struct svmdk_error *err);

/**
 * marks_flush() - bring what was written to the disk into the files
 * @m: @live
 * @err: filled on failure
 *
 * Afterwards their mtimes are up to date too. Returns 0 or -1.
 */
int marks_flush(const struct marks *m, struct svmdk_error *err);

/**
 * marks_look() - look at size and times of all files
 * @m: open
 */
void marks_look(struct marks *m);

/**
 * marks_look_again() - take what a file was when it was read, and ask the driver once more
 * @m: open
 * @i: which file
 * @st: its status then
 * @size: of it then, in bytes; of a block device @st does not tell
 * @err: filled on failure, as by marks_ask_dirty()
 *
 * What it was before that may be long ago. Returns 0 or -1.
 */
int marks_look_again(struct marks *m, size_t i, const struct stat *st, uint64_t size,
		     struct svmdk_error *err);

/**
 * marks_change() - what is known of a file without reading it
 * @m: open, the driver asked and the files looked at
 * @i: which file
 */
enum change marks_change(const struct marks *m, size_t i);

/**
 * marks_hash_holds() - whether a file still has to have the bytes of the sidecar's hash
 * @m: as for marks_change()
 * @i: which file
 *
 * Nothing has written it since, whatever the manifest says: with other bytes it is damaged.
 */
bool marks_hash_holds(const struct marks *m, size_t i);

/**
 * marks_hash_moved() - whether another program has written a file since the sidecar's hash
 * @m: as for marks_change()
 * @i: which file
 *
 * Size or mtime say so, whatever the manifest says.
 */
bool marks_hash_moved(const struct marks *m, size_t i);

/**
 * marks_are_current() - whether manifest and sidecar are still the files that were read
 * @m: open, and nothing was written by marks_write()
 *
 * Where it is attached nothing keeps another command from making new ones.
 */
bool marks_are_current(const struct marks *m);

/**
 * marks_unended() - whether there was a session that did not end
 * @m: open, the driver asked
 *
 * Then each file that could be written in it counts as changed.
 */
bool marks_unended(const struct marks *m);

/**
 * marks_recover() - end a session that did not end
 * @m: with the lock, marks_unended() and not live; nobody else writes. The
 *	files were looked at.
 * @err: filled on failure
 *
 * Each file that could be written and still has the mtime of its hash gets a
 * new one, for what went straight to the disk beneath may be there without it,
 * and rsync must see that. Then they are marked as changed. Returns 0 or -1.
 */
int marks_recover(struct marks *m, struct svmdk_error *err);

/**
 * marks_set_changed() - mark a file as changed
 * @m: open
 * @i: which file; one that the sidecar does not have stays so
 *
 * Its size and times are looked at and kept. Nothing is written.
 */
void marks_set_changed(struct marks *m, size_t i);

/**
 * marks_set_clean() - mark a file as what its line in the manifest says
 * @m: open
 * @i: which file; it has a line, and was looked at
 *
 * Nothing is written.
 */
void marks_set_clean(struct marks *m, size_t i);

/**
 * marks_write() - write the sidecar
 * @m: with the lock, or where there was no sidecar
 * @session: what it shall say of the session; that of this boot
 * @err: filled on failure
 *
 * Returns 0 or -1.
 */
int marks_write(struct marks *m, enum session session, struct svmdk_error *err);

/**
 * marks_sidecar_is_broken() - is there a sidecar that could not be read?
 * @m: open
 * @err: filled where there is
 *
 * Not the same as none: it may say that extents were written, or say it again soon.
 */
bool marks_sidecar_is_broken(const struct marks *m, struct svmdk_error *err);

/**
 * marks_attach() - write down that a container may be written from now on
 * @c: the container, locked and not attached
 * @err: filled on failure
 *
 * On stable storage when it returns. Where there is a manifest and no sidecar, one is made, of
 * which every file is to be hashed again; a manifest that was cut short, or cannot be read, is
 * one. Without a manifest there is nothing to do. A sidecar that cannot be read is an error.
 * Returns 0 or -1.
 */
int marks_attach(struct container *c, struct svmdk_error *err);

/**
 * marks_attach_undo() - take that back: it was not attached after all
 * @c: the container, still locked
 *
 * When that fails everything counts as changed, which is no harm.
 */
void marks_attach_undo(struct container *c);

/**
 * marks_begin() - make the sidecar that is missing
 * @c: the container, locked and not attached
 * @err: filled on failure
 *
 * For what is about to change the container, as marks_attach(): by the manifest alone that
 * would be damage. Where there is a sidecar, or no manifest, there is nothing to do. On
 * stable storage when it returns. Returns 0 or -1.
 */
int marks_begin(struct container *c, struct svmdk_error *err);

/**
 * marks_note() - mark what a command of svmdk has changed
 * @c: the container, as it is now, locked or attached
 * @extents: numbers of the extents whose files it wrote, or NULL for all
 * @nr: how many
 * @err: filled on failure
 *
 * The descriptor is marked in any case. Without a sidecar there is nothing to
 * do. Returns 0 or -1.
 */
int marks_note(struct container *c, const size_t *extents, size_t nr, struct svmdk_error *err);

/**
 * marks_announce() - mark what a command of svmdk is about to change
 * @c: as for marks_note()
 * @extents: as for marks_note()
 * @nr: as for marks_note()
 * @err: filled on failure
 *
 * Should it be killed before marks_note(), what it changed counts as changed, not
 * as written by another program. Returns 0 or -1.
 */
int marks_announce(struct container *c, const size_t *extents, size_t nr, struct svmdk_error *err);

#endif /* SVMDK_MARKS_H */
