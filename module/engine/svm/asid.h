/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ASIDs of one processor.  They are given out in rounds; each round begins with a flush of all,
 * since translations of the round before are still there.
 *
 * The processor owes that flush, not the vCPU that happened to begin the round: its entry may be
 * refused, and the others go on with ASIDs of the new round.  So the flush is asked for at each
 * entry, until the guest of one has run.
 */
#ifndef GONDOLA_SVM_ASID_H
#define GONDOLA_SVM_ASID_H

#include <linux/types.h>

/**
 * struct svm_asids - what a processor gives out
 * @round: counts them; a vCPU with an ASID of another round needs a new one.  Never 0
 * @next: the next one to give out
 * @last: the highest that the processor has; 0 is the host's own
 * @flush: the flush of this round has not happened yet
 */
struct svm_asids {
	u64 round;
	u32 next;
	u32 last;
	bool flush;
};

/** svm_asids_reset() - whatever ASIDs held before is void; @count: that there are, with the host's */
static inline void svm_asids_reset(struct svm_asids *asids, u32 count)
{
	asids->last = count - 1;
	asids->next = asids->last + 1;
	asids->round++;
}

/** svm_asids_take() - an ASID that has no translations when its guest has been entered */
static inline u32 svm_asids_take(struct svm_asids *asids)
{
	if (asids->next > asids->last) {
		asids->next = 1;
		asids->round++;
		asids->flush = true;
	}
	return asids->next++;
}

/** svm_asids_entered() - after VMRUN; @accepted: it did not refuse the state that it was given */
static inline void svm_asids_entered(struct svm_asids *asids, bool accepted)
{
	if (accepted)
		asids->flush = false;
}

#endif
