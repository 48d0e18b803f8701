// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "control.h"
#include "feed.h"
#include "find_device.h"
#include "growth_plan.h"
#include "interrupt.h"
#include "leftovers.h"
#include "marks.h"
#include "new_extents.h"
#include "peers.h"
#include "size.h"

/**
 * struct grow - a container that grows
 * @arg: its descriptor or device, as the user gave it
 * @allow: folders of --allow-outside
 * @nr_allow: number of these
 * @sectors: the new size, or what is added to the old one
 * @relative: it is added
 * @extent_sectors: of --extent-size, or 0
 * @write: fill the new extents with zeroes, not only allocate them
 * @device: what it is attached as, when @attached
 * @attached: it is
 * @container: it
 * @plan: what is to be made
 * @feed: its new extents on their way to the driver; @feed.control is -1 where
 *	there is no driver
 */
struct grow {
	const char *arg;
	char **allow;
	size_t nr_allow;
	uint64_t sectors;
	bool relative;
	uint64_t extent_sectors;
	bool write;
	struct device device;
	bool attached;
	struct container container;
	struct growth_plan plan;
	struct feed feed;
};

static int find(struct grow *g, struct svmdk_error *err)
{
	g->feed.control = control_open(false, err);
	if (g->feed.control >= 0) {
		if (find_device(g->feed.control, g->arg, &g->device, err) == 0)
			g->attached = true;
		else if (err->code != ENODEV)
			return -1;
	} else if (err->code != ENODEV && err->code != EPERM) {
		return -1;
	}
	return 0;
}

/*
 * The disk's extents are the first ones of the descriptor: all of them, or an earlier grow
 * came no further than that. Else it is another container's, an older one's perhaps, and
 * what would be added is not what follows the disk.
 */
static int check_extents(const struct grow *g, struct svmdk_error *err)
{
	const struct descriptor *d = &g->container.descriptor;
	struct svmdk_extent_info *infos;
	char node[DEVICE_NODE_LEN];
	bool same;
	uint32_t nr, i;
	int code;

	code = control_extents(g->feed.control, &g->device, &infos, &nr);
	if (code) {
		error_errno(err, -code, "the driver does not tell its extents");
		return error_at(err, g->arg, 0);
	}
	same = nr <= d->nr_extents;
	for (i = 0; i < nr && same; i++)
		same = infos[i].sectors == d->extents[i].sectors &&
		       (!extent_has_file(&d->extents[i]) ||
			infos[i].offset == d->extents[i].offset);
	free(infos);
	if (same)
		return 0;
	device_node(&g->device, node);
	error_set(err, ESTALE,
		  "the descriptor is not that of %s any more; put back the one that it was "
		  "attached by, or detach it first",
		  node);
	return error_at(err, g->container.path, 0);
}

/* Read only now that nobody else grows it: another grow may just have ended. */
static int open_attached(struct grow *g, struct svmdk_error *err)
{
	struct device now;
	struct stat st;
	int code = control_device(g->feed.control, g->device.status.index, &now);

	if (code) {
		error_errno(err, -code, "the driver does not tell its descriptor");
		return error_at(err, g->arg, 0);
	}
	if (strcmp(now.descriptor, g->device.descriptor)) {
		device_free(&now);
		error_set(err, ESTALE, "it was detached, and another attached, meanwhile");
		return error_at(err, g->arg, 0);
	}
	device_free(&g->device);
	g->device = now;
	/* A grow that was interrupted has replaced it already. */
	if (now.gone && stat(now.descriptor, &st)) {
		error_set(err, ENOENT,
			  "its descriptor was deleted while it was attached; detach it and "
			  "restore the descriptor from a copy");
		return error_at(err, now.descriptor, 0);
	}
	if (container_open(&g->container, now.descriptor, g->allow, g->nr_allow, err))
		return -1;
	g->container.locked = true;
	return check_extents(g, err);
}

/* The driver has the lock of what is attached; and lets one grow it at a time. */
static int claim(struct grow *g, struct svmdk_error *err)
{
	int code;

	if (!g->attached) {
		if (container_open(&g->container, g->arg, g->allow, g->nr_allow, err))
			return -1;
		return container_lock(&g->container, err);
	}
	if (g->device.status.flags & SVMDK_STATUS_RDONLY) {
		error_set(err, EROFS, "attached read-only; detach it, or attach it writable");
		return error_at(err, g->arg, 0);
	}
	code = control_grow(g->feed.control, g->device.status.index);
	if (!code)
		return open_attached(g, err);
	if (code == -EBUSY)
		error_set(err, EBUSY, "another svmdk grow is at work on it; try again later");
	else
		error_errno(err, -code, "the driver cannot grow it");
	return error_at(err, g->arg, 0);
}

