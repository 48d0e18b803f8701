// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "extent_line.h"
#include "size.h"

static const char *const access_texts[] = {
	[EXTENT_RW] = "RW",
	[EXTENT_RDONLY] = "RDONLY",
	[EXTENT_NOACCESS] = "NOACCESS",
};

static const char *const type_texts[] = {
	[EXTENT_FLAT] = "FLAT",
	[EXTENT_VMFS] = "VMFS",
	[EXTENT_ZERO] = "ZERO",
	[EXTENT_SPARSE] = "SPARSE",
	[EXTENT_VMFSSPARSE] = "VMFSSPARSE",
	[EXTENT_VMFSRDM] = "VMFSRDM",
	[EXTENT_VMFSRAW] = "VMFSRAW",
	[EXTENT_SESPARSE] = "SESPARSE",
};

#define NR_ACCESSES (sizeof(access_texts) / sizeof(access_texts[0]))
#define NR_TYPES (sizeof(type_texts) / sizeof(type_texts[0]))

const char *extent_access_text(enum extent_access access)
{
	return access_texts[access];
}

const char *extent_type_text(enum extent_type type)
{
	return type_texts[type];
}

/* Index of the keyword that @word is; @nr when it is none of them. */
static size_t find_keyword(const struct piece *word, const char *const *texts, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (piece_is(word, texts[i]))
			break;
	}
	return i;
}

/*
 * A word that is no known access but stands before a number is meant as one:
 * better to call it by its name than to call the line unknown.
 */
bool extent_line_is(const struct scan *line)
{
	struct scan s = *line;
	struct piece access, number;
	size_t i;

	scan_word(&s, &access);
	if (find_keyword(&access, access_texts, NR_ACCESSES) < NR_ACCESSES)
		return true;
	for (i = 0; i < access.length; i++) {
		if (!isalpha((unsigned char)access.at[i]))
			return false;
	}
	scan_word(&s, &number);
	return access.length && number.length && isdigit((unsigned char)number.at[0]);
}

static int parse_keywords(struct extent *e, struct scan *s, struct svmdk_error *err)
{
	struct piece access, sectors, type;
	size_t found;

	scan_word(s, &access);
	found = find_keyword(&access, access_texts, NR_ACCESSES);
	if (found == NR_ACCESSES)
		return error_set(err, EINVAL,
				 "unknown access %.*s; it must be RW, RDONLY or NOACCESS",
				 PIECE_ARGS(access));
	e->access = found;

	scan_word(s, &sectors);
	if (scan_number(&sectors, "the number of sectors", &e->sectors, err))
		return -1;
	if (e->sectors == 0)
		return error_set(err, EINVAL, "an extent of no sectors; remove the line");
	if (e->sectors >= SECTORS_LIMIT)
		return error_set(err, ERANGE, "the number of sectors is too large: %.*s",
				 PIECE_ARGS(sectors));

	scan_word(s, &type);
	if (!type.length)
		return error_set(err, EINVAL, "the extent's type is missing");
	found = find_keyword(&type, type_texts, NR_TYPES);
	if (found == NR_TYPES)
		return error_set(err, EINVAL,
				 "unknown extent type %.*s; svmdk reads FLAT, VMFS and ZERO",
				 PIECE_ARGS(type));
	e->type = found;
	return 0;
}

static int parse_name(struct extent *e, struct scan *s, struct svmdk_error *err)
{
	struct piece name;

	if (!scan_blanks(s)) {
		if (e->type == EXTENT_ZERO)
			return 0;
		return error_set(err, EINVAL, "the extent's file name is missing");
	}
	if (*s->at != '"')
		return error_set(err, EINVAL, "the extent's file name must stand in quotes");
	if (scan_quoted(s, &name, "the extent's file name", err))
		return -1;
	if (!name.length)
		return error_set(err, EINVAL, "the extent's file name is empty");
	/* Of control characters the only one that a line may have. */
	if (memchr(name.at, '\t', name.length))
		return error_set(err, EINVAL, "there is a tab in the extent's file name");
	e->name = piece_copy(&name);
	if (!e->name)
		return error_errno(err, ENOMEM, "cannot read the descriptor");
	return 0;
}

static int parse_offset(struct extent *e, struct scan *s, struct svmdk_error *err)
{
	struct piece word;

	if (!scan_blanks(s)) {
		if (e->type != EXTENT_FLAT)
			return 0;
		return error_set(err, EINVAL, "a FLAT extent needs an offset after its file name");
	}
	scan_word(s, &word);
	if (scan_number(&word, "the extent's offset", &e->offset, err))
		return -1;
	if (e->offset >= SECTORS_LIMIT - e->sectors)
		return error_set(err, ERANGE, "the extent's offset is too large: %.*s",
				 PIECE_ARGS(word));
	return 0;
}

/* Two words that VMware adds for a device; they say nothing that is needed. */
static int parse_rest(struct scan *s, struct svmdk_error *err)
{
	struct piece word;
	int i;

	for (i = 0; i < 2 && scan_blanks(s); i++) {
		if (*s->at != '"')
			scan_word(s, &word);
		else if (scan_quoted(s, &word, "the device's identifier", err))
			return -1;
	}
	if (scan_blanks(s))
		return error_set(err, EINVAL, "there is text after the end of the extent: %.*s",
				 (int)(s->end - s->at < 80 ? s->end - s->at : 80), s->at);
	return 0;
}

int extent_line_parse(struct extent *e, struct scan line, struct svmdk_error *err)
{
	*e = (struct extent){ 0 };
	if (parse_keywords(e, &line, err) || parse_name(e, &line, err) ||
	    parse_offset(e, &line, err) || parse_rest(&line, err)) {
		free(e->name);
		e->name = NULL;
		return -1;
	}
	return 0;
}
