// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "interrupt.h"
#include "leftovers.h"
#include "message.h"
#include "peers.h"
#include "resplit_job.h"
#include "size.h"
#include "text_diff.h"

#define MAX_EXTENT_BYTES (UINT64_C(2) << 30)

/**
 * struct resplit_args - what the user wants
 * @file: the descriptor
 * @allow: folders of --allow-outside
 * @nr_allow: number of these
 * @bytes: size of the new extents
 * @holes: what becomes of what was never written
 * @dry_run: change nothing
 * @low_space: step by step
 * @compare: read what was copied
 */
struct resplit_args {
	const char *file;
	char **allow;
	size_t nr_allow;
	uint64_t bytes;
	enum transfer_holes holes;
	bool dry_run;
	bool low_space;
	bool compare;
};

static int check_size(const struct resplit_job *job, uint64_t bytes, struct svmdk_error *err)
{
	const uint64_t disk = job->plan.sectors << SECTOR_SHIFT;

	if (bytes > MAX_EXTENT_BYTES && job->plan.nr_targets > 1) {
		error_set(
			err, EINVAL,
			"an extent cannot be larger than 2G, unless it is the whole disk: -e %" PRIu64
			" or more",
			disk);
		return error_at(err, job->c.path, 0);
	}
	if (bytes % 4096 && job->plan.nr_targets > 1)
		message_warn(
			job->c.path, 0,
			"extents whose size is no multiple of 4096 bytes cannot be shared with the old ones, nor mapped on a disk with blocks of that size");
	return 0;
}

static bool is_listed(const struct resplit_job *job, size_t i)
{
	const struct old_file *file = old_file_of(&job->old, i);

	return file && file->whole && file->extent == i;
}

/* What has more in it than the disk, and other names of what is listed. */
static bool is_to_stay(const struct resplit_job *job, size_t i)
{
	const struct old_file *file = old_file_of(&job->old, i);

	return file && !is_listed(job, i) &&
	       (file->extent == i ||
		strcmp(job->plan.old[file->extent].name, job->plan.old[i].name) != 0);
}

/*
 * All that will be made, or with @made_only was made by this run or an earlier one; and all
 * that will not be needed any more, or stays beside it.
 */
static int list_files(struct resplit_job *job, bool made_only, struct svmdk_error *err)
{
	const struct resplit_plan *plan = &job->plan;
	const char **names = calloc(plan->nr_old + plan->nr_targets, sizeof(*names));
	const struct target_extent *target;
	size_t i, nr = 0, nr_made, nr_stay;
	struct leftovers what;
	int ret;

	if (!names) {
		error_errno(err, ENOMEM, "cannot plan the new extents");
		return error_at(err, job->c.path, 0);
	}
	for (i = 0; i < plan->nr_targets; i++) {
		target = &plan->targets[i];
		if (!target->kept && (!made_only || target->made || target->start < job->begun))
			names[nr++] = target->name;
	}
	nr_made = nr;
	for (i = 0; i < plan->nr_old; i++) {
		if (is_listed(job, i))
			names[nr++] = plan->old[i].name;
	}
	for (i = 0, nr_stay = nr; i < plan->nr_old; i++) {
		if (is_to_stay(job, i))
			names[nr++] = plan->old[i].name;
	}
	what = (struct leftovers){
		.names = names,
		.nr = nr,
		.nr_made = nr_made,
		.nr_stay = nr - nr_stay,
		.each = job->low_space ? plan->extent_sectors : 0,
		.done = job->low_space ? job->begun : 0,
	};
	if (made_only)
		ret = leftovers_rewrite(&job->c, &what, err);
	else
		ret = leftovers_begin(&job->c, &what, err);
	free(names);
	return ret;
}

/*
 * Once the names are on the list no other command takes them; what has taken them since
 * they were chosen is seen now.
 */
static int list_free_names(struct resplit_job *job, struct svmdk_error *err)
{
	struct svmdk_error other;
	bool good = false;
	int tries, ret;

	for (tries = 0; tries < 3; tries++) {
		if (list_files(job, false, err))
			return -1;
		ret = resplit_names_free(job, &good, err);
		if (!ret && good)
			return 0;
		if (leftovers_end(&job->c, &other))
			message_warn(other.file, other.line, "%s", other.text);
		if (ret || resplit_choose_names(job, err))
			return -1;
	}
	error_set(err, EEXIST, "another program takes the names of new extents; try again later");
	return error_at(err, job->c.path, 0);
}

