// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "heal.h"
#include "interrupt.h"
#include "leftovers.h"
#include "lost_descriptor.h"
#include "marks.h"
#include "message.h"
#include "progress.h"
#include "verdict.h"

/**
 * struct repair - a repair under way
 * @args: the descriptor and the folders of --allow-outside
 * @from_path: folder of the copy, as the user gave it
 * @modified: files that another program wrote are put back too
 * @from: the folder of the copy
 * @c: the container
 * @m: what is known of its files
 * @findings: of each what was found
 * @progress: of the copying
 * @left: why the descriptor was left as it is, or NULL when it was not
 * @unended: what an interrupted command left could not be cleared up before
 * @done: bytes copied
 * @healed: files that were put back
 * @failed: files that could not be
 * @foreign: files that another program wrote, and that were left so
 * @other_lines: files that are as they were hashed, but not as the manifest says
 */
struct repair {
	struct container_args args;
	const char *from_path;
	bool modified;
	struct open_policy from;
	struct container c;
	struct marks m;
	struct finding *findings;
	struct progress progress;
	const char *left;
	bool unended;
	uint64_t done;
	size_t healed;
	size_t failed;
	size_t foreign;
	size_t other_lines;
};

static void say(struct repair *r, const char *what, const char *name, const char *why)
{
	progress_end(&r->progress);
	printf("%-8s  ", what);
	message_print(name);
	printf(": ");
	message_print(why);
	putchar('\n');
}

static void say_failed(struct repair *r, const char *name, const struct svmdk_error *err)
{
	progress_end(&r->progress);
	message_error(r->args.file, 0, "%s is not repaired: %s", name, err->text);
	r->failed++;
}

static const struct finding *finding_of(const struct repair *r, size_t i)
{
	return &r->findings[i];
}

static bool is_wanted(const struct repair *r, size_t i)
{
	const enum verdict verdict = finding_of(r, i)->verdict;

	return verdict == VERDICT_DAMAGED || (verdict == VERDICT_MODIFIED && r->modified);
}

/* What the manifest has of it is older than what was in it. */
static bool was_changed(const struct repair *r, size_t i)
{
	return r->m.entries[i].name && r->m.entries[i].changed;
}

/* The manifest has another hash of it than the sidecar: of before, as likely as not. */
static bool is_of_another_time(const struct repair *r, size_t i)
{
	const struct sidecar_entry *e = &r->m.entries[i];

	return e->name && e->hashed && memcmp(e->hash, r->m.lines[i]->hash, HASH_SIZE);
}

/* Nobody can use an extent that is missing, no file, or cannot be opened at all. */
static bool is_of_no_use(int code)
{
	return code == ENOENT || code == ENOTDIR || code == ELOOP || code == EISDIR ||
	       code == ENXIO || code == EIO || code == EUCLEAN;
}

/*
 * QEMU may have it open, or a disk of another descriptor that has a part of it, even of one
 * that is too short for this. The file is held until another has its place.
 */
static int hold_old(struct repair *r, size_t i, struct extent_file *old, struct svmdk_error *err)
{
	const struct member *member = &r->m.members.list[i];
	const struct open_policy *policy = &r->c.policy;
	int ret;

	old->fd = -1;
	if (member->extent == NO_MEMBER)
		return 0;
	ret = safe_open(policy, member->name, O_RDWR, &old->fd, &old->st, err);
	/* Its owner may have made it read-only, and put another in its place all the same. */
	if (ret && err->code == EACCES)
		ret = safe_open(policy, member->name, O_RDONLY, &old->fd, &old->st, err);
	/* What helps to attach it would not help here. */
	if (ret && err->code == EROFS)
		error_set(err, EROFS,
			  "it is on a read-only file system; mount that for writing, and repair "
			  "again");
	if (ret) {
		old->fd = -1;
		return is_of_no_use(err->code) ? 0 : -1;
	}
	if (container_lock_whole(&r->c, member->extent, old, err) == 0)
		return 0;
	close(old->fd);
	return -1;
}

