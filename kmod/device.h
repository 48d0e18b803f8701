/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#ifndef _SVMDK_DEVICE_H
#define _SVMDK_DEVICE_H

#include <linux/blkdev.h>
#include <linux/bio.h>
#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "compat.h"
#include "pool.h"
#include "uapi/svmdk.h"

struct svmdk_table;

/**
 * enum svmdk_state - the life of a device
 * @SVMDK_SETUP: extents are being added; seen by one control file alone
 * @SVMDK_LIVE: the disk exists
 * @SVMDK_DYING: the disk is going or gone; nobody can open it any more
 */
enum svmdk_state {
	SVMDK_SETUP,
	SVMDK_LIVE,
	SVMDK_DYING,
};

/**
 * struct svmdk_device - one disk
 *
 * What has no lock named beside it is set up before the disk is live and
 * stays as it is until it is gone. The table that a bio has found stays too:
 * it goes after an RCU grace period.
 */
struct svmdk_device {
	/* Read for each bio; nothing in this cache line is written meanwhile. */
	struct svmdk_table __rcu *table;
	struct gendisk *disk;
	struct workqueue_struct *wq;

	struct svmdk_pool hooks; /* See io.c. */
	struct svmdk_pool cmds; /* See file_io.c. */
	struct bio_set split_bios;

	/*
	 * Of the flushes alone, for they wait for bios and memory that work of the other
	 * queue gives back; its rescuer could not run that while it waits.
	 */
	struct workqueue_struct *flush_wq;

	u32 index;
	u32 logical_block; /* bytes */
	bool read_only;
	char name[SVMDK_NAME_LEN];

	/* These change when a live disk grows, with lock held: see grow.c. */
	struct file *descriptor;
	u64 sectors;
	u32 nr_extents;
	u32 nr_mapped;
	struct xarray extents; /* struct svmdk_extent, by number */
	struct list_head sources;
	struct list_head backings; /* Only grows; flushes walk it without lock. */

	struct svmdk_device *grows; /* This is no disk, but the growth of that one. */
	u32 first_extent; /* Of a growth, its first; else 0. */
	bool built; /* Its extents' runs are used up for a table. */

	struct mutex lock;
	enum svmdk_state state; /* Protected by lock. */
	bool growing; /* Another one grows it. Protected by lock. */
	u32 openers; /* Protected by lock. */
	bool lazy; /* Goes at the last close. Protected by lock. */
	wait_queue_head_t idle; /* Woken when openers falls to zero. */
	struct work_struct remove_work;
	struct kref kref; /* Of this structure's memory alone. */

	struct mutex touch_lock; /* Held while mtimes are set. */
	struct llist_head touched; /* Sources whose mtime is behind. */
	struct delayed_work touch_work;

	struct llist_head unsynced; /* Sources written by the file way. */
	spinlock_t flush_lock; /* Of both lists, too: see svmdk_device_take_list(). */
	struct bio_list flush_bios; /* Protected by flush_lock. */
	struct work_struct flush_work;
};

struct svmdk_device *svmdk_device_alloc(const struct svmdk_ioc_create *arg);
struct file *svmdk_device_get_descriptor(int fd);
struct svmdk_device *svmdk_device_get_of(const struct block_device *bdev);
u32 svmdk_device_find_misfit(struct svmdk_device *dev, unsigned int block);
struct svmdk_device *svmdk_device_create(const struct svmdk_ioc_create *arg);
void svmdk_device_abandon(struct svmdk_device *dev);
int svmdk_device_commit(struct svmdk_device *dev, struct svmdk_ioc_commit *arg);
struct svmdk_device *svmdk_device_get(u32 index, bool next);
void svmdk_device_put(struct svmdk_device *dev);
int svmdk_device_detach(struct svmdk_device *dev, struct svmdk_ioc_detach *arg, u8 *dirty);
int svmdk_device_status(struct svmdk_device *dev, struct svmdk_ioc_status *arg);
u32 svmdk_device_written(struct svmdk_device *dev);
u64 svmdk_device_memory(struct svmdk_device *dev);

int __init svmdk_device_init(void);
void svmdk_device_exit(void);

/* grow.c */
struct svmdk_device *svmdk_grow_begin(const struct svmdk_ioc_create *arg);
void svmdk_grow_abandon(struct svmdk_device *growth);
int svmdk_grow_commit(struct svmdk_device *growth, struct svmdk_ioc_commit *arg);

/* limits.c */
void svmdk_device_limits(struct svmdk_device *dev, struct queue_limits *lim);

/* sysfs.c */
extern const struct attribute_group *svmdk_disk_groups[];

#endif /* _SVMDK_DEVICE_H */
