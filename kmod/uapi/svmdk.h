/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * The contract between the svmdk driver and its tool.
 *
 * The driver resolves no path and parses no text. Whoever holds CAP_SYS_ADMIN
 * opens SVMDK_CONTROL_PATH, opens the extents by whatever policy it has, and
 * hands file descriptors over:
 *
 *   SVMDK_IOC_CREATE        begin a device; it belongs to this open control
 *                           file and disappears with it until committed
 *   SVMDK_IOC_ADD_EXTENTS   any number of batches, in the order of the disk.
 *                           The driver takes its own reference on each file,
 *                           so the caller may close what a batch named as
 *                           soon as that batch's runs are set. An extent
 *                           that may be mapped comes back pinned and with
 *                           way == SVMDK_WAY_MAPPED; any other says why not.
 *   SVMDK_IOC_SET_RUNS      for each extent that came back pinned: where its
 *                           sectors lie on the backing device. Asked for only
 *                           after the pin, nothing can move in between.
 *   SVMDK_IOC_COMMIT        the disk appears, all at once
 *
 * The same four calls make an attached disk larger: SVMDK_IOC_CREATE with
 * SVMDK_CREATE_GROW begins the growth of a device, the extents that follow go
 * to its end, and at SVMDK_IOC_COMMIT the disk has its new size, all at once.
 * Until then nothing of the disk has changed.
 *
 * SVMDK_IOC_DETACH, SVMDK_IOC_STATUS and SVMDK_IOC_EXTENTS name a device by
 * its index, the N of /dev/svmdkN, and work on any open control file.
 *
 * Growing the contract: every structure begins with its own size as the
 * caller knows it. The driver reads a shorter one as if the rest were zero,
 * and refuses a longer one with E2BIG unless what it does not know is zero
 * (copy_struct_from_user()); it writes back no more than the caller has room
 * for. Arrays carry the size of one element in the same way. Padding and
 * unknown flags must be zero, or the call fails with EINVAL. All types are of
 * fixed width and naturally aligned, so 32-bit callers need no translation.
 *
 * Units: everything named sectors or *_sector is in 512-byte sectors.
 */
#ifndef _UAPI_SVMDK_H
#define _UAPI_SVMDK_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* clang-format off: columns */

#define SVMDK_CONTROL_NAME "svmdk-control"
#define SVMDK_CONTROL_PATH "/dev/" SVMDK_CONTROL_NAME

/*
 * Changed only when something that worked stops working. A tool and a driver
 * that disagree on it do not talk to each other.
 */
#define SVMDK_ABI_VERSION 1

#define SVMDK_SECTOR_SHIFT 9
#define SVMDK_NAME_LEN 64 /* with the terminating NUL */
#define SVMDK_RELEASE_LEN 32 /* with the terminating NUL */
#define SVMDK_MAX_EXTENTS (1U << 20) /* in one device */
#define SVMDK_MAX_BATCH 1024U /* extents in one call */
#define SVMDK_MAX_RUNS (1U << 24) /* of one extent */

/**
 * enum svmdk_kind - what an extent's sectors come from
 * @SVMDK_KIND_FILE: a regular file, from an offset
 * @SVMDK_KIND_BDEV: a block device, from an offset
 * @SVMDK_KIND_ZERO: zeroes; a write fails
 */
enum svmdk_kind {
	SVMDK_KIND_FILE = 1,
	SVMDK_KIND_BDEV = 2,
	SVMDK_KIND_ZERO = 3,
};

/* svmdk_new_extent.flags */
#define SVMDK_EXTENT_RDONLY (1U << 0) /* a write fails */
#define SVMDK_EXTENT_NOACCESS (1U << 1) /* a read fails too; no fd */

/**
 * enum svmdk_io - the way of I/O that the caller asks for
 * @SVMDK_IO_AUTO: mapped where the extent qualifies, else file
 * @SVMDK_IO_MAPPED: mapped, or the call that finds out otherwise fails
 * @SVMDK_IO_FILE: through the file system
 */
enum svmdk_io {
	SVMDK_IO_AUTO = 0,
	SVMDK_IO_MAPPED = 1,
	SVMDK_IO_FILE = 2,
};

