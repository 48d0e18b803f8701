// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "extent_map.h"
#include "message.h"
#include "overlap.h"
#include "peers.h"
#include "size.h"

/**
 * struct file_end - how far into its file the extents reach
 * @dev: of the file
 * @ino: of the file
 * @size: of the file in bytes
 * @used: one past the last byte that this extent uses
 * @extent: which one, from 0
 */
struct file_end {
	dev_t dev;
	ino_t ino;
	uint64_t size;
	uint64_t used;
	size_t extent;
};

/**
 * struct check - what is known of a container so far
 * @c: the container
 * @overlap: of its extents
 * @ends: of its regular files, one for each extent that has one
 * @nr_ends: number of these
 * @problems: it cannot be attached for these
 * @facts: of the file system that was met last
 * @map: of the extent at hand
 * @unwritten: extents that cannot be mapped as they are
 * @unknown_fs: extents on file systems that are never mapped
 */
struct check {
	struct container c;
	struct overlap overlap;
	struct file_end *ends;
	size_t nr_ends;
	unsigned int problems;
	struct mount_facts facts;
	struct extent_map map;
	unsigned int unwritten;
	unsigned int unknown_fs;
};

/* Adds up the bytes that keep an extent from being mapped, by why. */
static int count_bytes(const struct map_piece *piece, void *arg)
{
	uint64_t *bytes = arg;

	bytes[piece->reason] += piece->length;
	return 0;
}

/* What svmdk allocate can do something about. */
static bool note_unwritten(struct check *check, const struct extent *e, const uint64_t *bytes)
{
	static const enum svmdk_reason told[] = {
		SVMDK_REASON_HOLE,
		SVMDK_REASON_UNWRITTEN,
		SVMDK_REASON_REFLINK,
	};
	char size[SIZE_TEXT_LEN];
	bool found = false;
	size_t i;

	for (i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		if (!bytes[told[i]])
			continue;
		message_note(check->c.path, e->line, "extent %s is not fully written: %s %s",
			     e->name, size_format(size, bytes[told[i]]),
			     extent_map_reason_text(told[i]));
		found = true;
	}
	return found;
}

static void check_map(struct check *check, const struct extent *e, int fd)
{
	uint64_t bytes[SVMDK_REASON_LAST + 1] = { 0 };
	bool known = extent_map_fs_known(fd);
	struct svmdk_error err;

	check->unknown_fs += !known;
	if (extent_map_walk(fd, e->offset << SECTOR_SHIFT, e->sectors << SECTOR_SHIFT, count_bytes,
			    bytes, &err)) {
		message_warn(check->c.path, e->line, "extent %s: %s", e->name, err.text);
	} else if (note_unwritten(check, e, bytes)) {
		check->unwritten += known;
	} else if (known) {
		if (extent_map_read(&check->map, fd, e->offset, e->sectors, &check->facts, &err))
			message_warn(check->c.path, e->line, "extent %s: %s", e->name, err.text);
		else if (check->map.reason)
			message_note(check->c.path, e->line,
				     "extent %s cannot be mapped on its file system: %s", e->name,
				     extent_map_reason_text(check->map.reason));
	}
}

static void check_extent(struct check *check, size_t i)
{
	const struct extent *e = &check->c.descriptor.extents[i];
	struct extent_file file;
	struct svmdk_error err;

	if (container_open_extent(&check->c, i, O_RDONLY, &file, &err)) {
		error_print(&err);
		check->problems++;
		return;
	}
	if (overlap_add(&check->overlap, e, i, &file, true, &err)) {
		error_print(&err);
		check->problems++;
	}
	if (S_ISREG(file.st.st_mode)) {
		check->ends[check->nr_ends++] = (struct file_end){
			.dev = file.st.st_dev,
			.ino = file.st.st_ino,
			.size = file.size,
			.used = extent_end(e),
			.extent = i,
		};
		check_map(check, e, file.fd);
	}
	close(file.fd);
}

