// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "old_files.h"
#include "overlap.h"
#include "size.h"

/* Files that are open beside these: new ones, folders. */
#define SPARE_FILES 128

#define EDGE UINT64_C(65536) /* no block is larger */

/**
 * struct found_extent - an extent's file, as it was found
 * @st: status of the file
 * @begin: first sector in it
 * @end: one past the last
 * @extent: which one, from 0
 */
struct found_extent {
	struct stat st;
	uint64_t begin;
	uint64_t end;
	size_t extent;
};

static int refuse_block(const struct old_files *old, const struct extent *e,
			struct svmdk_error *err)
{
	error_set(err, ENOTSUP,
		  "extent %s is a block device; only a container of files can be split anew",
		  e->name);
	return error_at(err, old->c->path, e->line);
}

static int look_at(struct old_files *old, size_t i, bool keep, struct found_extent *found,
		   struct overlap *overlap, struct svmdk_error *err)
{
	const struct extent *e = &old->plan->old[i];
	struct extent_file file;
	int ret = 0;

	if (container_open_extent(old->c, i, old->flags, &file, err))
		return -1;
	if (!S_ISREG(file.st.st_mode))
		ret = refuse_block(old, e, err);
	if (!ret)
		ret = overlap_add(overlap, e, i, &file, true, err);
	*found = (struct found_extent){
		.st = file.st, .begin = e->offset, .end = e->offset + e->sectors, .extent = i
	};
	if (keep && !ret)
		old->extents[i].fd = file.fd;
	else
		close(file.fd);
	return ret;
}

static int compare_found(const void *a, const void *b)
{
	const struct found_extent *x = a, *y = b;

	if (x->st.st_dev != y->st.st_dev)
		return x->st.st_dev < y->st.st_dev ? -1 : 1;
	if (x->st.st_ino != y->st.st_ino)
		return x->st.st_ino < y->st.st_ino ? -1 : 1;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return 0;
}

static bool same_file(const struct found_extent *a, const struct found_extent *b)
{
	return a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino;
}

static bool is_zero(int fd, uint64_t begin, uint64_t end)
{
	char buffer[4096];
	ssize_t got;

	while (begin < end) {
		got = pread(fd, buffer, end - begin < sizeof(buffer) ? end - begin : sizeof(buffer),
			    begin);
		if (got <= 0 || buffer[0] || memcmp(buffer, buffer + 1, got - 1))
			return false;
		begin += got;
	}
	return true;
}

/*
 * Whether there is nothing in a range; what cannot be told may be something.
 * A hole ends with a block, so what is beside that is read.
 */
static bool is_hole(int fd, uint64_t begin, uint64_t end)
{
	uint64_t first = (begin + EDGE - 1) / EDGE * EDGE;
	uint64_t last = end / EDGE * EDGE;
	off_t data;

	if (begin >= end)
		return true;
	if (first >= last)
		return is_zero(fd, begin, end);
	data = lseek(fd, first, SEEK_DATA);
	if (data < 0 ? errno != ENXIO : (uint64_t)data < last)
		return false;
	return is_zero(fd, begin, first) && is_zero(fd, last, end);
}

/* Looks at what lies between the extents of a file, before and behind them. */
static bool nothing_else(const struct found_extent *found, size_t nr, int fd)
{
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!is_hole(fd, at, found[i].begin << SECTOR_SHIFT))
			return false;
		at = found[i].end << SECTOR_SHIFT;
	}
	return is_hole(fd, at, found[0].st.st_size);
}

static int add_file(struct old_files *old, const struct found_extent *found, size_t nr,
		    struct svmdk_error *err)
{
	struct old_file *file = &old->files[old->nr];
	size_t i;
	int fd;

	*file = (struct old_file){ .extent = found[0].extent, .st = found[0].st };
	for (i = 0; i < nr; i++) {
		old->extents[found[i].extent].file = old->nr;
		file->left += found[i].end - found[i].begin;
		if (found[i].extent < file->extent)
			file->extent = found[i].extent;
	}
	old->nr++;
	if (old_extent_fd(old, file->extent, &fd, err))
		return -1;
	file->whole = nothing_else(found, nr, fd);
	old_extent_done(old, file->extent, fd);
	return 0;
}

static int group_files(struct old_files *old, struct found_extent *found, size_t nr,
		       struct svmdk_error *err)
{
	size_t i, end;

