#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Whatever a command asks for is refused once, in turn: memory, and all that it wants done
# with files, devices and programs (failure_preload.c). It does without, or fails and says
# so; nothing of anybody's is lost, nothing wrong is told, and it can be done again. Here
# some of these, other ones each time; THOROUGH=yes has all.
# One kernel will do.

load common

setup() {
	make_backing ext4
	modprobe svmdk
	good=$BACKING/good
	told=$BATS_TEST_TMPDIR/told
	mkdir "$good"
	cd "$good" || return
	make_container c.vmdk 256 256 128
	cat_disk c.vmdk >"$BATS_TEST_TMPDIR/all"
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || {
		echo "$which"
		cat "$BATS_TEST_TMPDIR"/{out,err}
	}
	cd /
	clean_up
	eventually module_is_free
}

# failing KIND NUMBER COMMAND…: status, stdout, stderr and what failed, in $status and
# files; false if it asked for less than that
failing() {
	rm -f "$told"
	status=0
	FAILURE_KIND=$1 FAILURE_AT=$2 FAILURE_TOLD=$told LD_PRELOAD=/job/programs/failure_preload \
		svmdk "${@:3}" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
	[ -e "$told" ]
}

# It ended as a command does, and if it did not do what it should, it said why.
ended_well() {
	[ "$status" = 0 ] || {
		equal 1 "$status"
		grep -q '^svmdk: .' "$BATS_TEST_TMPDIR/err"
	}
}

# whatever_fails BEFORE AFTER COMMAND…: each time these are done before it and after it;
# "$@" of these is the command
whatever_fails() {
	local before=$1 after=$2 kind at step=1 number=0
	shift 2
	thorough || step=149
	for kind in memory calls; do
		# Not a place past the end of what asks for little.
		for ((at = 1 + RANDOM % (step < 5 ? step : 5);; at += step > 1 ? step / 2 + RANDOM % step : 1)); do
			"$before"
			failing $kind $at "$@" || break
			which="svmdk $*: $kind $at, $(cat "$told"): status $status"
			ended_well
			"$after" "$@"
			number=$((number + 1))
		done
		# It has been through all of it then, and nothing failed.
		equal 0 "$status"
	done
	echo "# $*: $number failures" >&3
}

# What changes something has a new copy of all of it each time.
anew() {
	cd "$BACKING" || return
	rm -rf box
	cp -a good box
	cd box || return
}

is_unchanged() {
	diff -r "$good" .
}

has_data() {
	cat_disk c.vmdk | cmp - "$BATS_TEST_TMPDIR/all"
}

# What only reads says what it always says and no more, or that it could not. How large a
# file is that was not looked at, verify does not know.
says_the_same() {
	[ "$status" != 0 ] || says_as_before "$BATS_TEST_TMPDIR/out"
}

# says_as_before FILE: its lines are patterns, for the sake of those sizes
says_as_before() {
	sed 's/[][\\.*^$]/\\&/g; s/"size": null/"size": [0-9]*/' "$1" >"$BATS_TEST_TMPDIR/patterns"
	equal "" "$(grep -vxf "$BATS_TEST_TMPDIR/patterns" "$BATS_TEST_TMPDIR/said")"
	equal "$(wc -l <"$BATS_TEST_TMPDIR/said")" "$(wc -l <"$1")"
}

# What check says is no output, but messages; one that it could not look at something is
# one more.
warns_the_same() {
	[ "$status" = 0 ] || return 0
	sed '/cannot get the map of the file: /d' "$BATS_TEST_TMPDIR/err" >"$BATS_TEST_TMPDIR/warned"
	says_as_before "$BATS_TEST_TMPDIR/warned"
}

# What may have changed is told as changed, and why; but not a manifest or a sidecar that is no use.
says_no_less() {
	[ "$status" = 0 ] || return 0
	equal "" "$(sort "$BATS_TEST_TMPDIR/out" | comm -23 "$BATS_TEST_TMPDIR/said" - |
		sed '/\.\(sha256\|svmdk\)$/d')"
	cmp -s "$BATS_TEST_TMPDIR/said" "$BATS_TEST_TMPDIR/out" ||
		grep -q '^svmdk: .*changed' "$BATS_TEST_TMPDIR/err"
}

reads() {
	local after=$1
	shift
	svmdk "$@" 2>&1 | sort >"$BATS_TEST_TMPDIR/said"
	[ -s "$BATS_TEST_TMPDIR/said" ]
	whatever_fails : "$after" "$@"
}

