#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# What people do with disks: the programs that they use, and those that judge disks
# and file systems. Each works as on any disk, or is refused cleanly, and when it is
# done the disk can be detached.

load ../common
load trials

snapshot=/mnt/snapshot # of what is at $ABOVE

teardown() {
	if [ -e /dev/md/svmdktest ]; then
		mdadm --stop /dev/md/svmdktest
	fi
	multipath -F 2>/dev/null || true
	! mountpoint -q "$snapshot" || umount "$snapshot"
	! mountpoint -q "$ABOVE" || umount -R "$ABOVE"
	vgchange -q -an svmdktest 2>/dev/null || true
	clean_up
}

# attach_new SIZE EXTENT [WAY [TYPE]]: $dev, all zeroes
attach_new() {
	make_backing "${4:-ext4}"
	svmdk create "$BACKING/c.vmdk" "$1" -e "$2"
	dev=$(svmdk attach --io "${3:-mapped}" "$BACKING/c.vmdk")
}

# Nobody is left who holds it, and what is on it is what is in its extents.
lets_go() {
	sync
	udevadm settle
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
	clean_up
}

# verified TYPE WAY: reads and writes of all sizes, each read proved
verified() {
	local end=$((SECONDS + TRIAL_SECONDS / 4)) seed=0
	attach_new 10M 3M "$2" "$1"
	until ((SECONDS > end && seed > 0)); do
		fio --name=mixed --filename="$dev" --direct=1 --ioengine=libaio --iodepth=16 \
			--rw=randrw --rwmixread=30 --bssplit=512/20:4k/40:20k/20:256k/20 \
			--blockalign=512 --size=100% --verify=crc32c --verify_fatal=1 \
			--verify_backlog=64 --randseed=$((++seed)) >"$BATS_TEST_TMPDIR/fio" || {
			cat "$BATS_TEST_TMPDIR/fio"
			return 1
		}
	done
	echo "# $1 $2: $seed rounds of 10 MiB" >&3
	lets_go
}

@test "fio proves mixed reads and writes for long, each way on each file system" {
	local type
	for type in ext4 xfs btrfs; do
		verified $type file
	done
	verified ext4 mapped
	verified xfs mapped
}

check_beneath() {
	eventually umount "$BACKING"
	is_clean "$1" /job/disks/data
}

# stressed BENEATH WAY ABOVE: the stressors of files and of disks, then both checkers
stressed() {
	attach_new 320M 32M "$2" "$1"
	case $3 in
	ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$dev" ;;
	xfs) mkfs.xfs -q "$dev" ;;
	btrfs) mkfs.btrfs -q "$dev" ;;
	esac
	mount "$dev" "$ABOVE"
	stress-ng --temp-path "$ABOVE" --timeout "$((TRIAL_SECONDS / 4))" --verify \
		--hdd 1 --hdd-bytes 16M --hdd-opts wr-rnd,rd-rnd,fsync,direct --aiol 1 \
		--fallocate 1 --fallocate-bytes 16M --fpunch 1 --rename 1 --dentry 1 --dir 1 \
		--iomix 1 --iomix-bytes 16M --sync-file 1 --sync-file-bytes 8M --link 1 \
		--seek 1 --seek-size 8M --rawdev 1 \
		>"$BATS_TEST_TMPDIR/said" 2>&1 || {
		cat "$BATS_TEST_TMPDIR/said"
		return 1
	}
	refused 'not supported' fstrim "$ABOVE"
	umount "$ABOVE"
	is_clean "$3" "$dev"
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
	svmdk detach "$dev"
	check_beneath "$1"
	clean_up
}

@test "stress-ng leaves ext4 on mapped extents on ext4 consistent" {
	stressed ext4 mapped ext4
}

@test "stress-ng leaves XFS on mapped extents on XFS consistent" {
	stressed xfs mapped xfs
}

@test "stress-ng leaves btrfs on mapped extents on ext4 consistent" {
	stressed ext4 mapped btrfs
}

@test "stress-ng leaves ext4 consistent that lies on files of btrfs" {
	stressed btrfs file ext4
}

@test "stress-ng leaves XFS consistent that lies on files of ext4" {
	stressed ext4 file xfs
}

