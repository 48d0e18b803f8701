// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "container.h"
#include "extent_naming.h"
#include "leftovers.h"
#include "manifest_file.h"
#include "replace.h"
#include "same_time.h"
#include "sidecar.h"
#include "size.h"

/* Files that are open beside the extents: standard ones, libraries' own. */
#define SPARE_FILES 64

/*
 * Bytes that QEMU locks, for reading, to say what it does and what it does not
 * share; and where svmdk's own locks begin, behind the end of any file.
 */
#define QEMU_WRITES 101
#define QEMU_NO_OTHER_WRITES 201
#define QEMU_NO_OTHER_RESIZES 203
#define OWN_LOCKS (UINT64_C(1) << 62)

static int fail(struct svmdk_error *err, int code, const char *file, const char *what)
{
	error_errno(err, code, "%s", what);
	return error_at(err, file, 0);
}

/* Opens the descriptor itself: a regular file, or it is not even opened. */
static int open_descriptor(struct container *c, struct svmdk_error *err)
{
	c->fd = safe_open_regular(c->policy.dir.fd, c->name, O_RDONLY, &c->st);
	if (c->fd < 0 && errno == EBADF) {
		error_set(err, S_ISDIR(c->st.st_mode) ? EISDIR : EINVAL,
			  "%s; name the container's descriptor, a text file",
			  S_ISDIR(c->st.st_mode) ? "a directory" : "not a regular file");
		return error_at(err, c->path, 0);
	}
	if (c->fd < 0)
		return fail(err, errno, c->path, "cannot open the descriptor");
	c->policy.descriptor = c->st;
	return 0;
}

/* Reads one byte more than a descriptor may have, and understands it. */
static int read_descriptor(struct container *c, struct svmdk_error *err)
{
	const size_t room = DESCRIPTOR_MAX_BYTES + 1;
	char *bytes = malloc(room);
	size_t length = 0;
	ssize_t got = 1;
	int ret;

	if (!bytes)
		return fail(err, ENOMEM, c->path, "cannot read the descriptor");
	while (length < room && got) {
		got = pread(c->fd, bytes + length, room - length, length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(bytes);
			return fail(err, errno, c->path, "cannot read the descriptor");
		}
		length += got;
	}
	ret = descriptor_parse(&c->descriptor, bytes, length, err);
	free(bytes);
	if (ret)
		return error_at(err, c->path, err->line);
	return 0;
}

static int find_folder(struct container *c, struct svmdk_error *err)
{
	struct stat none = { 0 };
	char *folder;
	int ret;

	c->real_path = realpath(c->path, NULL);
	if (!c->real_path)
		return fail(err, errno, c->path, "cannot open the descriptor");
	c->name = strrchr(c->real_path, '/') + 1;
	folder = strdup(c->real_path);
	if (!folder)
		return fail(err, ENOMEM, c->path, "cannot open the descriptor");
	ret = open_policy_init(&c->policy, dirname(folder), &none, err);
	free(folder);
	return ret;
}

char *container_side_name(const struct container *c, const char *suffix)
{
	char *name;

	return asprintf(&name, "%s%s", c->name, suffix) < 0 ? NULL : name;
}

char *container_stem(const struct container *c)
{
	return extent_stem(c->name);
}

/* What a command would write over or take away, were it an extent. */
static int refuse_own_files(struct container *c, struct svmdk_error *err)
{
	const struct descriptor *d = &c->descriptor;
	const char *last;
	size_t i;

	for (i = 0; i < d->nr_extents; i++) {
		if (!extent_has_file(&d->extents[i]))
			continue;
		last = strrchr(d->extents[i].name, '/');
		last = last ? last + 1 : d->extents[i].name;
		if (strncmp(last, REPLACE_PREFIX, strlen(REPLACE_PREFIX)))
			continue;
		error_set(err, EINVAL,
			  "extent %s is named like svmdk's own temporary files, which are taken "
			  "away; give it another name",
			  d->extents[i].name);
		return error_at(err, c->path, d->extents[i].line);
	}
	if (open_policy_own(&c->policy, container_side_name(c, MANIFEST_SUFFIX), err) ||
	    open_policy_own(&c->policy, container_side_name(c, SIDECAR_SUFFIX), err) ||
	    open_policy_own(&c->policy, leftovers_name(c->name), err))
		return error_at(err, c->path, 0);
	return 0;
}

int container_open(struct container *c, const char *path, char *const *allow, size_t nr_allow,
		   struct svmdk_error *err)
{
	size_t i;

