// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "command.h"
#include "descriptor.h"
#include "interrupt.h"
#include "message.h"
#include "peers.h"
#include "progress.h"
#include "replace.h"
#include "size.h"
#include "zero.h"

#define DEFAULT_EXTENT_BYTES (UINT64_C(128) << 20)
#define MAX_EXTENT_BYTES (UINT64_C(2) << 30)

/**
 * struct creation - a container that is being made
 * @path: of the descriptor, as the user gave it
 * @name: last part of @path
 * @dirfd: the folder
 * @plan: what the descriptor will say
 * @nr: number of extents
 * @made: how many of them exist, which is what a failure has to take away
 * @write: fill the extents with zeroes, not only allocate them
 */
struct creation {
	const char *path;
	char *name;
	int dirfd;
	struct descriptor_plan plan;
	uint64_t nr;
	uint64_t made;
	bool write;
};

static int fail_at(struct svmdk_error *err, const char *folder_of, const char *name)
{
	char path[PATH_MAX];
	const char *slash = strrchr(folder_of, '/');
	int length = slash ? (int)(slash + 1 - folder_of) : 0;

	snprintf(path, sizeof(path), "%.*s%s", length, folder_of, name);
	return error_at(err, path, 0);
}

static uint64_t extent_bytes(const struct creation *c, uint64_t number)
{
	uint64_t before = (number - 1) * c->plan.extent_sectors;
	uint64_t sectors = c->plan.sectors - before;

	if (sectors > c->plan.extent_sectors)
		sectors = c->plan.extent_sectors;
	return sectors << SECTOR_SHIFT;
}

