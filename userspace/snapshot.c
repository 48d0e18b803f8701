// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "freeze.h"
#include "interrupt.h"
#include "live_disk.h"
#include "message.h"
#include "mounted.h"

/* With the signals as they were: interrupt_catch() ignores two. */
static int start(char **command, pid_t *child, struct svmdk_error *err)
{
	posix_spawnattr_t attr;
	sigset_t defaults;
	int code;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	sigaddset(&defaults, SIGXFSZ);
	code = posix_spawnattr_init(&attr);
	if (code)
		return error_errno(err, code, "cannot run %s", command[0]);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	code = posix_spawnp(child, command[0], NULL, &attr, command, environ);
	posix_spawnattr_destroy(&attr);
	return code ? error_errno(err, code, "cannot run %s", command[0]) : 0;
}

/*
 * Returns what waitpid() says of it, or -1 after a signal: then it has been
 * told to end, and may need the thaw for that.
 */
static int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) != child) {
		if (interrupt_seen() || errno != EINTR) {
			kill(child, SIGTERM);
			return -1;
		}
	}
	return status;
}

static int explain(const char *command, int status, struct svmdk_error *err)
{
	if (status < 0)
		return error_set(err, EINTR, "interrupted");
	if (WIFSIGNALED(status))
		return error_set(err, EINTR, "%s was killed by signal %d", command,
				 WTERMSIG(status));
	if (WEXITSTATUS(status))
		return error_set(err, EIO, "%s ended with status %d", command, WEXITSTATUS(status));
	return 0;
}

/* A command that waits for what is frozen is let go by the guard, in a minute. */
static int run_frozen(const struct live_disk *disk, const struct mounted *mounted, char **command,
		      struct svmdk_error *err)
{
	struct svmdk_error thaw_err;
	struct freeze freeze;
	double seconds;
	pid_t child;
	int ret;

	if (freeze_begin(&freeze, mounted, err))
		return -1;
	ret = live_disk_flush(disk, err) || start(command, &child, err) ?
		      -1 :
		      explain(command[0], wait_for(child), err);
	if (freeze_end(&freeze, &seconds, &thaw_err)) {
		if (ret)
			error_print(err);
		*err = thaw_err;
		return -1;
	}
	if (!ret && mounted->nr)
		message_note(disk->node, 0, "frozen for %.2f s", seconds);
	return ret;
}

static int run(const char *arg, char **command)
{
	struct mounted mounted = { 0 };
	struct live_disk disk;
	struct svmdk_error err;
	int ret;

	interrupt_catch();
	ret = live_disk_open(&disk, arg, &err) || mounted_find(&mounted, disk.name, &err) ||
	      run_frozen(&disk, &mounted, command, &err);
	if (ret)
		error_print(&err);
	mounted_free(&mounted);
	live_disk_close(&disk);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int main_snapshot(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	/* The plus: what comes after the device is the command's. */
	while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (option == 'h')
			return command_help(&cmd_snapshot);
		return command_usage(&cmd_snapshot, NULL);
	}
	if (argc - optind < 2)
		return command_usage(&cmd_snapshot, "it takes a FILE or DEVICE, and a COMMAND");
	return run(argv[optind], argv + optind + 1);
}

const struct command cmd_snapshot = {
	.name = "snapshot",
	.args = "FILE|DEVICE COMMAND [ARGUMENT]...",
	.summary = "Run a command that takes a snapshot, while the disk is consistent",
	.help = "What is mounted from the attached disk is frozen, the disk is flushed, COMMAND is\n"
		"run, and all is thawed again, whatever happens. COMMAND takes a snapshot of what\n"
		"the extents lie on, and has a minute for that:\n"
		"\n"
		"  svmdk snapshot FILE lvcreate -s -n now -L 4G vg/store\n"
		"  svmdk snapshot FILE btrfs subvolume snapshot -r /srv /srv/.now\n"
		"\n"
		"The container in the snapshot is at rest: copy it with svmdk copy, or send it.\n"
		"\n"
		"Options:\n"
		"  -h, --help  show this\n",
	.run = main_snapshot,
};
