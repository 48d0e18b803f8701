#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# What the tool does with containers beside attaching them: makes them, tells
# what they are and what is wrong with them, fills them, lists them, and gives
# those that were written a new content ID, so that QEMU and its kin can tell.
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

setup() {
	BOX=$BACKING/box
	DISK=$BOX/disk.vmdk
	mkdir "$BOX"
}

teardown() {
	svmdk detach --all
	rm -r "$BOX"
	log_is_clean
}

cid_of() {
	svmdk info --json "$1" | jq -r '.container[0].cid'
}

@test "create makes a container that is mapped at once, and that QEMU reads" {
	equal '' "$(svmdk create "$DISK" 5M -e 2M)"
	equal 'disk-f001.vmdk disk-f002.vmdk disk-f003.vmdk disk.vmdk' "$(cd "$BOX" && echo *)"
	equal '2097152 2097152 1048576' "$(stat -c %s "$BOX"/disk-f00?.vmdk | xargs)"
	qemu-img info --output=json "$DISK" >"$BATS_TEST_TMPDIR/info"
	equal 'vmdk 5242880 twoGbMaxExtentFlat' "$(jq -r \
		'[.format, ."virtual-size", ."format-specific".data."create-type"] | join(" ")' \
		"$BATS_TEST_TMPDIR/info")"
	# All that there is to say of it is true of every disk that is split so.
	equal "svmdk: $DISK: note: do not resize this disk with VirtualBox, which takes its extents to have 2047M each" \
		"$(svmdk check "$DISK" 2>&1)"
	equal /dev/svmdk0 "$(svmdk attach "$DISK")"
	equal 'mapped mapped mapped' "$(ways_of /dev/svmdk0)"
	equal '' "$(read_disk /dev/svmdk0 | tr -d '\0')"
}

@test "a container that was only allocated is mapped once svmdk allocate has run" {
	svmdk create "$DISK" 4M -e 2M --preallocate falloc
	svmdk attach "$DISK"
	equal 'file file' "$(ways_of /dev/svmdk0)"
	equal unwritten "$(reasons_of /dev/svmdk0)"
	write_disk /dev/svmdk0 4096 65536
	svmdk detach "$DISK"
	read_extents "$DISK" >"$BATS_TEST_TMPDIR/before"
	refused 'extent disk-f001.vmdk cannot be mapped: .*fill it with .svmdk allocate' \
		svmdk attach --io mapped "$DISK"
	svmdk allocate "$DISK"
	read_extents "$DISK" | cmp - "$BATS_TEST_TMPDIR/before"
	svmdk attach --io mapped "$DISK"
	equal 'mapped mapped' "$(ways_of /dev/svmdk0)"
	read_disk /dev/svmdk0 | cmp - "$BATS_TEST_TMPDIR/before"
	refused 'disk.vmdk: attached as /dev/svmdk0; detach it first' svmdk allocate "$DISK"
}

@test "info tells what a descriptor says, for people and for programs" {
	write_descriptor "$DISK" 'RW 8 FLAT "a b.vmdk" 16' 'RDONLY 4 FLAT "c.vmdk" 0' 'RW 6 ZERO'
	svmdk info --json "$DISK" >"$BATS_TEST_TMPDIR/info"
	equal "$DISK 18 9216 twoGbMaxExtentFlat 3 1 5d4c3b2a ide 16 16 63" "$(jq -r '.container[0] |
		[.name, .sectors, .size, .type, .extents, .version, .cid, .adapter, .cylinders,
		.heads, .track_sectors] | map(tostring) | join(" ")' "$BATS_TEST_TMPDIR/info")"
	equal 'a b.vmdk|8|0|16|RW|FLAT|8
c.vmdk|4|8|0|RDONLY|FLAT|9
null|6|12|0|RW|ZERO|10' "$(jq -r '.container[0].children[] |
		[.name, .sectors, .start, .offset, .access, .type, .line] | map(tostring) | join("|")' \
		"$BATS_TEST_TMPDIR/info")"
	svmdk info "$DISK" | grep -q '^Size: *9K (9216 bytes, 18 sectors)$'
	svmdk info "$DISK" | grep -q '^a b.vmdk *4K *8 *0 *16 RW *FLAT *8$'
	fails_with 1 'nothing.vmdk: .*No such file' svmdk info "$BOX/nothing.vmdk"
}

# says KIND TEXT: a line of the last check
says() {
	grep -qE "^svmdk: $DISK:([0-9]+:)? $1$2" "$BATS_TEST_TMPDIR/check" || {
		cat "$BATS_TEST_TMPDIR/check"
		echo "does not say: $1$2"
		return 1
	}
}

# checked STATUS: svmdk check ends so
checked() {
	local got=0
	svmdk check "$DISK" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/check" || got=$?
	cat "$BATS_TEST_TMPDIR/check"
	equal "$1" "$got"
	[ ! -s "$BATS_TEST_TMPDIR/stdout" ]
}

