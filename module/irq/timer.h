/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The timers of the interrupt room: hrtimers in the module, a clock moved by hand in tests
 * (test_host.c).
 */
#ifndef GONDOLA_IRQ_TIMER_H
#define GONDOLA_IRQ_TIMER_H

#include <linux/hrtimer.h>
#include <linux/types.h>
#include "vm.h"

/**
 * struct irq_timer - a timer that fires once, at a time of gondola_host_ns()
 * @hrtimer: the host's
 * @fired: called in hardirq context; may start the timer again
 *
 * The timer may be stopped or started again while @fired is running.  So @fired must check that it
 * is still due, by its owner's own record.
 */
struct irq_timer {
	struct hrtimer hrtimer;
	void (*fired)(struct irq_timer *timer);
};

void irq_timer_init(struct irq_timer *timer, void (*fired)(struct irq_timer *timer));
/** irq_timer_start() - fire at @ns, or at once if that is past, and not at the time set before */
void irq_timer_start(struct irq_timer *timer, u64 ns);
/** irq_timer_stop() - do not fire any more; does not wait for a running call */
void irq_timer_stop(struct irq_timer *timer);
/** irq_timer_destroy() - stop, and wait for a running call; hold no lock that @fired takes */
void irq_timer_destroy(struct irq_timer *timer);

/** irq_timer_start_vm() - irq_timer_start() at @ns of the VM's time; not while its clock is stopped */
static inline void irq_timer_start_vm(const struct gondola_vm *vm, struct irq_timer *timer,
				      u64 ns)
{
	if (gondola_vm_clock_host_ns(vm, ns, &ns))
		irq_timer_start(timer, ns);
}

#endif
