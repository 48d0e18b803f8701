#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Verify tells intact, changed, modified and damaged apart, by the hashes and by
# what is known of who wrote.
#
# One kernel will do.

load common

setup() {
	make_backing ext4
	cd "$BACKING" || return
	make_container c.vmdk 2048 2048 2048 2048
}

teardown() {
	cd /
	[ -z "${holder-}" ] || { kill "$holder" && wait "$holder"; } 2>/dev/null || true
	clean_up
}

# states FILE: the state of each file, in a line
states() {
	(svmdk verify --json "$1" 2>/dev/null || true) | jq -r '[.files[].state] | join(" ")'
}

@test "a container as it was hashed is intact" {
	svmdk manifest c.vmdk
	equal "5 files: 5 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
}

@test "without a manifest it says how to make one" {
	fails_with 1 "it has no manifest, c.vmdk.sha256; make one with svmdk manifest" \
		svmdk verify c.vmdk
}

@test "a flipped bit is damage, even when the file was renamed or got another mode" {
	svmdk manifest c.vmdk
	flip_bit c-f002.vmdk 777777
	equal "intact damaged intact intact intact" "$(states c.vmdk)"
	chmod 600 c-f002.vmdk
	equal "intact damaged intact intact intact" "$(states c.vmdk)"
	run svmdk verify c.vmdk
	[ "$status" = 1 ]
	[[ $output == *"damaged   c-f002.vmdk: other bytes than the manifest's"* ]]
	# And no manifest is made of it in passing.
	refused "c-f002.vmdk is damaged" svmdk manifest c.vmdk
	equal "intact damaged intact intact intact" "$(states c.vmdk)"
}

@test "what is missing or short is damage, and the rest is judged all the same" {
	svmdk manifest c.vmdk
	rm c-f001.vmdk
	truncate -s 4k c-f003.vmdk
	equal "damaged intact damaged intact intact" "$(states c.vmdk)"
	svmdk verify c.vmdk | grep -x "damaged   c-f001.vmdk: missing"
	svmdk verify c.vmdk | grep -x "damaged   c-f003.vmdk: short: 4096 bytes of 1048576"
}

@test "what another program wrote is modified, and the manifest accepts it" {
	svmdk manifest c.vmdk
	qemu-io -f vmdk -c "write -P 7 1200k 64k" c.vmdk
	equal "intact modified intact intact modified" "$(states c.vmdk)"
	refused "another program wrote to it" svmdk verify c.vmdk
	svmdk manifest c.vmdk
	svmdk verify c.vmdk
}

@test "what another program wrote after svmdk is modified as well" {
	local device
	svmdk manifest c.vmdk
	device=$(svmdk attach c.vmdk)
	write_disk "$device" 0 4096
	write_disk "$device" 1048576 4096
	svmdk detach "$device"
	equal "changed changed intact intact changed" "$(states c.vmdk)"
	random_bytes 10 | dd of=c-f002.vmdk conv=notrunc status=none
	equal "changed modified intact intact changed" "$(states c.vmdk)"
}

@test "written while attached is changed, a flipped bit beside it is damage" {
	local device
	svmdk manifest c.vmdk
	flip_bit c-f004.vmdk 777777
	device=$(svmdk attach c.vmdk)
	write_disk "$device" 0 4096
	equal "changed intact intact damaged intact" "$(states c.vmdk)"
	svmdk detach "$device"
	equal "changed intact intact damaged changed" "$(states c.vmdk)"
}

@test "a copy that rsync made is judged by size and mtime" {
	svmdk manifest c.vmdk
	rsync -a c.vmdk* c-f*.vmdk copy/
	svmdk verify copy/c.vmdk
	flip_bit copy/c-f002.vmdk 777777
	random_bytes 10 | dd of=copy/c-f003.vmdk conv=notrunc status=none
	equal "intact damaged modified intact intact" "$(states copy/c.vmdk)"
	equal "intact intact intact intact intact" "$(states c.vmdk)"
}