@test "check finds every extent that keeps a container from being attached" {
	make_container "$DISK" 8 8 8 8
	write_descriptor "$DISK" 'RW 8 FLAT "disk-f001.vmdk" 0' 'RW 8 FLAT "disk-f002.vmdk" 0' \
		'RW 4 FLAT "disk-f001.vmdk" 4' 'RW 8 FLAT "disk-f003.vmdk" 0' 'RW 8 FLAT "../x" 0'
	checked 1
	truncate -s 4095 "$BOX/disk-f002.vmdk"
	rm "$BOX/disk-f003.vmdk"
	checked 1
	says '' 'extent disk-f002.vmdk is short: 1 bytes of 4096 are missing'
	says '' 'extent disk-f001.vmdk holds sectors that line 8 has too \(disk-f001.vmdk\)'
	says '' 'extent disk-f003.vmdk does not exist'
	says '' 'extent ../x is outside the descriptor.s folder'
	equal 4 "$(grep -cvE ' (note|warning): ' "$BATS_TEST_TMPDIR/check")"
}

@test "check notes what is not written, and warns of what is too long" {
	random_bytes 4096 >"$BOX/long.vmdk"
	truncate -s 1M "$BOX/hole.vmdk"
	fallocate -l 1M "$BOX/unwritten.vmdk"
	sync
	write_descriptor "$DISK" 'RW 6 FLAT "long.vmdk" 0' 'RW 2048 FLAT "hole.vmdk" 0' \
		'RW 2048 FLAT "unwritten.vmdk" 0'
	checked 0
	says 'warning: ' 'extent long.vmdk is longer than the descriptor says; its last 1024 bytes'
	says 'note: ' 'extent hole.vmdk is not fully written: 1M '
	says 'note: ' 'extent unwritten.vmdk is not fully written: 1M '
	says 'note: ' '2 of 3 extents cannot be mapped as they are.*svmdk allocate'
}

@test "check warns of what other programs refuse or damage" {
	random_bytes 1536 >"$BOX/a.vmdk"
	printf '%s\n' '# Disk DescriptorFile' 'version=1' 'CID=1' 'parentCID=ffffffff' \
		'createType=monolithicFlat' '' 'RW 1 FLAT "a.vmdk" 0' 'RDONLY 1 FLAT "a.vmdk" 1' \
		'rw 1 flat "a.vmdk" 2' 'RW 1 ZERO' 'ddb.geometry.cylinders = "99"' \
		'ddb.geometry.heads = "255"' 'ddb.geometry.sectors = "63"' >"$DISK"
	truncate -s 512 "$DISK"
	checked 0
	says 'warning: ' 'QEMU cuts the end of a descriptor whose length is a multiple of 512'
	says 'warning: ' 'QEMU refuses the descriptor: it knows only createType="'
	says 'warning: ' 'VMware expects one extent of a monolithicFlat disk, and there are 4'
	says 'warning: ' 'the geometry says that the disk is larger than its extents'
	says 'warning: ' 'QEMU counts an extent twice that stands right after a blank line'
	says 'warning: ' 'QEMU skips RDONLY extents'
	says 'warning: ' 'QEMU skips lower-case extents'
	says 'warning: ' 'QEMU skips ZERO extents.* and the disk too short'
	equal 8 "$(grep -c ' warning: ' "$BATS_TEST_TMPDIR/check")"

	local lines
	mapfile -t lines < <(seq -f 'RW 1 FLAT "a.vmdk" %.0f' 0 2)
	write_descriptor "$DISK" "${lines[@]}"
	sed -i '/geometry/d' "$DISK"
	checked 0
	refused '' grep ' warning: ' "$BATS_TEST_TMPDIR/check"
	truncate -s 2M "$BOX/a.vmdk"
	mapfile -t lines < <(seq -f 'RW 1 FLAT "a.vmdk" %.0f' 0 3999)
	write_descriptor "$DISK" "${lines[@]}"
	yes "# $(printf '%63s' long)" | head -n 900 >>"$DISK"
	checked 0
	says 'warning: ' 'QEMU before 7.2.8 damages a descriptor of more than 10240 bytes'
	says 'warning: ' 'QEMU needs an open file for each of the 4000 extents'
	says 'warning: ' 'VirtualBox refuses a descriptor of more than 1100 lines'
	says 'warning: ' 'VirtualBox refuses a descriptor of more than 128 KiB'
}

