/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between the MMU and the host's memory management: pinning a page for a moment, the
 * MMU notifier, the shrinker.  Tests on UML replace it.
 */
#ifndef GONDOLA_MMU_HOST_H
#define GONDOLA_MMU_HOST_H

#include <linux/types.h>
#include "mmu.h"

struct gondola_vm;

int mmu_host_module_init(void);
void mmu_host_module_exit(void);
int mmu_host_attach(struct gondola_vm *vm);
void mmu_host_detach(struct gondola_vm *vm);

/** mmu_host_mapped() - has the launcher mapped anything in this range?  May sleep. */
bool mmu_host_mapped(struct gondola_vm *vm, hva_t hva, u64 bytes);
/**
 * mmu_host_pin() - make a launcher's page present and hold it
 * @write: it must be writable
 * @wait: sleep until it is present; else see -EAGAIN
 * @pfn: out
 * @writable: out: it is writable
 *
 * May sleep.  0, -EFAULT (nothing mapped there), -EAGAIN (not present now: the launcher must touch
 * it), -EINTR.
 */
int mmu_host_pin(struct gondola_vm *vm, hva_t hva, bool write, bool wait, hpfn_t *pfn,
		 bool *writable);
void mmu_host_unpin(hpfn_t pfn, bool dirty);

/* For host.c: begin and end an invalidation.  Between the two no frame is filled. */
void mmu_invalidate_begin(struct gondola_vm *vm, hva_t start, hva_t end, bool may_sleep);
void mmu_invalidate_end(struct gondola_vm *vm);
/**
 * mmu_host_unlocked() - the MMU's lock has just been dropped
 *
 * Does nothing in the module.  In tests another thread runs at this moment, so that races can be
 * played step by step.
 */
#ifdef GONDOLA_UNDER_TEST
void mmu_host_unlocked(struct gondola_vm *vm);
/* Does nothing in the module.  In tests another processor runs between two reads of an entry. */
void mmu_host_entry(u64 *spte);
#else
static inline void mmu_host_unlocked(struct gondola_vm *vm)
{
}

static inline void mmu_host_entry(u64 *spte)
{
}
#endif

/* Was any of it used since the last call? */
bool mmu_age(struct gondola_vm *vm, hva_t start, hva_t end, bool clear);

#endif
