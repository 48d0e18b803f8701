// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* A file is replaced by its copy, and by nobody else's that is half written. */
#include "scratch.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "heal.h"

#define GOOD "what it was"

/* What another program does when the new file is whole and does not have its name yet. */
static void (*meanwhile)(void);

/* In place of the C library's. */
int futimens(int fd, const struct timespec times[2])
{
	if (meanwhile)
		meanwhile();
	return syscall(SYS_utimensat, fd, NULL, times, 0);
}

/* And when nothing has the name that it is to have. */
static void (*last_moment)(void);
static bool without_noreplace;

int renameat2(int from, const char *old, int to, const char *new, unsigned int flags)
{
	if (last_moment)
		last_moment();
	if (without_noreplace) {
		errno = EINVAL;
		return -1;
	}
	return syscall(SYS_renameat2, from, old, to, new, flags);
}

/**
 * struct place - a file, and the folder of its copy
 * @scratch: the folder that both are in
 * @to: folder of the file
 * @from: folder of the copy
 * @hash: of the copy
 * @progress: of the copying
 * @h: all that, with the name "file"
 */
struct place {
	struct scratch scratch;
	struct open_policy to;
	struct open_policy from;
	unsigned char hash[HASH_SIZE];
	struct progress progress;
	struct healing h;
};

static int set_up(void **state)
{
	static struct place p;
	const struct stat none = { 0 };
	struct svmdk_error err;

	scratch_enter(&p.scratch);
	assert_int_equal(mkdir("to", 0755), 0);
	assert_int_equal(mkdir("from", 0755), 0);
	assert_int_equal(open_policy_init(&p.to, "to", &none, &err), 0);
	assert_int_equal(open_policy_init(&p.from, "from", &none, &err), 0);
	assert_int_equal(hash_bytes(p.hash, GOOD, strlen(GOOD), &err), 0);
	scratch_file("from/file", GOOD, 0);
	progress_begin(&p.progress, "Repairing", 0);
	p.h = (struct healing){
		.to = &p.to,
		.from = &p.from,
		.name = "file",
		.hash = p.hash,
		.progress = &p.progress,
	};
	meanwhile = NULL;
	last_moment = NULL;
	without_noreplace = false;
	*state = &p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	open_policy_free(&p->to);
	open_policy_free(&p->from);
	scratch_leave(&p->scratch);
	return 0;
}

static void assert_text(const char *name, const char *want)
{
	size_t length;
	char *text = scratch_read(name, &length);

	assert_string_equal(text, want);
	free(text);
}

static void fails(struct place *p, int code, const char *want)
{
	struct svmdk_error err;

	assert_int_equal(heal_file(&p->h, &err), -1);
	assert_int_equal(err.code, code);
	assert_has(err.text, want);
}

static int temps;
static char temp[PATH_MAX];

static int see(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_F && strstr(path, ".tmp")) {
		snprintf(temp, sizeof(temp), "%s", path);
		temps++;
	}
	return 0;
}

/* Counts the temporary files, and keeps the name of one. */
static void find_temps(void)
{
	temps = 0;
	assert_int_equal(nftw("to", see, 16, FTW_PHYS), 0);
}

static void assert_no_temp(void)
{
	find_temps();
	assert_int_equal(temps, 0);
}

static void puts_a_copy_in_place(void **state)
{
	struct place *p = *state;
	struct svmdk_error err;

	scratch_file("to/file", "what it is", 0);
	assert_int_equal(heal_file(&p->h, &err), 0);
	assert_text("to/file", GOOD);
	assert_int_equal(unlink("to/file"), 0);
	assert_int_equal(heal_file(&p->h, &err), 0);
	assert_text("to/file", GOOD);
	assert_no_temp();
}

