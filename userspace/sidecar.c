// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "replace.h"
#include "same_time.h"
#include "side_file.h"
#include "sidecar.h"

#define HEADER "svmdk sidecar 1"
#define NSEC_LIMIT 1000000000L
#define LOCK_TRIES 25 /* for whoever only looks at it */
#define LOCK_PAUSE_NS 10000000L

static const char *const session_names[] = {
	[SESSION_NONE] = "none",
	[SESSION_ATTACHED] = "attached",
	[SESSION_UNSURE] = "unsure",
};

/* The next word of a line, or NULL. */
static char *next_word(char **at)
{
	char *word = *at, *end = strchr(word, ' ');

	if (!*word || !end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return word;
}

static int parse_number(const char *word, uint64_t *number)
{
	char *end;

	if (*word < '0' || *word > '9')
		return -1;
	errno = 0;
	*number = strtoull(word, &end, 10);
	return errno || *end || *number > INT64_MAX ? -1 : 0;
}

/* Seconds, which may be before 1970, a dot, and nine digits. */
static int parse_time(const char *word, struct timespec *time)
{
	const char *digits = word + (*word == '-');
	uint64_t nsec;
	char *end;

	if (*digits < '0' || *digits > '9')
		return -1;
	errno = 0;
	time->tv_sec = strtoll(word, &end, 10);
	if (errno || *end != '.' || strlen(end + 1) != 9 || parse_number(end + 1, &nsec) ||
	    nsec >= NSEC_LIMIT)
		return -1;
	time->tv_nsec = (long)nsec;
	return 0;
}

static int parse_facts(char **at, struct facts *facts)
{
	char *size = next_word(at);
	char *mtime = size ? next_word(at) : NULL;
	char *inode = mtime ? next_word(at) : NULL;
	char *ctime = inode ? next_word(at) : NULL;

	if (!ctime || parse_number(size, &facts->size) || parse_time(mtime, &facts->mtime) ||
	    parse_time(ctime, &facts->ctime))
		return -1;
	/* Inodes use all 64 bits on some file systems. */
	errno = 0;
	if (*inode < '0' || *inode > '9')
		return -1;
	facts->inode = strtoull(inode, &inode, 10);
	return errno || *inode ? -1 : 0;
}

static int parse_hash(const char *word, struct sidecar_entry *entry)
{
	if (strcmp(word, "-") == 0)
		return 0;
	entry->hashed = true;
	return strlen(word) == 2 * HASH_SIZE ? hash_parse(entry->hash, word) : -1;
}

/* Returns 0, EINVAL or ENOMEM. */
static int parse_entry(struct sidecar *s, char *line, unsigned int number)
{
	struct sidecar_entry entry = { .line = number };
	char *mark = next_word(&line), *hash;

	if (!mark || (strcmp(mark, "clean") && strcmp(mark, "changed")))
		return EINVAL;
	entry.changed = strcmp(mark, "changed") == 0;
	if (parse_facts(&line, &entry.facts))
		return EINVAL;
	hash = next_word(&line);
	if (!hash || parse_hash(hash, &entry) || !*line || name_unescape(line))
		return EINVAL;
	if (!entry.changed && (!entry.hashed || !entry.facts.inode))
		return EINVAL;
	entry.name = line;
	return sidecar_add(s, &entry) ? ENOMEM : 0;
}

static int parse_session(struct sidecar *s, const char *text)
{
	size_t i, length;

	for (i = 0; i < sizeof(session_names) / sizeof(session_names[0]); i++) {
		length = strlen(session_names[i]);
		if (strncmp(text, session_names[i], length))
			continue;
		s->session = i;
		text += length;
		if (i == SESSION_NONE)
			return *text ? EINVAL : 0;
		if (*text != ' ' || !text[1] || strlen(text + 1) >= BOOT_ID_LEN)
			return EINVAL;
		strcpy(s->boot_id, text + 1);
		return 0;
	}
	return EINVAL;
}

static int parse_line(struct sidecar *s, char *line, size_t length, unsigned int number,
		      const char *self)
{
	if (strlen(line) != length)
		return EINVAL;
	switch (number) {
	case 1:
		return strcmp(line, HEADER) ? EINVAL : 0;
	case 2:
		s->travelled = strlen(self) != length + 1 || strncmp(line, self, length);
		return strncmp(line, "self ", 5) ? EINVAL : 0;
	case 3:
		return strncmp(line, "session ", 8) ? EINVAL : parse_session(s, line + 8);
	default:
		return parse_entry(s, line, number);
	}
}

static int parse(struct sidecar *s, struct side_file *file, struct svmdk_error *err)
{
	char *at = file->bytes, *line;
	unsigned int number = 0;
	size_t length;
	int code = 0;

	while (!code && (line = side_file_next_line(&at, file->bytes + file->length, &length)))
		code = parse_line(s, line, length, ++number, file->self);
	if (!code && number < 3) {
		number++;
		code = EINVAL;
	}
	if (!code)
		return 0;
	if (code == EINVAL)
		error_set(err, code, "not a sidecar that this svmdk understands");
	else
		error_errno(err, code, "cannot read it");
	err->line = number;
	return -1;
}

static int compare_entries(const void *a, const void *b)
{
	const struct sidecar_entry *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	return order ? order : (one->line > other->line) - (one->line < other->line);
}

static int compare_name(const void *name, const void *entry)
{
	return strcmp(name, ((const struct sidecar_entry *)entry)->name);
}

static int find_twice(const struct sidecar *s, struct svmdk_error *err)
{
	size_t i;

	for (i = 1; i < s->nr; i++) {
		if (strcmp(s->list[i - 1].name, s->list[i].name))
			continue;
		error_set(err, EINVAL, "%s stands in line %u already", s->list[i].name,
			  s->list[i - 1].line);
		err->line = s->list[i].line;
		return -1;
	}
	return 0;
}

int sidecar_read(struct sidecar *s, int dirfd, const char *name, struct svmdk_error *err)
{
	struct side_file file;
	int ret;

	*s = (struct sidecar){ 0 };
	if (side_file_read(&file, dirfd, name, err))
		return -1;
	s->st = file.st;
	ret = parse(s, &file, err);
	side_file_free(&file);
	if (!ret && s->nr) {
		qsort(s->list, s->nr, sizeof(*s->list), compare_entries);
		ret = find_twice(s, err);
	}
	if (!ret)
		return 0;
	sidecar_free(s);
	return error_at(err, name, err->line);
}

struct sidecar_entry *sidecar_find(const struct sidecar *s, const char *name)
{
	if (!s->nr)
		return NULL;
	return bsearch(name, s->list, s->nr, sizeof(*s->list), compare_name);
}

int sidecar_add(struct sidecar *s, const struct sidecar_entry *entry)
{
	struct sidecar_entry *list;

	if (s->nr == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		list = reallocarray(s->list, s->room, sizeof(*list));
		if (!list)
			return -1;
		s->list = list;
	}
	s->list[s->nr] = *entry;
	s->list[s->nr].name = strdup(entry->name);
	if (!s->list[s->nr].name)
		return -1;
	s->nr++;
	return 0;
}

/* Opened for writing where that is allowed: NFS locks nothing else. */
static int open_to_lock(int dirfd, const char *name, struct stat *st, struct svmdk_error *err)
{
	int fd = side_file_open(dirfd, name, O_RDWR, st, err);

	if (fd < 0 && (err->code == EACCES || err->code == EROFS || err->code == EPERM))
		fd = side_file_open(dirfd, name, O_RDONLY, st, err);
	return fd;
}

int sidecar_lock(int dirfd, const char *name, int *fd, struct svmdk_error *err)
{
	struct stat st, now;
	int code, tries;

	for (tries = 0, code = 0; tries < LOCK_TRIES; tries++) {
		if (code)
			nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_NS }, NULL);
		*fd = open_to_lock(dirfd, name, &st, err);
		if (*fd < 0)
			return -1;
		code = flock(*fd, LOCK_EX | LOCK_NB) ? errno : 0;
		/* It may have been replaced while the lock was waited for. */
		if (!code && fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		    now.st_dev == st.st_dev && now.st_ino == st.st_ino)
			return 0;
		close(*fd);
		*fd = -1;
		if (code && code != EWOULDBLOCK)
			break;
	}
	if (code && code != EWOULDBLOCK)
		error_errno(err, code, "cannot lock it");
	else
		error_set(err, EWOULDBLOCK,
			  "another svmdk command is at work on it; wait for that, or end it");
	return error_at(err, name, 0);
}

