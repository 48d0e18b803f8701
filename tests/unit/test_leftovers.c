// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The list of files that an interrupted command may leave, and how it is followed. */
#include "unit.h"

#include <errno.h>
#include <sys/file.h>

#include "leftovers.h"
#include "scratch.h"

#define LIST ".c.vmdk.svmdk-files"
#define TEXT                                                               \
	"# Disk DescriptorFile\nversion=1\nCID=a4c1\nparentCID=ffffffff\n" \
	"createType=\"twoGbMaxExtentFlat\"\n"                              \
	"RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 8\nRW 8 FLAT \"sub/c\" 0\nRW 8 ZERO\n"

/**
 * struct world - what each test begins with
 * @s: the folder, with a container in it
 * @c: that container, locked
 */
struct world {
	struct scratch s;
	struct container c;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct svmdk_error err;

	scratch_enter(&w->s);
	scratch_file("c.vmdk", TEXT, 0);
	scratch_file("a", "a", 4096);
	scratch_file("b", "b", 8192);
	assert_int_equal(mkdir("sub", 0755), 0);
	scratch_file("sub/c", "c", 4096);
	scratch_file("other", "not the container's", 0);
	assert_int_equal(container_open(&w->c, "c.vmdk", NULL, 0, &err), 0);
	assert_int_equal(container_lock(&w->c, &err), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	container_close(&w->c);
	scratch_leave(&w->s);
	free(w);
	return 0;
}

static bool exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static off_t size_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_size;
}

static int begin_list(const struct world *w, const char *const *names, size_t nr, size_t nr_made,
		      struct svmdk_error *err)
{
	const struct leftovers what = {
		.names = names,
		.nr = nr,
		.nr_made = nr_made,
		.each = 8,
	};

	return leftovers_begin(&w->c, &what, err);
}

static void begin(const struct world *w, const char *const *names, size_t nr)
{
	struct svmdk_error err;

	if (begin_list(w, names, nr, nr, &err))
		fail_msg("%s: %s", err.file, err.text);
	assert_true(exists(LIST));
}

static struct leftovers_found recover(const struct world *w)
{
	struct leftovers_found found;
	struct svmdk_error err;

	if (leftovers_recover(&w->c, &found, &err))
		fail_msg("%s: %s", err.file, err.text);
	assert_false(exists(LIST));
	return found;
}

/* Says each of @texts, and that much. */
static struct leftovers_found recover_saying(const struct container *c, const char *const *texts,
					     size_t nr)
{
	struct leftovers_found found;
	struct svmdk_error err;
	int saved = dup(STDERR_FILENO), ret;
	FILE *f = tmpfile();
	char line[1024];
	size_t i;

	assert_non_null(f);
	dup2(fileno(f), STDERR_FILENO);
	ret = leftovers_recover(c, &found, &err);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(ret, 0);
	rewind(f);
	for (i = 0; i < nr; i++) {
		assert_non_null(fgets(line, sizeof(line), f));
		assert_has(line, texts[i]);
	}
	assert_null(fgets(line, sizeof(line), f));
	fclose(f);
	assert_false(exists(LIST));
	return found;
}

static void refuses(const struct world *w, int code, const char *text)
{
	struct svmdk_error err;

	assert_int_equal(leftovers_recover(&w->c, NULL, &err), -1);
	assert_int_equal(err.code, code);
	assert_has(err.text, text);
	assert_true(exists(LIST));
}

static void no_list_is_the_rule(void **state)
{
	struct leftovers_found found = recover(*state);

	assert_int_equal(found.removed + found.trimmed, 0);
	assert_false(found.foreign);
}

