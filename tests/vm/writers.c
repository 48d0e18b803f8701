// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Writes, in rounds, to a disk or to files, and says of each round when all of it is
 * on stable storage. After a power cut it looks whether that was true.
 *
 * What a round writes follows from the seed and its number, and each sector says by
 * which round it was written, so that nothing has to be remembered but the number of
 * the last round that was acknowledged. A sector has to be of the last acknowledged
 * round that wrote it, or of a later one that wrote it too. Rounds may be written
 * once more: that changes nothing.
 *
 * Several writers share a disk, or a folder, each with sectors or files of its own;
 * so flushes of one come while another's writes are under way.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define SECTOR 512
#define MAX_WRITERS 16
#define MAX_RUNS 6
#define FILES 12 /* of each writer */
#define FILE_SECTORS 64 /* of each file */
#define RUN_SECTORS 48 /* at most */
#define REPLACING 5 /* each so-manieth round replaces a file */
#define SYNCHRONOUS 3 /* each so-manieth round needs no flush for its writes have FUA */

/**
 * struct writer - one of them: what is written, and where
 * @raw: to a disk; else to files
 * @path: the disk, or the folder
 * @fd: of it
 * @writer: which one of @writers, from 1
 * @writers: how many share the disk or the folder
 * @seed: of all chances
 * @base: its first sector on the disk
 * @objects: how many files; a disk is one
 * @sectors: of each
 * @buffer: as large as one, and fit for direct I/O
 */
struct writer {
	bool raw;
	const char *path;
	int fd;
	unsigned int writer;
	unsigned int writers;
	uint64_t seed;
	uint64_t base;
	unsigned int objects;
	uint64_t sectors;
	char *buffer;
};

/* What is written at once: sectors of an object. */
struct run {
	unsigned int object;
	uint64_t first;
	uint64_t count;
};

struct stamp {
	uint64_t writer;
	uint64_t object;
	uint64_t sector;
	uint64_t round;
	uint64_t noise[SECTOR / sizeof(uint64_t) - 4];
};

