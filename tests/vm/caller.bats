#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Who may not, or has no driver to talk to, is told what to do about it; and a
# command that cannot go on, because the disk is full or the user has had
# enough, leaves no half of anything.
#
# One kernel will do, the last.

load common

modules=/lib/modules/$(uname -r)

setup_file() {
	make_backing ext4
}

teardown_file() {
	clean_up
	nothing_leaked
}

setup() {
	BOX=$BACKING/box
	mkdir "$BOX"
}

teardown() {
	[ ! -e /job/away.ko ] || mv /job/away.ko "$modules/updates/svmdk.ko"
	svmdk detach --all || rmmod svmdk
	! mountpoint -q "$ABOVE" || umount "$ABOVE"
	rm -r "$BOX"
	log_is_clean
}

@test "attach loads the module when it is not there" {
	modprobe -r svmdk
	make_container "$BOX/disk.vmdk" 8
	equal /dev/svmdk0 "$(svmdk attach "$BOX/disk.vmdk")"
	svmdk detach "$BOX/disk.vmdk"
	modprobe -r svmdk
	# For one who does not want to hear of his children, either.
	equal /dev/svmdk0 "$(env --ignore-signal=CHLD svmdk attach "$BOX/disk.vmdk")"
}

@test "without a module, it is said how to get it" {
	modprobe -r svmdk
	mv "$modules/updates/svmdk.ko" /job/away.ko
	make_container "$BOX/disk.vmdk" 8
	fails_with 1 'module svmdk is not loaded and cannot be: .*; install it with dkms or .make install' \
		svmdk attach "$BOX/disk.vmdk"
	fails_with 1 'disk.vmdk: not attached; module svmdk is not loaded' \
		svmdk detach "$BOX/disk.vmdk"
	equal '' "$(svmdk list --noheadings)"
	svmdk detach --all
}

# modprobe_says TEXT MODE COMMAND…: where modprobe(8) says that and fails
modprobe_says() {
	printf '#!/bin/sh\necho "%s" >&2\nexit 1\n' "$1" >"$BATS_TEST_TMPDIR/modprobe"
	chmod "$2" "$BATS_TEST_TMPDIR/modprobe"
	# shellcheck disable=SC2016 # that shell's
	unshare -m sh -c 'mount --bind "$0" /usr/sbin/modprobe && exec "$@"' \
		"$BATS_TEST_TMPDIR/modprobe" "${@:3}"
}

@test "what modprobe says is passed on, with what helps" {
	local cannot='^svmdk: module svmdk is not loaded and cannot be:'
	modprobe -r svmdk
	make_container "$BOX/disk.vmdk" 8
	refused "$cannot could not insert 'svmdk': Key was rejected by service; it must be signed with a key that this machine trusts, see mokutil" \
		modprobe_says "modprobe: ERROR: could not insert 'svmdk': Key was rejected by service" \
		755 svmdk attach "$BOX/disk.vmdk"
	refused "$cannot could not insert 'svmdk': Operation not permitted; root may not load modules here; load it outside the container" \
		modprobe_says "modprobe: ERROR: could not insert 'svmdk': Operation not permitted" \
		755 svmdk attach "$BOX/disk.vmdk"
	refused "$cannot modprobe failed and did not say why; install it with dkms or .make install" \
		modprobe_says '' 755 svmdk attach "$BOX/disk.vmdk"
	refused "$cannot No(no){200}; install it with dkms" \
		modprobe_says "modprobe: FATAL: No$(printf 'no%.0s' {1..200})." 755 svmdk attach "$BOX/disk.vmdk"
	# No more is kept than what one line can have, and no less is read.
	refused "$cannot (no){200,260}n?; install it with dkms" \
		modprobe_says "$(printf 'no%.0s' {1..20000})" 755 svmdk attach "$BOX/disk.vmdk"
	refused "$cannot there is no modprobe; load it with insmod" \
		modprobe_says '' 644 svmdk attach "$BOX/disk.vmdk"
	[ ! -e /sys/module/svmdk ]
}

@test "a module of another version is not talked to" {
	[ -e /job/other-version.ko ] || skip "no such module was built"
	make_container "$BOX/disk.vmdk" 8
	modprobe -r svmdk
	insmod /job/other-version.ko
	fails_with 1 'the driver is version [0-9.]+ \(ABI 2\), this tool needs ABI 1; detach everything and reload' \
		svmdk attach "$BOX/disk.vmdk"
	fails_with 1 'the driver is version' svmdk list
	rmmod svmdk
}

@test "who is not root is told so" {
	modprobe svmdk
	make_container "$BOX/disk.vmdk" 8
	fails_with 1 'must be root; try again with sudo' \
		setpriv --reuid=65534 --regid=65534 --clear-groups svmdk attach "$BOX/disk.vmdk"
	fails_with 1 'CAP_SYS_ADMIN is needed, and root does not have it here' \
		setpriv --bounding-set=-sys_admin svmdk attach "$BOX/disk.vmdk"
	modprobe -r svmdk
	fails_with 1 'must be root; try again with sudo' \
		setpriv --reuid=65534 --regid=65534 --clear-groups svmdk attach "$BOX/disk.vmdk"
	[ ! -e /sys/module/svmdk ]
}

