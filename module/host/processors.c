// SPDX-License-Identifier: GPL-2.0-only
/*
 * While VMs of a hardware engine exist, every online processor is switched on
 * for it; none is left on by suspend, shutdown, kexec, crash or unload.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/kobject.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/syscore_ops.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/reboot.h>
#include <asm/tlbflush.h>
#include "compat.h"
#include "kernel_verdict.h"
#include "processors.h"
#include "rival.h"
#include "run.h"
#include "sleep.h"
#include "time.h"

DEFINE_PER_CPU(bool, gondola_cpu_on);
/*
 * The engine for which processors are on.  Written with the engine lock and the hotplug read lock
 * held, so hotplug callbacks may read it.
 */
static const struct gondola_engine_ops *active;
static enum cpuhp_state hotplug_state;

static int this_cpu_enable(void)
{
	int err;

	lockdep_assert_irqs_disabled();
	if (this_cpu_read(gondola_cpu_on))
		return 0;
	err = active->cpu_on();
	if (!err)
		this_cpu_write(gondola_cpu_on, true);
	return err;
}

/* In a crash this is called from NMI context: no locks, no printk. */
static void this_cpu_disable(void)
{
	if (!this_cpu_read(gondola_cpu_on))
		return;
	this_cpu_write(gondola_cpu_on, false);
	active->cpu_off();
}

static void enable_here(void *info)
{
	atomic_t *error = info;
	int err = this_cpu_enable();

	if (err)
		atomic_set(error, err);
}

static void disable_here(void *info)
{
	this_cpu_disable();
}

/* In a crash the processor must answer INIT, even if locks are held. */
static void emergency_disable(void)
{
	if (active)
		this_cpu_disable();
}

static int cpu_online_callback(unsigned int cpu)
{
	int err = 0;

	local_irq_disable();
	if (active && !gondola_host_stopping)
		err = this_cpu_enable();
	local_irq_enable();
	if (err)
		pr_err("gondola: processor %u cannot run %s (%d): it stays offline\n", cpu,
		       active->name, err);
	return err;
}

static int cpu_offline_callback(unsigned int cpu)
{
	local_irq_disable();
	if (active)
		this_cpu_disable();
	local_irq_enable();
	return 0;
}

/* Suspend and resume of the boot processor; the others use hotplug. */
static int boot_cpu_suspend(COMPAT_SYSCORE_ARG)
{
	if (active)
		this_cpu_disable();
	sleep_begin(rdtsc(), gondola_host_ns());
	return 0;
}

/* The kernel registered its clock before us, so the clock is right again here. */
static void boot_cpu_resume(COMPAT_SYSCORE_ARG)
{
	sleep_end(rdtsc(), gondola_host_ns(), gondola_host_tsc_khz());
	if (active && this_cpu_enable())
		pr_err("gondola: %s did not come back after suspend\n", active->name);
}

static COMPAT_SYSCORE_OPS boot_cpu_ops = {
	.suspend = boot_cpu_suspend,
	.resume = boot_cpu_resume,
};

static struct syscore boot_cpu = { .ops = &boot_cpu_ops };

/* ---- preflight --------------------------------------------------------- */

struct processor_probe {
	const struct gondola_engine_ops *ops;
	u32 reason;
	char detail[64];
};

static int probe_here(void *info)
{
	struct processor_probe *probe = info;

	probe->detail[0] = 0;
	probe->reason = probe->ops->probe(probe->detail);
	return 0;
}

/* Check for root operation of another hypervisor; only called while ours is off. */
static void look_for_rival(void *info)
{
	u64 efer = 0;

	rdmsrq_safe(MSR_EFER, &efer);
	if ((__read_cr4() & X86_CR4_VMXE) || (efer & EFER_SVME))
		atomic_inc(info);
}

static struct kernel_facts kernel_facts(void)
{
	return (struct kernel_facts) {
		.preempt_rt = IS_ENABLED(CONFIG_PREEMPT_RT),
		.fred = __read_cr4() & KERNEL_CR4_FRED,
	};
}

u32 processors_kernel(const struct gondola_engine_ops *ops, char *detail)
{
	const struct kernel_facts facts = kernel_facts();

	return host_kernel_verdict(ops->id, &facts, detail);
}

