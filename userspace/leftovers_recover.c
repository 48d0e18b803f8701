// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* What becomes of the files of a list of leftovers. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claims.h"
#include "leftovers.h"
#include "manifest_file.h"
#include "replace.h"
#include "same_time.h"
#include "side_file.h"
#include "sidecar.h"
#include "size.h"

/**
 * struct named_range - what the descriptor names of a file
 * @dev: st_dev of the file
 * @ino: st_ino of the file
 * @begin: first sector
 * @end: one past the last sector
 */
struct named_range {
	dev_t dev;
	ino_t ino;
	uint64_t begin;
	uint64_t end;
};

/**
 * struct recovery - a list that is followed
 * @c: the container
 * @list: the list itself
 * @named: all that the descriptor names, sorted
 * @nr: number of these
 * @unsynced: folder from which something was removed since its last fsync, or -1
 * @claimants: other descriptors that name files
 * @look: nothing is to be changed
 * @found: what was done
 */
struct recovery {
	const struct container *c;
	struct stat list;
	struct named_range *named;
	size_t nr;
	int unsynced;
	struct claimants claimants;
	bool look;
	struct leftovers_found found;
};

/**
 * struct listed - one file of it, that is there
 * @name: as the list has it
 * @made: it was to be made, or made longer
 * @folder: that it is in
 * @base: its name there
 * @st: status of it
 */
struct listed {
	const char *name;
	bool made;
	int folder;
	char *base;
	struct stat st;
};

static int fail(struct svmdk_error *err, int code, const char *name, const char *what)
{
	error_errno(err, code, "%s", what);
	return error_at(err, name, 0);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct named_range *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return 0;
}

static int look_at_extent(const struct recovery *r, const struct extent *e, struct stat *st,
			  struct svmdk_error *err)
{
	char *base;
	int folder;

	if (leftovers_stat(r->c, e->name, &folder, &base, st, err))
		return error_at(err, r->c->path, e->line);
	close(folder);
	free(base);
	return 0;
}

/*
 * Returns 1 when it is missing. One that cannot be looked at may be any of those in the list,
 * so that nothing is removed.
 */
static int find_extent(struct recovery *r, const struct extent *e, struct svmdk_error *err)
{
	struct stat st;

	/* What is named beside zeroes is not read. */
	if (!e->name || e->type == EXTENT_ZERO)
		return 0;
	if (look_at_extent(r, e, &st, err)) {
		/* What is not opened may be out of reach, and what is on the list is not. */
		if (!extent_has_file(e) && err->code != ENOMEM)
			return 0;
		if (err->code == ENOENT)
			return extent_has_file(e);
		return -1;
	}
	r->named[r->nr++] = (struct named_range){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.begin = e->offset,
		.end = e->offset + e->sectors,
	};
	return 0;
}

/*
 * Nothing is removed where an extent is missing: no command that was interrupted leaves that,
 * so it is another descriptor, an older one perhaps, and the list may name the only copy. Nor
 * where that shows otherwise.
 */
static int find_named(struct recovery *r, const char *text, struct svmdk_error *err)
{
	const struct descriptor *d = &r->c->descriptor;
	const struct extent *e, *missing = NULL;
	int ret;

	r->named = calloc(d->nr_extents, sizeof(*r->named));
	if (!r->named)
		return fail(err, ENOMEM, r->c->path, "cannot clear up");
	for (e = d->extents; e < d->extents + d->nr_extents; e++) {
		ret = find_extent(r, e, err);
		if (ret < 0)
			return -1;
		/* Of one that was to be used up there is more to say. */
		if (ret && (!missing || leftovers_has_line(text, LEFTOVERS_USED, e->name)))
			missing = e;
	}
	if (leftovers_refuse_older(r->c, text, missing, err))
		return -1;
	qsort(r->named, r->nr, sizeof(*r->named), compare_ranges);
	return 0;
}

/* The first range of a file, and how many there are of it. */
static const struct named_range *ranges_of(const struct recovery *r, const struct stat *st,
					   size_t *nr)
{
	const struct named_range *range;
	size_t low = 0, high = r->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		range = &r->named[middle];
		if (range->dev < st->st_dev ||
		    (range->dev == st->st_dev && range->ino < st->st_ino))
			low = middle + 1;
		else
			high = middle;
	}
	for (*nr = 0; low + *nr < r->nr; ++*nr) {
		range = &r->named[low + *nr];
		if (range->dev != st->st_dev || range->ino != st->st_ino)
			break;
	}
	return &r->named[low];
}

