// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Whose a list of leftovers is. */
#include <stdlib.h>
#include <string.h>

#include "leftovers.h"

/**
 * struct told - what a list says of the container that it is about
 * @size: sectors of the disk; 0 in a list that does not say
 * @each: see struct leftovers
 * @kept: the descriptor names the extent that is on the list for that
 * @made: it names any of what was to be made
 * @all_made: and nothing of that is missing
 * @all_used: it names all of what was to be used up
 */
struct told {
	uint64_t size;
	uint64_t each;
	bool kept;
	bool made;
	bool all_made;
	bool all_used;
};

/* What comes behind the key, where the line has it. */
static const char *value_of(const char *line, const char *key)
{
	return strncmp(line, key, strlen(key)) ? NULL : line + strlen(key);
}

/* Without memory it names nothing, so that nothing is removed. */
static bool names_line(const struct descriptor *d, const char *value)
{
	char *name = strndup(value, strcspn(value, "\n"));
	const bool is = name && descriptor_names(d, name);

	free(name);
	return is;
}

static void read_line(const struct descriptor *d, const char *line, struct told *told)
{
	const char *value;
	bool is;

	if ((value = value_of(line, LEFTOVERS_SIZE))) {
		told->size = strtoull(value, NULL, 10);
	} else if ((value = value_of(line, LEFTOVERS_EACH))) {
		told->each = strtoull(value, NULL, 10);
	} else if ((value = value_of(line, LEFTOVERS_KEPT))) {
		told->kept |= names_line(d, value);
	} else if ((value = value_of(line, LEFTOVERS_USED))) {
		told->all_used &= names_line(d, value);
	} else if ((value = value_of(line, LEFTOVERS_MADE))) {
		is = names_line(d, value);
		told->made |= is;
		told->all_made &= is;
	}
}

bool leftovers_has_line(const char *text, const char *key, const char *name)
{
	const size_t key_length = strlen(key), length = strlen(name);
	const char *line;

	for (line = text; *line; line = strchr(line, '\n') + 1)
		if (strncmp(line, key, key_length) == 0 &&
		    strncmp(line + key_length, name, length) == 0 &&
		    line[key_length + length] == '\n')
			return true;
	return false;
}

/* On the way: no file that is not on the list, and the new ones no longer than they will be. */
static bool is_between(const struct descriptor *d, const struct told *told, const char *text)
{
	const struct extent *e;
	size_t i;

	for (i = 0; i < d->nr_extents; i++) {
		e = &d->extents[i];
		if (!extent_has_file(e))
			continue;
		if (leftovers_has_line(text, LEFTOVERS_MADE, e->name)) {
			if (e->sectors > told->each)
				return false;
		} else if (!leftovers_has_line(text, LEFTOVERS_USED, e->name) &&
			   !leftovers_has_line(text, LEFTOVERS_STAYS, e->name)) {
			return false;
		}
	}
	return true;
}

bool leftovers_are_about(const struct descriptor *d, const char *text)
{
	struct told told = { .all_made = true, .all_used = true };
	const char *line;

	for (line = text; strcmp(line, LEFTOVERS_END); line = strchr(line, '\n') + 1)
		read_line(d, line, &told);
	/*
	 * One of a version that did not say is followed. An old descriptor that lacks an extent
	 * is damaged, and what it lacks may not go by it.
	 */
	if (!told.size || (told.kept && told.all_used) || (told.made && told.all_made))
		return true;
	return d->sectors == told.size && told.each && is_between(d, &told, text);
}
