/* SPDX-License-Identifier: GPL-2.0-only */
/* The ring3 engine: what ring 3 or SYSCALL would use of the host's, and what is there instead. */
#ifndef GONDOLA_RING3_PROCESSOR_H
#define GONDOLA_RING3_PROCESSOR_H

#include <linux/types.h>
#include "ring3.h"

/**
 * struct ring3_host - what of the host's changes hands for one stay only
 *
 * The host uses it in the kernel, too, or may change it there while a vCPU is loaded.
 */
struct ring3_host {
	u64 debugctl;
	u64 pebs;
	u64 u_cet;
	unsigned long dr7;
	u32 pkru;
	u16 ldt;
};

/**
 * ring3_processor_take() - make the processor ready for ring 3
 * @area: whose text SYSCALL leads to
 * @user: what is loaded
 * @host: what ring3_processor_give() puts back
 *
 * Interrupts off.  What the host uses in user mode alone stays away until ring3_put().
 */
void ring3_processor_take(struct ring3_area *area, const struct ring3_user *user,
			  struct ring3_host *host);
/** ring3_processor_give() - after the stay: @user gets what ring 3 has left */
void ring3_processor_give(struct ring3_area *area, struct ring3_user *user,
			  const struct ring3_host *host);

#endif
