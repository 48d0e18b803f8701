/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_WRITE_ALL_H
#define SVMDK_WRITE_ALL_H

#include <stddef.h>
#include <stdint.h>

/**
 * write_all() - write bytes to a place in a file, all of them
 * @fd: open for writing
 * @bytes: them
 * @length: how many
 * @at: the first byte's place; the file's own position is neither used nor moved
 *
 * Goes on after a signal and after a short write. Returns 0, or -1 with errno.
 */
int write_all(int fd, const void *bytes, size_t length, uint64_t at);

#endif /* SVMDK_WRITE_ALL_H */
