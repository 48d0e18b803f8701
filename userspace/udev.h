/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_UDEV_H
#define SVMDK_UDEV_H

/*
 * Waiting until udev has done its work on a disk and its partitions, so that
 * their links under /dev/disk exist, or are gone, when svmdk returns.
 */

struct udev_wait;

/**
 * udev_wait_begin() - hear what udev finishes from now on
 *
 * Begin before the disk comes or goes. Returns NULL when no udev is running or
 * it cannot be heard: then there is nothing to wait for, and the functions
 * below take NULL and do nothing.
 */
struct udev_wait *udev_wait_begin(void);

/**
 * udev_wait_expect() - say which disk it is about
 * @w: as udev_wait_begin() returned it
 * @disk: the kernel's name for it; its partitions are those that it has now,
 *	so call this while it exists
 */
void udev_wait_expect(struct udev_wait *w, const char *disk);

/**
 * udev_wait_added() - wait until the disk and its partitions are set up
 * @w: a disk is expected; freed
 *
 * Ends early on a signal that has a handler. Returns 0, or -1 when udev took
 * longer than half a minute.
 */
int udev_wait_added(struct udev_wait *w);

/**
 * udev_wait_removed() - wait until nothing is left of the disk
 * @w: a disk is expected; freed
 *
 * As udev_wait_added().
 */
int udev_wait_removed(struct udev_wait *w);

/**
 * udev_wait_cancel() - do not wait
 * @w: freed
 */
void udev_wait_cancel(struct udev_wait *w);

#endif /* SVMDK_UDEV_H */
