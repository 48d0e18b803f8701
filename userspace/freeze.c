// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "freeze.h"
#include "interrupt.h"

/* What the guard is told. */
enum order {
	ORDER_FREEZE = 'F',
	ORDER_ALIVE = 'A',
	ORDER_THAW = 'T',
};

/**
 * struct answer - what the guard says to ORDER_FREEZE and ORDER_THAW
 * @code: 0 or an errno value; ETIMEDOUT: it has thawed them before its time
 * @fs: number of the file system that it is about
 */
struct answer {
	int code;
	uint32_t fs;
};

/*
 * Thaws the first @nr, the last frozen first. Returns 0, or the errno value of
 * one that could not be: EINVAL when it was not frozen.
 */
static struct answer thaw_all(const struct mounted *mounted, size_t nr)
{
	struct answer answer = { 0 };

	while (nr--)
		if (ioctl(mounted->list[nr].fd, FITHAW, 0))
			answer = (struct answer){ errno, nr };
	return answer;
}

static struct answer freeze_all(const struct mounted *mounted)
{
	struct answer answer = { 0 };
	size_t i;

	for (i = 0; i < mounted->nr; i++) {
		if (ioctl(mounted->list[i].fd, FIFREEZE, 0) == 0)
			continue;
		answer = (struct answer){ errno, i };
		thaw_all(mounted, i);
		break;
	}
	return answer;
}

/* The lowest that the guard needs, from @from on; ~0 when there is none. */
static unsigned int next_needed(const struct mounted *mounted, unsigned int socket,
				unsigned int from)
{
	unsigned int lowest = socket >= from ? socket : ~0U;
	size_t i;

	for (i = 0; i < mounted->nr; i++) {
		const unsigned int fd = mounted->list[i].fd;

		if (fd >= from && fd < lowest)
			lowest = fd;
	}
	return lowest;
}

/* Not a moment longer for the guard's sake: locks, and a pipe that is read to its end. */
static void close_the_rest(const struct mounted *mounted, unsigned int socket)
{
	unsigned int from = 0, needed;

	do {
		needed = next_needed(mounted, socket, from);
		if (needed > from)
			close_range(from, needed - (needed != ~0U), 0);
		from = needed + 1;
	} while (needed != ~0U);
}

/* Nothing but SIGKILL ends it before its work is done, and no lack of memory. */
static void become_guard(const struct mounted *mounted, int socket)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "-1000", 5);
	setsid();
	prctl(PR_SET_NAME, "svmdk-thaw");
	close_the_rest(mounted, socket);
	mlockall(MCL_CURRENT);
}

/* Waits for an order; 0 when whoever gives them is gone, -1 when it stalls. */
static int next_order(int socket, int timeout)
{
	struct pollfd poll_fd = { .fd = socket, .events = POLLIN };
	unsigned char order;

	if (poll(&poll_fd, 1, timeout) == 0)
		return -1;
	return recv(socket, &order, 1, 0) == 1 ? order : 0;
}

_Noreturn static void guard(const struct mounted *mounted, int socket)
{
	struct answer answer;
	bool stalled = false;
	int order;

	become_guard(mounted, socket);
	if (next_order(socket, -1) != ORDER_FREEZE)
		_exit(0);
	answer = freeze_all(mounted);
	send(socket, &answer, sizeof(answer), MSG_NOSIGNAL);
	if (answer.code)
		_exit(0);
	do {
		order = next_order(socket, stalled ? -1 : FREEZE_STALL_SECONDS * 1000);
		if (order < 0) {
			thaw_all(mounted, mounted->nr);
			stalled = true;
		}
	} while (order < 0 || order == ORDER_ALIVE);
	answer = stalled ? (struct answer){ ETIMEDOUT, 0 } : thaw_all(mounted, mounted->nr);
	send(socket, &answer, sizeof(answer), MSG_NOSIGNAL);
	_exit(0);
}

