#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Bad input is refused with one line that names the file, the line in it, and
# the way out. Nothing is attached then, no extent stays pinned, and no file
# is changed, by content or by date.
#
# One kernel will do, the last.

load common

setup_file() {
	make_backing ext4
	modprobe svmdk
}

teardown_file() {
	clean_up
	nothing_leaked
}

# Three extents, in the lines 8 to 10 of the descriptor.
setup() {
	BOX=$BACKING/box
	DISK=$BOX/disk.vmdk
	mkdir "$BOX"
	make_container "$DISK" 8 16 8
}

teardown() {
	svmdk detach --all
	chattr -R -i "$BOX" 2>/dev/null || true
	rm -r "$BOX"
	log_is_clean
}

# All that could change: kinds, sizes, modes, owners, and by the two dates also
# contents and what was done to a file.
state_of() {
	find "$1" -printf '%P %y %s %m %U %T@ %C@\n'
}

# The file system would refuse even a write of nothing.
not_pinned() {
	perl -e 'for my $name (@ARGV) {
		-f $name && open(my $file, "+<", $name) or next;
		defined syswrite($file, "", 0) or die "$name: $!\n";
	}' "$1"/*
}

# left_alone TEXT COMMAND…: it fails with one line that says TEXT, and neither
# files nor driver show that it ever ran
left_alone() {
	local text=$1 before
	shift
	before=$(state_of "$BOX")
	fails_with 1 "$text" "$@"
	equal "$before" "$(state_of "$BOX")"
	refused '' compgen -G '/sys/block/svmdk*'
	not_pinned "$BOX"
}

# refuses LINE TEXT [OPTION…]: attach does not take the container
refuses() {
	local where="disk.vmdk:$1: $2"
	shift 2
	left_alone "$where" svmdk attach "$@" "$DISK"
}

# refuses_line NUMBER TEXT LINE: nor with this line of the descriptor
refuses_line() {
	local good=$BATS_TEST_TMPDIR/good
	[ -e "$good" ] || cp "$DISK" "$good"
	LINE=$3 awk -v number="$1" 'NR == number { $0 = ENVIRON["LINE"] } { print }' "$good" >"$DISK"
	refuses "$1" "$2"
	cp "$good" "$DISK"
}

@test "a container that is not bad is attached" {
	not_pinned "$BOX"
	svmdk attach "$DISK"
	equal 3 "$(of_list /dev/svmdk0 MAPPED)"
	refused 'Text file busy' not_pinned "$BOX"
}

@test "an extent that is missing or short is named, with what it lacks" {
	mv "$BOX/disk-f002.vmdk" "$BOX/away"
	refuses 9 'extent disk-f002.vmdk does not exist; put it back from a copy'
	mv "$BOX/away" "$BOX/disk-f002.vmdk"
	truncate -s -1 "$BOX/disk-f003.vmdk"
	refuses 10 'extent disk-f003.vmdk is short: 1 bytes of 4096 are missing; put it back'
	truncate -s 0 "$BOX/disk-f003.vmdk"
	refuses 10 'extent disk-f003.vmdk is short: 4096 bytes of 4096 are missing'
	refuses_line 9 'extent disk-f002.vmdk is short: 512 bytes of 8704 are missing' \
		'RW 16 FLAT "disk-f002.vmdk" 1'
}

@test "an extent that may not be read or written is named" {
	chattr +i "$BOX/disk-f001.vmdk"
	refuses 8 'cannot open extent disk-f001.vmdk; see its permissions.*: Operation not permitted'
	chattr -i "$BOX/disk-f001.vmdk"
	# Root that may do everything but pass over permissions.
	chown 65534 "$BOX/disk-f002.vmdk"
	chmod 600 "$BOX/disk-f002.vmdk"
	left_alone 'disk.vmdk:9: cannot open extent disk-f002.vmdk.*: Permission denied' \
		setpriv --bounding-set=-dac_override,-dac_read_search svmdk attach "$DISK"
	mount -o remount,ro "$BACKING"
	refuses 8 'extent disk-f001.vmdk is on a read-only file system; attach read-only'
	svmdk attach --read-only "$DISK"
	svmdk detach "$DISK"
	mount -o remount,rw "$BACKING"
}