/* Whoever had it between may have written to it, or put it there. */
static int check_unchanged(struct repair *r, size_t i, struct svmdk_error *err)
{
	struct member *member = &r->m.members.list[i];
	const struct member was = *member;
	const int code = members_look(&r->m.members, i);

	if (code == was.code && (code || facts_same_content(&member->facts, &was.facts)))
		return 0;
	return error_set(err, ESTALE, "it was written after it was read; try again");
}

static int heal_member(struct repair *r, size_t i, struct svmdk_error *err)
{
	const struct sidecar_entry *e = &r->m.entries[i];
	struct healing h = {
		.to = &r->c.policy,
		.from = &r->from,
		.name = r->m.members.list[i].name,
		.hash = r->m.lines[i]->hash,
		.need = r->m.members.list[i].need,
		.mtime = e->name && e->facts.inode && !e->changed ? &e->facts.mtime : NULL,
		.like = &r->c.st,
		.missing = r->m.members.list[i].code == ENOENT,
		.progress = &r->progress,
		.done = r->done,
	};
	struct extent_file old;
	int ret;

	if (hold_old(r, i, &old, err))
		return -1;
	ret = check_unchanged(r, i, err) || heal_file(&h, err) ? -1 : 0;
	r->done = h.done;
	if (old.fd >= 0)
		close(old.fd);
	return ret;
}

/* It has a new inode and ctime, which are to be expected from now on. */
static void keep_facts(struct repair *r, size_t i)
{
	if (r->m.has_sidecar && members_look(&r->m.members, i) == 0)
		marks_set_clean(&r->m, i);
}

/* What could be done about the descriptor was done before the rest. */
static void refuse_descriptor(const struct repair *r, struct svmdk_error *err)
{
	if (r->left)
		error_set(err, ESTALE,
			  "%s, and a copy of before that would be older than the rest; if that is "
			  "better than nothing, copy it by hand",
			  r->left);
	else
		error_set(err, ESTALE, "it was changed meanwhile; run svmdk repair again");
}

/* What svmdk manifest puts down of it is what it was, not what is there. */
static bool sidecar_knows(const struct repair *r, size_t i)
{
	const struct sidecar_entry *e = &r->m.entries[i];

	return e->name && e->hashed && !e->changed && finding_of(r, i)->verdict == VERDICT_DAMAGED;
}

/* Returns 0 to go on with the next. */
static int repair_member(struct repair *r, size_t i)
{
	const struct member *member = &r->m.members.list[i];
	struct svmdk_error err;

	if (!r->m.lines[i]) {
		error_set(&err, ENOENT, "the manifest says nothing of it; %s",
			  sidecar_knows(r, i) ?
				  "run svmdk manifest, which takes its line from the sidecar, and "
				  "svmdk repair again" :
				  "put the right manifest back, or copy the right file by hand");
	} else if (is_of_another_time(r, i)) {
		error_set(&err, ESTALE,
			  "the manifest is older than the sidecar, or was altered, or svmdk "
			  "manifest was killed, so that what it is a hash of may be older than the "
			  "rest; %s",
			  marks_hash_holds(&r->m, i) ?
				  "run svmdk manifest, which takes the sidecar's, and svmdk repair "
				  "again" :
				  "put the right manifest back, or copy the right file by hand");
	} else if (was_changed(r, i)) {
		error_set(&err, ESTALE,
			  "it was changed through svmdk since the manifest, and a copy of before "
			  "that would be older than the rest; if that is better than nothing, copy "
			  "it by hand");
	} else if (member->extent == NO_MEMBER) {
		refuse_descriptor(r, &err);
	} else if (member->block) {
		error_set(&err, ENOTBLK, "it is a block device; copy to it by hand");
	} else if (heal_member(r, i, &err) == 0) {
		keep_facts(r, i);
		r->healed++;
		say(r, "repaired", member->name, finding_of(r, i)->reason);
		return 0;
	}
	say_failed(r, member->name, &err);
	return err.code == EINTR ? -1 : 0;
}