/**
 * enum svmdk_way - the way of I/O that an extent has
 * @SVMDK_WAY_MAPPED: bios go straight to the backing device
 * @SVMDK_WAY_FILE: kiocbs go to the file
 * @SVMDK_WAY_ZERO: nothing is beneath; reads are zeroes
 * @SVMDK_WAY_NONE: nothing is beneath; every access fails (NOACCESS)
 */
enum svmdk_way {
	SVMDK_WAY_MAPPED = 1,
	SVMDK_WAY_FILE = 2,
	SVMDK_WAY_ZERO = 3,
	SVMDK_WAY_NONE = 4,
};

/**
 * enum svmdk_reason - why an extent is not mapped
 *
 * The driver finds those up to SVMDK_REASON_LAST_DRIVER, and also
 * SVMDK_REASON_UNALIGNED and _JOURNALLED, when the extent is added. The rest the caller finds
 * in the file's map and says in SVMDK_IOC_SET_RUNS, so that every later reader
 * of the device can see them.
 */
enum svmdk_reason {
	SVMDK_REASON_NONE = 0, /* it is mapped, or has nothing to map */
	SVMDK_REASON_REQUESTED = 1, /* SVMDK_IO_FILE was asked for */
	SVMDK_REASON_FILESYSTEM = 2, /* not a file system known to be safe */
	SVMDK_REASON_NO_BDEV = 3, /* no single backing block device */
	SVMDK_REASON_ENCRYPTED = 4,
	SVMDK_REASON_VERITY = 5,
	SVMDK_REASON_DAX = 6,
	SVMDK_REASON_IMMUTABLE = 7, /* immutable or append-only */
	SVMDK_REASON_SWAPFILE = 8, /* an active swap file */
	SVMDK_REASON_MMAPPED = 9, /* a shared writable mapping exists */
	SVMDK_REASON_CACHED = 10, /* its cached pages cannot be dropped */
	SVMDK_REASON_SIBLING = 11, /* another extent of the file is not mapped */
	SVMDK_REASON_WRITERS = 12, /* somebody else has it open for writing */
	SVMDK_REASON_LAST_DRIVER = 31,
	SVMDK_REASON_HOLE = 32,
	SVMDK_REASON_UNWRITTEN = 33,
	SVMDK_REASON_DELALLOC = 34,
	SVMDK_REASON_REFLINK = 35, /* blocks shared with another file */
	SVMDK_REASON_INLINE = 36, /* data in the inode or a packed tail */
	SVMDK_REASON_ENCODED = 37, /* compressed or otherwise encoded */
	SVMDK_REASON_UNALIGNED = 38, /* to the backing device's logical block */
	SVMDK_REASON_JOURNALLED = 39, /* data journalling (data=journal, +j) */
	SVMDK_REASON_NO_FIEMAP = 40, /* the file system does not say */
	SVMDK_REASON_LAST = 40,
};

/**
 * struct svmdk_ioc_version - SVMDK_IOC_VERSION; asks nothing
 * @size: in: sizeof of this structure
 * @abi: out: SVMDK_ABI_VERSION of the driver
 * @release: out: the driver's version, for people
 */
struct svmdk_ioc_version {
	__u32 size;
	__u32 abi;
	char release[SVMDK_RELEASE_LEN];
};

/* svmdk_ioc_create.flags */
#define SVMDK_CREATE_RDONLY (1U << 0)
#define SVMDK_CREATE_GROW (1U << 1) /* alone: @index is the device that grows */

/**
 * struct svmdk_ioc_create - SVMDK_IOC_CREATE
 * @size: in: sizeof of this structure
 * @abi: in: SVMDK_ABI_VERSION of the caller; another one is EPROTO
 * @flags: in: SVMDK_CREATE_*
 * @index: in: the N of svmdkN, or -1 for the lowest free one
 * @descriptor_fd: in: the descriptor, open for reading. The driver keeps it
 *	open, tells its path and identity to whoever asks, and reads nothing.
 *	With SVMDK_CREATE_GROW -1: it comes with the commit.
 * @pad: in: zero
 * @name: in: short name of the container, NUL-terminated; for udev's links.
 *	With SVMDK_CREATE_GROW empty.
 *
 * Errors: EBUSY when this control file is building a device already, or the
 * device is growing; EEXIST when @index is taken; ENODEV when there is none to
 * grow; EBADF, EINVAL, EPROTO, ENOMEM.
 */