static void removes_what_a_replacement_left(void **state)
{
	int fd;

	scratch_file(".svmdk-c.vmdk.tmp", "half", 0);
	scratch_file(".svmdk-c.vmdk.svmdk.tmp", "half", 0);
	scratch_file(".svmdk-c.vmdk.sha256.tmp", "of somebody who is at it", 0);
	fd = open(".svmdk-c.vmdk.sha256.tmp", O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	recover(*state);
	assert_false(exists(".svmdk-c.vmdk.tmp"));
	assert_false(exists(".svmdk-c.vmdk.svmdk.tmp"));
	assert_true(exists(".svmdk-c.vmdk.sha256.tmp"));
	close(fd);
	recover(*state);
	assert_false(exists(".svmdk-c.vmdk.sha256.tmp"));
}

static void begins_and_ends(void **state)
{
	static const char *const names[] = { "new-f001.vmdk", "other" };
	struct world *w = *state;
	struct svmdk_error err;

	begin(w, names, 2);
	assert_int_equal(begin_list(w, names, 2, 2, &err), -1);
	assert_int_equal(err.code, EEXIST);
	assert_true(exists(LIST));
	assert_int_equal(leftovers_end(&w->c, &err), 0);
	assert_false(exists(LIST));
	assert_int_equal(leftovers_end(&w->c, &err), 0);
	assert_true(exists("other"));
}

static void refuses_names_that_are_none(void **state)
{
	static const char *const names[] = { "good", "two\nlines" };
	struct world *w = *state;
	struct svmdk_error err;

	assert_int_equal(begin_list(w, names, 2, 2, &err), -1);
	assert_int_equal(err.code, EINVAL);
	assert_false(exists(LIST));
}

static void removes_what_is_not_named(void **state)
{
	static const char *const names[] = { "new", "sub/new", "never made", "b", "sub/c", "end" };
	struct leftovers_found found;

	begin(*state, names, 6);
	scratch_file("new", "n", 100);
	scratch_file("sub/new", "n", 100);
	scratch_file("end", "e", 0);
	found = recover(*state);
	assert_int_equal(found.removed, 3);
	assert_false(exists("new"));
	assert_false(exists("sub/new"));
	assert_false(exists("end"));
	assert_true(exists("sub/c"));
	assert_true(exists("other"));
}

static void gives_back_what_is_named_in_part(void **state)
{
	static const char *const names[] = { "a", "b", "sub/c" };
	struct leftovers_found found;
	size_t length;
	char *text;

	begin(*state, names, 3);
	assert_int_equal(truncate("a", 10000), 0);
	found = recover(*state);
	assert_int_equal(found.removed, 0);
	assert_int_equal(found.trimmed, 2);
	assert_int_equal(size_of("a"), 4096);
	assert_int_equal(size_of("sub/c"), 4096);
	/* The first half of it, which is not the disk's, is a hole now. */
	assert_int_equal(size_of("b"), 8192);
	text = scratch_read("b", &length);
	assert_int_equal(text[0], 0);
	free(text);
	text = scratch_read("a", &length);
	assert_int_equal(text[0], 'a');
	free(text);
}

#define OTHER_TEXT                                                      \
	"# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n" \
	"createType=\"twoGbMaxExtentFlat\"\nRW 8 FLAT \"%s\" 0\n"

static void other_descriptor(const char *path, const char *name)
{
	char text[512];

	sprintf(text, OTHER_TEXT, name);
	scratch_file(path, text, 0);
}

/* Nothing was made before the kill, and then a container of that name. */
static void leaves_what_another_descriptor_names(void **state)
{
	static const char *const names[] = { "c-2-f001.vmdk", "sub/c-2-f002.vmdk",
					     "sub/c-2-f003.vmdk", "c-2-f004.vmdk", "c-2-f005" };
	static const char *const said[] = {
		"c-2-f001.vmdk, which an interrupted command was to make, is named by c-2.vmdk too",
		"sub/c-2-f002.vmdk, which an interrupted command was to make, is named by of any name",
		"sub/c-2-f003.vmdk, which an interrupted command was to make, is named by d.vmdk too",
	};
	struct world *w = *state;
	size_t i;

	begin(w, names, 5);
	other_descriptor("c-2.vmdk", "c-2-f001.vmdk");
	other_descriptor("sub/of any name", "c-2-f002.vmdk");
	other_descriptor("d.vmdk", "sub/c-2-f003.vmdk");
	/* What is no descriptor says nothing, nor does a part of a name. */
	scratch_file("list", "\"c-2-f004.vmdk\"\n", 0);
	other_descriptor("e.vmdk", "xc-2-f004.vmdk");
	other_descriptor("f.vmdk", "c-2-f004.vmdk.old");
	for (i = 0; i < 5; i++)
		scratch_file(names[i], "n", 4096);
	assert_int_equal(recover_saying(&w->c, said, 3).removed, 2);
	for (i = 0; i < 5; i++)
		assert_int_equal(exists(names[i]), i < 3);
}

/* The container was renamed when it had been grown, and an older descriptor put back. */
static void cuts_off_nothing_that_another_descriptor_names(void **state)
{
	static const char *const names[] = { "a", "sub/c", "b" };
	static const char *const said[] = {
		"a, which an interrupted command was to make longer, is named by big.vmdk too, so",
		"sub/c, which an interrupted command was to make longer, is named by odd.vmdk too",
	};
	struct world *w = *state;
	struct svmdk_error err;

	scratch_file("a", "a", 8192);
	scratch_file("sub/c", "c", 8192);
	scratch_file("b", "b", 10000);
	other_descriptor("big.vmdk", "a\" 0\nRW 8 FLAT \"a\" 8\nRW 8 FLAT \"b");
	/* Nor where it is not understood how much of it is named. */
	scratch_file("odd.vmdk", "createType=\"sparse\"\nRW 8 SPARSE \"sub/c\"\n", 0);
	assert_int_equal(begin_list(w, names, 3, 2, &err), 0);
	/* What was used up is given back, whoever names it. */
	assert_int_equal(recover_saying(&w->c, said, 2).trimmed, 1);
	assert_int_equal(size_of("a"), 8192);
	assert_int_equal(size_of("sub/c"), 8192);
	assert_int_equal(size_of("b"), 8192);
}

/* As an older descriptor of the container does. */
static void cuts_off_what_no_other_descriptor_reaches(void **state)
{
	static const char *const names[] = { "a" };

	begin(*state, names, 1);
	assert_int_equal(truncate("a", 8192), 0);
	other_descriptor("c.vmdk.old", "a\" 0\nRW 8 FLAT \"b\" 8\nRW 8 FLAT \"sub/c");
	assert_int_equal(recover_saying(&((struct world *)*state)->c, NULL, 0).trimmed, 1);
	assert_int_equal(size_of("a"), 4096);
}

/* Another copy of the container may have got longer by them. */
static void gives_back_nothing_of_what_has_other_names(void **state)
{
	static const char *const names[] = { "a", "b" };
	static const char *const said[] = {
		"a, of which an interrupted command was to give back a part, has other names",
		"b, of which an interrupted command was to give back a part, has other names",
	};
	struct world *w = *state;
	struct svmdk_error err;
	size_t length;
	char *text;

	assert_int_equal(begin_list(w, names, 2, 1, &err), 0);
	assert_int_equal(truncate("a", 8192), 0);
	assert_int_equal(link("a", "a copy"), 0);
	assert_int_equal(link("b", "b copy"), 0);
	assert_int_equal(recover_saying(&w->c, said, 2).trimmed, 0);
	assert_int_equal(size_of("a"), 8192);
	text = scratch_read("b", &length);
	assert_int_equal(text[0], 'b');
	free(text);
}

/* Until a file that is made now is younger than that one. */
static void wait_a_tick(const char *name)
{
	struct stat st, now;

	assert_int_equal(stat(name, &st), 0);
	do {
		assert_true(unlink("tick") == 0 || errno == ENOENT);
		scratch_file("tick", "", 0);
		assert_int_equal(stat("tick", &now), 0);
	} while (now.st_ctim.tv_sec == st.st_ctim.tv_sec &&
		 now.st_ctim.tv_nsec == st.st_ctim.tv_nsec);
}

/* An older descriptor that is kept beside does not keep the old files. */
static void removes_what_was_used_up_whoever_names_it(void **state)
{
	static const char *const names[] = { "a", "b", "sub/c", "old" };
	struct world *w = *state;
	struct svmdk_error err;

	scratch_file("old", "o", 4096);
	other_descriptor("c.vmdk.old", "old");
	wait_a_tick("old");
	assert_int_equal(begin_list(w, names, 4, 3, &err), 0);
	assert_int_equal(recover(w).removed, 1);
	assert_false(exists("old"));
}

/* Of a command that failed, and knows what it has made. */
static void leaves_what_was_not_made(void **state)
{
	static const char *const names[] = { "new-1", "new-2", "new-10", "a" };
	static const char *const made[] = { "new-2", "a" };
	const struct leftovers what = { .names = made, .nr = 2, .nr_made = 1 };
	struct svmdk_error err;
	struct world *w = *state;
	size_t i;

	assert_int_equal(begin_list(w, names, 4, 3, &err), 0);
	for (i = 0; i < 3; i++)
		scratch_file(names[i], "n", 100);
	assert_int_equal(leftovers_rewrite(&w->c, &what, &err), 0);
	assert_int_equal(recover(w).removed, 1);
	assert_true(exists("new-1") && exists("new-10") && exists("a"));
	assert_false(exists("new-2"));
}

/* The container was renamed, and another one has its name. */
static void leaves_what_another_container_has_a_list_of(void **state)
{
	static const char *const names[] = { "e", "new", "a", "b" };
	static const char *const said[] = { "is about a container that has another name by now" };
	struct world *w = *state;
	struct svmdk_error err;
	struct container other;
	size_t i;

	assert_int_equal(begin_list(w, names, 4, 2, &err), 0);
	scratch_file("new", "n", 100);
	assert_int_equal(rename("c.vmdk", "old.vmdk"), 0);
	other_descriptor("c.vmdk", "e");
	scratch_file("e", "e", 4096);
	assert_int_equal(container_open(&other, "c.vmdk", NULL, 0, &err), 0);
	assert_int_equal(container_lock(&other, &err), 0);
	recover_saying(&other, said, 1);
	container_close(&other);
	for (i = 0; i < 4; i++)
		assert_true(exists(names[i]));
}

#define BETWEEN                                                            \
	"# Disk DescriptorFile\nversion=1\nCID=a4c1\nparentCID=ffffffff\n" \
	"createType=\"twoGbMaxExtentFlat\"\nRW %d FLAT \"n1\" 0\nRW %d ZERO\n"

/* The last of the old files was moved, and what is left is zeroes. */
static void knows_a_descriptor_that_is_on_the_way(void **state)
{
	static const char *const names[] = { "n1", "n2", "n3", "a", "b", "sub/c" };
	static const char *const said[] = { "is about a container that has another name by now" };
	struct world *w = *state;
	struct svmdk_error err;
	struct container now;
	char text[512];
	int first;

	for (first = 16; first >= 8; first -= 8) {
		assert_int_equal(begin_list(w, names, 6, 3, &err), 0);
		sprintf(text, BETWEEN, first, 32 - first);
		scratch_file("c.vmdk", text, 0);
		scratch_file("n1", "n", 8192);
		assert_int_equal(container_open(&now, "c.vmdk", NULL, 0, &err), 0);
		if (first == 16) {
			/* Longer than it would be. */
			recover_saying(&now, said, 1);
			assert_true(exists("a") && exists("b") && exists("sub/c"));
		} else {
			assert_int_equal(leftovers_recover(&now, NULL, &err), 0);
			assert_false(exists("a") || exists("b") || exists("sub/c"));
		}
		assert_true(exists("n1"));
		container_close(&now);
	}
}

/* They had neither a size nor an extent by which they are known. */
static void follows_a_list_of_an_older_version(void **state)
{
	static const char *const names[] = { "new" };
	char *text, *from, *to;
	size_t length;

	begin(*state, names, 1);
	scratch_file("new", "n", 100);
	text = scratch_read(LIST, &length);
	from = strstr(text, "made ");
	to = strstr(text, "size ");
	memmove(to, from, strlen(from) + 1);
	scratch_file(LIST, text, 0);
	free(text);
	assert_int_equal(recover(*state).removed, 1);
}

/* The new descriptor names all that was made, and nothing else. */
static void follows_the_list_of_a_switch(void **state)
{
	static const char *const names[] = { "e", "a", "b", "sub/c" };
	struct world *w = *state;
	struct svmdk_error err;
	struct container now;

	assert_int_equal(begin_list(w, names, 4, 1, &err), 0);
	other_descriptor("c.vmdk", "e");
	scratch_file("e", "e", 4096);
	assert_int_equal(container_open(&now, "c.vmdk", NULL, 0, &err), 0);
	assert_int_equal(leftovers_recover(&now, NULL, &err), 0);
	container_close(&now);
	assert_false(exists("a") || exists("b") || exists("sub/c"));
	assert_true(exists("e"));
}

/* Another name for a file that is in use is left alone. */
static void knows_a_hard_link(void **state)
{
	static const char *const names[] = { "link" };

	begin(*state, names, 1);
	assert_int_equal(link("sub/c", "link"), 0);
	assert_int_equal(recover(*state).removed, 0);
	assert_true(exists("link"));
}

/* It may be in the list, under this name or another. */
static void removes_nothing_where_an_extent_cannot_be_looked_at(void **state)
{
	static const char *const names[] = { "other", "link" };

	begin(*state, names, 2);
	assert_int_equal(rename("sub", "away"), 0);
	assert_int_equal(symlink("away", "sub"), 0);
	assert_int_equal(link("away/c", "link"), 0);
	refuses(*state, ELOOP, "extent sub/c is a symbolic link");
	assert_true(exists("link") && exists("other"));
}

static void leaves_what_is_no_file(void **state)
{
	static const char *const names[] = { "folder", "fifo", "link", "dangling" };

	begin(*state, names, 4);
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(symlink("other", "link"), 0);
	assert_int_equal(symlink("nothing", "dangling"), 0);
	assert_int_equal(recover(*state).removed, 0);
	assert_true(exists("folder") && exists("fifo") && exists("link") && exists("dangling"));
	assert_true(exists("other"));
}

static void does_not_follow_a_list_that_travelled(void **state)
{
	static const char *const names[] = { "other" };
	struct leftovers_found found;
	size_t length;
	char *text;

	begin(*state, names, 1);
	text = scratch_read(LIST, &length);
	assert_int_equal(rename(LIST, "was"), 0); /* keeps its inode */
	scratch_file(LIST, text, 0);
	free(text);
	found = recover(*state);
	assert_true(found.foreign);
	assert_int_equal(found.removed, 0);
	assert_true(exists("other"));
}

/* As in a copy of hard links. It is the same inode, and the other container's still. */
static void follows_a_list_in_its_own_folder_alone(void **state)
{
	static const char *const names[] = { "new" };
	struct leftovers_found found;
	struct world *w = *state;
	struct svmdk_error err;
	struct container copy;

	begin(w, names, 1);
	scratch_file("new", "n", 4096);
	assert_int_equal(mkdir("copy", 0755), 0);
	assert_int_equal(mkdir("copy/sub", 0755), 0);
	assert_int_equal(link("a", "copy/a") | link("b", "copy/b") | link("sub/c", "copy/sub/c") |
				 link("c.vmdk", "copy/c.vmdk") | link("new", "copy/new") |
				 link(LIST, "copy/" LIST),
			 0);
	assert_int_equal(container_open(&copy, "copy/c.vmdk", NULL, 0, &err), 0);
	assert_int_equal(leftovers_recover(&copy, &found, &err), 0);
	container_close(&copy);
	assert_true(found.foreign);
	assert_true(exists("copy/new") && !exists("copy/" LIST));
	assert_int_equal(recover(w).removed, 1);
	assert_false(exists("new"));
}

static void takes_half_a_list_for_none(void **state)
{
	static const char *const names[] = { "other" };
	struct leftovers_found found;

	begin(*state, names, 1);
	assert_int_equal(truncate(LIST, size_of(LIST) - 1), 0);
	found = recover(*state);
	assert_false(found.foreign);
	assert_int_equal(found.removed, 0);
	assert_true(exists("other"));
	scratch_file(LIST, "", 0);
	assert_int_equal(recover(*state).removed, 0);
}

static void refuses_a_newer_list(void **state)
{
	scratch_file(LIST, "svmdk-files 2\nself 1 2.3\nfile other\nend\n", 0);
	refuses(*state, EINVAL, "no list of leftovers that this version knows");
	assert_true(exists("other"));
}

static void container_of(const char *text, struct container *c)
{
	struct svmdk_error err;

	scratch_file("c.vmdk", text, 0);
	if (container_open(c, "c.vmdk", NULL, 0, &err))
		fail_msg("%s: %s", err.file, err.text);
}

/* As a resplit with little space does, of a disk that has 24 sectors in files. */
#define HEAD                                                               \
	"# Disk DescriptorFile\nversion=1\nCID=a4c1\nparentCID=ffffffff\n" \
	"createType=\"twoGbMaxExtentFlat\"\n"
#define STEP_1                                                            \
	HEAD "RW 4 FLAT \"n1\" 0\nRW 4 FLAT \"a\" 4\nRW 8 FLAT \"b\" 8\n" \
	     "RW 8 FLAT \"sub/c\" 0\nRW 8 ZERO\n"
#define STEP_2 HEAD "RW 8 FLAT \"n1\" 0\nRW 8 FLAT \"b\" 8\nRW 8 FLAT \"sub/c\" 0\nRW 8 ZERO\n"
#define STEP_3                                                              \
	HEAD "RW 8 FLAT \"n1\" 0\nRW 4 FLAT \"n2\" 0\nRW 4 FLAT \"b\" 12\n" \
	     "RW 8 FLAT \"sub/c\" 0\nRW 8 ZERO\n"

static void begin_steps(const struct world *w, const char *last)
{
	const char *const names[] = { "n1", "n2", last, "a", "b", "sub/c" };
	struct svmdk_error err;

	scratch_file("n1", "n", 4096);
	scratch_file("n2", "n", 2048);
	assert_int_equal(begin_list(w, names, 6, 3, &err), 0);
}

/* One that somebody puts back is of any step. */
static void refuses_a_descriptor_of_before_what_is_done(void **state)
{
	static const char *const olds[] = { TEXT, STEP_1 };
	struct world *w = *state;
	struct svmdk_error err;
	struct container now;
	size_t i;

	begin_steps(w, "n3");
	container_of(STEP_2, &now);
	assert_int_equal(leftovers_note_done(&now, 8, &err), 0);
	container_close(&now);
	for (i = 0; i < sizeof(olds) / sizeof(olds[0]); i++) {
		container_of(olds[i], &now);
		assert_int_equal(leftovers_check(&now, &err), -1);
		assert_int_equal(err.code, ESTALE);
		assert_int_equal(leftovers_recover(&now, NULL, &err), -1);
		assert_int_equal(err.code, ESTALE);
		assert_has(err.text, "of before a step");
		assert_true(exists("n1") && exists("n2") && exists(LIST));
		/* And where one is gone as well. */
		assert_int_equal(rename("a", "away"), 0);
		assert_int_equal(leftovers_recover(&now, NULL, &err), -1);
		assert_int_equal(err.code, ESTALE);
		assert_has(err.text, "extent a is missing, which");
		assert_int_equal(rename("away", "a"), 0);
		container_close(&now);
	}
	/* The one that was in force is taken, and one that is further. */
	container_of(STEP_2, &now);
	assert_int_equal(leftovers_check(&now, &err), 0);
	container_close(&now);
	container_of(STEP_3, &now);
	assert_int_equal(leftovers_check(&now, &err), 0);
	assert_int_equal(leftovers_recover(&now, NULL, &err), 0);
	container_close(&now);
	assert_true(exists("n1") && exists("n2") && !exists("a") && !exists(LIST));
}

/* Cleared up by a newer one, but not to its end: then what that has is what is done. */
static void notes_what_is_done_before_it_clears_up(void **state)
{
	struct world *w = *state;
	struct svmdk_error err;
	struct container now;

	begin_steps(w, "../n3");
	container_of(STEP_2, &now);
	assert_int_equal(leftovers_note_done(&now, 8, &err), 0);
	/* Less changes nothing. */
	assert_int_equal(leftovers_note_done(&now, 4, &err), 0);
	container_close(&now);
	container_of(STEP_3, &now);
	assert_int_equal(leftovers_recover(&now, NULL, &err), -1);
	assert_int_not_equal(err.code, ESTALE);
	container_close(&now);
	container_of(STEP_2, &now);
	assert_int_equal(leftovers_check(&now, &err), -1);
	container_close(&now);
}

/* As an older version left it. */
static void drop_done_line(void)
{
	size_t length;
	char *text = scratch_read(LIST, &length), *from = strstr(text, LEFTOVERS_DONE), *to;
	FILE *f;

	to = strchr(from, '\n') + 1;
	memmove(from, to, strlen(to) + 1);
	/* It is the same file still. */
	f = fopen(LIST, "r+");
	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), 0), 0);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	free(text);
}