@test "a manifest anew without the sidecar says what is not as in the one before" {
	local said
	svmdk manifest c.vmdk
	rm c.vmdk.svmdk
	flip_bit c-f002.vmdk 99
	said=$(svmdk manifest c.vmdk 2>&1 >/dev/null)
	grep -q 'warning: c-f002.vmdk has other bytes than in the manifest before' <<<"$said"
	equal 1 "$(grep -c 'has other bytes' <<<"$said")"
}

@test "a copy without the sidecar is judged by hashes alone" {
	svmdk manifest c.vmdk
	rsync -a --exclude '*.svmdk' c.vmdk* c-f*.vmdk copy/
	svmdk verify copy/c.vmdk
	random_bytes 10 | dd of=copy/c-f003.vmdk conv=notrunc status=none
	equal "intact intact damaged intact intact" "$(states copy/c.vmdk)"
}

@test "a sidecar that has a file twice is refused by the line, and the warning says what helps" {
	local line
	svmdk manifest c.vmdk
	line=$(sed -n 5p c.vmdk.svmdk)
	echo "$line" >>c.vmdk.svmdk
	svmdk verify c.vmdk 2>said
	equal 1 "$(wc -l <said)"
	grep -q '^svmdk: c.vmdk.svmdk:9: warning: c-f002.vmdk stands in line 5 already; .*svmdk manifest makes a new one' said
	fails_with 1 "c.vmdk.svmdk:9: c-f002.vmdk stands in line 5 already; take it away if" \
		svmdk repair c.vmdk --from .
	svmdk manifest c.vmdk
	equal "" "$(svmdk verify c.vmdk 2>&1 >/dev/null)"
}

@test "a manifest that was cut short is not believed, and hides no damage" {
	local lines
	mkdir copy
	svmdk manifest c.vmdk
	cp -a c.vmdk* c-f*.vmdk copy/
	flip_bit c-f003.vmdk 777777
	for lines in 4 2 0; do
		head -n "$lines" copy/c.vmdk.sha256 >c.vmdk.sha256
		fails_with 1 "c.vmdk.sha256: it has no line for c.vmdk, so it was cut short .*; put it back from a copy, or make a new one with svmdk manifest" \
			svmdk verify c.vmdk
		fails_with 1 "c.vmdk.sha256: it has no line for c.vmdk, .*; put it back from a copy" \
			svmdk repair --from copy c.vmdk
		refused "c-f003.vmdk is damaged: other bytes than when it was hashed" svmdk manifest c.vmdk
		equal "intact intact damaged intact intact" "$(states c.vmdk)"
	done
	svmdk repair --from copy c.vmdk
	equal "5 files: 5 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
}

@test "a line that was altered in the manifest, or is gone from it, hides no damage" {
	local edit
	svmdk manifest c.vmdk
	cp c.vmdk.sha256 whole
	sed '3{s/^0/1/;t;s/^./0/}' whole >c.vmdk.sha256
	equal "intact intact changed intact intact" "$(states c.vmdk)"
	refused "changed   c-f003.vmdk: it is as it was hashed, but its line in the manifest is not" \
		svmdk verify c.vmdk
	refused "c.vmdk.sha256: it is older than the sidecar, or was altered: the lines of 1 files are gone, or" \
		svmdk verify c.vmdk
	for edit in '3{s/^0/1/;t;s/^./0/}' 3d; do
		sed "$edit" whole >c.vmdk.sha256
		flip_bit c-f003.vmdk 777777
		equal "intact intact damaged intact intact" "$(states c.vmdk)"
		refused "c-f003.vmdk is damaged: other bytes than when it was hashed" svmdk manifest c.vmdk
		flip_bit c-f003.vmdk 777777
		sed "$edit" whole >c.vmdk.sha256
		svmdk manifest c.vmdk
		cmp c.vmdk.sha256 whole
	done
	# What another program wrote is not what svmdk wrote.
	for edit in '3{s/^0/1/;t;s/^./0/}' 3d; do
		sed "$edit" whole >c.vmdk.sha256
		random_bytes 10 | dd of=c-f003.vmdk conv=notrunc status=none
		equal "intact intact modified intact intact" "$(states c.vmdk)"
		svmdk manifest c.vmdk
		cp c.vmdk.sha256 whole
	done
	sed 3d whole >c.vmdk.sha256
	refused "changed   c-f003.vmdk: it is as it was hashed, but the manifest has no line for it" \
		svmdk verify c.vmdk
	# Without a sidecar nothing is known of the file, but that its line is gone.
	rm c.vmdk.svmdk
	flip_bit c-f003.vmdk 99
	equal "intact intact changed intact intact" "$(states c.vmdk)"
	refused "it was altered: the lines of 1 files are gone; put" svmdk verify c.vmdk
}

