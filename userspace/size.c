// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "size.h"

__extension__ typedef unsigned __int128 wide;

/* Bytes in one of @suffix, which is the whole rest of the text; or 0. */
static uint64_t suffix_bytes(const char *suffix)
{
	static const char letters[] = "bkmgtpe";
	const char *letter;

	if (!*suffix)
		return 1;
	if (suffix[1])
		return 0;
	if (*suffix == 's' || *suffix == 'S')
		return SECTOR_SIZE;
	letter = strchr(letters, *suffix | 0x20);
	return letter ? UINT64_C(1) << 10 * (letter - letters) : 0;
}

/* Reads digits; returns how many, and at most 18 or 20 of them count. */
static int read_digits(const char **text, uint64_t *value)
{
	int digits = 0;

	*value = 0;
	for (; **text >= '0' && **text <= '9'; (*text)++, digits++) {
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, **text - '0', value))
			return -1;
	}
	return digits;
}

int size_parse(const char *text, uint64_t *bytes, struct svmdk_error *err)
{
	uint64_t whole, fraction = 0, unit, scale = 1;
	int digits, decimals = 0;
	const char *at = text;
	wide total;

	digits = read_digits(&at, &whole);
	if (digits > 0 && *at == '.') {
		at++;
		decimals = read_digits(&at, &fraction);
		if (decimals == 0)
			return error_set(err, EINVAL, "%s is no size; try 128M or 6G", text);
	}
	if (digits == 0)
		return error_set(err, EINVAL, "%s is no size; try 128M or 6G", text);
	if (digits < 0 || decimals < 0 || decimals > 18)
		return error_set(err, ERANGE, "size %s has too many digits", text);

	unit = suffix_bytes(at);
	if (!unit)
		return error_set(
			err, EINVAL,
			"size %s has an unknown suffix; use s (sectors), K, M, G, T, P, E, or none (bytes)",
			text);
	while (decimals--)
		scale *= 10;
	total = (wide)whole * unit + (wide)fraction * unit / scale;
	if (total >= (wide)1 << 63)
		return error_set(err, ERANGE, "size %s is too large: 2^63 bytes or more", text);
	if ((wide)fraction * unit % scale || total % SECTOR_SIZE)
		return error_set(err, EINVAL, "size %s is not a whole number of 512-byte sectors",
				 text);
	*bytes = total;
	return 0;
}

const char *size_format(char text[SIZE_TEXT_LEN], uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	unsigned int unit = 0;
	wide tenths;

	while (unit < sizeof(units) - 2 && bytes >> 10 * (unit + 1))
		unit++;
	tenths = ((wide)bytes * 10 + ((wide)1 << 10 * unit) / 2) >> 10 * unit;
	if (tenths >= 10240 && unit < sizeof(units) - 2) {
		tenths = 10;
		unit++;
	}
	if (tenths % 10)
		snprintf(text, SIZE_TEXT_LEN, "%u.%u%c", (unsigned int)(tenths / 10),
			 (unsigned int)(tenths % 10), units[unit]);
	else
		snprintf(text, SIZE_TEXT_LEN, "%u%c", (unsigned int)(tenths / 10), units[unit]);
	return text;
}
