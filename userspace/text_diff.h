/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_TEXT_DIFF_H
#define SVMDK_TEXT_DIFF_H

#include <stdio.h>

/**
 * text_diff() - print what changes from one text to another, as diff -u does
 * @to: where to
 * @name: of the file, for the two lines at the top
 * @old: the one text, without NULs
 * @new: the other
 *
 * Made for texts that differ in a few blocks; it finds a way from one to the
 * other that patch(1) takes, if not always the shortest. Prints nothing when
 * they are equal. Returns 0, or -1 when there is no memory.
 */
int text_diff(FILE *to, const char *name, const char *old, const char *new);

#endif /* SVMDK_TEXT_DIFF_H */
