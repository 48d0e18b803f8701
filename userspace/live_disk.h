/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_LIVE_DISK_H
#define SVMDK_LIVE_DISK_H

#include "control.h"
#include "message.h"

/* An attached disk that is looked at while it is in use. */

/**
 * struct live_disk - the disk
 * @control: the control node, or -1
 * @device: what the driver says of it
 * @fd: the disk, open for reading; -1: it is not attached
 * @node: its node
 * @name: the kernel's name for it, the last part of @node
 */
struct live_disk {
	int control;
	struct device device;
	int fd;
	char node[DEVICE_NODE_LEN];
	const char *name;
};

/**
 * live_disk_open() - open the disk that the user means
 * @disk: filled, to be closed, also on failure
 * @arg: as for find_device()
 * @err: filled on failure; @err->code is ENODEV when it is not attached, or
 *	what control_open() says
 *
 * While it is open the disk cannot be detached. Returns 0 or -1.
 */
int live_disk_open(struct live_disk *disk, const char *arg, struct svmdk_error *err);

/**
 * live_disk_flush() - flush it
 * @disk: open, or not attached, which is fine
 * @err: filled on failure
 *
 * What was written to the disk is in its extents then, and their modification
 * times say so. Returns 0 or -1.
 */
int live_disk_flush(const struct live_disk *disk, struct svmdk_error *err);

/**
 * live_disk_close() - close and free
 * @disk: after live_disk_open()
 */
void live_disk_close(struct live_disk *disk);

#endif /* SVMDK_LIVE_DISK_H */
