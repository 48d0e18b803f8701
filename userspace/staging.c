// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "safe_open.h"
#include "staging.h"

#define FILES "files" /* those that are kept */
#define COMPLETE "complete" /* the mark that all of them must go to their places */
#define PART_LEN 32

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int fail(const struct staging *s, struct svmdk_error *err, const char *name,
		const char *what)
{
	char path[PATH_MAX];

	error_errno(err, errno, "%s", what);
	snprintf(path, sizeof(path), "%s%s%s", s->dir, name && *name ? "/" : "", name ? name : "");
	return error_at(err, path, 0);
}

static int refuse(const struct staging *s, struct svmdk_error *err, int code, const char *name,
		  const char *what)
{
	char path[PATH_MAX];

	error_set(err, code, "%s", what);
	snprintf(path, sizeof(path), "%s%s%s", s->dir, name && *name ? "/" : "", name ? name : "");
	return error_at(err, path, 0);
}

static void part_name(char name[PART_LEN], size_t number)
{
	snprintf(name, PART_LEN, "part-%zu", number);
}

/* Some network file systems cannot; then there is nothing to do. */
static int sync_fd(int fd)
{
	return fsync(fd) && errno != EINVAL && errno != ENOTSUP ? -1 : 0;
}

/*
 * Opens the folder of @name below @root, and sets @last to the rest of @name.
 * No link is followed, and nothing outside can be meant. Returns it, or -1 with
 * errno set.
 */
static int open_folder(int root, const char *name, bool make, const char **last)
{
	int fd = openat(root, ".", OPEN_FOLDER), next, saved;
	char part[NAME_MAX + 1];
	const char *slash;

	while (fd >= 0 && (slash = strchr(name, '/'))) {
		const size_t length = slash - name;

		next = -1;
		if (length > NAME_MAX) {
			errno = ENAMETOOLONG;
		} else {
			memcpy(part, name, length);
			part[length] = '\0';
			if (make && strcmp(part, ".."))
				mkdirat(fd, part, 0777);
			errno = EXDEV;
			if (strcmp(part, ".."))
				next = openat(fd, part, OPEN_FOLDER);
		}
		saved = errno;
		close(fd);
		errno = saved;
		fd = next;
		name = slash + 1;
	}
	*last = name;
	return fd;
}

static int stat_below(int root, const char *name, struct stat *st)
{
	const char *last;
	int fd, ret;

	if (!strchr(name, '/')) {
		ret = fstatat(root, name, st, AT_SYMLINK_NOFOLLOW);
	} else {
		fd = open_folder(root, name, false, &last);
		if (fd < 0)
			return -1;
		ret = fstatat(fd, last, st, AT_SYMLINK_NOFOLLOW);
		close(fd);
	}
	if (ret == 0 && !S_ISREG(st->st_mode)) {
		errno = EINVAL;
		ret = -1;
	}
	return ret;
}

int staging_stat_kept(const struct staging *s, const char *name, struct stat *st)
{
	return stat_below(s->files, name, st);
}

int staging_stat_copy(const struct staging *s, const char *name, struct stat *st)
{
	return stat_below(s->dirfd, name, st);
}

int staging_new(struct staging *s, size_t number, struct svmdk_error *err)
{
	char name[PART_LEN];
	int fd;

	part_name(name, number);
	unlinkat(s->fd, name, 0);
	fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? fail(s, err, s->name, "cannot create a file") : fd;
}

void staging_drop(struct staging *s, size_t number)
{
	char name[PART_LEN];

	part_name(name, number);
	unlinkat(s->fd, name, 0);
}

static int open_part(const struct staging *s, size_t number)
{
	char name[PART_LEN];

	part_name(name, number);
	return openat(s->fd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
}

void staging_flush(struct staging *s, size_t number)
{
	int fd = open_part(s, number);

	if (fd < 0)
		return;
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	close(fd);
}

/*
 * Its modification time is what makes the next call take it for complete, so
 * the content is on disk before that; should the time be lost in a crash, it is
 * copied again. Owner before mode: it takes the set-id bits away. Only root can
 * give files away, and nobody else is asked to.
 */
static int finish_part(int fd, const struct stat *like)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, like->st_mtim };

	if (fchown(fd, like->st_uid, like->st_gid) && geteuid() == 0 && errno != EPERM)
		return -1;
	if (fchmod(fd, like->st_mode & 07777) || sync_fd(fd))
		return -1;
	return futimens(fd, times);
}

