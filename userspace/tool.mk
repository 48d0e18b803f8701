# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors

# The tool's half of the Makefile, which includes this from the top level.

TOOL_PKGS := smartcols mount blkid libudev libcrypto
PKG_CONFIG ?= pkg-config
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions

TOOL_SRCS := $(sort $(wildcard userspace/*.c))
TOOL_OBJS := $(TOOL_SRCS:.c=.o)
UNIT_SRCS := $(sort $(wildcard tests/unit/test_*.c))
UNIT_TESTS := $(UNIT_SRCS:.c=)

TOOL_WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wundef
# Lazily: only a goal that builds the tool needs the libraries.
TOOL_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(TOOL_PKGS))
TOOL_LIBS = $(shell $(PKG_CONFIG) --libs $(TOOL_PKGS)) -pthread
TOOL_COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -MMD -MP \
	-DSVMDK_VERSION='"$(SVMDK_VERSION)"' $(TOOL_WARNINGS) $(TOOL_CFLAGS) $(CPPFLAGS) $(CFLAGS)

# A second set of objects, with everything watched that the compiler can watch.
SANITIZE := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=address,undefined

svmdk: $(TOOL_OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -Wl,--as-needed $(TOOL_LIBS) $(LDLIBS)

userspace/%.o: userspace/%.c
	$(TOOL_COMPILE) -c -o $@ $<

userspace/main.o: Makefile

userspace/%.asan.o: userspace/%.c
	$(TOOL_COMPILE) $(SANITIZE) -c -o $@ $<

$(UNIT_TESTS): %: %.c $(filter-out userspace/main.o,$(TOOL_OBJS))
	$(TOOL_COMPILE) -Iuserspace -Itests/unit/kernel $(LDFLAGS) -o $@ $< $(filter %.o,$^) -Wl,--as-needed \
		$(TOOL_LIBS) $(shell $(PKG_CONFIG) --libs cmocka) $(LDLIBS)

$(UNIT_TESTS:=.asan): %.asan: %.c $(filter-out userspace/main.asan.o,$(TOOL_OBJS:.o=.asan.o))
	$(TOOL_COMPILE) $(SANITIZE) -Iuserspace -Itests/unit/kernel $(LDFLAGS) -o $@ $< $(filter %.o,$^) \
		$(TOOL_LIBS) $(shell $(PKG_CONFIG) --libs cmocka) $(LDLIBS)

unit-tests: $(UNIT_TESTS)
	@failed=; for t in $^; do echo "== $$t"; $$t || failed="$$failed $$t"; done; \
		test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

unit-tests-asan: $(UNIT_TESTS:=.asan)
	@failed=; for t in $^; do echo "== $$t"; $$t || failed="$$failed $$t"; done; \
		test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

tools-clean:
	rm -f svmdk userspace/*.o userspace/*.d $(UNIT_TESTS) $(UNIT_TESTS:=.asan) tests/unit/*.d

tools-install: svmdk
	install -d '$(DESTDIR)$(SBINDIR)' '$(DESTDIR)$(MANDIR)/man8' '$(DESTDIR)$(BASHCOMPDIR)' \
		'$(DESTDIR)$(DATADIR)/svmdk'
	install -m 755 svmdk '$(DESTDIR)$(SBINDIR)/svmdk'
	install -m 644 userspace/man/svmdk.8 '$(DESTDIR)$(MANDIR)/man8/svmdk.8'
	sed "s|^share=.*|share='$(DATADIR)/svmdk'|" tests/bench/svmdk-bench \
		>'$(DESTDIR)$(SBINDIR)/svmdk-bench'
	chmod 755 '$(DESTDIR)$(SBINDIR)/svmdk-bench'
	install -m 644 tests/bench/ways.sh '$(DESTDIR)$(DATADIR)/svmdk/ways.sh'
	install -m 644 userspace/man/svmdk-bench.8 '$(DESTDIR)$(MANDIR)/man8/svmdk-bench.8'
	install -m 644 userspace/completion/svmdk.bash '$(DESTDIR)$(BASHCOMPDIR)/svmdk'

tools-uninstall:
	rm -f '$(DESTDIR)$(SBINDIR)/svmdk' '$(DESTDIR)$(MANDIR)/man8/svmdk.8' \
		'$(DESTDIR)$(BASHCOMPDIR)/svmdk' '$(DESTDIR)$(SBINDIR)/svmdk-bench' \
		'$(DESTDIR)$(DATADIR)/svmdk/ways.sh' '$(DESTDIR)$(MANDIR)/man8/svmdk-bench.8'
	! test -d '$(DESTDIR)$(DATADIR)/svmdk' || rmdir '$(DESTDIR)$(DATADIR)/svmdk'

.PHONY: unit-tests unit-tests-asan tools-clean tools-install tools-uninstall

-include $(TOOL_OBJS:.o=.d) $(TOOL_OBJS:.o=.asan.d)
-include $(UNIT_TESTS:=.d) $(UNIT_TESTS:=.asan.d)

-include tests/fuzz/fuzz.mk