static int give_back(int fd, uint64_t begin, uint64_t end)
{
	if (begin >= end || fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				      begin << SECTOR_SHIFT, (end - begin) << SECTOR_SHIFT) == 0)
		return 0;
	return errno == EOPNOTSUPP ? 0 : -1;
}

static int trim_file(int fd, uint64_t size, const struct named_range *ranges, size_t nr)
{
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (give_back(fd, at, ranges[i].begin))
			return -1;
		if (ranges[i].end > at)
			at = ranges[i].end;
	}
	if (size > at << SECTOR_SHIFT && ftruncate(fd, at << SECTOR_SHIFT))
		return -1;
	return fsync(fd);
}

/* How many sectors from the first on are named without a gap, and by how many *@nr of ranges. */
static uint64_t named_at_once(const struct named_range *ranges, size_t *nr)
{
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < *nr && ranges[i].begin <= at; i++) {
		if (ranges[i].end > at)
			at = ranges[i].end;
	}
	*nr = i;
	return at;
}

static bool named_whole(const struct stat *st, const struct named_range *ranges, size_t nr)
{
	size_t first = nr;
	uint64_t sectors = named_at_once(ranges, &first);

	return first == nr && (uint64_t)st->st_size <= sectors << SECTOR_SHIFT;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * What was made longer has no other user for that, unless another descriptor names it by
 * now: the one that the command put in force, say, and which was renamed since. Of what was
 * used up the disk's part is elsewhere, whoever names it still. But whose other names it has
 * by hard links, nobody can tell.
 */
static int may_trim(struct recovery *r, const struct listed *file, const struct named_range *ranges,
		    size_t nr, bool *may, struct svmdk_error *err)
{
	const struct claim *by = NULL;

	if (file->made && claimants_find_behind(&r->claimants, file->folder, file->base,
						named_at_once(ranges, &nr), &by, err))
		return -1;
	*may = !by && file->st.st_nlink <= 1;
	if (file->st.st_nlink > 1)
		message_warn(r->c->path, 0,
			     "%s, of which an interrupted command was to give back a part, has "
			     "other names (hard links), so it stays as it is",
			     file->name);
	else if (by)
		message_warn(r->c->path, 0,
			     "%s, which an interrupted command was to make longer, %s %s%s, so it "
			     "stays as long as it is",
			     file->name, by->text ? "is named by" : "may be named by", by->by,
			     by->text ? " too" : ", which cannot be read");
	return 0;
}

static int trim(struct recovery *r, const struct listed *file, const struct named_range *ranges,
		size_t nr, struct svmdk_error *err)
{
	struct stat st;
	int fd, ret = 0;
	bool may;

	if (named_whole(&file->st, ranges, nr))
		return 0;
	if (may_trim(r, file, ranges, nr, &may, err))
		return -1;
	if (!may)
		return 0;
	if (safe_open(&r->c->policy, file->name, O_RDWR, &fd, &st, err))
		return -1;
	if (!is_same_file(&st, &file->st))
		ret = error_set(err, ESTALE, "extent %s was replaced meanwhile", file->name);
	else if (trim_file(fd, st.st_size, ranges, nr))
		ret = error_errno(err, errno, "extent %s: cannot give back what is left over%s",
				  file->name,
				  errno == ETXTBSY ? ", detach the container first" : "");
	else
		r->found.trimmed++;
	close(fd);
	return ret;
}

static int sync_removals(struct recovery *r)
{
	int ret;

	if (r->unsynced < 0)
		return 0;
	ret = replace_sync_folder(r->unsynced);
	close(r->unsynced);
	r->unsynced = -1;
	return ret;
}

/* Takes over @folder. */
static int note_removal(struct recovery *r, int folder)
{
	struct stat now, before;
	int ret = 0;

	r->found.removed++;
	if (r->unsynced >= 0 && fstat(folder, &now) == 0 && fstat(r->unsynced, &before) == 0 &&
	    is_same_file(&now, &before)) {
		close(folder);
		return 0;
	}
	ret = sync_removals(r);
	r->unsynced = folder;
	return ret;
}

/* What was made is no folder, nor the descriptor or this list, which names neither. */
static bool may_be_made(const struct recovery *r, const struct stat *st)
{
	return S_ISREG(st->st_mode) && !is_same_file(st, &r->c->st) && !is_same_file(st, &r->list);
}

static void say_stays(const struct recovery *r, const struct listed *file, const struct claim *by)
{
	message_warn(r->c->path, 0,
		     "%s, which an interrupted command was to %s, %s %s%s, so it stays%s",
		     file->name, file->made ? "make" : "remove",
		     by->text ? "is named by" : "may be named by", by->by,
		     by->text ? " too" : ", which cannot be read",
		     file->made ? "" : "; remove it when nobody needs it");
}

/*
 * Nobody's, unless another program has made it, or put another container's in its place;
 * *@remove is whether it goes. An old extent as it was goes though another descriptor names
 * it, an older one of this container for one; so does one in which there is nothing.
 */
static int is_nobodys(struct recovery *r, const struct listed *file, bool *remove,
		      struct svmdk_error *err)
{
	const struct claim *by = NULL;

	*remove = false;
	/*
	 * By the name that the list has it by, too: some file systems give a file another
	 * inode number when they read it again.
	 */
	if (descriptor_names(&r->c->descriptor, file->name))
		return 0;
	if ((file->made || (file->st.st_size && leftovers_precede(&r->list, &file->st))) &&
	    claimants_find(&r->claimants, file->folder, file->base, &by, err))
		return -1;
	if (by)
		say_stays(r, file, by);
	*remove = !by;
	return 0;
}

/* Takes over @file->folder when it removes it. */
static int remove_file(struct recovery *r, struct listed *file, struct svmdk_error *err)
{
	int folder;

	if (unlinkat(file->folder, file->base, 0)) {
		if (errno == ENOENT)
			return 0;
		return error_errno(err, errno, "cannot remove %s, left by an interrupted command",
				   file->name);
	}
	folder = file->folder;
	file->folder = -1;
	if (note_removal(r, folder) == 0)
		return 0;
	return error_errno(err, errno, "cannot write the folder of %s to disk", file->name);
}

/* Takes care of one file of the list; @made says that it was to be made. */
static int clear_file(struct recovery *r, const char *name, bool made, struct svmdk_error *err)
{
	struct listed file = { .name = name, .made = made };
	const struct named_range *ranges;
	bool remove = false;
	int ret = 0;
	size_t nr;

	if (leftovers_stat(r->c, name, &file.folder, &file.base, &file.st, err))
		return err->code == ENOENT ? 0 : -1;
	ranges = ranges_of(r, &file.st, &nr);
	if (may_be_made(r, &file.st))
		ret = nr ? trim(r, &file, ranges, nr, err) : is_nobodys(r, &file, &remove, err);
	if (!ret && remove)
		ret = remove_file(r, &file, err);
	if (file.folder >= 0)
		close(file.folder);
	free(file.base);
	return ret;
}

/* @text is what comes after the header; its lines are taken apart. */
static int follow(struct recovery *r, char *text, struct svmdk_error *err)
{
	const size_t key = strlen(LEFTOVERS_MADE);
	int ret = find_named(r, text, err);
	char *line, *next;
	bool made;

	if (!ret && !r->look)
		ret = leftovers_note_done(r->c, leftovers_done_by(&r->c->descriptor, text), err);
	for (line = text; !r->look && !ret && strcmp(line, LEFTOVERS_END); line = next) {
		next = strchr(line, '\n') + 1;
		made = strncmp(line, LEFTOVERS_MADE, key) == 0;
		if (!made && strncmp(line, LEFTOVERS_USED, key))
			continue;
		next[-1] = '\0';
		ret = clear_file(r, line + key, made, err);
		if (ret)
			error_at(err, r->c->path, 0);
	}
	if (sync_removals(r) && !ret)
		ret = fail(err, errno, r->c->path, "cannot write its folder to disk");
	free(r->named);
	claimants_forget(&r->claimants);
	return ret;
}

/*
 * What it says of itself, and what of its folder; a list of an older version says nothing of
 * that. Each hard link to it is the same file, so that the folder tells which one it is.
 */
static bool is_at_home(const char *text, const char *self, const char *home)
{
	if (strncmp(text, self, strlen(self)))
		return false;
	text += strlen(self);
	return strncmp(text, LEFTOVERS_HOME, strlen(LEFTOVERS_HOME)) ||
	       strncmp(text, home, strlen(home)) == 0;
}

/*
 * When it was written is told by its birth, too: to write in it what is done moves its mtime,
 * if only for a moment.
 */
static int look_at_list(int fd, struct stat *st)
{
	struct statx birth;
	struct timespec time;

	if (fstat(fd, st) || statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &birth))
		return -1;
	time = (struct timespec){ birth.stx_btime.tv_sec, birth.stx_btime.tv_nsec };
	if ((birth.stx_mask & STATX_BTIME) && time_since(&time, &st->st_mtim) > 0)
		st->st_mtim = time;
	return 0;
}

