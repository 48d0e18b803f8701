// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Another user at work in a container's folder while root looks at it: each name
 * there is exchanged, as fast as it goes, with a link to a file outside, with a
 * FIFO and with a file that changes its length. Meanwhile it is watched whether
 * anybody opens what is outside, or a FIFO.
 *
 * usage: churn FOLDER OUTSIDE NAME…
 *
 * Prints "ready" when it has begun, and after SIGTERM how often it exchanged
 * something, and how often something was opened that nobody may open.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534
#define MAX_DECOYS 512
#define OPENED (IN_OPEN | IN_ACCESS | IN_MODIFY)

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s: %s\n", __FILE__, __LINE__, #condition, \
				strerror(errno));                                                  \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/**
 * struct decoy - what takes the place of a name
 * @name: that it is to have
 * @path: that it has meanwhile
 * @grows: it is a regular file, to be lengthened and cut
 */
static struct decoy {
	const char *name;
	char path[64];
	int grows;
} decoys[MAX_DECOYS];

static int nr_decoys;
static volatile sig_atomic_t done;

static void end(int signal)
{
	(void)signal;
	done = 1;
}

static struct decoy *new_decoy(const char *name)
{
	struct decoy *decoy = &decoys[nr_decoys];

	CHECK(nr_decoys < MAX_DECOYS);
	decoy->name = name;
	snprintf(decoy->path, sizeof(decoy->path), ".decoy-%d", nr_decoys++);
	return decoy;
}

static void watch(int inotify, const char *path)
{
	CHECK(inotify_add_watch(inotify, path, OPENED) >= 0);
}

/* Of each kind one. What is outside is watched by itself, not by these links. */
static void make_decoys(int inotify, const char *outside, const char *name)
{
	char target[4096];
	struct decoy *decoy;

	snprintf(target, sizeof(target), "%s/canary", outside);
	CHECK(symlink(target, new_decoy(name)->path) == 0);
	CHECK(symlink(outside, new_decoy(name)->path) == 0);
	decoy = new_decoy(name);
	CHECK(mkfifo(decoy->path, 0666) == 0);
	watch(inotify, decoy->path);
	decoy = new_decoy(name);
	decoy->grows = 1;
	close(open(decoy->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
}

/* There and back again; where the name has gone meanwhile, the decoy takes it. */
static unsigned long exchange(const struct decoy *decoy, unsigned long turn)
{
	if (decoy->grows && truncate(decoy->path, turn % 3 * 4096) && errno != ELOOP)
		return 0;
	if (renameat2(AT_FDCWD, decoy->path, AT_FDCWD, decoy->name, RENAME_EXCHANGE))
		return 0;
	if (decoy->grows && truncate(decoy->name, turn % 5 * 4096))
		return 1;
	renameat2(AT_FDCWD, decoy->path, AT_FDCWD, decoy->name, RENAME_EXCHANGE);
	return 1;
}

/*
 * That one is gone (IN_IGNORED) is told unasked: a new file may take the place of a FIFO
 * that came there too late to be seen, and does no harm.
 */
static unsigned long count_opened(int inotify)
{
	char events[65536] __attribute__((aligned(8)));
	const struct inotify_event *event;
	unsigned long nr = 0;
	ssize_t length, at;

	while ((length = read(inotify, events, sizeof(events))) > 0) {
		for (at = 0; at < length; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)(events + at);
			if (event->mask & OPENED)
				nr++;
		}
	}
	return nr;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = end };
	unsigned long turn, swaps = 0;
	int inotify, i;
	char path[4096];

	if (argc < 4 || chdir(argv[1])) {
		fprintf(stderr, "usage: churn FOLDER OUTSIDE NAME...\n");
		return 2;
	}
	umask(0);
	inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CHECK(inotify >= 0);
	for (i = 3; i < argc; i++)
		make_decoys(inotify, argv[2], argv[i]);
	/* Of what is in the outside folder and has a name of the container's, too. */
	watch(inotify, argv[2]);
	snprintf(path, sizeof(path), "%s/canary", argv[2]);
	watch(inotify, path);
	CHECK(sigaction(SIGTERM, &action, NULL) == 0);
	CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
	puts("ready");
	fflush(stdout);
	for (turn = 0; !done; turn++)
		swaps += exchange(&decoys[turn % nr_decoys], turn / nr_decoys);
	printf("swaps=%lu opened=%lu\n", swaps, count_opened(inotify));
	return 0;
}
