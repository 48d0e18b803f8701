// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "copy_set.h"
#include "interrupt.h"
#include "same_time.h"
#include "size.h"

/* Files are put on disk together, for one commit of the journal does for all. */
#define PENDING_FILES 64
#define PENDING_BYTES (UINT64_C(256) << 20)

#define MAX_DEPTH 64 /* folders; each takes stack where the copy is put in place */

/*
 * The path below the folder, without "." and doubled slashes, in place. NULL
 * for one that leads elsewhere, be it back to the folder in the end.
 */
static char *plain_name(char *name)
{
	char *from = name, *to = name;
	size_t length;

	if (*name == '/')
		return NULL;
	while (*from) {
		length = strcspn(from, "/");
		if (length == 2 && from[0] == '.' && from[1] == '.')
			return NULL;
		if (length && !(length == 1 && from[0] == '.')) {
			if (to > name)
				*to++ = '/';
			memmove(to, from, length);
			to += length;
		}
		from += length;
		from += strspn(from, "/");
	}
	*to = '\0';
	return to > name ? name : NULL;
}

static int compare_names(const void *a, const void *b)
{
	const struct copy_file *first = a, *second = b;

	return strcmp(first->name, second->name);
}

static size_t depth(const char *name)
{
	size_t nr = 0;

	for (; *name; name++)
		nr += *name == '/';
	return nr;
}

static int add_file(struct copy_set *set, size_t i, struct svmdk_error *err)
{
	const struct extent *e = &set->container->descriptor.extents[i];
	struct copy_file *file = &set->files[set->nr];

	*file = (struct copy_file){ .name = strdup(e->name), .extent = i };
	if (!file->name)
		return error_errno(err, ENOMEM, "cannot copy");
	set->nr++;
	if (!plain_name(file->name))
		error_set(
			err, EXDEV,
			"extent %s is named by where it is outside of the descriptor's folder, so a copy in one folder would still use it; copy such a container by hand",
			e->name);
	else if (depth(file->name) > MAX_DEPTH)
		error_set(
			err, ENAMETOOLONG,
			"its extent is more than %d folders down; put it less deep, or copy such a container by hand: %s",
			MAX_DEPTH, e->name);
	else
		return 0;
	return error_at(err, set->container->path, e->line);
}

/* Several extents may be in one file. */
static void drop_doubles(struct copy_set *set)
{
	size_t i, nr = 0;

	qsort(set->files, set->nr, sizeof(*set->files), compare_names);
	for (i = 0; i < set->nr; i++) {
		if (nr && strcmp(set->files[nr - 1].name, set->files[i].name) == 0)
			free(set->files[i].name);
		else
			set->files[nr++] = set->files[i];
	}
	set->nr = nr;
}

int copy_set_init(struct copy_set *set, const struct container *container, struct staging *staging,
		  struct file_copier *copier, struct svmdk_error *err)
{
	const struct descriptor *d = &container->descriptor;
	size_t i;

	*set = (struct copy_set){ container, staging, copier,
				  .files = calloc(d->nr_extents, sizeof(*set->files)) };
	if (!set->files)
		return error_errno(err, ENOMEM, "cannot copy");
	for (i = 0; i < d->nr_extents; i++) {
		if (extent_has_file(&d->extents[i]) && add_file(set, i, err)) {
			copy_set_free(set);
			return -1;
		}
	}
	drop_doubles(set);
	return 0;
}

void copy_set_free(struct copy_set *set)
{
	size_t i;

	for (i = 0; i < set->nr; i++)
		free(set->files[i].name);
	free(set->files);
	*set = (struct copy_set){ 0 };
}

static int fail_at(const struct copy_set *set, const struct copy_file *file,
		   struct svmdk_error *err)
{
	const struct extent *e = &set->container->descriptor.extents[file->extent];

	error_set(err, err->code, "extent %s: %s", file->name, err->text);
	return error_at(err, set->container->path, e->line);
}

static bool same_content(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && same_time(&a->st_mtim, &b->st_mtim);
}

/* Is it as it was when it was copied, now or by an earlier call? */
static bool is_current(struct copy_set *set, struct copy_file *file, const struct stat *now)
{
	struct stat st;

	if (file->current)
		return same_content(&file->found, now);
	if ((staging_stat_kept(set->staging, file->name, &st) || !same_content(&st, now)) &&
	    (staging_stat_copy(set->staging, file->name, &st) || !same_content(&st, now)))
		return false;
	file->found = *now;
	return true;
}

static void add_to_count(struct copy_count *count, const struct stat *st)
{
	uint64_t space = (uint64_t)st->st_blocks << SECTOR_SHIFT;

	count->files++;
	count->bytes += st->st_size;
	count->space += space < (uint64_t)st->st_size ? space : (uint64_t)st->st_size;
}

int copy_set_survey(struct copy_set *set, struct copy_count *todo, struct svmdk_error *err)
{
	struct stat now;
	size_t i;

	*todo = (struct copy_count){ 0 };
	for (i = 0; i < set->nr; i++) {
		struct copy_file *file = &set->files[i];

		if (fstatat(set->container->policy.dir.fd, file->name, &now, AT_SYMLINK_NOFOLLOW)) {
			error_errno(err, errno, "cannot find it");
			return fail_at(set, file, err);
		}
		file->current = is_current(set, file, &now);
		if (file->current)
			continue;
		add_to_count(todo, &now);
	}
	return 0;
}

