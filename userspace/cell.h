/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_CELL_H
#define SVMDK_CELL_H

#include <libsmartcols.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What stands in a line of a table.
 */

/**
 * cell_set_text() - put bytes of whatever origin into a cell
 * @line: of the table
 * @column: number of the column
 * @bytes: a string; escaped as message_escape() does
 *
 * Returns 0 or a negative errno value.
 */
int cell_set_text(struct libscols_line *line, size_t column, const char *bytes);

/**
 * cell_set_number() - put a number into a cell
 * @line: of the table
 * @column: number of the column
 * @number: it
 *
 * Returns 0 or a negative errno value.
 */
int cell_set_number(struct libscols_line *line, size_t column, uint64_t number);

#endif /* SVMDK_CELL_H */
