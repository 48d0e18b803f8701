// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "message.h"

static const struct command *const commands[] = {
	&cmd_create, &cmd_info,	    &cmd_check,	 &cmd_attach,  &cmd_detach,
	&cmd_list,   &cmd_allocate, &cmd_grow,	 &cmd_resplit, &cmd_manifest,
	&cmd_verify, &cmd_changed,  &cmd_repair, &cmd_copy,    &cmd_snapshot,
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *to)
{
	size_t i;

	fputs("Usage: svmdk COMMAND [ARGUMENTS]\n\n"
	      "Attach split flat VMDK disks at the speed of the disk beneath.\n\n"
	      "Commands:\n",
	      to);
	for (i = 0; i < NR_COMMANDS; i++)
		fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nOptions:\n"
	      "  -h, --help     show this, or with COMMAND what that does\n"
	      "  -V, --version  show the version\n\n"
	      "See svmdk(8).\n",
	      to);
}

/* What went to a full disk or a closed pipe was not said. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	message_error(NULL, 0, "cannot write the output: %s", strerror(errno));
	return EXIT_FAILED;
}

static int run_command(int argc, char **argv)
{
	static char name[] = "svmdk";
	size_t i;

	for (i = 0; i < NR_COMMANDS; i++) {
		if (strcmp(argv[0], commands[i]->name))
			continue;
		optind = 0; /* getopt of glibc begins anew */
		argv[0] = name; /* and complains in this name */
		return finish(commands[i]->run(argc, argv));
	}
	message_error(NULL, 0, "unknown command %s; see `svmdk --help'", argv[0]);
	return EXIT_USAGE;
}

/*
 * Where one of the three is closed, the next file that is opened would take its place, and
 * what is said would be written over a descriptor. For reading only, so that to write to a
 * closed one fails as ever.
 */
static int open_standard(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int option;

	if (open_standard()) {
		message_error("/dev/null", 0, "cannot open it: %s", strerror(errno));
		return EXIT_FAILED;
	}
	setlocale(LC_ALL, "");
	/* Who ignores it hands that down to what he starts, and then nobody could be waited for. */
	signal(SIGCHLD, SIG_DFL);
	/* The plus: what comes after the command is the command's. */
	while ((option = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			print_usage(stdout);
			return finish(EXIT_OK);
		case 'V':
			printf("svmdk %s\n", SVMDK_VERSION);
			return finish(EXIT_OK);
		default:
			print_usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	return run_command(argc - optind, argv + optind);
}
