/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SIDE_FILE_H
#define SVMDK_SIDE_FILE_H

#include <stddef.h>
#include <sys/stat.h>
#include "message.h"

/*
 * The small text files that svmdk keeps beside a descriptor: the manifest and
 * the sidecar. They come from where the container comes from, so they are
 * hostile until proven otherwise.
 */

/* More than a descriptor of DESCRIPTOR_MAX_BYTES can make necessary. */
#define SIDE_FILE_MAX_BYTES (64U << 20)

#define SELF_LEN 80 /* with the terminating NUL */

/**
 * struct side_file - one of them, read
 * @bytes: all of it; NUL-terminated
 * @length: of it, without that NUL
 * @st: its status
 * @self: what it is, as self_line() says it
 */
struct side_file {
	char *bytes;
	size_t length;
	struct stat st;
	char self[SELF_LEN];
};

/**
 * side_file_open() - open one of them
 * @dirfd: the folder it is in
 * @name: of it; no folder
 * @flags: O_RDONLY or O_RDWR
 * @st: set to its status; it is a regular file
 * @err: filled on failure, with @err->file; @err->code is ENOENT when there is
 *	none
 *
 * No link is followed, and what is no regular file is not opened, not for a
 * moment. Returns the file descriptor, or -1.
 */
int side_file_open(int dirfd, const char *name, int flags, struct stat *st,
		   struct svmdk_error *err);

/**
 * side_file_read() - read one of them whole
 * @file: filled, to be freed
 * @dirfd: as for side_file_open()
 * @name: as above
 * @err: as above; @err->code is EFBIG when it is absurdly large
 *
 * Returns 0 or -1.
 */
int side_file_read(struct side_file *file, int dirfd, const char *name, struct svmdk_error *err);

/**
 * self_line() - what a file is that no copy of it can be
 * @fd: the file
 * @line: set to "self", its inode, and when that was made (0 where the file
 *	system does not keep it), with a newline
 *
 * A new file system gives out the same inodes again, so the one without the
 * other would not do. Returns 0, or -1 with errno set.
 */
int self_line(int fd, char line[SELF_LEN]);

/**
 * side_file_free() - free what side_file_read() made
 * @file: all zero afterwards
 */
void side_file_free(struct side_file *file);

/**
 * side_file_next_line() - cut the next line off
 * @at: where it begins; moved behind it
 * @end: one past the last byte of the text
 * @length: set to the length of the line, without its newline
 *
 * The line is terminated by a NUL in place of the newline. Returns it, or NULL
 * at the end.
 */
char *side_file_next_line(char **at, char *end, size_t *length);

/**
 * name_escape() - write a name so that it stays in its line
 * @to: room for twice the length of @name, and a NUL
 * @name: any bytes
 *
 * As GNU sha256sum does: backslash, newline and carriage return become \\, \n
 * and \r. Returns how many bytes were written, without the NUL; it is the
 * length of @name when there was nothing to escape.
 */
size_t name_escape(char *to, const char *name);

/**
 * name_unescape() - the other way round, in place
 * @name: as name_escape() made it
 *
 * Returns 0, or -1 when something else follows a backslash.
 */
int name_unescape(char *name);

#endif /* SVMDK_SIDE_FILE_H */
