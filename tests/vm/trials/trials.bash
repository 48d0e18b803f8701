# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# shellcheck shell=bash
#
# What the trials share: "load ../common" and "load trials". Most have a disk of
# three extents, the one in the middle on a file system of its own, at $BAD, whose
# device fails. A ledger (tests/vm/ledger.c) has what was written.

TRIAL_SECONDS=${TRIAL_SECONDS:-60}
BAD=$BACKING/bad

# Of each of the three, in blocks of 4096 bytes.
PART=128

# Where the middle one begins and ends, and the two others; for io.
# shellcheck disable=SC2034 # used by who loads this
BAD_PART="$PART $PART"
GOOD_PARTS="0 $PART $((2 * PART)) $PART"

# Its halves: one for begin_work, and one for what is done meanwhile. Of two who write
# a block at once the ledger could not tell who was the last.
# shellcheck disable=SC2034 # used by who loads this
FREE_HALF="$PART $((PART / 2))"
# shellcheck disable=SC2034 # used by who loads this
WORK_HALF="$((PART + PART / 2)) $((PART / 2))"

# make_parts WAY: the container, on what is mounted, and its disk
make_parts() {
	local file
	for file in "$BACKING/c-f001.vmdk" "$BAD/c-f002.vmdk" "$BACKING/c-f003.vmdk"; do
		head -c $((PART * 4096)) /dev/zero >"$file"
	done
	write_descriptor "$BACKING/c.vmdk" "RW $((PART * 8)) FLAT \"c-f001.vmdk\" 0" \
		"RW $((PART * 8)) FLAT \"bad/c-f002.vmdk\" 0" "RW $((PART * 8)) FLAT \"c-f003.vmdk\" 0"
	sync
	attach_parts "$1"
	ledger=$BATS_TEST_TMPDIR/ledger
	/job/programs/ledger "$ledger" new $((3 * PART))
	succeeds write,flush
}

# With no more than a test needs: much of its time goes into making file systems.
make_good() {
	make_backing ext4 /job/disks/data -J size=4
}

attach_parts() {
	dev=$(ends svmdk attach --io "$1" "$BACKING/c.vmdk")
	equal "$1" "$(<"/sys/block/${dev##*/}/svmdk/io_mode")"
}

# How many I/Os failed in this test, each because something beneath was made to.
all_failed=0

# io ACTION[,ACTION]… [FIRST COUNT]…: of the ledger; $well and $failed are how many
# blocks were done. Nothing hangs, and what is read is never wrong.
io() {
	# shellcheck disable=SC2086 # words
	/job/programs/ledger "$ledger" "$1" "$dev" ${2-} >"$BATS_TEST_TMPDIR/io" || {
		cat "$BATS_TEST_TMPDIR/io"
		return 1
	}
	read -r well failed <"$BATS_TEST_TMPDIR/io"
	all_failed=$((all_failed + failed))
	echo "$1 ${2-}: $well done, $failed failed"
}

# succeeds ACTION[,ACTION]… [FIRST COUNT]…: all of it
succeeds() {
	io "$@"
	equal 0 "$failed"
}

# fails ACTION[,ACTION]… [FIRST COUNT]…: all of it
fails() {
	io "$@"
	equal 0 "$well"
}

# The rest of the disk is as if nothing were wrong.
others_work() {
	succeeds check,write,check "$GOOD_PARTS"
}

# Whether or not its last flush failed.
goes_away() {
	ends svmdk detach "$dev" || echo "status $?"
	[ ! -e "/sys/block/${dev##*/}" ]
}

# comes_back WAY CHECK: attached anew it is clean, and as it was; then it is used
comes_back() {
	attach_parts "$1"
	succeeds "$2,check,write,flush,check"
	cmp <(read_disk "$dev") <(cat "$BACKING/c-f001.vmdk" "$BAD/c-f002.vmdk" "$BACKING/c-f003.vmdk")
	svmdk detach "$dev"
}

# mount_bad TYPE DEVICE [OPTION]: a new file system
mount_bad() {
	mkdir -p "$BAD"
	case $1 in
	ext4) mkfs.ext4 -q -F -E lazy_itable_init=0,nodiscard -J size=4 "$2" ;;
	xfs) mkfs.xfs -q -f -K "$2" ;;
	btrfs) mkfs.btrfs -q -f -K "$2" ;;
	esac
	bad_type=$1 bad_device=$2
	mount -t "$1" ${3+-o "$3"} "$2" "$BAD"
}

# What was left of it in memory is forgotten, and its log recovered.
mount_bad_again() {
	eventually umount "$BAD"
	udevadm settle
	blockdev --flushbufs "$bad_device"
	mount -t "$bad_type" "$bad_device" "$BAD"
}

# By its own checker; of ext4 after what the log and the superblock say is put right.
bad_is_consistent() {
	eventually umount "$BAD"
	[ "$bad_type" != ext4 ] || e2fsck -fp "$bad_device" || [ $? = 1 ]
	is_clean "$bad_type" "$bad_device"
}

# The task and its I/O; killed with I/O on its way, it ends when that does.
begin_work() {
	# shellcheck disable=SC2086 # words
	/job/programs/ledger "$ledger" work "$dev" $1 600 >"$BATS_TEST_TMPDIR/work" 3>&- &
	worker=$!
}

end_work() {
	kill -KILL "$worker"
	ends_child "$worker"
	worker=
	# What it found wrong, if anything.
	[ ! -s "$BATS_TEST_TMPDIR/work" ] || {
		cat "$BATS_TEST_TMPDIR/work"
		return 1
	}
}

# ends_child PID: it is gone within a minute
ends_child() {
	eventually refused '' kill -0 "$1"
	wait "$1" || true
}

is_working() {
	kill -0 "$worker"
}
