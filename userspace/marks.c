// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "marks.h"
#include "same_time.h"

static int no_memory(struct svmdk_error *err)
{
	return error_errno(err, ENOMEM, "cannot keep track of the container's files");
}

static int folder(const struct marks *m)
{
	return m->c->policy.dir.fd;
}

static void note_side(const struct marks *m, const char *name, struct stat *st)
{
	if (fstatat(folder(m), name, st, AT_SYMLINK_NOFOLLOW))
		*st = (struct stat){ 0 };
}

static bool is_as_noted(const struct marks *m, const char *name, const struct stat *then)
{
	struct stat now;

	note_side(m, name, &now);
	return now.st_dev == then->st_dev && now.st_ino == then->st_ino &&
	       same_time(&now.st_ctim, &then->st_ctim);
}

bool marks_are_current(const struct marks *m)
{
	return is_as_noted(m, m->manifest_name, &m->manifest_st) &&
	       is_as_noted(m, m->sidecar_name, &m->sidecar_st);
}

static void read_manifest(struct marks *m)
{
	size_t i;

	note_side(m, m->manifest_name, &m->manifest_st);
	if (manifest_read(&m->manifest, folder(m), m->manifest_name, &m->manifest_err))
		return;
	m->manifest_err.code = 0;
	for (i = 0; i < m->members.nr; i++)
		m->lines[i] = manifest_find(&m->manifest, m->members.list[i].name);
}

static void read_sidecar(struct marks *m)
{
	const struct sidecar_entry *found;
	struct sidecar s;
	size_t i;

	note_side(m, m->sidecar_name, &m->sidecar_st);
	if (sidecar_read(&s, folder(m), m->sidecar_name, &m->sidecar_err))
		return;
	m->sidecar_err.code = 0;
	m->has_sidecar = true;
	m->session = s.session;
	memcpy(m->boot_id, s.boot_id, sizeof(m->boot_id));
	m->travelled = s.travelled;
	for (i = 0; i < m->members.nr; i++) {
		found = sidecar_find(&s, m->members.list[i].name);
		if (!found)
			continue;
		m->entries[i] = *found;
		m->entries[i].name = (char *)m->members.list[i].name;
	}
	sidecar_free(&s);
}

static int make_room(struct marks *m, struct svmdk_error *err)
{
	if (members_find(&m->members, m->c, err))
		return -1;
	m->manifest_name = container_side_name(m->c, MANIFEST_SUFFIX);
	m->sidecar_name = container_side_name(m->c, SIDECAR_SUFFIX);
	m->lines = calloc(m->members.nr, sizeof(*m->lines));
	m->entries = calloc(m->members.nr, sizeof(*m->entries));
	m->dirty = calloc(m->members.nr, sizeof(*m->dirty));
	if (!m->manifest_name || !m->sidecar_name || !m->lines || !m->entries || !m->dirty)
		return no_memory(err);
	return 0;
}

int marks_open(struct marks *m, struct container *c, bool lock, struct svmdk_error *err)
{
	*m = (struct marks){ .c = c, .lock = -1, .control = -1 };
	boot_id_read(m->this_boot);
	if (make_room(m, err))
		goto failed;
	if (lock && sidecar_lock(folder(m), m->sidecar_name, &m->lock, err) && err->code != ENOENT)
		goto failed;
	/*
	 * In the other order than they are written in: what an old sidecar says of a new
	 * manifest is that the file changed, but an old manifest beside a new sidecar is one
	 * that somebody put back.
	 */
	read_sidecar(m);
	read_manifest(m);
	return 0;
failed:
	marks_close(m);
	return -1;
}

void marks_close(struct marks *m)
{
	if (!m->c)
		return;
	if (m->lock >= 0)
		close(m->lock);
	if (m->control >= 0)
		close(m->control);
	device_free(&m->device);
	manifest_free(&m->manifest);
	members_free(&m->members);
	free(m->manifest_name);
	free(m->sidecar_name);
	free(m->lines);
	free(m->entries);
	free(m->dirty);
	*m = (struct marks){ .lock = -1, .control = -1 };
}

