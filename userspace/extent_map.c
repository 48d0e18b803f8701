// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <libmount/libmount.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "extent_map.h"
#include "size.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

#define BATCH 512 /* extents in one answer of FIEMAP: 28 KiB */

static enum svmdk_reason fiemap_reason(const struct fiemap_extent *e)
{
	uint32_t flags = e->fe_flags;

	if (flags & FIEMAP_EXTENT_DELALLOC)
		return SVMDK_REASON_DELALLOC;
	if (flags & FIEMAP_EXTENT_UNWRITTEN)
		return SVMDK_REASON_UNWRITTEN;
	if (flags & (FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_DATA_TAIL))
		return SVMDK_REASON_INLINE;
	if (flags & (FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_ENCRYPTED))
		return SVMDK_REASON_ENCODED;
	if (flags & FIEMAP_EXTENT_SHARED)
		return SVMDK_REASON_REFLINK;
	if (flags & FIEMAP_EXTENT_UNKNOWN)
		return SVMDK_REASON_NO_FIEMAP;
	if (flags & FIEMAP_EXTENT_NOT_ALIGNED ||
	    (e->fe_logical | e->fe_physical | e->fe_length) % SECTOR_SIZE)
		return SVMDK_REASON_UNALIGNED;
	return SVMDK_REASON_NONE;
}

static int tell(struct map_walk *w, uint64_t end, uint64_t physical, enum svmdk_reason reason)
{
	struct map_piece piece = {
		.begin = w->at,
		.length = end - w->at,
		.physical = physical,
		.reason = reason,
	};

	if (!piece.length)
		return 0;
	w->at = end;
	return w->fn(&piece, w->arg);
}

int map_walk_feed(struct map_walk *w, const struct fiemap_extent *extents, size_t nr)
{
	const struct fiemap_extent *e;
	uint64_t begin, end;
	int ret;

	for (e = extents; e < extents + nr && w->at < w->end; e++) {
		if (__builtin_add_overflow(e->fe_logical, e->fe_length, &end) || end > w->end)
			end = w->end;
		begin = e->fe_logical > w->at ? e->fe_logical : w->at;
		if (begin >= end)
			continue;
		ret = tell(w, begin, 0, SVMDK_REASON_HOLE);
		if (ret)
			return ret;
		ret = tell(w, end, e->fe_physical + (begin - e->fe_logical), fiemap_reason(e));
		if (ret)
			return ret;
	}
	return 0;
}

int map_walk_end(struct map_walk *w)
{
	return tell(w, w->end, 0, SVMDK_REASON_HOLE);
}

/* Holes as the file system says them to programs that copy files. */
static int walk_by_seek(struct map_walk *w, int fd, struct svmdk_error *err)
{
	off_t data, hole;
	int ret;

	while (w->at < w->end) {
		data = lseek(fd, w->at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return map_walk_end(w);
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return error_errno(err, errno, "cannot look for holes");
		ret = tell(w, (uint64_t)data < w->end ? (uint64_t)data : w->end, 0,
			   SVMDK_REASON_HOLE);
		if (!ret)
			ret = tell(w, (uint64_t)hole < w->end ? (uint64_t)hole : w->end, 0,
				   SVMDK_REASON_NO_FIEMAP);
		if (ret)
			return ret;
	}
	return 0;
}

/* One question and its answer; sets *@last when there is no more to ask. */
static int walk_batch(struct map_walk *w, int fd, struct fiemap *map, bool *last,
		      struct svmdk_error *err)
{
	uint32_t flags = FIEMAP_EXTENT_LAST;
	uint64_t before = w->at;
	int ret;

	memset(map, 0, sizeof(*map));
	map->fm_start = w->at;
	map->fm_length = w->end - w->at;
	map->fm_flags = FIEMAP_FLAG_SYNC;
	map->fm_extent_count = BATCH;
	if (ioctl(fd, FS_IOC_FIEMAP, map)) {
		if (errno == EOPNOTSUPP || errno == ENOTTY) {
			*last = true;
			return walk_by_seek(w, fd, err);
		}
		return error_errno(err, errno, "cannot get the map of the file");
	}
	ret = map_walk_feed(w, map->fm_extents, map->fm_mapped_extents);
	if (ret)
		return ret;
	if (map->fm_mapped_extents)
		flags = map->fm_extents[map->fm_mapped_extents - 1].fe_flags;
	*last = flags & FIEMAP_EXTENT_LAST || w->at == w->end;
	if (*last)
		return map_walk_end(w);
	if (w->at == before)
		return error_set(err, EIO, "the file system's map of the file goes in circles");
	return 0;
}

int extent_map_walk(int fd, uint64_t begin, uint64_t length, map_piece_fn fn, void *arg,
		    struct svmdk_error *err)
{
	struct map_walk w = { .at = begin, .end = begin + length, .fn = fn, .arg = arg };
	struct fiemap *map = malloc(sizeof(*map) + BATCH * sizeof(map->fm_extents[0]));
	bool last = false;
	int ret = 0;

	if (!map)
		return error_errno(err, ENOMEM, "cannot get the map of the file");
	while (!ret && !last)
		ret = walk_batch(&w, fd, map, &last, err);
	free(map);
	return ret;
}

int extent_map_add(const struct map_piece *piece, void *arg)
{
	struct extent_map *map = arg;
	struct svmdk_run *run = map->nr ? &map->runs[map->nr - 1] : NULL;
	uint64_t disk = piece->physical >> SECTOR_SHIFT;
	uint64_t sectors = piece->length >> SECTOR_SHIFT;
	size_t room;

	if (piece->reason) {
		map->reason = piece->reason;
		map->reason_sector = piece->begin >> SECTOR_SHIFT;
		return 1;
	}
	if (run && run->disk_sector + run->sectors == disk) {
		run->sectors += sectors;
		return 0;
	}
	if (map->nr == map->room) {
		room = map->room ? 2 * map->room : 16;
		run = map->nr < SVMDK_MAX_RUNS ? reallocarray(map->runs, room, sizeof(*run)) : NULL;
		if (!run)
			return -1;
		map->runs = run;
		map->room = room;
	}
	map->runs[map->nr++] = (struct svmdk_run){
		.file_sector = piece->begin >> SECTOR_SHIFT,
		.disk_sector = disk,
		.sectors = sectors,
	};
	return 0;
}

/* Says which of the mounts of @dev, if any, writes data to its journal. */
static bool find_data_journal(dev_t dev)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	const char *options;
	size_t length;
	bool found = false;
	char *value;

	while (table && iter && !found && mnt_table_next_fs(table, iter, &fs) == 0) {
		options = mnt_fs_get_devno(fs) == dev ? mnt_fs_get_fs_options(fs) : NULL;
		found = options && mnt_optstr_get_option(options, "data", &value, &length) == 0 &&
			length == 7 && strncmp(value, "journal", length) == 0;
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return found;
}

/*
 * Data that goes through a journal may be written to its place long after, on
 * top of what svmdk has written there.
 */
static bool is_journalled(int fd, dev_t dev, struct mount_facts *facts)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & FS_JOURNAL_DATA_FL)
		return true;
	if (!facts->known || facts->dev != dev) {
		facts->data_journal = find_data_journal(dev);
		facts->dev = dev;
		facts->known = true;
	}
	return facts->data_journal;
}

