/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_RESPLIT_JOB_H
#define SVMDK_RESPLIT_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "container.h"
#include "message.h"
#include "old_files.h"
#include "progress.h"
#include "resplit_plan.h"
#include "transfer.h"

/* A step of --low-space takes no more than this in one piece, */
#define STEP_MAX_SECTORS ((UINT64_C(2) << 30) >> 9)
/* and goes on with further pieces up to this. */
#define STEP_GROUP_SECTORS ((UINT64_C(128) << 20) >> 9)

/**
 * struct resplit_job - a container that gets another shape
 * @c: the container
 * @plan: from which shape to which
 * @old: its files
 * @begun: how much of the disk is in new extents already, in sectors
 * @holes: what becomes of what was never written
 * @low_space: step by step
 * @compare: read what was copied
 * @transfer: copies
 * @progress: how far it is
 * @shared: some blocks were shared
 * @marks_dropped: there was a manifest, and is none any more
 * @unclear: the descriptor was perhaps replaced, and perhaps not; or the list of leftovers
 *	names what this run did not make. What is left over is not cleared up now.
 */
struct resplit_job {
	struct container c;
	struct resplit_plan plan;
	struct old_files old;
	uint64_t begun;
	enum transfer_holes holes;
	bool low_space;
	bool compare;
	struct transfer transfer;
	struct progress progress;
	bool shared;
	bool marks_dropped;
	bool unclear;
};

/**
 * struct resplit_room - what a file system needs to have
 * @folder: of the first new extent there, as the descriptor names it, with its
 *	slash; "" for the descriptor's own
 * @dev: the file system
 * @need: bytes
 * @free: bytes; UINT64_MAX when it does not say
 */
struct resplit_room {
	char *folder;
	dev_t dev;
	uint64_t need;
	uint64_t free;
};

/**
 * struct resplit_rooms - all of them
 * @list: array
 * @nr: number of these
 */
struct resplit_rooms {
	struct resplit_room *list;
	size_t nr;
};

/**
 * resplit_rooms_find() - find out how much room is needed
 * @rooms: filled, to be freed
 * @job: planned, its files open
 * @low_space: for a step of --low-space; else for all of it
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int resplit_rooms_find(struct resplit_rooms *rooms, const struct resplit_job *job, bool low_space,
		       struct svmdk_error *err);

/**
 * resplit_rooms_check() - fail when there is too little
 * @rooms: as they were found
 * @job: the same
 * @err: filled on failure, with @err->file; @err->code is ENOSPC
 *
 * Returns 0 or -1.
 */
int resplit_rooms_check(const struct resplit_rooms *rooms, const struct resplit_job *job,
			struct svmdk_error *err);

/**
 * resplit_rooms_free() - free what resplit_rooms_find() made
 * @rooms: all zero afterwards
 */
void resplit_rooms_free(struct resplit_rooms *rooms);

/**
 * resplit_text() - compose the descriptor of a container that is on the way
 * @job: planned
 * @moved: how much of the disk is in new extents, in sectors
 * @text: set to it, to be freed
 * @length: set to its length in bytes
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int resplit_text(const struct resplit_job *job, uint64_t moved, char **text, size_t *length,
		 struct svmdk_error *err);

/**
 * resplit_switch() - put such a descriptor in force
 * @job: planned; what was moved is on stable storage, the folders too
 * @moved: how much of the disk is in new extents, in sectors
 * @err: filled on failure, with @err->file
 *
 * Drops the marks too. Returns 0 or -1, perhaps with @job->unclear.
 */
int resplit_switch(struct resplit_job *job, uint64_t moved, struct svmdk_error *err);

/**
 * resplit_drop_marks() - remove manifest and sidecar, which tell of files that are gone
 * @job: its descriptor was replaced
 */
void resplit_drop_marks(struct resplit_job *job);

/**
 * resplit_drop_old_marks() - remove them where they are of the old extents still
 * @job: an earlier run has replaced its descriptor, and was perhaps killed before it removed
 *	them
 *
 * There may be new ones since, or ones that nobody can tell of what they are; these stay.
 */
void resplit_drop_old_marks(struct resplit_job *job);