/* Of one that is attached the driver has them, whatever became of their names. */
static int check_files(const struct grow *g, struct svmdk_error *err)
{
	const struct descriptor *d = &g->container.descriptor;
	struct extent_file file;
	size_t i;

	for (i = 0; i < d->nr_extents && !g->attached; i++) {
		if (!extent_has_file(&d->extents[i]))
			continue;
		if (container_open_extent(&g->container, i, O_RDONLY, &file, err))
			return -1;
		close(file.fd);
	}
	return 0;
}

static int find_target(struct grow *g, struct svmdk_error *err)
{
	const uint64_t now = g->container.descriptor.sectors;
	char now_text[SIZE_TEXT_LEN], wanted_text[SIZE_TEXT_LEN];

	if (g->relative && g->sectors >= SECTORS_LIMIT - now) {
		error_set(err, EFBIG, "the disk would have 2^63 bytes or more");
		return error_at(err, g->container.path, 0);
	}
	if (g->relative)
		g->sectors += now;
	if (g->sectors >= now)
		return 0;
	error_set(err, EINVAL,
		  "the disk has %s (%" PRIu64
		  " bytes), and shrinking it to %s would cut off what is "
		  "at its end; make a smaller container and copy the files",
		  size_format(now_text, now << SECTOR_SHIFT), now << SECTOR_SHIFT,
		  size_format(wanted_text, g->sectors << SECTOR_SHIFT));
	return error_at(err, g->container.path, 0);
}

/* Bigger by zeroes is another content: it gets a new CID. */
static int compose(const struct grow *g, char **text, size_t *length, struct svmdk_error *err)
{
	const struct growth_plan *p = &g->plan;
	struct descriptor d;
	char *first;
	int result;

	if (descriptor_text_with_extents(&g->container.descriptor, p->extents, p->nr_extents,
					 p->create_type, &first, length, err))
		return error_at(err, g->container.path, 0);
	result = descriptor_parse(&d, first, *length, err);
	free(first);
	if (result)
		return error_at(err, g->container.path, 0);
	result = descriptor_text_with_cid(&d, descriptor_new_cid(d.cid), text, length, err);
	descriptor_free(&d);
	return result ? error_at(err, g->container.path, 0) : 0;
}

static void end_list(const struct grow *g)
{
	struct svmdk_error err;

	if (leftovers_end(&g->container, &err))
		message_warn(err.file, 0, "%s", err.text);
}

static int list_files(struct grow *g, struct svmdk_error *err)
{
	const size_t nr = g->plan.files.nr;
	const char **names = calloc(nr, sizeof(*names));
	struct leftovers what;
	bool good = false;
	size_t i;
	int result;

	if (!names)
		return error_errno(err, ENOMEM, "cannot grow it");
	for (i = 0; i < nr; i++)
		names[i] = g->plan.extents[g->plan.first + i].name;
	what = (struct leftovers){ .names = names, .nr = nr, .nr_made = nr };
	result = leftovers_begin(&g->container, &what, err);
	free(names);
	if (result)
		return -1;
	result = growth_plan_names_free(&g->plan, &g->container, &good, err);
	if (!result && good)
		return 0;
	end_list(g);
	if (result)
		return -1;
	error_set(err, EEXIST, "another program takes the names of new extents; try again");
	return error_at(err, g->container.path, 0);
}

/*
 * By us, not by another program: that is for `svmdk verify' to know, also after a
 * power cut just before or behind the replacement of the descriptor.
 */
static void mark(struct grow *g, bool ahead)
{
	const size_t nr = g->plan.extents[g->plan.first].line ? 1 : 0;
	struct svmdk_error err;

	/* Of what is attached attach made it. */
	if (ahead && !g->attached && marks_begin(&g->container, &err))
		message_warn(err.file, err.line,
			     "%s; svmdk verify will call a longer extent damaged", err.text);
	if (ahead ? marks_announce(&g->container, &g->plan.first, nr, &err) :
		    marks_note(&g->container, &g->plan.first, nr, &err))
		message_warn(err.file, err.line,
			     "%s; svmdk verify will call what has changed modified", err.text);
}

/* Which descriptor is in force, after its replacement failed? */
static bool was_replaced(const struct grow *g)
{
	struct svmdk_error err;
	struct container now;
	bool replaced;

	/* One that cannot be read may be the new one. */
	if (container_open(&now, g->container.path, g->allow, g->nr_allow, &err))
		return true;
	replaced = now.descriptor.sectors == g->sectors;
	container_close(&now);
	return replaced;
}

