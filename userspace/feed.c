// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "feed.h"
#include "holders.h"
#include "interrupt.h"
#include "size.h"
#include "sysfs.h"

#define BATCH 64 /* extents open at once */

/**
 * struct batch - extents that go to the driver in one call
 * @first: number of the first
 * @nr: how many
 * @before: the last file of the batch before, still open; fd is -1 where there is none
 * @files: of each, open; fd is -1 where there is none
 * @args: of each, for the driver
 */
struct batch {
	size_t first;
	size_t nr;
	struct extent_file before;
	struct extent_file files[BATCH];
	struct svmdk_new_extent args[BATCH];
};

static const struct extent *extent_at(const struct feed *f, size_t i)
{
	return &f->container->descriptor.extents[i];
}

static int at_extent(const struct feed *f, size_t i, struct svmdk_error *err)
{
	return error_at(err, f->container->path, extent_at(f, i)->line);
}

static const char *extent_name(const struct feed *f, size_t i)
{
	const struct extent *e = extent_at(f, i);

	return e->name ? e->name : extent_type_text(e->type);
}

/* What helps an extent that has to be mapped and cannot be. */
static const char *mapped_remedy(enum svmdk_reason reason)
{
	switch (reason) {
	case SVMDK_REASON_HOLE:
	case SVMDK_REASON_UNWRITTEN:
	case SVMDK_REASON_DELALLOC:
		return "fill it with `svmdk allocate', or use --io auto";
	case SVMDK_REASON_MMAPPED:
	case SVMDK_REASON_CACHED:
	case SVMDK_REASON_WRITERS:
		return "end the program that uses it, or use --io auto";
	case SVMDK_REASON_REFLINK:
		return "replace it with a copy made by cp --reflink=never, or use --io auto";
	case SVMDK_REASON_UNALIGNED:
		return "put the container on a disk with 512-byte blocks";
	default:
		return "use --io auto";
	}
}

/* Who keeps a block device from being opened for us alone? */
static int bdev_in_use(const struct feed *f, size_t i, dev_t devno, struct svmdk_error *err)
{
	char disk[SYSFS_NAME_LEN];
	struct holders holders;
	char *text;

	sysfs_name(devno, disk);
	holders_find(&holders, disk);
	text = holders_text(&holders);
	error_set(err, EBUSY, "extent %s is in use: %s; free it, or attach read-only",
		  extent_name(f, i), text ? text : "by the kernel");
	free(text);
	holders_free(&holders);
	return at_extent(f, i, err);
}

static int add_refused(const struct feed *f, const struct batch *b,
		       const struct svmdk_ioc_add_extents *answer, int code,
		       struct svmdk_error *err)
{
	const size_t at = answer->error_index < b->nr ? answer->error_index : 0;
	const size_t i = b->first + at;
	const char *name = extent_name(f, i);

	switch (code) {
	case -EBUSY:
		if (answer->holder < 0 && b->args[at].kind == SVMDK_KIND_BDEV)
			return bdev_in_use(f, i, b->files[at].st.st_rdev, err);
		if (answer->holder < 0)
			error_set(err, EBUSY, "extent %s is in use by another program", name);
		else
			error_set(err, EBUSY,
				  "extent %s is in use by /dev/svmdk%d; detach that first, "
				  "or attach both read-only",
				  name, answer->holder);
		break;
	case -ENODATA:
		error_set(err, ENODATA,
			  "extent %s is shorter than its line says; put it back from a copy", name);
		break;
	case -EOPNOTSUPP:
		if (b->args[at].kind == SVMDK_KIND_BDEV)
			error_set(err, EOPNOTSUPP,
				  "extent %s starts or ends amid a block of the device; "
				  "use a device with 512-byte blocks",
				  name);
		else
			error_set(err, EOPNOTSUPP, "extent %s cannot be mapped: %s; %s", name,
				  extent_map_reason_text(answer->error_reason),
				  mapped_remedy(answer->error_reason));
		break;
	case -EACCES:
		error_set(err, EACCES,
			  "extent %s may not be written by the driver; "
			  "attach read-only",
			  name);
		break;
	case -ETXTBSY:
		error_set(err, ETXTBSY,
			  "extent %s is an active swap file; swapoff it first, or attach read-only",
			  name);
		break;
	case -EFBIG:
		error_set(err, EFBIG, "extent %s makes the disk too large", name);
		break;
	default:
		error_errno(err, -code, "the driver refuses extent %s", name);
	}
	return at_extent(f, i, err);
}

