// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Reads the log of device-mapper's log-writes target, and does what is in it once
 * more, on another device: up to any point, as if the power had failed there.
 *
 * Its form is in the kernel's Documentation/admin-guide/device-mapper/log-writes.rst
 * and drivers/md/dm-log-writes.c: a sector that says how many entries there are; then
 * of each entry a sector that says what it is, and the data. Writes are in there as
 * soon as they are flushed, those with FUA when they complete, marks when they are
 * made.
 */
#include <endian.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MAGIC UINT64_C(0x6a736677736872)
#define LOG_VERSION 1

#define FLAG_FLUSH (1 << 0)
#define FLAG_FUA (1 << 1)
#define FLAG_DISCARD (1 << 2)
#define FLAG_MARK (1 << 3)

#define CHUNK (1 << 20)

struct log_super {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sector_size;
};

struct log_entry {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_len;
};

/**
 * struct entry - one of the log
 * @flags: FLAG_…
 * @to: where it was written to, in bytes
 * @bytes: how many; the data of a discard is not in the log
 * @data: where these are in the log, in bytes
 * @mark: the text of a mark
 */
struct entry {
	uint64_t flags;
	uint64_t to;
	uint64_t bytes;
	uint64_t data;
	char mark[256];
};

/**
 * struct log - a log that is being read
 * @fd: of its device
 * @nr_entries: in all
 * @sector_size: of the device that was logged
 * @nr_done: how many of them were replayed, or passed over
 * @next: where the next entry is, in bytes
 * @buffer: CHUNK bytes that suit direct I/O
 */
struct log {
	int fd;
	uint64_t nr_entries;
	uint64_t nr_done;
	uint32_t sector_size;
	uint64_t next;
	char *buffer;
};

/* Past the page cache, which may have what was there before. */
static int open_device(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		error(1, errno, "%s", path);
	return fd;
}

static void read_log(const struct log *log, size_t bytes, uint64_t offset)
{
	if (pread(log->fd, log->buffer, bytes, offset) != (ssize_t)bytes)
		error(1, errno, "cannot read the log at byte %" PRIu64, offset);
}

static void open_log(struct log *log, const char *path)
{
	struct log_super super;

	log->fd = open_device(path, O_RDONLY);
	if (posix_memalign((void **)&log->buffer, 4096, CHUNK))
		error(1, ENOMEM, "%s", path);
	read_log(log, 4096, 0);
	memcpy(&super, log->buffer, sizeof(super));
	if (le64toh(super.magic) != LOG_MAGIC || le64toh(super.version) != LOG_VERSION)
		error(1, 0, "%s: not a log of log-writes", path);
	log->nr_entries = le64toh(super.nr_entries);
	log->sector_size = le32toh(super.sector_size);
	log->next = log->sector_size;
	log->nr_done = 0;
}

static void next_entry(struct log *log, struct entry *entry)
{
	struct log_entry raw;
	uint64_t length = 0;

	read_log(log, log->sector_size, log->next);
	memcpy(&raw, log->buffer, sizeof(raw));
	entry->flags = le64toh(raw.flags);
	entry->to = le64toh(raw.sector) * log->sector_size;
	entry->bytes = le64toh(raw.nr_sectors) * log->sector_size;
	entry->data = log->next + log->sector_size;
	if (entry->flags & FLAG_MARK)
		length = le64toh(raw.data_len);
	if (length >= sizeof(entry->mark))
		error(1, 0, "a mark of %" PRIu64 " bytes", length);
	memcpy(entry->mark, log->buffer + sizeof(raw), length);
	entry->mark[length] = '\0';
	log->next = entry->data + (entry->flags & FLAG_DISCARD ? 0 : entry->bytes);
}

