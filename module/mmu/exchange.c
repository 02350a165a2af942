// SPDX-License-Identifier: GPL-2.0-only
/* Single bytes of guest memory that host and guest change at the same time. */
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

int gondola_gpa_exchange(struct gondola_vcpu *vcpu, gpa_t gpa, u8 new, u8 *old)
{
	struct gondola_vm *vm = vcpu->vm;
	unsigned int tries;
	u8 *byte;
	int err;

	for (tries = 0; tries < 2; tries++) {
		mmu_lock(vm);
		byte = writable_byte(vm, gpa);
		if (byte)
			*old = xchg(byte, new);
		mmu_unlock(vm);
		if (byte)
			return 0;
		err = mmu_fault_in(vcpu, (struct missing){ gpa >> GONDOLA_PAGE_SHIFT, true });
		if (err)
			return err;
	}
	return -EFAULT;
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