static uint64_t sum_wanted(const struct repair *r)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < r->m.members.nr; i++) {
		if (is_wanted(r, i))
			sum += r->m.members.list[i].need;
	}
	return sum;
}

static void leave_member(struct repair *r, size_t i)
{
	const struct finding *finding = finding_of(r, i);

	say(r, "left", r->m.members.list[i].name, finding->reason);
	r->foreign += finding->verdict == VERDICT_MODIFIED;
	r->other_lines += finding->other_line;
}

/* What svmdk verify fails on is no success here either: a script would go on and send it. */
static void say_left(const struct repair *r)
{
	if (r->foreign)
		message_error(
			r->args.file, 0,
			"what another program wrote is left as it is (%zu of %zu files); svmdk "
			"manifest accepts that, svmdk repair --modified undoes it",
			r->foreign, r->m.members.nr);
	verdicts_say_lines(&r->m, r->other_lines);
}

static void repair_all(struct repair *r)
{
	size_t i;

	progress_begin(&r->progress, "Repairing", sum_wanted(r));
	for (i = 0; i < r->m.members.nr; i++) {
		if (is_wanted(r, i)) {
			if (repair_member(r, i))
				break;
		} else if (finding_of(r, i)->verdict != VERDICT_INTACT) {
			leave_member(r, i);
		}
	}
	progress_end(&r->progress);
	say_left(r);
}

static int check_attached(const struct marks *m, struct svmdk_error *err)
{
	if (!m->attached)
		return 0;
	error_set(err, EBUSY, "attached as /dev/svmdk%u; detach it first", m->device.status.index);
	return error_at(err, m->c->path, 0);
}

/*
 * Nothing is cleared up while an extent is missing; but that may be what is to be repaired,
 * so then it is done behind that. Not where it was used up, which fails with ESTALE.
 */
static int clear_up(struct repair *r, struct svmdk_error *err)
{
	const int ret = leftovers_recover(&r->c, NULL, err);

	r->unended = ret && err->code == ENOENT;
	return r->unended ? 0 : ret;
}

/* The locks in the order of svmdk manifest, and for its reason. */
static int begin(struct repair *r, struct svmdk_error *err)
{
	size_t i;

	if (container_open(&r->c, r->args.file, r->args.allow, r->args.nr_allow, err) ||
	    marks_open(&r->m, &r->c, true, err) || marks_ask_driver(&r->m, err) ||
	    check_attached(&r->m, err) || container_lock(&r->c, err) || clear_up(r, err))
		return -1;
	if (r->m.manifest_err.code) {
		*err = r->m.manifest_err;
		return -1;
	}
	if (marks_sidecar_is_broken(&r->m, err))
		return error_add(err, "; it says what was written since the manifest: take it away "
				      "if the hashes alone are to decide what is damaged");
	if (manifest_check_shape(&r->m.manifest, r->c.policy.dir.fd, r->m.manifest_name,
				 &r->c.descriptor, r->c.name, err))
		return -1;
	for (i = 0; i < r->m.members.nr; i++)
		heal_clear(&r->c.policy, r->m.members.list[i].name);
	marks_look(&r->m);
	return marks_unended(&r->m) ? marks_recover(&r->m, err) : 0;
}

/*
 * By a descriptor that was here last and extents that are as they were, and no others: what
 * was missing told that the list is not to be followed, and has been put back.
 */
static int clear_up_behind(const struct repair *r, bool descriptor_healed, struct svmdk_error *err)
{
	if (!r->unended || descriptor_healed || r->left || r->failed || r->foreign)
		return 0;
	return leftovers_recover(&r->c, NULL, err);
}

