// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM beside gondola.
 *
 * The kernel has one slot for a callback that ends a hypervisor in a crash, and warns if it is
 * taken. Depending on the kernel, KVM takes it when it is loaded or with its first VM, and may
 * switch the processors on as soon as it is loaded.  So KVM cannot be loaded while VMs of ours run
 * on the same hardware, and no VM of ours begins while it is loaded.
 */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kobject.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <uapi/linux/gondola.h>
#include "rival.h"

static const char *const rivals[GONDOLA_ENGINE_COUNT] = {
	[GONDOLA_ENGINE_VMX] = "kvm_intel",
	[GONDOLA_ENGINE_SVM] = "kvm_amd",
};

/* Guards both below. */
static DEFINE_MUTEX(rival_lock);
/* The engine whose rival cannot be loaded; GONDOLA_ENGINE_ANY: none. */
static u32 kept_out = GONDOLA_ENGINE_ANY;
/* The engines whose rivals are loaded: the notifier learns of a module before /sys shows it. */
static u32 present;

const char *rival_of(u32 engine)
{
	return rivals[engine];
}

static int module_changes(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct module *module = data;
	int ret = NOTIFY_DONE;
	u32 engine;

	if (state != MODULE_STATE_COMING && state != MODULE_STATE_GOING)
		return NOTIFY_DONE;
	for (engine = 0; engine < GONDOLA_ENGINE_COUNT; engine++)
		if (rivals[engine] && !strcmp(module->name, rivals[engine]))
			break;
	if (engine == GONDOLA_ENGINE_COUNT)
		return NOTIFY_DONE;

	mutex_lock(&rival_lock);
	if (state == MODULE_STATE_GOING) {
		present &= ~BIT(engine);
	} else if (kept_out == engine) {
		pr_notice("gondola: %s is not loaded: VMs run on the same hardware\n", module->name);
		ret = notifier_from_errno(-EBUSY);
	} else {
		present |= BIT(engine);
	}
	mutex_unlock(&rival_lock);
	return ret;
}

static struct notifier_block module_block = { .notifier_call = module_changes };

/* /sys/module lists every module, and built-in code with parameters. */
static bool in_sysfs(const char *name)
{
	struct kobject *found = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, name);

	kobject_put(found);
	return found;
}

static bool loaded(u32 engine)
{
	lockdep_assert_held(&rival_lock);
	return rivals[engine] && ((present & BIT(engine)) || in_sysfs(rivals[engine]));
}

bool rival_loaded(u32 engine)
{
	bool there;

	mutex_lock(&rival_lock);
	there = loaded(engine);
	mutex_unlock(&rival_lock);
	return there;
}

int rival_keep_out(u32 engine)
{
	int err = 0;

	mutex_lock(&rival_lock);
	if (loaded(engine))
		err = -EBUSY;
	else
		kept_out = engine;
	mutex_unlock(&rival_lock);
	return err;
}

void rival_let_in(void)
{
	mutex_lock(&rival_lock);
	kept_out = GONDOLA_ENGINE_ANY;
	mutex_unlock(&rival_lock);
}

int rival_init(void)
{
	return register_module_notifier(&module_block);
}

void rival_exit(void)
{
	unregister_module_notifier(&module_block);
}