/* The descriptor is what counts: until it is replaced nothing has happened. */
static int make_files(struct grow *g, const char *text, size_t length, struct svmdk_error *err)
{
	if (new_extents_make(&g->plan.files, err) == 0) {
		mark(g, true);
		if (container_replace_text(&g->container, text, length, err) == 0) {
			/* What the list protects is named by the descriptor now. */
			end_list(g);
			mark(g, false);
			return 0;
		}
		/* The list stays, and says to the next command what is whose. */
		if (was_replaced(g))
			return error_add(err,
					 "; the container may have its new size, run svmdk grow "
					 "with %" PRIu64 "s to finish that",
					 g->sectors);
	}
	new_extents_undo(&g->plan.files);
	end_list(g);
	return -1;
}

/* What becomes of a last extent that is short. */
static void say_what_last_becomes(const struct grow *g)
{
	const struct descriptor *d = &g->container.descriptor;
	const struct extent *last = &d->extents[d->nr_extents - 1];
	char text[SIZE_TEXT_LEN];

	if (g->plan.first < d->nr_extents)
		message_note(g->container.path, last->line, "extent %s is made longer, to %s",
			     last->name,
			     size_format(text,
					 g->plan.extents[g->plan.first].sectors << SECTOR_SHIFT));
	else if (g->plan.keeps_short)
		message_note(g->container.path, last->line,
			     "the short extent %s stays as it is, others follow", last->name);
}

static int grow_files(struct grow *g, struct svmdk_error *err)
{
	struct peer_facts facts;
	size_t length;
	char *text;
	int result = -1;

	if (growth_plan_make(&g->plan, &g->container, g->sectors, g->extent_sectors, g->attached,
			     err))
		return -1;
	g->plan.files.write = g->write;
	say_what_last_becomes(g);
	if (compose(g, &text, &length, err))
		return -1;
	if (new_extents_check_room(&g->plan.files, err) == 0 && list_files(g, err) == 0)
		result = make_files(g, text, length, err);
	if (!result) {
		facts = (struct peer_facts){ .length = length,
					     .lines = peer_count_lines(text, length),
					     .nr_extents = g->plan.nr_extents };
		peer_warn_limits(g->container.path, &facts);
	}
	free(text);
	return result;
}

/* As the disk was attached: the way that its extents were asked to have. */
static enum svmdk_io io_of_device(const struct grow *g)
{
	struct svmdk_extent_info *infos;
	enum svmdk_io io = SVMDK_IO_AUTO;
	uint32_t nr, i;

	if (control_extents(g->feed.control, &g->device, &infos, &nr))
		return io;
	for (i = 0; i < nr; i++)
		if (infos[i].reason == SVMDK_REASON_REQUESTED)
			io = SVMDK_IO_FILE;
	free(infos);
	return io;
}

static int not_grown(const struct grow *g, struct svmdk_error *err)
{
	char node[DEVICE_NODE_LEN];

	device_node(&g->device, node);
	return error_add(err,
			 "; the container has its new size, but %s keeps the old one until svmdk "
			 "grow is run with %" PRIu64 "s or it is attached anew",
			 node, g->sectors);
}

static int grow_device(struct grow *g, struct svmdk_error *err)
{
	struct svmdk_ioc_commit answer;
	int code;

	g->feed.io = io_of_device(g);
	if (feed_extents(&g->feed, g->device.status.extents, "Growing", err) == 0) {
		code = control_commit_growth(g->feed.control, g->container.fd, &answer);
		if (!code)
			return 0;
		if (code == -EOPNOTSUPP && answer.error_extent == UINT32_MAX) {
			error_set(err, EOPNOTSUPP,
				  "the new extents lie on a disk with larger blocks or other needs "
				  "than those that are attached");
			error_at(err, g->container.path, 0);
		} else {
			feed_refused(&g->feed, &answer, code, err);
		}
	}
	return not_grown(g, err);
}

static int check_blocks(const struct grow *g, struct svmdk_error *err)
{
	const uint64_t block = g->attached ? g->device.status.logical_block >> SECTOR_SHIFT : 1;

	if (g->sectors % block == 0 && g->extent_sectors % block == 0)
		return 0;
	error_set(err, EINVAL,
		  "it is attached with blocks of %u bytes; sizes must be multiples of that",
		  g->device.status.logical_block);
	return error_at(err, g->arg, 0);
}

