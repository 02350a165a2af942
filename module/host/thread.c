// SPDX-License-Identifier: GPL-2.0-only
#include <linux/hw_breakpoint.h>
#include <linux/sched.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/nospec-branch.h>
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

/* Switch the breakpoint registers only if the guest enables a breakpoint. */
static void load_breakpoints(const struct gondola_vcpu *vcpu)
{
	const u64 *dr = vcpu->debug_dr7 ? vcpu->debug_dr : vcpu->dr;

	/* None of the host's breakpoints may match while they are replaced. */
	set_debugreg(0, 7);
	set_debugreg(dr[0], 0);
	set_debugreg(dr[1], 1);
	set_debugreg(dr[2], 2);
	set_debugreg(dr[3], 3);
}

/* With CR4.OSXSAVE clear the guest cannot use what XCR0 enables. */
static bool own_xcr0(const struct gondola_vcpu *vcpu)
{
	return (vcpu->cr4 & CR4_OSXSAVE) && vcpu->xcr0 != vcpu->host->thread.xcr0;
}

/*
 * DEBUGCTL belongs to the host, and the guest runs with 0.  If perf records branches, an interrupt
 * may have changed it since the last entry.
 */
static void take_debugctl(struct gondola_thread *thread)
{
	thread->debugctl = __rdmsr(MSR_IA32_DEBUGCTLMSR);
	if (unlikely(thread->debugctl))
		update_debugctlmsr(0);
}

/* Every exit disables all breakpoints: enable those of perf and debuggers again. */
static void save_breakpoints(struct gondola_thread *thread)
{
	thread->dr7 = 0;
	if (likely(!hw_breakpoint_active()))
		return;
	get_debugreg(thread->dr[0], 0);
	get_debugreg(thread->dr[1], 1);
	get_debugreg(thread->dr[2], 2);
	get_debugreg(thread->dr[3], 3);
	get_debugreg(thread->dr7, 7);
}

static void restore_breakpoints(const struct gondola_thread *thread)
{
	if (likely(!thread->dr7))
		return;
	set_debugreg(thread->dr[0], 0);
	set_debugreg(thread->dr[1], 1);
	set_debugreg(thread->dr[2], 2);
	set_debugreg(thread->dr[3], 3);
	set_debugreg(thread->dr7, 7);
}

void gondola_thread_enter(struct gondola_vcpu *vcpu)
{
	gondola_thread_fpu_load(vcpu);
	save_breakpoints(&vcpu->host->thread);
	if (own_xcr0(vcpu))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
	if (unlikely(vcpu->hw_dr7 & DR7_ENABLES))
		load_breakpoints(vcpu);
	take_debugctl(&vcpu->host->thread);
}

void gondola_thread_leave(struct gondola_vcpu *vcpu)
{
	if (unlikely(vcpu->host->thread.debugctl))
		update_debugctlmsr(vcpu->host->thread.debugctl);
	/* A barrier before user mode: predictors that the guest trained must not steer the launcher. */
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
	/* The guest cannot change CR4.OSXSAVE or XCR0 without an exit, so both are as at the entry. */
	if (own_xcr0(vcpu))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->host->thread.xcr0);
	gondola_thread_fpu_unload(vcpu);
	restore_breakpoints(&vcpu->host->thread);
}