static int map_refused(const struct feed *f, size_t i, struct svmdk_error *err)
{
	error_set(err, EOPNOTSUPP, "extent %s cannot be mapped: %s at byte %llu of the file; %s",
		  extent_name(f, i), extent_map_reason_text(f->map.reason),
		  (unsigned long long)f->map.reason_sector << SECTOR_SHIFT,
		  mapped_remedy(f->map.reason));
	return at_extent(f, i, err);
}

/*
 * The driver checks what the file system said, and on some (an XFS realtime
 * volume) that is not about the disk that it would write to.
 */
static int distrust(struct feed *f, size_t i, int *code, struct svmdk_error *err)
{
	if (f->io == SVMDK_IO_MAPPED) {
		error_set(err, EINVAL,
			  "extent %s cannot be mapped: "
			  "what the file system says of its place does not hold; use --io file",
			  extent_name(f, i));
		return at_extent(f, i, err);
	}
	if (!f->distrusted) {
		progress_end(&f->progress);
		message_warn(f->container->path, extent_at(f, i)->line,
			     "extent %s: what the file system says of its place does not hold; "
			     "the way through the file system is taken",
			     extent_name(f, i));
	}
	f->distrusted = true;
	*code = control_set_runs(f->control, i, NULL, 0, SVMDK_REASON_NO_FIEMAP);
	return 0;
}

/* The extent is pinned: nothing moves between this question and its use. */
static int set_runs(struct feed *f, size_t i, int fd, struct svmdk_error *err)
{
	const struct extent *e = extent_at(f, i);
	int code;

	if (extent_map_read(&f->map, fd, e->offset, e->sectors, &f->facts, err))
		return at_extent(f, i, err);
	if (f->map.reason != SVMDK_REASON_NONE) {
		if (f->io == SVMDK_IO_MAPPED)
			return map_refused(f, i, err);
		code = control_set_runs(f->control, i, NULL, 0, f->map.reason);
	} else {
		code = control_set_runs(f->control, i, f->map.runs, f->map.nr, SVMDK_REASON_NONE);
		if (code == -EINVAL && distrust(f, i, &code, err))
			return -1;
	}
	if (!code)
		return 0;
	error_errno(err, -code, "the driver refuses the map of extent %s", extent_name(f, i));
	return at_extent(f, i, err);
}

static bool is_same_file(const struct extent_file *a, const struct extent_file *b)
{
	return a->fd >= 0 && a->st.st_ino == b->st.st_ino && a->st.st_dev == b->st.st_dev;
}

/*
 * A file of which another range came just before is open once, or the driver would take us
 * for two writers. And the lock of a range is the open file's that took it; of those that
 * a file has, the driver keeps the first. Where only this one may write it is for all.
 */
static int share_open_file(struct batch *b, size_t nr, struct svmdk_error *err)
{
	struct extent_file *file = &b->files[nr], *other;
	const bool writes = container_may_write(file);
	size_t i;

	for (i = 0; i <= nr; i++) {
		other = i ? &b->files[i - 1] : &b->before;
		if (!is_same_file(other, file))
			continue;
		if (writes && !container_may_write(other)) {
			if (dup3(file->fd, other->fd, O_CLOEXEC) < 0)
				return error_errno(err, errno, "cannot open it twice");
		} else {
			if (dup3(other->fd, file->fd, O_CLOEXEC) < 0)
				return error_errno(err, errno, "cannot open it twice");
			break;
		}
	}
	return 0;
}

static int open_extent(struct feed *f, struct batch *b, size_t nr, struct svmdk_error *err)
{
	const size_t i = b->first + nr;
	const struct extent *e = extent_at(f, i);
	struct extent_file *file = &b->files[nr];

	file->fd = -1;
	if (!extent_has_file(e))
		return 0;
	if (container_open_extent(f->container, i, f->rdonly ? O_RDONLY : O_RDWR, file, err)) {
		file->fd = -1;
		return -1;
	}
	if (share_open_file(b, nr, err))
		return at_extent(f, i, err);
	/* Reading the disk is not reading its files. Where this is refused they have atimes. */
	fcntl(file->fd, F_SETFL, fcntl(file->fd, F_GETFL) | O_NOATIME);
	return overlap_add(&f->overlap, e, i, file, !f->rdonly, err);
}

static void describe_extent(const struct feed *f, size_t i, const struct extent_file *file,
			    struct svmdk_new_extent *arg)
{
	const struct extent *e = extent_at(f, i);