/* Looks before anything is made; what is made later never overwrites. */
static int check_room(const struct creation *c, struct svmdk_error *err)
{
	uint64_t need = c->plan.sectors << SECTOR_SHIFT, room;
	char need_text[SIZE_TEXT_LEN], missing_text[SIZE_TEXT_LEN];
	struct statvfs fs;
	struct stat st;

	if (fstatat(c->dirfd, c->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		error_set(err, EEXIST, "exists already; choose another name, or remove it first");
		return error_at(err, c->path, 0);
	}
	if (fstatvfs(c->dirfd, &fs) || fs.f_blocks == 0)
		return 0; /* a file system that does not say; the disk will */
	room = geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
	if (__builtin_mul_overflow(room, fs.f_frsize, &room) || need <= room)
		return 0;
	error_set(err, ENOSPC,
		  "not enough room: %s are needed, %s (%" PRIu64 " bytes) more than there are",
		  size_format(need_text, need), size_format(missing_text, need - room),
		  need - room);
	return error_at(err, c->path, 0);
}

/* One call for the whole extent, so that it comes in as few runs as may be. */
static int allocate_extent(const struct creation *c, int fd, uint64_t bytes,
			   struct svmdk_error *err)
{
	int ret;

	do {
		ret = fallocate(fd, 0, 0, bytes);
	} while (ret && errno == EINTR && !interrupt_seen());
	if (ret == 0)
		return 0;
	if (errno == EINTR)
		return error_set(err, EINTR, "interrupted");
	if (errno == EOPNOTSUPP && c->write)
		return ftruncate(fd, bytes) ? error_errno(err, errno, "cannot set its size") : 0;
	return error_errno(err, errno, "cannot allocate %" PRIu64 " bytes%s", bytes,
			   errno == EOPNOTSUPP ? "; use --preallocate full" : "");
}

static int make_extent(struct creation *c, uint64_t number, struct svmdk_error *err)
{
	char *name = descriptor_extent_name(c->plan.stem, number);
	int fd, ret;

	if (!name)
		return error_errno(err, ENOMEM, "cannot create an extent");
	fd = openat(c->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0) {
		if (errno == EEXIST)
			error_set(err, EEXIST,
				  "exists already; choose another name, or remove it first");
		else
			error_errno(err, errno, "cannot create it");
		fail_at(err, c->path, name);
		free(name);
		return -1;
	}
	c->made = number;
	ret = allocate_extent(c, fd, extent_bytes(c, number), err);
	if (!ret && !c->write && fsync(fd))
		ret = error_errno(err, errno, "cannot write it to disk");
	if (ret)
		fail_at(err, c->path, name);
	close(fd);
	free(name);
	return ret;
}

static int fill_extent(const struct creation *c, uint64_t number, struct zeroer *z,
		       struct svmdk_error *err)
{
	char *name = descriptor_extent_name(c->plan.stem, number);
	int fd, ret = 0;

	if (!name)
		return error_errno(err, ENOMEM, "cannot write an extent");
	fd = openat(c->dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		ret = error_errno(err, errno, "cannot open it");
	else
		ret = zero_range(z, fd, 0, extent_bytes(c, number), err);
	if (!ret && fsync(fd))
		ret = error_errno(err, errno, "cannot write it to disk");
	if (fd >= 0 && close(fd) && !ret)
		ret = error_errno(err, errno, "cannot write it to disk");
	if (ret)
		fail_at(err, c->path, name);
	free(name);
	return ret;
}

/*
 * All extents are allocated before the first is written: a disk that is too
 * full says so at once.
 */
static int make_extents(struct creation *c, struct svmdk_error *err)
{
	struct progress progress;
	struct zeroer z;
	uint64_t number;
	int ret = 0;

	for (number = 1; number <= c->nr && !ret; number++)
		ret = make_extent(c, number, err);
	if (ret || !c->write)
		return ret;
	progress_begin(&progress, "Writing", c->plan.sectors << SECTOR_SHIFT);
	ret = zero_begin(&z, &progress, err);
	for (number = 1; number <= c->nr && !ret; number++)
		ret = fill_extent(c, number, &z, err);
	zero_end(&z);
	progress_end(&progress);
	return ret;
}

static void take_away(const struct creation *c, struct svmdk_error *err)
{
	size_t length = strlen(err->text);
	uint64_t number;
	char *name;

	if (c->made)
		snprintf(err->text + length, sizeof(err->text) - length,
			 "; what was made is removed again");
	for (number = 1; number <= c->made; number++) {
		name = descriptor_extent_name(c->plan.stem, number);
		if (!name || unlinkat(c->dirfd, name, 0))
			message_warn(c->path, 0,
				     "extent %" PRIu64 " could not be removed again: %s", number,
				     strerror(errno));
		free(name);
	}
}

/* The descriptor comes last: a container without one was never there. */
static int make_container(struct creation *c, struct svmdk_error *err)
{
	struct peer_facts facts = { .nr_extents = c->nr };
	size_t length;
	char *text;
	int ret;

	if (descriptor_compose(&c->plan, &text, &length, err))
		return error_at(err, c->path, 0);
	ret = check_room(c, err);
	if (!ret)
		ret = make_extents(c, err);
	if (!ret && interrupt_seen()) {
		error_set(err, EINTR, "interrupted");
		ret = error_at(err, c->path, 0);
	}
	if (!ret && replace_create(c->dirfd, c->name, 0644, text, length, err))
		ret = error_at(err, c->path, 0);
	if (ret) {
		take_away(c, err);
	} else {
		facts.length = length;
		facts.lines = peer_count_lines(text, length);
		peer_warn_limits(c->path, &facts);
	}
	free(text);
	return ret;
}

static int create_in_folder(struct creation *c, struct svmdk_error *err)
{
	char *copy = strdup(c->path);
	int ret;

	c->dirfd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	free(copy);
	if (c->dirfd < 0) {
		error_errno(err, errno, "cannot open the folder");
		return error_at(err, c->path, 0);
	}
	interrupt_catch();
	ret = make_container(c, err);
	close(c->dirfd);
	return ret;
}

static int create(const char *path, uint64_t bytes, uint64_t extent, bool write)
{
	struct creation c = {
		.path = path,
		.write = write,
		.plan.sectors = bytes >> SECTOR_SHIFT,
		.plan.extent_sectors = extent >> SECTOR_SHIFT,
		.plan.cid = descriptor_new_cid(0),
	};
	const char *slash = strrchr(path, '/');
	struct svmdk_error err;
	size_t length;
	char *stem;
	int ret;

	c.nr = c.plan.sectors / c.plan.extent_sectors +
	       (c.plan.sectors % c.plan.extent_sectors != 0);
	c.name = strdup(slash ? slash + 1 : path);
	stem = strdup(slash ? slash + 1 : path);
	if (!c.name || !stem) {
		ret = error_errno(&err, ENOMEM, "cannot create the container");
	} else {
		length = strlen(stem);
		if (length >= 5 && strcasecmp(stem + length - 5, ".vmdk") == 0)
			stem[length - 5] = '\0';
		c.plan.stem = stem;
		ret = create_in_folder(&c, &err);
	}
	if (ret)
		error_print(&err);
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
