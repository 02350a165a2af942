// SPDX-License-Identifier: GPL-2.0-only
/*
 * Root operation where the kernel keeps CR4.VMXE to its own hypervisor.
 *
 * The kernel writes CR4 from a copy of its own, which no other module may change there.  A write
 * that clears VMXE faults in root operation.  But the kernel writes CR4 from interrupts, from the
 * scheduler and from calls, never from an NMI.  So the processor is in root operation only while
 * interrupts are off: for an entry, with the guest's stay, and for an access to the VMCS outside
 * of one.  The VMCS is back in memory afterwards, and each entry launches it anew.
 *
 * No callback ends root operation in a crash.  So an event that an exit passes to the host is
 * passed outside of it: it may be an NMI that ends this kernel.
 */
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/smp.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/special_insns.h>
#include "host/compat.h"
#include "vmcs.h"
#include "vmx.h"

#define MISC_PT_IN_VMX		BIT_ULL(14)

static void write_cr4(unsigned long cr4)
{
	asm volatile("mov %0, %%cr4" : : "r" (cr4) : "memory");
}

static bool enter_root(struct vmx_cpu *c)
{
	unsigned long cr4 = native_read_cr4();

	/* A shutdown took the processor back. */
	if (!c->on)
		return false;
	/* Another hypervisor, which preflight and rival.c did not find, is in root operation. */
	if (WARN_ON_ONCE(cr4 & X86_CR4_VMXE))
		return false;
	write_cr4(cr4 | X86_CR4_VMXE);
	if (vmx_vmxon(__pa(c->region)))
		return true;
	write_cr4(cr4);
	return false;
}

static void leave_root(void)
{
	vmx_vmxoff();
	write_cr4(native_read_cr4() & ~X86_CR4_VMXE);
}

unsigned long vmx_root_begin(void)
{
	struct vmx_cpu *c;
	unsigned long flags;

	local_irq_save(flags);
	c = this_cpu_ptr(&vmx_cpus);
	if (c->nested++)
		return flags;
	c->in_root = enter_root(c);
	if (c->in_root && c->current_vmcs)
		vmx_vmptrld(c->current_vmcs->vmcs_pa);
	return flags;
}

void vmx_root_end(unsigned long flags)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpus);

	if (!--c->nested && c->in_root) {
		if (c->current_vmcs) {
			vmx_vmclear(c->current_vmcs->vmcs_pa);
			c->current_vmcs->launched = false;
		}
		c->in_root = false;
		leave_root();
	}
	local_irq_restore(flags);
}

bool vmx_in_root(void)
{
	return this_cpu_read(vmx_cpus.in_root);
}

/* Try it once, to see that it works. */
bool vmx_root_on(struct vmx_cpu *c)
{
	unsigned long flags = vmx_root_begin();
	bool in_root = c->in_root;

	vmx_root_end(flags);
	return in_root;
}

void vmx_root_off(void)
{
}

/* VMXON would end a trace, and there is no way to tell the kernel: that interface is KVM's alone. */
const char *vmx_root_obstacle(u64 misc)
{
#if defined(COMPAT_RESERVED_BHB) && defined(X86_FEATURE_CLEAR_BHB_VMEXIT)
	if (boot_cpu_has(X86_FEATURE_CLEAR_BHB_VMEXIT))
		return "it clears branch history for KVM alone (spectre_bhi=off)";
#endif
	if (boot_cpu_has(X86_FEATURE_INTEL_PT) && !(misc & MISC_PT_IN_VMX))
		return "Intel PT does not work in root operation";
	return NULL;
}

/* The next vmx_root_begin() loads it. */
bool vmx_root_load(struct vmx_cpu *c)
{
	return true;
}

/*
 * The kernel does not export perf's wishes for guests.  So no counter runs there, and none writes
 * records (PEBS), whose addresses would be the guest's.
 */
int vmx_root_counters(struct vmx_msr_entry *guest, struct vmx_msr_entry *host, int room)
{
	static const u32 controls[] = { MSR_CORE_PERF_GLOBAL_CTRL, MSR_IA32_PEBS_ENABLE };
	static bool absent[ARRAY_SIZE(controls)];
	int i, listed = 0;
	u64 value;

	for (i = 0; i < ARRAY_SIZE(controls) && listed < room; i++) {
		/* A fault at each entry would be expensive. */
		if (READ_ONCE(absent[i]))
			continue;
		if (rdmsrq_safe(controls[i], &value)) {
			WRITE_ONCE(absent[i], true);
			continue;
		}
		if (!value)
			continue;
		guest[listed].index = host[listed].index = controls[i];
		guest[listed].value = 0;
		host[listed].value = value;
		listed++;
	}
	return listed;
}
