# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# shellcheck shell=bash
#
# What the tests of the guest share: "load common" at the top of a bats file.
# Each test works below $BACKING, a file system that it made itself, and
# leaves nothing behind: clean_up in teardown sees to it. A mapping is called
# svmdktest… when it lies on a disk, svmdkbeneath… when a disk lies on it.

# shellcheck source=tests/vm/complaint.sh
. "${BASH_SOURCE[0]%/*}/complaint.sh"

BACKING=/mnt/backing # the file system that the extents are in
ABOVE=/mnt/above     # the file system on the disk
NULLS=/sys/kernel/config/nullb

# make_backing TYPE [DEVICE [MKFS-OPTION…]]: a new file system at $BACKING
make_backing() {
	local type=$1 device=${2:-/job/disks/data}
	shift
	[ $# = 0 ] || shift
	mkdir -p "$BACKING" "$ABOVE"
	case $type in
	tmpfs)
		mount -t tmpfs -o size=3G tmpfs "$BACKING"
		return
		;;
	ext4) mkfs.ext4 -q -F -E lazy_itable_init=1,nodiscard "$@" "$device" ;;
	xfs) mkfs.xfs -q -f -K "$@" "$device" ;;
	btrfs) mkfs.btrfs -q -f -K "$@" "$device" ;;
	vfat) mkfs.vfat "$@" "$device" >/dev/null ;;
	*) return 1 ;;
	esac
	mount -t "$type" "$device" "$BACKING"
}

# mount_one TYPE DEVICE FOLDER: btrfs takes none that is older than what it has seen
mount_one() {
	if [ "$1" = btrfs ]; then
		[ -d /sys/module/btrfs ] || modprobe btrfs
		btrfs -q device scan --forget
	fi
	mount -t "$1" "$2" "$3"
}

# flakey_table DISK UP DOWN [FEATURE…]: of device-mapper's flakey target for all of it, as
# it is for so many seconds, and then for so many
flakey_table() {
	echo "0 $(blockdev --getsz "$1") flakey $1 0 ${*:2}"
}

# flakey_does DISK UP DOWN [FEATURE…]: so it is from now on, svmdkbeneath that lies on it
flakey_does() {
	dmsetup load svmdkbeneath --table "$(flakey_table "$@")"
	dmsetup resume --noudevsync --noflush --nolockfs svmdkbeneath
}

# make_null NAME MIB: a null_blk in memory, with a queue for polling; its node is in $null.
# Its settings are in $NULLS/NAME, which rmdir takes away.
make_null() {
	modprobe null_blk nr_devices=0
	mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
	mkdir "$NULLS/$1"
	echo "$2" >"$NULLS/$1/size"
	echo 1 >"$NULLS/$1/memory_backed"
	echo 1 >"$NULLS/$1/power"
	null=/dev/nullb$(cat "$NULLS/$1/index")
	# Newer kernels name it as the folder.
	[ -b "$null" ] || null=/dev/$1
	eventually [ -b "$null" ]
}

# In the order that lets go: what is above, the disks, what is beneath.
clean_up() {
	# What a test that failed left frozen would take everything along.
	if mountpoint -q "$BACKING" && fsfreeze -u "$BACKING" 2>/dev/null; then
		echo "thawed $BACKING"
	fi
	mountpoint -q "$ABOVE" && umount -R "$ABOVE"
	remove_mappings svmdktest
	[ ! -e /dev/svmdk-control ] || svmdk detach --all
	mountpoint -q "$BACKING" && umount -R "$BACKING"
	remove_mappings svmdkbeneath
	log_is_clean
}

# The kernel has complained of nothing since this was asked last: of nothing that
# the test did which asks. Teardown does, by clean_up or itself.
log_is_clean() {
	local new
	new=$(dmesg | awk '/svmdk-guest: after / { n = 0; next } { line[n++] = $0 }
		END { for (i = 0; i < n; i++) print line[i] }')
	echo "svmdk-guest: after ${BATS_TEST_FILENAME##*/}: ${BATS_TEST_DESCRIPTION-}" >/dev/kmsg
	! grep -E -m 1 -A 60 "$KERNEL_COMPLAINT" <<<"$new"
}

# is_clean TYPE DEVICE: a file system that is not mounted, by its own checker, which
# changes nothing
is_clean() {
	case $1 in
	ext4) e2fsck -fn "$2" ;;
	xfs) xfs_repair -n "$2" ;;
	btrfs) btrfs check --readonly "$2" ;;
	*) return 1 ;;
	esac
}

