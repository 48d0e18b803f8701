/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_COMMAND_H
#define SVMDK_COMMAND_H

#include <stddef.h>

/* What every subcommand returns and svmdk exits with. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* it did not work, or damage was found */
	EXIT_USAGE = 2,
};

/**
 * struct command - a subcommand, one a file
 * @name: what the user types
 * @args: its arguments, as the usage line shows them
 * @summary: what it does, on one line, for `svmdk --help`
 * @help: its options and what there is to know, for `svmdk NAME --help`;
 *	ends in a newline
 * @run: does it; getopt's state is fresh, and argv[0] is what getopt puts
 *	before its complaints. Prints its own errors. Returns enum exit_status.
 */
struct command {
	const char *name;
	const char *args;
	const char *summary;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct command cmd_create;
extern const struct command cmd_info;
extern const struct command cmd_check;
extern const struct command cmd_attach;
extern const struct command cmd_detach;
extern const struct command cmd_list;
extern const struct command cmd_allocate;
extern const struct command cmd_manifest;
extern const struct command cmd_verify;
extern const struct command cmd_changed;
extern const struct command cmd_repair;
extern const struct command cmd_resplit;
extern const struct command cmd_copy;
extern const struct command cmd_snapshot;
extern const struct command cmd_grow;

/**
 * command_help() - print a subcommand's usage line, summary and help
 * @command: the one that was asked
 *
 * Goes to stdout. Returns EXIT_OK, so that `case 'h': return command_help(…)`.
 */
int command_help(const struct command *command);

/**
 * command_usage() - complain about the arguments
 * @command: the one that was called
 * @format: what is wrong with them, or NULL when getopt has said it already
 *
 * Goes to stderr, with a line that points to --help. Returns EXIT_USAGE.
 */
int command_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * struct container_args - arguments of a command that takes one container:
 *	FILE [--allow-outside DIR]...
 * @file: the descriptor
 * @allow: array of the folders, to be freed; its strings are argv's
 * @nr_allow: number of these
 */
struct container_args {
	const char *file;
	char **allow;
	size_t nr_allow;
};

/**
 * command_container_args() - read the arguments of such a command
 * @command: the one that was called
 * @argc: as it was called
 * @argv: as it was called
 * @args: filled; @args->file is NULL when there is nothing left to do
 *
 * Knows --help too. Returns what to exit with when there is nothing left to do.
 */
int command_container_args(const struct command *command, int argc, char **argv,
			   struct container_args *args);

#endif /* SVMDK_COMMAND_H */
