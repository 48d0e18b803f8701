/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_EXTENT_MAP_H
#define SVMDK_EXTENT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/fiemap.h>
#include "../kmod/uapi/svmdk.h"
#include "message.h"

/*
 * Where a range of a file lies on the disk beneath its file system, or why
 * that cannot be said.
 */

/**
 * struct mount_facts - what is known of the file system that was asked last
 * @known: there is something here; begins false
 * @dev: st_dev of its files
 * @data_journal: it writes data to its journal first
 *
 * Kept by the caller from one extent to the next, so that the list of mounts
 * is read once for 10,000 extents.
 */
struct mount_facts {
	bool known;
	dev_t dev;
	bool data_journal;
};

/**
 * struct extent_map - the runs of a range of a file
 * @runs: ascending, merged where one goes on where the last ended, covering
 *	the range exactly when @reason is SVMDK_REASON_NONE; units as in
 *	struct svmdk_run
 * @nr: number of these
 * @room: of the array
 * @reason: the first thing found that keeps the range from being mapped
 * @reason_sector: where in the file that is, in sectors from its begin
 */
struct extent_map {
	struct svmdk_run *runs;
	size_t nr;
	size_t room;
	enum svmdk_reason reason;
	uint64_t reason_sector;
};

/**
 * struct map_piece - a piece of a file that is of one kind
 * @begin: first byte of it in the file
 * @length: in bytes, not zero
 * @physical: first byte of it on the disk; of no meaning unless @reason is
 *	SVMDK_REASON_NONE
 * @reason: SVMDK_REASON_NONE for a piece that can be mapped, or why it cannot:
 *	HOLE, UNWRITTEN, DELALLOC, REFLINK, INLINE, ENCODED, UNALIGNED, or
 *	NO_FIEMAP when there is data but not where
 */
struct map_piece {
	uint64_t begin;
	uint64_t length;
	uint64_t physical;
	enum svmdk_reason reason;
};

/**
 * typedef map_piece_fn - told of each piece in turn
 * @piece: it; clipped to the range that was asked for
 * @arg: of the caller
 *
 * Returns 0 to go on; anything else stops the walk, which returns it.
 */
typedef int (*map_piece_fn)(const struct map_piece *piece, void *arg);

/**
 * extent_map_walk() - go through a range of a file, holes included
 * @fd: a regular file, open for reading
 * @begin: first byte
 * @length: in bytes
 * @fn: told of each piece, in order, without gaps
 * @arg: for @fn
 * @err: filled when it returns -1 by itself
 *
 * On a file system without FIEMAP holes are found by SEEK_HOLE, and the rest is
 * said to be SVMDK_REASON_NO_FIEMAP.
 *
 * Takes no lock and syncs no journal: what it says holds only while nobody
 * changes the file, and for a crash only after fsync(). Pages not yet written
 * are written first. Memory does not grow with the file. Returns 0, what @fn
 * returned, or -1.
 */
int extent_map_walk(int fd, uint64_t begin, uint64_t length, map_piece_fn fn, void *arg,
		    struct svmdk_error *err);

/**
 * extent_map_read() - get the runs of a range of a file
 * @map: filled, to be freed; may hold what an earlier call left, whose memory
 *	is used again
 * @fd: a regular file, open for reading
 * @offset: first sector
 * @sectors: length in sectors
 * @facts: begins all zero, then goes from call to call
 * @err: filled on failure
 *
 * The caller has seen to it that nothing moves: pinned, or fsynced and not in
 * use. With a @map->reason other than SVMDK_REASON_NONE the runs are not
 * complete. Cost grows with the number of runs. Returns 0, or -1 when the
 * question itself failed: I/O error, no memory, more than SVMDK_MAX_RUNS.
 */
int extent_map_read(struct extent_map *map, int fd, uint64_t offset, uint64_t sectors,
		    struct mount_facts *facts, struct svmdk_error *err);

/**
 * extent_map_fs_known() - whether files of this kind of file system are ever mapped
 * @fd: a regular file, open
 *
 * ext4 and XFS are known to keep a file where it is. The driver has the last
 * word; this is to tell the user early.
 */
bool extent_map_fs_known(int fd);

/**
 * extent_map_free() - free what extent_map_read() made
 * @map: all zero afterwards
 */
void extent_map_free(struct extent_map *map);

/**
 * extent_map_reason_text() - a reason in few words, e.g. "hole"
 * @reason: any value, known or not
 *
 * Returns a string that stays.
 */
const char *extent_map_reason_text(enum svmdk_reason reason);

/**
 * struct map_walk - where a walk is; the part of extent_map_walk() that asks
 *	the kernel nothing
 * @at: next byte of the file to tell of
 * @end: one past the last
 * @fn: told of each piece
 * @arg: for @fn
 */
struct map_walk {
	uint64_t at;
	uint64_t end;
	map_piece_fn fn;
	void *arg;
};

/**
 * map_walk_feed() - go through some of what FIEMAP answered
 * @w: where the walk is
 * @extents: the answer, in order
 * @nr: number of these
 *
 * Returns 0 or what @w->fn returned. Extents outside the range, or that say
 * again what was said, are clipped away.
 */
int map_walk_feed(struct map_walk *w, const struct fiemap_extent *extents, size_t nr);

/**
 * map_walk_end() - tell of the hole that is left
 * @w: where the walk is
 *
 * Returns 0 or what @w->fn returned.
 */
int map_walk_end(struct map_walk *w);

/**
 * extent_map_add() - add a piece to the runs; a map_piece_fn
 * @piece: the next one
 * @map: a struct extent_map
 *
 * Returns 0; 1 when @map->reason is set now; -1 for lack of memory.
 */
int extent_map_add(const struct map_piece *piece, void *map);

#endif /* SVMDK_EXTENT_MAP_H */