@test "blkdiscard is refused, and with -z writes zeroes, on partitions too" {
	local node
	attach_new 8M 3M
	random_bytes 8M | dd of="$dev" bs=1M iflag=fullblock status=none
	printf '%s\n' 'label: gpt' 'start=2048, size=8192' | sfdisk -q "$dev"
	udevadm settle
	for node in "$dev" "${dev}p1"; do
		read_disk "$node" >"$BATS_TEST_TMPDIR/before"
		refused 'not supported' blkdiscard -f "$node"
		refused 'not supported' blkdiscard -f -s "$node"
		read_disk "$node" | cmp - "$BATS_TEST_TMPDIR/before"
	done
	blkdiscard -f -z "${dev}p1"
	equal '' "$(read_disk "${dev}p1" | tr -d '\0')"
	equal "${dev}p1" "$(sfdisk -l -o Device -q "$dev" | tail -n 1)"
	blkdiscard -f -z "$dev"
	equal '' "$(read_disk "$dev" | tr -d '\0')"
	lets_go
}

@test "blockdev reads and sets what a disk has" {
	attach_new 8M 3M
	equal '16384 512 4096 8388608 0 0' "$(blockdev --getsz --getss --getbsz --getsize64 \
		--getro --getalignoff "$dev" | xargs)"
	blockdev --setra 512 "$dev"
	equal 512 "$(blockdev --getra "$dev")"
	blockdev --setro "$dev"
	equal 1 "$(blockdev --getro "$dev")"
	refused 'not permitted|Read-only' dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct
	blockdev --setrw "$dev"
	write_disk "$dev" 0 4096
	blockdev --flushbufs --rereadpt "$dev"
	blockdev --report "$dev"
	lets_go
}

@test "hdparm times and flushes it, and is refused what only ATA disks have" {
	attach_new 8M 3M
	hdparm -t --direct "$dev" | grep -q 'Timing'
	hdparm -T "$dev" | grep -q 'Timing'
	hdparm -f "$dev" >/dev/null
	hdparm -r1 "$dev" | grep -q 'readonly *= *1'
	hdparm -r0 "$dev" | grep -q 'readonly *= *0'
	hdparm -z "$dev" >/dev/null
	write_disk "$dev" 0 65536
	read_disk "$dev" >"$BATS_TEST_TMPDIR/before"
	for option in -g -I -i -C -W1 -y --security-freeze; do
		run hdparm $option "$dev"
		echo "$option: $status: $output"
		[ "$status" -lt 128 ]
	done
	refused 'Inappropriate ioctl' hdparm -W1 "$dev"
	read_disk "$dev" | cmp - "$BATS_TEST_TMPDIR/before"
	lets_go
}

@test "sg3-utils are told that it is no SCSI disk" {
	local command
	attach_new 8M 3M
	write_disk "$dev" 0 65536
	read_disk "$dev" >"$BATS_TEST_TMPDIR/before"
	for command in sg_inq sg_readcap sg_turs sg_luns 'sg_vpd -p di' sg_modes sg_sync \
		'sg_unmap --lba=0 --num=1' 'sg_format --format' 'sg_write_same --lba=0 --num=8' \
		sg_requests sg_opcodes 'sg_persist -k' 'sg_reset -d' 'sg_start --stop'; do
		# shellcheck disable=SC2086 # words
		refused '' ends $command "$dev"
	done
	read_disk "$dev" | cmp - "$BATS_TEST_TMPDIR/before"
	lets_go
}

@test "parted and partx make, grow and remove partitions, and their nodes follow" {
	attach_new 24M 7M
	parted -s "$dev" mklabel gpt mkpart one ext4 1MiB 9MiB mkpart two 9MiB 100%
	udevadm settle
	[ -b "${dev}p1" ] && [ -b "${dev}p2" ]
	mkfs.ext4 -q "${dev}p1"
	mount "${dev}p1" "$ABOVE"
	random_bytes 2M >"$ABOVE/file"
	md5sum "$ABOVE/file" >"$BATS_TEST_TMPDIR/sum"
	parted -s "$dev" rm 2
	udevadm settle
	[ ! -e "${dev}p2" ]
	# In use, which parted would ask about.
	echo ',19M' | sfdisk -q --no-reread -N 1 "$dev"
	partx -u "$dev"
	resize2fs "${dev}p1"
	equal 19922944 "$(blockdev --getsize64 "${dev}p1")"
	md5sum --quiet -c "$BATS_TEST_TMPDIR/sum"
	fails_with 1 "in use: ${dev##*/}p1 mounted" svmdk detach "$dev"
	umount "$ABOVE"
	e2fsck -fn "${dev}p1"
	parted -sm "$dev" print | grep -q "^$dev:25.2MB:.*:512:512:gpt:"
	parted -s "$dev" mklabel msdos mkpart primary 1MiB 100% set 1 boot on
	udevadm settle
	equal 24117248 "$(blockdev --getsize64 "${dev}p1")"
	lets_go
	[ ! -e "${dev}p1" ]
}

