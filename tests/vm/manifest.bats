#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Which extents changed since the manifest: exactly those that were written,
# while attached and after; and never too few when a session did not end.
#
# One kernel will do.

load common

setup() {
	make_backing ext4
	cd "$BACKING" || return
	svmdk create c.vmdk 6M -e 1M
}

teardown() {
	cd /
	clean_up
}

# What changed, in a line, without what goes along always.
changed() {
	svmdk changed c.vmdk | grep -v '^c\.vmdk\.\(sha256\|svmdk\)$' | xargs
}

all_extents='c-f001.vmdk c-f002.vmdk c-f003.vmdk c-f004.vmdk c-f005.vmdk c-f006.vmdk'

# write_extent DEVICE NUMBER: a few bytes amid that extent
write_extent() {
	write_disk "$1" $((($2 - 1) * 1048576 + 8192)) 4096
}

# One that begins and ends cleanly, whatever is written between.
session() {
	local device number
	device=$(svmdk attach "${@:1:1}" c.vmdk)
	for number in "${@:2}"; do
		write_extent "$device" "$number"
	done
	svmdk detach "$device"
}

@test "the manifest is one that sha256sum reads, a line a file" {
	svmdk manifest c.vmdk
	[ "$(wc -l <c.vmdk.sha256)" = 7 ]
	sha256sum --strict -c c.vmdk.sha256
	equal "" "$(changed)"
	equal "c.vmdk.sha256 c.vmdk.svmdk" "$(svmdk changed c.vmdk | xargs)"
}

@test "without a manifest every file counts as changed" {
	equal "$all_extents c.vmdk" "$(changed)"
}

@test "after a detach exactly what was written has changed, either way of I/O" {
	local io
	for io in mapped file; do
		svmdk manifest c.vmdk
		session --io=$io 2 5
		equal "c-f002.vmdk c-f005.vmdk c.vmdk" "$(changed)"
		# What an earlier session wrote is not forgotten by the next.
		session --io=$io 3
		equal "c-f002.vmdk c-f003.vmdk c-f005.vmdk c.vmdk" "$(changed)"
		equal "7 files: 3 intact, 4 changed, 0 modified, 0 damaged" \
			"$(svmdk verify c.vmdk | tail -n 1)"
	done
}

@test "the same on XFS, btrfs and tmpfs" {
	local type
	for type in xfs btrfs tmpfs; do
		cd /
		clean_up
		make_backing $type
		cd "$BACKING"
		svmdk create c.vmdk 6M -e 1M
		svmdk manifest c.vmdk
		session --io=auto 2 5
		equal "c-f002.vmdk c-f005.vmdk c.vmdk" "$(changed)"
		svmdk manifest c.vmdk
		equal "" "$(changed)"
		sha256sum --strict --quiet -c c.vmdk.sha256
	done
}

has_come() {
	(($(date +%s) >= $1))
}

# A second on the one, two on the other; and a CID is as long as the one before.
@test "a new CID is known for one where times are coarse" {
	local type tick dev
	for type in "ext4 /job/disks/data -I 128" vfat; do
		cd /
		clean_up
		# shellcheck disable=SC2086 # words
		make_backing $type
		cd "$BACKING"
		svmdk create c.vmdk 6M -e 1M
		# So that the new one comes in the same tick.
		tick=$((($(date +%s) / 2 + 4) * 2))
		touch -d "@$tick" c.vmdk
		svmdk manifest c.vmdk
		cp c.vmdk "$BATS_TEST_TMPDIR"
		dev=$(svmdk attach c.vmdk)
		write_disk "$dev" $((1 << 20)) 4096
		eventually has_come $tick
		svmdk detach "$dev"
		[ "$(stat -c %Y c.vmdk)" != $tick ]
		! cmp -s c.vmdk "$BATS_TEST_TMPDIR/c.vmdk" || false
		cp c.vmdk new
		equal "c-f002.vmdk c.vmdk" "$(changed)"
		# The copy has the descriptor of before, as the manifest does.
		svmdk repair c.vmdk --from "$BATS_TEST_TMPDIR"
		cmp c.vmdk new
		equal "c.vmdk.sha256: 7 files, 2 hashed" "$(svmdk manifest c.vmdk)"
		equal "" "$(changed)"
		# Without a new one there is nothing to mark.
		session --io=auto
		equal "" "$(changed)"
	done
}

