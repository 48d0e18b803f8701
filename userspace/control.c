// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "control.h"
#include "module.h"

#define MODULE_NAME "svmdk"
#define DELETED " (deleted)" /* what the kernel adds to the path of such a file */

static int call(int control, unsigned long request, void *arg)
{
	return ioctl(control, request, arg) < 0 ? -errno : 0;
}

static int not_allowed(struct svmdk_error *err)
{
	if (geteuid() == 0)
		return error_set(err, EPERM,
				 "CAP_SYS_ADMIN is needed, and root does not have it here; "
				 "run it outside the container");
	return error_set(err, EPERM, "must be root; try again with sudo");
}

static bool is_absent(int code)
{
	/* A node that outlived its driver says ENXIO or ENODEV. */
	return code == ENOENT || code == ENXIO || code == ENODEV;
}

/* The module is there after all, but its node is not where it belongs. */
static int node_missing(struct svmdk_error *err)
{
	return error_set(err, ENODEV,
			 "the driver is loaded but %s is not there; "
			 "make it with the numbers that /sys/class/misc/%s/dev has",
			 SVMDK_CONTROL_PATH, SVMDK_CONTROL_NAME);
}

static int open_node(bool load, struct svmdk_error *err)
{
	int fd = open(SVMDK_CONTROL_PATH, O_RDWR | O_CLOEXEC);

	if (fd < 0 && is_absent(errno)) {
		if (access("/sys/class/misc/" SVMDK_CONTROL_NAME, F_OK) == 0)
			return node_missing(err);
		if (!load)
			return error_set(err, ENODEV, "module %s is not loaded", MODULE_NAME);
		if (geteuid() != 0)
			return not_allowed(err);
		if (module_load(MODULE_NAME, err))
			return -1;
		/* devtmpfs makes the node before modprobe is done. */
		fd = open(SVMDK_CONTROL_PATH, O_RDWR | O_CLOEXEC);
		if (fd < 0 && is_absent(errno))
			return node_missing(err);
	}
	if (fd >= 0)
		return fd;
	if (errno == EPERM || errno == EACCES)
		return not_allowed(err);
	return error_errno(err, errno, "cannot open %s", SVMDK_CONTROL_PATH);
}

static int check_version(int control, struct svmdk_error *err)
{
	struct svmdk_ioc_version version = { .size = sizeof(version) };
	int code = call(control, SVMDK_IOC_VERSION, &version);

	if (code == -EPERM || code == -EACCES)
		return not_allowed(err);
	if (code)
		return error_errno(err, -code,
				   "%s does not tell its version, so it is no driver "
				   "that this tool knows",
				   SVMDK_CONTROL_PATH);
	if (version.abi == SVMDK_ABI_VERSION)
		return 0;
	return error_set(err, EPROTO,
			 "the driver is version %.*s (ABI %u), this tool needs ABI %u; "
			 "detach everything and reload the module, or install matching ones",
			 SVMDK_RELEASE_LEN, version.release, version.abi, SVMDK_ABI_VERSION);
}

int control_open(bool load, struct svmdk_error *err)
{
	int control = open_node(load, err);

	if (control < 0)
		return -1;
	if (check_version(control, err)) {
		close(control);
		return -1;
	}
	return control;
}

int control_create(int control, int descriptor_fd, const char *name, uint32_t flags)
{
	struct svmdk_ioc_create create = {
		.size = sizeof(create),
		.abi = SVMDK_ABI_VERSION,
		.flags = flags,
		.index = -1,
		.descriptor_fd = descriptor_fd,
	};

	snprintf(create.name, sizeof(create.name), "%s", name);
	return call(control, SVMDK_IOC_CREATE, &create);
}

int control_add_extents(int control, struct svmdk_new_extent *extents, uint32_t nr,
			struct svmdk_ioc_add_extents *answer)
{
	*answer = (struct svmdk_ioc_add_extents){
		.size = sizeof(*answer),
		.nr = nr,
		.extent_size = sizeof(*extents),
		.extents = (uintptr_t)extents,
	};
	return call(control, SVMDK_IOC_ADD_EXTENTS, answer);
}

int control_set_runs(int control, uint32_t extent, const struct svmdk_run *runs, uint32_t nr,
		     enum svmdk_reason reason)
{
	struct svmdk_ioc_set_runs set = {
		.size = sizeof(set),
		.extent = extent,
		.nr = nr,
		.run_size = sizeof(*runs),
		.runs = nr ? (uintptr_t)runs : 0,
		.reason = reason,
	};

	return call(control, SVMDK_IOC_SET_RUNS, &set);
}

int control_commit(int control, struct svmdk_ioc_commit *answer)
{
	*answer = (struct svmdk_ioc_commit){ .size = sizeof(*answer) };
	return call(control, SVMDK_IOC_COMMIT, answer);
}