@test "what a command cannot read it does not make up" {
	svmdk manifest c.vmdk
	cp -a . "$BATS_TEST_TMPDIR/kept"
	reads says_the_same info c.vmdk
	reads says_the_same info --json c.vmdk
	sed 's/^RW/rw/' c.vmdk >lower.vmdk
	reads warns_the_same check lower.vmdk
	rm lower.vmdk
	reads says_the_same verify c.vmdk
	reads says_the_same verify --json c.vmdk
	touch c-f002.vmdk
	reads says_no_less changed c.vmdk
	diff -r "$BATS_TEST_TMPDIR/kept" .
}

is_made_or_not() {
	if [ "$status" = 0 ]; then
		svmdk check new.vmdk
	else
		is_unchanged
		svmdk "$@"
	fi
	equal 5 "$(printf '%s\n' new* | wc -l)"
}

@test "a container is made whole, or not at all" {
	whatever_fails anew is_made_or_not create new.vmdk 400K -e 128K
	whatever_fails anew is_made_or_not create new.vmdk 400K -e 128K --preallocate full
	whatever_fails anew is_made_or_not create new.vmdk 400K -e 128K --preallocate falloc
}

is_intact() {
	has_data
	[ "$status" = 0 ] || svmdk manifest c.vmdk
	svmdk verify c.vmdk
	equal "c-f001.vmdk c-f002.vmdk c-f003.vmdk c.vmdk c.vmdk.sha256 c.vmdk.svmdk" \
		"$(find . -type f -printf '%f\n' | sort | xargs)"
}

@test "a manifest is the old one or the new one" {
	whatever_fails anew is_intact manifest c.vmdk
	cd "$good"
	svmdk manifest c.vmdk
	flip_bit c-f002.vmdk 99
	touch c-f002.vmdk
	cat_disk c.vmdk >"$BATS_TEST_TMPDIR/all"
	whatever_fails anew is_intact manifest c.vmdk
}

# What could not be finished is by the next one, of which it says so.
has_grown_or_not() {
	local size
	head -c 320K <(cat_disk c.vmdk) | cmp - "$BATS_TEST_TMPDIR/all"
	size=$(svmdk info --json c.vmdk | jq '.container[0].size')
	[ "$status" != 0 ] || equal $((600 << 10)) "$size"
	[ ! -s "$BATS_TEST_TMPDIR/err" ] || svmdk "$@"
	svmdk check c.vmdk
	equal 7 "$(find . -type f | wc -l)"
	equal 614400 "$(cat_disk c.vmdk | wc -c)"
}

@test "a container grows, or is as it was" {
	whatever_fails anew has_grown_or_not grow c.vmdk 600K -e 100K
	whatever_fails anew has_grown_or_not grow c.vmdk 600K -e 100K --preallocate full
}

is_split_anew_or_not() {
	has_data
	# It may have left what is to go, too, and says that.
	if [ "$status" != 0 ] || grep -q '^svmdk: .*once more' "$BATS_TEST_TMPDIR/err"; then
		svmdk "$@"
	fi
	has_data
	equal '160 160 160 160' "$(awk '/^RW/ { print $2 }' c.vmdk | xargs)"
	equal 5 "$(find . -type f | wc -l)"
}

@test "a container that is split anew holds what it held" {
	whatever_fails anew is_split_anew_or_not resplit c.vmdk -e 160s
	whatever_fails anew is_split_anew_or_not resplit c.vmdk -e 160s --low-space
	whatever_fails anew is_split_anew_or_not resplit c.vmdk -e 160s --fill
}

damage() {
	anew
	flip_bit c-f001.vmdk 99
	rm c-f003.vmdk
}

is_repaired_or_not() {
	[ "$status" = 0 ] || svmdk "$@"
	has_data
	svmdk verify c.vmdk
	equal 6 "$(find . -maxdepth 1 -type f | wc -l)"
}

@test "a container is repaired, or can be" {
	svmdk manifest c.vmdk
	mkdir copy
	cp -a c* copy 2>/dev/null || true
	whatever_fails damage is_repaired_or_not repair c.vmdk --from copy
}

is_copied_or_not() {
	[ "$status" = 0 ] || svmdk "$@"
	# The sidecar knows which file it is, and its own folder may be left.
	diff -r -x '*.svmdk' -x .c.vmdk.svmdk-copy . ../to
	svmdk verify ../to/c.vmdk
}

make_to() {
	rm -rf ../to
	mkdir ../to
}

@test "a copy is whole, or can be made so" {
	svmdk manifest c.vmdk
	whatever_fails make_to is_copied_or_not copy c.vmdk ../to
}

is_filled_or_not() {
	has_data
	[ "$status" = 0 ] || svmdk "$@"
	has_data
	# Nothing of it is a hole any more.
	equal 0 "$(find . -name 'c-f*' -size +0 -printf '%b %s\n' | awk '$1 * 512 < $2' | wc -l)"
}