struct svmdk_ioc_create {
	__u32 size;
	__u32 abi;
	__u32 flags;
	__s32 index;
	__s32 descriptor_fd;
	__u32 pad;
	char name[SVMDK_NAME_LEN];
};

/**
 * struct svmdk_new_extent - one element of SVMDK_IOC_ADD_EXTENTS
 * @kind: in: enum svmdk_kind
 * @flags: in: SVMDK_EXTENT_*
 * @fd: in: the open file, or -1 where the kind has none; open for writing
 *	unless the device or the extent is read-only
 * @io: in: enum svmdk_io
 * @sectors: in: length, not zero
 * @offset: in: where the extent begins in the file or block device
 * @way: out: enum svmdk_way; SVMDK_WAY_MAPPED of a file means that it is
 *	pinned and awaits SVMDK_IOC_SET_RUNS
 * @reason: out: enum svmdk_reason
 */
struct svmdk_new_extent {
	__u32 kind;
	__u32 flags;
	__s32 fd;
	__u32 io;
	__u64 sectors;
	__u64 offset;
	__u32 way;
	__u32 reason;
};

/**
 * struct svmdk_ioc_add_extents - SVMDK_IOC_ADD_EXTENTS
 * @size: in: sizeof of this structure
 * @nr: in: number of elements, 1 to SVMDK_MAX_BATCH
 * @extent_size: in: sizeof(struct svmdk_new_extent) of the caller
 * @error_index: out: on failure the element that is at fault
 * @extents: in: address of the array
 * @holder: out: with EBUSY, the index of the svmdk device that has the file,
 *	or -1
 * @error_reason: out: with EOPNOTSUPP (SVMDK_IO_MAPPED), the reason
 *
 * To be mapped, a file is open for writing once, with the caller: of several elements
 * that lie in one file each has the same descriptor, or one that dup() made of it.
 *
 * A batch is taken whole or not at all. Errors: EBADF; EINVAL; EFBIG, the sum
 * of sectors reaches 2^63 bytes or SVMDK_MAX_EXTENTS; ENODATA, the file or
 * device is shorter than offset + sectors; EACCES, not open for what is asked;
 * EBUSY, in use by another device and one of the two would write; ETXTBSY, an
 * active swap file that would be written; EDEADLK, of a growth: it lies on the disk
 * that grows; EOPNOTSUPP.
 */
struct svmdk_ioc_add_extents {
	__u32 size;
	__u32 nr;
	__u32 extent_size;
	__u32 error_index;
	__u64 extents;
	__s32 holder;
	__u32 error_reason;
};

/**
 * struct svmdk_run - a piece of a file that is contiguous on its device
 * @file_sector: where it begins in the file
 * @disk_sector: where it begins on the file system's block device
 * @sectors: length, not zero
 */
struct svmdk_run {
	__u64 file_sector;
	__u64 disk_sector;
	__u64 sectors;
};

/**
 * struct svmdk_ioc_set_runs - SVMDK_IOC_SET_RUNS
 * @size: in: sizeof of this structure
 * @extent: in: the extent's number in the device, from 0
 * @nr: in: number of runs, 0 to SVMDK_MAX_RUNS; none: it cannot be mapped
 * @run_size: in: sizeof(struct svmdk_run) of the caller
 * @runs: in: address of the array, ascending, covering the extent exactly
 * @reason: in: with no runs, which enum svmdk_reason the map showed
 * @pad: in: zero
 *
 * Each run is checked against the file (bmap() of its first and last block;
 * of every block with the module parameter verify_runs) and the bounds of the
 * device. Errors: EINVAL, runs that do not cover the extent or do not belong
 * to the file; ENOENT, no such extent, or none that awaits runs; EOPNOTSUPP,
 * no runs for an extent that was to be mapped; ENOMEM.
 */
struct svmdk_ioc_set_runs {
	__u32 size;
	__u32 extent;
	__u32 nr;
	__u32 run_size;
	__u64 runs;
	__u32 reason;
	__u32 pad;
};