/* A new extent that was there already may lie in it. */
static bool is_kept(const struct resplit_job *job, const struct old_file *file)
{
	const struct resplit_plan *plan = &job->plan;
	size_t i;

	for (i = 0; i < plan->nr_targets; i++) {
		if (plan->targets[i].kept &&
		    old_file_of(&job->old, resplit_piece_at(plan, plan->targets[i].start).old) ==
			    file)
			return true;
	}
	return false;
}

static void note_rest(const struct resplit_job *job)
{
	const struct old_file *file;
	size_t i;

	for (i = 0; i < job->old.nr; i++) {
		file = &job->old.files[i];
		if (!file->whole && !is_kept(job, file))
			message_note(
				job->c.path, 0,
				"the old extent %s has more in it than the disk, so it stays; remove it when that is not needed",
				job->plan.old[file->extent].name);
	}
}

static uint64_t bytes_to_do(const struct resplit_job *job)
{
	uint64_t sectors = 0;
	size_t i;

	for (i = 0; i < job->plan.nr_targets; i++) {
		if (!job->plan.targets[i].kept)
			sectors += job->plan.targets[i].sectors;
	}
	return (sectors << SECTOR_SHIFT) * (job->compare ? 2 : 1);
}

static int transfer_all(struct resplit_job *job, struct svmdk_error *err)
{
	int ret;

	progress_begin(&job->progress, "Splitting anew", bytes_to_do(job));
	ret = transfer_begin(&job->transfer, job->holes, &job->progress, err);
	if (ret)
		error_at(err, job->c.path, 0);
	else
		ret = job->low_space ? resplit_by_steps(job, err) : resplit_by_copy(job, err);
	transfer_end(&job->transfer);
	progress_end(&job->progress);
	return ret;
}

/* Adds to an error what has become of the container. */
static void add_outcome(bool unclear, bool moved, struct svmdk_error *err)
{
	const char *outcome = "; what was made is removed again";

	if (unclear)
		outcome = "; run svmdk resplit again to clear up";
	else if (moved)
		outcome = "; nothing is lost, run svmdk resplit again to go on";
	error_add(err, "%s", outcome);
}

/*
 * Of what it has not made another program may have some by now. There may be no room for
 * a shorter list; but where nothing is left that was made, and no old file was touched,
 * there is nothing to list.
 */
static int forget_unmade(struct resplit_job *job, struct svmdk_error *err)
{
	bool any = job->low_space;
	size_t i;

	resplit_undo(job);
	for (i = 0; i < job->plan.nr_targets && !any; i++)
		any = job->plan.targets[i].made;
	return any ? list_files(job, true, err) : leftovers_end(&job->c, err);
}

/*
 * One rule clears up both ways: what the descriptor in force does not name
 * goes, be it the old files or what was made of the new ones.
 */
static int move_disk(struct resplit_job *job, struct svmdk_error *err)
{
	struct svmdk_error other;
	bool moved, unclear;
	uint64_t begun;
	int ret;

	if (list_free_names(job, err))
		return -1;
	begun = job->begun;
	ret = transfer_all(job, err);
	if (ret && !job->unclear && forget_unmade(job, &other)) {
		message_warn(other.file, other.line, "%s", other.text);
		job->unclear = true;
	}
	unclear = job->unclear;
	moved = job->low_space && (job->begun > begun || begun);
	if (!unclear && leftovers_recover(&job->c, NULL, &other)) {
		message_warn(other.file, other.line,
			     "%s; files that are not needed are there still, svmdk resplit once "
			     "more removes them",
			     other.text);
		unclear = true;
	}
	if (ret)
		add_outcome(unclear, moved, err);
	if (!ret)
		note_rest(job);
	return ret;
}

static void warn_limits(const struct container *c)
{
	const struct descriptor *d = &c->descriptor;
	struct peer_facts facts = {
		.length = d->length,
		.lines = peer_count_lines(d->text, d->length),
		.nr_extents = d->nr_extents,
	};

	peer_warn_limits(c->path, &facts);
}