# What is left that nobody points to, on a kernel that can tell. It tells nothing
# that is younger than five seconds.
nothing_leaked() {
	local kmemleak=/sys/kernel/debug/kmemleak leaks
	[ -e "$kmemleak" ] || return 0
	echo scan >"$kmemleak"
	sleep 6
	echo scan >"$kmemleak"
	leaks=$(cat "$kmemleak")
	echo clear >"$kmemleak"
	[ -z "$leaks" ] || {
		echo "$leaks"
		return 1
	}
}

# Of files that have none of their own.
teardown_file() {
	nothing_leaked
}

# remove_mappings PREFIX: device-mapper's, by how their names begin
remove_mappings() {
	local mapping
	for mapping in "/dev/mapper/$1"*; do
		[ ! -e "$mapping" ] || dmsetup remove --retry "${mapping##*/}"
	done
}

# A disk's node by what attach prints: /dev/svmdk0 to svmdk0.
disk_name() {
	basename "$(readlink -f "$1")"
}

# of_list DEVICE COLUMN: one field of svmdk list
of_list() {
	svmdk list --noheadings --bytes -o "$2" "$1" | tr -d ' '
}

# A value that no other test has, of N bytes.
random_bytes() {
	/job/programs/noise "$1"
}

# fails_with STATUS TEXT COMMAND…: it ends with STATUS, prints nothing, and
# says TEXT (a regular expression) in one line that begins with "svmdk: "
fails_with() {
	local expected=$1 text=$2 got=0
	shift 2
	"$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" || got=$?
	cat "$BATS_TEST_TMPDIR/stderr"
	[ "$got" = "$expected" ] || {
		echo "status $got, not $expected: $*"
		return 1
	}
	[ ! -s "$BATS_TEST_TMPDIR/stdout" ] || {
		echo "printed: $(cat "$BATS_TEST_TMPDIR/stdout")"
		return 1
	}
	[ "$(wc -l <"$BATS_TEST_TMPDIR/stderr")" = 1 ] || {
		echo "not one line"
		return 1
	}
	grep -qE "^svmdk: .*$text" "$BATS_TEST_TMPDIR/stderr" || {
		echo "does not say: $text"
		return 1
	}
}

# refused TEXT COMMAND…: it fails, and says TEXT (a regular expression)
refused() {
	local text=$1 output
	shift
	if output=$("$@" 2>&1); then
		echo "was done: $*"
		return 1
	fi
	grep -qE "$text" <<<"$output" || {
		echo "does not say $text: $output"
		return 1
	}
}

# eventually COMMAND…: it succeeds, now or a while later
eventually() {
	local end=$((SECONDS + 30 * ${PATIENCE:-1}))
	until "$@"; do
		((SECONDS < end)) || {
			echo "never: $*"
			return 1
		}
		sleep 0.1
	done
}

# No disk is left, nor any that goes by itself: for eventually.
module_is_free() {
	[ "$(cat /sys/module/svmdk/refcnt)" = 0 ]
}

# Every point of a sweep, rather than samples.
thorough() {
	[ -n "${THOROUGH-}" ]
}

# ends COMMAND…: it ends well within a minute (PATIENCE of them). One that hangs in
# the kernel is left behind, which no timeout(1) would do.
ends() {
	local pid end=$((SECONDS + 60 * ${PATIENCE:-1}))
	"$@" &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		((SECONDS < end)) || {
			echo "hangs: $*"
			return 1
		}
		sleep 0.05
	done
	wait "$pid"
}

