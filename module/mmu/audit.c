// SPDX-License-Identifier: GPL-2.0-only
/* Check the invariants I1 … I5 of internal.h over a whole VM.  Slow; for tests. */
#include "internal.h"

bool mmu_audit_quiet;

#define violation(fmt, ...)							\
({										\
	if (!mmu_audit_quiet)							\
		pr_err("gondola: audit: " fmt "\n", ##__VA_ARGS__);		\
	1;									\
})

static int audit_leaf(struct gondola_vm *vm, struct gondola_shadow_page *sp, unsigned int i)
{
	gfn_t gfn = mmu_leaf_gfn(sp, i);
	struct gondola_slot *slot = mmu_find_slot(vm, gfn);
	u64 spte = sp->spt[i], gpte = sp->gpt[i];
	struct gondola_frame *frame;
	int bad = 0;

	if (!slot)
		return violation("leaf maps gfn %llx, which is no memory", gfn);
	frame = &slot->frames[gfn - slot->base];
	if (!(frame->host & FRAME_PRESENT) || (frame->host ^ spte) & PT_ADDR)
		bad += violation("leaf maps gfn %llx to another frame", gfn);
	if (!rmap_has(frame->rmap, &sp->spt[i]))
		bad += violation("leaf of gfn %llx is not in its rmap", gfn);
	if (!sp->role.direct) {
		if (!(gpte & PT_P) || !(gpte & PT_A))
			bad += violation("leaf of gfn %llx without a guest entry", gfn);
		if (!sp->role.nowp && (spte & (PT_W | PT_U)) & ~mmu_granted(sp->role, gpte))
			bad += violation("leaf of gfn %llx grants more than the guest", gfn);
		if (!sp->role.nowp && (gpte & PT_NX) && !(spte & PT_NX))
			bad += violation("leaf of gfn %llx lost NX", gfn);
		if ((spte & PT_W) && !(gpte & PT_D))
			bad += violation("leaf of gfn %llx is writable and clean", gfn);
	}
	if (!(spte & PT_W))
		return bad;
	if (!(frame->host & FRAME_WRITABLE))
		bad += violation("leaf of gfn %llx is writable, its frame is not", gfn);
	if (frame->nr_synced)
		bad += violation("leaf of gfn %llx may write a table in sync", gfn);
	if (!mmu_may_write_clean(slot, gfn))
		bad += violation("leaf of gfn %llx may write a page that counts as clean", gfn);
	return bad;
}

static int audit_link(struct gondola_vm *vm, struct gondola_shadow_page *sp, unsigned int i)
{
	struct gondola_shadow_page *child = child_of(sp->spt[i]);
	u64 gpte = sp->gpt[i];
	int bad = 0;

	if (child->invalid || child->role.level != sp->role.level - 1)
		return violation("link at level %u leads to a wrong page", sp->role.level);
	if (!rmap_has(child->parents, &sp->spt[i]))
		bad += violation("link is missing from its child's parents");
	if (child->orphan)
		bad += violation("child (gfn %llx) counts as an orphan", child->gfn);
	if (sp->generation == vm->mmu.generation &&
	    shadow_find(vm, child->gfn, child->role) != child)
		bad += violation("child (gfn %llx) cannot be found", child->gfn);
	if (!child->role.direct && child->gfn != (gpte & PT_ADDR) >> GONDOLA_PAGE_SHIFT)
		bad += violation("link leads to gfn %llx, its guest entry elsewhere", child->gfn);
	if (!sp->role.direct && !sp->role.nowp && !is_pae_root(sp) &&
	    (sp->spt[i] & (PT_W | PT_U)) & ~mmu_granted(sp->role, gpte))
		bad += violation("link grants more than the guest");
	return bad;
}

static int audit_page(struct gondola_vm *vm, struct gondola_shadow_page *sp)
{
	struct gondola_frame *frame = sp->role.direct ? NULL : mmu_find_frame(vm, sp->gfn);
	unsigned int i, present = 0;
	int bad = 0;

	if (sp->unsync && sp->role.level > 1)
		bad += violation("an upper table is out of sync");
	for (i = 0; i < MMU_ENTRIES; i++) {
		if (!spte_present(sp->spt[i])) {
			if (sp->spt[i])
				bad += violation("odd entry %llx", sp->spt[i]);
			continue;
		}
		present++;
		bad += sp->role.level == 1 ? audit_leaf(vm, sp, i) : audit_link(vm, sp, i);
		if (frame && !sp->unsync && (frame->host & FRAME_PRESENT)) {
			u64 now = guest_entry(sp, frame_data(frame), i);

			/*
			 * We set A and D, so memory may have them while the snapshot has not.  Only
			 * in ROM the reverse is allowed.
			 */
			if ((now | PT_A | PT_D) != (sp->gpt[i] | PT_A | PT_D) ||
			    (sp->gpt[i] & ~now & (PT_A | PT_D) && frame->host & FRAME_WRITABLE))
				bad += violation("gfn %llx entry %u: %llx, but in sync with %llx",
						 sp->gfn, i, now, sp->gpt[i]);
		}
	}
	if (present != sp->present)
		bad += violation("page counts %u entries, has %u", sp->present, present);
	return bad;
}

struct rmap_count {
	u64 entries;
	int bad;
	gfn_t gfn;
};

static bool audit_rmap_entry(u64 *spte, void *arg)
{
	struct rmap_count *count = arg;
	struct gondola_shadow_page *sp = page_of(spte);

	count->entries++;
	if (!sp || sp->role.level != 1 || !spte_present(*spte) ||
	    mmu_leaf_gfn(sp, spte_index(spte)) != count->gfn)
		count->bad += violation("rmap of gfn %llx holds a foreign entry", count->gfn);
	return false;
}

static int audit_frames(struct gondola_vm *vm)
{
	struct rmap_count count = {};
	unsigned int s;
	u64 i;

	for (s = 0; s < GONDOLA_MAX_SLOTS; s++) {
		struct gondola_slot *slot = &vm->mmu.slots[s];

		for (i = 0; i < slot->pages; i++) {
			struct gondola_frame *frame = &slot->frames[i];
			struct gondola_shadow_page *sp;
			u32 tables = 0, synced = 0;

			count.gfn = slot->base + i;
			rmap_visit(frame->rmap, audit_rmap_entry, &count);
			mmu_for_each_table(vm, count.gfn, sp) {
				tables++;
				synced += !sp->unsync;
			}
			if (tables != frame->nr_tables || synced != frame->nr_synced)
				count.bad += violation("gfn %llx miscounts its tables", count.gfn);
		}
	}
	if (count.entries != vm->mmu.nr_sptes)
		count.bad += violation("%llu entries in rmaps, %llu leaves", count.entries,
				       vm->mmu.nr_sptes);
	return count.bad;
}

int gondola_mmu_audit(struct gondola_vm *vm)
{
	struct gondola_shadow_page *sp;
	u32 pages = 0, unsync = 0;
	int bad;

	mmu_lock(vm);
	bad = audit_frames(vm);
	list_for_each_entry(sp, &vm->mmu.pages, link) {
		pages++;
		unsync += sp->unsync;
		bad += audit_page(vm, sp);
	}
	if (pages != vm->mmu.nr_pages || unsync != vm->mmu.nr_unsync)
		bad += violation("the VM miscounts its shadow pages");
	mmu_unlock(vm);
	return bad;
}
