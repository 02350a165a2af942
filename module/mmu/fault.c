// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults.  The guest's tables are walked.  If they allow the access, the shadow is made to
 * allow it too, and likely neighbours are mapped along.  If not, the guest gets the fault.
 */
#include "internal.h"

#define MAX_TRIES	16	/* of one fault, since each table may have to be made present */
#define PREFETCH	16	/* entries around a fault that are filled along, aligned */

/*
 * The rights of a leaf.  @rights: PT_W and PT_U as the guest's entry grants them, PT_NX as it
 * denies. With CR0.WP clear role.access has the rights of the upper levels.
 */
static u64 leaf_bits(union gondola_role role, u64 rights, bool supervisor_write)
{
	bool w = rights & PT_W, u = rights & PT_U;
	u64 nx = rights & PT_NX;

	if (likely(!role.nowp))
		return mmu_granted(role, rights) & (PT_W | PT_U | PT_NX);
	w &= role.access & 1;
	u &= role.access >> 1 & 1;
	/*
	 * The processor runs with WP set, but the guest's supervisor may write here.  So the page
	 * becomes writable and is hidden from the user, whose next access reverses that.
	 */
	if (supervisor_write && !w) {
		if (u && role.nosmep)
			nx = PT_NX;
		w = true;
		u = false;
	}
	return (w ? PT_W : 0) | (u ? PT_U : 0) | nx;
}

/* Write a leaf.  An empty entry has room in the frame's bag.  Inline: a fault does this up to 16 times. */
static __always_inline void set_leaf(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp,
				     unsigned int i, struct gondola_slot *slot,
				     struct gondola_frame *frame, gfn_t gfn, u64 bits)
{
	struct gondola_vm *vm = vcpu->vm;
	u64 *spte = &sp->spt[i], old = READ_ONCE(*spte), new;

	if (MMU_BUG_ON(vm, mmu_leaf_gfn(sp, i) != gfn))
		return;
	if (!(frame->host & FRAME_WRITABLE) || frame->nr_synced ||
	    !mmu_may_write_clean(slot, gfn))
		bits &= ~PT_W;
	new = (frame->host & PT_ADDR) | bits | PT_P | PT_A;
	/* Only tables need to know when a page was written: see was_written(). */
	if (!frame->nr_tables)
		new |= PT_D;
	if (old == new)
		return;
	/* Only rights may differ: an entry of another frame was cleared before. */
	if (MMU_BUG_ON(vm, spte_present(old) && (old ^ new) & PT_ADDR))
		return;
	if (!spte_present(old)) {
		rmap_add(&vcpu->mmu.rmap_cache, &frame->rmap, spte);
		sp->present++;
		vm->mmu.nr_sptes++;
		mmu_entry_fill(spte, new);
		return;
	}
	old = mmu_entry_change(spte, 0, new);
	mmu_keep_written(vm, frame, gfn, old);
	/* A TLB that holds W and D would write without setting D again. */
	if ((old & ~new & (PT_W | PT_U)) || (new & ~old & PT_NX) ||
	    ((old & PT_W) && (old & ~new & PT_D))) {
		vm->mmu.stale_tlb = true;
		gondola_request(vcpu, GONDOLA_REQ_TLB_FLUSH);
	}
}

/* Was this page made in the vCPU's mode?  What depends on the page's place does not count. */
static bool role_is_current(struct gondola_vcpu *vcpu, union gondola_role role)
{
	const union gondola_role place = {
		.level = 7, .direct = 1, .quadrant = 3, .access = 3, .clean = 1,
	};

	return !((role.word ^ vcpu->mmu.role.word) & ~place.word);
}

/* An entry that is only mapped along must not displace another one. */
static bool may_map_along(const struct gondola_frame *frame)
{
	return frame->host & FRAME_PRESENT && !rmap_is_full(frame->rmap);
}

/* The caller has checked that the role of @sp is current. */
static __always_inline bool leaf_try(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp,
				     unsigned int i, u64 gpte)
{
	gfn_t gfn = (gpte & PT_ADDR) >> GONDOLA_PAGE_SHIFT;
	struct gondola_frame *frame;
	struct gondola_slot *slot;
	u64 rights = gpte;

	/* Without A it needs a fault, which sets A first. */
	if ((gpte & (PT_P | PT_A)) != (PT_P | PT_A) || gpte & vcpu->mmu.reserved[0][1] ||
	    !mmu_chunk_to_spare(vcpu))
		return false;
	slot = mmu_find_slot(vcpu->vm, gfn);
	if (!slot)
		return false;
	frame = mmu_frame_in(slot, gfn);
	if (!may_map_along(frame))
		return false;
	if (!(gpte & PT_D))
		rights &= ~PT_W;
	set_leaf(vcpu, sp, i, slot, frame, gfn, leaf_bits(sp->role, rights, false));
	return true;
}

