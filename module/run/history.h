/* SPDX-License-Identifier: GPL-2.0-only */
/* The last exits of a vCPU.  Only its thread writes them, with the mutex held. */
#ifndef GONDOLA_RUN_HISTORY_H
#define GONDOLA_RUN_HISTORY_H

#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/stddef.h>
#include "engine.h"
#include "host/time.h"
#include "vcpu.h"

/* No division to find an entry, and no entry in two cache lines. */
static_assert(!(GONDOLA_HISTORY_LEN & (GONDOLA_HISTORY_LEN - 1)));
static_assert(L1_CACHE_BYTES % sizeof(struct gondola_history_entry) == 0);
static_assert(offsetof(struct gondola_vcpu, history) % sizeof(struct gondola_history_entry) == 0);

static inline struct gondola_history_entry *history_last(struct gondola_vcpu *vcpu)
{
	return &vcpu->history[vcpu->nr_exits % GONDOLA_HISTORY_LEN];
}

/** history_add() - note an exit, which vcpu->nr_exits counts already */
static inline void history_add(struct gondola_vcpu *vcpu, const struct gondola_exit *exit)
{
	struct gondola_history_entry *entry = history_last(vcpu);

	entry->tsc = gondola_host_ticks();
	entry->rip = vcpu->regs.rip;
	entry->reason = exit->reason;
	entry->hw_reason = exit->hw_reason;
	entry->user_exit = GONDOLA_EXIT_NONE;
	entry->error = 0;
}

/**
 * history_leave() - note that GONDOLA_RUN returns, with @user_exit or -@error
 *
 * GONDOLA_RUN may return several times without an entry in between: the first return counts.
 */
static inline void history_leave(struct gondola_vcpu *vcpu, u32 user_exit, u32 error)
{
	struct gondola_history_entry *entry = history_last(vcpu);

	if (entry->user_exit == GONDOLA_EXIT_NONE)
		entry->user_exit = user_exit;
	if (error)
		entry->error = error;
}

#endif