@test "a session that writes nothing changes nothing" {
	svmdk manifest c.vmdk
	session --io=auto
	equal "" "$(changed)"
	session --read-only
	equal "" "$(changed)"
	cp c.vmdk.svmdk before
	device=$(svmdk attach --read-only c.vmdk)
	cmp before c.vmdk.svmdk
	svmdk manifest c.vmdk
	svmdk detach "$device"
	equal "" "$(changed)"
}

@test "only what changed is hashed again, and the others keep their line" {
	svmdk manifest c.vmdk
	cp c.vmdk.sha256 before
	session --io=auto 4
	equal "c.vmdk.sha256: 7 files, 2 hashed" "$(svmdk manifest c.vmdk)"
	equal "c-f004.vmdk c.vmdk" "$(diff before c.vmdk.sha256 | sed -n 's/^> [0-9a-f]*  //p' | xargs)"
	sha256sum --strict -c c.vmdk.sha256
	equal "c.vmdk.sha256: 7 files, 0 hashed" "$(svmdk manifest c.vmdk)"
}

@test "while attached what was written has changed, and nothing else" {
	local device
	svmdk manifest c.vmdk
	device=$(svmdk attach c.vmdk)
	equal "" "$(changed)"
	write_extent "$device" 6
	equal "c-f006.vmdk" "$(changed)"
	equal "7 files: 6 intact, 1 changed, 0 modified, 0 damaged" \
		"$(svmdk verify c.vmdk | tail -n 1)"
	svmdk detach "$device"
	equal "c-f006.vmdk c.vmdk" "$(changed)"
}

@test "what lies in the page cache of the disk has changed too" {
	local device
	svmdk manifest c.vmdk
	device=$(svmdk attach c.vmdk)
	random_bytes 4096 | dd of="$device" bs=4k seek=3 conv=notrunc status=none
	equal "c-f001.vmdk" "$(changed)"
}

@test "a manifest while attached: what is written afterwards has changed, also after detach" {
	local device io
	for io in mapped file; do
		rm -f c.vmdk.sha256 c.vmdk.svmdk
		device=$(svmdk attach --io=$io c.vmdk)
		write_extent "$device" 1
		svmdk manifest c.vmdk
		equal "" "$(changed)"
		sha256sum --strict -c c.vmdk.sha256
		write_extent "$device" 2
		equal "c-f002.vmdk" "$(changed)"
		svmdk manifest c.vmdk
		equal "" "$(changed)"
		write_extent "$device" 3
		svmdk detach "$device"
		equal "c-f003.vmdk c.vmdk" "$(changed)"
	done
}

@test "a manifest while a file system on the disk is at work misses no write" {
	local device writer
	rm c*
	svmdk create c.vmdk 24M -e 4M
	device=$(svmdk attach c.vmdk)
	mkfs.ext4 -q -F "$device"
	mount "$device" "$ABOVE"
	while :; do
		random_bytes 65536 >"$ABOVE/file"
		sync -f "$ABOVE/file"
	done &
	writer=$!
	for _ in 1 2 3 4 5; do
		svmdk manifest c.vmdk
	done
	kill "$writer"
	wait "$writer" || true
	umount "$ABOVE"
	svmdk detach "$device"
	# What is said to be as hashed is: verify finds nothing else.
	svmdk verify c.vmdk
	(sha256sum -c c.vmdk.sha256 2>/dev/null || true) | sed -n 's/: FAILED$//p' >differ
	svmdk changed c.vmdk >listed
	equal "" "$(grep -vxFf listed differ || true)"
}

@test "after a session that did not end every extent counts as changed, and rsync sees it" {
	local device before
	svmdk manifest c.vmdk
	mkdir copy
	device=$(svmdk attach c.vmdk)
	write_extent "$device" 2
	sleep 2
	# What a power cut leaves of it, but that it can be looked at here.
	cp -a c.vmdk* c-f*.vmdk copy/
	before=$(stat -c %y copy/c-f001.vmdk)
	svmdk detach "$device"
	cd copy
	[ "$(svmdk verify c.vmdk | grep -c ^changed)" = 1 ]
	[ "$(stat -c %y c-f001.vmdk)" = "$before" ]
	equal "$all_extents" "$(changed)"
	[ "$(stat -c %y c-f001.vmdk)" != "$before" ]
	# That is kept; a second look does not bring another time.
	before=$(stat -c %y c-f001.vmdk)
	equal "$all_extents" "$(changed)"
	[ "$(stat -c %y c-f001.vmdk)" = "$before" ]
	svmdk manifest c.vmdk
	equal "" "$(changed)"
}

