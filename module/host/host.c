// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine underneath.  While VMs of a hardware engine exist, every online
 * processor is switched on for it; none is left on by suspend, shutdown, kexec,
 * crash or unload.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/syscore_ops.h>
#include <linux/wait.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/reboot.h>
#include <asm/tlbflush.h>
#include <asm/tsc.h>
#include "../vcpu.h"
#include "host.h"
#include "run.h"
#include "time.h"

/* How long a shutdown waits for vCPUs to leave the engine. */
#define STOP_TIMEOUT	(2 * HZ)

static char *engine_param = "any";
module_param_named(engine, engine_param, charp, 0444);
MODULE_PARM_DESC(engine, "engine for VMs that name none: any, vmx or svm");

DEFINE_PER_CPU(bool, gondola_cpu_on);
bool gondola_host_stopping;

/* In order of preference. */
static const struct gondola_engine_ops *const engines[] = {
	&gondola_vmx_ops,
	&gondola_svm_ops,
};

/* The module of the kernel's own hypervisor that holds the same hardware. */
static const char *const rival[GONDOLA_ENGINE_COUNT] = {
	[GONDOLA_ENGINE_VMX] = "kvm_intel",
	[GONDOLA_ENGINE_SVM] = "kvm_amd",
};

static const char *const reason_words[] = {
	[GONDOLA_PF_OK] = "usable",
	[GONDOLA_PF_NOT_BUILT] = "not built into this module",
	[GONDOLA_PF_ABSENT] = "this processor does not have it",
	[GONDOLA_PF_LOCKED_OFF] = "locked off by firmware",
	[GONDOLA_PF_IN_USE] = "in use by another hypervisor",
	[GONDOLA_PF_NESTED_OFF] = "nested virtualization is off",
	[GONDOLA_PF_MISSING_FEATURE] = "a feature is missing",
	[GONDOLA_PF_PROCESSORS_DIFFER] = "the processors differ",
};

/* Guards users and the steps of switching on and off. */
static DEFINE_MUTEX(engine_lock);
static unsigned int users[GONDOLA_ENGINE_COUNT];
/*
 * The engine for which processors are on.  Written with engine_lock and the
 * hotplug read lock held, so that hotplug callbacks may read it.
 */
static const struct gondola_engine_ops *active;

/* vCPUs that use the engine just now; shutdown waits until there are none. */
static atomic_t busy = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(idle_wait);

static enum cpuhp_state hotplug_state;
static u32 preferred = GONDOLA_ENGINE_ANY;

/* ---- time -------------------------------------------------------------- */

u64 gondola_host_tsc(void)
{
	return rdtsc();
}

u64 gondola_host_run_delay(void)
{
	return current->sched_info.run_delay;
}

u32 gondola_host_tsc_khz(void)
{
	return tsc_khz ?: cpu_khz ?: 1;
}

u64 gondola_guest_tsc(struct gondola_vcpu *vcpu)
{
	return rdtsc() + vcpu->tsc_offset;
}

/* ---- one processor ----------------------------------------------------- */

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

/* Also from NMI context in a crash: no locks, no printk. */
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

/* Crash: whatever still holds a lock, the processor must answer INIT. */
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

/* Suspend and resume of the boot processor; the others come and go by hotplug. */
static int boot_cpu_suspend(void)
{
	if (active)
		this_cpu_disable();
	return 0;
}

static void boot_cpu_resume(void)
{
	if (active && this_cpu_enable())
		pr_err("gondola: %s did not come back after suspend\n", active->name);
}

static struct syscore_ops boot_cpu_ops = {
	.suspend = boot_cpu_suspend,
	.resume = boot_cpu_resume,
};

/* ---- preflight --------------------------------------------------------- */

static const struct gondola_engine_ops *engine_by_id(u32 id)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(engines); i++)
		if (engines[i] && engines[i]->id == id)
			return engines[i];
	return NULL;
}

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