/**
 * resplit_choose_names() - give the new extents names that are free
 * @job: planned but for these, its files open; @job->begun is set
 * @err: filled on failure, with @err->file
 *
 * Those of an earlier run that was interrupted come first. Returns 0 or -1.
 */
int resplit_choose_names(struct resplit_job *job, struct svmdk_error *err);

/**
 * resplit_names_free() - whether nobody has the names of new extents yet
 * @job: planned
 * @free_names: set to it
 * @err: filled on failure, with @err->file
 *
 * That is no file, and no list of leftovers of another container. Returns 0 or -1.
 */
int resplit_names_free(const struct resplit_job *job, bool *free_names, struct svmdk_error *err);

/**
 * resplit_open_target() - open a new extent's file
 * @job: planned
 * @i: which one, from 0
 * @fd: set to it, open for reading and writing
 * @made: whether it was made now, with mode and owner of the old one; NULL when
 *	it is to be there
 * @err: filled on failure, with @err->file
 *
 * One that is there is opened only when the plan knows it. Returns 0 or -1.
 */
int resplit_open_target(struct resplit_job *job, size_t i, int *fd, bool *made,
			struct svmdk_error *err);

/**
 * resplit_undo() - remove the new extents that this run made and no descriptor names
 * @job: failed, and not @unclear
 *
 * First of all, for there may be no room for anything else. What cannot be removed is left
 * to leftovers_recover().
 */
void resplit_undo(struct resplit_job *job);

/**
 * resplit_sync_folders() - put the names of new files on stable storage
 * @job: planned
 * @first: the first of the new extents that were made
 * @end: one past the last
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int resplit_sync_folders(const struct resplit_job *job, size_t first, size_t end,
			 struct svmdk_error *err);

/**
 * resplit_bring() - bring a piece
 * @job: planned
 * @piece: it
 * @fd: file of the new extent
 * @shared: set to how many bytes of it need not be compared
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int resplit_bring(struct resplit_job *job, const struct resplit_piece *piece, int fd,
		  uint64_t *shared, struct svmdk_error *err);

/**
 * resplit_compare() - see whether a piece has arrived
 * @job: planned
 * @piece: it, brought and fsynced
 * @fd: file of the new extent
 * @shared: as resplit_bring() set it
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int resplit_compare(struct resplit_job *job, const struct resplit_piece *piece, int fd,
		    uint64_t shared, struct svmdk_error *err);

/**
 * resplit_settle() - have new extents that shared blocks with the old ones forget it
 * @job: done, and the old files closed
 * @wait: these were removed only now
 *
 * See transfer_settle(). Returns how many share blocks with yet other files.
 */
size_t resplit_settle(const struct resplit_job *job, bool wait);

/**
 * resplit_fail() - say of an extent what is wrong
 * @job: planned
 * @name: of the extent
 * @err: an error that is set; its text becomes that of the extent
 *
 * Returns -1 always.
 */
int resplit_fail(const struct resplit_job *job, const char *name, struct svmdk_error *err);

/**
 * resplit_by_copy() - make all new extents beside the old ones, then switch
 * @job: planned, and its files listed as leftovers
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1; what is no longer needed is left to leftovers_recover().
 */
int resplit_by_copy(struct resplit_job *job, struct svmdk_error *err);

/**
 * resplit_by_steps() - move the disk piece by piece
 * @job: planned, and its files listed as leftovers
 * @err: filled on failure, with @err->file
 *
 * Each step brings what one new extent has room for, puts a descriptor in force
 * that names new extents and what is left of the old ones, and gives back what
 * was moved. Returns 0 or -1; what is no longer needed is left to
 * leftovers_recover().
 */
int resplit_by_steps(struct resplit_job *job, struct svmdk_error *err);

/**
 * resplit_step_end() - where a step of --low-space ends that begins at a sector
 * @plan: the plan
 * @at: the sector, below the size of the disk
 */
uint64_t resplit_step_end(const struct resplit_plan *plan, uint64_t at);

/**
 * resplit_can_step() - whether files can be moved step by step
 * @job: planned, its files open
 * @err: filled on failure, with @err->file
 *
 * Returns 0 or -1.
 */
int resplit_can_step(const struct resplit_job *job, struct svmdk_error *err);

#endif /* SVMDK_RESPLIT_JOB_H */
