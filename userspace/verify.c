// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "cell.h"
#include "command.h"
#include "container.h"
#include "interrupt.h"
#include "marks.h"
#include "message.h"
#include "verdict.h"

enum column {
	COL_NAME,
	COL_STATE,
	COL_SIZE,
	COL_OFFSET,
	COL_REASON,
	NR_COLUMNS,
};

static const struct {
	const char *name;
	int json_type;
} columns[NR_COLUMNS] = {
	[COL_NAME] = { "NAME", SCOLS_JSON_STRING },
	[COL_STATE] = { "STATE", SCOLS_JSON_STRING },
	[COL_SIZE] = { "SIZE", SCOLS_JSON_NUMBER },
	[COL_OFFSET] = { "OFFSET", SCOLS_JSON_NUMBER },
	[COL_REASON] = { "REASON", SCOLS_JSON_STRING },
};

static int add_finding(struct libscols_table *table, const struct member *member,
		       const struct finding *finding)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	if (!line || cell_set_text(line, COL_NAME, member->name) ||
	    scols_line_set_data(line, COL_STATE, verdict_text(finding->verdict)) ||
	    (!member->code && cell_set_number(line, COL_SIZE, member->facts.size)) ||
	    (finding->offset != NO_OFFSET && cell_set_number(line, COL_OFFSET, finding->offset)) ||
	    (finding->reason && cell_set_text(line, COL_REASON, finding->reason)))
		return -ENOMEM;
	return 0;
}

static int add_columns(struct libscols_table *table)
{
	struct libscols_column *column;
	int i;

	for (i = 0; i < NR_COLUMNS; i++) {
		column = scols_table_new_column(table, columns[i].name, 0, 0);
		if (!column || scols_column_set_json_type(column, columns[i].json_type))
			return -ENOMEM;
	}
	return 0;
}

static struct libscols_table *new_table(void)
{
	struct libscols_table *table = scols_new_table();

	if (!table || scols_table_enable_json(table, 1) ||
	    scols_table_enable_noencoding(table, 1) || /* message_escape() has done it */
	    scols_table_set_name(table, "files") || add_columns(table)) {
		scols_unref_table(table);
		return NULL;
	}
	return table;
}

static int print_json(const struct marks *m, const struct finding *findings)
{
	struct libscols_table *table = new_table();
	int ret = table ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; i < m->members.nr && !ret; i++)
		ret = add_finding(table, &m->members.list[i], &findings[i]);
	if (!ret)
		ret = scols_print_table(table);
	scols_unref_table(table);
	if (ret)
		message_error(m->c->path, 0, "cannot print what was found");
	return ret;
}

static void print_line(const struct member *member, const struct finding *finding)
{
	printf("%-8s  ", verdict_text(finding->verdict));
	message_print(member->name);
	printf(": ");
	message_print(finding->reason);
	putchar('\n');
}

static void count(const struct marks *m, const struct finding *findings, size_t nr[NR_VERDICTS])
{
	size_t i;

	for (i = 0; i < m->members.nr; i++)
		nr[findings[i].verdict]++;
}

static void print_lines(const struct marks *m, const struct finding *findings,
			const size_t nr[NR_VERDICTS])
{
	size_t i;

	for (i = 0; i < m->members.nr; i++) {
		if (findings[i].verdict != VERDICT_INTACT)
			print_line(&m->members.list[i], &findings[i]);
	}
	printf("%zu files: %zu intact, %zu changed, %zu modified, %zu damaged\n", m->members.nr,
	       nr[VERDICT_INTACT], nr[VERDICT_CHANGED], nr[VERDICT_MODIFIED], nr[VERDICT_DAMAGED]);
}

/* What the lines on stdout mean, and what helps. Returns what to exit with. */
static int conclude(const struct marks *m, const struct finding *findings,
		    const size_t nr[NR_VERDICTS])
{
	size_t others = 0, i;

	for (i = 0; i < m->members.nr; i++)
		others += findings[i].other_line;
	if (nr[VERDICT_DAMAGED])
		message_error(m->c->path, 0,
			      "damage found; svmdk repair heals it from a copy (--from DIR)");
	if (nr[VERDICT_MODIFIED])
		message_error(m->c->path, 0,
			      "another program wrote to it; svmdk manifest accepts that, svmdk "
			      "repair --modified undoes it");
	verdicts_say_lines(m, others);
	return nr[VERDICT_DAMAGED] || nr[VERDICT_MODIFIED] || others ? EXIT_FAILED : EXIT_OK;
}

static int check_manifest(const struct marks *m, struct svmdk_error *err)
{
	if (!m->manifest_err.code)
		return manifest_check_shape(&m->manifest, m->c->policy.dir.fd, m->manifest_name,
					    &m->c->descriptor, m->c->name, err);
	*err = m->manifest_err;
	if (err->code != ENOENT)
		return -1;
	error_set(err, ENOENT, "it has no manifest, %s; make one with svmdk manifest",
		  m->manifest_name);
	return error_at(err, m->c->path, 0);
}

