/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SAME_TIME_H
#define SVMDK_SAME_TIME_H

#include <stdbool.h>
#include <time.h>

/**
 * same_time() - whether two times are the same, to the nanosecond
 * @a: one
 * @b: the other
 */
static inline bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

#endif /* SVMDK_SAME_TIME_H */