# held "[OPTION…] CALL N" MEANWHILE COMMAND…: it stops at its Nth CALL, as strace counts with
# these options, and goes on when MEANWHILE was done; what it says in the end, and $status
held() {
	local tracer trace=$BATS_TEST_TMPDIR/trace meanwhile=$2 words nr
	read -ra words <<<"$1"
	nr=$((${#words[@]} - 2))
	shift 2
	status=0
	strace -qq -f -o "$trace" "${words[@]:0:nr}" -e trace="${words[nr]}" \
		-e inject="${words[nr]}:signal=STOP:when=${words[nr + 1]}" \
		"$@" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	tracer=$!
	eventually grep -q 'stopped by SIGSTOP' "$trace"
	eval "$meanwhile"
	pkill -CONT -P "$tracer"
	# shellcheck disable=SC2034 # for who calls this
	wait "$tracer" || status=$?
	cat "$BATS_TEST_TMPDIR/said"
	rm "$trace"
}

# equal WANTED GOT: two texts; shows them when they differ
equal() {
	[ "$1" = "$2" ] || {
		printf 'wanted: %s\n   got: %s\n' "$1" "$2"
		return 1
	}
}

# write_descriptor FILE LINE…: a descriptor with these lines of extents
write_descriptor() {
	local file=$1
	shift
	{
		printf '# Disk DescriptorFile\nversion=1\nCID=5d4c3b2a\nparentCID=ffffffff\n'
		printf 'createType="twoGbMaxExtentFlat"\n\n# Extent description\n'
		printf '%s\n' "$@"
		printf '\n# The Disk Data Base\n#DDB\n\n'
		printf 'ddb.%s\n' 'virtualHWVersion = "4"' 'geometry.cylinders = "16"' \
			'geometry.heads = "16"' 'geometry.sectors = "63"' 'adapterType = "ide"'
	} >"$file"
}

# make_container FILE SECTORS…: extents of these sizes, of random content and
# fully written, with their descriptor; named as svmdk create would
make_container() {
	local file=$1 sectors name number=0 lines=()
	shift
	for sectors in "$@"; do
		printf -v name '%s-f%03d.vmdk' "${file%.vmdk}" $((++number))
		random_bytes $((sectors * 512)) >"$name"
		lines+=("RW $sectors FLAT \"${name##*/}\" 0")
	done
	write_descriptor "$file" "${lines[@]}"
}

# The extents of a container that make_container or svmdk create made, as one.
read_extents() {
	cat "${1%.vmdk}"-f*.vmdk
}

# cat_disk FILE: what is on the disk by its descriptor, also by one that resplit is
# halfway with; from its folder
cat_disk() {
	local sectors name offset
	awk '/^RW/ { print $2, $4, $5 }' "$1" | while read -r sectors name offset; do
		dd if="${name//\"/}" bs=512 skip="$offset" count="$sectors" status=none
	done
}

# killed_at "CALL N" COMMAND…: it begins its Nth such call, and no more, if it gets that far
killed_at() {
	local at=$1
	shift
	strace -qq -f -o /dev/null -e trace="${at% *}" \
		-e inject="${at% *}:signal=KILL:when=${at#* }" "$@" || true
}

# flip_bit FILE OFFSET: one bit of the byte there, and nobody shall see by its times
# that it was
flip_bit() {
	local mtime byte
	mtime=$(stat -c %y "$1")
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf '%b' "\\x$(printf %02x $((byte ^ 4)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
	touch -d "$mtime" "$1"
}

# What is on a disk, past its page cache.
read_disk() {
	dd if="$1" iflag=direct bs=1M status=none
}

# write_disk DEVICE OFFSET BYTES [FLAG…]: random bytes, in one I/O past the page
# cache, no flush
write_disk() {
	random_bytes "$3" | dd of="$1" bs="$3" count=1 seek="$2" status=none iflag=fullblock \
		oflag="direct,seek_bytes${4:+,$4}"
}

# The way of each extent of a disk, in a line, and the reasons, a line each.
ways_of() {
	svmdk list --json "$1" | jq -r '[.svmdk[].children[].way] | join(" ")'
}

reasons_of() {
	svmdk list --json "$1" | jq -r '.svmdk[].children[].reason // "none"' | uniq
}

# disk_stat NAME FIELD…: fields of /sys/block/NAME/stat, counted from 1: 1 and 3
# reads and their sectors, 5 and 7 writes, 16 flushes
disk_stat() {
	local name=$1 field
	local -a stat
	shift
	read -ra stat <"/sys/block/$name/stat"
	for field; do
		echo "${stat[field - 1]}"
	done | xargs
}
