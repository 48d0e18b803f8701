# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors
#
# What a kernel's log never has while all is well, for grep -E: read on the host
# when the guest is off (boot) and in the guest after each test (common.bash).
# Sourced, never run.

# shellcheck disable=SC2034 # used by who sources this
KERNEL_COMPLAINT='WARNING:|BUG:|kernel BUG at|Oops|general protection fault|Kernel panic|'\
'possible .*deadlock|INFO: trying to register|blocked for more than|self-detected stall|'\
'detected stalls on|detected expedited stalls|KASAN|UBSAN|ODEBUG:|unreferenced object|new suspected memory leaks'