@test "LVM has it for a physical volume: made, extended, moved off, snapshotted, found again" {
	local other lv=/dev/svmdktest/data
	attach_new 48M 16M
	svmdk create "$BACKING/d.vmdk" 48M -e 16M
	other=$(svmdk attach --io file "$BACKING/d.vmdk")
	pvcreate -q "$dev" "$other"
	vgcreate -q svmdktest "$dev"
	lvcreate -q -y -W y -n data -L 24M svmdktest
	mkfs.ext4 -q $lv
	mount $lv "$ABOVE"
	random_bytes 8M >"$ABOVE/file"
	md5sum "$ABOVE/file" >"$BATS_TEST_TMPDIR/sum"
	fails_with 1 "in use: beneath dm-[0-9]+ \(svmdktest-data\)" svmdk detach "$dev"
	vgextend -q svmdktest "$other"
	lvcreate -q -y -s -n snap -L 8M svmdktest/data "$other"
	echo changed >"$ABOVE/changed"
	sync
	mkdir -p "$snapshot"
	mount -o ro /dev/svmdktest/snap "$snapshot"
	cmp "$ABOVE/file" "$snapshot/file"
	[ ! -e "$snapshot/changed" ]
	umount "$snapshot"
	lvremove -q -y svmdktest/snap
	pvmove -q "$dev" "$other"
	vgreduce -q svmdktest "$dev"
	svmdk detach "$dev"
	lvextend -q -r -L 40M svmdktest/data
	md5sum --quiet -c "$BATS_TEST_TMPDIR/sum"
	umount "$ABOVE"
	vgchange -q -an svmdktest
	udevadm settle
	svmdk detach "$other"
	other=$(svmdk attach "$BACKING/d.vmdk")
	udevadm settle
	equal svmdktest "$(vgs --noheadings -o vg_name | xargs)"
	vgchange -q -ay svmdktest
	e2fsck -fn $lv
	mount -o ro $lv "$ABOVE"
	md5sum --quiet -c "$BATS_TEST_TMPDIR/sum"
	umount "$ABOVE"
	vgremove -q -f svmdktest
	pvremove -q "$other"
	svmdk detach "$other"
}

@test "mdadm mirrors two, lives without one, takes it back and agrees" {
	local other md=/dev/md/svmdktest
	# Only as it is told to, rather than by udev meanwhile.
	echo 'AUTO -all' >/etc/mdadm/mdadm.conf
	attach_new 24M 8M
	svmdk create "$BACKING/d.vmdk" 24M -e 8M
	other=$(svmdk attach --io file "$BACKING/d.vmdk")
	mdadm --create $md --run --quiet --metadata=1.2 --level=1 --raid-devices=2 \
		--bitmap=internal --name=svmdktest "$dev" "$other"
	mdadm --wait $md || true
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 $md
	mount $md "$ABOVE"
	random_bytes 4M >"$ABOVE/one"
	fails_with 1 'in use: beneath md' svmdk detach "$other"
	mdadm --quiet $md --fail "$other"
	mdadm --quiet $md --remove "$other"
	svmdk detach "$other"
	random_bytes 4M >"$ABOVE/two"
	sync
	md5sum "$ABOVE"/{one,two} >"$BATS_TEST_TMPDIR/sum"
	other=$(svmdk attach --io mapped "$BACKING/d.vmdk")
	udevadm settle
	mdadm --quiet $md --re-add "$other"
	mdadm --wait $md || true
	umount "$ABOVE"
	echo check >"/sys/block/$(disk_name $md)/md/sync_action"
	mdadm --wait $md || true
	equal 0 "$(cat "/sys/block/$(disk_name $md)/md/mismatch_cnt")"
	# From the one that was away alone.
	mdadm --quiet $md --fail "$dev"
	mdadm --quiet $md --remove "$dev"
	e2fsck -fn $md
	mount $md "$ABOVE"
	md5sum --quiet -c "$BATS_TEST_TMPDIR/sum"
	umount "$ABOVE"
	mdadm --quiet --stop $md
	svmdk detach "$other"
	svmdk detach "$dev"
}