/* svmdk_ioc_commit.flags */
#define SVMDK_COMMIT_DESCRIPTOR (1U << 0) /* of a growth: @descriptor_fd is valid */

/**
 * struct svmdk_ioc_commit - SVMDK_IOC_COMMIT
 * @size: in: sizeof of this structure
 * @flags: in: SVMDK_COMMIT_*
 * @index: out: the N of svmdkN
 * @logical_block: out: bytes; on EINVAL the one that @error_extent does not fit
 * @major: out: of the block device
 * @minor: out: of the block device
 * @sectors: out: size of the disk
 * @error_extent: out: the extent whose start or length is no multiple of the
 *	logical block of the disk beneath, or that cannot be mapped; or ~0
 * @descriptor_fd: in: with SVMDK_COMMIT_DESCRIPTOR the descriptor that names
 *	all the extents now, as in struct svmdk_ioc_create; else zero
 *
 * When it returns, the disk and its partitions exist. Errors: EINVAL, nothing
 * was created or @error_extent; EOPNOTSUPP, @error_extent was to be mapped and
 * another extent of its file is not; ENODATA, no extents; ENOMEM. Of a growth
 * also: ENODEV, the device has gone meanwhile; EOPNOTSUPP with @error_extent ~0,
 * what the new extents lie on asks more of each I/O than the disk was attached
 * with; EDEADLK, they lie on the disk by now; EBADF. Where a growth fails the
 * disk is as it was.
 */
struct svmdk_ioc_commit {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 logical_block;
	__u32 major;
	__u32 minor;
	__u64 sectors;
	__u32 error_extent;
	__s32 descriptor_fd;
};

/* svmdk_ioc_detach.flags */
#define SVMDK_DETACH_LAZY (1U << 0) /* else at the last close */

/**
 * struct svmdk_ioc_detach - SVMDK_IOC_DETACH
 * @size: in: sizeof of this structure
 * @index: in: the N of svmdkN
 * @flags: in: SVMDK_DETACH_*
 * @timeout_ms: in: how long to wait for the last user to close it, and for a growth to end
 * @openers: out: with EBUSY or a deferred detach, how many have it open; with EBUSY 0 when
 *	nobody has, and it is growing
 * @deferred: out: 1 when SVMDK_DETACH_LAZY left it for the last close
 * @written: out: how many extents were written since attach
 * @dirty_size: in: bytes of room at @dirty; what has no room is left out
 * @dirty: in: address of a bitmap, or 0; out: when the disk is gone, bit i % 8
 *	of byte i / 8 is set where extent i was dirty, see struct
 *	svmdk_extent_info. Nobody can write to it any more, so it is the last word.
 *
 * When it returns 0 and @deferred is 0 the disk is gone, everything written
 * is on stable storage, mtimes are set, and every file is released. Errors:
 * ENODEV; EBUSY; EAGAIN, it is not in use, but a file system is frozen that was
 * written, or that has the descriptor of a disk that could be: the disk stays until
 * it is thawed; EIO, a last flush failed: the disk is gone all the same; EINTR.
 */
struct svmdk_ioc_detach {
	__u32 size;
	__u32 index;
	__u32 flags;
	__u32 timeout_ms;
	__u32 openers;
	__u32 deferred;
	__u32 written;
	__u32 dirty_size;
	__u64 dirty;
};

/* svmdk_ioc_status.flags */
#define SVMDK_STATUS_NEXT (1U << 0) /* in: @index or the next above */
#define SVMDK_STATUS_RDONLY (1U << 1) /* out */
#define SVMDK_STATUS_DETACHING (1U << 2) /* out: goes at the last close */

