/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The timers of the interrupt room: hrtimers in the module; in the tests the
 * clock only moves when told to (test_host.c).
 */
#ifndef GONDOLA_IRQ_TIMER_H
#define GONDOLA_IRQ_TIMER_H

#include <linux/hrtimer.h>
#include <linux/types.h>
#include "vm.h"

/**
 * struct irq_timer - fires once, at a time of gondola_host_ns()
 * @hrtimer: the host's
 * @fired: called in hardirq context; may start the timer again
 *
 * A call to @fired may already be under way while the timer is stopped or
 * started anew, so @fired checks, against its owner's own record of when the
 * timer is due, that it still means something.
 */
struct irq_timer {
	struct hrtimer hrtimer;
	void (*fired)(struct irq_timer *timer);
};

void irq_timer_init(struct irq_timer *timer, void (*fired)(struct irq_timer *timer));
/** irq_timer_start() - fire at @ns, or at once if that is past; replaces what was set */
void irq_timer_start(struct irq_timer *timer, u64 ns);
/** irq_timer_stop() - fire no more, except for a call under way; never waits */
void irq_timer_stop(struct irq_timer *timer);
/** irq_timer_destroy() - stop, and wait for a call under way; no lock that @fired takes is held */
void irq_timer_destroy(struct irq_timer *timer);

/** irq_timer_start_vm() - irq_timer_start() at @ns of the VM's time; not while it stands */
static inline void irq_timer_start_vm(const struct gondola_vm *vm, struct irq_timer *timer,
				      u64 ns)
{
	if (gondola_vm_clock_host_ns(vm, ns, &ns))
		irq_timer_start(timer, ns);
}

#endif
