// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "interrupt.h"
#include "leftovers.h"
#include "resplit_job.h"
#include "size.h"

/**
 * struct step - what is moved at once
 * @begin: first sector of the disk
 * @end: one past the last; all of it is of one new extent
 */
struct step {
	uint64_t begin;
	uint64_t end;
};

uint64_t resplit_step_end(const struct resplit_plan *plan, uint64_t at)
{
	struct resplit_piece piece = resplit_piece_at(plan, at);
	const struct target_extent *target = &plan->targets[piece.target];
	uint64_t begin = at, end = target->start + target->sectors;

	if (piece.sectors > STEP_MAX_SECTORS)
		return at + STEP_MAX_SECTORS;
	for (at += piece.sectors; at < end; at += piece.sectors) {
		piece = resplit_piece_at(plan, at);
		if (at + piece.sectors - begin > STEP_GROUP_SECTORS)
			break;
	}
	return at;
}

static struct resplit_piece piece_of(const struct resplit_job *job, const struct step *step,
				     uint64_t at)
{
	struct resplit_piece piece = resplit_piece_at(&job->plan, at);

	if (piece.sectors > step->end - at)
		piece.sectors = step->end - at;
	return piece;
}

/* Sets *@copied when not all of it is shared. */
static int bring_step(struct resplit_job *job, const struct step *step, int fd, bool *copied,
		      struct svmdk_error *err)
{
	size_t i = resplit_piece_at(&job->plan, step->begin).target;
	const struct target_extent *target = &job->plan.targets[i];
	struct resplit_piece piece;
	uint64_t at, shared;

	if (ftruncate(fd, (step->end - target->start) << SECTOR_SHIFT)) {
		error_errno(err, errno, "cannot set its size");
		return resplit_fail(job, target->name, err);
	}
	for (at = step->begin; at < step->end; at += piece.sectors) {
		piece = piece_of(job, step, at);
		if (resplit_bring(job, &piece, fd, &shared, err))
			return -1;
		*copied |= shared < piece.sectors << SECTOR_SHIFT;
	}
	if (fsync(fd)) {
		error_errno(err, errno, "cannot write it to disk");
		return resplit_fail(job, target->name, err);
	}
	return 0;
}

static int compare_step(struct resplit_job *job, const struct step *step, int fd,
			struct svmdk_error *err)
{
	struct resplit_piece piece;
	uint64_t at, shared;

	for (at = step->begin; at < step->end; at += piece.sectors) {
		piece = piece_of(job, step, at);
		shared = old_file_of(&job->old, piece.old) ? 0 : piece.sectors << SECTOR_SHIFT;
		if (resplit_compare(job, &piece, fd, shared, err))
			return -1;
	}
	return 0;
}

static int remove_file(struct resplit_job *job, const struct old_file *file,
		       struct svmdk_error *err)
{
	const char *name = job->plan.old[file->extent].name;
	struct stat st;
	int folder, ret;
	char *base;

	if (safe_open_folder(&job->c.policy, name, &folder, &base, err))
		return error_at(err, job->c.path, 0);
	ret = fstatat(folder, base, &st, AT_SYMLINK_NOFOLLOW);
	if (!ret && (st.st_dev != file->st.st_dev || st.st_ino != file->st.st_ino)) {
		errno = ESTALE;
		ret = -1;
	}
	if (!ret)
		ret = unlinkat(folder, base, 0);
	if (ret)
		error_errno(err, errno, "cannot remove it");
	close(folder);
	free(base);
	if (ret)
		return resplit_fail(job, name, err);
	old_file_drop(&job->old, file);
	return 0;
}

static int punch(const struct resplit_job *job, const struct resplit_piece *piece,
		 struct svmdk_error *err)
{
	int fd, ret;

	if (old_extent_fd(&job->old, piece->old, &fd, err))
		return -1;
	do {
		ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				piece->old_at << SECTOR_SHIFT, piece->sectors << SECTOR_SHIFT);
	} while (ret && errno == EINTR);
	if (ret)
		error_errno(err, errno, "cannot give back what was moved");
	old_extent_done(&job->old, piece->old, fd);
	return ret ? resplit_fail(job, job->plan.old[piece->old].name, err) : 0;
}

/* The descriptor in force no longer names it. */
static int give_back(struct resplit_job *job, const struct step *step, struct svmdk_error *err)
{
	struct resplit_piece piece;
	struct old_file *file;
	uint64_t at;

	for (at = step->begin; at < step->end; at += piece.sectors) {
		piece = piece_of(job, step, at);
		file = old_file_of(&job->old, piece.old);
		if (!file)
			continue;
		file->left -= piece.sectors;
		if (file->left ? punch(job, &piece, err) : remove_file(job, file, err))
			return -1;
	}
	return 0;
}

static int take_step(struct resplit_job *job, const struct step *step, struct svmdk_error *err)
{
	size_t i = resplit_piece_at(&job->plan, step->begin).target;
	bool made, copied = false;
	int fd, ret;

	if (resplit_open_target(job, i, &fd, &made, err))
		return -1;
	ret = bring_step(job, step, fd, &copied, err);
	if (!ret && made)
		ret = resplit_sync_folders(job, i, i + 1, err);
	if (!ret && job->compare && copied)
		ret = compare_step(job, step, fd, err);
	close(fd);
	if (ret)
		return -1;
	if (interrupt_seen()) {
		error_set(err, EINTR, "interrupted");
		return error_at(err, job->c.path, 0);
	}
	if (resplit_switch(job, step->end, err))
		return -1;
	job->begun = step->end;
	return leftovers_note_done(&job->c, step->end, err) || give_back(job, step, err) ? -1 : 0;
}

int resplit_by_steps(struct resplit_job *job, struct svmdk_error *err)
{
	struct step step;

	while (job->begun < job->plan.sectors) {
		step.begin = job->begun;
		step.end = resplit_step_end(&job->plan, step.begin);
		if (take_step(job, &step, err))
			return -1;
	}
	return 0;
}

static int can_punch(const struct resplit_job *job, const struct old_file *file,
		     struct svmdk_error *err)
{
	const char *name = job->plan.old[file->extent].name;
	uint64_t behind = ((uint64_t)file->st.st_size + 0xfffff) & ~UINT64_C(0xfffff);
	int fd, ret = 0;

	if (old_extent_fd(&job->old, file->extent, &fd, err))
		return -1;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, behind, 4096) &&
	    errno == EOPNOTSUPP)
		ret = error_set(
			err, EOPNOTSUPP,
			"extent %s is on a file system that cannot give back a part of a file, which --low-space needs",
			name);
	old_extent_done(&job->old, file->extent, fd);
	return ret ? error_at(err, job->c.path, 0) : 0;
}

/* What is moved is destroyed where it was, so that nobody else may need it there. */
int resplit_can_step(const struct resplit_job *job, struct svmdk_error *err)
{
	const struct old_file *file;
	const char *name;
	size_t i;

	for (i = 0; i < job->old.nr; i++) {
		file = &job->old.files[i];
		name = job->plan.old[file->extent].name;
		if (job->plan.old[file->extent].start < job->begun)
			continue;
		if (!file->whole)
			error_set(
				err, EINVAL,
				"extent %s has more in it than the disk, which --low-space would lose; do without that option, or cut it off",
				name);
		else if (file->st.st_nlink > 1)
			error_set(
				err, EMLINK,
				"extent %s has other names (hard links), and --low-space would empty them all; do without that option",
				name);
		else if (can_punch(job, file, err))
			return -1;
		else
			continue;
		return error_at(err, job->c.path, 0);
	}
	return 0;
}