static int compare_ends(const void *left, const void *right)
{
	const struct file_end *a = left;
	const struct file_end *b = right;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	if (a->used != b->used)
		return a->used < b->used ? -1 : 1;
	return 0;
}

/* Of a file at several offsets only the extent that reaches farthest counts. */
static void check_ends(struct check *check)
{
	const struct file_end *end = check->ends;
	const struct extent *e;
	size_t i;

	qsort(check->ends, check->nr_ends, sizeof(*check->ends), compare_ends);
	for (i = 0; i < check->nr_ends; i++, end++) {
		if (i + 1 < check->nr_ends && end[1].dev == end->dev && end[1].ino == end->ino)
			continue;
		if (end->size <= end->used)
			continue;
		e = &check->c.descriptor.extents[end->extent];
		message_warn(check->c.path, e->line,
			     "extent %s is longer than the descriptor says; its last %" PRIu64
			     " bytes are not part of the disk",
			     e->name, end->size - end->used);
	}
}

static void check_overlap(struct check *check)
{
	const struct extent *extents = check->c.descriptor.extents;
	size_t a, b;

	while (overlap_next(&check->overlap, &a, &b)) {
		message_error(
			check->c.path, extents[b].line,
			"extent %s holds sectors that line %u has too (%s); a write to the one would change the other",
			extents[b].name, extents[a].line, extents[a].name);
		check->problems++;
	}
}

static void check_container(struct check *check)
{
	const struct descriptor *d = &check->c.descriptor;
	size_t i;

	for (i = 0; i < d->nr_extents; i++) {
		if (extent_has_file(&d->extents[i]))
			check_extent(check, i);
	}
	check_ends(check);
	check_overlap(check);
	peer_warn_container(&check->c);
	if (check->unwritten)
		message_note(
			check->c.path, 0,
			"%u of %zu extents cannot be mapped as they are, which is slower; svmdk allocate writes what is missing",
			check->unwritten, d->nr_extents);
	if (check->unknown_fs)
		message_note(
			check->c.path, 0,
			"%u of %zu extents are on a file system that svmdk does not map (it maps ext4 and XFS); they go the file way",
			check->unknown_fs, d->nr_extents);
}

static int check(const struct container_args *args)
{
	struct check check = { 0 };
	struct svmdk_error err;

	if (container_open(&check.c, args->file, args->allow, args->nr_allow, &err)) {
		error_print(&err);
		return EXIT_FAILED;
	}
	check.ends = calloc(check.c.descriptor.nr_extents, sizeof(*check.ends));
	if (check.ends) {
		check_container(&check);
	} else {
		message_error(args->file, 0, "no memory for so many extents");
		check.problems++;
	}
	extent_map_free(&check.map);
	overlap_free(&check.overlap);
	free(check.ends);
	container_close(&check.c);
	return check.problems ? EXIT_FAILED : EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct container_args args;
	int status = command_container_args(&cmd_check, argc, argv, &args);

	if (!args.file)
		return status;
	status = check(&args);
	free(args.allow);
	return status;
}

const struct command cmd_check = {
	.name = "check",
	.args = "FILE [--allow-outside DIR]...",
	.summary = "Check a container: its descriptor, its extents, other programs' limits",
	.help = "FILE is the descriptor. Everything found goes to stderr, one line each:\n"
		"  errors    the container cannot be attached for these: missing, short or\n"
		"            overlapping extents, files that may not be opened. Exit status 1.\n"
		"  warnings  what other programs would refuse, misread or damage; extents that\n"
		"            are longer than the descriptor says\n"
		"  notes     extents that are not fully written\n"
		"\n"
		"Options:\n"
		"      --allow-outside DIR  extents may be in DIR and below, too, and may be block\n"
		"                           devices there; may be given several times\n"
		"  -h, --help               show this\n",
	.run = run,
};
