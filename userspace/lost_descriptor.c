// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "control.h"
#include "heal.h"
#include "later_extents.h"
#include "lost_descriptor.h"
#include "manifest_file.h"
#include "side_file.h"
#include "sidecar.h"

/**
 * struct lost_descriptor - a descriptor that may be damaged or missing
 * @path: as the user gave it
 * @args: that, and the folders of --allow-outside
 * @from: the folder of the copy
 * @modified: one that another program wrote is put back, too
 * @real_path: absolute; its folder has no symbolic links in it
 * @name: last part of @real_path
 * @to: its folder
 * @fd: the file, locked; -1 when it is missing
 * @st: its status
 * @hash: of it
 * @unreadable: it is there, and has no @hash
 * @usable: it is there, and a descriptor, whatever of it may be damaged
 * @present: what it says then
 * @m: the manifest
 * @manifest_st: status of it
 * @wanted: the hash that this has
 * @reshaped: it is whole, and of extents that the manifest has not
 * @lock: holds the lock on the sidecar, or -1
 * @has_sidecar: there is one
 * @session: it tells of one that did not end
 * @known: it has @entry
 * @entry: of it
 */
struct lost_descriptor {
	const char *path;
	const struct container_args *args;
	const struct open_policy *from;
	bool modified;
	char *real_path;
	const char *name;
	struct open_policy to;
	int fd;
	struct stat st;
	unsigned char hash[HASH_SIZE];
	bool unreadable;
	bool usable;
	struct descriptor present;
	struct manifest m;
	struct stat manifest_st;
	unsigned char wanted[HASH_SIZE];
	bool reshaped;
	int lock;
	bool has_sidecar;
	bool session;
	bool known;
	struct sidecar_entry entry;
};

static int fail(const struct lost_descriptor *d, int code, const char *what,
		struct svmdk_error *err)
{
	error_errno(err, code, "%s", what);
	return error_at(err, d->path, 0);
}

/* What is missing is what it leads to, in the folder of that. */
static int check_link(const struct lost_descriptor *d, struct svmdk_error *err)
{
	char target[PATH_MAX];
	const ssize_t length = readlink(d->path, target, sizeof(target) - 1);

	if (length < 0)
		return 0;
	target[length] = '\0';
	error_set(err, ENOENT,
		  "it is a symbolic link to %s, which does not exist; repair that by its own name",
		  target);
	return error_at(err, d->path, 0);
}

/* A link is followed as long as it leads somewhere. */
static int find_path(struct lost_descriptor *d, struct svmdk_error *err)
{
	const char *slash = strrchr(d->path, '/');
	const char *last = slash ? slash + 1 : d->path;
	char *copy, *dir;

	d->real_path = realpath(d->path, NULL);
	if (!d->real_path && errno == ENOENT && *last) {
		if (check_link(d, err))
			return -1;
		copy = strdup(d->path);
		dir = copy ? realpath(dirname(copy), NULL) : NULL;
		if (dir && asprintf(&d->real_path, "%s/%s", strcmp(dir, "/") ? dir : "", last) < 0)
			d->real_path = NULL;
		free(copy);
		free(dir);
	}
	if (!d->real_path)
		return fail(d, errno, "cannot find the descriptor", err);
	d->name = strrchr(d->real_path, '/') + 1;
	return 0;
}

static int find_folder(struct lost_descriptor *d, struct svmdk_error *err)
{
	const struct stat none = { 0 };
	char *copy;
	size_t i;
	int ret;

	if (find_path(d, err))
		return -1;
	copy = strdup(d->real_path);
	if (!copy)
		return fail(d, ENOMEM, "cannot find the descriptor", err);
	ret = open_policy_init(&d->to, dirname(copy), &none, err);
	free(copy);
	for (i = 0; i < d->args->nr_allow && !ret; i++)
		ret = open_policy_allow(&d->to, d->args->allow[i], err);
	return ret;
}

/* Opens it when it is there. What is no file is none of ours. */
static int open_present(struct lost_descriptor *d, struct svmdk_error *err)
{
	d->fd = side_file_open(d->to.dir.fd, d->name, O_RDONLY, &d->st, err);
	if (d->fd < 0)
		return err->code == ENOENT ? 0 : error_at(err, d->path, 0);
	if (safe_flock(&d->fd) == 0 || errno != EWOULDBLOCK) {
		if (safe_is_current(d->to.dir.fd, d->name, &d->st))
			return 0;
		error_set(err, ESTALE, "the descriptor was changed meanwhile; try again");
		return error_at(err, d->path, 0);
	}
	error_set(err, EWOULDBLOCK,
		  "in use: it is attached (see svmdk list), or another svmdk command is at work "
		  "on it");
	return error_at(err, d->path, 0);
}

static int check_attached(const struct lost_descriptor *d, struct svmdk_error *err)
{
	int control = control_open(false, err);
	struct device device;
	int code;

	if (control < 0)
		return 0;
	code = control_find_device(control, d->fd < 0 ? NULL : &d->st, d->real_path, &device);
	close(control);
	if (code)
		return 0;
	error_set(err, EBUSY, "attached as /dev/svmdk%u; detach it first", device.status.index);
	device_free(&device);
	return error_at(err, d->path, 0);
}

