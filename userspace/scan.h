/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_SCAN_H
#define SVMDK_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "message.h"

/**
 * struct scan - what is left to read of a line; no newline is in it
 * @at: the next byte
 * @end: one past the last
 */
struct scan {
	const char *at;
	const char *end;
};

/**
 * struct piece - some bytes of a line
 * @at: the first byte
 * @length: number of bytes
 */
struct piece {
	const char *at;
	size_t length;
};

/* Fits `%.*s`: a piece of at most 80 bytes, so that messages stay readable. */
#define PIECE_ARGS(p) (int)((p).length < 80 ? (p).length : 80), (p).at

/**
 * scan_blanks() - skip blanks and tabs
 * @s: the line
 *
 * Returns whether anything is left.
 */
bool scan_blanks(struct scan *s);

/**
 * scan_word() - take what is there up to the next blank or quote
 * @s: the line
 * @word: set to it; empty at the end of the line or before a quote
 *
 * Skips blanks first.
 */
void scan_word(struct scan *s, struct piece *word);

/**
 * scan_quoted() - take what is between quotes
 * @s: the line; a quote is the next byte
 * @inside: set to what is between
 * @what: what it is, for @err
 * @err: filled on failure
 *
 * There is no escape for a quote. After the second quote a blank or the end
 * of the line must follow. Returns 0 or -1.
 */
int scan_quoted(struct scan *s, struct piece *inside, const char *what, struct svmdk_error *err);

/**
 * scan_number() - understand a word as a decimal number
 * @word: the word
 * @what: what it is, for @err
 * @value: set to it
 * @err: filled on failure: a sign, other junk, too large, or nothing
 *
 * Returns 0 or -1.
 */
int scan_number(const struct piece *word, const char *what, uint64_t *value,
		struct svmdk_error *err);

/**
 * piece_is() - whether a piece reads as a keyword
 * @p: the piece
 * @keyword: any case
 */
bool piece_is(const struct piece *p, const char *keyword);

/**
 * piece_copy() - make a string of a piece
 * @p: the piece
 *
 * Returns a string to be freed; NULL when there is no memory.
 */
char *piece_copy(const struct piece *p);

#endif /* SVMDK_SCAN_H */
