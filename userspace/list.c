// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "command.h"
#include "container.h"
#include "control.h"
#include "extent_map.h"
#include "find_device.h"
#include "size.h"

enum column_id {
	COL_NAME,
	COL_SIZE,
	COL_EXTENTS,
	COL_MAPPED,
	COL_RO,
	COL_DIRTY,
	COL_DESCRIPTOR,
	COL_CONTAINER,
	COL_STATE,
	COL_OPENERS,
	COL_LBS,
	COL_RUNS,
	COL_MEM,
	COL_EXTENT,
	COL_START,
	COL_SECTORS,
	COL_WAY,
	COL_REASON,
	NR_COLUMNS,
};

static const struct {
	const char *name;
	double width; /* as libsmartcols takes it: below 1 a share of the line */
	int flags;
	int json;
} columns[] = {
	[COL_NAME] = { "NAME", 0.2, 0, SCOLS_JSON_STRING },
	[COL_SIZE] = { "SIZE", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_EXTENTS] = { "EXTENTS", 7, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_MAPPED] = { "MAPPED", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_RO] = { "RO", 1, SCOLS_FL_RIGHT, SCOLS_JSON_BOOLEAN },
	[COL_DIRTY] = { "DIRTY", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_DESCRIPTOR] = { "DESCRIPTOR", 0.5, 0, SCOLS_JSON_STRING },
	[COL_CONTAINER] = { "CONTAINER", 0.2, 0, SCOLS_JSON_STRING },
	[COL_STATE] = { "STATE", 9, 0, SCOLS_JSON_STRING },
	[COL_OPENERS] = { "OPENERS", 7, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_LBS] = { "LBS", 4, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_RUNS] = { "RUNS", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_MEM] = { "MEM", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_EXTENT] = { "EXTENT", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_START] = { "START", 10, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_SECTORS] = { "SECTORS", 8, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_WAY] = { "WAY", 6, 0, SCOLS_JSON_STRING },
	[COL_REASON] = { "REASON", 0.2, 0, SCOLS_JSON_STRING },
};

static const enum column_id table_columns[] = {
	COL_NAME, COL_SIZE, COL_EXTENTS, COL_MAPPED, COL_RO, COL_DIRTY, COL_DESCRIPTOR,
};

static const enum column_id extents_columns[] = {
	COL_NAME, COL_SIZE, COL_START, COL_RO, COL_DIRTY, COL_WAY, COL_REASON,
};

static const enum column_id json_columns[] = {
	COL_NAME,      COL_SIZE,  COL_EXTENTS, COL_MAPPED, COL_RO,	COL_DIRTY, COL_DESCRIPTOR,
	COL_CONTAINER, COL_STATE, COL_EXTENT,  COL_START,  COL_SECTORS, COL_WAY,   COL_REASON,
};

/**
 * struct list - a list under way
 * @chosen: columns, in order
 * @nr_chosen: number of these
 * @bytes: sizes in bytes
 * @json: --json
 * @extents: each device's extents too
 * @noheadings: --noheadings
 * @control: the control node
 * @table: what is printed in the end
 */
struct list {
	enum column_id chosen[2 * NR_COLUMNS];
	size_t nr_chosen;
	bool bytes;
	bool json;
	bool extents;
	bool noheadings;
	int control;
	struct libscols_table *table;
};

static char *size_text(const struct list *l, uint64_t bytes)
{
	char text[SIZE_TEXT_LEN], *copy;

	if (!l->bytes && !l->json)
		return strdup(size_format(text, bytes));
	return asprintf(&copy, "%" PRIu64, bytes) < 0 ? NULL : copy;
}

static char *number_text(uint64_t number)
{
	char *text;

	return asprintf(&text, "%" PRIu64, number) < 0 ? NULL : text;
}

static const char *device_way(const struct svmdk_ioc_status *status)
{
	if (status->mapped == status->extents)
		return "mapped";
	return status->mapped ? "mixed" : "file";
}

