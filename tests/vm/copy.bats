#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# svmdk copy makes a copy of a container, in use or not, as it was at one moment,
# copies only what changed, and leaves the copy what it was until the new one is
# complete. What it froze it thaws, whatever happens.
#
# One kernel will do, the last.

load common

copy=$BACKING/to     # on the file system that the extents are on, too
copied=/mnt/copied   # where the copy's own disk is mounted
thawed_by=svmdk-thaw # the process that does it

teardown() {
	[ -z "${writer-}" ] || { kill "$writer" && wait "$writer"; } 2>/dev/null || true
	fsfreeze -u "$ABOVE" 2>/dev/null || true
	mountpoint -q "$copied" && umount "$copied"
	mountpoint -q "$ABOVE/inner" && umount "$ABOVE/inner"
	[ -z "${loop-}" ] || losetup -d "$loop" || true
	mountpoint -q /mnt/small && umount /mnt/small
	clean_up
	[ -z "${vg-}" ] || vgremove -qq -f -y "$vg"
	rm -rf /tmp/copied
}

# make_disk BACKING-TYPE SIZE [IO]: attached as $dev, extents of 8 MiB
make_disk() {
	make_backing "$1"
	mkdir "$copy"
	svmdk create -e 8M "$BACKING/c.vmdk" "$2"
	dev=$(svmdk attach --io "${3:-auto}" "$BACKING/c.vmdk")
}

# mount_above TYPE [DEVICE]: a new file system on it at $ABOVE
mount_above() {
	case $1 in
	ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "${2:-$dev}" ;;
	xfs) mkfs.xfs -q -K "${2:-$dev}" ;;
	btrfs) mkfs.btrfs -q -K "${2:-$dev}" ;;
	vfat) mkfs.vfat "${2:-$dev}" >/dev/null ;;
	esac
	mount -t "$1" "${2:-$dev}" "$ABOVE"
}

ext4_disk() {
	make_disk ext4 64M
	mount_above ext4
	random_bytes 20M >"$ABOVE/file"
}

copy_it() {
	svmdk copy "$BACKING/c.vmdk" "$copy"
}

same_extents() {
	local file
	for file in "$BACKING"/c[.-]*; do
		cmp "$file" "$copy/${file##*/}"
	done
}

is_thawed() {
	ends touch "$ABOVE/thawed"
	ends sync -f "$ABOVE/thawed"
	eventually no_guard
}

no_guard() {
	! pgrep -x -r R,S,D "$thawed_by" >/dev/null
}

# nothing_left: besides the copy itself
nothing_left() {
	equal "" "$(find "$copy" -name '.*svmdk*')"
}

# Generations: each is in b only after it is in a, and both are on disk.
write_generations() {
	local number=0
	while :; do
		((++number))
		echo $number >"$ABOVE/a.new" && sync "$ABOVE/a.new" && mv "$ABOVE/a.new" "$ABOVE/a"
		sync -f "$ABOVE"
		echo $number >"$ABOVE/b.new" && sync "$ABOVE/b.new" && mv "$ABOVE/b.new" "$ABOVE/b"
		sync -f "$ABOVE"
		random_bytes 300K >"$ABOVE/data$((number % 10))"
	done
}

has_generation() {
	[ "$(cat "$ABOVE/b" 2>/dev/null || echo 0)" -ge "$1" ]
}

# The copy is a disk of its own.
attach_copy() {
	svmdk detach "$dev"
	dev=$(svmdk attach "$copy/c.vmdk")
}

