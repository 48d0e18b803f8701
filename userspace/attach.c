// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "control.h"
#include "extent_map.h"
#include "holders.h"
#include "interrupt.h"
#include "overlap.h"
#include "progress.h"
#include "short_name.h"
#include "size.h"
#include "sysfs.h"
#include "udev.h"

#define BATCH 64 /* extents open at once */

/**
 * struct attach - an attach under way
 * @file: the descriptor, as the user gave it
 * @allow: folders of --allow-outside
 * @nr_allow: number of these
 * @io: what --io asks for
 * @rdonly: the disk shall be read-only
 * @control: the control node; closing it undoes all before the commit
 * @container: what is attached
 * @overlap: the ranges seen so far
 * @map: memory for the runs of one extent after the other
 * @facts: of the file system that was met last
 * @distrusted: a file system's map did not hold, and that was said
 * @progress: shown while extents are added
 */
struct attach {
	char *file;
	char **allow;
	size_t nr_allow;
	enum svmdk_io io;
	bool rdonly;
	int control;
	struct container container;
	struct overlap overlap;
	struct extent_map map;
	struct mount_facts facts;
	bool distrusted;
	struct progress progress;
};

/**
 * struct batch - extents that go to the driver in one call
 * @first: number of the first
 * @nr: how many
 * @files: of each, open; fd is -1 where there is none
 * @args: of each, for the driver
 */
struct batch {
	size_t first;
	size_t nr;
	struct extent_file files[BATCH];
	struct svmdk_new_extent args[BATCH];
};

static const struct extent *extent_at(const struct attach *a, size_t i)
{
	return &a->container.descriptor.extents[i];
}

static int at_extent(const struct attach *a, size_t i, struct svmdk_error *err)
{
	return error_at(err, a->container.path, extent_at(a, i)->line);
}

static const char *extent_name(const struct attach *a, size_t i)
{
	const struct extent *e = extent_at(a, i);

	return e->name ? e->name : extent_type_text(e->type);
}

/* What helps an extent that has to be mapped and cannot be. */
static const char *mapped_remedy(enum svmdk_reason reason)
{
	switch (reason) {
	case SVMDK_REASON_HOLE:
	case SVMDK_REASON_UNWRITTEN:
	case SVMDK_REASON_DELALLOC:
		return "fill it with `svmdk allocate', or use --io auto";
	case SVMDK_REASON_MMAPPED:
	case SVMDK_REASON_CACHED:
		return "end the program that uses it, or use --io auto";
	case SVMDK_REASON_REFLINK:
		return "replace it with a copy made by cp --reflink=never, or use --io auto";
	case SVMDK_REASON_UNALIGNED:
		return "put the container on a disk with 512-byte blocks";
	default:
		return "use --io auto";
	}
}

/* Who keeps a block device from being opened for us alone? */
static int bdev_in_use(const struct attach *a, size_t i, dev_t devno, struct svmdk_error *err)
{
	char disk[SYSFS_NAME_LEN];
	struct holders holders;
	char *text;

	sysfs_name(devno, disk);
	holders_find(&holders, disk);
	text = holders_text(&holders);
	error_set(err, EBUSY, "extent %s is in use: %s; free it, or attach read-only",
		  extent_name(a, i), text ? text : "by the kernel");
	free(text);
	holders_free(&holders);
	return at_extent(a, i, err);
}

static int add_refused(const struct attach *a, const struct batch *b,
		       const struct svmdk_ioc_add_extents *answer, int code,
		       struct svmdk_error *err)
{
	const size_t at = answer->error_index < b->nr ? answer->error_index : 0;
	const size_t i = b->first + at;
	const char *name = extent_name(a, i);

	switch (code) {
	case -EBUSY:
		if (answer->holder < 0 && b->args[at].kind == SVMDK_KIND_BDEV)
			return bdev_in_use(a, i, b->files[at].st.st_rdev, err);
		if (answer->holder < 0)
			error_set(err, EBUSY, "extent %s is in use by another program", name);
		else
			error_set(err, EBUSY,
				  "extent %s is in use by /dev/svmdk%d; detach that first, "
				  "or attach both read-only",
				  name, answer->holder);
		break;
	case -ENODATA:
		error_set(err, ENODATA,
			  "extent %s is shorter than its line says; put it back from a copy", name);
		break;
	case -EOPNOTSUPP:
		if (b->args[at].kind == SVMDK_KIND_BDEV)
			error_set(err, EOPNOTSUPP,
				  "extent %s starts or ends amid a block of the device; "
				  "use a device with 512-byte blocks",
				  name);
		else
			error_set(err, EOPNOTSUPP, "extent %s cannot be mapped: %s; %s", name,
				  extent_map_reason_text(answer->error_reason),
				  mapped_remedy(answer->error_reason));
		break;
	case -EACCES:
		error_set(err, EACCES,
			  "extent %s may not be written by the driver; "
			  "attach read-only",
			  name);
		break;
	case -ETXTBSY:
		error_set(err, ETXTBSY,
			  "extent %s is an active swap file; swapoff it first, or attach read-only",
			  name);
		break;
	case -EFBIG:
		error_set(err, EFBIG, "extent %s makes the disk too large", name);
		break;
	default:
		error_errno(err, -code, "the driver refuses extent %s", name);
	}
	return at_extent(a, i, err);
}