/* Nobody attaches or changes it meanwhile; others may verify it too. */
static bool lock_shared(const struct container *c)
{
	return flock(c->fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

static int in_use(const struct marks *m, struct svmdk_error *err)
{
	/* One that may not ask the driver cannot know better. */
	error_set(err, EWOULDBLOCK, "%s",
		  m->blind ? "in use; if it is attached, root may verify it" :
			     "in use: another svmdk command is at work on it");
	return error_at(err, m->c->path, 0);
}

/* The lock first: a manifest that is being made is older than its sidecar for a moment. */
static int open_marks(struct marks *m, struct container *c, struct svmdk_error *err)
{
	const bool locked = lock_shared(c);

	if (marks_open(m, c, false, err) || marks_ask_driver(m, err))
		return -1;
	if (!locked && !m->attached)
		return in_use(m, err);
	if (!m->attached && container_check_current(c, err))
		return -1;
	if (check_manifest(m, err))
		return -1;
	if (m->sidecar_err.code && m->sidecar_err.code != ENOENT)
		message_warn(
			m->sidecar_err.file, m->sidecar_err.line,
			"%s; the files are judged by their hashes alone; when these are as they "
			"should be, svmdk manifest makes a new one",
			m->sidecar_err.text);
	return 0;
}

static int verify_container(struct container *c, bool json)
{
	size_t nr[NR_VERDICTS] = { 0 };
	struct finding *findings = NULL;
	struct svmdk_error err;
	int status = EXIT_FAILED;
	struct marks m;

	if (open_marks(&m, c, &err) || verdicts_find(&m, &findings, &err)) {
		error_print(&err);
	} else {
		count(&m, findings, nr);
		if (!json)
			print_lines(&m, findings, nr);
		if (!json || print_json(&m, findings) == 0)
			status = conclude(&m, findings, nr);
	}
	verdicts_free(findings, m.members.nr);
	marks_close(&m);
	return status;
}

/* With a manifest it was a descriptor once. */
static void say_open_failed(const struct container_args *args, const struct svmdk_error *err)
{
	char *manifest;

	error_print(err);
	if (asprintf(&manifest, "%s" MANIFEST_SUFFIX, args->file) < 0)
		return;
	if (access(manifest, F_OK) == 0)
		message_note(
			args->file, 0,
			"it has a manifest; if the descriptor is damaged, svmdk repair puts it "
			"back from a copy (--from DIR)");
	free(manifest);
}

static int verify(const struct container_args *args, bool json)
{
	struct svmdk_error err;
	struct container c;
	int status;

	interrupt_catch();
	if (container_open(&c, args->file, args->allow, args->nr_allow, &err)) {
		say_open_failed(args, &err);
		return EXIT_FAILED;
	}
	status = verify_container(&c, json);
	container_close(&c);
	return status;
}

static int read_args(int argc, char **argv, struct container_args *args, bool *json)
{
	static const struct option options[] = {
		{ "allow-outside", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'J' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "Jh", options, NULL)) != -1) {
		switch (option) {
		case 'J':
			*json = true;
			break;
		case 'a':
			args->allow[args->nr_allow++] = optarg;
			break;
		case 'h':
			return command_help(&cmd_verify);
		default:
			return command_usage(&cmd_verify, NULL);
		}
	}
	if (argc - optind != 1)
		return command_usage(&cmd_verify, "it takes one FILE");
	args->file = argv[optind];
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct container_args args = { .allow = calloc(argc, sizeof(*args.allow)) };
	bool json = false;
	int status;

	if (!args.allow) {
		message_error(NULL, 0, "out of memory");
		return EXIT_FAILED;
	}
	status = read_args(argc, argv, &args, &json);
	if (args.file)
		status = verify(&args, json);
	free(args.allow);
	return status;
}

const struct command cmd_verify = {
	.name = "verify",
	.args = "FILE [--json] [--allow-outside DIR]...",
	.summary = "Read everything and compare it with the manifest",
	.help = "FILE is the descriptor; it may be attached. Each file of the container is\n"
		"\n"
		"  intact    it has the bytes that the manifest says\n"
		"  changed   it was written through svmdk since: as expected, no failure\n"
		"  modified  another program wrote it; `svmdk manifest' accepts that\n"
		"  damaged   its bytes differ though nothing wrote it, or it is missing, short or\n"
		"            unreadable; `svmdk repair' heals it from a copy\n"
		"\n"
		"and those that are not intact are printed, with the reason. The exit status is 1\n"
		"when there is a modified or a damaged one, or when the manifest is cut short,\n"
		"older than the sidecar, or altered.\n"
		"\n"
		"Options:\n"
		"  -J, --json               print all files as JSON\n"
		"      --allow-outside DIR  extents may be in DIR and below, too; may be given\n"
		"                           several times\n"
		"  -h, --help               show this\n",
	.run = run,
};