/* The child inherits that every signal waits, and so no handler of ours runs in it. */
static int start_guard(struct freeze *f, struct svmdk_error *err)
{
	sigset_t all, before;
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return error_errno(err, errno, "cannot begin a process that thaws");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	f->guard = fork();
	if (f->guard == 0)
		guard(f->mounted, sockets[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(sockets[1]);
	f->socket = sockets[0];
	if (f->guard > 0)
		return 0;
	error_errno(err, errno, "cannot begin a process that thaws");
	close(f->socket);
	f->guard = 0;
	return -1;
}

/* Whatever it is doing it ends now, and thaws. */
static void dismiss_guard(struct freeze *f)
{
	close(f->socket);
	while (waitpid(f->guard, NULL, 0) < 0 && errno == EINTR)
		;
	f->guard = 0;
}

/* Returns 0; -1 when the guard is gone, or after a signal if @may_break. */
static int ask_guard(const struct freeze *f, enum order order, bool may_break,
		     struct answer *answer)
{
	const unsigned char byte = order;
	ssize_t got;

	if (send(f->socket, &byte, 1, MSG_NOSIGNAL) != 1)
		return -1;
	do {
		got = recv(f->socket, answer, sizeof(*answer), 0);
	} while (got < 0 && errno == EINTR && !(may_break && interrupt_seen()));
	return got == sizeof(*answer) ? 0 : -1;
}

static int explain_freeze(const struct mounted_fs *fs, int code, struct svmdk_error *err)
{
	switch (code) {
	case EBUSY:
		error_set(err, code,
			  "is frozen already, by another program; thaw it first: fsfreeze -u %s",
			  fs->path);
		break;
	case EOPNOTSUPP:
		error_set(
			err, code,
			"%s cannot be frozen; unmount it, or mount it read-only and see --no-freeze",
			fs->type);
		break;
	case EPERM:
		error_set(err, code, "only root may freeze it");
		break;
	default:
		error_errno(err, code, "cannot freeze it");
	}
	return error_at(err, fs->path, 0);
}

int freeze_begin(struct freeze *f, const struct mounted *mounted, struct svmdk_error *err)
{
	struct answer answer;
	size_t i;
	int ret;

	*f = (struct freeze){ .mounted = mounted };
	clock_gettime(CLOCK_MONOTONIC, &f->begun);
	if (!mounted->nr)
		return 0;
	for (i = 0; i < mounted->nr; i++)
		syncfs(mounted->list[i].fd);
	if (start_guard(f, err))
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &f->begun);
	ret = ask_guard(f, ORDER_FREEZE, true, &answer);
	if (ret == 0 && answer.code == 0)
		return 0;
	dismiss_guard(f);
	if (ret == 0)
		return explain_freeze(&mounted->list[answer.fs], answer.code, err);
	if (interrupt_seen())
		return error_set(err, EINTR, "interrupted");
	/* Killed, perhaps with some of them frozen. */
	thaw_all(mounted, mounted->nr);
	return error_set(err, ECHILD, "the process that freezes and thaws was killed");
}

void freeze_alive(const struct freeze *f)
{
	const unsigned char byte = ORDER_ALIVE;

	if (f->guard)
		send(f->socket, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int explain_thaw(const struct mounted_fs *fs, int code, struct svmdk_error *err)
{
	switch (code) {
	case ETIMEDOUT:
		return error_set(err, code, "no progress for %d seconds, so it was thawed",
				 FREEZE_STALL_SECONDS);
	case EINVAL:
		error_set(err, ESTALE, "another program has thawed it meanwhile");
		break;
	default:
		error_errno(err, code, "cannot thaw it; try fsfreeze -u %s", fs->path);
	}
	return error_at(err, fs->path, 0);
}

int freeze_end(struct freeze *f, double *seconds, struct svmdk_error *err)
{
	struct timespec now;
	struct answer answer;

	if (seconds)
		*seconds = 0;
	if (!f->guard)
		return 0;
	/* A guard that was killed has left them frozen. */
	if (ask_guard(f, ORDER_THAW, false, &answer))
		answer = thaw_all(f->mounted, f->mounted->nr);
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (seconds)
		*seconds = (double)(now.tv_sec - f->begun.tv_sec) +
			   (double)(now.tv_nsec - f->begun.tv_nsec) / 1e9;
	dismiss_guard(f);
	return answer.code ? explain_thaw(&f->mounted->list[answer.fs], answer.code, err) : 0;
}
