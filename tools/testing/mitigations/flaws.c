// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loaded before gondola.ko, this module gives an emulated processor two flaws that it does not
 * have.  The code of modules that come later is patched for them, the kernel's own is not.  So
 * nothing but gondola asks for barriers, and what it asks for can be counted.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <asm/cpufeature.h>
#include <asm/msr-index.h>
#include <asm/msr-trace.h>
#include <asm/nospec-branch.h>

#ifndef X86_FEATURE_USE_IBPB
#define X86_FEATURE_USE_IBPB	X86_FEATURE_IBPB
#endif

static struct dentry *directory;
static atomic64_t barriers;

static void count_write(void *data, unsigned int msr, u64 value, int failed)
{
	if (msr == MSR_IA32_PRED_CMD && value == PRED_CMD_IBPB)
		atomic64_inc(&barriers);
}

static int read_barriers(void *data, u64 *value)
{
	*value = atomic64_read(&barriers);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(barriers_fops, read_barriers, NULL, "%llu\n");

/* On how many processors user mode was to have a barrier, since the last time that this was read. */
static int read_user(void *data, u64 *value)
{
	int cpu;

	*value = 0;
	for_each_online_cpu(cpu) {
		*value += per_cpu(x86_ibpb_exit_to_user, cpu);
		per_cpu(x86_ibpb_exit_to_user, cpu) = false;
	}
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(user_fops, read_user, NULL, "%llu\n");

static void believe(unsigned int feature)
{
	set_bit(feature, (unsigned long *)boot_cpu_data.x86_capability);
}

static int __init flaws_init(void)
{
	int ret = register_trace_write_msr(count_write, NULL);

	if (ret)
		return ret;
	believe(X86_FEATURE_USE_IBPB);
	believe(X86_FEATURE_IBPB_EXIT_TO_USER);
	directory = debugfs_create_dir("flaws", NULL);
	debugfs_create_file_unsafe("barriers", 0400, directory, NULL, &barriers_fops);
	debugfs_create_file_unsafe("user", 0400, directory, NULL, &user_fops);
	return 0;
}

static void __exit flaws_exit(void)
{
	debugfs_remove(directory);
	unregister_trace_write_msr(count_write, NULL);
	tracepoint_synchronize_unregister();
}

module_init(flaws_init);
module_exit(flaws_exit);
MODULE_DESCRIPTION("Flaws that an emulated processor lacks, for gondola's tests");
MODULE_LICENSE("GPL");