one_moment() {
	local type=$1 before a b
	mount_above "$type"
	random_bytes 20M >"$ABOVE/file"
	write_generations &
	writer=$!
	eventually has_generation 2
	copy_it
	before=$(cat "$ABOVE/b")
	eventually has_generation $((before + 2))
	before=$(cat "$ABOVE/b")
	copy_it | tee "$BATS_TEST_TMPDIR/said"
	grep -qE '^[0-9]+ of [0-9]+ extents copied, .*; frozen for [0-9]+\.[0-9]{2} s, [0-9]+ copied meanwhile$' \
		"$BATS_TEST_TMPDIR/said"
	kill "$writer"
	wait "$writer" || true
	writer=
	cp "$ABOVE/file" "$BATS_TEST_TMPDIR/file"
	umount "$ABOVE"
	attach_copy
	# A frozen XFS has something left in its log; ext4 is clean.
	[ "$type" != ext4 ] || is_clean ext4 "$dev"
	mkdir -p "$copied"
	mount "$dev" "$copied"
	cmp "$BATS_TEST_TMPDIR/file" "$copied/file"
	a=$(cat "$copied/a")
	b=$(cat "$copied/b")
	echo "before $before, in the copy: a $a, b $b"
	[ "$b" -ge "$before" ]
	((a == b || a == b + 1))
	umount "$copied"
	[ "$type" = ext4 ] || is_clean "$type" "$dev"
}

@test "a copy of a disk in use is of one moment: ext4 on mapped extents" {
	make_disk ext4 64M mapped
	one_moment ext4
}

@test "a copy of a disk in use is of one moment: XFS on mapped extents" {
	make_disk xfs 320M mapped
	one_moment xfs
}

@test "a copy of a disk in use is of one moment: btrfs on extents of a btrfs" {
	make_disk btrfs 160M
	one_moment btrfs
}

# By the mtimes of the originals, and by the inodes of the copies.
@test "only extents that were written are copied again" {
	local written changed file
	ext4_disk
	copy_it
	sync -f "$ABOVE"
	written=$(of_list "$dev" DIRTY)
	[ "$written" -gt 3 ]
	(cd "$BACKING" && stat -c '%n %y' c-f*) >"$BATS_TEST_TMPDIR/times"
	(cd "$copy" && stat -c '%n %i' c-f*) >"$BATS_TEST_TMPDIR/inodes"
	random_bytes 100 >"$ABOVE/small"
	copy_it | tee "$BATS_TEST_TMPDIR/said"
	changed=$(cd "$BACKING" && stat -c '%n %y' c-f* | diff - "$BATS_TEST_TMPDIR/times" |
		sed -n 's/^< \([^ ]*\) .*/\1/p')
	echo "$changed"
	[ "$(wc -w <<<"$changed")" -lt 8 ]
	equal "$changed" "$(cd "$copy" && stat -c '%n %i' c-f* | diff - "$BATS_TEST_TMPDIR/inodes" |
		sed -n 's/^< \([^ ]*\) .*/\1/p')"
	grep -q "^$(wc -w <<<"$changed") of 8 extents copied" "$BATS_TEST_TMPDIR/said"
	umount "$ABOVE"
	copy_it
	same_extents
	equal "0 of 8 extents copied, 0B" "$(copy_it)"
	nothing_left
}

@test "copies keep mode, owner, modification time and holes" {
	make_backing ext4
	mkdir "$copy"
	svmdk create --preallocate falloc -e 8M "$BACKING/c.vmdk" 24M
	chown 1234:2345 "$BACKING/c-f002.vmdk"
	chmod 640 "$BACKING/c-f002.vmdk"
	touch -d '2020-02-02 02:02:02.123456789' "$BACKING/c-f002.vmdk"
	copy_it
	same_extents
	for file in c.vmdk c-f00{1,2,3}.vmdk; do
		equal "$(stat -c '%a %u %g %y %s' "$BACKING/$file")" \
			"$(stat -c '%a %u %g %y %s' "$copy/$file")"
	done
	[ "$(stat -c %b "$copy/c-f002.vmdk")" -lt 100 ]
}