@test "what becomes of an extent while it is verified is said by the file and its line" {
	svmdk manifest c.vmdk
	rm c.vmdk.svmdk c.vmdk.sha256
	truncate -s 4k c-f002.vmdk
	fails_with 1 'c.vmdk:[0-9]+: extent c-f002.vmdk is short' svmdk manifest c.vmdk
}

@test "a manifest that is made while an attached disk is verified makes nothing modified" {
	local device
	svmdk manifest c.vmdk
	device=$(svmdk attach c.vmdk)
	held "-P $PWD/c-f002.vmdk fadvise64 1" \
		"write_disk $device $((1 << 20)) 4096; svmdk manifest c.vmdk" svmdk verify c.vmdk
	equal 1 "$status"
	equal "svmdk: c.vmdk: its manifest or sidecar was made anew while it was read; try again" \
		"$(<"$BATS_TEST_TMPDIR/said")"
	svmdk verify c.vmdk
	svmdk detach "$device"
}

@test "a file that cannot be opened just now is not judged, nor healed" {
	local before
	mkdir copy
	svmdk manifest c.vmdk
	cp -a c.vmdk* c-f*.vmdk copy/
	/job/programs/lease c-f002.vmdk >held 3>&- &
	holder=$!
	eventually grep -q held held
	fails_with 1 "cannot open extent c-f002.vmdk: Resource temporarily unavailable" svmdk verify c.vmdk
	before=$(stat -c %i c-f002.vmdk)
	fails_with 1 "Resource temporarily unavailable" svmdk repair --from copy c.vmdk
	equal "$before" "$(stat -c %i c-f002.vmdk)"
	kill "$holder"
	wait "$holder" || true
	holder=
	equal "5 files: 5 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
}

@test "a manifest that is older than the sidecar heals nothing, and undoes nothing" {
	local sums file
	mkdir copy
	svmdk manifest c.vmdk
	cp -a c.vmdk* c-f*.vmdk copy/
	for file in c-f001.vmdk c-f002.vmdk; do
		random_bytes 4096 | dd of="$file" conv=notrunc status=none
	done
	svmdk manifest c.vmdk
	cp -a copy/c.vmdk.sha256 .
	sums=$(md5sum c-f*.vmdk)
	equal "changed changed intact intact intact" "$(states c.vmdk)"
	refused "c.vmdk.sha256: it is older than the sidecar, or was altered: the lines of 2 files are gone, or" \
		svmdk verify c.vmdk
	svmdk repair --modified --from copy c.vmdk || [ $? = 1 ]
	equal "$sums" "$(md5sum c-f*.vmdk)"
	flip_bit c-f001.vmdk 777777
	sums=$(md5sum c-f*.vmdk)
	equal "damaged changed intact intact intact" "$(states c.vmdk)"
	refused "c-f001.vmdk .*the manifest is older than the sidecar, or was altered" \
		svmdk repair --from copy c.vmdk
	equal "$sums" "$(md5sum c-f*.vmdk)"
	# It takes no damage in, and then the copy is seen to be too old.
	refused "c-f001.vmdk is damaged" svmdk manifest c.vmdk
	equal "damaged intact intact intact intact" "$(states c.vmdk)"
	refused "c-f001.vmdk .*its copy in [^ ]*copy is not what the manifest says" \
		svmdk repair --from copy c.vmdk
	equal "$sums" "$(md5sum c-f*.vmdk)"
}

