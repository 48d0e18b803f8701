// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "backing.h"
#include "control.h"
#include "device.h"
#include "io.h"

static int __init svmdk_init(void)
{
	int err;

	err = svmdk_io_init();
	if (err)
		return err;
	err = svmdk_file_io_init();
	if (err)
		goto err_io;
	err = svmdk_backing_init();
	if (err)
		goto err_file_io;
	err = svmdk_device_init();
	if (err)
		goto err_backing;
	err = svmdk_control_init();
	if (err)
		goto err_device;
	return 0;

err_device:
	svmdk_device_exit();
err_backing:
	svmdk_backing_exit();
err_file_io:
	svmdk_file_io_exit();
err_io:
	svmdk_io_exit();
	return err;
}

/* Every disk holds the module, so there is none. */
static void __exit svmdk_exit(void)
{
	svmdk_control_exit();
	svmdk_device_exit();
	/* The last completion of a bio may still be on its way out of here. */
	synchronize_rcu();
	svmdk_backing_exit();
	svmdk_file_io_exit();
	svmdk_io_exit();
}

module_init(svmdk_init);
module_exit(svmdk_exit);

MODULE_DESCRIPTION("Split flat VMDK as a block device");
MODULE_AUTHOR("the svmdk authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(SVMDK_VERSION);
