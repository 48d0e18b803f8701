/* SPDX-License-Identifier: GPL-2.0 */
/* Copyright (C) 2026 the svmdk authors */
#ifndef SVMDK_DESCRIPTOR_H
#define SVMDK_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "message.h"
#include "size.h"

/*
 * The text file that names a disk's extents. Everything in it is hostile
 * until proven otherwise: nothing here opens a file, and names are bytes.
 */

#define DESCRIPTOR_MAX_BYTES (1U << 20)

enum extent_access {
	EXTENT_RW,
	EXTENT_RDONLY, /* a write fails */
	EXTENT_NOACCESS, /* a read fails too; its file is never opened */
};

enum extent_type {
	EXTENT_FLAT, /* sectors of a file or block device, from an offset */
	EXTENT_VMFS, /* the same, as ESXi names it */
	EXTENT_ZERO, /* zeroes; its name, if any, is never opened */
	/* Known by name and refused by the parser: */
	EXTENT_SPARSE,
	EXTENT_VMFSSPARSE,
	EXTENT_VMFSRDM,
	EXTENT_VMFSRAW,
	EXTENT_SESPARSE,
};

enum create_type {
	CREATE_MONOLITHIC_FLAT,
	CREATE_TWO_GB_MAX_EXTENT_FLAT,
	CREATE_VMFS,
	CREATE_VMFS_PREALLOCATED,
	CREATE_VMFS_EAGER_ZEROED_THICK,
	CREATE_FULL_DEVICE,
	CREATE_PARTITIONED_DEVICE,
	CREATE_CUSTOM,
};

/**
 * struct extent - one extent line
 * @access: RW, RDONLY or NOACCESS
 * @type: EXTENT_FLAT, EXTENT_VMFS or EXTENT_ZERO
 * @sectors: its length, not zero
 * @start: where it begins in the disk, in sectors
 * @offset: where it begins in its file, in sectors; @offset + @sectors is
 *	below SECTORS_LIMIT
 * @name: of its file, as the descriptor has it: bytes, no control characters,
 *	not empty. NULL where there is none, as EXTENT_ZERO alone may have it.
 * @line: of the descriptor, from 1
 */
struct extent {
	enum extent_access access;
	enum extent_type type;
	uint64_t sectors;
	uint64_t start;
	uint64_t offset;
	char *name;
	unsigned int line;
};

/**
 * struct text_span - a piece of a descriptor's text
 * @at: first byte of it
 * @length: in bytes; with @at 0 too, there is none
 */
struct text_span {
	size_t at;
	size_t length;
};

/**
 * struct descriptor - a descriptor, understood
 * @version: 1 to 3
 * @cid: content ID
 * @cid_digits: how many digits the text has for it; some have fewer than 8
 * @create_type: what its createType says
 * @create_type_text: the same, as the text spells it
 * @adapter_type: ddb.adapterType, or NULL
 * @encoding: of the names, as the text says; or NULL
 * @has_geometry: all three of the following are in the text
 * @cylinders: ddb.geometry.cylinders
 * @heads: ddb.geometry.heads
 * @track_sectors: ddb.geometry.sectors
 * @sectors: size of the disk: sum of the extents', below SECTORS_LIMIT
 * @extents: array, in the order of the disk
 * @nr_extents: 1 to SVMDK_MAX_EXTENTS
 * @text: the whole text up to the first NUL, byte for byte; NUL-terminated
 * @length: of @text in bytes
 * @cid_at: where the CID's digits are in @text
 * @content_id_at: where the value of ddb.longContentID is in @text, without
 *	its quotes; or nowhere
 * @create_type_at: where the value of createType is, likewise
 * @cylinders_at: where the value of ddb.geometry.cylinders is, likewise
 */
struct descriptor {
	unsigned int version;
	uint32_t cid;
	unsigned int cid_digits;
	enum create_type create_type;
	char *create_type_text;
	char *adapter_type;
	char *encoding;
	bool has_geometry;
	uint64_t cylinders;
	uint64_t heads;
	uint64_t track_sectors;
	uint64_t sectors;
	struct extent *extents;
	size_t nr_extents;
	char *text;
	size_t length;
	struct text_span cid_at;
	struct text_span content_id_at;
	struct text_span create_type_at;
	struct text_span cylinders_at;
};

/**
 * descriptor_parse() - read a descriptor's text
 * @d: filled on success, to be freed; all zero on failure
 * @bytes: the file's content; need not end in NUL
 * @length: of it, in bytes. Pass one byte more than DESCRIPTOR_MAX_BYTES of a
 *	file that is longer: the answer is the same.
 * @err: filled on failure, with @err->line; @err->file is left to the caller
 *
 * Returns 0, or -1 when the text is no descriptor, or one of a disk that
 * cannot be attached for what it is: encrypted, a child of another disk, a
 * sparse one.
 */
