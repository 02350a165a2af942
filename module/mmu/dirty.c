// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: a write sets its page's bit.  Reading the log changes nothing.  Clearing bits
 * returns the ones that were set, and opens a new period.
 */
#include <linux/bitmap.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>
#include "trace.h"
#include "internal.h"

/* Limits for one hold of the lock: pages whose log is read; pages skipped and entries protected. */
#define READ_AT_ONCE		(1u << 18)
#define PROTECT_AT_ONCE		(1u << 14)

static void mark_page(struct gondola_vm *vm, struct gondola_vcpu *vcpu, struct gondola_slot *slot,
		      gfn_t gfn, enum gondola_dirty_source source, const char *device)
{
	const struct gondola_stamp *stamp;

	lockdep_assert_held(&vm->mmu.lock);
	if (likely(!slot->dirty) || test_bit(gfn - slot->base, slot->dirty))
		return;
	stamp = &slot->stamps[(gfn - slot->base) / 64];
	__set_bit(gfn - slot->base, slot->dirty);
	trace_gondola_dirty(vm->id, vcpu ? vcpu->id : ~0u, gfn, vcpu ? vcpu->regs.rip : 0, source,
			    stamp->phase, stamp->round, ++vm->mmu.nr_dirtied, device);
}

void mmu_mark_page_dirty(struct gondola_vm *vm, struct gondola_vcpu *vcpu,
			 struct gondola_slot *slot, gfn_t gfn,
			 enum gondola_dirty_source source)
{
	mark_page(vm, vcpu, slot, gfn, source, "");
}

static struct gondola_stamp *stamps_of(unsigned long *dirty, u64 pages)
{
	return (struct gondola_stamp *)(dirty + DIV_ROUND_UP(pages, 64));
}

static struct gondola_stamp mark_of(const struct gondola_vm *vm)
{
	return (struct gondola_stamp){ READ_ONCE(vm->phase), READ_ONCE(vm->round) };
}

unsigned long *mmu_dirty_alloc(struct gondola_vm *vm, u64 pages)
{
	unsigned long *dirty = __vcalloc(DIV_ROUND_UP(pages, 64),
					 sizeof(u64) + sizeof(struct gondola_stamp),
					 GFP_KERNEL_ACCOUNT);
	u64 i;

	for (i = 0; dirty && i < DIV_ROUND_UP(pages, 64); i++)
		stamps_of(dirty, pages)[i] = mark_of(vm);
	return dirty;
}

void mmu_dirty_begin(struct gondola_slot *slot, unsigned long *dirty)
{
	slot->dirty = dirty;
	slot->stamps = stamps_of(dirty, slot->pages);
}

static struct gondola_slot *dirty_slot(struct gondola_vm *vm, u32 slot, u64 first, u64 pages)
{
	struct gondola_slot *s;

	if (slot >= GONDOLA_MAX_SLOTS || first % 64 || !pages)
		return NULL;
	s = &vm->mmu.slots[array_index_nospec(slot, GONDOLA_MAX_SLOTS)];
	if (!s->dirty || first > s->pages || pages > s->pages - first)
		return NULL;
	return s;
}

int gondola_mmu_get_dirty(struct gondola_vm *vm, u32 slot, u64 first, u64 pages, u64 *bitmap)
{
	struct gondola_slot *s;
	u64 done, n;

	lockdep_assert_held(&vm->lock);
	s = dirty_slot(vm, slot, first, pages);
	if (!s)
		return -EINVAL;
	for (done = 0; done < pages; done += n) {
		n = min_t(u64, pages - done, READ_AT_ONCE);
		mmu_lock(vm);
		mmu_step(DIV_ROUND_UP(n, 64));
		memcpy(bitmap + done / 64, s->dirty + (first + done) / 64,
		       DIV_ROUND_UP(n, 64) * sizeof(u64));
		mmu_unlock(vm);
		cond_resched();
	}
	if (pages % 64)
		bitmap[pages / 64] &= GENMASK_ULL(pages % 64 - 1, 0);
	return 0;
}

/*
 * Clear the bits in *@which of the 64 pages from @first.  *@which then has the pages that were
 * dirty. Returns the amount of work.
 */
static unsigned int clear_word(struct gondola_vm *vm, struct gondola_slot *s, u64 first, u64 *which)
{
	unsigned long bits = *which & s->dirty[first / 64];
	unsigned int work = 0, i;

	mmu_step(1);
	*which = bits;
	s->dirty[first / 64] &= ~bits;
	s->stamps[first / 64] = mark_of(vm);
	for_each_set_bit(i, &bits, 64) {
		struct gondola_frame *frame = &s->frames[first + i];

		mmu_step(1);
		work += 1 + rmap_size(frame->rmap);
		mmu_write_protect(vm, s->base + first + i, frame);
	}
	return work;
}

int gondola_mmu_clear_dirty(struct gondola_vm *vm, u32 slot, u64 first, u64 pages, u64 *bitmap)
{
	unsigned int work = 0, more;
	struct gondola_slot *s;
	bool flush = false;
	u64 i;

	BUILD_BUG_ON(BITS_PER_LONG != 64);
	lockdep_assert_held(&vm->lock);
	s = dirty_slot(vm, slot, first, pages);
	if (!s)
		return -EINVAL;
	if (pages % 64)
		bitmap[pages / 64] &= GENMASK_ULL(pages % 64 - 1, 0);
	mmu_lock(vm);
	/* A word is cleared and stamped in one hold, so that each write belongs to one period. */
	for (i = 0; i < DIV_ROUND_UP(pages, 64); i++) {
		if (work > PROTECT_AT_ONCE) {
			/* No stale TLB entry may write the pages cleared so far. */
			mmu_flush_all(vm);
			mmu_unlock(vm);
			cond_resched();
			mmu_lock(vm);
			work = 0;
		}
		more = clear_word(vm, s, first + i * 64, &bitmap[i]);
		work += 1 + more;
		flush |= more;
	}
	/* Flush before the lock is dropped: the next reader of the log must find every later write. */
	if (flush)
		mmu_flush_all(vm);
	mmu_unlock(vm);
	return 0;
}

int gondola_mmu_mark_dirty(struct gondola_vm *vm, gpa_t gpa, u64 bytes,
			   enum gondola_dirty_source source, const char *device)
{
	gfn_t gfn = gpa >> GONDOLA_PAGE_SHIFT, last;

	if (!bytes || gpa + bytes - 1 < gpa ||
	    (source != GONDOLA_DIRTY_DEVICE && source != GONDOLA_DIRTY_HOST))
		return -EINVAL;
	last = (gpa + bytes - 1) >> GONDOLA_PAGE_SHIFT;
	for (; gfn <= last; gfn++) {
		struct gondola_slot *slot;

		mmu_lock(vm);
		slot = mmu_find_slot(vm, gfn);
		if (!slot) {
			mmu_unlock(vm);
			return -ENXIO;
		}
		mark_page(vm, NULL, slot, gfn, source, device);
		/* The write bypassed the shadow of a table that may lie there. */
		if (mmu_frame_in(slot, gfn)->nr_tables)
			mmu_zap_tables(vm, gfn);
		mmu_unlock(vm);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
