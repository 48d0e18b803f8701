// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "control.h"
#include "extent_map.h"
#include "interrupt.h"
#include "leftovers.h"
#include "message.h"
#include "progress.h"
#include "size.h"
#include "transfer.h"
#include "zero.h"

/* How often a file may turn out to be not fully written after all. */
#define MAX_PASSES 5

/**
 * struct room - what is needed of the disk that the extents are on
 * @dev: the first extent's, by st_dev
 * @several: there is another, so that the sum says nothing
 * @need: bytes
 * @free: bytes
 */
struct room {
	dev_t dev;
	bool several;
	uint64_t need;
	uint64_t free;
};

/**
 * struct allocation - a container that is filled
 * @c: the container
 * @todo: bytes to write or to copy, by extent
 * @total: sum of these
 * @room: for the part of them that takes new space
 * @z: writes the zeroes
 * @facts: of the file system, for extent_map_read()
 * @map: of the extent at hand
 * @unknown_fs: extents on file systems that are never mapped
 */
struct allocation {
	struct container c;
	uint64_t *todo;
	uint64_t total;
	struct room room;
	struct zeroer z;
	struct mount_facts facts;
	struct extent_map map;
	size_t unknown_fs;
};

/**
 * struct pass - one walk through an extent's map
 * @fd: of the file
 * @fill: change it; else only count
 * @holes: bytes that need new space
 * @unwritten: bytes that have space already
 * @z: writes the zeroes
 * @err: filled when @fill fails
 */
struct pass {
	int fd;
	bool fill;
	uint64_t holes;
	uint64_t unwritten;
	struct zeroer *z;
	struct svmdk_error *err;
};

/* Asks for the space in one piece; without it the zeroes bring their own. */
static int reserve(const struct pass *pass, const struct map_piece *piece, int mode)
{
	while (fallocate(pass->fd, mode, piece->begin, piece->length)) {
		if (errno == EOPNOTSUPP)
			return 0;
		if (errno == EINTR && !interrupt_seen())
			continue;
		return error_errno(pass->err, errno, "cannot allocate");
	}
	return 0;
}

/*
 * Only holes and unwritten ranges are ever written to: they read as zeroes
 * before and after. What is shared with another file is copied by the file
 * system itself.
 */
static int visit_piece(const struct map_piece *piece, void *arg)
{
	struct pass *pass = arg;

	switch (piece->reason) {
	case SVMDK_REASON_HOLE:
		pass->holes += piece->length;
		if (!pass->fill)
			return 0;
		if (reserve(pass, piece, FALLOC_FL_KEEP_SIZE))
			return -1;
		break;
	case SVMDK_REASON_UNWRITTEN:
		pass->unwritten += piece->length;
		if (!pass->fill)
			return 0;
		break;
	case SVMDK_REASON_REFLINK:
		pass->holes += piece->length;
		if (!pass->fill)
			return 0;
		pass->z->done += piece->length;
		return reserve(pass, piece, FALLOC_FL_UNSHARE_RANGE);
	default:
		return 0;
	}
	return zero_range(pass->z, pass->fd, piece->begin, piece->length, pass->err);
}

static int walk_extent(const struct extent *e, struct pass *pass)
{
	pass->holes = 0;
	pass->unwritten = 0;
	return extent_map_walk(pass->fd, e->offset << SECTOR_SHIFT, e->sectors << SECTOR_SHIFT,
			       visit_piece, pass, pass->err);
}

static int explain(struct svmdk_error *err, const struct container *c, const struct extent *e)
{
	switch (err->code) {
	case EINTR:
		error_set(
			err, EINTR,
			"interrupted at extent %s; nothing is lost, run svmdk allocate again to go on",
			e->name);
		break;
	case ETXTBSY:
		error_set(
			err, ETXTBSY,
			"extent %s is in use by an attached device (or as swap); detach that first",
			e->name);
		break;
	case ENOSPC:
	case EDQUOT:
		error_set(err, err->code,
			  "extent %s: %s; make room and run svmdk allocate again to go on", e->name,
			  err->text);
		break;
	default:
		error_set(err, err->code, "extent %s: %s", e->name, err->text);
	}
	return error_at(err, c->path, e->line);
}

