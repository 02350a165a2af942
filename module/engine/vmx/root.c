// SPDX-License-Identifier: GPL-2.0-only
/* Root operation: the processor is in it from the first VM's creation to the last one's end. */
#include <linux/kernel.h>
#include <asm/perf_event.h>
#include <asm/tlbflush.h>
#include "host/compat.h"
#include "vmcs.h"
#include "vmx.h"

bool vmx_root_on(struct vmx_cpu *c)
{
	/* Tracing in guests is not offered, and some processors cannot trace in root operation. */
	intel_pt_handle_vmx(1);
	cr4_update_irqsoff(X86_CR4_VMXE, 0);
	if (vmx_vmxon(__pa(c->region)))
		return true;
	cr4_update_irqsoff(0, X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
	return false;
}

void vmx_root_off(void)
{
	vmx_vmxoff();
	cr4_update_irqsoff(0, X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
}

const char *vmx_root_obstacle(u64 misc)
{
	return NULL;
}

bool vmx_root_load(struct vmx_cpu *c)
{
	return vmx_vmptrld(c->current_vmcs->vmcs_pa);
}

/*
 * Perf says which counters run while a guest runs.  None may write records (PEBS), whose addresses
 * would be the guest's.
 */
int vmx_root_counters(struct vmx_msr_entry *guest, struct vmx_msr_entry *host, int room)
{
	const struct perf_guest_switch_msr *msrs;
	int i, nr = 0, listed = 0;

	msrs = perf_guest_get_msrs(&nr, NULL);
	for (i = 0; msrs && i < nr && listed < room; i++) {
		if (likely(msrs[i].host == msrs[i].guest))
			continue;
		guest[listed].index = host[listed].index = msrs[i].msr;
		guest[listed].value = msrs[i].guest;
		host[listed].value = msrs[i].host;
		listed++;
	}
	return listed;
}
