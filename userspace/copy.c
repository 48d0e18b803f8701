// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "control.h"
#include "copy_claims.h"
#include "copy_set.h"
#include "copy_side.h"
#include "extent_map.h"
#include "file_copy.h"
#include "freeze.h"
#include "holders.h"
#include "interrupt.h"
#include "leftovers.h"
#include "live_disk.h"
#include "marks.h"
#include "message.h"
#include "mounted.h"
#include "progress.h"
#include "size.h"
#include "staging.h"

/*
 * How often the extents that were written meanwhile are copied before the
 * freeze: while there is much of that, and it becomes less each time.
 */
#define MAX_PASSES 8
#define FEW_BYTES (UINT64_C(64) << 20)

/* How often at its end, when nobody should write any more. */
#define MAX_LAST_PASSES 4

/**
 * struct copy - a copy under way
 * @arg: device or descriptor, as the user named it
 * @dir: where the copy is
 * @may_freeze: freeze what is mounted from the disk
 * @disk: what it is attached as, if it is
 * @container: it
 * @mounted: file systems that lie on the disk
 * @freeze: these, frozen
 * @frozen: that they are
 * @staging: the copy
 * @copier: copies content
 * @set: the extents' files
 * @side: the other files
 * @progress: shown while nothing is frozen
 * @meanwhile: how many were copied while frozen
 */
struct copy {
	const char *arg;
	const char *dir;
	bool may_freeze;
	struct live_disk disk;
	struct container container;
	struct mounted mounted;
	struct freeze freeze;
	bool frozen;
	struct staging staging;
	struct file_copier copier;
	struct copy_set set;
	struct copy_side side;
	struct progress progress;
	size_t meanwhile;
};

static void step(void *arg, uint64_t done)
{
	struct copy *copy = arg;

	if (copy->frozen)
		freeze_alive(&copy->freeze);
	else
		progress_show(&copy->progress, done);
}

static int open_attached(struct copy *copy, struct svmdk_error *err)
{
	const struct device *device = &copy->disk.device;

	if (device->gone) {
		error_set(
			err, ESTALE,
			"the descriptor was deleted or replaced while attached, so it cannot be copied; detach it first");
		return error_at(err, device->descriptor, 0);
	}
	if (container_open(&copy->container, device->descriptor, NULL, 0, err))
		return -1;
	if (device_is_descriptor(device, &copy->container.st) &&
	    device->status.sectors == copy->container.descriptor.sectors)
		return 0;
	error_set(err, ESTALE, "the descriptor is not that of %s any more; detach it first",
		  copy->disk.node);
	return error_at(err, device->descriptor, 0);
}

/* Does it look like a device's, where there is no such file? */
static bool is_device_name(const char *arg)
{
	struct stat st;

	if (stat(arg, &st) == 0)
		return S_ISBLK(st.st_mode);
	return strncmp(arg, "/dev/", 5) == 0 || strncmp(arg, DISK_PREFIX, strlen(DISK_PREFIX)) == 0;
}

/*
 * After a crash an extent may have been written and have its old modification
 * time: with a sidecar that is known, and made good. On a read-only file system
 * it cannot be, nor need it on a snapshot that was taken of a flushed disk.
 */
static int recover(struct copy *copy, struct svmdk_error *err)
{
	struct marks marks;
	int ret;

	if (marks_open(&marks, &copy->container, true, err))
		return -1;
	ret = marks_ask_driver(&marks, err);
	if (!ret && marks_unended(&marks)) {
		marks_look(&marks);
		ret = marks_recover(&marks, err);
		if (ret && err->code == EROFS)
			ret = 0;
	}
	marks_close(&marks);
	return ret;
}

static int open_source(struct copy *copy, struct svmdk_error *err)
{
	if (live_disk_open(&copy->disk, copy->arg, err) == 0)
		return open_attached(copy, err);
	/* Found, and more is wrong with it than that it is not attached? */
	if (copy->disk.name || is_device_name(copy->arg))
		return -1;
	if (container_open(&copy->container, copy->arg, NULL, 0, err) ||
	    container_lock(&copy->container, err) || leftovers_check(&copy->container, err))
		return -1;
	return recover(copy, err);
}

