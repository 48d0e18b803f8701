// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
/* The sidecar: what it keeps, what it refuses, its lock; and what is concluded. */
#include "unit.h"

#include <errno.h>
#include <sys/sysmacros.h>

#include "detach_marks.h"
#include "marks.h"
#include "scratch.h"
#include "sidecar.h"

#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LINE "clean 5 1.000000002 3 4.000000005 " HASH " name\n"
#define TOP "svmdk sidecar 1\nself 1\nsession none\n"

#define DESCRIPTOR                                                             \
	"# Disk DescriptorFile\nversion=1\nCID=a4c10000\nparentCID=ffffffff\n" \
	"createType=\"twoGbMaxExtentFlat\"\n"                                  \
	"RW 8 FLAT \"a\" 0\nRW 8 FLAT \"b\" 8\nRW 8 FLAT \"b\" 0\n"            \
	"RDONLY 8 FLAT \"sub/c\" 0\nRW 8 ZERO\n"

enum { A, B, C, THE_DESCRIPTOR, NR_FILES };

static int set_up(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	scratch_enter(s);
	scratch_file("d", DESCRIPTOR, 0);
	scratch_file("a", "a", 4096);
	scratch_file("b", "b", 8192);
	assert_int_equal(mkdir("sub", 0755), 0);
	scratch_file("sub/c", "c", 4096);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	scratch_leave(*state);
	free(*state);
	return 0;
}

static const struct stat like = { .st_mode = S_IFREG | 0644 };

static void read_text(struct sidecar *s, const char *text)
{
	struct svmdk_error err;

	scratch_file("s", text, 0);
	if (sidecar_read(s, AT_FDCWD, "s", &err))
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
}

static void reads(void **state)
{
	const struct sidecar_entry *e;
	struct sidecar s;

	(void)state;
	read_text(&s, "svmdk sidecar 1\nself 1\nsession attached some-boot\n"
		      "clean 5 -1.000000002 18446744073709551615 4.999999999 " HASH
		      " two w\\\\ords\nchanged 0 0.000000000 0 0.000000000 - z");
	assert_int_equal(s.session, SESSION_ATTACHED);
	assert_string_equal(s.boot_id, "some-boot");
	assert_true(s.travelled);
	assert_int_equal(s.nr, 2);
	e = sidecar_find(&s, "two w\\ords");
	assert_non_null(e);
	assert_false(e->changed);
	assert_int_equal(e->facts.size, 5);
	assert_int_equal(e->facts.mtime.tv_sec, -1);
	assert_int_equal(e->facts.mtime.tv_nsec, 2);
	assert_true(e->facts.inode == UINT64_MAX);
	assert_int_equal(e->facts.ctime.tv_nsec, 999999999);
	assert_true(e->hashed);
	assert_int_equal(e->hash[31], 0xaa);
	e = sidecar_find(&s, "z");
	assert_true(e->changed);
	assert_false(e->hashed);
	assert_null(sidecar_find(&s, "absent"));
	sidecar_free(&s);
}

static void refuse(const char *text, unsigned int line)
{
	struct svmdk_error err;
	struct sidecar s;

	scratch_file("s", text, 0);
	assert_int_equal(sidecar_read(&s, AT_FDCWD, "s", &err), -1);
	assert_string_equal(err.file, "s");
	assert_int_equal(err.line, line);
	assert_int_equal(s.nr, 0);
}

