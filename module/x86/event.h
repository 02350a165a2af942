/* SPDX-License-Identifier: GPL-2.0-only */
/* The event that a vCPU's next entry delivers, and its merging with an exception during the delivery. */
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
	GONDOLA_EVENT_TRIPLE_FAULT,	/* nothing is delivered: the vCPU shuts down */
};

/* Bit of the engine's get_shadow(): NMIs are blocked. */
#define GONDOLA_SHADOW_NMI	4u

/**
 * struct gondola_event - one event
 * @kind: enum gondola_event_kind
 * @vector: 0 … 255
 * @has_error: @error is pushed
 * @insn_len: length of the instruction that raised it, or 0
 * @cr2: for #PF: CR2 after delivery
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
 * gondola_event_merge() - queue an exception, merged with an event that is being delivered
 * @queued: the event being delivered, or of kind NONE; updated
 * @next: the exception that arises now
 *
 * Benign, contributory and page-fault classes combine to #DF or a triple fault as in the manual's
 * section on the double-fault exception.  The fault replaces a queued interrupt or NMI, which the
 * caller has taken back before.
 */
void gondola_event_merge(struct gondola_event *queued, const struct gondola_event *next);

/**
 * gondola_nmi_latch() - compute the number of pending NMIs after one more arrived
 * @blocked: an NMI's handler runs or begins
 *
 * If @blocked, one NMI may wait for the handler's end, and others merge with it.  Else one is
 * delivered at once, and another may wait.
 */
static inline u8 gondola_nmi_latch(u8 pending, bool blocked)
{
	u8 most = blocked ? 1 : 2;

	return pending < most ? pending + 1 : most;
}

/** gondola_vector_has_error() - does this exception push an error code? */
bool gondola_vector_has_error(u8 vector);

#endif
