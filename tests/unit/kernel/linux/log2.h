/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef _TEST_LINUX_LOG2_H
#define _TEST_LINUX_LOG2_H

#define ilog2(n) (63 - __builtin_clzll(n))

#endif
