// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processors: VMX root operation on and off, and the VMCSs that each processor holds.
 *
 * A VMCS that was loaded on a processor may live in its caches until VMCLEAR
 * there.  So each processor lists the VMCSs it holds; a vCPU that moves is
 * taken out of the old processor by IPI, and cpu_off() clears all.  The list
 * is changed by its own processor alone, with interrupts off; the crash path,
 * which may interrupt that, walks it forwards only.
 */
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <asm/msr.h>
#include "host/compat.h"
#include "vmcs.h"
#include "vmx.h"

DEFINE_PER_CPU(struct vmx_cpu, vmx_cpus);

const u32 vmx_switched_msrs[VMX_NR_SWITCHED] = {
	[VMX_MSR_STAR]		 = MSR_STAR,
	[VMX_MSR_LSTAR]		 = MSR_LSTAR,
	[VMX_MSR_CSTAR]		 = MSR_CSTAR,
	[VMX_MSR_SFMASK]	 = MSR_SYSCALL_MASK,
	[VMX_MSR_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
	[VMX_MSR_TSC_AUX]	 = MSR_TSC_AUX,
};

bool vmx_cpu_is_on(void)
{
	return this_cpu_read(vmx_cpus.on);
}

const u64 *vmx_host_msrs(void)
{
	return this_cpu_ptr(&vmx_cpus)->host_msr;
}

/* A page for VMXON or a VMCS: zero but for the revision. */
void *vmx_alloc_region(int cpu, gfp_t gfp)
{
	struct page *page = alloc_pages_node(cpu_to_node(cpu), gfp | __GFP_ZERO, 0);
	u32 *region;

	if (!page)
		return NULL;
	region = page_address(page);
	*region = vmx_basic_vmcs_revision_id(vmx_caps.basic);
	return region;
}

int vmx_setup(void)
{
	int cpu;

	vmx_msr_bitmap = (unsigned long *)get_zeroed_page(GFP_KERNEL);
	if (!vmx_msr_bitmap)
		return -ENOMEM;
	vmx_fill_msr_bitmap(vmx_msr_bitmap);

	for_each_possible_cpu(cpu) {
		struct vmx_cpu *c = per_cpu_ptr(&vmx_cpus, cpu);

		INIT_LIST_HEAD(&c->holds);
		c->region = vmx_alloc_region(cpu, GFP_KERNEL);
		if (!c->region) {
			vmx_teardown();
			return -ENOMEM;
		}
	}
	return 0;
}

void vmx_teardown(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct vmx_cpu *c = per_cpu_ptr(&vmx_cpus, cpu);

		free_page((unsigned long)c->region);
		c->region = NULL;
	}
	free_page((unsigned long)vmx_msr_bitmap);
	vmx_msr_bitmap = NULL;
}

/* If firmware left the lock open, VMXON needs it closed with VMX enabled. */
static bool unlock_vmx(void)
{
	const u64 enabled = FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX;
	u64 feat_ctl;

	if (rdmsrq_safe(MSR_IA32_FEAT_CTL, &feat_ctl))
		return false;
	if (feat_ctl & FEAT_CTL_LOCKED)
		return (feat_ctl & enabled) == enabled;
	return !wrmsrq_safe(MSR_IA32_FEAT_CTL, feat_ctl | enabled);
}

int vmx_cpu_on(void)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpus);
	unsigned int i;

	if (WARN_ON_ONCE(c->on) || (__read_cr4() & X86_CR4_VMXE))
		return -EBUSY;
	if (!unlock_vmx())
		return -EOPNOTSUPP;

	for (i = 0; i < VMX_NR_SWITCHED; i++)
		if (rdmsrq_safe(vmx_switched_msrs[i], &c->host_msr[i]))
			c->host_msr[i] = 0;

	c->current_vmcs = NULL;
	c->on = true;
	if (!vmx_root_on(c)) {
		c->on = false;
		return -EBUSY;
	}
	/* Another hypervisor may have left translations with our VPIDs. */
	if (vmx_caps.vpid && vmx_caps.ept_vpid >> 32 & VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT)
		vmx_invvpid(VMX_VPID_EXTENT_ALL_CONTEXT, 0, 0);
	return 0;
}

static void forget(struct vmx_vcpu *vmx)
{
	unsigned long flags = vmx_root_begin();

	vmx_vmclear(vmx->vmcs_pa);
	vmx_root_end(flags);
	list_del(&vmx->link);
	vmx->launched = false;
	/* Do this last: from here on another processor may take the VMCS, see vmx_evict(). */
	smp_store_release(&vmx->cpu, -1);
}

void vmx_cpu_off(void)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpus);
	struct vmx_vcpu *vmx, *next;

	if (!c->on)
		return;
	c->current_vmcs = NULL;
	list_for_each_entry_safe(vmx, next, &c->holds, link)
		forget(vmx);
	c->on = false;
	vmx_root_off();
}

/* Runs on the processor that holds the VMCS, interrupts off. */
static void evict_here(void *arg)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpus);
	struct vmx_vcpu *vmx = arg;

	/* cpu_off() may have done it already. */
	if (vmx->cpu != smp_processor_id())
		return;
	if (c->current_vmcs == vmx)
		c->current_vmcs = NULL;
	forget(vmx);
}

void vmx_evict(struct vmx_vcpu *vmx)
{
	/* Pairs with forget(). */
	int cpu = smp_load_acquire(&vmx->cpu);

	/* This fails only if the processor went offline; then its cpu_off() did it. */
	if (cpu >= 0)
		smp_call_function_single(cpu, evict_here, vmx, 1);
}

void vmx_make_current(struct vmx_vcpu *vmx, int cpu, bool *moved)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpus);
	unsigned long flags;

	*moved = vmx->cpu != cpu;
	if (!*moved && c->current_vmcs == vmx)
		return;
	if (*moved) {
		vmx_evict(vmx);
		local_irq_save(flags);
		vmx->cpu = cpu;
		list_add(&vmx->link, &c->holds);
		local_irq_restore(flags);
	}
	c->current_vmcs = vmx;
	if (WARN_ON_ONCE(!c->on || !vmx_root_load(c))) {
		c->current_vmcs = NULL;
		return;
	}
	/* Another guest may have trained the branch predictors here. */
	gondola_host_ibpb();
}
