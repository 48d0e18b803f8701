# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# Which lines and branches of kmod/ and userspace/ the tests reach, by gcov: of the
# driver on the debug kernel, which alone can count them; of the tool in the unit tests
# and in a guest of 6.1, for to count takes it most of its time. Runs of the same source
# add up, so that it can be done in parts (K=, T=, F=):
#   $CACHE/coverage-KEY/*.gcov     the source with counts, a file for each guest
#                      /table      a line for each file
#                      /unreached  the lines that nothing has reached
#
# Sourced by tests/vm/run, never run.
# shellcheck disable=SC2154,SC2034

wanted_lines=90 # per cent, of each of the two

# The files that reach most of the driver for the time they take on a kernel that slow.
driver_files='abi abifuzz access attach caller coherence detach flush freeze grow io leaks
	limits many mtime pinning shapes stacked story'

# add_counts KERNEL DIR: what a guest is to add to. Files that anybody may write.
add_counts() {
	local note
	mkdir -p "$2"
	tar -C "$2" --wildcards -xf "$work/$1/notes-tool.tar" '*/userspace/*.gc*'
	find "$2" -name '*.gcno' | while read -r note; do
		: >>"${note%.gcno}.gcda"
		rm "$note"
	done
	chmod -R a+rwX "$2"
}

# count_lines KERNEL FILE: what its guest has left, as gcov tells it
count_lines() {
	local kernel=$1 built=$work/$1 root tar dir
	root=$("$VM_DIR/image" "$(suite_of "$kernel")")/root
	for tar in "$built"/notes-*.tar; do
		as_root tar -C "$root" -xf "$tar"
	done
	[[ ! -d $built/out/build ]] || tar -C "$built/out" -c build | as_root tar -C "$root" -x
	for tar in "$built"/notes-*.tar; do
		dir=$(tar -tf "$tar" | sed -n '1s,/src/.*,/src,p')
		# shellcheck disable=SC2016 # that shell's
		in_root "$root" sh -c 'cd "/$0"
			find . -name "*.gcda" -empty -exec rm {} +
			find . -name "*.gcno" | sort |
				xargs -r gcov --branch-probabilities --branch-counts --stdout' "$dir"
		as_root rm -rf "${root:?}/${dir%/src}"
	done >"$2" 2>"$work/logs/gcov-$kernel.log"
}

# unite FILE…: of all that gcov tells, the table; the unreached lines to the file in
# $unreached. A line, and a branch of it, counts once however often it is compiled.
unite() {
	awk -v unreached="$unreached" -f "$VM_DIR/coverage.awk" "$@"
}

# What the source is that was counted.
source_key() {
	find "$TOP/kmod" "$TOP/userspace" -name '*.[ch]' ! -name config.h ! -name '*.mod.c' |
		sort | xargs cat | sha256sum | cut -c1-12
}

# judge_coverage TABLE: as much of each as is wanted
judge_coverage() {
	local folder share
	for folder in kmod/ userspace/; do
		share=$(awk -v name="$folder" '$1 == name { print $5 }' "$1")
		if awk -v got="${share:-0}" -v wanted="$wanted_lines" 'BEGIN { exit got < wanted }'; then
			record "ok - the tests reach $wanted_lines % of the lines of $folder: ${share:-0} %"
		else
			record "not ok - the tests reach $wanted_lines % of the lines of $folder: ${share:-0} %"
		fi
	done
}

coverage() {
	local kernel parts=${T-} folder unreached
	folder=$CACHE/coverage-$(source_key)
	unreached=$folder/unreached
	find "$CACHE" -mindepth 1 -maxdepth 1 -name 'coverage-*' ! -name "${folder##*/}" -exec rm -rf {} +
	mkdir -p "$folder"
	guest_only=yes
	for kernel in ${K:-debug 6.1}; do
		K=$kernel T=$parts
		case $kernel in
		debug)
			export COVERAGE=module
			use_debug_kernel debug
			T=${T:-$driver_files}
			;;
		*)
			export COVERAGE=tool
			tested_kernels=("$kernel") built_kernels=("$kernel") guest_options=()
			guest_timeout=7200 guest_mem=4096 patience=2
			;;
		esac
		prepare
		run_guests
		count_lines "$kernel" "$folder/$kernel-$(date +%s).gcov"
	done
	unite "$folder"/*.gcov | tee "$folder/table"
	echo "# lines that were not reached: $unreached"
	[[ -n $parts${F-} ]] || judge_coverage "$folder/table"
	sum_up
}
