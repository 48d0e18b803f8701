// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claims.h"
#include "descriptor.h"
#include "leftovers.h"
#include "safe_open.h"
#include "side_file.h"

#define CANNOT_LOOK "cannot look whose its files are"

static bool is_list_name(const char *name)
{
	const size_t length = strlen(name), end = strlen(LEFTOVERS_SUFFIX);

	return *name == '.' && length > end + 1 &&
	       strcmp(name + length - end, LEFTOVERS_SUFFIX) == 0;
}

static bool is_list_of(const char *name, const char *descriptor)
{
	const size_t length = strlen(descriptor);

	return *name == '.' && strncmp(name + 1, descriptor, length) == 0 &&
	       strcmp(name + 1 + length, LEFTOVERS_SUFFIX) == 0;
}

/* By what it is called and how large it is; nothing is opened for that. */
static bool may_claim(int dirfd, enum claims_kind kind, const char *name, const char *self,
		      const struct stat *self_st)
{
	struct stat st;

	if (kind == CLAIMS_OF_LISTS && (!is_list_name(name) || is_list_of(name, self)))
		return false;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) || !st.st_size ||
	    st.st_size > LEFTOVERS_MAX_BYTES)
		return false;
	if (kind == CLAIMS_OF_LISTS)
		return true;
	return st.st_size <= DESCRIPTOR_MAX_BYTES &&
	       !(self_st && st.st_dev == self_st->st_dev && st.st_ino == self_st->st_ino);
}

/* Takes over @text when it succeeds. */
static int add(struct claims *c, const char *name, char *text)
{
	struct claim *list = reallocarray(c->list, c->nr + 1, sizeof(*list));

	if (!list)
		return -1;
	c->list = list;
	list[c->nr].by = strdup(name);
	if (!list[c->nr].by)
		return -1;
	list[c->nr++].text = text;
	return 0;
}

/* Every descriptor has a createType, and little else has. */
static int look_at(struct claims *c, int dirfd, const char *name, struct svmdk_error *err)
{
	struct side_file file;
	int ret = 0;

	if (side_file_read(&file, dirfd, name, err)) {
		if (err->code == ENOMEM)
			return -1;
		/* On a bad disk, say, or another program has it just now. */
		if (c->kind == CLAIMS_OF_DESCRIPTORS && err->code != EACCES && err->code != EPERM &&
		    err->code != ENOENT && err->code != EINVAL)
			return add(c, name, NULL) ? error_errno(err, ENOMEM, CANNOT_LOOK) : 0;
		return 0;
	}
	if (c->kind == CLAIMS_OF_LISTS || strcasestr(file.bytes, "createType")) {
		ret = add(c, name, file.bytes);
		if (!ret)
			file.bytes = NULL;
		else
			error_errno(err, ENOMEM, CANNOT_LOOK);
	}
	side_file_free(&file);
	return ret;
}

int claims_read(struct claims *c, int dirfd, enum claims_kind kind, const char *self,
		const struct stat *self_st, struct svmdk_error *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	*c = (struct claims){ .kind = kind };
	/* A folder that one may write to and not read; others' lists cannot be read, either. */
	if (!dir && errno == EACCES && kind == CLAIMS_OF_LISTS)
		return 0;
	if (!dir) {
		error_errno(err, errno, "cannot look what else is in its folder");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (!ret) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (may_claim(fd, kind, entry->d_name, self, self_st))
			ret = look_at(c, fd, entry->d_name, err);
	}
	if (!ret && errno)
		ret = error_errno(err, errno, "cannot look what else is in its folder");
	closedir(dir);
	if (ret)
		claims_free(c);
	return ret;
}

/* As a descriptor names a file: "NAME" or "FOLDER/NAME". */
static bool is_quoted(const char *text, const char *base)
{
	const size_t length = strlen(base);
	const char *at;

	for (at = strstr(text, base); at; at = strstr(at + 1, base))
		if (at > text && (at[-1] == '"' || at[-1] == '/') && at[length] == '"')
			return true;
	return false;
}

