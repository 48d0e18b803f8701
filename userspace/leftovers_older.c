// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Whether a descriptor is of before what a list of leftovers is about. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leftovers.h"
#include "same_time.h"
#include "size.h"

/**
 * struct made - what a list has of files that were to be made
 * @named: the descriptor names one
 * @there: one is there that it does not name
 */
struct made {
	bool named;
	bool there;
};

int leftovers_stat(const struct container *c, const char *name, int *folder, char **base,
		   struct stat *st, struct svmdk_error *err)
{
	if (safe_open_folder(&c->policy, name, folder, base, err))
		return -1;
	if (fstatat(*folder, *base, st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	error_errno(err, errno, "cannot look at %s", name);
	close(*folder);
	free(*base);
	return -1;
}

bool leftovers_precede(const struct stat *list, const struct stat *st)
{
	return time_since(&list->st_mtim, &st->st_ctim) >= 0;
}

/* One that cannot be looked at may be there. */
static bool is_there(const struct container *c, const char *name)
{
	struct svmdk_error ignored;
	struct stat st;
	char *base;
	int folder;

	if (leftovers_stat(c, name, &folder, &base, &st, &ignored))
		return ignored.code != ENOENT;
	close(folder);
	free(base);
	return true;
}

/* Without memory one is there, so that nothing is removed. */
static struct made look_at_made(const struct container *c, const char *text)
{
	const size_t key = strlen(LEFTOVERS_MADE);
	struct made made = { 0 };
	const char *line;
	char *name;

	for (line = text; strcmp(line, LEFTOVERS_END); line = strchr(line, '\n') + 1) {
		if (strncmp(line, LEFTOVERS_MADE, key))
			continue;
		name = strndup(line + key, strcspn(line + key, "\n"));
		if (name && descriptor_names(&c->descriptor, name))
			made.named = true;
		else if (!made.there)
			made.there = !name || is_there(c, name);
		free(name);
	}
	return made;
}

/* A part of it was given back, or it has had holes always. */
static bool is_used_in_part(const struct container *c, const struct extent *e)
{
	const off_t end = (off_t)extent_end(e);
	struct svmdk_error ignored;
	struct stat st;
	char *base;
	int folder;

	if (!extent_has_file(e) || leftovers_stat(c, e->name, &folder, &base, &st, &ignored))
		return false;
	close(folder);
	free(base);
	return S_ISREG(st.st_mode) && (st.st_size < end || st.st_blocks * 512 < st.st_size);
}

static const struct extent *find_used_in_part(const struct container *c, const char *text)
{
	const struct descriptor *d = &c->descriptor;
	const struct extent *e;

	for (e = d->extents; e < d->extents + d->nr_extents; e++)
		if (e->name && leftovers_has_line(text, LEFTOVERS_USED, e->name) &&
		    is_used_in_part(c, e))
			return e;
	return NULL;
}

/*
 * Of one that is not on the list it may be that it is to be repaired first. One that was to
 * be used up is not missing by chance: what was in it is in those that were made. Unless
 * nobody replaced the descriptor since: then the extent was lost in another way.
 */
static int refuse_missing(const struct container *c, const struct extent *e, bool used,
			  struct svmdk_error *err)
{
	if (used)
		error_set(err, ESTALE,
			  "extent %s is missing, which an interrupted command was to use up, so "
			  "that the descriptor is of before that and what it made may be the only "
			  "copy; put back the descriptor that was here last",
			  e->name);
	else
		error_set(err, ENOENT,
			  "extent %s is missing, so that what an interrupted command left is not "
			  "cleared up; put it back, or the descriptor that was here last",
			  e->name);
	return error_at(err, c->path, e->line);
}

int leftovers_refuse_older(const struct container *c, const struct stat *list, const char *text,
			   const struct extent *missing, struct svmdk_error *err)
{
	const bool replaced = leftovers_precede(list, &c->st);
	const struct made made = replaced ? look_at_made(c, text) : (struct made){ 0 };
	const struct extent *e;

	if (missing)
		return refuse_missing(
			c, missing,
			made.there && leftovers_has_line(text, LEFTOVERS_USED, missing->name), err);
	/* With --low-space a descriptor names one that was made before anything is used up. */
	if (!made.there || made.named || !strstr(text, "\n" LEFTOVERS_EACH))
		return 0;
	e = find_used_in_part(c, text);
	if (!e)
		return 0;
	error_set(
		err, ESTALE,
		"of extent %s an interrupted command used up a part, it seems, so that the "
		"descriptor is of before that and what it made may be the only copy; put back the "
		"descriptor that was here last, or remove .%s" LEFTOVERS_SUFFIX " if this is it",
		e->name, c->name);
	return error_at(err, c->path, e->line);
}
