// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The list itself; leftovers_recover.c follows it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leftovers.h"
#include "replace.h"
#include "side_file.h"

char *leftovers_name(const struct container *c)
{
	char *name;

	return asprintf(&name, ".%s" LEFTOVERS_SUFFIX, c->name) < 0 ? NULL : name;
}

static int fail(struct svmdk_error *err, int code, const char *name, const char *what)
{
	error_errno(err, code, "%s", what);
	return error_at(err, name, 0);
}

static int write_list(int fd, const char *const *names, size_t nr, size_t nr_made)
{
	char self[SELF_LEN];
	int copy, ret;
	size_t i;
	FILE *f;

	if (self_line(fd, self))
		return -1;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	f = copy < 0 ? NULL : fdopen(copy, "w");
	if (!f) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	fputs(LEFTOVERS_HEADER, f);
	fputs(self, f);
	for (i = 0; i < nr; i++)
		fprintf(f, "%s%s\n", i < nr_made ? LEFTOVERS_MADE : LEFTOVERS_USED, names[i]);
	fputs(LEFTOVERS_END, f);
	ret = fflush(f) || ferror(f) || fsync(fd) ? -1 : 0;
	if (fclose(f))
		ret = -1;
	return ret;
}

static int check_names(const char *const *names, size_t nr, struct svmdk_error *err)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!*names[i] || strchr(names[i], '\n'))
			return error_set(err, EINVAL, "no name for an extent: %s", names[i]);
	}
	return 0;
}

/*
 * Straight under its name: when a crash leaves half of a list, nothing that it
 * would name was made.
 */
static int make_list(const struct container *c, const char *name, const char *const *names,
		     size_t nr, size_t nr_made, struct svmdk_error *err)
{
	int dir = c->policy.dir.fd;
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int ret;

	if (fd < 0)
		return fail(err, errno, name, "cannot write down what will be made");
	ret = write_list(fd, names, nr, nr_made);
	if (!ret)
		ret = replace_sync_folder(dir);
	if (ret) {
		fail(err, errno, name, "cannot write down what will be made");
		unlinkat(dir, name, 0);
	}
	close(fd);
	return ret;
}

int leftovers_begin(const struct container *c, const char *const *names, size_t nr, size_t nr_made,
		    struct svmdk_error *err)
{
	char *name = leftovers_name(c);
	int ret;

	if (!name)
		return fail(err, ENOMEM, c->path, "cannot write down what will be made");
	ret = check_names(names, nr, err);
	if (ret)
		error_at(err, c->path, 0);
	else
		ret = make_list(c, name, names, nr, nr_made, err);
	free(name);
	return ret;
}

/**
 * struct rewrite - a list without one of its files
 * @text: what it says now, behind the line that says which file it is
 * @name: the file that goes
 */
struct rewrite {
	const char *text;
	const char *name;
};

static int print_rest(FILE *to, void *arg)
{
	const struct rewrite *r = arg;
	const char *line, *next;
	char self[SELF_LEN];
	size_t length;

	if (self_line(fileno(to), self))
		return -1;
	fputs(LEFTOVERS_HEADER, to);
	fputs(self, to);
	for (line = r->text; *line; line = next) {
		length = strcspn(line, "\n");
		next = line + length + (line[length] == '\n');
		if (length == strlen(LEFTOVERS_MADE) + strlen(r->name) &&
		    strncmp(line, LEFTOVERS_MADE, strlen(LEFTOVERS_MADE)) == 0 &&
		    strncmp(line + strlen(LEFTOVERS_MADE), r->name, strlen(r->name)) == 0)
			continue;
		fwrite(line, 1, next - line, to);
	}
	return 0;
}

int leftovers_forget(const struct container *c, const char *name, struct svmdk_error *err)
{
	char *list = leftovers_name(c);
	struct rewrite r = { .name = name };
	struct side_file file;
	int ret;

	if (!list)
		return fail(err, ENOMEM, c->path, "cannot write down what was made");
	ret = side_file_read(&file, c->policy.dir.fd, list, err);
	if (!ret) {
		r.text = file.bytes + strlen(LEFTOVERS_HEADER);
		r.text += strcspn(r.text, "\n") + 1;
		ret = replace_whole(c->policy.dir.fd, list, &file.st, print_rest, &r, err);
		side_file_free(&file);
	}
	free(list);
	return ret;
}

int leftovers_end(const struct container *c, struct svmdk_error *err)
{
	char *name = leftovers_name(c);
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
