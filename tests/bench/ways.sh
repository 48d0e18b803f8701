# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# shellcheck disable=SC2154 # $scratch is the caller's
#
# The ways in which a split container becomes a disk, and the load that they are
# compared under: what the guest's benchmark and svmdk-bench share. Sourced, never
# run, with bash's errexit. The caller names $scratch, a folder of its own, and has
# undo_all run at its end.

# Commands that take back what was done, the last one first. Each is noted before
# what it takes back is begun, and does nothing when there is nothing of it.
undo=()

later() {
	undo+=("$(printf '%q ' "$@")")
}

# undo_down_to N: leaves the N first; fails if one of them failed
undo_down_to() {
	local command status=0
	while ((${#undo[@]} > $1)); do
		command=${undo[-1]}
		if ! eval "$command"; then
			echo "svmdk: ${0##*/}: left behind; this failed: $command" >&2
			status=1
		fi
		unset 'undo[-1]'
	done
	return "$status"
}

undo_all() {
	undo_down_to 0
}

# What makes and takes back is not to be cut short by the terminal's Ctrl-C.
whole() {
	setsid --wait "$@" </dev/null
}

# shellcheck disable=SC2034 # for who sources this
all_ways=(mapped mapped-nostat file loop+dm qemu-nbd-uring qemu-nbd-native nbdkit-split ublk)

# why_not WAY: what it lacks here, and true; or false when nothing is missing
why_not() {
	local program module
	local -a programs=() modules=()
	case $1 in
	mapped* | file) programs=(svmdk) modules=(svmdk) ;;
	loop+dm) programs=(losetup dmsetup) modules=(loop dm_mod) ;;
	qemu-nbd*) programs=(qemu-nbd) modules=(nbd) ;;
	nbdkit-split) programs=(nbdkit nbd-client) modules=(nbd) ;;
	ublk) modules=(ublk_drv) ;;
	esac
	for module in "${modules[@]}"; do
		if [[ ! -d /sys/module/$module ]] && ! modprobe -nq "$module" 2>/dev/null; then
			echo "this kernel has no module $module"
			return
		fi
	done
	for program in "${programs[@]}"; do
		if ! command -v "$program" >/dev/null; then
			echo "no program $program"
			return
		fi
	done
	# Neither ublksrv nor libnbd's nbdublk is in Debian, up to trixie.
	[[ $1 == ublk ]] && echo "no server for it is packaged"
}

# load_module NAME: it is unloaded again if it was not there before
load_module() {
	[[ ! -d /sys/module/$1 ]] || return 0
	later unload_module "$1"
	modprobe "$1"
}

# What has just let go of its last disk may hold it for a moment yet. One that somebody
# else uses by now stays.
unload_module() {
	local try
	for ((try = 0; try < 20; try++)); do
		[[ -d /sys/module/$1 ]] || return 0
		modprobe -rq "$1" && return 0
		sleep 0.1
	done
}

# PATH SECTORS OFFSET of each extent, by tabs
extents_of() {
	svmdk info --json "$1" | jq -r --arg folder "$(dirname "$1")" '.container[0].children[] |
		[$folder + "/" + .name, .sectors, .offset] | @tsv'
}

# start_way WAY DESCRIPTOR: the disk is in $disk then; to be undone, also when it
# fails. Called in a condition, where bash ignores errexit: hence each "|| return".
start_way() {
	disk=
	case $1 in
	mapped) start_svmdk mapped "$2" ;;
	mapped-nostat)
		start_svmdk mapped "$2" || return
		echo 0 >"/sys/block/${disk#/dev/}/queue/iostats"
		;;
	file) start_svmdk file "$2" ;;
	loop+dm) start_loop_dm "$2" ;;
	qemu-nbd-uring) start_qemu_nbd io_uring "$2" ;;
	qemu-nbd-native) start_qemu_nbd native "$2" ;;
	nbdkit-split) start_nbdkit "$2" ;;
	*) return 1 ;;
	esac
}

start_svmdk() {
	load_module svmdk || return
	later detach_svmdk "$2"
	whole svmdk attach --io "$1" "$2" >"$scratch/disk" 2>"$scratch/error" || {
		cat "$scratch/error" >&2
		return 1
	}
	disk=$(<"$scratch/disk")
}

detach_svmdk() {
	[[ -e /dev/svmdk-control ]] || return 0
	if svmdk list -n -o DESCRIPTOR | grep -qxF "$1"; then
		whole svmdk detach "$1"
	fi
}

start_loop_dm() {
	local path sectors offset start=0 loop name=svmdk-bench-$$
	load_module loop && load_module dm_mod || return
	: >"$scratch/table"
	while IFS=$'\t' read -r path sectors offset; do
		later detach_loops "$path"
		whole losetup -f --show --direct-io=on "$path" >"$scratch/loop" || return
		loop=$(<"$scratch/loop")
		echo "$start $sectors linear $loop $offset" >>"$scratch/table"
		start=$((start + sectors))
	done < <(extents_of "$1")
	later remove_mapping "$name"
	whole dmsetup create "$name" "$scratch/table" || return
	disk=/dev/mapper/$name
}

