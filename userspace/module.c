// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"

#define WORDS_LEN 512 /* of what modprobe says, with the terminating NUL */

/* Not by PATH: what runs as root is not the caller's choice. */
static const char *find_modprobe(void)
{
	static const char *const paths[] = {
		"/usr/sbin/modprobe",
		"/sbin/modprobe",
		"/usr/bin/modprobe",
		"/bin/modprobe",
	};
	size_t i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

/* Keep the beginning, but read to the end: modprobe must not meet a full pipe. */
static void read_words(int fd, char words[WORDS_LEN])
{
	char chunk[256];
	size_t have = 0;
	ssize_t length;

	while ((length = read(fd, chunk, sizeof(chunk))) > 0 || (length < 0 && errno == EINTR)) {
		if (length < 0)
			continue;
		if ((size_t)length > WORDS_LEN - 1 - have)
			length = WORDS_LEN - 1 - have;
		memcpy(words + have, chunk, length);
		have += length;
	}
	words[have] = '\0';
}

static int spawn(pid_t *pid, const char *modprobe, const char *name, const int pipe_fds[2])
{
	char *const argv[] = { (char *)modprobe, (char *)name, NULL };
	char *const envp[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	posix_spawn_file_actions_t actions;
	int err;

	err = posix_spawn_file_actions_init(&actions);
	if (err)
		return err;
	/* Nothing of modprobe's may get onto the stdout of attach. */
	err = posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDERR_FILENO);
	if (!err)
		err = posix_spawn(pid, modprobe, &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

/* Returns the status as waitpid() has it, or -1 with errno set. */
static int run(const char *modprobe, const char *name, char words[WORDS_LEN])
{
	int fds[2], status, err;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	err = spawn(&pid, modprobe, name, fds);
	close(fds[1]);
	if (err) {
		close(fds[0]);
		errno = err;
		return -1;
	}
	read_words(fds[0], words);
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* The first line, without "modprobe: FATAL: " and "modprobe: ERROR: ". */
static const char *trim(char *words)
{
	static const char *const prefixes[] = { "modprobe: ", "FATAL: ", "ERROR: " };
	size_t i, length;

	words[strcspn(words, "\n")] = '\0';
	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		length = strlen(prefixes[i]);
		if (strncmp(words, prefixes[i], length) == 0)
			words += length;
	}
	length = strlen(words);
	if (length && words[length - 1] == '.')
		words[length - 1] = '\0';
	return *words ? words : "modprobe failed and did not say why";
}

int module_load(const char *name, struct svmdk_error *err)
{
	const char *modprobe = find_modprobe();
	const char *remedy = "install it with dkms or `make install'";
	char words[WORDS_LEN];
	int status;

	if (!modprobe)
		return error_set(err, ENODEV,
				 "module %s is not loaded and cannot be: "
				 "there is no modprobe; load it with insmod",
				 name);
	status = run(modprobe, name, words);
	if (status < 0)
		return error_errno(err, errno, "cannot run %s", modprobe);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	/* ENOKEY, EKEYREJECTED: secure boot */
	if (strstr(words, "Key was rejected") || strstr(words, "Required key not available"))
		remedy = "it must be signed with a key that this machine trusts, "
			 "see mokutil(1) for secure boot";
	else if (strstr(words, "Operation not permitted"))
		remedy = "root may not load modules here; load it outside the container";
	return error_set(err, ENODEV, "module %s is not loaded and cannot be: %s; %s", name,
			 trim(words), remedy);
}