static void takes_no_chance_with_a_list_that_does_not_say(void **state)
{
	struct world *w = *state;
	struct svmdk_error err;
	struct container now;

	begin_steps(w, "n3");
	drop_done_line();
	refuses(w, ESTALE, "of before a step");
	assert_int_equal(rename("a", "away"), 0);
	refuses(w, ESTALE, "extent a is missing, which");
	assert_int_equal(rename("away", "a"), 0);
	container_of(STEP_3, &now);
	assert_int_equal(leftovers_recover(&now, NULL, &err), 0);
	container_close(&now);
	assert_true(exists("n1") && exists("n2") && !exists("a"));
}

/* To write in a list must not make it one of now: what was put there since is another's. */
static void knows_when_it_was_written_by_its_birth(void **state)
{
	const char *const names[] = { "a", "b", "sub/c", "old" };
	const char *const said[] = {
		"old, which an interrupted command was to remove, is named by"
	};
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };
	struct world *w = *state;
	struct svmdk_error err;
	struct statx st;

	assert_int_equal(begin_list(w, names, 4, 3, &err), 0);
	assert_int_equal(statx(AT_FDCWD, LIST, 0, STATX_BTIME, &st), 0);
	if (!(st.stx_mask & STATX_BTIME)) {
		assert_int_equal(leftovers_end(&w->c, &err), 0);
		print_message("skipped: no time of birth here\n");
		skip();
	}
	scratch_file("old", "o", 4096);
	other_descriptor("d.vmdk", "old");
	wait_a_tick("old");
	assert_int_equal(utimensat(AT_FDCWD, LIST, times, 0), 0);
	recover_saying(&w->c, said, 1);
	assert_true(exists("old"));
}

