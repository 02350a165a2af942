// SPDX-License-Identifier: GPL-2.0-only
/* Exits: translates the hardware's reasons to those that all engines share. */
#include <linux/kernel.h>
#include <linux/nospec.h>
#include "trace.h"
#include "vmcs.h"
#include "vmx.h"

/**
 * struct exit_row - the meaning of a basic exit reason
 * @reason: enum gondola_reason; 0, UNKNOWN, if gondola never enables it
 * @insn: an instruction caused it, so its length is known
 * @decode: fills the rest of struct gondola_exit, and may change its reason
 */
struct exit_row {
	u8 reason;
	bool insn;
	void (*decode)(struct gondola_vcpu *vcpu, struct gondola_exit *exit);
};

#define INFO_TYPE_AND_VECTOR	(INTR_INFO_INTR_TYPE_MASK | INTR_INFO_VECTOR_MASK | \
				 INTR_INFO_VALID_MASK)
#define INFO_IS_NMI		(INTR_TYPE_NMI_INTR | VEC_NMI | INTR_INFO_VALID_MASK)
#define INFO_IS_PF		(INTR_TYPE_HARD_EXCEPTION | VEC_PF | INTR_INFO_VALID_MASK)

static void decode_exception(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	u32 info = to_vmx(vcpu)->intr_info;

	/*
	 * An IRET faulted after it had ended NMI blocking.  It will run again, and until then NMIs
	 * stay blocked (the section on exits due to events, "NMI unblocking due to IRET").
	 */
	if (unlikely(info & INTR_INFO_UNBLOCK_NMI) && vcpu->event.kind == GONDOLA_EVENT_NONE &&
	    (info & INTR_INFO_VECTOR_MASK) != VEC_DF)
		vmx_write(GUEST_INTERRUPTIBILITY_INFO,
			  vmx_read(GUEST_INTERRUPTIBILITY_INFO) | GUEST_INTR_STATE_NMI);

	if (likely((info & INFO_TYPE_AND_VECTOR) == INFO_IS_PF)) {
		exit->reason = GONDOLA_REASON_PAGE_FAULT;
		exit->pf.gva = vmx_read(EXIT_QUALIFICATION);
		exit->pf.error = vmx_read(VM_EXIT_INTR_ERROR_CODE);
		return;
	}
	/* enter() has given both to the host. */
	if ((info & INFO_TYPE_AND_VECTOR) == INFO_IS_NMI ||
	    (info & INTR_INFO_VECTOR_MASK) == VEC_MC) {
		exit->reason = GONDOLA_REASON_HOST_NMI;
		exit->handled = true;
		return;
	}
	exit->exception.vector = info & INTR_INFO_VECTOR_MASK;
	exit->exception.has_error = info & INTR_INFO_DELIVER_CODE_MASK;
	if (exit->exception.has_error)
		exit->exception.error = vmx_read(VM_EXIT_INTR_ERROR_CODE);
	if (exit->exception.vector == VEC_DB)
		exit->exception.dr6 = vmx_read(EXIT_QUALIFICATION);
	/* The exit comes before INT1 is complete, but its handler returns behind it. */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION)
		vcpu->regs.rip += vmx_read(VM_EXIT_INSTRUCTION_LEN);
}

static void decode_invlpg(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	exit->invlpg.gva = vmx_read(EXIT_QUALIFICATION);
	exit->invlpg.decoded = true;
}

enum { CR_MOV_TO = 0, CR_MOV_FROM = 1, CR_CLTS = 2, CR_LMSW = 3 };

static u32 cr_write_reason(unsigned int cr)
{
	switch (cr) {
	case 0: return GONDOLA_REASON_CR0_WRITE;
	case 3: return GONDOLA_REASON_CR3_WRITE;
	case 4: return GONDOLA_REASON_CR4_WRITE;
	default: return GONDOLA_REASON_CR8_WRITE;
	}
}

static void decode_cr(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	u64 qual = vmx_read(EXIT_QUALIFICATION);
	unsigned int type = (qual & CONTROL_REG_ACCESS_TYPE) >> 4;

	exit->cr.cr = qual & 0xf;
	exit->cr.gpr = (qual & CONTROL_REG_ACCESS_REG) >> 8;
	exit->cr.write = type != CR_MOV_FROM;
	exit->cr.decoded = true;
	if (!exit->cr.write) {
		exit->reason = GONDOLA_REASON_CR_READ;
		return;
	}
	exit->cr.clts = type == CR_CLTS;
	exit->cr.lmsw = type == CR_LMSW;
	exit->cr.value = qual >> LMSW_SOURCE_DATA_SHIFT;
	exit->reason = type == CR_MOV_TO ? cr_write_reason(exit->cr.cr) : GONDOLA_REASON_CR0_WRITE;
}

static void decode_dr(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	u64 qual = vmx_read(EXIT_QUALIFICATION);

	exit->cr.cr = qual & DEBUG_REG_ACCESS_NUM;
	exit->cr.gpr = DEBUG_REG_ACCESS_REG(qual);
	exit->cr.write = !(qual & DEBUG_REG_ACCESS_TYPE);
	exit->cr.decoded = true;
}

static void decode_io(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	u64 qual = vmx_read(EXIT_QUALIFICATION);

	exit->io.port = qual >> 16;
	exit->io.width = (qual & 7) + 1;
	exit->io.in = qual & BIT(3);
	exit->io.string = qual & BIT(4);
}

static void decode_unknown(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	exit->fail.qualification = vmx_read(EXIT_QUALIFICATION);
}

