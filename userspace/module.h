/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_MODULE_H
#define SVMDK_MODULE_H

#include "message.h"

/**
 * module_load() - load a kernel module
 * @name: of the module
 * @err: filled on failure: modprobe's own words, and what to do
 *
 * Runs modprobe and waits for it. Returns 0 or -1.
 */
int module_load(const char *name, struct svmdk_error *err);

#endif /* SVMDK_MODULE_H */
