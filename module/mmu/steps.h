/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts of work under the MMU's lock.  Tests check a bound on the steps in one hold, since a bound
 * in seconds would depend on the machine.  A step is a look at one entry, link, shadow page or
 * frame. The module does not count.
 */
#ifndef GONDOLA_MMU_STEPS_H
#define GONDOLA_MMU_STEPS_H

#include <linux/types.h>

#ifdef GONDOLA_UNDER_TEST

/**
 * struct mmu_steps - steps under the MMU's lock
 * @now: since the lock was taken
 * @most: in the longest hold since a test set this to 0
 */
struct mmu_steps {
	u64 now;
	u64 most;
};

extern struct mmu_steps mmu_steps;

/* More than any hold may need, so that an endless loop is reported, too. */
#define MMU_STEPS_LIMIT	(1ull << 28)

void mmu_steps_begin(void);
void mmu_steps_end(void);
void mmu_step(unsigned int n);

#else

static inline void mmu_steps_begin(void)
{
}

static inline void mmu_steps_end(void)
{
}

static inline void mmu_step(unsigned int n)
{
}

#endif
#endif