@test "extents in folders below, with blanks and other bytes in their names" {
	local odd=$'ex tr\xe4 \xc3\xa4.vmdk'
	make_backing ext4
	mkdir -p "$copy" "$BACKING/b l/two"
	random_bytes 1M >"$BACKING/b l/two/$odd"
	random_bytes 1M >"$BACKING/plain"
	write_descriptor "$BACKING/c.vmdk" "RW 2048 FLAT \"b l/two/$odd\" 0" \
		'RW 1024 FLAT "plain" 0' 'RW 1024 FLAT "./plain" 1024' 'RW 8 ZERO' 'NOACCESS 8 FLAT "no" 0'
	equal "2 of 2 extents copied, 2M" "$(copy_it)"
	cmp "$BACKING/b l/two/$odd" "$copy/b l/two/$odd"
	cmp "$BACKING/plain" "$copy/plain"
	svmdk check "$copy/c.vmdk"
	random_bytes 10 | dd of="$BACKING/b l/two/$odd" conv=notrunc status=none
	equal "1 of 2 extents copied, 1M" "$(copy_it)"
	cmp "$BACKING/b l/two/$odd" "$copy/b l/two/$odd"
	nothing_left
}

@test "what is outside of the container's folder is not copied: it is refused" {
	make_backing ext4
	mkdir -p "$copy" "$BACKING/in" "$BACKING/out"
	random_bytes 1M >"$BACKING/out/e"
	for name in ../out/e "$BACKING/out/e" ./../out/e; do
		write_descriptor "$BACKING/in/c.vmdk" "RW 2048 FLAT \"$name\" 0"
		fails_with 1 "c.vmdk:8: extent .*outside of the descriptor's folder" \
			svmdk copy "$BACKING/in/c.vmdk" "$copy"
	done
	equal "" "$(ls -A "$copy")"
	# Nor is anything written outside of the folder to copy to.
	mkdir "$BACKING/in/sub"
	random_bytes 1M >"$BACKING/in/sub/e"
	write_descriptor "$BACKING/in/c.vmdk" 'RW 2048 FLAT "sub/e" 0'
	ln -s "$BACKING/out" "$copy/sub"
	cp "$BACKING/out/e" "$BATS_TEST_TMPDIR/e"
	refused "sub" svmdk copy "$BACKING/in/c.vmdk" "$copy"
	cmp "$BACKING/out/e" "$BATS_TEST_TMPDIR/e"
}

@test "what lies on partitions, device-mapper and loop devices above is frozen too" {
	modprobe loop
	make_disk ext4 96M
	printf 'label: gpt\n,64M\n' | sfdisk -q "$dev"
	udevadm settle
	dmsetup create svmdktest-above --table "0 $(blockdev --getsz "${dev}p1") linear ${dev}p1 0"
	mount_above ext4 /dev/mapper/svmdktest-above
	truncate -s 16M "$ABOVE/image"
	loop=$(losetup -f --show "$ABOVE/image")
	mkfs.ext4 -q "$loop"
	mkdir "$ABOVE/inner"
	mount "$loop" "$ABOVE/inner"
	random_bytes 1M >"$ABOVE/inner/file"
	random_bytes 1M >"$ABOVE/file"
	# Not synced: only a freeze puts it on the disk.
	strace -f -e trace=ioctl -o "$BATS_TEST_TMPDIR/trace" svmdk copy "$dev" "$copy"
	grep -E 'FIFREEZE|FITHAW' "$BATS_TEST_TMPDIR/trace"
	[ "$(grep -cE 'FIFREEZE.*= 0' "$BATS_TEST_TMPDIR/trace")" = 2 ]
	is_thawed
	cp "$ABOVE/inner/file" "$BATS_TEST_TMPDIR/inner"
	umount "$ABOVE/inner"
	losetup -d "$loop"
	umount "$ABOVE"
	dmsetup remove --retry svmdktest-above
	attach_copy
	mount "${dev}p1" "$ABOVE"
	loop=$(losetup -f --show "$ABOVE/image")
	fsck.ext4 -fn "$loop"
	mount "$loop" "$ABOVE/inner"
	cmp "$BATS_TEST_TMPDIR/inner" "$ABOVE/inner/file"
}