	*c = (struct container){ .fd = -1 };
	c->path = strdup(path);
	if (!c->path)
		return fail(err, ENOMEM, path, "cannot open the descriptor");
	if (find_folder(c, err) || open_descriptor(c, err))
		goto failed;
	for (i = 0; i < nr_allow; i++) {
		if (open_policy_allow(&c->policy, allow[i], err))
			goto failed;
	}
	if (read_descriptor(c, err) || refuse_own_files(c, err))
		goto failed;
	return 0;
failed:
	container_close(c);
	return -1;
}

void container_close(struct container *c)
{
	if (!c->path)
		return;
	if (c->fd >= 0)
		close(c->fd);
	descriptor_free(&c->descriptor);
	open_policy_free(&c->policy);
	free(c->real_path);
	free(c->path);
	*c = (struct container){ .fd = -1 };
}

int container_check_current(const struct container *c, struct svmdk_error *err)
{
	if (safe_is_current(c->policy.dir.fd, c->name, &c->st))
		return 0;
	error_set(err, ESTALE, "the descriptor was changed meanwhile; try again");
	return error_at(err, c->path, 0);
}

int container_lock(struct container *c, struct svmdk_error *err)
{
	if (c->locked)
		return 0;
	if (safe_flock(&c->fd)) {
		if (errno != EWOULDBLOCK)
			return fail(err, errno, c->path, "cannot lock the descriptor");
		error_set(
			err, EWOULDBLOCK,
			"in use: it is attached (see svmdk list), or another svmdk command is at work on it");
		return error_at(err, c->path, 0);
	}
	if (container_check_current(c, err)) {
		flock(c->fd, LOCK_UN);
		return -1;
	}
	c->locked = true;
	return 0;
}

static int find_size(struct extent_file *file)
{
	file->size = file->st.st_size;
	return S_ISBLK(file->st.st_mode) ? ioctl(file->fd, BLKGETSIZE64, &file->size) : 0;
}

static int open_extent(const struct container *c, size_t i, int flags, struct extent_file *file,
		       struct svmdk_error *err)
{
	const struct extent *e = &c->descriptor.extents[i];
	uint64_t need = extent_end(e);

	if (safe_open(&c->policy, e->name, flags, &file->fd, &file->st, err))
		return error_at(err, c->path, e->line);
	if (find_size(file)) {
		error_errno(err, errno, "cannot tell the size of extent %s", e->name);
	} else if (file->size < need) {
		error_set(err, ENODATA,
			  "extent %s is short: %" PRIu64 " bytes of %" PRIu64
			  " are missing; put it back from a copy",
			  e->name, need - file->size, need);
	} else {
		return 0;
	}
	close(file->fd);
	return error_at(err, c->path, e->line);
}

int container_open_extent(const struct container *c, size_t i, int flags, struct extent_file *file,
			  struct svmdk_error *err)
{
	if (c->descriptor.extents[i].access == EXTENT_RDONLY)
		flags = (flags & ~O_ACCMODE) | O_RDONLY;
	return open_extent(c, i, flags, file, err);
}

int container_open_extent_writable(const struct container *c, size_t i, struct extent_file *file,
				   struct svmdk_error *err)
{
	return open_extent(c, i, O_RDWR, file, err);
}

/* A lock of the open file, not of the process, and without waiting. */
static int lock_range(int fd, int command, short type, uint64_t begin, uint64_t length)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = begin,
		.l_len = length,
	};

	if (fcntl(fd, command, &lock) == 0)
		return command == F_OFD_GETLK && lock.l_type != F_UNLCK ? -1 : 0;
	return errno == EAGAIN || errno == EACCES ? -1 : 0;
}

