// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../kmod/uapi/svmdk.h"
#include "descriptor.h"
#include "extent_line.h"
#include "scan.h"
#include "size.h"

#define CONVERT_HINT "convert the disk: qemu-img convert -O vmdk -o subformat=twoGbMaxExtentFlat"

/* The shortest line, "RW 1 ZERO\n", often: no need to count extents. */
_Static_assert(DESCRIPTOR_MAX_BYTES / 10 < SVMDK_MAX_EXTENTS, "a text may hold too many extents");

/*
 * Keys that mean something here. Each may stand once: of two that differ,
 * other programs take the first or the last as they please.
 */
enum key {
	KEY_VERSION,
	KEY_ENCODING,
	KEY_CID,
	KEY_PARENT_CID,
	KEY_IS_NATIVE_SNAPSHOT,
	KEY_CREATE_TYPE,
	KEY_PARENT_FILE_NAME_HINT,
	KEY_CHANGE_TRACK_PATH,
	KEY_ENCRYPTION_KEYS,
	KEY_ADAPTER_TYPE,
	KEY_CYLINDERS,
	KEY_HEADS,
	KEY_TRACK_SECTORS,
	KEY_LONG_CONTENT_ID,
	NR_KEYS,
};

static const char *const key_texts[NR_KEYS] = {
	[KEY_VERSION] = "version",
	[KEY_ENCODING] = "encoding",
	[KEY_CID] = "CID",
	[KEY_PARENT_CID] = "parentCID",
	[KEY_IS_NATIVE_SNAPSHOT] = "isNativeSnapshot",
	[KEY_CREATE_TYPE] = "createType",
	[KEY_PARENT_FILE_NAME_HINT] = "parentFileNameHint",
	[KEY_CHANGE_TRACK_PATH] = "changeTrackPath",
	[KEY_ENCRYPTION_KEYS] = "encryptionKeys",
	[KEY_ADAPTER_TYPE] = "ddb.adapterType",
	[KEY_CYLINDERS] = "ddb.geometry.cylinders",
	[KEY_HEADS] = "ddb.geometry.heads",
	[KEY_TRACK_SECTORS] = "ddb.geometry.sectors",
	[KEY_LONG_CONTENT_ID] = "ddb.longContentID",
};

/**
 * struct parser - a descriptor while it is read
 * @d: what is known so far
 * @line: number of the line that is read
 * @cut: the line has no newline, so the text may have been cut
 * @key_line: for each key the line it stands in, or 0
 * @parent_cid: meaningful when @key_line has it
 * @create_known: createType is one that can be attached
 * @create_sparse: createType is one of a disk that is not flat
 * @room: of @d->extents
 */
struct parser {
	struct descriptor *d;
	unsigned int line;
	bool cut;
	unsigned int key_line[NR_KEYS];
	uint32_t parent_cid;
	bool create_known;
	bool create_sparse;
	size_t room;
	struct svmdk_error *err;
};

static int no_memory(struct parser *p)
{
	return error_errno(p->err, ENOMEM, "cannot read the descriptor");
}

static int keep_text(struct parser *p, char **to, const struct piece *value)
{
	*to = piece_copy(value);
	return *to ? 0 : no_memory(p);
}

static int parse_version(struct parser *p, const struct piece *value)
{
	uint64_t version;

	if (scan_number(value, "the version", &version, p->err))
		return -1;
	if (version < 1 || version > 3)
		return error_set(p->err, EINVAL, "unknown version %.*s; svmdk reads 1, 2 and 3",
				 PIECE_ARGS(*value));
	p->d->version = version;
	return 0;
}

