// SPDX-License-Identifier: GPL-2.0-only
/*
 * Roots: the choice of the shadow tree that the processor runs on, and the effect of the guest's
 * writes to control registers and of its flushes.
 */
#include <linux/string.h>
#include "internal.h"

u64 mmu_pae_entry(struct gondola_vcpu *vcpu, unsigned int i)
{
	if (!gondola_paging(vcpu))
		return PT_P;
	if (vcpu->mmu.role.gpte32)
		return (vcpu->cr3 & GENMASK_ULL(31, 12)) | PT_P;
	return vcpu->mmu.pdptes[i];
}

static void drop_roots(struct gondola_vcpu *vcpu)
{
	unsigned int i;

	lockdep_assert_held(&vcpu->vm->mmu.lock);
	for (i = 0; i < GONDOLA_ROOTS; i++) {
		if (vcpu->mmu.roots[i].page)
			shadow_put_root(vcpu->vm, vcpu->mmu.roots[i].page);
		vcpu->mmu.roots[i] = (struct gondola_root){};
	}
	for (i = 0; i < 4; i++)
		mmu_entry_clear(vcpu->vm, vcpu->mmu.pae_root, i);
}

void gondola_mmu_mode_changed(struct gondola_vcpu *vcpu)
{
	bool paging = gondola_paging(vcpu), pae = vcpu->cr4 & CR4_PAE;
	struct gondola_vcpu_mmu *mmu = &vcpu->mmu;
	union gondola_role role = { .access = 3 };

	role.long_mode = gondola_long_mode(vcpu);
	role.level = role.long_mode ? 4 : 3;
	role.direct = !paging;
	role.gpte32 = paging && !pae;
	role.nonxe = paging && pae && !(vcpu->efer & EFER_F_NXE);
	role.nowp = paging && !(vcpu->cr0 & CR0_WP);
	role.nosmep = role.nowp && (vcpu->cr4 & CR4_SMEP);
	role.nosmap = role.nowp && (vcpu->cr4 & CR4_SMAP);
	role.nopse = role.gpte32 && !(vcpu->cr4 & CR4_PSE);
	role.gib_pages = role.long_mode && mmu->gib_pages;
	role.maxphyaddr = vcpu->maxphyaddr;
	role.user = !!vcpu->vm->xen;
	mmu->format = role.long_mode ? &mmu_format_4level :
		      pae ? &mmu_format_pae : &mmu_format_32;
	mmu_reserved_bits(role, mmu->format, mmu->reserved);

	if (role.word != mmu->role.word || mmu->current_root < 0) {
		mmu_lock(vcpu->vm);
		drop_roots(vcpu);
		mmu->role = role;
		mmu->pae_root->role = role;
		mmu->pae_root->role.level = 3;
		mmu->pae_root->role.long_mode = 0;
		mmu->current_root = 0;
		mmu_unlock(vcpu->vm);
	}
	gondola_mmu_cr3_written(vcpu, true);
}

void gondola_mmu_cr3_written(struct gondola_vcpu *vcpu, bool flush)
{
	struct gondola_vcpu_mmu *mmu = &vcpu->mmu;
	bool pcid = vcpu->cr4 & CR4_PCIDE;
	unsigned int i, at = GONDOLA_ROOTS;
	struct gondola_root *root;

	mmu->reload = true;
	if (!mmu->role.long_mode)
		return;
	for (i = 0; i < GONDOLA_ROOTS; i++) {
		root = &mmu->roots[i];
		if (root->page && root->cr3 == vcpu->cr3)
			at = i;
		else if (flush && pcid && !((root->cr3 ^ vcpu->cr3) & CR3_PCID))
			root->stale = true;
	}
	if (at == GONDOLA_ROOTS) {
		at = (mmu->current_root + 1) % GONDOLA_ROOTS;
		root = &mmu->roots[at];
		if (root->page) {
			mmu_lock(vcpu->vm);
			shadow_put_root(vcpu->vm, root->page);
			mmu_unlock(vcpu->vm);
			root->page = NULL;
		}
		root->cr3 = vcpu->cr3;
		flush = true;
	}
	/* Without a flush the root may be used as it was left, unless a flush came in between. */
	mmu->roots[at].stale |= flush;
	mmu->current_root = at;
}

