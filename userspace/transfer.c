// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "extent_map.h"
#include "interrupt.h"
#include "transfer.h"
#include "write_all.h"

/* Large enough to be quick, small enough to be interrupted and shown. */
#define COPY_CHUNK (UINT64_C(16) << 20)
#define SHARE_CHUNK (UINT64_C(1) << 30)
#define BUFFER (UINT64_C(1) << 20)
#define BLOCK UINT64_C(4096)
/* What will be read is asked for early, so much of it. */
#define AHEAD (UINT64_C(32) << 20)
#define AHEAD_CHUNK (UINT64_C(2) << 20)

int transfer_begin(struct transfer *t, enum transfer_holes holes, struct progress *progress,
		   struct svmdk_error *err)
{
	void *buffers =
		mmap(NULL, 2 * BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*t = (struct transfer){ .holes = holes, .progress = progress };
	if (buffers == MAP_FAILED)
		return error_errno(err, errno, "cannot get memory to copy");
	t->buffers = buffers;
	if (zero_begin(&t->z, progress, err) == 0)
		return 0;
	transfer_end(t);
	return -1;
}

void transfer_end(struct transfer *t)
{
	if (t->buffers)
		munmap(t->buffers, 2 * BUFFER);
	zero_end(&t->z);
	*t = (struct transfer){ 0 };
}

static void add_done(struct transfer *t, uint64_t bytes)
{
	t->done += bytes;
	progress_show(t->progress, t->done);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int fail(struct transfer *t, bool at_source, struct svmdk_error *err, const char *what,
		uint64_t at)
{
	t->at_source = at_source;
	return error_errno(err, errno, "cannot %s byte %" PRIu64, what, at);
}

static int share_chunk(const struct transfer_range *r, uint64_t at, uint64_t length)
{
	struct file_clone_range range = {
		.src_fd = r->from,
		.src_offset = r->from_at + at,
		.src_length = length,
		.dest_offset = r->to_at + at,
	};

	return ioctl(r->to, FICLONERANGE, &range);
}

/* Returns how much of the range is shared. Whatever is not can be copied. */
static uint64_t share(struct transfer *t, const struct transfer_range *r)
{
	uint64_t at = 0, length;

	if (!transfer_aligned(r->from_at, r->to_at))
		return 0;
	while (at < r->length && !interrupt_seen()) {
		length = least(r->length - at, SHARE_CHUNK);
		if (share_chunk(r, at, length)) {
			if (errno == EINTR)
				continue;
			/* Only at the end of a file may there be less than a block. */
			length -= length % BLOCK;
			if (errno != EINVAL || !length || share_chunk(r, at, length))
				break;
		}
		at += length;
		add_done(t, length);
	}
	return at;
}

static ssize_t read_some(int fd, char *buffer, size_t length, uint64_t at)
{
	ssize_t got;

	do {
		got = pread(fd, buffer, length, at);
	} while (got < 0 && errno == EINTR && !interrupt_seen());
	if (got == 0) {
		errno = ENODATA; /* it was longer when it was looked at */
		return -1;
	}
	return got;
}

/* The way that always works, and that knows which byte it is about. */
static int64_t copy_by_hand(struct transfer *t, const struct transfer_range *r, uint64_t at,
			    uint64_t length, struct svmdk_error *err)
{
	ssize_t got = read_some(r->from, t->buffers, least(length, BUFFER), r->from_at + at);

	if (got < 0)
		return fail(t, true, err, "read", r->from_at + at);
	if (write_all(r->to, t->buffers, got, r->to_at + at))
		return fail(t, false, err, "write", r->to_at + at);
	return got;
}

static int64_t copy_in_kernel(const struct transfer_range *r, uint64_t at, uint64_t length)
{
	off_t from_at = r->from_at + at, to_at = r->to_at + at;

	return copy_file_range(r->from, &from_at, r->to, &to_at, length, 0);
}

/*
 * Has the disk read what comes after @at, from where it was asked for before.
 * Returns up to where it is asked for now; all but @begin count from there.
 */
static uint64_t read_ahead(int fd, uint64_t begin, uint64_t at, uint64_t end, uint64_t ahead)
{
	uint64_t length;

	if (end > at + AHEAD)
		end = at + AHEAD;
	for (ahead = ahead < at ? at : ahead; ahead < end; ahead += length) {
		length = least(end - ahead, AHEAD_CHUNK);
		posix_fadvise(fd, begin + ahead, length, POSIX_FADV_WILLNEED);
	}
	return ahead;
}

/* @begin and @end count from the begin of the range; there are data between. */
static int copy_data(struct transfer *t, const struct transfer_range *r, uint64_t begin,
		     uint64_t end, struct svmdk_error *err)
{
	bool in_kernel = true;
	uint64_t at = begin, ahead = begin;
	int64_t done;

	while (at < end && !interrupt_seen()) {
		ahead = read_ahead(r->from, r->from_at, at, end, ahead);
		done = 0;
		if (in_kernel)
			done = copy_in_kernel(r, at, least(end - at, COPY_CHUNK));
		if (in_kernel && done < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
			return fail(t, false, err, "write", r->to_at + at);
		if (done <= 0) {
			in_kernel = false;
			done = copy_by_hand(t, r, at, end - at, err);
		}
		if (done < 0)
			return -1;
		/* The disk has something to do while the next piece is copied. */
		sync_file_range(r->to, r->to_at + at, done, SYNC_FILE_RANGE_WRITE);
		at += done;
		add_done(t, done);
	}
	return at < end ? error_set(err, EINTR, "interrupted") : 0;
}

/* Asks for the space in one piece; without it what is written brings its own. */
static int reserve(struct transfer *t, int fd, uint64_t begin, uint64_t length,
		   struct svmdk_error *err)
{
	while (fallocate(fd, FALLOC_FL_KEEP_SIZE, begin, length)) {
		if (errno == EOPNOTSUPP)
			return 0;
		if (errno == EINTR && !interrupt_seen())
			continue;
		return fail(t, false, err, "reserve the room from", begin);
	}
	return 0;
}

/**
 * struct bringing - a range on its way
 * @t: the transfer
 * @r: the range
 * @shared: bytes from its begin on that are there already
 * @begin: first byte of data that were found and not copied yet, from the begin
 *	of the range
 * @end: one past the last of them
 * @err: filled on failure
 */
struct bringing {
	struct transfer *t;
	const struct transfer_range *r;
	uint64_t shared;
	uint64_t begin;
	uint64_t end;
	struct svmdk_error *err;
};

/* Pieces of data side by side are one: the kernel copies large ones quicker. */
static int copy_pending(struct bringing *b)
{
	uint64_t begin = b->begin < b->shared ? b->shared : b->begin;
	int ret = 0;

	if (begin < b->end)
		ret = copy_data(b->t, b->r, begin, b->end, b->err);
	b->begin = b->end;
	return ret;
}

static int fill(struct bringing *b, uint64_t begin, uint64_t end)
{
	uint64_t at = b->r->to_at + begin, done = b->t->done;
	int ret;

	if (reserve(b->t, b->r->to, at, end - begin, b->err))
		return -1;
	b->t->at_source = false;
	b->t->z.done = done;
	ret = zero_range(&b->t->z, b->r->to, at, end - begin, b->err);
	b->t->done = done;
	return ret;
}

static int bring_nothing(struct bringing *b, uint64_t begin, uint64_t end, bool reserved)
{
	int ret = 0;

	if (b->t->holes == HOLES_FILL)
		ret = fill(b, begin, end);
	else if (b->t->holes == HOLES_KEEP && reserved)
		ret = reserve(b->t, b->r->to, b->r->to_at + begin, end - begin, b->err);
	if (begin < b->shared)
		begin = b->shared;
	if (begin < end)
		add_done(b->t, end - begin);
	return ret;
}

static int bring_piece(const struct map_piece *piece, void *arg)
{
	struct bringing *b = arg;
	uint64_t begin = piece->begin - b->r->from_at, end = begin + piece->length;

	if (interrupt_seen())
		return error_set(b->err, EINTR, "interrupted");
	switch (piece->reason) {
	case SVMDK_REASON_HOLE:
	case SVMDK_REASON_UNWRITTEN:
		if (copy_pending(b))
			return -1;
		b->begin = b->end = end;
		return bring_nothing(b, begin, end, piece->reason == SVMDK_REASON_UNWRITTEN);
	default:
		b->end = end;
		return 0;
	}
}

int transfer_range(struct transfer *t, const struct transfer_range *r, uint64_t *shared,
		   struct svmdk_error *err)
{
	struct bringing b = { .t = t, .r = r, .err = err };

	*shared = b.shared = share(t, r);
	t->at_source = true;
	if (extent_map_walk(r->from, r->from_at, r->length, bring_piece, &b, err))
		return -1;
	return copy_pending(&b);
}

/* Where the next data begins and ends; a file system that cannot tell has no holes. */
static int find_data(int fd, uint64_t at, uint64_t end, uint64_t *data, uint64_t *hole)
{
	off_t found = lseek(fd, at, SEEK_DATA);

	*data = *hole = end;
	if (found < 0 && errno == ENXIO)
		return 0;
	if (found < 0 && errno != EINVAL && errno != EOPNOTSUPP)
		return -1;
	*data = found < 0 ? at : least(found, end);
	found = lseek(fd, *data, SEEK_HOLE);
	if (found >= 0)
		*hole = least(found, end);
	return 0;
}

static int read_all(int fd, char *buffer, size_t length, uint64_t at)
{
	size_t done = 0;
	ssize_t got;

	while (done < length) {
		got = read_some(fd, buffer + done, length - done, at + done);
		if (got < 0)
			return -1;
		done += got;
	}
	return 0;
}

static int compare_chunk(struct transfer *t, const struct transfer_range *r, uint64_t at,
			 size_t length, struct svmdk_error *err)
{
	char *one = t->buffers, *other = t->buffers + BUFFER;
	size_t i = 0;

	if (read_all(r->from, one, length, r->from_at + at))
		return fail(t, true, err, "read", r->from_at + at);
	if (read_all(r->to, other, length, r->to_at + at))
		return fail(t, false, err, "read", r->to_at + at);
	if (memcmp(one, other, length) == 0)
		return 0;
	while (one[i] == other[i])
		i++;
	t->at_source = false;
	return error_set(err, EBADMSG,
			 "byte %" PRIu64
			 " is not what was copied there; see to this machine's disk and memory",
			 r->to_at + at + i);
}

int transfer_compare(struct transfer *t, const struct transfer_range *r, struct svmdk_error *err)
{
	uint64_t at = 0, from_ahead = 0, to_ahead = 0, from_data, to_data, end, skip;
	size_t length;

	posix_fadvise(r->to, r->to_at, r->length, POSIX_FADV_DONTNEED);
	while (at < r->length && !interrupt_seen()) {
		from_ahead = read_ahead(r->from, r->from_at, at, r->length, from_ahead);
		to_ahead = read_ahead(r->to, r->to_at, at, r->length, to_ahead);
		/* What is a hole in both of them is equal. */
		if (find_data(r->from, r->from_at + at, r->from_at + r->length, &from_data, &end))
			return fail(t, true, err, "look for holes from", r->from_at + at);
		if (find_data(r->to, r->to_at + at, r->to_at + r->length, &to_data, &end))
			return fail(t, false, err, "look for holes from", r->to_at + at);
		skip = least(from_data - r->from_at, to_data - r->to_at) - at;
		at += skip;
		length = least(r->length - at, BUFFER);
		if (length && compare_chunk(t, r, at, length, err))
			return -1;
		at += length;
		add_done(t, skip + length);
	}
	return at < r->length ? error_set(err, EINTR, "interrupted") : 0;
}

static int measure_piece(const struct map_piece *piece, void *arg)
{
	struct transfer_need *need = arg;

	if (piece->reason == SVMDK_REASON_HOLE)
		need->holes += piece->length;
	else if (piece->reason == SVMDK_REASON_UNWRITTEN)
		need->reserved += piece->length;
	else
		need->data += piece->length;
	return 0;
}

int transfer_measure(int fd, uint64_t begin, uint64_t length, struct transfer_need *need,
		     struct svmdk_error *err)
{
	return extent_map_walk(fd, begin, length, measure_piece, need, err);
}

void transfer_take_after(int fd, int from)
{
	int flags, own;

	if (ioctl(from, FS_IOC_GETFLAGS, &flags) || !(flags & FS_NOCOW_FL) ||
	    ioctl(fd, FS_IOC_GETFLAGS, &own) || own & FS_NOCOW_FL)
		return;
	own |= FS_NOCOW_FL;
	ioctl(fd, FS_IOC_SETFLAGS, &own);
}

static int find_shared(const struct map_piece *piece, void *arg)
{
	(void)arg;
	return piece->reason == SVMDK_REASON_REFLINK;
}

/* By its first block; what cannot be told is taken for a no. */
static bool tells_its_place(int fd)
{
	off_t data = lseek(fd, 0, SEEK_DATA);
	int size, block;

	if (data < 0 || ioctl(fd, FIGETBSZ, &size) || size <= 0 || data / size > INT_MAX)
		return false;
	block = (int)(data / size);
	if (ioctl(fd, FIBMAP, &block))
		return errno == ERANGE; /* so far behind that FIBMAP cannot say it */
	return block != 0;
}

bool transfer_settle(int fd, unsigned int *wait_ms)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	struct svmdk_error ignored;
	struct statvfs fs;
	struct stat st;
	off_t data;

	if (!extent_map_fs_known(fd) || fstat(fd, &st) || !st.st_size)
		return true;
	if (tells_its_place(fd))
		return true;
	while (extent_map_walk(fd, 0, st.st_size, find_shared, NULL, &ignored)) {
		if (*wait_ms < 20 || interrupt_seen())
			return false;
		*wait_ms -= 20;
		fstatvfs(fd, &fs); /* hurries XFS along */
		nanosleep(&pause, NULL);
	}
	/* One block will do; and no more, for it gives holes their room too. */
	data = lseek(fd, 0, SEEK_DATA);
	if (data >= 0)
		fallocate(fd, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE, data, 1);
	/* Of one just written, a newer XFS first wants to be done with writing it out. */
	if (data >= 0 && !tells_its_place(fd) && syncfs(fd) == 0)
		fallocate(fd, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE, data, 1);
	/* The content is the same, so the time of its last change is too. */
	futimens(fd, (const struct timespec[]){ { .tv_nsec = UTIME_OMIT }, st.st_mtim });
	return true;
}

bool transfer_can_share(int fd, int folder)
{
	int probe = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct transfer_range r = { .from = fd, .to = probe, .length = BLOCK };
	struct stat st;
	bool can;

	if (probe < 0)
		return false;
	transfer_take_after(probe, fd);
	can = fstat(fd, &st) == 0 && (uint64_t)st.st_size >= BLOCK &&
	      share_chunk(&r, 0, BLOCK) == 0;
	close(probe);
	return can;
}
