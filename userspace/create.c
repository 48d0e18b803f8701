// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claims.h"
#include "command.h"
#include "descriptor.h"
#include "interrupt.h"
#include "leftovers.h"
#include "message.h"
#include "new_extents.h"
#include "peers.h"
#include "replace.h"
#include "size.h"

#define DEFAULT_EXTENT_BYTES (UINT64_C(128) << 20)
#define MAX_EXTENT_BYTES (UINT64_C(2) << 30)

/**
 * struct creation - a container that is being made
 * @name: last part of the descriptor's path
 * @plan: what the descriptor will say
 * @files: its extents; @files.path is the descriptor, as the user gave it
 */
struct creation {
	char *name;
	struct descriptor_plan plan;
	struct new_extents files;
};

static uint64_t extent_bytes(const struct creation *c, uint64_t number)
{
	uint64_t before = (number - 1) * c->plan.extent_sectors;
	uint64_t sectors = c->plan.sectors - before;

	if (sectors > c->plan.extent_sectors)
		sectors = c->plan.extent_sectors;
	return sectors << SECTOR_SHIFT;
}

static int list_extents(struct creation *c, uint64_t nr, struct svmdk_error *err)
{
	struct new_extent *e;

	c->files.list = calloc(nr, sizeof(*e));
	if (!c->files.list)
		return error_errno(err, ENOMEM, "cannot create the container");
	while (c->files.nr < nr) {
		e = &c->files.list[c->files.nr++];
		e->name = descriptor_extent_name(c->plan.stem, c->files.nr);
		e->bytes = extent_bytes(c, c->files.nr);
		if (!e->name)
			return error_errno(err, ENOMEM, "cannot create the container");
	}
	return 0;
}

/* What an interrupted command on another container was to make, the next one may remove. */
static int check_claims(const struct creation *c, struct svmdk_error *err)
{
	const struct claim *by = NULL;
	struct claims claims;
	size_t i;

	if (claims_read(&claims, c->files.dirfd, CLAIMS_OF_LISTS, c->name, NULL, err))
		return error_at(err, c->files.path, 0);
	for (i = 0; i < c->files.nr && !by; i++)
		by = claims_find(&claims, c->files.list[i].name);
	if (by)
		claims_refuse(c->files.list[i - 1].name, by, err);
	claims_free(&claims);
	return by ? error_at(err, c->files.path, 0) : 0;
}

