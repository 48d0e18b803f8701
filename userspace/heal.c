// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heal.h"
#include "replace.h"

#define TEMP_LEN 48

/**
 * struct replacement - a copy beside the file whose place it is to take
 * @dirfd: the folder, O_PATH
 * @base: name of the file in it
 * @temp: name of the copy in it: always the same for a file, so that the next
 *	run finds what this one left, and another one sees that this is at work
 * @fd: the copy, locked, or -1
 * @present: something had the name of the file when this began
 * @old: status of that
 */
struct replacement {
	int dirfd;
	char *base;
	char temp[TEMP_LEN];
	int fd;
	bool present;
	struct stat old;
};

/* The folders that are allowed are those of the files themselves, and none of a copy. */
static int fail_outside(const struct healing *h, struct svmdk_error *err)
{
	return error_set(err, EXDEV,
			 "its name leads out of %s, and copies are taken from there and below "
			 "alone; copy it by hand",
			 h->from->dir.path);
}

/* That there is no file would be no news: it is what is to be repaired. */
static int fail_without_folder(const struct open_policy *to, const char *name,
			       struct svmdk_error *err)
{
	const bool absolute = name[0] == '/';

	return error_set(err, ENOENT,
			 "its folder %s%s%.*s does not exist; make it, and repair again",
			 absolute ? "" : to->dir.path, absolute ? "" : "/",
			 (int)(strrchr(name, '/') - name), name);
}

static int fail_meanwhile(struct svmdk_error *err)
{
	return error_set(err, ESTALE,
			 "another program put a file in its place, or took it away, while it was "
			 "repaired; try again");
}

static int open_place(struct replacement *r, const struct open_policy *to, const char *name,
		      struct svmdk_error *err)
{
	unsigned char hash[HASH_SIZE];
	uint64_t id;

	r->fd = -1;
	if (safe_open_folder(to, name, &r->dirfd, &r->base, err))
		return err->code == ENOENT && strchr(name, '/') ?
			       fail_without_folder(to, name, err) :
			       -1;
	if (hash_bytes(hash, r->base, strlen(r->base), err)) {
		free(r->base);
		close(r->dirfd);
		return -1;
	}
	memcpy(&id, hash, sizeof(id));
	snprintf(r->temp, sizeof(r->temp), REPLACE_PREFIX "repair-%016" PRIx64 ".tmp", id);
	r->present = fstatat(r->dirfd, r->base, &r->old, AT_SYMLINK_NOFOLLOW) == 0;
	return 0;
}

static void close_place(struct replacement *r)
{
	if (r->fd >= 0) {
		/* Once it is renamed another one may have the name; until it is closed none has. */
		if (replace_has_name(r->dirfd, r->temp, r->fd))
			unlinkat(r->dirfd, r->temp, 0);
		close(r->fd);
	}
	free(r->base);
	close(r->dirfd);
}

/* With the right hash, too: then it is whole, and the file was made longer since. */
static int fail_short(const struct healing *h, const struct stat *st, struct svmdk_error *err)
{
	return error_set(err, ESTALE,
			 "its copy in %s has %" PRIu64 " bytes, and by the descriptor it has to "
			 "have %" PRIu64 ": it was cut short, or is of before the disk grew and "
			 "older than the rest; find one of after that",
			 h->from->dir.path, (uint64_t)st->st_size, h->need);
}

static int open_copy(const struct healing *h, int *fd, struct stat *st, struct svmdk_error *err)
{
	if (safe_open(h->from, h->name, O_RDONLY, fd, st, err)) {
		if (err->code == ENOENT)
			return error_set(err, ENOENT, "there is no copy of it in %s",
					 h->from->dir.path);
		if (err->code == EXDEV)
			return fail_outside(h, err);
		return error_set(err, err->code, "its copy in %s cannot be opened: %s",
				 h->from->dir.path, err->text);
	}
	if (S_ISREG(st->st_mode) && (uint64_t)st->st_size >= h->need)
		return 0;
	close(*fd);
	return S_ISREG(st->st_mode) ? fail_short(h, st, err) :
				      error_set(err, EINVAL, "its copy in %s is not a regular file",
						h->from->dir.path);
}

/* What it replaces; without that, what it is to be like. */
static const struct stat *find_like(const struct healing *h, const struct replacement *r,
				    const struct stat *copy)
{
	if (r->present && S_ISREG(r->old.st_mode))
		return &r->old;
	return h->like ? h->like : copy;
}

/* Before all of it is copied: whoever may write to the folder need not be the owner. */
static int give_owner(const struct replacement *r, const struct stat *like, struct svmdk_error *err)
{
	if (fchown(r->fd, like->st_uid, like->st_gid) == 0 || (errno == EPERM && like != &r->old))
		return 0;
	if (errno != EPERM)
		return error_errno(err, errno, "cannot write a new file beside it");
	return error_set(err, EPERM,
			 "it belongs to user %ju and group %ju, to whom a new file in its place "
			 "cannot be given; repair it as that user or as root",
			 (uintmax_t)like->st_uid, (uintmax_t)like->st_gid);
}

