// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hash.h"
#include "interrupt.h"
#include "same_time.h"
#include "write_all.h"

#define PIECE (UINT64_C(1) << 20) /* read at once, in bytes */
#define AHEAD (8 * PIECE) /* asked of the disk before it is needed */

/* How long two writes may have the same timestamp: a tick; or where a file
 * system keeps whole seconds, those of FAT.
 */
#define TICK_NS 20000000LL
#define COARSE_NS 2000000000LL

const char *hash_format(char text[HASH_TEXT_LEN], const unsigned char hash[HASH_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	int i;

	for (i = 0; i < HASH_SIZE; i++) {
		text[2 * i] = digits[hash[i] >> 4];
		text[2 * i + 1] = digits[hash[i] & 15];
	}
	text[2 * HASH_SIZE] = '\0';
	return text;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hash_parse(unsigned char hash[HASH_SIZE], const char *text)
{
	int i, high, low;

	for (i = 0; i < HASH_SIZE; i++) {
		high = digit(text[2 * i]);
		low = high < 0 ? -1 : digit(text[2 * i + 1]);
		if (low < 0)
			return -1;
		hash[i] = high << 4 | low;
	}
	return 0;
}

static int libcrypto_failed(struct svmdk_error *err)
{
	return error_set(err, ENOMEM, "libcrypto cannot do SHA-256; not enough memory?");
}

int hash_bytes(unsigned char hash[HASH_SIZE], const void *bytes, size_t length,
	       struct svmdk_error *err)
{
	return EVP_Digest(bytes, length, hash, NULL, EVP_sha256(), NULL) == 1 ?
		       0 :
		       libcrypto_failed(err);
}

/**
 * struct hasher - what one thread needs
 * @context: of libcrypto
 * @piece: PIECE bytes
 */
struct hasher {
	EVP_MD_CTX *context;
	unsigned char *piece;
};

/**
 * struct stream - a file on its way into a hash
 * @fd: the file
 * @name: what it is called in a message
 * @to: where its bytes go too, or -1
 * @size: bytes of it
 * @at: bytes done; where it failed
 * @ahead: bytes that the disk was asked for
 * @count: bytes done of all files
 * @progress: told after each piece, or NULL
 */
struct stream {
	int fd;
	const char *name;
	int to;
	uint64_t size;
	uint64_t at;
	uint64_t ahead;
	_Atomic uint64_t *count;
	struct progress *progress;
};

static int hasher_init(struct hasher *h)
{
	h->context = EVP_MD_CTX_new();
	if (posix_memalign((void **)&h->piece, 4096, PIECE))
		h->piece = NULL;
	return h->context && h->piece ? 0 : -1;
}

static void hasher_free(struct hasher *h)
{
	EVP_MD_CTX_free(h->context);
	free(h->piece);
}

/* The disk goes on with the next pieces while this one is hashed. */
static void read_ahead(struct stream *s)
{
	if (s->ahead >= s->size || s->ahead > s->at + AHEAD / 2)
		return;
	if (s->ahead < s->at)
		s->ahead = s->at;
	posix_fadvise(s->fd, s->ahead, AHEAD, POSIX_FADV_WILLNEED);
	s->ahead += AHEAD;
}

static int next_piece(struct hasher *h, struct stream *s, struct svmdk_error *err)
{
	size_t want = s->size - s->at < PIECE ? s->size - s->at : PIECE;
	ssize_t got;

	read_ahead(s);
	got = pread(s->fd, h->piece, want, s->at);
	if (got < 0 && errno == EINTR)
		return 0;
	if (got < 0)
		return error_errno(err, errno, "cannot read %s at byte %llu", s->name,
				   (unsigned long long)s->at);
	if (!got)
		return error_set(err, ENODATA, "%s became shorter while it was read", s->name);
	if (s->to >= 0 && write_all(s->to, h->piece, got, s->at))
		return error_errno(err, errno, "cannot write the new file");
	if (EVP_DigestUpdate(h->context, h->piece, got) != 1)
		return libcrypto_failed(err);
	s->at += got;
	*s->count += got;
	return 0;
}

static int run_stream(struct hasher *h, struct stream *s, unsigned char hash[HASH_SIZE],
		      struct svmdk_error *err)
{
	if (EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) != 1)
		return libcrypto_failed(err);
	posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (s->at < s->size) {
		if (interrupt_seen())
			return error_set(err, EINTR, "interrupted");
		if (next_piece(h, s, err))
			return -1;
		if (s->progress)
			progress_show(s->progress, *s->count);
	}
	return EVP_DigestFinal_ex(h->context, hash, NULL) == 1 ? 0 : libcrypto_failed(err);
}

int hash_copy(int from, const char *name, int to, uint64_t size, unsigned char hash[HASH_SIZE],
	      struct progress *progress, uint64_t *done, struct svmdk_error *err)
{
	_Atomic uint64_t count = *done;
	struct stream s = {
		.fd = from,
		.name = name,
		.to = to,
		.size = size,
		.count = &count,
		.progress = progress,
	};
	struct hasher h = { 0 };
	int ret;

	ret = hasher_init(&h) ? error_errno(err, ENOMEM, "cannot copy it") :
				run_stream(&h, &s, hash, err);
	hasher_free(&h);
	*done = count;
	return ret;
}

/**
 * struct team - threads that share files to hash
 * @work: which files
 * @lock: guards @next, @running and @code, and the calls of @work->done()
 * @ended: a thread came to its end; with @lock
 * @next: the file that is taken next
 * @running: threads that have not come to their end
 * @code: why it does not go on, an errno value; or 0
 * @count: bytes done
 */
struct team {
	const struct hash_work *work;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	size_t next;
	unsigned int running;
	int code;
	_Atomic uint64_t count;
};

/* Waits until a write would give the file another time than it has. */
static void settle(int fd, struct stat *st)
{
	const struct timespec *last;
	struct timespec now;
	int64_t tick, age;

	last = st->st_mtim.tv_sec > st->st_ctim.tv_sec ||
			       (st->st_mtim.tv_sec == st->st_ctim.tv_sec &&
				st->st_mtim.tv_nsec > st->st_ctim.tv_nsec) ?
		       &st->st_mtim :
		       &st->st_ctim;
	tick = st->st_mtim.tv_nsec || st->st_ctim.tv_nsec ? TICK_NS : COARSE_NS;
	while (!interrupt_seen()) {
		clock_gettime(CLOCK_REALTIME, &now);
		age = time_since(last, &now);
		if (age >= tick || age < -tick)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = TICK_NS / 4 }, NULL);
	}
	fstat(fd, st);
}

