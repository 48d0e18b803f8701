#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# The module as dkms builds it from the installed source: the host ran "dkms
# install" in this guest's root, and hands over what that put in /lib/modules.

modules=/lib/modules/$(uname -r)

setup() {
	[ -e /job/dkms.tar ] || skip "dkms was not run for this guest"
	modprobe -r svmdk
	rm -r "$modules/updates"
	tar -C / -xf /job/dkms.tar
}

teardown() {
	[ -e /job/dkms.tar ] || return 0
	modprobe -r svmdk
	rm -r "$modules/updates"
	tar -C / -xf /job/modules.tar
}

@test "modprobe loads the module that dkms installed" {
	[[ $(modinfo -n svmdk) == "$modules"/updates/dkms/svmdk.ko* ]]
	modprobe svmdk
	[ "$(cat /sys/module/svmdk/version)" = "$(svmdk --version | grep -o '[0-9.]*$')" ]
	udevadm settle
	[ -c /dev/svmdk-control ]
	[ "$(stat -c %a /dev/svmdk-control)" = 600 ]
}
