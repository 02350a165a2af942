/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters at the times when the guest wrote to the count port. */
#ifndef VM_COUNT_NOTES_H
#define VM_COUNT_NOTES_H

#include <stdint.h>
#include "lib/libgondola.h"

#define COUNT_NOTES_MAX	256

struct count_note {
	uint32_t value;
	struct gondola_stats stats;
};

/**
 * struct count_notes - the guest's notes of counters
 * @lost: number of notes that did not fit
 */
struct count_notes {
	unsigned int count;
	unsigned int lost;
	struct count_note notes[COUNT_NOTES_MAX];
};

#endif
