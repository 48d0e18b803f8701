// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "text_diff.h"

#define CONTEXT 3

/**
 * struct line - of a text
 * @text: begin of it, in the text
 * @length: with its newline, in bytes
 * @number: which one, from 0
 */
struct line {
	const char *text;
	size_t length;
	size_t number;
};

/**
 * struct lines - a text, taken apart
 * @list: array
 * @nr: number of these
 */
struct lines {
	struct line *list;
	size_t nr;
};

/**
 * struct edit - a line of the diff
 * @kind: ' ', '-' or '+'
 * @line: the line
 */
struct edit {
	char kind;
	const struct line *line;
};

/**
 * struct edits - the whole of it, with all lines that stay
 * @list: array
 * @nr: number of these
 */
struct edits {
	struct edit *list;
	size_t nr;
};

static int split(struct lines *lines, const char *text)
{
	const char *at, *next;
	size_t room = 1;

	for (at = text; *at; at++)
		room += *at == '\n';
	*lines = (struct lines){ .list = calloc(room, sizeof(*lines->list)) };
	if (!lines->list)
		return -1;
	for (at = text; *at; at = next) {
		next = strchrnul(at, '\n');
		next += *next == '\n';
		lines->list[lines->nr] = (struct line){ at, next - at, lines->nr };
		lines->nr++;
	}
	return 0;
}

static int compare_text(const struct line *a, const struct line *b)
{
	int ret = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);

	if (ret || a->length == b->length)
		return ret;
	return a->length < b->length ? -1 : 1;
}

static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int ret = compare_text(x, y);

	if (ret)
		return ret;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* The first line equal to @wanted from @from on, of lines that are sorted; or NULL. */
static const struct line *find(const struct lines *sorted, const struct line *wanted, size_t from)
{
	struct line key = *wanted;
	size_t low = 0, high = sorted->nr, middle;

	key.number = from;
	while (low < high) {
		middle = low + (high - low) / 2;
		if (compare_lines(&sorted->list[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < sorted->nr && compare_text(&sorted->list[low], wanted) == 0)
		return &sorted->list[low];
	return NULL;
}

static void add(struct edits *edits, char kind, const struct line *line)
{
	edits->list[edits->nr++] = (struct edit){ kind, line };
}

/* A blank line is everywhere, so it says nothing about where one is. */
static bool is_anchor(const struct line *line)
{
	return line->length > 1;
}

/* Goes on in step as soon as an old line turns up again among the new ones. */
static void find_edits(struct edits *edits, const struct lines *old, const struct lines *new,
		       const struct lines *sorted)
{
	size_t i = 0, j = 0, skip, until;
	const struct line *again;

	while (i < old->nr || j < new->nr) {
		if (i < old->nr && j < new->nr &&compare_text(&old->list[i], &new->list[j]) == 0) {
			add(edits, ' ', &old->list[i++]);
			j++;
			continue;
		}
		again = NULL;
		for (skip = i; skip < old->nr && !again; skip++) {
			if (is_anchor(&old->list[skip]))
				again = find(sorted, &old->list[skip], j);
		}
		until = again ? again->number : new->nr;
		skip -= again != NULL;
		/* Blank lines before the place where they meet are of both. */
		while (skip > i && until > j &&
		       compare_text(&old->list[skip - 1], &new->list[until - 1]) == 0) {
			skip--;
			until--;
		}
		while (i < skip)
			add(edits, '-', &old->list[i++]);
		while (j < until)
			add(edits, '+', &new->list[j++]);
	}
}

static void print_range(FILE *to, char sign, size_t begin, size_t length)
{
	fprintf(to, "%c%zu", sign, length ? begin + 1 : begin);
	if (length != 1)
		fprintf(to, ",%zu", length);
}

static void print_edit(FILE *to, const struct edit *edit)
{
	const struct line *line = edit->line;

	putc(edit->kind, to);
	fwrite(line->text, 1, line->length, to);
	if (line->text[line->length - 1] != '\n')
		fputs("\n\\ No newline at end of file\n", to);
}

/* Where the hunk ends that has the change at @at: so many lines stay behind it. */
static size_t hunk_end(const struct edits *edits, size_t at)
{
	size_t end = at, same = 0;

	for (; at < edits->nr && same <= 2 * CONTEXT; at++) {
		same = edits->list[at].kind == ' ' ? same + 1 : 0;
		if (!same)
			end = at + 1;
	}
	return edits->nr - end < CONTEXT ? edits->nr : end + CONTEXT;
}

static void count(const struct edits *edits, size_t begin, size_t end, size_t *old, size_t *new)
{
	size_t i;

	*old = *new = 0;
	for (i = begin; i < end; i++) {
		*old += edits->list[i].kind != '+';
		*new += edits->list[i].kind != '-';
	}
}

static void print_edits(FILE *to, const char *name, const struct edits *edits)
{
	size_t i, at, begin, end = 0, old, new, old_at = 0, new_at = 0;

	for (at = 0; at < edits->nr; at++) {
		if (edits->list[at].kind == ' ')
			continue;
		if (!end)
			fprintf(to, "--- %s\n+++ %s\n", name, name);
		begin = at - end < CONTEXT ? end : at - CONTEXT;
		count(edits, end, begin, &old, &new);
		old_at += old;
		new_at += new;
		end = hunk_end(edits, at);
		count(edits, begin, end, &old, &new);
		fputs("@@ ", to);
		print_range(to, '-', old_at, old);
		putc(' ', to);
		print_range(to, '+', new_at, new);
		fputs(" @@\n", to);
		for (i = begin; i < end; i++)
			print_edit(to, &edits->list[i]);
		old_at += old;
		new_at += new;
		at = end - 1;
	}
}

int text_diff(FILE *to, const char *name, const char *old, const char *new)
{
	struct lines a = { 0 }, b = { 0 }, sorted = { 0 };
	struct edits edits = { 0 };
	int ret = -1;

	if (split(&a, old) == 0 && split(&b, new) == 0 && split(&sorted, new) == 0) {
		qsort(sorted.list, sorted.nr, sizeof(*sorted.list), compare_lines);
		edits.list = calloc(a.nr + b.nr + 1, sizeof(*edits.list));
	}
	if (edits.list) {
		find_edits(&edits, &a, &b, &sorted);
		print_edits(to, name, &edits);
		ret = 0;
	}
	free(edits.list);
	free(sorted.list);
	free(b.list);
	free(a.list);
	return ret;
}
