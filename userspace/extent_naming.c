// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "extent_naming.h"
#include "replace.h"

/* X-f012.vmdk is number 12 of X; what has another name says nothing. */
static bool split_name(const char *base, size_t *stem_length, uint64_t *number)
{
	const char *dash = strrchr(base, '-');
	unsigned int parsed;
	int length = 0;

	if (!dash || dash == base || sscanf(dash, "-f%9u.vmdk%n", &parsed, &length) != 1 ||
	    !length || dash[length] || strspn(dash + 2, "0123456789") < 3)
		return false;
	*stem_length = dash - base;
	*number = parsed;
	return true;
}

char *extent_stem(const char *self)
{
	size_t length;

	if (strncmp(self, REPLACE_PREFIX, strlen(REPLACE_PREFIX)) == 0)
		self += strlen(REPLACE_PREFIX);
	length = strlen(self);
	if (length > 5 && strcasecmp(self + length - 5, ".vmdk") == 0)
		length -= 5;
	return strndup(self, length);
}

int extent_naming_find(struct extent_naming *n, const char *last, const char *self,
		       size_t nr_extents, struct svmdk_error *err)
{
	const char *slash = last ? strrchr(last, '/') : NULL;
	const char *base = slash ? slash + 1 : last;
	size_t length;

	*n = (struct extent_naming){ .number = nr_extents };
	n->folder = slash ? strndup(last, slash + 1 - last) : strdup("");
	if (base && split_name(base, &length, &n->number))
		n->stem = strndup(base, length);
	else
		n->stem = extent_stem(self);
	return n->folder && n->stem ? 0 : error_errno(err, ENOMEM, "cannot name its extents");
}

uint64_t extent_naming_number(const struct extent_naming *n, const char *base)
{
	uint64_t number;
	size_t length;

	if (!split_name(base, &length, &number) || length != strlen(n->stem) ||
	    strncmp(base, n->stem, length))
		return 0;
	return number;
}

/* X, or X-2 and so on, of which the first that is free is taken. */
static const char *skip_series(const char *base, const char *stem)
{
	const size_t length = strlen(stem);
	size_t digits;

	if (strncmp(base, stem, length))
		return NULL;
	base += length;
	digits = *base == '-' ? strspn(base + 1, "0123456789") : 0;
	if (!digits || base[1] == '0' || strncmp(base, "-1-", 3) == 0)
		return base;
	return base + 1 + digits;
}

bool extent_naming_is_of_resplit(const char *stem, const char *base, bool *flat)
{
	const char *end = skip_series(base, stem);
	uint64_t number;
	size_t length;

	*flat = end && strcmp(end, "-flat.vmdk") == 0;
	return *flat || (end && split_name(base, &length, &number) && base + length == end);
}

void extent_naming_free(struct extent_naming *n)
{
	free(n->folder);
	free(n->stem);
	*n = (struct extent_naming){ 0 };
}
