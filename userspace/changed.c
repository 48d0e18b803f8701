// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "marks.h"
#include "message.h"

/**
 * struct listing - a list of what changed
 * @c: the container
 * @m: what is known of its files
 * @end: what follows each name
 * @status: what to exit with
 */
struct listing {
	struct container c;
	struct marks m;
	char end;
	int status;
};

/*
 * What a crash left is put right now, for rsync goes by the mtimes. Where that
 * may not be done the list is complete all the same.
 */
static void end_session(struct listing *l)
{
	struct svmdk_error err;

	if (!marks_unended(&l->m) || l->m.live)
		return;
	if (!l->m.blind && container_lock(&l->c, &err) == 0 && marks_recover(&l->m, &err) == 0)
		return;
	if (l->m.blind)
		error_set(&err, EPERM, "only root may ask the driver whether it is attached");
	message_warn(l->c.path, 0,
		     "%s; so every extent that can be written is listed, though its modification "
		     "time may not show that it changed",
		     err.text);
}

static void warn_broken(const struct svmdk_error *err)
{
	if (err->code && err->code != ENOENT)
		message_warn(err->file, err->line, "%s; every file counts as changed", err->text);
}

/* Each file is new to such a manifest, and listed for that. */
static void warn_other_shape(const struct listing *l)
{
	struct svmdk_error err;

	if (!l->m.manifest_err.code &&
	    manifest_check_shape(&l->m.manifest, l->c.policy.dir.fd, l->m.manifest_name,
				 &l->c.descriptor, l->c.name, &err))
		message_warn(err.file, err.line, "%s", err.text);
}

static void print_member(struct listing *l, size_t i)
{
	const struct member *member = &l->m.members.list[i];
	struct extent_file file;
	struct svmdk_error err;

	if (marks_change(&l->m, i) == CHANGE_NONE)
		return;
	if (member->code == 0 || member->code == EXDEV || member->code == ENOTBLK) {
		member_print(stdout, member->name, l->end);
		if (members_complain_outside(&l->m.members, i))
			l->status = EXIT_FAILED;
		return;
	}
	/* There is nothing to send: say it, and why, in full. */
	l->status = EXIT_FAILED;
	if (members_open(&l->m.members, i, &file, &err) == 0) {
		/* Now it can, but it is too late to tell. */
		close(file.fd);
		error_errno(&err, member->code, "cannot look at it");
		error_at(&err, member->name, 0);
	}
	error_print(&err);
}

static void print_all(struct listing *l)
{
	size_t i;

	marks_look(&l->m);
	end_session(l);
	for (i = 0; i < l->m.members.nr; i++)
		print_member(l, i);
	/* Without these the other side could not tell what is expected there. */
	if (!l->m.manifest_err.code)
		member_print(stdout, l->m.manifest_name, l->end);
	if (l->m.has_sidecar)
		member_print(stdout, l->m.sidecar_name, l->end);
}

/* rsync is to see what was just written. */
static int flush(struct listing *l, struct svmdk_error *err)
{
	if (marks_flush(&l->m, err))
		return -1;
	return marks_ask_dirty(&l->m, false, err);
}

/* The lock is only needed for what a crash left. */
static int open_listing(struct listing *l, struct svmdk_error *err)
{
	if (marks_open(&l->m, &l->c, false, err) || marks_ask_driver(&l->m, err))
		return -1;
	if (l->m.live)
		return flush(l, err);
	if (!marks_unended(&l->m))
		return 0;
	marks_close(&l->m);
	if (marks_open(&l->m, &l->c, true, err))
		return -1;
	return marks_ask_driver(&l->m, err);
}

static int changed(const struct container_args *args, char end)
{
	struct listing l = { .end = end, .status = EXIT_OK };
	struct svmdk_error err;

	if (container_open(&l.c, args->file, args->allow, args->nr_allow, &err)) {
		error_print(&err);
		return EXIT_FAILED;
	}
	if (open_listing(&l, &err)) {
		error_print(&err);
		l.status = EXIT_FAILED;
	} else {
		warn_broken(&l.m.manifest_err);
		warn_broken(&l.m.sidecar_err);
		warn_other_shape(&l);
		print_all(&l);
	}
	marks_close(&l.m);
	container_close(&l.c);
	return l.status;
}

static int read_args(int argc, char **argv, struct container_args *args, char *end)
{
	static const struct option options[] = {
		{ "allow-outside", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ "null", no_argument, NULL, '0' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "0h", options, NULL)) != -1) {
		switch (option) {
		case '0':
			*end = '\0';
			break;
		case 'a':
			args->allow[args->nr_allow++] = optarg;
			break;
		case 'h':
			return command_help(&cmd_changed);
		default:
			return command_usage(&cmd_changed, NULL);
		}
	}
	if (argc - optind != 1)
		return command_usage(&cmd_changed, "it takes one FILE");
	args->file = argv[optind];
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct container_args args = { .allow = calloc(argc, sizeof(*args.allow)) };
	char end = '\n';
	int status;

	if (!args.allow) {
		message_error(NULL, 0, "out of memory");
		return EXIT_FAILED;
	}
	status = read_args(argc, argv, &args, &end);
	if (args.file)
		status = changed(&args, end);
	free(args.allow);
	return status;
}

const struct command cmd_changed = {
	.name = "changed",
	.args = "FILE [-0] [--allow-outside DIR]...",
	.summary = "List the extents that changed since the manifest",
	.help = "FILE is the descriptor; it may be attached. Names are relative to its folder, one\n"
		"a line, ready for `rsync --files-from' and `rclone --files-from':\n"
		"\n"
		"  svmdk changed -0 FILE >LIST &&\n"
		"  rsync -a --modify-window=-1 --from0 --files-from=LIST . HOST:DIR\n"
		"\n"
		"To send each change once, and update the manifest, see svmdk manifest --changed.\n"
		"The descriptor is listed when it changed; the manifest and the sidecar always\n"
		"are, so that what arrives can be verified. Whatever cannot be proved to be\n"
		"unchanged is listed, and without a manifest that is every file.\n"
		"\n"
		"Options:\n"
		"  -0, --null               end each name with a NUL, not a newline\n"
		"      --allow-outside DIR  extents may be in DIR and below, too; may be given\n"
		"                           several times\n"
		"  -h, --help               show this\n",
	.run = run,
};
