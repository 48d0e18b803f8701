/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

/* A page of a guest's program that nothing else has: see insn.c. */
#define MARK 0x123450000ULL

#endif /* BENCH_MARK_H */
