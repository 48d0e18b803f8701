// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "overlap.h"

static FILE *open_sysfs(dev_t dev, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev), minor(dev), file);
	return fopen(path, "re");
}

/* When @dev is a partition: its disk, and where on that it begins. */
static bool find_disk(dev_t dev, dev_t *disk, uint64_t *start)
{
	unsigned int major_nr, minor_nr;
	bool found = false;
	FILE *f;

	f = open_sysfs(dev, "start");
	if (!f)
		return false;
	if (fscanf(f, "%" SCNu64, start) == 1)
		found = true;
	fclose(f);
	if (!found)
		return false;
	f = open_sysfs(dev, "../dev");
	if (!f)
		return false;
	found = fscanf(f, "%u:%u", &major_nr, &minor_nr) == 2;
	fclose(f);
	*disk = makedev(major_nr, minor_nr);
	return found;
}

int overlap_add(struct overlap *o, const struct extent *e, size_t i, const struct extent_file *file,
		bool writable, struct svmdk_error *err)
{
	struct file_range *range;
	uint64_t start = 0;
	size_t room;

	if (o->nr == o->room) {
		room = o->room ? 2 * o->room : 64;
		range = reallocarray(o->ranges, room, sizeof(*range));
		if (!range)
			return error_errno(err, ENOMEM, "cannot compare the extents");
		o->ranges = range;
		o->room = room;
	}
	range = &o->ranges[o->nr++];
	*range = (struct file_range){
		.dev = file->st.st_dev,
		.ino = file->st.st_ino,
		.extent = i,
		.writable = writable && e->access == EXTENT_RW,
	};
	if (S_ISBLK(file->st.st_mode)) {
		range->block = true;
		range->ino = 0;
		if (!find_disk(file->st.st_rdev, &range->dev, &start)) {
			range->dev = file->st.st_rdev;
			start = 0;
		}
	}
	range->begin = start + e->offset;
	range->end = range->begin + e->sectors;
	return 0;
}

static bool same_file(const struct file_range *a, const struct file_range *b)
{
	return a->block == b->block && a->dev == b->dev && a->ino == b->ino;
}

static int compare_ranges(const void *left, const void *right)
{
	const struct file_range *a = left;
	const struct file_range *b = right;

	if (a->block != b->block)
		return a->block ? 1 : -1;
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	if (a->begin != b->begin)
		return a->begin < b->begin ? -1 : 1;
	if (a->extent != b->extent)
		return a->extent < b->extent ? -1 : 1;
	return 0;
}

static const struct file_range *farther(const struct file_range *a, const struct file_range *b)
{
	return a && a->end >= b->end ? a : b;
}

bool overlap_next(struct overlap *o, size_t *a, size_t *b)
{
	const struct file_range *range, *other;

	if (!o->next && o->nr)
		qsort(o->ranges, o->nr, sizeof(*o->ranges), compare_ranges);
	while (o->next < o->nr) {
		range = &o->ranges[o->next++];
		if (!o->reach || !same_file(o->reach, range)) {
			o->reach = NULL;
			o->reach_writable = NULL;
		}
		other = range->writable ? o->reach : o->reach_writable;
		o->reach = farther(o->reach, range);
		if (range->writable)
			o->reach_writable = farther(o->reach_writable, range);
		if (other && other->end > range->begin) {
			*a = other->extent < range->extent ? other->extent : range->extent;
			*b = other->extent < range->extent ? range->extent : other->extent;
			return true;
		}
	}
	return false;
}

int overlap_check(struct overlap *o, const struct container *c, struct svmdk_error *err)
{
	const struct extent *extents = c->descriptor.extents;
	size_t a, b;

	if (!overlap_next(o, &a, &b))
		return 0;
	error_set(
		err, EINVAL,
		"extent %s holds sectors that line %u has too (%s); a write to the one would change the other",
		extents[b].name, extents[a].line, extents[a].name);
	return error_at(err, c->path, extents[b].line);
}

void overlap_free(struct overlap *o)
{
	free(o->ranges);
	*o = (struct overlap){ 0 };
}
