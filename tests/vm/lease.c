// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/*
 * Has a write lease on FILE, as a file server does that lets a client cache it, until it is
 * killed. Whoever opens FILE meanwhile waits, or is told to try again.
 *
 * usage: lease FILE
 *
 * Says "held" once it has it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;

	signal(SIGIO, SIG_IGN);
	if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK)) {
		perror("lease");
		return 1;
	}
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}