/**
 * struct printing - a sidecar on its way to a file
 * @s: its content
 * @fd: set to the file, locked
 */
struct printing {
	const struct sidecar *s;
	int fd;
};

static int print_entry(FILE *to, const struct sidecar_entry *e)
{
	char *name = malloc(2 * strlen(e->name) + 1);
	char hash[HASH_TEXT_LEN] = "-";

	if (!name)
		return -1;
	name_escape(name, e->name);
	if (e->hashed)
		hash_format(hash, e->hash);
	fprintf(to, "%s %" PRIu64 " %lld.%09ld %" PRIu64 " %lld.%09ld %s %s\n",
		e->changed ? "changed" : "clean", e->facts.size, (long long)e->facts.mtime.tv_sec,
		e->facts.mtime.tv_nsec, e->facts.inode, (long long)e->facts.ctime.tv_sec,
		e->facts.ctime.tv_nsec, hash, name);
	free(name);
	return 0;
}

static int print(FILE *to, void *arg)
{
	struct printing *p = arg;
	const struct sidecar *s = p->s;
	char self[SELF_LEN];
	size_t i;

	p->fd = fcntl(fileno(to), F_DUPFD_CLOEXEC, 0);
	/* Nobody else can know of it yet. */
	if (p->fd < 0 || self_line(p->fd, self) || flock(p->fd, LOCK_EX | LOCK_NB))
		return -1;
	fprintf(to, HEADER "\n%ssession %s%s%s\n", self, session_names[s->session],
		s->session == SESSION_NONE ? "" : " ", s->boot_id);
	for (i = 0; i < s->nr; i++) {
		if (print_entry(to, &s->list[i]))
			return -1;
	}
	return ferror(to) ? -1 : 0;
}

