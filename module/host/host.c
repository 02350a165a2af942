// SPDX-License-Identifier: GPL-2.0-only
/* The choice of the engine, the count of its VMs, and their end at shutdown. */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/string.h>
#include <linux/wait.h>
#include "vcpu.h"
#include "host.h"
#include "processors.h"
#include "run.h"

/* How long a shutdown waits for vCPUs to leave the engine. */
#define STOP_TIMEOUT	(2 * HZ)

static char *engine_param = "any";
module_param_named(engine, engine_param, charp, 0444);
MODULE_PARM_DESC(engine, "engine for VMs that name none: any, vmx, svm, ring3 or interp");

bool gondola_host_stopping;

/* In order of preference. */
static const struct gondola_engine_ops *const engines[] = {
#ifndef CONFIG_UML
	&gondola_vmx_ops,
	&gondola_svm_ops,
	&gondola_ring3_ops,
#endif
	&gondola_interp_ops,
};

const char *const preflight_words[] = {
	[GONDOLA_PF_OK] = "usable",
	[GONDOLA_PF_NOT_BUILT] = "not built into this module",
	[GONDOLA_PF_ABSENT] = "this processor does not have it",
	[GONDOLA_PF_LOCKED_OFF] = "locked off by firmware",
	[GONDOLA_PF_IN_USE] = "in use by another hypervisor",
	[GONDOLA_PF_NESTED_OFF] = "nested virtualization is off",
	[GONDOLA_PF_MISSING_FEATURE] = "a feature is missing",
	[GONDOLA_PF_PROCESSORS_DIFFER] = "the processors differ",
	[GONDOLA_PF_KERNEL] = "not with this kernel",
};

/* Guards the number of users, and switching on and off. */
static DEFINE_MUTEX(engine_lock);
static unsigned int users[GONDOLA_ENGINE_COUNT];

/*
 * A probe interrupts all processors, and anybody with the device may ask for it.  So the number per
 * second is limited; beyond it the last answer is repeated.
 */
#define PROBES_A_SECOND		16

struct answer {
	bool known;
	u32 reason;
	char detail[64];
};

static struct answer last_answer[GONDOLA_ENGINE_COUNT];
static unsigned long second_began;
static unsigned int probes_in_it;

/* Number of vCPUs that use the engine now.  A shutdown waits until it is 0. */
static atomic_t busy = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(idle_wait);

static u32 preferred = GONDOLA_ENGINE_ANY;

/* ---- preflight --------------------------------------------------------- */

static const struct gondola_engine_ops *engine_by_id(u32 id)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(engines); i++)
		if (engines[i] && engines[i]->id == id)
			return engines[i];
	return NULL;
}

static bool may_probe(void)
{
	if (!time_in_range(jiffies, second_began, second_began + HZ)) {
		second_began = jiffies;
		probes_in_it = 0;
	}
	return ++probes_in_it <= PROBES_A_SECOND;
}

static u32 preflight(const struct gondola_engine_ops *ops, char *detail)
{
	struct answer *last = &last_answer[ops->id];

	lockdep_assert_held(&engine_lock);
	detail[0] = 0;
	if (!ops->cpu_on) {
		u32 reason = processors_kernel(ops, detail);

		return reason == GONDOLA_PF_OK ? ops->probe(detail) : reason;
	}
	/* An engine that runs VMs already needs no probe. */
	if (users[ops->id])
		return GONDOLA_PF_OK;
	if (may_probe() || !last->known) {
		last->reason = processors_probe(ops, last->detail);
		last->known = true;
	}
	strscpy(detail, last->detail, sizeof(last->detail));
	return last->reason;
}

/*
 * Choose the first engine that can be used.  Of several refusals report the one nearest to working.
 * If others use the hardware now, do not silently choose an engine that is a hundred times slower.
 */
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
		u32 reason;

		if (engines[i]->caps & GONDOLA_ENGINE_ASKED_FOR)
			continue;
		if (best == GONDOLA_PF_IN_USE && !engines[i]->cpu_on)
			break;
		reason = preflight(engines[i], words);
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

const struct gondola_engine_ops *gondola_engine_of(u32 id)
{
	char detail[64];

	if (id == GONDOLA_ENGINE_ANY)
		gondola_engine_preflight(&id, detail);
	return engine_by_id(id);
}

/* ---- on with the first VM, off after the last --------------------------- */

static int switch_on(const struct gondola_engine_ops *ops)
{
	int err = ops->setup ? ops->setup() : 0;

	if (err || !ops->cpu_on)
		return err;
	err = processors_on(ops);
	if (err && ops->teardown)
		ops->teardown();
	return err;
}

static void switch_off(const struct gondola_engine_ops *ops)
{
	if (ops->cpu_on)
		processors_off(ops);
	if (ops->teardown)
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
	/* Pairs with the barrier in before_reboot(): it finds us busy, or we find it stopping. */
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

static int before_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	mutex_lock(&engine_lock);
	WRITE_ONCE(gondola_host_stopping, true);
	/* Pairs with the barrier in gondola_host_begin(). */
	smp_mb();
	if (atomic_read(&busy)) {
		/* The interrupt ends guests' runs; their run loops then find that we stop. */
		processors_kick();
		if (!wait_event_timeout(idle_wait, !atomic_read(&busy), STOP_TIMEOUT))
			pr_warn("gondola: a vCPU did not stop for the shutdown\n");
	}
	processors_stop();
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
	pr_err("gondola: engine=%s is not one of any, vmx, svm, ring3, interp\n", engine_param);
	return -EINVAL;
}

int gondola_host_init(void)
{
	int err = parse_parameter();
	int i;

	if (err)
		return err;
	err = processors_init();
	if (err)
		return err;
	err = register_reboot_notifier(&reboot_block);
	if (err) {
		processors_exit();
		return err;
	}

	for (i = 0; i < ARRAY_SIZE(engines); i++) {
		u32 id = engines[i]->id;
		char detail[64];
		u32 reason = gondola_engine_preflight(&id, detail);

		pr_info("gondola: %s: %s%s%s\n", engines[i]->name, preflight_words[reason],
			detail[0] ? ": " : "", detail);
	}
	return 0;
}

void gondola_host_exit(void)
{
	unregister_reboot_notifier(&reboot_block);
	processors_exit();
}
