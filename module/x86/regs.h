/* SPDX-License-Identifier: GPL-2.0-only */
/* The general registers of a vCPU.  A header of their own, because the pure core needs no more. */
#ifndef GONDOLA_X86_REGS_H
#define GONDOLA_X86_REGS_H

#include <linux/types.h>
#include "x86.h"

/* In the order of struct gondola_rec_regs; the entry assembly uses the offsets. */
struct gondola_regs {
	u64 gpr[NR_GPRS];
	u64 rip;
	u64 rflags;
};

#endif