	*arg = (struct svmdk_new_extent){
		.kind = SVMDK_KIND_ZERO,
		.fd = file->fd,
		.sectors = e->sectors,
	};
	if (e->access == EXTENT_NOACCESS)
		arg->flags = SVMDK_EXTENT_NOACCESS;
	else if (e->access == EXTENT_RDONLY)
		arg->flags = SVMDK_EXTENT_RDONLY;
	if (file->fd < 0)
		return;
	arg->kind = S_ISBLK(file->st.st_mode) ? SVMDK_KIND_BDEV : SVMDK_KIND_FILE;
	arg->io = f->io;
	arg->offset = e->offset;
}

/*
 * After the driver has had its say, which names the device that has an extent;
 * a range that is twice in this disk is locked by ourselves.
 */
static int lock_batch(struct feed *f, const struct batch *b, struct svmdk_error *err)
{
	size_t i;

	for (i = 0; i < b->nr; i++) {
		if (b->files[i].fd < 0 || extent_at(f, b->first + i)->access == EXTENT_RDONLY ||
		    container_lock_extent(f->container, b->first + i, &b->files[i], err) == 0)
			continue;
		overlap_check(&f->overlap, f->container, err);
		return -1;
	}
	return 0;
}

static int send_batch(struct feed *f, struct batch *b, struct svmdk_error *err)
{
	struct svmdk_ioc_add_extents answer;
	size_t i;
	int code;

	for (i = 0; i < b->nr; i++) {
		if (open_extent(f, b, i, err))
			return -1;
		describe_extent(f, b->first + i, &b->files[i], &b->args[i]);
	}
	code = control_add_extents(f->control, b->args, b->nr, &answer);
	if (code)
		return add_refused(f, b, &answer, code, err);
	if (lock_batch(f, b, err))
		return -1;
	for (i = 0; i < b->nr; i++)
		if (b->args[i].kind == SVMDK_KIND_FILE && b->args[i].way == SVMDK_WAY_MAPPED &&
		    set_runs(f, b->first + i, b->files[i].fd, err))
			return -1;
	return 0;
}

static void close_file(struct extent_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

/* All but the last, of which the next batch may have more. */
static void close_batch(struct batch *b)
{
	struct extent_file *last = &b->before;
	size_t i;

	for (i = 0; i < b->nr; i++) {
		if (b->files[i].fd < 0)
			continue;
		close_file(last);
		*last = b->files[i];
	}
}

int feed_extents(struct feed *f, size_t first, const char *what, struct svmdk_error *err)
{
	const struct descriptor *d = &f->container->descriptor;
	const size_t most = container_batch(BATCH);
	struct batch b = { .first = first, .before.fd = -1 };
	int result = 0;
	size_t i;

	progress_begin(&f->progress, what, d->sectors << SECTOR_SHIFT);
	while (!result && b.first < d->nr_extents) {
		if (interrupt_seen()) {
			result = error_set(err, EINTR, "interrupted; the driver has taken nothing");
			break;
		}
		b.nr = d->nr_extents - b.first < most ? d->nr_extents - b.first : most;
		for (i = 0; i < b.nr; i++)
			b.files[i].fd = -1;
		result = send_batch(f, &b, err);
		close_batch(&b);
		progress_show(&f->progress, extent_at(f, b.first)->start << SECTOR_SHIFT);
		b.first += b.nr;
	}
	close_file(&b.before);
	progress_end(&f->progress);
	if (!result)
		result = overlap_check(&f->overlap, f->container, err);
	return result;
}

int feed_refused(const struct feed *f, const struct svmdk_ioc_commit *answer, int code,
		 struct svmdk_error *err)
{
	const size_t i = answer->error_extent;

	if ((code != -EINVAL && code != -EOPNOTSUPP) || i >= f->container->descriptor.nr_extents) {
		error_errno(err, -code, "the driver cannot make the disk");
		return error_at(err, f->container->path, 0);
	}
	if (code == -EINVAL)
		error_set(err, EINVAL,
			  "extent %s starts or ends amid a %u-byte block of the "
			  "disk beneath; put the container on a disk with 512-byte blocks",
			  extent_name(f, i), answer->logical_block);
	else
		error_set(err, EOPNOTSUPP,
			  "extent %s cannot be mapped, for another extent of the "
			  "same file cannot be; use --io auto",
			  extent_name(f, i));
	return at_extent(f, i, err);
}

void feed_free(struct feed *f)
{
	extent_map_free(&f->map);
	overlap_free(&f->overlap);
}
