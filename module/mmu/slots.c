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
#define MAX_UNSYNC		128u	/* a flush compares each of them */
#define MAX_SLOT_PAGES		BIT_ULL(32)	/* 16 TiB */
#define MIN_SHADOW_PAGES	64u	/* a fault needs six, and each vCPU keeps a root */

struct gondola_slot *mmu_find_slot_slow(struct gondola_vm *vm, gfn_t gfn)
{
	unsigned int i;

	lockdep_assert_held(&vm->mmu.lock);
	for (i = 0; i < GONDOLA_MAX_SLOTS; i++) {
		struct gondola_slot *slot = &vm->mmu.slots[i];

		if (gfn - slot->base < slot->pages && !slot->leaving) {
			vm->mmu.last_slot = slot;
			return slot;
		}
	}
	return NULL;
}

/* Operations on many frames go by this bitmap, since a slot may be much larger than what is present. */
static void set_frame(struct gondola_slot *slot, u64 i, u64 host)
{
	slot->frames[i].host = host;
	__assign_bit(i, slot->present, host & FRAME_PRESENT);
}

/* The host takes this page away, or the slot is removed.  True: a flush is needed. */
static bool zap_frame(struct gondola_vm *vm, struct gondola_slot *slot, u64 i)
{
	struct gondola_frame *frame = &slot->frames[i];
	bool was_present = frame->host & FRAME_PRESENT;
	u64 *spte;

	while ((spte = rmap_first(frame->rmap))) {
		mmu_entry_clear(vm, page_of(spte), spte_index(spte));
		/* An entry that maps another frame is removed from the other frame's bag. */
		if (MMU_BUG_ON(vm, rmap_first(frame->rmap) == spte))
			rmap_remove(&frame->rmap, spte);
	}
	set_frame(slot, i, 0);
	/* A TLB may hold an entry even if none is left in the tables. */
	return was_present;
}

static int fault_in(struct gondola_vm *vm, struct missing what, bool wait)
{
	gfn_t gfn = what.gfn;
	struct gondola_frame *frame;
	struct gondola_slot *slot;
	bool writable = false;
	unsigned long seq;
	hpfn_t pfn;
	hva_t hva;
	int err;

	spin_lock(&vm->mmu.lock);
	slot = mmu_find_slot(vm, gfn);
	if (!slot) {
		spin_unlock(&vm->mmu.lock);
		return 0;
	}
	hva = slot->hva + ((gfn - slot->base) << GONDOLA_PAGE_SHIFT);
	wait |= !(slot->flags & GONDOLA_MEM_USERFAULT);
	seq = vm->mmu.seq;
	spin_unlock(&vm->mmu.lock);

	err = mmu_host_pin(vm, hva, what.write, wait, &pfn, &writable);
	if (err)
		return err == -EAGAIN ? err : -EFAULT;

	mmu_lock(vm);
	/* The page may have been taken away, or the slot moved, while the lock was free. */
	if (!vm->mmu.invalidating && seq == vm->mmu.seq) {
		slot = mmu_find_slot(vm, gfn);
		frame = mmu_frame_in(slot, gfn);
		if ((frame->host & FRAME_PRESENT) && frame->host >> 12 != pfn &&
		    zap_frame(vm, slot, gfn - slot->base))
			mmu_flush_all(vm);
		/* Another vCPU may have found the page writable meanwhile; then it still is. */
		if (frame->host >> 12 == pfn)
			writable |= frame->host & FRAME_WRITABLE;
		/* In a read-only slot the guest may not write, even if the launcher may. */
		if (slot->flags & GONDOLA_MEM_READONLY)
			writable = false;
		set_frame(slot, gfn - slot->base,
			  pfn << 12 | FRAME_PRESENT | (writable ? FRAME_WRITABLE : 0));
	} else {
		writable = false;
	}
	mmu_unlock(vm);
	mmu_host_unpin(pfn, writable);
	/* The thread that takes the page may have to wait for this processor. */
	cond_resched();
	return 0;
}

int mmu_fault_in(struct gondola_vcpu *vcpu, struct missing what)
{
	int err = fault_in(vcpu->vm, what, false);

	if (err == -EAGAIN) {
		vcpu->missing = what.gfn << GONDOLA_PAGE_SHIFT;
		vcpu->missing_write = what.write;
	}
	return err;
}

int gondola_mmu_wait(struct gondola_vcpu *vcpu)
{
	struct missing what = {
		.gfn = vcpu->missing >> GONDOLA_PAGE_SHIFT,
		.write = vcpu->missing_write,
	};

	return fault_in(vcpu->vm, what, true);
}

/* Limits for one hold of the lock: frames that are worked on, and frames that are skipped. */
#define FRAMES_AT_ONCE		16u
#define ABSENT_AT_ONCE		(1u << 16)

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

/*
 * Call @visit for a few of the present frames whose launcher addresses are in [*start, end). False:
 * there are no more; else *start has advanced.  The lock may be free between two calls, and the
 * slot may change.
 */
