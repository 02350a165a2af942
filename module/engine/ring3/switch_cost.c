// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the parts of a switch take, in ticks of the TSC.  In an emulator that counts instructions it
 * is their number; what LTR, LGDT, MOV CR3 and WRMSR really take only a real processor tells.
 */
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/special_insns.h>
#include <asm/tsc.h>
#include "host/compat.h"
#include "ring3.h"
#include "switch_test.h"

#define ROUNDS	1000

/* The least of many rounds: what an interrupt or a cold cache adds is left out. */
#define COST_AFTER(what, before, code) do {					\
	u64 best = ~0ull, ticks;						\
	int i;									\
										\
	for (i = 0; i < ROUNDS; i++) {						\
		before;								\
		ticks = rdtsc_ordered();					\
		code;								\
		ticks = rdtsc_ordered() - ticks;				\
		best = min(best, ticks);					\
	}									\
	pr_info("ring3: ticks: %6llu %s\n", best, what);			\
} while (0)
#define COST(what, code)	COST_AFTER(what, barrier(), code)

/* From a copy of the host's descriptor that is not marked as busy, as the way back does it. */
static void reload_task(const struct desc_ptr *ours, const struct desc_ptr *host)
{
	native_load_gdt(ours);
	asm volatile("ltr %w0" : : "r" (RING3_HOST_TSS));
	native_load_gdt(host);
}

static void cost_of_instructions(struct ring3_area *area)
{
	struct ring3_context *context = area->context;
	u64 *gdt = (u64 *)(area->base + AREA_GDT);
	struct desc_ptr idt, host_gdt;
	u64 value;

	store_idt(&idt);
	native_store_gdt(&host_gdt);
	COST("nothing", barrier());
	COST("LIDT", native_load_idt(&idt));
	COST("LGDT", native_load_gdt(&host_gdt));
	/* A stay came before: the area's GDT has the descriptor. */
	COST_AFTER("LGDT, LTR, LGDT", gdt[RING3_HOST_TSS / 8] &= ~BIT_ULL(41),
		   reload_task(&context->gdtr, &host_gdt));
	COST_AFTER("MOV CR3", value = __native_read_cr3(), native_write_cr3(value));
	COST("RDMSR of LSTAR", rdmsrq(MSR_LSTAR, value));
	rdmsrq(MSR_LSTAR, value);
	COST("WRMSR of LSTAR", wrmsrq(MSR_LSTAR, value));
	rdmsrq(MSR_KERNEL_GS_BASE, value);
	COST("WRMSR of KERNEL_GS_BASE", wrmsrq(MSR_KERNEL_GS_BASE, value));
	COST("SWAPGS, SWAPGS", asm volatile("swapgs; swapgs"));
}

void switch_cost(struct ring3_area *area, void (*begin)(void *guest), void (*stay)(void *guest),
		 void *guest)
{
	local_irq_disable();
	begin(guest);
	stay(guest);
	ring3_put(area);
	cost_of_instructions(area);
	COST_AFTER("a stay that ends by SYSCALL, the vCPU put each time", begin(guest),
		   stay(guest); ring3_put(area));
	COST_AFTER("a stay that ends by SYSCALL", begin(guest), stay(guest));
	ring3_put(area);
	local_irq_enable();
}
