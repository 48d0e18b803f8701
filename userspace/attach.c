// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "control.h"
#include "feed.h"
#include "interrupt.h"
#include "leftovers.h"
#include "marks.h"
#include "short_name.h"
#include "size.h"
#include "sysfs.h"
#include "udev.h"

/**
 * struct attach - an attach under way
 * @file: the descriptor, as the user gave it
 * @allow: folders of --allow-outside
 * @nr_allow: number of these
 * @container: what is attached
 * @feed: its extents on their way; @feed.control undoes all when it is closed
 *	before the commit
 */
struct attach {
	char *file;
	char **allow;
	size_t nr_allow;
	struct container container;
	struct feed feed;
};

/* Extents may all be RDONLY: then the disk had better say so. */
static bool is_writable(const struct descriptor *d)
{
	size_t i;

	for (i = 0; i < d->nr_extents; i++)
		if (d->extents[i].access == EXTENT_RW && extent_has_file(&d->extents[i]))
			return true;
	return false;
}

static int begin(struct attach *a, struct svmdk_error *err)
{
	char name[SVMDK_NAME_LEN];
	int code;

	if (short_name(name, a->container.name))
		return error_set(err, ENOMEM, "not enough memory");
	/*
	 * The driver keeps this open file, and with it the lock: no other
	 * svmdk command changes the container while it is attached.
	 */
	code = control_create(a->feed.control, a->container.fd, name,
			      a->feed.rdonly ? SVMDK_CREATE_RDONLY : 0);
	if (!code)
		return 0;
	error_errno(err, -code, "the driver cannot begin a device");
	return error_at(err, a->file, 0);
}

static int check_not_attached(const struct attach *a, struct svmdk_error *err)
{
	struct device device;
	int code;

	code = control_find_device(a->feed.control, &a->container.st, a->container.real_path,
				   &device);
	if (code == -ENODEV)
		return 0;
	if (code) {
		error_errno(err, -code, "cannot ask the driver what is attached");
		return error_at(err, a->file, 0);
	}
	if (device.status.flags & SVMDK_STATUS_DETACHING)
		error_set(err, EBUSY,
			  "still attached as /dev/svmdk%u, which goes when its last user "
			  "closes it",
			  device.status.index);
	else
		error_set(err, EBUSY,
			  "attached already as /dev/svmdk%u; svmdk detach /dev/svmdk%u first",
			  device.status.index, device.status.index);
	device_free(&device);
	return error_at(err, a->file, 0);
}

static int commit(struct attach *a, struct svmdk_error *err)
{
	struct udev_wait *udev = udev_wait_begin();
	struct svmdk_ioc_commit answer;
	char node[sizeof("/dev/") + SYSFS_NAME_LEN];
	int code;

	code = control_commit(a->feed.control, &answer);
	if (code) {
		udev_wait_cancel(udev);
		if (!a->feed.rdonly)
			marks_attach_undo(&a->container);
		return feed_refused(&a->feed, &answer, code, err);
	}
	snprintf(node, sizeof(node), "/dev/" DISK_PREFIX "%u", answer.index);
	udev_wait_expect(udev, node + strlen("/dev/"));
	if (udev_wait_added(udev))
		message_warn(node, 0,
			     "attached, but udev is not done with it yet; see udevadm settle");
	puts(node);
	return 0;
}

/* Before it is written: behind that what an interrupted command made may be the only copy. */
static int clear_up(const struct attach *a, struct svmdk_error *err)
{
	int ret;

	if (a->feed.rdonly)
		return leftovers_check(&a->container, err);
	ret = leftovers_recover(&a->container, NULL, err);
	if (!ret || err->code != EPERM)
		return ret;
	/* Another user's is for him to follow. */
	message_warn(err->file, err->line, "%s", err->text);
	return 0;
}

static int attach(struct attach *a, struct svmdk_error *err)
{
	if (container_open(&a->container, a->file, a->allow, a->nr_allow, err))
		return -1;
	a->feed.control = control_open(true, err);
	if (a->feed.control < 0)
		return -1;
	/* First this, which says more than that it is locked or busy. */
	if (check_not_attached(a, err) || container_lock(&a->container, err))
		return -1;
	if (!is_writable(&a->container.descriptor))
		a->feed.rdonly = true;
	if (clear_up(a, err))
		return -1;
	if (begin(a, err) || feed_extents(&a->feed, 0, "Attaching", err))
		return -1;
	/* From the commit on it may be written, and a crash may come. */
	if (!a->feed.rdonly && marks_attach(&a->container, err))
		return -1;
	return commit(a, err);
}

static int run(struct attach *a)
{
	struct svmdk_error err;
	int result;

	a->feed.control = -1;
	a->feed.container = &a->container;
	interrupt_catch();
	result = attach(a, &err);
	if (result)
		error_print(&err);
	if (a->feed.control >= 0)
		close(a->feed.control);
	feed_free(&a->feed);
	container_close(&a->container);
	return result ? EXIT_FAILED : EXIT_OK;
}

static int parse_io(const char *text, enum svmdk_io *io)
{
	static const char *const names[] = {
		[SVMDK_IO_AUTO] = "auto",
		[SVMDK_IO_MAPPED] = "mapped",
		[SVMDK_IO_FILE] = "file",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*io = i;
			return 0;
		}
	}
	return -1;
}

static int main_attach(int argc, char **argv)
{
	static const struct option options[] = {
		{ "allow-outside", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ "io", required_argument, NULL, 'i' },
		{ "read-only", no_argument, NULL, 'r' },
		{ 0 },
	};
	/* No more folders than arguments. */
	char **allow = calloc(argc, sizeof(*allow));
	struct attach a = { .feed.io = SVMDK_IO_AUTO, .allow = allow };
	int option, status = EXIT_OK;

	if (!allow) {
		message_error(NULL, 0, "not enough memory");
		return EXIT_FAILED;
	}
	while (status == EXIT_OK && (option = getopt_long(argc, argv, "hr", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			allow[a.nr_allow++] = optarg;
			break;
		case 'h':
			free(allow);
			return command_help(&cmd_attach);
		case 'i':
			if (parse_io(optarg, &a.feed.io))
				status = command_usage(&cmd_attach,
						       "--io is auto, mapped or file, not %s",
						       optarg);
			break;
		case 'r':
			a.feed.rdonly = true;
			break;
		default:
			status = command_usage(&cmd_attach, NULL);
		}
	}
	if (status == EXIT_OK && optind + 1 != argc)
		status = command_usage(&cmd_attach, "one descriptor FILE is needed");
	if (status == EXIT_OK) {
		a.file = argv[optind];
		status = run(&a);
	}
	free(allow);
	return status;
}

const struct command cmd_attach = {
	.name = "attach",
	.args = "FILE [-r] [--io auto|mapped|file] [--allow-outside DIR]...",
	.summary = "Make a container a disk; prints /dev/svmdkN",
	.help = "  -r, --read-only      the disk cannot be written; FILE and its extents stay\n"
		"                       as they are\n"
		"      --io WAY         how the extents are reached:\n"
		"                         auto    each the fastest way that it allows (default)\n"
		"                         mapped  straight to the disk beneath, or fail\n"
		"                         file    through the file system\n"
		"      --allow-outside DIR\n"
		"                       extents may lie in DIR or below too, not only in FILE's\n"
		"                       own folder; and may be block devices there\n"
		"  -h, --help           show this\n"
		"\n"
		"When it returns, the disk, its partitions and their links exist. svmdk list\n"
		"shows which way each extent is reached, and why not mapped.\n",
	.run = main_attach,
};
