// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs, selectors and debug registers that change hands.  What the host's kernel does not use is
 * the guest's from the first stay until the vCPU is put: the host needs it in user mode only, and
 * for a switch to another task, which puts the vCPU first.
 */
#include <linux/mm.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/fsgsbase.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>
#include <asm/special_insns.h>
#include "engine/host_ldt.h"
#include "host/compat.h"
#include "processor.h"

#define CR4_CET_BIT	BIT_ULL(23)
#define DR7_ENABLED	0xffull
/* SYSCALL leaves no flag set but the one that always is. */
#define SYSCALL_FLAGS	(~0u & ~X86_EFLAGS_FIXED)

static const u16 empty[4];

static void get_selectors(u16 *selector)
{
	savesegment(ds, selector[0]);
	savesegment(es, selector[1]);
	savesegment(fs, selector[2]);
	savesegment(gs, selector[3]);
}

/* Loading one may change its base.  True: that came to pass. */
static bool set_selectors(const u16 *now, const u16 *then)
{
	if (unlikely(now[0] != then[0]))
		loadsegment(ds, then[0]);
	if (unlikely(now[1] != then[1]))
		loadsegment(es, then[1]);
	if (unlikely(now[2] != then[2]))
		loadsegment(fs, then[2]);
	if (unlikely(now[3] != then[3]))
		load_gs_index(then[3]);
	return now[2] != then[2] || now[3] != then[3];
}

static u64 read_fs_base(void)
{
	return boot_cpu_has(X86_FEATURE_FSGSBASE) ? rdfsbase() : __rdmsr(MSR_FS_BASE);
}

static void write_fs_base(u64 base)
{
	if (boot_cpu_has(X86_FEATURE_FSGSBASE))
		wrfsbase(base);
	else
		wrmsrq(MSR_FS_BASE, base);
}

/* ---- from the first stay until the vCPU is put ------------------------------------------ */

static void save_held(struct ring3_held *held)
{
	get_selectors(held->selector);
	held->fs_base = read_fs_base();
	rdmsrq(MSR_KERNEL_GS_BASE, held->gs_base);
	rdmsrq(MSR_STAR, held->star);
	rdmsrq(MSR_LSTAR, held->lstar);
	rdmsrq(MSR_CSTAR, held->cstar);
	rdmsrq(MSR_SYSCALL_MASK, held->sfmask);
	rdmsrq(MSR_IA32_SYSENTER_CS, held->sysenter_cs);
	if (cpu_feature_enabled(X86_FEATURE_RDTSCP))
		rdmsrq(MSR_TSC_AUX, held->tsc_aux);
	if (boot_cpu_has(X86_FEATURE_CPUID_FAULT))
		rdmsrq(MSR_MISC_FEATURES_ENABLES, held->misc);
}

static void hold(struct ring3_area *area, const struct ring3_user *user)
{
	struct ring3_held *held = &area->held;

	save_held(held);
	set_selectors(held->selector, empty);
	write_fs_base(user->fs_base);
	wrmsrq(MSR_KERNEL_GS_BASE, user->gs_base);
	/* Another monitor leaves its guest's in the processor until the next user mode. */
	wrmsr(MSR_STAR, 0, __USER32_CS << 16 | __KERNEL_CS);
	wrmsrq(MSR_LSTAR, area->base + (ring3_syscall - ring3_text));
	wrmsrq(MSR_CSTAR, area->base + (ring3_syscall32 - ring3_text));
	wrmsrq(MSR_SYSCALL_MASK, SYSCALL_FLAGS);
	/* Else ring 3 could enter the host's code on its own tables. */
	wrmsrq(MSR_IA32_SYSENTER_CS, 0);
	if (cpu_feature_enabled(X86_FEATURE_RDTSCP))
		wrmsrq(MSR_TSC_AUX, user->tsc_aux);
	/* CPUID leaves, where it can: the guest has one of its own. */
	if (boot_cpu_has(X86_FEATURE_CPUID_FAULT))
		wrmsrq(MSR_MISC_FEATURES_ENABLES,
		       held->misc | MSR_MISC_FEATURES_ENABLES_CPUID_FAULT);
	held->user = *user;
	held->taken = true;
}

