#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A flush reaches every disk that was written since the last one, and no other.
# Extents lie on two file systems on two disks that count their flushes.

load common

data=$(disk_name /job/disks/data)
spare=$(disk_name /job/disks/spare)

teardown() {
	echo 0 >/sys/kernel/tracing/events/block/block_rq_issue/enable
	clean_up
}

# Extents 1 and 2 on the one disk, 3 and 4 on the other.
make_disk() {
	local option
	make_backing ext4 /job/disks/data -E lazy_itable_init=0,nodiscard
	mkdir "$BACKING/b"
	mkfs.ext4 -q -F -E lazy_itable_init=0,nodiscard /job/disks/spare
	mount /job/disks/spare "$BACKING/b"
	# Of the file systems' own flushes we want to hear nothing.
	for option in ${1:+"remount,$1"}; do
		mount -o "$option" "$BACKING"
		mount -o "$option" "$BACKING/b"
	done
	make_container "$BACKING/c.vmdk" 2048 2048
	make_container "$BACKING/b/c.vmdk" 2048 2048
	write_descriptor "$BACKING/both.vmdk" 'RW 2048 FLAT "c-f001.vmdk" 0' \
		'RW 2048 FLAT "c-f002.vmdk" 0' 'RW 2048 FLAT "b/c-f001.vmdk" 0' \
		'RW 2048 FLAT "b/c-f002.vmdk" 0'
	sync
	dev=$(svmdk attach --io "$2" "$BACKING/both.vmdk")
	count_from_here
}

count_from_here() {
	data_flushes=$(disk_stat "$data" 16)
	spare_flushes=$(disk_stat "$spare" 16)
}

# How many there were on each since then.
flushes() {
	echo $(($(disk_stat "$data" 16) - data_flushes)) $(($(disk_stat "$spare" 16) - spare_flushes))
	count_from_here
}

@test "a flush makes one flush on the disk that was written and none on the other" {
	make_disk barrier=0 mapped
	write_disk "$dev" 4096 4096
	write_disk "$dev" 1052672 4096
	equal "0 0" "$(flushes)"
	sync "$dev"
	equal "1 0" "$(flushes)"
	count_from_here
	write_disk "$dev" 2101248 4096
	sync "$dev"
	equal "0 1" "$(flushes)"
	count_from_here
	write_disk "$dev" 2095104 5120
	random_bytes 4096 | dd of="$dev" bs=4k conv=fsync,notrunc status=none
	equal "1 1" "$(flushes)"
}

@test "a flush with nothing written makes none" {
	make_disk barrier=0 mapped
	read_disk "$dev" >/dev/null
	sync "$dev"
	equal "0 0" "$(flushes)"
	write_disk "$dev" 4096 4096
	sync "$dev"
	count_from_here
	sync "$dev"
	sync "$dev"
	equal "0 0" "$(flushes)"
}

@test "detach flushes what was written" {
	make_disk barrier=0 mapped
	write_disk "$dev" 4096 4096
	svmdk detach "$dev"
	equal "1 0" "$(flushes)"
}

# Each fsync of a file is one of its disk's, or part of its journal's commit.
@test "a flush reaches the disk of a file that was written, and no other" {
	local first second
	make_disk "" file
	write_disk "$dev" 4096 4096
	sync "$dev"
	read -r first second <<<"$(flushes)"
	[ "$first" -gt 0 ]
	equal 0 "$second"
	count_from_here
	write_disk "$dev" 3149824 4096
	sync "$dev"
	read -r first second <<<"$(flushes)"
	[ "$second" -gt 0 ]
}

# Nothing is written meanwhile that the journals would have to commit.
@test "a flush with nothing written reaches no disk by the file way" {
	make_disk "" file
	write_disk "$dev" 4096 4096
	write_disk "$dev" 3149824 4096
	sync "$dev"
	sync
	count_from_here
	sync "$dev"
	read_disk "$dev" >/dev/null
	sync "$dev"
	equal "0 0" "$(flushes)"
}

# As the trace of its disk has it: WFS is a write with FUA.
@test "a write with FUA reaches the disk as one" {
	local trace=/sys/kernel/tracing/trace
	make_disk barrier=0 mapped
	[ "$(cat "/sys/block/$data/queue/fua")" = 1 ]
	[ "$(cat "/sys/block/$(disk_name "$dev")/queue/fua")" = 1 ]
	echo >"$trace"
	echo 1 >/sys/kernel/tracing/events/block/block_rq_issue/enable
	write_disk "$dev" 4096 12288 sync
	echo 0 >/sys/kernel/tracing/events/block/block_rq_issue/enable
	grep -E ": $(tr : , <"/sys/block/$data/dev") W?F?W?FS.* \+ 24 " "$trace"
}

@test "a synchronous write by the file way is on its disk when it completes" {
	local first second
	make_disk "" file
	write_disk "$dev" 4096 4096 sync
	read -r first second <<<"$(flushes)"
	[ "$first" -gt 0 ]
	equal 0 "$second"
}

# The last write of a journal's commit has FUA, and no flush comes after it. btrfs is to
# have its metadata written as well, by which it finds the block; and what it does not
# copy on write is another way through it.
@test "what a file system above commits by the file way outlives a power cut" {
	local type nocow
	random_bytes 64K >"$BATS_TEST_TMPDIR/data"
	while read -r type nocow; do
		dmsetup create svmdkbeneath --table "$(flakey_table /job/disks/spare 180 0)"
		make_backing "$type" /dev/mapper/svmdkbeneath
		[ -z "$nocow" ] || chattr +C "$BACKING"
		make_container "$BACKING/c.vmdk" 16384 16384
		dev=$(svmdk attach --io file "$BACKING/c.vmdk")
		mkfs.ext4 -q -b 4096 "$dev"
		mount "$dev" "$ABOVE"
		sync
		dd if="$BATS_TEST_TMPDIR/data" of="$ABOVE/file" conv=fsync status=none
		flakey_does /job/disks/spare 0 180 1 drop_writes
		umount "$ABOVE"
		svmdk detach "$dev"
		umount "$BACKING"
		udevadm settle
		blockdev --flushbufs /dev/mapper/svmdkbeneath
		flakey_does /job/disks/spare 180 0
		mount_one "$type" /dev/mapper/svmdkbeneath "$BACKING"
		dev=$(svmdk attach --io file "$BACKING/c.vmdk")
		mount "$dev" "$ABOVE"
		cmp "$ABOVE/file" "$BATS_TEST_TMPDIR/data"
		umount "$ABOVE"
		svmdk detach "$dev"
		umount "$BACKING"
		remove_mappings svmdkbeneath
	done < <(printf '%s\n' ext4 xfs btrfs 'btrfs nocow')
}
