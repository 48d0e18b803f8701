#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A folder that another user changes while svmdk looks at it, as root: whatever
# takes a name there meanwhile, no file outside is opened and no FIFO, and svmdk
# comes to its end.
#
# One kernel will do.

load common

# Of the swaps one falls between any two steps of svmdk sooner or later.
rounds=${FUZZ_ROUNDS:-2}

setup_file() {
	make_backing ext4
	modprobe svmdk
}

teardown_file() {
	clean_up
	nothing_leaked
}

# The folder is the other user's own; what is outside of it is root's.
setup() {
	BOX=$BACKING/box
	OUTSIDE=$BACKING/outside
	mkdir "$BOX" "$OUTSIDE"
	make_container "$BOX/disk.vmdk" 8 8 8
	mkdir "$BOX/sub"
	mv "$BOX/disk-f003.vmdk" "$BOX/sub/inner"
	sed -i 's,"disk-f003.vmdk","sub/inner",' "$BOX/disk.vmdk"
	svmdk manifest "$BOX/disk.vmdk"
	GOOD=$BACKING/good
	cp -a "$BOX" "$GOOD"
	for name in canary inner disk-f001.vmdk; do
		random_bytes 4096 >"$OUTSIDE/$name"
	done
	chown -R 65534:65534 "$BOX"
	before=$(sha256sum "$OUTSIDE"/*)
}

teardown() {
	[ ! -e "$BATS_TEST_TMPDIR/churn.pid" ] || kill "$(cat "$BATS_TEST_TMPDIR/churn.pid")" || true
	svmdk detach --all || true
	rm -rf "$BOX" "$OUTSIDE" "$GOOD" "$BACKING/copied"
	log_is_clean
}

begin_churn() {
	/job/programs/churn "$BOX" "$OUTSIDE" "$@" >"$BATS_TEST_TMPDIR/churn" 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/churn.pid"
	eventually grep -q ready "$BATS_TEST_TMPDIR/churn"
}

# What was opened that may not be: nothing, in many swaps.
end_churn() {
	local pid
	pid=$(cat "$BATS_TEST_TMPDIR/churn.pid")
	rm "$BATS_TEST_TMPDIR/churn.pid"
	kill "$pid"
	wait "$pid"
	sed -n 's/^swaps/# swaps/p' "$BATS_TEST_TMPDIR/churn" >&3
	grep -qE '^swaps=[0-9]{3,} opened=0$' "$BATS_TEST_TMPDIR/churn"
	equal "$before" "$(sha256sum "$OUTSIDE"/*)"
}

# Whether it succeeds is a matter of luck; that it ends is not, nor by what.
may_fail() {
	local status=0
	"$@" >/dev/null 2>"$BATS_TEST_TMPDIR/said" || status=$?
	[ "$status" -le 1 ] || {
		echo "status $status: $*"
		cat "$BATS_TEST_TMPDIR/said"
		return 1
	}
	refused '' grep -aq '[^[:print:]]' "$BATS_TEST_TMPDIR/said"
}

# What is changed there is root's to write, and never anything outside.
change_again_and_again() {
	local round
	for ((round = 0; round < rounds; round++)); do
		ends may_fail svmdk grow "$BOX/disk.vmdk" +8K
		ends may_fail svmdk allocate "$BOX/disk.vmdk"
		ends may_fail svmdk repair "$BOX/disk.vmdk" --from "$GOOD"
		ends may_fail svmdk resplit "$BOX/disk.vmdk" -e $((8 + round % 2 * 4))K
		ends may_fail svmdk copy "$BOX/disk.vmdk" "$BACKING/copied/"
	done
}

look_again_and_again() {
	local round command
	for ((round = 0; round < rounds; round++)); do
		for command in check info verify manifest changed; do
			ends may_fail svmdk "$command" "$BOX/disk.vmdk"
		done
		ends may_fail svmdk attach "$BOX/disk.vmdk"
		[ ! -e /dev/svmdk0 ] || svmdk detach /dev/svmdk0
	done
}

@test "extents that become links, FIFOs and files of any length meanwhile lead nowhere" {
	begin_churn disk-f001.vmdk disk-f002.vmdk
	look_again_and_again
	change_again_and_again
	end_churn
}

@test "a folder on the way to an extent that becomes a link meanwhile leads nowhere" {
	begin_churn sub
	look_again_and_again
	change_again_and_again
	end_churn
}

@test "what svmdk keeps beside the descriptor, when it becomes a link or a FIFO, is not opened" {
	begin_churn disk.vmdk.svmdk disk.vmdk.sha256
	look_again_and_again
	change_again_and_again
	end_churn
}

@test "a list of leftovers of another user, whatever it becomes, is not followed" {
	printf 'svmdk-files 1\nself 1 0.0\nfile ../outside/canary\nend\n' \
		>"$BOX/.disk.vmdk.svmdk-files"
	begin_churn .disk.vmdk.svmdk-files
	look_again_and_again
	change_again_and_again
	end_churn
}
