/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_CLAIMS_H
#define SVMDK_CLAIMS_H

#include <stddef.h>
#include <sys/stat.h>
#include "message.h"

/*
 * Who else in a folder has a name for its own. A list of leftovers (leftovers.h) names
 * files that may never have been made: another container may get one of that name
 * meanwhile. So what another descriptor names is not removed, whatever a list says, and
 * no command of svmdk makes a file that another container's list names.
 */

/**
 * enum claims_kind - whose claims
 * @CLAIMS_OF_DESCRIPTORS: of other containers' descriptors, whoever made them
 * @CLAIMS_OF_LISTS: of other containers' lists of leftovers
 */
enum claims_kind {
	CLAIMS_OF_DESCRIPTORS,
	CLAIMS_OF_LISTS,
};

/**
 * struct claim - a file that names others
 * @by: its name, in the folder
 * @text: what it says, up to the first NUL; NULL where that cannot be read, so that it may
 *	name anything
 */
struct claim {
	char *by;
	char *text;
};

/**
 * struct claims - all of a folder
 * @kind: of them
 * @list: array
 * @nr: number of these
 */
struct claims {
	enum claims_kind kind;
	struct claim *list;
	size_t nr;
};

/**
 * claims_read() - read who names what in a folder
 * @c: filled, to be freed
 * @dirfd: the folder; O_PATH will do
 * @kind: what is looked for
 * @self: name of a descriptor that does not count, nor does its list; may be ""
 * @self_st: status of that descriptor; NULL when there is none yet
 * @err: filled on failure, without @err->file
 *
 * Every small file is looked at, for a descriptor may have any name. One that the user may
 * not read claims nothing. Returns 0 or -1.
 */
int claims_read(struct claims *c, int dirfd, enum claims_kind kind, const char *self,
		const struct stat *self_st, struct svmdk_error *err);

/**
 * claims_find() - who claims a file
 * @c: as claims_read() filled it
 * @base: name of the file, without its folder
 *
 * One counts also that names it with a folder before it: it may be the same. Returns who
 * claims it; NULL when nobody does.
 */
const struct claim *claims_find(const struct claims *c, const char *base);

/**
 * claims_free() - free what claims_read() made
 * @c: all zero afterwards; one that is all zero is fine
 */
void claims_free(struct claims *c);

#endif /* SVMDK_CLAIMS_H */
