// SPDX-License-Identifier: GPL-2.0
// Copyright (C) 2026 the svmdk authors
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "detach_marks.h"

/* Whether the numbers of the driver's extents are those of this descriptor. */
static bool is_its_descriptor(const struct detach_marks *d, const struct device *device)
{
	return device_is_descriptor(device, &d->c.st) &&
	       device->status.extents == d->c.descriptor.nr_extents;
}

int detach_marks_begin(struct detach_marks *d, const struct device *device, struct svmdk_error *err)
{
	*d = (struct detach_marks){ 0 };
	/* After a lazy detach nobody knows when the last write was. */
	if (device->gone || device->status.flags & (SVMDK_STATUS_RDONLY | SVMDK_STATUS_DETACHING))
		return 0;
	if (container_open(&d->c, device->descriptor, NULL, 0, err))
		return 0;
	if (marks_open(&d->m, &d->c, true, err)) {
		const bool busy = err->code == EWOULDBLOCK;

		detach_marks_free(d);
		return busy ? error_at(err, device->descriptor, 0) : 0;
	}
	d->dirty_size = (device->status.extents + 7) / 8;
	d->dirty = calloc(d->dirty_size + 1, 1);
	/* What is read here is read as of now, while it is attached. */
	d->m.live = true;
	d->usable = d->m.has_sidecar && d->dirty && is_its_descriptor(d, device);
	return 0;
}

static bool was_dirty(const struct detach_marks *d, size_t extent)
{
	return d->dirty[extent / 8] & 1 << extent % 8;
}

/*
 * It is another file than before the detach, which was held since, so that its inode is nobody
 * else's; or somebody wrote it. In the same tick of a coarse clock the new one has the same
 * mtime, and its CID is as long. What the sidecar has of inode and ctime would not do: it may
 * be of before a chmod, and that is no reason to call a damaged descriptor changed.
 */
static bool has_new_descriptor(const struct detach_marks *d, size_t descriptor)
{
	const struct facts *now = &d->m.members.list[descriptor].facts;

	return now->inode != d->c.st.st_ino ||
	       !facts_same_content(&d->m.entries[descriptor].facts, now);
}

int detach_marks_end(struct detach_marks *d, struct svmdk_error *err)
{
	const bool all = marks_unended(&d->m);
	const size_t descriptor = d->m.members.nr - 1;
	size_t i, member;

	for (i = 0; i < d->c.descriptor.nr_extents; i++) {
		member = d->m.members.of_extent[i];
		if (member == NO_MEMBER)
			continue;
		if (was_dirty(d, i) || (all && d->m.members.list[member].writable))
			marks_set_changed(&d->m, member);
	}
	if (members_look(&d->m.members, descriptor) || has_new_descriptor(d, descriptor))
		marks_set_changed(&d->m, descriptor);
	return marks_write(&d->m, SESSION_NONE, err);
}

void detach_marks_free(struct detach_marks *d)
{
	marks_close(&d->m);
	container_close(&d->c);
	free(d->dirty);
	*d = (struct detach_marks){ 0 };
}
