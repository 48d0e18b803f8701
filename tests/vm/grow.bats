#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A container gets larger: attached and in use, or not. What was there stays,
# what is new reads as zeroes, and whoever is interrupted leaves the old size or
# the new one.

load common

setup() {
	make_backing ext4
	cd "$BACKING" || return
}

teardown() {
	cd /
	[ -z "$MONITOR" ] || kill "$MONITOR"
	! mountpoint -q "$ABOVE" || umount "$ABOVE"
	[ ! -e /dev/mapper/svmdktestgrow ] || cryptsetup close svmdktestgrow
	clean_up
}

# What the disk and its container are, after they were grown to BYTES.
has_size() {
	equal "$2" "$(blockdev --getsize64 "$1")"
	equal "$2" "$(of_list "$1" SIZE)"
	equal "$2" "$(container_size)"
}

container_size() {
	svmdk info --json c.vmdk | jq '.container[0].size'
}

# One uevent, counted from the kernel's own until a mark that we set.
count_changes() {
	local name=$1 mark
	mark=$(disk_name /job/disks/spare)
	shift
	udevadm monitor --kernel --subsystem-match=block >"$BATS_TEST_TMPDIR/events" 3>&- &
	MONITOR=$!
	eventually grep -q KERNEL "$BATS_TEST_TMPDIR/events"
	"$@"
	echo change >"/sys/block/$mark/uevent"
	eventually grep -q "/$mark " "$BATS_TEST_TMPDIR/events"
	kill "$MONITOR"
	MONITOR=
	grep -c "change .*/$name " "$BATS_TEST_TMPDIR/events"
}

@test "an attached disk grows by extents that are mapped, with one uevent" {
	local device changes
	svmdk create c.vmdk 48M -e 16M
	device=$(svmdk attach c.vmdk)
	write_disk "$device" $((47 << 20)) 1048576
	changes=$(count_changes "$(disk_name "$device")" svmdk grow "$device" 80M)
	equal 1 "$changes"
	has_size "$device" $((80 << 20))
	equal 5 "$(of_list "$device" EXTENTS)"
	equal 5 "$(of_list "$device" MAPPED)"
	cmp -n $((32 << 20)) <(dd if="$device" iflag=direct bs=1M skip=48 status=none) /dev/zero
	write_disk "$device" $((79 << 20)) 1048576
	write_disk "$device" $(((48 << 20) - 65536)) 131072
	cmp <(read_disk "$device") <(read_extents c.vmdk)
	svmdk grow c.vmdk +16M
	has_size "$device" $((96 << 20))
	svmdk detach "$device"
	equal 6 "$(grep -c '^RW 32768 FLAT' c.vmdk)"
	read_extents c.vmdk >raw
	qemu-img compare -f vmdk -F raw c.vmdk raw
}

@test "a disk that is being written grows again and again, and every block is right" {
	local device i
	svmdk create c.vmdk 32M -e 8M
	device=$(svmdk attach c.vmdk)
	fio --name=load --filename="$device" --direct=1 --ioengine=libaio --iodepth=8 \
		--rw=randwrite --bsrange=4k-64k --size=32M --io_size=96M --verify=crc32c \
		--verify_fatal=1 --serialize_overlap=1 --randseed=7 \
		>"$BATS_TEST_TMPDIR/fio" 2>&1 3>&- &
	for i in {5..10}; do
		svmdk grow "$device" $((i * 8))M
	done
	wait $! || {
		cat "$BATS_TEST_TMPDIR/fio"
		false
	}
	has_size "$device" $((80 << 20))
	fio --name=new --filename="$device" --direct=1 --ioengine=libaio --iodepth=8 --offset=32M \
		--rw=randwrite --bsrange=4k-64k --size=48M --verify=crc32c --verify_fatal=1 \
		--serialize_overlap=1 >/dev/null
	cmp <(read_disk "$device") <(read_extents c.vmdk)
}

