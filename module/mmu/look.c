// SPDX-License-Identifier: GPL-2.0-only
/* Shows people what the shadow tables hold, of one address or in all, and changes nothing. */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/sched.h>
#include <linux/string.h>
#include "internal.h"

/* Limits for one hold of the lock. */
#define BUCKETS_AT_ONCE		64u
#define FRAMES_AT_ONCE		4096u

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

static enum gondola_shadow_format format_of(union gondola_role role)
{
	if (role.direct)
		return GONDOLA_SHADOW_NO_TABLE;
	if (role.gpte32)
		return GONDOLA_SHADOW_TWO_LEVELS;
	return role.long_mode ? GONDOLA_SHADOW_LONG_MODE : GONDOLA_SHADOW_PAE;
}

static void count_table(const struct gondola_shadow_page *sp, struct gondola_shadows *out)
{
	struct gondola_shadow_kind *kind = &out->kind[sp->role.level - 1][format_of(sp->role)];

	mmu_step(1);
	kind->tables++;
	kind->unsync += sp->unsync;
	kind->roots += sp->root_count > 0;
	kind->entries += sp->present;
	out->table_bytes += sizeof(*sp) + GONDOLA_PAGE_SIZE * (sp->gpt ? 2 : 1);
}

static void count_tables(struct gondola_vm *vm, struct gondola_shadows *out)
{
	u64 buckets = 1ull << (64 - vm->mmu.hash_shift), i;
	struct gondola_shadow_page *sp;

	for (i = 0; i < buckets;) {
		mmu_lock(vm);
		do {
			mmu_step(1);
			hlist_for_each_entry(sp, &vm->mmu.hash[i], hash_link)
				count_table(sp, out);
		} while (++i < buckets && i % BUCKETS_AT_ONCE);
		mmu_unlock(vm);
		cond_resched();
	}
}

static void count_frame(const struct gondola_frame *frame, struct gondola_shadows *out)
{
	unsigned int size = rmap_size(frame->rmap);

	mmu_step(1);
	out->mapped[size ? 1 + order_base_2(size) : 0]++;
	out->rmap_bytes += rmap_bytes(frame->rmap);
}

static void count_frames(struct gondola_vm *vm, const struct gondola_slot *slot,
			 struct gondola_shadows *out)
{
	u64 first, end, i;

	out->frame_bytes += slot->pages * sizeof(*slot->frames);
	for (first = 0; first < slot->pages; first = end) {
		end = min_t(u64, slot->pages, first + FRAMES_AT_ONCE);
		mmu_lock(vm);
		i = first;
		for_each_set_bit_from(i, slot->present, end)
			count_frame(&slot->frames[i], out);
		mmu_unlock(vm);
		cond_resched();
	}
}

void gondola_mmu_count(struct gondola_vm *vm, struct gondola_shadows *out)
{
	unsigned int i;

	/* For the slots; and a bag's length has its place. */
	lockdep_assert_held(&vm->lock);
	BUILD_BUG_ON(RMAP_MAX > 1u << (GONDOLA_SHADOW_LENGTHS - 2));
	*out = (struct gondola_shadows){ .size = out->size, .max_tables = vm->mmu.max_pages };
	count_tables(vm, out);
	for (i = 0; i < GONDOLA_MAX_SLOTS; i++)
		count_frames(vm, &vm->mmu.slots[i], out);
}
