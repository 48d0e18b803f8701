/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * As much of the kernel as its pure logic needs, so that it runs in a test.
 */
#ifndef _TEST_LINUX_SLAB_H
#define _TEST_LINUX_SLAB_H

#include <stdlib.h>

#define GFP_KERNEL_ACCOUNT 0
#define __GFP_NOWARN 0

#define kzalloc(size, flags) calloc(1, (size))
#define kfree(p) free(p)
#define kvcalloc(n, size, flags) calloc((n), (size))
#define kvmalloc_array(n, size, flags) calloc((n), (size))
#define kvfree(p) free(p)

#endif