	qsort(found, nr, sizeof(*found), compare_found);
	for (i = 0; i < nr; i = end) {
		for (end = i + 1; end < nr && same_file(&found[i], &found[end]); end++)
			;
		if (add_file(old, found + i, end - i, err))
			return -1;
	}
	return 0;
}

/* Those that stay open, for a lock is that of an open file. */
static int lock_all(const struct old_files *old, struct svmdk_error *err)
{
	struct extent_file file;
	size_t i;

	for (i = 0; i < old->plan->nr_old; i++) {
		file.fd = old->extents[i].fd;
		if (file.fd < 0)
			continue;
		file.st = old_file_of(old, i)->st;
		file.size = file.st.st_size;
		if (container_lock_extent(old->c, i, &file, err))
			return -1;
	}
	return 0;
}

static int look_at_all(struct old_files *old, struct found_extent *found, struct svmdk_error *err)
{
	const struct resplit_plan *plan = old->plan;
	size_t room = container_batch(plan->nr_old + SPARE_FILES);
	struct overlap overlap = { 0 };
	size_t i, nr = 0;
	int ret = 0;

	room = room > SPARE_FILES ? room - SPARE_FILES : 0;
	for (i = 0; i < plan->nr_old && !ret; i++) {
		if (plan->old[i].type == EXTENT_ZERO)
			continue;
		ret = look_at(old, i, nr < room, &found[nr], &overlap, err);
		nr++;
	}
	if (!ret)
		ret = overlap_check(&overlap, old->c, err);
	if (!ret)
		ret = group_files(old, found, nr, err);
	if (!ret && old->flags == O_RDWR)
		ret = lock_all(old, err);
	overlap_free(&overlap);
	return ret;
}

int old_files_open(struct old_files *old, const struct container *c,
		   const struct resplit_plan *plan, bool look_only, struct svmdk_error *err)
{
	struct found_extent *found = calloc(plan->nr_old, sizeof(*found));
	size_t i;
	int ret;

	*old = (struct old_files){ .c = c, .plan = plan, .flags = look_only ? O_RDONLY : O_RDWR };
	old->extents = calloc(plan->nr_old, sizeof(*old->extents));
	old->files = calloc(plan->nr_old, sizeof(*old->files));
	if (!found || !old->extents || !old->files) {
		error_errno(err, ENOMEM, "cannot look at the extents");
		ret = error_at(err, c->path, 0);
	} else {
		for (i = 0; i < plan->nr_old; i++)
			old->extents[i] = (struct old_extent){ -1, OLD_FILE_NONE };
		ret = look_at_all(old, found, err);
	}
	free(found);
	if (ret)
		old_files_close(old);
	return ret;
}

void old_files_close(struct old_files *old)
{
	size_t i;

	for (i = 0; old->extents && i < old->plan->nr_old; i++) {
		if (old->extents[i].fd >= 0)
			close(old->extents[i].fd);
	}
	free(old->extents);
	free(old->files);
	*old = (struct old_files){ 0 };
}

int old_extent_fd(const struct old_files *old, size_t i, int *fd, struct svmdk_error *err)
{
	const struct extent *e = &old->plan->old[i];
	const struct old_file *file = old_file_of(old, i);
	struct stat st;

	*fd = old->extents[i].fd;
	if (*fd >= 0)
		return 0;
	if (safe_open(&old->c->policy, e->name, old->flags, fd, &st, err))
		return error_at(err, old->c->path, 0);
	if (st.st_dev == file->st.st_dev && st.st_ino == file->st.st_ino)
		return 0;
	close(*fd);
	error_set(err, ESTALE, "extent %s was replaced meanwhile; try again", e->name);
	return error_at(err, old->c->path, 0);
}

void old_extent_done(const struct old_files *old, size_t i, int fd)
{
	if (old->extents[i].fd != fd)
		close(fd);
}

struct old_file *old_file_of(const struct old_files *old, size_t i)
{
	return old->extents[i].file == OLD_FILE_NONE ? NULL : &old->files[old->extents[i].file];
}

void old_file_drop(struct old_files *old, const struct old_file *file)
{
	size_t i;

	for (i = 0; i < old->plan->nr_old; i++) {
		if (old_file_of(old, i) == file && old->extents[i].fd >= 0) {
			close(old->extents[i].fd);
			old->extents[i].fd = -1;
		}
	}
}
