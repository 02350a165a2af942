/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The differences between kernels, in one place.  The module uses the newest kernel's interfaces,
 * and this file provides them on older kernels.  Distributions carry features back, so compat-probe
 * searches the kernel's headers, and writes the answers to compat-features.h.
 */
#ifndef GONDOLA_HOST_COMPAT_H
#define GONDOLA_HOST_COMPAT_H

#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include <linux/syscore_ops.h>
#include <linux/thread_info.h>
#include "compat-features.h"
#include "compat_shrinker.h"

#ifndef CONFIG_UML
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#ifdef COMPAT_GSSEG
#include <asm/gsseg.h>	/* load_gs_index(), formerly in <asm/special_insns.h> */
#endif
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/reboot.h>
#ifdef COMPAT_CPUID_API
#include <asm/cpuid/api.h>
#else
#define cpuid_base_hypervisor	hypervisor_cpuid_base
#endif

#ifndef COMPAT_RDMSRQ
#define rdmsrq			rdmsrl
#define rdmsrq_safe		rdmsrl_safe
#define wrmsrq			wrmsrl
#define wrmsrq_safe		wrmsrl_safe
#endif

#ifndef X86_FEATURE_USE_IBPB
#define X86_FEATURE_USE_IBPB	X86_FEATURE_IBPB
#endif

/* The kernel's own barrier is a function now that modules cannot call. */
static inline void gondola_host_ibpb(void)
{
	if (cpu_feature_enabled(X86_FEATURE_USE_IBPB))
		wrmsrq(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

/* Nothing to call in a crash: VMX is off then (engine/vmx/root_brief.c), and INIT ends SVM. */
#ifdef COMPAT_RESERVED_CRASH
static inline void cpu_emergency_register_virt_callback(void (*callback)(void))
{
}

static inline void cpu_emergency_unregister_virt_callback(void (*callback)(void))
{
}
#endif
#endif

#ifdef COMPAT_LINUX_UNALIGNED
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* With lazy preemption another flag asks a thread to give way. */
#ifndef _TIF_NEED_RESCHED_LAZY
#define _TIF_NEED_RESCHED_LAZY	0
#endif

#ifndef COMPAT_EVENTFD_SIGNAL_ONE
#define eventfd_signal(ctx)	((void)eventfd_signal(ctx, 1))
#endif

#ifndef COMPAT_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/* The type of an MMU notifier's answer whether pages are young. */
#ifdef COMPAT_AGED_BOOL
#define compat_aged_t	bool
#else
#define compat_aged_t	int
#endif

/* This name came with a variant with a tracepoint, which modules cannot use. */
#ifndef COMPAT_ARCH_RESCHEDULE
#define arch_smp_send_reschedule(cpu)	smp_send_reschedule(cpu)
#endif

#ifndef COMPAT_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

/* Newer kernels pass the owner's data to suspend and resume. */
#ifdef COMPAT_SYSCORE
#define COMPAT_SYSCORE_ARG	void *data
#define COMPAT_SYSCORE_OPS	const struct syscore_ops
#else
#define COMPAT_SYSCORE_ARG	void
#define COMPAT_SYSCORE_OPS	struct syscore_ops

struct syscore {
	struct syscore_ops *ops;
};

static inline void register_syscore(struct syscore *syscore)
{
	register_syscore_ops(syscore->ops);
}

static inline void unregister_syscore(struct syscore *syscore)
{
	unregister_syscore_ops(syscore->ops);
}
#endif

#endif