static int grow(struct grow *g, struct svmdk_error *err)
{
	if (find(g, err) || claim(g, err) || leftovers_recover(&g->container, NULL, err) ||
	    find_target(g, err) || check_blocks(g, err))
		return -1;
	if (g->sectors > g->container.descriptor.sectors) {
		if (check_files(g, err) || grow_files(g, err))
			return -1;
	} else if (!g->attached || g->device.status.sectors >= g->sectors) {
		message_note(g->container.path, 0, "it has that size already");
		return 0;
	}
	return g->attached ? grow_device(g, err) : 0;
}

static int run(struct grow *g)
{
	struct svmdk_error err;
	int result;

	interrupt_catch();
	g->feed.container = &g->container;
	result = grow(g, &err);
	if (result)
		error_print(&err);
	if (g->feed.control >= 0)
		close(g->feed.control);
	feed_free(&g->feed);
	growth_plan_free(&g->plan);
	device_free(&g->device);
	container_close(&g->container);
	return result ? EXIT_FAILED : EXIT_OK;
}

static int parse_size(struct grow *g, const char *text)
{
	struct svmdk_error err;
	uint64_t bytes;

	g->relative = *text == '+';
	if (size_parse(text + g->relative, &bytes, &err))
		return command_usage(&cmd_grow, "%s", err.text);
	g->sectors = bytes >> SECTOR_SHIFT;
	return EXIT_OK;
}

static int parse_extent_size(struct grow *g, const char *text)
{
	struct svmdk_error err;
	uint64_t bytes;

	if (size_parse(text, &bytes, &err))
		return command_usage(&cmd_grow, "%s", err.text);
	if (!bytes || bytes > GROWTH_MAX_EXTENT_BYTES)
		return command_usage(&cmd_grow, "an extent has a size of 512 bytes to 2G");
	g->extent_sectors = bytes >> SECTOR_SHIFT;
	return EXIT_OK;
}

static int parse_preallocate(struct grow *g, const char *text)
{
	g->write = strcmp(text, "full") == 0;
	if (g->write || strcmp(text, "falloc") == 0)
		return EXIT_OK;
	return command_usage(&cmd_grow, "--preallocate takes full or falloc, not %s", text);
}

static int main_grow(int argc, char **argv)
{
	static const struct option options[] = {
		{ "allow-outside", required_argument, NULL, 'a' },
		{ "extent-size", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ "preallocate", required_argument, NULL, 'p' },
		{ 0 },
	};
	/* No more folders than arguments. */
	char **allow = calloc(argc, sizeof(*allow));
	struct grow g = { .allow = allow, .write = true, .feed.control = -1 };
	int option, status = EXIT_OK;

	if (!allow) {
		message_error(NULL, 0, "not enough memory");
		return EXIT_FAILED;
	}
	while (status == EXIT_OK &&
	       (option = getopt_long(argc, argv, "e:h", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			allow[g.nr_allow++] = optarg;
			break;
		case 'e':
			status = parse_extent_size(&g, optarg);
			break;
		case 'h':
			free(allow);
			return command_help(&cmd_grow);
		case 'p':
			status = parse_preallocate(&g, optarg);
			break;
		default:
			status = command_usage(&cmd_grow, NULL);
		}
	}
	if (status == EXIT_OK && argc - optind != 2)
		status = command_usage(&cmd_grow, "it takes a FILE or DEVICE, and a SIZE");
	if (status == EXIT_OK)
		status = parse_size(&g, argv[optind + 1]);
	if (status == EXIT_OK) {
		g.arg = argv[optind];
		status = run(&g);
	}
	free(allow);
	return status;
}

const struct command cmd_grow = {
	.name = "grow",
	.args = "FILE|DEVICE SIZE|+SIZE [-e SIZE] [--preallocate full|falloc] [--allow-outside DIR]...",
	.summary = "Make a container larger, attached or not",
	.help = "SIZE is the new size of the disk, +SIZE what is added to it. The disk beneath a\n"
		"mounted file system grows at once; the file system is made larger after that, by\n"
		"resize2fs, xfs_growfs, btrfs filesystem resize, or cryptsetup resize first.\n"
		"\n"
		"New extents are of the size of those that there are. A last extent that is\n"
		"shorter is first filled up to it; of a container that is attached it stays as it\n"
		"is and others follow, for nothing may change a file that is mapped.\n"
		"\n"
		"Options:\n"
		"  -e, --extent-size SIZE   size of the new extents, 2G at most\n"
		"      --preallocate HOW    full: write zeroes, so that they can be mapped\n"
		"                           (default). falloc: only reserve the room, which is quick\n"
		"      --allow-outside DIR  extents may also be in DIR or below it\n"
		"  -h, --help               show this\n",
	.run = main_grow,
};
