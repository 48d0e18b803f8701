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
	clean_up
}

# make_many COUNT SECTORS: extents of numbers, no two sectors alike
make_many() {
	local count=$1 sectors=$2
	seq -f '%015.0f' $((count * sectors * 32)) |
		split -b $((sectors * 512)) -a 4 --numeric-suffixes=1 --additional-suffix=.vmdk \
			- "$BACKING/many-f"
	sync
	{
		printf '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n'
		printf 'createType="twoGbMaxExtentFlat"\n\n# Extent description\n'
		seq -f "RW $sectors FLAT \"many-f%04g.vmdk\" 0" "$count"
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
