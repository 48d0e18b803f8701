// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Since Linux 6.6, and in the later ones of 6.1.
 */
#include <linux/fs.h>

void kiocb_start_write_exists(struct kiocb *iocb);

void kiocb_start_write_exists(struct kiocb *iocb)
{
	kiocb_start_write(iocb);
	kiocb_end_write(iocb);
}
