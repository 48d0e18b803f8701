#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A disk has the limits of what lies beneath it, and is counted as any disk:
# block sizes, request sizes, kind of medium, write cache; I/O statistics,
# trace points, control groups.

load common

tracing=/sys/kernel/tracing

teardown() {
	[ ! -e "$tracing/events/svmdk" ] || echo 0 >"$tracing/events/svmdk/enable"
	echo 0 >"$tracing/events/workqueue/workqueue_execute_start/enable"
	echo 0 >"/sys/block/$(disk_name /job/disks/spare)/queue/rotational"
	[ ! -d /sys/fs/cgroup/svmdktest ] || rmdir /sys/fs/cgroup/svmdktest
	clean_up
}

# limit DEVICE NAME
limit() {
	cat "/sys/block/$(disk_name "$1")/queue/$2"
}

verify_with_fio() {
	fio --name=blocks --filename="$dev" --direct=1 --ioengine=libaio --iodepth=8 \
		--rw=randwrite --bsrange="$1-1m" --size=100% --verify=crc32c --verify_fatal=1
}

@test "a disk on 4096-byte blocks has such blocks, and its I/O is right" {
	local io
	make_backing ext4 /job/disks/data4k
	make_container "$BACKING/c.vmdk" 2048 4096 2056 8
	for io in mapped file; do
		dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		equal 4096 "$(blockdev --getss "$dev")"
		equal 4096 "$(blockdev --getpbsz "$dev")"
		refused "Invalid argument" write_disk "$dev" 512 512
		verify_with_fio 4k
		cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
		svmdk detach "$dev"
	done
}

@test "extents of odd sizes on 4096-byte blocks go the file way, and are right" {
	make_backing ext4 /job/disks/data4k
	make_container "$BACKING/c.vmdk" 2049 2048 4095 7
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal "file file file file" "$(ways_of "$dev")"
	equal unaligned "$(reasons_of "$dev")"
	equal 512 "$(blockdev --getss "$dev")"
	verify_with_fio 512
	sync "$dev"
	cmp <(dd if="$dev" iflag=direct bs=64k status=none) <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
	fails_with 1 "c-f001.vmdk cannot be mapped: unaligned" \
		svmdk attach --io mapped "$BACKING/c.vmdk"
}

@test "a disk whose extents fit no common block is refused by name" {
	make_backing ext4 /job/disks/data4k
	make_container "$BACKING/c.vmdk" 2048 2049 2048
	fails_with 1 "c.vmdk:9: extent c-f002.vmdk starts or ends amid a 4096-byte block" \
		svmdk attach "$BACKING/c.vmdk"
	fallocate -p -o 0 -l 4096 "$BACKING/c-f001.vmdk"
}

@test "a disk has the medium, the write cache and the request size of what is beneath" {
	local io beneath
	make_backing ext4 /job/disks/spare
	make_container "$BACKING/c.vmdk" 2048 2048
	beneath=/job/disks/spare
	for rotational in 0 1; do
		echo $rotational >"/sys/block/$(disk_name $beneath)/queue/rotational"
		for io in mapped file; do
			dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
			equal $rotational "$(limit "$dev" rotational)"
			equal "write back" "$(limit "$dev" write_cache)"
			equal 512 "$(limit "$dev" logical_block_size)"
			[ "$(limit "$dev" max_sectors_kb)" -ge "$(limit $beneath max_sectors_kb)" ]
			# Nothing can be given back of a flat disk.
			equal 0 "$(limit "$dev" discard_max_bytes)"
			equal 0 "$(limit "$dev" discard_granularity)"
			svmdk detach "$dev"
		done
	done
}

# A file system that has checksums or copies of data reads what is written twice.
@test "pages under write must not change where the file system beneath relies on that" {
	local type
	for type in ext4:0 xfs:0 btrfs:1 tmpfs:1; do
		make_backing "${type%:*}"
		make_container "$BACKING/c.vmdk" 2048 2048
		dev=$(svmdk attach --io file "$BACKING/c.vmdk")
		equal "${type#*:}" "$(limit "$dev" stable_writes)"
		clean_up
	done
}

# Who writes past the page cache is not held up, but btrfs must not store a checksum
# of other bytes than it stores.
@test "what a program changes while it is being written can be read from btrfs" {
	make_backing btrfs
	make_container "$BACKING/c.vmdk" 16384 16384
	dev=$(svmdk attach "$BACKING/c.vmdk")
	/job/programs/scribble "$dev"
	svmdk detach "$dev"
	umount "$BACKING"
	mount /job/disks/data "$BACKING"
	read_extents "$BACKING/c.vmdk" >/dev/null
	equal 0 "$(btrfs device stats -z "$BACKING" | awk '{ sum += $2 } END { print sum }')"
}

