#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# No memory. Each allocation of attach, detach, growth and I/O fails once, in turn
# (failing.c); then some of those that anybody makes for the driver, its workers too, and
# of those that the tool's calls make. What fails, fails cleanly: nothing is left behind,
# nothing wrong is read, and it can be done again. Only a kernel made for it can have
# allocations fail: the one of make check-trials K=debug.

load ../common
load trials

debugfs=/sys/kernel/debug
many=1000000 # faults, more than there will be

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
		[ ! -e $debugfs/$kind ] || echo 1 >"$debugfs/$kind/verbose"
	done
	beneath=$(disk_name /job/disks/data)
}

teardown() {
	[ -e $debugfs/failslab ] || return 0
	no_more_faults
	echo 0 >"/sys/block/$beneath/make-it-fail"
	[ -z "${worker-}" ] || kill -KILL "$worker" 2>/dev/null || true
	[ -z "${tracer-}" ] || kill -KILL "$pid" "$tracer" 2>/dev/null || true
	clean_up
	modprobe -r svmdk
}

no_more_faults() {
	local kind
	for kind in failslab fail_page_alloc fail_make_request; do
		echo 0 >"$debugfs/$kind/probability"
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
		eventually module_is_free
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

@test "each request that the disk beneath fails is an error of that call alone" {
	echo 1 >"/sys/block/$beneath/make-it-fail"
	failing attach
	failing grow
	failing io
	echo 0 >"/sys/block/$beneath/make-it-fail"
}

# fail_for_driver PERCENT KIND…: of what is asked for with the driver's code among the
# callers, in whichever task
fail_for_driver() {
	local percent=$1 kind size begin
	shift
	read -r _ size _ _ _ begin _ < <(grep '^svmdk ' /proc/modules)
	for kind; do
		echo 32 >"$debugfs/$kind/stacktrace-depth"
		echo "$begin" >"$debugfs/$kind/require-start"
		printf '0x%x' $((begin + size)) >"$debugfs/$kind/require-end"
		echo 1 >"$debugfs/$kind/interval"
		echo $many >"$debugfs/$kind/times"
		echo "$percent" >"$debugfs/$kind/probability"
	done
}

# have_failed COUNT KIND…: so many, since fail_for_driver
have_failed() {
	local wanted=$1 kind left
	shift
	faults=0
	for kind; do
		read -r left <"$debugfs/$kind/times"
		faults=$((faults + many - left))
	done
	((faults >= wanted))
}

# work_while_failing WAY PERCENT COUNT KIND…: what works on three extents sees errors,
# and nothing wrong; afterwards all is well
work_while_failing() {
	local way=$1 percent=$2 wanted=$3
	shift 3
	mount_bad ext4 /job/disks/spare
	echo 1 >"/sys/block/$(disk_name /job/disks/spare)/make-it-fail"
	make_parts "$way"
	begin_work "0 $((3 * PART))"
	fail_for_driver "$percent" "$@"
	eventually have_failed "$wanted" "$@"
	no_more_faults
	have_failed "$wanted" "$@"
	echo "# $way: $* failed $faults times" >&3
	is_working
	end_work
	succeeds check,write,flush,check
	goes_away
	comes_back "$way" check
	echo 0 >"/sys/block/$(disk_name /job/disks/spare)/make-it-fail"
	umount "$BAD"
}

@test "where the driver gets no memory, I/O to mapped extents is done or fails, and nothing is wrong" {
	work_while_failing mapped 20 100 failslab fail_page_alloc
}

@test "where the driver gets no memory, I/O by file is done or fails, and nothing is wrong" {
	work_while_failing file 5 100 failslab fail_page_alloc
}

@test "requests for the driver that fail are errors of that I/O alone" {
	work_while_failing file 5 100 fail_make_request
}

# stopped_at_ioctl COMMAND…: it waits in its first call to the driver; $pid, $tracer
stopped_at_ioctl() {
	: >"$BATS_TEST_TMPDIR/trace"
	strace -qq -o "$BATS_TEST_TMPDIR/trace" -e trace=ioctl,write \
		-e inject=ioctl:signal=STOP:when=1 "$@" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	tracer=$!
	eventually grep -q 'stopped by SIGSTOP' "$BATS_TEST_TMPDIR/trace"
	pid=$(pgrep -P "$tracer")
}

# fails_at NUMBER COMMAND…: what it asks the kernel for the so-manieth time from there
# on; it copes, or says so (unless that is what fails), but does not crash
fails_at() {
	local number=$1 status=0
	shift
	stopped_at_ioctl "$@"
	echo "$number" >"/proc/$pid/fail-nth"
	kill -CONT "$pid"
	wait "$tracer" || status=$?
	tracer=
	cat "$BATS_TEST_TMPDIR/said"
	[ $status = 0 ] || {
		[ $status = 1 ]
		grep -q '^svmdk: ' "$BATS_TEST_TMPDIR/said" ||
			grep -q '^write(2, .* EFAULT' "$BATS_TEST_TMPDIR/trace"
	}
}

@test "attach, grow and detach that the kernel has no memory for say so, and can be done again" {
	local command number
	cd "$BACKING"
	svmdk create c.vmdk 2M -e 1M
	random_bytes 1M >c-f001.vmdk
	cat c-f*.vmdk >"$BATS_TEST_TMPDIR/all"
	for command in 'attach c.vmdk' 'detach c.vmdk' 'grow c.vmdk +64K'; do
		for number in {1..20} {25..100..15} {150..600..90}; do
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
