// SPDX-License-Identifier: GPL-2.0-only
/* Capabilities of the processors: the probe, its typed answers, and the choice of VM-execution controls. */
#include <linux/kernel.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/special_insns.h>
#include "host/compat.h"
#include "vmx.h"

struct vmx_caps vmx_caps;

#define BASIC_TRUE_CONTROLS	BIT_ULL(55)
#define BASIC_MEMORY_TYPE(x)	(((x) >> 50) & 15)
#define MEMORY_TYPE_WB		6

/* The report of one processor.  It comes from CPUID and RDMSR, not from the kernel's copy, which
 * drops VMX if firmware locked it off.
 */
struct raw {
	u32 vmx : 1;
	u32 nx : 1;
	u32 locked_off : 1;
	u32 in_use : 1;
	u64 basic, misc, ept_vpid;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	u64 pin, proc, proc2, exit, entry;	/* low half: must be 1, high half: may be 1 */
	u64 efer;
};

struct control {
	u32 bit;
	const char *name;
};

/* Required controls. */
static const struct control pin_needed[] = {
	{ PIN_BASED_EXT_INTR_MASK, "external-interrupt exiting" },
	{ PIN_BASED_NMI_EXITING, "NMI exiting" },
	{ PIN_BASED_VIRTUAL_NMIS, "virtual NMIs" },
};

static const struct control proc_needed[] = {
	{ CPU_BASED_USE_TSC_OFFSETTING, "TSC offsetting" },
	{ CPU_BASED_HLT_EXITING, "HLT exiting" },
	{ CPU_BASED_INVLPG_EXITING, "INVLPG exiting" },
	{ CPU_BASED_MWAIT_EXITING, "MWAIT exiting" },
	{ CPU_BASED_RDPMC_EXITING, "RDPMC exiting" },
	{ CPU_BASED_CR3_LOAD_EXITING, "CR3-load exiting" },
	{ CPU_BASED_CR3_STORE_EXITING, "CR3-store exiting" },
	{ CPU_BASED_CR8_LOAD_EXITING, "CR8-load exiting" },
	{ CPU_BASED_CR8_STORE_EXITING, "CR8-store exiting" },
	{ CPU_BASED_MOV_DR_EXITING, "MOV-DR exiting" },
	{ CPU_BASED_UNCOND_IO_EXITING, "unconditional I/O exiting" },
	{ CPU_BASED_USE_MSR_BITMAPS, "MSR bitmaps" },
	{ CPU_BASED_MONITOR_EXITING, "MONITOR exiting" },
	{ CPU_BASED_INTR_WINDOW_EXITING, "interrupt-window exiting" },
	{ CPU_BASED_NMI_WINDOW_EXITING, "NMI-window exiting" },
};

static const struct control exit_needed[] = {
	{ VM_EXIT_HOST_ADDR_SPACE_SIZE, "64-bit host" },
	{ VM_EXIT_SAVE_DEBUG_CONTROLS, "save debug controls" },
};

static const struct control entry_needed[] = {
	{ VM_ENTRY_LOAD_DEBUG_CONTROLS, "load debug controls" },
	{ VM_ENTRY_IA32E_MODE, "IA-32e mode guest" },
};

/* Set while a window is requested, and for guests in long mode. */
#define PROC_ON_DEMAND	(CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING)
#define ENTRY_ON_DEMAND	VM_ENTRY_IA32E_MODE

/* Optional controls. */
#define PROC2_WANTED	(SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_VPID |	\
			 SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_PAUSE_LOOP_EXITING)

static u64 read_msr(u32 index)
{
	u64 value;

	return rdmsrq_safe(index, &value) ? 0 : value;
}

