#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Descriptors that other programs wrote, in the wild: each is attached, or
# refused, as the table beside them says. They are not part of this source.
#
# One kernel will do, the last.

load common

CORPUS=/job/corpus

setup_file() {
	[ -d "$CORPUS" ] || return 0
	make_backing xfs
	modprobe svmdk
}

teardown_file() {
	[ -d "$CORPUS" ] || return 0
	clean_up
	nothing_leaked
}

setup() {
	[ -d "$CORPUS" ] || skip "the corpus of descriptors is not here"
}

teardown() {
	[ -d "$CORPUS" ] || return 0
	svmdk detach --all
	local name
	for name in $(dmsetup ls | grep -o '^svmdktest[^[:space:]]*'); do
		dmsetup remove --retry "$name"
	done
	rm -f /dev/sdb1 /dev/sdc[1-5] /dev/sdd /dev/disk/by-partlabel/D1_1600_1623 \
		/tmp/testvc-pt-flat.vmdk
	rm -rf "${BACKING:?}"/*
	log_is_clean
}

# The table's rows: NAME|EXTENTS|SECTORS|VERDICT
rows() {
	sed -nE 's/^\| ([^ |]+) \| [^|]* \| ([0-9]+) \| ([0-9]+) \| (.*) \|$/\1|\2|\3|\4/p' \
		"$CORPUS/README.md"
}

# extents_of FILE: SECTORS OFFSET NAME of each that has a file, a line each
extents_of() {
	tr -d '\r\0' <"$1" | LC_ALL=C sed -nE \
		-e 's/^(RW|RDONLY) ([0-9]+) (FLAT|VMFS) "([^"]*)" ([0-9]+).*/\2 \5 \4/p' \
		-e 's/^(RW|RDONLY) ([0-9]+) VMFS "([^"]*)"[^0-9]*$/\2 0 \3/p'
}

# Holes of the right size, where the descriptor names them; in the first and
# the last sector of each is its number and "first" or "last".
make_extents() {
	local sectors offset name number=0 file
	while read -r sectors offset name; do
		# Elsewhere there is nothing to be found.
		[[ $name != /* ]] || continue
		file=$BACKING/$name
		truncate -s $(((offset + sectors) * 512)) "$file"
		printf '%-511s\n' "$number last" |
			dd of="$file" bs=512 seek=$((offset + sectors - 1)) conv=notrunc status=none
		printf '%-511s\n' "$number first" |
			dd of="$file" bs=512 seek="$offset" conv=notrunc status=none
		number=$((number + 1))
	done < <(extents_of "$1")
}

# sector_of DEVICE SECTOR: the text in it
sector_of() {
	dd if="$1" bs=512 skip="$2" count=1 status=none | tr -d '\0' | sed 's/ *$//'
}

# Each extent where the sum of those before it says, in a disk of FLAT extents.
check_extents() {
	local sectors offset name number=0 start=0
	while read -r sectors offset name; do
		equal "$number first" "$(sector_of "$2" "$start")"
		start=$((start + sectors))
		equal "$number last" "$(sector_of "$2" $((start - 1)))"
		number=$((number + 1))
	done < <(extents_of "$1")
}

# What attach says for the word of the table's verdict.
error_for() {
	case $1 in
	*outside*) echo 'is outside the descriptor.s folder' ;;
	*encrypted*) echo 'the disk is encrypted .*, and a child of another disk' ;;
	*child*) echo 'the disk is a child of another one' ;;
	*SPARSE*) echo ':[0-9]+: SPARSE extents are not flat' ;;
	*VMFSRDM*) echo ':[0-9]+: VMFSRDM extents are device maps' ;;
	*syntax*) echo ':[0-9]+: doubled quotes' ;;
	*'no such file'*) echo ':[0-9]+: extent .* does not exist' ;;
	*) echo "no error is known for: $1" ;;
	esac
}

@test "every descriptor of the corpus is attached or refused as its table says" {
	local name extents sectors verdict file attached=0 refusals=0
	while IFS='|' read -r name extents sectors verdict; do
		echo "$name: $verdict"
		file=$BACKING/$name.vmdk
		cp "$CORPUS/descriptors/$name.vmdk" "$file"
		if [[ $verdict == attach* ]]; then
			make_extents "$file"
			equal /dev/svmdk0 "$(svmdk attach "$file")"
			equal "$sectors" "$(of_list /dev/svmdk0 SECTORS)"
			equal "$extents" "$(of_list /dev/svmdk0 EXTENTS)"
			equal "$sectors" "$(blockdev --getsz /dev/svmdk0)"
			check_extents "$file" /dev/svmdk0
			svmdk detach /dev/svmdk0
			attached=$((attached + 1))
		else
			[[ $verdict == refuse* ]]
			[[ $verdict != *outside* ]] || make_extents "$file"
			fails_with 1 "$name.vmdk.*$(error_for "$verdict")" svmdk attach "$file"
			equal '' "$(svmdk list --noheadings)"
			refusals=$((refusals + 1))
		fi
		rm -f "$BACKING"/*
	done < <(rows)
	equal "$(find "$CORPUS/descriptors" -name '*.vmdk' | wc -l)" $((attached + refusals))
}

# make_disk NODE SECTORS: reads as zeroes, and is as large as asked
make_disk() {
	local name=svmdktest-${1##*/}
	dmsetup create "$name" --table "0 $2 zero"
	mkdir -p "${1%/*}"
	mknod "$1" b "$(dmsetup info -c --noheadings -o major "$name")" \
		"$(dmsetup info -c --noheadings -o minor "$name")"
}

@test "a disk of partitions of other disks is attached with --allow-outside" {
	local file=$BACKING/disk.vmdk sectors offset name total
	cp "$CORPUS/descriptors/createvmdk-partitionedDevice.vmdk" "$file"
	total=$(rows | sed -n 's/^createvmdk-partitionedDevice|[0-9]*|\([0-9]*\)|.*/\1/p')
	truncate -s $((96 * 512)) /tmp/testvc-pt-flat.vmdk
	while read -r sectors offset name; do
		[[ $name != /dev/* ]] || make_disk "$name" "$sectors"
	done < <(extents_of "$file")
	printf first | dd of=/tmp/testvc-pt-flat.vmdk conv=notrunc status=none
	printf tail | dd of=/tmp/testvc-pt-flat.vmdk bs=512 seek=95 conv=notrunc status=none

	fails_with 1 'disk.vmdk:10: extent /tmp/testvc-pt-flat.vmdk is outside' svmdk attach "$file"
	fails_with 1 'disk.vmdk:12: extent /dev/sdd is outside' \
		svmdk attach --allow-outside /tmp "$file"
	svmdk attach --allow-outside /tmp --allow-outside /dev "$file"
	equal "$total" "$(of_list /dev/svmdk0 SECTORS)"
	equal 12 "$(of_list /dev/svmdk0 EXTENTS)"
	equal first "$(sector_of /dev/svmdk0 0)"
	equal tail "$(sector_of /dev/svmdk0 $((total - 1)))"
	equal '' "$(sector_of /dev/svmdk0 $((total / 2)))"
	svmdk list --extents
}