/* Nobody opens it, so that it may be anywhere. */
static void what_is_not_accessed_may_be_out_of_reach(void **state)
{
	const char *const names[] = { "new" };
	struct world *w = *state;
	struct svmdk_error err;
	struct container now;

	container_close(&w->c);
	container_of(TEXT "NOACCESS 8 FLAT \"../away/x\" 0\n", &now);
	w->c = now;
	begin(w, names, 1);
	scratch_file("new", "n", 100);
	assert_int_equal(leftovers_check(&now, &err), 0);
	assert_int_equal(recover(w).removed, 1);
}

/* Of another program; a list that is not whole would be removed else. */
static void an_extent_is_no_list(void **state)
{
	const char *const names[] = { LIST, "other name" };
	struct world *w = *state;
	struct svmdk_error err;
	struct container now;
	char text[512];
	size_t i;

	container_close(&w->c);
	scratch_file(LIST, "x", 4096);
	assert_int_equal(link(LIST, "other name"), 0);
	for (i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), HEAD "RW 8 FLAT \"%s\" 0\n", names[i]);
		container_of(text, &now);
		assert_int_equal(leftovers_recover(&now, NULL, &err), -1);
		assert_has(err.text, "is what svmdk keeps as");
		assert_int_equal(err.line, 6);
		assert_true(exists(LIST));
		container_close(&now);
	}
	assert_int_equal(container_open(&w->c, "c.vmdk", NULL, 0, &err), 0);
}

