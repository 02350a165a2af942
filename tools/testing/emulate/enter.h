/* SPDX-License-Identifier: GPL-2.0-only */
/* enter.S: one instruction on the processor. */
#ifndef ENTER_H
#define ENTER_H

#include <linux/types.h>
#include "x86/regs.h"

/* enter.S knows the offsets. */
struct state {
	struct gondola_regs regs;
	u64 xmm[4][2];
};

extern struct state native_in, native_out;
extern bool native_taken;		/* it branched to form->taken */

void native_enter(const void *insn);
void native_abort(void);

#endif
