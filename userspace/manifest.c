// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "hash.h"
#include "interrupt.h"
#include "leftovers.h"
#include "marks.h"
#include "message.h"
#include "progress.h"
#include "side_file.h"

/**
 * struct hashing - a manifest on its way
 * @m: what is known of the container's files; holds the lock
 * @queue: numbers of the files to hash
 * @nr: how many
 * @before: of each of these, what was known of it; CHANGE_NONE when it is damaged
 * @damaged: files that have other bytes though nothing wrote them
 * @moved: files that another program wrote while they were read
 * @outside: some were listed that cannot be sent by a list
 * @err: filled when it cannot go on
 */
struct hashing {
	struct marks m;
	size_t *queue;
	size_t nr;
	enum change *before;
	size_t damaged;
	size_t moved;
	bool outside;
	struct svmdk_error *err;
};

static int open_queued(void *arg, size_t i, struct extent_file *file, struct svmdk_error *err)
{
	const struct hashing *h = arg;
	const size_t member = h->queue[i];

	if (members_open(&h->m.members, member, file, err))
		return -1;
	/* That of an attached disk may grow at any moment, and then these are not its extents. */
	if (h->m.members.list[member].extent != NO_MEMBER ||
	    container_check_current(h->m.c, err) == 0)
		return 0;
	close(file->fd);
	return -1;
}

/*
 * Its inode or ctime moved, which a copy, a chmod or a rename does, or its line was lost
 * from the manifest; if its bytes changed too that is not to be accepted in passing.
 */
static bool is_damaged(const struct hashing *h, size_t i, const struct hash_result *r)
{
	const struct sidecar_entry *e = &h->m.entries[h->queue[i]];

	return !r->moved && memcmp(e->hash, r->hash, HASH_SIZE) != 0 &&
	       marks_hash_holds(&h->m, h->queue[i]);
}

/*
 * Of an extent that is gone or cannot be read the sidecar may know what repair has to find.
 * Not where the manifest has another line: of the two that may be the newer one, for it is
 * written first.
 */
static bool keeps_line(const struct hashing *h, size_t i, const struct hash_result *r)
{
	const struct manifest_line *line = h->m.lines[h->queue[i]];
	const struct sidecar_entry *e = &h->m.entries[h->queue[i]];
	const int code = r->err->code;

	return (r->outcome == HASH_UNREADABLE || code == ENOENT || code == ENODATA) &&
	       h->m.has_sidecar && e->name && e->hashed && !e->changed &&
	       (!line || memcmp(line->hash, e->hash, HASH_SIZE) == 0);
}

/* Returns 0 to go on with the others. */
static int take_failure(struct hashing *h, size_t i, const struct hash_result *r)
{
	const char *name = h->m.members.list[h->queue[i]].name;

	if (keeps_line(h, i, r)) {
		/* Of one that was not opened it names the file already. */
		message_error(r->err->file[0] ? r->err->file : h->m.c->path, r->err->line,
			      "%s%s%s; it keeps its line, by which svmdk repair puts it back",
			      r->outcome == HASH_UNREADABLE ? name : "",
			      r->outcome == HASH_UNREADABLE ? ": " : "", r->err->text);
		h->damaged++;
		h->before[i] = CHANGE_NONE;
		return 0;
	}
	*h->err = *r->err;
	if (r->outcome == HASH_UNREADABLE)
		error_set(h->err, r->err->code, "%s: %s; put it back with svmdk repair", name,
			  r->err->text);
	return -1;
}

/* It may be damage, which the manifest is the last to know of. */
static void warn_unknown(const struct hashing *h, size_t i, const struct hash_result *r)
{
	const struct manifest_line *line = h->m.lines[h->queue[i]];

	if (h->before[i] == CHANGE_UNKNOWN && line && memcmp(line->hash, r->hash, HASH_SIZE) != 0)
		message_warn(
			h->m.c->path, 0,
			"%s has other bytes than in the manifest before, and no sidecar says why; "
			"the new manifest takes them as they are",
			h->m.members.list[h->queue[i]].name);
}

