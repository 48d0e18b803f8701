// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Who calls the driver is killed in each of its calls, again and again: while it makes a
 * disk, asks about it, lets it grow and detaches it. Whatever was begun is as if it had
 * never been, what was done is whole, and the files are free afterwards.
 *
 * A child does all that, and says in memory that both have which call it is in; before the
 * one that is meant it waits for its parent, who then kills it at some moment of the time that
 * the call takes. One that dies with that said was killed in it, or on its last or next
 * instruction.
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

static int told_ioctl(int fd, unsigned long request, void *arg);

#define ioctl told_ioctl
#include "raw.h"
#undef ioctl

#define KILLS 12 /* at each call */
#define WANTED 10 /* that fall into one, in all: most calls are soon over */
#define LONGEST 50000000 /* ns; to detach may be to wait for udev */

enum step {
	OUTSIDE,
	CREATE,
	ADD,
	SET_RUNS,
	COMMIT,
	STATUS,
	EXTENTS,
	GROW,
	GROW_ADD,
	GROW_SET_RUNS,
	GROW_COMMIT,
	DETACH,
	NR_STEPS,
};

static const char *const names[NR_STEPS] = {
	[CREATE] = "create",
	[ADD] = "add",
	[SET_RUNS] = "set runs",
	[COMMIT] = "commit",
	[STATUS] = "status",
	[EXTENTS] = "extents",
	[GROW] = "begin to grow",
	[GROW_ADD] = "add to a growth",
	[GROW_SET_RUNS] = "set runs of a growth",
	[GROW_COMMIT] = "commit a growth",
	[DETACH] = "detach",
};

/**
 * struct shared - what child and parent both have
 * @in: the call that the child is in
 * @stops_at: the call before which it waits
 * @go: it need not wait any more
 * @called: nothing but the call itself is between it and its parent's signal
 * @took: how long each call took once, in ns
 */
static struct shared {
	_Atomic enum step in;
	_Atomic bool go;
	_Atomic bool called;
	enum step stops_at;
	long took[NR_STEPS];
} * shared;

static enum step next; /* the child's next call is this one */

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

static int told_ioctl(int fd, unsigned long request, void *arg)
{
	long begin;
	int ret;

	if (_IOC_TYPE(request) != _IOC_TYPE(SVMDK_IOC_CREATE) || next == OUTSIDE)
		return ioctl(fd, request, arg);
	atomic_store(&shared->in, next);
	while (next == shared->stops_at && !atomic_load(&shared->go))
		sched_yield();
	begin = now();
	/* The calls after it leave that as it is, for the parent may be late to look. */
	if (next == shared->stops_at)
		atomic_store(&shared->called, true);
	ret = ioctl(fd, request, arg);
	shared->took[next] = now() - begin;
	atomic_store(&shared->in, OUTSIDE);
	next = OUTSIDE;
	return ret;
}

#define STEP(step, call)                   \
	do {                               \
		next = (step);             \
		if ((call) != 0)           \
			_exit(1 + (step)); \
	} while (0)

/* So that a detach has something to flush. The byte is what is there. */
static void write_some(void)
{
	char data[4096];
	int fd = open_file("/dev/svmdk0", O_RDWR);

	memset(data, 1, sizeof(data));
	if (pwrite(fd, data, sizeof(data), 0) != sizeof(data))
		_exit(100);
	close(fd);
}

static void live(void)
{
	int control = open_control(), growing = open_control();
	struct svmdk_extent_info info;
	struct svmdk_ioc_commit end;

	STEP(CREATE, create(control, 0));
	STEP(ADD, add_file(control, "one", SVMDK_IO_AUTO));
	STEP(SET_RUNS, set_runs_of(control, 0, "one"));
	STEP(COMMIT, commit(control, &end));
	STEP(STATUS, status(control, 0, 0));
	STEP(EXTENTS, first_extent(control, &info));
	write_some();
	STEP(GROW, begin_growth(growing, 0));
	STEP(GROW_ADD, add_file(growing, "two", SVMDK_IO_AUTO));
	STEP(GROW_SET_RUNS, set_runs_of(growing, 1, "two"));
	STEP(GROW_COMMIT, commit(growing, &end));
	write_some();
	STEP(DETACH, detach(control, 0));
	_exit(0);
}

static pid_t begin_life(enum step stops_at)
{
	pid_t pid;

	shared->in = OUTSIDE;
	shared->go = false;
	shared->called = false;
	shared->stops_at = stops_at;
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		live();
	return pid;
}

static int end_life(pid_t pid)
{
	int state;

	CHECK(waitpid(pid, &state, 0) == pid);
	if (WIFEXITED(state) && WEXITSTATUS(state))
		FAIL("it fails at %d, %s", WEXITSTATUS(state),
		     WEXITSTATUS(state) <= NR_STEPS ? names[WEXITSTATUS(state) - 1] : "a write");
	return state;
}

/* A life without a kill; what took how long. */
static void live_in_peace(void)
{
	CHECK(WIFEXITED(end_life(begin_life(NR_STEPS))));
	check_nothing_left();
}

/* Whether the child was in that call when it died. */
static bool killed_in(enum step step)
{
	const long most = shared->took[step] < LONGEST ? shared->took[step] : LONGEST;
	const pid_t pid = begin_life(step);
	unsigned long spins;
	long end;

	while (atomic_load(&shared->in) != step)
		if (waitpid(pid, NULL, WNOHANG))
			FAIL("it ended before %s", names[step]);
	atomic_store(&shared->go, true);
	for (spins = 1; !atomic_load(&shared->called); spins++)
		if (spins % 1000 == 0)
			sched_yield();
	end = now() + random() % (most + 1);
	while (now() < end && atomic_load(&shared->in) == step)
		;
	CHECK(kill(pid, SIGKILL) == 0);
	end_life(pid);
	return atomic_load(&shared->in) == step;
}

/* A disk that was there already when its maker was killed is a whole one. */
static void detach_whole(void)
{
	int control = open_control(), fd;
	int ret = status(control, 0, 0);
	char data[512];

	CHECK(ret == 0 || ret == -ENODEV);
	if (!ret) {
		const uint64_t sectors = sectors_of(control, 0);

		CHECK(sectors == FILE_SECTORS || sectors == 2 * FILE_SECTORS);
		WANT(-ETXTBSY, write_nothing("one"));
		WANT(sectors == FILE_SECTORS ? 0 : -ETXTBSY, write_nothing("two"));
		fd = open_file("/dev/svmdk0", O_RDONLY);
		CHECK(pread(fd, data, 512, (FILE_SECTORS - 1) * 512) == 512 && data[511] == 1);
		CHECK(sectors == FILE_SECTORS ||
		      (pread(fd, data, 512, (2 * FILE_SECTORS - 1) * 512) == 512 &&
		       data[511] == 2));
		close(fd);
		WANT(0, detach(control, 0));
	}
	close(control);
}

static void test_every_call(void)
{
	int all = 0, hits, i;
	enum step step;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CHECK(shared != MAP_FAILED);
	live_in_peace();
	for (step = CREATE; step < NR_STEPS; step++) {
		for (hits = i = 0; i < KILLS; i++) {
			hits += killed_in(step);
			detach_whole();
			check_nothing_left();
		}
		printf("%s: %d of %d kills fell into it\n", names[step], hits, i);
		all += hits;
	}
	CHECK(all >= WANTED);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "every-call", test_every_call },
		{ 0 },
	};

	return run_tests(argc, argv, tests);
}