/* As another repair has it, at work or killed. */
static int make_temp(struct place *p)
{
	struct svmdk_error err;
	int fd;

	scratch_file("to/file", "what it is", 0);
	meanwhile = find_temps;
	assert_int_equal(heal_file(&p->h, &err), 0);
	assert_int_equal(temps, 1);
	meanwhile = NULL;
	scratch_file("to/file", "what it is", 0);
	scratch_file(temp, "half", 0);
	fd = open(temp, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void leaves_alone_what_another_one_is_filling(void **state)
{
	struct place *p = *state;
	int fd = make_temp(p);

	assert_int_equal(flock(fd, LOCK_EX), 0);
	heal_clear(&p->to, "file");
	assert_text(temp, "half");
	fails(p, EBUSY, "another svmdk repair is at work on it");
	assert_text(temp, "half");
	assert_text("to/file", "what it is");
	close(fd);
}

static void takes_away_what_a_killed_one_left(void **state)
{
	struct place *p = *state;
	struct svmdk_error err;

	close(make_temp(p));
	heal_clear(&p->to, "file");
	assert_no_temp();
	close(make_temp(p));
	assert_int_equal(heal_file(&p->h, &err), 0);
	assert_text("to/file", GOOD);
	assert_no_temp();
}

/* One that honours no lock. */
static void put_another_temp_there(void)
{
	find_temps();
	assert_int_equal(unlink(temp), 0);
	scratch_file(temp, "half", 0);
}

static void puts_no_file_in_place_but_its_own(void **state)
{
	struct place *p = *state;

	scratch_file("to/file", "what it is", 0);
	meanwhile = put_another_temp_there;
	fails(p, ESTALE, "took the new file beside it away");
	assert_text("to/file", "what it is");
	assert_text(temp, "half");
}

static void put_another_file_there(void)
{
	scratch_file("to/other", "what it is now", 0);
	assert_int_equal(rename("to/other", "to/file"), 0);
}

static void replaces_nothing_that_came_meanwhile(void **state)
{
	struct place *p = *state;

	meanwhile = put_another_file_there;
	fails(p, ESTALE, "put a file in its place");
	assert_text("to/file", "what it is now");
	fails(p, ESTALE, "put a file in its place");
	assert_text("to/file", "what it is now");
	assert_no_temp();
}

static void put_one_where_there_was_none(void)
{
	scratch_file("to/file", "what it is now", 0);
}

static void replaces_nothing_that_came_at_the_last_moment(void **state)
{
	struct place *p = *state;
	struct svmdk_error err;

	last_moment = put_one_where_there_was_none;
	fails(p, ESTALE, "put a file in its place");
	assert_text("to/file", "what it is now");
	assert_no_temp();
	p->h.missing = true;
	fails(p, ESTALE, "put a file in its place");
	assert_int_equal(unlink("to/file"), 0);
	without_noreplace = true;
	fails(p, ESTALE, "put a file in its place");
	assert_text("to/file", "what it is now");
	assert_no_temp();
	assert_int_equal(unlink("to/file"), 0);
	last_moment = NULL;
	assert_int_equal(heal_file(&p->h, &err), 0);
	assert_text("to/file", GOOD);
	assert_no_temp();
}

static void says_at_once_that_a_folder_has_the_name(void **state)
{
	struct place *p = *state;

	assert_int_equal(mkdir("to/file", 0755), 0);
	fails(p, EISDIR, "a folder has its name; move that away");
	assert_int_equal(p->h.done, 0);
	assert_no_temp();
}

static void says_what_has_the_name_of_its_new_file(void **state)
{
	struct place *p = *state;

	close(make_temp(p));
	assert_int_equal(unlink(temp), 0);
	assert_int_equal(mkfifo(temp, 0600), 0);
	fails(p, EEXIST, ".svmdk-repair-");
	assert_text("to/file", "what it is");
}

static void keeps_the_mode_and_no_set_id_bits(void **state)
{
	struct place *p = *state;
	struct svmdk_error err;
	struct stat st;

	scratch_file("to/file", "what it is", 0);
	assert_int_equal(chmod("to/file", 07751), 0);
	assert_int_equal(heal_file(&p->h, &err), 0);
	assert_int_equal(stat("to/file", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
}

/* It has the hash that the manifest has, for both are of before the disk grew. */
static void refuses_a_copy_that_is_shorter_than_the_file_has_to_be(void **state)
{
	struct place *p = *state;
	struct svmdk_error err;

	scratch_file("to/file", GOOD " and more", 0);
	p->h.need = strlen(GOOD) + 1;
	fails(p, ESTALE, "has 11 bytes, and by the descriptor it has to have 12");
	assert_text("to/file", GOOD " and more");
	assert_int_equal(unlink("to/file"), 0);
	fails(p, ESTALE, "of before the disk grew");
	assert_int_equal(access("to/file", F_OK), -1);
	assert_no_temp();
	p->h.need = strlen(GOOD);
	assert_int_equal(heal_file(&p->h, &err), 0);
	assert_text("to/file", GOOD);
}

static void says_that_there_is_no_copy_outside(void **state)
{
	struct place *p = *state;
	struct svmdk_error err;

	assert_int_equal(mkdir("away", 0755), 0);
	assert_int_equal(open_policy_allow(&p->to, "away", &err), 0);
	p->h.name = "../away/file";
	fails(p, EXDEV, "/from, and copies are taken from there and below alone; copy it by hand");
}

static void says_which_folder_is_missing(void **state)
{
	struct place *p = *state;
	struct svmdk_error err;

	assert_int_equal(mkdir("from/a", 0755), 0);
	assert_int_equal(mkdir("from/a/b", 0755), 0);
	scratch_file("from/a/b/file", GOOD, 0);
	p->h.name = "a/b/file";
	fails(p, ENOENT, "/to/a/b does not exist; make it, and repair again");
	assert_int_equal(mkdir("to/a", 0755), 0);
	assert_int_equal(mkdir("to/a/b", 0755), 0);
	assert_int_equal(heal_file(&p->h, &err), 0);
	assert_text("to/a/b/file", GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(puts_a_copy_in_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leaves_alone_what_another_one_is_filling, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(takes_away_what_a_killed_one_left, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(puts_no_file_in_place_but_its_own, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(replaces_nothing_that_came_meanwhile, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(replaces_nothing_that_came_at_the_last_moment,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(says_at_once_that_a_folder_has_the_name, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(says_what_has_the_name_of_its_new_file, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(keeps_the_mode_and_no_set_id_bits, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			refuses_a_copy_that_is_shorter_than_the_file_has_to_be, set_up, tear_down),
		cmocka_unit_test_setup_teardown(says_that_there_is_no_copy_outside, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(says_which_folder_is_missing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