bool mmu_leaf_try(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i,
		  u64 gpte)
{
	return role_is_current(vcpu, sp->role) && leaf_try(vcpu, sp, i, gpte);
}

/* First gfn behind a large guest entry, for shadow entry @i. */
static gfn_t large_gfn(const struct gondola_shadow_page *sp, unsigned int i, u64 gpte)
{
	if (sp->role.direct)
		return sp->gfn + ((gfn_t)i << (9 * (sp->role.level - 1)));
	if (sp->role.gpte32)
		return (((gpte & GENMASK_ULL(31, 22)) | (gpte & GENMASK_ULL(20, 13)) << 19) >> 12) +
		       (i & 1) * MMU_ENTRIES;
	return (gpte & PT_ADDR & ~(BIT_ULL(12 + 9 * (sp->role.level - 1)) - 1)) >> 12;
}

/* Role and gfn of the page to which entry @i of @sp, with guest entry @gpte, leads. */
static union gondola_role child_role(const struct gondola_shadow_page *sp, unsigned int i,
				     u64 gpte, gfn_t *gfn)
{
	union gondola_role role = sp->role;
	bool large = gpte_is_large(role, gpte);

	role.level--;
	if (!role.direct && !is_pae_root(sp) && role.nowp) {
		role.access &= (gpte & (PT_W | PT_U)) >> 1;
		if (large && !(gpte & PT_D)) {
			role.access &= ~(PT_W >> 1);
			role.clean = 1;
		}
	}
	if (sp->role.direct || large) {
		*gfn = large_gfn(sp, i, gpte);
		role.direct = 1;
		role.gpte32 = 0;
		role.quadrant = 0;
		return role;
	}
	*gfn = (gpte & PT_ADDR) >> GONDOLA_PAGE_SHIFT;
	if (role.gpte32)
		role.quadrant = is_pae_root(sp) ? i : i & 1;
	return role;
}

/* The rights of a link come from its guest entry.  In PAE directory pointers these bits are reserved. */
static u64 link_bits(const struct gondola_shadow_page *sp, u64 gpte)
{
	u64 bits = PT_P;

	if (is_pae_root(sp))
		return bits;
	bits |= PT_A;
	if (sp->role.direct)
		return bits | PT_W | PT_U;
	bits |= gpte & PT_NX;
	if (sp->role.nowp)
		return bits | PT_W | PT_U;
	bits |= mmu_granted(sp->role, gpte) & (PT_W | PT_U);
	/* The first write to a clean large page must fault, so that D is set. */
	if (gpte_is_large(sp->role, gpte) && !(gpte & PT_D))
		bits &= ~PT_W;
	return bits;
}

/* Does entry @i of @sp, with guest entry @gpte, lead to @child? */
static bool is_child(const struct gondola_shadow_page *child, const struct gondola_shadow_page *sp,
		     unsigned int i, u64 gpte)
{
	gfn_t gfn;
	union gondola_role role = child_role(sp, i, gpte, &gfn);

	return child->role.word == role.word && child->gfn == gfn;
}

/* The entry is empty.  Returns false if @child does not belong there. */
static bool set_link(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i,
		     struct gondola_shadow_page *child, u64 gpte)
{
	u64 *spte = &sp->spt[i];

	if (MMU_BUG_ON(vcpu->vm, !is_child(child, sp, i, gpte)))
		return false;
	sp->gpt[i] = gpte;
	shadow_adopt(vcpu->vm, child);
	mmu_make_room_in(vcpu->vm, child->parents);
	rmap_add(&vcpu->mmu.rmap_cache, &child->parents, spte);
	sp->present++;
	mmu_entry_fill(spte, __pa(child->spt) | link_bits(sp, gpte));
	/* A new way must not lead to a table that is out of sync. */
	if (child->unsync)
		mmu_sync_page(vcpu, child);
	return true;
}

