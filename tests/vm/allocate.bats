#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# svmdk allocate where not all goes well: no room, files that somebody uses, file
# systems that are never mapped. What reads as it did stays so, and it can be run again.
#
# One kernel will do, the last.

load common

spare=/job/disks/spare

teardown() {
	swapoff "$BACKING/c-f002.vmdk" 2>/dev/null || true
	clean_up
}

# make_sparse SIZE…: extents that are all holes but for their first block
make_sparse() {
	local size number=0 name lines=()
	for size; do
		printf -v name 'c-f%03d.vmdk' $((++number))
		random_bytes 4096 >"$BACKING/$name"
		truncate -s "$size" "$BACKING/$name"
		lines+=("RW $(($(stat -c %s "$BACKING/$name") / 512)) FLAT \"$name\" 0")
	done
	write_descriptor "$BACKING/c.vmdk" "${lines[@]}"
}

sum() {
	read_extents "$BACKING/c.vmdk" | md5sum
}

used() {
	stat -c %b "$BACKING"/c-f*.vmdk | xargs
}

@test "allocate that has not enough room says how much it lacks, and begins nothing" {
	local before
	mkfs.ext4 -q -F $spare 64M
	mkdir -p "$BACKING"
	mount $spare "$BACKING"
	make_sparse 48M 48M
	sync -f "$BACKING"
	before=$(used)
	fails_with 1 "$BACKING/c.vmdk: not enough room to fill it: 96M are needed, [0-9.]+M \([0-9]+ bytes\) more than there are" \
		svmdk allocate "$BACKING/c.vmdk"
	equal "$before" "$(used)"
}

# How much room each of two disks has is not looked at before.
@test "allocate that finds a disk full goes on where it was, once there is room" {
	local before
	make_backing ext4
	make_sparse 4M 4M
	mkdir "$BACKING/small"
	mkfs.ext4 -q -F -m 0 -O ^has_journal $spare 16M
	mount $spare "$BACKING/small"
	truncate -s 8M "$BACKING/small/d.vmdk"
	dd if=/dev/zero of="$BACKING/small/full" bs=1M count=10 status=none
	write_descriptor "$BACKING/c.vmdk" 'RW 8192 FLAT "c-f001.vmdk" 0' \
		'RW 16384 FLAT "small/d.vmdk" 0' 'RW 8192 FLAT "c-f002.vmdk" 0'
	before=$(sum)
	fails_with 1 "$BACKING/c.vmdk:9: extent small/d.vmdk: .*No space left on device; make room and run svmdk allocate again to go on" \
		svmdk allocate "$BACKING/c.vmdk"
	rm "$BACKING/small/full"
	equal '' "$(svmdk allocate "$BACKING/c.vmdk" 2>&1)"
	equal "$before" "$(sum)"
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	equal "mapped mapped mapped" "$(ways_of "$dev")"
}

@test "allocate leaves an active swap file alone, and says so" {
	make_backing ext4
	make_sparse 4M 4M
	rm "$BACKING/c-f002.vmdk"
	fallocate -l 4M "$BACKING/c-f002.vmdk"
	chmod 600 "$BACKING/c-f002.vmdk"
	mkswap "$BACKING/c-f002.vmdk" >/dev/null
	swapon "$BACKING/c-f002.vmdk"
	fails_with 1 "$BACKING/c.vmdk:9: extent c-f002.vmdk is in use by an attached device \(or as swap\); detach that first" \
		svmdk allocate "$BACKING/c.vmdk"
	swapoff "$BACKING/c-f002.vmdk"
	equal '' "$(svmdk allocate "$BACKING/c.vmdk" 2>&1)"
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
}

@test "allocate says that extents are on a file system that is never mapped" {
	local type before
	for type in btrfs tmpfs; do
		make_backing $type
		make_sparse 4M 4M
		before=$(sum)
		equal "svmdk: $BACKING/c.vmdk: note: 2 of 2 extents are on a file system that svmdk does not map (it maps ext4 and XFS); they go the file way" \
			"$(svmdk allocate "$BACKING/c.vmdk" 2>&1)"
		equal "$before" "$(sum)"
		[ "$(used | awk '{ print ($1 >= 8192) + ($2 >= 8192) }')" = 2 ]
		clean_up
	done
}

@test "allocate says why a file that has no holes any more cannot be mapped" {
	local before
	make_backing ext4
	make_sparse 4M 4M
	chattr +j "$BACKING/c-f002.vmdk"
	before=$(sum)
	equal "svmdk: $BACKING/c.vmdk:9: note: extent c-f002.vmdk cannot be mapped on its file system: data journalling; it goes the file way" \
		"$(svmdk allocate "$BACKING/c.vmdk" 2>&1)"
	equal "$before" "$(sum)"
	dev=$(svmdk attach "$BACKING/c.vmdk")
	equal "mapped file" "$(ways_of "$dev")"
}

@test "allocate keeps the times of what it fills" {
	local times
	make_backing xfs
	make_sparse 4M 4M
	touch -d 2001-02-03T04:05:06.789 "$BACKING"/c-f00[12].vmdk
	times=$(stat -c %y "$BACKING"/c-f*.vmdk)
	svmdk allocate "$BACKING/c.vmdk"
	equal "$times" "$(stat -c %y "$BACKING"/c-f*.vmdk)"
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	equal "mapped mapped" "$(ways_of "$dev")"
}
