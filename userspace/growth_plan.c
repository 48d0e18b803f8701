// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kmod/uapi/svmdk.h"
#include "extent_naming.h"
#include "growth_plan.h"
#include "safe_open.h"
#include "size.h"

#define DEFAULT_EXTENT_SECTORS ((UINT64_C(128) << 20) >> SECTOR_SHIFT)

static int no_memory(struct svmdk_error *err)
{
	return error_errno(err, ENOMEM, "cannot grow it");
}

uint64_t growth_extent_sectors(const struct descriptor *d)
{
	const uint64_t most = GROWTH_MAX_EXTENT_BYTES >> SECTOR_SHIFT;
	uint64_t largest = d->nr_extents == 1 ? DEFAULT_EXTENT_SECTORS : 1;
	size_t i;

	for (i = 0; i < d->nr_extents; i++)
		if (d->extents[i].sectors > largest)
			largest = d->extents[i].sectors;
	return largest < most ? largest : most;
}

/* One file by its nature, which simply gets longer. */
static bool is_monolithic(const struct descriptor *d)
{
	return d->nr_extents == 1 && d->create_type != CREATE_TWO_GB_MAX_EXTENT_FLAT;
}

static bool named_elsewhere(const struct descriptor *d, const struct extent *e)
{
	const struct extent *other;

	for (other = d->extents; other < d->extents + d->nr_extents; other++)
		if (other != e && other->name && strcmp(other->name, e->name) == 0)
			return true;
	return false;
}

/* Only a file that ends where its extent does, and has no other, gets longer. */
static bool can_lengthen(const struct container *c, const struct extent *e,
			 const struct extent_file *file)
{
	return e->access == EXTENT_RW && S_ISREG(file->st.st_mode) && file->size == extent_end(e) &&
	       !named_elsewhere(&c->descriptor, e);
}

static const char *base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

/* Another container's command may make it longer, or remove it. */
static int is_listed(struct growth_plan *p, const char *base, bool *listed, struct svmdk_error *err)
{
	const struct claim *by = NULL;
	int ret = claimants_find(&p->claimants, p->files.dirfd, base, &by, err);

	*listed = by != NULL;
	return ret;
}

