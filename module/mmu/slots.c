// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory: slots, and the frames that the host lends and takes back. */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "host.h"
#include "internal.h"

#define DEFAULT_SHADOW_PAGES	4096u	/* 16 MiB of tables, as much again of snapshots */
#define MAX_UNSYNC		128u	/* each is compared at a flush */
#define MIN_SHADOW_PAGES	64u	/* a fault needs six, and a root of each vCPU stays */

struct gondola_slot *gondola_find_slot_slow(struct gondola_vm *vm, gfn_t gfn)
{
	unsigned int i;

	lockdep_assert_held(&vm->mmu.lock);
	for (i = 0; i < GONDOLA_MAX_SLOTS; i++) {
		struct gondola_slot *slot = &vm->mmu.slots[i];

		if (gfn - slot->base < slot->pages) {
			vm->mmu.last_slot = slot;
			return slot;
		}
	}
	return NULL;
}

bool gondola_zap_frame(struct gondola_vm *vm, struct gondola_frame *frame)
{
	u64 *spte;
	bool was_present = frame->host & FRAME_PRESENT;

	while ((spte = gondola_rmap_first(frame->rmap))) {
		gondola_entry_clear(vm, page_of(spte), spte_index(spte));
		/* An entry that maps another frame was taken out of that one's bag. */
		if (GONDOLA_MMU_BUG_ON(vm, gondola_rmap_first(frame->rmap) == spte))
			gondola_rmap_remove(&frame->rmap, spte);
	}
	frame->host = 0;
	/* Even with no entry left a processor may remember one. */
	return was_present;
}

enum gondola_access_result gondola_fault_in(struct gondola_vcpu *vcpu, gfn_t gfn, bool write)
{
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_frame *frame;
	struct gondola_slot *slot;
	bool writable = false, wait;
	unsigned long seq;
	hpfn_t pfn;
	hva_t hva;
	int err;

	spin_lock(&vm->mmu.lock);
	slot = gondola_find_slot(vm, gfn);
	if (!slot) {
		spin_unlock(&vm->mmu.lock);
		return GONDOLA_ACCESS_MMIO;
	}
	hva = slot->hva + ((gfn - slot->base) << GONDOLA_PAGE_SHIFT);
	wait = vcpu->patient || !(slot->flags & GONDOLA_MEM_USERFAULT);
	seq = vm->mmu.seq;
	spin_unlock(&vm->mmu.lock);

	err = gondola_mmu_host_pin(vm, hva, write, wait, &pfn, &writable);
	if (err == -EAGAIN) {
		vcpu->missing = gfn << GONDOLA_PAGE_SHIFT;
		return GONDOLA_ACCESS_MEMORY;
	}
	if (err)
		return GONDOLA_ACCESS_ERROR;

	gondola_mmu_lock(vm);
	/* The page may have been taken away, or the slot moved, while nobody looked. */
	if (!vm->mmu.invalidating && seq == vm->mmu.seq) {
		frame = gondola_find_frame(vm, gfn);
		if ((frame->host & FRAME_PRESENT) && frame->host >> 12 != pfn &&
		    gondola_zap_frame(vm, frame))
			gondola_flush_all(vm);
		/* Another vCPU may have found the same page writable meanwhile: it still is. */
		if (frame->host >> 12 == pfn)
			writable |= frame->host & FRAME_WRITABLE;
		/* What the launcher may write, the guest of a read-only slot may not. */
		if (gondola_find_slot(vm, gfn)->flags & GONDOLA_MEM_READONLY)
			writable = false;
		frame->host = pfn << 12 | FRAME_PRESENT | (writable ? FRAME_WRITABLE : 0);
	} else {
		writable = false;
	}
	gondola_mmu_unlock(vm);
	gondola_mmu_host_unpin(pfn, writable);
	/* Who takes the page may wait for this very processor before it is done. */
	cond_resched();
	return GONDOLA_ACCESS_OK;
}

/* Frames of launcher addresses [start, end), slot by slot. */
#define for_each_frame_in(vm, start, end, slot, first, last)				\
	for ((slot) = (vm)->mmu.slots; (slot) < (vm)->mmu.slots + GONDOLA_MAX_SLOTS; (slot)++) \
		if (!clip_to_slot(slot, start, end, &(first), &(last))) {} else