/* A descriptor of such a name is one of another program, and has no list. */
static void a_name_may_be_too_long_for_a_list(void **state)
{
	struct svmdk_error err;
	struct container c;
	char name[250];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	scratch_file(name, TEXT, 0);
	assert_int_equal(container_open(&c, name, NULL, 0, &err), 0);
	assert_int_equal(leftovers_recover(&c, NULL, &err), 0);
	assert_int_equal(leftovers_check(&c, &err), 0);
	container_close(&c);
}

static void takes_what_is_missing_for_lost_where_nothing_is_done(void **state)
{
	const char *const names[] = { "new", "sub/c" };
	struct world *w = *state;
	struct svmdk_error err;

	assert_int_equal(begin_list(w, names, 2, 1, &err), 0);
	scratch_file("new", "new", 0);
	assert_int_equal(unlink("a") | unlink("sub/c"), 0);
	refuses(w, ENOENT, "extent sub/c is missing, so");
	/* Whoever only looks says that himself. */
	assert_int_equal(leftovers_check(&w->c, &err), 0);
	scratch_file("sub/c", "c", 4096);
	refuses(w, ENOENT, "extent a is missing, so");
}

/* A damaged one names another file: what is used up may not go by it. */
static void is_not_about_a_descriptor_that_lacks_an_extent(void **state)
{
	const char *const names[] = { "new", "a", "gone" };
	const char *const said[] = { "has another name by now" };
	struct world *w = *state;
	struct svmdk_error err;

	scratch_file("gone", "the only copy", 0);
	assert_int_equal(begin_list(w, names, 3, 1, &err), 0);
	recover_saying(&w->c, said, 1);
	assert_true(exists("gone"));
}