static int check_room(const struct resplit_job *job, struct svmdk_error *err)
{
	struct resplit_rooms rooms;
	int ret;

	if (resplit_rooms_find(&rooms, job, job->low_space, err))
		return -1;
	ret = resplit_rooms_check(&rooms, job, err);
	resplit_rooms_free(&rooms);
	return ret;
}

static int print_rooms(const struct resplit_job *job, bool low_space, struct svmdk_error *err)
{
	char need[SIZE_TEXT_LEN], free_text[SIZE_TEXT_LEN];
	struct resplit_rooms rooms;
	const struct resplit_room *room;
	size_t i;

	if (resplit_rooms_find(&rooms, job, low_space, err))
		return -1;
	for (i = 0; i < rooms.nr; i++) {
		room = &rooms.list[i];
		printf("Space needed%s%s%s: %s (%" PRIu64 " bytes)", *room->folder ? " in " : "",
		       room->folder, low_space ? " with --low-space" : "",
		       size_format(need, room->need), room->need);
		if (room->free == UINT64_MAX)
			printf("\n");
		else
			printf(", free: %s\n", size_format(free_text, room->free));
	}
	resplit_rooms_free(&rooms);
	return 0;
}

static int dry_run(const struct resplit_job *job, struct svmdk_error *err)
{
	size_t length;
	char *text;
	int ret;

	if (resplit_text(job, job->plan.sectors, &text, &length, err))
		return -1;
	ret = text_diff(stdout, job->c.path, job->c.descriptor.text, text);
	free(text);
	if (ret) {
		error_errno(err, ENOMEM, "cannot tell what would change");
		return error_at(err, job->c.path, 0);
	}
	return print_rooms(job, false, err) || print_rooms(job, true, err) ? -1 : 0;
}

/* Takes the container for itself, and clears up what was left of it. */
static int claim(struct resplit_job *job, struct leftovers_found *found, struct svmdk_error *err)
{
	if (faccessat(job->c.policy.dir.fd, ".", W_OK, AT_EACCESS)) {
		error_errno(err, errno, "cannot write to its folder");
		return error_at(err, job->c.path, 0);
	}
	if (container_lock(&job->c, err) || leftovers_recover(&job->c, found, err))
		return -1;
	if (found->foreign)
		message_note(
			job->c.path, 0,
			"it was copied, or moved to another folder, after a change of it was interrupted; there may be files beside it that it does not need");
	return 0;
}

static void settle(const struct resplit_job *job, bool wait)
{
	size_t nr = resplit_settle(job, wait);

	if (nr)
		message_note(
			job->c.path, 0,
			"%zu of its extents share blocks with other files, so they go the file way; `svmdk allocate' gives them their own",
			nr);
}

static int resplit_container(struct resplit_job *job, const struct resplit_args *args,
			     struct svmdk_error *err)
{
	struct leftovers_found found = { 0 };

	if (!args->dry_run && claim(job, &found, err))
		return -1;
	if (resplit_plan_begin(&job->plan, &job->c.descriptor, args->bytes >> SECTOR_SHIFT, err))
		return error_at(err, job->c.path, err->line);
	if (resplit_in_shape(&job->plan)) {
		/* An earlier run got perhaps no further than that. */
		if (found.removed)
			resplit_drop_old_marks(job);
		else
			message_note(job->c.path, 0, "its extents have that size already");
		if (!args->dry_run)
			settle(job, found.removed);
		return 0;
	}
	if (check_size(job, args->bytes, err) ||
	    old_files_open(&job->old, &job->c, &job->plan, args->dry_run, err) ||
	    resplit_choose_names(job, err))
		return -1;
	if (args->dry_run)
		return dry_run(job, err);
	if ((job->low_space && resplit_can_step(job, err)) || check_room(job, err) ||
	    move_disk(job, err))
		return -1;
	old_files_close(&job->old);
	if (job->shared)
		settle(job, true);
	warn_limits(&job->c);
	return 0;
}

