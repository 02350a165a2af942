/* SPDX-License-Identifier: GPL-2.0-only */
/* Does the running kernel allow the use of an engine? */
#ifndef GONDOLA_HOST_KERNEL_VERDICT_H
#define GONDOLA_HOST_KERNEL_VERDICT_H

#include <linux/bits.h>
#include <linux/types.h>

/* CR4.FRED; older kernels have no name for it. */
#define KERNEL_CR4_FRED		BIT_ULL(32)

/**
 * struct kernel_facts - properties of the kernel
 * @preempt_rt: its spinlocks sleep, and ours are taken where sleep is not allowed
 * @fred: FRED delivers events: to pass on an event after VMX's exit needs its entry point for KVM
 */
struct kernel_facts {
	bool preempt_rt;
	bool fred;
};

/**
 * host_kernel_verdict() - find the first obstacle
 * @engine: enum gondola_engine
 * @detail: 64 bytes, written if there is an obstacle
 *
 * GONDOLA_PF_OK or GONDOLA_PF_KERNEL.
 */
u32 host_kernel_verdict(u32 engine, const struct kernel_facts *facts, char *detail);

#endif