bool mmu_link_try(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i,
		  u64 gpte)
{
	struct gondola_shadow_page *child;
	union gondola_role role;
	unsigned int level = sp->role.level;
	bool large;
	gfn_t gfn;

	if (!(gpte & PT_P) || !(gpte & PT_A || is_pae_root(sp)) ||
	    !role_is_current(vcpu, sp->role) || !mmu_chunk_to_spare(vcpu))
		return false;
	large = gpte & PT_PS && (gpte_is_large(sp->role, gpte) || level == 4);
	if (!is_pae_root(sp) && gpte & vcpu->mmu.reserved[large][level])
		return false;
	role = child_role(sp, i, gpte, &gfn);
	child = shadow_find(vcpu->vm, gfn, role);
	return child && !rmap_is_full(child->parents) &&
	       set_link(vcpu, sp, i, child, gpte);
}

/* Follow the link in entry @i of @sp, or make it. */
static struct gondola_shadow_page *descend(struct gondola_vcpu *vcpu,
					   struct gondola_shadow_page *sp, unsigned int i,
					   u64 gpte)
{
	struct gondola_shadow_page *child;
	union gondola_role role;
	u64 spte = sp->spt[i];
	gfn_t gfn;

	if (spte_present(spte)) {
		child = child_of(spte);
		if (sp->gpt[i] == gpte)
			goto found;
		/* If only A or D has changed, only the rights in the link change. */
		if (!((sp->gpt[i] ^ gpte) & ~(PT_A | PT_D)) && !sp->role.nowp) {
			sp->gpt[i] = gpte;
			mmu_entry_change(&sp->spt[i], PT_ADDR, link_bits(sp, gpte));
			goto found;
		}
		mmu_entry_clear(vcpu->vm, sp, i);
	}
	role = child_role(sp, i, gpte, &gfn);
	child = shadow_get(vcpu, gfn, role);
	if (!child || !set_link(vcpu, sp, i, child, gpte))
		return NULL;
	mmu_sync_below(vcpu, child);
	return child;

found:
	return MMU_BUG_ON(vcpu->vm, !is_child(child, sp, i, gpte)) ? NULL : child;
}

static void fill_around(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int at)
{
	unsigned int i = at & ~(PREFETCH - 1), end = i + PREFETCH;
	const u64 *spt = sp->spt;
	void *data;

	if (!(sp->frame->host & FRAME_PRESENT) || !role_is_current(vcpu, sp->role))
		return;
	data = frame_data(sp->frame);
	for (; i < end; i++) {
		u64 gpte;

		if (spte_present(spt[i]))
			continue;
		gpte = guest_entry(sp, data, i);
		if (!(gpte & PT_A))
			continue;
		sp->gpt[i] = gpte;
		if (leaf_try(vcpu, sp, i, gpte))
			gondola_count(vcpu, GONDOLA_COUNTER_SHADOW_PREFETCHED);
	}
}

/* Direct pages map consecutive guest memory: map the neighbours that are present. */
static void fill_around_direct(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp,
			    unsigned int at)
{
	unsigned int i = at & ~(PREFETCH - 1), end = i + PREFETCH;
	u64 bits = leaf_bits(sp->role, PT_W | PT_U, false);
	const u64 *spt = sp->spt;

	for (; i < end; i++) {
		struct gondola_frame *frame;
		struct gondola_slot *slot;

		if (spte_present(spt[i]) || !mmu_chunk_to_spare(vcpu))
			continue;
		slot = mmu_find_slot(vcpu->vm, sp->gfn + i);
		if (!slot)
			continue;
		frame = mmu_frame_in(slot, sp->gfn + i);
		if (!may_map_along(frame))
			continue;
		set_leaf(vcpu, sp, i, slot, frame, sp->gfn + i, bits);
		gondola_count(vcpu, GONDOLA_COUNTER_SHADOW_PREFETCHED);
	}
}

/* The last step: @sp is the leaf's page, and its guest entry grants @rights. */
static void map_leaf(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, unsigned int i,
		     u64 rights, struct gondola_slot *slot, gfn_t gfn, u32 error)
{
	struct gondola_frame *frame = mmu_frame_in(slot, gfn);
	struct gondola_vm *vm = vcpu->vm;
	bool write = error & PFEC_W;

	sp->writes = 0;
	/* The list has the most recently used page first.  Consecutive faults are often on one page. */
	if (!list_is_first(&sp->link, &vm->mmu.pages))
		list_move(&sp->link, &vm->mmu.pages);
	if (write)
		mmu_mark_page_dirty(vm, vcpu, slot, gfn, GONDOLA_DIRTY_VCPU);
	if (!spte_present(sp->spt[i]))
		mmu_make_room_in(vm, frame->rmap);
	set_leaf(vcpu, sp, i, slot, frame, gfn,
		 leaf_bits(sp->role, rights, write && !(error & PFEC_U)));
	gondola_count(vcpu, GONDOLA_COUNTER_SHADOW_FILLS);
	if (sp->role.direct)
		fill_around_direct(vcpu, sp, i);
	else
		fill_around(vcpu, sp, i);
}

