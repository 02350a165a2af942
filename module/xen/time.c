// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time: a clock that the guest computes from its TSC, a timer that fires once, and how long the vCPU
 * ran.  The clock starts with the TSC and its rate is fixed, so what is written once stays right.
 */
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/time64.h>
#include "host/compat.h"
#include "host/time.h"
#include "internal.h"
#include "pv/pv.h"

/* A timer that is set further ahead fires then, and the guest sets it again. */
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

void gondola_xen_timer_fired(struct gondola_vcpu *vcpu)
{
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
	shot.ns = min(shot.ns, now + MAX_NS);
	if (shot.flags & XEN_ONE_SHOT_FUTURE && shot.ns < now)
		return -XEN_ETIME;
	/* A time that is past fires at once. */
	hrtimer_start(&vcpu->xen->timer,
		      ns_to_ktime(gondola_host_ns() + (shot.ns > now ? shot.ns - now : 0)),
		      HRTIMER_MODE_ABS_HARD);
	return 0;
}

void xen_stop_one_shot(struct gondola_vcpu *vcpu)
{
	hrtimer_cancel(&vcpu->xen->timer);
}

s64 xen_runstate_area(struct gondola_vcpu *vcpu, struct gondola_vcpu *target, u64 from)
{
	u64 now = gondola_pv_clock_ns(vcpu);
	const struct xen_runstate state = { .since = now, .time = { now } };
	u64 at;
	s64 r = xen_copy_in(vcpu, &at, from, sizeof(at));

	if (!r)
		r = xen_copy_out(vcpu, at, &state, sizeof(state));
	if (!r)
		target->xen->runstate = at;
	return r;
}