static void add_room(struct room *room, const struct extent_file *file, uint64_t need)
{
	struct statvfs fs;

	if (!need || room->several || fstatvfs(file->fd, &fs))
		return;
	if (room->need && room->dev != file->st.st_dev) {
		room->several = true;
		return;
	}
	room->dev = file->st.st_dev;
	room->need += need;
	room->free = (uint64_t)(geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
}

/* Looks at all extents before any is changed. */
static int survey_extent(struct allocation *a, size_t i, struct svmdk_error *err)
{
	const struct extent *e = &a->c.descriptor.extents[i];
	struct pass pass = { .err = err };
	struct extent_file file;
	int ret = 0;

	if (container_open_extent_writable(&a->c, i, &file, err))
		return -1;
	pass.fd = file.fd;
	if (container_lock_extent(&a->c, i, &file, err)) {
		close(file.fd);
		return -1;
	}
	if (S_ISREG(file.st.st_mode)) {
		ret = walk_extent(e, &pass);
		a->todo[i] = pass.holes + pass.unwritten;
		a->total += a->todo[i];
		if (extent_map_fs_known(file.fd))
			add_room(&a->room, &file, pass.holes);
	}
	close(file.fd);
	return ret ? explain(err, &a->c, e) : 0;
}

static int survey(struct allocation *a, struct svmdk_error *err)
{
	const struct descriptor *d = &a->c.descriptor;
	char need[SIZE_TEXT_LEN], missing[SIZE_TEXT_LEN];
	size_t i;

	for (i = 0; i < d->nr_extents; i++) {
		if (extent_has_file(&d->extents[i]) && survey_extent(a, i, err))
			return -1;
	}
	if (a->room.several || a->room.need <= a->room.free)
		return 0;
	error_set(err, ENOSPC,
		  "not enough room to fill it: %s are needed, %s (%" PRIu64
		  " bytes) more than there are",
		  size_format(need, a->room.need),
		  size_format(missing, a->room.need - a->room.free), a->room.need - a->room.free);
	return error_at(err, a->c.path, 0);
}

/*
 * Until the map says that there is nothing left: the file system may have had
 * its own view of a write. One that is never mapped is not asked twice, for
 * some make holes of zeroes for ever.
 */
static int fill_file(struct allocation *a, const struct extent *e, int fd, struct svmdk_error *err)
{
	struct pass pass = { .fd = fd, .fill = true, .z = &a->z, .err = err };
	int passes = extent_map_fs_known(fd) ? MAX_PASSES : 1;

	do {
		if (fsync(fd))
			return error_errno(err, errno, "cannot write it to disk");
		if (walk_extent(e, &pass))
			return -1;
	} while (pass.holes + pass.unwritten && --passes > 0);
	return fsync(fd) ? error_errno(err, errno, "cannot write it to disk") : 0;
}

static void note_result(struct allocation *a, const struct extent *e, int fd)
{
	struct svmdk_error err;

	if (!extent_map_fs_known(fd))
		a->unknown_fs++;
	else if (extent_map_read(&a->map, fd, e->offset, e->sectors, &a->facts, &err))
		message_warn(a->c.path, e->line, "extent %s: %s", e->name, err.text);
	else if (a->map.reason)
		message_note(
			a->c.path, e->line,
			"extent %s cannot be mapped on its file system: %s; it goes the file way",
			e->name, extent_map_reason_text(a->map.reason));
}

/*
 * The content reads as it did, so the time of its last change stays: rsync
 * would send all of it again otherwise.
 */
static int fill_extent(struct allocation *a, size_t i, struct svmdk_error *err)
{
	const struct extent *e = &a->c.descriptor.extents[i];
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	unsigned int wait_ms = 0; /* nothing is shared any more */
	struct extent_file file;
	int ret = 0;

	if (container_open_extent_writable(&a->c, i, &file, err))
		return -1;
	if (container_lock_extent(&a->c, i, &file, err)) {
		close(file.fd);
		return -1;
	}
	times[1] = file.st.st_mtim;
	if (a->todo[i]) {
		ret = fill_file(a, e, file.fd, err);
		if (futimens(file.fd, times) || fsync(file.fd))
			message_warn(
				a->c.path, e->line,
				"extent %s has a new modification time; its content is the same",
				e->name);
	}
	if (!ret && S_ISREG(file.st.st_mode)) {
		/* One that shared blocks once cannot be mapped before it has forgotten that. */
		transfer_settle(file.fd, &wait_ms);
		note_result(a, e, file.fd);
	}
	close(file.fd);
	return ret ? explain(err, &a->c, e) : 0;
}

static int fill(struct allocation *a, struct svmdk_error *err)
{
	const struct descriptor *d = &a->c.descriptor;
	struct progress progress;
	size_t i;
	int ret;

	progress_begin(&progress, "Writing", a->total);
	ret = zero_begin(&a->z, &progress, err);
	for (i = 0; i < d->nr_extents && !ret; i++) {
		if (extent_has_file(&d->extents[i]))
			ret = fill_extent(a, i, err);
	}
	progress_end(&progress);
	zero_end(&a->z);
	extent_map_free(&a->map);
	if (a->unknown_fs)
		message_note(
			a->c.path, 0,
			"%zu of %zu extents are on a file system that svmdk does not map (it maps ext4 and XFS); they go the file way",
			a->unknown_fs, d->nr_extents);
	return ret;
}

/* The lock says as much, but not where. */
static int check_attached(const struct container *c, struct svmdk_error *err)
{
	int control = control_open(false, err);
	struct device device;
	int ret;

	if (control < 0)
		return 0;
	ret = control_find_device(control, &c->st, c->real_path, &device);
	close(control);
	if (ret)
		return 0;
	error_set(err, EBUSY, "attached as /dev/svmdk%u; detach it first", device.status.index);
	device_free(&device);
	return error_at(err, c->path, 0);
}

static int allocate_container(struct allocation *a, struct svmdk_error *err)
{
	if (check_attached(&a->c, err) || container_lock(&a->c, err) || leftovers_check(&a->c, err))
		return -1;
	a->todo = calloc(a->c.descriptor.nr_extents, sizeof(*a->todo));
	if (!a->todo)
		return error_errno(err, ENOMEM, "cannot fill the container");
	interrupt_catch();
	return survey(a, err) || fill(a, err) ? -1 : 0;
}

static int allocate(const struct container_args *args)
{
	struct allocation a = { 0 };
	struct svmdk_error err;
	int ret;

	if (container_open(&a.c, args->file, args->allow, args->nr_allow, &err)) {
		error_print(&err);
		return EXIT_FAILED;
	}
	ret = allocate_container(&a, &err);
	if (ret)
		error_print(&err);
	free(a.todo);
	container_close(&a.c);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct container_args args;
	int status = command_container_args(&cmd_allocate, argc, argv, &args);

	if (!args.file)
		return status;
	status = allocate(&args);
	free(args.allow);
	return status;
}

const struct command cmd_allocate = {
	.name = "allocate",
	.args = "FILE [--allow-outside DIR]...",
	.summary = "Fill holes and unwritten ranges, so that the container can be mapped",
	.help = "FILE is the descriptor of a container that is not attached. What reads as zeroes\n"
		"because it was never written is written with zeroes; what is shared with a\n"
		"reflinked copy gets its own space. Nothing else is touched, and modification\n"
		"times stay as they are. It may be interrupted at any time and run again.\n"
		"\n"
		"Options:\n"
		"      --allow-outside DIR  extents may be in DIR and below, too; may be given\n"
		"                           several times\n"
		"  -h, --help               show this\n",
	.run = run,
};
