/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupt controllers and timers in the module: local APIC, I/O APIC, PIC,
 * PIT, and what routes between them.
 *
 * Locks: each chip has its own spinlock (irqs may be off: timers call in from
 * hrtimer context); order: PIT, then PIC or I/O APIC, then LAPIC.  None is held
 * when gondola_vcpu_kick() is called only if stated: kick takes no lock of ours.
 */
#ifndef GONDOLA_IRQ_H
#define GONDOLA_IRQ_H

#include <linux/types.h>
#include <uapi/linux/gondola.h>
#include <uapi/linux/gondola_state.h>

struct gondola_vm;
struct gondola_vcpu;

int gondola_irqchip_create(struct gondola_vm *vm);	/* PIC, I/O APIC, PIT */
void gondola_irqchip_destroy(struct gondola_vm *vm);
int gondola_lapic_create(struct gondola_vcpu *vcpu);	/* in its reset state */
void gondola_lapic_destroy(struct gondola_vcpu *vcpu);

/* Who drives a line; a line is high while any source holds it high. */
enum gondola_irq_source {
	GONDOLA_IRQ_LAUNCHER, GONDOLA_IRQ_PIT, GONDOLA_IRQ_SOURCES
};

/** gondola_irq_set_line() - any context; @gsi < GONDOLA_NR_GSI */
void gondola_irq_set_line(struct gondola_vm *vm, u32 gsi, enum gondola_irq_source source,
			  bool level);

/**
 * gondola_irq_pio() - a port access that may be for a chip in the module
 * @val: in (write) or out (read)
 *
 * Returns false if no chip claims the port.
 */
bool gondola_irq_pio(struct gondola_vcpu *vcpu, u16 port, unsigned int bytes, bool write, u32 *val);
/** gondola_irq_mmio() - likewise for memory: LAPIC page (at the vCPU's APIC base) and I/O APIC */
bool gondola_irq_mmio(struct gondola_vcpu *vcpu, u64 gpa, unsigned int bytes, bool write, void *data);

/** gondola_irq_pending() - is there an interrupt that the vCPU would take with RFLAGS.IF set? Cheap. */
bool gondola_irq_pending(struct gondola_vcpu *vcpu);
/** gondola_irq_ack() - accept it: returns the vector, or -1 if it went away */
int gondola_irq_ack(struct gondola_vcpu *vcpu);
/** gondola_irq_next_is_above_tpr() - part of pending; CR8 writes need no more than GONDOLA_REQ_EVENT */

/* MSRs: APIC_BASE, TSC_DEADLINE, x2APIC's. 0, -ENOENT (not one of these) or -EINVAL (#GP). */
int gondola_lapic_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value);
int gondola_lapic_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);
u64 gondola_lapic_cr8(struct gondola_vcpu *vcpu);
void gondola_lapic_set_cr8(struct gondola_vcpu *vcpu, u64 cr8);
/** gondola_lapic_timer_fired() - the vCPU's thread handles GONDOLA_REQ_TIMER */
void gondola_lapic_timer_fired(struct gondola_vcpu *vcpu);
/** gondola_lapic_vcpu_moved() - the TSC offset changed or state was set: arm the timer again */
void gondola_lapic_rearm(struct gondola_vcpu *vcpu);
/** gondola_lapic_set_apicv_cpuid() - CPUID was set: learn whether x2APIC and TSC deadline are offered */
void gondola_lapic_cpuid_changed(struct gondola_vcpu *vcpu, bool x2apic, bool tsc_deadline);

/* State records (state.c calls these). 0 or -EINVAL with *@bad the offset of the bad field. */
int gondola_lapic_get(struct gondola_vcpu *vcpu, struct gondola_rec_lapic *rec);
int gondola_lapic_set(struct gondola_vcpu *vcpu, const struct gondola_rec_lapic *rec, u32 *bad);
int gondola_pic_get(struct gondola_vm *vm, struct gondola_rec_pic *rec);
int gondola_pic_set(struct gondola_vm *vm, const struct gondola_rec_pic *rec, u32 *bad);
int gondola_ioapic_get(struct gondola_vm *vm, struct gondola_rec_ioapic *rec);
int gondola_ioapic_set(struct gondola_vm *vm, const struct gondola_rec_ioapic *rec, u32 *bad);
int gondola_pit_get(struct gondola_vm *vm, struct gondola_rec_pit *rec);
int gondola_pit_set(struct gondola_vm *vm, const struct gondola_rec_pit *rec, u32 *bad);

#endif