@test "an extent that is no regular file is refused" {
	local extent=$BOX/disk-f002.vmdk
	rm "$extent"
	mkdir "$extent"
	refuses 9 'extent disk-f002.vmdk is a directory, not a file'
	rmdir "$extent"
	mkfifo "$extent"
	refuses 9 'extent disk-f002.vmdk is a FIFO, not a file'
	rm "$extent"
	mknod "$extent" c 1 5
	refuses 9 'extent disk-f002.vmdk is a character device, not a file'
	rm "$extent"
	mknod "$extent" b 7 0
	refuses 9 'extent disk-f002.vmdk is a block device;.*--allow-outside DIR'
	rm "$extent"
	perl -MSocket -e 'socket(my $s, PF_UNIX, SOCK_STREAM, 0); bind($s, sockaddr_un($ARGV[0])) or die' \
		"$extent"
	refuses 9 'extent disk-f002.vmdk is a socket, not a file'
}

@test "a symbolic link is not followed, wherever it is" {
	mv "$BOX/disk-f002.vmdk" "$BOX/real"
	ln -s real "$BOX/disk-f002.vmdk"
	refuses 9 'extent disk-f002.vmdk is a symbolic link.*; name the file itself'
	mkdir "$BOX/folder"
	mv "$BOX/real" "$BOX/folder/disk-f002.vmdk"
	ln -s folder "$BOX/link"
	refuses_line 9 'extent link/disk-f002.vmdk is a symbolic link, or there is one on the way' \
		'RW 16 FLAT "link/disk-f002.vmdk" 0'
	refuses_line 9 'extent /proc/self/root/etc/passwd is outside' \
		'RW 1 FLAT "/proc/self/root/etc/passwd" 0'
}

@test "an extent outside of the folder is refused, whoever it belongs to" {
	random_bytes 8192 >"$BACKING/secret"
	refuses_line 9 'extent ../secret is outside the descriptor.s folder;.*--allow-outside DIR' \
		'RW 16 FLAT "../secret" 0'
	refuses_line 9 'extent ../box/../secret is outside' 'RW 16 FLAT "../box/../secret" 0'
	refuses_line 9 'extent /etc/passwd is outside' 'RW 1 FLAT "/etc/passwd" 0'
	refuses_line 9 'extent /job/disks/spare is outside' 'RW 1 FLAT "/job/disks/spare" 0'
	not_pinned "$BACKING"
	write_descriptor "$DISK" 'RW 16 FLAT "../secret" 0'
	svmdk attach --allow-outside "$BACKING" "$DISK"
}

@test "the descriptor cannot be its own extent, by whatever name" {
	refuses_line 9 'extent disk.vmdk is the descriptor itself' 'RW 1 FLAT "disk.vmdk" 0'
	rm "$BOX/disk-f002.vmdk"
	ln "$DISK" "$BOX/disk-f002.vmdk"
	refuses 9 'extent disk-f002.vmdk is the descriptor itself'
}

# A manifest of it would be written over it.
@test "what svmdk keeps beside the descriptor cannot be an extent, by whatever name" {
	local name extent sum
	for name in disk.vmdk.sha256 disk.vmdk.svmdk .disk.vmdk.svmdk-files; do
		random_bytes 8192 >"$BOX/$name"
		ln "$BOX/$name" "$BOX/other"
		sum=$(md5sum "$BOX/$name")
		for extent in "$name" other; do
			refuses_line 9 "extent $extent is what svmdk keeps as $name beside the descriptor, and would be overwritten; give one of them another name" \
				"RW 16 FLAT \"$extent\" 0"
			sed "9s|.*|RW 16 FLAT \"$extent\" 0|" "$BATS_TEST_TMPDIR/good" >"$DISK"
			refused "extent $extent is what svmdk keeps as $name" svmdk manifest "$DISK"
			equal "$sum" "$(md5sum "$BOX/$name")"
		done
		rm "$BOX/$name" "$BOX/other"
	done
	refuses_line 9 "extent .svmdk-disk.vmdk.tmp is named like svmdk's own temporary files" \
		'RW 16 FLAT ".svmdk-disk.vmdk.tmp" 0'
}