/* No set-id bits: whoever may write to the copy would say what runs by them. */
static int give_mode(const struct replacement *r, const struct stat *like)
{
	return fchmod(r->fd, like->st_mode & (like == &r->old ? 0777 : 0666));
}

static int fill(struct healing *h, struct replacement *r, int copy, const struct stat *st,
		struct svmdk_error *err)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		h->mtime ? *h->mtime : st->st_mtim,
	};
	const struct stat *like = find_like(h, r, st);
	unsigned char hash[HASH_SIZE];
	char name[PATH_MAX + 16];

	if (give_owner(r, like, err))
		return -1;
	/* All of it at once: no holes, and a full disk is found before the work. */
	if (st->st_size && fallocate(r->fd, 0, 0, st->st_size) && errno != EOPNOTSUPP)
		return error_errno(err, errno, "cannot write a new file beside it");
	snprintf(name, sizeof(name), "its copy in %s", h->from->dir.path);
	if (hash_copy(copy, name, r->fd, st->st_size, hash, h->progress, &h->done, err))
		return -1;
	if (memcmp(hash, h->hash, HASH_SIZE))
		return error_set(err, EBADMSG,
				 "its copy in %s is not what the manifest says: older, newer, or "
				 "damaged itself",
				 h->from->dir.path);
	if (give_mode(r, like) || futimens(r->fd, times) || fsync(r->fd))
		return error_errno(err, errno, "cannot write a new file beside it");
	return 0;
}

/* What else came by the name meanwhile nobody holds, and nobody has judged. */
static bool is_as_found(const struct replacement *r)
{
	struct stat now;

	if (fstatat(r->dirfd, r->base, &now, AT_SYMLINK_NOFOLLOW))
		return !r->present;
	return r->present && now.st_dev == r->old.st_dev && now.st_ino == r->old.st_ino;
}

/*
 * Where there was nothing, what comes between the look and this stays, too: but where a file
 * system can neither rename so nor link.
 */
static int rename_temp(const struct replacement *r)
{
	if (!r->present) {
		if (replace_rename_new(r->dirfd, r->temp, r->base) == 0)
			return 0;
		if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
			return -1;
	}
	return renameat(r->dirfd, r->temp, r->dirfd, r->base);
}

static int put_in_place(struct replacement *r, struct svmdk_error *err)
{
	if (!replace_has_name(r->dirfd, r->temp, r->fd))
		return error_set(err, ESTALE,
				 "another program took the new file beside it away; try again");
	if (!is_as_found(r))
		return fail_meanwhile(err);
	if (rename_temp(r))
		return errno == EEXIST ?
			       fail_meanwhile(err) :
			       error_errno(err, errno, "cannot put the new file in its place");
	if (replace_sync_name(r->dirfd, r->fd))
		return error_errno(err, errno,
				   "replaced, but its folder cannot be written to disk");
	return 0;
}

static int open_temp(struct replacement *r, struct svmdk_error *err)
{
	r->fd = replace_open_temp(r->dirfd, r->temp, 0600);
	if (r->fd >= 0)
		return 0;
	switch (errno) {
	case EWOULDBLOCK:
		return error_set(
			err, EBUSY,
			"another svmdk repair is at work on it; wait until that has ended, "
			"and try again");
	case EEXIST:
		return error_set(err, EEXIST,
				 "%s is in its folder and cannot be taken away, of which svmdk "
				 "repair makes its new file; remove it if no other one is at work",
				 r->temp);
	default:
		return error_errno(err, errno, "cannot make a new file beside it");
	}
}

/* Before all of it is copied. */
static int check_place(const struct healing *h, const struct replacement *r,
		       struct svmdk_error *err)
{
	if (h->missing && r->present)
		return fail_meanwhile(err);
	if (r->present && S_ISDIR(r->old.st_mode))
		return error_set(err, EISDIR,
				 "a folder has its name; move that away, and repair again");
	return 0;
}

static int replace(struct healing *h, int copy, const struct stat *st, struct svmdk_error *err)
{
	struct replacement r;
	int ret;

	if (open_place(&r, h->to, h->name, err))
		return -1;
	ret = check_place(h, &r, err) || open_temp(&r, err) || fill(h, &r, copy, st, err) ||
			      put_in_place(&r, err) ?
		      -1 :
		      0;
	close_place(&r);
	return ret;
}

int heal_file(struct healing *h, struct svmdk_error *err)
{
	struct stat st;
	int copy, ret;

	if (open_copy(h, &copy, &st, err))
		return -1;
	ret = replace(h, copy, &st, err);
	close(copy);
	return ret;
}

void heal_clear(const struct open_policy *to, const char *name)
{
	struct svmdk_error err;
	struct replacement r;

	if (open_place(&r, to, name, &err))
		return;
	replace_remove_stale(r.dirfd, r.temp);
	close_place(&r);
}
