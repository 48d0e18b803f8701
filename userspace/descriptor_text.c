// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "descriptor.h"
#include "size.h"

#define HEADS 16
#define TRACK_SECTORS 63

uint32_t descriptor_new_cid(uint32_t old)
{
	uint32_t cid;

	if (getrandom(&cid, sizeof(cid), 0) != sizeof(cid))
		cid = old; /* it needs to differ, no more */
	while (cid == old || cid == 0 || cid >= 0xfffffffe)
		cid++;
	return cid;
}

static int finish_text(FILE *f, char **text, size_t *length, struct svmdk_error *err)
{
	/* QEMU cuts the tail of a text that fills its sectors. */
	if (fflush(f) == 0 && *length % SECTOR_SIZE == 0)
		fputc('\n', f);
	if (fclose(f) == EOF) {
		free(*text);
		return error_errno(err, ENOMEM, "cannot write the descriptor");
	}
	if (*length <= DESCRIPTOR_MAX_BYTES)
		return 0;
	free(*text);
	return error_set(err, EFBIG,
			 "the descriptor would be larger than 1 MiB; use larger extents");
}

/* A long content ID is 32 digits, the last 8 of which are the CID. */
static bool has_content_id(const struct descriptor *d)
{
	const char *id = d->text + d->content_id_at.at;

	return d->content_id_at.length == 32 && strspn(id, "0123456789abcdefABCDEF") >= 32;
}

int descriptor_text_with_cid(const struct descriptor *d, uint32_t cid, char **text, size_t *length,
			     struct svmdk_error *err)
{
	struct text_span edits[2] = { d->cid_at };
	struct text_span swap;
	size_t at = 0;
	int i, nr = 1;
	FILE *f;

	if (has_content_id(d)) {
		edits[nr].at = d->content_id_at.at + 24;
		edits[nr++].length = 8;
		if (edits[1].at < edits[0].at) {
			swap = edits[0];
			edits[0] = edits[1];
			edits[1] = swap;
		}
	}
	f = open_memstream(text, length);
	if (!f)
		return error_errno(err, errno, "cannot write the descriptor");
	for (i = 0; i < nr; i++) {
		fwrite(d->text + at, 1, edits[i].at - at, f);
		fprintf(f, "%08" PRIx32, cid);
		at = edits[i].at + edits[i].length;
	}
	fwrite(d->text + at, 1, d->length - at, f);
	return finish_text(f, text, length, err);
}

char *descriptor_extent_name(const char *stem, uint64_t number)
{
	char *name;

	if (asprintf(&name, "%s-f%03" PRIu64 ".vmdk", stem, number) < 0)
		return NULL;
	return name;
}

static int check_stem(const char *stem, struct svmdk_error *err)
{
	const unsigned char *c;

	if (!*stem)
		return error_set(err, EINVAL, "the file needs a name before .vmdk");
	for (c = (const unsigned char *)stem; *c; c++) {
		if (*c == '"' || *c < 0x20 || *c == 0x7f)
			return error_set(
				err, EINVAL,
				"a descriptor cannot name files with quotes or control characters in their names: %s",
				stem);
	}
	return 0;
}

int descriptor_compose(const struct descriptor_plan *plan, char **text, size_t *length,
		       struct svmdk_error *err)
{
	uint64_t left = plan->sectors;
	uint64_t number, sectors;
	FILE *f;

	if (check_stem(plan->stem, err))
		return -1;
	/* No line is shorter than 16 bytes: do not begin what cannot end well. */
	if (plan->sectors / plan->extent_sectors > DESCRIPTOR_MAX_BYTES / 16)
		return error_set(err, EFBIG, "%" PRIu64 " extents are too many; use larger ones",
				 plan->sectors / plan->extent_sectors);
	f = open_memstream(text, length);
	if (!f)
		return error_errno(err, errno, "cannot write the descriptor");
	fprintf(f,
		"# Disk DescriptorFile\n"
		"version=1\n"
		"CID=%08" PRIx32 "\n"
		"parentCID=ffffffff\n"
		"createType=\"twoGbMaxExtentFlat\"\n"
		"\n"
		"# Extent description\n",
		plan->cid);
	for (number = 1; left; number++, left -= sectors) {
		sectors = left < plan->extent_sectors ? left : plan->extent_sectors;
		fprintf(f, "RW %" PRIu64 " FLAT \"%s-f%03" PRIu64 ".vmdk\" 0\n", sectors,
			plan->stem, number);
	}
	fprintf(f,
		"\n"
		"# The Disk Data Base\n"
		"#DDB\n"
		"\n"
		"ddb.virtualHWVersion = \"4\"\n"
		"ddb.geometry.cylinders = \"%" PRIu64 "\"\n"
		"ddb.geometry.heads = \"%d\"\n"
		"ddb.geometry.sectors = \"%d\"\n"
		"ddb.adapterType = \"ide\"\n"
		"ddb.toolsVersion = \"2147483647\"\n",
		plan->sectors / (HEADS * TRACK_SECTORS), HEADS, TRACK_SECTORS);
	return finish_text(f, text, length, err);
}