@test "the same sectors twice are refused, unless none of them can be written" {
	refuses_line 9 'extent disk-f001.vmdk holds sectors that line 8 has too \(disk-f001.vmdk\)' \
		'RW 8 FLAT "disk-f001.vmdk" 0'
	refuses_line 9 '.*holds sectors that line 8 has too' 'RW 1 FLAT "disk-f001.vmdk" 7'
	refuses_line 9 '.*holds sectors that line 8 has too' 'RDONLY 8 FLAT "disk-f001.vmdk" 0'
	ln "$BOX/disk-f001.vmdk" "$BOX/again"
	refuses_line 9 'extent again holds sectors that line 8 has too' 'RW 8 FLAT "again" 0'
	write_descriptor "$DISK" 'RW 8 FLAT "disk-f001.vmdk" 0' 'RW 8 FLAT "again" 0'
	svmdk attach --read-only "$DISK"
}

@test "a descriptor that is no text of a disk is refused" {
	: >"$DISK"
	left_alone 'disk.vmdk: empty; restore the descriptor' svmdk attach "$DISK"
	random_bytes 4096 >"$DISK"
	left_alone 'disk.vmdk: (binary data|not a VMDK descriptor)' svmdk attach "$DISK"
	printf '\0\0\0\0' >"$DISK"
	left_alone 'disk.vmdk: binary data, not a VMDK descriptor' svmdk attach "$DISK"
	{ printf KDMV && head -c 1020 /dev/zero; } >"$DISK"
	left_alone 'disk.vmdk: a sparse VMDK \(KDMV\).*qemu-img convert' svmdk attach "$DISK"
	echo 'Dear Sir or Madam,' >"$DISK"
	left_alone 'disk.vmdk: not a VMDK descriptor: it does not begin with' svmdk attach "$DISK"
	make_container "$DISK" 8
	yes '# padding' | head -c 1M >>"$DISK"
	left_alone 'disk.vmdk: larger than 1 MiB, so it is no descriptor' svmdk attach "$DISK"
	left_alone 'box: a directory; name the container.s descriptor' svmdk attach "$BOX"
	left_alone 'disk-f001.vmdk: (binary|not a VMDK)' svmdk attach "$BOX/disk-f001.vmdk"
	left_alone 'nothing.vmdk: .*No such file' svmdk attach "$BOX/nothing.vmdk"
	rm "$DISK"
	mkfifo "$DISK"
	left_alone 'disk.vmdk: not a regular file' svmdk attach "$DISK"
}

@test "a descriptor that was cut is refused, wherever that was" {
	cp "$DISK" "$BATS_TEST_TMPDIR/good"
	local bytes
	# In the second extent's name, and right before its offset.
	bytes=$(grep -bo 'f002' "$DISK" | cut -d: -f1)
	head -c $((bytes + 2)) "$BATS_TEST_TMPDIR/good" >"$DISK"
	refuses 9 'the quote that begins .* never ends; the text ends here without a newline, so it was probably cut: restore'
	head -c $((bytes + 10)) "$BATS_TEST_TMPDIR/good" >"$DISK"
	refuses 9 '.*the text ends here without a newline, so it was probably cut'
	head -n 5 "$BATS_TEST_TMPDIR/good" >"$DISK"
	left_alone 'disk.vmdk: there are no extents; is the text whole' svmdk attach "$DISK"
	head -n 3 "$BATS_TEST_TMPDIR/good" >"$DISK"
	left_alone 'disk.vmdk: there is no createType line; is the text whole' svmdk attach "$DISK"
}

