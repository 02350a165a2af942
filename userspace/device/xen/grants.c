// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <string.h>

#include "grants.h"

#define PAGE		4096u
#define TYPE		3u	/* in flags */
#define TYPE_ACCESS	1u
#define READONLY	4u

/* The layout is ABI: grant_entry_v1 in Xen's public/grant_table.h. */
struct entry {
	uint16_t flags;
	uint16_t domain;
	uint32_t frame;
};
_Static_assert(sizeof(struct entry) == 8, "entries are ABI");

void *grants_page(const struct grants *grants, uint32_t grant, bool write, uint64_t *gpa)
{
	struct entry entry;
	uint64_t raw;

	if (grant >= grants->count)
		return NULL;
	/* In one piece: the guest may change it meanwhile. */
	raw = __atomic_load_n((const uint64_t *)grants->table + grant, __ATOMIC_ACQUIRE);
	memcpy(&entry, &raw, sizeof(entry));
	if ((entry.flags & TYPE) != TYPE_ACCESS || entry.domain || (write && entry.flags & READONLY) ||
	    entry.frame >= grants->frames)
		return NULL;
	*gpa = (uint64_t)entry.frame * PAGE;
	return memory_at(grants->memory, *gpa, PAGE);
}
