#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Whoever calls the driver, and however: it tells nothing that it does not mean
# to, and nothing stays behind. FUZZ_ROUNDS= is for how long; SEED= begins with the
# same calls again, though threads never meet in the same way twice.
#
# One kernel will do, the last.

load common

setup_file() {
	make_backing ext4
	modprobe svmdk
}

teardown() {
	svmdk detach --all
	eventually module_is_free
	log_is_clean
}

# With no caller left, nothing keeps the module.
teardown_file() {
	clean_up
	rmmod svmdk
	nothing_leaked
}

fuzz() {
	echo "# SEED=$SEED $1" >&3
	DISK=/job/disks/spare ends /job/programs/abifuzz "$1" "$BACKING" "$SEED" "$2" \
		>"$BATS_TEST_TMPDIR/reached"
	cat "$BATS_TEST_TMPDIR/reached" >&3
}

# reached NAME: how often, in the last run
reached() {
	sed -n "s/.* $1=\([0-9]*\).*/\1/p" "$BATS_TEST_TMPDIR/reached"
}

# What the kernel gives out as its own addresses, in a text of any kind.
has_addresses() {
	grep -aE '\bf{4,8}[0-9a-f]{8,12}\b' | grep -avE '\b(f{16}|f{8})\b'
}

@test "calls that are right, nearly right and wrong, from several threads at once, leave nothing behind" {
	fuzz root "${FUZZ_ROUNDS:-20}"
	# It was no shallow play.
	[ "$(reached disks)" -gt 0 ]
	[ "$(reached mapped)" -gt 0 ]
	# A growth needs a disk that is there just then.
	[ "${FUZZ_ROUNDS:-20}" -lt 60 ] || [ "$(reached grown)" -gt 0 ]
	[ "$(reached io)" -gt 0 ]
	[ ! -e /sys/kernel/debug/kcov ] || [ "$(reached kcov)" -gt 100 ]
}

@test "a caller without privilege, in a user namespace of its own too, gets nothing but EPERM" {
	fuzz nobody $((${FUZZ_ROUNDS:-20} / 4 + 1))
	[ "$(reached taken)" = 0 ]
	fuzz namespace $((${FUZZ_ROUNDS:-20} / 4 + 1))
	[ "$(reached taken)" = 0 ]
}

@test "every byte that the driver hands back is set by it, and none is stale" {
	udevadm settle
	/job/programs/handback "$BACKING"
}

@test "no address of the kernel can be read by anybody, in sysfs or in a trace" {
	local trace=/sys/kernel/tracing
	make_container "$BACKING/disk.vmdk" 64 64
	echo 1 >"$trace/events/svmdk/enable"
	svmdk attach "$BACKING/disk.vmdk"
	write_disk /dev/svmdk0 0 4096
	svmdk list -e >/dev/null
	find /sys/block/svmdk0/ /sys/module/svmdk/ /sys/class/misc/svmdk-control/ -type f \
		-exec setpriv --reuid=65534 --regid=65534 --clear-groups cat {} + \
		>"$BATS_TEST_TMPDIR/sysfs" 2>/dev/null || true
	svmdk detach "$BACKING/disk.vmdk"
	echo 0 >"$trace/events/svmdk/enable"
	cat "$trace/trace" >"$BATS_TEST_TMPDIR/trace"
	echo >"$trace/trace"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/sysfs")" -gt 50 ]
	grep -q svmdk_ "$BATS_TEST_TMPDIR/trace"
	refused "" has_addresses <"$BATS_TEST_TMPDIR/sysfs"
	refused "" has_addresses <"$BATS_TEST_TMPDIR/trace"
	# The check itself sees one, where there are some for root.
	grep ' _text$' /proc/kallsyms | has_addresses
	refused 'Permission denied' setpriv --reuid=65534 --clear-groups cat "$trace/trace"
}
