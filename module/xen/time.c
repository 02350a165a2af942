// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time: a clock that the guest computes from its TSC, a timer that fires once, and how long the vCPU
 * ran.  The clock starts with the TSC and its rate is fixed, so what is written once stays right.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/time64.h>
#include "host/compat.h"
#include "host/time.h"
#include "internal.h"
#include "mmu/mmu.h"
#include "pv/pv.h"

/* A timer that is set further ahead is armed again then. */
#define MAX_NS		(365ull * 24 * 3600 * NSEC_PER_SEC)

static enum hrtimer_restart fired(struct hrtimer *timer)
{
	struct gondola_xen_vcpu *xen = container_of(timer, struct gondola_xen_vcpu, timer);

	gondola_request(xen->vcpu, GONDOLA_REQ_TIMER);
	gondola_vcpu_kick(xen->vcpu);
	return HRTIMER_NORESTART;
}

void xen_time_init(struct gondola_vcpu *vcpu)
{
	hrtimer_setup(&vcpu->xen->timer, fired, CLOCK_BOOTTIME, HRTIMER_MODE_ABS_HARD);
}

void xen_time_destroy(struct gondola_vcpu *vcpu)
{
	hrtimer_cancel(&vcpu->xen->timer);
}

/* The vCPU looks at its timer then. */
static void arm(struct gondola_vcpu *vcpu, u64 now)
{
	u64 deadline = vcpu->xen->deadline, ns = deadline > now ? min(deadline - now, MAX_NS) : 0;

	hrtimer_start(&vcpu->xen->timer, ns_to_ktime(gondola_host_ns() + ns), HRTIMER_MODE_ABS_HARD);
}

/* The guest's time may have been held, or restored, since the timer was armed. */
void gondola_xen_timer_fired(struct gondola_vcpu *vcpu)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	u64 now = gondola_pv_clock_ns(vcpu);

	if (!xen->armed)
		return;
	if (now < xen->deadline) {
		arm(vcpu, now);
		return;
	}
	xen->armed = false;
	xen_raise_virq(vcpu, XEN_VIRQ_TIMER);
}

int xen_time_publish(struct gondola_vcpu *vcpu)
{
	return gondola_pv_write_time(vcpu, vcpu->xen->info + offsetof(struct xen_vcpu_info, time));
}

int xen_wall_clock_publish(struct gondola_vcpu *vcpu)
{
	gpa_t at = (vcpu->vm->xen->config.shared_info << GONDOLA_PAGE_SHIFT) +
		   offsetof(struct xen_shared_info, wc_version);
	u64 zero = ktime_get_real_ns() - gondola_pv_clock_ns(vcpu);
	u32 nsec;
	u64 sec = div_u64_rem(zero, NSEC_PER_SEC, &nsec);
	/* No vCPU has run: nobody reads it yet. */
	const u32 clock[4] = { 2, (u32)sec, nsec, sec >> 32 };

	return gondola_gpa_write(vcpu, at, clock, sizeof(clock));
}

s64 xen_set_one_shot(struct gondola_vcpu *vcpu, u64 from)
{
	u64 now = gondola_pv_clock_ns(vcpu);
	struct xen_one_shot shot;
	s64 r = xen_copy_in(vcpu, &shot, from, sizeof(shot));

	if (r)
		return r;
	if (shot.flags & XEN_ONE_SHOT_FUTURE && shot.ns < now)
		return -XEN_ETIME;
	/* A time that is past fires at once. */
	vcpu->xen->deadline = shot.ns;
	vcpu->xen->armed = true;
	arm(vcpu, now);
	return 0;
}

void xen_stop_one_shot(struct gondola_vcpu *vcpu)
{
	vcpu->xen->armed = false;
	hrtimer_cancel(&vcpu->xen->timer);
}

/* ---- how long it ran ---------------------------------------------------------------------------- */

