// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <langinfo.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

#define MAX_ESCAPED (4 * 4 + 1) /* four bytes as \xHH, and a NUL */

static void error_fill(struct svmdk_error *err, int code, const char *text)
{
	err->code = code;
	err->line = 0;
	err->file[0] = '\0';
	snprintf(err->text, sizeof(err->text), "%s", text);
}

int error_set(struct svmdk_error *err, int code, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_fill(err, code, text);
	return -1;
}

int error_errno(struct svmdk_error *err, int code, const char *format, ...)
{
	char what[sizeof(err->text) - 64];
	char text[sizeof(err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(text, sizeof(text), "%s: %s", what, strerror(code));
	error_fill(err, code, text);
	return -1;
}

int error_at(struct svmdk_error *err, const char *file, unsigned int line)
{
	/* It may be said again where it is. */
	if (file != err->file)
		snprintf(err->file, sizeof(err->file), "%s", file ? file : "");
	err->line = line;
	return -1;
}

int error_add(struct svmdk_error *err, const char *format, ...)
{
	size_t length = strlen(err->text);
	va_list args;

	va_start(args, format);
	vsnprintf(err->text + length, sizeof(err->text) - length, format, args);
	va_end(args);
	return -1;
}

/* Length of the character that begins at @s, in bytes; 0 if it is no UTF-8. */
static size_t utf8_decode(const unsigned char *s, uint32_t *character)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = s[0];
	size_t length, i;

	if (c < 0x80) {
		*character = c;
		return 1;
	}
	if (c >= 0xc2 && c < 0xe0)
		length = 2;
	else if (c >= 0xe0 && c < 0xf0)
		length = 3;
	else if (c >= 0xf0 && c < 0xf5)
		length = 4;
	else
		return 0;
	c &= 0x7fU >> length;
	for (i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < lowest[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*character = c;
	return length;
}

/* What moves the cursor, has no width, or makes text read another way round. */
static bool is_deceptive(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe007f);
}

/* The next character of @s, made fit: at most MAX_ESCAPED bytes. Moves @s on. */
static size_t escape_next(const unsigned char **s, bool utf8, char *to)
{
	size_t length, i, end = 0;
	uint32_t c;

	length = utf8_decode(*s, &c);
	if (length && !is_deceptive(c) && (utf8 || length == 1) && !(c == '\\' && (*s)[1] == 'x')) {
		memcpy(to, *s, length);
		*s += length;
		return length;
	}
	for (i = length ? length : 1; i; i--)
		end += sprintf(to + end, "\\x%02x", *(*s)++);
	return end;
}

static char *escape(const char *bytes, bool utf8)
{
	const unsigned char *s = (const unsigned char *)bytes;
	char *out = malloc(4 * strlen(bytes) + 1);
	char *to = out;

	if (!out)
		return NULL;
	while (*s)
		to += escape_next(&s, utf8, to);
	*to = '\0';
	return out;
}

char *message_escape(const char *bytes)
{
	return escape(bytes, true);
}

void message_print(const char *bytes)
{
	const unsigned char *s = (const unsigned char *)bytes;
	char text[MAX_ESCAPED];
	size_t length;

	while (*s) {
		length = escape_next(&s, true, text);
		fwrite(text, 1, length, stdout);
	}
}

/* A terminal that is not set to UTF-8 may read its bytes as commands. */
static char *escape_for_locale(const char *bytes)
{
	return escape(bytes, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
}

static void print_line(const char *file, unsigned int line, const char *kind, const char *text)
{
	char *safe_file = file && *file ? escape_for_locale(file) : NULL;
	char *safe_text = escape_for_locale(text);
	char number[16] = "";

	if (line)
		snprintf(number, sizeof(number), "%u:", line);
	fprintf(stderr, "svmdk: %s%s%s%s%s%s\n", safe_file ? safe_file : "", safe_file ? ":" : "",
		safe_file ? number : "", safe_file ? " " : "", kind,
		safe_text ? safe_text : "out of memory");
	free(safe_file);
	free(safe_text);
}

void error_print(const struct svmdk_error *err)
{
	print_line(err->file, err->line, "", err->text);
}

static void print_format(const char *file, unsigned int line, const char *kind, const char *format,
			 va_list args) __attribute__((format(printf, 4, 0)));

static void print_format(const char *file, unsigned int line, const char *kind, const char *format,
			 va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	print_line(file, line, kind, text ? text : "out of memory");
	free(text);
}

void message_error(const char *file, unsigned int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_format(file, line, "", format, args);
	va_end(args);
}

void message_warn(const char *file, unsigned int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_format(file, line, "warning: ", format, args);
	va_end(args);
}

void message_note(const char *file, unsigned int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_format(file, line, "note: ", format, args);
	va_end(args);
}
