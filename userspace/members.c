// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "members.h"
#include "side_file.h"
#include "size.h"

/* Of all extents that have a file, those of the same name beside each other. */
static int compare_extents(const void *a, const void *b)
{
	const struct extent *one = *(const struct extent *const *)a;
	const struct extent *other = *(const struct extent *const *)b;
	int order = strcmp(one->name, other->name);

	return order ? order : (one > other) - (one < other);
}

static const struct extent **sort_extents(const struct descriptor *d, size_t *nr)
{
	const struct extent **sorted = calloc(d->nr_extents, sizeof(*sorted));
	size_t i;

	*nr = 0;
	for (i = 0; sorted && i < d->nr_extents; i++) {
		if (extent_has_file(&d->extents[i]))
			sorted[(*nr)++] = &d->extents[i];
	}
	if (sorted)
		qsort(sorted, *nr, sizeof(*sorted), compare_extents);
	return sorted;
}

/* Says for each extent which is the first one of the same name. */
static int find_first(size_t *first, const struct descriptor *d)
{
	const struct extent **sorted;
	size_t i, nr, begin = 0;

	for (i = 0; i < d->nr_extents; i++)
		first[i] = NO_MEMBER;
	sorted = sort_extents(d, &nr);
	if (!sorted)
		return -1;
	for (i = 0; i < nr; i++) {
		if (strcmp(sorted[begin]->name, sorted[i]->name))
			begin = i;
		first[sorted[i] - d->extents] = sorted[begin] - d->extents;
	}
	free(sorted);
	return 0;
}

static void add_extent(struct members *m, size_t i, size_t first)
{
	const struct extent *e = &m->c->descriptor.extents[i];
	uint64_t need = extent_end(e);
	struct member *member;

	if (first == i) {
		m->of_extent[i] = m->nr;
		m->list[m->nr++] = (struct member){ .name = e->name, .extent = i };
	} else {
		m->of_extent[i] = m->of_extent[first];
	}
	member = &m->list[m->of_extent[i]];
	member->writable |= e->access == EXTENT_RW;
	if (need > member->need) {
		member->need = need;
		member->extent = i;
	}
}

int members_find(struct members *m, const struct container *c, struct svmdk_error *err)
{
	const struct descriptor *d = &c->descriptor;
	size_t i, first;

	*m = (struct members){
		.c = c,
		.list = calloc(d->nr_extents + 1, sizeof(*m->list)),
		.of_extent = calloc(d->nr_extents, sizeof(*m->of_extent)),
	};
	if (!m->list || !m->of_extent || find_first(m->of_extent, d)) {
		members_free(m);
		return error_errno(err, ENOMEM, "cannot list the container's files");
	}
	/* Each is asked for its first, which is done by then, and then answered. */
	for (i = 0; i < d->nr_extents; i++) {
		first = m->of_extent[i];
		if (first != NO_MEMBER)
			add_extent(m, i, first);
	}
	m->list[m->nr++] = (struct member){ .name = c->name, .extent = NO_MEMBER };
	return 0;
}

static int look_by_opening(struct members *m, size_t i)
{
	struct member *member = &m->list[i];
	struct extent_file file;
	struct svmdk_error err;
	uint64_t size;

	if (safe_open(&m->c->policy, member->name, O_RDONLY, &file.fd, &file.st, &err))
		return err.code;
	size = file.st.st_size;
	member->block = S_ISBLK(file.st.st_mode);
	if (member->block && ioctl(file.fd, BLKGETSIZE64, &size)) {
		close(file.fd);
		return EIO;
	}
	facts_of(&member->facts, &file.st, size);
	close(file.fd);
	return 0;
}

/* One name in the folder itself needs no care as long as it is not opened. */
static bool is_plain(const char *name)
{
	return !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

int members_look(struct members *m, size_t i)
{
	struct member *member = &m->list[i];
	struct stat st;

	member->code = 0;
	member->block = false;
	if (member->extent != NO_MEMBER && !is_plain(member->name)) {
		member->code = look_by_opening(m, i);
	} else if (fstatat(m->c->policy.dir.fd, member->name, &st, AT_SYMLINK_NOFOLLOW)) {
		member->code = errno;
	} else if (S_ISREG(st.st_mode)) {
		facts_of(&member->facts, &st, st.st_size);
	} else {
		member->code = member->extent == NO_MEMBER ? EINVAL : look_by_opening(m, i);
	}
	return member->code;
}

int members_open(const struct members *m, size_t i, struct extent_file *file,
		 struct svmdk_error *err)
{
	if (m->list[i].extent != NO_MEMBER)
		return container_open_extent(m->c, m->list[i].extent, O_RDONLY, file, err);
	file->fd = side_file_open(m->c->policy.dir.fd, m->c->name, O_RDONLY, &file->st, err);
	if (file->fd < 0)
		return -1;
	file->size = file->st.st_size;
	return 0;
}

void member_print(FILE *to, const char *name, char end)
{
	const bool comment = !end && (*name == '#' || *name == ';');

	fprintf(to, "%s%s%c", comment ? "./" : "", name, end);
}

/* By its name alone, and whatever folders there are. */
static bool leaves_folder(const char *name)
{
	const char *part, *next;
	size_t length;
	int depth = 0;

	if (*name == '/')
		return true;
	for (part = name; *part && depth >= 0; part = next) {
		length = strcspn(part, "/");
		next = part + length + (part[length] == '/');
		if (length == 2 && strncmp(part, "..", 2) == 0)
			depth--;
		else if (length && !(length == 1 && *part == '.'))
			depth++;
	}
	return depth < 0;
}

bool members_complain_outside(const struct members *m, size_t i)
{
	const struct member *member = &m->list[i];

	if (!member->block && !leaves_folder(member->name))
		return false;
	message_error(
		m->c->path, 0,
		"%s is not a file in the container's folder, so that rsync and rclone do not send it "
		"by this list; send it by itself",
		member->name);
	return true;
}

void members_free(struct members *m)
{
	free(m->list);
	free(m->of_extent);
	*m = (struct members){ 0 };
}
