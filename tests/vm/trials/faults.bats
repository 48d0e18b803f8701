#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# What fails beneath: disks with errors, that answer late, never or not any more; file
# systems that are full, shut down, read-only, frozen. Errors stay in their extents,
# nothing wrong is ever read, nothing hangs that can end, the disk can always be
# detached, and is attached again as it was.

load ../common
load trials

store=svmdkbeneath
timeouts=/sys/kernel/debug/fail_io_timeout

teardown() {
	[ -z "${worker-}" ] || kill -KILL "$worker" 2>/dev/null || true
	fsfreeze -u "$BAD" 2>/dev/null || true
	if [ -e /dev/mapper/$store ]; then
		store_does linear
	fi
	if [ -e /sys/bus/pseudo/drivers/scsi_debug ]; then
		scsi_does 0 0
		echo running >"${scsi-}/device/state" || true
	fi
	[ ! -e $timeouts ] || time_out 0
	# shellcheck disable=SC2154 # trials.bash counts
	echo "# $all_failed I/Os failed" >&3
	clean_up
	modprobe -r scsi_debug 2>/dev/null || true
	[ ! -d /sys/kernel/config/nullb/bad ] || rmdir /sys/kernel/config/nullb/bad
	modprobe -r null_blk 2>/dev/null || true
}

# store_does TARGET [PARAMETER…]: from now on the device beneath is this one
store_does() {
	local target=$1
	shift
	case $target in
	error) set -- ;;
	delay) set -- /job/disks/spare 0 "$@" ;;
	flakey) set -- /job/disks/spare 0 "$@" ;;
	*) set -- /job/disks/spare 0 ;;
	esac
	if [ -e /dev/mapper/$store ]; then
		dmsetup load $store --table "0 1048576 $target $*"
		dmsetup resume --noudevsync --noflush --nolockfs $store
	else
		dmsetup create $store --table "0 1048576 $target $*"
	fi
}

# make_store TYPE WAY
make_store() {
	make_good
	store_does linear
	mount_bad "$1" /dev/mapper/$store
	make_parts "$2"
}

# No block of the middle one can be had. (Of a device that cannot flush nothing is
# asked, and nothing that was not flushed was acknowledged.)
middle_fails() {
	io check,write "$BAD_PART"
	# Where btrfs of 6.1 has checksums it is written to by way of the page cache, which has
	# all of this; so it is the flush that fails.
	# shellcheck disable=SC2154 # trials.bash has them
	if [ "$bad_type" = btrfs ] && ((well)); then
		fails flush
	else
		equal 0 "$well"
		io flush
	fi
	others_work
}

# heals WAY CHECK: its device is well again, and so is the disk, once it was attached
# anew: a file system that had errors wants to be mounted anew itself
heals() {
	store_does linear
	succeeds check
	goes_away
	mount_bad_again
	comes_back "$1" "$2"
	bad_is_consistent
}

error_beneath() {
	make_store "$1" "$2"
	store_does error
	middle_fails
	goes_away_and_heals "$2"
}

# goes_away_and_heals WAY: the other order
goes_away_and_heals() {
	goes_away
	store_does linear
	mount_bad_again
	comes_back "$1" after-cut
	bad_is_consistent
}

@test "a disk with errors beneath mapped extents on ext4 fails them alone" {
	error_beneath ext4 mapped
}

@test "a disk with errors beneath mapped extents on XFS fails them alone" {
	error_beneath xfs mapped
}

@test "a disk with errors fails the file way on ext4, XFS and btrfs for its extent alone" {
	local type
	for type in ext4 xfs btrfs; do
		error_beneath $type file
		clean_up
	done
}

@test "mapped extents work again when their disk does, without a new attach" {
	make_store ext4 mapped
	store_does error
	fails check,write "$BAD_PART"
	others_work
	store_does linear
	succeeds check,write,check
	heals mapped check
}

@test "a disk that fails writes is read from as before, and flushed in vain" {
	local way
	for way in mapped file; do
		make_store ext4 $way
		succeeds write "$BAD_PART"
		store_does flakey 0 180 1 error_writes
		fails flush
		fails write "$BAD_PART"
		succeeds check
		others_work
		goes_away_and_heals $way
		clean_up
	done
}

@test "a disk that fails every other second never makes anything wrong" {
	local way
	for way in mapped file; do
		make_store xfs $way
		store_does flakey 1 1
		begin_work "$WORK_HALF"
		for _ in 1 2 3 4 5; do
			others_work
		done
		is_working
		end_work
		io check
		goes_away_and_heals $way
		clean_up
	done
}

