#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# The power fails at any moment while a disk is written: what was flushed is there,
# and nothing that changed is passed over.
#
# The extents' file system lies on device-mapper's log-writes target, which logs each
# write when it is flushed. Writers mark in that log what was acknowledged to them
# (writers.c). Then the log is replayed up to one point after the other, on what was
# there before (replay.c); or up to a flush, with some of the writes that the flush
# was to make safe, for a disk may have done any of these. What a power cut at that
# point would have left is mounted, and looked at:
#
#   - the container is attached, and has all that was acknowledged until then;
#   - the file system on it recovers, and its checker finds nothing;
#   - the descriptor is whole: svmdk check says so;
#   - svmdk changed lists each extent that is not as when the manifest was made, and
#     afterwards their mtimes show it too;
#   - the checker of the extents' own file system finds nothing.
#
# Twice in each trial the disk is attached, written by three writers at a time, and
# detached, with a new manifest in between. POINTS says how many points of each
# trial's log are tried, SEED has the chances fall as they did. Hours on both kernels;
# make check-replay F='ext4, mapped' does a part.

load ../common
load writers

POINTS=${POINTS:-25}
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
store=svmdkbeneath # what is logged
safe=/dev/ram0     # what is on stable storage at a point of the log
after=/dev/ram1    # what the power cut leaves
log=/dev/ram2

setup() {
	made=0
	echo "SEED=$SEED"
}

teardown() {
	cd /
	clean_up
	modprobe -r brd
	[ "$made" = 0 ] || echo "# $made replay points, seed $SEED" >&3
}

make_disks() {
	modprobe brd rd_nr=3 rd_size=$((192 << 10))
	make_box $after
	keep_manifest "$BATS_TEST_TMPDIR/was0"
	cd /
	umount "$BACKING"
	dd if=$after of=$safe bs=1M iflag=direct oflag=direct status=none
}

live_through() {
	modprobe dm-log-writes
	dmsetup create $store --table "0 $(blockdev --getsz $after) log-writes $after $log"
	mount_one "$beneath" /dev/mapper/$store "$BACKING"
	cd "$BACKING/box" || return
	open_disk
	equal "$way" "$(ways_of "$device" | tr ' ' '\n' | uniq)"
	writers write 0 0 0 12 $store
	close_disk
	keep_manifest "$BATS_TEST_TMPDIR/was1"
	open_disk
	writers write 12 12 12 8 $store
	close_disk
	cd /
	umount "$BACKING"
	remove_mappings $store
}

# Points in the log, of the form FROM TO ACKNOWLEDGED…: the power fails before entry
# TO. FROM is behind a flush: what came before that is done in any case.
list_points() {
	/job/programs/replay list $log | awk '
		function point(from, to) {
			print from + 0, to, acknowledged[1] + 0, acknowledged[2] + 0, acknowledged[3] + 0
		}
		# It is under way, or done.
		$2 ~ /^flush/ {
			if ($1 > from)
				point(from, $1)
			from = $1 + 1
			point(from, from)
		}
		$2 == "fua" { point(from, $1 + 1) }
		$2 == "mark" {
			if (split($3, mark, ":") == 2)
				acknowledged[mark[1]] = mark[2]
			point(from, $1 + 1)
		}'
}

# POINTS of them, from all parts of the log.
sample() {
	local all nr i
	mapfile -t all < <(list_points)
	nr=${#all[@]}
	echo "$nr points in the log"
	((nr >= POINTS))
	[[ ${all[-1]} == *' 20 20 20' ]] # all that was written is in it
	for ((i = 0; i < POINTS; i++)); do
		sampled[i]=${all[nr * i / POINTS + RANDOM % (nr / POINTS)]}
	done
}

# unwatched COMMAND…: bats looks at each command before bash does it, which takes
# longer than most of them, and knows which one failed. Here it is told afterwards.
unwatched() {
	(
		trap - DEBUG
		trap 'echo "failed: $BASH_COMMAND (in ${FUNCNAME[*]})"' ERR
		"$@"
	)
}

# shellcheck disable=SC2034 # writers.bash uses them
# trial BENEATH WAY ABOVE [nocow]
trial() {
	local beneath=$1 way=$2 on_it=$3 nocow=${4-} device sampled=() from to acknowledged done=0 i
	make_disks
	live_through
	sample
	for ((i = 0; i < POINTS; i++)); do
		read -r from to acknowledged <<<"${sampled[i]}"
		echo "point $made: entries before $from, and of those before $to; rounds $acknowledged"
		/job/programs/replay make $log $safe $after "$done" "$from" "$to" "$RANDOM"
		done=$from
		# shellcheck disable=SC2086 # one of each writer
		unwatched survived $after $acknowledged
		made=$((made + 1))
	done
}

@test "ext4, mapped, the bare disk: what was flushed is there" {
	trial ext4 mapped raw
}

@test "ext4, mapped, ext4 on it: what was flushed is there" {
	trial ext4 mapped ext4
}

@test "ext4, mapped, XFS on it: what was flushed is there" {
	trial ext4 mapped xfs
}

@test "ext4, mapped, btrfs on it: what was flushed is there" {
	trial ext4 mapped btrfs
}

@test "XFS, mapped, the bare disk: what was flushed is there" {
	trial xfs mapped raw
}

@test "XFS, mapped, ext4 on it: what was flushed is there" {
	trial xfs mapped ext4
}

@test "XFS, mapped, XFS on it: what was flushed is there" {
	trial xfs mapped xfs
}

@test "XFS, mapped, btrfs on it: what was flushed is there" {
	trial xfs mapped btrfs
}

@test "ext4, by file, the bare disk: what was flushed is there" {
	trial ext4 file raw
}

@test "ext4, by file, ext4 on it: what was flushed is there" {
	trial ext4 file ext4
}

@test "ext4, by file, XFS on it: what was flushed is there" {
	trial ext4 file xfs
}

@test "ext4, by file, btrfs on it: what was flushed is there" {
	trial ext4 file btrfs
}

@test "XFS, by file, the bare disk: what was flushed is there" {
	trial xfs file raw
}

@test "XFS, by file, ext4 on it: what was flushed is there" {
	trial xfs file ext4
}

@test "XFS, by file, XFS on it: what was flushed is there" {
	trial xfs file xfs
}

@test "XFS, by file, btrfs on it: what was flushed is there" {
	trial xfs file btrfs
}

@test "btrfs, by file, the bare disk: what was flushed is there" {
	trial btrfs file raw
}

@test "btrfs, by file, ext4 on it: what was flushed is there" {
	trial btrfs file ext4
}

@test "btrfs, by file, XFS on it: what was flushed is there" {
	trial btrfs file xfs
}

@test "btrfs, by file, btrfs on it: what was flushed is there" {
	trial btrfs file btrfs
}

@test "btrfs without copy on write, by file, the bare disk: what was flushed is there" {
	trial btrfs file raw nocow
}

@test "btrfs without copy on write, by file, ext4 on it: what was flushed is there" {
	trial btrfs file ext4 nocow
}

@test "btrfs without copy on write, by file, XFS on it: what was flushed is there" {
	trial btrfs file xfs nocow
}

@test "btrfs without copy on write, by file, btrfs on it: what was flushed is there" {
	trial btrfs file btrfs nocow
}