/* Note the leaf's present guest entry @gpte.  Returns the rights for the mapping. */
static u64 take_leaf_entry(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp,
			   unsigned int i, u64 gpte)
{
	if (sp->gpt[i] != gpte) {
		/* The frame changes: remove the entry from the old frame's rmap. */
		if ((sp->gpt[i] ^ gpte) & PT_ADDR)
			mmu_entry_clear(vcpu->vm, sp, i);
		sp->gpt[i] = gpte;
	}
	return gpte & PT_D ? gpte : gpte & ~PT_W;
}

/*
 * Another processor may have written a table between the walk and its protection, if it had no
 * shadow yet.  Does the table still hold the entry that was walked?
 */
static bool still_holds(const struct gondola_shadow_page *sp, unsigned int i, u64 gpte)
{
	u64 now = guest_entry(sp, frame_data(sp->frame), i);

	if (sp->unsync || now == gpte)
		return true;
	/* A walk in ROM sets A and D in its result only. */
	return !(sp->frame->host & FRAME_WRITABLE) && !((now ^ gpte) & ~(PT_A | PT_D));
}

static enum gondola_access_result map(struct gondola_vcpu *vcpu, gva_t gva, u32 error,
				      const struct mmu_walk *w, struct gondola_slot *slot)
{
	struct gondola_shadow_page *sp = mmu_current_root(vcpu);
	u64 rights = PT_W | PT_U;
	unsigned int i;

	if (MMU_BUG_ON(vcpu->vm, !role_is_current(vcpu, sp->role) ||
		       sp->role.direct != vcpu->mmu.role.direct))
		return GONDOLA_ACCESS_ERROR;
	for (;;) {
		u64 gpte = 0;

		i = shadow_index(gva, sp->role.level);
		if (is_pae_root(sp)) {
			i = (gva >> 30) & 3;
			gpte = mmu_pae_entry(vcpu, i);
		} else if (!sp->role.direct) {
			/* The walk ended above this level, so there is no such table. */
			if (MMU_BUG_ON(vcpu->vm, (int)sp->role.level < w->leaf))
				return GONDOLA_ACCESS_ERROR;
			gpte = w->gpte[sp->role.level];
			/* The access faults again and finds the new entry. */
			if (unlikely(!still_holds(sp, i, gpte)))
				return GONDOLA_ACCESS_OK;
		}
		if (sp->role.level == 1) {
			if (!sp->role.direct)
				rights = take_leaf_entry(vcpu, sp, i, gpte);
			break;
		}
		sp->writes = 0;
		sp = descend(vcpu, sp, i, gpte);
		if (unlikely(!sp))
			return GONDOLA_ACCESS_ERROR;
	}
	map_leaf(vcpu, sp, i, rights, slot, w->gfn, error);
	return GONDOLA_ACCESS_OK;
}

/* The guest allows the access: does the host?  @rights: the guest's, combined over the levels. */
static enum gondola_access_result check_frame(struct gondola_vcpu *vcpu, gpa_t gpa, u64 rights,
					      u32 error, struct gondola_slot **slot,
					      struct missing *missing)
{
	gfn_t gfn = gpa >> GONDOLA_PAGE_SHIFT;
	bool write = error & PFEC_W;
	struct gondola_frame *frame;

	*slot = mmu_find_slot(vcpu->vm, gfn);
	if (!*slot || (write && ((*slot)->flags & GONDOLA_MEM_READONLY)))
		return GONDOLA_ACCESS_MMIO;
	frame = mmu_frame_in(*slot, gfn);
	if (!(frame->host & FRAME_PRESENT) || (write && !(frame->host & FRAME_WRITABLE))) {
		*missing = (struct missing){ gfn, write };
		return GONDOLA_ACCESS_MEMORY;
	}
	if (write && frame->nr_synced && !mmu_unsync_gfn(vcpu, gfn, frame))
		return GONDOLA_ACCESS_INTERPRET;
	if (write && !(error & PFEC_U) && vcpu->mmu.role.nosmap &&
	    (rights & (PT_W | PT_U)) == PT_U)
		return GONDOLA_ACCESS_INTERPRET;
	return GONDOLA_ACCESS_OK;
}

