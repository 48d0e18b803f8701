// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Keep book of what is written to a disk that fails now and then, so that what is
 * read from it can be judged: for each block the number of its last write that was
 * flushed, that was acknowledged, and that was tried. What is read may be nothing
 * older than the one and nothing newer than the other; each sector tells where it
 * belongs and which write it is of. Blocks of 0 are what was there before.
 *
 * The book is a file in shared memory: whoever is killed has written down what he
 * did, and several may work on areas of their own.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "raw.h"

#define BLOCK 4096
#define WORDS (512 / sizeof(uint64_t))

struct entry {
	uint32_t flushed;
	uint32_t acknowledged;
	uint32_t tried;
};

struct ledger {
	struct entry *entries;
	uint32_t blocks;
	uint32_t first, count; /* the area to work on */
	int fd; /* of the disk, or below 0 where it cannot be opened */
	char *buffer;
	uint32_t done, failed;
};

static uint64_t word_of(uint64_t sector, uint32_t number, unsigned int i)
{
	uint64_t x = (sector << 24 ^ (uint64_t)number << 8 ^ i) + 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void fill_sector(uint64_t *words, uint64_t sector, uint32_t number)
{
	unsigned int i;

	words[0] = sector;
	words[1] = number;
	for (i = 2; i < WORDS; i++)
		words[i] = word_of(sector, number, i);
}

static bool is_of(const uint64_t *words, uint64_t sector, uint32_t number)
{
	uint64_t wanted[WORDS];

	if (number)
		fill_sector(wanted, sector, number);
	else
		memset(wanted, 0, sizeof(wanted));
	return !memcmp(words, wanted, sizeof(wanted));
}

/* Which write is this sector of? It has to be one of those from the oldest on. */
static uint32_t judge_sector(const struct ledger *l, uint32_t block, unsigned int i,
			     uint32_t oldest)
{
	const uint64_t *words = (const uint64_t *)(l->buffer + i * 512);
	uint64_t sector = (uint64_t)block * (BLOCK / 512) + i;
	uint32_t number = words[1];

	if (number < oldest || number > l->entries[block].tried || !is_of(words, sector, number)) {
		printf("wrong: block %u, sector %u of it: %llx %llx %llx, not of a write from %u to %u\n",
		       block, i, (unsigned long long)words[0], (unsigned long long)words[1],
		       (unsigned long long)words[2], oldest, l->entries[block].tried);
		exit(1);
	}
	return number;
}

static bool read_block(struct ledger *l, uint32_t block)
{
	return pread(l->fd, l->buffer, BLOCK, (off_t)block * BLOCK) == BLOCK;
}

/* Returns false when it cannot be read; ends where it is wrong. */
static bool check_block(struct ledger *l, uint32_t block)
{
	uint32_t oldest = l->entries[block].acknowledged;
	unsigned int i;

	if (!read_block(l, block))
		return false;
	for (i = 0; i < BLOCK / 512; i++)
		judge_sector(l, block, i, oldest);
	return true;
}

/* The power was cut: what was not flushed may be lost, and what is there now stays. */
static bool check_after_cut(struct ledger *l, uint32_t block)
{
	uint32_t oldest = l->entries[block].flushed;
	uint32_t found = UINT32_MAX;
	unsigned int i;

	if (!read_block(l, block))
		return false;
	for (i = 0; i < BLOCK / 512; i++) {
		uint32_t number = judge_sector(l, block, i, oldest);

		if (number < found)
			found = number;
	}
	l->entries[block].acknowledged = found;
	return true;
}

static bool write_block(struct ledger *l, uint32_t block)
{
	struct entry *entry = &l->entries[block];
	uint32_t number = entry->tried + 1;
	unsigned int i;

	for (i = 0; i < BLOCK / 512; i++)
		fill_sector((uint64_t *)(l->buffer + i * 512), (uint64_t)block * (BLOCK / 512) + i,
			    number);
	__atomic_store_n(&entry->tried, number, __ATOMIC_SEQ_CST);
	if (pwrite(l->fd, l->buffer, BLOCK, (off_t)block * BLOCK) != BLOCK)
		return false;
	__atomic_store_n(&entry->acknowledged, number, __ATOMIC_SEQ_CST);
	return true;
}

/* Zero where what was acknowledged by then is on stable storage. */
static int flush(struct ledger *l)
{
	uint32_t *numbers = calloc(l->blocks, sizeof(*numbers));
	uint32_t i;
	int err;

	CHECK(numbers);
	for (i = 0; i < l->blocks; i++)
		numbers[i] = __atomic_load_n(&l->entries[i].acknowledged, __ATOMIC_SEQ_CST);
	err = l->fd < 0 || fsync(l->fd);
	for (i = 0; !err && i < l->blocks; i++)
		l->entries[i].flushed = numbers[i];
	free(numbers);
	return err;
}

static void each_block(struct ledger *l, bool (*action)(struct ledger *l, uint32_t block))
{
	uint32_t i;

	for (i = l->first; i < l->first + l->count; i++) {
		if (action(l, i))
			l->done++;
		else
			l->failed++;
	}
}

/* Reads, writes and flushes at random, until it is killed or the time is over. */
static void work(struct ledger *l, time_t seconds)
{
	time_t end = time(NULL) + seconds;

	srandom(getpid());
	while (time(NULL) < end) {
		uint32_t block = l->first + random() % l->count;
		bool well;

		if (random() % 64 == 0)
			well = !flush(l);
		else
			well = (random() % 2 ? check_block : write_block)(l, block);
		if (well)
			l->done++;
		else
			l->failed++;
	}
}

static void open_ledger(struct ledger *l, const char *path)
{
	struct stat st;
	int fd = open_file(path, O_RDWR);

	CHECK(fstat(fd, &st) == 0);
	l->blocks = st.st_size / sizeof(struct entry);
	l->entries = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(l->entries != MAP_FAILED);
	close(fd);
}

static int usage(void)
{
	fputs("usage: ledger LEDGER new BLOCKS\n"
	      "       ledger LEDGER write|check|after-cut|flush[,…] DISK [FIRST COUNT]…\n"
	      "       ledger LEDGER work DISK FIRST COUNT SECONDS\n"
	      "Prints how much was done and how much failed; fails where what is read is\n"
	      "wrong, and where it takes longer than PATIENCE minutes.\n",
	      stderr);
	return 2;
}

static int make_ledger(const char *path, uint32_t blocks)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)blocks * sizeof(struct entry)) == 0);
	close(fd);
	return 0;
}

