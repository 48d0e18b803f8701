/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_FIND_DEVICE_H
#define SVMDK_FIND_DEVICE_H

#include "control.h"
#include "message.h"

/**
 * find_device() - find the attached device that the user means
 * @control: the control node
 * @arg: its node, a link to that, its name (svmdk0), or the descriptor that it
 *	was attached from
 * @device: filled, to be freed with device_free()
 * @err: filled on failure, with @err->file; @err->code is ENODEV when there is
 *	no such device
 *
 * A partition is refused. Returns 0 or -1.
 */
int find_device(int control, const char *arg, struct device *device, struct svmdk_error *err);

#endif /* SVMDK_FIND_DEVICE_H */
