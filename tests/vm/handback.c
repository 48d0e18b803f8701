// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * What the driver hands back is what it means to say: every byte of a structure
 * is set, whatever was in it before, nothing behind it is written, and nothing
 * comes along that was in the kernel's memory.
 */
#include <stddef.h>
#include <sys/xattr.h>

#include "raw.h"

#define ROOM 8192
#define STALE 0xc3 /* what freed memory of the kernel is full of */

/**
 * struct answer - memory that a call has written to
 * @given: what it was full of before
 * @bytes: the memory
 */
struct answer {
	unsigned char given;
	unsigned char bytes[ROOM];
};

/* Extended attributes pass through memory of any size, which is freed again. */
static void leave_stale_memory(void)
{
	static char value[65536];
	size_t size;
	int i;

	memset(value, STALE, sizeof(value));
	for (size = 16; size <= sizeof(value); size *= 2)
		for (i = 0; i < 16; i++)
			setxattr("descriptor", "user.too-large", value, size, XATTR_REPLACE);
}

static void *fill(struct answer *a, unsigned char given)
{
	a->given = given;
	memset(a->bytes, given, sizeof(a->bytes));
	leave_stale_memory();
	return a->bytes;
}

/* Two answers to the same question: @size bytes are the driver's, no others. */
static void compare(const char *what, const struct answer *a, const struct answer *b, size_t size)
{
	unsigned int stale = 0;
	size_t i;

	for (i = 0; i < ROOM; i++) {
		if (i < size && a->bytes[i] == a->given && b->bytes[i] == b->given)
			FAIL("%s: byte %zu is left as it was", what, i);
		if (i >= size && (a->bytes[i] != a->given || b->bytes[i] != b->given))
			FAIL("%s: byte %zu, behind its end, is written", what, i);
		stale = a->bytes[i] == STALE ? stale + 1 : 0;
		if (stale == 4)
			FAIL("%s: there is stale memory at byte %zu", what, i);
	}
}

static struct answer a, b;
static const unsigned char givens[] = { 0x5a, 0xa5 };

static void check_version(int control)
{
	struct answer *answers[] = { &a, &b };
	struct svmdk_ioc_version *arg;
	int i;

	for (i = 0; i < 2; i++) {
		arg = fill(answers[i], givens[i]);
		arg->size = sizeof(*arg);
		WANT(0, call(control, SVMDK_IOC_VERSION, arg));
	}
	compare("version", &a, &b, sizeof(*arg));
}

static void check_status(int control)
{
	struct answer *answers[] = { &a, &b }, paths[2];
	struct svmdk_ioc_status *arg;
	int i;

	for (i = 0; i < 2; i++) {
		arg = fill(answers[i], givens[i]);
		arg->size = sizeof(*arg);
		arg->index = 0;
		arg->flags = 0;
		arg->path = (uintptr_t)fill(&paths[i], givens[i]);
		arg->path_size = 4000;
		WANT(0, call(control, SVMDK_IOC_STATUS, arg));
		arg->path = 0; /* another place each time */
		CHECK(arg->path_size == strlen((char *)paths[i].bytes) + 1);
	}
	compare("status", &a, &b, sizeof(*arg));
	compare("path", &paths[0], &paths[1], arg->path_size);
}

/* One extent's more than there are, and more of each than the driver knows. */
static void check_extents(int control, uint32_t nr, uint32_t more)
{
	const uint32_t size = sizeof(struct svmdk_extent_info) + more;
	struct answer *answers[] = { &a, &b };
	struct svmdk_ioc_extents arg;
	unsigned char *bytes;
	uint32_t i, n;

	for (i = 0; i < 2; i++) {
		arg = (struct svmdk_ioc_extents){
			.size = sizeof(arg),
			.nr = nr + 1,
			.info_size = size,
			.infos = (uintptr_t)fill(answers[i], givens[i]),
		};
		WANT(0, call(control, SVMDK_IOC_EXTENTS, &arg));
		CHECK(arg.nr == nr);
		/* What it does not know it leaves alone: not to be compared. */
		bytes = answers[i]->bytes;
		for (n = 0; n < nr; n++)
			memmove(bytes + n * sizeof(struct svmdk_extent_info), bytes + n * size,
				sizeof(struct svmdk_extent_info));
		for (n *= sizeof(struct svmdk_extent_info); n < nr * size; n++)
			bytes[n] = answers[i]->given;
	}
	compare("extents", &a, &b, nr * sizeof(struct svmdk_extent_info));
}

static void check_add(int control)
{
	const struct svmdk_new_extent zero = { SVMDK_KIND_ZERO, .fd = -1, .sectors = 8 };
	struct answer *answers[] = { &a, &b }, extents[2];
	struct svmdk_ioc_add_extents *arg;
	struct svmdk_new_extent *extent;
	int i;

	for (i = 0; i < 2; i++) {
		extent = fill(&extents[i], givens[i]);
		memcpy(extent, &zero, offsetof(struct svmdk_new_extent, way));
		arg = fill(answers[i], givens[i]);
		arg->size = sizeof(*arg);
		arg->nr = 1;
		arg->extent_size = sizeof(*extent);
		arg->extents = (uintptr_t)extent;
		WANT(0, call(control, SVMDK_IOC_ADD_EXTENTS, arg));
		arg->extents = 0;
	}
	compare("added extents", &a, &b, sizeof(*arg));
	compare("an added extent", &extents[0], &extents[1], sizeof(*extent));
}

static void build(int control, struct answer *answer, unsigned char given)
{
	struct svmdk_ioc_commit *end;

	WANT(0, create(control, 0));
	WANT(0, add_file(control, "one", SVMDK_IO_MAPPED));
	WANT(0, add_file(control, "two", SVMDK_IO_FILE));
	WANT(0, add_zero(control, 8));
	WANT(0, set_runs_of(control, 0, "one"));
	end = fill(answer, given);
	end->size = sizeof(*end);
	end->flags = 0;
	end->descriptor_fd = 0;
	WANT(0, call(control, SVMDK_IOC_COMMIT, end));
}

static void end_disk(int control, struct answer *answer, struct answer *dirty, unsigned char given)
{
	struct svmdk_ioc_detach *end = fill(answer, given);

	end->size = sizeof(*end);
	end->index = 0;
	end->flags = 0;
	end->timeout_ms = 60000;
	end->dirty = (uintptr_t)fill(dirty, given);
	end->dirty_size = 64;
	WANT(0, call(control, SVMDK_IOC_DETACH, end));
	end->dirty = 0;
}

int main(int argc, char **argv)
{
	static struct answer commits[2], ends[2], dirty[2];
	int control, other, i;

	if (argc != 2 || chdir(argv[1])) {
		fprintf(stderr, "usage: handback FOLDER\n");
		return 2;
	}
	make_files();
	control = open_control();
	other = open_control();
	check_version(control);
	for (i = 0; i < 2; i++) {
		build(control, &commits[i], givens[i]);
		check_status(control);
		check_extents(control, 3, 0);
		check_extents(control, 3, 24);
		WANT(0, create(other, 1));
		check_add(other);
		close(other);
		other = open_control();
		end_disk(control, &ends[i], &dirty[i], givens[i]);
	}
	compare("commit", &commits[0], &commits[1], sizeof(struct svmdk_ioc_commit));
	compare("detach", &ends[0], &ends[1], sizeof(struct svmdk_ioc_detach));
	compare("dirty extents", &dirty[0], &dirty[1], 64);
	close(other);
	close(control);
	check_nothing_left();
	return 0;
}
