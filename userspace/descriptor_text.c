// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "descriptor.h"
#include "size.h"

#define HEADS 16
#define TRACK_SECTORS 63

uint32_t descriptor_new_cid(uint32_t old)
{
	uint32_t cid;

	if (getrandom(&cid, sizeof(cid), 0) != sizeof(cid))
		cid = old; /* it needs to differ, no more */
	while (cid == old || cid == 0 || cid >= 0xfffffffe)
		cid++;
	return cid;
}

/*
 * A text that grows. Not open_memstream(): where that has no memory glibc leaves out
 * what had no room, and neither the stream nor its end tells.
 */
struct composed {
	char *text;
	size_t length;
	size_t room;
	bool failed; /* there was no memory, for this or for something before it */
};

static void add_bytes(struct composed *c, const char *bytes, size_t length)
{
	size_t room = c->room ? c->room : 4096;
	char *text;

	if (c->failed)
		return;
	while (length >= room - c->length)
		room *= 2;
	if (room != c->room) {
		text = realloc(c->text, room);
		if (!text) {
			c->failed = true;
			return;
		}
		c->text = text;
		c->room = room;
	}
	memcpy(c->text + c->length, bytes, length);
	c->length += length;
	c->text[c->length] = '\0';
}

static void add_string(struct composed *c, const char *string)
{
	add_bytes(c, string, strlen(string));
}

__attribute__((format(printf, 2, 3))) static void add_format(struct composed *c, const char *format,
							     ...)
{
	char *text;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0) {
		c->failed = true;
		return;
	}
	add_bytes(c, text, length);
	free(text);
}

/* The text is the caller's, or freed. */
static int finish_text(struct composed *c, char **text, size_t *length, struct svmdk_error *err)
{
	/* QEMU cuts the tail of a text that fills its sectors. */
	if (c->length % SECTOR_SIZE == 0)
		add_string(c, "\n");
	*text = c->text;
	*length = c->length;
	if (!c->failed && c->length <= DESCRIPTOR_MAX_BYTES)
		return 0;
	free(c->text);
	if (c->failed)
		return error_errno(err, ENOMEM, "cannot write the descriptor");
	return error_set(err, EFBIG,
			 "the descriptor would be larger than 1 MiB; use larger extents");
}

/* A long content ID is 32 digits, the last 8 of which are the CID. */
static bool has_content_id(const struct descriptor *d)
{
	const char *id = d->text + d->content_id_at.at;

	return d->content_id_at.length == 32 && strspn(id, "0123456789abcdefABCDEF") >= 32;
}

/**
 * struct edit - a piece of the text that gives way to another
 * @at: the piece
 * @text: what stands there instead
 */
struct edit {
	struct text_span at;
	const char *text;
};

static int compare_edits(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	return (x->at.at > y->at.at) - (x->at.at < y->at.at);
}

static int write_edited(const struct descriptor *d, struct edit *edits, size_t nr, char **text,
			size_t *length, struct svmdk_error *err)
{
	struct composed c = { 0 };
	size_t at = 0, i;

	qsort(edits, nr, sizeof(*edits), compare_edits);
	for (i = 0; i < nr; i++) {
		add_bytes(&c, d->text + at, edits[i].at.at - at);
		add_string(&c, edits[i].text);
		at = edits[i].at.at + edits[i].at.length;
	}
	add_bytes(&c, d->text + at, d->length - at);
	return finish_text(&c, text, length, err);
}

int descriptor_text_with_cid(const struct descriptor *d, uint32_t cid, char **text, size_t *length,
			     struct svmdk_error *err)
{
	struct edit edits[2];
	char digits[9];
	int nr = 0;

	snprintf(digits, sizeof(digits), "%08" PRIx32, cid);
	edits[nr++] = (struct edit){ d->cid_at, digits };
	if (has_content_id(d))
		edits[nr++] = (struct edit){ { d->content_id_at.at + 24, 8 }, digits };
	return write_edited(d, edits, nr, text, length, err);
}