@test "cryptsetup formats, opens, resizes and closes it" {
	local map=svmdktest key=$BATS_TEST_TMPDIR/key
	attach_new 32M 8M
	random_bytes 64 >"$key"
	cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$key" "$dev"
	cryptsetup open --key-file "$key" "$dev" $map
	mkfs.ext4 -q /dev/mapper/$map
	mount /dev/mapper/$map "$ABOVE"
	random_bytes 4M >"$ABOVE/file"
	md5sum "$ABOVE/file" >"$BATS_TEST_TMPDIR/sum"
	fails_with 1 "in use: beneath dm-[0-9]+ \($map\)" svmdk detach "$dev"
	svmdk grow "$dev" 40M
	cryptsetup resize --key-file "$key" $map
	resize2fs /dev/mapper/$map
	md5sum --quiet -c "$BATS_TEST_TMPDIR/sum"
	umount "$ABOVE"
	e2fsck -fn /dev/mapper/$map
	cryptsetup close $map
	cryptsetup luksDump "$dev" >/dev/null
	lets_go
}

@test "dmsetup puts targets of its own on it" {
	local sectors
	attach_new 16M 5M
	random_bytes 16M | dd of="$dev" bs=1M iflag=fullblock oflag=direct status=none
	sectors=$(blockdev --getsz "$dev")
	dmsetup create svmdktest-a --table "0 8192 linear $dev 16384
		8192 8192 striped 2 8 $dev 0 $dev 8192"
	cmp -n 4194304 /dev/mapper/svmdktest-a <(read_disk "$dev" | tail -c +8388609)
	random_bytes 4194304 >"$BATS_TEST_TMPDIR/data"
	dd if="$BATS_TEST_TMPDIR/data" of=/dev/mapper/svmdktest-a bs=1M seek=4 oflag=direct status=none
	dd if=/dev/mapper/svmdktest-a bs=1M skip=4 iflag=direct status=none |
		cmp - "$BATS_TEST_TMPDIR/data"
	dmsetup suspend svmdktest-a
	dmsetup resume svmdktest-a
	dmsetup remove --retry svmdktest-a
	# As one path of several, which is how a user would give it a second name.
	modprobe dm-multipath
	modprobe dm-round-robin
	dmsetup create svmdktest-b --table \
		"0 $sectors multipath 2 queue_mode bio 0 1 1 round-robin 0 1 1 $dev 1000"
	cmp /dev/mapper/svmdktest-b <(read_disk "$dev")
	write_disk /dev/mapper/svmdktest-b 4096 65536
	dmsetup remove --retry svmdktest-b
	lets_go
}

@test "blkid, lsblk and wipefs see what is on it, and multipath leaves it alone" {
	local command
	attach_new 16M 5M
	mkfs.ext4 -q -L svmdklabel "$dev"
	udevadm settle
	equal 'svmdklabel ext4' "$(blkid -p -o value -s LABEL -s TYPE "$dev" | xargs)"
	equal "$dev" "$(blkid -c /dev/null -L svmdklabel)"
	equal "$(readlink -f "$dev")" "$(readlink -f /dev/disk/by-label/svmdklabel)"
	equal "${dev##*/} disk ext4" "$(lsblk -no NAME,TYPE,FSTYPE "$dev" | xargs)"
	for command in 'multipath -v2' "multipath -v2 $dev" "multipath -a $dev" 'multipath -v2'; do
		# shellcheck disable=SC2086 # words
		run ends $command
		echo "$command: $status: $output"
		equal '' "$(ls "/sys/block/${dev##*/}/holders")"
	done
	mount "$dev" "$ABOVE"
	refused 'busy' wipefs -a "$dev"
	umount "$ABOVE"
	wipefs -qa "$dev"
	udevadm settle
	refused '' blkid -p "$dev"
	[ ! -e /dev/disk/by-label/svmdklabel ]
	lets_go
}
