#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# rsync and its kind decide by size and mtime. An extent that was written has a
# new mtime at the next flush, at detach, and soon after the write even without
# them; an extent that was not keeps its own.

load common

copy=/mnt/copy

teardown() {
	clean_up
	rm -rf "$copy"
}

# Four extents of 1 MiB, as old as the hills, and a copy of them.
old_container() {
	make_container "$BACKING/c.vmdk" 2048 2048 2048 2048
	touch -d 2020-02-02 "$BACKING"/c*
	mkdir "$copy"
	cp -a "$BACKING"/c* "$copy"
}

# rsync would send exactly these.
to_send() {
	equal "$*" "$(rsync -aiO --dry-run --include='c*' --exclude='*' "$BACKING/" "$copy/" |
		cut -d' ' -f2 | xargs)"
}

write_extents() {
	local number
	for number; do
		write_disk "$dev" $(((number - 1) * 1048576 + 4096)) 8192
	done
}

flush_brings_mtime() {
	local before number
	dev=$(svmdk attach --io "$1" "$BACKING/c.vmdk")
	write_extents 2 4
	sync "$dev"
	to_send c-f002.vmdk c-f004.vmdk
	# At this flush, each time, and not by what comes half a second later.
	for number in 1 3 1; do
		before=$(stat -c %.Y "$BACKING/c-f00$number.vmdk")
		write_extents "$number"
		sync "$dev"
		[ "$(stat -c %.Y "$BACKING/c-f00$number.vmdk")" != "$before" ]
	done
	to_send c-f001.vmdk c-f002.vmdk c-f003.vmdk c-f004.vmdk
}

@test "after a flush rsync lists the written extents and nothing else: mapped on ext4" {
	make_backing ext4
	old_container
	flush_brings_mtime mapped
}

@test "after a flush rsync lists the written extents and nothing else: mapped on XFS" {
	make_backing xfs
	old_container
	flush_brings_mtime mapped
}

@test "after a flush rsync lists the written extents and nothing else: by the file way" {
	make_backing btrfs
	old_container
	flush_brings_mtime file
}

# The descriptor has a new CID then.
@test "after detach rsync lists the written extents and the descriptor" {
	make_backing ext4
	old_container
	for io in mapped file; do
		dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		write_extents 1 3
		svmdk detach "$dev"
		to_send c-f001.vmdk c-f003.vmdk c.vmdk
		rsync -a "$BACKING"/c* "$copy"
	done
}

moved() {
	[ "$(stat -c %.Y "$BACKING/c-f003.vmdk")" != "$before" ]
}

# Nothing flushes: it comes by itself, and for the next write again.
@test "a write without a flush changes the mtime soon" {
	make_backing ext4
	old_container
	for io in mapped file; do
		dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		for _ in 1 2; do
			before=$(stat -c %.Y "$BACKING/c-f003.vmdk")
			write_extents 3
			eventually moved
		done
		to_send c-f003.vmdk
		svmdk detach "$dev"
		touch -d 2020-02-02 "$BACKING"/c*
		cp -a "$BACKING"/c* "$copy"
	done
}

# Nor the atime, which is as old as the mtime and so would be new after a read.
@test "a disk that was only read leaves every time and the descriptor as they were" {
	local before
	make_backing ext4
	old_container
	before=$(stat -c %X "$BACKING"/c-f*)
	for way in --io=mapped --io=file --read-only; do
		dev=$(svmdk attach "$way" "$BACKING/c.vmdk")
		read_disk "$dev" >/dev/null
		cat "$dev" >/dev/null
		sync "$dev"
		svmdk detach "$dev"
		to_send
		cmp "$BACKING/c.vmdk" "$copy/c.vmdk"
		equal "$before" "$(stat -c %X "$BACKING"/c-f*)"
	done
}