static bool visit_some_frames(struct gondola_vm *vm, struct gondola_slot *slot, hva_t *start,
			      hva_t end,
			      void (*visit)(struct gondola_vm *vm, struct gondola_slot *slot,
					    u64 i, void *arg), void *arg)
{
	u64 first, last, stop, i;
	unsigned int n = 0;

	if (!clip_to_slot(slot, *start, end, &first, &last))
		return false;
	stop = min(last, first + ABSENT_AT_ONCE);
	mmu_step(DIV_ROUND_UP(stop - first, BITS_PER_LONG));
	for (i = find_next_bit(slot->present, stop, first); i < stop && n < FRAMES_AT_ONCE;
	     i = find_next_bit(slot->present, stop, i + 1), n++) {
		mmu_step(1);
		visit(vm, slot, i, arg);
	}
	*start = slot->hva + (i << GONDOLA_PAGE_SHIFT);
	return i < last;
}

static void zap_visited(struct gondola_vm *vm, struct gondola_slot *slot, u64 i, void *flush)
{
	*(bool *)flush |= zap_frame(vm, slot, i);
}

void mmu_invalidate_begin(struct gondola_vm *vm, hva_t start, hva_t end, bool may_sleep)
{
	bool flush = false;
	unsigned int i;

	mmu_lock(vm);
	/* From now on no frame becomes present, so the lock may be dropped on the way. */
	vm->mmu.invalidating++;
	for (i = 0; i < GONDOLA_MAX_SLOTS; i++) {
		hva_t from = start;

		while (visit_some_frames(vm, &vm->mmu.slots[i], &from, end, zap_visited, &flush)) {
			/* Others may flush as well; a flush more does no harm. */
			mmu_unlock(vm);
			if (may_sleep)
				cond_resched();
			mmu_lock(vm);
		}
	}
	if (flush)
		mmu_flush_all(vm);
	mmu_unlock(vm);
}

void mmu_invalidate_end(struct gondola_vm *vm)
{
	spin_lock(&vm->mmu.lock);
	vm->mmu.seq++;
	WARN_ON_ONCE(--vm->mmu.invalidating < 0);
	spin_unlock(&vm->mmu.lock);
}

/* The number of entries to look at: enough for an estimate. */
#define ENTRIES_AGED		64u

struct age_state {
	bool clear;
	bool young;
	unsigned int left;
};

static bool age_one(u64 *spte, void *arg)
{
	struct age_state *state = arg;

	if (*spte & PT_A) {
		state->young = true;
		if (!state->clear)
			return true;
		mmu_entry_change(spte, ~PT_A, 0);
	}
	return !--state->left;
}

static void age_visited(struct gondola_vm *vm, struct gondola_slot *slot, u64 i, void *arg)
{
	struct age_state *state = arg;

	state->left = ENTRIES_AGED;
	rmap_visit(slot->frames[i].rmap, age_one, state);
}