int gondola_mmu_set_pdptes(struct gondola_vcpu *vcpu, const u64 pdptes[4])
{
	u64 reserved = GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1) |
		       GENMASK_ULL(63, vcpu->maxphyaddr ?: 36);
	unsigned int i;

	for (i = 0; i < 4; i++)
		if ((pdptes[i] & PT_P) && (pdptes[i] & reserved))
			return -EINVAL;
	memcpy(vcpu->mmu.pdptes, pdptes, sizeof(vcpu->mmu.pdptes));
	vcpu->mmu.reload = true;
	return 0;
}

int gondola_mmu_load_pdptes(struct gondola_vcpu *vcpu, u64 cr3)
{
	u64 pdptes[4];
	int err;

	err = gondola_gpa_read(vcpu, cr3 & GENMASK_ULL(31, 5), pdptes, sizeof(pdptes));
	if (err)
		return err == -EAGAIN ? err : -EINVAL;
	return gondola_mmu_set_pdptes(vcpu, pdptes);
}

/* Link pages that exist already, so that a new address space starts with the kernel's half. */
static void link_known(struct gondola_vcpu *vcpu, struct gondola_shadow_page *root)
{
	struct gondola_frame *frame = mmu_find_frame(vcpu->vm, root->gfn);
	unsigned int i;

	if (root->role.direct || !(frame->host & FRAME_PRESENT))
		return;
	for (i = 0; i < MMU_ENTRIES; i++) {
		u64 gpte = guest_entry(root, frame_data(frame), i);

		mmu_step(1);
		if (gpte == root->gpt[i])
			continue;
		if (spte_present(root->spt[i]))
			mmu_entry_clear(vcpu->vm, root, i);
		root->gpt[i] = gpte;
		mmu_link_try(vcpu, root, i, gpte);
	}
}

static int load_long_mode_root(struct gondola_vcpu *vcpu)
{
	struct gondola_root *root = &vcpu->mmu.roots[vcpu->mmu.current_root];
	gfn_t gfn = (vcpu->cr3 & PT_ADDR) >> GONDOLA_PAGE_SHIFT;
	union gondola_role role = vcpu->mmu.role;

	if (root->page && mmu_root_was_zapped(vcpu, root->page)) {
		shadow_put_root(vcpu->vm, root->page);
		root->page = NULL;
	}
	if (!root->page) {
		if (!mmu_find_frame(vcpu->vm, gfn)) {
			gfn = GFN_NOWHERE;
			role.direct = 1;
		}
		root->page = shadow_get(vcpu, gfn, role);
		if (!root->page)
			return -ENOMEM;
		root->page->root_count++;
		shadow_adopt(vcpu->vm, root->page);
		root->cr3 = vcpu->cr3;
		root->stale = true;
		link_known(vcpu, root->page);
		gondola_count(vcpu, GONDOLA_COUNTER_ROOT_MISSES);
	} else {
		gondola_count(vcpu, GONDOLA_COUNTER_ROOT_HITS);
	}
	if (root->stale) {
		mmu_sync_root(vcpu, root->page);
		root->stale = false;
	}
	vcpu->hw_root = __pa(root->page->spt);
	return 0;
}

static void load_pae_root(struct gondola_vcpu *vcpu)
{
	struct gondola_shadow_page *root = vcpu->mmu.pae_root;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		u64 gpte = mmu_pae_entry(vcpu, i);

		if (spte_present(root->spt[i]) && root->gpt[i] == gpte)
			continue;
		mmu_entry_clear(vcpu->vm, root, i);
		root->gpt[i] = gpte;
		mmu_link_try(vcpu, root, i, gpte);
	}
	mmu_sync_root(vcpu, root);
	vcpu->hw_root = __pa(root->spt);
}

