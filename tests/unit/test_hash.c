// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* Hashes of files, several at once, and what happens when one cannot be read. */
#include "unit.h"

#include <errno.h>

#include "hash.h"
#include "scratch.h"

/* Of FIPS 180-2 and of nothing at all. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/* Of 5 MiB of zeroes. */
#define ZEROES "c036cbb7553a909f8b8877d4461924307f27ecb66cff928eeeafd569c3887e29"

static int set_up(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	scratch_enter(s);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	scratch_leave(*state);
	free(*state);
	return 0;
}

static void is_hash(const char *expected, const unsigned char *hash)
{
	char text[HASH_TEXT_LEN];

	assert_string_equal(expected, hash_format(text, hash));
}

static void reads_and_writes_hexadecimal(void **state)
{
	unsigned char hash[HASH_SIZE];
	char upper[] = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";

	(void)state;
	assert_int_equal(hash_parse(hash, ABC), 0);
	is_hash(ABC, hash);
	assert_int_equal(hash_parse(hash, upper), 0);
	is_hash(ABC, hash);
	assert_int_equal(hash_parse(hash, ABC " and more"), 0);
	upper[63] = 'G';
	assert_int_equal(hash_parse(hash, upper), -1);
	assert_int_equal(hash_parse(hash, "ba78"), -1);
	assert_int_equal(hash_parse(hash, ""), -1);
}

static void hashes_memory(void **state)
{
	unsigned char hash[HASH_SIZE];
	struct svmdk_error err;

	(void)state;
	assert_int_equal(hash_bytes(hash, "abc", 3, &err), 0);
	is_hash(ABC, hash);
	assert_int_equal(hash_bytes(hash, "", 0, &err), 0);
	is_hash(EMPTY, hash);
}

/* Files by the names 0, 1, 2…; and what was told of each. */
struct told {
	size_t times[16];
	enum hash_outcome outcome[16];
	unsigned char hash[16][HASH_SIZE];
	bool moved[16];
	size_t nr;
	size_t last; /* no more than so many; or 0 */
};

static int open_numbered(void *arg, size_t i, struct extent_file *file, struct svmdk_error *err)
{
	char name[8];

	(void)arg;
	snprintf(name, sizeof(name), "%zu", i);
	file->fd = open(name, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0)
		return error_errno(err, errno, "cannot open %s", name);
	assert_int_equal(fstat(file->fd, &file->st), 0);
	file->size = file->st.st_size;
	return 0;
}

static int take(void *arg, size_t i, const struct hash_result *r)
{
	struct told *told = arg;

	told->times[i]++;
	told->outcome[i] = r->outcome;
	told->moved[i] = r->moved;
	memcpy(told->hash[i], r->hash, HASH_SIZE);
	return ++told->nr == told->last;
}

static int hash_numbered(struct told *told, size_t nr)
{
	struct progress progress;
	struct svmdk_error err;
	struct hash_work work = {
		.nr = nr,
		.open = open_numbered,
		.done = take,
		.arg = told,
		.progress = &progress,
	};

	progress_begin(&progress, "Hashing", 0);
	return hash_files(&work, &err);
}

static void hashes_files(void **state)
{
	struct told told = { 0 };
	size_t i;

	(void)state;
	scratch_file("0", "abc", 0);
	scratch_file("1", "", 5 << 20);
	scratch_file("2", "", 0);
	scratch_file("4", "abc", 0);
	assert_int_equal(hash_numbered(&told, 5), 0);
	for (i = 0; i < 5; i++)
		assert_int_equal(told.times[i], 1);
	is_hash(ABC, told.hash[0]);
	is_hash(ZEROES, told.hash[1]);
	is_hash(EMPTY, told.hash[2]);
	assert_int_equal(told.outcome[3], HASH_NOT_OPENED);
	is_hash(ABC, told.hash[4]);
	assert_false(told.moved[1]);
}

static void hashes_no_files(void **state)
{
	struct told told = { 0 };

	(void)state;
	assert_int_equal(hash_numbered(&told, 0), 0);
}

static void ends_when_told_to(void **state)
{
	struct told told = { .last = 2 };
	size_t i;
	char name[8];

	(void)state;
	for (i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "%zu", i);
		scratch_file(name, "abc", 2 << 20);
	}
	assert_int_equal(hash_numbered(&told, 16), 1);
	assert_int_equal(told.nr, 2);
}

