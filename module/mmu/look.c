// SPDX-License-Identifier: GPL-2.0-only
/* Shows people what the shadow tables hold for an address, and changes nothing. */
#include <linux/string.h>
#include "internal.h"

static void look_at_page(struct gondola_vm *vm, struct gondola_shadow *out)
{
	gfn_t gfn = out->gpa >> GONDOLA_PAGE_SHIFT;
	struct gondola_slot *slot = mmu_find_slot(vm, gfn);
	const struct gondola_frame *frame;

	out->page = out->nr_mappings = out->nr_tables = out->nr_unsync = 0;
	if (!slot)
		return;
	frame = mmu_frame_in(slot, gfn);
	out->page = GONDOLA_PAGE_MEMORY;
	if (frame->host & FRAME_PRESENT)
		out->page |= GONDOLA_PAGE_PRESENT;
	if (frame->host & FRAME_WRITABLE)
		out->page |= GONDOLA_PAGE_WRITABLE;
	if (slot->flags & GONDOLA_MEM_READONLY)
		out->page |= GONDOLA_PAGE_READONLY;
	if (!mmu_may_write_clean(slot, gfn))
		out->page |= GONDOLA_PAGE_CLEAN;
	out->nr_mappings = rmap_size(frame->rmap);
	out->nr_tables = frame->nr_tables;
	out->nr_unsync = frame->nr_tables - frame->nr_synced;
}

/* Returns the table that the entry leads to, or NULL. */
static struct gondola_shadow_page *look_at_entry(struct gondola_shadow_page *sp, gva_t gva,
						 struct gondola_shadow_level *out)
{
	unsigned int i = is_pae_root(sp) ? (gva >> 30) & 3 : shadow_index(gva, sp->role.level);
	u64 spte = READ_ONCE(sp->spt[i]);

	mmu_step(1);
	*out = (struct gondola_shadow_level){ .level = sp->role.level, .gfn = sp->gfn };
	if (sp->role.direct)
		out->flags |= GONDOLA_SHADOW_DIRECT;
	if (sp->unsync)
		out->flags |= GONDOLA_SHADOW_UNSYNC;
	if (!spte_present(spte))
		return NULL;
	/* The launcher must not learn the host's addresses of the guest's memory. */
	out->entry = spte & ~PT_ADDR;
	if (!sp->role.direct)
		out->guest = sp->gpt[i];
	return sp->role.level > 1 ? child_of(spte) : NULL;
}

/* The root that the vCPU would run on; NULL: it has none, or it was zapped. */
static struct gondola_shadow_page *look_at_root(const struct gondola_vcpu *vcpu,
						struct gondola_shadow *out)
{
	const struct gondola_vcpu_mmu *mmu = &vcpu->mmu;

	out->root = GONDOLA_ROOT_STALE;
	if (mmu->current_root < 0 || mmu_root_is_gone(vcpu))
		return NULL;
	if (!mmu->reload && !(READ_ONCE(vcpu->requests) & MMU_LOAD_REQUESTS))
		out->root = 0;
	return mmu_current_root(vcpu);
}

void gondola_mmu_look(struct gondola_vcpu *vcpu, struct gondola_shadow *out)
{
	struct gondola_shadow_page *sp;
	unsigned int n;

	mmu_lock(vcpu->vm);
	look_at_page(vcpu->vm, out);
	memset(out->level, 0, sizeof(out->level));
	sp = look_at_root(vcpu, out);
	for (n = 0; sp && n < ARRAY_SIZE(out->level); n++)
		sp = look_at_entry(sp, out->gva, &out->level[n]);
	out->nr_levels = n;
	mmu_unlock(vcpu->vm);
}