@test "a bad number in an extent's line is refused" {
	refuses_line 9 'the number of sectors is no number: 16x' 'RW 16x FLAT "disk-f002.vmdk" 0'
	refuses_line 9 'the number of sectors has a sign: -16' 'RW -16 FLAT "disk-f002.vmdk" 0'
	refuses_line 9 'an extent of no sectors; remove the line' 'RW 0 FLAT "disk-f002.vmdk" 0'
	refuses_line 9 'the extent.s offset is no number: 0x10' 'RW 1 FLAT "disk-f002.vmdk" 0x10'
	refuses_line 9 'the number of sectors is too large: 18446744073709551616' \
		'RW 18446744073709551616 ZERO'
	refuses_line 9 'the number of sectors is too large: 18014398509481984' \
		'RW 18014398509481984 ZERO'
	# The sum, with eight sectors before it.
	refuses_line 9 'the extents up to here add up to 2\^63 bytes or more' \
		'RW 18014398509481976 ZERO'
	refuses_line 9 'the extent.s offset is too large: 18014398509481983' \
		'RW 1 FLAT "disk-f002.vmdk" 18014398509481983'
}

@test "an unknown type, access or line is refused" {
	refuses_line 9 'unknown extent type FAT; svmdk reads FLAT, VMFS and ZERO' \
		'RW 16 FAT "disk-f002.vmdk" 0'
	refuses_line 9 'unknown access WO; it must be RW, RDONLY or NOACCESS' \
		'WO 16 FLAT "disk-f002.vmdk" 0'
	refuses_line 9 'SPARSE extents are not flat; convert the disk: qemu-img convert' \
		'RW 16 SPARSE "disk-f002.vmdk"'
	refuses_line 9 'VMFSRDM extents are device maps' 'RW 16 VMFSRDM "disk-f002.vmdk"'
	refuses_line 9 'mixed types: VMFS here, FLAT in line 8' 'RW 16 VMFS "disk-f002.vmdk"'
	refuses_line 9 'a FLAT extent needs an offset' 'RW 16 FLAT "disk-f002.vmdk"'
	refuses_line 9 'unknown line: hello' 'hello'
	refuses_line 9 'unknown key moreExtents' 'moreExtents=other.vmdk'
	refuses_line 9 'CID stands here again; it is in line 3 already' 'CID=00000001'
}

@test "a disk that is not whole by itself, or of an unknown kind, is refused" {
	refuses_line 4 'the disk is a child of another one \(parentCID is not ffffffff\)' \
		'parentCID=12345678'
	refuses_line 6 'the disk is a child of another one \(parentFileNameHint\)' \
		'parentFileNameHint="base.vmdk"'
	refuses_line 6 'the disk is encrypted' 'encryptionKeys="vmware:key/list/(pair/(…))"'
	refuses_line 5 'unknown createType threeGbMaxExtentFlat' 'createType="threeGbMaxExtentFlat"'
	refuses_line 5 'createType streamOptimized is not flat; convert' 'createType="streamOptimized"'
	refuses_line 2 'unknown version 4' 'version=4'
}

@test "what is attached already is not attached again, and it is said where" {
	svmdk attach "$DISK"
	ln "$DISK" "$BOX/link.vmdk"
	ln -s disk.vmdk "$BOX/symlink.vmdk"
	write_descriptor "$BOX/other.vmdk" 'RW 8 FLAT "disk-f001.vmdk" 0'
	before=$(state_of "$BOX")
	for name in disk link symlink; do
		fails_with 1 "$name.vmdk: attached already as /dev/svmdk0; svmdk detach /dev/svmdk0 first" \
			svmdk attach "$BOX/$name.vmdk"
	done
	fails_with 1 'other.vmdk:8: extent disk-f001.vmdk is in use by /dev/svmdk0; detach that first' \
		svmdk attach "$BOX/other.vmdk"
	fails_with 1 'other.vmdk:8: extent disk-f001.vmdk is in use by /dev/svmdk0' \
		svmdk attach --read-only "$BOX/other.vmdk"
	equal "$before" "$(state_of "$BOX")"
	equal 3 "$(of_list /dev/svmdk0 MAPPED)"
	read_extents "$DISK" | cmp - <(read_disk /dev/svmdk0)
	svmdk detach /dev/svmdk0
	svmdk attach "$BOX/other.vmdk"
}
