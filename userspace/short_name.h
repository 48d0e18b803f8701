/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SHORT_NAME_H
#define SVMDK_SHORT_NAME_H

#include "../kmod/uapi/svmdk.h"

/**
 * short_name() - the short name of a container, for links under /dev/disk
 * @name: set to it; never empty
 * @file: name of the descriptor's file, without its folder
 *
 * Without .vmdk, cut to what the driver takes, and with an underscore for all
 * that udev does not let into a link. Returns 0, or -1 for lack of memory.
 */
int short_name(char name[SVMDK_NAME_LEN], const char *file);

#endif /* SVMDK_SHORT_NAME_H */
