// SPDX-License-Identifier: GPL-2.0-only
/* Bytes and words of guest memory that host and guest change at the same time. */
#include <linux/atomic.h>
#include "internal.h"

#define OR_TRIES	8

/* Lock held.  Find the byte if it can be written without waiting, and count it as written. */
static u8 *writable_byte(struct gondola_vm *vm, gpa_t gpa)
{
	gfn_t gfn = gpa >> GONDOLA_PAGE_SHIFT;
	struct gondola_slot *slot = mmu_find_slot(vm, gfn);
	struct gondola_frame *frame;

	if (!slot || (slot->flags & GONDOLA_MEM_READONLY))
		return NULL;
	frame = mmu_frame_in(slot, gfn);
	/* If the guest keeps a page table there, this fails. */
	if (!(frame->host & FRAME_PRESENT) || !(frame->host & FRAME_WRITABLE) || frame->nr_tables)
		return NULL;
	mmu_mark_page_dirty(vm, NULL, slot, gfn, GONDOLA_DIRTY_HOST);
	return (u8 *)frame_data(frame) + (gpa & ~GONDOLA_PAGE_MASK);
}

/* Let @change have the place, as soon as it can be written.  0, -EFAULT or -EAGAIN. */
static int change_place(struct gondola_vcpu *vcpu, gpa_t gpa, u64 with, u64 *old,
			u64 (*change)(u8 *place, u64 with))
{
	struct gondola_vm *vm = vcpu->vm;
	unsigned int tries;
	u8 *place;
	int err;

	for (tries = 0; tries < 2; tries++) {
		mmu_lock(vm);
		place = writable_byte(vm, gpa);
		if (place)
			*old = change(place, with);
		mmu_unlock(vm);
		if (place)
			return 0;
		err = mmu_fault_in(vcpu, (struct missing){ gpa >> GONDOLA_PAGE_SHIFT, true });
		if (err)
			return err;
	}
	return -EFAULT;
}

static u64 exchange_byte(u8 *place, u64 with)
{
	return xchg(place, (u8)with);
}

int gondola_gpa_exchange(struct gondola_vcpu *vcpu, gpa_t gpa, u8 new, u8 *old)
{
	u64 was = 0;
	int err = change_place(vcpu, gpa, new, &was, exchange_byte);

	if (!err)
		*old = was;
	return err;
}

static u64 or_word(u8 *place, u64 with)
{
	return atomic64_fetch_or(with, (atomic64_t *)place);
}

static u64 and_word(u8 *place, u64 with)
{
	return atomic64_fetch_and(with, (atomic64_t *)place);
}

int gondola_gpa_or(struct gondola_vcpu *vcpu, gpa_t gpa, u64 bits, u64 *old)
{
	return gpa % sizeof(u64) ? -EFAULT : change_place(vcpu, gpa, bits, old, or_word);
}

int gondola_gpa_and(struct gondola_vcpu *vcpu, gpa_t gpa, u64 bits, u64 *old)
{
	return gpa % sizeof(u64) ? -EFAULT : change_place(vcpu, gpa, bits, old, and_word);
}

/* Lock held.  False: the frame cannot be written now. */
static bool write_entry(struct gondola_vcpu *vcpu, struct gondola_slot *slot, gpa_t gpa, u64 value,
			u64 keep)
{
	gfn_t gfn = gpa >> GONDOLA_PAGE_SHIFT;
	struct gondola_frame *frame = mmu_frame_in(slot, gfn);
	unsigned int offset = gpa & ~GONDOLA_PAGE_MASK;
	u64 *entry, old;

	if (!(frame->host & FRAME_PRESENT) || !(frame->host & FRAME_WRITABLE))
		return false;
	entry = frame_data(frame) + offset;
	old = READ_ONCE(*entry);
	while (!try_cmpxchg64(entry, &old, value | (old & keep)))
		;
	mmu_mark_page_dirty(vcpu->vm, vcpu, slot, gfn, GONDOLA_DIRTY_VCPU);
	if (frame->nr_tables)
		mmu_table_told(vcpu, gfn, offset);
	return true;
}

int gondola_mmu_write_entry(struct gondola_vcpu *vcpu, gpa_t gpa, u64 value, u64 keep)
{
	gfn_t gfn = gpa >> GONDOLA_PAGE_SHIFT;
	struct gondola_vm *vm = vcpu->vm;
	struct gondola_slot *slot;
	bool done = false;
	int err;

	if (gpa % sizeof(u64))
		return -EFAULT;
	for (;;) {
		/* The update may link tables. */
		err = mmu_cache_fill(vcpu);
		if (err)
			return err;
		mmu_lock(vm);
		slot = mmu_find_slot(vm, gfn);
		if (slot && !(slot->flags & GONDOLA_MEM_READONLY))
			done = write_entry(vcpu, slot, gpa, value, keep);
		else
			err = -ENXIO;
		mmu_unlock(vm);
		if (err || done)
			return err;
		err = mmu_fault_in(vcpu, (struct missing){ gfn, true });
		if (err)
			return err;
	}
}

void gondola_mmu_flush_others(struct gondola_vcpu *vcpu)
{
	if (atomic_read(&vcpu->vm->nr_vcpus) == 1)
		return;
	mmu_lock(vcpu->vm);
	gondola_kick_all_and_wait(vcpu->vm, GONDOLA_REQ_MMU_SYNC);
	mmu_unlock(vcpu->vm);
}

bool gondola_gpa_try_or(struct gondola_vm *vm, gpa_t gpa, u8 bits)
{
	unsigned int tries;
	bool done = false;
	u8 *byte, old;

	/* Do not spin: the holder of the lock may be waiting for this processor. */
	if (!spin_trylock(&vm->mmu.lock))
		return false;
	byte = writable_byte(vm, gpa);
	if (byte)
		old = READ_ONCE(*byte);
	/* The guest may change the byte any number of times. */
	for (tries = 0; byte && !done && tries < OR_TRIES; tries++)
		done = try_cmpxchg(byte, &old, old | bits);
	spin_unlock(&vm->mmu.lock);
	return done;
}
