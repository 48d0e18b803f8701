// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "control.h"
#include "detach_marks.h"
#include "find_device.h"
#include "holders.h"
#include "interrupt.h"
#include "sysfs.h"
#include "udev.h"

/* How long to wait for udev and the like, who let go by themselves. */
#define TRANSIENT_MS 5000

/* A snapshot freezes what is beneath no longer than this. */
#define FROZEN_MS 2000
#define FROZEN_PAUSE_MS 50

/*
 * The content differs from what it was at attach, and whoever keeps a child of
 * this disk must be able to tell. Failing that is no reason to call the detach
 * failed: the disk is gone and all its data safe.
 */
static void renew_cid(const struct device *device, bool lock_is_drivers)
{
	static const char because[] = "so it has no new CID, "
				      "and a snapshot of it elsewhere may not notice the change";
	struct container c;
	struct svmdk_error err;

	if (device->gone) {
		message_warn(device->descriptor, 0,
			     "the descriptor was deleted or replaced while attached, %s", because);
		return;
	}
	if (container_open(&c, device->descriptor, NULL, 0, &err)) {
		message_warn(device->descriptor, err.line, "%s; %s", err.text, because);
		return;
	}
	if (!device_is_descriptor(device, &c.st)) {
		message_warn(device->descriptor, 0,
			     "another file has taken the place of the "
			     "descriptor, %s",
			     because);
	} else {
		/* Nobody else can have the lock while the driver has it. */
		c.locked = lock_is_drivers;
		if (container_new_cid(&c, &err))
			message_warn(device->descriptor, 0, "%s; %s", err.text, because);
	}
	container_close(&c);
}

/* Whether, by what SVMDK_IOC_DETACH said, the disk is there as before. */
static bool is_still_there(int code)
{
	switch (code) {
	case -EAGAIN:
	case -EBUSY:
	case -EINTR:
	case -EINVAL:
	case -EPERM:
	case -E2BIG:
	case -EFAULT:
		return true;
	default:
		return false;
	}
}

/**
 * struct detach - a detach under way
 * @control: the control node
 * @device: what is detached, as it was before
 * @lazy: at the last close, if need be
 * @node: of the disk
 * @name: the kernel's name for the disk
 * @marks: takes what is dirty at the end
 * @answer: what the driver said last
 */
struct detach {
	int control;
	const struct device *device;
	bool lazy;
	char node[DEVICE_NODE_LEN];
	const char *name;
	struct detach_marks marks;
	struct svmdk_ioc_detach answer;
};

static int ask_driver(struct detach *d, uint32_t flags, uint32_t timeout_ms)
{
	return control_detach(d->control, d->device->status.index, flags, timeout_ms,
			      d->marks.dirty, d->marks.dirty_size, &d->answer);
}

static void say_who_uses(const struct detach *d, const struct holders *holders, int code)
{
	char *text = holders_text(holders);

	if (code && !d->answer.openers) {
		free(text);
		message_error(d->node, 0,
			      "svmdk grow is at work on it; detach it when that has ended");
		return;
	}
	if (!text && asprintf(&text, "opened %u time%s, by whom the kernel does not tell",
			      d->answer.openers, d->answer.openers == 1 ? "" : "s") < 0)
		text = NULL;
	if (code)
		message_error(d->node, 0, "in use: %s; unmount or close it first, or use --lazy",
			      text ? text : "");
	else
		message_note(d->node, 0, "in use: %s; it goes when the last user closes it",
			     text ? text : "");
	free(text);
}

/* What is beneath is frozen, for a snapshot perhaps, and thawed in a moment. */
static int detach_frozen(struct detach *d)
{
	const struct timespec pause = { .tv_nsec = FROZEN_PAUSE_MS * 1000000L };
	int code = -EAGAIN, tries;

	for (tries = FROZEN_MS / FROZEN_PAUSE_MS; tries && code == -EAGAIN; tries--) {
		if (nanosleep(&pause, NULL) && interrupt_seen())
			return -EINTR;
		code = ask_driver(d, 0, 0);
	}
	return code;
}

/*
 * It is in use. Who only looks at every disk lets go in a moment, and who
 * cannot be named may have let go already: that is waited for.
 */
static int detach_busy(struct detach *d)
{
	struct holders holders;
	int code = -EBUSY;

	holders_find(&holders, d->name);
	if (holders_are_transient(&holders)) {
		code = ask_driver(d, 0, TRANSIENT_MS);
		if (code == -EBUSY) {
			holders_free(&holders);
			holders_find(&holders, d->name);
		}
	}
	if (code == -EBUSY && d->lazy)
		code = ask_driver(d, SVMDK_DETACH_LAZY, 0);
	if (code == -EBUSY || (!code && d->answer.deferred))
		say_who_uses(d, &holders, code);
	holders_free(&holders);
	return code;
}

static int say_failed(const struct detach *d, int code)
{
	if (code == -EINTR)
		message_error(d->node, 0, "interrupted; it is attached still");
	else if (code == -EAGAIN)
		message_error(d->node, 0,
			      "a file system that it lies on is frozen; thaw it "
			      "(fsfreeze --unfreeze), then detach again");
	else if (!is_still_there(code))
		message_error(d->node, 0,
			      "detached, but the last of what was written may be lost: %s; "
			      "see the kernel's log for the disk beneath",
			      strerror(-code));
	else if (code != -EBUSY) /* who uses it was said */
		message_error(d->node, 0, "cannot detach: %s", strerror(-code));
	return -1;
}

