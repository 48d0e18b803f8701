// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The list itself; leftovers_recover.c follows it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leftovers.h"
#include "replace.h"
#include "side_file.h"

char *leftovers_name(const char *descriptor)
{
	char *name;

	return asprintf(&name, ".%s" LEFTOVERS_SUFFIX, descriptor) < 0 ? NULL : name;
}

static int fail(struct svmdk_error *err, int code, const char *name, const char *what)
{
	error_errno(err, code, "%s", what);
	return error_at(err, name, 0);
}

/**
 * struct list - a list that is written
 * @c: the container
 * @what: what it names
 */
struct list {
	const struct container *c;
	const struct leftovers *what;
};

/*
 * One by which it is told whose the list is. The last, which a descriptor that is on the way
 * names until little but zeroes is left.
 */
static const char *kept_name(const struct descriptor *d)
{
	size_t i = d->nr_extents;

	while (i--)
		if (extent_has_file(&d->extents[i]))
			return d->extents[i].name;
	return NULL;
}

static const char *key_of(const struct leftovers *what, size_t i)
{
	if (i < what->nr_made)
		return LEFTOVERS_MADE;
	return i < what->nr - what->nr_stay ? LEFTOVERS_USED : LEFTOVERS_STAYS;
}

int leftovers_home_line(const struct container *c, char line[SELF_LEN])
{
	if (self_line(c->policy.dir.fd, line))
		return -1;
	memcpy(line, LEFTOVERS_HOME, strlen("self "));
	return 0;
}

static int print_list(FILE *to, void *arg)
{
	const struct list *list = arg;
	const struct leftovers *what = list->what;
	const char *kept = kept_name(&list->c->descriptor);
	char self[SELF_LEN], home[SELF_LEN], done[DONE_LEN];
	size_t i;

	if (self_line(fileno(to), self) || leftovers_home_line(list->c, home) ||
	    leftovers_done_line(&list->c->descriptor, what->done, done))
		return -1;
	fputs(LEFTOVERS_HEADER, to);
	fputs(self, to);
	fputs(home, to);
	fputs(done, to);
	fprintf(to, LEFTOVERS_SIZE "%" PRIu64 "\n", list->c->descriptor.sectors);
	if (what->each)
		fprintf(to, LEFTOVERS_EACH "%" PRIu64 "\n", what->each);
	if (kept)
		fprintf(to, LEFTOVERS_KEPT "%s\n", kept);
	for (i = 0; i < what->nr; i++)
		fprintf(to, "%s%s\n", key_of(what, i), what->names[i]);
	fputs(LEFTOVERS_END, to);
	return 0;
}

static int write_list(int fd, const struct list *list)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), ret;
	FILE *f = copy < 0 ? NULL : fdopen(copy, "w");

	if (!f) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	ret = print_list(f, (void *)list) || fflush(f) || ferror(f) || fsync(fd) ? -1 : 0;
	if (fclose(f))
		ret = -1;
	return ret;
}

static int check_names(const struct leftovers *what, struct svmdk_error *err)
{
	const char *name;
	size_t i;

	for (i = 0; i < what->nr; i++) {
		name = what->names[i];
		if (!*name || strchr(name, '\n'))
			return error_set(err, EINVAL, "no name for an extent: %s", name);
	}
	return 0;
}

/*
 * Straight under its name: when a crash leaves half of a list, nothing that it
 * would name was made.
 */
static int make_list(const struct list *list, const char *name, struct svmdk_error *err)
{
	int dir = list->c->policy.dir.fd;
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int ret;

	if (fd < 0)
		return fail(err, errno, name, "cannot write down what will be made");
	ret = write_list(fd, list);
	if (!ret)
		ret = replace_sync_folder(dir);
	if (ret) {
		fail(err, errno, name, "cannot write down what will be made");
		unlinkat(dir, name, 0);
	}
	close(fd);
	return ret;
}

int leftovers_begin(const struct container *c, const struct leftovers *what,
		    struct svmdk_error *err)
{
	const struct list list = { c, what };
	char *name = leftovers_name(c->name);
	int ret;

	if (!name)
		return fail(err, ENOMEM, c->path, "cannot write down what will be made");
	ret = check_names(what, err);
	if (ret)
		error_at(err, c->path, 0);
	else
		ret = make_list(&list, name, err);
	free(name);
	return ret;
}

int leftovers_rewrite(const struct container *c, const struct leftovers *what,
		      struct svmdk_error *err)
{
	struct list list = { c, what };
	char *name = leftovers_name(c->name);
	int ret;

	if (!name)
		return fail(err, ENOMEM, c->path, "cannot write down what was made");
	ret = replace_whole(c->policy.dir.fd, name, &c->st, print_list, &list, err);
	free(name);
	return ret;
}

int leftovers_end(const struct container *c, struct svmdk_error *err)
{
	char *name = leftovers_name(c->name);
	int ret = 0;

	if (!name)
		return fail(err, ENOMEM, c->path, "cannot remove the list of leftovers");
	if (unlinkat(c->policy.dir.fd, name, 0) == 0)
		ret = replace_sync_folder(c->policy.dir.fd);
	else if (errno != ENOENT)
		ret = -1;
	if (ret)
		fail(err, errno, name, "cannot remove the list of leftovers");
	free(name);
	return ret;
}