@test "what its owner made read-only is healed for him, too" {
	mkdir copy
	svmdk manifest c.vmdk
	cp -a c.vmdk* c-f*.vmdk copy/
	chmod 444 c-f002.vmdk
	chown -R 65534:65534 .
	flip_bit c-f002.vmdk 777777
	setpriv --reuid=65534 --regid=65534 --clear-groups svmdk repair --from copy c.vmdk
	equal "intact intact intact intact intact" "$(states c.vmdk)"
	equal 444 "$(stat -c %a c-f002.vmdk)"
}

# It changes no byte, so nothing of it counts as written, and a flipped bit is still damage.
@test "a container that was filled is intact, and damage to it is damage" {
	fallocate -p -o 65536 -l 65536 c-f002.vmdk
	fallocate -z -o 0 -l 65536 c-f003.vmdk
	svmdk manifest c.vmdk
	svmdk allocate c.vmdk
	equal "5 files: 5 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
	flip_bit c-f002.vmdk 777777
	equal "intact damaged intact intact intact" "$(states c.vmdk)"
	flip_bit c-f002.vmdk 777777
	svmdk manifest c.vmdk
	equal "c.vmdk.sha256 c.vmdk.svmdk" "$(svmdk changed c.vmdk | xargs)"
}

# What a resplit leaves that is killed before it has taken them away.
@test "the manifest of extents that were split anew is not believed, nor healed by" {
	local suffixes
	mkdir copy
	svmdk manifest c.vmdk
	cp -a c.vmdk* c-f*.vmdk copy/
	svmdk resplit c.vmdk -e 2M
	cp c.vmdk before
	for suffixes in sha256 "sha256 svmdk"; do
		for suffix in $suffixes; do
			cp -a "copy/c.vmdk.$suffix" .
		done
		fails_with 1 "c.vmdk.sha256:1: c-f001.vmdk is no extent of the container.*svmdk manifest" \
			svmdk verify c.vmdk
		refused "c.vmdk.sha256:1: c-f001.vmdk is no extent" svmdk repair --modified --from copy c.vmdk
		cmp before c.vmdk
		equal "c-2-f001.vmdk c-2-f002.vmdk c.vmdk" \
			"$(svmdk changed c.vmdk 2>said | grep -v '^c.vmdk\.' | xargs)"
		grep -q "^svmdk: c.vmdk.sha256:1: warning: c-f001.vmdk is no extent" said
	done
	svmdk manifest c.vmdk
	equal "3 files: 3 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
}

@test "an extent that cannot be read is damage at its offset, and the rest is judged" {
	local sectors first
	cd /
	clean_up
	sectors=$(blockdev --getsz /job/disks/data)
	mkfs.ext4 -q -F /job/disks/data
	mount /job/disks/data "$BACKING"
	cd "$BACKING"
	make_container c.vmdk 8192 8192 8192
	svmdk manifest c.vmdk
	sync
	first=$(filefrag -b512 -e c-f002.vmdk | awk '$1 == "0:" { print $4 + 0 }')
	cd /
	umount "$BACKING"
	{
		echo "0 $((first + 4096)) linear /job/disks/data 0"
		echo "$((first + 4096)) 8 error"
		echo "$((first + 4104)) $((sectors - first - 4104)) linear /job/disks/data $((first + 4104))"
	} | dmsetup create svmdkbeneath
	mount /dev/mapper/svmdkbeneath "$BACKING"
	cd "$BACKING"
	equal "intact damaged intact intact" "$(states c.vmdk)"
	equal 2097152 "$(svmdk verify --json c.vmdk 2>/dev/null | jq '.files[1].offset')"
	refused "svmdk repair heals it" svmdk verify c.vmdk
	refused "cannot read it at byte 2097152" svmdk verify c.vmdk
}