/* An extent that has the name of a list is none, whatever is in it, and is not to go for that. */
static int refuse_extents(const struct recovery *r, struct svmdk_error *err)
{
	const struct descriptor *d = &r->c->descriptor;
	const struct extent *e;
	struct stat st;

	for (e = d->extents; e < d->extents + d->nr_extents; e++) {
		if (!extent_has_file(e))
			continue;
		if (look_at_extent(r, e, &st, err)) {
			if (err->code == ENOMEM)
				return -1;
			continue;
		}
		if (open_policy_check_own(&r->c->policy, e->name, &st, err))
			return error_at(err, r->c->path, e->line);
	}
	return 0;
}

static int follow_list(struct recovery *r, int fd, const char *name, struct svmdk_error *err)
{
	char self[SELF_LEN], home[SELF_LEN];
	size_t length;
	char *text = leftovers_read(fd, &length);
	int ret = 0;

	if (!text || look_at_list(fd, &r->list) || self_line(fd, self) ||
	    leftovers_home_line(r->c, home)) {
		ret = fail(err, errno, name, "cannot read the list of leftovers");
	} else if (!leftovers_are_complete(text, length)) {
		/* Killed while it was written, before anything was made. */
	} else if (strncmp(text, LEFTOVERS_HEADER, strlen(LEFTOVERS_HEADER))) {
		error_set(
			err, EINVAL,
			"no list of leftovers that this version knows; use the one that made it, or remove it");
		ret = error_at(err, name, 1);
	} else if (!is_at_home(text + strlen(LEFTOVERS_HEADER), self, home)) {
		r->found.foreign = true;
	} else if (!leftovers_are_about(&r->c->descriptor,
					text + strlen(LEFTOVERS_HEADER) + strlen(self))) {
		if (!r->look)
			message_warn(r->c->path, 0,
				     "%s, which an interrupted command left, is about a container "
				     "that has another name by now; what it made stays where it is",
				     name);
	} else {
		ret = follow(r, text + strlen(LEFTOVERS_HEADER) + strlen(self), err);
	}
	free(text);
	return ret;
}