static int map_refused(const struct attach *a, size_t i, struct svmdk_error *err)
{
	error_set(err, EOPNOTSUPP, "extent %s cannot be mapped: %s at byte %llu of the file; %s",
		  extent_name(a, i), extent_map_reason_text(a->map.reason),
		  (unsigned long long)a->map.reason_sector << SECTOR_SHIFT,
		  mapped_remedy(a->map.reason));
	return at_extent(a, i, err);
}

/*
 * The driver checks what the file system said, and on some (an XFS realtime
 * volume) that is not about the disk that it would write to.
 */
static int distrust(struct attach *a, size_t i, int *code, struct svmdk_error *err)
{
	if (a->io == SVMDK_IO_MAPPED) {
		error_set(err, EINVAL,
			  "extent %s cannot be mapped: "
			  "what the file system says of its place does not hold; use --io file",
			  extent_name(a, i));
		return at_extent(a, i, err);
	}
	if (!a->distrusted) {
		progress_end(&a->progress);
		message_warn(a->container.path, extent_at(a, i)->line,
			     "extent %s: what the file system says of its place does not hold; "
			     "the way through the file system is taken",
			     extent_name(a, i));
	}
	a->distrusted = true;
	*code = control_set_runs(a->control, i, NULL, 0, SVMDK_REASON_NO_FIEMAP);
	return 0;
}

/* The extent is pinned: nothing moves between this question and its use. */
static int set_runs(struct attach *a, size_t i, int fd, struct svmdk_error *err)
{
	const struct extent *e = extent_at(a, i);
	int code;

	if (extent_map_read(&a->map, fd, e->offset, e->sectors, &a->facts, err))
		return at_extent(a, i, err);
	if (a->map.reason != SVMDK_REASON_NONE) {
		if (a->io == SVMDK_IO_MAPPED)
			return map_refused(a, i, err);
		code = control_set_runs(a->control, i, NULL, 0, a->map.reason);
	} else {
		code = control_set_runs(a->control, i, a->map.runs, a->map.nr, SVMDK_REASON_NONE);
		if (code == -EINVAL && distrust(a, i, &code, err))
			return -1;
	}
	if (!code)
		return 0;
	error_errno(err, -code, "the driver refuses the map of extent %s", extent_name(a, i));
	return at_extent(a, i, err);
}

static int open_extent(struct attach *a, size_t i, struct extent_file *file,
		       struct svmdk_error *err)
{
	const struct extent *e = extent_at(a, i);

	file->fd = -1;
	if (!extent_has_file(e))
		return 0;
	if (container_open_extent(&a->container, i, a->rdonly ? O_RDONLY : O_RDWR, file, err)) {
		file->fd = -1;
		return -1;
	}
	return overlap_add(&a->overlap, e, i, file, !a->rdonly, err);
}

static void describe_extent(const struct attach *a, size_t i, const struct extent_file *file,
			    struct svmdk_new_extent *arg)
{
	const struct extent *e = extent_at(a, i);

	*arg = (struct svmdk_new_extent){
		.kind = SVMDK_KIND_ZERO,
		.fd = file->fd,
		.sectors = e->sectors,
	};
	if (e->access == EXTENT_NOACCESS)
		arg->flags = SVMDK_EXTENT_NOACCESS;
	else if (e->access == EXTENT_RDONLY)
		arg->flags = SVMDK_EXTENT_RDONLY;
	if (file->fd < 0)
		return;
	arg->kind = S_ISBLK(file->st.st_mode) ? SVMDK_KIND_BDEV : SVMDK_KIND_FILE;
	arg->io = a->io;
	arg->offset = e->offset;
}

/*
 * After the driver has had its say, which names the device that has an extent;
 * a range that is twice in this disk is locked by ourselves.
 */