static int repair_extents(struct repair *r, bool descriptor_healed, struct svmdk_error *err)
{
	if (begin(r, err) || verdicts_find(&r->m, &r->findings, err))
		return -1;
	/* Between there and here nobody had a lock: it may have grown. */
	if (descriptor_healed && finding_of(r, r->m.members.nr - 1)->verdict == VERDICT_INTACT)
		keep_facts(r, r->m.members.nr - 1);
	repair_all(r);
	/* Also what was done before it was interrupted. */
	if (r->m.has_sidecar && (r->healed || descriptor_healed) &&
	    marks_write(&r->m, SESSION_NONE, err))
		return -1;
	return clear_up_behind(r, descriptor_healed, err);
}

/* The descriptor first, for it says which the others are. */
static int repair(struct repair *r, struct svmdk_error *err)
{
	const struct stat none = { 0 };
	enum lost lost = LOST_NOT;
	const char *reason = NULL;
	int ret;

	if (open_policy_init(&r->from, r->from_path, &none, err) ||
	    lost_descriptor_heal(&r->args, &r->from, r->modified, &reason, &lost, err))
		return -1;
	if (lost == LOST_HEALED)
		say(r, "repaired", r->args.file, reason);
	r->left = lost == LOST_LEFT ? reason : NULL;
	ret = repair_extents(r, lost == LOST_HEALED, err);
	if (ret && r->left)
		message_note(r->args.file, 0, "the descriptor is not as in the manifest: %s",
			     r->left);
	return ret;
}

static int run_repair(struct repair *r)
{
	struct svmdk_error err;
	int ret;

	interrupt_catch();
	ret = repair(r, &err);
	if (ret)
		error_print(&err);
	verdicts_free(r->findings, r->m.members.nr);
	marks_close(&r->m);
	container_close(&r->c);
	if (r->from.dir.path)
		open_policy_free(&r->from);
	return ret || r->failed || r->foreign || r->other_lines ? EXIT_FAILED : EXIT_OK;
}

static int read_args(int argc, char **argv, struct repair *r)
{
	static const struct option options[] = {
		{ "allow-outside", required_argument, NULL, 'a' },
		{ "from", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "modified", no_argument, NULL, 'm' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			r->args.allow[r->args.nr_allow++] = optarg;
			break;
		case 'f':
			r->from_path = optarg;
			break;
		case 'h':
			return command_help(&cmd_repair);
		case 'm':
			r->modified = true;
			break;
		default:
			return command_usage(&cmd_repair, NULL);
		}
	}
	if (argc - optind != 1)
		return command_usage(&cmd_repair, "it takes one FILE");
	if (!r->from_path)
		return command_usage(&cmd_repair, "--from DIR is needed, where the copy is");
	r->args.file = argv[optind];
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct repair r = { .args.allow = calloc(argc, sizeof(*r.args.allow)) };
	int status;

	if (!r.args.allow) {
		message_error(NULL, 0, "out of memory");
		return EXIT_FAILED;
	}
	status = read_args(argc, argv, &r);
	if (r.args.file)
		status = run_repair(&r);
	free(r.args.allow);
	return status;
}

const struct command cmd_repair = {
	.name = "repair",
	.args = "FILE --from DIR [--modified] [--allow-outside DIR]...",
	.summary = "Replace damaged extents by verified copies",
	.help = "FILE is the descriptor of a container that has a manifest and is not attached; it\n"
		"may be damaged or missing itself. Everything is read and compared. What is\n"
		"damaged or missing (see svmdk verify) is copied from DIR, where it has the same\n"
		"name, and takes its place only when the copy has the manifest's hash and is on\n"
		"stable storage. What was changed through svmdk since the manifest stays as it is;\n"
		"a descriptor is not put back as it was before the disk grew.\n"
		"It may be interrupted at any time and run again. The exit status is 1 when a file\n"
		"could not be repaired, or when svmdk verify fails on one that is left as it is.\n"
		"\n"
		"Options:\n"
		"      --from DIR           folder of the copy\n"
		"      --modified           put back what another program wrote, too\n"
		"      --allow-outside DIR  extents may be in DIR and below, too; may be given\n"
		"                           several times\n"
		"  -h, --help               show this\n",
	.run = run,
};
