/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_LEFTOVERS_H
#define SVMDK_LEFTOVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "container.h"
#include "message.h"
#include "side_file.h"

#define LEFTOVERS_SUFFIX ".svmdk-files"
#define LEFTOVERS_MAX_BYTES (4U * DESCRIPTOR_MAX_BYTES) /* old names and new ones */

#define LEFTOVERS_HEADER "svmdk-files 1\n"
#define LEFTOVERS_END "end\n"

/*
 * How the lines of a list begin, equally long: what is made; what is used up or removed;
 * an extent of the container that it is about; one that is neither made nor used up, and
 * which a descriptor on the way from the old one to the new names.
 */
#define LEFTOVERS_MADE "made "
#define LEFTOVERS_USED "file "
#define LEFTOVERS_KEPT "kept "
#define LEFTOVERS_STAYS "stay "

/* Which folder it is in; the rest, and how long this is, as of self_line(). */
#define LEFTOVERS_HOME "home "

/*
 * How much of the disk, from its first sector on, is where it is going to be, and a hash of
 * where that is. Of one length and at the begin of the list, so that it can be written in
 * its place, which needs no room, and is whole or not done at a power cut.
 */
#define LEFTOVERS_DONE "done "
#define DONE_LEN (sizeof(LEFTOVERS_DONE) + 20 + 1 + 64 + 1) /* with the terminating NUL */

/* And of two that have a number: sectors of the disk, and of each extent that is made. */
#define LEFTOVERS_SIZE "size "
#define LEFTOVERS_EACH "each "

/*
 * A command that makes, replaces or lengthens extent files may be killed at any
 * instant. So it first writes down, beside the descriptor FILE as
 * .FILE.svmdk-files, the names of all files that it is going to make, to
 * lengthen, to use up or to remove. The rule by which the next command clears
 * up behind it asks only the descriptor that is in force, the old one or the
 * new:
 *
 *	Of a listed file, what the descriptor does not name is nobody's. A file
 *	that it does not name at all is removed; of one that it names in part,
 *	the rest is given back: cut off behind the last sector that is named,
 *	punched before it.
 *
 * Of what was to be made it may be that nothing was, and that another program has
 * made a file of that name since. So the list says which files those are, and one that
 * another descriptor names is left alone, or is not cut off where that one names what comes
 * behind; see claims.h. So is one that was to be removed
 * where somebody has changed it since the list was written: another container may have been
 * copied over it.
 *
 * Then the list goes. So the order of a command is: lock, leftovers_recover(),
 * leftovers_begin(), make and fsync the new files, replace the descriptor
 * (which is the one step that counts), remove the old files, leftovers_end().
 * When it fails before that step: leftovers_recover() again, which takes away
 * what was made.
 *
 * Never list a file in which something lies that is not the disk's: one that
 * is longer than the descriptor says stays out of the list unless the command
 * itself made it longer.
 *
 * A descriptor of before that may be put back by somebody, who has it in a backup. Then what
 * was made is the only copy of what was used up meanwhile. So before anything of the old
 * files goes by a new descriptor, the list is told how much of the disk is elsewhere by then
 * (LEFTOVERS_DONE), and one that does not have that there is refused. And before the disk is
 * written the list is followed, so that what was made has nothing that the old files lack as
 * long as there is one: attach does that.
 *
 * A list has the last extent file of its container, too. A descriptor that names neither
 * that nor all that was to be made, and is not on the way from the one to the other, is
 * another container's, which has the name by now: the list is not followed, but told of and
 * removed.
 *
 * The list says which inode it is and when that was made, and the same of its folder. It
 * comes from where the container comes from, so one that travelled with a copy, or that
 * somebody made up, is not followed; nor is a hard link to it in a copy of the folder, where
 * the first container may need by now what is on it.
 */

/**
 * struct leftovers_found - what leftovers_recover() came upon
 * @removed: files removed
 * @trimmed: files of which a part was given back
 * @foreign: there was a list that was not made here; it is gone, the files stay
 */
struct leftovers_found {
	size_t removed;
	size_t trimmed;
	bool foreign;
};

/**
 * struct leftovers - what a list names
 * @names: of the files, as the descriptor in force or the new one has them; they may exist
 *	or not
 * @nr: how many; may be 0
 * @nr_made: how many of these, the first, are made or made longer
 * @nr_stay: how many of these, the last, stay as they are
 * @each: sectors of each new extent, the last may be shorter, where these take the place
 *	of all others step by step; or 0
 * @done: sectors of the disk, from the first on, that are where they are going to be, by the
 *	descriptor in force, and of which nothing is left elsewhere
 */
struct leftovers {
	const char *const *names;
	size_t nr;
	size_t nr_made;
	size_t nr_stay;
	uint64_t each;
	uint64_t done;
};

/**
 * leftovers_begin() - write the list, to disk
 * @c: the container, locked; leftovers_recover() has run
 * @what: what is on it
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1: there is no list.
 */
int leftovers_begin(const struct container *c, const struct leftovers *what,
		    struct svmdk_error *err);

/**
 * leftovers_rewrite() - have a list name other files, before it is followed
 * @c: the container, locked; leftovers_begin() has run
 * @what: what is on it now
 * @err: filled on failure, with @err->file
 *
 * For a command that failed, and knows what it has not made: another program may have.
 * Returns 0 or -1: the list is as it was.
 */
int leftovers_rewrite(const struct container *c, const struct leftovers *what,
		      struct svmdk_error *err);

