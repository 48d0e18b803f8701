// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Any bytes as FILE.svmdk. What is taken, written again, says the same. */
#include <unistd.h>

#include "fuzz.h"
#include "sidecar.h"

#define SELF "self 1 0.000000000\n"

static void check_entry(const struct sidecar *s, size_t i)
{
	const struct sidecar_entry *e = &s->list[i];

	HOLDS(*e->name && sidecar_find(s, e->name) == e);
	HOLDS(!i || strcmp(s->list[i - 1].name, e->name) < 0);
	HOLDS(e->facts.mtime.tv_nsec >= 0 && e->facts.mtime.tv_nsec < 1000000000);
	HOLDS(e->facts.ctime.tv_nsec >= 0 && e->facts.ctime.tv_nsec < 1000000000);
	/* What is not proved to be clean counts as changed. */
	HOLDS(e->changed || (e->hashed && e->facts.inode));
}

static void check_same(const struct sidecar_entry *a, const struct sidecar_entry *b)
{
	HOLDS(strcmp(a->name, b->name) == 0);
	HOLDS(a->changed == b->changed && a->hashed == b->hashed);
	HOLDS(facts_same_content(&a->facts, &b->facts) && facts_same_file(&a->facts, &b->facts));
	HOLDS(memcmp(a->hash, b->hash, HASH_SIZE) == 0);
}

static void check_written_again(const struct sidecar *s)
{
	const struct stat like = { 0 };
	struct svmdk_error err;
	struct sidecar again;
	int fd = -1;
	size_t i;

	HOLDS(sidecar_write(s, -1, "s", &like, &fd, &err) == 0 && fd >= 0);
	close(fd);
	side_file_give_replaced();
	if (sidecar_read(&again, -1, "s", &err)) {
		fprintf(stderr, "%u: %s\n", err.line, err.text);
		abort();
	}
	HOLDS(!again.travelled && again.nr == s->nr && again.session == s->session);
	HOLDS(strcmp(again.boot_id, s->boot_id) == 0);
	for (i = 0; i < s->nr; i++)
		check_same(&s->list[i], &again.list[i]);
	sidecar_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct svmdk_error err = { 0 };
	struct sidecar s;
	size_t i;

	side_file_give(data, size, SELF);
	if (sidecar_read(&s, -1, "s", &err)) {
		HOLDS(!s.list && !s.nr && strcmp(err.file, "s") == 0);
		check_error(&err);
		return 0;
	}
	HOLDS(strlen(s.boot_id) < BOOT_ID_LEN && (s.session == SESSION_NONE) == !*s.boot_id);
	for (i = 0; i < s.nr; i++)
		check_entry(&s, i);
	check_written_again(&s);
	sidecar_free(&s);
	return 0;
}