/**
 * struct svmdk_ioc_status - SVMDK_IOC_STATUS
 * @size: in: sizeof of this structure
 * @index: in: which device; out: which it is
 * @flags: in and out: SVMDK_STATUS_*
 * @path_size: in: room at @path; out: bytes of the descriptor's path with its
 *	NUL, even when there was less room (then it is cut)
 * @path: in: address of a buffer, or 0
 * @sectors: out: size of the disk
 * @descriptor_ino: out: the descriptor's inode number
 * @descriptor_major: out: of its file system's device, as st_dev has it
 * @descriptor_minor: out: as above
 * @major: out: of the block device
 * @minor: out: as above
 * @extents: out: number of extents
 * @mapped: out: of these, with SVMDK_WAY_MAPPED
 * @written: out: of these, written since attach
 * @openers: out: how many have the disk open
 * @logical_block: out: bytes
 * @runs: out: number of runs in the table
 * @memory: out: bytes that the driver allocated for the table and the extents
 * @name: out: as given at SVMDK_IOC_CREATE
 *
 * Errors: ENODEV, no such device or none above.
 */
struct svmdk_ioc_status {
	__u32 size;
	__u32 index;
	__u32 flags;
	__u32 path_size;
	__u64 path;
	__u64 sectors;
	__u64 descriptor_ino;
	__u32 descriptor_major;
	__u32 descriptor_minor;
	__u32 major;
	__u32 minor;
	__u32 extents;
	__u32 mapped;
	__u32 written;
	__u32 openers;
	__u32 logical_block;
	__u32 runs;
	__u64 memory;
	char name[SVMDK_NAME_LEN];
};

/**
 * struct svmdk_extent_info - one element of SVMDK_IOC_EXTENTS
 * @start: where it begins in the disk
 * @sectors: length
 * @offset: where it begins in its source
 * @kind: enum svmdk_kind
 * @flags: SVMDK_EXTENT_*
 * @way: enum svmdk_way
 * @reason: enum svmdk_reason
 * @written: 1 when written since attach
 * @runs: number of runs
 * @dev_major: backing block device, or 0
 * @dev_minor: as above
 * @dirty: 1 when written since attach or since SVMDK_EXTENTS_CLEAN
 * @pad: zero
 */
struct svmdk_extent_info {
	__u64 start;
	__u64 sectors;
	__u64 offset;
	__u32 kind;
	__u32 flags;
	__u32 way;
	__u32 reason;
	__u32 written;
	__u32 runs;
	__u32 dev_major;
	__u32 dev_minor;
	__u32 dirty;
	__u32 pad;
};

/*
 * svmdk_ioc_extents.flags: each extent that is told of is clean from then on,
 * until it is written again. A write that is under way meanwhile makes it dirty
 * when it completes: so whoever clears, then flushes the disk, then reads an
 * extent knows that everything he may have missed is dirty afterwards.
 */
#define SVMDK_EXTENTS_CLEAN (1U << 0)

/**
 * struct svmdk_ioc_extents - SVMDK_IOC_EXTENTS
 * @size: in: sizeof of this structure
 * @index: in: the N of svmdkN
 * @first: in: number of the first extent wanted
 * @nr: in: room in the array; out: how many were written to it
 * @info_size: in: sizeof(struct svmdk_extent_info) of the caller
 * @flags: in: SVMDK_EXTENTS_*
 * @infos: in: address of the array
 *
 * Errors: ENODEV.
 */
struct svmdk_ioc_extents {
	__u32 size;
	__u32 index;
	__u32 first;
	__u32 nr;
	__u32 info_size;
	__u32 flags;
	__u64 infos;
};

#define SVMDK_IOC_MAGIC 0xE7

/* The number alone names the call: a structure's size may grow, see above. */
#define SVMDK_IOC_VERSION _IO(SVMDK_IOC_MAGIC, 0)
#define SVMDK_IOC_CREATE _IO(SVMDK_IOC_MAGIC, 1)
#define SVMDK_IOC_ADD_EXTENTS _IO(SVMDK_IOC_MAGIC, 2)
#define SVMDK_IOC_SET_RUNS _IO(SVMDK_IOC_MAGIC, 3)
#define SVMDK_IOC_COMMIT _IO(SVMDK_IOC_MAGIC, 4)
#define SVMDK_IOC_DETACH _IO(SVMDK_IOC_MAGIC, 5)
#define SVMDK_IOC_STATUS _IO(SVMDK_IOC_MAGIC, 6)
#define SVMDK_IOC_EXTENTS _IO(SVMDK_IOC_MAGIC, 7)

/* clang-format on */

#endif /* _UAPI_SVMDK_H */
