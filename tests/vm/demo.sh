#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# The job of "make demo" in a guest: the whole story, each command shown before
# it runs. Ends with another status than 0 as soon as anything differs.

set -euo pipefail

# Without a terminal to draw on, progress bars are noise.
if [[ ${TERM-} == dumb && -t 1 ]]; then
	"$0" 2>&1 | cat
	exit
fi

bold='' plain=''
if [[ ${TERM-} != dumb ]]; then
	bold=$'\e[1m' plain=$'\e[m'
fi

shown= # the command under way
trap '(($? == 0)) || echo "svmdk: demo: failed: $shown" >&2' EXIT

# What happens next, in lines for people.
say() {
	printf '\n'
	printf '# %s\n' "$@"
}

# show COMMAND: a line of shell, as one would type it
show() {
	shown=$1
	printf '%s$ %s%s\n' "$bold" "$1" "$plain"
	eval "$1"
	shown=
}

# The same for what has to be refused.
show_refused() {
	shown="$1 (it should be refused)"
	printf '%s$ %s%s\n' "$bold" "$1" "$plain"
	if eval "$1"; then
		return 1
	fi
	shown=
}

make_container() {
	say "A server's disk, with ext4 on it."
	show 'mkfs.ext4 -q /job/disks/data'
	show 'mount /job/disks/data /srv && cd /srv'

	say "A container: nine extents of 128 MiB, and a text file that lists them."
	show 'svmdk create backup.vmdk 1152M'
	show 'grep FLAT backup.vmdk'
}

fill_container() {
	say "It becomes a disk: partition it, format it, mount it."
	show 'svmdk attach backup.vmdk'
	show 'echo type=linux | sfdisk -q --label gpt /dev/svmdk0'
	show 'mkfs.ext4 -q -L backup /dev/svmdk0p1'
	show 'mount /dev/svmdk0p1 /mnt'

	say "Fill it with real files, and read them back from the disk."
	show 'cp -a /usr/lib/python3* /mnt'
	show "(cd /usr/lib && find python3* -type f -exec sha256sum {} +) >/tmp/sums; wc -l </tmp/sums"
	show 'umount /mnt && mount /dev/svmdk0p1 /mnt'
	show '(cd /mnt && sha256sum --quiet -c /tmp/sums) && echo equal'
}

look_around() {
	say "What there is. MAPPED: I/O to these extents goes straight to the disk beneath."
	show 'svmdk list'
	show 'lsblk -o NAME,SIZE,TYPE,FSTYPE,LABEL,MOUNTPOINTS /dev/svmdk0'
	show 'ls -l /dev/disk/by-id | grep -o "svmdk.*"'
	show 'grep . /sys/block/svmdk0/svmdk/*'

	say "In use, it is not taken away."
	show_refused 'svmdk detach backup.vmdk'
	show 'umount /mnt && svmdk detach backup.vmdk'
}

change_little() {
	say "Change one file, and only the extents that were written have a new time:" \
		"all that rsync has to send."
	show 'touch /tmp/then'
	# shellcheck disable=SC2016 # expanded when it runs
	show 'mount "$(svmdk attach backup.vmdk)p1" /mnt'
	show 'date | tee /mnt/note'
	show 'umount /mnt && svmdk detach --all'
	show 'find . -newer /tmp/then -name "*.vmdk" | sort'
	[[ $(find . -newer /tmp/then -name 'backup-f*.vmdk' | wc -l) -lt 9 ]]
}

compare_with_qemu() {
	say "QEMU opens the same container, and finds the same in it: the files, and every byte."
	show 'modprobe nbd && qemu-nbd -r -c /dev/nbd0 backup.vmdk'
	show 'udevadm wait --timeout=30 /dev/nbd0p1'
	show 'mount -o ro /dev/nbd0p1 /mnt'
	show '(cd /mnt && sha256sum --quiet -c /tmp/sums && cat note) && echo equal'
	show 'umount /mnt && qemu-nbd -d /dev/nbd0'
	show 'svmdk attach --read-only backup.vmdk'
	show 'qemu-img compare -T none -f raw -F vmdk /dev/svmdk0 backup.vmdk'
}

# measure NAME DEVICE: two short runs; a line for each in /tmp/figures
measure() {
	shown="fio on $2"
	fio --readonly --direct=1 --ioengine=libaio --time_based --runtime=3 --size=1152M \
		--filename="$2" --output-format=json \
		--name=random --rw=randread --bs=4k --iodepth=1 --stonewall \
		--name=sequential --rw=read --bs=128k --iodepth=1 --stonewall |
		jq -r --arg name "$1" \
			'[$name, .jobs[0].read.iops, .jobs[1].read.bw / 1024] | @tsv' >>/tmp/figures
	shown=
}

measure_all() {
	say "How fast it is beside qemu-nbd: direct reads of the same container, one at a time." \
		"This machine is emulated: look at the ratios, not at the figures."
	measure disk /job/disks/data
	measure svmdk /dev/svmdk0
	qemu-nbd -r --cache=none --aio=io_uring -c /dev/nbd0 backup.vmdk
	measure qemu-nbd /dev/nbd0
	qemu-nbd -d /dev/nbd0 >/dev/null
	awk -F'\t' '
		{ iops[$1] = $2; rate[$1] = $3 }
		function row(what, f) {
			printf "%-28s %10.0f %10.0f %10.0f %9.1f times\n", what,
				f["disk"], f["svmdk"], f["qemu-nbd"], f["svmdk"] / f["qemu-nbd"]
		}
		END {
			printf "%-28s %10s %10s %10s %15s\n", "", "bare disk", "svmdk", "qemu-nbd", "svmdk is"
			row("4k random reads, IOPS", iops)
			row("128k sequential, MiB/s", rate)
		}' /tmp/figures
}

make_container
fill_container
look_around
change_little
compare_with_qemu
measure_all
show 'svmdk detach backup.vmdk'
say "Done: nothing differed."
