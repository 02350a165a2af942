/* SPDX-License-Identifier: GPL-2.0-only */
/* enter.S: one instruction on the processor. */
#ifndef ENTER_H
#define ENTER_H

#include <linux/types.h>
#include "emulate/emulate.h"
#include "x86/regs.h"

/* enter.S knows the offsets. */
struct state {
	struct gondola_regs regs;
	struct gondola_fxsave fx;
};

extern struct state native_in, native_out;
extern bool native_taken;		/* it branched to form->taken */

/* @code32: it is code of 32 bits, and leaves to code of 64 bits. */
void native_enter(const void *insn, bool code32);
void native_abort(void);

#endif