@test "list has columns, bytes, names of extents, and JSON" {
	make_container "$DISK" 2048 2048
	truncate -s 1M "$BOX/holes.vmdk"
	write_descriptor "$BOX/other.vmdk" 'RW 2048 FLAT "holes.vmdk" 0' 'RW 8 ZERO'
	equal '' "$(svmdk list)"
	svmdk attach "$DISK"
	svmdk attach -r "$BOX/other.vmdk"
	equal 'NAME SIZE EXTENTS MAPPED RO DIRTY DESCRIPTOR' "$(svmdk list | head -n 1 | xargs)"
	equal "/dev/svmdk0 2M 2 2 0 0 $DISK
/dev/svmdk1 1M 2 0 1 0 $BOX/other.vmdk" "$(svmdk list -n | tr -s ' ')"
	equal '/dev/svmdk1 1052672 2056 file' "$(svmdk list -nb -o NAME,SIZE,SECTORS,WAY svmdk1 | xargs)"
	equal '/dev/svmdk0 2097152' "$(svmdk list -nbo NAME,SIZE "$DISK" | xargs)"
	equal "$(of_list /dev/svmdk0 MEM)" "$(cat /sys/block/svmdk0/svmdk/memory)"
	svmdk list --json >"$BATS_TEST_TMPDIR/list"
	equal "/dev/svmdk0|2097152|2|2|false|0|$DISK|disk|attached
/dev/svmdk1|1052672|2|0|true|0|$BOX/other.vmdk|other|attached" "$(jq -r '.svmdk[] |
		[.name, .size, .extents, .mapped, .ro, .dirty, .descriptor, .container, .state] |
		map(tostring) | join("|")' "$BATS_TEST_TMPDIR/list")"
	equal 'disk-f001.vmdk 0 0 mapped -
disk-f002.vmdk 1 2048 mapped -
holes.vmdk 0 0 file hole
- 1 2048 zero -' "$(jq -r '.svmdk[].children[] |
		[.name // "-", .extent, .start, .way, .reason // "-"] | map(tostring) | join(" ")' \
		"$BATS_TEST_TMPDIR/list")"
	refused 'no column NOSUCH' svmdk list -o NAME,NOSUCH
	equal 2 "$(svmdk list -o NOSUCH >&2 || echo $?)"
	fails_with 1 'svmdk7: not attached; see svmdk list' svmdk list /dev/svmdk7
	# Where the names cannot be had it is said why, to who asks for them.
	grep -v ZERO "$BOX/other.vmdk" >"$BATS_TEST_TMPDIR/other"
	cat "$BATS_TEST_TMPDIR/other" >"$BOX/other.vmdk"
	equal "svmdk: $BOX/other.vmdk: warning: the names of the extents are not known: it has other extents than the disk" \
		"$(svmdk list --json 2>&1 >"$BATS_TEST_TMPDIR/list")"
	equal '["disk-f001.vmdk","disk-f002.vmdk",null,null]' \
		"$(jq -c '[.svmdk[].children[].name]' "$BATS_TEST_TMPDIR/list")"
	equal '' "$(svmdk list 2>&1 >/dev/null)$(svmdk list -e -o WAY 2>&1 >/dev/null)"
}

@test "a container that was written gets a new CID once, one that was read keeps its own" {
	local cid way
	make_container "$DISK" 2048 2048
	for way in mapped file; do
		cid=$(cid_of "$DISK")
		svmdk attach --io $way "$DISK"
		read_disk /dev/svmdk0 >/dev/null
		svmdk detach "$DISK"
		equal "$cid" "$(cid_of "$DISK")"
		svmdk attach --read-only --io $way "$DISK"
		svmdk detach "$DISK"
		equal "$cid" "$(cid_of "$DISK")"

		svmdk attach --io $way "$DISK"
		write_disk /dev/svmdk0 4096 4096
		svmdk detach "$DISK"
		[ "$cid" != "$(cid_of "$DISK")" ]
		cid=$(cid_of "$DISK")
		grep -q "^CID=$cid\$" "$DISK"
		[[ $cid =~ ^[0-9a-f]{8}$ && $cid != ffffffff && $cid != fffffffe ]]
		# Nothing but these digits is new.
		write_descriptor "$BOX/like" 'RW 2048 FLAT "disk-f001.vmdk" 0' \
			'RW 2048 FLAT "disk-f002.vmdk" 0'
		sed "s/^CID=.*/CID=$cid/" "$BOX/like" | cmp - "$DISK"
		rm "$BOX/like"
		qemu-img info "$DISK"
		qemu-img check "$DISK" || [ $? = 63 ] # a flat disk has nothing to check
		svmdk attach "$DISK"
		svmdk detach "$DISK"
		equal "$cid" "$(cid_of "$DISK")"
	done
	equal 'disk-f001.vmdk disk-f002.vmdk disk.vmdk' "$(cd "$BOX" && shopt -s dotglob && echo *)"
	qemu-img convert -O raw "$DISK" "$BOX/raw"
	read_extents "$DISK" | cmp - "$BOX/raw"
}