static char *device_text(const struct list *l, const struct device *device, enum column_id column)
{
	const struct svmdk_ioc_status *status = &device->status;
	char node[DEVICE_NODE_LEN];

	switch (column) {
	case COL_NAME:
		device_node(device, node);
		return strdup(node);
	case COL_SIZE:
		return size_text(l, status->sectors << SECTOR_SHIFT);
	case COL_EXTENTS:
		return number_text(status->extents);
	case COL_MAPPED:
		return number_text(status->mapped);
	case COL_RO:
		return number_text(status->flags & SVMDK_STATUS_RDONLY ? 1 : 0);
	case COL_DIRTY:
		return number_text(status->written);
	case COL_DESCRIPTOR:
		return message_escape(device->descriptor);
	case COL_CONTAINER:
		return message_escape(status->name);
	case COL_STATE:
		return strdup(status->flags & SVMDK_STATUS_DETACHING ? "detaching" : "attached");
	case COL_OPENERS:
		return number_text(status->openers);
	case COL_LBS:
		return number_text(status->logical_block);
	case COL_RUNS:
		return number_text(status->runs);
	case COL_MEM:
		return size_text(l, status->memory);
	case COL_SECTORS:
		return number_text(status->sectors);
	case COL_WAY:
		return strdup(device_way(status));
	default:
		return strdup("");
	}
}

static const char *way_text(uint32_t way)
{
	static const char *const texts[] = {
		[SVMDK_WAY_MAPPED] = "mapped",
		[SVMDK_WAY_FILE] = "file",
		[SVMDK_WAY_ZERO] = "zero",
		[SVMDK_WAY_NONE] = "none",
	};

	return way < sizeof(texts) / sizeof(texts[0]) && texts[way] ? texts[way] : "unknown";
}

/* @name is NULL when it is not known, or there is none. */
static char *extent_text(const struct list *l, const struct svmdk_extent_info *info,
			 uint32_t number, const char *name, enum column_id column)
{
	switch (column) {
	case COL_NAME:
		return name ? message_escape(name) : strdup("");
	case COL_SIZE:
		return size_text(l, info->sectors << SECTOR_SHIFT);
	case COL_RO:
		return number_text(info->flags || info->kind == SVMDK_KIND_ZERO);
	case COL_DIRTY:
		return number_text(info->written);
	case COL_RUNS:
		return number_text(info->runs);
	case COL_EXTENT:
		return number_text(number);
	case COL_START:
		return number_text(info->start);
	case COL_SECTORS:
		return number_text(info->sectors);
	case COL_WAY:
		return strdup(way_text(info->way));
	case COL_REASON:
		return strdup(info->reason ? extent_map_reason_text(info->reason) : "");
	default:
		return strdup("");
	}
}

static int set_cell(struct libscols_line *line, size_t i, char *text)
{
	if (text && !*text) { /* JSON has null for it */
		free(text);
		return 0;
	}
	return text && scols_line_refer_data(line, i, text) == 0 ? 0 : -1;
}

static bool has_column(const struct list *l, enum column_id column)
{
	size_t i;

	for (i = 0; i < l->nr_chosen; i++)
		if (l->chosen[i] == column)
			return true;
	return false;
}

/*
 * The descriptor has the names; the driver was given none. A list without them is better
 * than none, but it is not left to be guessed why.
 */
static bool open_descriptor(const struct device *device, struct container *c)
{
	struct svmdk_error err;

	if (container_open(c, device->descriptor, NULL, 0, &err) == 0) {
		if (c->descriptor.nr_extents == device->status.extents &&
		    c->descriptor.sectors == device->status.sectors)
			return true;
		container_close(c);
		error_set(&err, ESTALE, "it has other extents than the disk");
		error_at(&err, device->descriptor, 0);
	}
	message_warn(err.file[0] ? err.file : device->descriptor, err.line,
		     "the names of the extents are not known: %s", err.text);
	return false;
}

static int add_extent_lines(struct list *l, const struct device *device,
			    struct libscols_line *parent, const struct svmdk_extent_info *infos,
			    uint32_t nr)
{
	struct container c;
	const bool named = nr && has_column(l, COL_NAME) && open_descriptor(device, &c);
	int result = 0;
	uint32_t i;
	size_t j;

	for (i = 0; !result && i < nr; i++) {
		struct libscols_line *line = scols_table_new_line(l->table, parent);
		const char *name = named ? c.descriptor.extents[i].name : NULL;

		if (!line)
			result = -1;
		for (j = 0; !result && j < l->nr_chosen; j++)
			result =
				set_cell(line, j, extent_text(l, &infos[i], i, name, l->chosen[j]));
	}
	if (named)
		container_close(&c);
	return result;
}