static void set_area(struct ledger *l, char **area)
{
	l->first = strtoul(area[0], NULL, 10);
	l->count = strtoul(area[1], NULL, 10);
	CHECK(l->count && l->first + l->count <= l->blocks);
}

static void act(struct ledger *l, const char *action)
{
	if (!strcmp(action, "write"))
		each_block(l, write_block);
	else if (!strcmp(action, "check"))
		each_block(l, check_block);
	else if (!strcmp(action, "after-cut"))
		each_block(l, check_after_cut);
	else if (!strcmp(action, "flush"))
		*(flush(l) ? &l->failed : &l->done) += 1;
	else
		exit(usage());
}

/* All actions on the one area, then on the next. */
static void act_all(struct ledger *l, const char *actions, int nr_areas, char **areas)
{
	int i;

	for (i = 0; i == 0 || i + 1 < nr_areas; i += 2) {
		char *list = strdup(actions), *next = list, *action;

		CHECK(list);
		if (nr_areas)
			set_area(l, areas + i);
		while ((action = strsep(&next, ",")))
			act(l, action);
		free(list);
	}
}

/* In a child: what hangs in the kernel is left behind, and told. */
static void watch(void)
{
	const char *patience = getenv("PATIENCE");
	int tries = 3000 * (patience ? atoi(patience) : 1);
	pid_t pid = fork();
	int state;

	CHECK(pid >= 0);
	if (!pid)
		return;
	while (tries-- > 0) {
		if (waitpid(pid, &state, WNOHANG) == pid)
			exit(WIFEXITED(state) ? WEXITSTATUS(state) : 1);
		usleep(20000);
	}
	puts("it hangs");
	exit(1);
}

int main(int argc, char **argv)
{
	struct ledger l = { 0 };

	if (argc < 4)
		return usage();
	if (!strcmp(argv[2], "new"))
		return make_ledger(argv[1], strtoul(argv[3], NULL, 10));
	open_ledger(&l, argv[1]);
	l.count = l.blocks;
	CHECK(posix_memalign((void **)&l.buffer, BLOCK, BLOCK) == 0);
	if (!strcmp(argv[2], "work")) {
		if (argc != 7)
			return usage();
		set_area(&l, argv + 4);
		l.fd = open(argv[3], O_RDWR | O_DIRECT);
		work(&l, strtol(argv[6], NULL, 10));
	} else {
		watch();
		l.fd = open(argv[3], O_RDWR | O_DIRECT);
		act_all(&l, argv[2], argc - 4, argv + 4);
	}
	printf("%u %u\n", l.done, l.failed);
	return 0;
}