@test "LUKS on the disk: what is mounted from it is frozen, and the copy opens clean" {
	make_disk ext4 64M
	printf secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$dev" -
	printf secret | cryptsetup open --key-file - "$dev" svmdktest-luks
	mount_above ext4 /dev/mapper/svmdktest-luks
	random_bytes 5M >"$ABOVE/file"
	cp "$ABOVE/file" "$BATS_TEST_TMPDIR/file"
	strace -f -y -e trace=ioctl -o "$BATS_TEST_TMPDIR/trace" svmdk copy "$dev" "$copy"
	grep -E 'FIFREEZE|FITHAW' "$BATS_TEST_TMPDIR/trace"
	equal 1 "$(grep -cE 'FIFREEZE.*= 0$' "$BATS_TEST_TMPDIR/trace")"
	equal 1 "$(grep -cE "<$ABOVE>, FIFREEZE.*= 0$" "$BATS_TEST_TMPDIR/trace")"
	is_thawed
	umount "$ABOVE"
	cryptsetup close svmdktest-luks
	attach_copy
	printf secret | cryptsetup open --key-file - "$dev" svmdktest-luks
	fsck.ext4 -fn /dev/mapper/svmdktest-luks
	mount /dev/mapper/svmdktest-luks "$ABOVE"
	cmp "$ABOVE/file" "$BATS_TEST_TMPDIR/file"
	[ ! -e "$ABOVE/thawed" ]
}

@test "a folder on what would be frozen is refused, and nothing is" {
	ext4_disk
	mkdir "$ABOVE/copy"
	fails_with 1 "$ABOVE/copy: lies on $ABOVE" svmdk copy "$dev" "$ABOVE/copy"
	equal "" "$(ls -A "$ABOVE/copy")"
	fails_with 1 "the container's own folder" svmdk copy "$dev" "$BACKING"
	fails_with 1 "No such file" svmdk copy "$dev" "$BACKING/none"
	is_thawed
}

@test "what somebody else froze stays frozen, and the copy what it was" {
	ext4_disk
	copy_it
	random_bytes 1M >"$ABOVE/file2"
	fsfreeze -f "$ABOVE"
	fails_with 1 "frozen already" svmdk copy "$dev" "$copy"
	touch "$ABOVE/x" &
	sleep 1
	# It waits still, which no signal would end.
	[[ $(cat "/proc/$!/stat") == *") D "* ]]
	fsfreeze -u "$ABOVE"
	wait $!
	is_thawed
}

@test "what cannot be frozen is refused, and copied without when nothing writes" {
	make_disk ext4 64M
	mount_above vfat
	random_bytes 1M >"$ABOVE/file"
	fails_with 1 "vfat cannot be frozen" svmdk copy "$dev" "$copy"
	sync -f "$ABOVE"
	svmdk copy --no-freeze "$dev" "$copy"
	same_extents
}

write_on() {
	exec fio --name=on --filename="$dev" --rw=randwrite --bs=4k --size=64M --direct=1 --time_based \
		--runtime=600 >/dev/null 3>&-
}

has_openers() {
	[ "$(of_list "$dev" OPENERS)" != 0 ]
}

@test "a disk that goes on being written is not copied, and who has it is said" {
	make_disk ext4 64M
	copy_it
	cp -a "$copy" "$BACKING/before"
	write_on &
	writer=$!
	eventually has_openers
	refused "$dev: goes on being written.*held open by [0-9]+ \(fio\)" svmdk copy "$dev" "$copy"
	diff -r "$BACKING/before" "$copy" --exclude='.*'
	kill "$writer"
	wait "$writer" || true
	writer=
	copy_it
	same_extents
}

