// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * Calls of the driver that nobody thought of: threads that share their control
 * files call it with what is right, nearly right and wrong, do I/O to the disks
 * that come of it, and detach them. After each round there is no disk left, no
 * file is pinned, and a disk can be made as ever.
 *
 * A program is a list of numbers, each of which makes one call. On a kernel with
 * KCOV those that reached something new are kept, and others made of them.
 *
 * usage: abifuzz root|nobody|namespace FOLDER SEED ROUNDS
 */
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "fuzz_calls.h"
#include "kcov.h"

#define NR_THREADS 4
#define PROGRAM_CALLS 32
#define MAX_PROGRAMS 1024

struct program {
	uint32_t nr;
	uint64_t calls[PROGRAM_CALLS];
};

/* Those that reached something new; guarded by @lock. */
static struct {
	pthread_mutex_t lock;
	struct program programs[MAX_PROGRAMS];
	uint32_t nr;
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct world world;

struct thread {
	pthread_t id;
	struct caller caller;
};

/* Another open control file under the same number, whoever uses that just now. */
static void reopen_control(struct caller *caller)
{
	uint32_t i = some_control(caller);
	int fd = open(SVMDK_CONTROL_PATH, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	CHECK(dup3(fd, world.controls[i], O_CLOEXEC) == world.controls[i]);
	close(fd);
}

static void do_io(struct caller *caller)
{
	char *buffer = some_room(caller);
	int fd = open_disk(caller, O_RDWR | (one_in(&caller->c, 2) ? O_DIRECT : 0));

	if (fd < 0)
		return;
	caller->reached.io += pread(fd, buffer, PAGE, PAGE * below(&caller->c, 64)) == PAGE;
	caller->reached.io += pwrite(fd, buffer, PAGE, PAGE * below(&caller->c, 64)) == PAGE;
	caller->reached.io += one_in(&caller->c, 4) && fsync(fd) == 0;
	close(fd);
}

/* What others have handed over, or are about to, changes under their hands. */
static void scribble(struct caller *caller)
{
	unsigned char *at = world.pool + PAGE * below(&caller->c, NR_SHARED);
	uint32_t value = odd_number(&caller->c);
	static const unsigned char words[] = { 0, 4, 8, 12, 40, 44 }; /* no pointer is there */

	memcpy(at + words[below(&caller->c, sizeof(words))], &value, sizeof(value));
}

static void do_call(struct caller *caller, uint64_t number)
{
	static void (*const calls[])(struct caller *) = {
		do_whole,  do_whole,   do_whole,    do_whole,	 do_create, do_create, do_add,
		do_add,	   do_add,     do_set_runs, do_set_runs, do_commit, do_commit, do_detach,
		do_status, do_extents, do_version,  do_other,	 scribble,
	};

	caller->c.state = number;
	if (caller->w->want_eperm || !one_in(&caller->c, 8))
		calls[below(&caller->c, sizeof(calls) / sizeof(calls[0]))](caller);
	else if (one_in(&caller->c, 4))
		reopen_control(caller);
	else
		do_io(caller);
}

/* A new one, or one that reached something with a call or a tail of another kind. */
static void make_program(struct chance *c, struct program *p)
{
	struct program other;
	uint32_t i, at;

	*p = (struct program){ 0 };
	pthread_mutex_lock(&kept.lock);
	if (kept.nr && !one_in(c, 4))
		*p = kept.programs[below(c, kept.nr)];
	other = kept.nr ? kept.programs[below(c, kept.nr)] : *p;
	pthread_mutex_unlock(&kept.lock);
	if (!p->nr) {
		p->nr = PROGRAM_CALLS;
		for (i = 0; i < p->nr; i++)
			p->calls[i] = draw(c);
		return;
	}
	do {
		at = below(c, p->nr);
		if (one_in(c, 3)) {
			for (i = at; i < other.nr; i++)
				p->calls[i] = other.calls[i];
			p->nr = p->nr > other.nr ? p->nr : other.nr;
		} else if (one_in(c, 2)) {
			p->calls[at] = p->calls[below(c, p->nr)];
		} else {
			p->calls[at] = draw(c);
		}
	} while (!one_in(c, 3));
}

static void keep_program(struct chance *c, const struct program *p)
{
	pthread_mutex_lock(&kept.lock);
	if (kept.nr < MAX_PROGRAMS)
		kept.programs[kept.nr++] = *p;
	else
		kept.programs[below(c, MAX_PROGRAMS)] = *p;
	pthread_mutex_unlock(&kept.lock);
}

static void *run_program(void *arg)
{
	struct caller *caller = arg;
	struct chance c = caller->c;
	struct kcov kcov = { .fd = -1 };
	struct program p;
	uint32_t i;

	make_program(&c, &p);
	kcov_begin(&kcov);
	kcov_reset(&kcov);
	for (i = 0; i < p.nr; i++)
		do_call(caller, p.calls[i]);
	if (kcov_news(&kcov))
		keep_program(&c, &p);
	kcov_end(&kcov);
	return NULL;
}

static void add_reached(struct reached *to, const struct reached *from)
{
	to->calls += from->calls;
	to->taken += from->taken;
	to->disks += from->disks;
	to->grown += from->grown;
	to->mapped += from->mapped;
	to->detached += from->detached;
	to->io += from->io;
}

/* One may lie on another, so that it takes more than one pass. */
static void detach_all(int control)
{
	struct svmdk_ioc_status arg;
	int passes, ret = 0;

	for (passes = 0; passes < 1000; passes++) {
		arg = (struct svmdk_ioc_status){ .size = sizeof(arg), .flags = SVMDK_STATUS_NEXT };
		while ((ret = call(control, SVMDK_IOC_STATUS, &arg)) == 0) {
			struct svmdk_ioc_detach end = {
				.size = sizeof(end),
				.index = arg.index,
				.timeout_ms = 200,
			};

			call(control, SVMDK_IOC_DETACH, &end);
			arg.flags = SVMDK_STATUS_NEXT;
			arg.index++;
			arg.path = 0;
		}
		WANT(-ENODEV, ret);
		if (status(control, 0, SVMDK_STATUS_NEXT) == -ENODEV)
			return;
	}
	FAIL("svmdk%u cannot be detached; %u have it open", arg.index, arg.openers);
}

/* The first file, as it is open here: nothing is mapped that has a second writer. */
static int add_first(int control)
{
	return add(control, (struct svmdk_new_extent){
				    .kind = SVMDK_KIND_FILE,
				    .fd = world.files[0],
				    .io = SVMDK_IO_MAPPED,
				    .sectors = FILE_SECTORS,
			    });
}

/* One that goes by itself when the last one closes it; no call waits for that. */
static void detach_lazily(int control)
{
	struct svmdk_ioc_detach end = { .size = sizeof(end), .flags = SVMDK_DETACH_LAZY };
	struct svmdk_ioc_commit answer;
	char path[32];
	int disk;

	WANT(0, create_with(control, -1, world.odd[0]));
	WANT(0, add_first(control));
	WANT(0, set_runs_of(control, 0, "0"));
	WANT(0, commit(control, &answer));
	snprintf(path, sizeof(path), "/dev/svmdk%u", answer.index);
	disk = open_file(path, O_RDONLY);
	end.index = answer.index;
	WANT(0, call(control, SVMDK_IOC_DETACH, &end));
	CHECK(end.deferred);
	close(disk);
}

/* Every disk has the module, and each control file; that is all there is to see of them. */
static void wait_for_users(int nr)
{
	char text[16];
	int fd = open_file("/sys/module/svmdk/refcnt", O_RDONLY);

	for (;;) {
		memset(text, 0, sizeof(text));
		CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
		if (atoi(text) == nr)
			break;
		usleep(1000);
	}
	close(fd);
}

static void check_world(void)
{
	struct svmdk_ioc_commit end;
	int control, i;

	for (i = 0; i < NR_CONTROLS; i++)
		close(world.controls[i]);
	control = open_control();
	detach_all(control);
	wait_for_users(1);
	detach_lazily(control);
	detach_all(control);
	wait_for_users(1);
	for (i = 0; i < NR_FILES; i++)
		CHECK(pwrite(world.files[i], "", 0, 0) == 0);
	WANT(0, create_with(control, 0, world.odd[0]));
	WANT(0, add_first(control));
	WANT(0, set_runs_of(control, 0, "0"));
	WANT(0, commit(control, &end));
	CHECK(end.index == 0 && end.sectors == FILE_SECTORS);
	WANT(0, detach(control, 0));
	close(control);
}

static void open_world(const char *disk)
{
	int pair[2], i;
	char name[8];

	make_file("descriptor", 'd', 1);
	for (i = 0; i < NR_FILES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		make_file(name, i, FILE_SECTORS);
		world.files[i] = open_file(name, O_RDWR);
		world.nr_runs[i] = find_runs(name, world.runs[i]);
	}
	CHECK(pipe2(pair, O_CLOEXEC | O_NONBLOCK) == 0);
	world.odd[world.nr_odd++] = open_file("descriptor", O_RDONLY);
	world.odd[world.nr_odd++] = pair[0];
	world.odd[world.nr_odd++] = pair[1];
	world.odd[world.nr_odd++] = open_file("0", O_RDONLY);
	world.odd[world.nr_odd++] = open_file("1", O_WRONLY);
	world.odd[world.nr_odd++] = open_file("2", O_PATH);
	world.odd[world.nr_odd++] = open_file(".", O_RDONLY | O_DIRECTORY);
	world.odd[world.nr_odd++] = open_file("/dev/null", O_RDWR);
	world.odd[world.nr_odd++] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world.odd[world.nr_odd++] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world.odd[world.nr_odd++] = memfd_create("fuzz", MFD_CLOEXEC);
	world.odd[world.nr_odd++] = -1;
	if (disk)
		world.odd[world.nr_odd++] = open_file(disk, O_RDWR);
	world.pool = mmap(NULL, POOL_BYTES + PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	world.readonly = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(world.pool != MAP_FAILED && world.readonly != MAP_FAILED);
	CHECK(mprotect(world.pool + POOL_BYTES, PAGE, PROT_NONE) == 0);
}

static void open_controls(void)
{
	int i;

	for (i = 0; i < NR_CONTROLS; i++)
		world.controls[i] = open_control();
	world.odd[world.nr_odd] = world.controls[0];
}

static void interrupt(int sig)
{
	(void)sig;
}

/* A call may have asked to wait for days, for what nobody else is going to end. */
static void end_thread(pthread_t id)
{
	struct timespec end;
	int ret;

	do {
		CHECK(clock_gettime(CLOCK_REALTIME, &end) == 0);
		end.tv_sec++;
		ret = pthread_timedjoin_np(id, NULL, &end);
		if (ret == ETIMEDOUT)
			pthread_kill(id, SIGUSR1);
	} while (ret == ETIMEDOUT);
	CHECK(ret == 0);
}

static void run_round(struct chance *c, struct reached *all)
{
	struct thread threads[NR_THREADS] = { 0 };
	int i;

	memset(world.nr_added, 0, sizeof(world.nr_added));
	for (i = 0; i < NR_THREADS; i++) {
		threads[i].caller = (struct caller){ .w = &world, .c = { draw(c) } };
		CHECK(pthread_create(&threads[i].id, NULL, run_program, &threads[i].caller) == 0);
	}
	for (i = 0; i < NR_THREADS; i++) {
		end_thread(threads[i].id);
		add_reached(all, &threads[i].caller.reached);
	}
}

/* Nobody, with a control file that root opened; or root of a world of his own. */
static void become(const char *who)
{
	if (strcmp(who, "root") == 0)
		return;
	world.want_eperm = true;
	CHECK(setresgid(65534, 65534, 65534) == 0);
	CHECK(setresuid(65534, 65534, 65534) == 0);
	if (strcmp(who, "namespace") == 0)
		CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(open(SVMDK_CONTROL_PATH, O_RDWR) < 0);
}

int main(int argc, char **argv)
{
	const struct sigaction on_interrupt = { .sa_handler = interrupt };
	struct reached all = { 0 };
	struct chance c;
	unsigned long round, rounds;

	if (argc != 5 || chdir(argv[2])) {
		fprintf(stderr, "usage: abifuzz root|nobody|namespace FOLDER SEED ROUNDS\n");
		return 2;
	}
	c.state = strtoul(argv[3], NULL, 10);
	rounds = strtoul(argv[4], NULL, 10);
	CHECK(sigaction(SIGUSR1, &on_interrupt, NULL) == 0);
	open_world(getenv("DISK"));
	open_controls();
	become(argv[1]);
	for (round = 0; round < rounds; round++) {
		run_round(&c, &all);
		if (world.want_eperm)
			continue;
		check_world();
		open_controls();
	}
	printf("seed=%s rounds=%lu calls=%lu taken=%lu disks=%lu grown=%lu mapped=%lu detached=%lu "
	       "io=%lu kcov=%lu\n",
	       argv[3], rounds, all.calls, all.taken, all.disks, all.grown, all.mapped,
	       all.detached, all.io, kcov_nr_seen);
	return 0;
}