/* Returns 0 or -errno; -ENODEV when it went away meanwhile. */
static int add_device(struct list *l, const struct device *device)
{
	struct svmdk_extent_info *infos = NULL;
	struct libscols_line *line;
	uint32_t nr = 0;
	int code = 0;
	size_t i;

	if (l->extents)
		code = control_extents(l->control, device, &infos, &nr);
	if (code)
		return code;
	line = scols_table_new_line(l->table, NULL);
	if (!line)
		code = -ENOMEM;
	for (i = 0; !code && i < l->nr_chosen; i++)
		if (set_cell(line, i, device_text(l, device, l->chosen[i])))
			code = -ENOMEM;
	if (!code && add_extent_lines(l, device, line, infos, nr))
		code = -ENOMEM;
	free(infos);
	return code;
}

static int add_all(struct list *l)
{
	struct device device;
	uint32_t index = 0;
	int code;

	while (!(code = control_next_device(l->control, index, &device))) {
		index = device.status.index + 1;
		code = add_device(l, &device);
		device_free(&device);
		if (code && code != -ENODEV)
			break;
	}
	if (!code || code == -ENODEV)
		return EXIT_OK;
	message_error(NULL, 0, "cannot list the devices: %s", strerror(-code));
	return EXIT_FAILED;
}

static int add_named(struct list *l, char **args, int nr)
{
	int i, code, status = EXIT_OK;

	for (i = 0; i < nr; i++) {
		struct svmdk_error err;
		struct device device;

		if (find_device(l->control, args[i], &device, &err)) {
			error_print(&err);
			status = EXIT_FAILED;
			continue;
		}
		code = add_device(l, &device);
		device_free(&device);
		if (code) {
			message_error(args[i], 0, "cannot list it: %s", strerror(-code));
			status = EXIT_FAILED;
		}
	}
	return status;
}

static int add_columns(struct list *l)
{
	size_t i;

	for (i = 0; i < l->nr_chosen; i++) {
		const enum column_id id = l->chosen[i];
		int flags = columns[id].flags;
		struct libscols_column *column;

		/* One column carries the tree, also that of JSON. */
		if (l->extents && (id == COL_NAME || l->nr_chosen == 1))
			flags |= SCOLS_FL_TREE;
		column = scols_table_new_column(l->table, columns[id].name, columns[id].width,
						flags);
		if (!column || scols_column_set_json_type(column, columns[id].json))
			return -1;
	}
	return 0;
}

static int make_table(struct list *l)
{
	scols_init_debug(0);
	l->table = scols_new_table();
	if (!l->table || scols_table_set_name(l->table, "svmdk") ||
	    scols_table_enable_json(l->table, l->json) ||
	    scols_table_enable_noheadings(l->table, l->noheadings) ||
	    /* Names are escaped already. */
	    scols_table_enable_noencoding(l->table, 1) || add_columns(l)) {
		message_error(NULL, 0, "not enough memory");
		return -1;
	}
	return 0;
}

static int fill_table(struct list *l, char **args, int nr)
{
	struct svmdk_error err;
	int status;

	l->control = control_open(false, &err);
	if (l->control < 0 && err.code == ENODEV && !nr)
		return EXIT_OK; /* nothing is attached */
	if (l->control < 0 && err.code == ENODEV) {
		message_error(args[0], 0, "not attached; %s", err.text);
		return EXIT_FAILED;
	}
	if (l->control < 0) {
		error_print(&err);
		return EXIT_FAILED;
	}
	status = nr ? add_named(l, args, nr) : add_all(l);
	close(l->control);
	return status;
}

static int run(struct list *l, char **args, int nr)
{
	int status = EXIT_FAILED;

	if (!make_table(l)) {
		status = fill_table(l, args, nr);
		if ((status == EXIT_OK || !scols_table_is_empty(l->table)) &&
		    scols_print_table(l->table)) {
			message_error(NULL, 0, "cannot print the list");
			status = EXIT_FAILED;
		}
	}
	scols_unref_table(l->table);
	return status;
}

