/* SPDX-License-Identifier: GPL-2.0-only */
/* The decision whether guests may run in ring 3 here.  Pure. */
#ifndef GONDOLA_RING3_PREFLIGHT_H
#define GONDOLA_RING3_PREFLIGHT_H

#include <linux/types.h>

/**
 * struct ring3_facts - what was found on this machine
 * @nx: the kernel uses no-execute pages
 * @la57: CR4.LA57: tables of five levels
 * @fred: CR4.FRED: exceptions do not go through the IDT
 * @xen_pv: the host itself runs in ring 3, or 1
 * @encrypted: memory is encrypted, or hidden from a hypervisor
 * @no_bhb: the processor needs its branch history cleared, and the kernel keeps the code to itself
 * @slot_taken: something uses the top-level entry that the switcher needs
 */
struct ring3_facts {
	bool nx;
	bool la57;
	bool fred;
	bool xen_pv;
	bool encrypted;
	bool no_bhb;
	bool slot_taken;
};

/**
 * ring3_verdict() - can guests run in ring 3 here?
 * @facts: of this machine
 * @detail: 64 bytes, for what the reason does not say
 *
 * Returns enum gondola_preflight_reason.
 */
u32 ring3_verdict(const struct ring3_facts *facts, char *detail);

/**
 * ring3_find_facts() - look at this processor
 * @facts: what is found
 */
void ring3_find_facts(struct ring3_facts *facts);

#endif
