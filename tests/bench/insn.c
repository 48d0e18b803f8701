// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Plugin of QEMU's: how often each of a guest's instructions is executed. Whenever the
 * guest calls the page at MARK, which tests/bench/mark.c does, the counts since the last
 * time go to dir=DIR as a file named 0, 1, 2…: address and count a line, in hexadecimal
 * digits and decimal ones. For a guest with one processor.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

/*
 * Of QEMU's interface, version 1 (docs/devel/tcg-plugins), what is used here; Debian's
 * QEMU has it compiled in and comes without its header.
 */
typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum qemu_plugin_cb_flags {
	QEMU_PLUGIN_CB_NO_REGS,
};

enum qemu_plugin_op {
	QEMU_PLUGIN_INLINE_ADD_U64,
};

typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_plugin_vcpu_udata_cb_t)(unsigned int vcpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_vcpu_tb_trans_cb_t cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_plugin_vcpu_udata_cb_t cb,
					  enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
						enum qemu_plugin_op op, void *counter,
						uint64_t value);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t number);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

#define EXPORT __attribute__((visibility("default")))
#define SLOTS (1U << 21) /* a power of two, several times the kernel's instructions */

struct counter {
	uint64_t address;
	uint64_t count;
};

EXPORT int qemu_plugin_version = 1;

/* By a hash of the address; never moved, since code that is translated points to them. */
static struct counter *counters[SLOTS];
static const char *folder = ".";
static int dumps;

/* All of user space has one: its programs lie elsewhere each time that they start. */
static struct counter *counter_of(uint64_t address)
{
	uint32_t slot;

	if (!(address >> 63))
		address = 0;
	slot = (address * 0x9e3779b97f4a7c15ULL) >> 43;
	while (counters[slot] && counters[slot]->address != address)
		slot = (slot + 1) & (SLOTS - 1);
	if (!counters[slot]) {
		counters[slot] = calloc(1, sizeof(*counters[slot]));
		if (!counters[slot])
			abort();
		counters[slot]->address = address;
	}
	return counters[slot];
}

static void dump(unsigned int vcpu, void *data)
{
	char path[4096];
	FILE *file;

	(void)vcpu;
	(void)data;
	snprintf(path, sizeof(path), "%s/%d", folder, dumps++);
	file = fopen(path, "w");
	if (!file) {
		perror(path);
		abort();
	}
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		struct counter *counter = counters[slot];

		if (!counter || !counter->count)
			continue;
		fprintf(file, "%016" PRIx64 " %" PRIu64 "\n", counter->address, counter->count);
		counter->count = 0;
	}
	fclose(file);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t nr = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (qemu_plugin_tb_vaddr(tb) == MARK)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, dump, QEMU_PLUGIN_CB_NO_REGS, NULL);
	for (size_t i = 0; i < nr; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		struct counter *counter = counter_of(qemu_plugin_insn_vaddr(insn));

		qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
							   &counter->count, 1);
	}
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "dir=", 4) == 0) {
			folder = strdup(argv[i] + 4);
			if (!folder)
				return -1;
		}
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}