detach_loops() {
	local loop
	for loop in $(losetup -n -O NAME -j "$1"); do
		losetup -d "$loop" || return 1
	done
}

remove_mapping() {
	[[ ! -e /dev/mapper/$1 ]] || whole dmsetup remove --retry "$1"
}

# The first nbd device that nobody has, in $disk.
free_nbd() {
	local nbd
	load_module nbd || return
	udevadm settle
	for nbd in /sys/block/nbd*; do
		if [[ ! -e $nbd/pid ]] && (($(<"$nbd/size") == 0)); then
			disk=/dev/${nbd##*/}
			return
		fi
	done
	echo "svmdk: ${0##*/}: no nbd device is free" >&2
	return 1
}

wait_for_disk() {
	local try
	for ((try = 0; try < 100; try++)); do
		(($(<"/sys/block/${1#/dev/}/size") == 0)) || return 0
		sleep 0.1
	done
	echo "svmdk: ${0##*/}: $1 is not ready after 10 seconds" >&2
	return 1
}

# stop_server PIDFILE COMMAND…: COMMAND disconnects it; it shall have ended after
stop_server() {
	local pid try
	[[ -s $1 ]] || return 0
	pid=$(<"$1")
	"${@:2}" >/dev/null
	for ((try = 0; try < 100; try++)); do
		if ! kill -0 "$pid" 2>/dev/null; then
			rm -f "$1"
			# In a trap, "return" alone would mean the status from before it.
			return 0
		fi
		((try < 20)) || kill "$pid" 2>/dev/null || true
		sleep 0.1
	done
	return 1
}

# Servers need an open file for each extent, and there may be more than root can have.
more_files() {
	ulimit -n 65536 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"
}

start_qemu_nbd() {
	free_nbd || return
	later stop_server "$scratch/qemu-nbd.pid" whole qemu-nbd -d "$disk"
	(more_files && whole qemu-nbd --format=vmdk --cache=none --aio="$1" \
		--pid-file="$scratch/qemu-nbd.pid" -c "$disk" "$2") || return
	wait_for_disk "$disk"
}

end_server() {
	kill "$(<"$1")"
}

start_nbdkit() {
	local -a files
	mapfile -t files < <(extents_of "$1" | cut -f1)
	free_nbd || return
	# It leaves its socket behind.
	rm -f "$scratch/nbdkit.sock"
	later stop_server "$scratch/nbdkit.pid" end_server "$scratch/nbdkit.pid"
	(more_files && whole nbdkit --unix "$scratch/nbdkit.sock" \
		--pidfile "$scratch/nbdkit.pid" split "${files[@]}") || return
	later disconnect_nbd "$disk"
	whole nbd-client -unix "$scratch/nbdkit.sock" "$disk" >"$scratch/nbd-client" 2>&1 || {
		cat "$scratch/nbd-client" >&2
		return 1
	}
	wait_for_disk "$disk"
}

disconnect_nbd() {
	(($(<"/sys/block/${1#/dev/}/size") == 0)) || whole nbd-client -d "$1" >/dev/null
}

# load JSON FILE RW BS QD MODE JOBS SECONDS SIZE [OPTION…]: one run of fio. MODE:
#   direct    past the page cache
#   buffered  through it, from cold; what was written is flushed in the time
#   fua       direct, each write with FUA (O_DSYNC)
#   fsync     direct, with an fsync after each write
#   uring     direct, by io_uring
#   polled    the same, polled for instead of interrupted
load() {
	local json=$1 mode=$6 status=0
	# To fio a colon ends a name and begins another one.
	local -a options=(--name=svmdk --filename="${2//:/\\:}" --rw="$3" --bs="$4" --iodepth="$5"
		--numjobs="$7" --group_reporting --runtime="$8" --size="$9" --ioengine=libaio
		--direct=1 --time_based --randrepeat=1 --output-format=json "${@:10}")
	case $mode in
	direct) ;;
	buffered) options+=(--ioengine=psync --direct=0 --time_based=0 --end_fsync=1) ;;
	fua) options+=(--sync=dsync) ;;
	fsync) options+=(--fsync=1) ;;
	uring) options+=(--ioengine=io_uring) ;;
	polled) options+=(--ioengine=io_uring --hipri) ;;
	esac
	# In the background, for bash hears no signal while it waits for a command in
	# the foreground.
	later end_load
	fio "${options[@]}" >"$json" 2>"$scratch/fio.log" </dev/null &
	wait $! || status=$?
	unset 'undo[-1]'
	((status == 0)) || {
		# What it complains of comes before its report.
		sed '/^{/,$d' "$scratch/fio.log" "$json" >&2
		return 1
	}
}

# Of fio, which is all that runs in the background; its own jobs end with it, once they
# have what is in flight.
end_load() {
	local pid
	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null || true
		wait "$pid" || true
	done
}

# field JSON FILTER [OPTION…]: of a run's only job; $io is its reads or writes
field() {
	jq -r "${@:3}" ".jobs[0] | (if .read.total_ios > 0 then .read else .write end) as \$io | $2" "$1"
}
