/* SPDX-License-Identifier: GPL-2.0-only */
/* The pages that a guest's kernel has mapped; neighbours are one range. */
#ifndef INSPECT_RANGES_H
#define INSPECT_RANGES_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/gondola_state.h>

struct guest_memory;

/** struct range - @bytes at @gva that lie at @gpa, with the same rights */
struct range {
	uint64_t gva;
	uint64_t gpa;
	uint64_t bytes;
	bool writable;
	bool executable;
};

struct ranges {
	struct range *range;
	unsigned int count;
	unsigned int room;
};

/**
 * ranges_find() - those of the kernel's half of the address space that are RAM; none outside long mode
 * @max: at most so many.  The kernel's text, data and modules come first.
 *
 * 0 or -ENOMEM; ranges_free() in any case.
 */
int ranges_find(struct ranges *ranges, const struct guest_memory *memory,
		const struct gondola_rec_sregs *sregs, unsigned int max);
void ranges_free(struct ranges *ranges);

#endif
