// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 *
 * What a program asks of its libraries fails, once: preloaded by failures.bats into svmdk.
 *
 *   FAILURE_KIND  "memory", allocations, or "calls", all else that is below
 *   FAILURE_AT    which: the first that the program's own code asks for is 1. What the C
 *               library allocates for it is counted with it.
 *   FAILURE_TOLD  a file that gets the name of what failed; without it there was no
 *               such
 *
 * What libraries ask of each other is left alone; they are not what is tested. Programs
 * that it starts see nothing of this.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { NONE, MEMORY, CALLS };

struct range {
	uintptr_t begin, end;
};

static struct range program, libc;
static enum kind wanted;
static unsigned long wanted_at;
static const char *told;
static unsigned long seen; /* atomic: threads ask too */
static bool begun; /* the program itself has asked for something */

static int take_range(struct dl_phdr_info *info, size_t size, void *first)
{
	struct range *range = NULL;
	int i;

	(void)size;
	if (*(bool *)first)
		range = &program;
	else if (strstr(info->dlpi_name, "/libc.so"))
		range = &libc;
	*(bool *)first = false;
	for (i = 0; range && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
			range->begin = info->dlpi_addr + part->p_vaddr;
			range->end = range->begin + part->p_memsz;
		}
	}
	return 0;
}

__attribute__((constructor)) static void prepare(void)
{
	const char *kind = getenv("FAILURE_KIND"), *at = getenv("FAILURE_AT");
	bool first = true;

	told = getenv("FAILURE_TOLD");
	if (!kind || !at || !told)
		return;
	dl_iterate_phdr(take_range, &first);
	wanted_at = strtoul(at, NULL, 10);
	wanted = strcmp(kind, "memory") == 0 ? MEMORY : CALLS;
	unsetenv("LD_PRELOAD");
}

/* What comes after main() is not the program's: gcov writes its counts. */
static void stop(void)
{
	wanted = NONE;
}

static bool in(const struct range *range, const void *caller)
{
	return (uintptr_t)caller >= range->begin && (uintptr_t)caller < range->end;
}

/* By system calls alone: nothing here may ask for what is counted. */
static void tell(const char *name)
{
	int fd = syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_CREAT | O_APPEND, 0666);

	if (fd < 0 || syscall(SYS_write, fd, name, strlen(name)) < 0 ||
	    syscall(SYS_write, fd, "\n", 1) < 0)
		abort();
	syscall(SYS_close, fd);
}

static bool fails(enum kind kind, const char *name, const void *caller)
{
	if (kind != wanted)
		return false;
	if (in(&program, caller)) {
		if (!begun) {
			begun = true;
			atexit(stop);
		}
	} else if (!begun || kind != MEMORY || !in(&libc, caller)) {
		return false;
	}
	if (__atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED) != wanted_at)
		return false;
	tell(name);
	return true;
}

/*
 * By their names in the library, whatever the headers make of these; an argument that
 * is not always there is in the same register as one that is.
 */
