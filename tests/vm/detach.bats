#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A disk in use stays, and detach says who uses it; one that is asked to go
# later goes with its last user. When detach returns, nothing of the disk is
# left, and its extents are plain files again.

load common

teardown() {
	exec 7>&-
	clean_up
}

make_disk() {
	make_backing ext4
	svmdk create -e 8M "$BACKING/c.vmdk" 64M
	dev=$(svmdk attach "$BACKING/c.vmdk")
	f=$BACKING/c-f001.vmdk
}

# No node, no link, no pin.
is_gone() {
	local link
	[ ! -e "$1" ]
	[ ! -e "/sys/block/$(basename "$1")" ]
	for link in /dev/disk/*/*; do
		[[ $(readlink "$link") != */"$(basename "$1")"* ]] || return 1
	done
	truncate -s 8M "$f"
	rm "$f"
}

@test "a mounted disk stays, detach says where it is mounted, and nothing is lost" {
	make_disk
	mkfs.ext4 -q "$dev"
	mount "$dev" "$ABOVE"
	cp -r /etc "$ABOVE/etc"
	fails_with 1 "in use: mounted on $ABOVE \(ext4\)" svmdk detach "$dev"
	fails_with 1 "in use: mounted on $ABOVE" svmdk detach --all
	diff -r --no-dereference /etc "$ABOVE/etc"
	umount "$ABOVE"
	svmdk detach "$dev"
	dev=$(svmdk attach "$BACKING/c.vmdk")
	mount "$dev" "$ABOVE"
	diff -r --no-dereference /etc "$ABOVE/etc"
	umount "$ABOVE"
	svmdk detach "$dev"
	is_gone "$dev"
}

@test "a disk that a program has open stays, and detach names the program" {
	make_disk
	exec 7<"$dev"
	tail -f /dev/null <&7 7<&- &
	exec 7<&-
	eventually [ "$(readlink "/proc/$!/fd/0")" = "$dev" ]
	fails_with 1 "in use: held open by $! \(tail\)" svmdk detach "$dev"
	kill $!
	wait $! || true
	svmdk detach "$dev"
	is_gone "$dev"
}

@test "detach names the mapping, the swap or the partition that uses the disk" {
	make_disk
	dmsetup create svmdktest --table "0 2048 linear $dev 0"
	fails_with 1 "in use: beneath dm-[0-9]+ \(svmdktest\)" svmdk detach "$dev"
	dmsetup remove --retry svmdktest
	mkswap "$dev" >/dev/null
	swapon "$dev"
	fails_with 1 "in use: used as swap" svmdk detach "$dev"
	swapoff "$dev"
	wipefs -qa "$dev"
	echo ',16M' | sfdisk -q --no-reread "$dev"
	udevadm settle
	mkfs.ext4 -q "${dev}p1"
	mount "${dev}p1" "$ABOVE"
	fails_with 1 "in use: $(basename "$dev")p1 mounted on $ABOVE" svmdk detach "$dev"
	umount "$ABOVE"
	svmdk detach "$dev"
	is_gone "$dev"
}

@test "a disk detached lazily goes at its last close, with all that was written" {
	make_disk
	random_bytes 65536 >"$BATS_TEST_TMPDIR/data"
	exec 7<>"$dev"
	svmdk detach --lazy "$dev" 2>"$BATS_TEST_TMPDIR/said"
	grep -q "in use: held open by .*; it goes when the last user closes it" "$BATS_TEST_TMPDIR/said"
	equal detaching "$(svmdk list --noheadings -o STATE "$dev")"
	dd if="$BATS_TEST_TMPDIR/data" bs=64k status=none >&7
	refused "attached as $dev" svmdk attach "$BACKING/c.vmdk"
	exec 7>&-
	eventually is_gone_quietly
	cmp -n 65536 "$BATS_TEST_TMPDIR/data" "$f"
	modprobe -r svmdk
	dev=$(svmdk attach "$BACKING/c.vmdk")
	cmp -n 65536 "$BATS_TEST_TMPDIR/data" "$dev"
}

is_gone_quietly() {
	[ ! -e "/sys/block/$(basename "$dev")" ] && [ -z "$(svmdk list --noheadings)" ]
}

@test "lazy detach of a disk that nobody uses is at once" {
	make_disk
	svmdk detach --lazy "$dev"
	is_gone "$dev"
}

@test "a disk is detached by its node, its name, its link and its descriptor" {
	local by
	make_disk
	svmdk detach "$dev"
	cd "$BACKING"
	for by in /dev/svmdk0 svmdk0 /dev/disk/by-id/svmdk-c "$BACKING/c.vmdk" ./c.vmdk \
		../backing/c.vmdk; do
		equal /dev/svmdk0 "$(svmdk attach c.vmdk)"
		svmdk detach "$by"
		[ ! -e /sys/block/svmdk0 ]
	done
	fails_with 1 "not attached" svmdk detach c.vmdk
	fails_with 1 "not attached" svmdk detach /dev/svmdk0
	cd /
	is_gone /dev/svmdk0
}

@test "detach --all detaches every disk, and those that lie on others first" {
	make_disk
	svmdk create "$BACKING/d.vmdk" 8M
	svmdk attach "$BACKING/d.vmdk"
	mkfs.ext4 -q "$dev"
	mount "$dev" "$ABOVE"
	svmdk create "$ABOVE/e.vmdk" 8M
	svmdk attach "$ABOVE/e.vmdk"
	# The one that holds the mount stays, and is said; the rest goes.
	fails_with 1 "$dev: in use: mounted on $ABOVE" svmdk detach --all
	equal "$dev" "$(svmdk list --noheadings -o NAME)"
	umount "$ABOVE"
	svmdk detach --all
	equal "" "$(svmdk list --noheadings)"
	svmdk detach --all
	is_gone "$dev"
}

@test "the module stays while a disk is attached, and goes after" {
	make_disk
	refused "in use" modprobe -r svmdk
	svmdk detach "$dev"
	modprobe -r svmdk
	[ ! -e /dev/svmdk-control ]
}

@test "a container that was written has a new CID after detach, another keeps it" {
	local cid
	make_disk
	cid=$(grep ^CID= "$BACKING/c.vmdk")
	read_disk "$dev" >/dev/null
	svmdk detach "$dev"
	equal "$cid" "$(grep ^CID= "$BACKING/c.vmdk")"
	dev=$(svmdk attach "$BACKING/c.vmdk")
	write_disk "$dev" 0 4096
	svmdk detach "$dev"
	[ "$(grep ^CID= "$BACKING/c.vmdk")" != "$cid" ]
	qemu-img info -f vmdk "$BACKING/c.vmdk" >/dev/null
}
