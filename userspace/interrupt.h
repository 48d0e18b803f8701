/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_INTERRUPT_H
#define SVMDK_INTERRUPT_H

#include <stdbool.h>

/**
 * interrupt_catch() - from now on SIGINT, SIGTERM and SIGHUP only leave a note
 *
 * System calls that wait return EINTR. A signal that was ignored (nohup) stays
 * so. Writing to a closed pipe or past RLIMIT_FSIZE becomes an error of that
 * write.
 */
void interrupt_catch(void);

/**
 * interrupt_seen() - whether one of them came
 */
bool interrupt_seen(void);

#endif /* SVMDK_INTERRUPT_H */