static bool clip_to_slot(const struct gondola_slot *slot, hva_t start, hva_t end, u64 *first,
			 u64 *last)
{
	hva_t slot_end = slot->hva + (slot->pages << GONDOLA_PAGE_SHIFT);

	if (!slot->pages || end <= slot->hva || start >= slot_end)
		return false;
	*first = start <= slot->hva ? 0 : (start - slot->hva) >> GONDOLA_PAGE_SHIFT;
	*last = ((min(end, slot_end) - slot->hva) + GONDOLA_PAGE_SIZE - 1) >> GONDOLA_PAGE_SHIFT;
	return true;
}

void gondola_mmu_invalidate_begin(struct gondola_vm *vm, hva_t start, hva_t end)
{
	struct gondola_slot *slot;
	u64 first, last, i;
	bool flush = false;

	gondola_mmu_lock(vm);
	vm->mmu.invalidating++;
	for_each_frame_in(vm, start, end, slot, first, last)
		for (i = first; i < last; i++)
			if (slot->frames[i].host)
				flush |= gondola_zap_frame(vm, &slot->frames[i]);
	if (flush)
		gondola_flush_all(vm);
	gondola_mmu_unlock(vm);
}

void gondola_mmu_invalidate_end(struct gondola_vm *vm)
{
	spin_lock(&vm->mmu.lock);
	vm->mmu.seq++;
	WARN_ON_ONCE(--vm->mmu.invalidating < 0);
	spin_unlock(&vm->mmu.lock);
}

struct age_state {
	bool clear;
	bool young;
};

static bool age_one(u64 *spte, void *arg)
{
	struct age_state *state = arg;

	if (!(*spte & PT_A))
		return false;
	state->young = true;
	if (state->clear)
		gondola_entry_change(spte, ~PT_A, 0);
	return !state->clear;
}

bool gondola_mmu_age(struct gondola_vm *vm, hva_t start, hva_t end, bool clear)
{
	struct age_state state = { .clear = clear };
	struct gondola_slot *slot;
	u64 first, last, i;

	gondola_mmu_lock(vm);
	for_each_frame_in(vm, start, end, slot, first, last)
		for (i = first; i < last; i++)
			gondola_rmap_visit(slot->frames[i].rmap, age_one, &state);
	/* No flush: an entry that a processor still remembers is a little younger than it looks. */
	gondola_mmu_unlock(vm);
	return state.young;
}

static bool overlaps(const struct gondola_vm *vm, const struct gondola_memory_slot *arg)
{
	gfn_t base = arg->gpa >> GONDOLA_PAGE_SHIFT;
	u64 pages = arg->bytes >> GONDOLA_PAGE_SHIFT;
	unsigned int i;

	for (i = 0; i < GONDOLA_MAX_SLOTS; i++) {
		const struct gondola_slot *slot = &vm->mmu.slots[i];

		if (i != arg->slot && slot->pages && base < slot->base + slot->pages &&
		    slot->base < base + pages)
			return true;
	}
	return false;
}

static int check_slot(struct gondola_vm *vm, const struct gondola_memory_slot *arg)
{
	const struct gondola_slot *old = &vm->mmu.slots[arg->slot];
	u64 mask = GONDOLA_PAGE_SIZE - 1;

	if ((arg->gpa | arg->bytes | arg->hva) & mask)
		return -EINVAL;
	if (arg->gpa + arg->bytes < arg->gpa || arg->hva + arg->bytes < arg->hva)
		return -EINVAL;
	if (arg->gpa + arg->bytes > BIT_ULL(46) || arg->hva + arg->bytes > TASK_SIZE_MAX)
		return -EINVAL;
	if (!arg->bytes)
		return old->pages ? 0 : -EINVAL;
	if (old->pages && (old->base != arg->gpa >> GONDOLA_PAGE_SHIFT || old->hva != arg->hva ||
			   old->pages != arg->bytes >> GONDOLA_PAGE_SHIFT))
		return -EEXIST;
	if (overlaps(vm, arg))
		return -EEXIST;
	/* Holes may be filled later; nothing at all is a mistake. */
	return gondola_mmu_host_mapped(vm, arg->hva, arg->bytes) ? 0 : -EFAULT;
}

/* Every frame of the slot is forgotten, and with it whatever maps or shadows it. */
static void empty_slot(struct gondola_vm *vm, struct gondola_slot *slot)
{
	u64 i;

	gondola_shadow_evict(vm, vm->mmu.nr_pages);
	for (i = 0; i < slot->pages; i++) {
		WARN_ON_ONCE(!vm->dead && (slot->frames[i].rmap || slot->frames[i].nr_tables));
		slot->frames[i].host = 0;
	}
	gondola_flush_all(vm);
	vm->mmu.seq++;
	vm->mmu.last_slot = NULL;
}

