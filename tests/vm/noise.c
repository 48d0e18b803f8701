// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * So many bytes (k, K and M are understood) that nobody has seen before, at thirty
 * times the speed of /dev/urandom in a guest without hardware of its own. They are
 * to be unlike any others, not to be secret: xorshift64, seeded by the kernel.
 */
#include <sys/random.h>

#include "raw.h"

static uint64_t block[8192];

static uint64_t bytes(const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 10);

	if (*end == 'K' || *end == 'k')
		return number << 10;
	if (*end == 'M')
		return number << 20;
	if (*end)
		FAIL("not a number of bytes: %s", text);
	return number;
}

int main(int argc, char **argv)
{
	uint64_t state, left;
	ssize_t written;
	size_t length, at, i;

	CHECK(argc == 2);
	left = bytes(argv[1]);
	/* All zeroes would stay so. */
	do {
		CHECK(getrandom(&state, sizeof(state), 0) == sizeof(state));
	} while (!state);
	for (; left; left -= length) {
		for (i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			block[i] = state;
		}
		length = left < sizeof(block) ? left : sizeof(block);
		for (at = 0; at < length; at += written) {
			written = write(STDOUT_FILENO, (char *)block + at, length - at);
			CHECK(written > 0);
		}
	}
	return 0;
}
