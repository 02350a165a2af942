/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's CPUID and XCR0; tests supply their own. */
#ifndef GONDOLA_HOST_CPU_H
#define GONDOLA_HOST_CPU_H

#include <linux/types.h>

void gondola_host_cpuid(u32 function, u32 index, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
/** gondola_host_tcg() - is the processor QEMU's emulator? */
bool gondola_host_tcg(void);
/** gondola_host_xcr0() - get the state components that the host kernel enabled; 0 without XSAVE */
u64 gondola_host_xcr0(void);
/** gondola_host_tsc_steady() - does the host use its TSC as a clock, on all processors? */
bool gondola_host_tsc_steady(void);
/** gondola_host_tsc_invariant() - is the rate of the host's TSC fixed by design? */
bool gondola_host_tsc_invariant(void);

#endif