static int parse_cid(struct parser *p, const struct piece *value, uint32_t *cid)
{
	size_t i;
	char c;

	*cid = 0;
	for (i = 0; i < value->length && isxdigit((unsigned char)value->at[i]); i++) {
		c = value->at[i];
		*cid = *cid << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	if (i == 0 || i > 8 || i < value->length)
		return error_set(p->err, EINVAL,
				 "a content ID must be 1 to 8 hexadecimal digits, not %.*s",
				 PIECE_ARGS(*value));
	return 0;
}

static int parse_create_type(struct parser *p, const struct piece *value)
{
	static const struct {
		const char *text;
		enum create_type type;
	} known[] = {
		{ "monolithicFlat", CREATE_MONOLITHIC_FLAT },
		{ "twoGbMaxExtentFlat", CREATE_TWO_GB_MAX_EXTENT_FLAT },
		{ "2GbMaxExtentFlat", CREATE_TWO_GB_MAX_EXTENT_FLAT },
		{ "vmfs", CREATE_VMFS },
		{ "vmfsPreallocated", CREATE_VMFS_PREALLOCATED },
		{ "vmfsEagerZeroedThick", CREATE_VMFS_EAGER_ZEROED_THICK },
		{ "vmfsThin", CREATE_VMFS },
		{ "fullDevice", CREATE_FULL_DEVICE },
		{ "partitionedDevice", CREATE_PARTITIONED_DEVICE },
		{ "custom", CREATE_CUSTOM },
	};
	static const char *const sparse[] = {
		"monolithicSparse",
		"twoGbMaxExtentSparse",
		"2GbMaxExtentSparse",
		"streamOptimized",
		"vmfsSparse",
		"seSparse",
		"vmfsRDM",
		"vmfsRDMP",
		"vmfsRaw",
		"vmfsRawDeviceMap",
		"vmfsPassthroughRawDeviceMap",
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]) && !p->create_known; i++) {
		p->create_known = piece_is(value, known[i].text);
		p->d->create_type = known[i].type;
	}
	for (i = 0; i < sizeof(sparse) / sizeof(sparse[0]) && !p->create_sparse; i++)
		p->create_sparse = piece_is(value, sparse[i]);
	return keep_text(p, &p->d->create_type_text, value);
}

static struct text_span span_of(const struct parser *p, const struct piece *value)
{
	return (struct text_span){ value->at - p->d->text, value->length };
}

static int parse_value(struct parser *p, enum key key, const struct piece *value)
{
	struct descriptor *d = p->d;

	switch (key) {
	case KEY_VERSION:
		return parse_version(p, value);
	case KEY_CID:
		d->cid_at = span_of(p, value);
		d->cid_digits = value->length;
		return parse_cid(p, value, &d->cid);
	case KEY_PARENT_CID:
		return parse_cid(p, value, &p->parent_cid);
	case KEY_CREATE_TYPE:
		d->create_type_at = span_of(p, value);
		return parse_create_type(p, value);
	case KEY_PARENT_FILE_NAME_HINT:
	case KEY_ENCRYPTION_KEYS:
		/* Empty, it is as if it were not there. */
		if (!value->length)
			p->key_line[key] = 0;
		return 0;
	case KEY_ENCODING:
		return keep_text(p, &d->encoding, value);
	case KEY_ADAPTER_TYPE:
		return keep_text(p, &d->adapter_type, value);
	case KEY_CYLINDERS:
		d->cylinders_at = span_of(p, value);
		return scan_number(value, "the number of cylinders", &d->cylinders, p->err);
	case KEY_HEADS:
		return scan_number(value, "the number of heads", &d->heads, p->err);
	case KEY_TRACK_SECTORS:
		return scan_number(value, "the number of sectors a track", &d->track_sectors,
				   p->err);
	case KEY_LONG_CONTENT_ID:
		d->content_id_at = span_of(p, value);
		return 0;
	default:
		return 0;
	}
}

