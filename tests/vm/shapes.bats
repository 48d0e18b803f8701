#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A disk may be made of anything that a descriptor can say: one file at several
# places, block devices, file systems of every kind at once. An extent is mapped
# where it may be; where not, the file way is taken, and list says why.

load common

teardown() {
	clean_up
	modprobe -r brd 2>/dev/null || true
}

verify_with_fio() {
	fio --name=shape --filename="$1" --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite \
		--bsrange=512-1m --size=100% --verify=crc32c --verify_fatal=1
}

@test "one file serves several extents, in any order" {
	local io
	make_backing ext4
	make_container "$BACKING/c.vmdk" 8192
	write_descriptor "$BACKING/d.vmdk" 'RW 1001 FLAT "c-f001.vmdk" 4000' \
		'RW 999 FLAT "c-f001.vmdk" 1' 'RW 2000 FLAT "c-f001.vmdk" 6000'
	for io in mapped file; do
		dev=$(svmdk attach --io "$io" "$BACKING/d.vmdk")
		equal "$io $io $io" "$(ways_of "$dev")"
		verify_with_fio "$dev"
		cmp <(read_disk "$dev") <(for piece in 4000:1001 1:999 6000:2000; do
			dd if="$BACKING/c-f001.vmdk" bs=512 skip=${piece%:*} count=${piece#*:} status=none
		done)
		svmdk detach "$dev"
	done
}

@test "a file of which one extent has a hole has the file way with all" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 8192
	fallocate -p -o 0 -l 64k "$BACKING/c-f001.vmdk"
	write_descriptor "$BACKING/d.vmdk" 'RW 2048 FLAT "c-f001.vmdk" 2048' \
		'RW 2048 FLAT "c-f001.vmdk" 0'
	dev=$(svmdk attach "$BACKING/d.vmdk")
	equal "file file" "$(ways_of "$dev")"
	equal $'another extent of the file is not mapped\nhole' "$(reasons_of "$dev")"
	verify_with_fio "$dev"
}

@test "block devices are extents where they are allowed" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048
	modprobe brd rd_nr=1 rd_size=4096
	printf '%s\n' 'label: gpt' 'start=2048, size=16384' | sfdisk -q /job/disks/spare
	udevadm settle
	part=/dev/$(disk_name /job/disks/spare)p1
	write_descriptor "$BACKING/d.vmdk" 'RW 4096 FLAT "/dev/ram0" 1024' \
		'RW 2048 FLAT "c-f001.vmdk" 0' "RW 4095 FLAT \"$part\" 0"
	fails_with 1 "d.vmdk:8: .*/dev/ram0" svmdk attach "$BACKING/d.vmdk"
	dev=$(svmdk attach --allow-outside /dev "$BACKING/d.vmdk")
	equal "mapped mapped mapped" "$(ways_of "$dev")"
	verify_with_fio "$dev"
	sync "$dev"
	read_disk "$dev" >"$BACKING/direct"
	# It is ours alone.
	refused "in use" mkfs.ext4 -q "$part"
	svmdk detach "$dev"
	cmp "$BACKING/direct" <(dd if=/dev/ram0 bs=512 skip=1024 count=4096 status=none
		cat "$BACKING/c-f001.vmdk"
		dd if="$part" bs=512 count=4095 status=none)
	wipefs -qa /job/disks/spare
}

@test "extents lie on ext4, XFS, btrfs and tmpfs in one disk" {
	local spare
	make_backing ext4
	spare=$(readlink -f /job/disks/spare)
	printf '%s\n' 'label: gpt' 'size=1G' 'size=1G' | sfdisk -q "$spare"
	udevadm settle
	mkdir "$BACKING"/{xfs,btrfs,tmpfs}
	mkfs.xfs -q -f "${spare}p1"
	mkfs.btrfs -q -f "${spare}p2"
	mount "${spare}p1" "$BACKING/xfs"
	mount "${spare}p2" "$BACKING/btrfs"
	mount -t tmpfs tmpfs "$BACKING/tmpfs"
	make_container "$BACKING/c.vmdk" 2049
	make_container "$BACKING/xfs/c.vmdk" 2048
	make_container "$BACKING/btrfs/c.vmdk" 4095
	make_container "$BACKING/tmpfs/c.vmdk" 513
	write_descriptor "$BACKING/all.vmdk" 'RW 2049 FLAT "c-f001.vmdk" 0' \
		'RW 2048 FLAT "xfs/c-f001.vmdk" 0' 'RW 4095 FLAT "btrfs/c-f001.vmdk" 0' \
		'RW 513 FLAT "tmpfs/c-f001.vmdk" 0'
	dev=$(svmdk attach "$BACKING/all.vmdk")
	equal "mapped mapped file file" "$(ways_of "$dev")"
	verify_with_fio "$dev"
	sync "$dev"
	cmp <(read_disk "$dev") <(cat "$BACKING"/{,xfs/,btrfs/,tmpfs/}c-f001.vmdk)
	svmdk detach "$dev"
	umount "$BACKING"/{xfs,btrfs,tmpfs}
	wipefs -qa "$spare"
}