int gondola_mmu_set_slot(struct gondola_vm *vm, const struct gondola_memory_slot *arg)
{
	struct gondola_slot *slot, old;
	struct gondola_frame *frames = NULL;
	unsigned long *dirty = NULL;
	u64 pages = arg->bytes >> GONDOLA_PAGE_SHIFT;
	int err;

	lockdep_assert_held(&vm->lock);
	if (arg->slot >= GONDOLA_MAX_SLOTS ||
	    arg->flags & ~(GONDOLA_MEM_READONLY | GONDOLA_MEM_LOG_DIRTY | GONDOLA_MEM_USERFAULT))
		return -EINVAL;
	err = check_slot(vm, arg);
	if (err)
		return err;
	slot = &vm->mmu.slots[arg->slot];

	if (arg->bytes && !slot->pages) {
		frames = __vcalloc(pages, sizeof(*frames), GFP_KERNEL_ACCOUNT);
		if (!frames)
			return -ENOMEM;
	}
	if ((arg->flags & GONDOLA_MEM_LOG_DIRTY) && arg->bytes && !slot->dirty) {
		dirty = gondola_dirty_alloc(pages);
		if (!dirty) {
			vfree(frames);
			return -ENOMEM;
		}
		/*
		 * What is mapped writable may be written from now on without a fault, so
		 * it counts as written (I3).  The guest goes on; clearing protects.
		 */
		if (slot->pages)
			bitmap_fill(dirty, pages);
	}

	gondola_mmu_lock(vm);
	old = *slot;
	if (old.pages && (!arg->bytes || (old.flags ^ arg->flags) & GONDOLA_MEM_READONLY))
		empty_slot(vm, slot);
	if (arg->bytes) {
		slot->base = arg->gpa >> GONDOLA_PAGE_SHIFT;
		slot->pages = pages;
		slot->hva = arg->hva;
		slot->flags = arg->flags;
		if (frames) {
			slot->frames = frames;
			gondola_forget_nowhere(vm);
		}
		if (!(arg->flags & GONDOLA_MEM_LOG_DIRTY))
			slot->dirty = NULL;
		else if (dirty)
			gondola_dirty_begin(vm, slot, dirty);
	} else {
		*slot = (struct gondola_slot){};
	}
	vm->mmu.seq++;
	gondola_mmu_unlock(vm);

	if (!arg->bytes)
		vfree(old.frames);
	if (old.dirty != slot->dirty)
		vfree(old.dirty);
	return 0;
}

int gondola_mmu_init_vm(struct gondola_vm *vm, u32 max_pages)
{
	u32 buckets;
	int err;

	spin_lock_init(&vm->mmu.lock);
	INIT_LIST_HEAD(&vm->mmu.pages);
	INIT_LIST_HEAD(&vm->mmu.unsync);
	INIT_LIST_HEAD(&vm->mmu.doomed);
	if (max_pages > GONDOLA_MAX_SHADOW_PAGES)
		return -E2BIG;
	vm->mmu.max_unsync = MAX_UNSYNC;
	vm->mmu.max_pages = max(max_pages ?: DEFAULT_SHADOW_PAGES, MIN_SHADOW_PAGES);
	vm->mmu.hash_key = get_random_u64() | 1;
	/* Two pages a bucket, when all are there. */
	buckets = roundup_pow_of_two(vm->mmu.max_pages) / 2;
	vm->mmu.hash_shift = 64 - ilog2(buckets);
	vm->mmu.hash = kvcalloc(buckets, sizeof(*vm->mmu.hash), GFP_KERNEL_ACCOUNT);
	if (!vm->mmu.hash)
		return -ENOMEM;
	err = gondola_mmu_host_attach(vm);
	if (err) {
		kvfree(vm->mmu.hash);
		vm->mmu.hash = NULL;
	}
	return err;
}

void gondola_mmu_destroy_vm(struct gondola_vm *vm)
{
	unsigned int i;

	if (!vm->mmu.hash)
		return;
	gondola_mmu_host_detach(vm);
	gondola_mmu_zap_all(vm);
	gondola_free_doomed(vm);
	WARN_ON(!vm->dead && (vm->mmu.nr_pages || vm->mmu.nr_unsync || vm->mmu.nr_sptes));
	for (i = 0; i < GONDOLA_MAX_SLOTS; i++) {
		vfree(vm->mmu.slots[i].frames);
		vfree(vm->mmu.slots[i].dirty);
	}
	kvfree(vm->mmu.hash);
	vm->mmu.hash = NULL;
}