/* splitmix64 */
static uint64_t chance(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool replaces(const struct writer *l, uint64_t round)
{
	return !l->raw && round % REPLACING == 0;
}

static unsigned int runs_of(const struct writer *l, uint64_t round, struct run *runs)
{
	uint64_t state = l->seed ^ (uint64_t)l->writer << 56 ^ round << 20;
	unsigned int nr = 1 + chance(&state) % MAX_RUNS, i;

	if (replaces(l, round)) {
		runs[0] = (struct run){ chance(&state) % l->objects, 0, l->sectors };
		return 1;
	}
	for (i = 0; i < nr; i++) {
		runs[i].object = chance(&state) % l->objects;
		runs[i].count = 1 + chance(&state) % RUN_SECTORS;
		runs[i].first = chance(&state) % (l->sectors - runs[i].count + 1);
	}
	return nr;
}

static void make_stamp(const struct writer *l, unsigned int object, uint64_t sector, uint64_t round,
		       struct stamp *stamp)
{
	uint64_t state = l->seed ^ round << 32 ^ sector;
	size_t i;

	stamp->writer = l->writer;
	stamp->object = object;
	stamp->sector = sector;
	stamp->round = round;
	for (i = 0; i < sizeof(stamp->noise) / sizeof(stamp->noise[0]); i++)
		stamp->noise[i] = chance(&state);
}

static void fill(const struct writer *l, const struct run *run, uint64_t round)
{
	struct stamp *stamps = (struct stamp *)l->buffer;
	uint64_t i;

	for (i = 0; i < run->count; i++)
		make_stamp(l, run->object, run->first + i, round, &stamps[i]);
}

static void name_of(const struct writer *l, unsigned int object, char name[32])
{
	snprintf(name, 32, "%u-%u", l->writer, object);
}

static void write_run(const struct writer *l, int fd, const struct run *run, uint64_t round,
		      int flags)
{
	struct iovec iov = { l->buffer, run->count * SECTOR };

	fill(l, run, round);
	if (pwritev2(fd, &iov, 1, (l->base + run->first) * SECTOR, flags) != (ssize_t)iov.iov_len)
		error(1, errno, "%s: cannot write", l->path);
}

static void sync_or_die(const struct writer *l, int fd)
{
	if (fsync(fd))
		error(1, errno, "%s: cannot sync", l->path);
}

static void write_raw(const struct writer *l, const struct run *runs, unsigned int nr,
		      uint64_t round)
{
	bool synchronous = round % SYNCHRONOUS == 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		write_run(l, l->fd, &runs[i], round, synchronous ? RWF_DSYNC : 0);
	if (!synchronous)
		sync_or_die(l, l->fd);
}

static int open_object(const struct writer *l, const char *name)
{
	int fd = openat(l->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		error(1, errno, "%s/%s", l->path, name);
	return fd;
}

static void write_files(const struct writer *l, const struct run *runs, unsigned int nr,
			uint64_t round)
{
	int fds[MAX_RUNS];
	char name[32];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		name_of(l, runs[i].object, name);
		fds[i] = open_object(l, name);
		write_run(l, fds[i], &runs[i], round, 0);
	}
	for (i = 0; i < nr; i++) {
		sync_or_die(l, fds[i]);
		close(fds[i]);
	}
	/* Some of the names may be new. */
	sync_or_die(l, l->fd);
}

static void replace_file(const struct writer *l, const struct run *run, uint64_t round)
{
	char name[32], temporary[40];
	int fd;

	name_of(l, run->object, name);
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	fd = open_object(l, temporary);
	write_run(l, fd, run, round, 0);
	sync_or_die(l, fd);
	close(fd);
	if (renameat(l->fd, temporary, l->fd, name))
		error(1, errno, "%s/%s", l->path, name);
	sync_or_die(l, l->fd);
}

/* A message for the log-writes target: in its log from now on, behind what it has. */
static void mark(const char *mapping, unsigned int writer, uint64_t round)
{
	static int control = -1;
	union {
		struct dm_ioctl head;
		char bytes[1024];
	} arg = { 0 };
	struct dm_target_msg *message = (void *)(arg.bytes + sizeof(arg.head));

	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	arg.head.version[0] = DM_VERSION_MAJOR;
	arg.head.data_size = sizeof(arg);
	arg.head.data_start = sizeof(arg.head);
	snprintf(arg.head.name, sizeof(arg.head.name), "%s", mapping);
	sprintf(message->message, "mark %u:%" PRIu64, writer, round);
	if (ioctl(control, DM_TARGET_MSG, &arg.head))
		error(1, errno, "%s: cannot mark", mapping);
}

static void acknowledge(const struct writer *l, const char *mapping, uint64_t round)
{
	if (mapping) {
		mark(mapping, l->writer, round);
		return;
	}
	printf("acknowledged %u %" PRIu64 "\n", l->writer, round);
	fflush(stdout);
	/* Whoever listens at the other end of a serial line is to know before we go on. */
	tcdrain(STDOUT_FILENO);
}

static void write_rounds(const struct writer *l, uint64_t first, uint64_t last, const char *mapping)
{
	struct run runs[MAX_RUNS];
	uint64_t round;
	unsigned int nr;

	for (round = first; round <= last; round++) {
		nr = runs_of(l, round, runs);
		if (l->raw)
			write_raw(l, runs, nr, round);
		else if (replaces(l, round))
			replace_file(l, &runs[0], round);
		else
			write_files(l, runs, nr, round);
		acknowledge(l, mapping, round);
	}
}

/* Into the buffer. A file that is not there, or short, is zeroes. */
static void read_object(const struct writer *l, unsigned int object)
{
	size_t bytes = l->sectors * SECTOR;
	ssize_t got = 0;
	char name[32];
	int fd;

	memset(l->buffer, 0, bytes);
	if (l->raw) {
		if (pread(l->fd, l->buffer, bytes, l->base * SECTOR) != (ssize_t)bytes)
			error(1, errno, "%s: cannot read", l->path);
		return;
	}
	name_of(l, object, name);
	fd = openat(l->fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd >= 0)
		got = pread(fd, l->buffer, bytes, 0);
	if (fd < 0 || got < 0)
		error(1, errno, "%s/%s: cannot read", l->path, name);
	close(fd);
}

/* The round that wrote a sector; 0 for zeroes, which no round wrote. */
static uint64_t round_of(const struct writer *l, unsigned int object, uint64_t sector)
{
	static const struct stamp none;
	const struct stamp *found = (const struct stamp *)l->buffer + sector;
	struct stamp right;

	if (!memcmp(found, &none, sizeof(none)))
		return 0;
	make_stamp(l, object, sector, found->round, &right);
	if (!found->round || memcmp(found, &right, sizeof(right)))
		error(1, 0, "%s: writer %u, object %u, sector %" PRIu64 ": no round wrote this",
		      l->path, l->writer, object, sector);
	return found->round;
}

/**
 * struct found - what is known of a sector
 * @round: that it has
 * @least: that it has to have
 * @real: @round did write it
 */
struct found {
	uint64_t round;
	uint64_t least;
	bool real;
};

/* What the rounds up to @last did, of which those up to @acknowledged count. */
static void compare_rounds(const struct writer *l, struct found *found, uint64_t acknowledged,
			   uint64_t last)
{
	struct run runs[MAX_RUNS];
	uint64_t round, at, end;
	unsigned int nr, i;

	for (round = 1; round <= last; round++) {
		nr = runs_of(l, round, runs);
		for (i = 0; i < nr; i++) {
			at = runs[i].object * l->sectors + runs[i].first;
			for (end = at + runs[i].count; at < end; at++) {
				found[at].real |= found[at].round == round;
				if (round <= acknowledged)
					found[at].least = round;
			}
		}
	}
}

static int check(const struct writer *l, uint64_t acknowledged)
{
	uint64_t total = l->objects * l->sectors, last = acknowledged, bad = 0, i;
	struct found *found = calloc(total, sizeof(*found)), *f;

	if (!found)
		error(1, ENOMEM, "%s", l->path);
	for (i = 0; i < total; i++) {
		if (i % l->sectors == 0)
			read_object(l, i / l->sectors);
		found[i].round = round_of(l, i / l->sectors, i % l->sectors);
		if (found[i].round > last)
			last = found[i].round;
	}
	compare_rounds(l, found, acknowledged, last);
	for (i = 0; i < total; i++) {
		f = &found[i];
		if (f->round >= f->least && (f->real || !f->round))
			continue;
		if (!bad++)
			error(0, 0,
			      "%s: writer %u, object %" PRIu64 ", sector %" PRIu64
			      ": round %" PRIu64 ", not %" PRIu64,
			      l->path, l->writer, i / l->sectors, i % l->sectors, f->round,
			      f->least);
	}
	if (bad)
		error(0, 0, "%s: %" PRIu64 " sectors are lost, of rounds that were acknowledged",
		      l->path, bad);
	free(found);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void open_writer(struct writer *l, unsigned int writer)
{
	uint64_t bytes;

	l->writer = writer;
	l->fd = open(l->path, (l->raw ? O_RDWR | O_DIRECT : O_RDONLY | O_DIRECTORY) | O_CLOEXEC);
	if (l->fd < 0)
		error(1, errno, "%s", l->path);
	if (!l->raw) {
		l->objects = FILES;
		l->sectors = FILE_SECTORS;
	} else {
		if (ioctl(l->fd, BLKGETSIZE64, &bytes))
			error(1, errno, "%s", l->path);
		l->objects = 1;
		l->sectors = bytes / SECTOR / l->writers;
		l->base = (writer - 1) * l->sectors;
	}
	if (posix_memalign((void **)&l->buffer, 4096, l->sectors * SECTOR))
		error(1, ENOMEM, "%s", l->path);
}

/* Each in a process of its own. Rounds begin behind those in @acknowledged. */
static int write_all(struct writer *l, char **acknowledged, uint64_t rounds, const char *mapping)
{
	int state, status = EXIT_SUCCESS;
	unsigned int writer;
	uint64_t done;
	pid_t pid;

	for (writer = 1; writer <= l->writers; writer++) {
		done = strtoull(acknowledged[writer - 1], NULL, 10);
		pid = fork();
		if (pid < 0)
			error(1, errno, "cannot fork");
		if (!pid) {
			open_writer(l, writer);
			write_rounds(l, done + 1, done + rounds, mapping);
			exit(EXIT_SUCCESS);
		}
	}
	while (wait(&state) > 0)
		if (!WIFEXITED(state) || WEXITSTATUS(state))
			status = EXIT_FAILURE;
	return status;
}

static int check_all(struct writer *l, char **acknowledged)
{
	int status = EXIT_SUCCESS;
	unsigned int writer;

	for (writer = 1; writer <= l->writers; writer++) {
		open_writer(l, writer);
		status |= check(l, strtoull(acknowledged[writer - 1], NULL, 10));
		close(l->fd);
		free(l->buffer);
	}
	return status;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: writers check raw|files PATH SEED ACKNOWLEDGED...\n"
		"       writers write raw|files PATH SEED ACKNOWLEDGED... ROUNDS MAPPING|-\n"
		"with the last acknowledged round of each writer\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct writer l = { 0 };
	bool writes;

	if (argc < 6)
		return usage();
	writes = !strcmp(argv[1], "write");
	l.raw = !strcmp(argv[2], "raw");
	l.path = argv[3];
	l.seed = strtoull(argv[4], NULL, 10);
	l.writers = argc - (writes ? 7 : 5);
	if (l.writers < 1 || l.writers > MAX_WRITERS)
		return usage();
	if (!writes)
		return check_all(&l, argv + 5);
	return write_all(&l, argv + 5, strtoull(argv[argc - 2], NULL, 10),
			 strcmp(argv[argc - 1], "-") ? argv[argc - 1] : NULL);
}
