// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>

#include "cell.h"
#include "command.h"
#include "container.h"
#include "message.h"
#include "size.h"

enum column {
	COL_NAME,
	COL_SIZE,
	COL_SECTORS,
	COL_START,
	COL_OFFSET,
	COL_ACCESS,
	COL_TYPE,
	COL_LINE,
	COL_EXTENTS,
	COL_VERSION,
	COL_CID,
	COL_ENCODING,
	COL_ADAPTER,
	COL_CYLINDERS,
	COL_HEADS,
	COL_TRACK_SECTORS,
	NR_COLUMNS,
};

/* The order of the enum; those of the descriptor are only in --json. */
static const struct {
	const char *name;
	int json_type;
	int flags;
} columns[NR_COLUMNS] = {
	[COL_NAME] = { "NAME", SCOLS_JSON_STRING, SCOLS_FL_TREE },
	[COL_SIZE] = { "SIZE", SCOLS_JSON_NUMBER, SCOLS_FL_RIGHT },
	[COL_SECTORS] = { "SECTORS", SCOLS_JSON_NUMBER, SCOLS_FL_RIGHT },
	[COL_START] = { "START", SCOLS_JSON_NUMBER, SCOLS_FL_RIGHT },
	[COL_OFFSET] = { "OFFSET", SCOLS_JSON_NUMBER, SCOLS_FL_RIGHT },
	[COL_ACCESS] = { "ACCESS", SCOLS_JSON_STRING, 0 },
	[COL_TYPE] = { "TYPE", SCOLS_JSON_STRING, 0 },
	[COL_LINE] = { "LINE", SCOLS_JSON_NUMBER, SCOLS_FL_RIGHT },
	[COL_EXTENTS] = { "EXTENTS", SCOLS_JSON_NUMBER, 0 },
	[COL_VERSION] = { "VERSION", SCOLS_JSON_NUMBER, 0 },
	[COL_CID] = { "CID", SCOLS_JSON_STRING, 0 },
	[COL_ENCODING] = { "ENCODING", SCOLS_JSON_STRING, 0 },
	[COL_ADAPTER] = { "ADAPTER", SCOLS_JSON_STRING, 0 },
	[COL_CYLINDERS] = { "CYLINDERS", SCOLS_JSON_NUMBER, 0 },
	[COL_HEADS] = { "HEADS", SCOLS_JSON_NUMBER, 0 },
	[COL_TRACK_SECTORS] = { "TRACK_SECTORS", SCOLS_JSON_NUMBER, 0 },
};

/* Names are bytes; JSON and terminals want characters. Returns 0 or -ENOMEM. */
static int set_name(struct libscols_line *line, enum column column, const char *bytes)
{
	return bytes ? cell_set_text(line, column, bytes) : 0;
}

static int set_size(struct libscols_line *line, uint64_t sectors, bool json)
{
	char text[SIZE_TEXT_LEN];

	if (json)
		return cell_set_number(line, COL_SIZE, sectors << SECTOR_SHIFT);
	return scols_line_set_data(line, COL_SIZE, size_format(text, sectors << SECTOR_SHIFT));
}

static int add_extent(struct libscols_table *table, struct libscols_line *parent,
		      const struct extent *e, bool json)
{
	struct libscols_line *line = scols_table_new_line(table, parent);

	if (!line)
		return -ENOMEM;
	if (set_name(line, COL_NAME, e->name) || set_size(line, e->sectors, json) ||
	    cell_set_number(line, COL_SECTORS, e->sectors) ||
	    cell_set_number(line, COL_START, e->start) ||
	    cell_set_number(line, COL_OFFSET, e->offset) ||
	    scols_line_set_data(line, COL_ACCESS, extent_access_text(e->access)) ||
	    scols_line_set_data(line, COL_TYPE, extent_type_text(e->type)) ||
	    cell_set_number(line, COL_LINE, e->line))
		return -ENOMEM;
	return 0;
}

static int add_container(struct libscols_table *table, const struct container *c,
			 struct libscols_line **line)
{
	const struct descriptor *d = &c->descriptor;
	char cid[9];

