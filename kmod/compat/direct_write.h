/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Included by compat.h. Who writes past the page cache, as a virtual machine
 * does, may change his buffer meanwhile. Where a file has checksums, an older
 * btrfs stores one of other bytes than it stores, and nothing there can be read
 * again; through its page cache it does not. A newer one makes a copy by itself.
 */
#ifndef _SVMDK_COMPAT_DIRECT_WRITE_H
#define _SVMDK_COMPAT_DIRECT_WRITE_H

#ifdef SVMDK_HAVE_FILEATTR_EXISTS

#include <linux/fileattr.h>
#include <linux/magic.h>

static inline bool direct_write_is_stable(struct file *file)
{
	struct fileattr fa;

	return file_inode(file)->i_sb->s_magic != BTRFS_SUPER_MAGIC ||
	       (!vfs_fileattr_get(file->f_path.dentry, &fa) && (fa.flags & FS_NOCOW_FL));
}

#else

static inline bool direct_write_is_stable(struct file *file)
{
	return true;
}

#endif

#endif /* _SVMDK_COMPAT_DIRECT_WRITE_H */
