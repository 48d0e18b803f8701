// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "resplit_job.h"
#include "size.h"

/**
 * struct survey - one pass over all pieces
 * @job: what is planned
 * @rooms: what was found
 * @folder: the last new extent's
 * @room: of the file system that is on
 * @from_dev: file system of the old file that was asked last about sharing
 * @to_dev: the one that was asked about
 * @can_share: the answer
 * @asked: there is one
 */
struct survey {
	const struct resplit_job *job;
	struct resplit_rooms *rooms;
	int folder;
	struct resplit_room *room;
	dev_t from_dev;
	dev_t to_dev;
	bool can_share;
	bool asked;
};

static uint64_t find_free(int folder)
{
	struct statvfs fs;
	uint64_t room;

	if (fstatvfs(folder, &fs) || fs.f_blocks == 0)
		return UINT64_MAX; /* a file system that does not say; the disk will */
	room = geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
	return __builtin_mul_overflow(room, fs.f_frsize, &room) ? UINT64_MAX : room;
}

static struct resplit_room *add_room(struct resplit_rooms *rooms, const char *name, dev_t dev,
				     int folder)
{
	struct resplit_room *list = reallocarray(rooms->list, rooms->nr + 1, sizeof(*list));
	const char *slash = strrchr(name, '/');

	if (!list)
		return NULL;
	rooms->list = list;
	list[rooms->nr] = (struct resplit_room){
		.folder = strndup(name, slash ? slash + 1 - name : 0),
		.dev = dev,
		.free = find_free(folder),
	};
	return list[rooms->nr].folder ? &list[rooms->nr++] : NULL;
}

/* The folder that a new extent will be in, and the file system that it is on. */
static int enter_folder(struct survey *s, const char *name, struct svmdk_error *err)
{
	const struct container *c = &s->job->c;
	struct stat st;
	char *base;
	size_t i;

	if (s->folder >= 0)
		close(s->folder);
	if (safe_open_folder(&c->policy, name, &s->folder, &base, err)) {
		s->folder = -1;
		return error_at(err, c->path, 0);
	}
	free(base);
	if (fstat(s->folder, &st)) {
		error_errno(err, errno, "cannot look at the folder of %s", name);
		return error_at(err, c->path, 0);
	}
	for (i = 0; i < s->rooms->nr && s->rooms->list[i].dev != st.st_dev; i++)
		;
	s->room = i < s->rooms->nr ? &s->rooms->list[i] :
				     add_room(s->rooms, name, st.st_dev, s->folder);
	if (s->room)
		return 0;
	error_errno(err, ENOMEM, "cannot look for room");
	return error_at(err, c->path, 0);
}

static bool can_share(struct survey *s, const struct resplit_piece *piece, int fd, dev_t from_dev)
{
	if (!transfer_aligned(piece->old_at << SECTOR_SHIFT, piece->target_at << SECTOR_SHIFT))
		return false;
	if (!s->asked || s->from_dev != from_dev || s->to_dev != s->room->dev) {
		s->can_share = transfer_can_share(fd, s->folder);
		s->from_dev = from_dev;
		s->to_dev = s->room->dev;
		s->asked = true;
	}
	return s->can_share;
}

static int measure(struct survey *s, const struct resplit_piece *piece, uint64_t *need,
		   struct svmdk_error *err)
{
	const struct old_file *file = old_file_of(&s->job->old, piece->old);
	enum transfer_holes holes = s->job->holes;
	struct transfer_need parts = { 0 };
	int fd, ret;

	if (!file) {
		*need = holes == HOLES_FILL ? piece->sectors << SECTOR_SHIFT : 0;
		return 0;
	}
	if (old_extent_fd(&s->job->old, piece->old, &fd, err))
		return -1;
	ret = transfer_measure(fd, piece->old_at << SECTOR_SHIFT, piece->sectors << SECTOR_SHIFT,
			       &parts, err);
	*need = can_share(s, piece, fd, file->st.st_dev) ? 0 : parts.data;
	if (holes != HOLES_SPARSE)
		*need += parts.reserved;
	if (holes == HOLES_FILL)
		*need += parts.holes;
	old_extent_done(&s->job->old, piece->old, fd);
	return ret ? resplit_fail(s->job, s->job->plan.old[piece->old].name, err) : 0;
}

/* All pieces of a new extent, or of a step; adds up what they need. */
static int measure_range(struct survey *s, uint64_t at, uint64_t end, uint64_t *sum,
			 struct svmdk_error *err)
{
	struct resplit_piece piece;
	uint64_t need;

	for (*sum = 0; at < end; at += piece.sectors, *sum += need) {
		piece = resplit_piece_at(&s->job->plan, at);
		if (piece.sectors > end - at)
			piece.sectors = end - at;
		if (measure(s, &piece, &need, err))
			return -1;
	}
	return 0;
}

static int survey_target(struct survey *s, size_t i, bool low_space, struct svmdk_error *err)
{
	const struct target_extent *target = &s->job->plan.targets[i];
	uint64_t at = target->start, target_end = at + target->sectors, end, need;

	if (enter_folder(s, target->name, err))
		return -1;
	if (at < s->job->begun)
		at = s->job->begun;
	for (; at < target_end; at = end) {
		end = low_space ? resplit_step_end(&s->job->plan, at) : target_end;
		if (measure_range(s, at, end, &need, err))
			return -1;
		if (!low_space)
			s->room->need += need;
		else if (need > s->room->need)
			s->room->need = need;
	}
	return 0;
}

int resplit_rooms_find(struct resplit_rooms *rooms, const struct resplit_job *job, bool low_space,
		       struct svmdk_error *err)
{
	struct survey s = { .job = job, .rooms = rooms, .folder = -1 };
	int ret = 0;
	size_t i;

	*rooms = (struct resplit_rooms){ 0 };
	for (i = 0; i < job->plan.nr_targets && !ret; i++) {
		if (!job->plan.targets[i].kept)
			ret = survey_target(&s, i, low_space, err);
	}
	if (s.folder >= 0)
		close(s.folder);
	if (ret)
		resplit_rooms_free(rooms);
	return ret;
}

int resplit_rooms_check(const struct resplit_rooms *rooms, const struct resplit_job *job,
			struct svmdk_error *err)
{
	char need[SIZE_TEXT_LEN], missing[SIZE_TEXT_LEN];
	const struct resplit_room *room;
	size_t i;

	for (i = 0; i < rooms->nr; i++) {
		room = &rooms->list[i];
		if (room->need <= room->free)
			continue;
		error_set(err, ENOSPC,
			  "not enough room%s%s: %s are needed, %s (%" PRIu64
			  " bytes) more than there are%s",
			  *room->folder ? " in " : "", room->folder, size_format(need, room->need),
			  size_format(missing, room->need - room->free), room->need - room->free,
			  job->low_space	   ? "" :
			  job->holes == HOLES_FILL ? "; leave --fill, or use --low-space" :
						     "; use --low-space");
		return error_at(err, job->c.path, 0);
	}
	return 0;
}

void resplit_rooms_free(struct resplit_rooms *rooms)
{
	size_t i;

	for (i = 0; i < rooms->nr; i++)
		free(rooms->list[i].folder);
	free(rooms->list);
	*rooms = (struct resplit_rooms){ 0 };
}
