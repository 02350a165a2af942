/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's LDT across a world switch.
 *
 * An exit leaves the processor without an LDT on all engines, since the kernel uses none.  When the
 * vCPU is put, the thread's own is loaded by its selector, so that the descriptor comes from the
 * GDT. A descriptor that an engine had saved could be stale: another thread's modify_ldt()
 * interrupts this processor, writes the new table's descriptor there, and frees the old table.
 */
#ifndef GONDOLA_ENGINE_HOST_LDT_H
#define GONDOLA_ENGINE_HOST_LDT_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/desc.h>

/** engine_host_ldt() - for vcpu_load(): the selector of the thread's LDT, or 0 */
static inline u16 engine_host_ldt(void)
{
	u16 ldt;

	store_ldt(ldt);
	return ldt;
}

/**
 * engine_host_ldt_enter() - unload the LDT, right before an entry; interrupts off
 * @ldt: the vCPU's note of the selector
 *
 * After the first exit none is loaded, unless an interrupt has loaded one since.
 */
static __always_inline void engine_host_ldt_enter(u16 *ldt)
{
	u16 now = engine_host_ldt();

	if (unlikely(now))
		*ldt = now;
}

/** engine_host_ldt_put() - for vcpu_put(), if the guest ran: load the LDT again */
static inline void engine_host_ldt_put(u16 ldt)
{
	if (unlikely(ldt))
		asm volatile("lldt %0" : : "r" (ldt));
}

#endif