/* Files that were to take the place of one that has no extents in it. */
static void clear_replacements(const struct container *c)
{
	static const char *const suffixes[] = { "", MANIFEST_SUFFIX, SIDECAR_SUFFIX };
	char *name = leftovers_name(c->name);
	size_t i;

	if (name)
		replace_clear(c->policy.dir.fd, name);
	free(name);

	for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		name = container_side_name(c, suffixes[i]);
		if (!name)
			return;
		replace_clear(c->policy.dir.fd, name);
		free(name);
	}
}

int leftovers_check(const struct container *c, struct svmdk_error *err)
{
	struct recovery r = { .c = c, .unsynced = -1, .look = true };
	char *name = leftovers_name(c->name);
	struct svmdk_error ignored;
	int fd, ret = 0;

	if (!name)
		return fail(err, ENOMEM, c->path, "cannot look for a list of leftovers");
	if (leftovers_open(c, name, &fd, &ignored) == 0 && fd >= 0) {
		ret = follow_list(&r, fd, name, err) && err->code == ESTALE ? -1 : 0;
		close(fd);
	}
	free(name);
	return ret;
}

int leftovers_recover(const struct container *c, struct leftovers_found *found,
		      struct svmdk_error *err)
{
	struct recovery r = {
		.c = c,
		.unsynced = -1,
		.claimants = {
			.kind = CLAIMS_OF_DESCRIPTORS,
			.own = c->policy.dir.fd,
			.self = c->name,
			.self_st = &c->st,
		},
	};
	char *name = leftovers_name(c->name);
	int fd, ret;

	if (found)
		*found = r.found;
	if (!name)
		return fail(err, ENOMEM, c->path, "cannot clear up");
	clear_replacements(c);
	ret = leftovers_open(c, name, &fd, err);
	if (fd >= 0) {
		ret = refuse_extents(&r, err) || follow_list(&r, fd, name, err) ? -1 : 0;
		close(fd);
		if (!ret)
			ret = leftovers_end(c, err);
	}
	free(name);
	if (found)
		*found = r.found;
	return ret;
}