# grow_online TYPE MIB [MKFS-OPTION…]: a file system on a disk of that size grows by
# 96 MiB while it is mounted
grow_online() {
	local type=$1 size=$2 device node sum room
	shift 2
	svmdk create c.vmdk "${size}M" -e 32M --preallocate falloc
	device=$(svmdk attach c.vmdk)
	node=$device
	if [ "$type" = luks ]; then
		type=ext4
		printf secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
			"$device" -
		printf secret | cryptsetup open --key-file - "$device" svmdktestgrow
		node=/dev/mapper/svmdktestgrow
	fi
	"mkfs.$type" -q "$@" "$node"
	mount -t "$type" "$node" "$ABOVE"
	random_bytes $((16 << 20)) >"$ABOVE/old"
	sum=$(md5sum <"$ABOVE/old")
	svmdk grow c.vmdk +96M
	case $node in
	/dev/mapper/*) printf secret | cryptsetup resize --key-file - svmdktestgrow ;;
	esac
	case $type in
	ext4) resize2fs "$node" ;;
	xfs) xfs_growfs "$ABOVE" ;;
	btrfs) btrfs filesystem resize max "$ABOVE" ;;
	esac
	# Nearly full, it has to use what is new; btrfs only knows roughly when it is.
	room=$(($(stat -fc '%a * %S' "$ABOVE")))
	((room > size << 20 || room > 220 << 20))
	[ "$type" = btrfs ] || ((room < 100 << 20)) || fallocate -l $((room - (90 << 20))) "$ABOVE/filler"
	random_bytes $((64 << 20)) >"$ABOVE/new"
	sync -f "$ABOVE/new"
	md5sum <"$ABOVE/new" >"$BATS_TEST_TMPDIR/sum"
	umount "$ABOVE"
	[ "$node" = "$device" ] || cryptsetup close svmdktestgrow
	svmdk detach c.vmdk

	device=$(svmdk attach c.vmdk)
	case $node in
	/dev/mapper/*) printf secret | cryptsetup open --key-file - "$device" svmdktestgrow ;;
	*) node=$device ;;
	esac
	mount -t "$type" "$node" "$ABOVE"
	equal "$sum" "$(md5sum <"$ABOVE/old")"
	equal "$(cat "$BATS_TEST_TMPDIR/sum")" "$(md5sum <"$ABOVE/new")"
}

@test "ext4 grows online on a disk that has grown" {
	grow_online ext4 64
}

@test "XFS grows online on a disk that has grown" {
	grow_online xfs 320
}

@test "btrfs grows online on a disk that has grown" {
	# Less than 256 MiB is refused by btrfs itself.
	grow_online btrfs 192 -d single -m single
}

@test "LUKS, and the file system in it, grow online on a disk that has grown" {
	grow_online luks 64
}

@test "a short last extent is filled up, or stays as it is while it is attached" {
	local device
	svmdk create c.vmdk 40M -e 16M
	svmdk grow c.vmdk 44M
	equal "32768 32768 24576" "$(awk '/^RW/ { print $2 }' c.vmdk | xargs)"
	device=$(svmdk attach --io mapped c.vmdk)
	svmdk grow c.vmdk 60M 2>"$BATS_TEST_TMPDIR/note"
	grep -q 'c.vmdk:10: note: the short extent c-f003.vmdk stays as it is' "$BATS_TEST_TMPDIR/note"
	equal "32768 32768 24576 32768" "$(awk '/^RW/ { print $2 }' c.vmdk | xargs)"
	has_size "$device" $((60 << 20))
	equal 4 "$(of_list "$device" MAPPED)"
	svmdk detach "$device"
	svmdk attach --io mapped c.vmdk
}

# By the manifest alone a longer extent would be damaged.
@test "grow makes the sidecar that is missing where there is a manifest" {
	svmdk create c.vmdk 5M -e 2M
	svmdk grow c.vmdk 5632K
	[ ! -e c.vmdk.svmdk ]
	svmdk manifest c.vmdk
	rm c.vmdk.svmdk
	svmdk grow c.vmdk 8M
	svmdk verify c.vmdk >said
	grep -qx 'changed   c-f003.vmdk: written through svmdk since the manifest' said
	grep -qx 'changed   c.vmdk: written through svmdk since the manifest' said
	grep -qx '5 files: 2 intact, 3 changed, 0 modified, 0 damaged' said
	# What nobody wrote is still what it was.
	flip_bit c-f001.vmdk 99
	refused 'damaged   c-f001.vmdk' svmdk verify c.vmdk
	# One that cannot be read stays.
	echo broken >c.vmdk.svmdk
	svmdk grow c.vmdk 9M
	equal broken "$(cat c.vmdk.svmdk)"
}

@test "what cannot grow is left as it is, and says why" {
	local device before
	svmdk create c.vmdk 32M -e 16M
	before=$(cat c.vmdk; ls)
	fails_with 1 'c.vmdk: the disk has 32M .*shrinking' svmdk grow c.vmdk 31M
	fails_with 1 'c-f002.vmdk: not enough room' svmdk grow c.vmdk 64G
	refused 'it takes a FILE' svmdk grow c.vmdk
	fails_with 1 'gone.vmdk: .*No such file' svmdk grow gone.vmdk +1M
	svmdk attach -r c.vmdk
	fails_with 1 'c.vmdk: attached read-only' svmdk grow c.vmdk +1M
	svmdk detach c.vmdk
	chattr +i .
	fails_with 1 'Operation not permitted' svmdk grow c.vmdk +16M
	chattr -i .
	equal "$before" "$(cat c.vmdk; ls)"
	device=$(svmdk attach c.vmdk)
	fails_with 1 'not enough room' svmdk grow "$device" 64G
	has_size "$device" $((32 << 20))
	equal "$before" "$(cat c.vmdk; ls)"
	svmdk grow c.vmdk 32M
}

# beneath TABLE: the file system is mounted anew, on device-mapper with this table
beneath() {
	cd /
	umount "$BACKING"
	remove_mappings svmdkbeneath
	dmsetup create svmdkbeneath <<<"$1"
	mount /dev/mapper/svmdkbeneath "$BACKING"
	cd "$BACKING" || return
}

@test "a short extent whose end cannot be read stays as it is, and so does the rest" {
	local bad sectors before sums disk=/job/disks/data
	sectors=$(blockdev --getsz $disk)
	# A block of the file system that has the end of the extent, and zeroes to come.
	make_container c.vmdk 2048 2048 1001
	sync -f .
	bad=$(($(filefrag -b512 -e c-f003.vmdk | awk '$1 == "0:" { print $4 + 0 }') + 1000))
	sums=$(md5sum c.vmdk; cat_disk c.vmdk | md5sum)
	beneath "0 $bad linear $disk 0
		$bad 8 error
		$((bad + 8)) $((sectors - bad - 8)) linear $disk $((bad + 8))"
	before=$(stat -c '%n %s' c*)
	run svmdk grow c.vmdk 8192s
	echo "$output"
	equal 1 "$status"
	grep -qE 'c-f003.vmdk: cannot (write|allocate [0-9]+ bytes): Input/output error' <<<"$output"
	# A newer ext4 reads that block to cut off what came behind it, too.
	if [[ $output != *'could not be cut off again'* ]]; then
		equal "$before" "$(stat -c '%n %s' c*)"
		equal c.vmdk "$(find . -maxdepth 1 -name '*.vmdk*' ! -name 'c-f*' -printf '%f\n')"
	fi
	beneath "0 $sectors linear $disk 0"
	equal "$sums" "$(md5sum c.vmdk; cat_disk c.vmdk | md5sum)"
	svmdk grow c.vmdk 8192s
	equal "2048 2048 2048 2048" "$(awk '/^RW/ { print $2 }' c.vmdk | xargs)"
}

@test "a disk that fails all writes: one line, and what there was is there" {
	local sectors sums disk=/job/disks/data
	sectors=$(blockdev --getsz $disk)
	make_container c.vmdk 2048 2048
	sync -f .
	sums=$(md5sum c*)
	beneath "0 $sectors flakey $disk 0 180 0"
	dmsetup suspend svmdkbeneath
	dmsetup load svmdkbeneath --table "0 $sectors flakey $disk 0 0 180 1 error_writes"
	dmsetup resume svmdkbeneath
	fails_with 1 'Input/output error|Read-only file system' svmdk grow c.vmdk 8192s
	equal "$sums" "$(md5sum c*)"
	beneath "0 $sectors linear $disk 0"
	equal "$sums" "$(md5sum c*)"
	svmdk grow c.vmdk 8192s
	equal "2048 2048 2048 2048" "$(awk '/^RW/ { print $2 }' c.vmdk | xargs)"
	equal "" "$(find . -maxdepth 1 -name '.[!.]*')"
}

@test "the file way's disk grows by the file way" {
	local device
	svmdk create c.vmdk 32M -e 16M
	device=$(svmdk attach --io file c.vmdk)
	svmdk grow c.vmdk +16M
	equal 0 "$(of_list "$device" MAPPED)"
	write_disk "$device" $((31 << 20)) $((2 << 20))
	cmp <(read_disk "$device") <(read_extents c.vmdk)
}

# Where something begins or ends: with the driver (ioctl), and in the folder.
moments=("fallocate 2" "renameat 1" "renameat 2" "unlinkat 1" "ioctl 7" "ioctl 9" "ioctl 12")

@test "grow that is killed leaves the old size or the new one, and is done when it is run again" {
	local device moment size killed=0
	for moment in "${moments[@]}"; do
		rm -f c* .c*
		svmdk create c.vmdk 4M -e 2M --preallocate falloc
		device=$(svmdk attach c.vmdk)
		write_disk "$device" 0 1048576
		strace -qq -o /dev/null -e trace="${moment% *}" \
			-e inject="${moment% *}:signal=KILL:when=${moment#* }" \
			svmdk grow c.vmdk 8M --preallocate falloc || killed=$((killed + 1))
		size=$(container_size)
		[ "$size" = $((4 << 20)) ] || [ "$size" = $((8 << 20)) ]
		svmdk grow c.vmdk 8M --preallocate falloc
		has_size "$device" $((8 << 20))
		equal 4 "$(of_list "$device" EXTENTS)"
		write_disk "$device" $((7 << 20)) 1048576
		cmp <(read_disk "$device") <(read_extents c.vmdk)
		equal "c-f001.vmdk c-f002.vmdk c-f003.vmdk c-f004.vmdk c.vmdk" \
			"$(find . -maxdepth 1 -name '*c[.-]*' -printf '%f\n' | sort | xargs)"
		svmdk detach c.vmdk
	done
	((killed > 4))
}

@test "grow refuses a descriptor that is not the attached disk's, and a container that lacks an extent" {
	local device why='c.vmdk: the descriptor is not that of /dev/svmdk0 any more; put back the one that it was attached by, or detach it first'
	svmdk create c.vmdk 4M -e 2M
	cp c.vmdk old
	svmdk grow c.vmdk 8M
	cp c.vmdk new
	device=$(svmdk attach c.vmdk)
	cp old c.vmdk
	fails_with 1 "$why" svmdk grow c.vmdk 16M
	# As large, and other extents.
	sed -i '/^RW/d; s/^# Extent.*/&\nRW 16384 FLAT "c-f001.vmdk" 0/' c.vmdk
	fails_with 1 "$why" svmdk grow "$device" 16M
	cmp <(ls) <(printf '%s\n' c-f00{1,2,3,4}.vmdk c.vmdk lost+found new old)
	cp new c.vmdk
	svmdk grow c.vmdk 10M
	has_size "$device" $((10 << 20))
	svmdk detach c.vmdk
	mv c-f001.vmdk away
	fails_with 1 'c.vmdk:8: extent c-f001.vmdk does not exist' svmdk grow c.vmdk 16M
	equal $((10 << 20)) "$(container_size)"
	truncate -s 1M c-f001.vmdk
	fails_with 1 'c.vmdk:8: extent c-f001.vmdk is short' svmdk grow c.vmdk 16M
	equal $((10 << 20)) "$(container_size)"
	mv away c-f001.vmdk
	svmdk grow c.vmdk 16M
}

