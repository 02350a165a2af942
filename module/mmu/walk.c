// SPDX-License-Identifier: GPL-2.0-only
/* The walk of the guest's own tables: one walker, with a descriptor for each format. */
#include "host.h"
#include "internal.h"

#define MAX_WALKS	8	/* of a walk whose tables change meanwhile */

const struct mmu_format mmu_format_32 = {
	.levels = 2, .entry_bytes = 4, .index_bits = 10,
};

const struct mmu_format mmu_format_pae = {
	.levels = 2, .entry_bytes = 8, .index_bits = 9, .pae = true,
};

const struct mmu_format mmu_format_4level = {
	.levels = 4, .entry_bytes = 8, .index_bits = 9,
};

/* Manual: the figures of paging-structure entries, bits that are reserved (must be 0). */
void mmu_reserved_bits(union gondola_role role, const struct mmu_format *format,
		       u64 rsvd[2][5])
{
	u64 beyond = role.maxphyaddr < 52 ? GENMASK_ULL(51, role.maxphyaddr) : 0;
	unsigned int level;

	for (level = 1; level <= 4; level++) {
		u64 bits = 0;

		if (format->entry_bytes == 8) {
			bits = beyond;
			if (format->pae)
				bits |= GENMASK_ULL(62, 52);
			if (role.nonxe)
				bits |= PT_NX;
		}
		rsvd[0][level] = bits;
		rsvd[1][level] = bits;
	}
	if (format->entry_bytes == 4) {
		/* PSE-36: bits 20:13 are address bits 39:32. */
		rsvd[1][2] = BIT_ULL(21);
		if (role.maxphyaddr < 40)
			rsvd[1][2] |= GENMASK_ULL(20, role.maxphyaddr - 32 + 13);
		return;
	}
	rsvd[1][2] |= GENMASK_ULL(20, 13);
	rsvd[1][3] |= GENMASK_ULL(29, 13);
	if (!role.gib_pages)
		rsvd[1][3] |= PT_PS;
	rsvd[1][4] |= PT_PS;
}

static gfn_t large_gfn(struct gondola_vcpu *vcpu, u64 gpte, unsigned int level)
{
	if (vcpu->mmu.format->entry_bytes == 4)
		return ((gpte & GENMASK_ULL(31, 22)) | (gpte & GENMASK_ULL(20, 13)) << 19) >> 12;
	return (gpte & PT_ADDR & ~(BIT_ULL(12 + 9 * (level - 1)) - 1)) >> 12;
}

static gpa_t first_table(struct gondola_vcpu *vcpu, gva_t gva, bool *present)
{
	*present = true;
	if (vcpu->mmu.format->pae) {
		u64 pdpte = vcpu->mmu.pdptes[(gva >> 30) & 3];

		*present = pdpte & PT_P;
		return pdpte & PT_ADDR;
	}
	if (vcpu->mmu.format->entry_bytes == 4)
		return vcpu->cr3 & GENMASK_ULL(31, 12);
	return vcpu->cr3 & PT_ADDR;
}

u32 mmu_fault_code(const struct gondola_vcpu *vcpu, u32 access, u32 why)
{
	/* The I bit exists only where fetches can be refused.  Two-level tables have no NX. */
	if (!(vcpu->cr4 & CR4_PAE && vcpu->efer & EFER_F_NXE) && !(vcpu->cr4 & CR4_SMEP))
		access &= ~PFEC_I;
	return access | why;
}

/* Manual: "Determination of Access Rights". */
bool mmu_access_allowed(const struct gondola_vcpu *vcpu, u32 access, u64 rights, gfn_t gfn)
{
	bool user_page = rights & PT_U;

	if (access & PFEC_U) {
		if (!user_page || ((access & PFEC_W) && !(rights & PT_W) && !mmu_table_is_open(vcpu, gfn)))
			return false;
		return !((access & PFEC_I) && (rights & PT_NX));
	}
	if (access & PFEC_I)
		return !(rights & PT_NX) && !(user_page && (vcpu->cr4 & CR4_SMEP));
	if ((access & PFEC_W) && !(rights & PT_W) && (vcpu->cr0 & CR0_WP))
		return false;
	if (user_page && (vcpu->cr4 & CR4_SMAP) && !(vcpu->regs.rflags & RFL_AC))
		return false;
	return true;
}

/*
 * Set A, and in the leaf D for a write, as the processor does: atomically, and only if the entry
 * has not changed.  False: read it again.
 */
static bool set_accessed_dirty(struct gondola_vcpu *vcpu, struct mmu_walk *w, void *entry,
			       unsigned int level, u64 bits)
{
	u64 old = w->gpte[level];

	mmu_host_entry(entry);
	if (vcpu->mmu.format->entry_bytes == 4) {
		if (cmpxchg((u32 *)entry, (u32)old, (u32)(old | bits)) != (u32)old)
			return false;
	} else if (cmpxchg64((u64 *)entry, old, old | bits) != old) {
		return false;
	}
	w->gpte[level] = old | bits;
	mmu_mark_page_dirty(vcpu->vm, vcpu, mmu_find_slot(vcpu->vm, w->table[level]),
			    w->table[level], GONDOLA_DIRTY_VCPU);
	return true;
}

