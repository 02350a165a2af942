/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the suites of the interrupt room: a VM with vCPUs that only collect requests, and a clock
 * that moves on command.  The TSC follows that clock.
 */
#ifndef GONDOLA_IRQ_TEST_HOST_H
#define GONDOLA_IRQ_TEST_HOST_H

#include <kunit/test.h>
#include "irqchip.h"
#include "lapic.h"

/** irq_test_advance() - let time pass, and fire timers in order */
void irq_test_advance(u64 ns);
/*
 * Called once at the next call out of the room, as another thread would run: after the host's clock
 * or TSC was read, or when a timer is stopped.
 */
extern void (*gondola_test_meanwhile)(void);
/** irq_test_step - advance of clock and TSC at each reading; tests set it to 0 again */
extern u64 irq_test_step;
/** irq_test_kicked - bit i: vCPU i was kicked with a request set; tests clear it */
extern u32 irq_test_kicked;
/** irq_test_timers() - number of armed timers */
unsigned int irq_test_timers(void);

/** irq_test_vm() - make a new VM with @nr vCPUs that offers all features */
struct gondola_vm *irq_test_vm(struct kunit *test, unsigned int nr);
void irq_test_exit(struct kunit *test);

u32 irq_test_mmio_read(struct gondola_vcpu *vcpu, u64 gpa);
void irq_test_mmio_write(struct gondola_vcpu *vcpu, u64 gpa, u32 val);
u8 irq_test_in(struct gondola_vcpu *vcpu, u16 port);
void irq_test_out(struct gondola_vcpu *vcpu, u16 port, u8 val);

static inline u32 lapic_in(struct gondola_vcpu *vcpu, u32 reg)
{
	return irq_test_mmio_read(vcpu, LAPIC_DEFAULT_BASE + reg);
}

static inline void lapic_out(struct gondola_vcpu *vcpu, u32 reg, u32 val)
{
	irq_test_mmio_write(vcpu, LAPIC_DEFAULT_BASE + reg, val);
}

/** irq_test_take() - acknowledge as the vCPU would now: a vector, or -1 */
static inline int irq_test_take(struct gondola_vcpu *vcpu)
{
	return gondola_irq_pending(vcpu) ? gondola_irq_ack(vcpu) : -1;
}

/** irq_test_run_requests() - handle the timer's requests, as the run loop does */
static inline void irq_test_run_requests(struct gondola_vcpu *vcpu)
{
	if (gondola_take_request(vcpu, GONDOLA_REQ_TIMER))
		gondola_lapic_timer_fired(vcpu);
}

#endif