static int take_hash(void *arg, size_t i, const struct hash_result *r)
{
	struct hashing *h = arg;
	const struct member *member = &h->m.members.list[h->queue[i]];
	struct sidecar_entry *e = &h->m.entries[h->queue[i]];

	if (r->outcome != HASH_DONE)
		return take_failure(h, i, r);
	if (is_damaged(h, i, r) && marks_look_again(&h->m, h->queue[i], &r->st, r->size, h->err))
		return -1;
	if (is_damaged(h, i, r)) {
		message_error(h->m.c->path, 0,
			      "%s is damaged: other bytes than when it was hashed, though size and "
			      "mtime say that nothing wrote it; svmdk repair heals it, or touch it "
			      "to have it accepted",
			      member->name);
		h->damaged++;
		h->before[i] = CHANGE_NONE;
		return 0;
	}
	if (r->moved && !h->m.live) {
		message_error(h->m.c->path, 0,
			      "%s was written while it was read; stop the program that does, and "
			      "run svmdk manifest again",
			      member->name);
		h->moved++;
	}
	warn_unknown(h, i, r);
	e->name = (char *)member->name;
	e->changed = r->moved;
	facts_of(&e->facts, &r->st, member->block ? r->size : (uint64_t)r->st.st_size);
	e->hashed = true;
	memcpy(e->hash, r->hash, HASH_SIZE);
	return 0;
}

static int hash_queue(struct hashing *h, struct svmdk_error *err)
{
	struct progress progress;
	const struct hash_work work = {
		.nr = h->nr,
		.open = open_queued,
		.done = take_hash,
		.arg = h,
		.settle = true,
		.drop_cache = h->m.attached,
		.progress = &progress,
	};
	uint64_t bytes = 0;
	size_t i;
	int ret;

	for (i = 0; i < h->nr; i++)
		bytes += h->m.members.list[h->queue[i]].facts.size;
	h->err = err;
	progress_begin(&progress, "Hashing", bytes);
	ret = hash_files(&work, err);
	progress_end(&progress);
	if (ret < 0 && err->code == EINTR)
		error_set(err, EINTR, "interrupted; the manifest is as it was");
	if (ret)
		error_at(err, err->file[0] ? err->file : h->m.c->path, err->line);
	return ret ? -1 : 0;
}

static int fill_queue(struct hashing *h, struct svmdk_error *err)
{
	enum change change;
	size_t i;

	h->queue = calloc(h->m.members.nr, sizeof(*h->queue));
	h->before = calloc(h->m.members.nr, sizeof(*h->before));
	if (!h->queue || !h->before)
		return error_errno(err, ENOMEM, "cannot hash the container's files");
	for (i = 0; i < h->m.members.nr; i++) {
		change = marks_change(&h->m, i);
		if (change == CHANGE_NONE)
			continue;
		h->before[h->nr] = change;
		h->queue[h->nr++] = i;
	}
	return 0;
}

/*
 * The driver's dirty bits move from there to here, and a SIGKILL may come at
 * any moment. So the sidecar first says that it is sure of nothing, until it
 * has them. What is written from then on is dirty again, and detach will say
 * so; what was written before is in the files after the second flush, with its
 * mtime.
 */
static int take_dirty_bits(struct marks *m, struct svmdk_error *err)
{
	const bool all = marks_unended(m);
	size_t i;

	if (marks_flush(m, err) || marks_write(m, SESSION_UNSURE, err) ||
	    marks_ask_dirty(m, true, err))
		return -1;
	for (i = 0; i < m->members.nr; i++) {
		if (m->dirty[i] || (all && m->members.list[i].writable))
			marks_set_changed(m, i);
	}
	if (marks_write(m, SESSION_ATTACHED, err) || marks_flush(m, err))
		return -1;
	marks_look(m);
	return 0;
}

/* What was written since the bits were taken is not what was hashed. */
static int mark_written_meanwhile(struct marks *m, struct svmdk_error *err)
{
	size_t i;

	if (marks_ask_dirty(m, false, err))
		return -1;
	for (i = 0; i < m->members.nr; i++) {
		if (m->dirty[i])
			m->entries[i].changed = true;
	}
	return 0;
}

static int write_manifest(const struct marks *m, struct svmdk_error *err)
{
	struct manifest new = { 0 };
	int ret = 0;
	size_t i;

	for (i = 0; i < m->members.nr && !ret; i++)
		ret = manifest_add(&new, m->members.list[i].name, m->entries[i].hash);
	if (ret)
		error_errno(err, ENOMEM, "cannot write the manifest");
	else
		ret = manifest_write(&new, m->c->policy.dir.fd, m->manifest_name, &m->c->st, err);
	manifest_free(&new);
	return ret;
}

