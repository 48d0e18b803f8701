#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# What is written is what is read: in sizes from a sector to 2 MiB, across the
# borders of extents of odd sizes, by either way and both in one disk, and as
# QEMU reads and writes the same container. Nothing ever makes a hole.

load common

# Sectors: 1 MiB and a sector, and the like, down to one sector.
odd=(2049 2047 1 4095 513 2048 8191 7 2049 6150)

teardown() {
	qemu-nbd -d /dev/nbd0 >/dev/null 2>&1 || true
	clean_up
}

verify_with_fio() {
	fio --name=mixed --filename="$1" --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite \
		--bssplit=512/20:1k/10:4k/20:12k/10:68k/20:512k/10:2m/10 --blockalign=512 \
		--size=100% --verify=crc32c --verify_fatal=1 >"$BATS_TEST_TMPDIR/fio" ||
		{ cat "$BATS_TEST_TMPDIR/fio"; return 1; }
}

# As read by another program, once it is detached.
equal_through_qemu() {
	local dev=$1
	read_disk "$dev" >"$BACKING/direct"
	cmp "$BACKING/direct" <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
	equal "Images are identical." \
		"$(qemu-img compare -f vmdk -F raw "$BACKING/c.vmdk" "$BACKING/direct")"
	qemu-img convert -f vmdk -O raw "$BACKING/c.vmdk" "$BACKING/converted"
	cmp "$BACKING/direct" "$BACKING/converted"
}

verify_all() {
	local dev
	make_container "$BACKING/c.vmdk" "${odd[@]}"
	dev=$(svmdk attach --io "$1" "$BACKING/c.vmdk")
	verify_with_fio "$dev"
	equal_through_qemu "$dev"
}

@test "fio verifies mapped extents on ext4, and QEMU reads the same" {
	make_backing ext4
	verify_all mapped
}

@test "fio verifies mapped extents on XFS, and QEMU reads the same" {
	make_backing xfs
	verify_all mapped
}

@test "fio verifies the file way on ext4, and QEMU reads the same" {
	make_backing ext4
	verify_all file
}

@test "fio verifies the file way on XFS, and QEMU reads the same" {
	make_backing xfs
	verify_all file
}

@test "fio verifies the file way on btrfs, and QEMU reads the same" {
	make_backing btrfs
	verify_all file
}

@test "fio verifies the file way on tmpfs, and QEMU reads the same" {
	make_backing tmpfs
	verify_all file
}

@test "fio verifies a disk of mapped and other extents, and QEMU reads the same" {
	local dev
	make_backing ext4
	make_container "$BACKING/c.vmdk" "${odd[@]}"
	for number in 002 003 005 009; do
		fallocate -p -o 0 -l 1M "$BACKING/c-f$number.vmdk"
	done
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal "mapped file file mapped file mapped mapped mapped file mapped" "$(ways_of "$dev")"
	equal mixed "$(cat "/sys/block/$(disk_name "$dev")/svmdk/io_mode")"
	verify_with_fio "$dev"
	equal_through_qemu "$dev"
}

@test "what is written through qemu-nbd is read through svmdk, and the other way round" {
	local dev io
	make_backing ext4
	make_container "$BACKING/c.vmdk" 4096 4096 2048
	modprobe nbd
	for io in mapped file; do
		qemu-nbd -c /dev/nbd0 -f vmdk "$BACKING/c.vmdk"
		eventually [ "$(cat /sys/block/nbd0/size)" = 10240 ]
		random_bytes 5242880 >"$BACKING/data"
		dd if="$BACKING/data" of=/dev/nbd0 bs=1M oflag=direct status=none
		qemu-nbd -d /dev/nbd0 >/dev/null
		eventually [ ! -e /sys/block/nbd0/pid ]
		dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		cmp "$BACKING/data" <(read_disk "$dev")
		random_bytes 5242880 >"$BACKING/data"
		dd if="$BACKING/data" of="$dev" bs=1M oflag=direct status=none
		svmdk detach "$dev"
		qemu-nbd -r -c /dev/nbd0 -f vmdk "$BACKING/c.vmdk"
		eventually [ "$(cat /sys/block/nbd0/size)" = 10240 ]
		cmp "$BACKING/data" /dev/nbd0
		qemu-nbd -d /dev/nbd0 >/dev/null
		eventually [ ! -e /sys/block/nbd0/pid ]
	done
}

