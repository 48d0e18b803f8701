#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# An extent is written only where its line says RW, and only on a disk that is
# not read-only; ZERO reads as zeroes, NOACCESS does not read; an error is one
# of its extent alone.
#
# One kernel will do, the last.

load common

teardown() {
	clean_up
}

# RW, RDONLY, ZERO with and without a name, NOACCESS, RW: 1 MiB each.
make_disk() {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048 2048 2048
	write_descriptor "$BACKING/all.vmdk" 'RW 2048 FLAT "c-f001.vmdk" 0' \
		'RDONLY 2048 FLAT "c-f002.vmdk" 0' 'RW 2048 ZERO' \
		'NOACCESS 2048 FLAT "c-f003.vmdk" 0' 'RW 2048 FLAT "c-f004.vmdk" 0'
	dev=$(svmdk attach --io "$1" "$BACKING/all.vmdk")
}

# part N [FILE]: extent N of the disk, read
part() {
	dd if="$dev" iflag=direct bs=1M skip=$(($1 - 1)) count=1 status=none
}

access_is_kept() {
	local before
	before=$(md5sum "$BACKING"/c-f00{2,3}.vmdk)
	cmp <(part 1) "$BACKING/c-f001.vmdk"
	cmp <(part 2) "$BACKING/c-f002.vmdk"
	cmp <(part 3) <(head -c 1048576 /dev/zero)
	refused "error" dd if="$dev" iflag=direct bs=1M skip=3 count=1 of=/dev/null
	cmp <(part 5) "$BACKING/c-f004.vmdk"

	write_disk "$dev" 4096 65536
	refused "error|not permitted|Read-only" write_disk "$dev" $((1048576 + 4096)) 4096
	refused "error|not permitted|Read-only" write_disk "$dev" $((2 * 1048576 + 4096)) 4096
	refused "error|not permitted|Read-only" write_disk "$dev" $((3 * 1048576 + 4096)) 4096
	write_disk "$dev" $((4 * 1048576 + 4096)) 65536
	# Half of it may be written, the other may not.
	refused "error|not permitted|Read-only" write_disk "$dev" $((1048576 - 4096)) 8192
	refused "error|not permitted|Read-only" write_disk "$dev" $((4 * 1048576 - 4096)) 8192
	sync "$dev"
	cmp <(part 3) <(head -c 1048576 /dev/zero)
	cmp <(part 5) "$BACKING/c-f004.vmdk"
	svmdk detach "$dev"
	equal "$before" "$(md5sum "$BACKING"/c-f00{2,3}.vmdk)"
}

@test "RDONLY, ZERO and NOACCESS are kept to, mapped" {
	make_disk mapped
	equal "mapped mapped zero none mapped" "$(ways_of "$dev")"
	access_is_kept
}

@test "RDONLY, ZERO and NOACCESS are kept to by the file way" {
	make_disk file
	equal "file file zero none file" "$(ways_of "$dev")"
	access_is_kept
}

# One that was opened for reading first, and one that was not.
@test "lines of one file that may be written and that may not are one disk, in either order" {
	local way first second
	make_backing ext4
	make_container "$BACKING/c.vmdk" 4096
	for way in mapped file; do
		for first in RDONLY RW; do
			second=$([ $first = RW ] && echo RDONLY || echo RW)
			write_descriptor "$BACKING/both.vmdk" "$first 2048 FLAT \"c-f001.vmdk\" 0" \
				"$second 2048 FLAT \"c-f001.vmdk\" 2048"
			dev=$(svmdk attach --io $way "$BACKING/both.vmdk")
			equal "$way $way" "$(ways_of "$dev")"
			if [ $first = RW ]; then
				write_disk "$dev" 4096 65536
				refused "error|not permitted|Read-only" write_disk "$dev" 1052672 4096
			else
				write_disk "$dev" 1052672 65536
				refused "error|not permitted|Read-only" write_disk "$dev" 4096 4096
			fi
			sync "$dev"
			cmp <(read_disk "$dev") "$BACKING/c-f001.vmdk"
			svmdk detach "$dev"
		done
	done
}

# More than go to the driver at once.
@test "each of many lines of a file is locked while the disk is there" {
	local lines=() i
	make_backing ext4
	make_container "$BACKING/c.vmdk" 1024
	for ((i = 0; i < 128; i++)); do
		lines+=("RW 8 FLAT \"c-f001.vmdk\" $((i * 8))")
	done
	write_descriptor "$BACKING/many.vmdk" "${lines[@]}"
	write_descriptor "$BACKING/last.vmdk" "${lines[127]}"
	dev=$(svmdk attach --io file "$BACKING/many.vmdk")
	fails_with 1 'c-f001.vmdk is in use' svmdk allocate "$BACKING/last.vmdk"
	svmdk detach "$dev"
	svmdk allocate "$BACKING/last.vmdk"
}

