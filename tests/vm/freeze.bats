#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# While the file system beneath is frozen, for an LVM snapshot say, no write
# goes to its disk, whichever way an extent has. Reads go on, flushes end, and
# writes go on at the thaw.

load common

disk=$(disk_name /job/disks/spare) # with nothing else on it

teardown() {
	! mountpoint -q "$BACKING/other" || fsfreeze -u "$BACKING/other" 2>/dev/null || true
	[ -z "${pids-}" ] || { fsfreeze -u "$BACKING" && wait "${pids[@]}"; } || true
	clean_up
}

make_disk() {
	make_backing "$1" /job/disks/spare
	make_container "$BACKING/c.vmdk" 4096 4096
	sync -f "$BACKING"
	dev=$(svmdk attach --io "$2" "$BACKING/c.vmdk")
}

freeze() {
	ends fsfreeze -f "$BACKING"
	written=$(disk_stat "$disk" 5 7)
}

reads() {
	ends dd if="$dev" iflag=direct bs=1M of="$BATS_TEST_TMPDIR/read" status=none
}

thaw() {
	fsfreeze -u "$BACKING"
}

sleeps() {
	[[ $(cat "/proc/$1/stat") == *") D "* ]]
}

# One write to each extent that waits for the thaw.
write_while_frozen() {
	random_bytes 65536 >"$BATS_TEST_TMPDIR/data"
	for offset in 4096 $((4096 * 512 + 4096)); do
		dd if="$BATS_TEST_TMPDIR/data" of="$dev" bs=64k oflag=direct,seek_bytes \
			seek="$offset" conv=notrunc status=none &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		eventually sleeps "$pid"
	done
}

nothing_is_written() {
	equal "$written" "$(disk_stat "$disk" 5 7)"
	for pid in "${pids[@]}"; do
		sleeps "$pid"
	done
}

all_is_written() {
	wait "${pids[@]}"
	pids=()
	for offset in 4096 $((4096 * 512 + 4096)); do
		cmp -n 65536 "$BATS_TEST_TMPDIR/data" <(read_disk "$dev" | tail -c +$((offset + 1)))
	done
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	[ "$(disk_stat "$disk" 7)" -gt "${written#* }" ]
}

no_write_while_frozen() {
	local before
	make_disk "$1" "$2"
	before=$(read_disk "$dev" | md5sum)
	freeze
	write_while_frozen
	# Reads, of what is about to be written too, and flushes.
	reads
	equal "$before" "$(md5sum <"$BATS_TEST_TMPDIR/read")"
	ends sync "$dev"
	nothing_is_written
	thaw
	all_is_written
}

@test "no mapped write goes out while ext4 is frozen, and all do at the thaw" {
	no_write_while_frozen ext4 mapped
}

@test "no mapped write goes out while XFS is frozen, and all do at the thaw" {
	no_write_while_frozen xfs mapped
}

@test "no write goes through the file system while it is frozen, and all do at the thaw" {
	no_write_while_frozen ext4 file
}

many_wait() {
	make_disk ext4 "$1"
	freeze
	fio --name=many --filename="$dev" --direct=1 --ioengine=libaio --iodepth=1024 \
		--rw=randwrite --bs=512 --io_size=512k --size=100% >"$BATS_TEST_TMPDIR/fio" &
	pids=($!)
	eventually has_openers
	for _ in 1 2 3 4 5; do
		reads
	done
	ends sync "$dev"
	equal "$written" "$(disk_stat "$disk" 5 7)"
	thaw
	wait "${pids[@]}"
	pids=()
}

has_openers() {
	[ "$(svmdk list --noheadings -o OPENERS "$dev")" != 0 ]
}

@test "reads go on while a thousand mapped writes wait for the thaw" {
	many_wait mapped
}

@test "reads go on while a thousand writes through the file system wait for the thaw" {
	many_wait file
}

has_new_mtime() {
	[ "$(stat -c %Y "$BACKING/c-f001.vmdk")" -gt 1600000000 ]
}

