/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work under the MMU's lock, counted.  Tests demand a bound on the steps between taking and
 * dropping the lock: a bound in seconds would depend on the machine.  A step is one entry, link,
 * shadow page or frame that is looked at.  The module counts nothing.
 */
#ifndef GONDOLA_MMU_STEPS_H
#define GONDOLA_MMU_STEPS_H

#include <linux/types.h>

#ifdef GONDOLA_UNDER_TEST

/**
 * struct mmu_steps - steps under the MMU's lock
 * @now: since it was taken
 * @most: in the longest hold since a test set this to 0
 */
struct mmu_steps {
	u64 now;
	u64 most;
};

extern struct mmu_steps mmu_steps;

/* More than any hold may need: a loop without an end is told, too. */
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