static void refuses_what_is_none(void **state)
{
	(void)state;
	refuse("", 1);
	refuse("svmdk sidecar 2\n", 1);
	refuse("svmdk sidecar 1\nself 1\n", 3);
	refuse("svmdk sidecar 1\nmyself 1\nsession none\n", 2);
	refuse("svmdk sidecar 1\nself 1\nsession nothing\n", 3);
	refuse("svmdk sidecar 1\nself 1\nsession attached\n", 3);
	refuse("svmdk sidecar 1\nself 1\nsession attached "
	       "0123456789012345678901234567890123456789\n",
	       3);
	refuse(TOP LINE "unclean 5 1.000000002 3 4.000000005 " HASH " other\n", 5);
	refuse(TOP "clean 5 1.000000002 3 4.000000005 " HASH "\n", 4);
	refuse(TOP "clean 5 1.000000002 3 4.000000005 " HASH " \n", 4);
	refuse(TOP "clean 5 1.2 3 4.000000005 " HASH " name\n", 4);
	refuse(TOP "clean 5 1.-00000002 3 4.000000005 " HASH " name\n", 4);
	refuse(TOP "clean -5 1.000000002 3 4.000000005 " HASH " name\n", 4);
	refuse(TOP "clean 99999999999999999999 1.000000002 3 4.000000005 " HASH " name\n", 4);
	refuse(TOP "clean 5 1.000000002 3 4.000000005 aaaa name\n", 4);
	refuse(TOP "clean 5 1.000000002 3 4.000000005 " HASH " na\\me\n", 4);
	/* Clean without a hash, or without anything that would show a change. */
	refuse(TOP "clean 5 1.000000002 3 4.000000005 - name\n", 4);
	refuse(TOP "clean 5 1.000000002 0 4.000000005 " HASH " name\n", 4);
	refuse(TOP LINE "\n", 5);
	refuse(TOP LINE LINE, 5);
}

static void writes_what_it_reads(void **state)
{
	struct sidecar_entry entry = {
		.name = (char *)"a \\ b\nc",
		.changed = true,
		.facts = { 7, { -5, 6 }, UINT64_MAX, { 8, 9 } },
		.hashed = true,
		.hash = { 1, 2, 3 },
	};
	struct sidecar s = { .session = SESSION_UNSURE, .boot_id = "boot" }, again;
	struct svmdk_error err;
	const struct sidecar_entry *e;
	int lock = -1;

	(void)state;
	assert_int_equal(sidecar_add(&s, &entry), 0);
	assert_int_equal(sidecar_write(&s, AT_FDCWD, "s", &like, &lock, &err), 0);
	assert_true(lock >= 0);
	assert_int_equal(sidecar_read(&again, AT_FDCWD, "s", &err), 0);
	assert_int_equal(again.session, SESSION_UNSURE);
	assert_string_equal(again.boot_id, "boot");
	assert_false(again.travelled);
	assert_int_equal(again.nr, 1);
	e = sidecar_find(&again, entry.name);
	assert_true(e->changed);
	assert_true(facts_same_content(&e->facts, &entry.facts));
	assert_true(facts_same_file(&e->facts, &entry.facts));
	assert_memory_equal(e->hash, entry.hash, HASH_SIZE);
	close(lock);
	sidecar_free(&s);
	sidecar_free(&again);
}

static void knows_a_copy_of_itself(void **state)
{
	struct sidecar s = { 0 };
	struct svmdk_error err;
	size_t length;
	int lock = -1;
	char *text;

	(void)state;
	assert_int_equal(sidecar_write(&s, AT_FDCWD, "s", &like, &lock, &err), 0);
	close(lock);
	text = scratch_read("s", &length);
	scratch_file("copy", text, 0);
	free(text);
	assert_int_equal(sidecar_read(&s, AT_FDCWD, "copy", &err), 0);
	assert_true(s.travelled);
	sidecar_free(&s);
}

/* Restored to a new file system, which gave it the same number again. */
static void knows_a_copy_by_when_it_was_made(void **state)
{
	struct sidecar s = { 0 };
	struct svmdk_error err;
	char *text, *digit;
	size_t length;
	int lock = -1;

	(void)state;
	assert_int_equal(sidecar_write(&s, AT_FDCWD, "s", &like, &lock, &err), 0);
	close(lock);
	assert_int_equal(sidecar_read(&s, AT_FDCWD, "s", &err), 0);
	assert_false(s.travelled);
	sidecar_free(&s);
	text = scratch_read("s", &length);
	digit = strstr(text, "\nsession") - 1;
	*digit = *digit == '0' ? '1' : '0';
	scratch_file("s", text, 0);
	free(text);
	assert_int_equal(sidecar_read(&s, AT_FDCWD, "s", &err), 0);
	assert_true(s.travelled);
	sidecar_free(&s);
}