@test "a flush does not wait for the thaw when writes went before the freeze" {
	for io in mapped file; do
		make_disk ext4 "$io"
		touch -d 2020-02-02 "$BACKING/c-f001.vmdk"
		write_disk "$dev" 4096 4096
		freeze
		ends sync "$dev"
		thaw
		# What could not be done while frozen is done after.
		eventually has_new_mtime
		clean_up
	done
}

# The freeze must not wait for writes that never stop coming.
@test "a file system freezes and thaws under a load of writes" {
	for io in mapped file; do
		make_disk ext4 "$io"
		fio --name=load --filename="$dev" --direct=1 --ioengine=libaio \
			--iodepth=8 --rw=randwrite --bsrange=512-64k --size=100% --loops=3 \
			--verify=crc32c --verify_fatal=1 >"$BATS_TEST_TMPDIR/fio" &
		pids=($!)
		for _ in 1 2 3; do
			freeze
			reads
			equal "$written" "$(disk_stat "$disk" 5 7)"
			thaw
		done
		wait "${pids[@]}"
		pids=()
		cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
		clean_up
	done
}

# frozen_of_two WAY FOLDER FOLDER: a write across two file systems, the first of which is frozen
frozen_of_two() {
	local border=$((4096 * 512)) other=0 disks written pid
	make_backing ext4 /job/disks/spare
	mkdir "$BACKING/other"
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0,nodiscard /job/disks/data
	mount /job/disks/data "$BACKING/other"
	make_container "$BACKING/c.vmdk" 4096
	make_container "$BACKING/other/d.vmdk" 4096
	write_descriptor "$BACKING/both.vmdk" 'RW 4096 FLAT "c-f001.vmdk" 0' \
		'RW 4096 FLAT "other/d-f001.vmdk" 0'
	sync
	dev=$(svmdk attach --io "$1" "$BACKING/both.vmdk")
	disks=("$disk" "$(disk_name /job/disks/data)")
	[ "$2" = "$BACKING" ] || disks=("${disks[1]}" "${disks[0]}")
	[ "$2" != "$BACKING" ] || other=$border
	ends fsfreeze -f "$2"
	written=$(disk_stat "${disks[0]}" 5 7)
	random_bytes 65536 >"$BATS_TEST_TMPDIR/data"
	dd if="$BATS_TEST_TMPDIR/data" of="$dev" bs=64k oflag=direct,seek_bytes \
		seek=$((border - 32768)) conv=notrunc status=none &
	pid=$!
	pids=("$pid")
	eventually sleeps "$pid"
	# The other one has all it needs: its writes, its flushes, a freeze of its own.
	ends write_disk "$dev" $((other + 1048576)) 65536
	ends sync "$dev"
	reads
	ends fsfreeze -f "$3"
	fsfreeze -u "$3"
	ends write_disk "$dev" $((other + 1048576)) 65536
	equal "$written" "$(disk_stat "${disks[0]}" 5 7)"
	sleeps "$pid"
	fsfreeze -u "$2"
	ends_soon "$pid"
	pids=()
	cmp "$BATS_TEST_TMPDIR/data" <(read_disk "$dev" | tail -c +$((border - 32768 + 1)) | head -c 65536)
	svmdk detach "$dev"
	cmp "$BATS_TEST_TMPDIR/data" \
		<(cat "$BACKING/c-f001.vmdk" "$BACKING/other/d-f001.vmdk" |
			tail -c +$((border - 32768 + 1)) | head -c 65536)
	umount "$BACKING/other"
	clean_up
}

# ends_soon PID
ends_soon() {
	eventually refused '' kill -0 "$1"
	wait "$1"
}

@test "of a write across two file systems the part waits whose one is frozen" {
	frozen_of_two mapped "$BACKING" "$BACKING/other"
	frozen_of_two mapped "$BACKING/other" "$BACKING"
	frozen_of_two file "$BACKING" "$BACKING/other"
}