static int lock_batch(struct attach *a, const struct batch *b, struct svmdk_error *err)
{
	size_t i;

	for (i = 0; i < b->nr; i++) {
		if (b->files[i].fd < 0 ||
		    container_lock_extent(&a->container, b->first + i, &b->files[i], err) == 0)
			continue;
		overlap_check(&a->overlap, &a->container, err);
		return -1;
	}
	return 0;
}

static int send_batch(struct attach *a, struct batch *b, struct svmdk_error *err)
{
	struct svmdk_ioc_add_extents answer;
	size_t i;
	int code;

	for (i = 0; i < b->nr; i++) {
		if (open_extent(a, b->first + i, &b->files[i], err))
			return -1;
		describe_extent(a, b->first + i, &b->files[i], &b->args[i]);
	}
	code = control_add_extents(a->control, b->args, b->nr, &answer);
	if (code)
		return add_refused(a, b, &answer, code, err);
	if (lock_batch(a, b, err))
		return -1;
	for (i = 0; i < b->nr; i++)
		if (b->args[i].kind == SVMDK_KIND_FILE && b->args[i].way == SVMDK_WAY_MAPPED &&
		    set_runs(a, b->first + i, b->files[i].fd, err))
			return -1;
	return 0;
}

static void close_batch(struct batch *b)
{
	size_t i;

	for (i = 0; i < b->nr; i++)
		if (b->files[i].fd >= 0)
			close(b->files[i].fd);
}

static int add_extents(struct attach *a, struct svmdk_error *err)
{
	const struct descriptor *d = &a->container.descriptor;
	const size_t most = container_batch(BATCH);
	struct batch b = { 0 };
	int result = 0;
	size_t i;

	progress_begin(&a->progress, "Attaching", d->sectors << SECTOR_SHIFT);
	while (!result && b.first < d->nr_extents) {
		if (interrupt_seen()) {
			result = error_set(err, EINTR, "interrupted; nothing is attached");
			break;
		}
		b.nr = d->nr_extents - b.first < most ? d->nr_extents - b.first : most;
		for (i = 0; i < b.nr; i++)
			b.files[i].fd = -1;
		result = send_batch(a, &b, err);
		close_batch(&b);
		progress_show(&a->progress, extent_at(a, b.first)->start << SECTOR_SHIFT);
		b.first += b.nr;
	}
	progress_end(&a->progress);
	if (!result)
		result = overlap_check(&a->overlap, &a->container, err);
	return result;
}

/* Extents may all be RDONLY: then the disk had better say so. */
static bool is_writable(const struct descriptor *d)
{
	size_t i;

	for (i = 0; i < d->nr_extents; i++)
		if (d->extents[i].access == EXTENT_RW && extent_has_file(&d->extents[i]))
			return true;
	return false;
}

static int begin(struct attach *a, struct svmdk_error *err)
{
	char name[SVMDK_NAME_LEN];
	int code;

	if (short_name(name, a->container.name))
		return error_set(err, ENOMEM, "not enough memory");
	/*
	 * The driver keeps this open file, and with it the lock: no other
	 * svmdk command changes the container while it is attached.
	 */
	code = control_create(a->control, a->container.fd, name,
			      a->rdonly ? SVMDK_CREATE_RDONLY : 0);
	if (!code)
		return 0;
	error_errno(err, -code, "the driver cannot begin a device");
	return error_at(err, a->file, 0);
}

static int commit_refused(const struct attach *a, const struct svmdk_ioc_commit *answer, int code,
			  struct svmdk_error *err)
{
	const size_t i = answer->error_extent;

	if ((code != -EINVAL && code != -EOPNOTSUPP) || i >= a->container.descriptor.nr_extents) {
		error_errno(err, -code, "the driver cannot make the disk");
		return error_at(err, a->file, 0);
	}
	if (code == -EINVAL)
		error_set(err, EINVAL,
			  "extent %s starts or ends amid a %u-byte block of the "
			  "disk beneath; put the container on a disk with 512-byte blocks",
			  extent_name(a, i), answer->logical_block);
	else
		error_set(err, EOPNOTSUPP,
			  "extent %s cannot be mapped, for another extent of the "
			  "same file cannot be; use --io auto",
			  extent_name(a, i));
	return at_extent(a, i, err);
}

static int check_not_attached(const struct attach *a, struct svmdk_error *err)
{
	struct device device;
	int code;

	code = control_find_device(a->control, &a->container.st, a->container.real_path, &device);
	if (code == -ENODEV)
		return 0;
	if (code) {
		error_errno(err, -code, "cannot ask the driver what is attached");
		return error_at(err, a->file, 0);
	}
	if (device.status.flags & SVMDK_STATUS_DETACHING)
		error_set(err, EBUSY,
			  "still attached as /dev/svmdk%u, which goes when its last user "
			  "closes it",
			  device.status.index);
	else
		error_set(err, EBUSY,
			  "attached already as /dev/svmdk%u; svmdk detach /dev/svmdk%u first",
			  device.status.index, device.status.index);
	device_free(&device);
	return error_at(err, a->file, 0);
}

