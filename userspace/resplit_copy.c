// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "interrupt.h"
#include "resplit_job.h"
#include "size.h"

/*
 * New files that are made together and then fsynced: the first fsync pays for
 * the journal, and what is compared after that is in memory on the old side.
 */
#define GROUP_FILES 64
#define GROUP_BYTES (UINT64_C(512) << 20)

/**
 * struct arrived - a piece that was brought
 * @piece: it
 * @fd: file of the new extent
 * @shared: bytes that need not be compared
 */
struct arrived {
	struct resplit_piece piece;
	int fd;
	uint64_t shared;
};

/**
 * struct group - new files that are made together
 * @fds: of the files
 * @first: the first new extent of them
 * @nr: number of these
 * @bytes: in them
 * @pieces: what was brought
 * @nr_pieces: number of these
 * @room: for so many
 */
struct group {
	int fds[GROUP_FILES];
	size_t first;
	size_t nr;
	uint64_t bytes;
	struct arrived *pieces;
	size_t nr_pieces;
	size_t room;
};

/**
 * struct finisher - finishes a group while the next one is copied
 * @job: a copy of the job, with buffers of its own
 * @silent: its progress, which is not shown
 * @group: what is finished
 * @thread: what does it
 * @running: it does
 * @ret: 0 or -1, when it has ended
 * @err: filled on failure
 */
struct finisher {
	struct resplit_job job;
	struct progress silent;
	struct group group;
	pthread_t thread;
	bool running;
	int ret;
	struct svmdk_error err;
};

static int note_piece(struct group *g, const struct arrived *arrived, struct svmdk_error *err)
{
	struct arrived *pieces;

	if (g->nr_pieces == g->room) {
		pieces = reallocarray(g->pieces, g->room * 2 + 64, sizeof(*pieces));
		if (!pieces)
			return error_errno(err, ENOMEM, "cannot copy");
		g->pieces = pieces;
		g->room = g->room * 2 + 64;
	}
	g->pieces[g->nr_pieces++] = *arrived;
	return 0;
}

static int fill_target(struct resplit_job *job, struct group *g, size_t i, int fd,
		       struct svmdk_error *err)
{
	const struct target_extent *target = &job->plan.targets[i];
	uint64_t at = target->start, end = at + target->sectors;
	struct arrived arrived = { .fd = fd };

	if (ftruncate(fd, target->sectors << SECTOR_SHIFT)) {
		error_errno(err, errno, "cannot set its size");
		return resplit_fail(job, target->name, err);
	}
	for (; at < end; at += arrived.piece.sectors) {
		arrived.piece = resplit_piece_at(&job->plan, at);
		if (resplit_bring(job, &arrived.piece, fd, &arrived.shared, err))
			return -1;
		if (note_piece(g, &arrived, err))
			return resplit_fail(job, target->name, err);
	}
	return 0;
}

static int finish_group(struct resplit_job *job, struct group *g, struct svmdk_error *err)
{
	size_t i;

	for (i = 0; i < g->nr; i++) {
		if (fsync(g->fds[i])) {
			error_errno(err, errno, "cannot write it to disk");
			return resplit_fail(job, job->plan.targets[g->first + i].name, err);
		}
	}
	for (i = 0; job->compare && i < g->nr_pieces; i++) {
		if (resplit_compare(job, &g->pieces[i].piece, g->pieces[i].fd, g->pieces[i].shared,
				    err))
			return -1;
	}
	return 0;
}

static void close_group(struct group *g)
{
	while (g->nr)
		close(g->fds[--g->nr]);
	g->nr_pieces = 0;
	g->bytes = 0;
}

static bool group_full(const struct group *g)
{
	return g->nr == GROUP_FILES || g->bytes >= GROUP_BYTES;
}

static void *finish(void *arg)
{
	struct finisher *f = arg;

	f->ret = finish_group(&f->job, &f->group, &f->err);
	return NULL;
}

static int finisher_wait(struct finisher *f, struct resplit_job *job, struct svmdk_error *err)
{
	if (!f->running)
		return 0;
	pthread_join(f->thread, NULL);
	f->running = false;
	close_group(&f->group);
	job->transfer.done += f->job.transfer.done;
	f->job.transfer.done = 0;
	if (f->ret)
		*err = f->err;
	return f->ret;
}

/* Takes over what is in the group, which is empty afterwards. */
static int hand_over(struct finisher *f, struct resplit_job *job, struct group *g,
		     struct svmdk_error *err)
{
	struct group empty;
	int ret = finisher_wait(f, job, err);

	if (ret)
		return ret;
	empty = f->group;
	f->group = *g;
	*g = empty;
	if (pthread_create(&f->thread, NULL, finish, f) == 0) {
		f->running = true;
		return 0;
	}
	ret = finish_group(job, &f->group, err);
	close_group(&f->group);
	return ret;
}

static int make_target(struct resplit_job *job, struct group *g, size_t i, struct svmdk_error *err)
{
	bool made;
	int fd;

	if (interrupt_seen()) {
		error_set(err, EINTR, "interrupted");
		return error_at(err, job->c.path, 0);
	}
	if (resplit_open_target(job, i, &fd, &made, err))
		return -1;
	if (!g->nr)
		g->first = i;
	g->fds[g->nr++] = fd;
	g->bytes += job->plan.targets[i].sectors << SECTOR_SHIFT;
	return fill_target(job, g, i, fd, err);
}

static int make_targets(struct resplit_job *job, struct group *g, struct finisher *f,
			struct svmdk_error *err)
{
	const struct resplit_plan *plan = &job->plan;
	size_t i;

	for (i = 0; i < plan->nr_targets; i++) {
		if (g->nr && (group_full(g) || plan->targets[i].kept) && hand_over(f, job, g, err))
			return -1;
		if (!plan->targets[i].kept && make_target(job, g, i, err))
			return -1;
	}
	return finish_group(job, g, err);
}

static int copy_all(struct resplit_job *job, struct svmdk_error *err)
{
	struct finisher f = { .job = *job };
	struct svmdk_error other;
	struct group g = { 0 };
	int ret;

	if (transfer_begin(&f.job.transfer, job->holes, &f.silent, err))
		return error_at(err, job->c.path, 0);
	ret = make_targets(job, &g, &f, err);
	if (finisher_wait(&f, job, ret ? &other : err))
		ret = -1;
	close_group(&g);
	free(g.pieces);
	free(f.group.pieces);
	transfer_end(&f.job.transfer);
	return ret;
}

int resplit_by_copy(struct resplit_job *job, struct svmdk_error *err)
{
	if (copy_all(job, err) || resplit_sync_folders(job, 0, job->plan.nr_targets, err))
		return -1;
	if (interrupt_seen()) {
		error_set(err, EINTR, "interrupted");
		return error_at(err, job->c.path, 0);
	}
	return resplit_switch(job, job->plan.sectors, err);
}