is_not_detached() {
	fails_with 1 'svmdk0: svmdk grow is at work on it; detach it when that has ended' \
		svmdk detach c.vmdk
	fails_with 1 'svmdk0: svmdk grow is at work on it' svmdk detach --lazy c.vmdk
}

@test "a disk that is growing is not detached, and then it is" {
	svmdk create c.vmdk 4M -e 2M
	svmdk attach c.vmdk
	held "fallocate 1" is_not_detached svmdk grow c.vmdk 8M --preallocate falloc
	equal 0 "$status"
	has_size /dev/svmdk0 $((8 << 20))
	svmdk detach c.vmdk
	svmdk check c.vmdk
}

# The one has just begun, and knows what there was, when the other ends.
@test "two that grow a disk at once: the descriptor has what the disk has" {
	local device first=0
	svmdk create c.vmdk 4M -e 2M
	device=$(svmdk attach c.vmdk)
	held "-P $PWD/c.vmdk pread64 1" 'svmdk grow c.vmdk +4M || first=$?' svmdk grow c.vmdk +2M
	echo "$first $status"
	((first == 0 || status == 0))
	has_size "$device" $(((4 + 4 * !first + 2 * !status) << 20))
	write_disk "$device" $((3 << 20)) 2097152
	cmp <(read_disk "$device") <(read_extents c.vmdk)
	svmdk detach c.vmdk
	svmdk check c.vmdk
}

