#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A container may lie on a file system on another container's disk. Then I/O
# goes through the driver twice, each time with reserves of its own, and the
# disk beneath stays as long as the one above is there.
#
# One kernel will do, the last.

load common

group=/sys/fs/cgroup/svmdktest

teardown() {
	[ ! -d "$group" ] || rmdir "$group"
	clean_up
	svmdk detach --all
}

# make_disks WAY WAY: of the disk beneath, and of the one above
make_disks() {
	make_backing ext4
	svmdk create -e 8M "$BACKING/lower.vmdk" 24M
	lower=$(svmdk attach --io "$1" "$BACKING/lower.vmdk")
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$lower"
	mount "$lower" "$ABOVE"
	svmdk create -e 3M "$ABOVE/upper.vmdk" 9M
	upper=$(svmdk attach --io "$2" "$ABOVE/upper.vmdk")
}

upper_is_right() {
	cmp <(read_disk "$upper") <(read_extents "$ABOVE/upper.vmdk")
	sync "$upper"
	svmdk detach "$upper"
	read_extents "$ABOVE/upper.vmdk" | md5sum >"$BATS_TEST_TMPDIR/before"
	umount "$ABOVE"
	svmdk detach "$lower"
	lower=$(svmdk attach "$BACKING/lower.vmdk")
	mount "$lower" "$ABOVE"
	equal "$(cat "$BATS_TEST_TMPDIR/before")" "$(read_extents "$ABOVE/upper.vmdk" | md5sum)"
}

@test "a disk on a disk is right under load, each of them in each way" {
	local ways
	for ways in "mapped mapped" "file file" "mapped file"; do
		# shellcheck disable=SC2086
		make_disks $ways
		fio --name=stacked --filename="$upper" --direct=1 --ioengine=libaio --iodepth=64 \
			--rw=randwrite --bsrange=512-256k --size=100% --io_size=4M \
			--verify=crc32c --verify_fatal=1 >/dev/null
		upper_is_right
		clean_up
	done
}

@test "the disk beneath stays while the one above is there" {
	make_disks mapped mapped
	fails_with 1 "$lower: in use: mounted on $ABOVE" svmdk detach "$lower"
	refused "busy" umount "$ABOVE"
	write_disk "$upper" 3080192 131072
	# Who is asked to go later goes when the last user does, and that is the file system.
	svmdk detach --lazy "$lower"
	cmp <(read_disk "$upper") <(read_extents "$ABOVE/upper.vmdk")
	svmdk detach "$upper"
	umount "$ABOVE"
	eventually [ ! -e "/sys/block/${lower##*/}" ]
	equal "" "$(svmdk list --noheadings)"
}

@test "the disk on a disk is flushed and frozen through both" {
	local pid
	make_disks mapped mapped
	sync
	fsfreeze -f "$BACKING"
	write_disk "$upper" 0 65536 &
	pid=$!
	ends dd if="$upper" iflag=direct bs=1M count=4 of=/dev/null status=none
	kill -0 "$pid"
	fsfreeze -u "$BACKING"
	wait "$pid"
	sync "$upper"
	upper_is_right
}

# With 64 I/Os under way, each in pieces, and hardly any memory that is not in use.
@test "a disk on a disk makes progress when memory is short" {
	local ways
	grep -qw memory /sys/fs/cgroup/cgroup.controllers || skip "this kernel has no memory controller"
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	for ways in "mapped mapped" "file file"; do
		# shellcheck disable=SC2086
		make_disks $ways
		mkdir "$group"
		echo 24M >"$group/memory.max"
		(
			echo "$BASHPID" >"$group/cgroup.procs"
			ends fio --name=short --filename="$upper" --direct=1 --ioengine=libaio \
				--iodepth=64 --rw=randwrite --bs=128k --size=100% --io_size=16M \
				>/dev/null
			ends dd if=/dev/zero of="$upper" bs=1M count=9 conv=fsync status=none
		)
		rmdir "$group"
		upper_is_right
		clean_up
	done
}