# left_empty TEXT FOLDER COMMAND…: it fails, says TEXT, and makes nothing
left_empty() {
	local text=$1 folder=$2
	shift 2
	fails_with 1 "$text" "$@"
	equal '' "$(ls -A "$folder")"
}

@test "create that finds the disk too full takes away what it made" {
	mount -t tmpfs -o size=8M tmpfs "$ABOVE"
	left_empty 'disk.vmdk: not enough room: 32M are needed, 24M \([0-9]* bytes\) more than there are' \
		"$ABOVE" svmdk create "$ABOVE/disk.vmdk" 32M
	# With room by its own word, but for three files only.
	mount -o remount,size=64M,nr_inodes=4 "$ABOVE"
	left_empty 'disk-f004.vmdk: cannot create it: No space left on device; what was made is removed' \
		"$ABOVE" svmdk create "$ABOVE/disk.vmdk" 32M -e 4M
	mount -o remount,nr_inodes=9 "$ABOVE"
	left_empty 'disk.vmdk: cannot create it: No space left on device; what was made is removed' \
		"$ABOVE" svmdk create "$ABOVE/disk.vmdk" 32M -e 4M
	umount "$ABOVE"
	mkfs.ext4 -q -F -m 0 /job/disks/spare 64M
	mount /job/disks/spare "$ABOVE"
	rmdir "$ABOVE/lost+found"
	# All blocks that are free, of which the file system keeps some.
	left_empty 'cannot allocate [0-9]* bytes: No space left on device; what was made is removed' \
		"$ABOVE" svmdk create "$ABOVE/disk.vmdk" $(($(stat -fc '%f * %S' "$ABOVE"))) -e 16M
}

@test "create takes nothing away that it did not make" {
	echo mine >"$BOX/disk-f003.vmdk"
	fails_with 1 'disk-f003.vmdk: exists already; choose another name.*what was made is removed' \
		svmdk create "$BOX/disk.vmdk" 4M -e 1M
	equal disk-f003.vmdk "$(ls -A "$BOX")"
	equal mine "$(cat "$BOX/disk-f003.vmdk")"
	mv "$BOX/disk-f003.vmdk" "$BOX/disk.vmdk"
	fails_with 1 'disk.vmdk: exists already; choose another name' svmdk create "$BOX/disk.vmdk" 4M
	equal mine "$(cat "$BOX/disk.vmdk")"
}

# interrupted SIGNAL PATH COMMAND…: sends it once the command is at that file,
# or at any file below that folder
interrupted() {
	local signal=$1 path=$2 pid got=0
	shift 2
	# What bash starts in the background ignores SIGINT otherwise.
	env --default-signal=INT "$@" >"$BATS_TEST_TMPDIR/log" 2>&1 &
	pid=$!
	until [ -n "$(find "$path" -type f -newermt 2021-01-01 2>/dev/null)" ]; do
		kill -0 "$pid"
	done
	kill -"$signal" "$pid"
	wait "$pid" || got=$?
	cat "$BATS_TEST_TMPDIR/log"
	equal 1 "$got"
}

@test "create that is interrupted leaves nothing" {
	local signal
	for signal in INT TERM; do
		interrupted "$signal" "$BOX/disk-f002.vmdk" \
			svmdk create "$BOX/disk.vmdk" 2G
		grep -q '^svmdk: .*: interrupted; what was made is removed again$' "$BATS_TEST_TMPDIR/log"
		equal '' "$(ls -A "$BOX")"
	done
}

# The container is what the copy of it in $1 is, and as old.
unchanged() {
	local file
	for file in "$BOX"/*; do
		cmp "$file" "$1/${file##*/}"
		equal "$(stat -c '%s %y' "$1/${file##*/}")" "$(stat -c '%s %y' "$file")"
	done
}

@test "allocate that is interrupted changes no content, and goes on when it is run again" {
	local signal number lines=() copy=$BACKING/copy
	for number in 1 2 3 4; do
		random_bytes 1M >"$BOX/disk-f00$number.vmdk"
		truncate -s 128M "$BOX/disk-f00$number.vmdk"
		lines+=("RW 262144 FLAT \"disk-f00$number.vmdk\" 0")
	done
	write_descriptor "$BOX/disk.vmdk" "${lines[@]}"
	touch -d 2020-02-02 "$BOX"/*
	cp -a --sparse=always "$BOX" "$copy"
	for signal in INT TERM; do
		interrupted "$signal" "$BOX" svmdk allocate "$BOX/disk.vmdk"
		grep -q '^svmdk: .*disk.vmdk:[0-9]*: interrupted at extent .*; nothing is lost, run svmdk allocate again' \
			"$BATS_TEST_TMPDIR/log"
		unchanged "$copy"
	done
	refused 'cannot be mapped' svmdk attach --io mapped "$BOX/disk.vmdk"
	svmdk allocate "$BOX/disk.vmdk"
	unchanged "$copy"
	svmdk attach --io mapped "$BOX/disk.vmdk"
}
