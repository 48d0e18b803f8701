/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SIZE_H
#define SVMDK_SIZE_H

#include <stdint.h>
#include "message.h"

#define SECTOR_SHIFT 9
#define SECTOR_SIZE (1U << SECTOR_SHIFT)

/* One past the longest disk, file or offset, in sectors: 2^63 bytes. */
#define SECTORS_LIMIT (UINT64_C(1) << (63 - SECTOR_SHIFT))

#define SIZE_TEXT_LEN 16 /* of what size_format() writes, with its NUL */

/**
 * size_parse() - read a size as qemu-img takes it
 * @text: digits, a fraction perhaps, and a suffix: none or B for bytes, s for
 *	sectors, k K M G T P E for powers of 1024
 * @bytes: set to the size in bytes; a multiple of 512, below 2^63, maybe 0
 * @err: filled on failure
 *
 * Returns 0, or -1: no number, a sign, unknown suffix, too large, or not a
 * whole number of sectors.
 */
int size_parse(const char *text, uint64_t *bytes, struct svmdk_error *err);

/**
 * size_format() - write a size for people: 512B, 128M, 2.1G
 * @text: room for SIZE_TEXT_LEN characters
 * @bytes: the size in bytes
 *
 * One digit after the point at most, rounded. Returns @text.
 */
const char *size_format(char text[SIZE_TEXT_LEN], uint64_t bytes);

#endif /* SVMDK_SIZE_H */
