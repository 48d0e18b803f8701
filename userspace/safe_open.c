// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/file.h>
#include <unistd.h>

#include "safe_open.h"
#include "same_time.h"

/* No link is followed at all. */
#define RESOLVE_EXTENT (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
/* udev's links lead from one place of devtmpfs to another. */
#define RESOLVE_UDEV_LINK (RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS)

/*
 * Opens without effect on what is opened. A path is resolved anew when
 * something was renamed meanwhile, but not for ever: whoever renames may be
 * hostile too.
 */
static int open_path(int dirfd, const char *name, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | flags,
		.resolve = resolve,
	};
	int fd, tries = 0;

	do {
		fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN && ++tries < 100);
	return fd;
}

int safe_reopen(int fd, int flags)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return open(name, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int safe_open_regular(int dirfd, const char *name, int flags, struct stat *st)
{
	int path_fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -1, saved;

	if (path_fd < 0)
		return -1;
	if (fstat(path_fd, st) == 0) {
		errno = EBADF;
		if (S_ISREG(st->st_mode))
			fd = safe_reopen(path_fd, flags);
	}
	saved = errno;
	close(path_fd);
	errno = saved;
	return fd;
}

/* Takes away `.', `..' and doubled slashes of an absolute path, in place. */
static void normalize(char *path)
{
	char *from = path, *to = path;
	size_t length;

	while (*from) {
		from += strspn(from, "/");
		length = strcspn(from, "/");
		if (length == 2 && from[0] == '.' && from[1] == '.') {
			while (to > path && *--to != '/')
				;
		} else if (length && !(length == 1 && from[0] == '.')) {
			*to++ = '/';
			memmove(to, from, length);
			to += length;
		}
		from += length;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

/* What is left of @path below @dir, "." for itself; NULL when not below. */
static const char *path_below(const char *path, const char *dir)
{
	size_t length = strlen(dir);

	if (dir[length - 1] == '/')
		length--;
	if (strncmp(path, dir, length))
		return NULL;
	if (path[length] == '\0')
		return ".";
	if (path[length] != '/')
		return NULL;
	return path[length + 1] ? path + length + 1 : ".";
}

static const char *below_allowed(const struct allowed_dir *dir, const char *path)
{
	const char *rest = path_below(path, dir->path);

	if (!rest && dir->given)
		rest = path_below(path, dir->given);
	return rest;
}

static const struct allowed_dir *find_allowed(const struct open_policy *policy, const char *path,
					      const char **rest)
{
	size_t i;

	for (i = 0; i < policy->nr_allowed; i++) {
		*rest = below_allowed(&policy->allowed[i], path);
		if (*rest)
			return &policy->allowed[i];
	}
	return NULL;
}

/*
 * Absolute path that @name means, seen from the descriptor's folder. Since no
 * link is followed, `..' may be taken away as text.
 */
static char *absolute_path(const struct open_policy *policy, const char *name)
{
	char *path;

	if (name[0] == '/')
		path = strdup(name);
	else if (asprintf(&path, "%s/%s", policy->dir.path, name) < 0)
		path = NULL;
	if (path)
		normalize(path);
	return path;
}

static int dir_open(struct allowed_dir *dir, const char *path, struct svmdk_error *err)
{
	int saved;

	*dir = (struct allowed_dir){ .fd = -1 };
	dir->path = realpath(path, NULL);
	if (dir->path)
		dir->fd = open(dir->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd >= 0) {
		if (path[0] == '/' && !strstr(path, "/.."))
			dir->given = strdup(path);
		if (dir->given)
			normalize(dir->given);
		return 0;
	}
	saved = errno;
	free(dir->path);
	*dir = (struct allowed_dir){ 0 };
	error_errno(err, saved, "cannot open the folder");
	return error_at(err, path, 0);
}

static void dir_close(struct allowed_dir *dir)
{
	if (!dir->path)
		return;
	close(dir->fd);
	free(dir->path);
	free(dir->given);
}

int open_policy_init(struct open_policy *policy, const char *dir, const struct stat *descriptor,
		     struct svmdk_error *err)
{
	*policy = (struct open_policy){ .descriptor = *descriptor };
	return dir_open(&policy->dir, dir, err);
}

int open_policy_own(struct open_policy *policy, char *name, struct svmdk_error *err)
{
	if (!name)
		return error_errno(err, ENOMEM, "cannot open the descriptor");
	policy->own[policy->nr_own++] = name;
	return 0;
}

int open_policy_allow(struct open_policy *policy, const char *dir, struct svmdk_error *err)
{
	struct allowed_dir *allowed;

	allowed = reallocarray(policy->allowed, policy->nr_allowed + 1, sizeof(*allowed));
	if (!allowed)
		return error_errno(err, ENOMEM, "cannot allow another folder");
	policy->allowed = allowed;
	if (dir_open(&allowed[policy->nr_allowed], dir, err))
		return -1;
	policy->nr_allowed++;
	return 0;
}

void open_policy_free(struct open_policy *policy)
{
	size_t i;

	for (i = 0; i < policy->nr_allowed; i++)
		dir_close(&policy->allowed[i]);
	for (i = 0; i < policy->nr_own; i++)
		free(policy->own[i]);
	free(policy->allowed);
	dir_close(&policy->dir);
	*policy = (struct open_policy){ 0 };
}

static int refuse(struct svmdk_error *err, int code, const char *name)
{
	switch (code) {
	case ENOENT:
		return error_set(
			err, code,
			"extent %s does not exist; put it back from a copy, svmdk never makes one up",
			name);
	case ELOOP:
		return error_set(
			err, code,
			"extent %s is a symbolic link, or there is one on the way to it; name the file itself",
			name);
	case EXDEV:
		return error_set(
			err, code,
			"extent %s is outside the descriptor's folder; if it is meant to be, allow its folder with --allow-outside DIR",
			name);
	case EISDIR:
		return error_set(err, code, "extent %s is a directory, not a file", name);
	case ENOTBLK:
		return error_set(
			err, code,
			"extent %s is a block device; if it is meant to be, allow its folder with --allow-outside DIR",
			name);
	case EROFS:
		return error_set(err, code,
				 "extent %s is on a read-only file system; attach read-only", name);
	case EACCES:
	case EPERM:
		return error_errno(
			err, code,
			"cannot open extent %s; see its permissions and attributes (ls -l, lsattr)",
			name);
	case EBUSY:
		return error_errno(err, code,
				   "cannot open extent %s; it is mounted or otherwise in use",
				   name);
	default:
		return error_errno(err, code, "cannot open extent %s", name);
	}
}

/* They are looked at each time, for they are replaced whole. */
int open_policy_check_own(const struct open_policy *policy, const char *name, const struct stat *st,
			  struct svmdk_error *err)
{
	struct stat own;
	size_t i;

	if (st->st_dev == policy->descriptor.st_dev && st->st_ino == policy->descriptor.st_ino)
		return error_set(err, EINVAL, "extent %s is the descriptor itself", name);
	for (i = 0; i < policy->nr_own; i++)
		if (fstatat(policy->dir.fd, policy->own[i], &own, AT_SYMLINK_NOFOLLOW) == 0 &&
		    own.st_dev == st->st_dev && own.st_ino == st->st_ino)
			return error_set(err, EINVAL,
					 "extent %s is what svmdk keeps as %s beside the "
					 "descriptor, and would be overwritten; give one of them "
					 "another name",
					 name, policy->own[i]);
	return 0;
}

static int check_type(const struct open_policy *policy, const char *name, const struct stat *st,
		      bool block_allowed, struct svmdk_error *err)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return open_policy_check_own(policy, name, st, err);
	case S_IFBLK:
		return block_allowed ? 0 : refuse(err, ENOTBLK, name);
	case S_IFDIR:
		return refuse(err, EISDIR, name);
	case S_IFLNK:
		return refuse(err, ELOOP, name);
	case S_IFIFO:
		return error_set(err, ENXIO, "extent %s is a FIFO, not a file", name);
	case S_IFSOCK:
		return error_set(err, ENXIO, "extent %s is a socket, not a file", name);
	default:
		return error_set(err, ENXIO, "extent %s is a character device, not a file", name);
	}
}

/*
 * Follows a link that udev made: all of it within /dev, and its end a block
 * device in an allowed folder. Returns an O_PATH descriptor, or -1.
 */
static int follow_udev_link(const struct open_policy *policy, const char *path)
{
	char link[32], target[PATH_MAX];
	const char *rest = path_below(path, "/dev");
	struct stat st;
	ssize_t length;
	int dev, fd;

	if (!rest)
		return -1;
	dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dev < 0)
		return -1;
	fd = open_path(dev, rest, 0, RESOLVE_UDEV_LINK);
	close(dev);
	if (fd < 0)
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, target, sizeof(target) - 1);
	if (length > 0) {
		target[length] = '\0';
		if (find_allowed(policy, target, &rest) && fstat(fd, &st) == 0 &&
		    S_ISBLK(st.st_mode))
			return fd;
	}
	close(fd);
	return -1;
}