/* Someone else's root operation; only asked while ours is off. */
static void look_for_rival(void *info)
{
	u64 efer = 0;

	rdmsrl_safe(MSR_EFER, &efer);
	if ((cr4_read_shadow() & X86_CR4_VMXE) || (efer & EFER_SVME))
		atomic_inc(info);
}

/* Every module, and built-in code with parameters, is listed in /sys/module. */
static bool module_loaded(const char *name)
{
	struct kobject *found = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, name);

	kobject_put(found);
	return found;
}

/*
 * A loaded rival counts as in use even while it runs nothing: it holds the
 * kernel's one slot for the crash callback, and may switch itself on any time.
 */
static u32 preflight(const struct gondola_engine_ops *ops, char *detail)
{
	struct processor_probe first = { .ops = ops }, other = { .ops = ops };
	atomic_t in_use = ATOMIC_INIT(0);
	int cpu;

	lockdep_assert_held(&engine_lock);
	detail[0] = 0;
	if (active == ops)
		return GONDOLA_PF_OK;	/* it runs here already, and so would look taken */

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
			  other.detail[0] ? other.detail : reason_words[other.reason]);
	}
	if (active && first.reason == GONDOLA_PF_OK) {
		first.reason = GONDOLA_PF_IN_USE;
		scnprintf(first.detail, sizeof(first.detail), "gondola runs VMs on %s",
			  active->name);
	} else if (first.reason == GONDOLA_PF_OK || first.reason == GONDOLA_PF_IN_USE) {
		on_each_cpu(look_for_rival, &in_use, 1);
		if (module_loaded(rival[ops->id])) {
			first.reason = GONDOLA_PF_IN_USE;
			scnprintf(first.detail, sizeof(first.detail), "the module %s is loaded",
				  rival[ops->id]);
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

/* Of several refusals the one nearest to working is worth telling. */
static u32 choose(u32 *id, char *detail)
{
	u32 best = GONDOLA_PF_ABSENT;
	int i;

	if (preferred != GONDOLA_ENGINE_ANY) {
		*id = preferred;
		return preflight(engine_by_id(preferred), detail);
	}
	strscpy(detail, "neither VMX nor SVM", 64);
	for (i = 0; i < ARRAY_SIZE(engines); i++) {
		char words[64];
		u32 reason = preflight(engines[i], words);

		if (reason == GONDOLA_PF_OK || best == GONDOLA_PF_ABSENT) {
			if (reason != GONDOLA_PF_ABSENT) {
				strscpy(detail, words, 64);
				*id = engines[i]->id;
			}
			best = reason;
		}
		if (reason == GONDOLA_PF_OK)
			break;
	}
	return best;
}

static u32 preflight_by_id(u32 *id, char *detail)
{
	const struct gondola_engine_ops *ops;

	if (*id == GONDOLA_ENGINE_ANY)
		return choose(id, detail);
	detail[0] = 0;
	ops = engine_by_id(*id);
	return ops ? preflight(ops, detail) : GONDOLA_PF_NOT_BUILT;
}

u32 gondola_engine_preflight(u32 *id, char *detail)
{
	u32 reason;

	mutex_lock(&engine_lock);
	reason = preflight_by_id(id, detail);
	mutex_unlock(&engine_lock);
	return reason;
}

/* ---- on with the first VM, off after the last --------------------------- */

static int switch_on(const struct gondola_engine_ops *ops)
{
	atomic_t error = ATOMIC_INIT(0);
	int err = ops->setup();

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
	if (err) {
		cpu_emergency_unregister_virt_callback(emergency_disable);
		ops->teardown();
	}
	return err;
}

static void switch_off(const struct gondola_engine_ops *ops)
{
	cpus_read_lock();
	on_each_cpu(disable_here, NULL, 1);
	active = NULL;
	cpus_read_unlock();
	cpu_emergency_unregister_virt_callback(emergency_disable);
	ops->teardown();
}

int gondola_engine_get(u32 id, const struct gondola_engine_ops **ops)
{
	char detail[64];
	int err = 0;
	u32 reason;

	mutex_lock(&engine_lock);
	if (gondola_host_stopping) {
		err = -ESHUTDOWN;
		goto out;
	}
	reason = preflight_by_id(&id, detail);
	if (reason != GONDOLA_PF_OK) {
		err = reason == GONDOLA_PF_IN_USE ? -EBUSY : -ENODEV;
		goto out;
	}
	*ops = engine_by_id(id);
	if (!users[id])
		err = switch_on(*ops);
	if (!err)
		users[id]++;
out:
	mutex_unlock(&engine_lock);
	return err;
}

void gondola_engine_put(const struct gondola_engine_ops *ops)
{
	mutex_lock(&engine_lock);
	if (!WARN_ON_ONCE(!users[ops->id]) && !--users[ops->id])
		switch_off(ops);
	mutex_unlock(&engine_lock);
}

/* ---- shutdown and kexec -------------------------------------------------- */

int gondola_host_begin(void)
{
	atomic_inc(&busy);
	/* Pairs with the barrier in before_reboot(): it sees us busy, or we see it stopping. */
	smp_mb__after_atomic();
	if (likely(!READ_ONCE(gondola_host_stopping)))
		return 0;
	gondola_host_end();
	return -ESHUTDOWN;
}

void gondola_host_end(void)
{
	if (atomic_dec_and_test(&busy) && unlikely(READ_ONCE(gondola_host_stopping)))
		wake_up_all(&idle_wait);
}

static void look_up(void *info)
{
}

static int before_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	mutex_lock(&engine_lock);
	WRITE_ONCE(gondola_host_stopping, true);
	/* Pairs with the barrier in gondola_host_begin(). */
	smp_mb();
	if (active) {
		/* The interrupt takes guests out; their run loops then see that we stop. */
		on_each_cpu(look_up, NULL, 1);
		if (!wait_event_timeout(idle_wait, !atomic_read(&busy), STOP_TIMEOUT))
			pr_warn("gondola: a vCPU did not stop for the shutdown\n");
		cpus_read_lock();
		on_each_cpu(disable_here, NULL, 1);
		cpus_read_unlock();
	}
	mutex_unlock(&engine_lock);
	return NOTIFY_OK;
}

static struct notifier_block reboot_block = { .notifier_call = before_reboot };

/* ---- module -------------------------------------------------------------- */

static int parse_parameter(void)
{
	int i;

	if (!strcmp(engine_param, "any"))
		return 0;
	for (i = 0; i < ARRAY_SIZE(engines); i++) {
		if (!strcmp(engine_param, engines[i]->name)) {
			preferred = engines[i]->id;
			return 0;
		}
	}
	pr_err("gondola: engine=%s is not one of any, vmx, svm\n", engine_param);
	return -EINVAL;
}

int gondola_host_init(void)
{
	int err = parse_parameter();
	int i;

	if (err)
		return err;
	err = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "gondola:online",
					cpu_online_callback, cpu_offline_callback);
	if (err < 0)
		return err;
	hotplug_state = err;
	err = register_reboot_notifier(&reboot_block);
	if (err) {
		cpuhp_remove_state_nocalls(hotplug_state);
		return err;
	}
	register_syscore_ops(&boot_cpu_ops);

	for (i = 0; i < ARRAY_SIZE(engines); i++) {
		u32 id = engines[i]->id;
		char detail[64];
		u32 reason = gondola_engine_preflight(&id, detail);

		pr_info("gondola: %s: %s%s%s\n", engines[i]->name, reason_words[reason],
			detail[0] ? ": " : "", detail);
	}
	return 0;
}

void gondola_host_exit(void)
{
	WARN_ON_ONCE(active);
	unregister_syscore_ops(&boot_cpu_ops);
	unregister_reboot_notifier(&reboot_block);
	cpuhp_remove_state_nocalls(hotplug_state);
}
