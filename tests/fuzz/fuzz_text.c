// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/*
 * Any bytes as a name, a message, a size, a hash and two texts to compare: what
 * is made of them is fit for where it goes.
 */
#include <ctype.h>

#include "fuzz.h"
#include "hash.h"
#include "short_name.h"
#include "side_file.h"
#include "size.h"
#include "text_diff.h"

static void check_escape(const char *text)
{
	char *escaped = message_escape(text);
	const char *c;

	HOLDS(escaped && strlen(escaped) <= 4 * strlen(text));
	for (c = escaped; *c; c++)
		HOLDS((unsigned char)*c >= 0x20 && *c != 0x7f);
	free(escaped);
}

/* In a link's name below /dev/disk nothing else may be. */
static void check_short_name(const char *text)
{
	char name[SVMDK_NAME_LEN];
	const char *c;

	HOLDS(short_name(name, text) == 0 && *name && strlen(name) < sizeof(name));
	for (c = name; *c; c++)
		HOLDS((unsigned char)*c >= 0x80 || isalnum((unsigned char)*c) ||
		      strchr("#+-.:=@_", *c));
}

static void check_name_escape(const char *text)
{
	char *escaped = malloc(2 * strlen(text) + 1);
	size_t length;

	HOLDS(escaped);
	length = name_escape(escaped, text);
	HOLDS(strlen(escaped) == length && !strpbrk(escaped, "\n\r"));
	HOLDS(name_unescape(escaped) == 0 && strcmp(escaped, text) == 0);
	strcpy(escaped, text);
	if (name_unescape(escaped) == 0)
		HOLDS(strlen(escaped) <= strlen(text));
	free(escaped);
}

static void check_numbers(const char *text, size_t size)
{
	char format[SIZE_TEXT_LEN], hex[HASH_TEXT_LEN];
	unsigned char hash[HASH_SIZE], again[HASH_SIZE];
	struct svmdk_error err = { 0 };
	uint64_t bytes;

	if (size_parse(text, &bytes, &err) == 0) {
		HOLDS(bytes % SECTOR_SIZE == 0 && bytes < UINT64_C(1) << 63);
		HOLDS(strlen(size_format(format, bytes)) < sizeof(format));
	} else {
		check_error(&err);
	}
	if (size >= 2 * HASH_SIZE && hash_parse(hash, text) == 0) {
		HOLDS(hash_parse(again, hash_format(hex, hash)) == 0);
		HOLDS(memcmp(hash, again, HASH_SIZE) == 0);
	}
}

/* The lines of the second text alone, in the order in which the diff has them. */
static void check_diff(const char *old, const char *new)
{
	size_t length;
	char *diff;
	FILE *to = open_memstream(&diff, &length);

	HOLDS(to && text_diff(to, "n", old, new) == 0 && fclose(to) == 0);
	HOLDS((length == 0) == (strcmp(old, new) == 0));
	HOLDS(!length || strncmp(diff, "--- n\n+++ n\n@@ ", 15) == 0);
	free(diff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct svmdk_error err;
	size_t first;

	HOLDS(text);
	memcpy(text, data, size);
	text[size] = '\0';
	check_escape(text);
	check_short_name(text);
	check_name_escape(text);
	check_numbers(text, strlen(text));
	error_set(&err, 1, "-%s", text);
	error_at(&err, text, 1);
	check_error(&err);
	first = strlen(text);
	check_diff(text, first < size ? text + first + 1 : text);
	free(text);
	return 0;
}
