/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_CONTROL_H
#define SVMDK_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "../kmod/uapi/svmdk.h"
#include "message.h"
#include "sysfs.h"

#define DISK_PREFIX "svmdk" /* what the name of a disk begins with */
#define DEVICE_NODE_LEN (sizeof("/dev/") - 1 + SYSFS_NAME_LEN)

/*
 * The calls of kmod/uapi/svmdk.h. What they do and which errors they give is
 * said there. Where nothing else is said they return 0 or -errno and print
 * nothing.
 */

/**
 * control_open() - open the control node of the driver
 * @load: load the module when it is not
 * @err: filled on failure; @err->code is ENODEV when the driver is not loaded,
 *	EPERM when the caller may not use it
 *
 * Sees to it that driver and tool speak the same ABI. Returns a file
 * descriptor, or -1.
 */
int control_open(bool load, struct svmdk_error *err);

/**
 * control_create() - begin a device, which goes when @control is closed
 * @control: the control node
 * @descriptor_fd: the container's descriptor; the driver keeps this open file
 * @name: short name of the container; cut to what the driver takes
 * @flags: SVMDK_CREATE_*
 */
int control_create(int control, int descriptor_fd, const char *name, uint32_t flags);

/**
 * control_add_extents() - add the next extents to the device that was begun
 * @control: the control node
 * @extents: them; the driver says in each how it is reached
 * @nr: how many, 1 to SVMDK_MAX_BATCH
 * @answer: filled, also on failure
 */
int control_add_extents(int control, struct svmdk_new_extent *extents, uint32_t nr,
			struct svmdk_ioc_add_extents *answer);

/**
 * control_set_runs() - say where a pinned extent lies
 * @control: the control node
 * @extent: its number in the device, from 0
 * @runs: array; may be NULL when @nr is 0
 * @nr: how many; 0 when it cannot be mapped
 * @reason: why it cannot, else SVMDK_REASON_NONE
 */
int control_set_runs(int control, uint32_t extent, const struct svmdk_run *runs, uint32_t nr,
		     enum svmdk_reason reason);

/**
 * control_commit() - make the disk appear
 * @control: the control node
 * @answer: filled, also on failure
 */
int control_commit(int control, struct svmdk_ioc_commit *answer);

/**
 * control_grow() - begin to make a device larger
 * @control: the control node; what is added to it from here on is undone when
 *	it is closed before control_commit_growth()
 * @index: the N of svmdkN
 *
 * -EBUSY when another one does so already, -ENODEV when there is no such.
 */
int control_grow(int control, uint32_t index);

/**
 * control_commit_growth() - give the device its new size
 * @control: the control node, on which it was begun
 * @descriptor_fd: the descriptor that names all its extents now. The device
 *	keeps this open file, and the lock on it, in place of the last one.
 * @answer: filled, also on failure
 */
int control_commit_growth(int control, int descriptor_fd, struct svmdk_ioc_commit *answer);

/**
 * control_detach() - detach a device
 * @control: the control node
 * @index: the N of svmdkN
 * @flags: SVMDK_DETACH_*
 * @timeout_ms: how long to wait for the last user to close it
 * @dirty: when the disk is gone, bit i % 8 of byte i / 8 says whether extent i
 *	was dirty at the end; may be NULL
 * @dirty_size: bytes of room there
 * @answer: filled, also on failure
 */
int control_detach(int control, uint32_t index, uint32_t flags, uint32_t timeout_ms, uint8_t *dirty,
		   uint32_t dirty_size, struct svmdk_ioc_detach *answer);

/**
 * struct device - what the driver says of an attached device
 * @status: as of SVMDK_IOC_STATUS; its path fields are of no use
 * @descriptor: path of the descriptor. One that was deleted or replaced since
 *	attach has its old path; @gone is set then.
 * @gone: see above
 */
struct device {
	struct svmdk_ioc_status status;
	char *descriptor;
	bool gone;
};

/**
 * control_device() - ask for a device
 * @control: the control node
 * @index: the N of svmdkN
 * @device: filled, to be freed
 *
 * -ENODEV when there is none.
 */
int control_device(int control, uint32_t index, struct device *device);

/**
 * control_next_device() - ask for a device or, when there is none, the next one
 * @control: the control node
 * @index: the lowest N that will do
 * @device: filled, to be freed
 *
 * -ENODEV when there is none of that number or above.
 */
int control_next_device(int control, uint32_t index, struct device *device);

/**
 * control_find_device() - ask for the device that a descriptor is attached as
 * @control: the control node
 * @st: status of the descriptor; NULL when it is gone
 * @path: its absolute path, without symbolic links. Tells it when the file
 *	was replaced since attach.
 * @device: filled, to be freed
 *
 * -ENODEV when it is not attached.
 */
int control_find_device(int control, const struct stat *st, const char *path,
			struct device *device);

/**
 * control_extents() - ask for the extents of a device
 * @control: the control node
 * @device: which
 * @infos: set to an array, to be freed; NULL on failure
 * @nr: set to how many
 */
int control_extents(int control, const struct device *device, struct svmdk_extent_info **infos,
		    uint32_t *nr);

/**
 * control_extents_clean() - ask for the extents, and take them for clean from here on
 * @control: the control node
 * @device: which
 * @infos: as for control_extents(); @dirty of each is what it was before
 * @nr: set to how many
 *
 * What is written from here on is dirty again, and so is what is being written
 * meanwhile, when that completes. The driver forgets what it tells here: a
 * caller that is killed before it has written that down would lose it. So
 * write down first, on stable storage, that every extent may have changed.
 */
int control_extents_clean(int control, const struct device *device,
			  struct svmdk_extent_info **infos, uint32_t *nr);

/**
 * device_is_descriptor() - whether a device was attached from this very file
 * @device: the device
 * @st: status of a file
 */
bool device_is_descriptor(const struct device *device, const struct stat *st);

/**
 * device_node() - the node of a device's disk
 * @device: the device
 * @node: set to it: /dev/svmdk0
 *
 * Returns the kernel's name for the disk, which is the last part of @node.
 */
const char *device_node(const struct device *device, char node[DEVICE_NODE_LEN]);

/**
 * device_free() - free what the three above made
 * @device: all zero afterwards. One that is all zero is fine.
 */
void device_free(struct device *device);

#endif /* SVMDK_CONTROL_H */