@test "after a lazy detach every extent counts as changed" {
	local device holder
	svmdk manifest c.vmdk
	device=$(svmdk attach c.vmdk)
	exec {holder}<"$device"
	svmdk detach --lazy "$device"
	# As long as the driver has it, it knows.
	equal "c.vmdk" "$(changed)"
	exec {holder}<&-
	eventually refused "not attached" svmdk list "$device"
	equal "$all_extents c.vmdk" "$(changed)"
	[ "$(svmdk verify c.vmdk | tail -n 1)" = "7 files: 6 intact, 1 changed, 0 modified, 0 damaged" ]
	svmdk manifest c.vmdk
	equal "" "$(changed)"
}

@test "an attach on top of a session that did not end forgets nothing" {
	svmdk manifest c.vmdk
	sed -i 's/^session none/session attached 5d1c5d1c-0000-4000-8000-000000000000/' c.vmdk.svmdk
	session --io=auto
	equal "$all_extents" "$(changed)"
}

@test "a sidecar that comes while it is attached is not believed" {
	local device
	svmdk manifest c.vmdk
	mv c.vmdk.svmdk away
	device=$(svmdk attach c.vmdk)
	write_extent "$device" 1
	mv away c.vmdk.svmdk
	equal "$all_extents" "$(changed)"
	svmdk detach "$device"
	equal "$all_extents c.vmdk" "$(changed)"
}

@test "a session of another boot is still one that did not end when the disk grows" {
	local device
	svmdk manifest c.vmdk
	mv c.vmdk.svmdk away
	device=$(svmdk attach c.vmdk)
	sed 's/^session none/session attached 5d1c5d1c-0000-4000-8000-000000000000/' away >c.vmdk.svmdk
	svmdk grow c.vmdk 7M
	grep '^session unsure' c.vmdk.svmdk
	equal "$all_extents c-f007.vmdk c.vmdk" "$(changed)"
	svmdk detach "$device"
}

# killed_at NUMBER COMMAND…: at its so-manieth system call that may matter
killed_at() {
	local number=$1
	shift
	strace -f -o /dev/null -e signal=none -e trace=openat,ioctl,write,fsync,renameat,flock,fchmod \
		-e inject=openat,ioctl,write,fsync,renameat,flock,fchmod:signal=KILL:when="$number" \
		"$@" >/dev/null 2>&1 || [ $? = 137 ]
}

@test "a manifest that is killed while attached loses nothing" {
	local device number
	svmdk manifest c.vmdk
	device=$(svmdk attach c.vmdk)
	for number in $((20 + RANDOM % 15)) $((35 + RANDOM % 15)) $((50 + RANDOM % 15)); do
		echo "killed at call $number"
		write_extent "$device" 3
		killed_at "$number" svmdk manifest c.vmdk
	done
	svmdk detach "$device"
	svmdk verify c.vmdk
	svmdk changed c.vmdk >listed
	(sha256sum -c c.vmdk.sha256 2>/dev/null || true) | sed -n 's/: FAILED$//p' >differ
	equal "" "$(grep -vxFf listed differ || true)"
	svmdk manifest c.vmdk
	equal "" "$(changed)"
	sha256sum --strict -c c.vmdk.sha256
}

@test "of two at once the second is refused, and so is a detach" {
	local device
	svmdk manifest c.vmdk
	device=$(svmdk attach c.vmdk)
	exec {lock}<c.vmdk.svmdk
	flock "$lock"
	fails_with 1 "c.vmdk.svmdk: another svmdk command is at work" svmdk manifest c.vmdk
	fails_with 1 "c.vmdk: another svmdk command is at work" svmdk detach "$device"
	[ -b "$device" ]
	exec {lock}<&-
	svmdk detach "$device"
}

# By what it asks of the kernel, for its time says more of the machine.
@test "of two thousand extents it is said at once which have changed" {
	local calls trace=$BATS_TEST_TMPDIR/trace
	svmdk create --preallocate falloc many.vmdk 8M -e 4k
	svmdk manifest many.vmdk
	strace -qq -f -o "$trace" svmdk changed many.vmdk
	calls=$(wc -l <"$trace")
	echo "$calls calls"
	((calls < 2048 + 1000))
	# None is opened, let alone read.
	equal 0 "$(grep -cE 'open[a-z0-9]*\(.*"many-f' "$trace")"
}

