#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A container may have thousands of extents: more than files may be open at
# once, at a known price in the kernel's memory, and each of them where it
# belongs. And one may have as few or as odd ones as a user asks for.
#
# One kernel will do.

load common

setup() {
	make_backing ext4
}

teardown() {
	cd /
	clean_up
}

# make_many COUNT SECTORS: extents of numbers, no two sectors alike
make_many() {
	local count=$1 sectors=$2 digits=${#1}
	seq -f '%015.0f' $((count * sectors * 32)) |
		split -b $((sectors * 512)) -a "$digits" --numeric-suffixes=1 --additional-suffix=.vmdk \
			- "$BACKING/many-f"
	sync
	{
		printf '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n'
		printf 'createType="twoGbMaxExtentFlat"\n\n# Extent description\n'
		seq -f "RW $sectors FLAT \"many-f%0${digits}g.vmdk\" 0" "$count"
	} >"$BACKING/many.vmdk"
}

# At most 64 bytes a run and 256 an extent, and a page for the disk itself.
within_memory() {
	local disk=/sys/block/svmdk0/svmdk runs memory
	runs=$(of_list /dev/svmdk0 RUNS)
	memory=$(cat $disk/memory)
	echo "# $memory bytes for $(cat $disk/extents) extents in $runs runs" >&3
	((memory <= 64 * runs + 256 * $(cat $disk/extents) + 4096))
}

@test "8,192 extents attach, read right, and are all listed" {
	make_many 8192 8
	local io start sector number
	for io in mapped file; do
		start=$(date +%s%N)
		bash -c "ulimit -n 1024 && exec svmdk attach --io $io '$BACKING/many.vmdk'"
		echo "# attach of 8192 extents, $io: $((($(date +%s%N) - start) / 1000000)) ms" >&3
		equal 8192 "$(of_list /dev/svmdk0 EXTENTS)"
		equal $((8192 * 8)) "$(of_list /dev/svmdk0 SECTORS)"
		equal 8193 "$(svmdk list --extents --noheadings | wc -l)"
		within_memory
		# First and last sectors of extents: each begins with its number in the disk.
		for number in 0 1 63 64 65 1023 1024 4095 4096 8190 8191; do
			for sector in $((number * 8)) $((number * 8 + 7)); do
				equal "$(printf '%015d' $((sector * 32 + 1)))" \
					"$(dd if=/dev/svmdk0 bs=512 skip=$sector count=1 status=none | head -n 1)"
			done
		done
		cat "$BACKING"/many-f*.vmdk | cmp - <(read_disk /dev/svmdk0)
		svmdk detach /dev/svmdk0
	done
	# With next to no files that may be open.
	bash -c "ulimit -n 70 && exec svmdk attach '$BACKING/many.vmdk'"
	equal 8192 "$(of_list /dev/svmdk0 MAPPED)"
}

@test "extents of a few sectors and of 2 GiB, and an odd end, make one disk" {
	local large=$((4194304 + 1)) # sectors
	svmdk create "$BACKING/large.vmdk" ${large}s -e 2G --preallocate falloc
	equal '2147483648 512' "$(stat -c %s "$BACKING"/large-f00?.vmdk | xargs)"
	svmdk attach "$BACKING/large.vmdk"
	equal $large "$(of_list /dev/svmdk0 SECTORS)"
	write_disk /dev/svmdk0 $(((large - 2) * 512)) 1024
	cmp <(tail -c 512 "$BACKING/large-f001.vmdk" && cat "$BACKING/large-f002.vmdk") \
		<(dd if=/dev/svmdk0 bs=512 skip=$((large - 2)) status=none)
	svmdk detach --all
	svmdk create "$BACKING/small.vmdk" 9s -e 2s
	equal '1024 1024 1024 1024 512' "$(stat -c %s "$BACKING"/small-f00?.vmdk | xargs)"
	svmdk attach "$BACKING/small.vmdk"
	equal 9 "$(of_list /dev/svmdk0 SECTORS)"
	svmdk detach --all
	svmdk create "$BACKING/one.vmdk" 1M -e 2G
	equal 1048576 "$(stat -c %s "$BACKING"/one-f*.vmdk)"
	refused 'larger than 2G' svmdk create "$BACKING/no.vmdk" 4G -e 2049M
}

# took WHAT START: a line of the log, with milliseconds
took() {
	echo "# $1: $((($(date +%s%N) - $2) / 1000000)) ms" >&3
}

# In the order of the descriptor, and with no process for each.
cat_extents() {
	sed -n 's/^RW .* "\(.*\)".*/\1/p' many.vmdk | xargs cat
}

@test "10,000 extents are hashed, listed, verified and grown; with THOROUGH=yes joined and split" {
	local start listed
	make_many 10000 8
	cd "$BACKING"
	start=$(date +%s%N)
	svmdk manifest many.vmdk
	took "manifest of 10000 extents" "$start"
	svmdk attach many.vmdk
	write_disk /dev/svmdk0 $((6789 * 4096)) 512
	write_disk /dev/svmdk0 $((9999 * 4096)) 512
	svmdk detach /dev/svmdk0
	start=$(date +%s%N)
	listed=$(svmdk changed many.vmdk | xargs)
	took "changed of 10000 extents" "$start"
	equal "many-f06790.vmdk many-f10000.vmdk many.vmdk many.vmdk.sha256 many.vmdk.svmdk" "$listed"
	flip_bit many-f00002.vmdk 99
	start=$(date +%s%N)
	svmdk verify many.vmdk >"$BATS_TEST_TMPDIR/found" || equal 1 $?
	took "verify of 10000 extents" "$start"
	grep -qx 'damaged   many-f00002.vmdk: .*' "$BATS_TEST_TMPDIR/found"
	equal "10001 files: 9997 intact, 3 changed, 0 modified, 1 damaged" \
		"$(tail -n 1 "$BATS_TEST_TMPDIR/found")"
	cat_extents >"$BATS_TEST_TMPDIR/all"
	start=$(date +%s%N)
	svmdk grow many.vmdk +800s --preallocate falloc
	took "grow of 10000 extents by 100" "$start"
	equal 10100 "$(grep -c ^RW many.vmdk)"
	head -c 409600 /dev/zero >>"$BATS_TEST_TMPDIR/all"
	cat_extents | cmp - "$BATS_TEST_TMPDIR/all"
	# A minute each way, in an emulated machine.
	thorough || return 0
	start=$(date +%s%N)
	svmdk resplit many.vmdk -e 1000s
	took "resplit of 10100 extents to 81" "$start"
	equal 81 "$(grep -c ^RW many.vmdk)"
	cat_extents | cmp - "$BATS_TEST_TMPDIR/all"
	start=$(date +%s%N)
	svmdk resplit many.vmdk -e 8s --no-compare
	took "resplit of 81 extents to 10100" "$start"
	equal 10100 "$(grep -c ^RW many.vmdk)"
	cat_extents | cmp - "$BATS_TEST_TMPDIR/all"
	equal 10101 "$(find . -type f | wc -l)"
}

# Holes all but for these places: ends of extents, and what lies between.
places=(0 1234432 2147479552 2147483648 3221225472 4294963200 4294967296 5368709120 6442446848)

read_places() {
	local place
	for place in "${places[@]}"; do
		dd if="$1" bs=4k count=1 skip="$place" iflag=skip_bytes status=none
	done
}

# has_places SUM: through the driver
has_places() {
	svmdk attach -r large.vmdk
	equal "$1" "$(read_places /dev/svmdk0 | md5sum)"
	svmdk detach /dev/svmdk0
}

@test "extents of 2 GiB are grown and split anew; with THOROUGH=yes hashed and verified" {
	local place start sum
	cd /
	clean_up
	make_backing xfs
	cd "$BACKING"
	truncate -s 2G large-f00{1,2,3}.vmdk
	write_descriptor large.vmdk 'RW 4194304 FLAT "large-f001.vmdk" 0' \
		'RW 4194304 FLAT "large-f002.vmdk" 0' 'RW 4194304 FLAT "large-f003.vmdk" 0'
	svmdk attach large.vmdk
	for place in "${places[@]}"; do
		write_disk /dev/svmdk0 "$place" 4096
	done
	sum=$(read_places /dev/svmdk0 | md5sum)
	svmdk detach /dev/svmdk0
	start=$(date +%s%N)
	svmdk resplit large.vmdk -e 1500M
	took "resplit of 6 GiB, mostly holes" "$start"
	equal "3072000 3072000 3072000 3072000 294912" "$(awk '/^RW/ { print $2 }' large.vmdk | xargs)"
	has_places "$sum"
	svmdk resplit large.vmdk -e 2G --low-space
	equal "4194304 4194304 4194304" "$(awk '/^RW/ { print $2 }' large.vmdk | xargs)"
	has_places "$sum"
	svmdk grow large.vmdk +1G --preallocate falloc
	svmdk grow large.vmdk +2G --preallocate falloc
	equal "4194304 4194304 4194304 4194304 2097152" "$(awk '/^RW/ { print $2 }' large.vmdk | xargs)"
	has_places "$sum"
	# Minutes, in an emulated machine.
	thorough || return 0
	start=$(date +%s%N)
	truncate -s 2G one-f001.vmdk
	write_descriptor one.vmdk 'RW 4194304 FLAT "one-f001.vmdk" 0'
	svmdk manifest one.vmdk
	took "manifest of 2 GiB" "$start"
	start=$(date +%s%N)
	printf x | dd of=one-f001.vmdk bs=1 seek=2147483647 conv=notrunc status=none
	refused "modified  one-f001.vmdk" svmdk verify one.vmdk
	took "verify of 2 GiB" "$start"
}
