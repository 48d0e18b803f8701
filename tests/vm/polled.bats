#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Who polls for the end of an I/O (io_uring with IOPOLL) polls the disk beneath, where
# that can be done. A request on a polled queue of null_blk completes when it is polled
# for, and never else.

load common

tracing=/sys/kernel/tracing

setup() {
	local null
	make_null one 64
	make_backing ext4 "$null"
	cd "$BACKING" || return
}

teardown() {
	local name
	cd /
	[ ! -d "$tracing/events/kprobes" ] || echo 0 >"$tracing/events/kprobes/enable"
	[ ! -e "$tracing/kprobe_events" ] || echo >"$tracing/kprobe_events"
	clean_up
	for name in one two; do
		[ ! -d "$NULLS/$name" ] || rmdir "$NULLS/$name"
	done
	[ ! -d /sys/module/null_blk ] || modprobe -r null_blk
}

polls() {
	cat "/sys/block/$(disk_name "$1")/queue/io_poll"
}

# Written and read again with what fio can tell from anything else. Linux 6.1 tries
# for ever what null_blk itself would cut, from 128 KiB on.
verify_polled() {
	ends fio --name=polled --filename="$1" --ioengine=io_uring --hipri --direct=1 \
		--iodepth=8 --rw=randwrite --bsrange=4k-64k --size=100% --verify=crc32c \
		--verify_fatal=1 "${@:2}"
}

# count_polls COMMAND…: it succeeds; how often null_blk was polled meanwhile, in $hits
count_polls() {
	[ -e "$tracing/kprobe_events" ] || {
		"$@"
		skip "all is right, but this kernel has no kprobes to count polls with"
	}
	echo 'p:kprobes/svmdktest null_poll' >"$tracing/kprobe_events"
	echo 1 >"$tracing/events/kprobes/enable"
	"$@"
	hits=$(awk '$1 == "svmdktest" { print $2 }' "$tracing/kprobe_profile")
	echo "$hits polls"
}

@test "I/O is polled where all extents are mapped to disks that poll" {
	local dev hits
	make_container c.vmdk 16384 16376 8
	dev=$(svmdk attach c.vmdk)
	equal 1 "$(polls "$dev")"
	count_polls verify_polled "$dev"
	((hits > 0))
	cmp <(read_disk "$dev") <(read_extents c.vmdk)
	svmdk detach "$dev"
	dev=$(svmdk attach --io file c.vmdk)
	equal 0 "$(polls "$dev")"
	svmdk detach "$dev"
}

# extent_elsewhere DEVICE NAME: NAME of c.vmdk lies in sub, where DEVICE is mounted anew
extent_elsewhere() {
	mkdir sub
	mkfs.ext4 -q -F "$1"
	mount "$1" sub
	sed -i "s,\"$2,\"sub/$2," c.vmdk
}

# One of its halves would be on a queue that nobody polls, if only it is alone.
@test "what is cut at the border of two disks is left to their interrupts" {
	local dev null
	make_null two 64
	make_container c.vmdk 8188 8188
	extent_elsewhere "$null" c-f002.vmdk
	mv c-f002.vmdk sub
	dev=$(svmdk attach c.vmdk)
	equal "mapped mapped" "$(ways_of "$dev")"
	equal 1 "$(polls "$dev")"
	verify_polled "$dev" --iodepth=1 --offset=4032k --size=64k
	verify_polled "$dev"
	cmp <(read_disk "$dev") <(cat c-f001.vmdk sub/c-f002.vmdk)
	svmdk detach "$dev"
}

@test "a disk that polls goes on to when it grows by what cannot be polled" {
	local dev
	make_container c.vmdk 16384 16384
	# Beside the last extent are the new ones; it itself is on the disk that polls.
	extent_elsewhere /job/disks/spare c-f002.vmdk
	: >sub/c-f002.vmdk
	mount --bind c-f002.vmdk sub/c-f002.vmdk
	dev=$(svmdk attach c.vmdk)
	equal 1 "$(polls "$dev")"
	svmdk grow "$dev" 24M
	equal 0 "$(polls /job/disks/spare)"
	mountpoint -q sub
	[ -f sub/c-f003.vmdk ]
	# Its data is journalled, and goes the file way.
	chattr +j sub
	svmdk grow "$dev" 32M
	equal "mapped mapped mapped file" "$(ways_of "$dev" | xargs)"
	equal 1 "$(polls "$dev")"
	verify_polled "$dev"
	cmp <(read_disk "$dev") <(cat c-f001.vmdk sub/c-f00[234].vmdk)
	svmdk detach "$dev"
}