static int commit(struct attach *a, struct svmdk_error *err)
{
	struct udev_wait *udev = udev_wait_begin();
	struct svmdk_ioc_commit answer;
	char node[sizeof("/dev/") + SYSFS_NAME_LEN];
	int code;

	code = control_commit(a->control, &answer);
	if (code) {
		udev_wait_cancel(udev);
		return commit_refused(a, &answer, code, err);
	}
	snprintf(node, sizeof(node), "/dev/" DISK_PREFIX "%u", answer.index);
	udev_wait_expect(udev, node + strlen("/dev/"));
	if (udev_wait_added(udev))
		message_warn(node, 0,
			     "attached, but udev is not done with it yet; see udevadm settle");
	puts(node);
	return 0;
}

static int attach(struct attach *a, struct svmdk_error *err)
{
	if (container_open(&a->container, a->file, a->allow, a->nr_allow, err))
		return -1;
	a->control = control_open(true, err);
	if (a->control < 0)
		return -1;
	/* First this, which says more than that it is locked or busy. */
	if (check_not_attached(a, err) || container_lock(&a->container, err))
		return -1;
	if (!is_writable(&a->container.descriptor))
		a->rdonly = true;
	if (begin(a, err) || add_extents(a, err))
		return -1;
	return commit(a, err);
}

static int run(struct attach *a)
{
	struct svmdk_error err;
	int result;

	a->control = -1;
	interrupt_catch();
	result = attach(a, &err);
	if (result)
		error_print(&err);
	if (a->control >= 0)
		close(a->control);
	extent_map_free(&a->map);
	overlap_free(&a->overlap);
	container_close(&a->container);
	return result ? EXIT_FAILED : EXIT_OK;
}

static int parse_io(const char *text, enum svmdk_io *io)
{
	static const char *const names[] = {
		[SVMDK_IO_AUTO] = "auto",
		[SVMDK_IO_MAPPED] = "mapped",
		[SVMDK_IO_FILE] = "file",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*io = i;
			return 0;
		}
	}
	return -1;
}

static int main_attach(int argc, char **argv)
{
	static const struct option options[] = {
		{ "allow-outside", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ "io", required_argument, NULL, 'i' },
		{ "read-only", no_argument, NULL, 'r' },
		{ 0 },
	};
	/* No more folders than arguments. */
	char **allow = calloc(argc, sizeof(*allow));
	struct attach a = { .io = SVMDK_IO_AUTO, .allow = allow };
	int option, status = EXIT_OK;

	if (!allow) {
		message_error(NULL, 0, "not enough memory");
		return EXIT_FAILED;
	}
	while (status == EXIT_OK && (option = getopt_long(argc, argv, "hr", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			allow[a.nr_allow++] = optarg;
			break;
		case 'h':
			free(allow);
			return command_help(&cmd_attach);
		case 'i':
			if (parse_io(optarg, &a.io))
				status = command_usage(&cmd_attach,
						       "--io is auto, mapped or file, not %s",
						       optarg);
			break;
		case 'r':
			a.rdonly = true;
			break;
		default:
			status = command_usage(&cmd_attach, NULL);
		}
	}
	if (status == EXIT_OK && optind + 1 != argc)
		status = command_usage(&cmd_attach, "one descriptor FILE is needed");
	if (status == EXIT_OK) {
		a.file = argv[optind];
		status = run(&a);
	}
	free(allow);
	return status;
}

const struct command cmd_attach = {
	.name = "attach",
	.args = "FILE [-r] [--io auto|mapped|file] [--allow-outside DIR]...",
	.summary = "Make a container a disk; prints /dev/svmdkN",
	.help = "  -r, --read-only      the disk cannot be written; FILE and its extents stay\n"
		"                       as they are\n"
		"      --io WAY         how the extents are reached:\n"
		"                         auto    each the fastest way that it allows (default)\n"
		"                         mapped  straight to the disk beneath, or fail\n"
		"                         file    through the file system\n"
		"      --allow-outside DIR\n"
		"                       extents may lie in DIR or below too, not only in FILE's\n"
		"                       own folder; and may be block devices there\n"
		"  -h, --help           show this\n"
		"\n"
		"When it returns, the disk, its partitions and their links exist. svmdk list\n"
		"shows which way each extent is reached, and why not mapped.\n",
	.run = main_attach,
};
