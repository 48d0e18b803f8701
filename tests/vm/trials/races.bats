#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Hardly any memory, processors that come and go, and everybody at once: attach,
# detach, grow, list, unload, scan for partitions and I/O against each other, and
# whoever does it killed at any moment. All goes on, nothing is lost, and at the end
# the disks are detached and the module is unloaded.

load ../common
load trials

group=/sys/fs/cgroup/svmdktest
hog=/mnt/hog # what has nearly all of the memory

setup() {
	ledger=$BATS_TEST_TMPDIR/ledger
	stop=$BATS_TEST_TMPDIR/stop
	jobs=()
}

teardown() {
	: >"$stop"
	[ ${#jobs[@]} = 0 ] || kill "${jobs[@]}" 2>/dev/null || true
	wait
	swapoff -a
	! mountpoint -q $hog || umount $hog
	for cpu in /sys/devices/system/cpu/cpu*/online; do
		echo 1 >"$cpu"
	done
	[ ! -d "$group" ] || rmdir "$group"
	clean_up
	modprobe -r svmdk
}

# make_group SIZE [HIGH]: where more than HIGH is used, those in it are slowed down
make_group() {
	grep -qw memory /sys/fs/cgroup/cgroup.controllers || skip "this kernel has no memory controller"
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir "$group"
	echo "$1" >"$group/memory.max"
	[ $# = 1 ] || echo "$2" >"$group/memory.high"
}

# in_group COMMAND…: with that little memory
in_group() {
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec "$@"
	)
}

@test "swap on a disk carries a program that has more than there is memory for" {
	local way
	make_group 40M
	for way in mapped file; do
		make_backing ext4
		svmdk create "$BACKING/swap.vmdk" 96M -e 8M
		dev=$(svmdk attach --io $way "$BACKING/swap.vmdk")
		mkswap "$dev" >/dev/null
		swapon "$dev"
		in_group stress-ng --vm 2 --vm-bytes 72M --vm-method incdec --vm-keep --verify \
			--timeout "$TRIAL_SECONDS" >"$BATS_TEST_TMPDIR/said" 2>&1 || {
			cat "$BATS_TEST_TMPDIR/said"
			return 1
		}
		# It did swap, both ways.
		[ "$(disk_stat "${dev##*/}" 3)" -gt 2048 ]
		[ "$(disk_stat "${dev##*/}" 7)" -gt 2048 ]
		equal 0 "$(awk '$1 == "oom_kill" { print $2 }' "$group/memory.events")"
		swapoff "$dev"
		svmdk detach "$dev"
		clean_up
	done
}

# written_back: files larger than the memory there is come out as they went in
written_back() {
	local file
	"$@" dd if="$BATS_TEST_TMPDIR/data" of="$ABOVE/one" bs=1M status=none
	"$@" cp "$BATS_TEST_TMPDIR/data" "$ABOVE/two"
	"$@" cp "$ABOVE/one" "$ABOVE/three"
	sync -f "$ABOVE"
	umount "$ABOVE"
	mount "$dev" "$ABOVE"
	for file in one two three; do
		cmp "$ABOVE/$file" "$BATS_TEST_TMPDIR/data"
	done
}

# make_above WAY BENEATH ABOVE
make_above() {
	make_backing "$2"
	svmdk create "$BACKING/c.vmdk" 160M -e 8M
	dev=$(svmdk attach --io "$1" "$BACKING/c.vmdk")
	case $3 in
	ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$dev" ;;
	btrfs) mkfs.btrfs -q -K "$dev" ;;
	esac
	mount "$dev" "$ABOVE"
}

above_is_consistent() {
	umount "$ABOVE"
	is_clean "$1" "$dev"
	svmdk detach "$dev"
}

@test "a file system on a disk is written back by programs that have hardly any memory" {
	local way type
	# At the limit itself btrfs of 7.3, which asks for memory with GFP_NOFS, waits for no page
	# that is on its way to the disk: whoever writes is killed then.
	make_group 20M 12M
	random_bytes 24M >"$BATS_TEST_TMPDIR/data"
	for way in mapped file; do
		for type in ext4 btrfs; do
			make_above $way ext4 $type
			written_back in_group
			above_is_consistent $type
			clean_up
		done
	done
}

# All but a little of the memory is taken by pages that cannot be given back, for there
# is no swap.
@test "a file system on a disk is written back by a machine that has hardly any memory" {
	local way free
	random_bytes 40M >"$BATS_TEST_TMPDIR/data"
	for way in mapped file; do
		make_above $way ext4 ext4
		echo 3 >/proc/sys/vm/drop_caches
		free=$(awk '/^MemFree:/ { print int($2 / 1024) }' /proc/meminfo)
		mkdir -p $hog
		mount -t tmpfs -o size=100% tmpfs $hog
		fallocate -l $((free - 100))M $hog/memory
		free=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
		echo "$free MiB are free"
		[ "$free" -lt 400 ]
		written_back env
		umount $hog
		above_is_consistent ext4
		clean_up
	done
}

# until_stopped COMMAND…: again and again, whatever it says
until_stopped() {
	while [ ! -e "$stop" ]; do
		"$@" || true
	done >/dev/null 2>&1 3>&-
}

# begin COMMAND…: until it is stopped, beside all else
begin() {
	until_stopped "$@" 3>&- &
	jobs+=($!)
}

all_stop() {
	: >"$stop"
	ends_all
	jobs=()
	rm "$stop"
}

ends_all() {
	local job
	for job in "${jobs[@]}"; do
		PATIENCE=4 eventually refused '' kill -0 "$job"
	done
}

processors_come_and_go() {
	local cpu online=$((RANDOM % 2))
	for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do
		echo $((RANDOM % 2 ^ online)) >"$cpu"
	done
}

@test "processors come and go while a disk is written" {
	local way
	[ -e /sys/devices/system/cpu/cpu1/online ] || skip "this machine has one processor"
	for way in mapped file; do
		make_backing ext4
		svmdk create "$BACKING/c.vmdk" 12M -e 3M
		dev=$(svmdk attach --io $way "$BACKING/c.vmdk")
		begin processors_come_and_go
		fio --name=hotplug --filename="$dev" --direct=1 --ioengine=libaio --iodepth=8 \
			--numjobs=3 --size=4M --offset_increment=4M --rw=randwrite \
			--bsrange=512-64k --time_based --runtime="$((TRIAL_SECONDS / 2))" \
			--group_reporting >/dev/null
		fio --name=verify --filename="$dev" --direct=1 --ioengine=libaio --iodepth=8 \
			--rw=randwrite --bsrange=4k-64k --size=12M --verify=crc32c \
			--verify_fatal=1 >/dev/null
		all_stop
		cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
		svmdk detach "$dev"
		clean_up
	done
}

# Unless just then somebody has it open.
detaches() {
	local said
	said=$(svmdk detach "$dev" 2>&1) || {
		[[ $said == *'in use'* ]] || echo "$said" >>"$BATS_TEST_TMPDIR/complaints"
		return 1
	}
}

# One who attaches it, works on it, lets it grow and detaches it, and knows what is
# on it. Nobody else ends it, but everybody gets in the way.
live() {
	local number=$1 file=$BACKING/own$1.vmdk way dev round=0 own=$BATS_TEST_TMPDIR/ledger$1
	local end=$((SECONDS + TRIAL_SECONDS)) blocks=512
	/job/programs/ledger "$own" new $blocks
	while ((SECONDS < end)); do
		way=$([ $((RANDOM % 2)) = 0 ] && echo mapped || echo file)
		dev=$(svmdk attach --io "$way" "$file" 2>>"$BATS_TEST_TMPDIR/attach$number") || {
			# The module may have been about to go.
			sleep 0.1
			continue
		}
		/job/programs/ledger "$own" check "$dev" >"$BATS_TEST_TMPDIR/life$number"
		/job/programs/ledger "$own" work "$dev" 0 $blocks 2 >>"$BATS_TEST_TMPDIR/life$number"
		((++round % 4)) || svmdk grow "$file" +512K
		/job/programs/ledger "$own" check "$dev" >>"$BATS_TEST_TMPDIR/life$number"
		PATIENCE=6 eventually detaches
		# All that was done, was done well.
		equal '' "$(grep -v ' 0$' "$BATS_TEST_TMPDIR/life$number")"
	done
	[ "$round" -gt 0 ]
	echo "$round rounds"
}

lists() {
	svmdk list --json | jq . || echo "list failed" >>"$BATS_TEST_TMPDIR/complaints"
	svmdk list -e
}

one_disk() {
	local nodes=(/dev/svmdk*)
	node=${nodes[RANDOM % ${#nodes[@]}]}
}

rescans() {
	one_disk
	blockdev --rereadpt "$node"
	partx -u "$node"
	udevadm trigger --action=change --subsystem-match=block --sysname-match='svmdk*'
}

opens() {
	for _ in {1..50}; do
		for node in /dev/svmdk[0-9]*; do
			# Never one that would make a file where there is none.
			{ : <"$node"; } 2>/dev/null || true
		done
	done
}

# Of no use to anybody: attached, grown and detached by several at once.
fights() {
	local file=$BACKING/common.vmdk
	case $((RANDOM % 7)) in
	0 | 1) svmdk attach "$file" ;;
	2) svmdk detach "$file" ;;
	3) svmdk detach --lazy "$file" ;;
	4) svmdk grow "$file" +64K ;;
	5) svmdk attach -r "$file" ;;
	6) svmdk info "$file" ;;
	esac
}

reads() {
	one_disk
	svmdk snapshot "$BACKING/common.vmdk" true
	dd if="$node" of=/dev/null bs=64k iflag=direct count=8
}

@test "attach, detach, grow, list, unload, partitions and I/O against each other" {
	local number lives=() failed=0
	make_backing ext4
	for number in 1 2; do
		svmdk create "$BACKING/own$number.vmdk" 2M -e 512K
	done
	svmdk create "$BACKING/common.vmdk" 4M -e 1M
	printf '%s\n' 'label: gpt' 'size=1M' 'size=1M' >"$BATS_TEST_TMPDIR/parts"
	dev=$(svmdk attach "$BACKING/common.vmdk")
	sfdisk -q "$dev" <"$BATS_TEST_TMPDIR/parts"
	udevadm settle
	svmdk detach "$dev"
	begin lists
	begin rescans
	begin opens
	begin fights
	begin fights
	begin reads
	begin modprobe -r svmdk
	for number in 1 2; do
		live $number >"$BATS_TEST_TMPDIR/lives$number" 2>&1 3>&- &
		lives+=($!)
	done
	for number in 1 2; do
		wait "${lives[number - 1]}" || {
			failed=1
			cat "$BATS_TEST_TMPDIR"/{lives,life,attach}$number || true
		}
		tail -n 1 "$BATS_TEST_TMPDIR/lives$number"
	done
	all_stop
	equal 0 $failed
	if [ -e "$BATS_TEST_TMPDIR/complaints" ]; then
		cat "$BATS_TEST_TMPDIR/complaints"
		return 1
	fi
	udevadm settle
	svmdk detach --all
	for number in 1 2; do
		svmdk check "$BACKING/own$number.vmdk" 2>/dev/null
		dev=$(svmdk attach "$BACKING/own$number.vmdk")
		/job/programs/ledger "$BATS_TEST_TMPDIR/ledger$number" check "$dev"
		cmp <(read_disk "$dev") <(read_extents "$BACKING/own$number.vmdk")
		svmdk detach "$dev"
	done
	svmdk check "$BACKING/common.vmdk" 2>/dev/null
	dev=$(svmdk attach "$BACKING/common.vmdk")
	sfdisk -l "$dev" >/dev/null
	svmdk detach "$dev"
	modprobe -r svmdk
}

@test "a disk that is opened and closed all the time is attached and detached all the same" {
	local end=$((SECONDS + TRIAL_SECONDS / 2)) rounds=0
	make_backing ext4
	svmdk create "$BACKING/c.vmdk" 4M -e 1M
	for _ in 1 2 3 4; do
		begin opens
	done
	while ((SECONDS < end)); do
		dev=$(svmdk attach "$BACKING/c.vmdk")
		write_disk "$dev" 65536 65536
		PATIENCE=6 eventually detaches
		[ ! -e "/sys/block/${dev##*/}" ]
		rounds=$((rounds + 1))
	done
	echo "$rounds rounds"
	all_stop
}

is_gone() {
	[ ! -e "/sys/block/${dev##*/}" ]
}

@test "a disk is detached lazily under load, and nothing that was written is lost" {
	local way end pids
	make_backing ext4
	svmdk create "$BACKING/c.vmdk" 3M -e 1M
	/job/programs/ledger "$ledger" new 768
	for way in mapped file; do
		end=$((SECONDS + TRIAL_SECONDS / 4))
		while ((SECONDS < end)); do
			dev=$(svmdk attach --io $way "$BACKING/c.vmdk")
			/job/programs/ledger "$ledger" check "$dev"
			pids=()
			for first in 0 256 512; do
				/job/programs/ledger "$ledger" work "$dev" $first 256 600 \
					>"$BATS_TEST_TMPDIR/work$first" 3>&- &
				pids+=($!)
			done
			eventually is_used 3
			svmdk detach --lazy "$dev" 2>/dev/null
			equal detaching "$(of_list "$dev" STATE)"
			refused 'attached as' svmdk attach "$BACKING/c.vmdk"
			for pid in "${pids[@]}"; do
				kill -0 "$pid"
				kill -KILL "$pid"
			done
			wait "${pids[@]}" || true
			eventually is_gone
			# What any of them found wrong.
			equal '' "$(cat "$BATS_TEST_TMPDIR"/work*)"
		done
	done
}

is_used() {
	[ "$(of_list "$dev" OPENERS)" = "$1" ]
}

# prepare_for COMMAND: as it is before it
prepare_for() {
	svmdk detach --all
	cd "$BACKING" || return
	rm -rf box to
	mkdir box to
	cp c.vmdk c-f*.vmdk box
	sync -f .
	cd box || return
	[ "$1" = attach ] || svmdk attach c.vmdk >/dev/null
}

# still_right: whatever was killed, all goes on and the data is there
still_right() {
	ends svmdk list --json | jq . >/dev/null
	ends svmdk info c.vmdk >/dev/null
	if [ -n "$(svmdk list -n)" ]; then
		dev=$(svmdk list -n -o NAME)
		cmp -n $((3 << 20)) "$dev" "$BATS_TEST_TMPDIR/all"
		ends svmdk detach "$dev"
	fi
	equal '' "$(svmdk list -n)"
	dev=$(ends svmdk attach c.vmdk)
	cmp -n $((3 << 20)) "$dev" "$BATS_TEST_TMPDIR/all"
	ends svmdk grow c.vmdk +1M
	write_disk "$dev" $((3 << 20)) 4096
	ends svmdk detach c.vmdk
	eventually module_is_free
}

# killed_in NUMBER COMMAND…: it is killed when it makes the so-manieth of its ioctls, which
# is not done, or fails; abi_kill.c kills in the midst of each kind
killed_in() {
	local number=$1
	shift
	! strace -f -qq -o /dev/null -e trace=ioctl -e inject=ioctl:signal=KILL:when="$number" \
		"$@" >/dev/null 2>&1
}

# killed_after SECONDS COMMAND…
killed_after() {
	local after=$1
	shift
	"$@" >/dev/null 2>&1 3>&- &
	sleep "$after"
	kill -KILL $! 2>/dev/null || true
	wait $! 2>/dev/null || true
}

@test "a command that is killed at any of its calls to the driver leaves nothing wrong" {
	local number command commands=('attach c.vmdk' 'attach --io file c.vmdk' 'detach c.vmdk'
		'grow c.vmdk +2M' 'list -e' 'copy --no-freeze c.vmdk ../to' 'snapshot c.vmdk true')
	make_backing ext4
	cd "$BACKING"
	svmdk create c.vmdk 3M -e 1M
	for number in 1 2 3; do
		random_bytes 1M >"c-f00$number.vmdk"
	done
	cat c-f*.vmdk >"$BATS_TEST_TMPDIR/all"
	for command in "${commands[@]}"; do
		for ((number = 1; ; number++)); do
			prepare_for "${command%% *}"
			# shellcheck disable=SC2086 # words
			killed_in $number svmdk $command || break
			still_right
		done
		((number > 1))
		for _ in {1..8}; do
			prepare_for "${command%% *}"
			# shellcheck disable=SC2086 # words
			killed_after "$(printf '0.%03d' $((RANDOM % 200 + 10)))" svmdk $command
			still_right
		done
		echo "$command: killed at $((number - 1)) calls"
	done
	cd /
	prepare_for attach
	cd /
}
