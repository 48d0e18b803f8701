#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# How svmdk is called: what it tells who asks, and who asks for what it does not know.
# One kernel will do.

load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

commands() {
	svmdk --help | sed -n '/^Commands:$/,/^$/ s/^  \([a-z]*\) .*/\1/p'
}

# wrong TEXT COMMAND [ARGUMENT]…: status 2; what is wrong (a regular expression) in one
# line, where to look in the next
wrong() {
	local text=$1 status=0
	shift
	svmdk "$@" >stdout 2>stderr || status=$?
	cat stdout stderr
	equal 2 "$status"
	[ ! -s stdout ]
	sed 1q stderr | grep -qE "^svmdk: $text" || {
		echo "does not say: $text"
		return 1
	}
	equal "Try \`svmdk $1 --help'." "$(sed 1d stderr)"
}

@test "svmdk and each of its commands tell what they do" {
	local command summary
	svmdk --help 2>&1 >help | cmp - /dev/null
	svmdk -h | cmp - help
	for command in $(commands); do
		summary=$(sed -n "s/^  $command *//p" help)
		svmdk "$command" --help 2>stderr >told
		[ ! -s stderr ]
		svmdk "$command" -h | cmp - told
		sed 1q told | grep -q "^Usage: svmdk $command "
		sed 4q told | grep -qxF "$summary."
	done
	[ -n "$command" ]
	svmdk --version | grep -qxE 'svmdk [0-9]+\.[0-9]+\.[0-9]+'
	equal "$(svmdk --version)" "$(svmdk -V)"
}

@test "an option that a command does not have, and no arguments at all, are refused" {
	local command
	for command in $(commands); do
		wrong "unrecognized option '--nosuch'" "$command" --nosuch
		wrong "invalid option -- 'Z'" "$command" -Z
		[ "$command" = list ] || wrong "$command: " "$command"
	done
	[ -n "$command" ]
}

@test "arguments that a command cannot take are refused, and nothing is made" {
	wrong 'attach: --io is auto, mapped or file' attach --io nosuch c.vmdk
	wrong 'attach: one descriptor' attach c.vmdk d.vmdk
	wrong 'create: the disk cannot have a size of 0' create c.vmdk 0
	wrong 'create: .*12X' create c.vmdk 12X
	wrong 'create: an extent cannot have a size of 0' create c.vmdk 1M -e 0
	wrong 'create: an extent cannot be larger than 2G' create c.vmdk 4G -e 3G
	wrong 'create: --preallocate takes full or falloc' create c.vmdk 1M --preallocate nosuch
	wrong 'detach: --all and a device are too much' detach --all svmdk0
	wrong 'grow: .*12X' grow c.vmdk +12X
	wrong 'grow: an extent has a size of' grow c.vmdk +1M -e 0
	wrong 'grow: --preallocate takes full or falloc' grow c.vmdk +1M --preallocate nosuch
	wrong 'list: no column NOSUCH' list -o NOSUCH
	wrong 'repair: --from DIR is needed' repair c.vmdk
	wrong 'resplit: an extent cannot have a size of 0' resplit c.vmdk -e 0
	wrong 'resplit: it is either --sparse or --fill' resplit c.vmdk -e 1M --sparse --fill
	[ ! -e c.vmdk ]
}

@test "a command that there is not, or none, is refused" {
	local arguments status
	fails_with 2 "unknown command nosuch; see \`svmdk --help'" svmdk nosuch
	for arguments in '' --nosuch; do
		status=0
		# shellcheck disable=SC2086 # words
		svmdk $arguments >stdout 2>stderr || status=$?
		equal 2 "$status"
		[ ! -s stdout ]
		grep -q '^Usage: svmdk COMMAND' stderr
	done
}

@test "what could not be printed is a failure, and says so" {
	local arguments status
	svmdk create c.vmdk 2M -e 1M
	for arguments in --help --version 'info --help' 'info c.vmdk' 'info --json c.vmdk' 'changed c.vmdk'; do
		status=0
		# shellcheck disable=SC2086 # words
		svmdk $arguments >/dev/full 2>stderr || status=$?
		equal 1 "$status"
		equal 'svmdk: cannot write the output: No space left on device' "$(<stderr)"
	done
}

# What is opened next would take the place of a closed one, and what is said would be
# written to it: over the new descriptor, here.
@test "with standard output and error closed, nothing is written where it does not belong" {
	local status=0
	svmdk create c.vmdk 4M -e 1M
	svmdk manifest c.vmdk
	svmdk resplit c.vmdk -e 2M >&- 2>&-
	equal '# Disk DescriptorFile' "$(sed 1q c.vmdk)"
	svmdk check c.vmdk
	svmdk manifest c.vmdk
	svmdk resplit c.vmdk -e 1M <&- 2>&-
	svmdk check c.vmdk
	svmdk info c.vmdk >&- 2>stderr || status=$?
	equal 1 "$status"
	equal 'svmdk: cannot write the output: Bad file descriptor' "$(<stderr)"
}

@test "a name that leaves no room for what is put beside a descriptor is refused" {
	local name
	name=$(printf 'n%.0s' {1..238}).vmdk
	fails_with 1 'its name is too long for the files that svmdk puts beside it' \
		svmdk create "$name" 1M
	equal "" "$(find . -name 'n*')"
	name=${name:1}
	svmdk create "$name" 1M
	svmdk grow "$name" +1M
	svmdk manifest "$name"
	svmdk resplit "$name" -e 512K
}
