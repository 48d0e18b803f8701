#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# svmdk-bench: it measures, and leaves nothing behind, however it ends.
# One kernel will do.

load common

bench=/job/tests/bench/svmdk-bench
small=(--size 64M --extent-size 16M --runs 1 --loads randread:4k:4)

setup() {
	make_backing ext4
	state >"$BATS_TEST_TMPDIR/before"
}

# A server that is left would keep the disk busy.
teardown() {
	if pkill -x svmdk-bench; then
		eventually refused '' pgrep -x svmdk-bench
	fi
	pkill -x 'fio|qemu-nbd|nbdkit|nbd-client' || true
	clean_up
}

# All that could be left.
state() {
	local program
	find "$BACKING"
	losetup -n -O BACK-FILE
	dmsetup ls
	[ ! -e /dev/svmdk-control ] || svmdk list -n -o DESCRIPTOR
	grep -hE -v '^0$' /sys/block/nbd*/size 2>/dev/null || true
	for program in fio qemu-nbd nbdkit nbd-client; do
		pgrep -lx "$program" | cut -d' ' -f2
	done
	lsmod | awk '$1 ~ /^(svmdk|loop|nbd|dm_mod)$/ { print $1 }' | sort
}

nothing_left() {
	equal "$(<"$BATS_TEST_TMPDIR/before")" "$(state)"
}

# A server that it left behind would else keep bats waiting for the end of its file 3.
bench() {
	"$bench" "${small[@]}" "$@" "$BACKING" 3>&-
}

# start_bench WAY: in the background, with a minute to be interrupted in; a shell's
# background commands would ignore SIGINT
start_bench() {
	env --default-signal=INT "$bench" "${small[@]}" --time 60 --ways "$1" "$BACKING" \
		>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
}

# ends_by_signal STATUS: it cleans up, and ends with STATUS
ends_by_signal() {
	local status=0
	wait "$pid" || status=$?
	cat "$BATS_TEST_TMPDIR/out"
	equal "$1" "$status"
	nothing_left
}

@test "svmdk-bench explains itself, and refuses what it cannot use" {
	"$bench" --help | grep -q '^Usage: svmdk-bench DIR'
	fails_with 2 'one folder is needed, not 0' "$bench"
	fails_with 2 "unrecognized option '--nosuch'" "$bench" --nosuch "$BACKING"
	fails_with 2 'there is no way nosuch' "$bench" --ways mapped,nosuch "$BACKING"
	fails_with 2 'not like randread:4k:1' "$bench" --loads 'read:4k:1;reboot' "$BACKING"
	fails_with 2 'not a number' "$bench" --runs 0 "$BACKING"
	fails_with 1 '/nosuch: not a folder' "$bench" "$BACKING/nosuch"
	fails_with 1 'twice 8G is needed' "$bench" --size 8G "$BACKING"
	nothing_left
}

# What takes minutes: THOROUGH=yes has it.
needs_minutes() {
	thorough || skip "takes minutes; THOROUGH=yes has it"
}

@test "svmdk-bench measures all ways, and leaves nothing behind" {
	local way
	needs_minutes
	bench --time 1 >"$BATS_TEST_TMPDIR/out"
	cat "$BATS_TEST_TMPDIR/out"
	for way in disk plain mapped mapped-nostat file loop+dm qemu-nbd-uring qemu-nbd-native \
		nbdkit-split; do
		# Seven figures, and that of IOPS is above nothing.
		grep -qE "^${way/+/\\+} +[1-9][0-9]* +([0-9]+\.[0-9] +){6}%$" "$BATS_TEST_TMPDIR/out" || {
			echo "no figures of $way"
			return 1
		}
	done
	grep -q '^  ublk: ' "$BATS_TEST_TMPDIR/out"
	nothing_left
}

@test "svmdk-bench leaves nothing behind when it is interrupted while it measures" {
	local way
	needs_minutes
	for way in mapped loop+dm qemu-nbd-uring nbdkit-split; do
		echo "$way"
		start_bench "$way"
		eventually pgrep -x fio
		kill -INT "$pid"
		ends_by_signal 130
	done
}

@test "svmdk-bench leaves nothing behind when it is ended at any time" {
	local way delay
	needs_minutes
	for way in mapped loop+dm qemu-nbd-uring nbdkit-split; do
		for delay in 0.5 1 1.5 2.5; do
			echo "$way, after $delay s"
			start_bench "$way"
			sleep "$delay"
			kill -TERM "$pid"
			ends_by_signal 143
		done
	done
}

@test "svmdk-bench leaves nothing behind when a measurement fails" {
	local status=0
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\necho broken >&2\nexit 3\n' >"$BATS_TEST_TMPDIR/bin/fio"
	chmod +x "$BATS_TEST_TMPDIR/bin/fio"
	PATH="$BATS_TEST_TMPDIR/bin:$PATH" bench --time 1 --ways loop+dm >"$BATS_TEST_TMPDIR/out" \
		2>&1 || status=$?
	cat "$BATS_TEST_TMPDIR/out"
	equal 1 "$status"
	grep -q broken "$BATS_TEST_TMPDIR/out"
	nothing_left
}
