/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_FUZZ_H
#define SVMDK_FUZZ_H

/*
 * What the fuzzers share. A target ends by a sanitizer's report or by abort()
 * when something does not hold that is promised of every input.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "descriptor.h"
#include "message.h"

#define HOLDS(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/**
 * check_error() - an error is one line, fit for any terminal
 * @err: an error that is set
 */
void check_error(const struct svmdk_error *err);

/**
 * check_same_extents() - two descriptors name the same extents
 * @a: the one
 * @b: the other
 */
void check_same_extents(const struct descriptor *a, const struct descriptor *b);

/**
 * side_file_give() - what the next side_file_read() is to find
 * @bytes: content of the file
 * @length: of it
 * @self: of the file, as self_line() would say it
 *
 * Of the manifest's and the sidecar's fuzzers, which are linked so that reading
 * and replacing such a file is done in memory: see side_file_memory.c.
 */
void side_file_give(const void *bytes, size_t length, const char *self);

/**
 * side_file_give_replaced() - the next side_file_read() finds what the last
 *	replace_whole() wrote
 */
void side_file_give_replaced(void);

#endif /* SVMDK_FUZZ_H */