@test "a link or a FIFO in place of the manifest or the sidecar is not opened" {
	svmdk manifest c.vmdk
	mkfifo fifo
	mv c.vmdk.sha256 manifest
	mv c.vmdk.svmdk sidecar
	ln -s manifest c.vmdk.sha256
	fails_with 1 "c.vmdk.sha256: not a regular file" ends svmdk verify c.vmdk
	mv fifo c.vmdk.sha256
	fails_with 1 "c.vmdk.sha256: not a regular file" ends svmdk verify c.vmdk
	equal "c-f001.vmdk c-f002.vmdk c-f003.vmdk c-f004.vmdk c.vmdk" \
		"$(ends svmdk changed c.vmdk 2>/dev/null | xargs)"
	mv c.vmdk.sha256 fifo
	mv manifest c.vmdk.sha256
	mv fifo c.vmdk.svmdk
	equal "5 files: 5 intact, 0 changed, 0 modified, 0 damaged" "$(ends svmdk verify c.vmdk)"
	fails_with 1 "c.vmdk.svmdk: not a regular file" ends svmdk manifest c.vmdk
	fails_with 1 "c.vmdk.svmdk: not a regular file" ends svmdk attach c.vmdk
}

# Else there was nothing to tell it by, and repair put back what was before.
@test "what is written to a disk that lost its sidecar is changed, and not damaged" {
	local device
	svmdk manifest c.vmdk
	rsync -a c.vmdk* c-f*.vmdk copy/
	rm c.vmdk.svmdk
	random_bytes 4096 | dd of=c-f001.vmdk conv=notrunc status=none
	device=$(svmdk attach c.vmdk)
	write_disk "$device" $((1 << 20)) 4096
	equal "modified changed intact intact intact" "$(states c.vmdk)"
	svmdk detach "$device"
	flip_bit c-f003.vmdk 99
	equal "modified changed damaged intact changed" "$(states c.vmdk)"
	# None is proved to be as it was hashed, without being read.
	equal "c-f001.vmdk c-f002.vmdk c-f003.vmdk c-f004.vmdk" "$(svmdk changed c.vmdk | grep -o 'c-f.*' | xargs)"
	cp c-f002.vmdk written
	svmdk repair c.vmdk --from copy || equal 1 "$?"
	cmp c-f002.vmdk written
	cmp c-f003.vmdk copy/c-f003.vmdk
	refused '' cmp c-f001.vmdk copy/c-f001.vmdk
	svmdk manifest c.vmdk
	equal "5 files: 5 intact, 0 changed, 0 modified, 0 damaged" "$(svmdk verify c.vmdk)"
	# A container without a manifest gets no sidecar, nor does one that is only read.
	rm c.vmdk.*
	device=$(svmdk attach c.vmdk)
	svmdk detach "$device"
	[ ! -e c.vmdk.svmdk ]
}

# It is put right afterwards, as verify says to, and of what was written by then it would say
# that it is damaged.
@test "a manifest that lacks lines or cannot be read when its disk is attached takes nothing back" {
	local case device file
	svmdk manifest c.vmdk
	rsync -a c.vmdk* c-f*.vmdk copy/
	cp -a copy/c.vmdk copy/d.vmdk
	sed 's/  c.vmdk$/  d.vmdk/' c.vmdk.sha256 >right
	for case in renamed cut torn empty; do
		rm -f ./*.vmdk*
		cp -a copy/c* .
		rm c.vmdk.svmdk
		file=c.vmdk
		case $case in
		renamed)
			file=d.vmdk
			mv c.vmdk d.vmdk
			mv c.vmdk.sha256 d.vmdk.sha256
			;;
		cut) head -n 3 copy/c.vmdk.sha256 >c.vmdk.sha256 ;;
		torn) head -c 90 copy/c.vmdk.sha256 >c.vmdk.sha256 ;;
		empty) : >c.vmdk.sha256 ;;
		esac
		device=$(svmdk attach $file)
		write_disk "$device" $((1 << 20)) 4096
		write_disk "$device" $((3 << 20)) 4096
		svmdk detach "$device"
		refused 'it has no line for|not a line as sha256sum' svmdk verify $file
		if [ $case = renamed ]; then cp right d.vmdk.sha256; else cp copy/c.vmdk.sha256 .; fi
		equal "intact changed intact changed changed" "$(states $file)"
		md5sum c-f*.vmdk >sums
		svmdk repair $file --from copy
		md5sum -c --quiet sums
	done
}
