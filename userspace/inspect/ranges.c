// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "ranges.h"
#include "walk.h"
#include "vm/memory.h"

#define EFER_LMA	(1ull << 10)
#define KERNEL_HALF	0xffff800000000000ull
/* The x86-64 psABI's kernel code model has text and data in the last two GiB. */
#define KERNEL_IMAGE	0xffffffff80000000ull
/* A guest's tables may be one table that leads to itself. */
#define WALKS_MAX	(1u << 20)

static bool grow(struct ranges *ranges)
{
	unsigned int room = ranges->room ? 2 * ranges->room : 64;
	struct range *range = realloc(ranges->range, room * sizeof(*range));

	if (!range)
		return false;
	ranges->range = range;
	ranges->room = room;
	return true;
}

/* 0, or -ENOMEM; -ENOSPC: there are @max. */
static int add(struct ranges *ranges, unsigned int max, const struct range *range)
{
	struct range *last = ranges->count ? &ranges->range[ranges->count - 1] : NULL;

	if (last && last->gva + last->bytes == range->gva && last->gpa + last->bytes == range->gpa &&
	    last->writable == range->writable && last->executable == range->executable) {
		last->bytes += range->bytes;
		return 0;
	}
	if (ranges->count == max)
		return -ENOSPC;
	if (ranges->count == ranges->room && !grow(ranges))
		return -ENOMEM;
	ranges->range[ranges->count++] = *range;
	return 0;
}

/* From @gva to @end, which is the first address behind, or 0: the last one there is. */
static int find(struct ranges *ranges, const struct guest_memory *memory,
		const struct gondola_rec_sregs *sregs, unsigned int max, uint64_t gva, uint64_t end)
{
	/* Devices have higher addresses than RAM: the width is of no concern. */
	const struct walk_cpu cpu = { .physical_bits = 52, .gib_pages = true };
	int ret = 0;

	for (unsigned int walks = 0; gva != end && walks < WALKS_MAX && !ret; walks++) {
		struct walk walk;

		walk_tables(memory, sregs, &cpu, gva, &walk);
		if (walk.result == WALK_MAPPED && memory_at(memory, walk.gpa, walk.covers)) {
			const struct range range = {
				gva, walk.gpa, walk.covers, walk.writable, walk.executable,
			};

			ret = add(ranges, max, &range);
		}
		gva = (gva | (walk.covers - 1)) + 1;
	}
	return ret;
}

int ranges_find(struct ranges *ranges, const struct guest_memory *memory,
		const struct gondola_rec_sregs *sregs, unsigned int max)
{
	int ret;

	*ranges = (struct ranges){ .range = NULL };
	if (!(sregs->efer & EFER_LMA))
		return 0;
	ret = find(ranges, memory, sregs, max, KERNEL_IMAGE, 0);
	if (!ret)
		ret = find(ranges, memory, sregs, max, KERNEL_HALF, KERNEL_IMAGE);
	return ret == -ENOSPC ? 0 : ret;
}

void ranges_free(struct ranges *ranges)
{
	free(ranges->range);
	ranges->range = NULL;
}
