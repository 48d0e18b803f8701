// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "progress.h"
#include "verdict.h"

/**
 * struct judging - files that are being read
 * @m: what is known of them
 * @findings: of each
 * @err: filled when it cannot go on
 */
struct judging {
	struct marks *m;
	struct finding *findings;
	struct svmdk_error *err;
};

const char *verdict_text(enum verdict verdict)
{
	static const char *const texts[NR_VERDICTS] = {
		[VERDICT_INTACT] = "intact",
		[VERDICT_CHANGED] = "changed",
		[VERDICT_MODIFIED] = "modified",
		[VERDICT_DAMAGED] = "damaged",
	};

	return texts[verdict];
}

static int find(struct judging *j, size_t i, enum verdict verdict, const char *reason)
{
	j->findings[i].verdict = verdict;
	j->findings[i].reason = strdup(reason);
	return j->findings[i].reason ? 0 : error_errno(j->err, ENOMEM, "cannot go on");
}

/* What is wrong with the command or the machine is not the file's fault. */
static bool is_own_fault(int code)
{
	switch (code) {
	case EXDEV:
	case EINVAL: /* it is a file of svmdk's own */
	case ENOTBLK:
	case EACCES:
	case EPERM:
	case EMFILE:
	case ENFILE:
	case EAGAIN: /* another program has a lease on it */
		return true;
	default:
		return false;
	}
}

static int find_short(struct judging *j, size_t i)
{
	const struct member *member = &j->m->members.list[i];
	char text[96];

	snprintf(text, sizeof(text), "short: %" PRIu64 " bytes of %" PRIu64, member->facts.size,
		 member->need);
	return find(j, i, VERDICT_DAMAGED, text);
}

static int judge_unread(struct judging *j, size_t i, const struct hash_result *r)
{
	if (r->outcome == HASH_UNREADABLE) {
		j->findings[i].offset = r->offset;
		return find(j, i, VERDICT_DAMAGED, r->err->text);
	}
	if (is_own_fault(r->err->code)) {
		*j->err = *r->err;
		return -1;
	}
	if (r->err->code == ENOENT)
		return find(j, i, VERDICT_DAMAGED, "missing");
	if (r->err->code == ENODATA)
		return find_short(j, i);
	return find(j, i, VERDICT_DAMAGED, r->err->text);
}

/*
 * Of the descriptor: it names extents that are there and not in the manifest, so
 * it grew. To put back that of a copy would lose them.
 */
static bool has_grown(const struct judging *j, size_t i)
{
	const struct container *c = j->m->c;

	return i == j->m->members.nr - 1 &&
	       manifest_lacks_extent(&j->m->manifest, c->policy.dir.fd, &c->descriptor);
}

/*
 * The manifest has lost its line or was altered, or is of another time. The sidecar has a
 * hash too, and knows whether anybody wrote the file since.
 */
static int judge_by_sidecar(struct judging *j, size_t i, const struct hash_result *r)
{
	const struct sidecar_entry *e = &j->m->entries[i];
	const bool same = e->hashed && memcmp(e->hash, r->hash, HASH_SIZE) == 0;

	if (!same && !r->moved && marks_hash_holds(j->m, i))
		return find(j, i, VERDICT_DAMAGED,
			    "other bytes than when it was hashed, though size and mtime say that "
			    "nothing wrote it");
	if (!same && marks_hash_moved(j->m, i))
		return find(j, i, VERDICT_MODIFIED,
			    "another program wrote it: its size or mtime is not as recorded");
	j->findings[i].other_line = same;
	if (same && j->m->lines[i])
		return find(j, i, VERDICT_CHANGED,
			    "it is as it was hashed, but its line in the manifest is not");
	if (same)
		return find(j, i, VERDICT_CHANGED,
			    "it is as it was hashed, but the manifest has no line for it");
	if (!j->m->lines[i])
		return find(j, i, VERDICT_CHANGED, "not in the manifest");
	return find(j, i, VERDICT_CHANGED, "the sidecar knows nothing of this manifest's hash");
}

/*
 * The descriptor is the one that the manifest is of, and so are its extents: one without a
 * line has lost it.
 */
static void find_lost_lines(struct judging *j)
{
	const size_t last = j->m->members.nr - 1;
	size_t i;

	for (i = 0; i < last && j->findings[last].verdict == VERDICT_INTACT; i++)
		if (!j->m->lines[i])
			j->findings[i].other_line = true;
}

