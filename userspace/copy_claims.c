// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "claims.h"
#include "copy_claims.h"
#include "side_file.h"

static const char *base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
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
		if (set->files[i].current)
			continue;
		base = base_of(set->files[i].name);
		by = claims_find(&claims, base);
		if (by)
			claims_refuse(base, by, err);
	}
	claims_free(&claims);
	return by ? -1 : 0;
}

/**
 * struct own - the copy that is there, and who else is
 * @text: its descriptor, or what of that can be read; all zero where there is none
 * @st: status of that
 * @others: the other descriptors' claims
 * @read_others: that these were read; it may be that all small files there have to be
 */
struct own {
	struct side_file text;
	struct stat st;
	struct claims others;
	bool read_others;
};

static bool is_its(const struct own *own, const char *base)
{
	struct claim claim = { .text = own->text.bytes };
	const struct claims claims = { .kind = CLAIMS_OF_DESCRIPTORS, .list = &claim, .nr = 1 };

	return own->text.bytes && claims_find(&claims, base);
}

/* What is not there yet is nobody's, and what the copy has is the copy's. */
static int find_owner(struct own *own, const struct copy_set *set, const struct copy_file *file,
		      const struct claim **by, struct svmdk_error *err)
{
	const int folder = set->staging->dirfd;
	const char *name = file->name;
	struct stat st;

	*by = NULL;
	if (file->current || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    is_its(own, base_of(name)))
		return 0;
	if (!own->read_others &&
	    claims_read(&own->others, folder, CLAIMS_OF_DESCRIPTORS, "", &own->st, err))
		return -1;
	own->read_others = true;
	*by = claims_find(&own->others, base_of(name));
	return 0;
}

static int check_descriptors(const struct copy_set *set, struct svmdk_error *err)
{
	const char *self = set->container->name;
	const struct claim *by = NULL;
	struct svmdk_error ignored;
	struct own own = { 0 };
	int ret = 0;
	size_t i;

	if (side_file_read(&own.text, set->staging->dirfd, self, &ignored) == 0)
		own.st = own.text.st;
	for (i = 0; i < set->nr && !by && !ret; i++)
		ret = find_owner(&own, set, &set->files[i], &by, err);
	if (by)
		ret = error_set(err, EEXIST,
				"%s there is %s %s, another container's descriptor as it seems; "
				"choose another folder, or move that away",
				set->files[i - 1].name, by->text ? "named by" : "perhaps named by",
				by->by);
	claims_free(&own.others);
	side_file_free(&own.text);
	return ret;
}

int copy_claims_check(const struct copy_set *set, struct svmdk_error *err)
{
	if (check_lists(set, err) || check_descriptors(set, err))
		return error_at(err, set->staging->dir, 0);
	return 0;
}