# What a guest's own user meets: the copy is a container like any other.
@test "a copy that is attached is left alone" {
	make_backing ext4
	mkdir "$copy"
	svmdk create -e 8M "$BACKING/c.vmdk" 24M
	copy_it
	svmdk attach "$copy/c.vmdk"
	random_bytes 10 | dd of="$BACKING/c-f002.vmdk" conv=notrunc status=none
	fails_with 1 "$copy/c.vmdk: the copy is in use" svmdk copy "$BACKING/c.vmdk" "$copy"
	svmdk detach --all
	copy_it
	same_extents
}

# hit signal=…|error=…|delay_enter=… CALL NUMBER: copy, and be hit at that call
hit() {
	{
		strace -o "$BATS_TEST_TMPDIR/trace" -e trace="$2,sendto" -e "inject=$2:$1:when=$3" \
			svmdk copy "$dev" "$copy" >"$BATS_TEST_TMPDIR/out" 2>&1
	} 2>/dev/null
}

# The second message to the guard comes while all is frozen.
@test "killed while frozen it is thawed" {
	local status
	ext4_disk
	copy_it
	for signal in KILL SEGV; do
		status=0
		hit signal=$signal sendto 2 || status=$?
		[ "$status" -gt 128 ]
		is_thawed
	done
}

@test "interrupted while frozen it thaws, says so, and leaves the copy as it was" {
	ext4_disk
	copy_it
	cp -a "$copy" "$BACKING/before"
	for signal in INT TERM HUP; do
		random_bytes 1M >"$ABOVE/$signal"
		refused "interrupted.*run svmdk copy again" hit_loudly signal=$signal sendto 2
		is_thawed
		diff -r --exclude='.*' "$BACKING/before" "$copy"
	done
	copy_it
	nothing_left
}

hit_loudly() {
	hit "$@"
	local status=$?
	cat "$BATS_TEST_TMPDIR/out"
	return $status
}

# Each freeze and thaw of ext4 changes the same few extents. Three calls alike: how
# often the second one writes before the freeze, is when the third one is hit.
@test "a full disk while frozen: it thaws, and the copy is as it was" {
	local calls trace=$BATS_TEST_TMPDIR/trace
	ext4_disk
	copy_it
	strace -o "$trace" -e trace=pwrite64,sendto svmdk copy "$dev" "$copy"
	calls=$(sed '/sendto/,$d' "$trace" | grep -c pwrite64)
	cp -a "$copy" "$BACKING/before"
	refused "No space left.*run svmdk copy again" hit_loudly error=ENOSPC pwrite64 $((calls + 1))
	grep -q 'sendto.*"F"' "$trace"
	is_thawed
	diff -r --exclude='.*' "$BACKING/before" "$copy"
	copy_it
	nothing_left
}

@test "a disk that is too full is seen before; a disk that fills up leaves the copy as it was" {
	ext4_disk
	mkdir -p /mnt/small
	mount -t tmpfs -o size=20M tmpfs /mnt/small
	fails_with 1 "No space left.*run svmdk copy again" svmdk copy "$dev" /mnt/small
	[ ! -e /mnt/small/c.vmdk ]
	umount /mnt/small
	mkfs.ext4 -q -F /job/disks/spare 20M
	mount /job/disks/spare /mnt/small
	fails_with 1 "not enough room: 64M are needed" svmdk copy "$dev" /mnt/small
	is_thawed
}

is_frozen() {
	grep -q '^recvfrom.* = 8$' "$BATS_TEST_TMPDIR/trace"
}

@test "the process that thaws is killed: it is thawed all the same" {
	ext4_disk
	copy_it
	# Slow enough to be met while frozen, which is when the guard has answered.
	strace -o "$BATS_TEST_TMPDIR/trace" -e trace=sendto,recvfrom \
		-e inject=sendto:delay_enter=5000000:when=2 svmdk copy "$dev" "$copy" &
	eventually is_frozen
	pkill -KILL -x "$thawed_by"
	wait $!
	is_thawed
}

