// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "manifest_file.h"
#include "replace.h"
#include "resplit_job.h"
#include "sidecar.h"
#include "size.h"

/* A file that was removed lets go of its blocks a little later. */
#define SETTLE_MS 2000

int resplit_fail(const struct resplit_job *job, const char *name, struct svmdk_error *err)
{
	if (err->code == EINTR)
		error_set(err, EINTR, "interrupted");
	else
		error_set(err, err->code, "extent %s: %s", name, err->text);
	return error_at(err, job->c.path, 0);
}

/* The name with its folder, opened as far as the folder. */
static int open_folder(const struct resplit_job *job, const char *name, int *folder, char **base,
		       struct svmdk_error *err)
{
	if (safe_open_folder(&job->c.policy, name, folder, base, err))
		return error_at(err, job->c.path, 0);
	return 0;
}

/* The first old extent under a new one that has a file; NULL when none has. */
static const struct old_file *find_like(const struct resplit_job *job, size_t i)
{
	const struct target_extent *target = &job->plan.targets[i];
	uint64_t at = target->start, end = target->start + target->sectors;
	const struct old_file *file = NULL;
	struct resplit_piece piece;

	for (; at < end && !file; at += piece.sectors) {
		piece = resplit_piece_at(&job->plan, at);
		file = old_file_of(&job->old, piece.old);
	}
	return file;
}

static void take_kind(const struct resplit_job *job, const struct old_file *file, int fd)
{
	struct svmdk_error ignored;
	int from;

	if (!file || old_extent_fd(&job->old, file->extent, &from, &ignored))
		return;
	transfer_take_after(fd, from);
	old_extent_done(&job->old, file->extent, from);
}

static int take_after(int fd, const struct stat *st, struct svmdk_error *err)
{
	struct stat now;

	if (fstat(fd, &now))
		return error_errno(err, errno, "cannot look at it");
	/* No set-id bits: what is in it now may come from other files. */
	if ((now.st_uid != st->st_uid || now.st_gid != st->st_gid) &&
	    fchown(fd, st->st_uid, st->st_gid))
		return error_errno(err, errno, "cannot give it the owner of the old one");
	if (fchmod(fd, st->st_mode & 0777))
		return error_errno(err, errno, "cannot give it the mode of the old one");
	return 0;
}

static int make_target(struct resplit_job *job, size_t i, int folder, const char *base, int *fd,
		       struct svmdk_error *err)
{
	const struct old_file *file = find_like(job, i);

	*fd = openat(folder, base, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (*fd < 0)
		return error_errno(err, errno, "cannot create it");
	job->plan.targets[i].made = true;
	take_kind(job, file, *fd);
	if (take_after(*fd, file ? &file->st : &job->c.st, err) == 0)
		return 0;
	close(*fd);
	return -1;
}

int resplit_open_target(struct resplit_job *job, size_t i, int *fd, bool *made,
			struct svmdk_error *err)
{
	const char *name = job->plan.targets[i].name;
	struct stat st;
	int folder, ret;
	char *base;

	if (job->begun <= job->plan.targets[i].start) {
		if (open_folder(job, name, &folder, &base, err))
			return -1;
		ret = make_target(job, i, folder, base, fd, err);
		close(folder);
		free(base);
		*made = true;
		return ret ? resplit_fail(job, name, err) : 0;
	}
	*made = false;
	if (safe_open(&job->c.policy, name, O_RDWR, fd, &st, err) == 0)
		return 0;
	return error_at(err, job->c.path, 0);
}

/* By the descriptor, which was read when it was put in force, and not by how far it came. */
void resplit_undo(struct resplit_job *job)
{
	struct target_extent *target;
	struct svmdk_error err;
	int folder;
	char *base;
	size_t i;

	for (i = 0; i < job->plan.nr_targets; i++) {
		target = &job->plan.targets[i];
		if (!target->made || descriptor_names(&job->c.descriptor, target->name) ||
		    open_folder(job, target->name, &folder, &base, &err))
			continue;
		if (unlinkat(folder, base, 0) == 0)
			target->made = false;
		close(folder);
		free(base);
	}
}

static size_t folder_length(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 - name : 0;
}

static bool same_folder(const char *a, const char *b)
{
	size_t length = folder_length(a);

	return length == folder_length(b) && strncmp(a, b, length) == 0;
}

int resplit_sync_folders(const struct resplit_job *job, size_t first, size_t end,
			 struct svmdk_error *err)
{
	const struct target_extent *targets = job->plan.targets;
	int folder, ret;
	char *base;
	size_t i;

