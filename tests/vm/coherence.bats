#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# A read of an extent file through its file system that starts after a write to
# the disk completed sees that write, whichever way the extent has, and
# whatever of the file was cached before.

load common

odd=(4097 2049 4095 1023) # sectors: pages of the disk are none of a file

teardown() {
	[ -z "${readers-}" ] || kill "${readers[@]}" || true
	[ -z "${READER_PID-}" ] || kill "$READER_PID" || true
	clean_up
}

# In a page of a file, in parts of two, across extents, while all is cached.
writes_are_seen() {
	local place
	cmp <(read_extents "$BACKING/c.vmdk") <(read_disk "$dev")
	for place in 0:512 5120:4096 $((4096 * 512)):4096 $((4097 * 512)):512 3200000:1200128; do
		write_disk "$dev" "${place%:*}" "${place#*:}"
		cmp <(read_extents "$BACKING/c.vmdk") <(read_disk "$dev")
	done
	# Through the page cache of the disk it is a write once it is flushed.
	random_bytes 1000000 | dd of="$dev" bs=1000000 conv=fsync,notrunc status=none
	cmp <(read_extents "$BACKING/c.vmdk") <(read_disk "$dev")
}

@test "a reader of an extent on ext4 sees every mapped write" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" "${odd[@]}"
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	writes_are_seen
}

@test "a reader of an extent on XFS sees every mapped write" {
	make_backing xfs
	make_container "$BACKING/c.vmdk" "${odd[@]}"
	dev=$(svmdk attach --io mapped "$BACKING/c.vmdk")
	writes_are_seen
}

@test "a reader of an extent sees every write through the file system" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" "${odd[@]}"
	dev=$(svmdk attach --io file "$BACKING/c.vmdk")
	writes_are_seen
}

@test "a reader of the disk sees what is written to an extent's file" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" "${odd[@]}"
	dev=$(svmdk attach --io file "$BACKING/c.vmdk")
	read_disk "$dev" >/dev/null
	random_bytes 100000 |
		dd of="$BACKING/c-f002.vmdk" conv=notrunc bs=5000 seek=3 iflag=fullblock status=none
	cmp <(read_disk "$dev") <(read_extents "$BACKING/c.vmdk")
}

# Maps the file, reads it all, then once more after each line of its input.
build_map_reader() {
	gcc -Wall -o "$BATS_TEST_TMPDIR/map_reader" -x c - <<-'END'
		#include <fcntl.h>
		#include <stdio.h>
		#include <sys/mman.h>
		#include <sys/stat.h>

		int main(int argc, char **argv)
		{
			int fd = open(argv[1], O_RDONLY);
			struct stat st;
			char *map;

			if (fd < 0 || fstat(fd, &st))
				return 1;
			map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
			if (map == MAP_FAILED)
				return 1;
			do {
				fwrite(map, 1, st.st_size, stdout);
				fflush(stdout);
			} while (getchar() != EOF);
			return 0;
		}
	END
}

map_is_up_to_date() {
	local size=$((4096 * 512)) round
	coproc READER { "$BATS_TEST_TMPDIR/map_reader" "$BACKING/c-f002.vmdk" 2>&1; }
	for round in 1 2 3; do
		cmp <(head -c "$size" <&"${READER[0]}") <(cat "$BACKING/c-f002.vmdk")
		write_disk "$dev" $((size + round * 100352)) 70144
		echo >&"${READER[1]}"
	done
	cmp <(head -c "$size" <&"${READER[0]}") <(read_disk "$dev" | tail -c "$size")
	kill "$READER_PID"
}

@test "a program that has an extent mapped into memory sees every write" {
	build_map_reader
	make_backing ext4
	make_container "$BACKING/c.vmdk" 4096 4096
	for io in mapped file; do
		dev=$(svmdk attach --io "$io" "$BACKING/c.vmdk")
		map_is_up_to_date
		svmdk detach "$dev"
	done
}

# Readers fill the cache all the time while fio writes; when it ends, no page
# that they left there is an old one.
load_leaves_nothing_stale() {
	local dev=$1 round
	(while :; do read_extents "$BACKING/c.vmdk"; done) >/dev/null &
	readers=($!)
	(while :; do fio --name=map --filename="$BACKING/c-f002.vmdk" --readonly --rw=randread \
		--ioengine=mmap --bs=4k --size=2m; done) >/dev/null &
	readers+=($!)
	for round in 1 2 3; do
		fio --name=write --filename="$dev" --direct=1 --ioengine=libaio --iodepth=8 \
			--rw=randwrite --bsrange=512-64k --size=100% --randseed="$round" \
			--refill_buffers >/dev/null
		cmp <(read_extents "$BACKING/c.vmdk") <(read_disk "$dev")
	done
	kill "${readers[@]}"
	readers=()
}

@test "no page of a mapped extent is stale after a load of reads and writes" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" "${odd[@]}"
	load_leaves_nothing_stale "$(svmdk attach --io mapped "$BACKING/c.vmdk")"
}

@test "no page of a file is stale after a load of reads and writes" {
	make_backing ext4
	make_container "$BACKING/c.vmdk" "${odd[@]}"
	load_leaves_nothing_stale "$(svmdk attach --io file "$BACKING/c.vmdk")"
}
