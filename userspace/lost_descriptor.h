/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_LOST_DESCRIPTOR_H
#define SVMDK_LOST_DESCRIPTOR_H

#include <stdbool.h>
#include "command.h"
#include "message.h"
#include "safe_open.h"

/**
 * enum lost - what became of a descriptor that may be lost
 * @LOST_NOT: it is there, and as the manifest says
 * @LOST_LEFT: it differs, but not by damage, so it was left as it is
 * @LOST_HEALED: it was damaged or missing, and a copy is in its place
 */
enum lost {
	LOST_NOT,
	LOST_LEFT,
	LOST_HEALED,
};

/**
 * lost_descriptor_heal() - put a descriptor back that is damaged or missing
 * @args: the descriptor, which need not be one any more, and where extents may be
 * @from: where the copy may be, under the same name
 * @modified: also one that another program wrote
 * @reason: set to why it was left, or what was wrong with it; a string that
 *	stays
 * @lost: set to what became of it
 * @err: filled on failure, with @err->file
 *
 * For this the descriptor need not be understood, for it may be none any more: its
 * bytes are compared with the manifest. Refuses when it is attached or another
 * svmdk command is at work on it, and to put one back that the disk has outgrown:
 * of before what the sidecar says was changed, or without extents that are there;
 * see later_extents.h. Returns 0 or -1.
 */
int lost_descriptor_heal(const struct container_args *args, const struct open_policy *from,
			 bool modified, const char **reason, enum lost *lost,
			 struct svmdk_error *err);

#endif /* SVMDK_LOST_DESCRIPTOR_H */
