// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claims.h"
#include "extent_naming.h"
#include "later_extents.h"
#include "leftovers.h"
#include "side_file.h"
#include "size.h"

static int fail(struct svmdk_error *err, int code)
{
	return error_errno(err, code, "cannot look whether the disk has grown");
}

/* Whoever names it too may be one of after it, or another container's; the user can tell. */
static int has_grown(const struct older *o, const char *name, const char *what, const char *by,
		     struct svmdk_error *err)
{
	return error_set(err, ESTALE,
			 "not put back: %s %s%s%s, so the disk may have grown since, or been split "
			 "anew, and the descriptor in %s be of before that; put back one of after "
			 "it, or copy that one by hand if the disk was not grown or split anew",
			 name, what, by ? " and named by " : "", by ? by : "", o->from->dir.path);
}

/* Returns 0 with the status, 1 when there is nothing of that name, or -1. */
static int look_at(const struct open_policy *policy, const char *name, struct stat *st,
		   struct svmdk_error *err)
{
	int folder, ret = 0;
	char *base;

	if (safe_open_folder(policy, name, &folder, &base, err))
		return err->code == ENOENT ? 1 : -1;
	if (fstatat(folder, base, st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
		ret = errno == ENOENT ? 1 : fail(err, errno);
	free(base);
	close(folder);
	return ret;
}

static const struct extent *last_file(const struct descriptor *d)
{
	size_t i = d->nr_extents;

	while (i && !extent_has_file(&d->extents[i - 1]))
		i--;
	return i ? &d->extents[i - 1] : NULL;
}

/* How long a file has to be for all extents that are in it. */
static uint64_t need_of(const struct descriptor *d, const char *name)
{
	const struct extent *e;
	uint64_t need = 0;

	for (e = d->extents; e < d->extents + d->nr_extents; e++)
		if (extent_has_file(e) && strcmp(e->name, name) == 0 && extent_end(e) > need)
			need = extent_end(e);
	return need;
}

/* One that was so long at the time of the copy has not grown since. */
static int refuse_longer(const struct older *o, const char *name, const struct stat *st,
			 struct svmdk_error *err)
{
	struct svmdk_error ignored;
	struct stat copy;

	if ((uint64_t)st->st_size <= need_of(o->d, name) ||
	    (look_at(o->from, name, &copy, &ignored) == 0 && S_ISREG(copy.st_mode) &&
	     copy.st_size >= st->st_size))
		return 0;
	return has_grown(o, name, "is longer than the copy's", NULL, err);
}

/* Most are what they were, where they were. */
static bool has_same(const struct descriptor *d, size_t i, const struct extent *e)
{
	const struct extent *old = i < d->nr_extents ? &d->extents[i] : NULL;

	return old && extent_has_file(old) && strcmp(old->name, e->name) == 0 &&
	       extent_end(old) == extent_end(e);
}

bool later_extents_named(const struct older *o, const struct descriptor *now)
{
	struct svmdk_error ignored;
	const struct extent *e;
	bool any = false;
	struct stat st;
	size_t i;

	for (i = 0; i < now->nr_extents; i++) {
		e = &now->extents[i];
		if (!extent_has_file(e) || has_same(o->d, i, e) ||
		    extent_end(e) <= need_of(o->d, e->name))
			continue;
		/* Of one that was damaged the file is not so long by chance. */
		if (look_at(o->to, e->name, &st, &ignored) || !S_ISREG(st.st_mode) ||
		    (uint64_t)st.st_size < extent_end(e))
			return false;
		any = true;
	}
	return any;
}

/* What is no regular file is no extent that svmdk made; what cannot be looked at may be. */
static bool is_unknown(const struct older *o, int folder, const char *base, const char *name)
{
	struct stat st;

	if (descriptor_names(o->d, name) || manifest_find(o->m, name))
		return false;
	if (fstatat(folder, base, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
		return errno != ENOENT;
	return S_ISREG(st.st_mode);
}

/* Sets the name of the first extent behind those of the descriptor that it knows nothing of. */
static int find_first(const struct older *o, const struct extent_naming *n, DIR *dir, char **first,
		      struct svmdk_error *err)
{
	uint64_t number, lowest = UINT64_MAX;
	struct dirent *entry;
	char *name;

	*first = NULL;
	while (errno = 0, entry = readdir(dir)) {
		number = extent_naming_number(n, entry->d_name);
		if (number <= n->number || number >= lowest)
			continue;
		if (asprintf(&name, "%s%s", n->folder, entry->d_name) < 0)
			return fail(err, ENOMEM);
		if (is_unknown(o, dirfd(dir), entry->d_name, name)) {
			free(*first);
			*first = name;
			lowest = number;
		} else {
			free(name);
		}
	}
	return errno ? fail(err, errno) : 0;
}

static DIR *read_folder(int folder, struct svmdk_error *err)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		fail(err, errno);
		if (fd >= 0)
			close(fd);
	}
	return dir;
}

static int search(const struct older *o, const struct extent_naming *n, int folder,
		  struct svmdk_error *err)
{
	DIR *dir = read_folder(folder, err);
	char *first;
	int ret;

	if (!dir)
		return -1;
	ret = find_first(o, n, dir, &first, err);
	if (!ret && first)
		ret = has_grown(o, first, "is there", NULL, err);
	free(first);
	closedir(dir);
	return ret;
}

/**
 * struct reshape - what is looked for of a disk that was split anew
 * @o: the descriptor
 * @n: how the disk would grow, which was looked for already
 * @stem: what the names of new extents begin with
 * @folder: of these, as the descriptor names it
 * @fd: that, open
 * @claimants: other descriptors that name files
 * @first: name of the first that was found, or NULL
 * @by: who names that, as far as is known, or NULL
 */
struct reshape {
	const struct older *o;
	const struct extent_naming *n;
	char *stem;
	char *folder;
	int fd;
	struct claimants claimants;
	char *first;
	const char *by;
};

/* All of the disk, or a part of it. */
static bool is_filled(const struct reshape *r, const char *base, bool flat)
{
	const uint64_t need = flat ? r->o->d->sectors << SECTOR_SHIFT : 1;
	struct stat st;

	return fstatat(r->fd, base, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) ||
	       (uint64_t)st.st_size >= need;
}

/*
 * Another container may be called so: c-2.vmdk names c-2-f001.vmdk for its own. A copy of this
 * one's later descriptor may have any name that somebody gave it (c.vmdk.bak, old-c.vmdk, c),
 * and tells of the same disk.
 */
static int is_others(const struct reshape *r, const char *base, const char *by, bool *others,
		     struct svmdk_error *err)
{
	char *stem = extent_stem(by);
	size_t length;

	if (!stem)
		return fail(err, ENOMEM);
	length = strlen(stem);
	*others = length > strlen(r->stem) && strncmp(base, stem, length) == 0 &&
		  base[length] == '-';
	free(stem);
	return 0;
}

/* There may be copies of the other one's descriptor beside it. Sets @by to one that is none. */
static int find_others(const struct reshape *r, const struct claims *all, const char *base,
		       bool *others, const char **by, struct svmdk_error *err)
{
	struct claims rest = *all;
	const struct claim *claim;
	size_t nr;

	while (!*others && (claim = claims_find(&rest, base))) {
		nr = claim - rest.list + 1;
		rest.list += nr;
		rest.nr -= nr;
		if (!claim->text)
			continue;
		if (is_others(r, base, claim->by, others, err))
			return -1;
		*by = claim->by;
	}
	return 0;
}

static int is_claimed(struct reshape *r, const char *base, bool *claimed, const char **by,
		      struct svmdk_error *err)
{
	const struct claim *any;

	*claimed = false;
	if (claimants_find(&r->claimants, r->fd, base, &any, err) ||
	    find_others(r, &r->claimants.here, base, claimed, by, err) ||
	    find_others(r, &r->claimants.there, base, claimed, by, err))
		return -1;
	return 0;
}

/* Takes @base for the first one when it is. */
static int look_at_reshaped(struct reshape *r, const char *base, struct svmdk_error *err)
{
	bool flat, claimed = true;
	const char *by = NULL;
	int ret = 0;
	char *name;

	if (!extent_naming_is_of_resplit(r->stem, base, &flat) || extent_naming_number(r->n, base))
		return 0;
	if (asprintf(&name, "%s%s", r->folder, base) < 0)
		return fail(err, ENOMEM);
	if ((!r->first || strcmp(name, r->first) < 0) && is_unknown(r->o, r->fd, base, name) &&
	    is_filled(r, base, flat))
		ret = is_claimed(r, base, &claimed, &by, err);
	if (ret || claimed) {
		free(name);
		return ret;
	}
	free(r->first);
	r->first = name;
	r->by = by;
	return 0;
}

static int look_at_all(struct reshape *r, struct svmdk_error *err)
{
	DIR *dir = read_folder(r->fd, err);
	struct dirent *entry;
	int ret = 0;

	if (!dir)
		return -1;
	while (!ret && (errno = 0, entry = readdir(dir)))
		ret = look_at_reshaped(r, entry->d_name, err);
	if (!ret && errno)
		ret = fail(err, errno);
	closedir(dir);
	return ret;
}

/* Beside the first extent, in which the first new one would begin. */
static int look_beside(struct reshape *r, const char *beside, struct svmdk_error *err)
{
	struct stat self;
	char *base;
	int ret;

	if (safe_open_folder(r->o->to, beside, &r->fd, &base, err))
		return err->code == ENOENT ? 0 : -1;
	/* What is left of it is none to ask. */
	if (fstatat(r->o->to->dir.fd, r->o->self, &self, AT_SYMLINK_NOFOLLOW) == 0)
		r->claimants.self_st = &self;
	ret = look_at_all(r, err);
	if (!ret && r->first)
		ret = has_grown(r->o, r->first, "is there", r->by, err);
	claimants_forget(&r->claimants);
	close(r->fd);
	free(base);
	return ret;
}

/* Where svmdk resplit would put it, and by the names that it gives. */
static int refuse_reshaped(const struct older *o, const struct extent_naming *n,
			   struct svmdk_error *err)
{
	const char *beside = extent_has_file(&o->d->extents[0]) ? o->d->extents[0].name : o->self;
	const char *slash = strrchr(beside, '/');
	struct reshape r = {
		.o = o,
		.n = n,
		.stem = extent_stem(o->self),
		.folder = strndup(beside, slash ? slash + 1 - beside : 0),
		.claimants = {
			.kind = CLAIMS_OF_DESCRIPTORS,
			.own = o->to->dir.fd,
			.self = o->self,
		},
	};
	int ret;

	if (!r.stem || !r.folder)
		ret = fail(err, ENOMEM);
	else
		ret = look_beside(&r, beside, err);
	free(r.first);
	free(r.folder);
	free(r.stem);
	return ret;
}

/* Where svmdk grow would put the next ones, and by their names. */
static int refuse_others(const struct older *o, const char *last, struct svmdk_error *err)
{
	struct extent_naming n;
	int folder, ret;
	char *base;

	if (safe_open_folder(o->to, last ? last : o->self, &folder, &base, err))
		return err->code == ENOENT ? 0 : -1;
	free(base);
	ret = extent_naming_find(&n, last, o->self, o->d->nr_extents, err);
	if (!ret)
		ret = search(o, &n, folder, err) || refuse_reshaped(o, &n, err) ? -1 : 0;
	extent_naming_free(&n);
	close(folder);
	return ret;
}

/* Of one that is in the way of the list, too: it may be what is in use. */
static int refuse_made(const struct older *o, const char *list, const char *name,
		       struct svmdk_error *err)
{
	struct stat st;
	int ret;

	if (descriptor_names(o->d, name) || manifest_find(o->m, name))
		return 0;
	ret = look_at(o->to, name, &st, err);
	if (ret)
		return ret < 0 ? -1 : 0;
	return error_set(err, ESTALE,
			 "not put back: %s is there, which an interrupted command made (%s), and "
			 "the descriptor in %s may be of before that; put back the one that was "
			 "here last, or take away what that command made if none of it is in use",
			 name, list, o->from->dir.path);
}

static int read_list(const struct older *o, const char *list, struct side_file *file,
		     struct svmdk_error *err)
{
	if (side_file_read(file, o->to->dir.fd, list, err) == 0)
		return 0;
	if (err->code == ENOENT)
		return 1;
	return error_set(err, err->code, "%s: %s", list, err->text);
}

/* A command that was interrupted may have given the disk other extents, whatever their names. */
static int refuse_listed(const struct older *o, struct svmdk_error *err)
{
	const size_t key = strlen(LEFTOVERS_MADE);
	char *list, *line, *at;
	struct side_file file;
	size_t length;
	int ret;

	list = leftovers_name(o->self);
	if (!list)
		return fail(err, ENOMEM);
	ret = read_list(o, list, &file, err);
	if (!ret) {
		at = file.bytes;
		while (!ret && (line = side_file_next_line(&at, file.bytes + file.length, &length)))
			if (strncmp(line, LEFTOVERS_MADE, key) == 0)
				ret = refuse_made(o, list, line + key, err);
		side_file_free(&file);
	}
	free(list);
	return ret < 0 ? -1 : 0;
}

int later_extents_refuse(const struct older *o, struct svmdk_error *err)
{
	const struct extent *last = last_file(o->d);
	const char *name = last ? last->name : NULL;
	struct stat st;
	int ret = name ? look_at(o->to, name, &st, err) : 1;

	if (ret < 0 || refuse_listed(o, err))
		return -1;
	/* Files do not go where devices are. */
	if (!ret && !S_ISREG(st.st_mode))
		name = NULL;
	else if (!ret && refuse_longer(o, name, &st, err))
		return -1;
	return refuse_others(o, name, err);
}