/* Handle a fault by a walk of the guest's tables. */
static noinline enum gondola_access_result
fault_by_walk(struct gondola_vcpu *vcpu, gva_t gva, u32 error, struct gondola_access *out,
	      struct missing *missing)
{
	enum gondola_access_result result;
	struct gondola_slot *slot;
	struct mmu_walk w;

	if (gondola_paging(vcpu)) {
		switch (mmu_walk(vcpu, gva, error & (PFEC_W | PFEC_U | PFEC_I), &w)) {
		case WALK_OK:
			break;
		case WALK_FAULT:
			out->error = w.error;
			return GONDOLA_ACCESS_FAULT;
		case WALK_MISSING:
			*missing = w.missing;
			return GONDOLA_ACCESS_MEMORY;
		}
	} else {
		w.gfn = (u32)gva >> GONDOLA_PAGE_SHIFT;
		w.rights = 0;
	}
	out->gpa = w.gfn << GONDOLA_PAGE_SHIFT | (gva & ~GONDOLA_PAGE_MASK);
	result = check_frame(vcpu, out->gpa, w.rights, error, &slot, missing);
	if (result != GONDOLA_ACCESS_OK)
		return result;
	/* The write may have been one too many to our own root's table: load a root and fault again. */
	if (unlikely(mmu_root_is_gone(vcpu)))
		return GONDOLA_ACCESS_OK;
	return map(vcpu, gva, error, &w, slot);
}

/* Handle a fault whose upper levels are linked, as they are in most faults.  -1: a walk is needed. */
static int fault_by_lookup(struct gondola_vcpu *vcpu, gva_t gva, u32 error,
			   struct gondola_access *out, struct missing *missing)
{
	enum gondola_access_result result;
	struct gondola_slot *slot;
	struct mmu_place at;
	u64 rights = PT_W | PT_U;

	switch (mmu_lookup(vcpu, gva, error & (PFEC_W | PFEC_U | PFEC_I), &at)) {
	case WALK_OK:
		break;
	case WALK_FAULT:
		out->error = at.error;
		return GONDOLA_ACCESS_FAULT;
	default:
		return -1;
	}
	out->gpa = at.gpa;
	result = check_frame(vcpu, at.gpa, rights, error, &slot, missing);
	if (result != GONDOLA_ACCESS_OK)
		return result;
	/* Zapping another table may have zapped this one too: the access faults again. */
	if (unlikely(at.sp->invalid || at.sp->orphan))
		return GONDOLA_ACCESS_OK;
	if (!at.sp->role.direct)
		rights = take_leaf_entry(vcpu, at.sp, at.i, at.gpte);
	map_leaf(vcpu, at.sp, at.i, rights, slot, at.gpa >> GONDOLA_PAGE_SHIFT, error);
	return GONDOLA_ACCESS_OK;
}

enum gondola_access_result gondola_mmu_fault(struct gondola_vcpu *vcpu, gva_t gva, u32 error,
					     struct gondola_access *out)
{
	struct gondola_vm *vm = vcpu->vm;
	struct missing missing;
	unsigned int tries;
	int result, err;

	for (tries = 0; tries < MAX_TRIES; tries++) {
		/* Load first: loading a root may use up objects that the fault needs. */
		if (unlikely(gondola_mmu_load(vcpu) || mmu_cache_fill(vcpu)))
			return GONDOLA_ACCESS_ERROR;
		mmu_lock(vm);
		shadow_make_room(vm, 4);
		/* Our own root may have been evicted. */
		if (unlikely(mmu_root_is_gone(vcpu))) {
			mmu_unlock(vm);
			vcpu->mmu.reload = true;
			continue;
		}
		result = fault_by_lookup(vcpu, gva, error, out, &missing);
		if (result < 0)
			result = fault_by_walk(vcpu, gva, error, out, &missing);
		mmu_unlock(vm);
		if (result != GONDOLA_ACCESS_MEMORY)
			return result;
		err = mmu_fault_in(vcpu, missing);
		if (err)
			return err == -EAGAIN ? GONDOLA_ACCESS_MEMORY : GONDOLA_ACCESS_ERROR;
	}
	/* The host takes pages as fast as it gives them.  Fault again: the run loop sees signals. */
	return GONDOLA_ACCESS_OK;
}