/* Failing that, all counts as changed, which is no harm to what was written. */
static void end_session(struct detach *d)
{
	struct svmdk_error err;

	if (d->marks.usable && detach_marks_end(&d->marks, &err))
		message_warn(d->device->descriptor, 0,
			     "%s; so every extent counts as changed until svmdk manifest has run",
			     err.text);
}

/* The disk is gone, or will be. */
static void clean_up(struct detach *d, int code, struct udev_wait *udev)
{
	const uint32_t flags = d->device->status.flags;

	/*
	 * One that goes at the last close gets its CID now, for no tool will be
	 * there then; and so has no need of it when it is detached once more.
	 */
	if (!(flags & (SVMDK_STATUS_RDONLY | SVMDK_STATUS_DETACHING)) &&
	    (d->answer.written || d->answer.deferred))
		renew_cid(d->device, d->answer.deferred);
	if (!code && !d->answer.deferred)
		end_session(d);
	if (d->answer.deferred)
		udev_wait_cancel(udev);
	else if (udev_wait_removed(udev))
		message_warn(d->node, 0,
			     "detached, but udev is not done with it yet; see udevadm settle");
}

/* Prints its own errors. Returns 0, also when someone else was faster, or -1. */
static int detach_device(int control, const struct device *device, bool lazy)
{
	struct detach d = { .control = control, .device = device, .lazy = lazy };
	struct svmdk_error err;
	struct udev_wait *udev;
	int code;

	if (detach_marks_begin(&d.marks, device, &err)) {
		error_print(&err);
		return -1;
	}
	udev = udev_wait_begin();
	d.name = device_node(device, d.node);
	udev_wait_expect(udev, d.name);
	code = ask_driver(&d, 0, 0);
	if (code == -EAGAIN)
		code = detach_frozen(&d);
	if (code == -EBUSY)
		code = detach_busy(&d);
	if (is_still_there(code))
		udev_wait_cancel(udev);
	else
		clean_up(&d, code, udev);
	detach_marks_free(&d.marks);
	return code && code != -ENODEV ? say_failed(&d, code) : 0;
}

static int detach_named(int control, char **args, int nr, bool lazy)
{
	int i, status = EXIT_OK;

	for (i = 0; i < nr && !interrupt_seen(); i++) {
		struct svmdk_error err;
		struct device device;

		if (find_device(control, args[i], &device, &err)) {
			error_print(&err);
			status = EXIT_FAILED;
			continue;
		}
		if (detach_device(control, &device, lazy))
			status = EXIT_FAILED;
		device_free(&device);
	}
	return i < nr ? EXIT_FAILED : status;
}

static int detach_below(int control, uint32_t end, bool lazy, uint32_t *last)
{
	struct device device, highest = { 0 };
	uint32_t index = 0;
	int result;

	while (!control_next_device(control, index, &device)) {
		index = device.status.index + 1;
		if (device.status.index >= end) {
			device_free(&device);
			break;
		}
		device_free(&highest);
		highest = device;
	}
	if (!highest.descriptor)
		return 1;
	*last = highest.status.index;
	result = detach_device(control, &highest, lazy);
	device_free(&highest);
	return result;
}

/* The highest first: it may lie on a lower one. */
static int detach_all(int control, bool lazy)
{
	uint32_t end = UINT32_MAX;
	int result, status = EXIT_OK;

	while ((result = detach_below(control, end, lazy, &end)) != 1) {
		if (result)
			status = EXIT_FAILED;
		if (interrupt_seen())
			return EXIT_FAILED;
	}
	return status;
}

static int run(char **args, int nr, bool all, bool lazy)
{
	struct svmdk_error err;
	int control, status;

	control = control_open(false, &err);
	if (control < 0 && err.code == ENODEV) {
		if (all)
			return EXIT_OK;
		message_error(args[0], 0, "not attached; %s", err.text);
		return EXIT_FAILED;
	}
	if (control < 0) {
		error_print(&err);
		return EXIT_FAILED;
	}
	interrupt_catch();
	status = all ? detach_all(control, lazy) : detach_named(control, args, nr, lazy);
	close(control);
	return status;
}

static int main_detach(int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ "lazy", no_argument, NULL, 'l' },
		{ 0 },
	};
	bool all = false, lazy = false;
	int option;

	while ((option = getopt_long(argc, argv, "ahl", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			all = true;
			break;
		case 'h':
			return command_help(&cmd_detach);
		case 'l':
			lazy = true;
			break;
		default:
			return command_usage(&cmd_detach, NULL);
		}
	}
	if (all && optind < argc)
		return command_usage(&cmd_detach, "--all and a device are too much");
	if (!all && optind == argc)
		return command_usage(&cmd_detach, "a DEVICE, a descriptor FILE or --all is needed");
	return run(argv + optind, argc - optind, all, lazy);
}

const struct command cmd_detach = {
	.name = "detach",
	.args = "DEVICE|FILE...|--all [--lazy]",
	.summary = "End a disk; what was written to it is safe then",
	.help = "  -a, --all   detach every device\n"
		"  -l, --lazy  one that is in use goes when its last user closes it\n"
		"  -h, --help  show this\n"
		"\n"
		"DEVICE is /dev/svmdkN, svmdkN or a link to it; FILE is a descriptor. A device\n"
		"that is in use stays, and who uses it is said, as far as that can be known.\n"
		"A container that was written gets a new CID.\n",
	.run = main_detach,
};
