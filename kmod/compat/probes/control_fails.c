// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Must not compile on any kernel: the types differ. If it does, the compiler
 * lets such errors pass, and a "yes" from any other probe would mean nothing.
 */
#include <linux/fs.h>

struct inode *control_fails(struct file *file);

struct inode *control_fails(struct file *file)
{
	return file;
}