# grow_killed "CALL N" FILE SIZE: killed where it begins its Nth such call; its list is left
grow_killed() {
	killed_at "$1" svmdk grow "$2" "$3"
	[ -e ".$2.svmdk-files" ]
}

# It was complete but for the list, so that only the new name is of what was made longer.
@test "what a killed grow made longer is not cut off where another descriptor names it" {
	svmdk create c.vmdk 3M -e 2M
	cp c.vmdk old
	grow_killed "unlinkat 1" c.vmdk 8M
	mv c.vmdk big.vmdk
	random_bytes 4096 | dd of=c-f002.vmdk bs=4096 seek=300 conv=notrunc status=none
	md5sum c-f*.vmdk >"$BATS_TEST_TMPDIR/sums"
	cp old c.vmdk
	svmdk grow c.vmdk 3M 2>said
	cat said
	grep 'c-f002.vmdk, which an interrupted command was to make longer, is named by big.vmdk too, so it stays as long as it is' said
	md5sum -c --quiet "$BATS_TEST_TMPDIR/sums"
	svmdk check big.vmdk
}

@test "a killed grow is cleared up though an older descriptor is kept beside it" {
	svmdk create c.vmdk 3M -e 2M
	cp c.vmdk old
	grow_killed "renameat 1" c.vmdk 8M
	svmdk grow c.vmdk 8M 2>said
	cat said
	refused '' grep warning said
	equal "4096 4096 4096 4096" "$(awk '/^RW/ { print $2 }' c.vmdk | xargs)"
	svmdk check c.vmdk
}