# It is queued for its ctime, and found to have other bytes; nothing is wrong with it.
@test "what is written while a manifest is made is not called damaged" {
	local device
	svmdk manifest c.vmdk
	device=$(svmdk attach c.vmdk)
	chmod 600 c-f002.vmdk
	held "-P $PWD/c-f002.vmdk /fstat 1" "write_extent $device 2" svmdk manifest c.vmdk
	equal 0 "$status"
	equal c-f002.vmdk "$(changed)"
	svmdk detach "$device"
	# Nor by another program.
	svmdk manifest c.vmdk
	chmod 644 c-f002.vmdk
	held "-P $PWD/c-f002.vmdk /fstat 1" \
		'random_bytes 10 | dd of=c-f002.vmdk conv=notrunc status=none' svmdk manifest c.vmdk
	equal 0 "$status"
	svmdk verify c.vmdk
}

# It would say of others that they are this one's, and forget what these were.
@test "by a descriptor that is damaged no manifest is made" {
	local mtime
	make_container b.vmdk 2048
	make_container c.vmdk 2048 2048
	svmdk manifest c.vmdk
	cp c.vmdk.sha256 before.sha256
	cp c.vmdk.svmdk before.svmdk
	mtime=$(stat -c %y c.vmdk)
	sed -i s/c-f002/b-f001/ c.vmdk
	touch -d "$mtime" c.vmdk
	fails_with 1 'c.vmdk: the descriptor is damaged: .*svmdk repair heals it, or touch it' \
		svmdk manifest c.vmdk
	cmp c.vmdk.sha256 before.sha256
	cmp c.vmdk.svmdk before.svmdk
	fails_with 1 'c.vmdk: the descriptor is damaged' svmdk manifest --changed c.vmdk
	touch c.vmdk
	svmdk manifest c.vmdk
	grep -q ' b-f001.vmdk$' c.vmdk.sha256
}

# The sidecar knows what its line has to be; repair goes by that.
@test "an extent that is gone, and its line with it, comes back by what the sidecar knows" {
	svmdk manifest c.vmdk
	rsync -a c.vmdk* c-f*.vmdk copy/
	sed -i 2d c.vmdk.sha256
	rm c-f002.vmdk
	truncate -s 4k c-f003.vmdk
	refused 'c-f002.vmdk is not repaired: .*svmdk manifest' svmdk repair c.vmdk --from copy
	rm -f c-f002.vmdk
	truncate -s 4k c-f003.vmdk
	refused 'c-f002.vmdk does not exist; .*it keeps its line, by which svmdk repair puts it back' \
		svmdk manifest c.vmdk
	cmp c.vmdk.sha256 copy/c.vmdk.sha256
	svmdk repair c.vmdk --from copy
	equal "7 files: 7 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
}

# The manifest is written first, so the sidecar's hash is the older one.
@test "what a killed manifest had taken in is not undone where its file is lost then" {
	svmdk manifest c.vmdk
	rsync -a c.vmdk* c-f*.vmdk old/
	random_bytes 10 | dd of=c-f002.vmdk conv=notrunc status=none
	strace -qq -f -o /dev/null -e trace=/rename -e inject=/rename:signal=KILL:when=2 \
		svmdk manifest c.vmdk || true
	refused '' cmp c.vmdk.sha256 old/c.vmdk.sha256
	rsync -a c.vmdk* c-f*.vmdk new/
	rm c-f002.vmdk
	refused 'put the right manifest back, or copy the right file by hand' \
		svmdk repair c.vmdk --from new
	refused 'c-f002.vmdk does not exist' svmdk manifest c.vmdk
	cmp c.vmdk.sha256 new/c.vmdk.sha256
	refused 'c-f002.vmdk is not repaired' svmdk repair c.vmdk --from old
	cp -p new/c-f002.vmdk .
	svmdk verify c.vmdk
}

# It would have the hash of the new descriptor, and not all of its extents.
@test "a manifest of an attached disk that is overtaken by a grow is not made" {
	local device
	svmdk manifest c.vmdk
	cp c.vmdk.sha256 before
	device=$(svmdk attach c.vmdk)
	held "-P $PWD/c.vmdk /fstat 1" 'svmdk grow c.vmdk +1M' svmdk manifest c.vmdk
	equal 1 "$status"
	equal "svmdk: c.vmdk: the descriptor was changed meanwhile; try again" \
		"$(<"$BATS_TEST_TMPDIR/said")"
	cmp before c.vmdk.sha256
	svmdk manifest c.vmdk
	equal "8 files: 8 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
	svmdk detach "$device"
}
