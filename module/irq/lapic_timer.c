// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC's timer.  It counts nanoseconds (GONDOLA_LAPIC_HZ).
 *
 * The host's timer only wakes the vCPU's thread, by GONDOLA_REQ_TIMER; that
 * thread injects, and arms the next period.  So a timer never races with the
 * registers, a vCPU that does not run costs no interrupts, and periods that
 * pass meanwhile merge into one interrupt, as they do in IRR.
 */
#include <linux/math64.h>
#include <linux/minmax.h>
#include "host/time.h"
#include "lapic.h"

static_assert(GONDOLA_LAPIC_HZ == NSEC_PER_SEC);

/* Far deadlines are approached in steps, so that the arithmetic stays in 64 bits. */
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
	gondola_lapic_accept(lapic, lapic->lvt[LVT_TIMER] & LVT_VECTOR, false, false);
}

/* Hardirq context. */
static void timer_callback(struct gondola_timer *timer)
{
	struct gondola_lapic *lapic = container_of(timer, struct gondola_lapic, timer.timer);

	gondola_request(lapic->vcpu, GONDOLA_REQ_TIMER);
	gondola_vcpu_kick(lapic->vcpu);
}

/* Returns false if the deadline has passed. */
static bool arm_deadline(struct gondola_lapic *lapic)
{
	struct gondola_lapic_timer *t = &lapic->timer;
	u64 now = gondola_guest_tsc(lapic->vcpu);
	u32 khz = gondola_host_tsc_khz();
	u64 delta;

	if (t->deadline <= now)
		return false;
	delta = min_t(u64, t->deadline - now, (u64)khz * 1000 * MAX_STEP_SECONDS);
	/* Rounded up: an early interrupt would only have to be armed again. */
	gondola_vm_timer_start(lapic->vcpu->vm, &t->timer,
			       now_ns(lapic) + div_u64(delta * 1000000, khz) + 1);
	return true;
}

/* Moves a periodic timer's expiry into the future, in whole periods. */
static void skip_periods(struct gondola_lapic *lapic, u64 now)
{
	struct gondola_lapic_timer *t = &lapic->timer;
	u64 period = timer_period(lapic);

	if (now >= t->expires)
		t->expires += (div64_u64(now - t->expires, period) + 1) * period;
}

/* Makes the host's timer agree with the registers. What passed while masked is lost. */
static void timer_arm(struct gondola_lapic *lapic)
{
	struct gondola_lapic_timer *t = &lapic->timer;
	u64 now;

	if (timer_mode(lapic) == LVT_TIMER_DEADLINE) {
		if (!t->deadline || timer_masked(lapic)) {
			gondola_timer_stop(&t->timer);
		} else if (!arm_deadline(lapic)) {
			gondola_timer_stop(&t->timer);
			t->deadline = 0;
		}
		return;
	}
	if (t->expires) {
		now = now_ns(lapic);
		if (timer_mode(lapic) == LVT_TIMER_PERIODIC)
			skip_periods(lapic, now);
		else if (now >= t->expires)
			t->expires = 0;
	}
	if (t->expires && !timer_masked(lapic))
		gondola_vm_timer_start(lapic->vcpu->vm, &t->timer, t->expires);
	else
		gondola_timer_stop(&t->timer);
}

void gondola_lapic_timer_fired(struct gondola_vcpu *vcpu)
{
	struct gondola_lapic *lapic = vcpu->lapic;
	struct gondola_lapic_timer *t = &lapic->timer;
	u64 now;

	/* The request may be stale, what it was for stopped or replaced; or it asks to arm. */
	if (timer_masked(lapic))
		return;
	if (timer_mode(lapic) == LVT_TIMER_DEADLINE) {
		if (!t->deadline || arm_deadline(lapic))
			return;
		t->deadline = 0;
		timer_inject(lapic);
		return;
	}
	now = now_ns(lapic);
	if (!t->expires)
		return;
	if (now < t->expires) {
		gondola_vm_timer_start(lapic->vcpu->vm, &t->timer, t->expires);
		return;
	}
	timer_inject(lapic);
	if (timer_mode(lapic) == LVT_TIMER_PERIODIC) {
		skip_periods(lapic, now);
		gondola_vm_timer_start(lapic->vcpu->vm, &t->timer, t->expires);
	} else {
		t->expires = 0;
	}
}

/* An expiry that the thread has not seen yet came before the register access that follows. */
static void timer_settle(struct gondola_lapic *lapic)
{
	if (gondola_take_request(lapic->vcpu, GONDOLA_REQ_TIMER))
		gondola_lapic_timer_fired(lapic->vcpu);
}

