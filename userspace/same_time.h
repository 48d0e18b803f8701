/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SAME_TIME_H
#define SVMDK_SAME_TIME_H

#include <stdbool.h>
#include <stdint.h>
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

/**
 * time_since() - how long ago a time was, in nanoseconds
 * @then: the time; that of a file may be any
 * @now: of the same clock
 *
 * Below zero where it is to come. What does not fit is the most or the least that does.
 */
static inline int64_t time_since(const struct timespec *then, const struct timespec *now)
{
	int64_t past;

	if (__builtin_sub_overflow(now->tv_sec, then->tv_sec, &past) ||
	    __builtin_mul_overflow(past, INT64_C(1000000000), &past) ||
	    __builtin_add_overflow(past, now->tv_nsec - then->tv_nsec, &past))
		return now->tv_sec > then->tv_sec ? INT64_MAX : INT64_MIN;
	return past;
}

#endif /* SVMDK_SAME_TIME_H */