/* There, or made any moment by another command, or removed by it. */
static int is_taken(struct growth_plan *p, const char *base, bool *taken, struct svmdk_error *err)
{
	struct stat st;

	*taken = fstatat(p->files.dirfd, base, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
	return *taken ? 0 : is_listed(p, base, taken, err);
}

static int next_name(struct growth_plan *p, struct extent_naming *n, char **base,
		     struct svmdk_error *err)
{
	bool taken;

	*base = NULL;
	do {
		free(*base);
		*base = descriptor_extent_name(n->stem, ++n->number);
		if (!*base)
			return no_memory(err);
		if (is_taken(p, *base, &taken, err)) {
			free(*base);
			return -1;
		}
	} while (taken && n->number < 10 * SVMDK_MAX_EXTENTS);
	return 0;
}

static int add_file(struct growth_plan *p, char *name, uint64_t begin, uint64_t bytes,
		    struct svmdk_error *err)
{
	struct new_extent *list = reallocarray(p->files.list, p->files.nr + 1, sizeof(*list));

	if (list)
		p->files.list = list;
	if (!list || !name) {
		free(name);
		return no_memory(err);
	}
	list[p->files.nr++] =
		(struct new_extent){ .name = name, .begin = begin, .bytes = bytes, .fd = -1 };
	return 0;
}

static int add_extent(struct growth_plan *p, struct extent_naming *n, enum extent_type type,
		      uint64_t sectors, struct svmdk_error *err)
{
	struct extent *extents = reallocarray(p->extents, p->nr_extents + 1, sizeof(*extents));
	char *base, *name;

	if (!extents)
		return no_memory(err);
	p->extents = extents;
	if (next_name(p, n, &base, err) || add_file(p, base, 0, sectors << SECTOR_SHIFT, err))
		return -1;
	if (asprintf(&name, "%s%s", n->folder, base) < 0)
		return no_memory(err);
	extents[p->nr_extents++] =
		(struct extent){ .type = type, .sectors = sectors, .name = name };
	return 0;
}

static int lengthen(struct growth_plan *p, uint64_t sectors, struct svmdk_error *err)
{
	struct extent *e = &p->extents[p->nr_extents - 1];
	const uint64_t begin = extent_end(e);

	p->first = p->nr_extents - 1;
	e->sectors = sectors;
	if (add_file(p, strdup(base_of(e->name)), begin, extent_end(e), err))
		return -1;
	p->files.list[p->files.nr - 1].fd = p->last;
	return 0;
}

static int plan_extents(struct growth_plan *p, const struct container *c, struct extent_naming *n,
			uint64_t sectors, uint64_t each, bool can_grow, struct svmdk_error *err)
{
	const struct extent *last = &c->descriptor.extents[c->descriptor.nr_extents - 1];
	const enum extent_type type = last->type == EXTENT_VMFS ? EXTENT_VMFS : EXTENT_FLAT;
	uint64_t left = sectors - c->descriptor.sectors;
	uint64_t more = last->sectors < each ? each - last->sectors : 0;

	if (more > left)
		more = left;
	if (more && can_grow) {
		if (lengthen(p, last->sectors + more, err))
			return -1;
		left -= more;
	} else {
		p->keeps_short = more && last->name && c->descriptor.nr_extents > 1;
	}
	for (; left; left -= more) {
		more = left < each ? left : each;
		if (add_extent(p, n, type, more, err))
			return -1;
	}
	if (p->nr_extents > 1 && c->descriptor.create_type == CREATE_MONOLITHIC_FLAT)
		p->create_type = "twoGbMaxExtentFlat";
	return 0;
}

/* As the user would name it: from where the descriptor is. */
static char *path_of(const struct container *c, const char *name)
{
	const char *slash = strrchr(c->path, '/');
	int length = slash && *name != '/' ? (int)(slash + 1 - c->path) : 0;
	char *path;

	return asprintf(&path, "%.*s%s", length, c->path, name) < 0 ? NULL : path;
}

/* A file that another command makes longer is cut off again where that is interrupted. */
static int ask_lists(struct growth_plan *p, const struct extent *last, bool *can_grow,
		     struct svmdk_error *err)
{
	bool listed;

	if (is_listed(p, base_of(last->name), &listed, err))
		return -1;
	*can_grow = !listed;
	return 0;
}

/*
 * Whoever else writes to it must not find it longer all of a sudden, nor another command make
 * it longer at the same time: the lock is kept until it is longer.
 */
static int lock_last(struct growth_plan *p, const struct container *c, size_t i,
		     struct svmdk_error *err)
{
	struct extent_file file;

	if (container_open_extent(c, i, O_RDWR, &file, err))
		return -1;
	p->last = file.fd;
	return container_lock_extent(c, i, &file, err);
}

/* The last extent that has a file says where the others go, and whose they are. */
static int examine_last(struct growth_plan *p, const struct container *c, struct extent_naming *n,
			bool *can_grow, struct svmdk_error *err)
{
	const struct descriptor *d = &c->descriptor;
	struct extent_file file;
	const char *name = NULL;
	size_t i = d->nr_extents;
	char *base;

	p->like = c->st;
	while (i && !extent_has_file(&d->extents[i - 1]))
		i--;
	if (i) {
		if (container_open_extent(c, i - 1, O_RDONLY, &file, err))
			return -1;
		close(file.fd);
		if (S_ISREG(file.st.st_mode)) {
			name = d->extents[i - 1].name;
			p->like = file.st;
			*can_grow = i == d->nr_extents &&
				    can_lengthen(c, &d->extents[i - 1], &file);
		}
	}
	if (safe_open_folder(&c->policy, name ? name : c->name, &p->files.dirfd, &base, err))
		return error_at(err, c->path, i ? d->extents[i - 1].line : 0);
	free(base);
	if (extent_naming_find(n, name, c->name, d->nr_extents, err))
		return -1;
	p->path = path_of(c, name ? name : c->name);
	p->files.path = p->path;
	return p->path ? 0 : no_memory(err);
}

int growth_plan_make(struct growth_plan *p, const struct container *c, uint64_t sectors,
		     uint64_t extent_sectors, bool attached, struct svmdk_error *err)
{
	const struct descriptor *d = &c->descriptor;
	struct extent_naming naming = { 0 };
	bool can_grow = false;
	int result;

	*p = (struct growth_plan){
		.files.dirfd = -1,
		.last = -1,
		.claimants = {
			.kind = CLAIMS_OF_LISTS,
			.own = c->policy.dir.fd,
			.self = c->name,
		},
	};
	p->extents = malloc(d->nr_extents * sizeof(*p->extents));
	if (!p->extents)
		return no_memory(err);
	memcpy(p->extents, d->extents, d->nr_extents * sizeof(*p->extents));
	p->nr_extents = p->first = d->nr_extents;
	p->files.like = &p->like;

	result = examine_last(p, c, &naming, &can_grow, err);
	can_grow = can_grow && !attached;
	if (!result && can_grow)
		result = ask_lists(p, &d->extents[d->nr_extents - 1], &can_grow, err);
	if (!result && can_grow)
		result = lock_last(p, c, d->nr_extents - 1, err);
	if (!extent_sectors)
		extent_sectors = can_grow && is_monolithic(d) ? sectors : growth_extent_sectors(d);
	if (!result)
		result = plan_extents(p, c, &naming, sectors, extent_sectors, can_grow, err);
	extent_naming_free(&naming);
	if (result)
		growth_plan_free(p);
	return result;
}

int growth_plan_names_free(struct growth_plan *p, const struct container *c, bool *free_names,
			   struct svmdk_error *err)
{
	const struct new_extent *file;
	bool taken;
	size_t i;

	claimants_forget(&p->claimants);
	*free_names = true;
	for (i = 0; i < p->files.nr && *free_names; i++) {
		file = &p->files.list[i];
		if (file->begin ? is_listed(p, file->name, &taken, err) :
				  is_taken(p, file->name, &taken, err))
			return error_at(err, c->path, 0);
		*free_names = !taken;
	}
	return 0;
}

void growth_plan_free(struct growth_plan *p)
{
	size_t i;

	if (!p->extents)
		return;
	/* The names before are the descriptor's; so is that of one made longer. */
	for (i = 0; i < p->nr_extents; i++)
		if (!p->extents[i].line)
			free(p->extents[i].name);
	if (p->files.dirfd >= 0)
		close(p->files.dirfd);
	if (p->last >= 0)
		close(p->last);
	claimants_forget(&p->claimants);
	new_extents_free(&p->files);
	free(p->path);
	free(p->extents);
	*p = (struct growth_plan){ 0 };
}
