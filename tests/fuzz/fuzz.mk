# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 the svmdk authors

# The fuzzers, included at the end of userspace/tool.mk; tests/fuzz/run runs
# them. They need clang: make CC=clang fuzzers. "make CC=gcc fuzz-replay
# CFLAGS='-O0 -g --coverage'" makes what runs over files only.

FUZZ_SRCS := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZERS := $(FUZZ_SRCS:.c=)
FUZZ_REPLAYS := $(FUZZERS:tests/fuzz/fuzz_%=tests/fuzz/replay_%)
FUZZ_COMMON := tests/fuzz/common tests/fuzz/side_file_memory
FUZZ_WRAP := -Wl,--wrap=side_file_read -Wl,--wrap=replace_whole

FUZZ_SANITIZE := -O2 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=fuzzer-no-link,address,undefined

fuzzers: $(FUZZERS)
fuzz-replay: $(FUZZ_REPLAYS)

%.fuzz.o: %.c
	$(TOOL_COMPILE) $(FUZZ_SANITIZE) -Iuserspace -c -o $@ $<

%.replay.o: %.c
	$(TOOL_COMPILE) -Iuserspace -c -o $@ $<

$(FUZZERS): %: %.fuzz.o $(FUZZ_COMMON:=.fuzz.o) \
		$(filter-out userspace/main.fuzz.o,$(TOOL_OBJS:.o=.fuzz.o))
	$(CC) $(FUZZ_SANITIZE) -fsanitize=fuzzer $(FUZZ_WRAP) $(LDFLAGS) -o $@ $^ $(TOOL_LIBS)

$(FUZZ_REPLAYS): tests/fuzz/replay_%: tests/fuzz/fuzz_%.replay.o tests/fuzz/replay.replay.o \
		$(FUZZ_COMMON:=.replay.o) \
		$(filter-out userspace/main.replay.o,$(TOOL_OBJS:.o=.replay.o))
	$(CC) $(CFLAGS) $(FUZZ_WRAP) $(LDFLAGS) -o $@ $^ $(TOOL_LIBS)

# The files of a name and its lists are real ones there; what it says is not printed.
tests/fuzz/fuzz_leftovers tests/fuzz/replay_leftovers: FUZZ_WRAP := -Wl,--wrap=message_warn

fuzz-clean:
	rm -f $(FUZZERS) $(FUZZ_REPLAYS) tests/fuzz/*.o tests/fuzz/*.d

.PHONY: fuzzers fuzz-replay fuzz-clean

-include $(TOOL_OBJS:.o=.fuzz.d) $(TOOL_OBJS:.o=.replay.d)
-include $(wildcard tests/fuzz/*.d)
