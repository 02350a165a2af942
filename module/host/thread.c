// SPDX-License-Identifier: GPL-2.0-only
#include <linux/hw_breakpoint.h>
#include <linux/sched.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include "vcpu.h"
#include "vcpu_host.h"
#include "cpu.h"
#include "thread.h"

static struct gondola_vcpu *vcpu_of(struct preempt_notifier *notifier)
{
	return container_of(notifier, struct gondola_vcpu_host, thread.notifier)->vcpu;
}

static void sched_in(struct preempt_notifier *notifier, int cpu)
{
	gondola_vcpu_scheduled_in(vcpu_of(notifier), cpu);
}

static void sched_out(struct preempt_notifier *notifier, struct task_struct *next)
{
	gondola_vcpu_scheduled_out(vcpu_of(notifier), task_is_running(current));
}

static struct preempt_ops preempt_ops = {
	.sched_in = sched_in,
	.sched_out = sched_out,
};

void gondola_thread_init(struct gondola_vcpu *vcpu)
{
	vcpu->host->thread.xcr0 = gondola_host_xcr0();
	preempt_notifier_init(&vcpu->host->thread.notifier, &preempt_ops);
}

void gondola_thread_attach(struct gondola_vcpu *vcpu)
{
	preempt_notifier_register(&vcpu->host->thread.notifier);
}

void gondola_thread_detach(struct gondola_vcpu *vcpu)
{
	preempt_notifier_unregister(&vcpu->host->thread.notifier);
}

/* The processor's breakpoint registers matter only to a guest that enables one. */
static void load_breakpoints(const struct gondola_vcpu *vcpu)
{
	/* None of the host's may match while they are replaced. */
	set_debugreg(0, 7);
	set_debugreg(vcpu->dr[0], 0);
	set_debugreg(vcpu->dr[1], 1);
	set_debugreg(vcpu->dr[2], 2);
	set_debugreg(vcpu->dr[3], 3);
}

/* With CR4.OSXSAVE clear the guest cannot use what XCR0 enables. */
static bool own_xcr0(const struct gondola_vcpu *vcpu)
{
	return (vcpu->cr4 & CR4_OSXSAVE) && vcpu->xcr0 != vcpu->host->thread.xcr0;
}

void gondola_thread_enter(struct gondola_vcpu *vcpu)
{
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
	if (own_xcr0(vcpu))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
	if (unlikely(vcpu->dr7 & DR7_ENABLES))
		load_breakpoints(vcpu);
}

void gondola_thread_leave(struct gondola_vcpu *vcpu)
{
	/* Nothing that the guest does by itself changes CR4.OSXSAVE or XCR0: as at the entry. */
	if (own_xcr0(vcpu))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->host->thread.xcr0);
	/* Every exit disables all breakpoints. */
	if (unlikely(hw_breakpoint_active()))
		hw_breakpoint_restore();
}