int marks_ask_driver(struct marks *m, struct svmdk_error *err)
{
	int code;

	if (m->control < 0)
		m->control = control_open(false, err);
	if (m->control < 0) {
		m->blind = err->code != ENODEV;
		return err->code == ENODEV || err->code == EPERM ? 0 : -1;
	}
	device_free(&m->device);
	m->attached = false;
	m->live = false;
	code = control_find_device(m->control, &m->c->st, m->c->real_path, &m->device);
	if (code == -ENODEV)
		return 0;
	if (code) {
		error_errno(err, -code, "cannot ask the driver what is attached");
		return error_at(err, m->c->path, 0);
	}
	m->attached = true;
	m->live = !(m->device.status.flags & SVMDK_STATUS_RDONLY);
	return m->live ? marks_ask_dirty(m, false, err) : 0;
}

int marks_flush(const struct marks *m, struct svmdk_error *err)
{
	char node[DEVICE_NODE_LEN];
	int fd, ret;

	device_node(&m->device, node);
	fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ret = fd < 0 ? -1 : fsync(fd);
	if (ret) {
		error_errno(err, errno, "cannot flush it");
		error_at(err, node, 0);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Of another number of extents than the descriptor nothing can be said. */
static void take_dirty(struct marks *m, const struct svmdk_extent_info *infos, size_t nr)
{
	const bool strange = nr != m->c->descriptor.nr_extents;
	size_t i, member;

	for (i = 0; i < m->members.nr; i++)
		m->dirty[i] = strange && m->members.list[i].writable;
	for (i = 0; i < nr && !strange; i++) {
		member = m->members.of_extent[i];
		if (member != NO_MEMBER && infos[i].dirty)
			m->dirty[member] = true;
	}
}

/* Its number may be another container's by now. */
static int find_again(const struct marks *m)
{
	struct device now;
	int code = control_find_device(m->control, &m->c->st, m->c->real_path, &now);

	if (code)
		return code;
	if (now.status.index != m->device.status.index)
		code = -ENODEV;
	device_free(&now);
	return code;
}

int marks_ask_dirty(struct marks *m, bool clean, struct svmdk_error *err)
{
	struct svmdk_extent_info *infos;
	int code = find_again(m);
	uint32_t nr;

	if (!code)
		code = clean ? control_extents_clean(m->control, &m->device, &infos, &nr) :
			       control_extents(m->control, &m->device, &infos, &nr);
	if (code) {
		if (code == -ENODEV)
			error_set(err, ENODEV, "it was detached meanwhile; try again");
		else
			error_errno(err, -code, "cannot ask the driver for its extents");
		return error_at(err, m->c->path, 0);
	}
	take_dirty(m, infos, nr);
	free(infos);
	return 0;
}

void marks_look(struct marks *m)
{
	size_t i;

	for (i = 0; i < m->members.nr; i++)
		members_look(&m->members, i);
}

int marks_look_again(struct marks *m, size_t i, const struct stat *st, uint64_t size,
		     struct svmdk_error *err)
{
	struct member *member = &m->members.list[i];

	member->code = 0;
	member->block = S_ISBLK(st->st_mode);
	facts_of(&member->facts, st, member->block ? size : (uint64_t)st->st_size);
	return m->live && !m->dirty[i] ? marks_ask_dirty(m, false, err) : 0;
}

/* The session that the sidecar tells of is not one that is under way here. */
static bool session_is_elsewhere(const struct marks *m)
{
	return m->travelled || strcmp(m->boot_id, m->this_boot);
}

bool marks_unended(const struct marks *m)
{
	if (!m->has_sidecar)
		return false;
	/* Attached without a mark of that: it was put here since. */
	if (m->session == SESSION_NONE)
		return m->live;
	return !m->live || m->session == SESSION_UNSURE || session_is_elsewhere(m);
}

static bool has_moved(const struct marks *m, size_t i)
{
	const struct member *member = &m->members.list[i];
	const struct facts *then = &m->entries[i].facts;

	if (!then->inode)
		return false;
	if (member->block)
		return then->size != member->facts.size;
	return !facts_same_content(then, &member->facts);
}

/* Of a file that is there, in the manifest, and the same in the sidecar. */
static enum change compare_facts(const struct marks *m, size_t i)
{
	const struct member *member = &m->members.list[i];
	const struct sidecar_entry *e = &m->entries[i];
	const bool moved = has_moved(m, i);

	if (member->extent == NO_MEMBER) {
		/* Only svmdk itself gives a descriptor a new text meanwhile. */
		if (moved && (m->live || marks_unended(m)))
			return CHANGE_UNSURE;
	} else if (member->writable && marks_unended(m)) {
		return CHANGE_UNSURE;
	}
	if (moved)
		return CHANGE_MOVED;
	if (e->changed)
		return CHANGE_WRITTEN;
	if (member->block)
		return CHANGE_DEVICE;
	if (!m->travelled && !facts_same_file(&e->facts, &member->facts))
		return CHANGE_TOUCHED;
	return CHANGE_NONE;
}

enum change marks_change(const struct marks *m, size_t i)
{
	const struct sidecar_entry *e = &m->entries[i];

	if (m->members.list[i].code)
		return CHANGE_MISSING;
	if (!m->lines[i])
		return CHANGE_NEW;
	if (m->live && m->dirty[i])
		return CHANGE_WRITTEN;
	if (!m->has_sidecar)
		return CHANGE_UNKNOWN;
	if (!e->name || !e->hashed || memcmp(e->hash, m->lines[i]->hash, HASH_SIZE))
		return CHANGE_MISMATCH;
	return compare_facts(m, i);
}

/* What the sidecar's hash and facts say, whatever the manifest does. */
static enum change compare_hashed(const struct marks *m, size_t i)
{
	const struct sidecar_entry *e = &m->entries[i];

	if (!m->has_sidecar || m->members.list[i].code || (m->live && m->dirty[i]) || !e->name ||
	    !e->hashed || !e->facts.inode)
		return CHANGE_UNKNOWN;
	return compare_facts(m, i);
}

bool marks_hash_holds(const struct marks *m, size_t i)
{
	const enum change change = compare_hashed(m, i);

	return change == CHANGE_NONE || change == CHANGE_TOUCHED;
}

bool marks_hash_moved(const struct marks *m, size_t i)
{
	return compare_hashed(m, i) == CHANGE_MOVED;
}

void marks_set_changed(struct marks *m, size_t i)
{
	struct sidecar_entry *e = &m->entries[i];

	if (!e->name)
		return;
	e->changed = true;
	memset(&e->facts, 0, sizeof(e->facts));
	if (members_look(&m->members, i) == 0)
		e->facts = m->members.list[i].facts;
}

void marks_set_clean(struct marks *m, size_t i)
{
	struct sidecar_entry *e = &m->entries[i];

	e->name = (char *)m->members.list[i].name;
	e->changed = false;
	e->facts = m->members.list[i].facts;
	e->hashed = true;
	memcpy(e->hash, m->lines[i]->hash, HASH_SIZE);
}

/* So that a copy's own inodes and times are known from now on. */
static void settle_down(struct marks *m)
{
	const struct member *member;
	size_t i;

	for (i = 0; m->travelled && i < m->members.nr; i++) {
		member = &m->members.list[i];
		if (m->entries[i].name && members_look(&m->members, i) == 0 &&
		    facts_same_content(&m->entries[i].facts, &member->facts))
			m->entries[i].facts = member->facts;
	}
	m->travelled = false;
}

int marks_write(struct marks *m, enum session session, struct svmdk_error *err)
{
	struct sidecar s = { .session = session };
	int ret = 0;
	size_t i;

	settle_down(m);
	if (session != SESSION_NONE)
		memcpy(s.boot_id, m->this_boot, sizeof(s.boot_id));
	for (i = 0; i < m->members.nr && !ret; i++) {
		if (m->entries[i].name && sidecar_add(&s, &m->entries[i]))
			ret = no_memory(err);
	}
	if (!ret)
		ret = sidecar_write(&s, folder(m), m->sidecar_name, &m->c->st, &m->lock, err);
	if (!ret) {
		m->has_sidecar = true;
		m->session = session;
		memcpy(m->boot_id, s.boot_id, sizeof(m->boot_id));
	}
	sidecar_free(&s);
	return ret;
}

/* Gives a file a new mtime, and that to the disk; or leaves it to syncfs(). */
static int touch(const struct marks *m, size_t i, dev_t dev, struct svmdk_error *err)
{
	const struct timespec now[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };
	const char *name = m->members.list[i].name;
	struct stat st;
	int fd, ret;

	if (safe_open(&m->c->policy, name, O_RDONLY, &fd, &st, err))
		return error_at(err, m->c->path, 0);
	ret = futimens(fd, now) || (st.st_dev != dev && fsync(fd));
	if (ret) {
		error_errno(err, errno, "cannot give %s a new modification time", name);
		error_at(err, m->c->path, 0);
	}
	close(fd);
	return ret ? -1 : 0;
}

static int sync_folder(const struct marks *m, int fd, struct svmdk_error *err)
{
	if (syncfs(fd) == 0)
		return 0;
	error_errno(err, errno, "cannot write its modification times to disk");
	return error_at(err, m->c->path, 0);
}

/* Whether rsync would pass it over though it may have been written. */
static bool looks_unwritten(const struct marks *m, size_t i)
{
	const struct member *member = &m->members.list[i];

	return !member->code && !member->block && member->extent != NO_MEMBER &&
	       facts_same_content(&m->entries[i].facts, &member->facts);
}

static int touch_all(struct marks *m, int fd, struct svmdk_error *err)
{
	struct stat st;
	bool any = false;
	size_t i;

	if (fstat(fd, &st))
		return error_errno(err, errno, "cannot look at the container's folder");
	for (i = 0; i < m->members.nr; i++) {
		if (!m->members.list[i].writable || !looks_unwritten(m, i))
			continue;
		if (touch(m, i, st.st_dev, err))
			return -1;
		any = true;
	}
	return any ? sync_folder(m, fd, err) : 0;
}

int marks_recover(struct marks *m, struct svmdk_error *err)
{
	int fd = openat(folder(m), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t i;
	int ret;

	if (fd < 0)
		return error_errno(err, errno, "cannot open the container's folder");
	ret = touch_all(m, fd, err);
	close(fd);
	if (ret)
		return -1;
	for (i = 0; i < m->members.nr; i++) {
		if (m->members.list[i].writable ||
		    (m->members.list[i].extent == NO_MEMBER && has_moved(m, i)))
			marks_set_changed(m, i);
	}
	return marks_write(m, SESSION_NONE, err);
}

bool marks_sidecar_is_broken(const struct marks *m, struct svmdk_error *err)
{
	if (!m->sidecar_err.code || m->sidecar_err.code == ENOENT)
		return false;
	*err = m->sidecar_err;
	return true;
}

/* With @ahead what the file will be like is not known yet. */
static void note(struct marks *m, size_t member, bool ahead)
{
	marks_set_changed(m, member);
	if (ahead)
		memset(&m->entries[member].facts, 0, sizeof(m->entries[member].facts));
}

/* One that did not end must not look like one that is under way. */
static enum session session_to_keep(const struct marks *m)
{
	if (m->session != SESSION_NONE && session_is_elsewhere(m))
		return SESSION_UNSURE;
	return m->session;
}

static int note_all(struct container *c, const size_t *extents, size_t nr, bool ahead,
		    struct svmdk_error *err)
{
	struct marks m;
	size_t i, member;
	int ret = 0;

	if (marks_open(&m, c, true, err))
		return -1;
	for (i = 0; i < m.members.nr && m.has_sidecar && !extents; i++)
		note(&m, i, ahead);
	for (i = 0; i < nr && m.has_sidecar && extents; i++) {
		member = m.members.of_extent[extents[i]];
		if (member != NO_MEMBER)
			note(&m, member, ahead);
	}
	if (m.has_sidecar) {
		note(&m, m.members.nr - 1, ahead);
		ret = marks_write(&m, session_to_keep(&m), err);
	}
	marks_close(&m);
	return ret;
}

int marks_note(struct container *c, const size_t *extents, size_t nr, struct svmdk_error *err)
{
	return note_all(c, extents, nr, false, err);
}

int marks_announce(struct container *c, const size_t *extents, size_t nr, struct svmdk_error *err)
{
	return note_all(c, extents, nr, true, err);
}