/*
 * A loaded rival counts as in use even if it runs no guest: it has the kernel's only slot for a
 * crash callback, and may switch itself on at any time.
 */
u32 processors_probe(const struct gondola_engine_ops *ops, char *detail)
{
	struct processor_probe first = { .ops = ops }, other = { .ops = ops };
	atomic_t in_use = ATOMIC_INIT(0);
	int cpu;

	detail[0] = 0;
	if (active == ops)
		return GONDOLA_PF_OK;	/* our own root operation would look like another's */

	cpus_read_lock();
	probe_here(&first);
	for_each_online_cpu(cpu) {
		if (first.reason != GONDOLA_PF_OK)
			break;
		smp_call_on_cpu(cpu, probe_here, &other, false);
		if (other.reason == GONDOLA_PF_OK)
			continue;
		first.reason = GONDOLA_PF_PROCESSORS_DIFFER;
		scnprintf(first.detail, sizeof(first.detail), "processor %d: %.40s", cpu,
			  other.detail[0] ? other.detail : preflight_words[other.reason]);
	}
	if (first.reason == GONDOLA_PF_OK || first.reason == GONDOLA_PF_IN_USE) {
		u32 verdict = processors_kernel(ops, first.detail);

		if (verdict != GONDOLA_PF_OK)
			first.reason = verdict;
	}
	if (active && first.reason == GONDOLA_PF_OK) {
		first.reason = GONDOLA_PF_IN_USE;
		scnprintf(first.detail, sizeof(first.detail), "gondola runs VMs on %s",
			  active->name);
	} else if (first.reason == GONDOLA_PF_OK || first.reason == GONDOLA_PF_IN_USE) {
		on_each_cpu(look_for_rival, &in_use, 1);
		if (rival_loaded(ops->id)) {
			first.reason = GONDOLA_PF_IN_USE;
			scnprintf(first.detail, sizeof(first.detail), "the module %s is loaded",
				  rival_of(ops->id));
		} else if (atomic_read(&in_use)) {
			first.reason = GONDOLA_PF_IN_USE;
			strscpy(first.detail, "another hypervisor has switched it on",
				sizeof(first.detail));
		}
	}
	cpus_read_unlock();
	strscpy(detail, first.detail, 64);
	return first.reason;
}

/* Undo the rest of processors_on(). */
static void give_up(void)
{
	cpu_emergency_unregister_virt_callback(emergency_disable);
	rival_let_in();
}

int processors_on(const struct gondola_engine_ops *ops)
{
	atomic_t error = ATOMIC_INIT(0);
	int err = rival_keep_out(ops->id);

	if (err)
		return err;
	cpu_emergency_register_virt_callback(emergency_disable);
	cpus_read_lock();
	active = ops;
	on_each_cpu(enable_here, &error, 1);
	err = atomic_read(&error);
	if (err) {
		on_each_cpu(disable_here, NULL, 1);
		active = NULL;
	}
	cpus_read_unlock();
	if (err)
		give_up();
	return err;
}

void processors_off(const struct gondola_engine_ops *ops)
{
	cpus_read_lock();
	on_each_cpu(disable_here, NULL, 1);
	active = NULL;
	cpus_read_unlock();
	give_up();
}

static void look_up(void *info)
{
}

void processors_kick(void)
{
	on_each_cpu(look_up, NULL, 1);
}

void processors_stop(void)
{
	if (!active)
		return;
	cpus_read_lock();
	on_each_cpu(disable_here, NULL, 1);
	cpus_read_unlock();
}

int processors_init(void)
{
	int err = rival_init();

	if (err)
		return err;
	err = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "gondola:online",
					cpu_online_callback, cpu_offline_callback);
	if (err < 0) {
		rival_exit();
		return err;
	}
	hotplug_state = err;
	register_syscore(&boot_cpu);
	return 0;
}

void processors_exit(void)
{
	WARN_ON_ONCE(active);
	unregister_syscore(&boot_cpu);
	cpuhp_remove_state_nocalls(hotplug_state);
	rival_exit();
}