int staging_keep(struct staging *s, size_t number, const char *name, const struct stat *like,
		 struct svmdk_error *err)
{
	int fd = open_part(s, number), folder, ret;
	char part[PART_LEN];
	const char *last;

	ret = fd < 0 ? -1 : finish_part(fd, like);
	if (ret)
		fail(s, err, name, "cannot write it to disk");
	if (fd >= 0)
		close(fd);
	if (ret)
		return -1;
	folder = open_folder(s->files, name, true, &last);
	if (folder < 0)
		return fail(s, err, name, "cannot make its folder");
	part_name(part, number);
	ret = renameat(s->fd, part, folder, last);
	if (ret)
		fail(s, err, name, "cannot create it");
	close(folder);
	s->any = true;
	return ret;
}

/**
 * struct entry - a regular file that is visited
 * @from: the folder that it is in
 * @to: the folder of that name in DIR, or -1
 * @last: its name in @from
 * @name: its path below "files"
 * @st: its status
 */
struct entry {
	int from;
	int to;
	const char *last;
	const char *name;
	struct stat st;
};

/**
 * struct entry_visit - what is done to what is in a folder
 * @s: the staging
 * @file: called for each regular file
 * @make: make folders in DIR
 * @wanted: of staging_purge()
 * @arg: of staging_purge()
 * @failed: set to the path of what it failed at; "" at first
 */
struct entry_visit {
	struct staging *s;
	int (*file)(const struct entry_visit *v, const struct entry *e);
	bool make;
	bool (*wanted)(const char *name, const struct stat *st, void *arg);
	void *arg;
	char *failed;
};

static int visit_folder(const struct entry_visit *v, int from, int to, const char *prefix);

static int visit_below(const struct entry_visit *v, int from, int to, const char *last,
		       const char *name)
{
	int below = openat(from, last, OPEN_FOLDER), below_to = -1, ret = -1;
	char prefix[PATH_MAX + 1];

	if (below >= 0 && v->make) {
		mkdirat(to, last, 0777);
		below_to = openat(to, last, OPEN_FOLDER);
	}
	if (below >= 0 && (below_to >= 0 || !v->make)) {
		snprintf(prefix, sizeof(prefix), "%s/", name);
		ret = visit_folder(v, below, below_to, prefix);
	}
	if (below >= 0)
		close(below);
	if (below_to >= 0)
		close(below_to);
	if (ret == 0)
		unlinkat(from, last, AT_REMOVEDIR); /* if it is empty now */
	return ret;
}

static int visit_entry(const struct entry_visit *v, int from, int to, const char *last,
		       const char *prefix)
{
	char name[PATH_MAX];
	struct entry e = { .from = from, .to = to, .last = last, .name = name };

	if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return 0;
	if (snprintf(name, sizeof(name), "%s%s", prefix, last) >= (int)sizeof(name) ||
	    fstatat(from, last, &e.st, AT_SYMLINK_NOFOLLOW))
		return -1;
	if (S_ISDIR(e.st.st_mode))
		return visit_below(v, from, to, last, name);
	if (!S_ISREG(e.st.st_mode))
		return unlinkat(from, last, 0); /* none of ours */
	return v->file(v, &e);
}