/* The same for an extent that turned out to be a link, or to be behind one. */
static int find_link_target(const struct open_policy *policy, const char *name, const char *path,
			    struct stat *st, struct svmdk_error *err)
{
	int fd = follow_udev_link(policy, path);

	if (fd >= 0 && fstat(fd, st) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	if (!path_below(path, "/dev"))
		return refuse(err, ELOOP, name);
	return error_set(
		err, ELOOP,
		"extent %s is a link that does not lead to a block device in an allowed folder; name the device, or allow its folder too with --allow-outside DIR",
		name);
}

/* Finds what @path names where it may be; an O_PATH descriptor, or -1. */
static int find_extent(const struct open_policy *policy, const char *name, const char *path,
		       struct stat *st, struct svmdk_error *err)
{
	const char *rest, *allowed_rest;
	const struct allowed_dir *allowed = find_allowed(policy, path, &allowed_rest);
	int fd;

	rest = path_below(path, policy->dir.path);
	if (rest)
		fd = open_path(policy->dir.fd, rest, O_NOFOLLOW, RESOLVE_EXTENT);
	else if (allowed)
		fd = open_path(allowed->fd, allowed_rest, O_NOFOLLOW, RESOLVE_EXTENT);
	else if ((fd = follow_udev_link(policy, path)) < 0)
		return refuse(err, EXDEV, name);