int extent_map_read(struct extent_map *map, int fd, uint64_t offset, uint64_t sectors,
		    struct mount_facts *facts, struct svmdk_error *err)
{
	struct stat st;
	int ret;

	map->nr = 0;
	map->reason = SVMDK_REASON_NONE;
	map->reason_sector = offset;
	if (fstat(fd, &st))
		return error_errno(err, errno, "cannot get the map of the file");
	if (is_journalled(fd, st.st_dev, facts)) {
		map->reason = SVMDK_REASON_JOURNALLED;
		return 0;
	}
	*err = (struct svmdk_error){ 0 };
	ret = extent_map_walk(fd, offset << SECTOR_SHIFT, sectors << SECTOR_SHIFT, extent_map_add,
			      map, err);
	if (ret < 0 && !err->code)
		return error_set(err, ENOMEM, "no memory for the map, or more than %u runs",
				 SVMDK_MAX_RUNS);
	return ret < 0 ? -1 : 0;
}

bool extent_map_fs_known(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC;
}

void extent_map_free(struct extent_map *map)
{
	free(map->runs);
	*map = (struct extent_map){ 0 };
}

const char *extent_map_reason_text(enum svmdk_reason reason)
{
	static const char *const texts[SVMDK_REASON_LAST + 1] = {
		[SVMDK_REASON_NONE] = "none",
		[SVMDK_REASON_REQUESTED] = "file way requested",
		[SVMDK_REASON_FILESYSTEM] = "file system not known to be safe",
		[SVMDK_REASON_NO_BDEV] = "no single backing device",
		[SVMDK_REASON_ENCRYPTED] = "encrypted",
		[SVMDK_REASON_VERITY] = "fs-verity",
		[SVMDK_REASON_DAX] = "DAX",
		[SVMDK_REASON_IMMUTABLE] = "immutable or append-only",
		[SVMDK_REASON_SWAPFILE] = "active swap file",
		[SVMDK_REASON_MMAPPED] = "mapped into a program's memory",
		[SVMDK_REASON_CACHED] = "cached pages in use",
		[SVMDK_REASON_SIBLING] = "another extent of the file is not mapped",
		[SVMDK_REASON_WRITERS] = "open for writing in a program",
		[SVMDK_REASON_HOLE] = "hole",
		[SVMDK_REASON_UNWRITTEN] = "unwritten",
		[SVMDK_REASON_DELALLOC] = "not yet allocated",
		[SVMDK_REASON_REFLINK] = "reflinked",
		[SVMDK_REASON_INLINE] = "inline data",
		[SVMDK_REASON_ENCODED] = "compressed or encoded",
		[SVMDK_REASON_UNALIGNED] = "unaligned",
		[SVMDK_REASON_JOURNALLED] = "data journalling",
		[SVMDK_REASON_NO_FIEMAP] = "file system does not tell the map",
	};
	size_t i = reason;

	return i <= SVMDK_REASON_LAST && texts[i] ? texts[i] : "unknown reason";
}
