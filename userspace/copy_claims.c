// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "claims.h"
#include "copy_claims.h"

static const char *base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

static bool claims_it(const struct claims *all, size_t i, const char *base)
{
	const struct claims one = { .kind = all->kind, .list = &all->list[i], .nr = 1 };

	return claims_find(&one, base);
}

/* Who has it beside the copy itself; NULL when the copy has it, or nobody. */
static const struct claim *find_other(const struct claims *all, const char *self, const char *base)
{
	const struct claim *by = NULL;
	size_t i;

	for (i = 0; i < all->nr; i++) {
		if (!claims_it(all, i, base))
			continue;
		if (strcmp(all->list[i].by, self) == 0)
			return NULL;
		by = &all->list[i];
	}
	return by;
}

static int check_lists(const struct copy_set *set, struct svmdk_error *err)
{
	const struct claim *by = NULL;
	struct claims claims;
	const char *base;
	size_t i;

	if (claims_read(&claims, set->staging->dirfd, CLAIMS_OF_LISTS, set->container->name, NULL,
			err))
		return -1;
	for (i = 0; i < set->nr && !by; i++) {
		base = base_of(set->files[i].name);
		by = claims_find(&claims, base);
		if (by)
			claims_refuse(base, by, err);
	}
	claims_free(&claims);
	return by ? -1 : 0;
}

static int check_descriptors(const struct copy_set *set, struct svmdk_error *err)
{
	const struct claim *by = NULL;
	struct claims claims;
	const char *name;
	struct stat st;
	size_t i;

	if (claims_read(&claims, set->staging->dirfd, CLAIMS_OF_DESCRIPTORS, "", NULL, err))
		return -1;
	for (i = 0; i < set->nr && !by; i++) {
		name = set->files[i].name;
		if (fstatat(set->staging->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			by = find_other(&claims, set->container->name, base_of(name));
		if (by)
			error_set(err, EEXIST,
				  "%s there is %s %s, another container's descriptor as it seems; "
				  "choose another folder, or move that away",
				  name, by->text ? "named by" : "perhaps named by", by->by);
	}
	claims_free(&claims);
	return by ? -1 : 0;
}

int copy_claims_check(const struct copy_set *set, struct svmdk_error *err)
{
	if (check_lists(set, err) || check_descriptors(set, err))
		return error_at(err, set->staging->dir, 0);
	return 0;
}