static int choose_column(struct list *l, const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < NR_COLUMNS; i++) {
		if (strlen(columns[i].name) != length || strncasecmp(columns[i].name, name, length))
			continue;
		if (l->nr_chosen == sizeof(l->chosen) / sizeof(l->chosen[0]))
			return -1;
		l->chosen[l->nr_chosen++] = i;
		return 0;
	}
	return -1;
}

static void choose_default(struct list *l)
{
	const enum column_id *ids = table_columns;
	size_t nr = sizeof(table_columns) / sizeof(table_columns[0]);

	if (l->json) {
		ids = json_columns;
		nr = sizeof(json_columns) / sizeof(json_columns[0]);
	} else if (l->extents) {
		ids = extents_columns;
		nr = sizeof(extents_columns) / sizeof(extents_columns[0]);
	}
	memcpy(l->chosen, ids, nr * sizeof(*ids));
	l->nr_chosen = nr;
}

/* "A,B" are the columns; "+A,B" come after the default ones. */
static int choose_columns(struct list *l, const char *output)
{
	choose_default(l);
	if (!output)
		return EXIT_OK;
	if (*output == '+')
		output++;
	else
		l->nr_chosen = 0;
	for (;;) {
		const size_t length = strcspn(output, ",");

		if (choose_column(l, output, length))
			return command_usage(&cmd_list, "no column %.*s, or too many of them",
					     (int)length, output);
		if (!output[length])
			return EXIT_OK;
		output += length + 1;
	}
}

static int main_list(int argc, char **argv)
{
	static const struct option options[] = {
		{ "bytes", no_argument, NULL, 'b' },
		{ "extents", no_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'J' },
		{ "noheadings", no_argument, NULL, 'n' },
		{ "output", required_argument, NULL, 'o' },
		{ 0 },
	};
	const char *output = NULL;
	struct list l = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "behJno:", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			l.bytes = true;
			break;
		case 'e':
			l.extents = true;
			break;
		case 'h':
			return command_help(&cmd_list);
		case 'J':
			l.json = true;
			break;
		case 'n':
			l.noheadings = true;
			break;
		case 'o':
			output = optarg;
			break;
		default:
			return command_usage(&cmd_list, NULL);
		}
	}
	if (l.json && !output)
		l.extents = true;
	if (choose_columns(&l, output) != EXIT_OK)
		return EXIT_USAGE;
	return run(&l, argv + optind, argc - optind);
}

const struct command cmd_list = {
	.name = "list",
	.args = "[DEVICE|FILE...] [-e] [-J] [-o COLUMNS]",
	.summary = "Show the attached disks, and how they are reached",
	.help = "  -b, --bytes           sizes in bytes\n"
		"  -e, --extents         the extents of each disk too, with why one is not mapped\n"
		"  -J, --json            as JSON, sizes in bytes; has the extents, as \"children\"\n"
		"                        of the disk, unless --output is given without --extents\n"
		"  -n, --noheadings      no line of headings\n"
		"  -o, --output COLUMNS  these columns, by commas; +COLUMNS: besides the usual\n"
		"  -h, --help            show this\n"
		"\n"
		"Columns of a disk (D) and of an extent (E):\n"
		"  NAME        DE  device node; file as the descriptor names it\n"
		"  SIZE        DE  length\n"
		"  EXTENTS     D   how many\n"
		"  MAPPED      D   how many of them go straight to the disk beneath\n"
		"  RO          DE  read-only\n"
		"  DIRTY       DE  extents written since attach\n"
		"  DESCRIPTOR  D   path of the descriptor\n"
		"  CONTAINER   D   short name, as in /dev/disk/by-id/svmdk-NAME\n"
		"  STATE       D   attached, or detaching at the last close\n"
		"  OPENERS     D   how many have it open\n"
		"  LBS         D   logical block size\n"
		"  RUNS        DE  pieces on the disk beneath\n"
		"  MEM         D   memory that the driver has for it\n"
		"  EXTENT      E   number, from 0\n"
		"  START       E   first sector in the disk\n"
		"  SECTORS     DE  length in sectors\n"
		"  WAY         DE  mapped, file, zero or none; mixed\n"
		"  REASON      E   why it is not mapped\n",
	.run = main_list,
};
