// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* What a container's sidecar says while it is attached, and the one that is made for that. */
#include <errno.h>

#include "marks.h"
#include "same_time.h"

/*
 * Of what is written from now on the manifest alone would say that it is damaged. None is
 * proved to be as in the manifest, so each is as if its inode was another; and what is newer
 * than the manifest, as if it was not when it was hashed.
 */
static void begin_sidecar(struct marks *m)
{
	struct facts *facts;
	size_t i;

	marks_look(m);
	for (i = 0; i < m->members.nr; i++) {
		if (!m->lines[i] || m->members.list[i].code)
			continue;
		marks_set_clean(m, i);
		facts = &m->entries[i].facts;
		facts->ctime = (struct timespec){ 0 };
		if (time_since(&m->manifest_st.st_mtim, &facts->mtime) > 0)
			facts->mtime = m->manifest_st.st_mtim;
	}
	m->has_sidecar = true;
}

/*
 * One of other extents, left by a killed resplit, say, is no reason for a sidecar. But one that
 * lacks lines, or cannot be read, may be put right later: what it says of an extent then, and
 * the sidecar does not, is as good as changed.
 */
static bool has_its_manifest(const struct marks *m)
{
	size_t i;

	if (m->manifest_err.code)
		return m->manifest_err.code != ENOENT;
	for (i = 0; i < m->members.nr; i++)
		if (m->lines[i] && m->members.list[i].extent != NO_MEMBER)
			return true;
	return !m->manifest.nr;
}

int marks_attach(struct container *c, struct svmdk_error *err)
{
	struct marks m;
	int ret = 0;

	if (marks_open(&m, c, true, err))
		return -1;
	/* It would say tomorrow, when it can be read, that nothing was written. */
	if (marks_sidecar_is_broken(&m, err))
		ret = error_add(err,
				"; take it away, and svmdk manifest makes a new one, or attach "
				"with -r");
	if (!ret && m.has_sidecar && marks_unended(&m)) {
		marks_look(&m);
		ret = marks_recover(&m, err);
	}
	if (!ret && !m.has_sidecar && has_its_manifest(&m)) {
		begin_sidecar(&m);
		ret = marks_write(&m, SESSION_ATTACHED, err);
		if (ret)
			error_add(err, "; with a manifest it has to say that the disk may be "
				       "written: attach with -r, or take the manifest away");
	} else if (!ret && m.has_sidecar) {
		ret = marks_write(&m, SESSION_ATTACHED, err);
	}
	marks_close(&m);
	return ret;
}

int marks_begin(struct container *c, struct svmdk_error *err)
{
	struct marks m;
	int ret = 0;

	if (marks_open(&m, c, true, err))
		return -1;
	/* One that cannot be read may say more than a new one would. */
	if (m.sidecar_err.code == ENOENT && has_its_manifest(&m)) {
		begin_sidecar(&m);
		ret = marks_write(&m, SESSION_NONE, err);
	}
	marks_close(&m);
	return ret;
}

void marks_attach_undo(struct container *c)
{
	struct svmdk_error err;
	struct marks m;

	if (marks_open(&m, c, true, &err))
		return;
	if (m.has_sidecar)
		marks_write(&m, SESSION_NONE, &err);
	marks_close(&m);
}
