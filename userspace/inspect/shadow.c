// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "shadow.h"
#include "walk.h"

#define PTE_P		(1ull << 0)
#define PTE_W		(1ull << 1)
#define PTE_A		(1ull << 5)
#define PTE_D		(1ull << 6)

/* The guest's own entry at the level of a shadow entry. */
struct guest_side {
	bool there;		/* they have an entry of this level */
	bool leaf;		/* it maps memory */
	bool has_rights;	/* a PAE directory pointer has none, and neither A nor D */
	uint64_t entry;
};

static struct guest_side guest_at(const struct walk *walk, unsigned int level)
{
	struct guest_side guest = { .has_rights = level < 3 || strcmp(walk->mode, "PAE") };

	for (unsigned int i = 0; i < walk->nr_levels; i++) {
		if (walk->level[i].level != level)
			continue;
		guest.there = true;
		guest.entry = walk->level[i].entry;
		guest.leaf = walk->result == WALK_MAPPED && i == walk->nr_levels - 1;
	}
	return guest;
}

static const char *why_empty(const struct walk *walk, const struct gondola_shadow *shadow,
			     unsigned int i)
{
	struct guest_side guest = guest_at(walk, shadow->level[i].level);

	if (guest.there && !(guest.entry & PTE_P))
		return "the guest has nothing there";
	if (walk->result == WALK_RESERVED && guest.there &&
	    guest.entry == walk->level[walk->nr_levels - 1].entry)
		return "the guest's entry is not valid";
	if (guest.there && guest.has_rights && !(guest.entry & PTE_A))
		return "the guest's accessed bit is clear, and the first access has to set it";
	if (shadow->level[i].level > 1 || walk->result != WALK_MAPPED)
		return "not used since the shadow table was made";
	if (!(shadow->page & GONDOLA_PAGE_MEMORY))
		return "no memory has this address, so each access exits";
	if (!(shadow->page & GONDOLA_PAGE_PRESENT))
		return "the host has not given the page yet, or has taken it back";
	return "not used since the shadow table was made";
}

/* The guest may write through its entry, and not through the shadow's. */
static const char *why_read_only(const struct walk *walk, const struct gondola_shadow *shadow,
				 unsigned int i)
{
	struct guest_side leaf = guest_at(walk, shadow->level[i].level);

	if (shadow->level[i].flags & GONDOLA_SHADOW_DIRECT && walk->nr_levels)
		leaf = guest_at(walk, walk->level[walk->nr_levels - 1].level);
	if (leaf.leaf && !(leaf.entry & PTE_D))
		return "read-only: the guest's dirty bit is clear, and the first write has to set it";
	if (shadow->level[i].level > 1)
		return "read-only, although the guest's entry is not";
	if (shadow->page & GONDOLA_PAGE_READONLY)
		return "read-only: its slot is, so each write exits";
	if (shadow->nr_tables > shadow->nr_unsync)
		return "read-only: a page table of the guest is there, in sync with its shadow";
	if (shadow->page & GONDOLA_PAGE_CLEAN)
		return "read-only: dirty logging has to see the next write";
	if (!(shadow->page & GONDOLA_PAGE_WRITABLE))
		return "read-only: the host shares the page, and the first write makes a copy";
	return "read-only: not written since it was mapped";
}

static bool guest_writes(const struct walk *walk, const struct gondola_shadow_level *level)
{
	struct guest_side guest = guest_at(walk, level->level);

	/* A piece of a large page, or memory of a guest that does not page: all of it is the same. */
	if (!guest.there)
		return level->level == 1 && walk->result == WALK_MAPPED && walk->writable;
	return !guest.has_rights || guest.entry & PTE_W;
}

const char *shadow_why(const struct walk *walk, const struct gondola_shadow *shadow, unsigned int i)
{
	const struct gondola_shadow_level *level = &shadow->level[i];
	struct guest_side guest = guest_at(walk, level->level);
	bool direct = level->flags & GONDOLA_SHADOW_DIRECT;

	if (!level->entry)
		return why_empty(walk, shadow, i);
	if (!direct && guest.there && (level->guest ^ guest.entry) & ~(PTE_A | PTE_D))
		return "the guest has changed its entry, which counts from its next flush on";
	if (!direct && !guest.there && walk->nr_levels && guest.has_rights && level->level < 3)
		return "the guest's tables end above, which counts from its next flush on";
	if (!guest.has_rights || (!guest.there && level->level > 1))
		return NULL;
	if (level->entry & PTE_W && !guest_writes(walk, level))
		return direct ? NULL : "writable: CR0.WP is clear, so the guest's kernel may write";
	return !(level->entry & PTE_W) && guest_writes(walk, level) ?
	       why_read_only(walk, shadow, i) : NULL;
}
