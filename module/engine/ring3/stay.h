/* SPDX-License-Identifier: GPL-2.0-only */
/* The ring3 engine: what a vCPU has beyond the interpreter's. */
#ifndef GONDOLA_RING3_STAY_H
#define GONDOLA_RING3_STAY_H

#include <linux/types.h>
#include "engine/interp/interp.h"
#include "ring3.h"

/**
 * struct ring3_vcpu - a vCPU whose user code the processor runs
 * @ip: the interpreter, which runs all else, and has the registers
 * @area: of the switcher
 * @root: the top level that ring 3 runs on: the shadow root's lower half, and the areas
 * @user: what a stay takes and gives besides the registers
 * @gdt: what of the guest's GDT the area's was made of, with @cs and @ss
 * @gdt_entries: how many of them; 0: made of none
 * @gdt_wanted: the shadow tables do not have all of the guest's, which must be asked for
 * @gdt_absent: and the guest's tables do not, either
 * @dead: the switcher failed once, and is not used again
 */
struct ring3_vcpu {
	struct interp_vcpu ip;
	struct ring3_area area;
	u64 *root;
	struct ring3_user user;
	u64 gdt[RING3_GDT_ENTRIES];
	unsigned int gdt_entries;
	u16 cs;
	u16 ss;
	bool gdt_wanted;
	bool gdt_absent;
	bool dead;
};

/* The next step after a stay, or where no stay is possible. */
enum ring3_next {
	RING3_LEAVE,		/* ip.exit says why */
	RING3_INTERPRET,	/* on with the interpreter, for as long as it likes */
	RING3_INTERPRET_ONE,	/* the instruction at RIP, then another stay */
	RING3_STAY,		/* nothing is in the way of a stay; ring3_stay() has begun it */
};

/**
 * ring3_stay() - let the processor run user code until something ends it
 * @r3: the mode is known
 * @fault: the exception that the instruction at RIP had, with its error code; vector 0: none
 *
 * Interrupts off.  INTERPRET if the guest is in no state for it.
 */
enum ring3_next ring3_stay(struct ring3_vcpu *r3, struct gondola_event *fault);

/** ring3_leave_page_fault() - the fault that ended a stay, with @error, is one for the run loop */
void ring3_leave_page_fault(struct ring3_vcpu *r3, u64 error);

/** ring3_stay_setup() - learn what this processor has, before the first stay */
void ring3_stay_setup(void);

#endif
