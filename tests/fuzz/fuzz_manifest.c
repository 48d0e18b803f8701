// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Any bytes as FILE.sha256. What is taken, written again, says the same. */
#include "fuzz.h"
#include "manifest_file.h"

static void check_sorted(const struct manifest *m)
{
	size_t i;

	for (i = 0; i < m->nr; i++) {
		HOLDS(*m->list[i].name && m->list[i].line > 0);
		HOLDS(!i || strcmp(m->list[i - 1].name, m->list[i].name) < 0);
		HOLDS(manifest_find(m, m->list[i].name) == &m->list[i]);
	}
}

static void check_written_again(const struct manifest *m)
{
	const struct stat like = { 0 };
	struct svmdk_error err;
	struct manifest again;
	size_t i;

	HOLDS(manifest_write(m, -1, "m", &like, &err) == 0);
	side_file_give_replaced();
	if (manifest_read(&again, -1, "m", &err)) {
		fprintf(stderr, "%u: %s\n", err.line, err.text);
		abort();
	}
	HOLDS(again.nr == m->nr);
	for (i = 0; i < m->nr; i++) {
		HOLDS(strcmp(again.list[i].name, m->list[i].name) == 0);
		HOLDS(memcmp(again.list[i].hash, m->list[i].hash, HASH_SIZE) == 0);
	}
	manifest_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct svmdk_error err = { 0 };
	struct manifest m;

	side_file_give(data, size, "self 1 0.000000000\n");
	if (manifest_read(&m, -1, "m", &err)) {
		HOLDS(!m.list && !m.nr && strcmp(err.file, "m") == 0);
		check_error(&err);
		return 0;
	}
	check_sorted(&m);
	check_written_again(&m);
	manifest_free(&m);
	return 0;
}