writes_are_refused() {
	local before
	before=$(md5sum "$BACKING"/c*)
	touch -d 2020-02-02 "$BACKING"/c*
	equal 1 "$(blockdev --getro "$dev")"
	refused "not permitted|Read-only" write_disk "$dev" 4096 4096
	# Nor by asking the block layer to forget it.
	blockdev --setrw "$dev" || true
	refused "not permitted|Read-only|error" write_disk "$dev" 4096 4096
	refused "not permitted|Read-only|error|not supported" blkdiscard -z "$dev"
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
	equal "$before" "$(md5sum "$BACKING"/c*)"
	equal "2020-02-02" "$(stat -c %y "$BACKING"/c* | cut -d' ' -f1 | uniq)"
}

@test "a disk attached read-only is not written" {
	local io
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048
	for io in mapped file; do
		dev=$(svmdk attach --read-only --io "$io" "$BACKING/c.vmdk")
		writes_are_refused
	done
}

@test "a disk of RDONLY extents is read-only" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048
	sed -i 's/^RW/RDONLY/' "$BACKING/c.vmdk"
	dev=$(svmdk attach "$BACKING/c.vmdk")
	writes_are_refused
}

@test "a container on a read-only file system is attached read-only" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" 2048 2048
	mount -o remount,ro "$BACKING"
	dev=$(svmdk attach -r "$BACKING/c.vmdk")
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
}

# Two file systems, the second on a mapping that can be made to fail.
make_fragile_disk() {
	local sectors=1048576
	make_backing ext4
	dmsetup create svmdkbeneath --table "0 $sectors linear /job/disks/spare 0"
	mkfs.ext4 -q /dev/mapper/svmdkbeneath
	mkdir "$BACKING/b"
	mount /dev/mapper/svmdkbeneath "$BACKING/b"
	make_container "$BACKING/c.vmdk" 2048 2048
	make_container "$BACKING/b/c.vmdk" 2048
	sync
	write_descriptor "$BACKING/both.vmdk" 'RW 2048 FLAT "c-f001.vmdk" 0' \
		'RW 2048 FLAT "b/c-f001.vmdk" 0' 'RW 2048 FLAT "c-f002.vmdk" 0'
	dev=$(svmdk attach --io "$1" "$BACKING/both.vmdk")
}

# fail_with TARGET: what the mapping is from now on
fail_with() {
	dmsetup suspend --nolockfs --noflush svmdkbeneath
	dmsetup load svmdkbeneath --table "0 1048576 $1"
	dmsetup resume svmdkbeneath
}

errors_stay() {
	fail_with error
	refused "Input/output error" dd if="$dev" iflag=direct bs=64k skip=17 count=1 of=/dev/null
	refused "Input/output error" write_disk "$dev" 1052672 4096
	cmp <(part 1) "$BACKING/c-f001.vmdk"
	cmp <(part 3) "$BACKING/c-f002.vmdk"
	write_disk "$dev" 4096 65536
	write_disk "$dev" 2101248 65536
	# A part of it.
	refused "Input/output error" dd if="$dev" iflag=direct bs=2M count=1 of=/dev/null
	cmp <(part 1) "$BACKING/c-f001.vmdk"
	cmp <(part 3) "$BACKING/c-f002.vmdk"
	# A disk that comes back is used again.
	fail_with "linear /job/disks/spare 0"
	part 2 >/dev/null
}

@test "a mapped disk that fails fails the I/O to its extents, and the rest goes on" {
	make_fragile_disk mapped
	errors_stay
	svmdk detach "$dev" || true
	[ ! -e "/sys/block/$(disk_name "$dev")" ]
}

@test "a file that fails fails the I/O to its extent, and the rest goes on" {
	make_fragile_disk file
	errors_stay
	svmdk detach "$dev" || true
	[ ! -e "/sys/block/$(disk_name "$dev")" ]
}

@test "a flush fails until the disk beneath can do it, and detach says what is lost" {
	# The error target lets flushes pass; this one fails them, as it does writes.
	local flakey="flakey /job/disks/spare 0 0 3600 1 error_writes"
	make_fragile_disk mapped
	write_disk "$dev" 1052672 4096
	sync "$dev"
	write_disk "$dev" 1052672 4096
	fail_with "$flakey"
	refused "Input/output error" sync "$dev"
	refused "Input/output error" sync "$dev"
	fail_with "linear /job/disks/spare 0"
	sync "$dev"
	write_disk "$dev" 1052672 4096
	fail_with "$flakey"
	fails_with 1 "detached, but the last of what was written may be lost" svmdk detach "$dev"
	[ ! -e "/sys/block/$(disk_name "$dev")" ]
	truncate -s 0 "$BACKING/c-f001.vmdk"
}