/* How far apart two modification times are on such a file system, at most. */
static int64_t granularity(const struct timespec *mtime)
{
	if (mtime->tv_nsec == 0)
		return INT64_C(2000000000); /* FAT */
	return mtime->tv_nsec % 10000000 ? 0 : 10000000; /* exFAT */
}

/*
 * Until a write would set another modification time than this one. One that is
 * in the future will never be set again.
 */
static void wait_past(const struct timespec *mtime)
{
	const struct timespec tick = { .tv_nsec = 1000000 };
	struct timespec now;
	int64_t past;

	do {
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
		past = time_since(mtime, &now);
		if (past > granularity(mtime) || past < INT64_C(-1000000000))
			return;
	} while (nanosleep(&tick, NULL) == 0 || !interrupt_seen());
}

void copy_set_wait(const struct copy_set *set)
{
	size_t i;

	for (i = 0; i < set->nr; i++)
		if (set->files[i].pending)
			wait_past(&set->files[i].found.st_mtim);
}

int copy_set_keep(struct copy_set *set, struct svmdk_error *err)
{
	size_t i;

	if (!set->nr_pending)
		return 0;
	for (i = 0; i < set->nr; i++)
		if (set->files[i].pending)
			staging_flush(set->staging, i);
	for (i = 0; i < set->nr; i++) {
		struct copy_file *file = &set->files[i];

		if (!file->pending)
			continue;
		if (staging_keep(set->staging, i, file->name, &file->found, err))
			return -1;
		file->pending = false;
	}
	set->nr_pending = 0;
	set->pending_bytes = 0;
	return 0;
}

static void forget_pending(struct copy_set *set, struct copy_file *file)
{
	if (!file->pending)
		return;
	file->pending = false;
	set->nr_pending--;
	set->pending_bytes -= file->found.st_size;
}

static int copy_content(struct copy_set *set, size_t i, int from, struct svmdk_error *err)
{
	int to = staging_new(set->staging, i, err), ret;

	if (to < 0)
		return -1;
	ret = file_copy(set->copier, from, to, set->files[i].found.st_size, err);
	/* Network file systems say only now that there is no room. */
	if (close(to) && !ret)
		ret = error_errno(err, errno, "cannot write its copy");
	if (ret)
		staging_drop(set->staging, i);
	return ret ? fail_at(set, &set->files[i], err) : 0;
}

/*
 * The time that it has before it is read is the one that its copy gets: a write
 * that comes later leaves another, once that time is over.
 */
static int copy_one(struct copy_set *set, size_t i, bool wait, struct svmdk_error *err)
{
	struct copy_file *file = &set->files[i];
	struct extent_file from;
	int ret;

	forget_pending(set, file);
	if (container_open_extent(set->container, file->extent, O_RDONLY, &from, err))
		return -1;
	if (!S_ISREG(from.st.st_mode)) {
		close(from.fd);
		error_set(err, ENOTBLK, "is a block device, which cannot be in a copy");
		return fail_at(set, file, err);
	}
	file->found = from.st;
	if (wait)
		wait_past(&from.st.st_mtim);
	/* Or after a power cut the copy had what the source has not, by the same time. */
	fsync(from.fd);
	ret = copy_content(set, i, from.fd, err);
	close(from.fd);
	if (ret)
		return -1;
	file->current = file->copied = file->pending = true;
	set->nr_pending++;
	set->pending_bytes += file->found.st_size;
	return 0;
}

int copy_set_copy(struct copy_set *set, bool keep, struct svmdk_error *err)
{
	size_t i;

	for (i = 0; i < set->nr; i++) {
		if (set->files[i].current)
			continue;
		if (copy_one(set, i, keep, err))
			return -1;
		if (keep &&
		    (set->nr_pending >= PENDING_FILES || set->pending_bytes >= PENDING_BYTES) &&
		    copy_set_keep(set, err))
			return -1;
	}
	return keep ? copy_set_keep(set, err) : 0;
}

static const struct copy_file *find_file(const struct copy_set *set, const char *name)
{
	const struct copy_file key = { .name = (char *)name };

	if (!set->nr)
		return NULL;
	return bsearch(&key, set->files, set->nr, sizeof(key), compare_names);
}

/* What this call copied is wanted whatever time it has: not every file system can keep it. */
static bool is_wanted(const char *name, const struct stat *st, void *arg)
{
	const struct copy_file *file = find_file(arg, name);

	return file && file->current && (file->copied || same_content(st, &file->found));
}

int copy_set_purge(const struct copy_set *set, struct svmdk_error *err)
{
	return staging_purge(set->staging, is_wanted, (void *)set, err);
}

struct copy_count copy_set_copied(const struct copy_set *set)
{
	struct copy_count count = { 0 };
	size_t i;

	for (i = 0; i < set->nr; i++) {
		if (!set->files[i].copied)
			continue;
		add_to_count(&count, &set->files[i].found);
	}
	return count;
}

const struct stat *copy_set_found(const struct copy_set *set, size_t extent)
{
	const struct extent *e = &set->container->descriptor.extents[extent];
	const struct copy_file *file = NULL;
	char *name;

	if (!extent_has_file(e))
		return NULL;
	name = strdup(e->name);
	if (name && plain_name(name))
		file = find_file(set, name);
	free(name);
	return file ? &file->found : NULL;
}