/* As a list names one: "made NAME" or "file FOLDER/NAME", on a line of its own. */
static bool is_listed(const char *text, const char *base)
{
	const size_t key = strlen(LEFTOVERS_MADE), length = strlen(base);
	const char *at;

	for (at = strstr(text, base); at; at = strstr(at + 1, base))
		if ((size_t)(at - text) > key && at[length] == '\n' &&
		    (at[-1] == '/' || strncmp(at - key, LEFTOVERS_MADE, key) == 0 ||
		     strncmp(at - key, LEFTOVERS_USED, key) == 0))
			return true;
	return false;
}

static bool has_base(const char *name, const char *base)
{
	const char *slash = strrchr(name, '/');

	return strcmp(slash ? slash + 1 : name, base) == 0;
}

/* Of a descriptor in which the name stands; where it is not understood what for, it does. */
static bool reaches_behind(const char *text, const char *base, uint64_t sectors)
{
	bool found = false, behind = false;
	struct svmdk_error ignored;
	struct descriptor d;
	size_t i;

	if (descriptor_parse(&d, text, strlen(text), &ignored))
		return true;
	for (i = 0; i < d.nr_extents; i++) {
		if (!extent_has_file(&d.extents[i]) || !has_base(d.extents[i].name, base))
			continue;
		found = true;
		behind |= d.extents[i].offset + d.extents[i].sectors > sectors;
	}
	descriptor_free(&d);
	return !found || behind;
}

static bool names(const struct claims *c, const char *text, const char *base, uint64_t sectors)
{
	if (c->kind == CLAIMS_OF_LISTS)
		return is_listed(text, base);
	return is_quoted(text, base) && (!sectors || reaches_behind(text, base, sectors));
}

static const struct claim *find(const struct claims *c, const char *base, uint64_t sectors)
{
	size_t i;

	for (i = 0; i < c->nr; i++)
		if (!c->list[i].text || names(c, c->list[i].text, base, sectors))
			return &c->list[i];
	return NULL;
}

const struct claim *claims_find(const struct claims *c, const char *base)
{
	return find(c, base, 0);
}

int claims_refuse(const char *base, const struct claim *by, struct svmdk_error *err)
{
	return error_set(err, EEXIST,
			 "a command on another container may make or remove %s, or have been "
			 "interrupted when it did (%s); repeat that one, choose another name or "
			 "folder, or remove that list",
			 base, by->by);
}

void claims_free(struct claims *c)
{
	size_t i;

	for (i = 0; i < c->nr; i++) {
		free(c->list[i].by);
		free(c->list[i].text);
	}
	free(c->list);
	*c = (struct claims){ 0 };
}

static int read_here(struct claimants *c, struct svmdk_error *err)
{
	if (c->read_here)
		return 0;
	if (claims_read(&c->here, c->own, c->kind, c->self, c->self_st, err))
		return -1;
	c->read_here = true;
	return 0;
}

/* A list there is another container's, though that has the same name. */
static int read_there(struct claimants *c, int folder, const struct stat *st,
		      struct svmdk_error *err)
{
	if (c->read_there && st->st_dev == c->there_st.st_dev && st->st_ino == c->there_st.st_ino)
		return 0;
	claims_free(&c->there);
	c->read_there = false;
	if (claims_read(&c->there, folder, c->kind, "", c->self_st, err))
		return -1;
	c->there_st = *st;
	c->read_there = true;
	return 0;
}

int claimants_find(struct claimants *c, int folder, const char *base, const struct claim **by,
		   struct svmdk_error *err)
{
	return claimants_find_behind(c, folder, base, 0, by, err);
}

int claimants_find_behind(struct claimants *c, int folder, const char *base, uint64_t sectors,
			  const struct claim **by, struct svmdk_error *err)
{
	struct stat st, own;

	if (fstat(folder, &st) || fstat(c->own, &own))
		return error_errno(err, errno, "cannot look at its folder");
	if (read_here(c, err))
		return -1;
	*by = find(&c->here, base, sectors);
	if (*by || (st.st_dev == own.st_dev && st.st_ino == own.st_ino))
		return 0;
	if (read_there(c, folder, &st, err))
		return -1;
	*by = find(&c->there, base, sectors);
	return 0;
}

void claimants_forget(struct claimants *c)
{
	claims_free(&c->here);
	claims_free(&c->there);
	c->read_here = false;
	c->read_there = false;
}