/* Where line @line is, with its newline; @hint is a line at or before it, and follows. */
static struct text_span find_line(const struct descriptor *d, unsigned int line,
				  struct text_span *hint, unsigned int *hint_line)
{
	const char *newline;

	for (;; (*hint_line)++, hint->at += hint->length) {
		newline = memchr(d->text + hint->at, '\n', d->length - hint->at);
		hint->length = newline ? (size_t)(newline + 1 - d->text) - hint->at :
					 d->length - hint->at;
		if (*hint_line == line)
			return *hint;
	}
}

/* An edit for each line that has an extent now; they are in order. */
static struct edit *find_extent_lines(const struct descriptor *d, size_t spare)
{
	struct edit *edits = calloc(d->nr_extents + spare, sizeof(*edits));
	struct text_span hint = { 0 };
	unsigned int line = 1;
	size_t i;

	for (i = 0; edits && i < d->nr_extents; i++) {
		edits[i].at = find_line(d, d->extents[i].line, &hint, &line);
		edits[i].text = "";
	}
	return edits;
}

static bool same_extent(const struct extent *a, const struct extent *b)
{
	return a->access == b->access && a->type == b->type && a->sectors == b->sectors &&
	       a->offset == b->offset && !a->name == !b->name &&
	       (!a->name || strcmp(a->name, b->name) == 0);
}

/* The text of a line that says of an extent what it said before; or nothing. */
static struct text_span kept_line(const struct descriptor *d, const struct edit *lines,
				  const struct extent *e)
{
	size_t low = 0, high = d->nr_extents, middle;

	while (e->line && low < high) {
		middle = low + (high - low) / 2;
		if (d->extents[middle].line == e->line)
			return same_extent(&d->extents[middle], e) ? lines[middle].at :
								     (struct text_span){ 0 };
		if (d->extents[middle].line < e->line)
			low = middle + 1;
		else
			high = middle;
	}
	return (struct text_span){ 0 };
}

static int check_name(const char *name, struct svmdk_error *err)
{
	const unsigned char *c;

	for (c = (const unsigned char *)name; *c; c++) {
		if (*c == '"' || *c < 0x20 || *c == 0x7f)
			return error_set(
				err, EINVAL,
				"a descriptor cannot name files with quotes or control characters in their names: %s",
				name);
	}
	return 0;
}

static int add_extent(struct composed *c, const struct extent *e, const char *end,
		      struct svmdk_error *err)
{
	add_format(c, "%s %" PRIu64 " %s", extent_access_text(e->access), e->sectors,
		   extent_type_text(e->type));
	if (e->name) {
		if (check_name(e->name, err))
			return -1;
		add_format(c, " \"%s\"", e->name);
	}
	/* VMFS is flat without an offset. */
	if (e->type == EXTENT_FLAT || (e->type == EXTENT_VMFS && e->offset))
		add_format(c, " %" PRIu64, e->offset);
	add_string(c, end);
	return 0;
}

static bool ends_in(const struct descriptor *d, size_t at, const char *end)
{
	size_t length = strlen(end);

	return at >= length && memcmp(d->text + at - length, end, length) == 0;
}

static char *compose_extents(const struct descriptor *d, const struct edit *lines,
			     const struct extent *extents, size_t nr, struct svmdk_error *err)
{
	const struct text_span first = lines[0].at;
	const char *end = ends_in(d, first.at + first.length, "\r\n") ? "\r\n" : "\n";
	struct composed c = { 0 };
	struct text_span kept;
	int result = 0;
	size_t i;

	add_string(&c, ""); /* a text, even of nothing */
	/* After a blank line QEMU would count the first one twice. */
	if (ends_in(d, first.at, "\n\n") || ends_in(d, first.at, "\n\r\n"))
		add_format(&c, "# Extent description%s", end);
	for (i = 0; i < nr && !result; i++) {
		kept = kept_line(d, lines, &extents[i]);
		add_bytes(&c, d->text + kept.at, kept.length);
		if (!kept.length)
			result = add_extent(&c, &extents[i], end, err);
		else if (d->text[kept.at + kept.length - 1] != '\n')
			add_string(&c, end);
	}
	if (c.failed && !result)
		result = error_errno(err, ENOMEM, "cannot write the descriptor");
	if (!result)
		return c.text;
	free(c.text);
	return NULL;
}

