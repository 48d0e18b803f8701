#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# The power fails while a command is at work: what it had not put on stable
# storage by then is lost. The container has its old shape or the new one, with all
# its data, nothing that changed is passed over, and the command run again finishes
# the work. On ext4, XFS and btrfs.
#
# The file system lies on a device-mapper target that at the chosen moment begins to
# drop what is written, before the command is killed; then the file system is
# mounted anew. The moments are spread over the calls by which the command changes
# something, each with a little chance: the journal may have been committed just
# then, or the command be on its way to the next call. CUTS says how many there are
# of each command on each file system, SEED has the chances fall as they did
# (make check T=powercut CUTS=30 SEED=123).
#
# One kernel will do.

load common

CUTS=${CUTS:-1}
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
store=svmdkbeneath
calls=write,pwrite64,fsync,syncfs,renameat,renameat2,unlinkat,mkdirat,ftruncate,fallocate
calls+=,copy_file_range,ioctl,fchmod,fchown,utimensat

setup() {
	trace=$BATS_TEST_TMPDIR/trace
	calls_made=$BATS_TEST_TMPDIR/calls
	all=$BATS_TEST_TMPDIR/all # what the disk has
	box=$BATS_TEST_TMPDIR/box # the folder of the container, as it was at first
	made=0
	modprobe brd rd_nr=1 rd_size=524288
	echo "SEED=$SEED"
}

teardown() {
	cd /
	[ -z "${writer-}" ] || { kill "$writer" && wait "$writer"; } 2>/dev/null || true
	[ -z "${tracer-}" ] || kill "$tracer" 2>/dev/null || true
	clean_up
	modprobe -r brd
	[ "$made" = 0 ] || echo "# $made power cuts, seed $SEED" >&3
}

# enter TYPE: a new file system, and a folder in it to work in
enter() {
	cd /
	! mountpoint -q "$BACKING" || eventually umount "$BACKING"
	remove_mappings $store
	type=$1
	dmsetup create $store --table "$(flakey_table /dev/ram0 180 0)"
	make_backing "$type" /dev/mapper/$store
	mkdir "$BACKING/box"
	cd "$BACKING/box" || return
	rm -rf "$box"
}

power_fails() {
	flakey_does /dev/ram0 0 180 1 drop_writes
}

# Nothing in memory outlives it, and logs are recovered.
power_comes_back() {
	cd /
	if compgen -G '/dev/svmdk[0-9]*' >/dev/null; then
		! mountpoint -q "$ABOVE" || eventually umount "$ABOVE"
		svmdk detach --all
	fi
	eventually umount "$BACKING"
	udevadm settle
	blockdev --flushbufs /dev/mapper/$store
	flakey_does /dev/ram0 180 0
	mount -t "$type" /dev/mapper/$store "$BACKING"
	cd "$BACKING/box" || return
}

# As at the beginning, and on disk.
put_back() {
	find . -mindepth 1 -delete
	cp -a "$box/." .
	sync -f .
}

# calls_of COMMAND…: all calls that it makes of those, to $calls_made; how many
calls_of() {
	strace -qq -o "$trace" -e trace="$calls" "$@" >/dev/null 2>&1
	grep '^[a-z]' "$trace" >"$calls_made"
	wc -l <"$calls_made"
}

