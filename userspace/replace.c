// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replace.h"
#include "safe_open.h"
#include "write_all.h"

#define TEMP_NAME_LEN (NAME_MAX + 1)

bool replace_has_name(int dirfd, const char *name, int fd)
{
	struct stat st, named;

	return fstat(fd, &st) == 0 && fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       named.st_dev == st.st_dev && named.st_ino == st.st_ino;
}

int replace_remove_stale(int dirfd, const char *temp)
{
	struct stat st;
	int fd = safe_open_regular(dirfd, temp, O_RDONLY, &st);
	int ret, saved;

	if (fd < 0)
		return -1;
	ret = safe_flock(&fd);
	/* But not one that came by that name meanwhile. */
	if (!ret && !replace_has_name(dirfd, temp, fd)) {
		errno = EWOULDBLOCK;
		ret = -1;
	}
	if (!ret)
		ret = unlinkat(dirfd, temp, 0);
	saved = errno;
	close(fd);
	errno = saved;
	return ret;
}

/* Always the same name, so that the next one finds what a kill left. */
static void name_temp(char temp[TEMP_NAME_LEN], const char *name)
{
	snprintf(temp, TEMP_NAME_LEN, REPLACE_PREFIX "%.230s.tmp", name);
}

/* False, and closed: somebody saw it before it was locked, and takes it for stale. */
static bool keep_temp(int fd)
{
	struct stat st;

	/* A file system without locks has no better. */
	if ((flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
	    (fstat(fd, &st) || st.st_nlink))
		return true;
	close(fd);
	return false;
}

/* Why the name was taken, and is. */
static int why_taken(int code)
{
	return code == EWOULDBLOCK || code == ENOENT || !code ? EWOULDBLOCK : EEXIST;
}

int replace_open_temp(int dirfd, const char *temp, mode_t mode)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd, code;

	do {
		fd = openat(dirfd, temp, flags, mode);
		if (fd < 0 && errno == EEXIST) {
			code = replace_remove_stale(dirfd, temp) ? errno : 0;
			fd = openat(dirfd, temp, flags, mode);
			if (fd < 0 && errno == EEXIST)
				errno = why_taken(code);
		}
	} while (fd >= 0 && !keep_temp(fd));
	return fd;
}

/* Opens a file that nobody else has, in the same folder; -1 with errno. */
static int open_temp(int dirfd, const char *name, char temp[TEMP_NAME_LEN], mode_t mode)
{
	uint64_t random;
	int fd;

	name_temp(temp, name);
	fd = replace_open_temp(dirfd, temp, mode);
	if (fd >= 0 || (errno != EEXIST && errno != EWOULDBLOCK))
		return fd;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -1;
	snprintf(temp, TEMP_NAME_LEN, REPLACE_PREFIX "%016" PRIx64 ".tmp", random);
	return replace_open_temp(dirfd, temp, mode);
}

void replace_clear(int dirfd, const char *name)
{
	char temp[TEMP_NAME_LEN];

	name_temp(temp, name);
	replace_remove_stale(dirfd, temp);
}

static int fill_temp(int fd, const struct stat *like, const void *bytes, size_t length)
{
	/* Owner first: it takes the set-id bits away. */
	if (like && (fchown(fd, like->st_uid, like->st_gid) || fchmod(fd, like->st_mode & 07777)))
		return -1;
	return write_all(fd, bytes, length, 0) || fsync(fd) ? -1 : 0;
}

static int fail(struct svmdk_error *err, const char *name, const char *what)
{
	error_errno(err, errno, "%s", what);
	return error_at(err, name, 0);
}

int replace_sync_folder(int dirfd)
{
	/* The one that we have may be O_PATH, which has no fsync. */
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret, saved;

	if (fd < 0)
		return -1;
	ret = fsync(fd);
	if (ret && (errno == EINVAL || errno == ENOTSUP))
		ret = 0; /* some network file systems: there is nothing to do */
	saved = errno;
	close(fd);
	errno = saved;
	return ret;
}

int replace_sync_name(int dirfd, int fd)
{
	return fsync(fd) ? -1 : replace_sync_folder(dirfd);
}

static int find_replaced(int dirfd, const char *name, struct stat *st, struct svmdk_error *err)
{
	if (fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW))
		return fail(err, name, "cannot replace it");
	if (S_ISREG(st->st_mode))
		return 0;
	error_set(err, EINVAL, "not a regular file, so it is not replaced");
	return error_at(err, name, 0);
}

