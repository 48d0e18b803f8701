/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_COPY_CLAIMS_H
#define SVMDK_COPY_CLAIMS_H

#include "copy_set.h"
#include "message.h"

/**
 * copy_claims_check() - whether a copy would take the place of another container's files
 * @set: the files to be copied, with the folder to copy to; they were surveyed, and those
 *	that are current are no matter
 * @err: filled on failure, with the folder as @err->file; @err->code is EEXIST then
 *
 * A file that the copy there is named by is its own. Of the others no descriptor in that
 * folder names one that exists, and no list of leftovers has one, made or not: who follows
 * it would remove it. Returns 0 or -1.
 */
int copy_claims_check(const struct copy_set *set, struct svmdk_error *err);

#endif /* SVMDK_COPY_CLAIMS_H */
