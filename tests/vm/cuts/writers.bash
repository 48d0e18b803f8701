# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A container that is written until the power fails, and what has to be true of it
# afterwards. What a trial is about is in $beneath (the extents' file system), $way,
# $on_it (raw, or the file system on the disk), $nocow (yes, or empty) and $SEED.
# Sourced after common.bash, never run.
# shellcheck disable=SC2154

was=() # of each manifest, a folder with the files as they were

# quietly COMMAND…: what it says is of interest only when it fails
quietly() {
	local said
	said=$("$@" 2>&1) || {
		echo "$said"
		return 1
	}
}

# make_above DEVICE: as small as they can be
make_above() {
	case $on_it in
	ext4) quietly mkfs.ext4 -b 4096 "$1" ;;
	xfs) quietly mkfs.xfs --unsupported "$1" ;;
	btrfs) quietly mkfs.btrfs -M "$1" ;;
	esac
}

# make_beneath DEVICE
make_beneath() {
	case $beneath in
	ext4) quietly make_backing ext4 "$1" -b 4096 ;;
	xfs) quietly make_backing xfs "$1" --unsupported ;;
	btrfs) quietly make_backing btrfs "$1" ;;
	esac
}

# make_box DEVICE: what is on it anew, with an empty container, which is not attached.
# On a bare disk the extents divide blocks of 4 KiB; a file system's would be half
# written when the power fails, which is nothing that it allows for.
make_box() {
	local size=24M
	make_beneath "$1"
	mkdir "$BACKING/box"
	cd "$BACKING/box" || return
	[ -z "$nocow" ] || chattr +C .
	if [ "$on_it" = raw ]; then
		svmdk create c.vmdk 12M -e 8191s
	else
		# XFS has two groups from there on; of one alone its checker is not sure.
		[ "$on_it" != xfs ] || size=36M
		svmdk create c.vmdk "$size" -e 6M
		device=$(svmdk attach c.vmdk)
		make_above "$device"
		svmdk detach "$device"
	fi
}

# keep_manifest FOLDER: a new one, and there the files as it has them (copies that
# share blocks with an extent would keep it from being mapped)
keep_manifest() {
	quietly svmdk manifest c.vmdk
	mkdir "$1"
	cp -p --reflink=never c-f*.vmdk c.vmdk c.vmdk.sha256 "$1"
	was+=("$1")
}

open_disk() {
	device=$(svmdk attach --io "$way" c.vmdk)
	[ "$on_it" = raw ] || mount_one "$on_it" "$device" "$ABOVE"
}

close_disk() {
	[ "$on_it" = raw ] || umount "$ABOVE"
	svmdk detach "$device"
}

# writers check|write ARGUMENT…: of the disk, or of the files on it
writers() {
	local what=$1
	shift
	if [ "$on_it" = raw ]; then
		/job/programs/writers "$what" raw "$device" "$SEED" "$@"
	else
		/job/programs/writers "$what" files "$ABOVE" "$SEED" "$@"
	fi
}

# Of the manifest that is there, the folder: in $kept.
find_kept() {
	local manifest
	manifest=$(<c.vmdk.sha256)
	for kept in "${was[@]}"; do
		[ "$manifest" != "$(<"$kept/c.vmdk.sha256")" ] || return 0
	done
	equal "one of the manifests" "$manifest"
}

# Each file that is not as when the manifest was made is listed, and is not taken for
# the old one by its mtime. Of the descriptor only the content ID may have changed.
misses_no_change() {
	local listed kept name old new
	listed=$'\n'$(svmdk changed c.vmdk)$'\n'
	find_kept
	for name in c-f*.vmdk c.vmdk; do
		[[ $listed == *$'\n'$name$'\n'* && $name -nt $kept/$name ]] ||
			cmp "$name" "$kept/$name"
	done
	old=$(<"$kept/c.vmdk") new=$(<c.vmdk)
	equal "${old/$'\n'CID=????????/}" "${new/$'\n'CID=????????/}"
}

# has_rounds ACKNOWLEDGED…: attached, it has all these, and what is on it is whole
has_rounds() {
	open_disk
	writers check "$@"
	if [ "$on_it" != raw ]; then
		umount "$ABOVE"
		quietly is_clean "$on_it" "$device"
	fi
	svmdk detach "$device"
}

# survived DEVICE ACKNOWLEDGED…: the power cut before which these were; that svmdk
# changed is asked before the next attach half of the times, by chance
survived() {
	local on=$1 when=$((RANDOM % 2))
	shift
	mount_one "$beneath" "$on" "$BACKING"
	cd "$BACKING/box" || return
	quietly svmdk check c.vmdk
	((when)) || misses_no_change
	has_rounds "$@"
	((!when)) || misses_no_change
	cd /
	umount "$BACKING"
	quietly is_clean "$beneath" "$on"
}
