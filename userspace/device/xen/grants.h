/* SPDX-License-Identifier: GPL-2.0-only */
/* The table in which a paravirtualized guest says which of its pages we may use. */
#ifndef DEVICE_XEN_GRANTS_H
#define DEVICE_XEN_GRANTS_H

#include <stdbool.h>
#include <stdint.h>
#include "vm/memory.h"

/**
 * struct grants - the table
 * @memory: of the guest
 * @table: its entries
 * @count: how many
 * @frames: those of the guest itself end here
 */
struct grants {
	const struct guest_memory *memory;
	const void *table;
	uint32_t count;
	uint64_t frames;
};

/**
 * grants_page() - get the address of a page that the guest granted, and *@gpa; NULL: it did not
 *
 * @write: to write it.  The guest takes a grant back when it has got the answer of the request that has it,
 * so nothing is noted in the table meanwhile.
 */
void *grants_page(const struct grants *grants, uint32_t grant, bool write, uint64_t *gpa);

#endif