/* What is damaged is not to take the place of a good copy. */
static void compose_list(struct hashing *h, FILE *to, char end)
{
	size_t i;

	for (i = 0; i < h->nr; i++) {
		if (h->before[i] == CHANGE_NONE)
			continue;
		/* In a list that is kept until all in it has arrived it would stay for ever. */
		if (members_complain_outside(&h->m.members, h->queue[i]))
			h->outside = true;
		else
			member_print(to, h->m.members.list[h->queue[i]].name, end);
	}
	member_print(to, h->m.manifest_name, end);
	member_print(to, h->m.sidecar_name, end);
}

/* All of it or nothing of it, where that can be: it may be added to a file. */
static int print_list(const char *text, size_t length)
{
	struct stat st;
	bool file = fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode);
	ssize_t done;
	int saved;

	while (length) {
		done = write(STDOUT_FILENO, text, length);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			break;
		text += done;
		length -= done;
	}
	if (!length && (!file || fsync(STDOUT_FILENO) == 0))
		return 0;
	saved = errno;
	if (file && ftruncate(STDOUT_FILENO, st.st_size))
		message_warn(NULL, 0, "what was printed is not whole, and should not be used");
	errno = saved;
	return -1;
}

/*
 * Before the manifest is new: what is listed and not in it is listed again, but what is in
 * it and not listed would never be.
 */
static int list_hashed(struct hashing *h, char end, struct svmdk_error *err)
{
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);
	bool failed = !to;
	int ret = 0;

	if (to) {
		compose_list(h, to, end);
		failed = ferror(to);
		failed |= fclose(to) != 0;
	}
	if (failed)
		ret = error_errno(err, ENOMEM, "cannot list what changed");
	else if (print_list(text, length))
		ret = error_errno(err, errno,
				  "cannot print what changed; the manifest is as it was");
	free(text);
	return ret;
}

/*
 * The manifest first: the sidecar has the hashes too, and where they differ the
 * file counts as changed. So neither is ever believed without the other.
 */
static int write_both(struct hashing *h, struct svmdk_error *err)
{
	struct marks *m = &h->m;

	if (m->live && mark_written_meanwhile(m, err))
		return -1;
	if ((h->nr || m->manifest.nr != m->members.nr) && write_manifest(m, err))
		return -1;
	if (!h->nr && !m->live && !m->travelled && m->session == SESSION_NONE)
		return 0;
	return marks_write(m, m->live ? SESSION_ATTACHED : SESSION_NONE, err);
}

/*
 * One that is damaged may name other extents, be it another container's: their hashes would
 * take the place of those by which repair is to find what is lost. So it is looked at first,
 * and nothing is written.
 */
static int check_descriptor(struct marks *m, struct svmdk_error *err)
{
	const size_t last = m->members.nr - 1;
	unsigned char hash[HASH_SIZE];
	struct side_file file;
	int ret;

	if (!marks_hash_holds(m, last))
		return 0;
	if (side_file_read(&file, m->c->policy.dir.fd, m->c->name, err))
		return -1;
	ret = hash_bytes(hash, file.bytes, file.length, err) ||
	      marks_look_again(m, last, &file.st, file.length, err);
	side_file_free(&file);
	if (ret || !marks_hash_holds(m, last) ||
	    memcmp(hash, m->entries[last].hash, HASH_SIZE) == 0)
		return ret ? -1 : 0;
	error_set(err, EUCLEAN,
		  "the descriptor is damaged: other bytes than when it was hashed, though size and "
		  "mtime say that nothing wrote it; the manifest is as it was; svmdk repair heals "
		  "it, or touch it to have it accepted");
	return error_at(err, m->c->path, 0);
}

/*
 * The lock on the sidecar comes first, for that is the one which svmdk detach
 * has when the driver lets go of the other.
 */
static int begin(struct hashing *h, struct container *c, struct svmdk_error *err)
{
	if (marks_open(&h->m, c, true, err) || marks_ask_driver(&h->m, err))
		return -1;
	if (!h->m.attached && container_lock(c, err))
		return -1;
	/* It may have grown before there was the lock. */
	if (container_check_current(c, err) || leftovers_check(c, err))
		return -1;
	if (h->m.manifest_err.code && h->m.manifest_err.code != ENOENT)
		message_warn(h->m.manifest_err.file, h->m.manifest_err.line,
			     "not a manifest; every file is hashed anew");
	if (h->m.sidecar_err.code && h->m.sidecar_err.code != ENOENT)
		message_warn(h->m.sidecar_err.file, h->m.sidecar_err.line,
			     "%s; every file is hashed anew", h->m.sidecar_err.text);
	marks_look(&h->m);
	if (check_descriptor(&h->m, err))
		return -1;
	if (h->m.live)
		return take_dirty_bits(&h->m, err);
	return marks_unended(&h->m) ? marks_recover(&h->m, err) : 0;
}