@test "the file system beneath an overlay freezes after writes through the overlay" {
	make_backing ext4 /job/disks/spare
	mkdir "$BACKING"/{lower,upper,work,merged}
	mount -t overlay -o "lowerdir=$BACKING/lower,upperdir=$BACKING/upper,workdir=$BACKING/work" \
		overlay "$BACKING/merged"
	make_container "$BACKING/merged/c.vmdk" 4096 4096
	dev=$(svmdk attach "$BACKING/merged/c.vmdk")
	equal "file file" "$(ways_of "$dev")"
	write_disk "$dev" $((4096 * 512 - 32768)) 65536
	sync "$dev"
	cmp <(read_disk "$dev") <(read_extents "$BACKING/merged/c.vmdk")
	svmdk detach "$dev"
	sync -f "$BACKING"
	freeze
	thaw
}

# Also when nothing waits in the driver: the descriptor gets a new CID.
@test "detach says at once that a file system is frozen, and does its work after the thaw" {
	local io
	for io in mapped file; do
		for pause in 0 2; do
			make_disk ext4 "$io"
			random_bytes 65536 >"$BATS_TEST_TMPDIR/data"
			dd if="$BATS_TEST_TMPDIR/data" of="$dev" bs=64k oflag=direct conv=notrunc \
				status=none
			sleep "$pause"
			freeze
			fails_with 1 "is frozen; thaw it .*then detach again" ends svmdk detach "$dev"
			[ -b "$dev" ]
			reads
			cmp -n 65536 "$BATS_TEST_TMPDIR/data" "$BATS_TEST_TMPDIR/read"
			thaw
			svmdk detach "$dev"
			cmp -n 65536 "$BATS_TEST_TMPDIR/data" "$BACKING/c-f001.vmdk"
			clean_up
		done
	done
}

# With nothing of the disk in the cache.
write_at_once() {
	blockdev --flushbufs "$dev" && "${fio[@]}" --filename="$dev" --rw=write >/dev/null 2>&1
}

@test "a mapped write that may not wait is told so while frozen" {
	local fio=(fio --name=nowait --direct=1 --ioengine=libaio --nowait=1 --bs=4k --size=64k)
	make_disk ext4 mapped
	freeze
	refused "Resource temporarily unavailable" "${fio[@]}" --filename="$dev" --rw=write
	"${fio[@]}" --filename="$dev" --rw=read >/dev/null
	equal "$written" "$(disk_stat "$disk" 5 7)"
	thaw
	# Nor may it wait for pages of the disk in the cache, and udev reads some
	# whenever a writer has closed it.
	eventually write_at_once
}

@test "a disk is detached after the thaw with all that was written while frozen" {
	make_disk ext4 mapped
	freeze
	write_while_frozen
	refused "in use" svmdk detach "$dev"
	# This waits for the thaw: the descriptor, with a new CID, is frozen too.
	svmdk detach --lazy "$dev" &
	pids+=($!)
	thaw
	wait "${pids[@]}"
	pids=()
	eventually [ ! -e "/sys/block/$(disk_name "$dev")" ]
	cmp -n 65536 "$BATS_TEST_TMPDIR/data" <(tail -c +4097 "$BACKING/c-f001.vmdk")
	cmp -n 65536 "$BATS_TEST_TMPDIR/data" <(tail -c +4097 "$BACKING/c-f002.vmdk")
	rm "$BACKING/c-f001.vmdk"
}

# fallocate() asks whether the file is pinned before it waits for the thaw, not after.
no_hole_beneath_a_disk() {
	make_backing "$1" /job/disks/spare
	make_container "$BACKING/c.vmdk" 4096 4096
	sync -f "$BACKING"
	freeze
	fallocate -p -o 65536 -l 1M "$BACKING/c-f001.vmdk" 3>&- &
	pids+=($!)
	eventually sleeps $!
	dev=$(ends svmdk attach -r "$BACKING/c.vmdk")
	equal 'file mapped' "$(ways_of "$dev")"
	thaw
	wait "${pids[@]}"
	pids=()
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
	clean_up
}

@test "a hole that waits for a thaw when a disk is attached does not go beneath it" {
	no_hole_beneath_a_disk ext4
	no_hole_beneath_a_disk xfs
}