	snprintf(cid, sizeof(cid), "%08" PRIx32, d->cid);
	*line = scols_table_new_line(table, NULL);
	if (!*line)
		return -ENOMEM;
	if (set_name(*line, COL_NAME, c->path) || set_size(*line, d->sectors, true) ||
	    cell_set_number(*line, COL_SECTORS, d->sectors) ||
	    set_name(*line, COL_TYPE, d->create_type_text) ||
	    cell_set_number(*line, COL_EXTENTS, d->nr_extents) ||
	    cell_set_number(*line, COL_VERSION, d->version) ||
	    scols_line_set_data(*line, COL_CID, cid) ||
	    set_name(*line, COL_ENCODING, d->encoding) ||
	    set_name(*line, COL_ADAPTER, d->adapter_type))
		return -ENOMEM;
	if (d->has_geometry && (cell_set_number(*line, COL_CYLINDERS, d->cylinders) ||
				cell_set_number(*line, COL_HEADS, d->heads) ||
				cell_set_number(*line, COL_TRACK_SECTORS, d->track_sectors)))
		return -ENOMEM;
	return 0;
}

static int add_columns(struct libscols_table *table, bool json)
{
	struct libscols_column *column;
	int i, flags;

	for (i = 0; i < NR_COLUMNS; i++) {
		flags = json ? columns[i].flags : columns[i].flags & ~SCOLS_FL_TREE;
		if (!json && i > COL_LINE)
			flags |= SCOLS_FL_HIDDEN;
		column = scols_table_new_column(table, columns[i].name, 0, flags);
		if (!column || scols_column_set_json_type(column, columns[i].json_type))
			return -ENOMEM;
	}
	return 0;
}

static struct libscols_table *new_table(bool json)
{
	struct libscols_table *table = scols_new_table();

	if (!table || scols_table_enable_json(table, json) ||
	    scols_table_enable_noencoding(table, 1) || /* message_escape() has done it */
	    scols_table_set_name(table, "container") || add_columns(table, json)) {
		scols_unref_table(table);
		return NULL;
	}
	return table;
}

/* The extents; with --json the descriptor above them, as lsblk nests things. */
static int print_table(const struct container *c, bool json)
{
	const struct descriptor *d = &c->descriptor;
	struct libscols_table *table = new_table(json);
	struct libscols_line *parent = NULL;
	int ret = table ? 0 : -ENOMEM;
	size_t i;

	if (!ret && json)
		ret = add_container(table, c, &parent);
	for (i = 0; i < d->nr_extents && !ret; i++)
		ret = add_extent(table, parent, &d->extents[i], json);
	if (!ret)
		ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}

static void print_fact(const char *what, const char *bytes)
{
	printf("%-11s ", what);
	message_print(bytes);
	putchar('\n');
}

static void print_facts(const struct container *c)
{
	const struct descriptor *d = &c->descriptor;
	char size[SIZE_TEXT_LEN];

	print_fact("Descriptor:", c->path);
	printf("%-11s %s (%" PRIu64 " bytes, %" PRIu64 " sectors)\n",
	       "Size:", size_format(size, d->sectors << SECTOR_SHIFT), d->sectors << SECTOR_SHIFT,
	       d->sectors);
	print_fact("Type:", d->create_type_text);
	printf("%-11s %u\n", "Version:", d->version);
	printf("%-11s %08" PRIx32 "\n", "CID:", d->cid);
	if (d->encoding)
		print_fact("Encoding:", d->encoding);
	if (d->adapter_type)
		print_fact("Adapter:", d->adapter_type);
	if (d->has_geometry)
		printf("%-11s %" PRIu64 " cylinders, %" PRIu64 " heads, %" PRIu64 " sectors\n",
		       "Geometry:", d->cylinders, d->heads, d->track_sectors);
	printf("%-11s %zu\n\n", "Extents:", d->nr_extents);
}

static int info(const char *path, bool json)
{
	struct svmdk_error err;
	struct container c;
	int ret;

	if (container_open(&c, path, NULL, 0, &err)) {
		error_print(&err);
		return EXIT_FAILED;
	}
	if (!json)
		print_facts(&c);
	ret = print_table(&c, json);
	if (ret)
		message_error(path, 0, "cannot print the extents");
	container_close(&c);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "Jh", options, NULL)) != -1) {
		switch (option) {
		case 'J':
			json = true;
			break;
		case 'h':
			return command_help(&cmd_info);
		default:
			return command_usage(&cmd_info, NULL);
		}
	}
	if (argc - optind != 1)
		return command_usage(&cmd_info, "it takes one FILE");
	return info(argv[optind], json);
}

const struct command cmd_info = {
	.name = "info",
	.args = "FILE [--json]",
	.summary = "Show what a descriptor says: size, geometry, extents",
	.help = "FILE is the descriptor. No extent is opened; see `svmdk check' for that.\n"
		"\n"
		"START, OFFSET and SECTORS are in sectors of 512 bytes: where the extent begins in\n"
		"the disk, where in its file, and how long it is.\n"
		"\n"
		"Options:\n"
		"  -J, --json  print JSON, sizes in bytes\n"
		"  -h, --help  show this\n",
	.run = run,
};