/* Before anything is made in it. */
static int check_dir(const struct copy *copy, struct svmdk_error *err)
{
	int fd = open(copy->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct mounted_fs *fs;
	struct stat dir, own;

	if (fd < 0) {
		error_errno(err, errno, "cannot open the folder to copy to");
		return error_at(err, copy->dir, 0);
	}
	fs = mounted_holding(&copy->mounted, fd);
	if (fs) {
		error_set(
			err, EINVAL,
			"lies on %s, which is on the disk that is copied; name a folder elsewhere",
			fs->path);
	} else if (fstat(fd, &dir) || fstat(copy->container.policy.dir.fd, &own)) {
		error_errno(err, errno, "cannot open the folder to copy to");
	} else if (dir.st_dev == own.st_dev && dir.st_ino == own.st_ino) {
		error_set(err, EINVAL,
			  "is the container's own folder; name another one to copy it to");
	} else {
		close(fd);
		return 0;
	}
	close(fd);
	return error_at(err, copy->dir, 0);
}

/* Only where the answer means something: others compress, or share. */
static int check_room(const struct copy *copy, const struct copy_count *todo,
		      struct svmdk_error *err)
{
	char need[SIZE_TEXT_LEN], missing[SIZE_TEXT_LEN];
	struct statvfs fs;
	uint64_t room;

	if (!extent_map_fs_known(copy->staging.fd) || fstatvfs(copy->staging.fd, &fs))
		return 0;
	room = (uint64_t)(geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
	if (todo->space <= room)
		return 0;
	error_set(
		err, ENOSPC,
		"not enough room: %s are needed for what changed, beside the copy that is there, %s (%" PRIu64
		" bytes) more than there are",
		size_format(need, todo->space), size_format(missing, todo->space - room),
		todo->space - room);
	return error_at(err, copy->dir, 0);
}

static int copy_pass(struct copy *copy, const struct copy_count *todo, struct svmdk_error *err)
{
	int ret;

	copy->copier.done = 0;
	progress_begin(&copy->progress, "Copying", todo->bytes);
	ret = copy_set_copy(&copy->set, true, err);
	progress_end(&copy->progress);
	return ret;
}

/* All but what is being written: this may take long, and nobody has to wait. */
static int copy_before(struct copy *copy, struct svmdk_error *err)
{
	uint64_t previous = UINT64_MAX;
	struct copy_count todo;
	size_t i;
	int pass;

	for (pass = 0; pass < MAX_PASSES; pass++) {
		for (i = 0; i < copy->mounted.nr; i++)
			syncfs(copy->mounted.list[i].fd);
		if (live_disk_flush(&copy->disk, err) || copy_set_survey(&copy->set, &todo, err))
			return -1;
		if (!pass && (copy_claims_check(&copy->set, err) || check_room(copy, &todo, err)))
			return -1;
		if (pass && (todo.bytes <= FEW_BYTES || todo.bytes > previous / 2))
			break;
		if (copy_pass(copy, &todo, err))
			return -1;
		previous = todo.bytes;
	}
	return 0;
}

static int still_written(const struct copy *copy, struct svmdk_error *err)
{
	struct holders holders;
	char *text;

	if (copy->disk.fd < 0) {
		error_set(err, EBUSY,
			  "another program writes to its extents while they are copied; end that");
		return error_at(err, copy->container.path, 0);
	}
	holders_find(&holders, copy->disk.name);
	text = holders_text(&holders);
	error_set(err, EBUSY,
		  "goes on being written while it is copied, %s; see to it that nothing writes%s%s",
		  copy->mounted.nr && copy->may_freeze ? "though what is mounted is frozen" :
							 "for nothing is frozen",
		  text ? ": " : "", text ? text : "");
	free(text);
	holders_free(&holders);
	return error_at(err, copy->disk.node, 0);
}

static int mark_sidecar(struct copy *copy, struct svmdk_error *err)
{
	struct svmdk_extent_info *infos = NULL;
	struct device now = { 0 };
	uint32_t nr = 0;
	int code;

	if (copy->disk.fd >= 0) {
		/* As many as it has by now. */
		code = control_device(copy->disk.control, copy->disk.device.status.index, &now);
		if (!code)
			code = control_extents(copy->disk.control, &now, &infos, &nr);
		device_free(&now);
		if (code) {
			error_errno(err, -code, "cannot ask the driver for its extents");
			return error_at(err, copy->disk.node, 0);
		}
		if (nr != copy->container.descriptor.nr_extents) {
			free(infos);
			error_set(err, ESTALE, "was grown meanwhile; run svmdk copy again");
			return error_at(err, copy->disk.node, 0);
		}
	}
	copy_side_mark(&copy->side, &copy->set, infos);
	free(infos);
	return 0;
}

/* The rest, until a look at all of them finds nothing that was written since. */
static int copy_rest(struct copy *copy, struct svmdk_error *err)
{
	struct copy_count todo;
	int pass;

	if (live_disk_flush(&copy->disk, err) || copy_side_read(&copy->side, &copy->container, err))
		return -1;
	for (pass = 0; pass < MAX_LAST_PASSES; pass++) {
		if (copy_set_survey(&copy->set, &todo, err))
			return -1;
		if (!todo.files)
			return mark_sidecar(copy, err);
		if (copy->frozen)
			copy->meanwhile += todo.files;
		if (copy_set_copy(&copy->set, !copy->frozen, err) ||
		    live_disk_flush(&copy->disk, err))
			return -1;
	}
	return still_written(copy, err);
}

/* Nothing is printed while it is frozen: who knows where that would go. */
static int copy_frozen(struct copy *copy, double *seconds, struct svmdk_error *err)
{
	struct svmdk_error thaw_err;
	int ret;

	if (freeze_begin(&copy->freeze, &copy->mounted, err))
		return -1;
	copy->frozen = true;
	ret = copy_rest(copy, err);
	if (!ret)
		copy_set_wait(&copy->set);
	copy->frozen = false;
	if (freeze_end(&copy->freeze, seconds, &thaw_err) == 0)
		return ret;
	if (ret)
		error_print(err);
	*err = thaw_err;
	return -1;
}

static int finish(struct copy *copy, struct svmdk_error *err)
{
	if (copy_set_keep(&copy->set, err) || copy_set_purge(&copy->set, err) ||
	    copy_side_stage(&copy->side, &copy->set, err))
		return -1;
	return copy->staging.any ? staging_commit(&copy->staging, err) : 0;
}

static void report(const struct copy *copy, bool froze, double seconds)
{
	const struct copy_count all = copy_set_copied(&copy->set);
	char size[SIZE_TEXT_LEN];

	printf("%zu of %zu extents copied, %s", all.files, copy->set.nr,
	       size_format(size, all.bytes));
	if (froze)
		printf("; frozen for %.2f s, %zu copied meanwhile", seconds, copy->meanwhile);
	putchar('\n');
}

static int prepare(struct copy *copy, struct svmdk_error *err)
{
	if (copy->disk.fd >= 0 && mounted_find(&copy->mounted, copy->disk.name, err))
		return -1;
	if (check_dir(copy, err) ||
	    staging_open(&copy->staging, copy->dir, copy->container.name, err) ||
	    file_copier_init(&copy->copier, step, copy, err))
		return -1;
	return copy_set_init(&copy->set, &copy->container, &copy->staging, &copy->copier, err);
}

static int copy_container(struct copy *copy, struct svmdk_error *err)
{
	const bool freeze = copy->may_freeze && copy->mounted.nr;
	double seconds = 0;

	if (copy_before(copy, err))
		return -1;
	if (freeze ? copy_frozen(copy, &seconds, err) : copy_rest(copy, err))
		return -1;
	if (!freeze)
		copy_set_wait(&copy->set);
	if (finish(copy, err))
		return -1;
	report(copy, freeze, seconds);
	return 0;
}

static void explain(const struct copy *copy, struct svmdk_error *err)
{
	static const char again[] = "the copy is as it was before; run svmdk copy again to go on";
	struct svmdk_error cause = *err;

	if ((cause.code != EINTR && cause.code != ENOSPC && cause.code != EDQUOT) ||
	    copy->staging.moving)
		return;
	error_set(err, cause.code, "%s; %s", cause.text, again);
	error_at(err, cause.file[0] ? cause.file : copy->dir, cause.line);
}

static void release(struct copy *copy)
{
	copy_side_free(&copy->side);
	copy_set_free(&copy->set);
	file_copier_free(&copy->copier);
	staging_close(&copy->staging);
	mounted_free(&copy->mounted);
	container_close(&copy->container);
	live_disk_close(&copy->disk);
}

static int run(const char *arg, const char *dir, bool may_freeze)
{
	struct copy copy = {
		.arg = arg,
		.dir = dir,
		.may_freeze = may_freeze,
	};
	struct svmdk_error err;
	int ret;

	interrupt_catch();
	ret = open_source(&copy, &err) || prepare(&copy, &err) || copy_container(&copy, &err);
	if (ret) {
		explain(&copy, &err);
		error_print(&err);
	}
	release(&copy);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int main_copy(int argc, char **argv)
{
	static const struct option options[] = {
		{ "no-freeze", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool may_freeze = true;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			may_freeze = false;
			break;
		case 'h':
			return command_help(&cmd_copy);
		default:
			return command_usage(&cmd_copy, NULL);
		}
	}
	if (argc - optind != 2)
		return command_usage(&cmd_copy, "it takes a FILE or DEVICE, and a DIR");
	return run(argv[optind], argv[optind + 1], may_freeze);
}

const struct command cmd_copy = {
	.name = "copy",
	.args = "FILE|DEVICE DIR [--no-freeze]",
	.summary = "Make or update a copy of a container, in use or not",
	.help = "Copies to the folder DIR the extents that differ by size or modification time\n"
		"from those it has, and the descriptor. A container that is attached is copied as\n"
		"it is at one moment: what is mounted from it is frozen while the extents that\n"
		"were written meanwhile are copied, and thawed whatever happens. Until all is\n"
		"there the copy in DIR stays what it was. It may be interrupted at any time and\n"
		"run again.\n"
		"\n"
		"Options:\n"
		"      --no-freeze  freeze nothing; fails when the disk goes on being written\n"
		"  -h, --help       show this\n",
	.run = main_copy,
};