static int rename_over(int dirfd, int fd, const char *temp, const char *name,
		       struct svmdk_error *err)
{
	if (renameat(dirfd, temp, dirfd, name)) {
		fail(err, name, "cannot replace it");
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	if (replace_sync_name(dirfd, fd))
		return fail(err, name, "replaced, but its folder cannot be written to disk");
	return 0;
}

int replace_file_locked(int dirfd, const char *name, const void *bytes, size_t length, int *fd,
			struct svmdk_error *err)
{
	char temp[TEMP_NAME_LEN];
	struct stat st;

	if (find_replaced(dirfd, name, &st, err))
		return -1;
	*fd = open_temp(dirfd, name, temp, 0600);
	if (*fd < 0)
		return fail(err, name, "cannot make a new file beside it");
	/* Nobody else can know of it yet. */
	if (fill_temp(*fd, &st, bytes, length) || flock(*fd, LOCK_EX | LOCK_NB)) {
		fail(err, name, "cannot write a new file beside it");
		unlinkat(dirfd, temp, 0);
	} else if (rename_over(dirfd, *fd, temp, name, err) == 0) {
		return 0;
	}
	close(*fd);
	*fd = -1;
	return -1;
}

int replace_rename_new(int dirfd, const char *temp, const char *name)
{
	if (renameat2(dirfd, temp, dirfd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* A file system without RENAME_NOREPLACE, such as NFS. */
	if (linkat(dirfd, temp, dirfd, name, 0))
		return -1;
	unlinkat(dirfd, temp, 0);
	return 0;
}

static int create_from(int dirfd, int fd, const char *temp, const char *name, const void *bytes,
		       size_t length, struct svmdk_error *err)
{
	if (fill_temp(fd, NULL, bytes, length)) {
		fail(err, name, "cannot write it");
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	if (replace_rename_new(dirfd, temp, name)) {
		fail(err, name, "cannot create it");
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	if (replace_sync_name(dirfd, fd)) {
		fail(err, name, "cannot write its folder to disk");
		unlinkat(dirfd, name, 0);
		return -1;
	}
	return 0;
}

int replace_create(int dirfd, const char *name, mode_t mode, const void *bytes, size_t length,
		   struct svmdk_error *err)
{
	char temp[TEMP_NAME_LEN];
	int fd, ret;

	fd = open_temp(dirfd, name, temp, mode);
	if (fd < 0)
		return fail(err, name, "cannot create it");
	ret = create_from(dirfd, fd, temp, name, bytes, length, err);
	/* Not before it has its name: without its lock anybody takes it for stale. */
	close(fd);
	return ret;
}

/* A new file may stay its maker's; an old one must not change hands. */
static int set_owner(int fd, const struct stat *like, bool is_new)
{
	if (fchown(fd, like->st_uid, like->st_gid) && !is_new)
		return -1;
	return fchmod(fd, like->st_mode & (is_new ? 0666 : 07777));
}

/* Fills the temporary file, which stays open, and locked; -1 with errno. */
static int print_temp(int fd, const struct stat *like, bool is_new, replace_print_fn print,
		      void *arg)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *to = copy < 0 ? NULL : fdopen(copy, "w");
	int ret, saved;

	if (!to) {
		saved = errno;
		if (copy >= 0)
			close(copy);
		errno = saved;
		return -1;
	}
	ret = print(to, arg) || fflush(to) || set_owner(fd, like, is_new) || fsync(fd);
	saved = errno;
	if (fclose(to) && !ret)
		return -1;
	errno = saved;
	return ret ? -1 : 0;
}

int replace_whole(int dirfd, const char *name, const struct stat *like, replace_print_fn print,
		  void *arg, struct svmdk_error *err)
{
	bool is_new = faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) && errno == ENOENT;
	char temp[TEMP_NAME_LEN];
	struct stat st = *like;
	int fd, ret = -1;

	if (!is_new && find_replaced(dirfd, name, &st, err))
		return -1;
	fd = open_temp(dirfd, name, temp, 0600);
	if (fd < 0)
		return fail(err, name, "cannot make a new file beside it");
	if (print_temp(fd, &st, is_new, print, arg)) {
		fail(err, name, "cannot write a new file beside it");
		unlinkat(dirfd, temp, 0);
	} else {
		ret = rename_over(dirfd, fd, temp, name, err);
	}
	close(fd);
	return ret;
}