/* Set the accessed and dirty bits after a walk that found its leaf. */
static enum mmu_walk_result note_access(struct gondola_vcpu *vcpu, u32 access,
					struct mmu_walk *w, struct gondola_frame **frames,
					void **entries, bool *again)
{
	int i;

	for (i = vcpu->mmu.format->levels; i >= w->leaf; i--) {
		u64 bits = PT_A;

		if (i == w->leaf && (access & PFEC_W))
			bits |= PT_D;
		if ((w->gpte[i] & bits) == bits)
			continue;
		if (!(frames[i]->host & FRAME_WRITABLE)) {
			struct gondola_slot *slot = mmu_find_slot(vcpu->vm, w->table[i]);

			/* Tables in ROM are not changed, and used as if the bits were set. */
			if (slot->flags & GONDOLA_MEM_READONLY) {
				w->gpte[i] |= bits;
				continue;
			}
			w->missing = (struct missing){ .gfn = w->table[i], .write = true };
			return WALK_MISSING;
		}
		if (!set_accessed_dirty(vcpu, w, entries[i], i, bits)) {
			*again = true;
			w->missing = (struct missing){ .gfn = w->table[i], .write = true };
			return WALK_MISSING;
		}
	}
	return WALK_OK;
}

/* The frame of @gva, according to the leaf @gpte. */
static gfn_t leaf_gfn(struct gondola_vcpu *vcpu, gva_t gva, unsigned int level, u64 gpte)
{
	unsigned int below = vcpu->mmu.format->entry_bytes == 4 ? 10 : 9 * (level - 1);

	if (level == 1)
		return (gpte & PT_ADDR) >> 12;
	return large_gfn(vcpu, gpte, level) + ((gva >> 12) & ((1ull << below) - 1));
}

static enum mmu_walk_result walk_once(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
				      struct mmu_walk *w, bool *again)
{
	const struct mmu_format *format = vcpu->mmu.format;
	struct gondola_frame *frames[5];
	void *entries[5];
	unsigned int level = format->levels;
	u64 rights = PT_W | PT_U;
	bool present;
	gpa_t table = first_table(vcpu, gva, &present);

	mmu_step(format->levels);
	w->error = mmu_fault_code(vcpu, access, 0);
	if (!present)
		return WALK_FAULT;
	for (;;) {
		unsigned int index = (gva >> (12 + format->index_bits * (level - 1))) &
				     ((1u << format->index_bits) - 1);
		struct gondola_frame *frame = mmu_find_frame(vcpu->vm, table >> 12);
		bool large;
		u64 gpte;

		/* No memory there: a real bus reads all ones, so reserved bits are set. */
		if (!frame) {
			w->error = mmu_fault_code(vcpu, access, PFEC_P | PFEC_RSVD);
			return WALK_FAULT;
		}
		w->table[level] = table >> 12;
		if (!(frame->host & FRAME_PRESENT)) {
			w->missing = (struct missing){ .gfn = table >> 12 };
			return WALK_MISSING;
		}
		frames[level] = frame;
		entries[level] = frame_data(frame) + index * format->entry_bytes;
		gpte = format->entry_bytes == 4 ? READ_ONCE(*(u32 *)entries[level]) :
						  READ_ONCE(*(u64 *)entries[level]);
		w->gpte[level] = gpte;
		if (!(gpte & PT_P))
			return WALK_FAULT;
		large = mmu_is_large(vcpu->mmu.role, level, gpte);
		if (gpte & vcpu->mmu.reserved[large || level == 4 ? !!(gpte & PT_PS) : 0][level]) {
			w->error = mmu_fault_code(vcpu, access, PFEC_P | PFEC_RSVD);
			return WALK_FAULT;
		}
		rights = mmu_combine_rights(rights, mmu_granted(vcpu->mmu.role, gpte));
		if (level == 1 || large) {
			w->leaf = level;
			w->gfn = leaf_gfn(vcpu, gva, level, gpte);
			break;
		}
		table = gpte & PT_ADDR;
		level--;
	}
	w->rights = rights;
	if (!mmu_access_allowed(vcpu, access, rights, w->gfn)) {
		w->error = mmu_fault_code(vcpu, access, PFEC_P);
		return WALK_FAULT;
	}
	return note_access(vcpu, access, w, frames, entries, again);
}

/**
 * mmu_walk() - translate an address as the processor would
 * @vcpu: whose tables
 * @gva: linear address
 * @access: PFEC_W, PFEC_U, PFEC_I
 * @w: result
 *
 * Lock held, paging on.  Sets A and D in the guest's tables when the access is
 * allowed.
 */
enum mmu_walk_result mmu_walk(struct gondola_vcpu *vcpu, gva_t gva, u32 access,
			      struct mmu_walk *w)
{
	enum mmu_walk_result result;
	unsigned int tries;
	bool again = true;

	/* Clear the fields that no entry sets. */
	*w = (struct mmu_walk){};
	lockdep_assert_held(&vcpu->vm->mmu.lock);
	/* If the guest changes its tables all the time, release the lock as for a missing page. */
	for (tries = 0; again && tries < MAX_WALKS; tries++) {
		again = false;
		result = walk_once(vcpu, gva, access, w, &again);
	}
	return result;
}
