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

/**
 * write_out() - have the disk write what was written, and wait for what was before it
 * @fd: open for writing
 * @at: begin of the range that is to be written from now on
 * @length: of it, in bytes
 * @before: length of the range before it that is waited for; may be 0
 *
 * So that not too much is in memory when fsync() comes, which is needed all the same. A
 * write that failed is told to whoever waits first, and then not by fsync(): the result
 * counts. Returns 0, or -1 with errno.
 */
int write_out(int fd, uint64_t at, uint64_t length, uint64_t before);

#endif /* SVMDK_WRITE_ALL_H */