bool mmu_age(struct gondola_vm *vm, hva_t start, hva_t end, bool clear)
{
	struct age_state state = { .clear = clear };
	unsigned int i;

	mmu_lock(vm);
	for (i = 0; i < GONDOLA_MAX_SLOTS; i++) {
		hva_t from = start;

		while (visit_some_frames(vm, &vm->mmu.slots[i], &from, end, age_visited, &state)) {
			mmu_unlock(vm);
			mmu_lock(vm);
		}
	}
	/* Without a flush an entry in a TLB looks a little older than it is. */
	mmu_unlock(vm);
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

/* The launcher chose @id, which was checked against the limit. */
static struct gondola_slot *slot_by_id(struct gondola_vm *vm, u32 id)
{
	return &vm->mmu.slots[array_index_nospec(id, GONDOLA_MAX_SLOTS)];
}

static int check_slot(struct gondola_vm *vm, const struct gondola_memory_slot *arg)
{
	const struct gondola_slot *old = slot_by_id(vm, arg->slot);
	u64 mask = GONDOLA_PAGE_SIZE - 1;

	if ((arg->gpa | arg->bytes | arg->hva) & mask)
		return -EINVAL;
	if (arg->gpa + arg->bytes < arg->gpa || arg->hva + arg->bytes < arg->hva)
		return -EINVAL;
	if (arg->bytes >> GONDOLA_PAGE_SHIFT > MAX_SLOT_PAGES)
		return -E2BIG;
	if (arg->gpa + arg->bytes > BIT_ULL(46) || arg->hva + arg->bytes > TASK_SIZE_MAX)
		return -EINVAL;
	if (!arg->bytes)
		return old->pages ? 0 : -EINVAL;
	if (old->pages && (old->base != arg->gpa >> GONDOLA_PAGE_SHIFT || old->hva != arg->hva ||
			   old->pages != arg->bytes >> GONDOLA_PAGE_SHIFT))
		return -EEXIST;
	if (overlaps(vm, arg))
		return -EEXIST;
	/* Holes may be filled later, but a slot with nothing mapped is a mistake. */
	return mmu_host_mapped(vm, arg->hva, arg->bytes) ? 0 : -EFAULT;
}

/*
 * Forget all frames of the slot with their mappings and shadows.  None becomes present again before
 * mmu_invalidate_end().  A slot that @leaves is not found any more.
 */
static void empty_slot(struct gondola_vm *vm, struct gondola_slot *slot, bool leaves)
{
	mmu_invalidate_begin(vm, slot->hva,
			     slot->hva + (slot->pages << GONDOLA_PAGE_SHIFT), true);
	mmu_lock(vm);
	slot->leaving = leaves;
	vm->mmu.last_slot = NULL;
	mmu_unlock(vm);
	/* In ROM, A and D were set in snapshots only. */
	gondola_mmu_zap_all(vm);
}

static int alloc_frames(struct gondola_slot *slot)
{
	slot->frames = __vcalloc(slot->pages, sizeof(*slot->frames), GFP_KERNEL_ACCOUNT);
	slot->present = __vcalloc(BITS_TO_LONGS(slot->pages), sizeof(long), GFP_KERNEL_ACCOUNT);
	return slot->frames && slot->present ? 0 : -ENOMEM;
}

/* Allocate frames, and the log if @new has one, unless @old has them.  0 or -ENOMEM. */
static int prepare_slot(struct gondola_vm *vm, const struct gondola_slot *old,
			struct gondola_slot *new, unsigned long **dirty)
{
	if (!new->pages)
		return 0;
	if (!old->pages && alloc_frames(new))
		return -ENOMEM;
	if (!(new->flags & GONDOLA_MEM_LOG_DIRTY) || old->dirty)
		return 0;
	*dirty = mmu_dirty_alloc(vm, new->pages);
	if (!*dirty)
		return -ENOMEM;
	/*
	 * The guest may write without a fault to pages that are mapped writable, so these count as
	 * written (I3).  They are protected when their bits are cleared.
	 */
	if (old->pages)
		bitmap_fill(*dirty, new->pages);
	return 0;
}

static void free_slot(struct gondola_slot *slot)
{
	vfree(slot->frames);
	vfree(slot->present);
	vfree(slot->dirty);
}

int gondola_mmu_set_slot(struct gondola_vm *vm, const struct gondola_memory_slot *arg)
{
	struct gondola_slot *slot, old, new = {
		.base = arg->gpa >> GONDOLA_PAGE_SHIFT,
		.pages = arg->bytes >> GONDOLA_PAGE_SHIFT,
		.hva = arg->hva,
		.flags = arg->flags,
	};
	unsigned long *dirty = NULL;
	bool emptied;
	int err;

	lockdep_assert_held(&vm->lock);
	if (arg->slot >= GONDOLA_MAX_SLOTS ||
	    arg->flags & ~(GONDOLA_MEM_READONLY | GONDOLA_MEM_LOG_DIRTY | GONDOLA_MEM_USERFAULT))
		return -EINVAL;
	err = check_slot(vm, arg);
	if (err)
		return err;
	slot = slot_by_id(vm, arg->slot);
	old = *slot;

	err = prepare_slot(vm, &old, &new, &dirty);
	if (err) {
		free_slot(&new);
		return err;
	}
	if (old.pages) {
		new.frames = old.frames;
		new.present = old.present;
	}

	emptied = old.pages && (!new.pages || (old.flags ^ new.flags) & GONDOLA_MEM_READONLY);
	if (emptied)
		empty_slot(vm, slot, !new.pages);
	mmu_lock(vm);
	if (new.pages && (new.flags & GONDOLA_MEM_LOG_DIRTY)) {
		new.dirty = old.dirty;
		new.stamps = old.stamps;
		if (dirty)
			mmu_dirty_begin(&new, dirty);
	}
	*slot = new.pages ? new : (struct gondola_slot){};
	if (!old.pages)
		mmu_forget_nowhere(vm);
	vm->mmu.seq++;
	mmu_unlock(vm);
	if (emptied)
		mmu_invalidate_end(vm);

	if (!new.pages)
		free_slot(&old);
	else if (old.dirty != new.dirty)
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
	/* Two pages in a bucket, if all exist. */
	buckets = roundup_pow_of_two(vm->mmu.max_pages) / 2;
	vm->mmu.hash_shift = 64 - ilog2(buckets);
	vm->mmu.hash = kvcalloc(buckets, sizeof(*vm->mmu.hash), GFP_KERNEL_ACCOUNT);
	if (!vm->mmu.hash)
		return -ENOMEM;
	err = mmu_host_attach(vm);
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
	mmu_host_detach(vm);
	gondola_mmu_zap_all(vm);
	mmu_free_doomed(vm);
	WARN_ON(!vm->dead && (vm->mmu.nr_pages || vm->mmu.nr_unsync || vm->mmu.nr_sptes));
	for (i = 0; i < GONDOLA_MAX_SLOTS; i++)
		free_slot(&vm->mmu.slots[i]);
	kvfree(vm->mmu.hash);
	vm->mmu.hash = NULL;
}
