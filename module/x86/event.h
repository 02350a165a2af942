/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The event queue: what a vCPU will have delivered at its next entry, and how
 * an exception that strikes during a delivery merges with it.
 */
#ifndef GONDOLA_X86_EVENT_H
#define GONDOLA_X86_EVENT_H

#include <linux/types.h>
#include "x86.h"

enum gondola_event_kind {
	GONDOLA_EVENT_NONE = 0,
	GONDOLA_EVENT_INTERRUPT,	/* external, from PIC or LAPIC */
	GONDOLA_EVENT_NMI,
	GONDOLA_EVENT_EXCEPTION,	/* a fault or trap; INT3 and INTO by insn_len */
	GONDOLA_EVENT_SOFT_INTERRUPT,	/* INT n */
	GONDOLA_EVENT_TRIPLE_FAULT,	/* no delivery: the vCPU shuts down */
};

/* Of the engine's get_shadow(): NMIs are blocked. */
#define GONDOLA_SHADOW_NMI	4u

/**
 * struct gondola_event - one event
 * @kind: enum gondola_event_kind
 * @vector: 0 … 255
 * @has_error: @error is pushed
 * @insn_len: for software events: length of the instruction, else 0
 * @cr2: for #PF: what CR2 becomes on delivery
 */
struct gondola_event {
	u8 kind;
	u8 vector;
	bool has_error;
	u8 insn_len;
	u32 error;
	u64 cr2;
};

/**
 * gondola_event_merge() - queue an exception behind one that may be under way
 * @queued: the event being delivered (kind NONE if there is none); updated
 * @next: the exception that arises now
 *
 * Benign, contributory and page-fault classes combine to #DF or a triple
 * fault as the manual's section on the double-fault exception says.  A queued
 * interrupt or NMI is replaced by the fault: the caller has taken it back.
 */
void gondola_event_merge(struct gondola_event *queued, const struct gondola_event *next);

/**
 * gondola_nmi_latch() - how many NMIs are pending after one more arrived
 * @blocked: an NMI's handler runs, or is about to: one may wait for its end, others merge with it
 *
 * Else one is to be delivered at once, and one may come during its handler.
 */
static inline u8 gondola_nmi_latch(u8 pending, bool blocked)
{
	u8 most = blocked ? 1 : 2;

	return pending < most ? pending + 1 : most;
}

/** gondola_vector_has_error() - does this exception push an error code? */
bool gondola_vector_has_error(u8 vector);

#endif