static int resplit(const struct resplit_args *args)
{
	struct resplit_job job = {
		.holes = args->holes,
		.low_space = args->low_space,
		.compare = args->compare,
	};
	struct svmdk_error err;
	int ret;

	interrupt_catch();
	ret = container_open(&job.c, args->file, args->allow, args->nr_allow, &err);
	if (!ret)
		ret = resplit_container(&job, args, &err);
	if (job.marks_dropped)
		message_note(
			job.c.path, 0,
			"its manifest was of the old extents and is removed; `svmdk manifest' makes a new one");
	if (ret)
		error_print(&err);
	old_files_close(&job.old);
	resplit_plan_free(&job.plan);
	container_close(&job.c);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int take_size(struct resplit_args *args, const char *text)
{
	struct svmdk_error err;

	if (size_parse(text, &args->bytes, &err))
		return command_usage(&cmd_resplit, "%s", err.text);
	if (!args->bytes)
		return command_usage(&cmd_resplit, "an extent cannot have a size of 0");
	return EXIT_OK;
}

static int take_holes(struct resplit_args *args, enum transfer_holes holes)
{
	if (args->holes != HOLES_KEEP && args->holes != holes)
		return command_usage(&cmd_resplit, "it is either --sparse or --fill");
	args->holes = holes;
	return EXIT_OK;
}

static int take_option(struct resplit_args *args, int option)
{
	switch (option) {
	case 'a':
		args->allow[args->nr_allow++] = optarg;
		return EXIT_OK;
	case 'e':
		return take_size(args, optarg);
	case 'n':
		args->dry_run = true;
		return EXIT_OK;
	case 'l':
		args->low_space = true;
		return EXIT_OK;
	case 's':
		return take_holes(args, HOLES_SPARSE);
	case 'f':
		return take_holes(args, HOLES_FILL);
	case 'c':
		args->compare = false;
		return EXIT_OK;
	default:
		return command_usage(&cmd_resplit, NULL);
	}
}

static int run_args(int argc, char **argv, struct resplit_args *args)
{
	static const struct option options[] = {
		{ "extent-size", required_argument, NULL, 'e' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "low-space", no_argument, NULL, 'l' },
		{ "sparse", no_argument, NULL, 's' },
		{ "fill", no_argument, NULL, 'f' },
		{ "no-compare", no_argument, NULL, 'c' },
		{ "allow-outside", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, status = EXIT_OK;

	while ((option = getopt_long(argc, argv, "e:nh", options, NULL)) != -1) {
		if (option == 'h')
			return command_help(&cmd_resplit);
		status = take_option(args, option);
		if (status != EXIT_OK)
			return status;
	}
	if (argc - optind != 1)
		return command_usage(&cmd_resplit, "it takes one FILE");
	if (!args->bytes)
		return command_usage(&cmd_resplit, "say the size of the new extents: -e SIZE");
	args->file = argv[optind];
	return resplit(args);
}

static int run(int argc, char **argv)
{
	struct resplit_args args = { .compare = true };
	int status;

	/* No more folders than arguments. */
	args.allow = calloc(argc, sizeof(*args.allow));
	if (!args.allow) {
		message_error(NULL, 0, "%s", strerror(ENOMEM));
		return EXIT_FAILED;
	}
	status = run_args(argc, argv, &args);
	free(args.allow);
	return status;
}

const struct command cmd_resplit = {
	.name = "resplit",
	.args = "FILE -e SIZE [--dry-run] [--low-space] [--sparse|--fill] [--no-compare]\n"
		"                     [--allow-outside DIR]...",
	.summary = "Give a container extents of another size",
	.help = "FILE is the descriptor of a container that is not attached. The content of the\n"
		"disk stays as it is. New extents are made beside the old ones, sharing their\n"
		"blocks where the file system can (XFS, btrfs), else copied and compared; then the\n"
		"descriptor is replaced, and then the old ones are removed. It may be interrupted\n"
		"at any time; run again, it clears up or goes on.\n"
		"\n"
		"Options:\n"
		"  -e, --extent-size SIZE   size of the new extents, 2G at most; the last one takes\n"
		"                           what is left. The size of the disk or more makes one\n"
		"                           extent of it, whatever its size (monolithicFlat).\n"
		"  -n, --dry-run            change nothing; print what would change in the\n"
		"                           descriptor, and the space that is needed\n"
		"      --low-space          move the disk in steps that need the room of one new\n"
		"                           extent at most, and give back what was moved\n"
		"      --sparse             what was only reserved becomes a hole too\n"
		"      --fill               write zeroes where there are holes, so that the\n"
		"                           container can be mapped. By default holes stay holes.\n"
		"      --no-compare         do not read again what was copied\n"
		"      --allow-outside DIR  extents may be in DIR and below, too; may be given\n"
		"                           several times\n"
		"  -h, --help               show this\n",
	.run = run,
};