/**
 * leftovers_end() - remove the list: the work is done
 * @c: the container, locked
 * @err: filled on failure, with @err->file
 *
 * The files that it named are no longer looked after. No list is fine. Returns
 * 0 or -1.
 */
int leftovers_end(const struct container *c, struct svmdk_error *err);

/**
 * leftovers_recover() - apply the rule to what an interrupted command left
 * @c: the container, locked, so that what it says is in force
 * @found: filled; may be NULL
 * @err: filled on failure, with @err->file
 *
 * Also removes what a replacement of the descriptor, the manifest or the sidecar
 * left that was killed. Costs a few failed opens when there is nothing, which is
 * the rule. Where an extent is missing nothing is cleared up, and @err->code is ENOENT; it is
 * ESTALE where the descriptor is of before what was done (LEFTOVERS_DONE). Returns 0, or -1:
 * the list is there still, and another try goes on.
 */
int leftovers_recover(const struct container *c, struct leftovers_found *found,
		      struct svmdk_error *err);

/**
 * leftovers_check() - whether a list says that the descriptor is not the last one
 * @c: the container, locked or attached
 * @err: filled when it does, as by leftovers_recover(); @err->code is ESTALE
 *
 * For who only reads. A list that may not be followed says nothing. Changes nothing. Returns
 * 0 or -1.
 */
int leftovers_check(const struct container *c, struct svmdk_error *err);

/**
 * leftovers_note_done() - have a list say what is done, before old files go
 * @c: the container, locked; its list is there
 * @sectors: as @done of struct leftovers; less than it says already changes nothing
 * @err: filled on failure, with @err->file
 *
 * On disk when it returns. Returns 0 or -1.
 */
int leftovers_note_done(const struct container *c, uint64_t sectors, struct svmdk_error *err);

/**
 * leftovers_are_about() - whether a list is about the container that a descriptor is of
 * @d: the descriptor in force
 * @text: of the list, whole, behind the line that says which file it is
 *
 * It is the old descriptor, the new one, or one on the way.
 */
bool leftovers_are_about(const struct descriptor *d, const char *text);

/**
 * leftovers_refuse_older() - refuse a descriptor of before what a list says is done
 * @c: the container
 * @text: as for leftovers_are_about()
 * @missing: an extent whose file is not there, or NULL
 * @err: filled when it is refused, with the descriptor's file and the extent's line
 *
 * Somebody put it there since. Returns 0, or -1; always that where an extent is missing.
 */
int leftovers_refuse_older(const struct container *c, const char *text,
			   const struct extent *missing, struct svmdk_error *err);

/**
 * leftovers_done_line() - say where the first sectors of a disk lie
 * @d: the descriptor in force
 * @sectors: how many
 * @line: set to a line of LEFTOVERS_DONE
 *
 * Returns 0, or -1 with errno set.
 */
int leftovers_done_line(const struct descriptor *d, uint64_t sectors, char line[DONE_LEN]);

/**
 * leftovers_done_by() - how much is done where a descriptor is in force
 * @d: it
 * @text: as for leftovers_are_about()
 *
 * What is made takes the place of the disk from its first sector on. Returns sectors.
 */
uint64_t leftovers_done_by(const struct descriptor *d, const char *text);

/**
 * leftovers_precede() - whether a file was changed since a list was written
 * @list: status of the list
 * @st: of the file
 *
 * Or perhaps so: a clock has its steps.
 */
bool leftovers_precede(const struct stat *list, const struct stat *st);

/**
 * leftovers_stat() - look at a name of a list or an extent's, and nothing that it leads to
 * @c: the container
 * @name: as the list or the descriptor has it
 * @folder: the open folder that it is in
 * @base: its name there, to be freed
 * @st: its status
 * @err: filled on failure, without a place; @err->code is ENOENT when there is none
 *
 * Returns 0 or -1; then nothing is open.
 */
int leftovers_stat(const struct container *c, const char *name, int *folder, char **base,
		   struct stat *st, struct svmdk_error *err);

/**
 * leftovers_has_line() - whether a list names a file
 * @text: as for leftovers_are_about()
 * @key: LEFTOVERS_MADE, or another one of these
 * @name: of the file, as the descriptor has it
 */
bool leftovers_has_line(const char *text, const char *key, const char *name);

/**
 * leftovers_name() - name of a container's list
 * @descriptor: the descriptor's own, without a folder
 *
 * In the descriptor's folder. Returns a string to be freed; NULL when there is
 * no memory.
 */
char *leftovers_name(const char *descriptor);

/**
 * leftovers_home_line() - say which folder a container's list is in
 * @c: the container
 * @line: set to a line of LEFTOVERS_HOME
 *
 * Returns 0, or -1 with errno set.
 */
int leftovers_home_line(const struct container *c, char line[SELF_LEN]);

/**
 * leftovers_open() - open a container's list, if it is one that may be followed
 * @c: the container
 * @name: of the list
 * @fd: set to it; -1 when there is none
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int leftovers_open(const struct container *c, const char *name, int *fd, struct svmdk_error *err);

/**
 * leftovers_read() - read the whole of a list
 * @fd: the list
 * @length: set to its length, in bytes
 *
 * Returns its text, NUL-terminated and to be freed; or NULL with errno set.
 */
char *leftovers_read(int fd, size_t *length);

/**
 * leftovers_are_complete() - whether a list was written to its end
 * @text: of it
 * @length: of that, as leftovers_read() set it
 */
bool leftovers_are_complete(const char *text, size_t length);

#endif /* SVMDK_LEFTOVERS_H */