static int read_lines(struct lost_descriptor *d, const char *name, struct svmdk_error *err)
{
	const struct manifest_line *line;

	if (manifest_read(&d->m, d->to.dir.fd, name, err)) {
		if (err->code != ENOENT)
			return -1;
		error_set(err, ENOENT,
			  "it has no manifest, so nothing says what it was; restore all of it");
		return error_at(err, d->path, 0);
	}
	if (fstatat(d->to.dir.fd, name, &d->manifest_st, AT_SYMLINK_NOFOLLOW))
		return fail(d, errno, "cannot look at the manifest", err);
	line = manifest_find_self(&d->m, name, d->name, err);
	if (!line)
		return -1;
	memcpy(d->wanted, line->hash, HASH_SIZE);
	return 0;
}

static int read_manifest(struct lost_descriptor *d, struct svmdk_error *err)
{
	char *name;
	int ret;

	if (asprintf(&name, "%s" MANIFEST_SUFFIX, d->name) < 0)
		return fail(d, ENOMEM, "cannot read the manifest", err);
	ret = read_lines(d, name, err);
	free(name);
	return ret;
}

/* One that is broken may say that it was changed. */
static int read_sidecar(struct lost_descriptor *d, struct svmdk_error *err)
{
	const struct sidecar_entry *found;
	struct sidecar s;
	char *name;
	int ret;

	if (asprintf(&name, "%s" SIDECAR_SUFFIX, d->name) < 0)
		return fail(d, ENOMEM, "cannot read the sidecar", err);
	ret = sidecar_lock(d->to.dir.fd, name, &d->lock, err) && err->code == EWOULDBLOCK ? -1 : 0;
	if (!ret && sidecar_read(&s, d->to.dir.fd, name, err)) {
		if (err->code != ENOENT)
			ret = error_add(err,
					"; take it away if the hashes alone are to decide what "
					"is damaged");
	} else if (!ret) {
		d->has_sidecar = true;
		d->session = s.session != SESSION_NONE;
		found = sidecar_find(&s, d->name);
		d->known = found;
		if (found)
			d->entry = *found;
		d->entry.name = NULL;
		sidecar_free(&s);
	}
	free(name);
	return ret;
}

/* As of an extent, a bad block is damage; and nobody writes a descriptor of that length. */
static bool is_damage(int code)
{
	return code == EIO || code == EUCLEAN || code == EFBIG;
}

/*
 * A descriptor that can be read was not damaged into one of more extents, or of
 * others: it grew, or was split anew, and the copy's would lose what came with that. Unless
 * the sidecar proves that it was: another container's extents may have names that are near.
 */
static void parse_present(struct lost_descriptor *d, const struct side_file *file)
{
	struct svmdk_error err;

	d->usable = descriptor_parse(&d->present, file->bytes, file->length, &err) == 0;
	d->reshaped = d->usable && manifest_lacks_extent(&d->m, d->to.dir.fd, &d->present);
}

static int read_present(struct lost_descriptor *d, struct svmdk_error *err)
{
	struct side_file file;
	int ret;

	if (d->fd < 0)
		return 0;
	/* What the disk has, as of an extent. */
	posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (side_file_read(&file, d->to.dir.fd, d->name, err)) {
		d->unreadable = is_damage(err->code);
		return d->unreadable ? 0 : error_at(err, d->path, 0);
	}
	parse_present(d, &file);
	ret = hash_bytes(d->hash, file.bytes, file.length, err);
	side_file_free(&file);
	return ret;
}

/* It is there, and what the manifest says. */
static bool is_whole(const struct lost_descriptor *d)
{
	return d->fd >= 0 && !d->unreadable && memcmp(d->hash, d->wanted, HASH_SIZE) == 0;
}

/* Size or mtime say that it was written. */
static bool has_moved(const struct lost_descriptor *d)
{
	struct facts facts;

	if (d->fd < 0 || !d->known || !d->entry.facts.inode)
		return false;
	facts_of(&facts, &d->st, d->st.st_size);
	return !facts_same_content(&facts, &d->entry.facts);
}

/* By what the sidecar says; NULL when svmdk has given it no other text since the manifest. */
static const char *why_newer(const struct lost_descriptor *d)
{
	if (!d->has_sidecar)
		return NULL;
	if (!d->known)
		return "the sidecar knows nothing of it";
	if (d->entry.changed || !d->entry.hashed)
		return "changed through svmdk since the manifest";
	if (memcmp(d->entry.hash, d->wanted, HASH_SIZE))
		return "the sidecar is of another time than the manifest";
	if (d->session && (d->fd < 0 || has_moved(d)))
		return "it may have been changed in a session that did not end by svmdk detach";
	return NULL;
}

