#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Real files on a real file system: some 110 MB of the guest's own /usr, copied
# onto a disk of seven extents. After detach and attach they are all there and
# the same, the file system has nothing to complain of, and what QEMU reads out
# of the container is the disk, byte for byte. Each file system has its turn on
# the disk, and each beneath the extents.
#
# One kernel will do, the last.

load common

tree=(/usr/share /usr/lib/gcc /usr/libexec)
copies=/mnt/copies # where what QEMU reads goes to
key=/run/svmdktest-key

setup_file() {
	mkdir -p "$copies"
	mkfs.ext4 -q -F -E nodiscard /job/disks/spare
	mount /job/disks/spare "$copies"
	random_bytes 64 >"$key"
}

teardown_file() {
	umount "$copies"
	rm "$key"
	nothing_leaked
}

teardown() {
	cd /
	[ ! -e /dev/nbd0 ] || qemu-nbd -d /dev/nbd0 >/dev/null
	clean_up
	rm -f "$copies/raw"
}

make_container() {
	make_backing "$1"
	cd "$BACKING" || return
	svmdk create tree.vmdk 328M -e 49M
}

# attach_as WAY: $device, each of whose seven extents is reached that way
attach_as() {
	device=$(svmdk attach tree.vmdk)
	[ "$(of_list "$device" EXTENTS)" = 7 ]
	[ "$(of_list "$device" WAY)" = "$1" ]
}

# The node that has the file system: the disk, or what LUKS makes of it.
open_top() {
	top=$device
	if [ "$1" = luks ]; then
		cryptsetup open --key-file "$key" "$device" svmdktest-tree
		top=/dev/mapper/svmdktest-tree
	fi
}

close_top() {
	if [ "$1" = luks ]; then
		cryptsetup close svmdktest-tree
	fi
}

format_top() {
	if [ "$1" = luks ]; then
		cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
			--key-file "$key" "$device"
	fi
	open_top "$1"
	case $1 in
	ext4 | luks) mkfs.ext4 -q "$top" ;;
	xfs) mkfs.xfs -q "$top" ;;
	btrfs) mkfs.btrfs -q "$top" ;;
	esac
}

check_top() {
	is_clean "${1/luks/ext4}" "$top"
}

copy_tree() {
	mount "$1" "$ABOVE"
	cp -a "${tree[@]}" "$ABOVE"
	umount "$ABOVE"
}

# Contents, names, owners, modes, times, links and attributes: what rsync would
# have to do, which is nothing.
compare_tree() {
	local differences
	mount -o ro "$1" "$ABOVE"
	differences=$(rsync -aHAXcni --delete "${tree[@]}" "$ABOVE")
	umount "$ABOVE"
	[ -z "$differences" ] || {
		echo "$differences"
		return 1
	}
}

# qemu_reads_it CACHE: its copy of the container is the disk
qemu_reads_it() {
	qemu-img convert -T "$1" -t none -f vmdk -O raw tree.vmdk "$copies/raw"
	[ "$(stat -c %s "$copies/raw")" = "$(blockdev --getsize64 "$device")" ]
	qemu-img compare -T none -f raw -F raw "$copies/raw" "$device"
}

# survives TOP BACKING WAY [CACHE]: the whole of it
survives() {
	make_container "$2"
	attach_as "$3"
	format_top "$1"
	copy_tree "$top"
	close_top "$1"
	svmdk detach "$device"

	attach_as "$3"
	qemu_reads_it "${4-none}"
	open_top "$1"
	check_top "$1"
	compare_tree "$top"
	close_top "$1"
	svmdk detach "$device"
}

@test "files on ext4 are the same after detach and attach, with extents on XFS" {
	survives ext4 xfs mapped
}

@test "files on XFS are the same after detach and attach, with extents on btrfs" {
	survives xfs btrfs file
}

@test "files on btrfs are the same after detach and attach, with extents on tmpfs" {
	# tmpfs has no other way than through its cache.
	survives btrfs tmpfs file writeback
}

@test "files on LUKS are the same after detach and attach, with extents on ext4" {
	survives luks ext4 mapped
}

# through_qemu OPTION… -- COMMAND…: COMMAND with /dev/nbd0 as the container
through_qemu() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	qemu-nbd --cache=none "${options[@]}" -c /dev/nbd0 tree.vmdk
	"$@" /dev/nbd0
	qemu-nbd -d /dev/nbd0
}

@test "files written through qemu-nbd are the same through svmdk, and the other way" {
	# nbd_queue_rq() takes a lock that nbd holds while it reads from its socket.
	[ ! -e /proc/lockdep ] ||
		skip "lockdep finds fault with nbd under ext4 on 6.1, and is off from then on"
	tree=(/usr/share/perl)
	modprobe nbd
	make_container ext4
	through_qemu -- mkfs.ext4 -q
	through_qemu -- copy_tree
	attach_as mapped
	open_top ext4
	check_top ext4
	compare_tree "$device"

	tree=(/usr/share/perl5)
	copy_tree "$device"
	svmdk detach "$device"
	tree+=(/usr/share/perl)
	through_qemu -r -- compare_tree
}
