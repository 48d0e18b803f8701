// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Later called file_kattr. By then btrfs needed no help with direct writes.
 */
#include <linux/fs.h>
#include <linux/fileattr.h>

int fileattr_exists(struct dentry *dentry);

int fileattr_exists(struct dentry *dentry)
{
	struct fileattr fa;

	return vfs_fileattr_get(dentry, &fa) ?: fa.flags;
}
