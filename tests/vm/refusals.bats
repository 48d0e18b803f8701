#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Extents that the driver cannot have, or cannot map, as they are just now: who has
# them is named, or what is to be done, and nothing is attached. Where there is another
# way it is taken.
#
# One kernel will do, the last.

load common

spare=$(readlink -f /job/disks/spare)

teardown() {
	[ -z "${mapper-}" ] || kill "$mapper" || true
	[ ! -e "$BACKING/c-f002.vmdk" ] || swapoff "$BACKING/c-f002.vmdk" 2>/dev/null || true
	mountpoint -q "$ABOVE" && umount "$ABOVE"
	clean_up
}

# refuses TEXT ARGUMENT…: of attach, for the second extent
refuses() {
	fails_with 1 "$BACKING/c.vmdk:9: extent $1" svmdk attach "${@:2}" "$BACKING/c.vmdk"
	equal '' "$(svmdk list --noheadings)"
}

@test "a block device that somebody has is refused, and it is said who" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048
	mkfs.ext4 -q -F "$spare" 64M
	write_descriptor "$BACKING/c.vmdk" 'RW 2048 FLAT "c-f001.vmdk" 0' "RW 2048 FLAT \"$spare\" 8"
	mount "$spare" "$ABOVE"
	udevadm settle
	refuses "$spare is in use: mounted on $ABOVE \(ext4\); free it, or attach read-only" --allow-outside /dev
	dev=$(svmdk attach -r --allow-outside /dev "$BACKING/c.vmdk")
	cmp <(read_disk "$dev" | tail -c 1M) <(dd if="$spare" bs=4k skip=1 count=256 status=none)
	svmdk detach "$dev"
	umount "$ABOVE"
	dmsetup create svmdktest-linear --table "0 2048 linear $spare 0"
	udevadm settle
	refuses "$spare is in use: beneath dm-[0-9]+ \\(svmdktest-linear\\); free it" --allow-outside /dev
	dmsetup remove svmdktest-linear
	dev=$(svmdk attach --allow-outside /dev "$BACKING/c.vmdk")
	svmdk detach "$dev"
}

@test "a block device whose blocks an extent does not fit is refused" {
	local big
	big=$(readlink -f /job/disks/data4k)
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048
	for line in "RW 2049 FLAT \"$big\" 0" "RW 2048 FLAT \"$big\" 7"; do
		write_descriptor "$BACKING/c.vmdk" 'RW 2048 FLAT "c-f001.vmdk" 0' "$line"
		refuses "$big starts or ends amid a block of the device; use a device with 512-byte blocks" \
			--allow-outside /dev
	done
}

@test "an active swap file is read and never written" {
	local io
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 4096
	chmod 600 "$BACKING/c-f002.vmdk"
	mkswap "$BACKING/c-f002.vmdk" >/dev/null
	swapon "$BACKING/c-f002.vmdk"
	for io in auto mapped file; do
		refuses 'c-f002.vmdk is an active swap file; swapoff it first, or attach read-only' --io $io
	done
	dev=$(svmdk attach -r "$BACKING/c.vmdk")
	equal 'mapped file' "$(ways_of "$dev")"
	equal 'active swap file' "$(reasons_of "$dev" | xargs)"
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
	swapoff "$BACKING/c-f002.vmdk"
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal 'mapped mapped' "$(ways_of "$dev")"
	svmdk detach "$dev"
}

# maps FILE: by a program that may write what it has mapped, and ends when it is told to
maps() {
	fio --name=map --filename="$1" --ioengine=mmap --rw=randrw --bs=4k --size=100% --thread \
		--thinktime=100ms --time_based --runtime=600 >/dev/null 2>&1 3>&- &
	mapper=$!
	eventually grep -q "rw-s.*${1##*/}" "/proc/$mapper/maps"
}

@test "a file that a program may write by its memory goes the file way" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 4096
	maps "$BACKING/c-f002.vmdk"
	refuses 'c-f002.vmdk cannot be mapped: .*; end the program that uses it, or use --io auto' \
		--io mapped
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal 'mapped file' "$(ways_of "$dev")"
	svmdk detach "$dev"
	kill "$mapper"
	wait "$mapper" || true
	mapper=
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal 'mapped mapped' "$(ways_of "$dev")"
	svmdk detach "$dev"
}

# udev may have one open still.
has_no_loops() {
	[ -z "$(losetup -a)" ]
}

# Of what it has begun already nothing would be refused; discards of a loop device never are.
@test "a file that somebody has open for writing goes the file way" {
	local writer loop
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 4096
	exec {writer}<>"$BACKING/c-f002.vmdk"
	refuses 'c-f002.vmdk cannot be mapped: open for writing in a program; end the program that uses it, or use --io auto' \
		--io mapped
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal 'mapped file' "$(ways_of "$dev")"
	equal 'open for writing in a program' "$(reasons_of "$dev" | xargs)"
	svmdk detach "$dev"
	exec {writer}>&-
	modprobe loop
	loop=$(losetup -f --show "$BACKING/c-f002.vmdk")
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal 'mapped file' "$(ways_of "$dev")"
	blkdiscard -o 65536 -l 65536 "$loop"
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
	losetup -d "$loop"
	eventually has_no_loops
	svmdk allocate "$BACKING/c.vmdk"
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal 'mapped mapped' "$(ways_of "$dev")"
	svmdk detach "$dev"
}

# What XFS says of the place of such a file is right, but on another device.
@test "a file of an XFS realtime volume is never mapped to the wrong disk" {
	mkfs.xfs -q -f -K -d rtinherit=1 -r "rtdev=$spare" /job/disks/data
	mkdir -p "$BACKING"
	mount -t xfs -o "rtdev=$spare" /job/disks/data "$BACKING" ||
		skip "this kernel has no realtime volumes"
	make_container "$BACKING/c.vmdk" 2048 4096
	xfs_io -c 'stat -v' "$BACKING/c-f001.vmdk" | grep -q 'fsxattr.xflags = .*realtime'
	fails_with 1 "c.vmdk:8: extent c-f001.vmdk cannot be mapped: what the file system says of its place does not hold; use --io file" \
		svmdk attach --io mapped "$BACKING/c.vmdk"
	dev=$(svmdk attach "$BACKING/c.vmdk" 2>"$BATS_TEST_TMPDIR/said")
	cat "$BATS_TEST_TMPDIR/said"
	equal 1 "$(grep -c 'c.vmdk:8: .*extent c-f001.vmdk: what the file system says of its place does not hold; the way through the file system is taken' "$BATS_TEST_TMPDIR/said")"
	equal 1 "$(wc -l <"$BATS_TEST_TMPDIR/said")"
	equal 'file file' "$(ways_of "$dev")"
	fio --name=realtime --filename="$dev" --direct=1 --ioengine=libaio --iodepth=8 \
		--rw=randwrite --bsrange=512-64k --size=100% --verify=crc32c --verify_fatal=1 >/dev/null
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
}
