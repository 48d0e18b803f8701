// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Names for new extents that nobody has, nor is about to have. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claims.h"
#include "resplit_job.h"
#include "scan.h"
#include "size.h"

#define MAX_SERIES 10000

/* There, or made any moment by another command, or removed by it. */
static int name_free(const struct resplit_job *job, struct claimants *claimants, const char *name,
		     bool *free_name, struct svmdk_error *err)
{
	const struct claim *by = NULL;
	struct stat st;
	int folder, ret = 0;
	char *base;

	if (safe_open_folder(&job->c.policy, name, &folder, &base, err))
		return -1;
	*free_name = fstatat(folder, base, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT;
	if (*free_name)
		ret = claimants_find(claimants, folder, base, &by, err);
	*free_name &= !by;
	close(folder);
	free(base);
	return ret;
}

/* What keeps a series of names from being taken: one of them is. */
int resplit_names_free(const struct resplit_job *job, bool *free_names, struct svmdk_error *err)
{
	struct claimants claimants = {
		.kind = CLAIMS_OF_LISTS,
		.own = job->c.policy.dir.fd,
		.self = job->c.name,
	};
	const struct target_extent *target;
	size_t i;
	int ret = 0;

	*free_names = true;
	for (i = 0; i < job->plan.nr_targets && *free_names && !ret; i++) {
		target = &job->plan.targets[i];
		if (job->low_space ? target->start < job->begun : target->kept)
			continue;
		ret = name_free(job, &claimants, target->name, free_names, err);
	}
	claimants_forget(&claimants);
	return ret ? error_at(err, job->c.path, 0) : 0;
}

/*
 * A new extent that is there in part is gone on with in its file, so nothing else
 * may be in that: what an earlier run began is not all that can look so.
 */
static bool can_go_on(const struct resplit_job *job)
{
	const struct resplit_plan *plan = &job->plan;
	const struct target_extent *target;
	const struct old_file *file;
	struct resplit_piece piece;

	if (job->begun == plan->sectors)
		return true;
	target = &plan->targets[job->begun / plan->extent_sectors];
	if (target->start == job->begun)
		return true;
	piece = resplit_piece_at(plan, target->start);
	file = old_file_of(&job->old, piece.old);
	return file && file->left == job->begun - target->start &&
	       (uint64_t)file->st.st_size == file->left << SECTOR_SHIFT;
}

/* Returns 1 when the names are good, 0 when they are not, -1 on failure. */
static int try_series(struct resplit_job *job, const char *stem, unsigned int series,
		      struct svmdk_error *err)
{
	bool good;

	if (resplit_plan_name(&job->plan, stem, series, err))
		return error_at(err, job->c.path, 0);
	job->begun = job->low_space ? resplit_begun(&job->plan) : 0;
	if (!can_go_on(job))
		return 0;
	return resplit_names_free(job, &good, err) ? -1 : good;
}

/* An earlier run's names first, so that it goes on where that was interrupted. */
int resplit_choose_names(struct resplit_job *job, struct svmdk_error *err)
{
	char *stem = container_stem(&job->c);
	unsigned int series;
	int good = 0;

	if (!stem) {
		error_errno(err, ENOMEM, "cannot plan the new extents");
		return error_at(err, job->c.path, 0);
	}
	series = resplit_plan_series(&job->plan, stem, MAX_SERIES);
	if (series)
		good = try_series(job, stem, series, err);
	for (series = 1; !good && series < MAX_SERIES; series++)
		good = try_series(job, stem, series, err);
	free(stem);
	if (good)
		return good < 0 ? -1 : 0;
	error_set(err, EEXIST, "the names of new extents are all taken; see what is in its folder");
	return error_at(err, job->c.path, 0);
}