# list_on TYPE MAPPED REASON: what list says of a container on it
list_on() {
	make_backing "$1"
	make_container "$BACKING/c.vmdk" 2048 1024
	sync -f "$BACKING"
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal "$dev 1572864 2 $2 0 0 $BACKING/c.vmdk" \
		"$(svmdk list --noheadings --bytes | xargs)"
	equal "$3" "$(reasons_of "$dev")"
	write_disk "$dev" 4096 4096
	equal 1 "$(of_list "$dev" DIRTY)"
	equal 1 "$(cat "/sys/block/$(disk_name "$dev")/svmdk/dirty_extents")"
	equal "$2" "$(cat "/sys/block/$(disk_name "$dev")/svmdk/mapped_extents")"
	clean_up
}

@test "extents on ext4 and XFS are mapped, on btrfs and tmpfs not, and list says why" {
	list_on ext4 2 none
	list_on xfs 2 none
	list_on btrfs 0 "file system not known to be safe"
	list_on tmpfs 0 "file system not known to be safe"
}

# reason_is REASON: of the first extent, which can be read and written all the same
reason_is() {
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal "file mapped" "$(ways_of "$dev")"
	equal "$1" "$(reasons_of "$dev" | head -n 1)"
	verify_with_fio "$dev"
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
}

@test "an extent with holes, unwritten or shared blocks has the file way" {
	make_backing xfs
	make_container "$BACKING/c.vmdk" 2048 2048
	truncate -s 0 "$BACKING/c-f001.vmdk"
	truncate -s 1M "$BACKING/c-f001.vmdk"
	reason_is hole
	rm "$BACKING/c-f001.vmdk"
	fallocate -l 1M "$BACKING/c-f001.vmdk"
	reason_is unwritten
	random_bytes 1048576 >"$BACKING/other"
	cp --reflink=always "$BACKING/other" "$BACKING/c-f001.vmdk"
	before=$(md5sum <"$BACKING/other")
	reason_is reflinked
	equal "$before" "$(md5sum <"$BACKING/other")"
}

@test "an extent whose data are journalled has the file way, and list says why" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048
	chattr +j "$BACKING/c-f001.vmdk"
	reason_is "data journalling"
	fails_with 1 "c-f001.vmdk cannot be mapped: data journalling" \
		svmdk attach --io mapped "$BACKING/c.vmdk"
	chattr -j "$BACKING/c-f001.vmdk"
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal "mapped mapped" "$(ways_of "$dev")"
	svmdk detach "$dev"
	# The same of all files.
	umount "$BACKING"
	tune2fs -o journal_data /job/disks/data >/dev/null
	mount /job/disks/data "$BACKING"
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal "file file" "$(ways_of "$dev")"
	equal "data journalling" "$(reasons_of "$dev")"
	write_disk "$dev" 1000448 131072
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
}

# XFS does not say where a file lies that it has down as one that shares blocks.
@test "an extent that shared blocks once is mapped after allocate" {
	make_backing xfs
	make_container "$BACKING/c.vmdk" 2048 2048
	cp --reflink=always "$BACKING/c-f001.vmdk" "$BACKING/other"
	cp --reflink=always "$BACKING/c-f002.vmdk" "$BACKING/another"
	before=$(read_extents "$BACKING/c.vmdk" | md5sum)
	rm "$BACKING/other"
	sync -f "$BACKING"
	eventually shares_nothing "$BACKING/c-f001.vmdk"
	svmdk allocate "$BACKING/c.vmdk"
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	equal "mapped mapped" "$(ways_of "$dev")"
	equal "$before" "$(read_disk "$dev" | md5sum)"
	svmdk detach "$dev"
	cmp "$BACKING/c-f002.vmdk" "$BACKING/another"
}

shares_nothing() {
	! filefrag -v "$1" | grep -q shared
}

@test "a container as qemu-img makes it has the file way, and is mapped after allocate" {
	make_backing ext4
	qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentFlat "$BACKING/c.vmdk" 8M
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal file "$(ways_of "$dev")"
	equal hole "$(reasons_of "$dev")"
	write_disk "$dev" 1000448 70144
	before=$(read_disk "$dev" | md5sum)
	svmdk detach "$dev"
	svmdk allocate "$BACKING/c.vmdk"
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	equal mapped "$(ways_of "$dev")"
	equal "$before" "$(read_disk "$dev" | md5sum)"
	verify_with_fio "$dev"
}

# A file that fills the holes left by every other block of another one.
@test "an extent in thousands of pieces is mapped, and right" {
	mkdir -p "$BACKING"
	mkfs.ext4 -q -F -b 4096 -O ^has_journal /job/disks/spare 48M
	mount /job/disks/spare "$BACKING"
	fallocate -l 36M "$BACKING/holes"
	dd if=/dev/zero of="$BACKING/rest" bs=64k status=none || true
	fio --name=punch --filename="$BACKING/holes" --ioengine=falloc --rw=trim:4k --bs=4k \
		--size=36M --io_size=12M >/dev/null
	make_container "$BACKING/c.vmdk" 20479
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	[ "$(of_list "$dev" RUNS)" -gt 2000 ]
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	verify_with_fio "$dev"
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	# Still so when each piece is asked about, one by one.
	svmdk detach "$dev"
	echo 1 >/sys/module/svmdk/parameters/verify_runs
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	echo 0 >/sys/module/svmdk/parameters/verify_runs
	svmdk detach "$dev"
}