static noinline int load_root(struct gondola_vcpu *vcpu)
{
	int err;

	gondola_take_request(vcpu, GONDOLA_REQ_MMU_RELOAD);
	if (gondola_take_request(vcpu, GONDOLA_REQ_MMU_SYNC))
		vcpu->mmu.roots[vcpu->mmu.current_root].stale = true;
	/* If the load fails, the next call repeats it. */
	vcpu->mmu.reload = true;
	err = mmu_cache_fill(vcpu);
	if (err)
		return err;
	mmu_lock(vcpu->vm);
	shadow_make_room(vcpu->vm, 1);
	if (vcpu->mmu.role.long_mode)
		err = load_long_mode_root(vcpu);
	else
		load_pae_root(vcpu);
	mmu_unlock(vcpu->vm);
	vcpu->mmu.reload = err != 0;
	/* The tables are others: translations by the old ones are void. */
	gondola_request(vcpu, GONDOLA_REQ_TLB_FLUSH);
	return err;
}

/* Called before each entry and in each fault; seldom is there anything to do. */
int gondola_mmu_load(struct gondola_vcpu *vcpu)
{
	if (likely(!vcpu->mmu.reload && !(READ_ONCE(vcpu->requests) & MMU_LOAD_REQUESTS)))
		return 0;
	return load_root(vcpu);
}

static void sync_address(struct gondola_vcpu *vcpu, struct gondola_shadow_page *sp, gva_t gva)
{
	while (sp && !sp->invalid) {
		unsigned int i = is_pae_root(sp) ? (gva >> 30) & 3 :
						   shadow_index(gva, sp->role.level);

		if (sp->role.level == 1) {
			mmu_sync_entry(vcpu, sp, i);
			return;
		}
		if (!spte_present(sp->spt[i]))
			return;
		sp = child_of(sp->spt[i]);
	}
}

void gondola_mmu_invlpg(struct gondola_vcpu *vcpu, gva_t gva)
{
	unsigned int i;

	if (vcpu->vm->mmu.nr_unsync && vcpu->mmu.current_root >= 0) {
		mmu_cache_fill(vcpu);
		mmu_lock(vcpu->vm);
		if (!vcpu->mmu.role.long_mode)
			sync_address(vcpu, vcpu->mmu.pae_root, gva);
		/* A global translation is dropped in every address space. */
		for (i = 0; i < GONDOLA_ROOTS; i++)
			sync_address(vcpu, vcpu->mmu.roots[i].page, gva);
		mmu_unlock(vcpu->vm);
	}
	vcpu->engine->flush_gva(vcpu, gva);
}

void gondola_mmu_flush_guest(struct gondola_vcpu *vcpu)
{
	unsigned int i;

	for (i = 0; i < GONDOLA_ROOTS; i++)
		vcpu->mmu.roots[i].stale = true;
	vcpu->mmu.reload = true;
}

int gondola_mmu_init_vcpu(struct gondola_vcpu *vcpu)
{
	struct gondola_shadow_page *root = mmu_page_alloc(GFP_KERNEL_ACCOUNT, true);

	if (!root)
		return -ENOMEM;
	clear_page(root->spt);
	clear_page(root->gpt);
	root->role.level = 3;
	root->root_count = 1;
	vcpu->mmu.pae_root = root;
	vcpu->mmu.current_root = -1;
	vcpu->mmu.format = &mmu_format_32;
	return 0;
}

void gondola_mmu_destroy_vcpu(struct gondola_vcpu *vcpu)
{
	if (!vcpu->mmu.pae_root)
		return;
	mmu_lock(vcpu->vm);
	drop_roots(vcpu);
	mmu_unlock(vcpu->vm);
	mmu_cache_empty(vcpu);
	mmu_page_free(vcpu->mmu.pae_root);
	vcpu->mmu.pae_root = NULL;
}