/* By basic exit reason. */
static const struct exit_row rows[] = {
	[EXIT_REASON_EXCEPTION_NMI] = { GONDOLA_REASON_EXCEPTION, false, decode_exception },
	[EXIT_REASON_EXTERNAL_INTERRUPT] = { GONDOLA_REASON_HOST_INTERRUPT },
	[EXIT_REASON_TRIPLE_FAULT] = { GONDOLA_REASON_TRIPLE_FAULT },
	[EXIT_REASON_INIT_SIGNAL] = { GONDOLA_REASON_INIT_SIGNAL },
	[EXIT_REASON_INTERRUPT_WINDOW] = { GONDOLA_REASON_INTERRUPT_WINDOW },
	[EXIT_REASON_NMI_WINDOW] = { GONDOLA_REASON_NMI_WINDOW },
	[EXIT_REASON_TASK_SWITCH] = { GONDOLA_REASON_TASK_SWITCH, true },
	[EXIT_REASON_CPUID] = { GONDOLA_REASON_CPUID, true },
	/* GETSEC: SMX is not offered. */
	[11] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_HLT] = { GONDOLA_REASON_HLT, true },
	[EXIT_REASON_INVD] = { GONDOLA_REASON_CACHE, true },
	[EXIT_REASON_INVLPG] = { GONDOLA_REASON_INVLPG, true, decode_invlpg },
	[EXIT_REASON_RDPMC] = { GONDOLA_REASON_INTERPRET },
	[EXIT_REASON_VMCALL] = { GONDOLA_REASON_HYPERCALL, true },
	/* VMX in the guest is not offered. */
	[EXIT_REASON_VMCLEAR] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_VMLAUNCH] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_VMPTRLD] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_VMPTRST] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_VMREAD] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_VMRESUME] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_VMWRITE] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_VMOFF] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_VMON] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_INVEPT] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_INVVPID] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_CR_ACCESS] = { GONDOLA_REASON_CR_READ, true, decode_cr },
	[EXIT_REASON_DR_ACCESS] = { GONDOLA_REASON_DR_ACCESS, true, decode_dr },
	[EXIT_REASON_IO_INSTRUCTION] = { GONDOLA_REASON_IO, true, decode_io },
	[EXIT_REASON_MSR_READ] = { GONDOLA_REASON_MSR_READ, true },
	[EXIT_REASON_MSR_WRITE] = { GONDOLA_REASON_MSR_WRITE, true },
	/* MONITOR and MWAIT are not offered either. */
	[EXIT_REASON_MWAIT_INSTRUCTION] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_MONITOR_INSTRUCTION] = { GONDOLA_REASON_UNDEFINED, true },
	[EXIT_REASON_PAUSE_INSTRUCTION] = { GONDOLA_REASON_PAUSE, true },
	[EXIT_REASON_WBINVD] = { GONDOLA_REASON_CACHE, true },
	[EXIT_REASON_XSETBV] = { GONDOLA_REASON_XSETBV, true },
};

static void decode_entry_failure(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	exit->reason = GONDOLA_REASON_ENTRY_FAILED;
	if (vmx->vmfail) {
		exit->hw_reason = VMX_REASON_ENTRY_FAILED | VMX_REASON_VMFAIL;
		exit->fail.error = vmx_read(VM_INSTRUCTION_ERROR);
		switch (exit->fail.error) {
		case VMXERR_ENTRY_INVALID_CONTROL_FIELD:
			exit->fail.field = "VM-execution controls";
			break;
		case VMXERR_ENTRY_INVALID_HOST_STATE_FIELD:
			exit->fail.field = "host state";
			break;
		case VMXERR_ENTRY_EVENTS_BLOCKED_BY_MOV_SS:
			exit->fail.field = "guest interruptibility state";
			break;
		}
		goto out;
	}
	exit->fail.qualification = vmx_read(EXIT_QUALIFICATION);
	switch ((u16)vmx->exit_reason) {
	case EXIT_REASON_INVALID_STATE:
		exit->fail.field = vmx_check_guest_state(vcpu);
		break;
	case EXIT_REASON_MSR_LOAD_FAIL:
		exit->fail.field = "VM-entry MSR-load area";
		break;
	case EXIT_REASON_MCE_DURING_VMENTRY:
		exit->fail.field = "machine check during VM entry";
		break;
	}
out:
	/* A later entry must not repeat this injection. */
	vmx_cancel_injection(vcpu);
}

static __always_inline void decode(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 reason = vmx->exit_reason;
	const struct exit_row *row;
	u32 vectoring;

	*exit = (struct gondola_exit){ .hw_reason = reason };
	if (unlikely(vmx->vmfail || reason & VMX_EXIT_REASONS_FAILED_VMENTRY)) {
		decode_entry_failure(vcpu, exit);
		return;
	}

	vectoring = vmx_read(IDT_VECTORING_INFO_FIELD);
	if (unlikely(vectoring & VECTORING_INFO_VALID_MASK))
		vmx_requeue(vcpu, vectoring);

	reason = (u16)reason;
	row = reason < ARRAY_SIZE(rows) ? &rows[array_index_nospec(reason, ARRAY_SIZE(rows))] : NULL;
	if (unlikely(!row || row->reason == GONDOLA_REASON_UNKNOWN)) {
		exit->reason = GONDOLA_REASON_UNKNOWN;
		decode_unknown(vcpu, exit);
		return;
	}
	exit->reason = row->reason;
	if (row->insn)
		exit->insn_len = vmx_read(VM_EXIT_INSTRUCTION_LEN);
	if (row->decode)
		row->decode(vcpu, exit);
}

void vmx_decode(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	unsigned long flags = vmx_root_begin();

	if (trace_gondola_vmcs_enabled() && vmx_in_root())
		vmx_trace_fields(vcpu);
	decode(vcpu, exit);
	vmx_root_end(flags);
}