static bool is_key_char(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

/* Takes KEY, blanks, `=', blanks; false when the line does not begin so. */
static bool scan_key(struct scan *s, struct piece *key)
{
	key->at = s->at;
	while (s->at < s->end && is_key_char(*s->at))
		s->at++;
	key->length = s->at - key->at;
	if (!key->length || !scan_blanks(s) || *s->at != '=')
		return false;
	s->at++;
	scan_blanks(s);
	return true;
}

static int scan_value(struct parser *p, struct scan *s, struct piece *value)
{
	if (scan_blanks(s) && *s->at == '"') {
		if (scan_quoted(s, value, "the value", p->err))
			return -1;
		if (scan_blanks(s))
			return error_set(p->err, EINVAL, "there is text after the value");
		return 0;
	}
	value->at = s->at;
	value->length = s->end - s->at;
	if (memchr(value->at, '"', value->length))
		return error_set(p->err, EINVAL, "there is a quote within the value");
	return 0;
}

static int parse_key_line(struct parser *p, struct scan line)
{
	struct scan whole = line;
	struct piece key, value;
	int i;

	if (!scan_key(&line, &key))
		return error_set(
			p->err, EINVAL,
			"unknown line: %.*s; there may be comments (#), KEY=VALUE, and extents: RW SECTORS FLAT \"FILE\" OFFSET",
			(int)(whole.end - whole.at < 80 ? whole.end - whole.at : 80), whole.at);
	if (scan_value(p, &line, &value))
		return -1;
	for (i = 0; i < NR_KEYS && !piece_is(&key, key_texts[i]); i++)
		;
	if (i == NR_KEYS) {
		if (key.length > 4 && strncasecmp(key.at, "ddb.", 4) == 0)
			return 0; /* anyone may keep something there */
		return error_set(
			p->err, EINVAL,
			"unknown key %.*s: it may change what the disk is; remove the line if it does not",
			PIECE_ARGS(key));
	}
	if (p->key_line[i])
		return error_set(p->err, EINVAL, "%s stands here again; it is in line %u already",
				 key_texts[i], p->key_line[i]);
	p->key_line[i] = p->line;
	return parse_value(p, i, &value);
}

static int add_extent(struct parser *p, struct scan line)
{
	struct descriptor *d = p->d;
	struct extent *e;
	size_t room;

	if (d->nr_extents == p->room) {
		room = p->room ? 2 * p->room : 16;
		e = reallocarray(d->extents, room, sizeof(*e));
		if (!e)
			return no_memory(p);
		d->extents = e;
		p->room = room;
	}
	e = &d->extents[d->nr_extents];
	if (extent_line_parse(e, line, p->err))
		return -1;
	d->nr_extents++;
	e->line = p->line;
	e->start = d->sectors;
	if (e->sectors >= SECTORS_LIMIT - d->sectors)
		return error_set(p->err, ERANGE,
				 "the extents up to here add up to 2^63 bytes or more");
	d->sectors += e->sectors;
	return 0;
}

static int parse_line(struct parser *p, struct scan line)
{
	const char *c;

	while (line.end > line.at && strchr(" \t\r", line.end[-1]))
		line.end--;
	if (!scan_blanks(&line) || *line.at == '#')
		return 0;
	for (c = line.at; c < line.end; c++) {
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return error_set(p->err, EINVAL,
					 "there is a control character, byte 0x%02x",
					 (unsigned char)*c);
	}
	if (extent_line_is(&line))
		return add_extent(p, line);
	return parse_key_line(p, line);
}

static int parse_lines(struct parser *p)
{
	const char *at = p->d->text;
	const char *end = at + p->d->length;
	const char *newline;

	while (at < end) {
		newline = memchr(at, '\n', end - at);
		p->line++;
		p->cut = !newline;
		if (parse_line(p, (struct scan){ at, newline ? newline : end })) {
			if (p->cut && p->err->code == EINVAL)
				error_set(
					p->err, EINVAL,
					"%s; the text ends here without a newline, so it was probably cut: restore it from a copy",
					p->err->text);
			return error_at(p->err, NULL, p->line);
		}
		at = newline ? newline + 1 : end;
	}
	return 0;
}

/* Letters only, so that "#Disk Descriptor File" is as good as any. */
static bool is_title(const struct scan *line)
{
	static const char title[] = "diskdescriptor";
	const char *want = title;
	const char *c;

	for (c = line->at; c < line->end && *want; c++) {
		if (*c == '#' || *c == ' ' || *c == '\t')
			continue;
		if (tolower((unsigned char)*c) != *want++)
			return false;
	}
	return !*want;
}

/* By its title; or, as QEMU does it, by comments and then the version. */
static bool is_descriptor(const struct descriptor *d)
{
	const char *at = d->text;
	const char *end = at + d->length;
	const char *newline;
	struct scan line;
	struct piece key;

	for (; at < end; at = newline ? newline + 1 : end) {
		newline = memchr(at, '\n', end - at);
		line = (struct scan){ at, newline ? newline : end };
		if (!scan_blanks(&line) || *line.at == '\r')
			continue;
		if (*line.at != '#')
			return scan_key(&line, &key) && piece_is(&key, "version");
		if (is_title(&line))
			return true;
	}
	return false;
}

static int check_kind(const struct descriptor *d, const char *bytes, size_t length,
		      struct svmdk_error *err)
{
	size_t i;

	if (length >= 4 && (memcmp(bytes, "KDMV", 4) == 0 || memcmp(bytes, "COWD", 4) == 0))
		return error_set(
			err, EINVAL,
			"a sparse VMDK (%.4s), not a descriptor of flat extents; " CONVERT_HINT,
			bytes);
	if (length > DESCRIPTOR_MAX_BYTES)
		return error_set(
			err, EFBIG,
			"larger than 1 MiB, so it is no descriptor; name the small text file, not an extent");
	if (!length)
		return error_set(err, EINVAL, "empty; restore the descriptor from a copy");
	if (is_descriptor(d))
		return 0;
	for (i = 0; i < length; i++) {
		if ((unsigned char)bytes[i] < '\t')
			return error_set(err, EINVAL,
					 "binary data, not a VMDK descriptor; name the text file");
	}
	return error_set(err, EINVAL,
			 "not a VMDK descriptor: it does not begin with \"# Disk DescriptorFile\"");
}

/* Content that is somewhere else, or that nobody here can read. */
static int check_foreign(struct parser *p)
{
	unsigned int encrypted = p->key_line[KEY_ENCRYPTION_KEYS];
	unsigned int parent = p->key_line[KEY_PARENT_CID];

	if (!parent || p->parent_cid == UINT32_MAX)
		parent = p->key_line[KEY_PARENT_FILE_NAME_HINT];
	if (encrypted) {
		error_set(
			p->err, ENOTSUP,
			"the disk is encrypted (encryptionKeys)%s; decrypt it with the program that made it",
			parent ? ", and a child of another disk" : "");
		return error_at(p->err, NULL, encrypted);
	}
	if (parent) {
		error_set(
			p->err, ENOTSUP,
			"the disk is a child of another one (%s), so it is not whole by itself; consolidate its snapshots, or convert the chain with qemu-img convert",
			parent == p->key_line[KEY_PARENT_CID] ? "parentCID is not ffffffff" :
								"parentFileNameHint");
		return error_at(p->err, NULL, parent);
	}
	return 0;
}

static int check_extents(struct parser *p)
{
	const struct descriptor *d = p->d;
	const struct extent *data = NULL;
	const struct extent *e;
	size_t i;

	for (i = 0; i < d->nr_extents; i++) {
		e = &d->extents[i];
		if (e->type == EXTENT_VMFSRDM || e->type == EXTENT_VMFSRAW) {
			error_set(
				p->err, ENOTSUP,
				"%s extents are device maps of ESXi; clone the disk with vmkfstools -i",
				extent_type_text(e->type));
			return error_at(p->err, NULL, e->line);
		}
		if (e->type > EXTENT_ZERO) {
			error_set(p->err, ENOTSUP, "%s extents are not flat; " CONVERT_HINT,
				  extent_type_text(e->type));
			return error_at(p->err, NULL, e->line);
		}
		if (e->type == EXTENT_ZERO)
			continue;
		if (!data)
			data = e;
		if (e->type != data->type) {
			error_set(p->err, EINVAL,
				  "mixed types: %s here, %s in line %u; a disk has one of them",
				  extent_type_text(e->type), extent_type_text(data->type),
				  data->line);
			return error_at(p->err, NULL, e->line);
		}
	}
	return 0;
}

static int check_create_type(struct parser *p)
{
	const char *text = p->d->create_type_text;
	unsigned int line = p->key_line[KEY_CREATE_TYPE];

	if (!line)
		return error_set(p->err, EINVAL, "there is no createType line; is the text whole?");
	if (p->create_known)
		return 0;
	if (p->create_sparse)
		error_set(p->err, ENOTSUP, "createType %s is not flat; " CONVERT_HINT, text);
	else
		error_set(
			p->err, EINVAL,
			"unknown createType %.80s; twoGbMaxExtentFlat, monolithicFlat and vmfs are the usual ones",
			text);
	return error_at(p->err, NULL, line);
}

static int check_whole(struct parser *p)
{
	struct descriptor *d = p->d;

	if (check_foreign(p) || check_extents(p) || check_create_type(p))
		return -1;
	if (!p->key_line[KEY_VERSION])
		return error_set(p->err, EINVAL, "there is no version line; is the text whole?");
	if (!p->key_line[KEY_CID])
		return error_set(p->err, EINVAL, "there is no CID line; is the text whole?");
	if (!d->nr_extents)
		return error_set(p->err, EINVAL, "there are no extents; is the text whole?");
	d->has_geometry = p->key_line[KEY_CYLINDERS] && p->key_line[KEY_HEADS] &&
			  p->key_line[KEY_TRACK_SECTORS];
	return 0;
}

/*
 * QEMU leaves NULs after the text, and where it made a line shorter the end of the text
 * once more behind the first of them. Anything else that is not NUL is the rest of a text
 * that lost a piece, as a power cut leaves it: what is before is a smaller disk, which
 * looks whole.
 */
static int check_rest(struct parser *p, const char *bytes, size_t length)
{
	const struct descriptor *d = p->d;
	unsigned int line = 1;
	size_t i;

	while (length > d->length && !bytes[length - 1])
		length--;
	if (length <= d->length)
		return 0;
	length -= d->length + 1;
	if (length <= d->length &&
	    memcmp(bytes + d->length + 1, d->text + d->length - length, length) == 0)
		return 0;
	for (i = 0; i < d->length; i++)
		line += d->text[i] == '\n';
	error_set(p->err, EINVAL,
		  "zeroes, and text behind them, so a piece of it was lost; restore the descriptor "
		  "from a copy");
	return error_at(p->err, NULL, line);
}

int descriptor_parse(struct descriptor *d, const void *bytes, size_t length,
		     struct svmdk_error *err)
{
	struct parser p = { .d = d, .err = err };

	*d = (struct descriptor){ 0 };
	d->length = strnlen(bytes, length < DESCRIPTOR_MAX_BYTES ? length : DESCRIPTOR_MAX_BYTES);
	d->text = strndup(bytes, d->length);
	if (!d->text)
		no_memory(&p);
	else if (check_kind(d, bytes, length, err) == 0 && check_rest(&p, bytes, length) == 0 &&
		 parse_lines(&p) == 0 && check_whole(&p) == 0)
		return 0;
	descriptor_free(d);
	return -1;
}

bool descriptor_names(const struct descriptor *d, const char *name)
{
	size_t i;

	for (i = 0; i < d->nr_extents; i++)
		if (d->extents[i].name && strcmp(d->extents[i].name, name) == 0)
			return true;
	return false;
}

void descriptor_free(struct descriptor *d)
{
	size_t i;

	for (i = 0; i < d->nr_extents; i++)
		free(d->extents[i].name);
	free(d->extents);
	free(d->create_type_text);
	free(d->adapter_type);
	free(d->encoding);
	free(d->text);
	*d = (struct descriptor){ 0 };
}
