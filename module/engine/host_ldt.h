/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's LDT across a world switch.
 *
 * An exit leaves the processor without an LDT, on all engines: the kernel uses none.  The thread
 * gets its own back when the vCPU is put, by the selector, so that the descriptor is read from the
 * GDT.  Another thread's modify_ldt() interrupts this processor before it frees the table, and
 * writes the new one's descriptor there; what an engine had saved itself would be the old one.
 */
#ifndef GONDOLA_ENGINE_HOST_LDT_H
#define GONDOLA_ENGINE_HOST_LDT_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/desc.h>

/** engine_host_ldt() - vcpu_load(): the selector, 0 if the thread has no LDT */
static inline u16 engine_host_ldt(void)
{
	u16 ldt;

	store_ldt(ldt);
	return ldt;
}

/**
 * engine_host_ldt_enter() - right before an entry, interrupts off
 * @ldt: the vCPU's note of the selector
 *
 * After the first exit there is none, unless an interrupt has loaded one since.
 */
static __always_inline void engine_host_ldt_enter(u16 *ldt)
{
	u16 now = engine_host_ldt();

	if (unlikely(now))
		*ldt = now;
}

/** engine_host_ldt_put() - vcpu_put(), after the guest ran: load it again */
static inline void engine_host_ldt_put(u16 ldt)
{
	if (unlikely(ldt))
		asm volatile("lldt %0" : : "r" (ldt));
}

#endif
