#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# The driver trusts no caller: one that may not, does not speak its version,
# or hands over what is not so, gets an error, and nothing is left behind.
# abi.c, abi_build.c, abi_grow.c and abi_kill.c have the calls; each looks at the end whether a disk,
# a pinned file or a taken index stayed.

load common

setup_file() {
	make_backing ext4
	modprobe svmdk
}

teardown() {
	echo 0 >/sys/module/svmdk/parameters/verify_runs
	svmdk detach --all
	eventually module_is_free
	log_is_clean
}

teardown_file() {
	clean_up
	nothing_leaked
}

abi() {
	DISK=/job/disks/spare /job/programs/abi "$1" "$BACKING"
}

abi_grow() {
	/job/programs/abi_grow "$1" "$BACKING"
}

abi_build() {
	/job/programs/abi_build "$1" "$BACKING"
}

@test "a caller without CAP_SYS_ADMIN can do nothing, though root opened the control node" {
	abi privilege
}

@test "a call that does not exist is refused" {
	abi unknown-call
}

@test "a structure that is shorter than the first version's, or absurdly long, is refused" {
	abi wrong-size
	abi short-elements
}

@test "a longer structure is taken when what the driver does not know is zero" {
	abi longer-structures
	abi unknown-tail
}

@test "a pointer to nowhere is refused, whatever it points at" {
	abi bad-pointers
}

@test "a caller of another version is refused" {
	abi other-version
}

@test "padding and unknown flags must be zero" {
	abi padding-and-flags
	abi bad-extents
}

@test "a disk of 2^63 bytes or of more extents than there may be is refused" {
	abi sums
}

@test "only files that are open for what is asked, and long enough, become extents" {
	abi wrong-files
}

@test "only a file can be the descriptor" {
	abi wrong-descriptor
}

@test "a batch with a bad extent leaves none of its extents behind" {
	abi batch-is-whole
}

@test "calls out of order are refused" {
	abi_build order
	abi_build no-runs
}

@test "an index is given once" {
	abi_build index
}

@test "two disks cannot have one file when one of them writes" {
	abi_build shared-file
}

@test "no mapping of a pinned file can be made writable" {
	abi_build mappings
}

@test "runs that do not belong to the file are refused" {
	abi_build wrong-runs
}

# make_holed DEVICE: ext4, with a file whose first and last block are as far apart as if
# the one between them were there: that and another file's have changed places
make_holed() {
	local holed other
	mkfs.ext4 -q -F -b 4096 -O ^has_journal "$1" 8M
	mount "$1" "$ABOVE"
	head -c 12288 /dev/zero >"$ABOVE/holed"
	head -c 4096 /dev/zero >"$ABOVE/other"
	umount "$ABOVE"
	read -ra holed < <(debugfs -R 'blocks holed' "$1")
	read -ra other < <(debugfs -R 'blocks other' "$1")
	debugfs -w -f - "$1" <<-END
		set_inode_field holed bmap[1] ${other[0]}
		set_inode_field other bmap[0] ${holed[1]}
	END
	mount "$1" "$ABOVE"
}

@test "with verify_runs each block of a run is checked" {
	make_holed /job/disks/spare
	# By the ends alone it cannot be told.
	refused 'not -22' /job/programs/abi_build lie-in-the-middle "$ABOVE"
	echo 1 >/sys/module/svmdk/parameters/verify_runs
	/job/programs/abi_build lie-in-the-middle "$ABOVE"
	umount "$ABOVE"
}

@test "a control file that is closed early takes everything with it" {
	abi_build close-early
}

@test "a caller that is killed at any of its calls leaves a whole disk or none" {
	/job/programs/abi_kill every-call "$BACKING" >"$BATS_TEST_TMPDIR/said" || {
		cat "$BATS_TEST_TMPDIR/said"
		return 1
	}
	sed 's/^/# /' "$BATS_TEST_TMPDIR/said" >&3
}

@test "threads that share a control file cannot confuse the driver" {
	abi_build race
	abi_build race-of-detach
}

@test "a 32-bit caller gets the same as any other" {
	grep -q '^CONFIG_IA32_EMULATION=y' "/boot/config-$(uname -r)" ||
		skip "this kernel runs no 32-bit programs"
	/job/programs/abi_build shared-file "$BACKING"
	cd "$BACKING"
	/job/programs/caller32
}

@test "the module stays while a disk is attached or begun" {
	svmdk create "$BACKING/disk.vmdk" 1M
	svmdk attach "$BACKING/disk.vmdk"
	refused 'in use' modprobe -r svmdk
	svmdk detach --all
	exec 9<>/dev/svmdk-control
	refused 'in use' modprobe -r svmdk 9>&-
	exec 9>&-
	modprobe -r svmdk
	modprobe svmdk
}

@test "the growth of a disk is begun by one, takes its extents once, and is whole or nothing" {
	abi_grow order
	abi_grow again
	abi_grow abandoned
}

@test "a disk may go while it is to grow, however the calls fall" {
	abi_grow gone-meanwhile
	abi_grow race
}

@test "a disk does not grow by what lies on it" {
	abi_grow cycle
	abi_grow mutual
	abi_grow left-behind
}

@test "what is dirty is told once, and nothing of it is lost to a caller that cannot be told" {
	abi_grow dirty
}