#define WRAP(kind, type, name, params, args, failure, error)            \
	type wrapped_##name params __asm__(#name);                      \
	type wrapped_##name params                                      \
	{                                                               \
		static type(*next) params;                              \
                                                                        \
		if (fails(kind, #name, __builtin_return_address(0))) {  \
			errno = error;                                  \
			return failure;                                 \
		}                                                       \
		if (!next)                                              \
			next = (type(*) params)dlsym(RTLD_NEXT, #name); \
		return next args;                                       \
	}

#define CALL(name, params, args, error) WRAP(CALLS, int, name, params, args, -1, error)
#define SIZE(name, params, args, error) WRAP(CALLS, ssize_t, name, params, args, -1, error)
#define POINTER(name, params, args, error) WRAP(CALLS, void *, name, params, args, NULL, error)
/* They return the error itself. */
#define CODE(name, params, args, error) WRAP(CALLS, int, name, params, args, error, error)

/* dlsym() may allocate. */
#define ALLOCATE(name, params, args)                                     \
	void *__libc_##name params;                                      \
	void *wrapped_##name params __asm__(#name);                      \
	void *wrapped_##name params                                      \
	{                                                                \
		if (fails(MEMORY, #name, __builtin_return_address(0))) { \
			errno = ENOMEM;                                  \
			return NULL;                                     \
		}                                                        \
		return __libc_##name args;                               \
	}

ALLOCATE(malloc, (size_t size), (size))
ALLOCATE(calloc, (size_t number, size_t size), (number, size))
ALLOCATE(realloc, (void *old, size_t size), (old, size))

/* The program's libraries ask for memory on its behalf. */
#define OBJECT(name, params, args) WRAP(MEMORY, void *, name, params, args, NULL, ENOMEM)
OBJECT(EVP_MD_CTX_new, (void), ())
OBJECT(mnt_new_iter, (int direction), (direction))
OBJECT(mnt_new_table, (void), ())
OBJECT(mnt_new_table_from_file, (const char *file), (file))
OBJECT(mmap64, (void *at, size_t size, int prot, int flags, int fd, off_t offset),
       (at, size, prot, flags, fd, offset))
OBJECT(scols_new_table, (void), ())
OBJECT(scols_table_new_column, (void *table, const char *name, double width, int flags),
       (table, name, width, flags))
OBJECT(scols_table_new_line, (void *table, void *parent), (table, parent))
OBJECT(udev_new, (void), ())
OBJECT(udev_monitor_new_from_netlink, (void *udev, const char *name), (udev, name))
OBJECT(udev_queue_new, (void *udev), (udev))
WRAP(MEMORY, int, posix_memalign, (void **to, size_t alignment, size_t size), (to, alignment, size),
     ENOMEM, ENOMEM)
WRAP(MEMORY, int, pthread_create, (pthread_t * to, const void *how, void *run, void *arg),
     (to, how, run, arg), EAGAIN, EAGAIN)
WRAP(MEMORY, int, mnt_table_parse_swaps, (void *table, const char *file), (table, file), -ENOMEM,
     ENOMEM)
WRAP(MEMORY, int, scols_line_refer_data, (void *line, size_t n, char *data), (line, n, data),
     -ENOMEM, ENOMEM)
WRAP(MEMORY, int, scols_line_set_data, (void *line, size_t n, const char *data), (line, n, data),
     -ENOMEM, ENOMEM)
WRAP(MEMORY, int, scols_print_table, (void *table), (table), -ENOMEM, ENOMEM)
WRAP(MEMORY, int, EVP_DigestInit_ex, (void *context, const void *type, void *engine),
     (context, type, engine), 0, ENOMEM)

CALL(access, (const char *path, int mode), (path, mode), EIO)
CALL(faccessat, (int at, const char *path, int mode, int flags), (at, path, mode, flags), EIO)
CALL(open64, (const char *path, int flags, mode_t mode), (path, flags, mode), EIO)
CALL(openat64, (int at, const char *path, int flags, mode_t mode), (at, path, flags, mode), EIO)
POINTER(fopen64, (const char *path, const char *mode), (path, mode), EMFILE)
POINTER(fdopen, (int fd, const char *mode), (fd, mode), ENOMEM)
POINTER(opendir, (const char *path), (path), EMFILE)
POINTER(fdopendir, (int fd), (fd), ENOMEM)
POINTER(readdir64, (void *folder), (folder), EIO)
CALL(scandirat64,
     (int at, const char *path, void *list, int (*wants)(const void *),
      int (*compare)(const void *, const void *)),
     (at, path, list, wants, compare), ENOMEM)
POINTER(realpath, (const char *path, char *to), (path, to), EIO)
SIZE(readlink, (const char *path, char *to, size_t size), (path, to, size), EIO)
SIZE(read, (int fd, void *to, size_t size), (fd, to, size), EIO)
SIZE(pread64, (int fd, void *to, size_t size, off_t at), (fd, to, size, at), EIO)
SIZE(write, (int fd, const void *from, size_t size), (fd, from, size), ENOSPC)
SIZE(pwrite64, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at), ENOSPC)
SIZE(copy_file_range,
     (int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned int flags),
     (from, from_at, to, to_at, size, flags), ENOSPC)
SIZE(lseek64, (int fd, off_t at, int whence), (fd, at, whence), EIO)
CALL(fallocate64, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size), ENOSPC)
CALL(ftruncate64, (int fd, off_t size), (fd, size), ENOSPC)
CALL(fsync, (int fd), (fd), EIO)
CALL(syncfs, (int fd), (fd), EIO)
CALL(sync_file_range, (int fd, off_t at, off_t size, unsigned int flags), (fd, at, size, flags),
     EIO)
CALL(stat64, (const char *path, void *to), (path, to), EIO)
CALL(fstat64, (int fd, void *to), (fd, to), EIO)
CALL(fstatat64, (int at, const char *path, void *to, int flags), (at, path, to, flags), EIO)
CALL(statx, (int at, const char *path, int flags, unsigned int mask, void *to),
     (at, path, flags, mask, to), EIO)
CALL(fstatfs64, (int fd, void *to), (fd, to), EIO)
CALL(fstatvfs64, (int fd, void *to), (fd, to), EIO)
CALL(fchmod, (int fd, mode_t mode), (fd, mode), EPERM)
CALL(fchown, (int fd, uid_t user, gid_t group), (fd, user, group), EPERM)
CALL(futimens, (int fd, const void *times), (fd, times), EPERM)
CALL(linkat, (int at, const char *from, int to_at, const char *to, int flags),
     (at, from, to_at, to, flags), EIO)
CALL(mkdirat, (int at, const char *path, mode_t mode), (at, path, mode), ENOSPC)
CALL(renameat, (int at, const char *from, int to_at, const char *to), (at, from, to_at, to), EIO)
CALL(renameat2, (int at, const char *from, int to_at, const char *to, unsigned int flags),
     (at, from, to_at, to, flags), EIO)
CALL(unlinkat, (int at, const char *path, int flags), (at, path, flags), EIO)
CALL(flock, (int fd, int how), (fd, how), ENOLCK)
CALL(fcntl64, (int fd, int what, long arg), (fd, what, arg), EMFILE)
CALL(ioctl, (int fd, unsigned long what, void *arg), (fd, what, arg), EIO)
CALL(mlockall, (int flags), (flags), ENOMEM)
CALL(getrlimit64, (int what, void *to), (what, to), EPERM)
CALL(setrlimit64, (int what, const void *from), (what, from), EPERM)
SIZE(getrandom, (void *to, size_t size, unsigned int flags), (to, size, flags), ENOSYS)
CALL(fork, (void), (), EAGAIN)
CALL(pipe2, (int *to, int flags), (to, flags), EMFILE)
CALL(socketpair, (int domain, int type, int protocol, int *to), (domain, type, protocol, to),
     EMFILE)
CALL(socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE)
CALL(connect, (int fd, const void *to, unsigned int size), (fd, to, size), ECONNREFUSED)
SIZE(recv, (int fd, void *to, size_t size, int flags), (fd, to, size, flags), EIO)
SIZE(send, (int fd, const void *from, size_t size, int flags), (fd, from, size, flags), EIO)
CALL(poll, (void *list, unsigned long number, int timeout), (list, number, timeout), ENOMEM)
CODE(posix_fadvise64, (int fd, off_t at, off_t size, int advice), (fd, at, size, advice), EIO)
CODE(posix_spawn,
     (pid_t * to, const char *path, const void *actions, const void *how, char *const *args,
      char *const *environment),
     (to, path, actions, how, args, environment), EAGAIN)
CODE(posix_spawnp,
     (pid_t * to, const char *path, const void *actions, const void *how, char *const *args,
      char *const *environment),
     (to, path, actions, how, args, environment), EAGAIN)
CALL(waitpid, (pid_t pid, int *to, int flags), (pid, to, flags), ECHILD)
CALL(udev_monitor_enable_receiving, (void *monitor), (monitor), EMFILE)
CALL(udev_monitor_filter_add_match_subsystem_devtype,
     (void *monitor, const char *subsystem, const char *type), (monitor, subsystem, type), ENOMEM)
WRAP(CALLS, long, syscall, (long number, long a, long b, long c, long d, long e, long f),
     (number, a, b, c, d, e, f), -1, ENOSYS)