static void refuses_what_is_no_list(void **state)
{
	assert_int_equal(mkfifo(LIST, 0600), 0);
	refuses(*state, EINVAL, "not a regular file");
	assert_int_equal(unlink(LIST), 0);
	assert_int_equal(symlink("other", LIST), 0);
	refuses(*state, EINVAL, "not a regular file");
	assert_int_equal(unlink(LIST), 0);
	scratch_file(LIST, "", 5 << 20);
	refuses(*state, EFBIG, "too large");
}

static void refuses_to_leave_the_folder(void **state)
{
	static const char *const names[][1] = {
		{ "../svmdk-nothing" }, { "/etc/svmdk-nothing" }, { "link/other" }, { "sub/.." }
	};
	static const int codes[] = { EXDEV, EXDEV, ELOOP, EXDEV };
	struct world *w = *state;
	struct svmdk_error err;
	size_t i;

	assert_int_equal(symlink(".", "link"), 0);
	for (i = 0; i < 4; i++) {
		begin(w, names[i], 1);
		refuses(w, codes[i], "extent ");
		assert_int_equal(leftovers_end(&w->c, &err), 0);
	}
	assert_true(exists("other"));
}

/* Names that svmdk would write in no list. */
static void removes_neither_descriptor_nor_folder(void **state)
{
	static const char *const names[] = { "c.vmdk", "sub", "sub/../c.vmdk" };
	struct world *w = *state;
	size_t length;
	char *text;

	begin(*state, names, 3);
	assert_int_equal(recover(*state).removed, 0);
	assert_true(exists("c.vmdk") && exists("sub/c"));

	begin(*state, names, 0);
	text = scratch_read(LIST, &length);
	strcpy(text + length - strlen("end\n"), "made \nend\n");
	scratch_file(LIST, text, 0);
	free(text);
	refuses(w, EISDIR, "extent ");
}