# Two descriptors of one container: what the other one has got since is cut off by the list.
@test "an extent that a killed grow was to make longer is made longer by no other" {
	svmdk create c.vmdk 3M -e 2M
	cp c.vmdk d.vmdk
	grow_killed "fallocate 1" c.vmdk 8M
	svmdk grow d.vmdk 8M 2>said
	grep 'd.vmdk:9: note: the short extent c-f002.vmdk stays as it is' said
	equal "4096 2048 4096 4096 2048" "$(awk '/^RW/ { print $2 }' d.vmdk | xargs)"
	svmdk grow c.vmdk 8M
	svmdk check c.vmdk
	svmdk check d.vmdk
}

# As backups that share what is the same are made: cp -al, rsync --link-dest.
@test "a killed grow's list takes nothing from a copy of hard links, nor that copy's list from it" {
	local first second
	for first in one two; do
		second=$([ $first = one ] && echo two || echo one)
		rm -rf one two
		mkdir one
		(cd one && svmdk create c.vmdk 3M -e 2M && grow_killed "fallocate 1" c.vmdk 8M)
		cp -al one two
		(cd "$first" && svmdk grow c.vmdk 8M)
		random_bytes 4096 | dd of="$first/c-f002.vmdk" bs=4096 seek=300 conv=notrunc status=none
		md5sum "$first"/* >"$BATS_TEST_TMPDIR/sums"
		svmdk grow "$second/c.vmdk" 8M
		md5sum -c --quiet "$BATS_TEST_TMPDIR/sums"
		svmdk check one/c.vmdk
		svmdk check two/c.vmdk
	done
}

# By hard links, so that neither knows of the other's list.
@test "two that make an extent longer at once: the second is refused" {
	local first=0
	mkdir one two
	svmdk create one/c.vmdk 3M -e 2M
	ln one/c-f00?.vmdk two
	cp one/c.vmdk two
	held "fsync 1" 'fails_with 1 "two/c.vmdk:9: extent c-f002.vmdk is in use by another svmdk command" svmdk grow two/c.vmdk 4M || first=$?' \
		svmdk grow one/c.vmdk 4M
	equal "0 0" "$first $status"
	equal "4096 4096" "$(awk '/^RW/ { print $2 }' one/c.vmdk | xargs)"
	equal "4096 2048" "$(awk '/^RW/ { print $2 }' two/c.vmdk | xargs)"
	svmdk check one/c.vmdk
}

@test "what another program adds to an extent that is about to get longer stays" {
	svmdk create c.vmdk 3M -e 2M
	held "fsync 1" 'random_bytes 600000 >>c-f002.vmdk; md5sum c* >sums' svmdk grow c.vmdk 8M
	equal 1 "$status"
	grep 'c-f002.vmdk: another program changes its size; try again' "$BATS_TEST_TMPDIR/said"
	md5sum -c --quiet sums
	equal "c-f001.vmdk c-f002.vmdk c.vmdk" "$(find . -maxdepth 1 -name '*c[.-]*' -printf '%f\n' | sort | xargs)"
	svmdk grow c.vmdk 8M
	equal "4096 2048 4096 4096 2048" "$(awk '/^RW/ { print $2 }' c.vmdk | xargs)"
	svmdk check c.vmdk
}
