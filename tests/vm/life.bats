#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# The whole life of a container, which is why there is svmdk: made, filled and
# sent; changed in one file, and only that sent; a bit of the copy flipped, found
# and healed from the other side; grown twice, split anew and back. QEMU reads
# the same disk at each step. A twentieth of the size that it has at home.
#
# One kernel will do, the last.

load common

here=$BACKING/here
there=/mnt/there # another disk, for the copy

setup() {
	make_backing xfs
	mkdir -p "$here" "$there"
	mkfs.ext4 -q -F /job/disks/spare
	mount /job/disks/spare "$there"
	cd "$here" || return
}

teardown() {
	cd /
	clean_up
	! mountpoint -q "$there" || umount "$there"
}

# What its files were at last, by their sums.
write_down() {
	(cd "$ABOVE" && find . -type f -exec md5sum {} +) >"$BATS_TEST_TMPDIR/sums"
}

# open_disk [OPTION…]: attached and mounted
open_disk() {
	device=$(svmdk attach "$@")
	mount "$device" "$ABOVE"
}

close_disk() {
	umount "$ABOVE"
	svmdk detach "$device"
}

# The disk of a container, by QEMU and by us, and its files.
is_right() {
	open_disk --read-only "$1"
	qemu-img compare -q -T none -f vmdk -F raw "$1" "$device"
	(cd "$ABOVE" && md5sum --quiet -c "$BATS_TEST_TMPDIR/sums")
	close_disk
}

# What svmdk says has changed, sent with rsync; $sent has the names.
send() {
	(cd "$here" && svmdk changed -0 backup.vmdk |
		rsync -a --from0 --files-from=- --out-format=%n . "$there/") >"$BATS_TEST_TMPDIR/sent"
	sent=$(grep -c -- '-f[0-9]*\.vmdk$' "$BATS_TEST_TMPDIR/sent" || true)
}

@test "made, sent, changed, sent again, damaged, healed, grown, split anew: always the same disk" {
	svmdk create backup.vmdk 54M -e 6M
	device=$(svmdk attach --io mapped backup.vmdk)
	mkfs.ext4 -q -E nodiscard "$device"
	mount "$device" "$ABOVE"
	cp -r /etc "$ABOVE"
	random_bytes $((10 << 20)) >"$ABOVE/archive"
	write_down
	close_disk
	svmdk manifest backup.vmdk
	sha256sum --quiet -c backup.vmdk.sha256
	rsync -a ./ "$there/"
	svmdk verify "$there/backup.vmdk"
	is_right "$there/backup.vmdk"
	# It was only read.
	svmdk verify "$there/backup.vmdk"

	open_disk backup.vmdk
	echo changed >"$ABOVE/etc/changed"
	write_down
	close_disk
	svmdk changed backup.vmdk >"$BATS_TEST_TMPDIR/changed"
	grep -qx backup.vmdk "$BATS_TEST_TMPDIR/changed"
	send
	((sent > 0 && sent < 9))
	svmdk manifest backup.vmdk
	send
	svmdk verify "$there/backup.vmdk"
	is_right "$there/backup.vmdk"

	# A bit, and no time: what a disk does by itself.
	cp --preserve=timestamps "$there/backup-f005.vmdk" "$BATS_TEST_TMPDIR/whole"
	flip_bit "$there/backup-f005.vmdk" 1234567
	run svmdk verify "$there/backup.vmdk"
	equal 1 "$status"
	grep -q 'backup-f005.vmdk.*damaged\|damaged.*backup-f005.vmdk' <<<"$output"
	equal 1 "$(grep -c -- '-f[0-9]*\.vmdk' <<<"$output")"
	svmdk repair "$there/backup.vmdk" --from "$here"
	svmdk verify "$there/backup.vmdk"
	cmp "$there/backup-f005.vmdk" "$BATS_TEST_TMPDIR/whole"
	is_right "$there/backup.vmdk"

	svmdk grow backup.vmdk 60M
	is_right backup.vmdk
	open_disk backup.vmdk
	svmdk grow "$device" +12M
	resize2fs "$device"
	random_bytes $((15 << 20)) >"$ABOVE/more"
	write_down
	close_disk
	is_right backup.vmdk
	svmdk verify backup.vmdk

	svmdk resplit backup.vmdk -e 512M
	equal 1 "$(svmdk info --json backup.vmdk | jq '.container[0].extents')"
	is_right backup.vmdk
	svmdk resplit backup.vmdk -e 6M
	equal 12 "$(svmdk info --json backup.vmdk | jq '.container[0].extents')"
	is_right backup.vmdk
	equal 12 "$(find . -name '*-f*.vmdk' | wc -l)"
	svmdk manifest backup.vmdk
	svmdk verify backup.vmdk
}
