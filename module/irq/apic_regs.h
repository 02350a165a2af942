/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers of the local APIC and the I/O APIC, by their names in the manuals
 * ("Advanced Programmable Interrupt Controller", "82093AA I/O APIC").
 */
#ifndef GONDOLA_IRQ_APIC_REGS_H
#define GONDOLA_IRQ_APIC_REGS_H

#include <linux/bits.h>

/* Offsets in the xAPIC page; an x2APIC register's MSR is 0x800 + offset / 16. */
#define LAPIC_ID		0x020
#define LAPIC_VERSION		0x030
#define LAPIC_TPR		0x080
#define LAPIC_APR		0x090
#define LAPIC_PPR		0x0a0
#define LAPIC_EOI		0x0b0
#define LAPIC_LDR		0x0d0
#define LAPIC_DFR		0x0e0
#define LAPIC_SVR		0x0f0
#define LAPIC_ISR		0x100
#define LAPIC_TMR		0x180
#define LAPIC_IRR		0x200
#define LAPIC_IRR_END		0x280
#define LAPIC_ESR		0x280
#define LAPIC_ICR		0x300
#define LAPIC_ICR2		0x310
#define LAPIC_LVT		0x320	/* the timer's; the others follow */
#define LAPIC_LVT_LAST		0x370
#define LAPIC_TMICT		0x380
#define LAPIC_TMCCT		0x390
#define LAPIC_TDCR		0x3e0
#define LAPIC_SELF_IPI		0x3f0

#define LAPIC_DEFAULT_BASE	0xfee00000ull
/* Integrated APIC, six LVT entries, no suppression of EOI broadcasts. */
#define LAPIC_VERSION_VALUE	(0x14u | (5u << 16))

#define LAPIC_SVR_ENABLE	BIT(8)
#define LAPIC_SVR_WRITABLE	0x3ffu
#define LAPIC_DFR_FLAT		0xffffffffu
#define LAPIC_DFR_CLUSTER	0x0fffffffu

#define LAPIC_ESR_SEND_VECTOR	BIT(5)
#define LAPIC_ESR_RECV_VECTOR	BIT(6)
#define LAPIC_ESR_REGISTER	BIT(7)

/* Local vector table, in the order of the registers. */
enum apic_lvt {
	LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, NR_LVTS
};
#define LVT_VECTOR		0xffu
#define LVT_MODE		GENMASK(10, 8)
#define LVT_STATUS		BIT(12)
#define LVT_POLARITY		BIT(13)
#define LVT_REMOTE_IRR		BIT(14)
#define LVT_LEVEL		BIT(15)
#define LVT_MASKED		BIT(16)
#define LVT_TIMER_MODE		GENMASK(18, 17)
#define LVT_TIMER_ONE_SHOT	0u
#define LVT_TIMER_PERIODIC	BIT(17)
#define LVT_TIMER_DEADLINE	BIT(18)

/* Delivery modes of LVT, ICR and redirection entries. */
enum apic_delivery {
	DELIVER_FIXED, DELIVER_LOWEST, DELIVER_SMI, DELIVER_RESERVED,
	DELIVER_NMI, DELIVER_INIT, DELIVER_SIPI, DELIVER_EXTINT
};
#define DELIVERY_SHIFT		8

#define ICR_VECTOR		0xffu
#define ICR_MODE		GENMASK(10, 8)
#define ICR_LOGICAL		BIT(11)
#define ICR_STATUS		BIT(12)
#define ICR_ASSERT		BIT(14)
#define ICR_LEVEL		BIT(15)
#define ICR_SHORTHAND		GENMASK(19, 18)
#define ICR_SHORTHAND_SHIFT	18
#define ICR_WRITABLE		(ICR_VECTOR | ICR_MODE | ICR_LOGICAL | ICR_ASSERT | ICR_LEVEL | \
				 ICR_SHORTHAND)
enum apic_shorthand { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };

#define TDCR_WRITABLE		0x0bu

/* I/O APIC */
#define IOAPIC_BASE		0xfec00000ull
#define IOAPIC_PINS		24u
#define IOAPIC_SELECT		0x00	/* in the memory page */
#define IOAPIC_WINDOW		0x10
#define IOAPIC_REG_ID		0x00	/* by number in the select register */
#define IOAPIC_REG_VERSION	0x01
#define IOAPIC_REG_ARBITRATION	0x02
#define IOAPIC_REG_REDIRECT	0x10
#define IOAPIC_VERSION_VALUE	(0x11u | ((IOAPIC_PINS - 1) << 16))
#define IOAPIC_ID_BITS		0x0f000000u

#define REDIR_VECTOR		0xffull
#define REDIR_MODE		GENMASK_ULL(10, 8)
#define REDIR_LOGICAL		BIT_ULL(11)
#define REDIR_STATUS		BIT_ULL(12)
#define REDIR_POLARITY		BIT_ULL(13)
#define REDIR_REMOTE_IRR	BIT_ULL(14)
#define REDIR_LEVEL		BIT_ULL(15)
#define REDIR_MASKED		BIT_ULL(16)
#define REDIR_DEST_SHIFT	56
#define REDIR_READ_ONLY		(REDIR_STATUS | REDIR_REMOTE_IRR)
#define REDIR_DEFINED		(GENMASK_ULL(63, 56) | GENMASK_ULL(16, 0))

#endif
