// SPDX-License-Identifier: GPL-2.0-only
/*
 * Translation by the shadow.  Upper tables are in sync, so the snapshots of the linked ones hold
 * what a walk of the guest's tables would find.  A leaf table may be out of sync, so its entry is
 * read from the guest.
 */
#include "internal.h"

/* Set A (and D) in a leaf's guest entry.  False: it changed meanwhile, or cannot be written. */
static bool set_leaf_bits(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, u64 *entry,
			  u64 *gpte, u64 bits)
{
	if (!(sp->frame->host & FRAME_WRITABLE) ||
	    cmpxchg64(entry, *gpte, *gpte | bits) != *gpte)
		return false;
	*gpte |= bits;
	mmu_mark_page_dirty(vcpu->vm, vcpu, mmu_find_slot(vcpu->vm, sp->gfn), sp->gfn,
			    GONDOLA_DIRTY_VCPU);
	return true;
}

enum mmu_walk_result mmu_lookup(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
				struct mmu_place *place)
{
	u64 bits = access & PFEC_W ? PT_A | PT_D : PT_A;
	u64 rights = PT_W | PT_U, gpte, *entry;
	struct gondola_shadow_page *sp;
	unsigned int level, i;

	/* With CR0.WP clear and outside long mode rights are kept elsewhere; these cases are rare. */
	if (!vcpu->mmu.role.long_mode || vcpu->mmu.role.nowp)
		return WALK_MISSING;
	sp = mmu_current_root(vcpu);
	for (level = 4; level > 1; level--) {
		i = shadow_index(gva, level);
		if (!spte_present(sp->spt[i]))
			return WALK_MISSING;
		gpte = sp->gpt[i];
		sp->writes = 0;
		sp = child_of(sp->spt[i]);
		/* Below a large page there are no guest entries. */
		if (!gpte)
			continue;
		rights = mmu_combine_rights(rights, mmu_granted(sp->role, gpte));
		if (sp->role.direct && (gpte & bits) != bits)
			return WALK_MISSING;
	}
	i = shadow_index(gva, 1);
	place->sp = sp;
	place->i = i;
	if (sp->role.direct) {
		if (!mmu_access_allowed(vcpu, access, rights, sp->gfn + i)) {
			place->error = mmu_fault_code(vcpu, access, PFEC_P);
			return WALK_FAULT;
		}
		place->gpte = 0;
		place->gpa = (sp->gfn + i) << GONDOLA_PAGE_SHIFT | (gva & ~GONDOLA_PAGE_MASK);
		return WALK_OK;
	}
	if (unlikely(!(sp->frame->host & FRAME_PRESENT)))
		return WALK_MISSING;
	entry = (u64 *)frame_data(sp->frame) + i;
	gpte = READ_ONCE(*entry);
	if (!(gpte & PT_P)) {
		place->error = mmu_fault_code(vcpu, access, 0);
		place->gpte = gpte;
		return WALK_FAULT;
	}
	if (unlikely(gpte & vcpu->mmu.reserved[0][1]))
		return WALK_MISSING;
	if (!mmu_access_allowed(vcpu, access, mmu_combine_rights(rights, mmu_granted(sp->role, gpte)),
				(gpte & PT_ADDR) >> GONDOLA_PAGE_SHIFT)) {
		place->error = mmu_fault_code(vcpu, access, PFEC_P);
		place->gpte = gpte;
		return WALK_FAULT;
	}
	if ((gpte & bits) != bits && !set_leaf_bits(vcpu, sp, entry, &gpte, bits))
		return WALK_MISSING;
	place->gpte = gpte;
	place->gpa = (gpte & PT_ADDR) | (gva & ~GONDOLA_PAGE_MASK);
	return WALK_OK;
}
