// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy_side.h"
#include "manifest_file.h"
#include "same_time.h"
#include "write_all.h"

void copy_side_free(struct copy_side *side)
{
	side_file_free(&side->descriptor);
	side_file_free(&side->manifest);
	sidecar_free(&side->sidecar);
	*side = (struct copy_side){ 0 };
}

static int read_manifest(struct copy_side *side, const struct container *c, struct svmdk_error *err)
{
	char *name = container_side_name(c, MANIFEST_SUFFIX);
	int ret;

	if (!name)
		return error_errno(err, ENOMEM, "cannot copy");
	ret = side_file_read(&side->manifest, c->policy.dir.fd, name, err);
	free(name);
	return ret && err->code != ENOENT ? -1 : 0;
}

static int read_sidecar(struct copy_side *side, const struct container *c, struct svmdk_error *err)
{
	char *name = container_side_name(c, SIDECAR_SUFFIX);
	int ret;

	if (!name)
		return error_errno(err, ENOMEM, "cannot copy");
	ret = sidecar_read(&side->sidecar, c->policy.dir.fd, name, err);
	free(name);
	side->has_sidecar = !ret;
	if (!ret || err->code == ENOENT)
		return 0;
	if (err->code == EINVAL) {
		const struct svmdk_error cause = *err;

		error_set(err, EINVAL, "%s; svmdk manifest makes a new one", cause.text);
		error_at(err, cause.file, cause.line);
	}
	return -1;
}

/*
 * These first: what somebody hashes meanwhile is too new for them then, and counts as
 * changed. The sidecar before the manifest, see marks_open().
 */
int copy_side_read(struct copy_side *side, const struct container *c, struct svmdk_error *err)
{
	copy_side_free(side);
	if (read_sidecar(side, c, err) || read_manifest(side, c, err) ||
	    side_file_read(&side->descriptor, c->policy.dir.fd, c->name, err))
		return -1;
	if (side->descriptor.st.st_ino == c->st.st_ino &&
	    side->descriptor.st.st_size == c->st.st_size &&
	    same_time(&side->descriptor.st.st_mtim, &c->st.st_mtim))
		return 0;
	error_set(err, ESTALE, "the descriptor was changed meanwhile; try again");
	return error_at(err, c->path, 0);
}

/*
 * A session that is over and was never ended, or one in which nobody can tell,
 * makes all changed that could be written. A manifest that is taken just now has
 * the driver forget that an extent was dirty, so one that was ever written must
 * have the time that is recorded, too.
 */
static bool is_changed(const struct copy_side *side, const struct extent *e,
		       const struct svmdk_extent_info *info, const struct facts *recorded,
		       const struct facts *found)
{
	if (info && side->sidecar.session != SESSION_UNSURE)
		return info->dirty || (info->written && !facts_same_content(recorded, found));
	return side->sidecar.session != SESSION_NONE && e->access == EXTENT_RW;
}

void copy_side_mark(struct copy_side *side, const struct copy_set *set,
		    const struct svmdk_extent_info *infos)
{
	const struct descriptor *d = &set->container->descriptor;
	struct sidecar_entry *entry;
	const struct stat *found;
	struct facts facts;
	size_t i;

	for (i = 0; i < d->nr_extents && side->has_sidecar; i++) {
		found = copy_set_found(set, i);
		entry = found ? sidecar_find(&side->sidecar, d->extents[i].name) : NULL;
		if (!entry)
			continue;
		facts_of(&facts, found, found->st_size);
		if (!is_changed(side, &d->extents[i], infos ? &infos[i] : NULL, &entry->facts,
				&facts))
			continue;
		entry->changed = true;
		entry->facts = facts;
	}
	side->sidecar.session = SESSION_NONE;
	side->sidecar.boot_id[0] = '\0';
}

/* @number is its own; those of the extents' files end at @set->nr. */
static int stage(const struct copy_set *set, size_t number, const char *name, const char *bytes,
		 size_t length, const struct stat *like, struct svmdk_error *err)
{
	int fd, ret;

	number += set->nr;
	fd = staging_new(set->staging, number, err);
	if (fd < 0)
		return -1;
	ret = write_all(fd, bytes, length, 0);
	if (close(fd) || ret) {
		error_errno(err, errno, "cannot write its copy");
		staging_drop(set->staging, number);
		return error_at(err, name, 0);
	}
	return staging_keep(set->staging, number, name, like, err);
}

static bool is_in_copy(const struct copy_set *set, const char *name, const struct stat *own)
{
	struct stat st;

	return staging_stat_copy(set->staging, name, &st) == 0 &&
	       same_time(&st.st_mtim, &own->st_mtim);
}

/* Of what is in memory anyway, its bytes decide: a copy may have been cut, and its time kept. */
static bool is_copied(const struct copy_set *set, const char *name, const struct side_file *file)
{
	struct side_file copy;
	struct svmdk_error err;
	bool same;

	if (!is_in_copy(set, name, &file->st) ||
	    side_file_read(&copy, set->staging->dirfd, name, &err))
		return false;
	same = copy.length == file->length && memcmp(copy.bytes, file->bytes, copy.length) == 0;
	side_file_free(&copy);
	return same;
}

/*
 * A sidecar has its own inode in it, and a copy is told by having another: so
 * it is written to a file, which is read and exists still when the copy is made.
 */
static int stage_sidecar(const struct copy_side *side, const struct copy_set *set, const char *name,
			 struct svmdk_error *err)
{
	struct staging *s = set->staging;
	struct side_file text;
	int lock = -1, ret;

	ret = sidecar_write(&side->sidecar, s->fd, name, &side->sidecar.st, &lock, err);
	if (ret)
		return -1;
	close(lock);
	ret = side_file_read(&text, s->fd, name, err);
	if (!ret)
		ret = stage(set, 2, name, text.bytes, text.length, &side->sidecar.st, err);
	side_file_free(&text);
	unlinkat(s->fd, name, 0);
	return ret;
}

static int stage_side_files(const struct copy_side *side, const struct copy_set *set,
			    const char *manifest, const char *sidecar, struct svmdk_error *err)
{
	const char *descriptor = set->container->name;
	const struct side_file *file;

	if (side->has_sidecar &&
	    (set->staging->any || !is_in_copy(set, sidecar, &side->sidecar.st)) &&
	    stage_sidecar(side, set, sidecar, err))
		return -1;
	file = &side->manifest;
	if (file->bytes && !is_copied(set, manifest, file) &&
	    stage(set, 1, manifest, file->bytes, file->length, &file->st, err))
		return -1;
	/* Always, when there is anything: it is what comes last. */
	file = &side->descriptor;
	if (!set->staging->any && is_copied(set, descriptor, file))
		return 0;
	return stage(set, 0, descriptor, file->bytes, file->length, &file->st, err);
}

int copy_side_stage(const struct copy_side *side, const struct copy_set *set,
		    struct svmdk_error *err)
{
	char *manifest = container_side_name(set->container, MANIFEST_SUFFIX);
	char *sidecar = container_side_name(set->container, SIDECAR_SUFFIX);
	int ret;

	if (manifest && sidecar)
		ret = stage_side_files(side, set, manifest, sidecar, err);
	else
		ret = error_errno(err, ENOMEM, "cannot copy");
	free(manifest);
	free(sidecar);
	return ret;
}
