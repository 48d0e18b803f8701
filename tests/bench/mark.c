// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Call the address that tells insn.c to put down what it has counted.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "mark.h"

int main(void)
{
	const unsigned char ret = 0xc3;
	void (*function)(void);
	void *page;

	page = mmap((void *)MARK, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (page == MAP_FAILED) {
		perror("mark: mmap");
		return 1;
	}
	memcpy(page, &ret, sizeof(ret));
	memcpy(&function, &page, sizeof(function));
	function();
	return 0;
}
