// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replace.h"

#define TEMP_NAME_LEN 40

/* Opens a file that nobody else has, in the same folder; -1 with errno. */
static int open_temp(int dirfd, char name[TEMP_NAME_LEN], mode_t mode)
{
	uint64_t random;
	int fd, tries = 0;

	do {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -1;
		snprintf(name, TEMP_NAME_LEN, ".svmdk-%016" PRIx64 ".tmp", random);
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    mode);
	} while (fd < 0 && errno == EEXIST && ++tries < 100);
	return fd;
}

static int write_all(int fd, const char *bytes, size_t length)
{
	ssize_t done;

	while (length) {
		done = write(fd, bytes, length);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		bytes += done;
		length -= done;
	}
	return 0;
}

/* Fills and closes the temporary file; -1 with errno. */
static int finish_temp(int fd, const struct stat *like, const void *bytes, size_t length)
{
	int saved;

	/* Owner first: it takes the set-id bits away. */
	if ((!like || (fchown(fd, like->st_uid, like->st_gid) == 0 &&
		       fchmod(fd, like->st_mode & 07777) == 0)) &&
	    write_all(fd, bytes, length) == 0 && fsync(fd) == 0)
		return close(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int fail(struct svmdk_error *err, const char *name, const char *what)
{
	error_errno(err, errno, "%s", what);
	return error_at(err, name, 0);
}

/* The folder's fd may be O_PATH, which has no fsync. */
static int sync_folder(int dirfd)
{
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

int replace_file(int dirfd, const char *name, const void *bytes, size_t length,
		 struct svmdk_error *err)
{
	char temp[TEMP_NAME_LEN];
	struct stat st;
	int fd;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail(err, name, "cannot replace it");
	if (!S_ISREG(st.st_mode)) {
		error_set(err, EINVAL, "not a regular file, so it is not replaced");
		return error_at(err, name, 0);
	}
	fd = open_temp(dirfd, temp, 0600);
	if (fd < 0)
		return fail(err, name, "cannot make a new file beside it");
	if (finish_temp(fd, &st, bytes, length)) {
		fail(err, name, "cannot write a new file beside it");
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	if (renameat(dirfd, temp, dirfd, name)) {
		fail(err, name, "cannot replace it");
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	if (sync_folder(dirfd))
		return fail(err, name, "replaced, but its folder cannot be written to disk");
	return 0;
}

/* Gives the file its name unless that is taken; -1 with errno. */
static int rename_new(int dirfd, const char *temp, const char *name)
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

int replace_create(int dirfd, const char *name, mode_t mode, const void *bytes, size_t length,
		   struct svmdk_error *err)
{
	char temp[TEMP_NAME_LEN];
	int fd;

	fd = open_temp(dirfd, temp, mode);
	if (fd < 0)
		return fail(err, name, "cannot create it");
	if (finish_temp(fd, NULL, bytes, length)) {
		fail(err, name, "cannot write it");
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	if (rename_new(dirfd, temp, name)) {
		fail(err, name, "cannot create it");
		unlinkat(dirfd, temp, 0);
		return -1;
	}
	if (sync_folder(dirfd)) {
		fail(err, name, "cannot write its folder to disk");
		unlinkat(dirfd, name, 0);
		return -1;
	}
	return 0;
}
