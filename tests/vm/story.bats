#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# The container that svmdk was begun for: a disk as qemu-img makes it, split by
# hand into nine extents of 128 MiB with a descriptor edited to match. It is
# attached as it is, holes and all, and works; svmdk allocate makes it one that
# goes straight to the disk beneath. Its contents are the same throughout, for
# QEMU too.
#
# One kernel will do, the last.

load common

seed=/job/corpus/descriptors/seed-128m-nine.vmdk

setup() {
	[ -e "$seed" ] || skip "the corpus with seed-128m-nine.vmdk is not here"
	make_backing ext4
	cd "$BACKING" || return
	make_original
	split_by_hand
}

teardown() {
	cd /
	clean_up
}

# What a user has before: a disk of 2176 MiB, a few places of it written.
make_original() {
	mkdir original
	qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentFlat original/2_125G.vmdk 2176M
	mv original/2_125G-f001.vmdk reference
	truncate -s 1152M reference
	write_at 0 2048 reference
	write_at 130048 2048 reference
	write_at 655361 4 reference
	write_at 1179136 512 reference
}

split_by_hand() {
	local i
	for i in {1..9}; do
		dd if=reference of="2_125G-f00$i.vmdk" bs=1M skip=$(((i - 1) * 128)) count=128 \
			conv=sparse status=none
		truncate -s 128M "2_125G-f00$i.vmdk"
	done
	cp "$seed" 2_125G.vmdk
}

# write_at KIB LENGTH FILE…: the same new bytes, LENGTH KiB of them, into each
write_at() {
	local at=$1 length=$2 file
	shift 2
	random_bytes $((length * 1024)) >"$BATS_TEST_TMPDIR/bytes"
	for file; do
		dd if="$BATS_TEST_TMPDIR/bytes" of="$file" bs=1k seek="$at" conv=notrunc,fsync \
			status=none
	done
}

# Byte for byte; around the page cache, which is the way that the disk takes too.
equal() {
	qemu-img compare -T none -f raw -F "$2" reference "$1"
}

@test "a container split by hand is attached as made: the same disk, before and after a write" {
	local device before
	before=$(grep ^CID= 2_125G.vmdk)
	equal 2_125G.vmdk vmdk
	device=$(svmdk attach 2_125G.vmdk)
	[ "$(of_list "$device" SIZE)" = $((1152 << 20)) ]
	[ "$(of_list "$device" EXTENTS)" = 9 ]
	[ "$(of_list "$device" MAPPED)" = 0 ]
	[ "$(svmdk list --extents --noheadings -o EXTENT,REASON "$device" | grep -c '[0-9] hole$')" = 9 ]
	equal "$device" raw

	write_at 130560 1024 reference "$device"
	write_at 900001 3 reference "$device"
	equal "$device" raw
	svmdk detach "$device"
	[ "$(grep ^CID= 2_125G.vmdk)" != "$before" ]
	equal 2_125G.vmdk vmdk
}

@test "after svmdk allocate it goes straight to the disk beneath, and is the same disk" {
	local device
	svmdk allocate 2_125G.vmdk
	equal 2_125G.vmdk vmdk
	device=$(svmdk attach --io mapped 2_125G.vmdk)
	[ "$(of_list "$device" MAPPED)" = 9 ]
	write_at 523776 2048 reference "$device"
	write_at 1179640 8 reference "$device"
	equal "$device" raw
	svmdk detach "$device"
	equal 2_125G.vmdk vmdk
}
