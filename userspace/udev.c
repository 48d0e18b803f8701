// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <libudev.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sysfs.h"
#include "udev.h"

#define CONTROL_SOCKET "/run/udev/control"
#define TIMEOUT_MS 30000
#define BUFFER_BYTES (16 << 20) /* some thousand events */
#define DISKSEQ_LEN 32

/**
 * struct udev_wait - what is waited for
 * @udev: of libudev
 * @monitor: tells of each event after udev has finished it
 * @blocks: the disk and its partitions
 * @nr: number of these
 * @done: for each of them, whether it was told of
 * @diskseq: tells the disk from earlier and later ones of its name; or ""
 */
struct udev_wait {
	struct udev *udev;
	struct udev_monitor *monitor;
	struct sysfs_block *blocks;
	int nr;
	bool *done;
	char diskseq[DISKSEQ_LEN];
};

/* Its socket stays behind when it is killed; then nobody listens. */
static bool is_socket_dead(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = CONTROL_SOCKET };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool dead;

	if (fd < 0)
		return false;
	dead = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
	       errno == ECONNREFUSED;
	close(fd);
	return dead;
}

static bool udev_is_running(struct udev *udev)
{
	struct udev_queue *queue = udev_queue_new(udev);
	bool running = queue && udev_queue_get_udev_is_active(queue);

	udev_queue_unref(queue);
	return running && !is_socket_dead();
}

struct udev_wait *udev_wait_begin(void)
{
	struct udev_wait *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->udev = udev_new();
	if (!w->udev || !udev_is_running(w->udev))
		goto fail;
	w->monitor = udev_monitor_new_from_netlink(w->udev, "udev");
	if (!w->monitor)
		goto fail;
	if (udev_monitor_filter_add_match_subsystem_devtype(w->monitor, "block", NULL) < 0)
		goto fail;
	/* Without it the usual size will do, unless thousands of disks come and go. */
	(void)udev_monitor_set_receive_buffer_size(w->monitor, BUFFER_BYTES);
	if (udev_monitor_enable_receiving(w->monitor) < 0)
		goto fail;
	return w;
fail:
	udev_wait_cancel(w);
	return NULL;
}

void udev_wait_expect(struct udev_wait *w, const char *disk)
{
	if (!w)
		return;
	sysfs_attr(disk, "diskseq", w->diskseq, sizeof(w->diskseq));
	w->nr = sysfs_disk_and_parts(disk, &w->blocks);
	if (w->nr > 0)
		w->done = calloc(w->nr, sizeof(*w->done));
	if (!w->done)
		w->nr = 0;
}

/* An event may be of a disk that had the name before: detached lazily, say. */
static bool is_of_this_disk(const struct udev_wait *w, struct udev_device *device)
{
	const char *diskseq = udev_device_get_property_value(device, "DISKSEQ");

	/* Linux before 6.2 does not give it to partitions. */
	return !diskseq || !w->diskseq[0] || strcmp(diskseq, w->diskseq) == 0;
}

static void note_event(struct udev_wait *w, struct udev_device *device, const char *action)
{
	const char *name = udev_device_get_sysname(device);
	const char *happened = udev_device_get_action(device);
	int i;

	if (!name || !happened || strcmp(happened, action) != 0 || !is_of_this_disk(w, device))
		return;
	for (i = 0; i < w->nr; i++)
		if (strcmp(w->blocks[i].name, name) == 0)
			w->done[i] = true;
}

/* Events were lost: go by the database instead, as far as it says anything. */
static void look_up(struct udev_wait *w)
{
	int i;

	for (i = 0; i < w->nr; i++) {
		struct udev_device *device =
			udev_device_new_from_subsystem_sysname(w->udev, "block", w->blocks[i].name);

		w->done[i] = !device || udev_device_get_is_initialized(device);
		udev_device_unref(device);
	}
}

/* A partition that someone removed meanwhile will never be set up. */
static bool all_done(const struct udev_wait *w, bool added)
{
	int i;

	for (i = 0; i < w->nr; i++)
		if (!w->done[i] && !(added && !sysfs_devno(w->blocks[i].name)))
			return false;
	return true;
}

static void receive(struct udev_wait *w, const char *action)
{
	struct udev_device *device;

	for (;;) {
		errno = 0;
		device = udev_monitor_receive_device(w->monitor);
		if (device)
			note_event(w, device, action);
		else if (errno == ENOBUFS)
			look_up(w);
		else if (errno != EINTR)
			return;
		udev_device_unref(device);
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for(struct udev_wait *w, const char *action)
{
	const int64_t end = now_ms() + TIMEOUT_MS;
	const bool added = strcmp(action, "add") == 0;
	int result = 0;

	if (!w)
		return 0;
	while (!all_done(w, added)) {
		struct pollfd fd = { .fd = udev_monitor_get_fd(w->monitor), .events = POLLIN };
		const int64_t left = end - now_ms();

		if (left <= 0) {
			result = -1;
			break;
		}
		if (poll(&fd, 1, left) < 0) {
			/* The disk is there, or gone, whatever the user wants by now. */
			if (errno == EINTR)
				continue;
			result = -1;
			break;
		}
		receive(w, action);
	}
	udev_wait_cancel(w);
	return result;
}

int udev_wait_added(struct udev_wait *w)
{
	return wait_for(w, "add");
}

int udev_wait_removed(struct udev_wait *w)
{
	return wait_for(w, "remove");
}

void udev_wait_cancel(struct udev_wait *w)
{
	if (!w)
		return;
	udev_monitor_unref(w->monitor);
	udev_unref(w->udev);
	free(w->blocks);
	free(w->done);
	free(w);
}