static void list(struct log *log)
{
	struct entry entry;
	uint64_t i;

	for (i = 0; i < log->nr_entries; i++) {
		next_entry(log, &entry);
		printf("%" PRIu64 " %s%s%s\n", i,
		       entry.flags & FLAG_MARK	  ? "mark " :
		       entry.flags & FLAG_FLUSH	  ? "flush" :
		       entry.flags & FLAG_FUA	  ? "fua" :
		       entry.flags & FLAG_DISCARD ? "discard" :
						    "write",
		       entry.mark, entry.flags & FLAG_FLUSH && entry.bytes ? "+write" : "");
	}
}

/* A disk may return anything where it was told to discard: zeroes. */
static void apply(const struct log *log, const struct entry *entry, int target)
{
	uint64_t done;
	size_t bytes;

	for (done = 0; done < entry->bytes; done += bytes) {
		bytes = entry->bytes - done < CHUNK ? entry->bytes - done : CHUNK;
		if (entry->flags & FLAG_DISCARD)
			memset(log->buffer, 0, bytes);
		else
			read_log(log, bytes, entry->data + done);
		if (pwrite(target, log->buffer, bytes, entry->to + done) != (ssize_t)bytes)
			error(1, errno, "cannot write at byte %" PRIu64, entry->to + done);
	}
}

/*
 * The entries from @from to before @to. With @some it is left to chance which of
 * the writes without FUA are done: none of these is to be a flush, so a disk may
 * still have them in its cache, each of them.
 */
static void replay(struct log *log, int target, uint64_t from, uint64_t to, bool some)
{
	struct entry entry;

	for (; log->nr_done < to; log->nr_done++) {
		next_entry(log, &entry);
		if (log->nr_done < from)
			continue;
		if (some && entry.flags & FLAG_FLUSH)
			error(1, 0, "entry %" PRIu64 " is a flush", log->nr_done);
		if (!some || entry.flags & FLAG_FUA || random() % 2)
			apply(log, &entry, target);
	}
}

/* Writes what differs only. */
static void make_equal(const struct log *log, int from, int to)
{
	uint64_t offset = 0;
	ssize_t bytes;
	char *there;

	if (posix_memalign((void **)&there, 4096, CHUNK))
		error(1, ENOMEM, "cannot copy");
	while ((bytes = pread(from, log->buffer, CHUNK, offset)) > 0) {
		if (pread(to, there, bytes, offset) != bytes)
			error(1, errno, "cannot read at byte %" PRIu64, offset);
		if (memcmp(there, log->buffer, bytes) &&
		    pwrite(to, log->buffer, bytes, offset) != bytes)
			error(1, errno, "cannot write at byte %" PRIu64, offset);
		offset += bytes;
	}
	if (bytes < 0)
		error(1, errno, "cannot read at byte %" PRIu64, offset);
	free(there);
}

/* DONE FROM TO of the command line */
static void make(struct log *log, const char *safe, const char *after, char **numbers)
{
	uint64_t from = strtoull(numbers[1], NULL, 10), to = strtoull(numbers[2], NULL, 10);
	int safe_fd = open_device(safe, O_RDWR), after_fd = open_device(after, O_RDWR);

	if (from > to || to > log->nr_entries)
		error(1, 0, "the log has %" PRIu64 " entries", log->nr_entries);
	replay(log, safe_fd, strtoull(numbers[0], NULL, 10), from, false);
	make_equal(log, safe_fd, after_fd);
	replay(log, after_fd, from, to, true);
}

int main(int argc, char **argv)
{
	struct log log;

	if (argc == 3 && !strcmp(argv[1], "list")) {
		open_log(&log, argv[2]);
		list(&log);
	} else if (argc == 9 && !strcmp(argv[1], "make")) {
		open_log(&log, argv[2]);
		srandom(strtoul(argv[8], NULL, 10));
		make(&log, argv[3], argv[4], argv + 5);
	} else {
		fprintf(stderr,
			"usage: replay list LOG\n"
			"       replay make LOG SAFE AFTER DONE FROM TO SEED\n"
			"\n"
			"make: on SAFE, which has the entries before DONE, do those before FROM\n"
			"too; make AFTER the same, and do some of those before TO.\n");
		return 2;
	}
	return 0;
}