/* The names first: what is visited may go away. -1 with errno set. */
static int visit_folder(const struct entry_visit *v, int from, int to, const char *prefix)
{
	struct dirent **entries;
	int nr = scandirat(from, ".", &entries, NULL, NULL), ret = 0, i;

	if (nr < 0)
		return -1;
	for (i = 0; i < nr; i++) {
		if (!ret)
			ret = visit_entry(v, from, to, entries[i]->d_name, prefix);
		if (ret && !*v->failed)
			snprintf(v->failed, PATH_MAX, "%s%s", prefix, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return ret;
}

static int purge_file(const struct entry_visit *v, const struct entry *e)
{
	if (v->wanted(e->name, &e->st, v->arg)) {
		v->s->any = true;
		return 0;
	}
	return unlinkat(e->from, e->last, 0);
}

int staging_purge(struct staging *s,
		  bool (*wanted)(const char *name, const struct stat *st, void *arg), void *arg,
		  struct svmdk_error *err)
{
	char failed[PATH_MAX] = "";
	const struct entry_visit visit = {
		.s = s,
		.file = purge_file,
		.wanted = wanted,
		.arg = arg,
		.failed = failed,
	};

	if (visit_folder(&visit, s->files, -1, ""))
		return fail(s, err, s->name, "cannot clear it");
	return 0;
}

/* Whatever could keep it from going to its place must be seen before any goes. */
static int check_file(const struct entry_visit *v, const struct entry *e)
{
	struct stat st;

	(void)v;
	if (fstatat(e->to, e->last, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1;
	if (S_ISREG(st.st_mode))
		return 0;
	errno = S_ISDIR(st.st_mode) ? EISDIR : EEXIST;
	return -1;
}

static int move_file(const struct entry_visit *v, const struct entry *e)
{
	if (strcmp(e->name, v->s->last) == 0)
		return 0; /* not yet */
	if (renameat(e->from, e->last, e->to, e->last))
		return -1;
	/*
	 * After a power cut btrfs may have it under both names, and renaming a file
	 * to itself does nothing.
	 */
	if (unlinkat(e->from, e->last, 0) && errno != ENOENT)
		return -1;
	/* In a folder of its own: those at the top are synced together. */
	return e->from == v->s->files ? 0 : sync_fd(e->to);
}

/* With the mark on disk there is no way back. */
static int move_all(struct staging *s, struct svmdk_error *err)
{
	char failed[PATH_MAX] = "";
	const struct entry_visit visit = {
		.s = s,
		.file = move_file,
		.make = true,
		.failed = failed,
	};
	struct stat st;
	bool replaced = staging_stat_kept(s, s->last, &st) == 0;

	s->moving = true;
	if (!replaced && errno != ENOENT)
		return fail(s, err, s->last, "cannot look at it");
	if (replaced && ((unlinkat(s->dirfd, s->last, 0) && errno != ENOENT) || sync_fd(s->dirfd)))
		return fail(s, err, s->last, "cannot replace it");
	if (visit_folder(&visit, s->files, s->dirfd, "") || sync_fd(s->dirfd))
		return fail(s, err, failed,
			    "the copy is between old and new; run svmdk copy again to finish it");
	/* Of a file that was renamed FAT writes the new entry with its inode, not with the folder. */
	if ((renameat(s->files, s->last, s->dirfd, s->last) && errno != ENOENT) ||
	    sync_fd(s->dirfd) || syncfs(s->dirfd))
		return fail(s, err, s->last,
			    "the copy lacks its descriptor; run svmdk copy again to finish it");
	s->any = false;
	/* Not to be found beside what is kept next, which would not be all of it. */
	if ((unlinkat(s->fd, COMPLETE, 0) && errno != ENOENT) || sync_fd(s->fd))
		return fail(s, err, s->name, "cannot write it to disk");
	s->moving = false;
	return 0;
}

static bool nothing_wanted(const char *name, const struct stat *st, void *arg)
{
	(void)name;
	(void)st;
	(void)arg;
	return false;
}

/*
 * Whatever was kept may be what could not be written: the next call would take it for
 * complete, and is not told again.
 */
static int fail_sync(struct staging *s, struct svmdk_error *err)
{
	struct svmdk_error other;

	fail(s, err, s->name, "cannot write it to disk; what was copied is removed again");
	s->any = false;
	if (staging_purge(s, nothing_wanted, NULL, &other))
		error_add(err, "; remove that folder");
	return -1;
}

int staging_commit(struct staging *s, struct svmdk_error *err)
{
	char failed[PATH_MAX] = "";
	const struct entry_visit visit = {
		.s = s,
		.file = check_file,
		.make = true,
		.failed = failed,
	};
	int mark;

	if (visit_folder(&visit, s->files, s->dirfd, ""))
		return fail(s, err, failed, "cannot be replaced");
	/* Times and names too, of all of them. */
	if (syncfs(s->fd))
		return fail_sync(s, err);
	mark = openat(s->fd, COMPLETE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (mark < 0 || sync_fd(s->fd)) {
		fail(s, err, s->name, "cannot write it to disk");
		unlinkat(s->fd, COMPLETE, 0);
		if (mark >= 0)
			close(mark);
		return -1;
	}
	close(mark);
	return move_all(s, err);
}

/* Ours, and nobody else's to write to: what is in it goes to DIR as it is. */
static int open_own_folder(struct staging *s, struct svmdk_error *err)
{
	struct stat st, named;
	bool made;

	do {
		if (s->fd >= 0)
			close(s->fd);
		made = mkdirat(s->dirfd, s->name, 0700) == 0;
		if (!made && errno != EEXIST)
			return fail(s, err, NULL, "cannot write to the folder");
		s->fd = openat(s->dirfd, s->name, OPEN_FOLDER);
		if (s->fd < 0 && errno == ENOENT)
			continue;
		if (s->fd < 0 || fstat(s->fd, &st))
			return fail(s, err, s->name, "cannot open it");
		if (st.st_uid != geteuid() || (st.st_mode & 022))
			return refuse(
				s, err, EPERM, made ? NULL : s->name,
				made ? "others may write to whatever is made there; mount it "
				       "with options (uid=, umask=) by which it is yours alone" :
				       "is not from svmdk: others may write to it; remove it");
		if (flock(s->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
			return refuse(s, err, EWOULDBLOCK, NULL,
				      "another svmdk command is copying to it");
		/* Until it is the one that has the name: another call may end now. */
		named.st_ino = 0;
		if (fstatat(s->dirfd, s->name, &named, AT_SYMLINK_NOFOLLOW) && errno != ENOENT)
			return fail(s, err, s->name, "cannot open it");
	} while (s->fd < 0 || named.st_ino != st.st_ino);
	return 0;
}

static int lock_copy(struct staging *s, struct svmdk_error *err)
{
	struct stat st;

	s->lock = safe_open_regular(s->dirfd, s->last, O_RDONLY, &st);
	if (s->lock < 0 && errno == ENOENT)
		return 0;
	if (s->lock < 0 && errno == EBADF)
		return refuse(s, err, EINVAL, s->last, "not a regular file, so it is not replaced");
	if (s->lock < 0)
		return fail(s, err, s->last, "cannot open it");
	if (safe_flock(&s->lock) && errno == EWOULDBLOCK)
		return refuse(
			s, err, EWOULDBLOCK, s->last,
			"the copy is in use: it is attached (see svmdk list), or another svmdk command is at work on it");
	if (!safe_is_current(s->dirfd, s->last, &st))
		return refuse(s, err, ESTALE, s->last,
			      "the descriptor was changed meanwhile; try again");
	return 0;
}

/* What an earlier call had written in part is of no use. */
static int drop_parts(struct staging *s)
{
	struct dirent **entries;
	int nr = scandirat(s->fd, ".", &entries, NULL, NULL), i;

	for (i = 0; i < nr; i++) {
		if (strncmp(entries[i]->d_name, "part-", 5) == 0)
			unlinkat(s->fd, entries[i]->d_name, 0);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	return nr < 0 ? -1 : 0;
}

static int open_all(struct staging *s, struct svmdk_error *err)
{
	struct stat st;

	s->dirfd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0)
		return fail(s, err, NULL, "cannot open the folder to copy to");
	if (snprintf(s->name, sizeof(s->name), ".%s.svmdk-copy", s->last) >= (int)sizeof(s->name)) {
		errno = ENAMETOOLONG;
		return fail(s, err, s->last, "cannot copy it");
	}
	if (open_own_folder(s, err) || lock_copy(s, err))
		return -1;
	mkdirat(s->fd, FILES, 0700);
	s->files = openat(s->fd, FILES, OPEN_FOLDER);
	if (s->files < 0 || drop_parts(s))
		return fail(s, err, s->name, "cannot write to it");
	if (fstatat(s->fd, COMPLETE, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return move_all(s, err);
	return errno == ENOENT ? 0 : fail(s, err, s->name, "cannot look at it");
}

int staging_open(struct staging *s, const char *dir, const char *last, struct svmdk_error *err)
{
	*s = (struct staging){
		.dir = dir,
		.last = last,
		.dirfd = -1,
		.fd = -1,
		.files = -1,
		.lock = -1,
	};
	if (open_all(s, err) == 0)
		return 0;
	staging_close(s);
	return -1;
}

/* The folder goes with the last file in it. */
void staging_close(struct staging *s)
{
	if (!s->dir)
		return;
	if (s->fd >= 0)
		drop_parts(s);
	if (s->files >= 0) {
		close(s->files);
		unlinkat(s->fd, FILES, AT_REMOVEDIR);
	}
	if (s->fd >= 0) {
		unlinkat(s->dirfd, s->name, AT_REMOVEDIR);
		close(s->fd);
	}
	if (s->lock >= 0)
		close(s->lock);
	if (s->dirfd >= 0)
		close(s->dirfd);
	*s = (struct staging){ .moving = s->moving }; /* whoever says what that means asks then */
}