static int make_manifest(struct container *c, bool list, char end)
{
	struct hashing h = { 0 };
	struct svmdk_error err;
	int ret;

	ret = begin(&h, c, &err) || fill_queue(&h, &err) || hash_queue(&h, &err) ||
	      (list && list_hashed(&h, end, &err)) || write_both(&h, &err);
	if (ret)
		error_print(&err);
	else if (!list)
		printf("%s: %zu files, %zu hashed\n", h.m.manifest_name, h.m.members.nr, h.nr);
	free(h.queue);
	free(h.before);
	marks_close(&h.m);
	return ret || h.damaged || h.moved || h.outside ? EXIT_FAILED : EXIT_OK;
}

/**
 * struct manifest_args - what the user wants
 * @container: of which container
 * @list: print what was hashed
 * @end: what follows each name
 */
struct manifest_args {
	struct container_args container;
	bool list;
	char end;
};

static int read_args(int argc, char **argv, struct manifest_args *args)
{
	static const struct option options[] = {
		{ "allow-outside", required_argument, NULL, 'a' },
		{ "changed", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "null", no_argument, NULL, '0' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c0h", options, NULL)) != -1) {
		switch (option) {
		case '0':
			args->end = '\0';
			break;
		case 'a':
			args->container.allow[args->container.nr_allow++] = optarg;
			break;
		case 'c':
			args->list = true;
			break;
		case 'h':
			return command_help(&cmd_manifest);
		default:
			return command_usage(&cmd_manifest, NULL);
		}
	}
	if (argc - optind != 1)
		return command_usage(&cmd_manifest, "it takes one FILE");
	if (!args->end && !args->list)
		return command_usage(&cmd_manifest, "-0 is of the names that --changed prints");
	args->container.file = argv[optind];
	return EXIT_OK;
}

static int manifest(const struct manifest_args *args)
{
	struct svmdk_error err;
	struct container c;
	int status;

	interrupt_catch();
	if (container_open(&c, args->container.file, args->container.allow,
			   args->container.nr_allow, &err)) {
		error_print(&err);
		return EXIT_FAILED;
	}
	status = make_manifest(&c, args->list, args->end);
	container_close(&c);
	return status;
}

static int run(int argc, char **argv)
{
	struct manifest_args args = { .end = '\n' };
	int status;

	/* No more folders than arguments. */
	args.container.allow = calloc(argc, sizeof(*args.container.allow));
	if (!args.container.allow) {
		message_error(NULL, 0, "out of memory");
		return EXIT_FAILED;
	}
	status = read_args(argc, argv, &args);
	if (args.container.file)
		status = manifest(&args);
	free(args.container.allow);
	return status;
}

const struct command cmd_manifest = {
	.name = "manifest",
	.args = "FILE [--changed [-0]] [--allow-outside DIR]...",
	.summary = "Write down the hash of each extent, as sha256sum does",
	.help = "FILE is the descriptor; it may be attached. FILE.sha256 gets a line for each\n"
		"extent and one for the descriptor, which `sha256sum -c' reads; FILE.svmdk, the\n"
		"sidecar, keeps what tells later whether a file changed. Only what changed since\n"
		"the last time, or was not there, is hashed. What is written meanwhile counts as\n"
		"changed.\n"
		"\n"
		"Options:\n"
		"  -c, --changed            print the names of the files that were hashed, one a\n"
		"                           line, and of the manifest and the sidecar: what is to\n"
		"                           be sent, nothing twice and nothing never:\n"
		"                             svmdk manifest --changed -0 FILE >>LIST &&\n"
		"                             rsync -aI --ignore-missing-args --from0 \\\n"
		"                               --files-from=LIST . HOST:DIR && rm LIST\n"
		"  -0, --null               end each name with a NUL, not a newline\n"
		"      --allow-outside DIR  extents may be in DIR and below, too; may be given\n"
		"                           several times\n"
		"  -h, --help               show this\n",
	.run = run,
};
