// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "interrupt.h"
#include "new_extents.h"
#include "progress.h"
#include "replace.h"
#include "size.h"
#include "zero.h"

/* Names the file by the folder that the user named. */
static int at(const struct new_extents *n, const char *name, struct svmdk_error *err)
{
	const char *slash = strrchr(n->path, '/');
	int length = slash ? (int)(slash + 1 - n->path) : 0;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.*s%s", length, n->path, name);
	return error_at(err, path, 0);
}

static uint64_t bytes_to_add(const struct new_extents *n)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < n->nr; i++)
		bytes += n->list[i].bytes - n->list[i].begin;
	return bytes;
}

int new_extents_check_room(const struct new_extents *n, struct svmdk_error *err)
{
	char need_text[SIZE_TEXT_LEN], missing_text[SIZE_TEXT_LEN];
	uint64_t need = bytes_to_add(n), room;
	struct statvfs fs;

	if (fstatvfs(n->dirfd, &fs) || fs.f_blocks == 0)
		return 0; /* a file system that does not say; the disk will */
	room = geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
	if (__builtin_mul_overflow(room, fs.f_frsize, &room) || need <= room)
		return 0;
	error_set(err, ENOSPC,
		  "not enough room: %s are needed, %s (%" PRIu64 " bytes) more than there are",
		  size_format(need_text, need), size_format(missing_text, need - room),
		  need - room);
	return error_at(err, n->path, 0);
}

/* One call for the whole extent, so that it comes in as few runs as may be. */
static int allocate(const struct new_extents *n, const struct new_extent *e, int fd,
		    struct svmdk_error *err)
{
	int ret;

	do {
		ret = fallocate(fd, 0, e->begin, e->bytes - e->begin);
	} while (ret && errno == EINTR && !interrupt_seen());
	if (ret == 0)
		return 0;
	if (errno == EINTR)
		return error_set(err, EINTR, "interrupted");
	if (errno == EOPNOTSUPP && n->write)
		return ftruncate(fd, e->bytes) ? error_errno(err, errno, "cannot set its size") : 0;
	return error_errno(err, errno, "cannot allocate %" PRIu64 " bytes%s", e->bytes - e->begin,
			   errno == EOPNOTSUPP ? "; use --preallocate full" : "");
}

/* What another program has added to it since is not ours, to fill with zeroes or cut off. */
static int reopen_extent(const struct new_extents *n, const struct new_extent *e,
			 struct svmdk_error *err)
{
	struct stat st;

	if (fstat(e->fd, &st)) {
		error_errno(err, errno, "cannot look at it");
	} else if ((uint64_t)st.st_size != e->begin) {
		error_set(err, ESTALE, "another program changes its size; try again");
	} else {
		int fd = fcntl(e->fd, F_DUPFD_CLOEXEC, 0);

		if (fd >= 0)
			return fd;
		error_errno(err, errno, "cannot open it");
	}
	return at(n, e->name, err);
}

static int open_extent(const struct new_extents *n, const struct new_extent *e,
		       struct svmdk_error *err)
{
	int fd;

	if (e->begin)
		return reopen_extent(n, e, err);
	/* Nobody may open it before it has the owner and mode of the others. */
	fd = openat(n->dirfd, e->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_CREAT | O_EXCL,
		    n->like ? 0600 : 0644);
	if (fd >= 0)
		return fd;
	if (errno == EEXIST)
		error_set(err, EEXIST, "exists already; choose another name, or remove it first");
	else
		error_errno(err, errno, "cannot create it");
	return at(n, e->name, err);
}

/* Of one that was there its name may lead to another file by now. */
static int open_again(const struct new_extents *n, const struct new_extent *e)
{
	if (e->begin)
		return fcntl(e->fd, F_DUPFD_CLOEXEC, 0);
	return openat(n->dirfd, e->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
}

static int set_owner(const struct new_extents *n, int fd, struct svmdk_error *err)
{
	if (!n->like)
		return 0;
	if (fchown(fd, n->like->st_uid, n->like->st_gid) || fchmod(fd, n->like->st_mode & 07777))
		return error_errno(err, errno, "cannot give it the owner and mode of the others");
	return 0;
}

static int make_extent(struct new_extents *n, const struct new_extent *e, struct svmdk_error *err)
{
	int ret, fd = open_extent(n, e, err);

	if (fd < 0)
		return -1;
	n->made++;
	ret = e->begin ? 0 : set_owner(n, fd, err);
	if (!ret)
		ret = allocate(n, e, fd, err);
	if (!ret && !n->write && fsync(fd))
		ret = error_errno(err, errno, "cannot write it to disk");
	close(fd);
	return ret ? at(n, e->name, err) : 0;
}

static int fill_extent(const struct new_extents *n, const struct new_extent *e, struct zeroer *z,
		       struct svmdk_error *err)
{
	int fd = open_again(n, e), ret;

	if (fd < 0)
		ret = error_errno(err, errno, "cannot open it");
	else
		ret = zero_range(z, fd, e->begin, e->bytes - e->begin, err);
	if (!ret && fsync(fd))
		ret = error_errno(err, errno, "cannot write it to disk");
	if (fd >= 0 && close(fd) && !ret)
		ret = error_errno(err, errno, "cannot write it to disk");
	return ret ? at(n, e->name, err) : 0;
}

static int fill(const struct new_extents *n, struct svmdk_error *err)
{
	struct progress progress;
	struct zeroer z;
	size_t i;
	int ret;

	progress_begin(&progress, "Writing", bytes_to_add(n));
	ret = zero_begin(&z, &progress, err);
	for (i = 0; i < n->nr && !ret; i++)
		ret = fill_extent(n, &n->list[i], &z, err);
	zero_end(&z);
	progress_end(&progress);
	return ret;
}

int new_extents_make(struct new_extents *n, struct svmdk_error *err)
{
	size_t i;

	for (i = 0; i < n->nr; i++)
		if (make_extent(n, &n->list[i], err))
			return -1;
	if (n->write && fill(n, err))
		return -1;
	if (interrupt_seen()) {
		error_set(err, EINTR, "interrupted");
		return error_at(err, n->path, 0);
	}
	if (replace_sync_folder(n->dirfd)) {
		error_errno(err, errno, "cannot write its folder to disk");
		return error_at(err, n->path, 0);
	}
	return 0;
}

static int undo(const struct new_extents *n, const struct new_extent *e)
{
	return e->begin ? ftruncate(e->fd, e->begin) : unlinkat(n->dirfd, e->name, 0);
}

void new_extents_undo(const struct new_extents *n)
{
	size_t i;

	for (i = 0; i < n->made; i++)
		if (undo(n, &n->list[i]))
			message_warn(n->path, 0, "extent %s could not be %s again: %s",
				     n->list[i].name, n->list[i].begin ? "cut off" : "removed",
				     strerror(errno));
}

void new_extents_free(struct new_extents *n)
{
	size_t i;

	for (i = 0; i < n->nr; i++)
		free(n->list[i].name);
	free(n->list);
	n->list = NULL;
	n->nr = 0;
}