# stop_at NUMBER: for strace, which counts each kind of call by itself
stop_at() {
	local call
	call=$(sed -n "$1s/(.*//p" "$calls_made")
	[ -z "$call" ] ||
		echo "-e inject=$call:signal=STOP:when=$(head -n "$1" "$calls_made" | grep -c "^$call(")"
}

# Without a process for each look, and so wherever the power fails often: most of the
# time in an emulated machine goes into beginning processes.
is_stopped() {
	local text
	read -rd '' text <"$trace" || true
	[[ $text == *'--- stopped by SIGSTOP'* ]] || ! kill -0 "$tracer" 2>/dev/null
}

# cut_at NUMBER COMMAND…: the power fails when it has made the so-manieth of the calls
# that calls_of found, or when it has ended; then ENDED is yes
cut_at() {
	local number=$1 way=$((RANDOM % 3)) pid='' lines
	shift
	: >"$trace"
	# shellcheck disable=SC2046 # two words, or none when it is to end first
	strace -qq -o "$trace" -e trace="$calls" $(stop_at "$number") \
		"$@" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	tracer=$!
	eventually is_stopped
	# Not /proc/…/children, which not every kernel has.
	pid=$(pgrep -P "$tracer") || true
	ENDED=${pid:-yes}
	if [ "$way" = 1 ]; then
		# As they do by themselves every few seconds.
		echo "$number" >"$BACKING/bystander"
		sync "$BACKING/bystander"
	elif [ "$way" = 2 ] && [ -n "$pid" ]; then
		kill -CONT "$pid"
	fi
	if declare -F before_cut >/dev/null; then
		before_cut
	fi
	power_fails
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
	wait "$tracer" 2>/dev/null || [ -n "$pid" ]
	tracer=
	made=$((made + 1))
	mapfile -t lines < <(sed '/^[a-z]/!d' "$trace")
	echo "$type: $*: cut at call $number, way $way, ended: $ENDED: ${lines[-1]}"
	power_comes_back
}

# moments NUMBER: one in each stretch of that many calls, and of what comes after
moments() {
	local i
	for ((i = 0; i < CUTS; i++)); do
		echo $(($1 * i / CUTS + 1 + RANDOM % ($1 / CUTS + 2)))
	done
}

# cut COMMAND…: again and again. Before that prepare puts things right, after it
# cut_short looks, and after the command was run once more done_well does.
cut() {
	local total number
	prepare
	total=$(calls_of "$@")
	for number in $(moments "$total"); do
		prepare
		cut_at "$number" "$@"
		svmdk info c.vmdk >/dev/null
		cut_short
		[ -n "${damaged-}" ] || misses_no_change
		"$@"
		done_well
	done
}

# Of the extents, in $sizes, $names and $offsets, by the descriptor.
read_descriptor() {
	local access sectors kind name offset
	sizes='' names=() offsets=''
	while read -r access sectors kind name offset; do
		[ "$access $kind" = "RW FLAT" ] || continue
		sizes+=${sizes:+ }$sectors
		names+=("${name//\"/}")
		offsets+=${offset/#0*/}
	done <c.vmdk
}

# What is not as the manifest has it is listed, and the manifest is whole.
misses_no_change() {
	local listed said=$BATS_TEST_TMPDIR/said line name
	local -A hashed
	[ -e c.vmdk.sha256 ] || return 0
	listed=$'\n'$(svmdk changed c.vmdk 2>"$said" || true)$'\n'
	# Of what repair has not yet put back there is nothing to send; and resplit takes
	# the manifest of the old shape away last.
	while read -r line; do
		[[ $line == *'does not exist'* || $line == *'is short'* ||
			$line == *'is no extent of the container'* ]] || equal "" "$line"
	done <"$said"
	read_descriptor
	while read -r line; do
		[[ $line =~ ^[0-9a-f]{64}\ \ (.*) ]] || equal "a line of a manifest" "$line"
		hashed[${BASH_REMATCH[1]}]=1
	done <c.vmdk.sha256
	while read -r line; do
		name=${line%: FAILED}
		[ "$name" = "$line" ] || [[ $listed == *$'\n'$name$'\n'* ]] || equal "listed" "$name"
	done < <(sha256sum -c c.vmdk.sha256 2>/dev/null)
	for name in "${names[@]}" c.vmdk; do
		[ -n "${hashed[$name]-}" ] || [[ $listed == *$'\n'$name$'\n'* ]] || equal "listed" "$name"
	done
}

# none_is STATE…: what verify may not find
none_is() {
	local found state
	found=$'\n'$(svmdk verify c.vmdk 2>/dev/null || true)
	[[ $found == *' files: '* ]]
	for state; do
		[[ $found != *$'\n'"$state "* ]] || equal "not $state" "$found"
	done
}

# has_sizes SIZES
has_sizes() {
	read_descriptor
	equal "$1" "$sizes"
}

# has_files NAME…: these and no others
has_files() {
	local found
	shopt -s dotglob
	found=$(LC_ALL=C; echo *)
	shopt -u dotglob
	equal "$*" "$found"
}

make_box() {
	make_container c.vmdk "$@"
	cat_disk c.vmdk >"$all"
	svmdk manifest c.vmdk
	cp -a . "$box"
}

# It has what it had, and zeroes behind that. (After read_descriptor.)
holds_all() {
	local was=$BATS_TEST_TMPDIR/all now=$BATS_TEST_TMPDIR/now size rest
	if [ -z "$offsets" ]; then
		cat "${names[@]}" >"$now"
	else
		cat_disk c.vmdk >"$now"
	fi
	read -r size rest < <(stat -c %s "$was" "$now" | xargs)
	cmp -n "$size" "$now" "$was"
	[ "$rest" = "$size" ] || cmp -n $((rest - size)) -i "$size:0" "$now" /dev/zero
}

# old_or_new OLD NEW: one of these are its sizes, and the new ones when it had ended
old_or_new() {
	read_descriptor
	[ "$sizes" = "$2" ] || { equal "$1" "$sizes" && [ "$ENDED" != yes ]; }
}

@test "grow: the old size or the new one" {
	local type
	prepare() { put_back; }
	cut_short() {
		old_or_new '1000 1000 601' '1000 1000 1000 500'
		holds_all
	}
	done_well() {
		has_sizes '1000 1000 1000 500'
		holds_all
		has_files c-f00{1,2,3,4}.vmdk c.vmdk c.vmdk.{sha256,svmdk}
		none_is damaged modified
	}
	for type in ext4 xfs btrfs; do
		enter $type
		make_box 1000 1000 601
		cut svmdk grow c.vmdk 3500s
	done
}

# A writer that says which of its generations are on the disk.
write_generations() {
	local number=0
	while :; do
		((++number))
		echo $number >"$ABOVE/generation.new"
		sync "$ABOVE/generation.new"
		mv "$ABOVE/generation.new" "$ABOVE/generation"
		sync -f "$ABOVE"
		# Whoever reads it finds a number at any time.
		echo $number >"$BATS_TEST_TMPDIR/acknowledged.new"
		mv "$BATS_TEST_TMPDIR/acknowledged.new" "$BATS_TEST_TMPDIR/acknowledged"
	done
}

open_disk() {
	device=$(svmdk attach c.vmdk)
	mount "$device" "$ABOVE"
}

close_disk() {
	umount "$ABOVE"
	svmdk detach "$device"
}

has_generation() {
	[ "$(cat "$BATS_TEST_TMPDIR/acknowledged")" -ge "$1" ]
}

@test "grow of a disk that is mounted and written: that, and what was synced is there" {
	local type acknowledged device
	prepare() {
		[ ! -b "${device-}" ] || close_disk
		put_back
		open_disk
	}
	before_cut() {
		acknowledged=$(cat "$BATS_TEST_TMPDIR/acknowledged")
		kill "$writer"
		wait "$writer" || true
		writer=
	}
	for type in ext4 xfs btrfs; do
		enter $type
		svmdk create c.vmdk 6M -e 3M
		device=$(svmdk attach c.vmdk)
		mkfs.ext4 -q "$device"
		mount "$device" "$ABOVE"
		random_bytes 1M >"$ABOVE/file"
		cp "$ABOVE/file" "$BATS_TEST_TMPDIR/file"
		close_disk
		svmdk manifest c.vmdk
		cp -a . "$box"
		prepare
		total=$(calls_of svmdk grow c.vmdk 8M)
		for number in $(moments "$total"); do
			prepare
			echo 0 >"$BATS_TEST_TMPDIR/acknowledged"
			write_generations 3>&- &
			writer=$!
			eventually has_generation 1
			cut_at "$number" svmdk grow c.vmdk 8M
			old_or_new '6144 6144' '6144 6144 4096'
			misses_no_change
			open_disk
			cmp "$ABOVE/file" "$BATS_TEST_TMPDIR/file"
			echo "generation $acknowledged was on disk, $(cat "$ABOVE/generation") is"
			[ "$(cat "$ABOVE/generation")" -ge "$acknowledged" ]
			svmdk grow c.vmdk 8M
			equal $((8 << 20)) "$(blockdev --getsize64 "$device")"
			close_disk
			has_sizes '6144 6144 4096'
			has_files c-f00{1,2,3}.vmdk c.vmdk c.vmdk.{sha256,svmdk}
			misses_no_change
			device=$(svmdk attach -r c.vmdk)
			fsck.ext4 -fn "$device"
			svmdk detach "$device"
		done
	done
}

# resplit_cut TYPE OLD NEW OPTION…: these are the sizes
resplit_cut() {
	local old=$2 new=$3
	enter "$1"
	shift 3
	# shellcheck disable=SC2086 # a size each
	make_box $old
	prepare() { put_back; }
	cut_short() {
		read_descriptor
		[ "$ENDED" != yes ] || equal "$new" "$sizes"
		holds_all
	}
	done_well() {
		has_sizes "$new"
		holds_all
		has_files "${names[@]}" c.vmdk
	}
	cut svmdk resplit c.vmdk "$@"
}

@test "resplit by copy: the old shape or the new one" {
	local type
	for type in ext4 xfs btrfs; do
		resplit_cut $type '1001 1001 500' '599 599 599 599 106' -e 599s
	done
}

@test "resplit step by step: the old shape, the new one, or what lies between" {
	local type
	for type in ext4 xfs btrfs; do
		resplit_cut $type '1001 1001 500' '701 701 701 399' -e 701s --low-space
	done
}

@test "resplit by sharing blocks: the old shape or the new one" {
	local type
	for type in xfs btrfs; do
		resplit_cut $type '1024 1024 512' '640 640 640 640' -e 640s
		grep -q '^ioctl.*FICLONERANGE.* = 0' "$trace"
	done
}

@test "manifest: what changed since is listed still" {
	local type
	prepare() { put_back; }
	cut_short() { none_is damaged modified; }
	done_well() {
		none_is damaged modified changed
		equal 'c.vmdk.sha256 c.vmdk.svmdk' "$(svmdk changed c.vmdk | xargs)"
		has_files c-f00{1,2,3}.vmdk c.vmdk c.vmdk.{sha256,svmdk}
	}
	for type in ext4 xfs btrfs; do
		enter $type
		make_box 1024 1024 1024
		write_disk "$(svmdk attach c.vmdk)" 4096 4096
		svmdk detach c.vmdk
		rm -r "$box"
		cp -a . "$box"
		cut svmdk manifest c.vmdk
	done
}

@test "manifest of a disk that is attached and written: that too" {
	local type device
	prepare() {
		[ ! -b "${device-}" ] || svmdk detach "$device"
		put_back
		device=$(svmdk attach c.vmdk)
		write_disk "$device" 4096 4096
		write_disk "$device" $((1024 * 512)) 4096
	}
	before_cut() { write_disk "$device" $((2 * 1024 * 512)) 4096; }
	cut_short() { none_is damaged modified; }
	done_well() {
		none_is damaged modified changed
		has_files c-f00{1,2,3}.vmdk c.vmdk c.vmdk.{sha256,svmdk}
	}
	for type in ext4 xfs btrfs; do
		enter $type
		make_box 1024 1024 1024
		cut svmdk manifest c.vmdk
	done
}

@test "repair: each file as it was, or whole" {
	local type damaged=yes # which is no change
	prepare() { put_back; }
	cut_short() {
		local file
		for file in c-f00{1,2,3}.vmdk; do
			cmp "$file" "$BATS_TEST_TMPDIR/good/$file" ||
				{ [ "$ENDED" != yes ] && cmp "$file" "$box/$file"; } ||
				{ [ "$ENDED" != yes ] && [ ! -e "$file" ] && [ ! -e "$box/$file" ]; }
		done
	}
	done_well() {
		svmdk verify c.vmdk
		read_descriptor
		holds_all
		has_files c-f00{1,2,3}.vmdk c.vmdk c.vmdk.{sha256,svmdk}
	}
	for type in ext4 xfs btrfs; do
		enter $type
		make_box 1000 1000 601
		rm -rf "$BATS_TEST_TMPDIR/good"
		mv "$box" "$BATS_TEST_TMPDIR/good"
		flip_bit c-f001.vmdk 99
		rm c-f002.vmdk
		truncate -s 100 c-f003.vmdk
		cp -a . "$box"
		cut svmdk repair c.vmdk --from "$BATS_TEST_TMPDIR/good"
	done
}

# The same bytes in two extents, on disk; and others in between, which nobody synced.
next_generation() {
	random_bytes 100 >"$BATS_TEST_TMPDIR/generation"
	for extent in 1 3; do
		dd if="$BATS_TEST_TMPDIR/generation" of="c-f00$extent.vmdk" conv=notrunc status=none
	done
	sync -f .
	random_bytes 100 | dd of=c-f002.vmdk conv=notrunc status=none
}

# A copy without a descriptor is none that anybody could attach.
of_one_moment() {
	[ ! -e to/c.vmdk ] || cmp -n 100 to/c-f001.vmdk to/c-f003.vmdk
	[ "$ENDED" != yes ] || is_copy
}

is_copy() {
	local file
	for file in c-f00{1,2,3}.vmdk c.vmdk; do
		cmp "$file" "to/$file"
	done
}

# Cut twice: what the first one left is there for the second.
@test "copy: the copy is of one moment" {
	local type total number
	for type in ext4 xfs btrfs; do
		enter $type
		make_container c.vmdk 1000 1000 1000
		mkdir to
		next_generation
		svmdk copy c.vmdk to
		cp -a . "$box"
		next_generation
		total=$(calls_of svmdk copy c.vmdk to)
		is_copy
		for number in $(moments "$total"); do
			put_back
			next_generation
			cut_at "$number" svmdk copy c.vmdk to
			of_one_moment
			next_generation
			cut_at $((1 + RANDOM % (total + 1))) svmdk copy c.vmdk to
			of_one_moment
			svmdk copy c.vmdk to
			is_copy
			(cd to && has_files c-f00{1,2,3}.vmdk c.vmdk)
		done
	done
}

# the_power_fails_after COMMAND…: which has ended
the_power_fails_after() {
	"$@"
	power_fails
	made=$((made + 1))
	power_comes_back
}

# FAT has no journal, and a name is a file's place, too: a moment within a command is not
# promised there.
@test "on FAT: what a command did that has ended is there" {
	local from=$BATS_TEST_TMPDIR/from
	enter vfat
	the_power_fails_after svmdk create c.vmdk 3M -e 1M
	svmdk check c.vmdk
	random_bytes 3M | split -b 1M --numeric-suffixes=1 -a 3 --additional-suffix=.vmdk - c-f
	sync -f .
	the_power_fails_after svmdk manifest c.vmdk
	none_is damaged modified
	cp -r . "$from"
	cp c-f001.vmdk c-f002.vmdk
	echo damage >c-f003.vmdk
	rm c.vmdk
	the_power_fails_after svmdk repair c.vmdk --from "$from" --modified
	cat c-f00{1,2,3}.vmdk | cmp - <(cat "$from"/c-f00{1,2,3}.vmdk)
	cmp c.vmdk "$from/c.vmdk"
	none_is damaged modified
	mkdir to
	the_power_fails_after svmdk copy c.vmdk to
	is_copy
	the_power_fails_after svmdk grow c.vmdk 5M
	has_sizes '2048 2048 2048 2048 2048'
	svmdk check c.vmdk
	cat_disk c.vmdk >"$all"
	the_power_fails_after svmdk resplit c.vmdk -e 2M
	has_sizes '4096 4096 2048'
	holds_all
	svmdk check c.vmdk
}