@test "statistics grow by exactly what was read and written" {
	local io disk before
	make_backing ext4
	make_container "$BACKING/c.vmdk" 4096 4096
	for io in mapped file; do
		dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		disk=$(disk_name "$dev")
		read -ra before <<<"$(disk_stat "$disk" 1 3 5 7)"
		dd if="$dev" iflag=direct bs=4k count=50 of=/dev/null status=none
		dd if="$dev" iflag=direct bs=64k skip=20 count=10 of=/dev/null status=none
		equal "$((before[0] + 60)) $((before[1] + 50 * 8 + 10 * 128))" \
			"$(disk_stat "$disk" 1 3)"
		dd if=/dev/zero of="$dev" oflag=direct bs=4k count=30 status=none
		dd if=/dev/zero of="$dev" oflag=direct bs=512 count=20 seek=5000 status=none
		equal "$((before[2] + 50)) $((before[3] + 30 * 8 + 20))" "$(disk_stat "$disk" 5 7)"
		equal 0 "$(disk_stat "$disk" 9)"
		svmdk detach "$dev"
	done
}

@test "trace points show each I/O with its extent and its way" {
	local io numbers
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048
	modprobe svmdk
	echo 1 >"$tracing/events/svmdk/enable"
	for io in mapped file; do
		dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		numbers=$(tr : , <"/sys/block/$(disk_name "$dev")/dev")
		udevadm settle
		echo >"$tracing/trace"
		write_disk "$dev" 1052672 8192
		grep -E "svmdk_submit: $numbers WS 2056 \+ 16 extent 1 $io at " "$tracing/trace"
		grep -E "svmdk_complete: $numbers W.* 2056 \+ 16 extent 1 \[0\]" "$tracing/trace"
		svmdk detach "$dev"
	done
}

# workers DEVICE: how many I/Os were handed to one while all of it was read
workers() {
	echo >"$tracing/trace"
	dd if="$1" iflag=direct bs=64k of="$BATS_TEST_TMPDIR/read" status=none
	grep -c 'function svmdk_cmd_work' "$tracing/trace" || true
}

# XFS says when it would have to wait, as for an inode that was not read yet.
@test "on XFS the file way asks a worker only where it would have to wait" {
	local type
	echo 1 >"$tracing/events/workqueue/workqueue_execute_start/enable"
	for type in ext4 xfs; do
		make_backing $type
		make_container "$BACKING/c.vmdk" 2048 2048
		dev=$(svmdk attach --io file "$BACKING/c.vmdk")
		random_bytes 2097152 >"$BATS_TEST_TMPDIR/data"
		dd if="$BATS_TEST_TMPDIR/data" of="$dev" oflag=direct bs=1M status=none
		svmdk detach "$dev"
		umount "$BACKING"
		mount -t $type /job/disks/data "$BACKING"
		dev=$(svmdk attach --io file "$BACKING/c.vmdk")
		udevadm settle
		workers "$dev"
		cmp "$BATS_TEST_TMPDIR/read" "$BATS_TEST_TMPDIR/data"
		if [ $type = xfs ]; then
			equal 0 "$(workers "$dev")"
		else
			equal 32 "$(workers "$dev")"
		fi
		cmp "$BATS_TEST_TMPDIR/read" "$BATS_TEST_TMPDIR/data"
		clean_up
	done
}

# By itself, whoever wrote: the group's own.
@test "a control group is charged for what it reads and writes" {
	local io group=/sys/fs/cgroup/svmdktest numbers
	grep -qw io /sys/fs/cgroup/cgroup.controllers || skip "this kernel has no io controller"
	echo +io >/sys/fs/cgroup/cgroup.subtree_control
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048
	for io in mapped file; do
		mkdir "$group"
		dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		numbers=$(cat "/sys/block/$(disk_name "$dev")/dev")
		(
			echo "$BASHPID" >"$group/cgroup.procs"
			dd if="$dev" iflag=direct bs=64k count=4 of=/dev/null status=none
			exec dd if=/dev/zero of="$dev" oflag=direct bs=64k count=3 status=none
		)
		grep -E "^$numbers rbytes=262144 wbytes=196608 rios=4 wios=3 " "$group/io.stat"
		svmdk detach "$dev"
		rmdir "$group"
	done
}
