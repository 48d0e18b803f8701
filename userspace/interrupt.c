// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <signal.h>
#include <stddef.h>

#include "interrupt.h"

/* Written by the signal handler alone, which knows no other place. */
static volatile sig_atomic_t seen;

static void note(int signal)
{
	seen = signal;
}

void interrupt_catch(void)
{
	static const int caught[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = note };
	struct sigaction old;
	size_t i;

	for (i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		if (sigaction(caught[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(caught[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

bool interrupt_seen(void)
{
	return seen != 0;
}
