// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "find_device.h"
#include "live_disk.h"

int live_disk_open(struct live_disk *disk, const char *arg, struct svmdk_error *err)
{
	*disk = (struct live_disk){ .control = -1, .fd = -1 };
	disk->control = control_open(false, err);
	if (disk->control < 0 || find_device(disk->control, arg, &disk->device, err))
		return -1;
	disk->name = device_node(&disk->device, disk->node);
	disk->fd = open(disk->node, O_RDONLY | O_CLOEXEC);
	if (disk->fd >= 0)
		return 0;
	error_errno(err, errno, "cannot open it");
	return error_at(err, disk->node, 0);
}

int live_disk_flush(const struct live_disk *disk, struct svmdk_error *err)
{
	if (disk->fd < 0 || fsync(disk->fd) == 0)
		return 0;
	error_errno(err, errno, "cannot flush it");
	return error_at(err, disk->node, 0);
}

void live_disk_close(struct live_disk *disk)
{
	device_free(&disk->device);
	if (disk->fd >= 0)
		close(disk->fd);
	if (disk->control >= 0)
		close(disk->control);
	disk->fd = disk->control = -1;
}
