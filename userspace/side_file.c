// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "safe_open.h"
#include "side_file.h"

static int fail(struct svmdk_error *err, int code, const char *name)
{
	error_errno(err, code, "cannot open it");
	return error_at(err, name, 0);
}

int side_file_open(int dirfd, const char *name, int flags, struct stat *st, struct svmdk_error *err)
{
	int fd = safe_open_regular(dirfd, name, flags, st);

	if (fd >= 0)
		return fd;
	if (errno != EBADF)
		return fail(err, errno, name);
	error_set(err, EINVAL, "not a regular file, so it is not opened; take it away");
	return error_at(err, name, 0);
}

/* Reads up to its end, and no further than one byte too many. */
static int read_all(struct side_file *file, int fd)
{
	size_t room = 0;
	ssize_t got;
	char *bytes;

	do {
		if (room - file->length < 2) {
			room = room ? 2 * room : 65536;
			bytes = realloc(file->bytes, room);
			if (!bytes)
				return ENOMEM;
			file->bytes = bytes;
		}
		got = read(fd, file->bytes + file->length, room - file->length - 1);
		if (got < 0 && errno != EINTR)
			return errno;
		if (got > 0)
			file->length += got;
	} while (got && file->length <= SIDE_FILE_MAX_BYTES);
	file->bytes[file->length] = '\0';
	return file->length > SIDE_FILE_MAX_BYTES ? EFBIG : 0;
}

int side_file_read(struct side_file *file, int dirfd, const char *name, struct svmdk_error *err)
{
	int fd, code;

	*file = (struct side_file){ 0 };
	fd = side_file_open(dirfd, name, O_RDONLY, &file->st, err);
	if (fd < 0)
		return -1;
	code = read_all(file, fd);
	if (!code && self_line(fd, file->self))
		code = errno;
	close(fd);
	if (!code)
		return 0;
	side_file_free(file);
	if (code == EFBIG)
		error_set(err, EFBIG, "too large to be what its name says");
	else
		error_errno(err, code, "cannot read it");
	return error_at(err, name, 0);
}

int self_line(int fd, char line[SELF_LEN])
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st))
		return -1;
	if (!(st.stx_mask & STATX_BTIME))
		st.stx_btime = (struct statx_timestamp){ 0 };
	snprintf(line, SELF_LEN, "self %" PRIu64 " %" PRId64 ".%09" PRIu32 "\n",
		 (uint64_t)st.stx_ino, (int64_t)st.stx_btime.tv_sec,
		 (uint32_t)st.stx_btime.tv_nsec);
	return 0;
}

void side_file_free(struct side_file *file)
{
	free(file->bytes);
	*file = (struct side_file){ 0 };
}

char *side_file_next_line(char **at, char *end, size_t *length)
{
	char *line = *at, *newline;

	if (line >= end)
		return NULL;
	newline = memchr(line, '\n', end - line);
	if (!newline)
		newline = end;
	*length = newline - line;
	*newline = '\0';
	*at = newline + 1;
	return line;
}

size_t name_escape(char *to, const char *name)
{
	char *begin = to;

	for (; *name; name++) {
		switch (*name) {
		case '\\':
			*to++ = '\\';
			*to++ = '\\';
			break;
		case '\n':
			*to++ = '\\';
			*to++ = 'n';
			break;
		case '\r':
			*to++ = '\\';
			*to++ = 'r';
			break;
		default:
			*to++ = *name;
		}
	}
	*to = '\0';
	return to - begin;
}

int name_unescape(char *name)
{
	char *to = name;

	for (; *name; name++) {
		if (*name != '\\') {
			*to++ = *name;
			continue;
		}
		switch (*++name) {
		case '\\':
			*to++ = '\\';
			break;
		case 'n':
			*to++ = '\n';
			break;
		case 'r':
			*to++ = '\r';
			break;
		default:
			return -1;
		}
	}
	*to = '\0';
	return 0;
}