int descriptor_parse(struct descriptor *d, const void *bytes, size_t length,
		     struct svmdk_error *err);

/**
 * descriptor_names() - whether an extent has a name, letter by letter
 * @d: the descriptor
 * @name: of a file, as a descriptor has it
 */
bool descriptor_names(const struct descriptor *d, const char *name);

/**
 * descriptor_free() - free what descriptor_parse() made
 * @d: a descriptor; all zero afterwards. One that is all zero is fine.
 */
void descriptor_free(struct descriptor *d);

/**
 * descriptor_new_cid() - make a content ID that differs from the last
 * @old: the one that it must not be
 *
 * Random, and never one that means something else (0, fffffffe, ffffffff).
 */
uint32_t descriptor_new_cid(uint32_t old);

/**
 * descriptor_text_with_cid() - the text with another content ID
 * @d: a parsed descriptor
 * @cid: the new one
 * @text: set to the new text, to be freed
 * @length: set to its length in bytes
 * @err: filled on failure
 *
 * ddb.longContentID goes on ending in the CID; every other byte stays, but
 * that NUL padding is gone and that a newline is added when the length would
 * be a multiple of 512, which QEMU cannot stand. Returns 0 or -1 (no memory,
 * or it would pass DESCRIPTOR_MAX_BYTES).
 */
int descriptor_text_with_cid(const struct descriptor *d, uint32_t cid, char **text, size_t *length,
			     struct svmdk_error *err);

/**
 * descriptor_text_with_extents() - the text with other extents
 * @d: a parsed descriptor
 * @extents: the new ones, in the order of the disk. One that is equal to the
 *	extent of @d that has its @line keeps that line byte for byte; @start
 *	is not looked at.
 * @nr: how many, not 0
 * @create_type: the new createType, or NULL when it stays
 * @text: set to the new text, to be freed
 * @length: set to its length in bytes
 * @err: filled on failure
 *
 * They stand in one block where the first one stood. The number of cylinders
 * follows the size, as qemu-img reckons it; every other byte stays, but for
 * what descriptor_text_with_cid() says of NULs and newlines. Returns 0, or -1:
 * no memory, a name that a descriptor cannot hold, or a text that would pass
 * DESCRIPTOR_MAX_BYTES.
 */
int descriptor_text_with_extents(const struct descriptor *d, const struct extent *extents,
				 size_t nr, const char *create_type, char **text, size_t *length,
				 struct svmdk_error *err);

/**
 * struct descriptor_plan - a container to be written down
 * @stem: what its extents' names begin with; no folder
 * @sectors: size of the disk
 * @extent_sectors: size of every extent but the last, which takes the rest
 * @cid: content ID
 */
struct descriptor_plan {
	const char *stem;
	uint64_t sectors;
	uint64_t extent_sectors;
	uint32_t cid;
};

/**
 * descriptor_compose() - write a descriptor's text, of twoGbMaxExtentFlat
 * @plan: what it shall say
 * @text: set to the text, to be freed
 * @length: set to its length in bytes; never a multiple of 512
 * @err: filled on failure
 *
 * Of the shape that qemu-img writes. Returns 0, or -1 when the stem cannot
 * stand in a descriptor or there is too much for one.
 */
int descriptor_compose(const struct descriptor_plan *plan, char **text, size_t *length,
		       struct svmdk_error *err);

/**
 * descriptor_extent_name() - name of an extent's file: STEM-f001.vmdk
 * @stem: what it begins with
 * @number: which one, from 1
 *
 * Returns a string to be freed; NULL when there is no memory.
 */
char *descriptor_extent_name(const char *stem, uint64_t number);

/**
 * extent_access_text() - the keyword of an access
 * @access: which
 */
const char *extent_access_text(enum extent_access access);

/**
 * extent_type_text() - the keyword of a type
 * @type: which
 */
const char *extent_type_text(enum extent_type type);

/**
 * extent_has_file() - whether an extent's file is opened at all
 * @e: the extent
 *
 * True of a FLAT or VMFS extent that is not NOACCESS.
 */
static inline bool extent_has_file(const struct extent *e)
{
	return e->type != EXTENT_ZERO && e->access != EXTENT_NOACCESS;
}

/**
 * extent_end() - where an extent ends in its file
 * @e: the extent; the parser has proved that its sums do not overflow
 *
 * In bytes.
 */
static inline uint64_t extent_end(const struct extent *e)
{
	return (e->offset + e->sectors) << SECTOR_SHIFT;
}

#endif /* SVMDK_DESCRIPTOR_H */