/* By the sidecar nobody has written it, and it has other bytes: it is damaged, whatever it says. */
static bool is_proved(const struct lost_descriptor *d)
{
	return d->fd >= 0 && d->known && d->entry.facts.inode && !d->session && !has_moved(d) &&
	       !why_newer(d);
}

/* The same as of an extent; see verdict.h. Returns whether it is to be healed. */
static bool judge(const struct lost_descriptor *d, const char **reason)
{
	const bool moved = has_moved(d);

	*reason = d->reshaped && !is_proved(d) ? "it has extents that the manifest does not know" :
						 why_newer(d);
	if (*reason)
		return false;
	*reason = d->unreadable ? "cannot be read" : "damaged";
	if (d->fd < 0)
		*reason = "missing";
	if (moved)
		*reason = "modified by another program; --modified undoes that";
	return !moved || d->modified;
}

/* Without one there is nothing to go on with, and the copy's may be of a smaller disk. */
static int refuse_older(const struct lost_descriptor *d, const char *why, struct svmdk_error *err)
{
	error_set(err, ESTALE,
		  "%s, and not put back: %s, so the descriptor in %s may be older than the disk; "
		  "put back one of after the change, or copy that one by hand if the disk was not "
		  "grown or split anew since",
		  d->fd < 0 ? "missing" : "damaged", why, d->from->dir.path);
	return error_at(err, d->path, 0);
}

/*
 * That it is the right one, whether there is one, is for heal_file() to say. Returns 1 when the
 * one that is there is of after a growth, and so to be left.
 */
static int check_copy(const struct lost_descriptor *d, struct svmdk_error *err)
{
	unsigned char hash[HASH_SIZE];
	struct descriptor copy;
	const struct older older = { d->name, &copy, &d->m, &d->to, d->from };
	struct svmdk_error ignored;
	struct side_file file;
	int ret;

	if (side_file_read(&file, d->from->dir.fd, d->name, err)) {
		if (err->code == ENOENT)
			return 0;
		error_set(err, err->code, "its copy in %s: %s", d->from->dir.path, err->text);
		return error_at(err, d->path, 0);
	}
	ret = hash_bytes(hash, file.bytes, file.length, err);
	if (!ret && memcmp(hash, d->wanted, HASH_SIZE) == 0 &&
	    descriptor_parse(&copy, file.bytes, file.length, &ignored) == 0) {
		ret = d->usable && !is_proved(d) && later_extents_named(&older, &d->present);
		if (!ret && !is_proved(d))
			ret = later_extents_refuse(&older, err);
		descriptor_free(&copy);
	}
	side_file_free(&file);
	return ret < 0 ? error_at(err, d->path, 0) : ret;
}

static int heal(struct lost_descriptor *d, struct svmdk_error *err)
{
	struct progress progress;
	struct healing h = {
		.to = &d->to,
		.from = d->from,
		.name = d->name,
		.hash = d->wanted,
		.mtime = d->known && d->entry.facts.inode ? &d->entry.facts.mtime : NULL,
		/* That got them from the one that is lost; the copy may be anybody's. */
		.like = &d->manifest_st,
		.missing = d->fd < 0,
		.progress = &progress,
	};
	int ret;

	progress_begin(&progress, "Repairing", 0);
	heal_clear(&d->to, d->name);
	ret = heal_file(&h, err);
	return ret ? error_at(err, d->path, 0) : 0;
}

static int look_and_heal(struct lost_descriptor *d, const char **reason, enum lost *lost,
			 struct svmdk_error *err)
{
	const char *why;
	int ret;

	/* First the lock that svmdk detach has too; what says more, before that. */
	if (find_folder(d, err) || check_attached(d, err) || read_sidecar(d, err) ||
	    open_present(d, err) || check_attached(d, err) || read_manifest(d, err) ||
	    read_present(d, err))
		return -1;
	*lost = LOST_NOT;
	if (is_whole(d))
		return 0;
	*lost = LOST_LEFT;
	if (!judge(d, reason)) {
		why = d->usable ? NULL : why_newer(d);
		return why ? refuse_older(d, why, err) : 0;
	}
	ret = check_copy(d, err);
	if (ret > 0)
		*reason = "it names longer extents than the copy's, and they are there";
	if (ret)
		return ret < 0 ? -1 : 0;
	*lost = LOST_HEALED;
	return heal(d, err);
}

int lost_descriptor_heal(const struct container_args *args, const struct open_policy *from,
			 bool modified, const char **reason, enum lost *lost,
			 struct svmdk_error *err)
{
	struct lost_descriptor d = {
		.path = args->file,
		.args = args,
		.from = from,
		.modified = modified,
		.fd = -1,
		.lock = -1,
	};
	int ret = look_and_heal(&d, reason, lost, err);

	if (d.fd >= 0)
		close(d.fd);
	if (d.lock >= 0)
		close(d.lock);
	if (d.to.dir.path)
		open_policy_free(&d.to);
	manifest_free(&d.m);
	descriptor_free(&d.present);
	free(d.real_path);
	return ret;
}
