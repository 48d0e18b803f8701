/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_PEERS_H
#define SVMDK_PEERS_H

#include <stddef.h>
#include <stdint.h>
#include "container.h"

/*
 * What other programs make of a container: QEMU, VirtualBox, VMware. svmdk
 * reads more than they do.
 */

/**
 * struct peer_facts - what the limits of other programs are about
 * @length: of the descriptor in bytes
 * @lines: of the descriptor
 * @nr_extents: how many there are
 */
struct peer_facts {
	size_t length;
	size_t lines;
	uint64_t nr_extents;
};

/**
 * peer_count_lines() - count the lines of a descriptor
 * @text: it
 * @length: of it in bytes
 */
size_t peer_count_lines(const char *text, size_t length);

/**
 * peer_warn_limits() - warn of a container that is too large for others
 * @path: of the descriptor
 * @facts: how large it is
 *
 * Returns the number of warnings.
 */
unsigned int peer_warn_limits(const char *path, const struct peer_facts *facts);

/**
 * peer_warn_container() - warn of all that others refuse, misread or damage
 * @c: the container
 *
 * One line each, with the program's name. Returns the number of warnings.
 */
unsigned int peer_warn_container(const struct container *c);

#endif /* SVMDK_PEERS_H */