blocks() {
	stat -c '%n %s %b' "$BACKING"/c-f*
	filefrag -e "$BACKING"/c-f*
}

# Zeroes across the border of the extents, the rest as it was, all of it there.
zeroes_leave_no_hole() {
	local dev before offset=$((1048576 - 20480)) length=69632
	dev=$(svmdk attach --io "$1" "$BACKING/c.vmdk")
	random_bytes 5242880 >"$BACKING/data"
	dd if="$BACKING/data" of="$dev" bs=1M oflag=direct status=none
	sync -f "$BACKING"
	before=$(blocks)
	for command in "blkdiscard -z -o $offset -l $length" "fallocate -z -o $offset -l $length" \
		"fallocate -z -n -o $offset -l $length"; do
		dd if="$BACKING/data" of="$dev" bs=1M oflag=direct status=none
		$command "$dev"
		sync "$dev"
		cmp -n $offset "$BACKING/data" <(read_disk "$dev")
		cmp <(head -c $length /dev/zero) <(read_disk "$dev" | tail -c +$((offset + 1)) |
			head -c $length)
		cmp <(tail -c +$((offset + length + 1)) "$BACKING/data") \
			<(read_disk "$dev" | tail -c +$((offset + length + 1)))
		cmp <(read_extents "$BACKING/c.vmdk") <(read_disk "$dev")
	done
	fallocate -p -o $offset -l $length "$dev" || true
	sync "$dev"
	sync -f "$BACKING"
	equal "$before" "$(blocks)"
	svmdk detach "$dev"
	equal "$before" "$(blocks)"
}

@test "write-zeroes on mapped extents leaves zeroes and no hole" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048 4096 2048
	zeroes_leave_no_hole mapped
}

@test "write-zeroes by the file way leaves zeroes and no hole" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048 4096 2048
	zeroes_leave_no_hole file
}

@test "discard is not supported, and changes nothing" {
	local dev before io
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048
	# Attach does so, and what is allocated late would seem to be a change.
	sync -f "$BACKING"
	before=$(blocks; read_extents "$BACKING/c.vmdk" | md5sum)
	for io in mapped file; do
		dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		refused "not supported" blkdiscard "$dev"
		refused "not supported" blkdiscard -s "$dev"
		equal "$before" "$(blocks; read_disk "$dev" | md5sum)"
		svmdk detach "$dev"
	done
}

# A limit of his own (SIGXFSZ, EFBIG) would fail the write of whoever wrote the pages.
@test "whoever submits a write by the file way may have a limit on the size of files" {
	local type dev
	for type in xfs ext4 btrfs; do
		make_backing "$type"
		make_container "$BACKING/c.vmdk" 8192 8192
		dev=$(svmdk attach --io file "$BACKING/c.vmdk")
		# Warm, so that it could be done at once.
		write_disk "$dev" 4096000 4096
		(
			ulimit -f 1
			random_bytes 4096 | dd of="$dev" bs=4k seek=1000 count=1 oflag=direct status=none
			random_bytes 8192 | dd of="$dev" bs=8k seek=600 count=1 status=none conv=fsync
		)
		cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
		svmdk detach "$dev"
		clean_up
	done
}

# They are looked for at the first write, and would be waited for where nobody may wait.
@test "an extent on XFS whose attributes lie outside of its inode is written by the file way" {
	local dev
	make_backing xfs
	make_container "$BACKING/c.vmdk" 8192
	# setxattr(2)
	perl -e 'for my $i (1 .. 20) {
			my ($name, $value) = ("user.$i\0", "x" x 3000);
			syscall(188, $ARGV[0], $name, $value, length $value, 0) == 0 or die "$!"
		}' "$BACKING/c-f001.vmdk"
	umount "$BACKING"
	mount /job/disks/data "$BACKING"
	dev=$(svmdk attach --io file "$BACKING/c.vmdk")
	ends write_disk "$dev" 4096000 4096
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
}
