/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_CLAIMS_H
#define SVMDK_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "message.h"

/*
 * Who else in a folder has a name for its own. A list of leftovers (leftovers.h) names
 * files that may never have been made: another container may get one of that name
 * meanwhile. So what another descriptor names is neither removed nor cut off because a list
 * says so, unless nobody has changed it since; and no command of svmdk makes a file that
 * another container's list names, or makes it longer.
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
 * claims_refuse() - say that a file cannot be made, for a list of leftovers has it
 * @base: its name
 * @by: whose list that is
 * @err: filled, without @err->file; @err->code is EEXIST
 *
 * Returns -1.
 */
int claims_refuse(const char *base, const struct claim *by, struct svmdk_error *err);

/**
 * claims_free() - free what claims_read() made
 * @c: all zero afterwards; one that is all zero is fine
 */
void claims_free(struct claims *c);

/**
 * struct claimants - who claims a container's files, wherever these are
 * @kind: of claims
 * @own: the container's folder, which claims files of others too; must stay
 * @self: name of its descriptor; must stay
 * @self_st: status of that; must stay, NULL when there is none yet
 * @here: claims in @own
 * @read_here: that these have been read
 * @there: claims in the folder of the last file that was asked for, when that is another
 * @read_there: that these have been read
 * @there_st: status of that folder
 *
 * The first four are the caller's, the rest is zero. What is read once is not read again.
 */
struct claimants {
	enum claims_kind kind;
	int own;
	const char *self;
	const struct stat *self_st;
	struct claims here;
	bool read_here;
	struct claims there;
	bool read_there;
	struct stat there_st;
};

/**
 * claimants_find() - who claims a file, in its folder or in the container's
 * @c: whom to ask
 * @folder: the file's folder; O_PATH will do
 * @base: its name there
 * @by: set to who claims it; NULL when nobody does
 * @err: filled on failure, without @err->file
 *
 * Folders are compared as such, for one has many names. Returns 0 or -1.
 */
int claimants_find(struct claimants *c, int folder, const char *base, const struct claim **by,
		   struct svmdk_error *err);

/**
 * claimants_find_behind() - who claims what comes behind the first sectors of a file
 * @c: whom to ask
 * @folder: as for claimants_find()
 * @base: as for claimants_find()
 * @sectors: how many are nobody's concern; 0 is claimants_find()
 * @by: set to who claims more than these; NULL when nobody does
 * @err: filled on failure, without @err->file
 *
 * A descriptor that names no more of it is harmless, an older one of the same container for
 * one; one that cannot be understood may name all of it, as does a list. Returns 0 or -1.
 */
int claimants_find_behind(struct claimants *c, int folder, const char *base, uint64_t sectors,
			  const struct claim **by, struct svmdk_error *err);

/**
 * claimants_forget() - free what was read; it is read again when it is asked for
 * @c: fine to be asked again
 */
void claimants_forget(struct claimants *c);

#endif /* SVMDK_CLAIMS_H */
