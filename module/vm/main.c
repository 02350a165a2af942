// SPDX-License-Identifier: GPL-2.0-only
/* The module: loading, unloading, /dev/gondola and its ioctls, debugfs. */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/gondola.h>
#include "host/host.h"
#include "host/thread.h"
#include "ioctl.h"
#include "mmu/mmu.h"
#include "x86/control.h"

atomic_t vm_count = ATOMIC_INIT(0);
atomic_t vcpu_count = ATOMIC_INIT(0);

static struct dentry *debug_dir;

static long api_version(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *unused)
{
	return GONDOLA_API_VERSION;
}

static long preflight(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	struct gondola_preflight *args = arg;

	if (args->engine >= GONDOLA_ENGINE_COUNT)
		return -EINVAL;
	memset(args->detail, 0, sizeof(args->detail));
	args->reason = gondola_engine_preflight(&args->engine, args->detail);
	return 0;
}

static long create_vm(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	const struct gondola_create_vm *args = arg;

	if (args->engine >= GONDOLA_ENGINE_COUNT || !vm_name_ok(args->name, sizeof(args->name)))
		return -EINVAL;
	return vm_create(args);
}

static long supported_cpuid(struct gondola_vm *vm, struct gondola_vcpu *vcpu, void *arg)
{
	struct gondola_cpuid_entry *entries;
	struct gondola_cpuid *args = arg;
	u32 room, count = GONDOLA_MAX_CPUID;
	int err;

	if (args->engine >= GONDOLA_ENGINE_COUNT)
		return -EINVAL;
	entries = kcalloc(GONDOLA_MAX_CPUID, sizeof(*entries), GFP_KERNEL_ACCOUNT);
	if (!entries)
		return -ENOMEM;
	err = gondola_supported_cpuid(gondola_engine_of(args->engine), entries, &count);
	if (err)
		goto out;
	room = args->count;
	args->count = count;
	if (room < count)
		err = -E2BIG;
	else if (copy_to_user(u64_to_user_ptr(args->entries), entries, count * sizeof(*entries)))
		err = -EFAULT;
out:
	kfree(entries);
	return err;
}

static const struct ioctl_row calls[] = {
	{ GONDOLA_GET_API_VERSION, 0, IOCTL_UNLOCKED, api_version },
	{ GONDOLA_PREFLIGHT, 0, IOCTL_UNLOCKED, preflight },
	{ GONDOLA_CREATE_VM, GONDOLA_VM_XEN, IOCTL_UNLOCKED, create_vm },
	{ GONDOLA_GET_SUPPORTED_CPUID, 0, IOCTL_UNLOCKED, supported_cpuid },
};

static long system_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return ioctl_make(calls, ARRAY_SIZE(calls), NULL, NULL, cmd, arg);
}

static const struct file_operations system_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = system_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice gondola_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "gondola",
	.fops = &system_fops,
	.mode = 0660,
};

static int shadow_pages_get(void *data, u64 *value)
{
	*value = gondola_mmu_pages_total();
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(shadow_pages_fops, shadow_pages_get, NULL, "%llu\n");

static int audit_get(void *data, u64 *value)
{
	*value = vm_audit_all();
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(audit_fops, audit_get, NULL, "%llu\n");

/* A line for each VM: id, launcher's pid, vCPUs, pages of memory, phase, round, name. */
static int list_show(struct seq_file *out, void *unused)
{
	vm_list(out);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(list);

/* For all VMs since the module was loaded: times taken, times waited for, cycles of waiting. */
static int mmu_lock_show(struct seq_file *out, void *unused)
{
	struct gondola_lock_stats stats;

	gondola_mmu_lock_stats(&stats);
	seq_printf(out, "%llu %llu %llu\n", stats.taken, stats.waited, stats.cycles);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mmu_lock);

/* Each is 0 after the last VM has ended, unless there is a leak. */
static void create_debugfs(void)
{
	debug_dir = debugfs_create_dir("gondola", NULL);
	debugfs_create_atomic_t("vms", 0444, debug_dir, &vm_count);
	debugfs_create_atomic_t("vcpus", 0444, debug_dir, &vcpu_count);
	debugfs_create_file_unsafe("shadow_pages", 0444, debug_dir, NULL, &shadow_pages_fops);
	debugfs_create_file("list", 0444, debug_dir, NULL, &list_fops);
	debugfs_create_file("mmu_lock", 0444, debug_dir, NULL, &mmu_lock_fops);
	/* Reading it stops all VMs and audits their shadow tables; the kernel's log has the violations. */
	debugfs_create_file_unsafe("audit", 0400, debug_dir, NULL, &audit_fops);
}

static int __init gondola_init(void)
{
	int err = gondola_mmu_module_init();

	if (err)
		return err;
	err = gondola_host_init();
	if (err)
		goto no_host;
	gondola_threads_init();
	err = misc_register(&gondola_device);
	if (err)
		goto no_device;
	create_debugfs();
	return 0;

no_device:
	gondola_threads_exit();
	gondola_host_exit();
no_host:
	gondola_mmu_module_exit();
	return err;
}

static void __exit gondola_exit(void)
{
	debugfs_remove(debug_dir);
	misc_deregister(&gondola_device);
	gondola_threads_exit();
	gondola_host_exit();
	/* Notifiers of destroyed VMs may not be freed yet. */
	mmu_notifier_synchronize();
	gondola_mmu_module_exit();
}

module_init(gondola_init);
module_exit(gondola_exit);

MODULE_DESCRIPTION("gondola: a minimal virtual machine monitor with shadow page tables");
MODULE_AUTHOR("The gondola project");
MODULE_LICENSE("GPL");
