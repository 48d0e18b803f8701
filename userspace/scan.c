// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "scan.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool scan_blanks(struct scan *s)
{
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
	return s->at < s->end;
}

void scan_word(struct scan *s, struct piece *word)
{
	scan_blanks(s);
	word->at = s->at;
	while (s->at < s->end && !is_blank(*s->at) && *s->at != '"')
		s->at++;
	word->length = s->at - word->at;
}

int scan_quoted(struct scan *s, struct piece *inside, const char *what, struct svmdk_error *err)
{
	const char *first = s->at + 1;
	const char *quote = memchr(first, '"', s->end - first);

	if (!quote)
		return error_set(err, EINVAL, "the quote that begins %s never ends", what);
	if (quote + 1 < s->end && !is_blank(quote[1]) && (quote == first || quote[1] == '"'))
		return error_set(err, EINVAL, "doubled quotes around %s; write one pair", what);
	if (quote + 1 < s->end && !is_blank(quote[1]))
		return error_set(err, EINVAL, "there is text right after the quotes around %s",
				 what);
	inside->at = first;
	inside->length = quote - first;
	s->at = quote + 1;
	return 0;
}

int scan_number(const struct piece *word, const char *what, uint64_t *value,
		struct svmdk_error *err)
{
	size_t i;

	if (!word->length)
		return error_set(err, EINVAL, "%s is missing", what);
	if (word->at[0] == '-' || word->at[0] == '+')
		return error_set(err, EINVAL, "%s has a sign: %.*s", what, PIECE_ARGS(*word));
	*value = 0;
	for (i = 0; i < word->length; i++) {
		if (!isdigit((unsigned char)word->at[i]))
			return error_set(err, EINVAL, "%s is no number: %.*s", what,
					 PIECE_ARGS(*word));
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, word->at[i] - '0', value))
			return error_set(err, ERANGE, "%s is too large: %.*s", what,
					 PIECE_ARGS(*word));
	}
	return 0;
}

bool piece_is(const struct piece *p, const char *keyword)
{
	return strlen(keyword) == p->length && strncasecmp(p->at, keyword, p->length) == 0;
}

char *piece_copy(const struct piece *p)
{
	return strndup(p->at, p->length);
}
