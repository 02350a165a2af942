// SPDX-License-Identifier: GPL-2.0-only
/* Timers by the host's hrtimers. */
#include <linux/hrtimer.h>
#include "host/compat.h"
#include "timer.h"

static enum hrtimer_restart run(struct hrtimer *hrtimer)
{
	struct irq_timer *timer = container_of(hrtimer, struct irq_timer, hrtimer);

	/* Owners restart the timer themselves, under their lock, by hrtimer_start() in the callback. */
	timer->fired(timer);
	return HRTIMER_NORESTART;
}

void irq_timer_init(struct irq_timer *timer, void (*fired)(struct irq_timer *timer))
{
	/* The clock of gondola_host_ns(). */
	hrtimer_setup(&timer->hrtimer, run, CLOCK_BOOTTIME, HRTIMER_MODE_ABS_PINNED_HARD);
	timer->fired = fired;
}

void irq_timer_start(struct irq_timer *timer, u64 ns)
{
	/* Pinned: the vCPU's own processor takes the interrupt, which serves as the kick. */
	hrtimer_start(&timer->hrtimer, ns_to_ktime(ns), HRTIMER_MODE_ABS_PINNED_HARD);
}

void irq_timer_stop(struct irq_timer *timer)
{
	if (hrtimer_active(&timer->hrtimer))
		hrtimer_try_to_cancel(&timer->hrtimer);
}

void irq_timer_destroy(struct irq_timer *timer)
{
	hrtimer_cancel(&timer->hrtimer);
}