/* The guest's kernel, which is interpreted, may have changed them since the last stay. */
static void update(struct ring3_held *held, const struct ring3_user *user)
{
	if (held->user.fs_base != user->fs_base)
		write_fs_base(user->fs_base);
	if (held->user.gs_base != user->gs_base)
		wrmsrq(MSR_KERNEL_GS_BASE, user->gs_base);
	if (held->user.tsc_aux != user->tsc_aux && cpu_feature_enabled(X86_FEATURE_RDTSCP))
		wrmsrq(MSR_TSC_AUX, user->tsc_aux);
	held->user.tsc_aux = user->tsc_aux;
}

void ring3_put(struct ring3_area *area)
{
	struct ring3_held *held = &area->held;

	if (!held->taken)
		return;
	held->taken = false;
	if (boot_cpu_has(X86_FEATURE_CPUID_FAULT))
		wrmsrq(MSR_MISC_FEATURES_ENABLES, held->misc);
	if (cpu_feature_enabled(X86_FEATURE_RDTSCP))
		wrmsrq(MSR_TSC_AUX, held->tsc_aux);
	wrmsrq(MSR_IA32_SYSENTER_CS, held->sysenter_cs);
	wrmsrq(MSR_SYSCALL_MASK, held->sfmask);
	wrmsrq(MSR_CSTAR, held->cstar);
	wrmsrq(MSR_LSTAR, held->lstar);
	wrmsrq(MSR_STAR, held->star);
	set_selectors(empty, held->selector);
	write_fs_base(held->fs_base);
	wrmsrq(MSR_KERNEL_GS_BASE, held->gs_base);
}

/* ---- for one stay -------------------------------------------------------------------------- */

void ring3_processor_take(struct ring3_area *area, const struct ring3_user *user,
			  struct ring3_host *host)
{
	if (likely(area->held.taken))
		update(&area->held, user);
	else
		hold(area, user);
	/* Another thread of the launcher may give the process an LDT at any time. */
	host->ldt = engine_host_ldt();
	if (unlikely(host->ldt))
		asm volatile("lldt %w0" : : "r" (0));
	/*
	 * Else CALL would push to the launcher's shadow stack, which no guest has mapped.  What saves
	 * the launcher's FPU state saves this, too.
	 */
	host->u_cet = native_read_cr4() & CR4_CET_BIT ? __rdmsr(MSR_IA32_U_CET) : 0;
	if (unlikely(host->u_cet))
		wrmsrq(MSR_IA32_U_CET, 0);
	host->debugctl = __rdmsr(MSR_IA32_DEBUGCTLMSR);
	if (unlikely(host->debugctl))
		wrmsrq(MSR_IA32_DEBUGCTLMSR, 0);
	/* Its records go to the host's addresses, which the guest's tables do not have. */
	if (boot_cpu_has(X86_FEATURE_PEBS)) {
		rdmsrq(MSR_IA32_PEBS_ENABLE, host->pebs);
		if (unlikely(host->pebs))
			wrmsrq(MSR_IA32_PEBS_ENABLE, 0);
	}
	get_debugreg(host->dr7, 7);
	if (unlikely(host->dr7 & DR7_ENABLED))
		set_debugreg(0, 7);
	if (cpu_feature_enabled(X86_FEATURE_OSPKE)) {
		host->pkru = rdpkru();
		wrpkru(0);
	}
}

/* Ring 3 may have loaded selectors of the guest's, and set the bases. */
static void take_segments(struct ring3_held *held, struct ring3_user *user)
{
	user->fs_base = read_fs_base();
	rdmsrq(MSR_KERNEL_GS_BASE, user->gs_base);
	get_selectors(user->selector);
	if (unlikely(set_selectors(user->selector, empty))) {
		write_fs_base(user->fs_base);
		wrmsrq(MSR_KERNEL_GS_BASE, user->gs_base);
	}
	held->user.fs_base = user->fs_base;
	held->user.gs_base = user->gs_base;
}

void ring3_processor_give(struct ring3_area *area, struct ring3_user *user,
			  const struct ring3_host *host)
{
	if (cpu_feature_enabled(X86_FEATURE_OSPKE))
		wrpkru(host->pkru);
	if (unlikely(host->dr7 & DR7_ENABLED))
		set_debugreg(host->dr7, 7);
	if (boot_cpu_has(X86_FEATURE_PEBS) && unlikely(host->pebs))
		wrmsrq(MSR_IA32_PEBS_ENABLE, host->pebs);
	if (unlikely(host->debugctl))
		wrmsrq(MSR_IA32_DEBUGCTLMSR, host->debugctl);
	if (unlikely(host->u_cet))
		wrmsrq(MSR_IA32_U_CET, host->u_cet);
	take_segments(&area->held, user);
	engine_host_ldt_put(host->ldt);
}
