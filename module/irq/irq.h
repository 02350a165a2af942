/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupt controllers and timers in the module: local APIC, I/O APIC, PIC,
 * PIT, and what routes between them.
 *
 * Locks are spinlocks (irqs may be off: timers call in from hrtimer context).
 * Order: the PIT's, that of the lines with PIC and I/O APIC, a LAPIC's.  They may be
 * held when gondola_vcpu_kick() is called, which takes no lock of ours.
 *
 * Policy for ticks: a period that passes while the one before is still
 * pending, or while the host is late, merges with it, as on hardware.  Periods
 * have lower bounds (LAPIC 20 us, PIT 100 us); shorter ones run at the bound.
 */
#ifndef GONDOLA_IRQ_H
#define GONDOLA_IRQ_H

#include <linux/types.h>
#include <uapi/linux/gondola.h>
#include "record.h"
#include "x86/x86.h"

struct gondola_vm;
struct gondola_vcpu;

/* Counts a second of a LAPIC timer with divisor 1; CPUID, where it tells, must tell this. */
#define GONDOLA_LAPIC_HZ	1000000000u

/*
 * Life: irqchip before the first LAPIC is created and (its timer delivers)
 * destroyed before any LAPIC is.  A vCPU appears in vm->vcpus[] with its LAPIC.
 * vCPU 0 starts as firmware leaves it (virtual wire mode), the others wait for
 * a start-up IPI.
 */
int gondola_irqchip_create(struct gondola_vm *vm);	/* PIC, I/O APIC, PIT */
void gondola_irqchip_destroy(struct gondola_vm *vm);
int gondola_lapic_create(struct gondola_vcpu *vcpu);
void gondola_lapic_destroy(struct gondola_vcpu *vcpu);

/* The sources of a line; a line is high while any source holds it high. */
enum gondola_irq_source {
	GONDOLA_IRQ_LAUNCHER, GONDOLA_IRQ_PIT, GONDOLA_IRQ_EVENTFD, GONDOLA_IRQ_SOURCES
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
/**
 * gondola_irq_mmio() - likewise for up to 8 bytes of memory: LAPIC (at its base) and I/O APIC
 *
 * 0; -ENXIO: there is neither; -EAGAIN: memory is missing, it is to be done again.
 */
int gondola_irq_mmio(struct gondola_vcpu *vcpu, u64 gpa, unsigned int bytes, bool write, void *data);

/** gondola_irq_pending() - is there an interrupt that the vCPU would take with RFLAGS.IF set? Cheap. */
bool gondola_irq_pending(struct gondola_vcpu *vcpu);
/**
 * gondola_irq_ack() - accept it: returns the vector, or -1 if it went away
 *
 * -1 also while a paravirtual EOI is offered (vcpu->eoi_offered): collect that first.
 */
int gondola_irq_ack(struct gondola_vcpu *vcpu);
/**
 * gondola_irq_take_back() - the guest did not take what gondola_irq_ack() gave: request it again
 *
 * Before the guest runs on, or anything else is acknowledged.  Returns false if there is nothing
 * that was acknowledged here: the vector came with a saved state.
 */
bool gondola_irq_take_back(struct gondola_vcpu *vcpu);
/** gondola_irq_forget_ack() - a saved state says what is to be delivered */
void gondola_irq_forget_ack(struct gondola_vcpu *vcpu);
/**
 * gondola_lapic_offer_eoi() - paravirtual EOI: spare the guest the write, if nothing waits for it
 *
 * After gondola_irq_ack(); interrupts may be off.
 */
void gondola_lapic_offer_eoi(struct gondola_vcpu *vcpu);
/**
 * gondola_lapic_collect_eoi() - has the guest done with what was offered?
 *
 * The vCPU's thread, when vcpu->eoi_offered, before it looks at interrupts.  0, or -EAGAIN: memory
 * is missing, it is to be asked again.
 */
int gondola_lapic_collect_eoi(struct gondola_vcpu *vcpu);
/** gondola_lapic_set_pv_eoi() - the guest says where its bit is; 0, -EINVAL, or -EAGAIN as above */
int gondola_lapic_set_pv_eoi(struct gondola_vcpu *vcpu, u64 value);
/** gondola_lapic_restore_pv_eoi() - it said so once, whatever has become of that page; likewise */
int gondola_lapic_restore_pv_eoi(struct gondola_vcpu *vcpu, u64 value);

/** enum gondola_startup - what INIT and start-up IPIs ask of a vCPU */
enum gondola_startup {
	GONDOLA_STARTUP_NONE,
	GONDOLA_STARTUP_INIT,	/* take the state after INIT (the LAPIC has); then, if waiting, stop */
	GONDOLA_STARTUP_SIPI,	/* run from @vector << 12 in real mode */
};

/**
 * gondola_lapic_take_startup() - the vCPU's thread asks, after GONDOLA_REQ_EVENT
 *
 * Call until it returns NONE; cheap when nothing came.
 */
enum gondola_startup gondola_lapic_take_startup(struct gondola_vcpu *vcpu, u8 *vector);
/** gondola_lapic_waiting() - does the vCPU wait for a start-up IPI? Then it must not run. */
bool gondola_lapic_waiting(struct gondola_vcpu *vcpu);

/**
 * gondola_lapic_send_ipis() - one interrupt command for many, as a hypercall has it
 * @whom: a bitmap of APIC ids, bit 0 is @first
 * @bits: how many
 *
 * Returns how many took it, or -EINVAL: neither a fixed vector nor an NMI.
 */
int gondola_lapic_send_ipis(struct gondola_vcpu *from, const unsigned long *whom,
			    unsigned int bits, u32 first, u32 icr);

/* MSRs: APIC_BASE, TSC_DEADLINE, x2APIC's. 0, -ENOENT (not one of these) or -EINVAL (#GP). */
int gondola_lapic_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value);
int gondola_lapic_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value);
/** gondola_lapic_restore_base() - set APIC_BASE from saved state: any valid value, from any mode */
int gondola_lapic_restore_base(struct gondola_vcpu *vcpu, u64 base);
u64 gondola_lapic_cr8(struct gondola_vcpu *vcpu);
void gondola_lapic_set_cr8(struct gondola_vcpu *vcpu, u64 cr8);
/** gondola_lapic_timer_fired() - the vCPU's thread handles GONDOLA_REQ_TIMER */
void gondola_lapic_timer_fired(struct gondola_vcpu *vcpu);
/** gondola_lapic_rearm() - the TSC offset changed: arm the timer again before the next entry */
void gondola_lapic_rearm(struct gondola_vcpu *vcpu);
/** gondola_lapic_cpuid_changed() - CPUID was set: learn whether x2APIC and TSC deadline are offered */
void gondola_lapic_cpuid_changed(struct gondola_vcpu *vcpu, bool x2apic, bool tsc_deadline);

extern const struct gondola_record_row gondola_lapic_record, gondola_pic_record,
	gondola_ioapic_record, gondola_pit_record;
/** gondola_pit_clock_changed() - the VM's clock stands or goes on: so does the PIT's timer */
void gondola_pit_clock_changed(struct gondola_vm *vm);

#endif