static uint64_t sum_sectors(const struct extent *extents, size_t nr)
{
	uint64_t sectors = 0;
	size_t i;

	for (i = 0; i < nr; i++)
		sectors += extents[i].sectors;
	return sectors;
}

int descriptor_text_with_extents(const struct descriptor *d, const struct extent *extents,
				 size_t nr, const char *create_type, char **text, size_t *length,
				 struct svmdk_error *err)
{
	const uint64_t sectors = sum_sectors(extents, nr);
	struct edit *edits = find_extent_lines(d, 2);
	size_t nr_edits = d->nr_extents;
	char cylinders[24];
	char *block = NULL;
	int result = -1;

	if (!edits)
		return error_errno(err, ENOMEM, "cannot write the descriptor");
	block = compose_extents(d, edits, extents, nr, err);
	if (!block)
		goto out;
	edits[0].text = block;
	if (create_type)
		edits[nr_edits++] = (struct edit){ d->create_type_at, create_type };
	if (d->has_geometry && d->heads && d->track_sectors && sectors != d->sectors) {
		snprintf(cylinders, sizeof(cylinders), "%" PRIu64,
			 sectors / d->heads / d->track_sectors);
		edits[nr_edits++] = (struct edit){ d->cylinders_at, cylinders };
	}
	result = write_edited(d, edits, nr_edits, text, length, err);
out:
	free(block);
	free(edits);
	return result;
}

char *descriptor_extent_name(const char *stem, uint64_t number)
{
	char *name;

	if (asprintf(&name, "%s-f%03" PRIu64 ".vmdk", stem, number) < 0)
		return NULL;
	return name;
}

int descriptor_compose(const struct descriptor_plan *plan, char **text, size_t *length,
		       struct svmdk_error *err)
{
	uint64_t left = plan->sectors;
	struct composed c = { 0 };
	uint64_t number, sectors;

	if (!*plan->stem)
		return error_set(err, EINVAL, "the file needs a name before .vmdk");
	if (check_name(plan->stem, err))
		return -1;
	/* No line is shorter than 16 bytes: do not begin what cannot end well. */
	if (plan->sectors / plan->extent_sectors > DESCRIPTOR_MAX_BYTES / 16)
		return error_set(err, EFBIG, "%" PRIu64 " extents are too many; use larger ones",
				 plan->sectors / plan->extent_sectors);
	add_format(&c,
		   "# Disk DescriptorFile\n"
		   "version=1\n"
		   "CID=%08" PRIx32 "\n"
		   "parentCID=ffffffff\n"
		   "createType=\"twoGbMaxExtentFlat\"\n"
		   "\n"
		   "# Extent description\n",
		   plan->cid);
	for (number = 1; left; number++, left -= sectors) {
		sectors = left < plan->extent_sectors ? left : plan->extent_sectors;
		add_format(&c, "RW %" PRIu64 " FLAT \"%s-f%03" PRIu64 ".vmdk\" 0\n", sectors,
			   plan->stem, number);
	}
	add_format(&c,
		   "\n"
		   "# The Disk Data Base\n"
		   "#DDB\n"
		   "\n"
		   "ddb.virtualHWVersion = \"4\"\n"
		   "ddb.geometry.cylinders = \"%" PRIu64 "\"\n"
		   "ddb.geometry.heads = \"%d\"\n"
		   "ddb.geometry.sectors = \"%d\"\n"
		   "ddb.adapterType = \"ide\"\n"
		   "ddb.toolsVersion = \"2147483647\"\n",
		   plan->sectors / (HEADS * TRACK_SECTORS), HEADS, TRACK_SECTORS);
	return finish_text(&c, text, length, err);
}
