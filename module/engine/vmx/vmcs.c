// SPDX-License-Identifier: GPL-2.0-only
/* The names of VMCS fields, and the handling of refused accesses. */
#include <linux/kernel.h>
#include "host/run.h"
#include "trace.h"
#include "vcpu.h"
#include "vm.h"
#include "vmcs.h"

static const struct {
	u32 field;
	const char *name;
} fields[] = {
	{ VIRTUAL_PROCESSOR_ID, "VPID" },
	{ GUEST_ES_SELECTOR, "guest ES selector" },
	{ GUEST_CS_SELECTOR, "guest CS selector" },
	{ GUEST_SS_SELECTOR, "guest SS selector" },
	{ GUEST_DS_SELECTOR, "guest DS selector" },
	{ GUEST_FS_SELECTOR, "guest FS selector" },
	{ GUEST_GS_SELECTOR, "guest GS selector" },
	{ GUEST_LDTR_SELECTOR, "guest LDTR selector" },
	{ GUEST_TR_SELECTOR, "guest TR selector" },
	{ HOST_CS_SELECTOR, "host CS selector" },
	{ HOST_SS_SELECTOR, "host SS selector" },
	{ HOST_TR_SELECTOR, "host TR selector" },
	{ MSR_BITMAP, "address of MSR bitmaps" },
	{ VM_EXIT_MSR_LOAD_ADDR, "VM-exit MSR-load address" },
	{ VM_ENTRY_MSR_LOAD_ADDR, "VM-entry MSR-load address" },
	{ TSC_OFFSET, "TSC offset" },
	{ VMCS_LINK_POINTER, "VMCS link pointer" },
	{ GUEST_IA32_DEBUGCTL, "guest IA32_DEBUGCTL" },
	{ GUEST_IA32_EFER, "guest IA32_EFER" },
	{ HOST_IA32_EFER, "host IA32_EFER" },
	{ PIN_BASED_VM_EXEC_CONTROL, "pin-based controls" },
	{ CPU_BASED_VM_EXEC_CONTROL, "processor-based controls" },
	{ SECONDARY_VM_EXEC_CONTROL, "secondary processor-based controls" },
	{ EXCEPTION_BITMAP, "exception bitmap" },
	{ PAGE_FAULT_ERROR_CODE_MASK, "page-fault error-code mask" },
	{ PAGE_FAULT_ERROR_CODE_MATCH, "page-fault error-code match" },
	{ VM_EXIT_CONTROLS, "VM-exit controls" },
	{ VM_EXIT_MSR_LOAD_COUNT, "VM-exit MSR-load count" },
	{ VM_ENTRY_CONTROLS, "VM-entry controls" },
	{ VM_ENTRY_MSR_LOAD_COUNT, "VM-entry MSR-load count" },
	{ VM_ENTRY_INTR_INFO_FIELD, "VM-entry interruption information" },
	{ VM_ENTRY_EXCEPTION_ERROR_CODE, "VM-entry exception error code" },
	{ VM_ENTRY_INSTRUCTION_LEN, "VM-entry instruction length" },
	{ VM_INSTRUCTION_ERROR, "VM-instruction error" },
	{ VM_EXIT_REASON, "exit reason" },
	{ VM_EXIT_INTR_INFO, "VM-exit interruption information" },
	{ VM_EXIT_INTR_ERROR_CODE, "VM-exit interruption error code" },
	{ IDT_VECTORING_INFO_FIELD, "IDT-vectoring information" },
	{ IDT_VECTORING_ERROR_CODE, "IDT-vectoring error code" },
	{ VM_EXIT_INSTRUCTION_LEN, "VM-exit instruction length" },
	{ EXIT_QUALIFICATION, "exit qualification" },
	{ GUEST_ES_LIMIT, "guest ES limit" },
	{ GUEST_CS_LIMIT, "guest CS limit" },
	{ GUEST_SS_LIMIT, "guest SS limit" },
	{ GUEST_DS_LIMIT, "guest DS limit" },
	{ GUEST_FS_LIMIT, "guest FS limit" },
	{ GUEST_GS_LIMIT, "guest GS limit" },
	{ GUEST_LDTR_LIMIT, "guest LDTR limit" },
	{ GUEST_TR_LIMIT, "guest TR limit" },
	{ GUEST_GDTR_LIMIT, "guest GDTR limit" },
	{ GUEST_IDTR_LIMIT, "guest IDTR limit" },
	{ GUEST_ES_AR_BYTES, "guest ES access rights" },
	{ GUEST_CS_AR_BYTES, "guest CS access rights" },
	{ GUEST_SS_AR_BYTES, "guest SS access rights" },
	{ GUEST_DS_AR_BYTES, "guest DS access rights" },
	{ GUEST_FS_AR_BYTES, "guest FS access rights" },
	{ GUEST_GS_AR_BYTES, "guest GS access rights" },
	{ GUEST_LDTR_AR_BYTES, "guest LDTR access rights" },
	{ GUEST_TR_AR_BYTES, "guest TR access rights" },
	{ GUEST_INTERRUPTIBILITY_INFO, "guest interruptibility state" },
	{ GUEST_ACTIVITY_STATE, "guest activity state" },
	{ GUEST_SYSENTER_CS, "guest IA32_SYSENTER_CS" },
	{ CR0_GUEST_HOST_MASK, "CR0 guest/host mask" },
	{ CR4_GUEST_HOST_MASK, "CR4 guest/host mask" },
	{ CR0_READ_SHADOW, "CR0 read shadow" },
	{ CR4_READ_SHADOW, "CR4 read shadow" },
	{ GUEST_CR0, "guest CR0" },
	{ GUEST_CR3, "guest CR3" },
	{ GUEST_CR4, "guest CR4" },
	{ GUEST_ES_BASE, "guest ES base" },
	{ GUEST_CS_BASE, "guest CS base" },
	{ GUEST_SS_BASE, "guest SS base" },
	{ GUEST_DS_BASE, "guest DS base" },
	{ GUEST_FS_BASE, "guest FS base" },
	{ GUEST_GS_BASE, "guest GS base" },
	{ GUEST_LDTR_BASE, "guest LDTR base" },
	{ GUEST_TR_BASE, "guest TR base" },
	{ GUEST_GDTR_BASE, "guest GDTR base" },
	{ GUEST_IDTR_BASE, "guest IDTR base" },
	{ GUEST_DR7, "guest DR7" },
	{ GUEST_RSP, "guest RSP" },
	{ GUEST_RIP, "guest RIP" },
	{ GUEST_RFLAGS, "guest RFLAGS" },
	{ GUEST_PENDING_DBG_EXCEPTIONS, "guest pending debug exceptions" },
	{ GUEST_SYSENTER_ESP, "guest IA32_SYSENTER_ESP" },
	{ GUEST_SYSENTER_EIP, "guest IA32_SYSENTER_EIP" },
	{ HOST_CR0, "host CR0" },
	{ HOST_CR3, "host CR3" },
	{ HOST_CR4, "host CR4" },
	{ HOST_FS_BASE, "host FS base" },
	{ HOST_GS_BASE, "host GS base" },
	{ HOST_TR_BASE, "host TR base" },
	{ HOST_GDTR_BASE, "host GDTR base" },
	{ HOST_IDTR_BASE, "host IDTR base" },
	{ HOST_IA32_SYSENTER_CS, "host IA32_SYSENTER_CS" },
	{ HOST_IA32_SYSENTER_ESP, "host IA32_SYSENTER_ESP" },
	{ HOST_IA32_SYSENTER_EIP, "host IA32_SYSENTER_EIP" },
	{ HOST_RSP, "host RSP" },
	{ HOST_RIP, "host RIP" },
};

const char *vmx_field_name(u32 field)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].field == field)
			return fields[i].name;
	return "a VMCS field";
}

void __cold vmx_trace_fields(const struct gondola_vcpu *vcpu)
{
	unsigned int i;
	u64 value;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (vmx_try_read(fields[i].field, &value))
			trace_gondola_vmcs(vcpu->vm->id, vcpu->id, fields[i].field, value, fields[i].name);
}

/* After a shutdown a vCPU that did not leave in time finds the engine off: this is no mistake. */
static bool is_a_mistake(void)
{
	return !READ_ONCE(gondola_host_stopping);
}

void __cold vmx_read_refused(u32 field)
{
	WARN_ONCE(is_a_mistake(), "gondola: VMREAD of %s (%#x) was refused\n",
		  vmx_field_name(field), field);
}

void __cold vmx_write_refused(u32 field, u64 value)
{
	WARN_ONCE(is_a_mistake(), "gondola: VMWRITE of %#llx to %s (%#x) was refused\n", value,
		  vmx_field_name(field), field);
}
