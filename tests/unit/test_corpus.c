// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/*
 * Descriptors found in the wild, with the verdict that their README.md gives
 * on each. Set SVMDK_CORPUS to the folder that has both.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "container.h"
#include "scratch.h"

/* One row of the README's table. */
struct row {
	char name[64];
	unsigned long long extents;
	unsigned long long sectors;
	char verdict[160];
};

static int verdict_begins(const struct row *row, const char *text)
{
	return strncmp(row->verdict, text, strlen(text)) == 0;
}

/* | file | from | extents | sectors | verdict | */
static int read_row(FILE *table, struct row *row)
{
	char line[1024];
	char *cell[5], *at;
	int i;

	while (fgets(line, sizeof(line), table)) {
		at = line;
		for (i = 0; i < 5 && at; i++) {
			strsep(&at, "|");
			cell[i] = at;
		}
		if (i < 5 || !cell[4] || sscanf(cell[2], " %llu", &row->extents) != 1)
			continue;
		if (sscanf(cell[0], " %63[^ |]", row->name) != 1 ||
		    sscanf(cell[3], " %llu", &row->sectors) != 1 ||
		    sscanf(cell[4], " %159[^|\n]", row->verdict) != 1)
			continue;
		return 1;
	}
	return 0;
}

/* Copies the descriptor here; returns its path within the scratch folder. */
static void copy_descriptor(const char *corpus, const char *name)
{
	char path[PATH_MAX + 96];
	size_t length;
	char *text;
	FILE *f;

	snprintf(path, sizeof(path), "%s/descriptors/%s.vmdk", corpus, name);
	text = scratch_read(path, &length);
	f = fopen("c.vmdk", "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, length, f), length);
	fclose(f);
	free(text);
}

/* Sparse files of the right size, where the descriptor names them. */
static void make_extents(const struct container *c)
{
	const struct extent *e;
	size_t i;

	for (i = 0; i < c->descriptor.nr_extents; i++) {
		e = &c->descriptor.extents[i];
		if (extent_has_file(e) && e->name[0] != '/')
			scratch_file(e->name, "", (e->offset + e->sectors) * 512);
	}
}

/* The first thing that keeps it from being attached, or 0. */
static int first_error(const struct container *c, struct svmdk_error *err)
{
	struct extent_file file;
	size_t i;

	for (i = 0; i < c->descriptor.nr_extents; i++) {
		if (!extent_has_file(&c->descriptor.extents[i]))
			continue;
		if (container_open_extent(c, i, O_RDONLY, &file, err))
			return err->code;
		close(file.fd);
	}
	return 0;
}

static void check_opened(const struct row *row, const struct container *c)
{
	struct svmdk_error err = { 0 };

	assert_int_equal(c->descriptor.nr_extents, row->extents);
	assert_int_equal(c->descriptor.sectors, row->sectors);
	if (!verdict_begins(row, "refuse: no such file"))
		make_extents(c);
	if (verdict_begins(row, "attach"))
		assert_int_equal(first_error(c, &err), 0);
	else if (verdict_begins(row, "refuse: no such file"))
		assert_int_equal(first_error(c, &err), ENOENT);
	else if (strstr(row->verdict, "outside"))
		assert_int_equal(first_error(c, &err), EXDEV);
	else
		fail_msg("%s was taken; %s", row->name, row->verdict);
}

static void check_refused(const struct row *row, const struct svmdk_error *err)
{
	if (verdict_begins(row, "refuse: encrypted, and a child"))
		assert_has(err->text, "encrypted (encryptionKeys), and a child");
	else if (verdict_begins(row, "refuse: a child"))
		assert_has(err->text, "child of another one");
	else if (verdict_begins(row, "refuse: SPARSE"))
		assert_has(err->text, "SPARSE extents");
	else if (verdict_begins(row, "refuse: VMFSRDM"))
		assert_has(err->text, "VMFSRDM extents");
	else if (verdict_begins(row, "refuse: syntax"))
		assert_int_not_equal(err->line, 0);
	else
		fail_msg("%s: %s; %s", row->name, err->text, row->verdict);
}

static void judges_as_its_readme_does(void **state)
{
	const char *given = getenv("SVMDK_CORPUS");
	char corpus[PATH_MAX], path[PATH_MAX + 16];
	struct svmdk_error err;
	struct scratch scratch;
	struct container c;
	struct row row;
	int rows = 0;
	FILE *table;

	(void)state;
	if (!realpath(given ? given : "../shared/corpus", corpus)) {
		print_message("skipped: no corpus of descriptors; set SVMDK_CORPUS\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/README.md", corpus);
	table = fopen(path, "re");
	assert_non_null(table);
	for (; read_row(table, &row); rows++) {
		scratch_enter(&scratch);
		copy_descriptor(corpus, row.name);
		if (container_open(&c, "c.vmdk", NULL, 0, &err)) {
			check_refused(&row, &err);
		} else {
			check_opened(&row, &c);
			container_close(&c);
		}
		scratch_leave(&scratch);
	}
	fclose(table);
	assert_int_not_equal(rows, 0);
	print_message("%d descriptors\n", rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_as_its_readme_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
