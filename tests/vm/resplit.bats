#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A container gets extents of another size. Its disk stays what it was, as QEMU
# sees it too; whatever goes wrong or is killed leaves the old shape or the new
# one, whole.
#
# One kernel will do.

load common

teardown() {
	cd /
	chattr -f -i "$BACKING"/* 2>/dev/null || true
	clean_up
}

# enter TYPE [MKFS-OPTION…]: a new file system, and a folder in it to work in
enter() {
	local type=$1
	shift
	cd /
	! mountpoint -q "$BACKING" || umount "$BACKING"
	make_backing "$type" /job/disks/data "$@"
	mkdir "$BACKING/box"
	cd "$BACKING/box" || return
}

# keep FILE: what the disk is now, for holds
keep() {
	qemu-img convert -f vmdk -O raw "$1" "$BATS_TEST_TMPDIR/raw"
}

# holds FILE: the disk is what it was, to QEMU and to us
holds() {
	qemu-img compare -f vmdk -F raw "$1" "$BATS_TEST_TMPDIR/raw"
	svmdk check "$1" 2>"$BATS_TEST_TMPDIR/check" || {
		cat "$BATS_TEST_TMPDIR/check"
		return 1
	}
}

# sizes FILE: of its extents in sectors, and their offsets where there are any
sizes() {
	svmdk info --json "$1" | jq -r '[.container[0].children[] |
		"\(.sectors)\(if .offset > 0 then "+\(.offset)" else "" end)"] | join(" ")'
}

type_of() {
	svmdk info --json "$1" | jq -r '.container[0].type'
}

files() {
	find . -type f -printf '%P\n' | sort | xargs
}

there_and_back() {
	local cid size
	make_container disk.vmdk 6144 6144 6144 1000
	keep disk.vmdk
	cid=$(grep ^CID= disk.vmdk)
	for size in 7777s 1M 64M 9000s; do
		svmdk resplit disk.vmdk -e $size "$@"
		holds disk.vmdk
	done
	equal '9000 9000 1432' "$(sizes disk.vmdk)"
	equal "$cid" "$(grep ^CID= disk.vmdk)"
	equal "disk-f001.vmdk disk-f002.vmdk disk-f003.vmdk disk.vmdk" "$(files)"
	svmdk resplit disk.vmdk -e 1G "$@"
	equal monolithicFlat "$(type_of disk.vmdk)"
	equal 'disk-flat.vmdk disk.vmdk' "$(files)"
	svmdk resplit disk.vmdk -e 3M "$@"
	equal twoGbMaxExtentFlat "$(type_of disk.vmdk)"
	equal '6144 6144 6144 1000' "$(sizes disk.vmdk)"
	holds disk.vmdk
}

@test "there and back on ext4, XFS and btrfs, at once and in steps" {
	local type
	for type in ext4 xfs btrfs; do
		enter $type
		if thorough || [ $type != btrfs ]; then
			there_and_back
		fi
		if thorough || [ $type != xfs ]; then
			there_and_back --low-space
		fi
	done
}

@test "what was mapped is mapped again, and reads the same through the driver" {
	local type
	for type in ext4 xfs; do
		enter $type
		svmdk create disk.vmdk 24M -e 8M
		svmdk attach disk.vmdk
		write_disk /dev/svmdk0 $((3 << 20)) $((7 << 20))
		read_disk /dev/svmdk0 >"$BATS_TEST_TMPDIR/before"
		fails_with 1 'disk.vmdk: in use: it is attached' svmdk resplit disk.vmdk -e 4M
		svmdk detach disk.vmdk
		svmdk resplit disk.vmdk -e 5M
		svmdk attach --io mapped disk.vmdk
		equal 'mapped mapped mapped mapped mapped' "$(ways_of /dev/svmdk0)"
		read_disk /dev/svmdk0 | cmp - "$BATS_TEST_TMPDIR/before"
		svmdk detach disk.vmdk
	done
}

@test "where blocks can be shared, it takes no space" {
	local type before
	for type in xfs btrfs; do
		enter $type
		svmdk create disk.vmdk 40M -e 40M
		random_bytes $((40 << 20)) | dd of=disk-f001.vmdk conv=notrunc bs=1M iflag=fullblock status=none
		sync .
		# Less room than the container has.
		fallocate -l $(($(stat -f -c '%a * %S' .) - (24 << 20))) fill
		before=$(md5sum <disk-f001.vmdk)
		svmdk resplit disk.vmdk -e 4M --dry-run | grep -q '^Space needed: 0B '
		svmdk resplit disk.vmdk -e 4M
		equal 10 "$(sizes disk.vmdk | wc -w)"
		equal "$before" "$(cat disk-2-f*.vmdk | md5sum)"
	done
}

@test "in steps it needs the room of one new extent, to split and to join" {
	local size
	enter ext4
	svmdk create disk.vmdk 64M -e 64M
	random_bytes $((64 << 20)) | dd of=disk-f001.vmdk conv=notrunc bs=1M iflag=fullblock status=none
	sync .
	# ext4 holds 16 MiB back, root or not.
	fallocate -l $(($(stat -f -c '%f * %S' .) - (24 << 20))) fill
	keep disk.vmdk
	for size in 4M 2M; do
		fails_with 1 'not enough room: 64M are needed, .*; use --low-space' \
			svmdk resplit disk.vmdk -e $size
		svmdk resplit disk.vmdk -e $size --dry-run |
			grep -q "^Space needed with --low-space: $size "
		svmdk resplit disk.vmdk -e $size --low-space
		holds disk.vmdk
	done
	equal 32 "$(sizes disk.vmdk | wc -w)"
	fails_with 1 'not enough room' svmdk resplit disk.vmdk -e 64M --low-space
	svmdk resplit disk.vmdk -e 4M --low-space
	holds disk.vmdk
}

@test "a dry run prints a diff that makes the new descriptor, and changes nothing" {
	enter ext4
	make_container disk.vmdk 6144 6144 1000
	sed -i 's/^# Extent description/# kept by its owner: ä/' disk.vmdk
	cp disk.vmdk "$BATS_TEST_TMPDIR/patched"
	stat -c '%n %i %s %y %z' . ./* >"$BATS_TEST_TMPDIR/before"
	svmdk resplit disk.vmdk -e 2M -n >"$BATS_TEST_TMPDIR/diff"
	stat -c '%n %i %s %y %z' . ./* | cmp - "$BATS_TEST_TMPDIR/before"
	equal 4 "$(files | wc -w)"
	grep -q '^Space needed: 6.5M (6803456 bytes), free: ' "$BATS_TEST_TMPDIR/diff"
	equal '-3 +4' "-$(grep -c '^-RW' "$BATS_TEST_TMPDIR/diff") +$(grep -c '^+RW' "$BATS_TEST_TMPDIR/diff")"
	svmdk resplit disk.vmdk -e 2M
	diff -u --label disk.vmdk --label disk.vmdk "$BATS_TEST_TMPDIR/patched" disk.vmdk \
		>"$BATS_TEST_TMPDIR/wanted" || true
	grep -v '^Space' "$BATS_TEST_TMPDIR/diff" | diff -u "$BATS_TEST_TMPDIR/wanted" -
	grep -q '^# kept by its owner: ä$' disk.vmdk
	refused 'note: its extents have that size already' \
		sh -c 'svmdk resplit disk.vmdk -e 2M && false'
}

@test "holes stay holes, what was reserved stays reserved, or as asked" {
	local type
	for type in ext4 xfs; do
		enter $type
		truncate -s 16M a
		random_bytes 65536 | dd of=a conv=notrunc status=none
		fallocate -l 16M b
		write_descriptor disk.vmdk 'RW 32768 FLAT "a" 0' 'RW 32768 FLAT "b" 0' 'RW 2048 ZERO'
		cat a b <(head -c 1M /dev/zero) >"$BATS_TEST_TMPDIR/all"
		svmdk resplit disk.vmdk -e 10M
		cat disk-f*.vmdk | cmp - "$BATS_TEST_TMPDIR/all"
		(($(stat -c %b disk-f001.vmdk) < 2048))
		equal 20480 "$(stat -c %b disk-f003.vmdk)"
		svmdk resplit disk.vmdk -e 8M --sparse
		cat disk-2-f*.vmdk | cmp - "$BATS_TEST_TMPDIR/all"
		(($(du -cs disk-2-f*.vmdk | awk 'END { print $1 }') < 2048))
		svmdk resplit disk.vmdk -e 11M --fill
		cat disk-f*.vmdk | cmp - "$BATS_TEST_TMPDIR/all"
		svmdk attach --io mapped disk.vmdk
		svmdk detach disk.vmdk
		equal 2 "$(svmdk resplit disk.vmdk -e 8M --fill --sparse >&2 || echo $?)"
	done
}

# What a kill may leave is undone or finished by the next run.
killed_everywhere() {
	local call when options=("$@")
	for call in ioctl copy_file_range fsync renameat unlinkat; do
		for ((when = 1; when < 50; when += 2 + when / 2)); do
			rm -rf ./* ./.[!.]*
			cp "$BATS_TEST_TMPDIR/box/"* .
			if strace -qq -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$when" \
				svmdk resplit disk.vmdk -e 600s "${options[@]}" 2>/dev/null; then
				break
			fi
			KILLS=$((KILLS + 1))
			cat_disk disk.vmdk | cmp - "$BATS_TEST_TMPDIR/all"
			svmdk resplit disk.vmdk -e 600s "${options[@]}" 2>/dev/null
			cat_disk disk.vmdk | cmp - "$BATS_TEST_TMPDIR/all"
			equal '600 400' "$(awk '/^RW/ { print $2 }' disk.vmdk | xargs)"
			equal 3 "$(files | wc -w)"
		done
		((when < 50)) # the last run got through
	done
}

@test "killed at every call that changes something: the old shape or the new, then done" {
	KILLS=0
	mkdir "$BATS_TEST_TMPDIR/box"
	enter xfs
	make_container disk.vmdk 500 500
	cp ./* "$BATS_TEST_TMPDIR/box"
	cat_disk disk.vmdk >"$BATS_TEST_TMPDIR/all"
	equal $((1000 * 512)) "$(stat -c %s "$BATS_TEST_TMPDIR/all")"
	killed_everywhere --no-compare
	enter ext4
	killed_everywhere --low-space
	echo "$KILLS kills"
	((KILLS > 5))
}

@test "killed at any moment, with other sizes each time, on ext4, XFS and btrfs" {
	local type round options
	for type in ext4 xfs btrfs; do
		enter $type
		make_container disk.vmdk 20000 20000 7000
		cat_disk disk.vmdk >"$BATS_TEST_TMPDIR/all"
		for ((round = 0; round < 5; round++)); do
			options=(-e $((2000 + RANDOM))s)
			((RANDOM % 2)) || options+=(--low-space)
			timeout -s KILL "0.$(printf %03d $((RANDOM % 150)))" \
				svmdk resplit disk.vmdk "${options[@]}" 2>/dev/null || true
			cat_disk disk.vmdk | cmp - "$BATS_TEST_TMPDIR/all"
		done
		svmdk resplit disk.vmdk -e 10M
		cat_disk disk.vmdk | cmp - "$BATS_TEST_TMPDIR/all"
		equal 4 "$(files | wc -w)"
	done
}

@test "after Ctrl-C what was made is gone, or in steps what was moved is kept" {
	enter ext4
	make_container disk.vmdk 20000 20000
	keep disk.vmdk
	fails_with 1 'interrupted; what was made is removed again' \
		strace -qq -o /dev/null -e trace=fsync -e signal=none -e inject=fsync:signal=INT:when=3 \
		svmdk resplit disk.vmdk -e 5000s
	equal 'disk-f001.vmdk disk-f002.vmdk disk.vmdk' "$(files)"
	fails_with 1 'interrupted; nothing is lost, run svmdk resplit again to go on' \
		strace -qq -o /dev/null -e trace=ftruncate -e signal=none \
		-e inject=ftruncate:signal=INT:when=3 svmdk resplit disk.vmdk -e 5000s --low-space
	equal '5000 5000 10000+10000 20000' "$(sizes disk.vmdk)"
	holds disk.vmdk
	svmdk attach disk.vmdk
	svmdk detach disk.vmdk
	svmdk resplit disk.vmdk -e 5000s --low-space
	equal '5000 5000 5000 5000 5000 5000 5000 5000' "$(sizes disk.vmdk)"
	equal 9 "$(files | wc -w)"
	holds disk.vmdk
}

@test "a disk that fills up after all, and one that cannot be written" {
	enter ext4
	make_container disk.vmdk 20000 20000
	keep disk.vmdk
	fails_with 1 'extent disk-2-f001.vmdk: cannot write byte 0: No space left on device; what was made is removed again' \
		strace -qq -o /dev/null -e trace=copy_file_range \
		-e inject=copy_file_range:error=ENOSPC:when=1 svmdk resplit disk.vmdk -e 5000s
	fails_with 1 'extent disk-2-f002.vmdk: cannot write it to disk: Input/output error; what was made is removed again' \
		strace -qq -o /dev/null -e trace=fsync -e inject=fsync:error=EIO:when=4 \
		svmdk resplit disk.vmdk -e 5000s
	equal 'disk-f001.vmdk disk-f002.vmdk disk.vmdk' "$(files)"
	holds disk.vmdk
}

@test "a sector that cannot be read is named, and the container stays as it is" {
	local sectors first
	enter ext4
	make_container disk.vmdk 20000 20000
	sync -f .
	first=$(filefrag -b512 -e disk-f002.vmdk | awk '$1 == "0:" { print $4 + 0 }')
	cd /
	umount "$BACKING"
	sectors=$(blockdev --getsz /job/disks/data)
	{
		echo "0 $((first + 4096)) linear /job/disks/data 0"
		echo "$((first + 4096)) 8 error"
		echo "$((first + 4104)) $((sectors - first - 4104)) linear /job/disks/data $((first + 4104))"
	} | dmsetup create svmdkbeneath
	mount /dev/mapper/svmdkbeneath "$BACKING"
	cd "$BACKING/box"
	fails_with 1 'extent disk-f002.vmdk: cannot read byte 2097152: Input/output error; what was made is removed again' \
		svmdk resplit disk.vmdk -e 5000s
	equal 'disk-f001.vmdk disk-f002.vmdk disk.vmdk' "$(files)"
	svmdk check disk.vmdk
}

@test "what is not what was copied is found before the old extents go" {
	enter ext4
	make_container disk.vmdk 20000 20000
	keep disk.vmdk
	# A copy that never happened, and says that it did.
	fails_with 1 'extent disk-2-f002.vmdk: byte 0 is not what was copied there; .*; what was made is removed again' \
		strace -qq -o /dev/null -e trace=copy_file_range \
		-e inject=copy_file_range:retval=2560000:when=2 svmdk resplit disk.vmdk -e 5000s
	equal 'disk-f001.vmdk disk-f002.vmdk disk.vmdk' "$(files)"
	holds disk.vmdk
}

@test "a container that is in use, or that another command works on, is refused" {
	enter ext4
	make_container disk.vmdk 2048 2048
	exec 9<disk.vmdk
	flock 9
	fails_with 1 'disk.vmdk: in use' svmdk resplit disk.vmdk -e 512K
	exec 9<&-
	qemu-io -c 'sleep 60000' disk.vmdk 3>&- &
	# The last locks that it takes: on what it does not share.
	eventually grep -q ":$(stat -c %i disk-f001.vmdk) 20[0-9] " /proc/locks
	fails_with 1 'extent disk-f001.vmdk is in use: QEMU writes to it' \
		svmdk resplit disk.vmdk -e 512K
	kill $!
	wait $! || true
	svmdk resplit disk.vmdk -e 512K
}

@test "what cannot be split anew is refused in one line" {
	enter ext4
	make_container disk.vmdk 2048 2048
	write_descriptor a.vmdk 'RW 2048 FLAT "disk-f001.vmdk" 0' 'RDONLY 2048 FLAT "disk-f002.vmdk" 0'
	fails_with 1 'a.vmdk:9: a container with RDONLY extents' svmdk resplit a.vmdk -e 512K
	write_descriptor a.vmdk 'RW 2048 FLAT "disk-f001.vmdk" 0' 'RW 2048 FLAT "disk-f001.vmdk" 0'
	fails_with 1 'holds sectors that line 8 has too' svmdk resplit a.vmdk -e 512K
	write_descriptor a.vmdk "RW 2048 FLAT \"$(readlink -f /job/disks/spare)\" 0" \
		'RW 2048 FLAT "disk-f001.vmdk" 0'
	fails_with 1 'a.vmdk:8: .*is a block device; only a container of files' \
		svmdk resplit a.vmdk -e 512K --allow-outside /dev
	write_descriptor a.vmdk 'RW 8388608 FLAT "large" 0' 'RW 8388608 FLAT "larger" 0'
	truncate -s 4G large larger
	fails_with 1 'an extent cannot be larger than 2G, unless it is the whole disk: -e 8589934592' \
		svmdk resplit a.vmdk -e 3G
	fails_with 1 'are too many for a descriptor; use larger ones' svmdk resplit a.vmdk -e 512
	rm disk-f002.vmdk
	fails_with 1 'extent disk-f002.vmdk does not exist' svmdk resplit disk.vmdk -e 512K
	equal 2 "$(svmdk resplit disk.vmdk >&2 || echo $?)"
	equal 2 "$(svmdk resplit disk.vmdk -e 0 >&2 || echo $?)"
}

@test "a folder that cannot be written: one line, and nothing is changed" {
	enter ext4
	make_container disk.vmdk 2048 2048
	chattr +i .
	fails_with 1 'Operation not permitted' svmdk resplit disk.vmdk -e 512K
	chattr -i .
	mount -o remount,ro "$BACKING"
	fails_with 1 'cannot write to its folder: Read-only file system' svmdk resplit disk.vmdk -e 512K
	mount -o remount,rw "$BACKING"
	equal 'disk-f001.vmdk disk-f002.vmdk disk.vmdk' "$(files)"
}

@test "an old extent with more in it than the disk stays" {
	enter ext4
	make_container disk.vmdk 2048 2048
	keep disk.vmdk
	printf 'a note at the end' >>disk-f002.vmdk
	fails_with 1 'extent disk-f002.vmdk has more in it than the disk, which --low-space would lose' \
		svmdk resplit disk.vmdk -e 512K --low-space
	svmdk resplit disk.vmdk -e 512K 2>"$BATS_TEST_TMPDIR/said"
	grep -q 'note: the old extent disk-f002.vmdk has more in it than the disk, so it stays' \
		"$BATS_TEST_TMPDIR/said"
	[ ! -e disk-f001.vmdk ]
	tail -c 17 disk-f002.vmdk | grep -q '^a note at the end$'
	rm disk-f002.vmdk
	holds disk.vmdk
	ln disk-2-f003.vmdk backup
	fails_with 1 'has other names \(hard links\)' svmdk resplit disk.vmdk -e 1M --low-space
	svmdk resplit disk.vmdk -e 1M
	[ "$(stat -c %h backup)" = 1 ]
	holds disk.vmdk
}

@test "one file in several extents is not taken for what an earlier run began" {
	local sectors
	enter ext4
	for sectors in 2048 4096 512; do
		rm -f ./*
		random_bytes $((4096 * 512)) >disk-flat.vmdk
		cp disk-flat.vmdk disk-f001.vmdk
		write_descriptor disk.vmdk 'RW 1024 FLAT "disk-flat.vmdk" 0' \
			'RW 3072 FLAT "disk-flat.vmdk" 1024'
		[ $sectors = 4096 ] || sed -i 's/disk-flat/disk-f001/' disk.vmdk
		cat_disk disk.vmdk >"$BATS_TEST_TMPDIR/all"
		svmdk resplit disk.vmdk -e ${sectors}s --low-space
		cat_disk disk.vmdk | cmp - "$BATS_TEST_TMPDIR/all"
		equal $((4096 / sectors)) "$(sizes disk.vmdk | wc -w)"
	done
}

@test "mode and owner stay, extents stay where they are, marks of the old ones go" {
	enter ext4
	mkdir -p sub "$BACKING/other disk"
	make_container disk.vmdk 2048 2048 2048
	mv disk-f002.vmdk 'sub/zwei ä.vmdk'
	mv disk-f003.vmdk "$BACKING/other disk/"
	write_descriptor disk.vmdk 'RW 2048 FLAT "disk-f001.vmdk" 0' \
		'RW 2048 FLAT "sub/zwei ä.vmdk" 0' "RW 2048 FLAT \"$BACKING/other disk/disk-f003.vmdk\" 0"
	chown 1234:4321 disk-f001.vmdk disk.vmdk
	chmod 640 disk-f001.vmdk disk.vmdk
	keep disk.vmdk
	echo marks | tee disk.vmdk.sha256 >disk.vmdk.svmdk
	fails_with 1 'is outside the descriptor.s folder' svmdk resplit disk.vmdk -e 512K
	svmdk resplit disk.vmdk -e 512K --allow-outside "$BACKING/other disk" 2>"$BATS_TEST_TMPDIR/said"
	grep -q 'note: its manifest was of the old extents and is removed' "$BATS_TEST_TMPDIR/said"
	qemu-img compare -f vmdk -F raw disk.vmdk "$BATS_TEST_TMPDIR/raw"
	equal 'disk-2-f001.vmdk disk-2-f002.vmdk disk.vmdk sub/disk-2-f003.vmdk sub/disk-2-f004.vmdk' \
		"$(files)"
	equal 'disk-2-f005.vmdk disk-2-f006.vmdk' "$(cd "$BACKING/other disk" && echo *)"
	equal '1234:4321 640 1234:4321 640 0:0 644' \
		"$(stat -c '%u:%g %a' disk-2-f002.vmdk disk.vmdk sub/disk-2-f003.vmdk | xargs)"
}

# Whoever restores the descriptor from a backup then has one whose extents are gone.
@test "what a killed resplit made stays where an older descriptor is put back" {
	local before
	enter ext4
	make_container disk.vmdk 4096 4096
	keep disk.vmdk
	cp disk.vmdk "$BATS_TEST_TMPDIR/old"
	killed_at "unlinkat 2" svmdk resplit disk.vmdk -e 1M
	[ ! -e disk-f001.vmdk ]
	cp disk.vmdk "$BATS_TEST_TMPDIR/new"
	cat "$BATS_TEST_TMPDIR/old" >disk.vmdk
	before=$(files)
	for command in "grow disk.vmdk +1M" "resplit disk.vmdk -e 2M"; do
		# shellcheck disable=SC2086 # words
		fails_with 1 "disk.vmdk:8: extent disk-f001.vmdk is missing, which an interrupted command used up, so that the descriptor is of before that and what it made may be the only copy; put back the descriptor that was here last" \
			svmdk $command
		equal "$before" "$(files)"
	done
	cat "$BATS_TEST_TMPDIR/new" >disk.vmdk
	svmdk resplit disk.vmdk -e 512K
	holds disk.vmdk
}

# The list of what is to be made names files that may become another container's.
@test "what another program made where a killed resplit would have is not removed" {
	local other
	enter ext4
	make_container disk.vmdk 4096 4096
	keep disk.vmdk
	killed_at "fsync 2" svmdk resplit disk.vmdk -e 1M
	[ -e .disk.vmdk.svmdk-files ]
	[ ! -e disk-2-f001.vmdk ]
	fails_with 1 'may make or remove disk-2-f001.vmdk, or have been interrupted when it did \(.disk.vmdk.svmdk-files\); repeat that one, choose' \
		svmdk create disk-2.vmdk 4M
	qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentFlat disk-2.vmdk 4M
	qemu-io -f vmdk -c 'write -P 7 0 4M' disk-2.vmdk
	fails_with 0 'disk-2-f001.vmdk, which an interrupted command was to make, is named by disk-2.vmdk too, so it stays' \
		svmdk resplit disk.vmdk -e 1M
	holds disk.vmdk
	[[ $(qemu-io -f vmdk -c 'read -P 7 0 4M' disk-2.vmdk) != *failed* ]]
	[ ! -e .disk.vmdk.svmdk-files ]
	# One that is at work on disk-2 chooses other names than those of a list.
	svmdk resplit disk-2.vmdk -e 1M
	other=$(files)
	svmdk grow disk.vmdk +1M
	[ -e "${other%% *}" ]
	svmdk check disk-2.vmdk
	svmdk check disk.vmdk
}

# stopped_at "CALL N" MEANWHILE: resplit, as of held
stopped_at() {
	held "$1" "$2" svmdk resplit disk.vmdk -e 1M
}

@test "a file that another program makes where resplit is about to is not removed" {
	enter ext4
	make_container disk.vmdk 4096 4096
	keep disk.vmdk
	# When it has made the first.
	stopped_at "fchmod 1" 'echo precious | tee disk-2-f003.vmdk disk-2-f004.vmdk'
	equal 1 "$status"
	grep 'extent disk-2-f003.vmdk: cannot create it: File exists; what was made is removed again' \
		"$BATS_TEST_TMPDIR/said"
	equal "precious precious" "$(cat disk-2-f00{3,4}.vmdk | xargs)"
	equal 'disk-2-f003.vmdk disk-2-f004.vmdk disk-f001.vmdk disk-f002.vmdk disk.vmdk' "$(files)"
	# When it has written down what it will make, and chosen that before.
	stopped_at "fsync 2" 'echo precious | tee disk-3-f002.vmdk'
	equal 0 "$status"
	holds disk.vmdk
	equal "precious precious precious" "$(cat disk-2-f00{3,4}.vmdk disk-3-f002.vmdk | xargs)"
	equal 4 "$(find . -name 'disk-4-f*' | wc -l)"
}

# A container was renamed with a list left, and another one made that has its name.
@test "a list of what another container of that name was about is not followed" {
	enter ext4
	svmdk create c.vmdk 4M
	svmdk resplit c.vmdk -e 2M
	killed_at "fsync 2" svmdk resplit c.vmdk -e 1M
	mv c.vmdk old.vmdk
	fails_with 1 'c.vmdk: an interrupted command on a container of this name left .c.vmdk.svmdk-files' \
		svmdk create c.vmdk 4M
	mv .c.vmdk.svmdk-files away
	svmdk create c.vmdk 4M
	mv away .c.vmdk.svmdk-files
	svmdk grow c.vmdk 5M 2>"$BATS_TEST_TMPDIR/said"
	grep 'c.vmdk: warning: .c.vmdk.svmdk-files, which an interrupted command left, is about a container that has another name by now' \
		"$BATS_TEST_TMPDIR/said"
	svmdk check old.vmdk
	[ ! -e .c.vmdk.svmdk-files ]
}

@test "names that a killed resplit has on its list are nobody else's, in folders too" {
	local name
	enter ext4
	mkdir sub
	for name in x y; do
		make_container $name.vmdk 4096 4096
		mv $name-f00?.vmdk sub
		sed -i "s,\"$name,\"sub/$name," $name.vmdk
		svmdk check $name.vmdk
	done
	mv y.vmdk x-2.vmdk
	killed_at "fsync 2" svmdk resplit x.vmdk -e 1M
	grep '^made sub/x-2-f001.vmdk$' .x.vmdk.svmdk-files
	keep x-2.vmdk
	svmdk resplit x-2.vmdk -e 1M
	grep '"sub/x-2-2-f001.vmdk"' x-2.vmdk
	svmdk resplit x.vmdk -e 1M
	grep '"sub/x-2-f001.vmdk"' x.vmdk
	svmdk check x.vmdk
	holds x-2.vmdk
}

# There is no room for anything any more, the list of what was made among it.
@test "where the disk becomes full what was made is removed again" {
	cd /
	! mountpoint -q "$BACKING" || umount "$BACKING"
	mkdir -p "$BACKING"
	mount -t tmpfs -o size=40M tmpfs "$BACKING"
	mkdir "$BACKING/box"
	cd "$BACKING/box"
	make_container disk.vmdk 8192 8192 8192 8192
	keep disk.vmdk
	stopped_at "fchmod 1" 'dd if=/dev/zero of=../filler bs=1M 2>/dev/null || true'
	equal 1 "$status"
	grep 'No space left on device; what was made is removed again' "$BATS_TEST_TMPDIR/said"
	equal 'disk-f001.vmdk disk-f002.vmdk disk-f003.vmdk disk-f004.vmdk disk.vmdk' "$(files)"
	[ ! -e .disk.vmdk.svmdk-files ]
	rm ../filler
	svmdk resplit disk.vmdk -e 1M
	holds disk.vmdk
}

# Only zeroes are left of the old extents then, and none by which the list is known.
@test "killed when all but zeroes was moved, resplit goes on where it was" {
	enter ext4
	make_container disk.vmdk 4096 4096
	sed -i 's/^RW 4096 FLAT "disk-f002.vmdk" 0/&\nRW 40960 ZERO/' disk.vmdk
	keep disk.vmdk
	killed_at "renameat 8" svmdk resplit disk.vmdk -e 1M --low-space --fill
	[ -e .disk.vmdk.svmdk-files ]
	refused '' grep disk-f00 disk.vmdk
	svmdk resplit disk.vmdk -e 1M --low-space --fill 2>"$BATS_TEST_TMPDIR/said"
	cat "$BATS_TEST_TMPDIR/said"
	refused '' grep 'another name' "$BATS_TEST_TMPDIR/said"
	holds disk.vmdk
	equal 25 "$(files | wc -w)"
}

# What it had used up is in the new extents alone, which its list would remove.
@test "an older descriptor, put back amid a resplit with little space, is refused" {
	local old=$BATS_TEST_TMPDIR/old.vmdk amid=$BATS_TEST_TMPDIR/amid.vmdk older command before
	enter ext4
	make_container disk.vmdk 16384
	keep disk.vmdk
	cp -p disk.vmdk "$old"
	# Before anything is used up it is the one in force.
	killed_at "renameat 1" svmdk resplit disk.vmdk -e 1M --low-space
	cp -p "$old" disk.vmdk
	svmdk grow disk.vmdk 8M
	holds disk.vmdk
	equal 'disk-f001.vmdk disk.vmdk' "$(files)"
	# What was only reserved behind its end does not hide what it lacks.
	fallocate -n -o 8M -l 8M disk-f001.vmdk
	# One of a step, as a backup may have it that is made meanwhile.
	mkdir "$BATS_TEST_TMPDIR/other"
	cp -p disk.vmdk disk-f001.vmdk "$BATS_TEST_TMPDIR/other"
	killed_at "renameat 2" svmdk resplit "$BATS_TEST_TMPDIR/other/disk.vmdk" -e 1M --low-space
	cp -p "$BATS_TEST_TMPDIR/other/disk.vmdk" "$BATS_TEST_TMPDIR/step.vmdk"
	grep -c '^RW' "$BATS_TEST_TMPDIR/step.vmdk" | grep -x 2
	killed_at "renameat 4" svmdk resplit disk.vmdk -e 1M --low-space
	cp -p disk.vmdk "$amid"
	for older in "$old" "$BATS_TEST_TMPDIR/step.vmdk"; do
		cp -p "$older" disk.vmdk
		rm -f .svmdk-disk.vmdk.tmp # what was to replace the descriptor
		before=$(files)
		for command in 'grow disk.vmdk 9M' 'resplit disk.vmdk -e 2M' 'attach disk.vmdk' \
			'attach -r disk.vmdk' 'manifest disk.vmdk' 'allocate disk.vmdk' \
			"copy disk.vmdk $BATS_TEST_TMPDIR/other"; do
			# shellcheck disable=SC2086 # words
			fails_with 1 'disk.vmdk: the descriptor is of before a step of a command that was interrupted' \
				svmdk $command
			equal "$before" "$(files)"
		done
	done
	cp -p "$amid" disk.vmdk
	holds disk.vmdk
	svmdk resplit disk.vmdk -e 1M --low-space
	holds disk.vmdk
	equal 9 "$(files | wc -w)"
}

# Else a list might lie there for weeks, and what it names be the only copy by then.
@test "what a killed command left is cleared up by attach, before the disk is written" {
	local dev
	enter ext4
	make_container disk.vmdk 4096 4096
	keep disk.vmdk
	killed_at "unlinkat 1" svmdk resplit disk.vmdk -e 1M
	[ -e .disk.vmdk.svmdk-files ]
	dev=$(svmdk attach -r disk.vmdk)
	svmdk detach "$dev"
	[ -e .disk.vmdk.svmdk-files ]
	[ -e disk-f001.vmdk ]
	dev=$(svmdk attach disk.vmdk)
	[ ! -e .disk.vmdk.svmdk-files ]
	[ ! -e disk-f001.vmdk ]
	svmdk detach "$dev"
	holds disk.vmdk
	cp -p disk.vmdk "$BATS_TEST_TMPDIR/old.vmdk"
	killed_at "unlinkat 1" svmdk grow disk.vmdk 5M
	[ -e .disk.vmdk.svmdk-files ]
	# Another user's list is his to follow, and no reason to refuse a disk.
	chown 65534 .disk.vmdk.svmdk-files
	dev=$(svmdk attach disk.vmdk 2>"$BATS_TEST_TMPDIR/said")
	svmdk detach "$dev"
	grep '^svmdk: .disk.vmdk.svmdk-files: warning: left by an interrupted command of another user' \
		"$BATS_TEST_TMPDIR/said"
	chown 0 .disk.vmdk.svmdk-files
	dev=$(svmdk attach disk.vmdk)
	write_disk "$dev" $((4 << 20)) 4096
	svmdk detach "$dev"
	[ ! -e .disk.vmdk.svmdk-files ]
	cp -p "$BATS_TEST_TMPDIR/old.vmdk" disk.vmdk
	svmdk grow disk.vmdk 4M
	[ -e disk-2-f005.vmdk ]
}

# What has holes of its own was not used up by anybody.
@test "a container with holes is split anew after a kill, whatever became of its descriptor" {
	enter ext4
	truncate -s 1M disk-f001.vmdk disk-f002.vmdk
	write_descriptor disk.vmdk 'RW 2048 FLAT "disk-f001.vmdk" 0' 'RW 2048 FLAT "disk-f002.vmdk" 0'
	keep disk.vmdk
	killed_at "renameat 1" svmdk resplit disk.vmdk -e 512K
	[ -e .disk.vmdk.svmdk-files ]
	chmod 600 disk.vmdk
	svmdk resplit disk.vmdk -e 512K
	holds disk.vmdk
	equal 5 "$(files | wc -w)"
}

@test "extents that are named with a folder are split anew, be it the descriptor's own" {
	local name
	enter ext4
	for name in ./disk "$PWD/disk"; do
		make_container disk.vmdk 4096 4096
		sed -i "s,\"disk,\"$name," disk.vmdk
		keep disk.vmdk
		svmdk resplit disk.vmdk -e 1M
		holds disk.vmdk
		svmdk grow disk.vmdk +1M
		rm disk*
	done
	# From a folder back to its own.
	make_container disk.vmdk 4096 4096 4096
	mkdir sub
	mv disk-f001.vmdk sub
	sed -i 's,"disk-f001,"sub/disk-f001,' disk.vmdk
	keep disk.vmdk
	svmdk resplit disk.vmdk -e 1M
	holds disk.vmdk
	equal 2 "$(find sub -type f | wc -l)"
}

# killed_removing: resplit, when it has removed one of the two old extents
killed_removing() {
	killed_at "unlinkat 2" svmdk resplit disk.vmdk "$@"
	[ -e .disk.vmdk.svmdk-files ]
	[ ! -e disk-f001.vmdk ]
	[ -e disk-f002.vmdk ]
}

# Who does not trust a container any more copies the old one over it, say.
@test "what was put in the place of a killed resplit's old extents is another container's" {
	enter ext4
	make_container disk.vmdk 4096 4096
	mkdir backup
	cp disk* backup
	mv backup/disk.vmdk backup/old.vmdk
	keep backup/old.vmdk
	killed_removing -e 1M
	fails_with 1 'a command on another container may make or remove disk-f001.vmdk, .* \(.disk.vmdk.svmdk-files\); repeat that one' \
		svmdk copy backup/old.vmdk .
	cp backup/* .
	svmdk resplit disk.vmdk -e 1M 2>"$BATS_TEST_TMPDIR/said"
	cat "$BATS_TEST_TMPDIR/said"
	grep 'disk-f001.vmdk, which an interrupted command was to remove, is named by old.vmdk too, so it stays' \
		"$BATS_TEST_TMPDIR/said"
	holds old.vmdk
	holds disk.vmdk
	[ ! -e .disk.vmdk.svmdk-files ]
}

@test "a killed resplit's old extents go, though an older descriptor is kept beside them" {
	enter ext4
	make_container disk.vmdk 4096 4096
	keep disk.vmdk
	cp disk.vmdk old.vmdk
	killed_removing -e 1M
	svmdk resplit disk.vmdk -e 1M
	[ ! -e disk-f002.vmdk ]
	holds disk.vmdk
}

# It is neither made nor removed, and in the descriptor that is on the way all the same.
@test "killed beside an extent that stays, resplit knows its own list" {
	local call
	enter ext4
	for call in 1 2 3 4; do
		rm -f ./* .disk*
		make_container disk.vmdk 2048 1024 1024
		echo more >>disk-f001.vmdk
		mv disk-f002.vmdk second
		mv disk-f003.vmdk third
		sed -i 's/disk-f002.vmdk/second/; s/^\(.*\)disk-f003.vmdk" 0/\1third" 0\nRW 4096 ZERO/' disk.vmdk
		keep disk.vmdk
		strace -qq -f -o /dev/null -e trace=unlinkat,renameat,ftruncate,fallocate \
			-e inject="unlinkat,renameat,ftruncate,fallocate:signal=KILL:when=$call" \
			svmdk resplit disk.vmdk -e 1M --low-space || true
		svmdk resplit disk.vmdk -e 1M --low-space 2>"$BATS_TEST_TMPDIR/said"
		cat "$BATS_TEST_TMPDIR/said"
		refused '' grep 'another name' "$BATS_TEST_TMPDIR/said"
		equal 5 "$(files | wc -w)"
		holds disk.vmdk
	done
}

# removed_marks NR: a resplit was killed when it had removed NR of manifest, sidecar and the
# old extents
removed_marks() {
	rm -f ./* .disk*
	make_container disk.vmdk 4096 4096
	svmdk manifest disk.vmdk
	strace -qq -f -o /dev/null -e trace=unlinkat -e inject=unlinkat:signal=KILL:when=$(($1 + 1)) \
		svmdk resplit disk.vmdk -e 1M || true
	[ -e .disk.vmdk.svmdk-files ]
}

@test "marks that a killed resplit left go when it is run again, and ones that were made since stay" {
	local nr
	enter ext4
	for nr in 0 1 2; do
		removed_marks $nr
		equal $((nr < 1)) "$(find . -name disk.vmdk.sha256 | wc -l)"
		equal $((nr < 2)) "$(find . -name disk.vmdk.svmdk | wc -l)"
		svmdk resplit disk.vmdk -e 1M 2>"$BATS_TEST_TMPDIR/said"
		cat "$BATS_TEST_TMPDIR/said"
		[ $nr = 2 ] || grep 'its manifest was of the old extents and is removed' "$BATS_TEST_TMPDIR/said"
		[ ! -e disk.vmdk.sha256 ]
		[ ! -e disk.vmdk.svmdk ]
		[ ! -e disk-f001.vmdk ]
	done
	for nr in 0 2; do
		removed_marks $nr
		svmdk manifest disk.vmdk
		flip_bit disk-2-f002.vmdk 77777
		svmdk resplit disk.vmdk -e 1M 2>"$BATS_TEST_TMPDIR/said"
		cat "$BATS_TEST_TMPDIR/said"
		refused '' grep 'its manifest' "$BATS_TEST_TMPDIR/said"
		[ ! -e disk-f002.vmdk ]
		refused 'damaged   disk-2-f002.vmdk' svmdk verify disk.vmdk
	done
	# Cut short, it is of nobody knows what.
	removed_marks 2
	svmdk manifest disk.vmdk
	sed -i '$d' disk.vmdk.sha256
	svmdk resplit disk.vmdk -e 1M
	equal 4 "$(wc -l <disk.vmdk.sha256)"
	[ -e disk.vmdk.svmdk ]
}