	for (i = first; i < end; i++) {
		if (i > first && same_folder(targets[i - 1].name, targets[i].name))
			continue;
		if (open_folder(job, targets[i].name, &folder, &base, err))
			return -1;
		free(base);
		ret = replace_sync_folder(folder);
		if (ret)
			error_errno(err, errno, "cannot write its folder to disk");
		close(folder);
		if (ret)
			return resplit_fail(job, targets[i].name, err);
	}
	return 0;
}

static struct transfer_range range_of(const struct resplit_piece *piece, int from, int to)
{
	return (struct transfer_range){
		.from = from,
		.from_at = piece->old_at << SECTOR_SHIFT,
		.to = to,
		.to_at = piece->target_at << SECTOR_SHIFT,
		.length = piece->sectors << SECTOR_SHIFT,
	};
}

/* What a ZERO extent has is a hole, unless holes are filled. */
static int bring_zeroes(struct resplit_job *job, const struct resplit_piece *piece, int fd,
			struct svmdk_error *err)
{
	struct transfer *t = &job->transfer;
	uint64_t length = piece->sectors << SECTOR_SHIFT;
	int ret = 0;

	if (job->holes == HOLES_FILL) {
		t->z.done = t->done;
		ret = zero_range(&t->z, fd, piece->target_at << SECTOR_SHIFT, length, err);
	}
	t->done += length;
	return ret;
}

static int fail_transfer(const struct resplit_job *job, const struct resplit_piece *piece,
			 struct svmdk_error *err)
{
	return resplit_fail(job,
			    job->transfer.at_source ? job->plan.old[piece->old].name :
						      job->plan.targets[piece->target].name,
			    err);
}

int resplit_bring(struct resplit_job *job, const struct resplit_piece *piece, int fd,
		  uint64_t *shared, struct svmdk_error *err)
{
	struct transfer_range range;
	int from, ret;

	*shared = piece->sectors << SECTOR_SHIFT;
	job->transfer.at_source = false;
	if (!old_file_of(&job->old, piece->old))
		return bring_zeroes(job, piece, fd, err) ? fail_transfer(job, piece, err) : 0;
	if (old_extent_fd(&job->old, piece->old, &from, err))
		return -1;
	range = range_of(piece, from, fd);
	ret = transfer_range(&job->transfer, &range, shared, err);
	job->shared |= *shared > 0;
	old_extent_done(&job->old, piece->old, from);
	return ret ? fail_transfer(job, piece, err) : 0;
}

int resplit_compare(struct resplit_job *job, const struct resplit_piece *piece, int fd,
		    uint64_t shared, struct svmdk_error *err)
{
	struct transfer_range range;
	int from, ret;

	job->transfer.done += shared;
	if (shared == piece->sectors << SECTOR_SHIFT)
		return 0;
	if (old_extent_fd(&job->old, piece->old, &from, err))
		return -1;
	range = range_of(piece, from, fd);
	range.from_at += shared;
	range.to_at += shared;
	range.length -= shared;
	ret = transfer_compare(&job->transfer, &range, err);
	old_extent_done(&job->old, piece->old, from);
	return ret ? fail_transfer(job, piece, err) : 0;
}

size_t resplit_settle(const struct resplit_job *job, bool wait)
{
	const struct descriptor *d = &job->c.descriptor;
	unsigned int wait_ms = wait ? SETTLE_MS : 0;
	struct svmdk_error ignored;
	struct extent_file file;
	size_t i, nr = 0;

	for (i = 0; i < d->nr_extents; i++) {
		if (!extent_has_file(&d->extents[i]) ||
		    container_open_extent(&job->c, i, O_RDWR, &file, &ignored))
			continue;
		nr += S_ISREG(file.st.st_mode) && !transfer_settle(file.fd, &wait_ms);
		close(file.fd);
	}
	return nr;
}

static int check_text(const struct resplit_job *job, const char *text, size_t length,
		      struct svmdk_error *err)
{
	struct descriptor d;
	uint64_t sectors;

