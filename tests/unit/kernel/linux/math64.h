/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef _TEST_LINUX_MATH64_H
#define _TEST_LINUX_MATH64_H

#define div_u64(dividend, divisor) ((dividend) / (divisor))

#endif
