// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Attach and detach disks of two extents, many times, as fast as the driver
 * can: mapped and through the file system in turn, with a write in each that
 * has something to leave behind. Most of the time is spent waiting for the
 * kernel's grace periods, so several do it at once.
 */
#include <sys/stat.h>

#include "raw.h"

#define WORKERS 4

static void write_sector(uint32_t index, uint64_t sector)
{
	char path[32], *buffer;
	int fd;

	CHECK(posix_memalign((void **)&buffer, 4096, 4096) == 0);
	memset(buffer, 3, 4096);
	snprintf(path, sizeof(path), "/dev/svmdk%u", index);
	fd = open_file(path, O_RDWR | O_DIRECT);
	CHECK(pwrite(fd, buffer, 4096, sector * 512) == 4096);
	CHECK(fsync(fd) == 0);
	close(fd);
	free(buffer);
}

static void attach_and_detach(unsigned long round)
{
	const enum svmdk_io io = round % 2 ? SVMDK_IO_FILE : SVMDK_IO_MAPPED;
	struct svmdk_ioc_commit end;
	int control = open_control();

	WANT(0, create(control, -1));
	WANT(0, add_file(control, "one", io));
	WANT(0, add_file(control, "two", io));
	if (io == SVMDK_IO_MAPPED) {
		WANT(0, set_runs_of(control, 0, "one"));
		WANT(0, set_runs_of(control, 1, "two"));
	}
	WANT(0, commit(control, &end));
	write_sector(end.index, round % (2 * FILE_SECTORS / 8) * 8);
	WANT(0, detach(control, end.index));
	close(control);
}

/* In a folder of its own. */
static void work(unsigned int worker, unsigned long rounds)
{
	char folder[16];
	unsigned long round;

	snprintf(folder, sizeof(folder), "%u", worker);
	CHECK(mkdir(folder, 0700) == 0 || errno == EEXIST);
	CHECK(chdir(folder) == 0);
	make_files();
	for (round = 0; round < rounds; round++)
		attach_and_detach(round);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned int worker;
	int state;

	if (!rounds || chdir(argv[2])) {
		fprintf(stderr, "usage: rounds NUMBER FOLDER\n");
		return 2;
	}
	make_files();
	for (worker = 0; worker < WORKERS; worker++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (!pid) {
			work(worker, rounds / WORKERS);
			_exit(0);
		}
	}
	for (worker = 0; worker < WORKERS; worker++)
		CHECK(wait(&state) > 0 && WIFEXITED(state) && WEXITSTATUS(state) == 0);
	check_nothing_left();
	return 0;
}