	if (descriptor_parse(&d, text, length, err))
		return -1;
	sectors = d.sectors;
	descriptor_free(&d);
	if (sectors == job->plan.sectors)
		return 0;
	return error_set(err, EINVAL, "the new descriptor is of another size; please report this");
}

int resplit_text(const struct resplit_job *job, uint64_t moved, char **text, size_t *length,
		 struct svmdk_error *err)
{
	const struct resplit_plan *plan = &job->plan;
	const struct descriptor *d = &job->c.descriptor;
	struct extent *extents = calloc(plan->nr_old + plan->nr_targets, sizeof(*extents));
	const char *type = resplit_create_type(plan);
	size_t nr;
	int ret;

	if (!extents) {
		error_errno(err, ENOMEM, "cannot write the descriptor");
		return error_at(err, job->c.path, 0);
	}
	nr = resplit_mix(plan, moved, extents);
	if (nr > 1)
		type = "twoGbMaxExtentFlat";
	if (strcasecmp(type, d->create_type_text) == 0)
		type = NULL;
	ret = descriptor_text_with_extents(d, extents, nr, type, text, length, err);
	free(extents);
	if (ret)
		return error_at(err, job->c.path, 0);
	ret = check_text(job, *text, *length, err);
	if (!ret)
		return 0;
	free(*text);
	return error_at(err, job->c.path, 0);
}

void resplit_drop_marks(struct resplit_job *job)
{
	/* In this order: a manifest alone would be believed of the descriptor too. */
	static const char *const suffixes[] = { MANIFEST_SUFFIX, SIDECAR_SUFFIX };
	const int dir = job->c.policy.dir.fd;
	struct stat st;
	char *name;
	size_t i;

	for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (asprintf(&name, "%s%s", job->c.name, suffixes[i]) < 0)
			continue;
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    unlinkat(dir, name, 0) == 0)
			job->marks_dropped = true;
		free(name);
	}
}

/* As that run leaves it which is killed when it has removed the manifest. */
static bool sidecar_is_old(const struct container *c)
{
	const struct descriptor *d = &c->descriptor;
	char *name = container_side_name(c, SIDECAR_SUFFIX);
	struct svmdk_error ignored;
	struct sidecar s;
	bool old = false;
	size_t i;

	if (name && sidecar_read(&s, c->policy.dir.fd, name, &ignored) == 0) {
		old = true;
		for (i = 0; i < d->nr_extents; i++)
			old &= !extent_has_file(&d->extents[i]) ||
			       !sidecar_find(&s, d->extents[i].name);
		sidecar_free(&s);
	}
	free(name);
	return old;
}

static bool marks_are_old(const struct container *c)
{
	const int dir = c->policy.dir.fd;
	char *name = container_side_name(c, MANIFEST_SUFFIX);
	struct svmdk_error err;
	struct manifest m;
	bool old = false;

	if (name && manifest_read(&m, dir, name, &err) == 0) {
		old = manifest_check_shape(&m, dir, name, &c->descriptor, c->name, &err) &&
		      err.code == ESTALE;
		manifest_free(&m);
	} else if (name && err.code == ENOENT) {
		old = sidecar_is_old(c);
	}
	free(name);
	return old;
}

void resplit_drop_old_marks(struct resplit_job *job)
{
	if (marks_are_old(&job->c))
		resplit_drop_marks(job);
}

int resplit_switch(struct resplit_job *job, uint64_t moved, struct svmdk_error *err)
{
	struct container *c = &job->c;
	const struct stat before = c->st;
	struct stat now;
	size_t length;
	char *text;
	int ret;

	if (resplit_text(job, moved, &text, &length, err))
		return -1;
	ret = container_replace_text(c, text, length, err);
	free(text);
	if (!ret) {
		resplit_drop_marks(job);
		return 0;
	}
	/* When it was replaced after all, nothing may be cleared up by what is known here. */
	job->unclear = fstatat(c->policy.dir.fd, c->name, &now, AT_SYMLINK_NOFOLLOW) ||
		       now.st_dev != before.st_dev || now.st_ino != before.st_ino;
	return -1;
}