bool container_may_write(const struct extent_file *file)
{
	return (fcntl(file->fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

/* @length 0 is all that comes after @begin. */
static int lock_against_svmdk(const struct container *c, const struct extent *e,
			      const struct extent_file *file, uint64_t begin, uint64_t length,
			      struct svmdk_error *err)
{
	/* What is open for reading can be locked for that, which others' locks keep off too. */
	const short type = container_may_write(file) ? F_WRLCK : F_RDLCK;

	if (lock_range(file->fd, F_OFD_SETLK, type, begin, length) == 0)
		return 0;
	error_set(
		err, EBUSY,
		"extent %s is in use by another svmdk command, or attached by way of another descriptor; see svmdk list",
		e->name);
	return error_at(err, c->path, e->line);
}

static int lock_against_qemu(const struct container *c, const struct extent *e,
			     const struct extent_file *file, struct svmdk_error *err)
{
	/* First say that nobody else may write, then see whether anybody does. */
	lock_range(file->fd, F_OFD_SETLK, F_RDLCK, QEMU_NO_OTHER_WRITES, 1);
	lock_range(file->fd, F_OFD_SETLK, F_RDLCK, QEMU_NO_OTHER_RESIZES, 1);
	if (lock_range(file->fd, F_OFD_GETLK, F_WRLCK, QEMU_WRITES, 1) == 0)
		return 0;
	error_set(err, EBUSY, "extent %s is in use: QEMU writes to it; stop that first", e->name);
	return error_at(err, c->path, e->line);
}

int container_lock_extent(const struct container *c, size_t i, const struct extent_file *file,
			  struct svmdk_error *err)
{
	const struct extent *e = &c->descriptor.extents[i];
	uint64_t begin = OWN_LOCKS + (e->offset << SECTOR_SHIFT);
	uint64_t length = e->sectors << SECTOR_SHIFT;

	if (!S_ISREG(file->st.st_mode) || !container_may_write(file))
		return 0;
	if (begin + length <= INT64_MAX && lock_against_svmdk(c, e, file, begin, length, err))
		return -1;
	return lock_against_qemu(c, e, file, err);
}

int container_lock_whole(const struct container *c, size_t i, const struct extent_file *file,
			 struct svmdk_error *err)
{
	const struct extent *e = &c->descriptor.extents[i];

	if (!S_ISREG(file->st.st_mode))
		return 0;
	if (lock_against_svmdk(c, e, file, OWN_LOCKS, 0, err))
		return -1;
	return lock_against_qemu(c, e, file, err);
}

size_t container_batch(size_t want)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return want;
	if (limit.rlim_cur < want + SPARE_FILES && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = want + SPARE_FILES < limit.rlim_max ? want + SPARE_FILES :
								       limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit))
			getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= want + SPARE_FILES)
		return want;
	return limit.rlim_cur > SPARE_FILES ? limit.rlim_cur - SPARE_FILES : 1;
}

/* Makes the container as new: what was read before may be gone. */
static int reload(struct container *c, struct svmdk_error *err)
{
	close(c->fd);
	c->fd = -1;
	c->locked = false;
	descriptor_free(&c->descriptor);
	if (open_descriptor(c, err))
		return -1;
	return read_descriptor(c, err);
}

int container_replace_text(struct container *c, const char *text, size_t length,
			   struct svmdk_error *err)
{
	int fd;

	if (replace_file_locked(c->policy.dir.fd, c->name, text, length, &fd, err))
		return error_at(err, c->path, 0);
	close(c->fd);
	c->fd = fd;
	descriptor_free(&c->descriptor);
	if (fstat(fd, &c->st))
		return fail(err, errno, c->path, "cannot read the descriptor");
	c->policy.descriptor = c->st;
	return read_descriptor(c, err);
}

/*
 * A CID is as long as the one before. Where times are coarse, two seconds on FAT, rsync and
 * the sidecar would take the new descriptor for the old one. A later time, never an earlier
 * one, which was another one's perhaps.
 */
static int set_other_time(struct container *c, const struct timespec *before,
			  struct svmdk_error *err)
{
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, { before->tv_sec + 2, 0 } };

	if (time_since(before, &c->st.st_mtim) > 0)
		return 0;
	if (futimens(c->fd, times) || fsync(c->fd) || fstat(c->fd, &c->st))
		return fail(err, errno, c->path, "cannot set its time");
	c->policy.descriptor = c->st;
	return 0;
}

int container_new_cid(struct container *c, struct svmdk_error *err)
{
	const struct descriptor *d = &c->descriptor;
	bool was_locked = c->locked;
	struct timespec before;
	size_t length;
	char *text;
	int ret;

	/* With the lock held nobody has changed it since it was read. */
	if (!was_locked && (reload(c, err) || container_lock(c, err)))
		return -1;
	if (descriptor_text_with_cid(d, descriptor_new_cid(d->cid), &text, &length, err))
		return error_at(err, c->path, 0);
	before = c->st.st_mtim;
	ret = container_replace_text(c, text, length, err);
	free(text);
	if (!ret)
		ret = set_other_time(c, &before, err);
	if (!ret && !was_locked) {
		flock(c->fd, LOCK_UN);
		c->locked = false;
	}
	return ret;
}
