#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A mapped extent is pinned while it is attached: whatever would move, change or
# remove it behind the disk's back is refused, and works again after detach.

load common

teardown() {
	[ ! -e "$BACKING/c-f001.vmdk" ] || swapoff "$BACKING/c-f001.vmdk" 2>/dev/null || true
	clean_up
}

make_disk() {
	make_backing "$1"
	make_container "$BACKING/c.vmdk" 4096 4096
	chmod 600 "$BACKING"/c*
	mkswap -q "$BACKING/c-f001.vmdk" 2>/dev/null || mkswap "$BACKING/c-f001.vmdk" >/dev/null
	random_bytes 2097152 >"$BACKING/other"
	before=$(read_extents "$BACKING/c.vmdk" | md5sum)
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	f=$BACKING/c-f001.vmdk
	other=$BACKING/other
}

# What each file system has, as "what it says|command"; $f and $other are files.
# shellcheck disable=SC2016 # expanded where they are run
changes=(
	'Text file busy|dd if=/dev/zero of=$f bs=4k count=1 conv=notrunc'
	'Text file busy|dd if=/dev/zero of=$f bs=4k count=1 conv=notrunc oflag=direct'
	'Text file busy|dd if=/dev/zero of=$f bs=4k count=1 conv=notrunc oflag=append'
	'Text file busy|truncate -s 1M $f'
	'Text file busy|fallocate -p -o 0 -l 65536 $f'
	'Text file busy|fallocate -z -o 0 -l 65536 $f'
	'Text file busy|fallocate -l 4M $f'
	'Device or resource busy|swapon $f'
)
# shellcheck disable=SC2016
removals=(
	'not permitted|mv $other $f'
	'not permitted|mv $f $BACKING/elsewhere'
	'not permitted|rm -f $f'
)
# shellcheck disable=SC2016
reflinks=(
	'Text file busy|cp --reflink=always $f $BACKING/copy'
	'Text file busy|cp --reflink=always $other $f'
)

all_refused() {
	local change
	for change; do
		eval "refused '${change%%|*}' ${change#*|}"
	done
}

# The same, each to a file that is as it was.
all_done() {
	local change
	cp --reflink=never --sparse=never "$f" "$BACKING/kept"
	for change; do
		eval "${change#*|}"
		swapoff "$f" 2>/dev/null || true
		rm -f "$f" "$BACKING/elsewhere" "$BACKING/copy"
		cp --reflink=never --sparse=never "$BACKING/kept" "$f"
		chmod 600 "$f"
		[ -e "$other" ] || random_bytes 2097152 >"$other"
	done
}

pinned_while_attached() {
	all_refused "$@"
	equal "$before" "$(read_disk "$dev" | md5sum)"
	equal "$before" "$(read_extents "$BACKING/c.vmdk" | md5sum)"
	# What harms nobody works: reading, times, names of others.
	touch -d 2020-02-02 "$f"
	cp "$f" "$BACKING/plain-copy"
	svmdk detach "$dev"
	all_done "$@"
}

@test "whatever would change an attached extent on ext4 is refused until detach" {
	make_disk ext4
	pinned_while_attached "${changes[@]}" "${removals[@]}"
}

@test "whatever would change an attached extent on XFS is refused until detach" {
	make_disk xfs
	pinned_while_attached "${changes[@]}" "${reflinks[@]}" "${removals[@]}"
}

@test "a read-only disk pins its extents too" {
	make_disk ext4
	svmdk detach "$dev"
	svmdk attach --read-only --io mapped "$BACKING/c.vmdk"
	all_refused "${changes[@]}" "${removals[@]}"
}

@test "an extent is not defragmented while it is attached" {
	make_disk xfs
	filefrag -v "$f" >"$BATS_TEST_TMPDIR/before"
	xfs_fsr "$f" || true
	filefrag -v "$f" | diff "$BATS_TEST_TMPDIR/before" -
	equal "$before" "$(read_disk "$dev" | md5sum)"
}

@test "a shared writable mapping of an attached extent is refused" {
	local fio=(fio --name=map --ioengine=mmap --rw=write --bs=4k --size=64k --overwrite=1)
	make_disk ext4
	refused "Text file busy" "${fio[@]}" --filename="$f"
	svmdk detach "$dev"
	"${fio[@]}" --filename="$f" >/dev/null
}

@test "an extent of several lines stays pinned until the disk is gone" {
	make_disk ext4
	svmdk detach "$dev"
	write_descriptor "$BACKING/twice.vmdk" 'RW 2048 FLAT "c-f001.vmdk" 2048' \
		'RW 2048 FLAT "c-f002.vmdk" 0' 'RW 2048 FLAT "c-f001.vmdk" 0'
	dev=$(svmdk attach --io mapped "$BACKING/twice.vmdk")
	all_refused "${changes[@]}" "${removals[@]}"
	svmdk detach "$dev"
	rm "$f"
}

@test "two read-only disks pin an extent that they share until both are gone" {
	make_disk ext4
	svmdk detach "$dev"
	write_descriptor "$BACKING/d.vmdk" 'RW 4096 FLAT "c-f001.vmdk" 0'
	first=$(svmdk attach --read-only "$BACKING/c.vmdk")
	second=$(svmdk attach --read-only "$BACKING/d.vmdk")
	svmdk detach "$first"
	all_refused "${changes[@]}" "${removals[@]}"
	svmdk detach "$second"
	rm "$f"
}

@test "an attach that fails leaves nothing pinned" {
	make_disk ext4
	svmdk detach "$dev"
	mv "$BACKING/c-f002.vmdk" "$BACKING/away"
	fails_with 1 "c-f002.vmdk" svmdk attach "$BACKING/c.vmdk"
	rm "$f"
}

@test "an extent that has the file way is not pinned" {
	make_disk ext4
	svmdk detach "$dev"
	dev=$(svmdk attach --io file "$BACKING/c.vmdk")
	dd if="$other" of="$f" bs=64k count=1 conv=notrunc status=none
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
}
