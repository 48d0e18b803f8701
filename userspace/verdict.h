/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_VERDICT_H
#define SVMDK_VERDICT_H

#include <stdbool.h>
#include <stdint.h>
#include "marks.h"
#include "message.h"

/**
 * enum verdict - what reading a file and what is known of it say together
 * @VERDICT_INTACT: it has the bytes of the manifest
 * @VERDICT_CHANGED: it has others, written through svmdk since: as expected
 * @VERDICT_MODIFIED: it has others, and size or mtime say that another program
 *	wrote them
 * @VERDICT_DAMAGED: it has others, though size and mtime say that nothing wrote
 *	them; or it is missing, short or unreadable
 */
enum verdict {
	VERDICT_INTACT,
	VERDICT_CHANGED,
	VERDICT_MODIFIED,
	VERDICT_DAMAGED,
	NR_VERDICTS,
};

#define NO_OFFSET UINT64_MAX

/**
 * struct finding - a verdict and its reason
 * @verdict: the verdict
 * @reason: in few words, NULL when it is intact
 * @offset: where it cannot be read, in bytes, or NO_OFFSET
 * @other_line: the manifest is older than the sidecar, or was altered: the file is as it was
 *	hashed, but not as that says; or its line is gone
 */
struct finding {
	enum verdict verdict;
	char *reason;
	uint64_t offset;
	bool other_line;
};

/**
 * verdicts_find() - read all files of a container and judge them
 * @m: its marks, with a manifest; the driver was asked
 * @findings: set to an array, one a file, for verdicts_free()
 * @err: filled on failure; @err->code is EINTR when interrupt_seen()
 *
 * Shows progress. Returns 0, or -1 when it did not come to the end.
 */
int verdicts_find(struct marks *m, struct finding **findings, struct svmdk_error *err);

/**
 * verdicts_free() - free what verdicts_find() made
 * @findings: the array, or NULL
 * @nr: of the files
 */
void verdicts_free(struct finding *findings, size_t nr);

/**
 * verdicts_say_lines() - say that the manifest has other lines than it should
 * @m: its marks
 * @nr: how many files have @other_line; nothing is said when none has
 */
void verdicts_say_lines(const struct marks *m, size_t nr);

/**
 * verdict_text() - a verdict in one word
 * @verdict: which
 */
const char *verdict_text(enum verdict verdict);

#endif /* SVMDK_VERDICT_H */