/* The area may lie in two pages, but no word of it does. */
static int put_word(struct gondola_vcpu *vcpu, unsigned int word, u64 value)
{
	const struct gondola_xen_vcpu *xen = vcpu->xen;
	unsigned int at = xen->runstate_offset + word * sizeof(u64);
	u64 frame = xen->runstate[at >> GONDOLA_PAGE_SHIFT];

	/* The guest may have made it a table since: that is not written. */
	if (!xen_is_data(vcpu->vm, frame))
		return 0;
	return gondola_gpa_write(vcpu, (frame << GONDOLA_PAGE_SHIFT) + (at & ~GONDOLA_PAGE_MASK),
				 &value, sizeof(value));
}

/* To the guest a vCPU runs, or waits for a processor.  Sleep counts as running. */
static int publish_runstate(struct gondola_vcpu *vcpu)
{
	const unsigned int since = offsetof(struct xen_runstate, since) / sizeof(u64);
	const unsigned int time = offsetof(struct xen_runstate, time) / sizeof(u64);
	u64 now = gondola_pv_clock_ns(vcpu), stolen = vcpu->xen->stolen;
	int err;

	err = put_word(vcpu, since, now | XEN_RUNSTATE_CHANGES);
	if (!err)
		err = put_word(vcpu, 0, 0);
	if (!err)
		err = put_word(vcpu, time, now - min(stolen, now));
	if (!err)
		err = put_word(vcpu, time + 1, stolen);
	return err ?: put_word(vcpu, since, now);
}

int xen_account_steal(struct gondola_vcpu *vcpu)
{
	struct gondola_xen_vcpu *xen = vcpu->xen;
	u64 delay = gondola_host_run_delay();
	int err;

	if (delay != vcpu->run_delay) {
		/* If it is less, another thread runs the vCPU now, with an account of its own. */
		if (delay > vcpu->run_delay && xen->has_runstate)
			xen->stolen += delay - vcpu->run_delay;
		vcpu->run_delay = delay;
		xen->stolen_due = xen->has_runstate;
	}
	if (likely(!xen->stolen_due))
		return 0;
	err = publish_runstate(vcpu);
	if (err == -EAGAIN)
		return err;
	xen->stolen_due = false;
	return 0;
}

/* Find the frames of an area of the guest's: 0, XEN_AGAIN, -XEN_EFAULT or -XEN_EINVAL. */
static s64 find_area(struct gondola_vcpu *vcpu, u64 area, unsigned int bytes, u64 frames[2])
{
	struct gondola_access out;
	unsigned int i;
	s64 r;

	for (i = 0; i < 2; i++) {
		r = xen_access_result(gondola_mmu_translate(vcpu, i ? area + bytes - 1 : area,
							    PFEC_U | PFEC_W, &out));
		if (r)
			return r;
		frames[i] = out.gpa >> GONDOLA_PAGE_SHIFT;
		if (!xen_is_data(vcpu->vm, frames[i]))
			return -XEN_EINVAL;
	}
	return 0;
}

s64 xen_runstate_area(struct gondola_vcpu *vcpu, struct gondola_vcpu *target, u64 from)
{
	u64 now = gondola_pv_clock_ns(vcpu), stolen = target->xen->stolen;
	const struct xen_runstate state = { .since = now, .time = { now - min(stolen, now), stolen } };
	u64 at, frames[2];
	s64 r = xen_copy_in(vcpu, &at, from, sizeof(at));

	if (!r && at % sizeof(u64))
		return -XEN_EINVAL;
	if (!r)
		r = find_area(vcpu, at, sizeof(state), frames);
	if (!r)
		r = xen_copy_out(vcpu, at, &state, sizeof(state));
	if (r)
		return r;
	/* The target's thread may be about to write. */
	WRITE_ONCE(target->xen->has_runstate, false);
	memcpy(target->xen->runstate, frames, sizeof(frames));
	target->xen->runstate_offset = at & ~GONDOLA_PAGE_MASK;
	WRITE_ONCE(target->xen->has_runstate, true);
	return 0;
}
