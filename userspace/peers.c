// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "message.h"
#include "peers.h"
#include "size.h"

#define QEMU_OLD_MAX_LENGTH 10240 /* before 7.2.8 */
#define QEMU_MAX_EXTENTS 1014 /* 1,024 open files less its own */
#define QEMU_MAX_NAME 511
#define VBOX_MAX_LENGTH (128U << 10)
#define VBOX_MAX_LINES 1100
#define VBOX_EXTENT_SECTORS (UINT64_C(2047) << (20 - SECTOR_SHIFT))

/**
 * struct lines - a text, line by line
 * @at: where the next one begins
 * @end: of the text
 * @number: of the last one that was taken
 */
struct lines {
	const char *at;
	const char *end;
	unsigned int number;
};

static bool next_line(struct lines *l, const char **line, size_t *length)
{
	const char *newline;

	if (l->at == l->end)
		return false;
	newline = memchr(l->at, '\n', l->end - l->at);
	*line = l->at;
	*length = (newline ? newline : l->end) - l->at;
	l->at = newline ? newline + 1 : l->end;
	l->number++;
	return true;
}

size_t peer_count_lines(const char *text, size_t length)
{
	struct lines lines = { text, text + length, 0 };

	while (next_line(&lines, &text, &length))
		;
	return lines.number;
}

unsigned int peer_warn_limits(const char *path, const struct peer_facts *facts)
{
	unsigned int warnings = 0;

	if (facts->length > QEMU_OLD_MAX_LENGTH && ++warnings)
		message_warn(
			path, 0,
			"QEMU before 7.2.8 damages a descriptor of more than 10240 bytes at its first write, and this one has %zu; larger extents make it shorter",
			facts->length);
	if (facts->nr_extents > QEMU_MAX_EXTENTS && ++warnings)
		message_warn(
			path, 0,
			"QEMU needs an open file for each of the %" PRIu64
			" extents, more than the usual limit of 1024 allows; raise it (ulimit -n)",
			facts->nr_extents);
	if (facts->lines > VBOX_MAX_LINES && ++warnings)
		message_warn(
			path, 0,
			"VirtualBox refuses a descriptor of more than 1100 lines, and this one has %zu",
			facts->lines);
	if (facts->length > VBOX_MAX_LENGTH && ++warnings)
		message_warn(
			path, 0,
			"VirtualBox refuses a descriptor of more than 128 KiB, and this one has %zu bytes",
			facts->length);
	return warnings;
}

static unsigned int warn_text(const struct container *c)
{
	const struct descriptor *d = &c->descriptor;
	unsigned int warnings = 0;

	if (d->cid_digits < 8 && c->st.st_size % SECTOR_SIZE == 0 && ++warnings)
		message_warn(
			c->path, 0,
			"QEMU cuts the end of a descriptor whose length is a multiple of 512 when its CID has fewer than 8 digits; svmdk writes 8");
	if (!strstr(d->text, "createType=\"") && ++warnings)
		message_warn(
			c->path, 0,
			"QEMU refuses the descriptor: it knows only createType=\"…\", spelled so");
	if (d->create_type == CREATE_MONOLITHIC_FLAT && d->nr_extents > 1 && ++warnings)
		message_warn(
			c->path, 0,
			"VMware expects one extent of a monolithicFlat disk, and there are %zu",
			d->nr_extents);
	return warnings;
}

/* More cylinders than fit is what a lost extent line leaves behind. */
static unsigned int warn_geometry(const struct container *c)
{
	const struct descriptor *d = &c->descriptor;
	uint64_t sectors;

	if (!d->has_geometry ||
	    (!__builtin_mul_overflow(d->heads, d->track_sectors, &sectors) &&
	     !__builtin_mul_overflow(sectors, d->cylinders, &sectors) && sectors <= d->sectors))
		return 0;
	message_warn(
		c->path, 0,
		"the geometry says that the disk is larger than its extents; VMware trusts it, and an extent line may have been lost");
	return 1;
}

static bool has_lower_case(const char *line, size_t length)
{
	size_t i;

	for (i = 0; i < length && line[i] != '"'; i++) {
		if (islower((unsigned char)line[i]))
			return true;
	}
	return false;
}

/* QEMU passes over what it does not understand, and all after it moves up. */
static unsigned int warn_skipped(const struct container *c, const struct extent *e,
				 const char *line, size_t length)
{
	const char *what;

	if (e->access != EXTENT_RW)
		what = extent_access_text(e->access);
	else if (e->type == EXTENT_ZERO)
		what = "ZERO";
	else if (has_lower_case(line, length))
		what = "lower-case";
	else
		return 0;
	message_warn(
		c->path, e->line,
		"QEMU skips %s extents, so that everything after this one is in the wrong place%s",
		what,
		e + 1 == c->descriptor.extents + c->descriptor.nr_extents ?
			" and the disk too short" :
			"");
	return 1;
}

static unsigned int warn_extent(const struct container *c, const struct extent *e, const char *line,
				size_t length)
{
	unsigned int warnings = warn_skipped(c, e, line, length);

	if (e->type == EXTENT_VMFS && e->offset && ++warnings)
		message_warn(c->path, e->line, "QEMU refuses a VMFS extent with an offset");
	if (e->name && strlen(e->name) > QEMU_MAX_NAME && ++warnings)
		message_warn(c->path, e->line, "QEMU cuts names of more than 511 bytes");
	return warnings;
}

static bool is_blank_line(const char *line, size_t length)
{
	while (length && isspace((unsigned char)line[length - 1]))
		length--;
	return !length;
}

static unsigned int warn_lines(const struct container *c)
{
	const struct descriptor *d = &c->descriptor;
	struct lines lines = { d->text, d->text + d->length, 0 };
	const struct extent *e = d->extents;
	unsigned int warnings = 0;
	bool after_blank = false;
	const char *line;
	size_t length;

	while (e < d->extents + d->nr_extents && next_line(&lines, &line, &length)) {
		if (lines.number == e->line) {
			if (after_blank && ++warnings)
				message_warn(
					c->path, e->line,
					"QEMU counts an extent twice that stands right after a blank line; put a comment (#) between");
			warnings += warn_extent(c, e++, line, length);
		}
		after_blank = is_blank_line(line, length);
	}
	return warnings;
}

/* Not a fault of the container: every split disk but VirtualBox's own is so. */
static void note_resize(const struct container *c)
{
	const struct descriptor *d = &c->descriptor;

	if (d->nr_extents > 1 && d->extents[0].sectors != VBOX_EXTENT_SECTORS)
		message_note(
			c->path, 0,
			"do not resize this disk with VirtualBox, which takes its extents to have 2047M each");
}

unsigned int peer_warn_container(const struct container *c)
{
	const struct descriptor *d = &c->descriptor;
	struct peer_facts facts = {
		.length = d->length,
		.lines = peer_count_lines(d->text, d->length),
		.nr_extents = d->nr_extents,
	};

	note_resize(c);
	return peer_warn_limits(c->path, &facts) + warn_text(c) + warn_geometry(c) + warn_lines(c);
}
