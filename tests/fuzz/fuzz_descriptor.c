// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/*
 * Any bytes as a descriptor. What is taken is consistent, and written again
 * with another content ID or its extents composed anew it says the same.
 */
#include <errno.h>

#include "fuzz.h"
#include "size.h"

static void check_span(const struct descriptor *d, struct text_span span)
{
	HOLDS(span.at <= d->length && span.length <= d->length - span.at);
}

static void check_extent(const struct extent *e)
{
	const char *c;

	HOLDS(e->type <= EXTENT_ZERO && e->access <= EXTENT_NOACCESS && e->line > 0);
	HOLDS(e->sectors > 0 && e->offset < SECTORS_LIMIT - e->sectors);
	HOLDS(e->name || e->type == EXTENT_ZERO);
	HOLDS(!e->name || *e->name);
	for (c = e->name; c && *c; c++)
		HOLDS((unsigned char)*c >= 0x20 && *c != 0x7f && *c != '"');
}

static void check_descriptor(const struct descriptor *d)
{
	uint64_t sectors = 0;
	size_t i;

	HOLDS(d->nr_extents > 0 && d->version >= 1 && d->version <= 3 && d->create_type_text);
	HOLDS(strlen(d->text) == d->length && d->cid_digits >= 1 && d->cid_digits <= 8);
	for (i = 0; i < d->nr_extents; i++) {
		check_extent(&d->extents[i]);
		HOLDS(d->extents[i].start == sectors);
		HOLDS(!i || d->extents[i].line > d->extents[i - 1].line);
		sectors += d->extents[i].sectors;
		HOLDS(sectors < SECTORS_LIMIT);
	}
	HOLDS(d->sectors == sectors);
	check_span(d, d->cid_at);
	check_span(d, d->content_id_at);
	check_span(d, d->create_type_at);
	check_span(d, d->cylinders_at);
}

/* Parses what was written, which has to be a descriptor. */
static void parse_again(struct descriptor *d, const char *text, size_t length)
{
	struct svmdk_error err;

	HOLDS(length % SECTOR_SIZE != 0 && length <= DESCRIPTOR_MAX_BYTES);
	HOLDS(strlen(text) == length);
	if (descriptor_parse(d, text, length, &err)) {
		fprintf(stderr, "%u: %s\n%s\n", err.line, err.text, text);
		abort();
	}
	check_descriptor(d);
}

static void check_with_cid(const struct descriptor *d)
{
	struct svmdk_error err;
	struct descriptor new;
	size_t length;
	char *text;

	if (descriptor_text_with_cid(d, 0x1234abcd, &text, &length, &err)) {
		HOLDS(err.code == EFBIG);
		check_error(&err);
		return;
	}
	parse_again(&new, text, length);
	HOLDS(new.cid == 0x1234abcd && new.cid_digits == 8);
	HOLDS(new.content_id_at.length == d->content_id_at.length);
	if (new.content_id_at.length == 32 &&
	    strspn(d->text + d->content_id_at.at, "0123456789abcdefABCDEF") >= 32)
		HOLDS(memcmp(new.text + new.content_id_at.at + 24, "1234abcd", 8) == 0);
	check_same_extents(d, &new);
	descriptor_free(&new);
	free(text);
}

/* By the lines that they have, or (@anew) every line composed. */
static void check_with_extents(const struct descriptor *d, int anew)
{
	struct extent *extents = malloc(d->nr_extents * sizeof(*extents));
	struct svmdk_error err;
	struct descriptor new;
	size_t length, i;
	char *text;

	HOLDS(extents);
	memcpy(extents, d->extents, d->nr_extents * sizeof(*extents));
	for (i = 0; anew && i < d->nr_extents; i++)
		extents[i].line = 0;
	if (descriptor_text_with_extents(d, extents, d->nr_extents, anew ? "custom" : NULL, &text,
					 &length, &err)) {
		HOLDS(err.code == EFBIG);
		check_error(&err);
	} else {
		parse_again(&new, text, length);
		HOLDS(new.cid == d->cid &&new.cylinders == d->cylinders);
		HOLDS(new.create_type == (anew ? CREATE_CUSTOM : d->create_type));
		check_same_extents(d, &new);
		descriptor_free(&new);
		free(text);
	}
	free(extents);
}

/* The first extent goes, another one comes. */
static void check_other_extents(const struct descriptor *d)
{
	struct extent *extents = calloc(d->nr_extents, sizeof(*extents));
	const struct extent last = { .type = EXTENT_ZERO, .sectors = 8 };
	struct svmdk_error err;
	struct descriptor new;
	size_t length;
	char *text;

	HOLDS(extents);
	memcpy(extents, d->extents + 1, (d->nr_extents - 1) * sizeof(*extents));
	extents[d->nr_extents - 1] = last;
	if (descriptor_text_with_extents(d, extents, d->nr_extents, NULL, &text, &length, &err)) {
		HOLDS(err.code == EFBIG);
		check_error(&err);
	} else {
		parse_again(&new, text, length);
		HOLDS(new.nr_extents == d->nr_extents);
		HOLDS(new.sectors == d->sectors - d->extents[0].sectors + last.sectors);
		if (d->has_geometry && d->heads && d->track_sectors && new.sectors != d->sectors)
			HOLDS(new.cylinders == new.sectors / d->heads / d->track_sectors);
		descriptor_free(&new);
		free(text);
	}
	free(extents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct descriptor zero;
	struct svmdk_error err = { 0 };
	struct descriptor d;

	if (descriptor_parse(&d, data, size, &err)) {
		HOLDS(memcmp(&d, &zero, sizeof(d)) == 0 && !*err.file);
		check_error(&err);
		return 0;
	}
	check_descriptor(&d);
	check_with_cid(&d);
	check_with_extents(&d, 0);
	check_with_extents(&d, 1);
	/* A sum that is near its limit has no room for the other one. */
	if (d.sectors < SECTORS_LIMIT - 8)
		check_other_extents(&d);
	descriptor_free(&d);
	return 0;
}
