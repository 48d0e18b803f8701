/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#ifndef _SVMDK_CONTROL_H
#define _SVMDK_CONTROL_H

#include <linux/init.h>

int __init svmdk_control_init(void);
void svmdk_control_exit(void);

#endif /* _SVMDK_CONTROL_H */
