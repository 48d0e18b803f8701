#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Attach and detach leave nothing behind, however often. The kernel's own
# counts tell: of its objects by kind, of open files, of threads. ROUNDS says
# how often (make check T=leaks ROUNDS=10000).
#
# One kernel will do, the last.

load common

setup() {
	make_backing ext4
	modprobe svmdk
	# Nobody but us opens the disks: neither their time nor their memory counts.
	udevadm control --exit
}

teardown() {
	# bats ends when nobody has its pipes any more.
	/lib/systemd/systemd-udevd --daemon </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&-
	clean_up
}

# What there is of everything, once what may be given back was: NAME COUNT.
# Leaked one a round, each kind of object would show.
count_all() {
	local slab
	sync
	echo 3 >/proc/sys/vm/drop_caches
	for slab in /sys/kernel/slab/*/shrink; do
		echo 1 >"$slab" 2>/dev/null || true
	done
	# Address space is given back late, a lot at once: not a leak. What a debug
	# kernel notes about objects comes and goes with those of everybody.
	awk 'NR > 2 && $1 !~ /^(vmap_area|debug_objects_cache|kmemleak_.*)$/ { print $1, $2 }' \
		/proc/slabinfo
	awk '{ print "open files", $1 }' /proc/sys/fs/file-nr | tr ' ' - | sed 's/-\([0-9]*\)$/ \1/'
	awk '/^(Percpu|VmallocUsed|SUnreclaim|KernelStack)/ { print $1, $2 }' /proc/meminfo
	echo "vmallocs $(grep -cv unpurged /proc/vmallocinfo)"
	echo "threads $(ps -e --no-headers | wc -l)"
	echo "workqueues $(find /sys/devices/virtual/workqueue -maxdepth 1 | wc -l)"
	echo "bdis $(find /sys/class/bdi/ | wc -l)"
	echo "module-users $(cat /sys/module/svmdk/refcnt)"
}

@test "attach and detach, a great many times, leak nothing" {
	local before=$BATS_TEST_TMPDIR/before after=$BATS_TEST_TMPDIR/after minor start
	/job/programs/rounds 100 "$BACKING"
	count_all >"$before"
	start=$(date +%s%N)
	/job/programs/rounds "$ROUNDS" "$BACKING"
	echo "# $ROUNDS rounds: $((($(date +%s%N) - start) / 1000000)) ms" >&3
	count_all >"$after"
	# Caches and pages come and go, and of the smallest objects a page has 512; what
	# each round leaves behind only grows.
	awk -v most=$((ROUNDS * 3 / 4)) '
		NR == FNR { before[$1] = $2; next }
		$2 - before[$1] > most { print $1 ": " before[$1] ", then " $2; bad = 1 }
		END { exit bad }
	' "$before" "$after"
	# The numbers of disks are given back too.
	svmdk create "$BACKING/disk.vmdk" 1M
	equal /dev/svmdk0 "$(svmdk attach "$BACKING/disk.vmdk")"
	minor=$(cut -d: -f2 /sys/block/svmdk0/dev)
	((minor < 100))
}