/* Of a container that had this name, and has perhaps another one now. */
static int check_own_list(const struct creation *c, struct svmdk_error *err)
{
	char *list = leftovers_name(c->name);
	bool there;

	if (!list)
		return error_errno(err, ENOMEM, "cannot create the container");
	there = faccessat(c->files.dirfd, list, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (!there && errno == ENAMETOOLONG) {
		/* It has the longest name of all that is put beside a descriptor. */
		free(list);
		error_set(
			err, ENAMETOOLONG,
			"its name is too long for the files that svmdk puts beside it; choose a shorter one");
		return error_at(err, c->files.path, 0);
	}
	if (there)
		error_set(err, EEXIST,
			  "an interrupted command on a container of this name left %s; put that "
			  "descriptor back and repeat the command, or remove that list",
			  list);
	free(list);
	return there ? error_at(err, c->files.path, 0) : 0;
}

/* Looks before anything is made; what is made later never overwrites. */
static int check_name(const struct creation *c, struct svmdk_error *err)
{
	struct stat st;

	if (strncmp(c->name, REPLACE_PREFIX, strlen(REPLACE_PREFIX)) == 0) {
		error_set(err, EINVAL,
			  "svmdk calls its temporary files " REPLACE_PREFIX
			  "*, and no extent; choose another name");
		return error_at(err, c->files.path, 0);
	}
	if (fstatat(c->files.dirfd, c->name, &st, AT_SYMLINK_NOFOLLOW))
		return check_own_list(c, err) || check_claims(c, err) ? -1 : 0;
	error_set(err, EEXIST, "exists already; choose another name, or remove it first");
	return error_at(err, c->files.path, 0);
}

static void take_away(const struct creation *c, struct svmdk_error *err)
{
	if (c->files.made)
		error_add(err, "; what was made is removed again");
	new_extents_undo(&c->files);
}

/* The descriptor comes last: a container without one was never there. */
static int make_container(struct creation *c, const char *text, size_t length,
			  struct svmdk_error *err)
{
	struct peer_facts facts = {
		.length = length,
		.lines = peer_count_lines(text, length),
		.nr_extents = c->files.nr,
	};
	int ret;

	if (check_name(c, err) || new_extents_check_room(&c->files, err))
		return -1;
	ret = new_extents_make(&c->files, err);
	if (!ret && replace_create(c->files.dirfd, c->name, 0644, text, length, err))
		ret = error_at(err, c->files.path, 0);
	if (ret)
		take_away(c, err);
	else
		peer_warn_limits(c->files.path, &facts);
	return ret;
}

static int open_folder(struct creation *c, struct svmdk_error *err)
{
	char *copy = strdup(c->files.path);

	c->files.dirfd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	free(copy);
	if (c->files.dirfd >= 0)
		return 0;
	error_errno(err, errno, "cannot open the folder");
	return error_at(err, c->files.path, 0);
}

static int plan_container(struct creation *c, char **text, size_t *length, struct svmdk_error *err)
{
	const uint64_t nr = c->plan.sectors / c->plan.extent_sectors +
			    (c->plan.sectors % c->plan.extent_sectors != 0);

	if (open_folder(c, err))
		return -1;
	/* First this, which knows how many extents are too many. */
	if (descriptor_compose(&c->plan, text, length, err))
		return error_at(err, c->files.path, 0);
	if (list_extents(c, nr, err) == 0)
		return 0;
	free(*text);
	return -1;
}

static int create(const char *path, uint64_t bytes, uint64_t extent, bool write)
{
	const char *slash = strrchr(path, '/');
	char *stem = strdup(slash ? slash + 1 : path);
	struct creation c = {
		.name = strdup(slash ? slash + 1 : path),
		.plan.stem = stem,
		.plan.sectors = bytes >> SECTOR_SHIFT,
		.plan.extent_sectors = extent >> SECTOR_SHIFT,
		.plan.cid = descriptor_new_cid(0),
		.files.dirfd = -1,
		.files.path = path,
		.files.write = write,
	};
	struct svmdk_error err;
	size_t length;
	char *text;
	int ret;

	if (!c.name || !stem) {
		ret = error_errno(&err, ENOMEM, "cannot create the container");
	} else {
		length = strlen(stem);
		if (length >= 5 && strcasecmp(stem + length - 5, ".vmdk") == 0)
			stem[length - 5] = '\0';
		ret = plan_container(&c, &text, &length, &err);
	}
	if (!ret) {
		interrupt_catch();
		ret = make_container(&c, text, length, &err);
		free(text);
	}
	if (ret)
		error_print(&err);
	if (c.files.dirfd >= 0)
		close(c.files.dirfd);
	new_extents_free(&c.files);
	free(c.name);
	free(stem);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int check_sizes(uint64_t bytes, uint64_t extent)
{
	if (!bytes)
		return command_usage(&cmd_create, "the disk cannot have a size of 0");
	if (!extent)
		return command_usage(&cmd_create, "an extent cannot have a size of 0");
	if (extent > MAX_EXTENT_BYTES)
		return command_usage(&cmd_create, "an extent cannot be larger than 2G");
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "extent-size", required_argument, NULL, 'e' },
		{ "preallocate", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	uint64_t bytes, extent = DEFAULT_EXTENT_BYTES;
	struct svmdk_error err;
	bool write = true;
	int option;

	while ((option = getopt_long(argc, argv, "e:h", options, NULL)) != -1) {
		switch (option) {
		case 'e':
			if (size_parse(optarg, &extent, &err))
				return command_usage(&cmd_create, "%s", err.text);
			break;
		case 'p':
			write = strcmp(optarg, "full") == 0;
			if (!write && strcmp(optarg, "falloc"))
				return command_usage(&cmd_create,
						     "--preallocate takes full or falloc, not %s",
						     optarg);
			break;
		case 'h':
			return command_help(&cmd_create);
		default:
			return command_usage(&cmd_create, NULL);
		}
	}
	if (argc - optind != 2)
		return command_usage(&cmd_create, "it takes a FILE and a SIZE");
	if (size_parse(argv[optind + 1], &bytes, &err))
		return command_usage(&cmd_create, "%s", err.text);
	if (check_sizes(bytes, extent))
		return EXIT_USAGE;
	return create(argv[optind], bytes, extent, write);
}

const struct command cmd_create = {
	.name = "create",
	.args = "FILE SIZE [-e SIZE] [--preallocate full|falloc]",
	.summary = "Make a new container: a descriptor and its extents",
	.help = "FILE is the descriptor; the extents get its name without .vmdk, and -f001.vmdk,\n"
		"-f002.vmdk and so on. Nothing that exists is overwritten.\n"
		"\n"
		"SIZE is in bytes, or has a suffix: s for 512-byte sectors, K, M, G, T, P or E.\n"
		"\n"
		"Options:\n"
		"  -e, --extent-size SIZE  size of the extents, 128M by default, 2G at most; the\n"
		"                          last one takes what is left\n"
		"      --preallocate HOW   full: write zeroes, so that the container can be\n"
		"                          mapped (default). falloc: only reserve the room, which\n"
		"                          is quick; the container is not mapped before `svmdk\n"
		"                          allocate' has run on it.\n"
		"  -h, --help              show this\n",
	.run = run,
};
