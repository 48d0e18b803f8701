/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_MESSAGE_H
#define SVMDK_MESSAGE_H

#include <limits.h>
#include <stddef.h>

/**
 * struct svmdk_error - why something did not work
 * @code: the errno value closest to it, never 0 once it is set
 * @line: line of @file that is at fault, or 0
 * @file: the file that is at fault, or "": bytes as the user or a descriptor
 *	gave them
 * @text: what is wrong; what to do. Holds names as they are in a descriptor,
 *	so it is not fit for a terminal before error_print() has escaped it.
 *
 * The library fills one of these and prints nothing; the caller owns it, on
 * its stack mostly.
 */
struct svmdk_error {
	int code;
	unsigned int line;
	char file[PATH_MAX];
	char text[1024];
};

/**
 * error_set() - say what is wrong
 * @err: filled; @err->file and @err->line are left "" and 0
 * @code: an errno value
 * @format: what is wrong; what to do
 *
 * Returns -1 always, so that `return error_set(…)`. The arguments may point
 * into @err itself.
 */
int error_set(struct svmdk_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * error_errno() - say what is wrong, and add strerror(@code)
 * @err: filled; @err->file and @err->line are left "" and 0
 * @code: an errno value
 * @format: what was tried, e.g. "cannot open the extent"
 *
 * Makes "@format: No such file or directory". Returns -1 always.
 */
int error_errno(struct svmdk_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * error_at() - say where it is wrong
 * @err: an error that is set
 * @file: the file at fault, or NULL; may be @err->file
 * @line: the line at fault, or 0
 *
 * Returns -1 always.
 */
int error_at(struct svmdk_error *err, const char *file, unsigned int line);

/**
 * error_add() - say more, at its end
 * @err: an error that is set
 * @format: as for printf(), e.g. "; it is attached still"
 *
 * Returns -1 always.
 */
int error_add(struct svmdk_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * error_print() - print an error: `svmdk: FILE:LINE: text`
 * @err: an error that is set
 *
 * One line on stderr; whatever a terminal could take for a command is escaped.
 */
void error_print(const struct svmdk_error *err);

/**
 * message_error() - print an error that is not in a struct svmdk_error
 * @file: the file at fault, or NULL
 * @line: the line at fault, or 0
 * @format: what is wrong; what to do
 *
 * One line on stderr, escaped as error_print() does.
 */
void message_error(const char *file, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * message_warn() - print a warning: `svmdk: FILE:LINE: warning: text`
 * @file: the file it is about, or NULL
 * @line: the line it is about, or 0
 * @format: what is doubtful; what to do
 *
 * One line on stderr, escaped as error_print() does.
 */
void message_warn(const char *file, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * message_note() - print something worth knowing: `svmdk: FILE:LINE: note: text`
 * @file: the file it is about, or NULL
 * @line: the line it is about, or 0
 * @format: what is so; what to do
 *
 * One line on stderr, escaped as error_print() does.
 */
void message_note(const char *file, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * message_escape() - make bytes fit for a terminal and for JSON
 * @bytes: a string, of any bytes
 *
 * Control characters, characters that turn the writing direction or have no
 * width, a backslash that would look like an escape, and bytes that are no
 * UTF-8 become \xHH. Says the same whatever the locale, so that --json does
 * too. Returns a string to be freed; NULL when there is no memory.
 */
char *message_escape(const char *bytes);

/**
 * message_print() - print bytes on stdout as message_escape() has them
 * @bytes: a string, of any bytes
 *
 * Needs no memory.
 */
void message_print(const char *bytes);

#endif /* SVMDK_MESSAGE_H */
