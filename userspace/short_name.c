// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "message.h"
#include "short_name.h"

#define SUFFIX ".vmdk"

/* What udev allows; of other alphabets everything that is UTF-8. */
static bool is_allowed(unsigned char c)
{
	return c >= 0x80 || (c && strchr("0123456789"
					 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "abcdefghijklmnopqrstuvwxyz"
					 "#+-.:=@_",
					 c));
}

int short_name(char name[SVMDK_NAME_LEN], const char *file)
{
	const size_t suffix = strlen(SUFFIX);
	char *escaped = message_escape(file); /* now what is not ASCII is UTF-8 */
	size_t length, i;

	if (!escaped)
		return -1;
	length = strlen(escaped);
	if (length > suffix && strcasecmp(escaped + length - suffix, SUFFIX) == 0)
		length -= suffix;
	if (length > SVMDK_NAME_LEN - 1) {
		length = SVMDK_NAME_LEN - 1;
		/* Never amid a character, whose later bytes are 10xxxxxx. */
		while (length && ((unsigned char)escaped[length] & 0xc0) == 0x80)
			length--;
	}
	for (i = 0; i < length; i++)
		name[i] = is_allowed(escaped[i]) ? escaped[i] : '_';
	if (!length)
		name[length++] = '_';
	name[length] = '\0';
	free(escaped);
	return 0;
}
