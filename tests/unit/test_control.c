// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The calls to the driver, against a driver that is a function of this file. */
#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "control.h"

#define FAKE_FD 12345
#define DEEP_LENGTH (PATH_MAX + 100)

/**
 * struct fake - a driver that has two devices, 3 and 7
 * @path: of the descriptor of both; 7 has another inode
 * @extents: how many both have
 * @at_once: how many SVMDK_IOC_EXTENTS tells of in one call
 * @calls: how often it was called
 */
static struct fake {
	const char *path;
	uint32_t extents;
	uint32_t at_once;
	int calls;
} fake;

static int fake_status(struct svmdk_ioc_status *s)
{
	char *to = (char *)(uintptr_t)s->path;
	const bool next = s->flags & SVMDK_STATUS_NEXT;

	assert_int_equal(s->size, sizeof(*s));
	if (next && s->index <= 7)
		s->index = s->index <= 3 ? 3 : 7;
	if (s->index != 3 && s->index != 7)
		return -ENODEV;
	snprintf(to, s->path_size, "%s", fake.path);
	s->path_size = strlen(fake.path) + 1;
	s->flags = 0;
	s->extents = fake.extents;
	s->descriptor_ino = 1000 + s->index;
	s->descriptor_major = 8;
	s->descriptor_minor = 1;
	return 0;
}

static int fake_extents(struct svmdk_ioc_extents *e)
{
	struct svmdk_extent_info *infos = (struct svmdk_extent_info *)(uintptr_t)e->infos;
	uint32_t i;

	assert_int_equal(e->size, sizeof(*e));
	assert_int_equal(e->info_size, sizeof(*infos));
	assert_int_equal(e->flags, 0);
	assert_true(e->first + e->nr <= fake.extents);
	if (e->nr > fake.at_once)
		e->nr = fake.at_once;
	for (i = 0; i < e->nr; i++)
		infos[i].start = e->first + i;
	return 0;
}

static int fake_set_runs(const struct svmdk_ioc_set_runs *r)
{
	assert_int_equal(r->size, sizeof(*r));
	assert_int_equal(r->run_size, sizeof(struct svmdk_run));
	assert_int_equal(r->pad, 0);
	assert_int_equal(r->nr == 0, r->runs == 0);
	return r->extent == 5 ? 0 : -ENOENT;
}

/* Takes the place of libc's: every call of control.c comes here. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int code;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	assert_int_equal(fd, FAKE_FD);
	fake.calls++;
	switch (request) {
	case SVMDK_IOC_STATUS:
		code = fake_status(arg);
		break;
	case SVMDK_IOC_EXTENTS:
		code = fake_extents(arg);
		break;
	case SVMDK_IOC_SET_RUNS:
		code = fake_set_runs(arg);
		break;
	default:
		code = -ENOTTY;
	}
	errno = -code;
	return code ? -1 : 0;
}

static int set_up(void **state)
{
	(void)state;
	fake = (struct fake){ .path = "/backup/a.vmdk", .extents = 10, .at_once = 1000 };
	return 0;
}

static void asks_for_devices(void **state)
{
	struct device device;

	(void)state;
	assert_int_equal(control_device(FAKE_FD, 3, &device), 0);
	assert_int_equal(device.status.index, 3);
	assert_string_equal(device.descriptor, "/backup/a.vmdk");
	assert_false(device.gone);
	device_free(&device);
	assert_int_equal(control_device(FAKE_FD, 4, &device), -ENODEV);
	assert_int_equal(control_next_device(FAKE_FD, 4, &device), 0);
	assert_int_equal(device.status.index, 7);
	device_free(&device);
	assert_int_equal(control_next_device(FAKE_FD, 8, &device), -ENODEV);
}

static void takes_long_paths(void **state)
{
	char path[DEEP_LENGTH + 1];
	struct device device;

	(void)state;
	memset(path, 'x', DEEP_LENGTH);
	path[0] = '/';
	path[DEEP_LENGTH] = '\0';
	fake.path = path;
	assert_int_equal(control_device(FAKE_FD, 3, &device), 0);
	assert_string_equal(device.descriptor, path);
	assert_int_equal(fake.calls, 2);
	device_free(&device);
}

static void sees_deletion(void **state)
{
	struct device device;

	(void)state;
	fake.path = "/nowhere/a.vmdk (deleted)";
	assert_int_equal(control_device(FAKE_FD, 3, &device), 0);
	assert_string_equal(device.descriptor, "/nowhere/a.vmdk");
	assert_true(device.gone);
	device_free(&device);
}

static void believes_a_file_of_that_name(void **state)
{
	char path[] = "/tmp/svmdk-XXXXXX (deleted)";
	struct device device;
	int fd = mkstemps(path, strlen(" (deleted)"));

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	fake.path = path;
	assert_int_equal(control_device(FAKE_FD, 3, &device), 0);
	assert_string_equal(device.descriptor, path);
	assert_false(device.gone);
	device_free(&device);
	unlink(path);
}

static void finds_by_file_or_path(void **state)
{
	struct stat st = { .st_dev = makedev(8, 1), .st_ino = 1007 };
	struct device device;

	(void)state;
	assert_int_equal(control_find_device(FAKE_FD, &st, "/link.vmdk", &device), 0);
	assert_int_equal(device.status.index, 7);
	assert_true(device_is_descriptor(&device, &st));
	device_free(&device);

	st.st_dev = makedev(8, 2);
	assert_int_equal(control_find_device(FAKE_FD, &st, "/link.vmdk", &device), -ENODEV);
	assert_int_equal(control_find_device(FAKE_FD, &st, "/backup/a.vmdk", &device), 0);
	assert_int_equal(device.status.index, 3);
	assert_false(device_is_descriptor(&device, &st));
	device_free(&device);
	assert_int_equal(control_find_device(FAKE_FD, NULL, "/backup/a.vmdk", &device), 0);
	device_free(&device);
}

static void collects_extents(void **state)
{
	struct svmdk_extent_info *infos;
	struct device device;
	uint32_t nr, i;

	(void)state;
	fake.at_once = 3;
	assert_int_equal(control_device(FAKE_FD, 3, &device), 0);
	fake.calls = 0;
	assert_int_equal(control_extents(FAKE_FD, &device, &infos, &nr), 0);
	assert_int_equal(fake.calls, 4);
	assert_int_equal(nr, 10);
	for (i = 0; i < nr; i++)
		assert_int_equal(infos[i].start, i);
	free(infos);

	/* It was detached and another attached meanwhile: never for ever. */
	fake.at_once = 0;
	assert_int_equal(control_extents(FAKE_FD, &device, &infos, &nr), 0);
	assert_int_equal(nr, 0);
	free(infos);
	device_free(&device);
}

static void sends_runs(void **state)
{
	const struct svmdk_run run = { .sectors = 8 };

	(void)state;
	assert_int_equal(control_set_runs(FAKE_FD, 5, &run, 1, SVMDK_REASON_NONE), 0);
	assert_int_equal(control_set_runs(FAKE_FD, 5, &run, 0, SVMDK_REASON_HOLE), 0);
	assert_int_equal(control_set_runs(FAKE_FD, 6, NULL, 0, SVMDK_REASON_HOLE), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(asks_for_devices, set_up),
		cmocka_unit_test_setup(takes_long_paths, set_up),
		cmocka_unit_test_setup(sees_deletion, set_up),
		cmocka_unit_test_setup(believes_a_file_of_that_name, set_up),
		cmocka_unit_test_setup(finds_by_file_or_path, set_up),
		cmocka_unit_test_setup(collects_extents, set_up),
		cmocka_unit_test_setup(sends_runs, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