static void keeps_a_list_that_names_itself_to_its_end(void **state)
{
	static const char *const names[] = { LIST, "../svmdk-nothing" };

	begin(*state, names, 2);
	refuses(*state, EXDEV, "extent ");
}

static void refuses_another_users_list(void **state)
{
	static const char *const names[] = { "other" };

	if (geteuid() != 0)
		skip();
	begin(*state, names, 1);
	assert_int_equal(chown(LIST, 12345, 0), 0);
	refuses(*state, EPERM, "of another user (12345)");
	assert_true(exists("other"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(no_list_is_the_rule),
		TEST(removes_what_a_replacement_left),
		TEST(begins_and_ends),
		TEST(refuses_names_that_are_none),
		TEST(removes_what_is_not_named),
		TEST(gives_back_what_is_named_in_part),
		TEST(leaves_what_another_descriptor_names),
		TEST(cuts_off_nothing_that_another_descriptor_names),
		TEST(cuts_off_what_no_other_descriptor_reaches),
		TEST(gives_back_nothing_of_what_has_other_names),
		TEST(removes_what_was_used_up_whoever_names_it),
		TEST(leaves_what_was_not_made),
		TEST(leaves_what_another_container_has_a_list_of),
		TEST(follows_the_list_of_a_switch),
		TEST(knows_a_descriptor_that_is_on_the_way),
		TEST(follows_a_list_of_an_older_version),
		TEST(knows_a_hard_link),
		TEST(removes_nothing_where_an_extent_cannot_be_looked_at),
		TEST(refuses_a_descriptor_of_before_what_is_done),
		TEST(notes_what_is_done_before_it_clears_up),
		TEST(takes_no_chance_with_a_list_that_does_not_say),
		TEST(knows_when_it_was_written_by_its_birth),
		TEST(what_is_not_accessed_may_be_out_of_reach),
		TEST(an_extent_is_no_list),
		TEST(a_name_may_be_too_long_for_a_list),
		TEST(takes_what_is_missing_for_lost_where_nothing_is_done),
		TEST(is_not_about_a_descriptor_that_lacks_an_extent),
		TEST(leaves_what_is_no_file),
		TEST(does_not_follow_a_list_that_travelled),
		TEST(follows_a_list_in_its_own_folder_alone),
		TEST(takes_half_a_list_for_none),
		TEST(refuses_a_newer_list),
		TEST(refuses_what_is_no_list),
		TEST(refuses_to_leave_the_folder),
		TEST(removes_neither_descriptor_nor_folder),
		TEST(keeps_a_list_that_names_itself_to_its_end),
		TEST(refuses_another_users_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