int sidecar_write(const struct sidecar *s, int dirfd, const char *name, const struct stat *like,
		  int *fd, struct svmdk_error *err)
{
	struct printing p = { .s = s, .fd = -1 };

	if (replace_whole(dirfd, name, like, print, &p, err)) {
		if (p.fd >= 0)
			close(p.fd);
		return -1;
	}
	if (*fd >= 0)
		close(*fd);
	*fd = p.fd;
	return 0;
}

void sidecar_free(struct sidecar *s)
{
	size_t i;

	for (i = 0; i < s->nr; i++)
		free(s->list[i].name);
	free(s->list);
	*s = (struct sidecar){ 0 };
}

void boot_id_read(char boot_id[BOOT_ID_LEN])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || fscanf(f, "%36s", boot_id) != 1)
		strcpy(boot_id, "unknown");
	if (f)
		fclose(f);
}

void facts_of(struct facts *facts, const struct stat *st, uint64_t size)
{
	*facts = (struct facts){
		.size = size,
		.mtime = st->st_mtim,
		.inode = st->st_ino,
		.ctime = st->st_ctim,
	};
}

bool facts_same_content(const struct facts *a, const struct facts *b)
{
	return a->size == b->size && same_time(&a->mtime, &b->mtime);
}

bool facts_same_file(const struct facts *a, const struct facts *b)
{
	return a->inode == b->inode && same_time(&a->ctime, &b->ctime);
}