int control_grow(int control, uint32_t index)
{
	struct svmdk_ioc_create create = {
		.size = sizeof(create),
		.abi = SVMDK_ABI_VERSION,
		.flags = SVMDK_CREATE_GROW,
		.index = index,
		.descriptor_fd = -1,
	};

	return call(control, SVMDK_IOC_CREATE, &create);
}

int control_commit_growth(int control, int descriptor_fd, struct svmdk_ioc_commit *answer)
{
	*answer = (struct svmdk_ioc_commit){
		.size = sizeof(*answer),
		.flags = SVMDK_COMMIT_DESCRIPTOR,
		.descriptor_fd = descriptor_fd,
	};
	return call(control, SVMDK_IOC_COMMIT, answer);
}

int control_detach(int control, uint32_t index, uint32_t flags, uint32_t timeout_ms, uint8_t *dirty,
		   uint32_t dirty_size, struct svmdk_ioc_detach *answer)
{
	*answer = (struct svmdk_ioc_detach){
		.size = sizeof(*answer),
		.index = index,
		.flags = flags,
		.timeout_ms = timeout_ms,
		.dirty_size = dirty_size,
		.dirty = (uintptr_t)dirty,
	};
	return call(control, SVMDK_IOC_DETACH, answer);
}

static void note_deleted(struct device *device)
{
	size_t length = strlen(device->descriptor);
	const size_t suffix = strlen(DELETED);

	if (length <= suffix || strcmp(device->descriptor + length - suffix, DELETED) != 0)
		return;
	/* A file may be called that. */
	if (access(device->descriptor, F_OK) == 0)
		return;
	device->descriptor[length - suffix] = '\0';
	device->gone = true;
}

static int ask(int control, uint32_t index, uint32_t flags, struct device *device)
{
	uint32_t room = PATH_MAX;
	int code;

	memset(device, 0, sizeof(*device));
	for (;;) {
		char *path = realloc(device->descriptor, room);

		if (!path) {
			device_free(device);
			return -ENOMEM;
		}
		device->descriptor = path;
		device->status = (struct svmdk_ioc_status){
			.size = sizeof(device->status),
			.index = index,
			.flags = flags,
			.path_size = room,
			.path = (uintptr_t)path,
		};
		code = call(control, SVMDK_IOC_STATUS, &device->status);
		if (code) {
			device_free(device);
			return code;
		}
		if (device->status.path_size <= room)
			break;
		room = device->status.path_size; /* it was moved deeper meanwhile */
	}
	device->descriptor[device->status.path_size ? device->status.path_size - 1 : 0] = '\0';
	note_deleted(device);
	return 0;
}

int control_device(int control, uint32_t index, struct device *device)
{
	return ask(control, index, 0, device);
}

int control_next_device(int control, uint32_t index, struct device *device)
{
	return ask(control, index, SVMDK_STATUS_NEXT, device);
}

bool device_is_descriptor(const struct device *device, const struct stat *st)
{
	return st->st_ino == device->status.descriptor_ino &&
	       st->st_dev ==
		       makedev(device->status.descriptor_major, device->status.descriptor_minor);
}

int control_find_device(int control, const struct stat *st, const char *path, struct device *device)
{
	uint32_t index = 0;
	int code;

	while (!(code = control_next_device(control, index, device))) {
		if ((st && device_is_descriptor(device, st)) ||
		    strcmp(device->descriptor, path) == 0)
			return 0;
		index = device->status.index + 1;
		device_free(device);
	}
	return code;
}

static int ask_extents(int control, const struct device *device, uint32_t flags,
		       struct svmdk_extent_info **infos, uint32_t *nr)
{
	const uint32_t all = device->status.extents;

	*nr = 0;
	*infos = calloc(all ? all : 1, sizeof(**infos));
	if (!*infos)
		return -ENOMEM;
	while (*nr < all) {
		struct svmdk_ioc_extents extents = {
			.size = sizeof(extents),
			.index = device->status.index,
			.first = *nr,
			.nr = all - *nr,
			.info_size = sizeof(**infos),
			.flags = flags,
			.infos = (uintptr_t)(*infos + *nr),
		};
		int code = call(control, SVMDK_IOC_EXTENTS, &extents);

		if (code) {
			free(*infos);
			*infos = NULL;
			return code;
		}
		if (extents.nr == 0)
			break;
		*nr += extents.nr;
	}
	return 0;
}

int control_extents(int control, const struct device *device, struct svmdk_extent_info **infos,
		    uint32_t *nr)
{
	return ask_extents(control, device, 0, infos, nr);
}

int control_extents_clean(int control, const struct device *device,
			  struct svmdk_extent_info **infos, uint32_t *nr)
{
	return ask_extents(control, device, SVMDK_EXTENTS_CLEAN, infos, nr);
}

const char *device_node(const struct device *device, char node[DEVICE_NODE_LEN])
{
	snprintf(node, DEVICE_NODE_LEN, "/dev/" DISK_PREFIX "%u", device->status.index);
	return node + strlen("/dev/");
}

void device_free(struct device *device)
{
	free(device->descriptor);
	memset(device, 0, sizeof(*device));
}