@test "one that no longer moves is thawed after a minute, and says that it failed" {
	local begun
	ext4_disk
	copy_it
	begun=$SECONDS
	refused "no progress for 60 seconds" hit_loudly delay_enter=75000000 sendto 2
	is_thawed
	((SECONDS - begun >= 60))
}

# A generation is the same bytes in two extents: in a copy, too, be it the last
# one, this one, or one that an earlier call had complete and not yet in place.
next_generation() {
	local bytes=$BATS_TEST_TMPDIR/generation extent
	random_bytes 100 >"$bytes"
	for extent in 1 3; do
		dd if="$bytes" of="$BACKING/c-f00$extent.vmdk" conv=notrunc status=none
	done
}

of_one_moment() {
	[ -e "$copy/c.vmdk" ] || return 0 # nobody can attach it
	cmp -n 100 "$copy/c-f001.vmdk" "$copy/c-f003.vmdk"
}

# killed_at CALL TIDY: at its first call, its second… and a copy after each TIDY
# of these, so that what one left is there for the next one too
killed_at() {
	local number status=1
	for ((number = 1; status != 0; number++)); do
		next_generation
		status=0
		hit signal=KILL "$1" $number || status=$?
		echo "$1 $number: $status"
		of_one_moment
		[ $status = 0 ] || ((++kills))
		if [ $status = 0 ] || ((number % $2 == 0)); then
			copy_it
			same_extents
			nothing_left
		fi
	done
}

@test "killed at any call that changes something: the copy is of one moment" {
	local call kills=0
	make_backing ext4
	mkdir "$copy"
	make_container "$BACKING/c.vmdk" 2048 2048 2048 2048
	dev=$BACKING/c.vmdk
	next_generation
	copy_it
	if thorough; then
		for call in mkdirat pwrite64 ftruncate fchmod syncfs utimensat renameat unlinkat; do
			killed_at $call 1
		done
	fi
	killed_at fsync 2
	for call in renameat unlinkat; do
		killed_at $call 3
	done
	echo "killed $kills times"
	[ $kills -gt 10 ]
}

@test "what was copied before an interruption is not copied again" {
	make_backing ext4
	mkdir "$copy"
	make_container "$BACKING/c.vmdk" 2048 2048 2048 2048
	dev=$BACKING/c.vmdk
	# At the first of the renames all are on disk.
	refused '' hit signal=KILL renameat 4
	[ ! -e "$copy/c.vmdk" ]
	equal "1 of 4 extents copied, 1M" "$(copy_it)"
	same_extents
	nothing_left
}

@test "two at once: the second says so" {
	make_backing ext4
	mkdir "$copy" "$BACKING/other"
	make_container "$BACKING/c.vmdk" 2048 2048
	exec 8<"$BACKING/c.vmdk"
	flock 8
	fails_with 1 "in use" svmdk copy "$BACKING/c.vmdk" "$copy"
	exec 8<&-
	mkdir -m 700 "$copy/.c.vmdk.svmdk-copy"
	exec 8<"$copy/.c.vmdk.svmdk-copy"
	flock 8
	fails_with 1 "another svmdk command is copying" svmdk copy "$BACKING/c.vmdk" "$copy"
	exec 8<&-
	copy_it
	same_extents
}