void gondola_lapic_rearm(struct gondola_vcpu *vcpu)
{
	/* Later, so that saved records may come in any order: the TSC may still be set. */
	gondola_request(vcpu, GONDOLA_REQ_TIMER);
}

void lapic_timer_init(struct gondola_lapic *lapic)
{
	gondola_timer_init(&lapic->timer.timer, timer_callback);
}

void lapic_timer_destroy(struct gondola_lapic *lapic)
{
	gondola_timer_destroy(&lapic->timer.timer);
}

void lapic_timer_reset(struct gondola_lapic *lapic)
{
	lapic->timer.initial = 0;
	lapic->timer.divide = 0;
	lapic->timer.expires = 0;
	lapic->timer.deadline = 0;
	gondola_timer_stop(&lapic->timer.timer);
}

void lapic_timer_lvt_changed(struct gondola_lapic *lapic, u32 old)
{
	struct gondola_lapic_timer *t = &lapic->timer;
	bool was_deadline = (old & LVT_TIMER_MODE) == LVT_TIMER_DEADLINE;

	/* "TSC-Deadline Mode": a transition to or from it disarms the timer. */
	if (was_deadline != (timer_mode(lapic) == LVT_TIMER_DEADLINE)) {
		t->initial = 0;
		t->expires = 0;
		t->deadline = 0;
	}
	timer_arm(lapic);
}

static u64 remaining_at(struct gondola_lapic *lapic, u64 now)
{
	struct gondola_lapic_timer *t = &lapic->timer;
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

u32 lapic_timer_count(struct gondola_lapic *lapic)
{
	struct gondola_lapic_timer *t = &lapic->timer;
	unsigned int shift = divide_shift(t->divide);
	u64 left = remaining_at(lapic, now_ns(lapic));

	/* A period that was lengthened to the least one shows full for a while. */
	return min_t(u64, (left + (1u << shift) - 1) >> shift, t->initial);
}

void lapic_timer_set_initial(struct gondola_lapic *lapic, u32 count)
{
	struct gondola_lapic_timer *t = &lapic->timer;

	if (timer_mode(lapic) == LVT_TIMER_DEADLINE)
		return;
	timer_settle(lapic);
	t->initial = count;
	t->expires = count ? now_ns(lapic) + timer_period(lapic) : 0;
	timer_arm(lapic);
}

void lapic_timer_set_divide(struct gondola_lapic *lapic, u32 divide)
{
	struct gondola_lapic_timer *t = &lapic->timer;
	u32 count;

	timer_settle(lapic);
	/* The rest of the count goes on at the new rate. */
	count = lapic_timer_count(lapic);
	t->divide = divide;
	if (t->expires && count)
		t->expires = now_ns(lapic) + ((u64)count << divide_shift(divide));
	timer_arm(lapic);
}

u64 lapic_timer_deadline(struct gondola_lapic *lapic)
{
	return timer_mode(lapic) == LVT_TIMER_DEADLINE ? lapic->timer.deadline : 0;
}

void lapic_timer_set_deadline(struct gondola_lapic *lapic, u64 deadline)
{
	struct gondola_lapic_timer *t = &lapic->timer;

	if (timer_mode(lapic) != LVT_TIMER_DEADLINE)
		return;
	timer_settle(lapic);
	t->deadline = deadline;
	if (!deadline || timer_masked(lapic)) {
		gondola_timer_stop(&t->timer);
	} else if (!arm_deadline(lapic)) {
		gondola_timer_stop(&t->timer);
		t->deadline = 0;
		timer_inject(lapic);
	}
}

u64 lapic_timer_remaining(struct gondola_lapic *lapic)
{
	struct gondola_lapic_timer *t = &lapic->timer;
	u64 left;

	timer_settle(lapic);
	left = remaining_at(lapic, now_ns(lapic));
	/* Due, but the host's timer is late: it must still fire after a restore. */
	return left || !t->expires || timer_masked(lapic) ? left : 1;
}

void lapic_timer_restore(struct gondola_lapic *lapic, u32 initial, u32 divide, u64 deadline,
			 u64 remaining_ns)
{
	struct gondola_lapic_timer *t = &lapic->timer;

	gondola_timer_stop(&t->timer);
	t->initial = initial;
	t->divide = divide;
	t->deadline = deadline;
	t->expires = remaining_ns ? now_ns(lapic) + remaining_ns : 0;
	gondola_lapic_rearm(lapic->vcpu);
}
