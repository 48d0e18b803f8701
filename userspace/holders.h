/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_HOLDERS_H
#define SVMDK_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Who has a disk or its partitions in use, as far as that can be known: the
 * kernel has users of its own that it tells nobody of.
 */

/**
 * struct holder - one of them
 * @text: in words: "mounted on /mnt (ext4)"; names are bytes
 * @transient: lets go by itself: udev and the like, which look at every disk
 */
struct holder {
	char *text;
	bool transient;
};

/**
 * struct holders - all of them
 * @list: array
 * @nr: number of these
 */
struct holders {
	struct holder *list;
	size_t nr;
};

/**
 * holders_find() - find who has a disk in use
 * @holders: filled, to be freed; empty when nobody can be named
 * @disk: the kernel's name for it
 *
 * Looks at mounts (those of other mount namespaces too), swap, the devices
 * that are built upon it, and the files that processes have open.
 */
void holders_find(struct holders *holders, const char *disk);

/**
 * holders_are_transient() - whether waiting may help
 * @holders: as found; true when there are none
 */
bool holders_are_transient(const struct holders *holders);

/**
 * holders_text() - all of them in one line
 * @holders: as found
 *
 * Returns a string to be freed, of at most a few hundred bytes: who is left
 * out is counted. NULL when there are none, or no memory.
 */
char *holders_text(const struct holders *holders);

/**
 * holders_free() - free what holders_find() made
 * @holders: all zero afterwards
 */
void holders_free(struct holders *holders);

#endif /* SVMDK_HOLDERS_H */
