// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC's timer.  It counts nanoseconds (GONDOLA_LAPIC_HZ).
 *
 * The host's timer only wakes the vCPU's thread, by GONDOLA_REQ_TIMER.  The thread injects and arms
 * the next period.  So a timer does not race with the registers, a vCPU that does not run costs no
 * interrupts, and periods that end meanwhile merge into one interrupt, as in IRR.
 *
 * Before a register changes, expiries so far are handled by the old registers.  The new expiry is
 * computed from the same reading of the clock, so it is not lost if the host's timer is set late.
 */
#include <linux/math64.h>
#include <linux/minmax.h>
#include "host/time.h"
#include "lapic.h"

static_assert(GONDOLA_LAPIC_HZ == NSEC_PER_SEC);

/* The timer approaches a far deadline in steps, so that 64 bits suffice. */
#define MAX_STEP_SECONDS	1000u

static u64 now_ns(const struct gondola_lapic *lapic)
{
	return gondola_vm_clock_ns(lapic->vcpu->vm);
}

static u32 timer_mode(const struct gondola_lapic *lapic)
{
	return lapic->lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

static bool timer_masked(const struct gondola_lapic *lapic)
{
	return lapic->lvt[LVT_TIMER] & LVT_MASKED;
}

/* Divisors 2, 4 … 128, 1 are coded 0 … 7 in bits 0, 1 and 3. */
static unsigned int divide_shift(u32 divide)
{
	return (((divide & 3) | ((divide & 8) >> 1)) + 1) & 7;
}

static u64 timer_period(const struct gondola_lapic *lapic)
{
	u64 period = (u64)lapic->timer.initial << divide_shift(lapic->timer.divide);

	return timer_mode(lapic) == LVT_TIMER_PERIODIC ?
	       max_t(u64, period, LAPIC_MIN_PERIOD_NS) : period;
}

static void timer_inject(struct gondola_lapic *lapic)
{
	lapic_accept(lapic, lapic->lvt[LVT_TIMER] & LVT_VECTOR, false, false);
}

/* Hardirq context. */
static void timer_callback(struct irq_timer *timer)
{
	struct gondola_lapic *lapic = container_of(timer, struct gondola_lapic, timer.timer);

	gondola_request(lapic->vcpu, GONDOLA_REQ_TIMER);
	gondola_vcpu_kick(lapic->vcpu);
}

/* Returns false if the deadline has passed. */
static bool arm_deadline(struct gondola_lapic *lapic)
{
	struct lapic_timer *t = &lapic->timer;
	u64 now = gondola_guest_tsc(lapic->vcpu);
	u32 khz = gondola_host_tsc_khz();
	u64 delta;

	if (t->deadline <= now)
		return false;
	delta = min_t(u64, t->deadline - now, (u64)khz * 1000 * MAX_STEP_SECONDS);
	/* Round up, since an early timer would have to be armed again. */
	irq_timer_start_vm(lapic->vcpu->vm, &t->timer,
			   now_ns(lapic) + div_u64(delta * 1000000, khz) + 1);
	return true;
}

/* Move a periodic timer's expiry into the future, by whole periods. */
static void skip_periods(struct gondola_lapic *lapic, u64 now)
{
	struct lapic_timer *t = &lapic->timer;
	u64 period = timer_period(lapic);

	if (now >= t->expires)
		t->expires += (div64_u64(now - t->expires, period) + 1) * period;
}

/* Set the host's timer by the registers, after lapic_timer_settle(). */
static void timer_arm(struct gondola_lapic *lapic)
{
	struct lapic_timer *t = &lapic->timer;
	bool deadline = timer_mode(lapic) == LVT_TIMER_DEADLINE;

	if (timer_masked(lapic) || !(deadline ? t->deadline : t->expires)) {
		irq_timer_stop(&t->timer);
	} else if (!deadline) {
		irq_timer_start_vm(lapic->vcpu->vm, &t->timer, t->expires);
	} else if (!arm_deadline(lapic)) {
		irq_timer_stop(&t->timer);
		t->deadline = 0;
		timer_inject(lapic);
	}
}

/* If the timer is due, request the interrupt, unless masked, and begin the next period. */
static void timer_expire(struct gondola_lapic *lapic, u64 now)
{
	struct lapic_timer *t = &lapic->timer;

	if (timer_mode(lapic) == LVT_TIMER_DEADLINE) {
		if (!t->deadline || gondola_guest_tsc(lapic->vcpu) < t->deadline)
			return;
		t->deadline = 0;
	} else {
		if (!t->expires || now < t->expires)
			return;
		if (timer_mode(lapic) == LVT_TIMER_PERIODIC)
			skip_periods(lapic, now);
		else
			t->expires = 0;
	}
	if (!timer_masked(lapic))
		timer_inject(lapic);
}

void gondola_lapic_timer_fired(struct gondola_vcpu *vcpu)
{
	/* The request may be stale, if the timer was stopped or set anew, or may only ask to arm it. */
	lapic_timer_settle(vcpu->lapic);
	timer_arm(vcpu->lapic);
}

u64 lapic_timer_settle(struct gondola_lapic *lapic)
{
	u64 now = now_ns(lapic);

	timer_expire(lapic, now);
	return now;
}

void gondola_lapic_rearm(struct gondola_vcpu *vcpu)
{
	/* Arm it later: the TSC may be restored after this record. */
	gondola_request(vcpu, GONDOLA_REQ_TIMER);
}

void lapic_timer_init(struct gondola_lapic *lapic)
{
	irq_timer_init(&lapic->timer.timer, timer_callback);
}

void lapic_timer_destroy(struct gondola_lapic *lapic)
{
	irq_timer_destroy(&lapic->timer.timer);
}

void lapic_timer_reset(struct gondola_lapic *lapic)
{
	lapic->timer.initial = 0;
	lapic->timer.divide = 0;
	lapic->timer.expires = 0;
	lapic->timer.deadline = 0;
	irq_timer_stop(&lapic->timer.timer);
}

void lapic_timer_lvt_changed(struct gondola_lapic *lapic, u32 old)
{
	struct lapic_timer *t = &lapic->timer;
	bool was_deadline = (old & LVT_TIMER_MODE) == LVT_TIMER_DEADLINE;

	/* "TSC-Deadline Mode": a transition to or from it disarms the timer. */
	if (was_deadline != (timer_mode(lapic) == LVT_TIMER_DEADLINE)) {
		t->initial = 0;
		t->expires = 0;
		t->deadline = 0;
	}
	timer_arm(lapic);
}

/* The remaining time at @now. */
static u64 remaining_at(struct gondola_lapic *lapic, u64 now)
{
	struct lapic_timer *t = &lapic->timer;
	u64 period;

	if (!t->expires)
		return 0;
	if (now < t->expires)
		return t->expires - now;
	if (timer_mode(lapic) != LVT_TIMER_PERIODIC)
		return 0;
	period = timer_period(lapic);
	return period - (now - t->expires) % period;
}

static u32 count_at(struct gondola_lapic *lapic, u64 now)
{
	struct lapic_timer *t = &lapic->timer;
	unsigned int shift = divide_shift(t->divide);
	u64 left = remaining_at(lapic, now);

	/* If the period was lengthened to the least one, the count stays full for a while. */
	return min_t(u64, (left + (1u << shift) - 1) >> shift, t->initial);
}

u32 lapic_timer_count(struct gondola_lapic *lapic)
{
	return count_at(lapic, now_ns(lapic));
}

void lapic_timer_set_initial(struct gondola_lapic *lapic, u32 count)
{
	struct lapic_timer *t = &lapic->timer;
	u64 now;

	if (timer_mode(lapic) == LVT_TIMER_DEADLINE)
		return;
	now = lapic_timer_settle(lapic);
	t->initial = count;
	t->expires = count ? now + timer_period(lapic) : 0;
	timer_arm(lapic);
}

void lapic_timer_set_divide(struct gondola_lapic *lapic, u32 divide)
{
	struct lapic_timer *t = &lapic->timer;
	u64 now = lapic_timer_settle(lapic);
	u32 count = count_at(lapic, now);

	/* The remaining count continues at the new rate. */
	t->divide = divide;
	if (t->expires)
		t->expires = now + ((u64)count << divide_shift(divide));
	timer_arm(lapic);
}

u64 lapic_timer_deadline(struct gondola_lapic *lapic)
{
	return timer_mode(lapic) == LVT_TIMER_DEADLINE ? lapic->timer.deadline : 0;
}

void lapic_timer_set_deadline(struct gondola_lapic *lapic, u64 deadline)
{
	struct lapic_timer *t = &lapic->timer;

	if (timer_mode(lapic) != LVT_TIMER_DEADLINE)
		return;
	lapic_timer_settle(lapic);
	t->deadline = deadline;
	timer_arm(lapic);
}

u64 lapic_timer_remaining(struct gondola_lapic *lapic)
{
	struct lapic_timer *t = &lapic->timer;
	u64 now = lapic_timer_settle(lapic);

	return t->expires ? t->expires - now : 0;
}

void lapic_timer_restore(struct gondola_lapic *lapic, u32 initial, u32 divide, u64 deadline,
			 u64 remaining_ns)
{
	struct lapic_timer *t = &lapic->timer;

	irq_timer_stop(&t->timer);
	t->initial = initial;
	t->divide = divide;
	t->deadline = deadline;
	t->expires = remaining_ns ? now_ns(lapic) + remaining_ns : 0;
	gondola_lapic_rearm(lapic->vcpu);
}