static void read_raw(void *arg)
{
	struct raw *raw = arg;
	u64 feat_ctl;

	memset(raw, 0, sizeof(*raw));
	raw->vmx = !!(cpuid_ecx(1) & BIT(5));
	if (!raw->vmx)
		return;
	raw->nx = cpuid_eax(0x80000000) >= 0x80000001 && cpuid_edx(0x80000001) & BIT(20);
	raw->in_use = !vmx_cpu_is_on() && (__read_cr4() & X86_CR4_VMXE);
	feat_ctl = read_msr(MSR_IA32_FEAT_CTL);
	raw->locked_off = (feat_ctl & FEAT_CTL_LOCKED) &&
			  !(feat_ctl & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX);

	raw->basic = read_msr(MSR_IA32_VMX_BASIC);
	raw->misc = read_msr(MSR_IA32_VMX_MISC);
	raw->cr0_fixed0 = read_msr(MSR_IA32_VMX_CR0_FIXED0);
	raw->cr0_fixed1 = read_msr(MSR_IA32_VMX_CR0_FIXED1);
	raw->cr4_fixed0 = read_msr(MSR_IA32_VMX_CR4_FIXED0);
	raw->cr4_fixed1 = read_msr(MSR_IA32_VMX_CR4_FIXED1);
	if (raw->basic & BASIC_TRUE_CONTROLS) {
		raw->pin = read_msr(MSR_IA32_VMX_TRUE_PINBASED_CTLS);
		raw->proc = read_msr(MSR_IA32_VMX_TRUE_PROCBASED_CTLS);
		raw->exit = read_msr(MSR_IA32_VMX_TRUE_EXIT_CTLS);
		raw->entry = read_msr(MSR_IA32_VMX_TRUE_ENTRY_CTLS);
	} else {
		raw->pin = read_msr(MSR_IA32_VMX_PINBASED_CTLS);
		raw->proc = read_msr(MSR_IA32_VMX_PROCBASED_CTLS);
		raw->exit = read_msr(MSR_IA32_VMX_EXIT_CTLS);
		raw->entry = read_msr(MSR_IA32_VMX_ENTRY_CTLS);
	}
	if (raw->proc >> 32 & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
		raw->proc2 = read_msr(MSR_IA32_VMX_PROCBASED_CTLS2);
	if (raw->proc2 >> 32 & (SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID))
		raw->ept_vpid = read_msr(MSR_IA32_VMX_EPT_VPID_CAP);
	rdmsrq(MSR_EFER, raw->efer);
}

/*
 * Compose a control word: the required controls, those of @wanted that exist, and those that must
 * be set.  Returns the name of a missing one, or NULL.
 */
static const char *choose(u64 cap, const struct control *needed, unsigned int n, u32 wanted,
			  u32 on_demand, u32 *out)
{
	u32 must = cap, may = cap >> 32;
	unsigned int i;

	*out = must | (wanted & may);
	for (i = 0; i < n; i++) {
		if (!(may & needed[i].bit))
			return needed[i].name;
		if (!(on_demand & needed[i].bit))
			*out |= needed[i].bit;
	}
	return NULL;
}

/* Fill @caps from a processor's report.  Returns the name of a missing capability, or NULL. */
static const char *choose_controls(const struct raw *raw, struct vmx_caps *caps)
{
	const char *missing;

	missing = choose(raw->pin, pin_needed, ARRAY_SIZE(pin_needed), 0, 0, &caps->pin);
	if (!missing)
		missing = choose(raw->proc, proc_needed, ARRAY_SIZE(proc_needed),
				 CPU_BASED_ACTIVATE_SECONDARY_CONTROLS, PROC_ON_DEMAND,
				 &caps->proc);
	if (!missing)
		missing = choose(raw->exit, exit_needed, ARRAY_SIZE(exit_needed),
				 VM_EXIT_LOAD_IA32_EFER, 0, &caps->exit);
	if (!missing)
		missing = choose(raw->entry, entry_needed, ARRAY_SIZE(entry_needed),
				 VM_ENTRY_LOAD_IA32_EFER, ENTRY_ON_DEMAND, &caps->entry);
	if (missing)
		return missing;

	/* EFER is switched by controls in both directions, or by lists in both. */
	if (!(caps->exit & VM_EXIT_LOAD_IA32_EFER) || !(caps->entry & VM_ENTRY_LOAD_IA32_EFER)) {
		caps->exit &= ~VM_EXIT_LOAD_IA32_EFER;
		caps->entry &= ~VM_ENTRY_LOAD_IA32_EFER;
	}

	choose(raw->proc2, NULL, 0, PROC2_WANTED, 0, &caps->proc2);
	caps->vpid = !__is_defined(COMPAT_RESERVED_CR4) &&
		     caps->proc2 & SECONDARY_EXEC_ENABLE_VPID &&
		     raw->ept_vpid >> 32 & VMX_VPID_INVVPID_BIT &&
		     raw->ept_vpid >> 32 & VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT;
	caps->vpid_gva = raw->ept_vpid >> 32 & VMX_VPID_EXTENT_INDIVIDUAL_ADDR_BIT;
	if (!caps->vpid)
		caps->proc2 &= ~SECONDARY_EXEC_ENABLE_VPID;

	caps->basic = raw->basic;
	caps->misc = raw->misc;
	caps->ept_vpid = raw->ept_vpid;
	caps->cr0_fixed0 = raw->cr0_fixed0;
	caps->cr0_fixed1 = raw->cr0_fixed1;
	caps->cr4_fixed0 = raw->cr4_fixed0;
	caps->cr4_fixed1 = raw->cr4_fixed1;
	caps->host_efer = raw->efer;

	if (BASIC_MEMORY_TYPE(raw->basic) != MEMORY_TYPE_WB)
		return "VMCS in write-back memory";
	if (vmx_basic_vmcs_size(raw->basic) > PAGE_SIZE)
		return "VMCS within one page";
	if (!raw->nx)
		return "execute-disable (NX) in page tables";
	return NULL;
}

static u32 say(char *detail, u32 reason, const char *fmt, const char *arg)
{
	snprintf(detail, 64, fmt, arg);
	return reason;
}

/* Does the processor have VMX, and may it be used? */
static u32 check_presence(const struct raw *raw, char *detail)
{
	const char *vendor = boot_cpu_data.x86_vendor_id;

	if (!raw->vmx) {
		bool has_it_elsewhere = boot_cpu_data.x86_vendor == X86_VENDOR_INTEL ||
					boot_cpu_data.x86_vendor == X86_VENDOR_CENTAUR ||
					boot_cpu_data.x86_vendor == X86_VENDOR_ZHAOXIN;

		if (has_it_elsewhere && boot_cpu_has(X86_FEATURE_HYPERVISOR))
			return say(detail, GONDOLA_PF_NESTED_OFF,
				   "a virtual machine whose host offers no nested VMX%s", "");
		return say(detail, GONDOLA_PF_ABSENT, "no VMX in this processor (%s)", vendor);
	}
	if (raw->locked_off)
		return say(detail, GONDOLA_PF_LOCKED_OFF, "firmware locked VMX off (FEAT_CTL)%s",
			   "");
	if (raw->in_use)
		return say(detail, GONDOLA_PF_IN_USE, "another hypervisor runs: CR4.VMXE is set%s",
			   "");
	return GONDOLA_PF_OK;
}

u32 vmx_probe(char *detail)
{
	struct vmx_caps caps = {};
	struct raw first, other;
	const char *missing;
	bool have_first = false;
	u32 reason;
	int cpu;

	detail[0] = '\0';
	for_each_online_cpu(cpu) {
		if (smp_call_function_single(cpu, read_raw, &other, 1))
			continue;	/* the processor went offline meanwhile */
		reason = check_presence(&other, detail);
		if (reason != GONDOLA_PF_OK)
			return reason;
		if (!have_first)
			first = other;
		else if (memcmp(&first, &other, sizeof(first)))
			return say(detail, GONDOLA_PF_PROCESSORS_DIFFER,
				   "processors report different VMX capabilities%s", "");
		have_first = true;
	}
	if (!have_first)
		return say(detail, GONDOLA_PF_ABSENT, "no processor answered%s", "");

	missing = choose_controls(&first, &caps);
	if (missing)
		return say(detail, GONDOLA_PF_MISSING_FEATURE, "%s", missing);
	missing = vmx_root_obstacle(first.misc);
	if (missing)
		return say(detail, GONDOLA_PF_KERNEL, "%s", missing);
	vmx_caps = caps;
	return GONDOLA_PF_OK;
}