static void tells_what_cannot_be_read(void **state)
{
	struct told told = { 0 };

	(void)state;
	scratch_file("1", "abc", 0);
	assert_int_equal(mkdir("0", 0700), 0);
	assert_int_equal(hash_numbered(&told, 2), 0);
	assert_int_equal(told.outcome[0], HASH_UNREADABLE);
	assert_int_equal(told.outcome[1], HASH_DONE);
}

static int open_and_write(void *arg, size_t i, struct extent_file *file, struct svmdk_error *err)
{
	int ret = open_numbered(arg, i, file, err);
	int fd = open("0", O_WRONLY | O_CLOEXEC);

	/* The file's time is a while ago, so that this shows at any granularity. */
	assert_int_equal(write(fd, "d", 1), 1);
	close(fd);
	return ret;
}

static void sees_that_a_file_is_written_meanwhile(void **state)
{
	const struct timespec past[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct told told = { 0 };
	struct progress progress;
	struct svmdk_error err;
	struct hash_work work = {
		.nr = 1,
		.open = open_and_write,
		.done = take,
		.arg = &told,
		.progress = &progress,
	};

	(void)state;
	scratch_file("0", "abc", 0);
	assert_int_equal(utimensat(AT_FDCWD, "0", past, 0), 0);
	progress_begin(&progress, "Hashing", 0);
	assert_int_equal(hash_files(&work, &err), 0);
	assert_true(told.moved[0]);
}

static int take_age(void *arg, size_t i, const struct hash_result *r)
{
	long long *age = arg;
	struct timespec now;

	(void)i;
	clock_gettime(CLOCK_REALTIME, &now);
	*age = (now.tv_sec - r->st.st_mtim.tv_sec) * 1000000000LL + now.tv_nsec -
	       r->st.st_mtim.tv_nsec;
	return 0;
}

/* A write right after the hash must have another time than the last before. */
static void waits_for_the_clock(void **state)
{
	struct progress progress;
	struct svmdk_error err;
	long long age = 0;
	struct hash_work work = {
		.nr = 1,
		.open = open_numbered,
		.done = take_age,
		.arg = &age,
		.settle = true,
		.progress = &progress,
	};

	(void)state;
	scratch_file("0", "abc", 0);
	progress_begin(&progress, "Hashing", 0);
	assert_int_equal(hash_files(&work, &err), 0);
	/* A tick of the slowest clock that Linux has. */
	assert_true(age >= 10000000);
}

static void copies(void **state)
{
	unsigned char hash[HASH_SIZE];
	struct progress progress;
	struct svmdk_error err;
	uint64_t done = 7;
	size_t length;
	char *text;
	int from, to, nothing = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(nothing >= 0);
	scratch_file("from", "abc", 0);
	from = open("from", O_RDONLY | O_CLOEXEC);
	to = open("to", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	progress_begin(&progress, "Copying", 3);
	assert_int_equal(hash_copy(from, "from", to, 3, hash, &progress, &done, &err), 0);
	is_hash(ABC, hash);
	assert_int_equal(done, 10);
	text = scratch_read("to", &length);
	assert_string_equal(text, "abc");
	free(text);
	/* Shorter than was said. */
	assert_int_equal(hash_copy(from, "from", to, 4, hash, &progress, &done, &err), -1);
	assert_int_equal(err.code, ENODATA);
	assert_has(err.text, "from became shorter");
	/* Nowhere to read. */
	assert_int_equal(hash_copy(nothing, "from", to, 3, hash, &progress, &done, &err), -1);
	assert_int_equal(err.code, EISDIR);
	assert_has(err.text, "cannot read from at byte 0");
	/* Nowhere to write. */
	assert_int_equal(hash_copy(from, "from", from, 3, hash, &progress, &done, &err), -1);
	assert_int_equal(err.code, EBADF);
	close(nothing);
	close(from);
	close(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_hexadecimal),
		cmocka_unit_test(hashes_memory),
		cmocka_unit_test_setup_teardown(hashes_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hashes_no_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends_when_told_to, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_what_cannot_be_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sees_that_a_file_is_written_meanwhile, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(waits_for_the_clock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copies, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
