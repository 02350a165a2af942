/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one seam between the MMU and the host's memory management: pinning a
 * page for a moment, the MMU notifier, the shrinker.  UML's tests replace it.
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

/** mmu_host_mapped() - has the launcher anything mapped in this range? May sleep. */
bool mmu_host_mapped(struct gondola_vm *vm, hva_t hva, u64 bytes);
/**
 * mmu_host_pin() - make a launcher's page present and hold it
 * @write: it must be writable
 * @wait: sleep until it is there; else see -EAGAIN
 * @pfn: out
 * @writable: out: it happens to be
 *
 * May sleep.  0, -EFAULT (nothing mapped there), -EAGAIN (the launcher must
 * touch it: it is not to be had at once), -EINTR.
 */
int mmu_host_pin(struct gondola_vm *vm, hva_t hva, bool write, bool wait, hpfn_t *pfn,
		 bool *writable);
void mmu_host_unpin(hpfn_t pfn, bool dirty);

/* For host.c: an invalidation begins and ends; between the two no frame is filled. */
void mmu_invalidate_begin(struct gondola_vm *vm, hva_t start, hva_t end, bool may_sleep);
void mmu_invalidate_end(struct gondola_vm *vm);
/**
 * mmu_host_unlocked() - the MMU's lock has just been dropped
 *
 * Nothing in the module.  Under test it is the moment at which another thread
 * gets its turn, so that races can be played step by step.
 */
#ifdef GONDOLA_UNDER_TEST
void mmu_host_unlocked(struct gondola_vm *vm);
/* An entry, ours or the guest's, has been looked at and is about to be again: a processor's turn. */
void mmu_host_entry(u64 *spte);
#else
static inline void mmu_host_unlocked(struct gondola_vm *vm)
{
}

static inline void mmu_host_entry(u64 *spte)
{
}
#endif

/* Was any of it used since last asked? */
bool mmu_age(struct gondola_vm *vm, hva_t start, hva_t end, bool clear);

#endif