/* The lock goes on from the old file to the new. */
static void locks(void **state)
{
	struct sidecar s = { 0 };
	struct svmdk_error err;
	int lock, other;

	(void)state;
	assert_int_equal(sidecar_lock(AT_FDCWD, "s", &lock, &err), -1);
	assert_int_equal(err.code, ENOENT);
	scratch_file("s", TOP, 0);
	assert_int_equal(sidecar_lock(AT_FDCWD, "s", &lock, &err), 0);
	assert_int_equal(sidecar_lock(AT_FDCWD, "s", &other, &err), -1);
	assert_int_equal(err.code, EWOULDBLOCK);
	assert_int_equal(sidecar_write(&s, AT_FDCWD, "s", &like, &lock, &err), 0);
	assert_int_equal(sidecar_lock(AT_FDCWD, "s", &other, &err), -1);
	assert_int_equal(err.code, EWOULDBLOCK);
	close(lock);
	assert_int_equal(sidecar_lock(AT_FDCWD, "s", &other, &err), 0);
	close(other);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(mkfifo("s", 0600), 0);
	assert_int_equal(sidecar_lock(AT_FDCWD, "s", &other, &err), -1);
	assert_int_equal(err.code, EINVAL);
}

/* What svmdk manifest does, without hashes. */
static void make_marks(struct container *c, struct marks *m)
{
	static const unsigned char hash[HASH_SIZE] = { 1 };
	struct manifest manifest = { 0 };
	struct svmdk_error err;
	size_t i;

	assert_int_equal(container_open(c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_open(m, c, true, &err), 0);
	assert_int_equal(m->members.nr, NR_FILES);
	marks_look(m);
	for (i = 0; i < NR_FILES; i++) {
		assert_int_equal(m->members.list[i].code, 0);
		m->entries[i] = (struct sidecar_entry){
			.name = (char *)m->members.list[i].name,
			.facts = m->members.list[i].facts,
			.hashed = true,
		};
		memcpy(m->entries[i].hash, hash, HASH_SIZE);
		assert_int_equal(manifest_add(&manifest, m->members.list[i].name, hash), 0);
	}
	assert_int_equal(manifest_write(&manifest, AT_FDCWD, "d.sha256", &c->st, &err), 0);
	assert_int_equal(marks_write(m, SESSION_NONE, &err), 0);
	manifest_free(&manifest);
}

static void close_marks(struct container *c, struct marks *m)
{
	marks_close(m);
	container_close(c);
}

static void open_marks(struct container *c, struct marks *m)
{
	struct svmdk_error err;

	assert_int_equal(container_open(c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_open(m, c, true, &err), 0);
	marks_look(m);
}

static void open_again(struct container *c, struct marks *m)
{
	close_marks(c, m);
	open_marks(c, m);
}

static void expect(const struct marks *m, enum change a, enum change b, enum change c,
		   enum change descriptor)
{
	assert_int_equal(marks_change(m, A), a);
	assert_int_equal(marks_change(m, B), b);
	assert_int_equal(marks_change(m, C), c);
	assert_int_equal(marks_change(m, THE_DESCRIPTOR), descriptor);
}

static void each_file_is_there_once(void **state)
{
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	assert_string_equal(m.members.list[B].name, "b");
	assert_int_equal(m.members.list[B].need, 8192);
	assert_int_equal(m.members.list[B].extent, 1);
	assert_true(m.members.list[B].writable);
	assert_false(m.members.list[C].writable);
	assert_int_equal(m.members.of_extent[2], B);
	assert_true(m.members.of_extent[4] == NO_MEMBER);
	assert_string_equal(m.members.list[THE_DESCRIPTOR].name, "d");
	close_marks(&c, &m);
}

static void tells_what_changed(void **state)
{
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	open_again(&c, &m);
	expect(&m, CHANGE_NONE, CHANGE_NONE, CHANGE_NONE, CHANGE_NONE);
	scratch_file("a", "other", 4096);
	assert_int_equal(chmod("b", 0600), 0);
	assert_int_equal(unlink("sub/c"), 0);
	open_again(&c, &m);
	expect(&m, CHANGE_MOVED, CHANGE_TOUCHED, CHANGE_MISSING, CHANGE_NONE);
	assert_int_equal(symlink("../a", "sub/c"), 0);
	assert_int_equal(unlink("d.svmdk"), 0);
	open_again(&c, &m);
	expect(&m, CHANGE_UNKNOWN, CHANGE_UNKNOWN, CHANGE_MISSING, CHANGE_UNKNOWN);
	assert_int_equal(unlink("d.sha256"), 0);
	open_again(&c, &m);
	expect(&m, CHANGE_NEW, CHANGE_NEW, CHANGE_MISSING, CHANGE_NEW);
	close_marks(&c, &m);
}

static void a_hash_that_is_not_the_manifests_says_nothing(void **state)
{
	struct svmdk_error err;
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	m.entries[A].hash[5] ^= 1;
	m.entries[B].name = NULL;
	assert_int_equal(marks_write(&m, SESSION_NONE, &err), 0);
	open_again(&c, &m);
	expect(&m, CHANGE_MISMATCH, CHANGE_MISMATCH, CHANGE_NONE, CHANGE_NONE);
	close_marks(&c, &m);
}

static void a_session_marks_what_may_be_written(void **state)
{
	struct stat before, after, c_before, c_after;
	struct svmdk_error err;
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	close_marks(&c, &m);
	assert_int_equal(container_open(&c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_attach(&c, &err), 0);
	assert_int_equal(marks_open(&m, &c, true, &err), 0);
	open_again(&c, &m);
	assert_true(marks_unended(&m));
	expect(&m, CHANGE_UNSURE, CHANGE_UNSURE, CHANGE_NONE, CHANGE_NONE);
	/* A lazy detach gives the descriptor a new CID. */
	scratch_file("d", DESCRIPTOR "\n", 0);
	open_again(&c, &m);
	expect(&m, CHANGE_UNSURE, CHANGE_UNSURE, CHANGE_NONE, CHANGE_UNSURE);
	assert_int_equal(stat("a", &before), 0);
	assert_int_equal(stat("sub/c", &c_before), 0);
	assert_int_equal(marks_recover(&m, &err), 0);
	assert_int_equal(stat("a", &after), 0);
	assert_int_equal(stat("sub/c", &c_after), 0);
	assert_memory_not_equal(&before.st_mtim, &after.st_mtim, sizeof(after.st_mtim));
	assert_memory_equal(&c_before.st_mtim, &c_after.st_mtim, sizeof(c_after.st_mtim));
	open_again(&c, &m);
	assert_false(marks_unended(&m));
	expect(&m, CHANGE_WRITTEN, CHANGE_WRITTEN, CHANGE_NONE, CHANGE_WRITTEN);
	close_marks(&c, &m);
}

static void an_attach_that_failed_marks_nothing(void **state)
{
	struct svmdk_error err;
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	close_marks(&c, &m);
	assert_int_equal(container_open(&c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_attach(&c, &err), 0);
	marks_attach_undo(&c);
	assert_int_equal(marks_open(&m, &c, true, &err), 0);
	open_again(&c, &m);
	expect(&m, CHANGE_NONE, CHANGE_NONE, CHANGE_NONE, CHANGE_NONE);
	close_marks(&c, &m);
}

static void without_a_sidecar_an_attach_makes_none(void **state)
{
	struct svmdk_error err;
	struct container c;

	(void)state;
	assert_int_equal(container_open(&c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_attach(&c, &err), 0);
	assert_int_equal(marks_note(&c, NULL, 0, &err), 0);
	assert_int_equal(access("d.svmdk", F_OK), -1);
	container_close(&c);
}

static void notes_what_a_command_changed(void **state)
{
	const size_t extents[] = { 0, 4 };
	struct svmdk_error err;
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	close_marks(&c, &m);
	assert_int_equal(container_open(&c, "d", NULL, 0, &err), 0);
	scratch_file("a", "longer", 6000);
	assert_int_equal(marks_note(&c, extents, 2, &err), 0);
	assert_int_equal(marks_open(&m, &c, true, &err), 0);
	open_again(&c, &m);
	expect(&m, CHANGE_WRITTEN, CHANGE_NONE, CHANGE_NONE, CHANGE_WRITTEN);
	/* Another program came after it. */
	scratch_file("a", "longer still", 6001);
	open_again(&c, &m);
	expect(&m, CHANGE_MOVED, CHANGE_NONE, CHANGE_NONE, CHANGE_WRITTEN);
	close_marks(&c, &m);
}

/* What the driver would say of a container that is attached. */
static void make_device(struct device *device)
{
	struct stat st;

	assert_int_equal(stat("d", &st), 0);
	*device = (struct device){ .descriptor = realpath("d", NULL) };
	device->status.extents = 5;
	device->status.descriptor_ino = st.st_ino;
	device->status.descriptor_major = major(st.st_dev);
	device->status.descriptor_minor = minor(st.st_dev);
}

static void attach_marks(struct container *c)
{
	struct svmdk_error err;

	assert_int_equal(container_open(c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_attach(c, &err), 0);
	container_close(c);
}

static void a_detach_marks_what_is_dirty(void **state)
{
	struct detach_marks d;
	struct svmdk_error err;
	struct device device;
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	close_marks(&c, &m);
	attach_marks(&c);
	make_device(&device);
	assert_int_equal(detach_marks_begin(&d, &device, &err), 0);
	assert_true(d.usable);
	/* A manifest or another detach cannot begin now. */
	assert_int_equal(container_open(&c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_open(&m, &c, true, &err), -1);
	assert_int_equal(err.code, EWOULDBLOCK);
	container_close(&c);
	/* The third extent is in b, as the second is. */
	scratch_file("b", "new", 8192);
	d.dirty[0] = 1 << 2;
	assert_int_equal(detach_marks_end(&d, &err), 0);
	detach_marks_free(&d);
	device_free(&device);
	assert_int_equal(container_open(&c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_open(&m, &c, true, &err), 0);
	open_again(&c, &m);
	expect(&m, CHANGE_NONE, CHANGE_WRITTEN, CHANGE_NONE, CHANGE_NONE);
	close_marks(&c, &m);
}

/* As a new CID does: another text of that length, in the same tick of a coarse clock. */
static void replace_within_a_tick(void)
{
	struct timespec times[2];
	struct stat st;

	assert_int_equal(stat("d", &st), 0);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	scratch_file("e", DESCRIPTOR, 0);
	assert_int_equal(utimensat(AT_FDCWD, "e", times, 0), 0);
	assert_int_equal(rename("e", "d"), 0);
}

/* Returns what is known of the descriptor after a session; it has a new CID at the end with @cid. */
static enum change descriptor_after_session(bool cid)
{
	struct detach_marks d;
	struct svmdk_error err;
	enum change change;
	struct device device;
	struct container c;
	struct marks m;

	attach_marks(&c);
	make_device(&device);
	assert_int_equal(detach_marks_begin(&d, &device, &err), 0);
	assert_true(d.usable);
	if (cid)
		replace_within_a_tick();
	assert_int_equal(detach_marks_end(&d, &err), 0);
	detach_marks_free(&d);
	device_free(&device);
	open_marks(&c, &m);
	change = marks_change(&m, THE_DESCRIPTOR);
	close_marks(&c, &m);
	return change;
}

static void a_detach_marks_a_new_descriptor_whatever_its_time(void **state)
{
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	close_marks(&c, &m);
	assert_int_equal(descriptor_after_session(false), CHANGE_NONE);
	/* What came between the manifest and the attach is not svmdk's. */
	assert_int_equal(chmod("d", 0600), 0);
	assert_int_equal(descriptor_after_session(false), CHANGE_TOUCHED);
	replace_within_a_tick();
	assert_int_equal(descriptor_after_session(false), CHANGE_TOUCHED);
	assert_int_equal(descriptor_after_session(true), CHANGE_WRITTEN);
}

static void a_detach_that_is_sure_of_nothing_marks_all(void **state)
{
	struct detach_marks d;
	struct svmdk_error err;
	struct device device;
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	/* As a manifest leaves it that was killed amid. */
	assert_int_equal(marks_write(&m, SESSION_UNSURE, &err), 0);
	close_marks(&c, &m);
	make_device(&device);
	assert_int_equal(detach_marks_begin(&d, &device, &err), 0);
	assert_int_equal(detach_marks_end(&d, &err), 0);
	detach_marks_free(&d);
	device_free(&device);
	assert_int_equal(container_open(&c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_open(&m, &c, true, &err), 0);
	open_again(&c, &m);
	assert_false(marks_unended(&m));
	expect(&m, CHANGE_WRITTEN, CHANGE_WRITTEN, CHANGE_NONE, CHANGE_NONE);
	close_marks(&c, &m);
}

static void a_detach_of_another_descriptor_marks_nothing(void **state)
{
	struct detach_marks d;
	struct svmdk_error err;
	struct device device;
	struct container c;
	struct marks m;

	(void)state;
	make_marks(&c, &m);
	close_marks(&c, &m);
	attach_marks(&c);
	make_device(&device);
	device.status.descriptor_ino++;
	assert_int_equal(detach_marks_begin(&d, &device, &err), 0);
	assert_false(d.usable);
	detach_marks_free(&d);
	device.status.descriptor_ino--;
	device.status.flags = SVMDK_STATUS_RDONLY;
	assert_int_equal(detach_marks_begin(&d, &device, &err), 0);
	assert_false(d.usable);
	detach_marks_free(&d);
	device_free(&device);
	assert_int_equal(container_open(&c, "d", NULL, 0, &err), 0);
	assert_int_equal(marks_open(&m, &c, true, &err), 0);
	open_again(&c, &m);
	assert_true(marks_unended(&m));
	close_marks(&c, &m);
}

/* cp -a and rsync -a keep the mtime, and neither inode nor ctime. */
static void a_copy_is_judged_by_size_and_mtime(void **state)
{
	struct svmdk_error err;
	struct timespec times[2];
	struct container c;
	struct marks m;
	struct stat st;
	size_t length;
	char *text;

	(void)state;
	make_marks(&c, &m);
	text = scratch_read("d.svmdk", &length);
	assert_int_equal(unlink("d.svmdk"), 0);
	scratch_file("hold", "the inode", 0);
	scratch_file("d.svmdk", text, 0);
	free(text);
	assert_int_equal(stat("a", &st), 0);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(rename("a", "old"), 0);
	scratch_file("a", "a", 4096);
	assert_int_equal(utimensat(AT_FDCWD, "a", times, 0), 0);
	scratch_file("b", "bb", 8192);
	open_again(&c, &m);
	assert_true(m.travelled);
	expect(&m, CHANGE_NONE, CHANGE_MOVED, CHANGE_NONE, CHANGE_NONE);
	/* At home from now on, and nothing of that is forgotten. */
	assert_int_equal(marks_write(&m, SESSION_NONE, &err), 0);
	open_again(&c, &m);
	assert_false(m.travelled);
	expect(&m, CHANGE_NONE, CHANGE_MOVED, CHANGE_NONE, CHANGE_NONE);
	assert_int_equal(chmod("a", 0600), 0);
	open_again(&c, &m);
	expect(&m, CHANGE_TOUCHED, CHANGE_MOVED, CHANGE_NONE, CHANGE_NONE);
	close_marks(&c, &m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_what_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(writes_what_it_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(knows_a_copy_of_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(knows_a_copy_by_when_it_was_made, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(locks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_file_is_there_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_what_changed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_hash_that_is_not_the_manifests_says_nothing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_session_marks_what_may_be_written, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_attach_that_failed_marks_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_a_sidecar_an_attach_makes_none, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_detach_marks_what_is_dirty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_detach_marks_a_new_descriptor_whatever_its_time,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_detach_that_is_sure_of_nothing_marks_all, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_detach_of_another_descriptor_marks_nothing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(notes_what_a_command_changed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_copy_is_judged_by_size_and_mtime, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
