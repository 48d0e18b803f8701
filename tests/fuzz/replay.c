// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/*
 * Run a target over files, without libFuzzer: for any compiler, and to count the
 * lines that a corpus reaches.
 *
 * usage: replay_NAME FOLDER…
 */
#include <dirent.h>
#include <fcntl.h>

#include "fuzz.h"

/* In the folder, wherever the target has gone meanwhile. */
static void run_file(int folder, const char *name)
{
	static char bytes[1 << 20];
	size_t length;
	char *exact;
	FILE *f;

	f = fdopen(openat(folder, name, O_RDONLY | O_CLOEXEC), "r");
	HOLDS(f);
	length = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	exact = malloc(length + 1);
	HOLDS(exact);
	memcpy(exact, bytes, length);
	LLVMFuzzerTestOneInput((uint8_t *)exact, length);
	free(exact);
}

int main(int argc, char **argv)
{
	unsigned long files = 0;
	struct dirent *entry;
	DIR *folder;
	int i;

	for (i = 1; i < argc; i++) {
		folder = opendir(argv[i]);
		HOLDS(folder);
		while ((entry = readdir(folder))) {
			if (*entry->d_name == '.')
				continue;
			run_file(dirfd(folder), entry->d_name);
			files++;
		}
		closedir(folder);
	}
	printf("%lu inputs\n", files);
	return files ? 0 : 1;
}
