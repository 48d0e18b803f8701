// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "message.h"

int command_help(const struct command *command)
{
	printf("Usage: svmdk %s %s\n\n%s.\n\n%s", command->name, command->args, command->summary,
	       command->help);
	return EXIT_OK;
}

int command_usage(const struct command *command, const char *format, ...)
{
	va_list args;
	char *text;

	if (format) {
		va_start(args, format);
		if (vasprintf(&text, format, args) < 0)
			text = NULL;
		va_end(args);
		message_error(NULL, 0, "%s: %s", command->name, text ? text : "out of memory");
		free(text);
	}
	fprintf(stderr, "Try `svmdk %s --help'.\n", command->name);
	return EXIT_USAGE;
}

static int read_container_args(const struct command *command, int argc, char **argv,
			       struct container_args *args)
{
	static const struct option options[] = {
		{ "allow-outside", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			args->allow[args->nr_allow++] = optarg;
			break;
		case 'h':
			return command_help(command);
		default:
			return command_usage(command, NULL);
		}
	}
	if (argc - optind != 1)
		return command_usage(command, "it takes one FILE");
	args->file = argv[optind];
	return EXIT_OK;
}

int command_container_args(const struct command *command, int argc, char **argv,
			   struct container_args *args)
{
	int status;

	*args = (struct container_args){ .allow = calloc(argc, sizeof(*args->allow)) };
	if (!args->allow) {
		message_error(NULL, 0, "out of memory");
		return EXIT_FAILED;
	}
	status = read_container_args(command, argc, argv, args);
	if (!args->file)
		free(args->allow);
	return status;
}
