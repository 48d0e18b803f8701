// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_file.h"
#include "replace.h"
#include "side_file.h"

static int compare_lines(const void *a, const void *b)
{
	const struct manifest_line *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	return order ? order : (one->line > other->line) - (one->line < other->line);
}

static struct manifest_line *new_line(struct manifest *m)
{
	struct manifest_line *list;

	if (m->nr == m->room) {
		m->room = m->room ? 2 * m->room : 64;
		list = reallocarray(m->list, m->room, sizeof(*list));
		if (!list)
			return NULL;
		m->list = list;
	}
	return &m->list[m->nr];
}

int manifest_add(struct manifest *m, const char *name, const unsigned char hash[HASH_SIZE])
{
	struct manifest_line *line = new_line(m);

	if (!line)
		return -1;
	*line = (struct manifest_line){ .name = strdup(name) };
	if (!line->name)
		return -1;
	memcpy(line->hash, hash, HASH_SIZE);
	m->nr++;
	return 0;
}

/* Returns 0, an errno value, or EINVAL for a line that sha256sum did not write. */
static int parse_line(struct manifest *m, char *text, size_t length, unsigned int number)
{
	unsigned char hash[HASH_SIZE];
	bool escaped = *text == '\\';
	char *name;

	if (length && text[length - 1] == '\r')
		text[--length] = '\0';
	if (escaped) {
		text++;
		length--;
	}
	/* Digits, a blank, a blank or an asterisk, a name. */
	if (length < 2 * HASH_SIZE + 3 || strlen(text) != length || hash_parse(hash, text))
		return EINVAL;
	name = text + 2 * HASH_SIZE;
	if (name[0] != ' ' || (name[1] != ' ' && name[1] != '*'))
		return EINVAL;
	name += 2;
	if (escaped && name_unescape(name))
		return EINVAL;
	if (manifest_add(m, name, hash))
		return ENOMEM;
	m->list[m->nr - 1].line = number;
	return 0;
}

static int parse(struct manifest *m, struct side_file *file, struct svmdk_error *err)
{
	char *at = file->bytes, *text;
	unsigned int number = 0;
	size_t length;
	int code;

	while ((text = side_file_next_line(&at, file->bytes + file->length, &length))) {
		number++;
		if (!length || *text == '#')
			continue;
		code = parse_line(m, text, length, number);
		if (code == ENOMEM)
			return error_errno(err, code, "cannot read it");
		if (code) {
			error_set(err, code,
				  "not a line as sha256sum writes it; take the manifest away and "
				  "make a new one with svmdk manifest");
			err->line = number;
			return -1;
		}
	}
	return 0;
}

static int find_twice(const struct manifest *m, struct svmdk_error *err)
{
	size_t i;

	for (i = 1; i < m->nr; i++) {
		if (strcmp(m->list[i - 1].name, m->list[i].name))
			continue;
		error_set(err, EINVAL,
			  "%s stands in line %u already; take the manifest away and make a new one "
			  "with svmdk manifest",
			  m->list[i].name, m->list[i - 1].line);
		err->line = m->list[i].line;
		return -1;
	}
	return 0;
}

int manifest_read(struct manifest *m, int dirfd, const char *name, struct svmdk_error *err)
{
	struct side_file file;
	int ret;

	*m = (struct manifest){ 0 };
	if (side_file_read(&file, dirfd, name, err))
		return -1;
	ret = parse(m, &file, err);
	side_file_free(&file);
	if (!ret && m->nr)
		qsort(m->list, m->nr, sizeof(*m->list), compare_lines);
	if (!ret)
		ret = find_twice(m, err);
	if (!ret)
		return 0;
	manifest_free(m);
	return error_at(err, name, err->line);
}

static int compare_name(const void *name, const void *line)
{
	return strcmp(name, ((const struct manifest_line *)line)->name);
}

const struct manifest_line *manifest_find(const struct manifest *m, const char *name)
{
	if (!m->nr)
		return NULL;
	return bsearch(name, m->list, m->nr, sizeof(*m->list), compare_name);
}

static bool exists(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0;
}

bool manifest_lacks_extent(const struct manifest *m, int dirfd, const struct descriptor *d)
{
	size_t i;

	for (i = 0; i < d->nr_extents; i++)
		if (extent_has_file(&d->extents[i]) && !manifest_find(m, d->extents[i].name) &&
		    exists(dirfd, d->extents[i].name))
			return true;
	return false;
}

/* Sets a flag for each line that is of a file of the container. */
static void match_lines(const struct manifest *m, const struct descriptor *d, const char *self,
			bool *matched)
{
	const struct manifest_line *line = manifest_find(m, self);
	size_t i;

	if (line)
		matched[line - m->list] = true;
	for (i = 0; i < d->nr_extents; i++) {
		if (!extent_has_file(&d->extents[i]))
			continue;
		line = manifest_find(m, d->extents[i].name);
		if (line)
			matched[line - m->list] = true;
	}
}

const struct manifest_line *manifest_find_self(const struct manifest *m, const char *name,
					       const char *self, struct svmdk_error *err)
{
	const struct manifest_line *line = manifest_find(m, self);

	if (line)
		return line;
	error_set(err, ENODATA,
		  "it has no line for %s, so it was cut short or is of another container (where "
		  "the descriptor was renamed, change its name in there); put it back from a copy, "
		  "or make a new one with svmdk manifest",
		  self);
	error_at(err, name, 0);
	return NULL;
}

int manifest_check_shape(const struct manifest *m, int dirfd, const char *name,
			 const struct descriptor *d, const char *self, struct svmdk_error *err)
{
	bool *matched;
	size_t i;

	if (!manifest_find_self(m, name, self, err))
		return -1;
	matched = calloc(m->nr + 1, sizeof(*matched));
	if (!matched) {
		error_errno(err, ENOMEM, "cannot read it");
		return error_at(err, name, 0);
	}
	match_lines(m, d, self, matched);
	i = manifest_lacks_extent(m, dirfd, d) ? 0 : m->nr;
	while (i < m->nr && matched[i])
		i++;
	free(matched);
	if (i == m->nr)
		return 0;
	error_set(err, ESTALE,
		  "%s is no extent of the container, which has others by now that are not in here; "
		  "make a new one with svmdk manifest",
		  m->list[i].name);
	return error_at(err, name, m->list[i].line);
}

/* Returns 0 or -1 with errno. */
static int print_line(FILE *to, const struct manifest_line *line)
{
	char *escaped = malloc(2 * strlen(line->name) + 1);
	char hash[HASH_TEXT_LEN];
	size_t length;

	if (!escaped)
		return -1;
	length = name_escape(escaped, line->name);
	fprintf(to, "%s%s  %s\n", length > strlen(line->name) ? "\\" : "",
		hash_format(hash, line->hash), escaped);
	free(escaped);
	return ferror(to) ? -1 : 0;
}

static int print(FILE *to, void *arg)
{
	const struct manifest *m = arg;
	size_t i;

	for (i = 0; i < m->nr; i++) {
		if (print_line(to, &m->list[i]))
			return -1;
	}
	return 0;
}

int manifest_write(const struct manifest *m, int dirfd, const char *name, const struct stat *like,
		   struct svmdk_error *err)
{
	return replace_whole(dirfd, name, like, print, (void *)m, err);
}

void manifest_free(struct manifest *m)
{
	size_t i;

	for (i = 0; i < m->nr; i++)
		free(m->list[i].name);
	free(m->list);
	*m = (struct manifest){ 0 };
}
