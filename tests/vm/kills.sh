# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Guests that are killed while they write through svmdk, again and again: KILLS times,
# at random moments (SEED). The next guest that gets the same disk looks whether all
# that was acknowledged before is there, and goes on (cuts/kills-guest). What the last
# kills left is for a guest that is not killed.
#
# QEMU writes to the host's page cache and is killed with SIGKILL: of the guest its
# memory is lost, with its page cache and what its drivers and disks were at, and
# nothing that its disks had taken. For disks that lose more see cuts/replay.bats.
#
# Sourced by tests/vm/run, never run.
# shellcheck disable=SC2154

# shellcheck source=tests/vm/complaint.sh
. "$VM_DIR/complaint.sh"

# What the extents lie on, how they are reached, what is on the disk.
trials=(
	'ext4 mapped ext4' 'xfs mapped btrfs' 'btrfs file xfs' 'ext4 file raw'
	'xfs mapped raw' 'btrfs file ext4 nocow' 'ext4 mapped xfs' 'xfs file btrfs'
	'btrfs file raw nocow' 'ext4 mapped raw'
)
longest=8000 # ms from the first round that it acknowledges until it is killed

# The settings of trial number $1 that the guest reads, into its job at $2.
tell_trial() {
	local beneath way on_it nocow
	read -r beneath way on_it nocow <<<"${trials[$1]}"
	printf '%s=%q\n' beneath "$beneath" way "$way" on_it "$on_it" nocow "$nocow" >"$2/t$1.settings"
	echo "acknowledged=(${acknowledged[$1]-})" >>"$2/t$1.settings"
}

# From its first round on, so that each guest that is killed was writing.
kill_later() {
	[[ -z $writing ]] || return 0
	writing=yes
	(
		sleep "$((delay / 1000)).$(printf %03d $((delay % 1000)))"
		# Taken away by a QEMU that ends by itself.
		[[ ! -e $work/qemu.pid ]] || kill -KILL "$(<"$work/qemu.pid")"
	) &
}

# One line of what the guest of trial $1 says.
hear() {
	local word number=$1 writer round
	local -a latest
	read -r word writer round <<<"$2"
	case $word in
	acknowledged)
		kill_later
		read -ra latest <<<"${acknowledged[number]:-0 0 0}"
		latest[writer - 1]=$round
		acknowledged[number]=${latest[*]}
		;;
	survived)
		survivors+=("${writer#t}")
		;;
	*)
		echo "#  $2"
		;;
	esac
}

# boot_trials KERNEL JOB DONE NUMBER…: a guest with these disks, that goes on with the
# one; or looks at several, with DONE. Whose number is among the survivors then had all
# that it was to have when the guest booted.
boot_trials() {
	local kernel=$1 dir=$2 done=$3 number=$4 line from i delay=$((RANDOM % longest))
	local console=$work/logs/console-$kernel.log
	local -a options=()
	shift 3
	printf '%s=%q\n' DISKS "${*/#/t}" DONE "$done" SEED "$SEED" RANDOM "$RANDOM" >"$dir/settings"
	for i; do
		tell_trial "$i" "$dir"
		options+=(--disk "$work/disk-$i,serial=t$i")
	done
	survivors=() writing=
	rm -f "$work/qemu.pid"
	exec {from}< <("$VM_DIR/boot" --kernel "$kernel" --timeout 900 --pidfile "$work/qemu.pid" \
		"${options[@]}" --console "$console" "$dir" 2>"$work/logs/boot-$kernel.log")
	while read -r line <&"$from"; do
		hear "$number" "$line"
	done
	exec {from}<&-
	wait
	if grep -qE "$KERNEL_COMPLAINT" "$console"; then
		complain "$kernel: no kernel complains (${trials[number]})"
	fi
}

complain() {
	record "not ok - $1"
	sed 's/^/#  /' "$work/logs/boot-$kernel.log"
}

# It was writing, and has not ended by itself: then QEMU takes its file away.
was_killed() {
	[[ -n $writing && -e $work/qemu.pid ]]
}

# What a kill left, or that nobody lived to say it.
judge_kill() {
	local number=$1
	[[ -n ${killed[number]-} ]] || return 0
	if [[ " ${survivors[*]} " == *" $number "* ]]; then
		record "ok - $kernel: ${killed[number]}"
		killed[number]=
		return
	fi
	complain "$kernel: ${killed[number]}"
	mv "$work/disk-$number" "$work/logs/disk-$number-$SECONDS"
	new_disk "$number"
	return 1
}

new_disk() {
	rm -f "$work/disk-$1"
	truncate -s 320M "$work/disk-$1"
	acknowledged[$1]=
	killed[$1]=
}

kill_guests() {
	local kernel=$1 dir number i writing
	local -a acknowledged=() killed=() survivors=() numbers
	dir=$(job "$kernel")
	cp "$VM_DIR/cuts/kills-guest" "$dir/run"
	for number in "${!trials[@]}"; do
		new_disk "$number"
	done
	for ((i = 0; i < KILLS; i++)); do
		number=$((i % ${#trials[@]}))
		boot_trials "$kernel" "$dir" '' "$number"
		judge_kill "$number" || continue
		if ! was_killed; then
			complain "$kernel: kill $((i + 1)): ${trials[number]}: it writes until it is killed"
			continue
		fi
		killed[number]="kill $((i + 1)) (${trials[number]}) is survived, rounds ${acknowledged[number]}"
		echo "# $kernel: kill $((i + 1)) of $KILLS: ${trials[number]}, rounds ${acknowledged[number]}"
	done
	mapfile -t numbers < <(for number in "${!trials[@]}"; do
		[[ -z ${killed[number]} ]] || echo "$number"
	done)
	boot_trials "$kernel" "$dir" yes "${numbers[@]}"
	for number in "${numbers[@]}"; do
		judge_kill "$number" || true
	done
}
