// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cell.h"
#include "message.h"

int cell_set_text(struct libscols_line *line, size_t column, const char *bytes)
{
	char *text = message_escape(bytes);

	return text ? scols_line_refer_data(line, column, text) : -ENOMEM;
}

int cell_set_number(struct libscols_line *line, size_t column, uint64_t number)
{
	char *text;

	if (asprintf(&text, "%" PRIu64, number) < 0)
		return -ENOMEM;
	return scols_line_refer_data(line, column, text);
}
