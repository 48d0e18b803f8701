#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# svmdk copy to folders of all kinds: what is there in the end is the whole container,
# or it is said why not.
#
# One kernel will do, the last.

load common

small=/mnt/small # another file system

setup() {
	make_backing ext4
	copy=$BACKING/to
	mkdir -p "$copy" $small
}

teardown() {
	! mountpoint -q $small || umount $small
	clean_up
}

copy_it() {
	svmdk copy "$BACKING/c.vmdk" "$copy"
}

copied_whole() {
	local file
	copy_it
	for file in "$BACKING"/c[.-]*; do
		cmp "$file" "$copy/${file##*/}"
	done
}

# Seconds, and two of them: the time of what is copied is not kept as it is.
@test "a copy is whole on a file system that keeps times less exactly" {
	local type
	make_container "$BACKING/c.vmdk" 4096 4096 4096
	copy=$small
	for type in "ext4 -q -F -I 128" vfat; do
		# shellcheck disable=SC2086 # words
		mkfs.$type /job/disks/spare >/dev/null
		mount /job/disks/spare "$copy"
		copied_whole
		# And where there is an older one.
		random_bytes 4096 | dd of="$BACKING/c-f002.vmdk" conv=notrunc status=none
		copied_whole
		umount "$copy"
	done
}

# Where all is everybody's, what waits to be put in place is, too.
@test "a folder in which nothing can be one's own is not copied to" {
	make_container "$BACKING/c.vmdk" 2048
	mkfs.vfat /job/disks/spare >/dev/null
	mount -o umask=000 /job/disks/spare $small
	fails_with 1 "$small: others may write to whatever is made there; mount it with options" \
		svmdk copy "$BACKING/c.vmdk" $small
	equal "" "$(ls -A $small)"
	umount $small
	mount -o umask=022 /job/disks/spare $small
	svmdk copy "$BACKING/c.vmdk" $small
}

@test "extents in folders below folders are copied, up to what is reasonable" {
	local deep nr
	make_container "$BACKING/c.vmdk" 2048
	for nr in 64 65 1900; do
		rm -rf "$BACKING/a"
		deep=$(printf 'a/%.0s' $(seq "$nr"))
		mkdir -p "$BACKING/$deep"
		cp "$BACKING/c-f001.vmdk" "$BACKING/${deep}x"
		write_descriptor "$BACKING/c.vmdk" "RW 2048 FLAT \"${deep}x\" 0"
		if [ "$nr" = 64 ]; then
			copy_it
			cmp "$BACKING/c-f001.vmdk" "$copy/${deep}x"
		else
			fails_with 1 "c.vmdk:8: its extent is more than 64 folders down; .*: a/a/" copy_it
		fi
	done
}

@test "a copy that stopped halfway between old and new says that, and is finished" {
	make_container "$BACKING/c.vmdk" 2048 2048
	copy_it
	random_bytes 4096 | dd of="$BACKING/c-f001.vmdk" conv=notrunc status=none
	random_bytes 4096 | dd of="$BACKING/c-f002.vmdk" conv=notrunc status=none
	# The mark that all of them go to their places is there from the first on.
	strace -f -o /dev/null -e trace=renameat -e inject=renameat:error=ENOSPC:when=4 \
		svmdk copy "$BACKING/c.vmdk" "$copy" 2>"$BATS_TEST_TMPDIR/said" || [ $? = 1 ]
	cat "$BATS_TEST_TMPDIR/said"
	grep -q "the copy is between old and new; run svmdk copy again to finish it" "$BATS_TEST_TMPDIR/said"
	equal 0 "$(grep -c 'as it was before' "$BATS_TEST_TMPDIR/said" || true)"
	copied_whole
	equal "" "$(find "$copy" -name ".*svmdk*")"
}

# to_disk ERROR-BEGIN ERROR-END: what is copied to lies on a disk with that hole, in sectors
to_disk() {
	local sectors
	sectors=$(blockdev --getsz /job/disks/spare)
	dmsetup create svmdktestcopy <<-EOF
		0 $1 linear /job/disks/spare 0
		$1 $(($2 - $1)) ${3-error}
		$2 $((sectors - $2)) linear /job/disks/spare $2
	EOF
	mount /dev/mapper/svmdktestcopy $small
}

# The writes fail long after they were made; whoever is told has to tell it, for nobody
# else will be.
@test "a copy that could not be written is no copy, however often it is tried" {
	local copy=$small begin=$((64 << 11)) end=$((512 << 11))
	svmdk create "$BACKING/c.vmdk" 128M -e 128M
	random_bytes 128M >"$BACKING/c-f001.vmdk"
	mkfs.ext4 -q -F -E lazy_itable_init=0,nodiscard -J size=4 /job/disks/spare 1G
	to_disk $begin $end
	refused 'cannot write' copy_it
	refused 'cannot write' copy_it
	[ ! -e $small/c.vmdk ]
	umount $small
	dmsetup remove --retry svmdktestcopy
	to_disk $begin $end "linear /job/disks/spare $begin"
	copied_whole
}

@test "a descriptor or a manifest that was cut short is copied again, whatever its time" {
	local file
	make_container "$BACKING/c.vmdk" 2048
	svmdk manifest "$BACKING/c.vmdk"
	copy_it
	for file in c.vmdk c.vmdk.sha256; do
		truncate -s 40 "$copy/$file"
		touch -r "$BACKING/$file" "$copy/$file"
		copy_it
		cmp "$BACKING/$file" "$copy/$file"
	done
}

# NFS says so of a file that is open for reading, and has locks all the same.
@test "a copy that is attached is not replaced, where locks are for what can be written, too" {
	make_container "$BACKING/c.vmdk" 2048
	copy_it
	svmdk attach "$copy/c.vmdk"
	random_bytes 4096 | dd of="$BACKING/c-f001.vmdk" conv=notrunc status=none
	fails_with 1 'to/c.vmdk: the copy is in use: it is attached' \
		strace -qq -f -o /dev/null -P "$copy/c.vmdk" -e trace=flock \
		-e inject=flock:error=EBADF:when=1 svmdk copy "$BACKING/c.vmdk" "$copy"
	svmdk detach "$copy/c.vmdk"
	copy_it
}

@test "a copy does not take the place of another container's extents" {
	make_container "$BACKING/c.vmdk" 2048 2048
	copied_whole
	# There is an older descriptor beside the copy's own.
	cp "$copy/c.vmdk" "$copy/old.vmdk"
	random_bytes 4096 | dd of="$BACKING/c-f001.vmdk" conv=notrunc status=none
	copied_whole
	# The copy is another container by now.
	rm "$copy/old.vmdk"
	mv "$copy/c.vmdk" "$copy/mine.vmdk"
	cp "$copy/c-f001.vmdk" "$BATS_TEST_TMPDIR/mine"
	random_bytes 4096 | dd of="$BACKING/c-f001.vmdk" conv=notrunc status=none
	fails_with 1 'to: c-f001.vmdk there is named by mine.vmdk, another container.s descriptor as it seems; choose another folder' \
		copy_it
	cmp "$BATS_TEST_TMPDIR/mine" "$copy/c-f001.vmdk"
	[ ! -e "$copy/c.vmdk" ]
	rm "$copy/mine.vmdk"
	copied_whole
	# What two of them share, and is there, is in nobody's way.
	cp "$BACKING/c.vmdk" "$BACKING/d.vmdk"
	svmdk copy "$BACKING/d.vmdk" "$copy"
	cmp "$BACKING/d.vmdk" "$copy/d.vmdk"
}