@test "a copy is verified by itself: nothing, or what was written since the manifest" {
	ext4_disk
	umount "$ABOVE"
	svmdk detach "$dev"
	svmdk manifest "$BACKING/c.vmdk"
	copy_it
	svmdk verify "$copy/c.vmdk"
	(cd "$copy" && sha256sum --quiet -c c.vmdk.sha256)
	dev=$(svmdk attach "$BACKING/c.vmdk")
	mount "$dev" "$ABOVE"
	random_bytes 1M >"$ABOVE/file2"
	copy_it
	svmdk verify "$copy/c.vmdk"
	svmdk manifest "$BACKING/c.vmdk"
	copy_it
	svmdk verify "$copy/c.vmdk"
	umount "$ABOVE"
	svmdk detach "$dev"
	copy_it
	svmdk verify "$copy/c.vmdk"
	svmdk manifest "$BACKING/c.vmdk"
	copy_it
	svmdk verify "$copy/c.vmdk" | grep -F ' 0 changed'
	# Damage is found there as it would be at home.
	printf x | dd of="$copy/c-f003.vmdk" bs=1 seek=4097 conv=notrunc status=none
	touch -r "$BACKING/c-f003.vmdk" "$copy/c-f003.vmdk"
	refused "c-f003.vmdk" svmdk verify "$copy/c.vmdk"
}

# copy_snapshot FOLDER: what is in it is a container at rest, as it was when
# $ABOVE/file had the sum $sum
copy_snapshot() {
	mkdir /tmp/copied
	svmdk copy "$1/c.vmdk" /tmp/copied
	umount "$ABOVE"
	svmdk detach "$dev"
	dev=$(svmdk attach /tmp/copied/c.vmdk)
	fsck.ext4 -fn "$dev"
	mount "$dev" "$ABOVE"
	equal "$sum" "$(md5sum <"$ABOVE/file")"
	umount "$ABOVE"
	svmdk detach "$dev"
	rm -r /tmp/copied
}

# With all that a snapshot of the store beneath must have, and what comes after.
snapshot() {
	mount_above ext4
	random_bytes 10M >"$ABOVE/file"
	sum=$(md5sum <"$ABOVE/file")
	svmdk snapshot "$BACKING/c.vmdk" "$@" 2>&1 | tee "$BATS_TEST_TMPDIR/said"
	grep -qE "^svmdk: $dev: note: frozen for [0-9.]+ s$" "$BATS_TEST_TMPDIR/said"
	is_thawed
	random_bytes 10M >"$ABOVE/file"
	sync -f "$ABOVE"
}

@test "an LVM snapshot of what the extents are on is copied without haste" {
	vg=svmdkbeneath
	vgcreate -qq -y $vg "$(readlink -f /job/disks/spare)"
	lvcreate -qq -y -W n -n store -L 1G $vg
	make_backing ext4 /dev/$vg/store
	svmdk create -e 8M "$BACKING/c.vmdk" 64M
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	snapshot lvcreate -qq -y -s -n snap -L 256M $vg/store
	mkdir -p /mnt/small
	mount -o ro /dev/$vg/snap /mnt/small
	copy_snapshot /mnt/small
	umount /mnt/small
}

@test "a btrfs snapshot of what the extents are on is copied without haste" {
	make_backing btrfs
	svmdk create -e 8M "$BACKING/c.vmdk" 64M
	dev=$(svmdk attach "$BACKING/c.vmdk")
	snapshot btrfs subvolume snapshot -r "$BACKING" "$BACKING/snap"
	copy_snapshot "$BACKING/snap"
}

# shellcheck disable=SC2016 # it is the command's own shell that knows them
@test "a command that fails while frozen: it is thawed, and the failure told" {
	ext4_disk
	fails_with 1 "false ended with status 1" svmdk snapshot "$dev" false
	fails_with 1 "false ended with status 1" \
		ends env --ignore-signal=CHLD svmdk snapshot "$dev" false
	fails_with 1 "cannot run /none: No such file" svmdk snapshot "$dev" /none
	fails_with 1 "sh was killed by signal 9" svmdk snapshot "$dev" sh -c 'kill -KILL $$'
	refused "" svmdk snapshot "$dev" sh -c 'kill -KILL $PPID'
	is_thawed
	refused "interrupted" svmdk snapshot "$dev" sh -c 'kill -INT $PPID; sleep 20'
	is_thawed
	fails_with 1 "not attached" svmdk snapshot "$copy" true
}
