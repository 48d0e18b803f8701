#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# No memory. Each allocation of attach, detach, growth and I/O fails once, in turn
# (failing.c); then some of those that the driver's workers and the tool's calls make.
# What fails, fails cleanly: nothing is left behind, nothing wrong is read, and it can
# be done again. Only a kernel made for it can have allocations fail: the one of
# make check-trials K=debug.

load ../common
load trials

debugfs=/sys/kernel/debug

setup() {
	[ -e $debugfs/failslab ] || skip "this kernel cannot have allocations fail; K=debug can"
	[ -e /proc/self/fail-nth ]
	make_good
	modprobe svmdk
	# Whichever asks, and whatever for; told in a line each.
	echo N >$debugfs/failslab/ignore-gfp-wait
	echo N >$debugfs/fail_page_alloc/ignore-gfp-wait
	echo N >$debugfs/fail_page_alloc/ignore-gfp-highmem
	echo 0 >$debugfs/fail_page_alloc/min-order
	for kind in failslab fail_page_alloc fail_make_request fail_usercopy; do
		[ ! -e $debugfs/$kind ] || echo 1 >$debugfs/$kind/verbose
	done
	beneath=$(disk_name /job/disks/data)
}

teardown() {
	[ -e $debugfs/failslab ] || return 0
	no_more_faults
	echo 0 >"/sys/block/$beneath/make-it-fail"
	[ -z "${worker-}" ] || kill -KILL "$worker" 2>/dev/null || true
	clean_up
	modprobe -r svmdk
}

no_more_faults() {
	local kind task
	for kind in failslab fail_page_alloc; do
		echo 0 >$debugfs/$kind/probability
	done
	for task in /proc/[0-9]*/make-it-fail; do
		echo 0 2>/dev/null >"$task" || true
	done
}

# failing WHAT: each way
failing() {
	local way
	for way in mapped file; do
		/job/programs/failing "$1" $way "$BACKING" >"$BATS_TEST_TMPDIR/said" || {
			cat "$BATS_TEST_TMPDIR/said"
			return 1
		}
		sed "s/^/# $way: /" "$BATS_TEST_TMPDIR/said" >&3
		equal 0 "$(cat /sys/module/svmdk/refcnt)"
	done
}

@test "each allocation of attach and detach fails cleanly" {
	failing attach
}

@test "each allocation of a growth fails cleanly, and the disk is as it was" {
	failing grow
}

@test "each allocation of reads, writes and flushes fails cleanly, or is done without" {
	failing io
}

@test "each request that the disk beneath fails is an error of that I/O alone" {
	echo 1 >"/sys/block/$beneath/make-it-fail"
	failing io
	echo 0 >"/sys/block/$beneath/make-it-fail"
}

# workers_fail PERCENT: of the allocations of all that work for the kernel
workers_fail() {
	local kind task
	for task in /proc/[0-9]*; do
		if [[ $(readlink "$task/exe" 2>/dev/null) = '' && $(cat "$task/comm") = kworker/* ]]; then
			echo 1 2>/dev/null >"$task/make-it-fail" || true
		fi
	done
	for kind in failslab fail_page_alloc; do
		echo Y >$debugfs/$kind/task-filter
		echo -1 >$debugfs/$kind/times
		echo 1 >$debugfs/$kind/interval
		echo "$1" >$debugfs/$kind/probability
	done
}

@test "workers that get no memory fail I/O, and make nothing wrong" {
	local way end
	for way in mapped file; do
		mount_bad ext4 /job/disks/spare
		make_parts $way
		# shellcheck disable=SC2154 # set by make_parts
		/job/programs/ledger "$ledger" work "$dev" 0 $((3 * PART)) 600 \
			>"$BATS_TEST_TMPDIR/work" 3>&- &
		worker=$!
		end=$((SECONDS + TRIAL_SECONDS / 2))
		while ((SECONDS < end)); do
			workers_fail 5
			sleep 1
		done
		no_more_faults
		kill -0 "$worker"
		kill -KILL "$worker"
		wait "$worker" || true
		worker=
		equal '' "$(cat "$BATS_TEST_TMPDIR/work")"
		succeeds check,write,flush,check
		goes_away
		comes_back $way check
		umount "$BAD"
	done
}

# stopped_at_ioctl COMMAND…: it waits in its first call to the driver; $pid, $tracer
stopped_at_ioctl() {
	: >"$BATS_TEST_TMPDIR/trace"
	strace -qq -o "$BATS_TEST_TMPDIR/trace" -e trace=ioctl \
		-e inject=ioctl:signal=STOP:when=1 "$@" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	tracer=$!
	eventually grep -q 'stopped by SIGSTOP' "$BATS_TEST_TMPDIR/trace"
	read -r pid <"/proc/$tracer/task/$tracer/children"
}

# fails_at NUMBER COMMAND…: what it asks the kernel for the so-manieth time from there
# on; it copes, or says so, but does not crash
fails_at() {
	local number=$1 pid tracer status=0
	shift
	stopped_at_ioctl "$@"
	echo "$number" >"/proc/$pid/fail-nth"
	kill -CONT "$pid"
	wait "$tracer" || status=$?
	cat "$BATS_TEST_TMPDIR/said"
	[ $status = 0 ] || { [ $status = 1 ] && grep -q '^svmdk: ' "$BATS_TEST_TMPDIR/said"; }
}

@test "attach, grow and detach that the kernel has no memory for say so, and can be done again" {
	local command number
	cd "$BACKING"
	svmdk create c.vmdk 2M -e 1M
	random_bytes 1M >c-f001.vmdk
	cat c-f*.vmdk >"$BATS_TEST_TMPDIR/all"
	for command in 'attach c.vmdk' 'detach c.vmdk' 'grow c.vmdk +64K'; do
		for number in {1..30} {35..100..5} {120..600..40}; do
			[[ $command == attach* ]] || svmdk attach c.vmdk >/dev/null
			# shellcheck disable=SC2086 # words
			fails_at "$number" svmdk $command
			svmdk list >/dev/null
			svmdk detach --all
			dev=$(svmdk attach c.vmdk)
			cmp -n $((2 << 20)) "$dev" "$BATS_TEST_TMPDIR/all"
			svmdk detach "$dev"
		done
	done
	cd /
}