	if (fd < 0 && errno != ELOOP)
		return refuse(err, errno, name);
	if (fd >= 0 && fstat(fd, st)) {
		refuse(err, errno, name);
		close(fd);
		return -1;
	}
	if (fd < 0 || S_ISLNK(st->st_mode)) {
		if (fd >= 0)
			close(fd);
		return find_link_target(policy, name, path, st, err);
	}
	if (check_type(policy, name, st, allowed || !rest, err)) {
		close(fd);
		return -1;
	}
	return fd;
}

int safe_open(const struct open_policy *policy, const char *name, int flags, int *fd,
	      struct stat *st, struct svmdk_error *err)
{
	char *path = absolute_path(policy, name);
	int found;

	if (!path)
		return error_errno(err, ENOMEM, "cannot open extent %s", name);
	found = find_extent(policy, name, path, st, err);
	free(path);
	if (found < 0)
		return -1;
	if (!S_ISBLK(st->st_mode))
		flags &= ~O_EXCL;
	*fd = safe_reopen(found, flags);
	if (*fd < 0)
		refuse(err, errno, name);
	close(found);
	if (*fd < 0)
		return -1;
	/* A lease or an automount aside, this is the inode that was looked at. */
	if (fstat(*fd, st)) {
		refuse(err, errno, name);
		close(*fd);
		return -1;
	}
	return 0;
}

/* Cuts @path off before its last part, and returns that. */
static char *cut_base(char *path)
{
	char *slash = strrchr(path, '/');

	*slash = '\0';
	return slash + 1;
}

int safe_open_folder(const struct open_policy *policy, const char *name, int *fd, char **base,
		     struct svmdk_error *err)
{
	char *path = absolute_path(policy, name);
	const struct allowed_dir *allowed;
	const char *last, *rest;

	*base = NULL;
	if (!path)
		return error_errno(err, ENOMEM, "cannot find the folder of %s", name);
	last = cut_base(path);
	allowed = find_allowed(policy, path, &rest);
	*fd = -1;
	if (!*name || !*last || name[strlen(name) - 1] == '/') {
		errno = EISDIR;
	} else if (path_below(path, policy->dir.path)) {
		rest = path_below(path, policy->dir.path);
		*fd = open_path(policy->dir.fd, rest, O_DIRECTORY, RESOLVE_EXTENT);
	} else if (allowed) {
		*fd = open_path(allowed->fd, rest, O_DIRECTORY, RESOLVE_EXTENT);
	} else {
		errno = EXDEV;
	}
	if (*fd >= 0)
		*base = strdup(last);
	else
		refuse(err, errno, name);
	free(path);
	if (*fd < 0)
		return -1;
	if (*base)
		return 0;
	close(*fd);
	return error_errno(err, ENOMEM, "cannot find the folder of %s", name);
}

int safe_flock(int *fd)
{
	int writable;

	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EBADF)
		return -1;
	writable = safe_reopen(*fd, O_RDWR);
	if (writable < 0 && errno == EROFS)
		return flock(*fd, LOCK_SH | LOCK_NB);
	if (writable < 0)
		return -1;
	close(*fd);
	*fd = writable;
	return flock(*fd, LOCK_EX | LOCK_NB);
}

bool safe_is_current(int dirfd, const char *name, const struct stat *st)
{
	struct stat now;

	return fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == st->st_dev &&
	       now.st_ino == st->st_ino && now.st_size == st->st_size &&
	       same_time(&now.st_mtim, &st->st_mtim);
}
