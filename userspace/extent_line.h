/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_EXTENT_LINE_H
#define SVMDK_EXTENT_LINE_H

#include <stdbool.h>
#include "descriptor.h"
#include "scan.h"

/*
 * One extent line: ACCESS SECTORS TYPE "NAME" [OFFSET [PARTITION-UUID
 * [DEVICE-ID]]]. The sparse types are read too; that the disk cannot be
 * attached is said once the whole of the descriptor is known.
 */

/**
 * extent_line_is() - whether a line begins as an extent does
 * @line: the line, blanks before it skipped
 */
bool extent_line_is(const struct scan *line);

/**
 * extent_line_parse() - read an extent line
 * @e: filled but for @e->start and @e->line; @e->name is to be freed
 * @line: the line, blanks before it skipped
 * @err: filled on failure, but for the place
 *
 * Returns 0 or -1.
 */
int extent_line_parse(struct extent *e, struct scan line, struct svmdk_error *err);

#endif /* SVMDK_EXTENT_LINE_H */