@test "a container gets its room, or keeps what it holds" {
	rm c*
	svmdk create c.vmdk 320K -e 128K
	head -c 16K "$BATS_TEST_TMPDIR/all" | dd of=c-f002.vmdk bs=4K seek=3 conv=notrunc status=none
	cat_disk c.vmdk >"$BATS_TEST_TMPDIR/all"
	whatever_fails anew is_filled_or_not allocate c.vmdk
}

is_attached_or_not() {
	if [ "$status" = 0 ]; then
		equal "$(cat "$BATS_TEST_TMPDIR/out")" "$(svmdk list -n -o NAME)"
	else
		equal "" "$(svmdk list -n)"
		svmdk "$@"
	fi
	read_disk /dev/svmdk0 | cmp - "$BATS_TEST_TMPDIR/all"
	svmdk detach --all
}

@test "a disk is attached, or nothing of it stays" {
	svmdk manifest c.vmdk
	whatever_fails detach_all is_attached_or_not attach c.vmdk
	whatever_fails detach_all is_attached_or_not attach --io file c.vmdk
	whatever_fails take_module_away is_attached_or_not attach c.vmdk
}

# The last one of each round, in which nothing failed, has left it attached.
detach_all() {
	svmdk detach --all
}

take_module_away() {
	[ ! -d /sys/module/svmdk ] || {
		detach_all
		modprobe -r svmdk
	}
}

attach() {
	svmdk attach c.vmdk
	write_disk /dev/svmdk0 8192 16384
	read_disk /dev/svmdk0 >"$BATS_TEST_TMPDIR/all"
}

# What was written is known to be.
is_detached_or_not() {
	[ "$status" = 0 ] || [ -z "$(svmdk list -n)" ] || svmdk "$@"
	equal "" "$(svmdk list -n)"
	has_data
	svmdk verify c.vmdk | grep -q '^changed   c-f001.vmdk: '
	svmdk manifest c.vmdk
}

@test "a disk is detached, and what was written is known, or it is attached still" {
	svmdk manifest c.vmdk
	whatever_fails attach is_detached_or_not detach /dev/svmdk0
}

# Or without the names of the extents, if it says that it does not know them.
says_or_not() {
	[ "$status" = 0 ] || return 0
	if grep -q 'warning: the names of the extents are not known: ' "$BATS_TEST_TMPDIR/err"; then
		equal "$(sed 's/"name": "c-f.*"/"name": null/' "$BATS_TEST_TMPDIR/said" | sort)" \
			"$(sort "$BATS_TEST_TMPDIR/out")"
	else
		says_the_same
	fi
}

@test "what is attached is told as it is" {
	svmdk attach c.vmdk
	reads says_or_not list
	reads says_or_not list --json
	reads says_or_not info --json c.vmdk
}

attach_anew() {
	svmdk detach --all
	anew
	svmdk attach c.vmdk
}

has_grown_attached() {
	[ ! -s "$BATS_TEST_TMPDIR/err" ] || svmdk "$@"
	equal 614400 "$(blockdev --getsize64 /dev/svmdk0)"
	head -c 320K <(read_disk /dev/svmdk0) | cmp - "$BATS_TEST_TMPDIR/all"
	equal 7 "$(find . -type f | wc -l)"
}

@test "a disk that is attached grows, or is as it was" {
	whatever_fails attach_anew has_grown_attached grow /dev/svmdk0 600K -e 100K
}

is_copied_live_or_not() {
	local frozen
	# Nobody waits for a file system that a command has left frozen.
	fsfreeze -u "$ABOVE" 2>/dev/null && frozen=yes
	equal "" "${frozen-}"
	[ "$status" = 0 ] || svmdk "$@"
	qemu-img convert -f vmdk -O raw ../to/c.vmdk "$BATS_TEST_TMPDIR/raw"
	e2fsck -fy "$BATS_TEST_TMPDIR/raw" || [ $? = 1 ]
	cmp <(debugfs -R 'cat file' "$BATS_TEST_TMPDIR/raw" 2>/dev/null) "$ABOVE/file"
}

@test "a copy of a disk in use is whole, and nothing stays frozen" {
	make_container c.vmdk 4096 4096
	rm c-f003.vmdk
	svmdk attach c.vmdk
	mkfs.ext4 -q /dev/svmdk0
	mount /dev/svmdk0 "$ABOVE"
	random_bytes 64K >"$ABOVE/file"
	whatever_fails make_to is_copied_live_or_not copy /dev/svmdk0 ../to
	umount "$ABOVE"
}
