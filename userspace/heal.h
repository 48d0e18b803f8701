/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_HEAL_H
#define SVMDK_HEAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include "hash.h"
#include "message.h"
#include "progress.h"
#include "safe_open.h"

/**
 * struct healing - a file that is to be replaced by a copy of what it was
 * @to: where the file may be
 * @from: where the copy may be, under the same name
 * @name: of both, as the descriptor has it
 * @hash: what the copy must have
 * @need: bytes that it must have at least, for the descriptor says so; or 0
 * @mtime: what the file gets, or NULL for the copy's
 * @like: status of a file whose owner and mode it gets when it is missing, or
 *	NULL for the copy's
 * @missing: there was nothing of that name, and what has come since is not replaced
 * @progress: begun, for bytes
 * @done: bytes of these done; goes on
 */
struct healing {
	const struct open_policy *to;
	const struct open_policy *from;
	const char *name;
	const unsigned char *hash;
	uint64_t need;
	const struct timespec *mtime;
	const struct stat *like;
	bool missing;
	struct progress *progress;
	uint64_t done;
};

/**
 * heal_file() - replace a file by a copy of what it was
 * @h: which
 * @err: filled on failure; @err->code is EBADMSG when the copy has another hash,
 *	ESTALE when it is shorter than the file has to be, EINTR when interrupt_seen(), EBUSY when another process repairs the same file
 *
 * The copy is hashed while it is copied beside the file, and only takes its
 * place when the hash is right and all of it is on stable storage, and when
 * nothing else has come by the file's name meanwhile. Returns 0 or -1: the file
 * is as it was, unless only the last fsync of its folder failed.
 */
int heal_file(struct healing *h, struct svmdk_error *err);

/**
 * heal_clear() - remove what an interrupted heal_file() left
 * @to: where the file may be
 * @name: of the file that was to be replaced
 *
 * What another one is filling is left alone.
 */
void heal_clear(const struct open_policy *to, const char *name);

#endif /* SVMDK_HEAL_H */
