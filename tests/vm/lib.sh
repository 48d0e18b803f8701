# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# What the scripts of this folder share. Sourced, never run.

set -euo pipefail
export LC_ALL=C.UTF-8
# Debian keeps mke2fs and its kind out of an ordinary user's path.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # not all need it
TOP=$(cd "$VM_DIR/../.." && pwd)

# Images and everything else that is made lies here, outside the checkout.
CACHE=${SVMDK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/svmdk}
mkdir -p "$CACHE"

say() {
	echo "# $*" >&2
}

die() {
	echo "svmdk: ${0##*/}: $*" >&2
	exit 1
}

# Roots of guests belong to root; everything in the checkout stays the user's.
as_root() {
	if ((EUID == 0)); then
		"$@"
	else
		sudo -- "$@"
	fi
}

# A command inside a root, with a /proc of its own that vanishes with it: the
# objtool of newer kernels reads it, and so does bash for <(…).
in_root() {
	local root=$1
	shift
	as_root unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" \
		chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		LC_ALL=C.UTF-8 "$@"
}

# The suite whose root has a kernel, named as in 6.1: bookworm's own is 6.1, those
# of tests/vm/debug-kernel are built in there; whatever is newer comes with trixie or
# its backports.
suite_of() {
	case $1 in
	6.1 | debug | kcsan) echo bookworm ;;
	*) echo trixie ;;
	esac
}

# The release that a short name stands for, in the image at $1.
release_of() {
	awk -v name="$2" '$1 == name { print $2; found = 1 } END { exit !found }' "$1/kernels" ||
		die "$1 has no kernel $2, only $(cut -d' ' -f1 "$1/kernels" | xargs)"
}
