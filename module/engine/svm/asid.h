/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ASIDs of one processor.  They are given out in rounds.  Each round begins with a flush of
 * all, since translations of the last round still exist.
 *
 * VMRUN may refuse the entry of the vCPU that began the round, while others use ASIDs of the new
 * round.  So each entry asks for the flush until one of them is accepted.
 */
#ifndef GONDOLA_SVM_ASID_H
#define GONDOLA_SVM_ASID_H

#include <linux/types.h>

/**
 * struct svm_asids - the ASIDs of a processor
 * @round: number of the round, never 0; a vCPU with an ASID of another round needs a new one
 * @next: the next one to give out
 * @last: the highest ASID of the processor; 0 is the host's
 * @flush: the flush of this round has not happened yet
 */
struct svm_asids {
	u64 round;
	u32 next;
	u32 last;
	bool flush;
};

/** svm_asids_reset() - void all ASIDs given out so far; @count: number of ASIDs, with the host's */
static inline void svm_asids_reset(struct svm_asids *asids, u32 count)
{
	asids->last = count - 1;
	asids->next = asids->last + 1;
	asids->round++;
}

/** svm_asids_take() - take an ASID; once its guest is entered it has no old translations */
static inline u32 svm_asids_take(struct svm_asids *asids)
{
	if (asids->next > asids->last) {
		asids->next = 1;
		asids->round++;
		asids->flush = true;
	}
	return asids->next++;
}

/** svm_asids_entered() - called after VMRUN; @accepted: it did not refuse the guest's state */
static inline void svm_asids_entered(struct svm_asids *asids, bool accepted)
{
	if (accepted)
		asids->flush = false;
}

#endif
