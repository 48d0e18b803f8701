#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# When attach returns, the node, the partitions and every link that udev makes
# for a disk are there. What it prints is the node. A container is attached
# once, and an extent is written by one disk at most.

load common

teardown() {
	clean_up
	[ ! -e "$BATS_TEST_TMPDIR/here" ] || umount "$BATS_TEST_TMPDIR/here"
}

@test "when attach returns, partitions and links are there; when detach does, none is" {
	local links link uuid partuuid
	make_backing ext4
	svmdk create -e 8M "$BACKING/my disk.vmdk" 48M
	dev=$(svmdk attach "$BACKING/my disk.vmdk")
	printf '%s\n' 'label: gpt' 'size=16M, name=first' 'size=16M' | sfdisk -q "$dev"
	udevadm settle
	mkfs.ext4 -q -L svmdk-label "${dev}p1"
	mkfs.vfat "${dev}p2" >/dev/null
	uuid=$(blkid -p -s UUID -o value "${dev}p1")
	partuuid=$(blkid -p -s PART_ENTRY_UUID -o value "${dev}p2")
	name=$(cat "/sys/block/$(basename "$dev")/svmdk/name")
	svmdk detach "$dev"
	links=("by-id/svmdk-$name" "by-id/svmdk-$name-part1" "by-id/svmdk-$name-part2"
		"by-uuid/$uuid" by-label/svmdk-label "by-partuuid/$partuuid" by-partlabel/first)
	for link in "${links[@]}"; do
		[ ! -L "/dev/disk/$link" ]
	done
	for _ in 1 2 3; do
		dev=$(svmdk attach "$BACKING/my disk.vmdk")
		for link in "${links[@]}"; do
			[[ $(readlink -f "/dev/disk/$link") == "$dev"* ]]
		done
		[ -b "${dev}p1" ]
		[ -b "${dev}p2" ]
		mount LABEL=svmdk-label "$ABOVE"
		umount "$ABOVE"
		svmdk detach "$dev"
		for link in "${links[@]}"; do
			[ ! -L "/dev/disk/$link" ]
		done
		[ ! -e "$dev" ] && [ ! -e "${dev}p1" ]
	done
}

@test "attach prints the node alone, and loads the module when it is not there" {
	make_backing ext4
	svmdk create "$BACKING/c.vmdk" 8M
	[ ! -e /sys/module/svmdk ] || modprobe -r svmdk
	svmdk attach "$BACKING/c.vmdk" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	equal /dev/svmdk0 "$(cat "$BATS_TEST_TMPDIR/out")"
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
}

@test "a second attach says where the container is" {
	make_backing ext4
	svmdk create "$BACKING/c.vmdk" 8M
	dev=$(svmdk attach "$BACKING/c.vmdk")
	fails_with 1 "attached already as $dev" svmdk attach "$BACKING/c.vmdk"
	# By any name that leads to it.
	ln "$BACKING/c.vmdk" "$BACKING/d.vmdk"
	fails_with 1 "attached already as $dev" svmdk attach --read-only "$BACKING/d.vmdk"
	mkdir "$BATS_TEST_TMPDIR/here"
	mount --bind "$BACKING" "$BATS_TEST_TMPDIR/here"
	fails_with 1 "attached already as $dev" svmdk attach "$BATS_TEST_TMPDIR/here/c.vmdk"
}

@test "two disks do not share an extent that one of them writes" {
	local io
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048
	write_descriptor "$BACKING/d.vmdk" 'RW 2048 FLAT "c-f002.vmdk" 0'
	for io in mapped file; do
		first=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		fails_with 1 "c-f002.vmdk is in use by $first" svmdk attach --io "$io" "$BACKING/d.vmdk"
		fails_with 1 "c-f002.vmdk is in use by $first" svmdk attach -r "$BACKING/d.vmdk"
		svmdk detach "$first"
		first=$(svmdk attach --io "$io" -r "$BACKING/c.vmdk")
		fails_with 1 "c-f002.vmdk is in use by $first" svmdk attach "$BACKING/d.vmdk"
		second=$(svmdk attach --io "$io" -r "$BACKING/d.vmdk")
		cmp "$second" "$BACKING/c-f002.vmdk"
		svmdk detach "$first" "$second"
	done
}

@test "what is half attached goes with the program that attached it" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048
	# The second extent fails after the first was taken.
	write_descriptor "$BACKING/d.vmdk" 'RW 2048 FLAT "c-f001.vmdk" 0' \
		'RW 4096 FLAT "c-f002.vmdk" 0'
	fails_with 1 "d.vmdk:9: .*c-f002.vmdk" svmdk attach "$BACKING/d.vmdk"
	equal "" "$(svmdk list --noheadings)"
	equal /dev/svmdk0 "$(svmdk attach "$BACKING/c.vmdk")"
}
