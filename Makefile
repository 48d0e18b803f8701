# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors

# The one place that has it; dkms.conf repeats it, and "make lint" compares.
SVMDK_VERSION := 0.1.0

# Which kernel: by version, or by the folder that its headers lie in.
ifdef KDIR
KVER ?= $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' '$(KDIR)/include/generated/utsrelease.h')
else
KVER ?= $(shell uname -r)
endif
KDIR ?= /lib/modules/$(KVER)/build

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
UDEVRULESDIR ?= /usr/lib/udev/rules.d
SRCDIR ?= /usr/src
MODDIR ?= /lib/modules/$(KVER)

# The module itself is installed where it runs; a package (DESTDIR) carries
# the source for dkms instead. INSTALL_MOD=0 or 1 says otherwise.
INSTALL_MOD ?= $(if $(DESTDIR),0,$(if $(wildcard svmdk.ko),1,0))

DKMS_TREE := $(DESTDIR)$(SRCDIR)/svmdk-$(SVMDK_VERSION)
UDEV_RULES := $(wildcard userspace/udev/*.rules)
KBUILD = -C '$(KDIR)' M='$(CURDIR)'

all: modules tools

modules:
	@test -e '$(KDIR)/include/generated/autoconf.h' || { \
		echo 'svmdk: $(KDIR): no kernel headers here;' \
		'install linux-headers-$(KVER), or name a kernel that has them with KVER= or KDIR=' >&2; \
		exit 1; }
	@kmod/compat/probe '$(abspath $(KDIR))'
	$(MAKE) $(KBUILD) modules

# The tool's half: svmdk, unit-tests, tools-install, tools-uninstall and
# tools-clean. Absent from the tree that dkms builds in.
-include userspace/tool.mk

tools: svmdk

check:
	@tests/vm/run check

# Its kernel is built once, in a quarter of an hour.
check-debug:
	@tests/vm/run check-debug

# Any bytes as what others may write; FUZZ_SECONDS= or FUZZ_RUNS= for how long.
fuzz:
	@tests/vm/run fuzz

# Hours, when TRIAL_SECONDS asks for it.
check-trials:
	@tests/vm/run check-trials

# Power cuts: of a disk beneath, by its log, and of running guests. Hours.
check-replay:
	@tests/vm/run check-replay

check-kills:
	@tests/vm/run check-kills

# Which lines and branches of kmod/ and userspace/ the tests reach. Hours.
coverage:
	@tests/vm/run coverage

demo:
	@tests/vm/run demo

# In instructions, hence alike on every machine; see tests/bench/run.
bench:
	@tests/bench/run bench

bench-gate:
	@tests/bench/run gate

bench-record:
	@tests/bench/run record

# In which functions they are that the driver adds.
profile:
	@tests/bench/run profile

lint:
	@KVER='$(KVER)' KDIR='$(KDIR)' tests/lint

probes-unused:
	@kmod/compat/probe --unused

install: tools-install dkms-tree-install $(if $(filter 1,$(INSTALL_MOD)),modules-install)
	install -d '$(DESTDIR)$(UDEVRULESDIR)'
	install -m 644 $(UDEV_RULES) '$(DESTDIR)$(UDEVRULESDIR)'

# Only what git has, never what a build left behind.
dkms-tree-install:
	rm -rf '$(DKMS_TREE)'
	install -d '$(DKMS_TREE)'
	tar -c --owner=0 --group=0 --exclude='*.o' --exclude='.*' --exclude='*.mod' \
		--exclude=kmod/compat/config.h Kbuild Makefile dkms.conf LICENSE kmod | \
		tar -x --no-same-permissions -C '$(DKMS_TREE)'

# Debian's kernels ask for signatures, but their headers have no key to sign
# with; nor do they have what the kernel's make wants for its own depmod.
modules-install:
	@test -e svmdk.ko || { echo 'svmdk: no svmdk.ko here; run make modules first' >&2; exit 1; }
	$(MAKE) $(KBUILD) INSTALL_MOD_PATH='$(DESTDIR)' INSTALL_MOD_DIR=updates DEPMOD=true \
		$(if $(wildcard $(KDIR)/certs/signing_key.pem),,CONFIG_MODULE_SIG_ALL=) modules_install
	$(if $(DESTDIR),,depmod -a '$(KVER)')

uninstall: tools-uninstall
	rm -f $(patsubst userspace/udev/%,'$(DESTDIR)$(UDEVRULESDIR)/%',$(UDEV_RULES))
	$(if $(DESTDIR),,if command -v dkms >/dev/null && dkms status svmdk/$(SVMDK_VERSION) | grep -q .; \
		then dkms remove svmdk/$(SVMDK_VERSION) --all; fi)
	rm -rf '$(DKMS_TREE)'
	rm -f '$(DESTDIR)$(MODDIR)'/updates/svmdk.ko*
	$(if $(DESTDIR),,depmod -a '$(KVER)')

clean: tools-clean fuzz-clean
	find . -path ./.git -prune -o -type f \( -name '*.o' -o -name '*.mod' -o -name '.*.cmd' \
		-o -name '*.o.d' \) -exec rm -f {} +
	rm -f svmdk.ko svmdk.mod.c Module.symvers modules.order .Module.symvers.cmd
	rm -rf kmod/compat/config.h kmod/compat/.probes

.PHONY: all modules tools check check-debug check-trials check-replay check-kills coverage fuzz \
	demo bench bench-gate bench-record profile lint probes-unused install dkms-tree-install \
	modules-install uninstall clean tools-install tools-uninstall tools-clean fuzz-clean
.DEFAULT_GOAL := all