static bool has_moved(const struct stat *before, const struct stat *after)
{
	return before->st_size != after->st_size || !same_time(&before->st_mtim, &after->st_mtim) ||
	       !same_time(&before->st_ctim, &after->st_ctim);
}

static void hash_opened(struct team *team, struct hasher *h, struct extent_file *file,
			struct hash_result *r)
{
	struct stream s = {
		.fd = file->fd,
		.name = "it",
		.to = -1,
		.size = file->size,
		.count = &team->count,
	};

	if (team->work->settle && S_ISREG(file->st.st_mode)) {
		settle(file->fd, &file->st);
		s.size = file->st.st_size;
	}
	r->st = file->st;
	r->size = s.size;
	r->outcome = run_stream(h, &s, r->hash, r->err) ? HASH_UNREADABLE : HASH_DONE;
	r->offset = s.at;
	/* What cannot be looked at any more may have been written. */
	r->moved = fstat(file->fd, &r->st) || has_moved(&file->st, &r->st);
	if (team->work->drop_cache)
		posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void hash_one(struct team *team, struct hasher *h, size_t i, struct svmdk_error *err)
{
	struct hash_result r = { .outcome = HASH_NOT_OPENED, .err = err };
	struct extent_file file;

	if (team->work->open(team->work->arg, i, &file, err) == 0) {
		hash_opened(team, h, &file, &r);
		close(file.fd);
	}
	pthread_mutex_lock(&team->lock);
	if (r.outcome != HASH_DONE && (err->code == EINTR || err->code == ENOMEM))
		team->code = err->code;
	else if (!team->code && team->work->done(team->work->arg, i, &r))
		team->code = ECANCELED;
	pthread_mutex_unlock(&team->lock);
}

static bool take_next(struct team *team, size_t *i)
{
	bool more;

	pthread_mutex_lock(&team->lock);
	if (interrupt_seen() && !team->code)
		team->code = EINTR;
	more = !team->code && team->next < team->work->nr;
	if (more)
		*i = team->next++;
	pthread_mutex_unlock(&team->lock);
	return more;
}

static void *run_thread(void *arg)
{
	struct svmdk_error *err = malloc(sizeof(*err));
	struct team *team = arg;
	struct hasher h = { 0 };
	bool fit = hasher_init(&h) == 0 && err;
	size_t i;

	while (fit && take_next(team, &i))
		hash_one(team, &h, i, err);
	hasher_free(&h);
	free(err);
	pthread_mutex_lock(&team->lock);
	if (!fit)
		team->code = ENOMEM;
	team->running--;
	pthread_cond_signal(&team->ended);
	pthread_mutex_unlock(&team->lock);
	return NULL;
}

/* Draws how far they are, five times a second. */
static void wait_for_end(struct team *team)
{
	struct timespec until;

	pthread_mutex_lock(&team->lock);
	while (team->running) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 200000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&team->ended, &team->lock, &until);
		progress_show(team->work->progress, team->count);
	}
	pthread_mutex_unlock(&team->lock);
}

static void run_team(struct team *team, pthread_t *threads, size_t most)
{
	size_t nr = 0;

	pthread_mutex_lock(&team->lock);
	while (nr < most && pthread_create(&threads[nr], NULL, run_thread, team) == 0)
		nr++;
	team->running = nr ? nr : 1;
	pthread_mutex_unlock(&team->lock);
	if (!nr)
		run_thread(team); /* alone, then */
	wait_for_end(team);
	while (nr)
		pthread_join(threads[--nr], NULL);
}

int hash_files(const struct hash_work *work, struct svmdk_error *err)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = container_batch(processors > 0 ? processors : 1);
	struct team team = { .work = work, .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_condattr_t monotonic;
	pthread_t *threads;

	if (most > work->nr)
		most = work->nr;
	threads = calloc(most + 1, sizeof(*threads));
	if (!threads)
		return error_errno(err, ENOMEM, "cannot hash");
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&team.ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	run_team(&team, threads, most);
	pthread_cond_destroy(&team.ended);
	free(threads);
	if (team.code == EINTR)
		return error_set(err, EINTR, "interrupted");
	if (team.code == ECANCELED)
		return 1;
	return team.code ? error_errno(err, team.code, "cannot hash") : 0;
}
