/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupt controllers and timers: local APIC, I/O APIC, PIC, PIT, and the routing between them.
 *
 * Locks are spinlocks, since timers call in from hrtimer context.  Order: the lock of the PIT; of
 * lines, PIC and I/O APIC; of a LAPIC.  gondola_vcpu_kick() may be called with them held, and takes
 * none of them.
 *
 * Policy for ticks: a period that ends while the last tick is still pending, or while the host is
 * late, is merged with it, as on hardware.  Periods have lower bounds (LAPIC 20 us, PIT 100 us);
 * shorter ones run at the bound.
 */
#ifndef GONDOLA_IRQ_H
#define GONDOLA_IRQ_H

#include <linux/types.h>
#include <uapi/linux/gondola.h>
#include "record.h"
#include "x86/x86.h"

struct gondola_vm;
struct gondola_vcpu;

/* Counts per second of a LAPIC timer with divisor 1.  If CPUID has the rate, it must be this one. */
#define GONDOLA_LAPIC_HZ	1000000000u

/*
 * Life: the irqchip is created before the first LAPIC and, since its timer delivers, destroyed
 * before any LAPIC.  A vCPU appears in vm->vcpus[] with its LAPIC.  vCPU 0 starts in the state that
 * firmware leaves (virtual wire mode), the others wait for a start-up IPI.
 */
int gondola_irqchip_create(struct gondola_vm *vm);	/* PIC, I/O APIC, PIT */
void gondola_irqchip_destroy(struct gondola_vm *vm);
int gondola_lapic_create(struct gondola_vcpu *vcpu);
void gondola_lapic_destroy(struct gondola_vcpu *vcpu);

/* The sources of a line; a line is high while any source holds it high. */
enum gondola_irq_source {
	GONDOLA_IRQ_LAUNCHER, GONDOLA_IRQ_PIT, GONDOLA_IRQ_EVENTFD, GONDOLA_IRQ_SOURCES
};

/** gondola_irq_set_line() - set a source of a line; any context; @gsi < GONDOLA_NR_GSI */
void gondola_irq_set_line(struct gondola_vm *vm, u32 gsi, enum gondola_irq_source source,
			  bool level);

/**
 * gondola_irq_pio() - offer a port access to the chips
 * @val: in (write) or out (read)
 *
 * Returns false if no chip claims the port.
 */
bool gondola_irq_pio(struct gondola_vcpu *vcpu, u16 port, unsigned int bytes, bool write, u32 *val);
/**
 * gondola_irq_mmio() - offer an access to up to 8 bytes of memory to LAPIC and I/O APIC
 *
 * 0; -ENXIO: neither is there; -EAGAIN: memory is missing, repeat the access.
 */
int gondola_irq_mmio(struct gondola_vcpu *vcpu, u64 gpa, unsigned int bytes, bool write, void *data);

/** gondola_irq_pending() - would the vCPU take an interrupt with RFLAGS.IF set?  Cheap. */
bool gondola_irq_pending(struct gondola_vcpu *vcpu);
/**
 * gondola_irq_ack() - acknowledge the interrupt: returns the vector, or -1 if there is none any
 * more
 *
 * -1 also while a paravirtual EOI is offered (vcpu->eoi_offered): collect that first.
 */
int gondola_irq_ack(struct gondola_vcpu *vcpu);
/**
 * gondola_irq_take_back() - request the acknowledged interrupt again, since the guest did not take
 * it
 *
 * Called before the guest runs on and before the next acknowledge.  Returns false if nothing was
 * acknowledged here, because the vector came with a saved state.
 */
bool gondola_irq_take_back(struct gondola_vcpu *vcpu);
/** gondola_irq_forget_ack() - forget the acknowledged interrupt: a saved state replaces it */
void gondola_irq_forget_ack(struct gondola_vcpu *vcpu);
/**
 * gondola_lapic_offer_eoi() - paravirtual EOI: spare the guest the write, if nothing depends on it
 *
 * Called after gondola_irq_ack(); interrupts may be off.
 */
void gondola_lapic_offer_eoi(struct gondola_vcpu *vcpu);
/**
 * gondola_lapic_collect_eoi() - see whether the guest used the offer, and do the EOI
 *
 * The vCPU's thread calls it while vcpu->eoi_offered, before it looks at interrupts.  0, or
 * -EAGAIN: memory is missing, call again.
 */
int gondola_lapic_collect_eoi(struct gondola_vcpu *vcpu);
/** gondola_lapic_set_pv_eoi() - set the address of the guest's bit; 0, -EINVAL, or -EAGAIN as above */
int gondola_lapic_set_pv_eoi(struct gondola_vcpu *vcpu, u64 value);
/** gondola_lapic_restore_pv_eoi() - the same for a saved state, even if the page is no memory now */
int gondola_lapic_restore_pv_eoi(struct gondola_vcpu *vcpu, u64 value);

/** enum gondola_startup - requests by INIT and start-up IPIs */
enum gondola_startup {
	GONDOLA_STARTUP_NONE,
	GONDOLA_STARTUP_INIT,	/* take the state after INIT; then stop, if waiting */
	GONDOLA_STARTUP_SIPI,	/* run from @vector << 12 in real mode */
};

/**
 * gondola_lapic_take_startup() - for the vCPU's thread, after GONDOLA_REQ_EVENT: take a request
 *
 * Call until it returns NONE; cheap if there is no request.
 */
enum gondola_startup gondola_lapic_take_startup(struct gondola_vcpu *vcpu, u8 *vector);
/** gondola_lapic_waiting() - does the vCPU wait for a start-up IPI?  If so, it must not run. */
bool gondola_lapic_waiting(struct gondola_vcpu *vcpu);

/**
 * gondola_lapic_send_ipis() - send one interrupt command to many vCPUs, for a hypercall
 * @whom: bitmap of APIC ids; bit 0 is @first
 * @bits: size of @whom
 *
 * Returns the number of vCPUs that took it, or -EINVAL: neither a fixed vector nor an NMI.
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
/** gondola_lapic_timer_fired() - handle GONDOLA_REQ_TIMER, in the vCPU's thread */
void gondola_lapic_timer_fired(struct gondola_vcpu *vcpu);
/** gondola_lapic_rearm() - arm the timer again, after a change of the TSC offset */
void gondola_lapic_rearm(struct gondola_vcpu *vcpu);
/** gondola_lapic_cpuid_changed() - note whether the new CPUID offers x2APIC and TSC deadline */
void gondola_lapic_cpuid_changed(struct gondola_vcpu *vcpu, bool x2apic, bool tsc_deadline);

extern const struct gondola_record_row gondola_lapic_record, gondola_pic_record,
	gondola_ioapic_record, gondola_pit_record;
/** gondola_pit_clock_changed() - stop or start the PIT's timer with the VM's clock */
void gondola_pit_clock_changed(struct gondola_vm *vm);

#endif
