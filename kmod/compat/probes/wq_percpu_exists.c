// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Until then it was what a workqueue is that says nothing of it.
 */
#include <linux/workqueue.h>

unsigned int wq_percpu_exists(void);

unsigned int wq_percpu_exists(void)
{
	return WQ_PERCPU;
}