/* Its bytes are other ones than the manifest's. */
static int judge_different(struct judging *j, size_t i, const struct hash_result *r)
{
	switch (marks_change(j->m, i)) {
	case CHANGE_NEW:
	case CHANGE_MISMATCH:
		return judge_by_sidecar(j, i, r);
	case CHANGE_WRITTEN:
		return find(j, i, VERDICT_CHANGED, "written through svmdk since the manifest");
	case CHANGE_UNSURE:
		return find(j, i, VERDICT_CHANGED,
			    "may have been written in a session that did not end by svmdk detach");
	case CHANGE_MOVED:
		return find(j, i, VERDICT_MODIFIED,
			    "another program wrote it: its size or mtime is not as recorded");
	case CHANGE_UNKNOWN:
		if (has_grown(j, i))
			return find(j, i, VERDICT_CHANGED,
				    "it has extents that the manifest does not know");
		return find(j, i, VERDICT_DAMAGED,
			    "other bytes than the manifest's, and no sidecar says why");
	default:
		break;
	}
	if (r->moved && j->m->live)
		return find(j, i, VERDICT_CHANGED, "written while it was read");
	if (r->moved)
		return find(j, i, VERDICT_MODIFIED, "another program wrote it while it was read");
	return find(j, i, VERDICT_DAMAGED,
		    "other bytes than the manifest's, though size and mtime "
		    "say that nothing wrote it");
}

/*
 * A manifest that was made meanwhile has cleared the driver's bits, and knows better. The bits
 * were asked for before this.
 */
static int check_current(const struct judging *j, size_t i)
{
	const enum verdict verdict = j->findings[i].verdict;

	if (!j->m->live || (verdict != VERDICT_MODIFIED && verdict != VERDICT_DAMAGED) ||
	    marks_are_current(j->m))
		return 0;
	error_set(j->err, ESTALE,
		  "its manifest or sidecar was made anew while it was read; try again");
	return error_at(j->err, j->m->c->path, 0);
}

static int judge(void *arg, size_t i, const struct hash_result *r)
{
	struct judging *j = arg;
	const struct manifest_line *line = j->m->lines[i];

	j->findings[i].offset = NO_OFFSET;
	if (r->outcome != HASH_DONE)
		return judge_unread(j, i, r);
	if (line && memcmp(line->hash, r->hash, HASH_SIZE) == 0)
		return 0;
	/* As it was when it was read, not before or after. */
	if (marks_look_again(j->m, i, &r->st, r->size, j->err))
		return -1;
	if (judge_different(j, i, r))
		return -1;
	return check_current(j, i);
}

static int open_member(void *arg, size_t i, struct extent_file *file, struct svmdk_error *err)
{
	const struct judging *j = arg;

	if (members_open(&j->m->members, i, file, err))
		return -1;
	/* What the disk has is to be judged, not what is left of it in memory. */
	posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static uint64_t sum_sizes(struct marks *m)
{
	uint64_t sum = 0;
	size_t i;

	marks_look(m);
	for (i = 0; i < m->members.nr; i++)
		sum += m->members.list[i].facts.size;
	return sum;
}

int verdicts_find(struct marks *m, struct finding **findings, struct svmdk_error *err)
{
	struct progress progress;
	struct judging j = { .m = m, .err = err };
	struct hash_work work = {
		.nr = m->members.nr,
		.open = open_member,
		.done = judge,
		.arg = &j,
		.drop_cache = m->attached,
		.progress = &progress,
	};
	int ret;

	*findings = calloc(m->members.nr, sizeof(**findings));
	if (!*findings)
		return error_errno(err, ENOMEM, "cannot judge the container's files");
	j.findings = *findings;
	progress_begin(&progress, "Verifying", sum_sizes(m));
	ret = hash_files(&work, err);
	progress_end(&progress);
	if (!ret) {
		find_lost_lines(&j);
		return 0;
	}
	verdicts_free(*findings, m->members.nr);
	*findings = NULL;
	return error_at(err, err->file[0] ? err->file : m->c->path, err->line);
}

void verdicts_free(struct finding *findings, size_t nr)
{
	size_t i;

	for (i = 0; findings && i < nr; i++)
		free(findings[i].reason);
	free(findings);
}

void verdicts_say_lines(const struct marks *m, size_t nr)
{
	static const char help[] = "put the right one back, or make a new one with svmdk manifest";

	if (!nr)
		return;
	if (m->has_sidecar)
		message_error(
			m->manifest_name, 0,
			"it is older than the sidecar, or was altered: the lines of %zu files "
			"are gone, or are not as these were hashed; %s",
			nr, help);
	else
		message_error(m->manifest_name, 0,
			      "it was altered: the lines of %zu files are gone; %s", nr, help);
}