@test "a disk that answers late holds up nobody else" {
	local way
	for way in mapped file; do
		make_store ext4 $way
		store_does delay 4000
		begin_work "$WORK_HALF"
		others_work
		is_working
		# Neither a kill nor a detach waits for more than what is on its way.
		end_work
		goes_away
		store_does linear
		comes_back $way check
		bad_is_consistent
		clean_up
	done
}

# scsi_does OPTS NTH: see scsi_debug; 2 medium errors, 4 no answer, to each NTH command
scsi_does() {
	echo "$2" >/sys/bus/pseudo/drivers/scsi_debug/every_nth
	echo "$1" >/sys/bus/pseudo/drivers/scsi_debug/opts
}

has_scsi() {
	scsi=$(dirname "$(grep -lsx 'scsi_debug *' /sys/block/sd*/device/model)")
	scsi=$(dirname "$scsi")
	[ -b "/dev/${scsi##*/}" ]
}

# make_scsi TYPE [WAY]: with the three parts, or without
make_scsi() {
	modprobe scsi_debug dev_size_mb=128 delay=0
	eventually has_scsi
	udevadm settle
	make_good
	mount_bad "$1" "/dev/${scsi##*/}"
	[ $# = 1 ] || make_parts "$2"
}

# Where the middle one lies on its disk, in sectors.
middle_start() {
	filefrag -b512 -e "$BAD/c-f002.vmdk" | awk '$1 == "0:" { print $4 + 0 }'
}

@test "a bad sector fails the read of it alone" {
	local way start
	for way in mapped file; do
		make_scsi ext4 $way
		start=$(middle_start)
		echo $((start + 80)) >/sys/module/scsi_debug/parameters/medium_error_start
		echo 3 >/sys/module/scsi_debug/parameters/medium_error_count
		scsi_does 2 0
		fails check "$((PART + 10)) 1"
		succeeds check "$PART 10"
		succeeds check "$((PART + 11)) $((PART - 11))"
		others_work
		scsi_does 0 0
		succeeds check,write,flush
		goes_away
		comes_back $way check
		clean_up
		modprobe -r scsi_debug
	done
}

# As a RAID controller does that never said what it can.
@test "a disk that finds out that it writes no zeroes by itself is sent them" {
	local begin=$((PART * 4096))
	modprobe scsi_debug dev_size_mb=128 delay=0 lbpws=1 lbpws10=1
	eventually has_scsi
	udevadm settle
	make_good
	mount_bad ext4 "/dev/${scsi##*/}"
	make_parts mapped
	[ "$(cat "$scsi/queue/write_zeroes_max_bytes")" -gt 0 ]
	echo 1 >/sys/module/scsi_debug/parameters/write_same_length
	for _ in first again; do
		blkdiscard -f -z -o $begin -l $begin "$dev"
		equal '' "$(dd if="$dev" iflag=direct,skip_bytes bs=64k skip=$begin count=8 status=none | tr -d '\0')"
		write_disk "$dev" $begin 524288
	done
	equal 0 "$(cat "$scsi/queue/write_zeroes_max_bytes")"
	goes_away
}

@test "commands that are not answered are tried again, and nobody else waits" {
	local way
	for way in mapped file; do
		make_scsi ext4 $way
		echo 1 >"$scsi/device/timeout"
		scsi_does 4 7
		succeeds write,check "$PART 12"
		scsi_does 0 0
		succeeds check
		goes_away
		comes_back $way check
		clean_up
		modprobe -r scsi_debug
	done
}

@test "a disk that never answers again is given up, and what waits for it ends" {
	local way
	for way in mapped file; do
		make_scsi ext4 $way
		echo 1 >"$scsi/device/timeout"
		echo 1 >"$scsi/device/eh_timeout"
		scsi_does 4 1
		begin_work "$WORK_HALF"
		others_work
		PATIENCE=6 fails write,check "$PART 4"
		end_work
		others_work
		goes_away
		scsi_does 0 0
		echo running >"$scsi/device/state"
		mount_bad_again
		comes_back $way after-cut
		bad_is_consistent
		clean_up
		modprobe -r scsi_debug
	done
}

vanish() {
	echo 1 >"$scsi/device/delete"
}

# It is found again, with what it had.
return_again() {
	local host
	eventually umount "$BAD"
	for host in /sys/class/scsi_host/host*/scan; do
		echo '- - -' >"$host"
	done
	eventually has_scsi
	udevadm settle
	bad_device=/dev/${scsi##*/}
	# shellcheck disable=SC2154 # set by mount_bad
	mount -t "$bad_type" "$bad_device" "$BAD"
}

@test "a disk that vanishes fails its extent, and the rest is detached cleanly" {
	local way
	for way in mapped file; do
		make_scsi ext4 $way
		begin_work "$WORK_HALF"
		others_work
		vanish
		fails check,write "$FREE_HALF"
		others_work
		is_working
		end_work
		middle_fails
		goes_away
		return_again
		comes_back $way after-cut
		bad_is_consistent
		clean_up
		modprobe -r scsi_debug
	done
}

@test "a disk that vanishes with all of a container fails it, and no change is missed after" {
	local way
	ledger=$BATS_TEST_TMPDIR/ledger
	for way in mapped file; do
		make_scsi ext4
		svmdk create "$BAD/n.vmdk" 384K -e 128K
		svmdk manifest "$BAD/n.vmdk"
		dev=$(svmdk attach --io $way "$BAD/n.vmdk")
		/job/programs/ledger "$ledger" new 96
		succeeds write,flush "32 32"
		vanish
		fails check,write
		goes_away
		return_again
		svmdk changed "$BAD/n.vmdk" | grep -q 'n-f002.vmdk$'
		dev=$(svmdk attach --io $way "$BAD/n.vmdk")
		succeeds after-cut,check,write,flush,check
		svmdk detach "$dev"
		bad_is_consistent
		clean_up
		modprobe -r scsi_debug
	done
}

@test "bad blocks of a null_blk fail their sectors alone" {
	local way start null
	for way in mapped file; do
		make_null bad 128
		make_good
		mount_bad ext4 "$null"
		make_parts $way
		start=$(middle_start)
		echo "+$((start + 80))-$((start + 87))" >"$NULLS/bad/badblocks"
		fails check "$((PART + 10)) 1"
		fails write "$((PART + 10)) 1"
		succeeds check "$PART 10"
		succeeds write "$((PART + 11)) $((PART - 11))"
		others_work
		echo "-$((start + 80))-$((start + 87))" >"$NULLS/bad/badblocks"
		succeeds check
		goes_away
		comes_back $way check
		bad_is_consistent
		clean_up
		rmdir "$NULLS/bad"
	done
}

# switch_null on|off
switch_null() {
	[ "$1" = on ] || {
		echo 0 >"$NULLS/bad/power"
		return
	}
	echo 1 >"$NULLS/bad/power"
	eventually [ -b "$null" ]
	udevadm settle
}

# It has what it had, for that is kept where it is configured.
@test "a null_blk that is switched off fails its extent, and the rest is detached cleanly" {
	local way
	for way in mapped file; do
		make_null bad 128
		make_good
		mount_bad ext4 "$null"
		make_parts $way
		begin_work "$WORK_HALF"
		others_work
		switch_null off
		fails check,write "$FREE_HALF"
		others_work
		is_working
		end_work
		middle_fails
		goes_away
		eventually umount "$BAD"
		switch_null on
		mount -t ext4 "$null" "$BAD"
		comes_back $way after-cut
		bad_is_consistent
		clean_up
		rmdir "$NULLS/bad"
	done
}

# time_out PERCENT: so many of what is asked of the null_blk
time_out() {
	echo "$1" >$timeouts/probability
}

@test "requests that a null_blk lets time out fail alone, and nobody else waits" {
	local way
	[ -e $timeouts ] || skip "this kernel cannot have requests time out; K=debug can"
	echo 1 >$timeouts/interval
	echo -1 >$timeouts/times
	for way in mapped file; do
		make_null bad 128
		make_good
		mount_bad ext4 "$null"
		make_parts $way
		echo 1000 >"/sys/block/${null##*/}/queue/io_timeout"
		echo 1 >"/sys/block/${null##*/}/io-timeout-fail"
		begin_work "$WORK_HALF"
		time_out 100
		others_work
		PATIENCE=6 fails check,write "$PART 3"
		others_work
		is_working
		time_out 0
		end_work
		succeeds check "$FREE_HALF"
		goes_away
		mount_bad_again
		comes_back $way after-cut
		bad_is_consistent
		clean_up
		rmdir "$NULLS/bad"
	done
}

@test "a full file system fails what has no room yet, and nothing else" {
	local type half=$((PART / 2))
	for type in ext4 xfs btrfs; do
		make_good
		store_does linear
		mount_bad $type /dev/mapper/$store
		make_parts file
		svmdk detach "$dev"
		# Of the middle one the half is a hole, and there is no room.
		fallocate -p -o $((half * 4096)) -l $((half * 4096)) "$BAD/c-f002.vmdk"
		/job/programs/ledger "$ledger" new $((3 * PART))
		attach_parts file
		succeeds write "0 $((PART + half))"
		fill_up
		io write "$((PART + half)) $half"
		# shellcheck disable=SC2154 # set by io
		[ "$failed" -gt $((half / 2)) ]
		succeeds check "0 $((2 * PART))"
		# What has a place can be written where it is not moved.
		[ $type = btrfs ] || succeeds write "$PART $half"
		succeeds write "$GOOD_PARTS"
		others_work
		rm "$BAD"/filler*
		sync -f "$BAD"
		succeeds write,flush "$BAD_PART"
		goes_away
		comes_back file check
		bad_is_consistent
		clean_up
	done
}

# Until not one block is left.
fill_up() {
	local size
	fallocate -l 600M "$BAD/filler" 2>/dev/null || true
	for size in 32M 4M 512k 64k 4k; do
		for _ in {1..40}; do
			head -c "$(numfmt --from=iec "${size^^}")" /dev/zero \
				>>"$BAD/filler-$size" 2>/dev/null || break
		done
		sync -f "$BAD"
	done
}

shut_down() {
	make_store "$1" "$2"
	begin_work "$WORK_HALF"
	others_work
	xfs_io -x -c shutdown "$BAD"
	others_work
	# What is mapped does not need the file system.
	if [ "$2" = mapped ]; then
		succeeds check,write "$FREE_HALF"
	else
		fails check,write "$FREE_HALF"
	fi
	end_work
	others_work
	goes_away_and_heals "$2"
}

@test "an extent whose XFS is shut down fails alone, or goes on where it is mapped" {
	shut_down xfs mapped
	clean_up
	shut_down xfs file
}

@test "an extent whose ext4 is shut down fails alone, or goes on where it is mapped" {
	shut_down ext4 mapped
	clean_up
	shut_down ext4 file
}

@test "a file system that an error made read-only takes its extent along alone" {
	local way
	for way in mapped file; do
		make_good
		store_does linear
		mount_bad ext4 /dev/mapper/$store errors=remount-ro
		make_parts $way
		refused "busy" mount -o remount,ro "$BAD"
		begin_work "$WORK_HALF"
		echo svmdk >"/sys/fs/ext4/$(disk_name /dev/mapper/$store)/trigger_fs_error"
		others_work
		succeeds check "$FREE_HALF"
		io write "$FREE_HALF"
		end_work
		succeeds check
		goes_away_and_heals $way
		clean_up
	done
}

@test "a file system made read-only by SysRq is no trap" {
	local way
	for way in mapped file; do
		make_store ext4 $way
		echo u >/proc/sysrq-trigger
		eventually grep -q " $BAD ext4 ro," /proc/mounts
		io write
		succeeds check
		goes_away
		mount -o remount,rw /
		mount -o remount,rw "$BACKING"
		mount -o remount,rw "$BAD"
		comes_back $way after-cut
		bad_is_consistent
		clean_up
	done
}

# By what fio says of what it does.
hundreds_wait() {
	[ "$(grep -c 'queue: io_u' "$BATS_TEST_TMPDIR/fio")" -gt 200 ]
}

# For a while, with hundreds of I/Os that wait; reads go on, and so does all else.
@test "a file system that is frozen for long is waited for by its own extent alone" {
	local way end
	for way in mapped file; do
		make_store ext4 $way
		fsfreeze -f "$BAD"
		fio --name=wait --filename="$dev" --direct=1 --ioengine=libaio --iodepth=500 \
			--rw=randwrite --bs=512 --offset=$((PART * 6144)) --size=$((PART * 2048)) \
			--io_size=$((PART * 2048)) --debug=io >"$BATS_TEST_TMPDIR/fio" 3>&- &
		worker=$!
		eventually hundreds_wait
		end=$((SECONDS + TRIAL_SECONDS / 2))
		while ((SECONDS < end)); do
			others_work
			succeeds check "$PART $((PART / 2))"
			fails_with 1 'in use|is frozen' ends svmdk detach "$dev"
		done
		is_working
		fsfreeze -u "$BAD"
		ends_child "$worker"
		worker=
		succeeds check "$PART $((PART / 2))"
		cmp <(read_disk "$dev") \
			<(cat "$BACKING/c-f001.vmdk" "$BAD/c-f002.vmdk" "$BACKING/c-f003.vmdk")
		succeeds write
		goes_away
		comes_back $way check
		bad_is_consistent
		clean_up
	done
}
