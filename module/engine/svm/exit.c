// SPDX-License-Identifier: GPL-2.0-only
/*
 * SVM exits in the terms that all engines share.  The next RIP and decode assists are used if the
 * processor has them, but are not required.  If operands and length are unknown, the caller decodes
 * the instruction.
 */
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/nospec.h>
#include "svm.h"
#include "engine.h"
#include "vcpu.h"

#define MAX_INSTRUCTION	15u
#define VMMCALL_BYTES	3	/* prefixes are not expected */

/* The intercepts in use; 0 is GONDOLA_REASON_UNKNOWN. */
static const u8 reasons[] = {
	[SVM_EXIT_CR_READ + 0] = GONDOLA_REASON_CR_READ,
	[SVM_EXIT_CR_READ + 3] = GONDOLA_REASON_CR_READ,
	[SVM_EXIT_CR_READ + 4] = GONDOLA_REASON_CR_READ,
	[SVM_EXIT_CR_READ + 8] = GONDOLA_REASON_CR_READ,
	[SVM_EXIT_CR_WRITE + 0] = GONDOLA_REASON_CR0_WRITE,
	[SVM_EXIT_CR_WRITE + 3] = GONDOLA_REASON_CR3_WRITE,
	[SVM_EXIT_CR_WRITE + 4] = GONDOLA_REASON_CR4_WRITE,
	[SVM_EXIT_CR_WRITE + 8] = GONDOLA_REASON_CR8_WRITE,
	[SVM_EXIT_DR_READ ... SVM_EXIT_DR_READ + 15] = GONDOLA_REASON_DR_ACCESS,
	[SVM_EXIT_DR_WRITE ... SVM_EXIT_DR_WRITE + 15] = GONDOLA_REASON_DR_ACCESS,
	[SVM_EXIT_EXCEPTION + VEC_DE] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_DB] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_BP] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_OF] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_BR] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_UD] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_NM] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_DF] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_TS] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_NP] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_SS] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_GP] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_PF] = GONDOLA_REASON_PAGE_FAULT,
	[SVM_EXIT_EXCEPTION + VEC_MF] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_AC] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_EXCEPTION + VEC_MC] = GONDOLA_REASON_HOST_NMI,
	[SVM_EXIT_EXCEPTION + VEC_XM] = GONDOLA_REASON_EXCEPTION,
	[SVM_EXIT_INTR] = GONDOLA_REASON_HOST_INTERRUPT,
	[SVM_EXIT_NMI] = GONDOLA_REASON_HOST_NMI,
	[SVM_EXIT_SMI] = GONDOLA_REASON_HOST_INTERRUPT,
	[SVM_EXIT_INIT] = GONDOLA_REASON_INIT_SIGNAL,
	[SVM_EXIT_VINTR] = GONDOLA_REASON_INTERRUPT_WINDOW,
	[SVM_EXIT_RDPMC] = GONDOLA_REASON_INTERPRET,
	[SVM_EXIT_PUSHF] = GONDOLA_REASON_INTERPRET,
	[SVM_EXIT_POPF] = GONDOLA_REASON_INTERPRET,
	[SVM_EXIT_CPUID] = GONDOLA_REASON_CPUID,
	[SVM_EXIT_RSM] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_IRET] = GONDOLA_REASON_NMI_WINDOW,
	[SVM_EXIT_INT] = GONDOLA_REASON_INTERPRET,
	[SVM_EXIT_INVD] = GONDOLA_REASON_CACHE,
	[SVM_EXIT_PAUSE] = GONDOLA_REASON_PAUSE,
	[SVM_EXIT_HLT] = GONDOLA_REASON_HLT,
	[SVM_EXIT_INVLPG] = GONDOLA_REASON_INVLPG,
	[SVM_EXIT_INVLPGA] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_IOIO] = GONDOLA_REASON_IO,
	[SVM_EXIT_MSR] = GONDOLA_REASON_MSR_READ,
	[SVM_EXIT_TASK_SWITCH] = GONDOLA_REASON_TASK_SWITCH,
	[SVM_EXIT_SHUTDOWN] = GONDOLA_REASON_TRIPLE_FAULT,
	[SVM_EXIT_VMRUN] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_VMMCALL] = GONDOLA_REASON_HYPERCALL,
	[SVM_EXIT_VMLOAD] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_VMSAVE] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_STGI] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_CLGI] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_SKINIT] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_RDTSCP] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_INT1] = GONDOLA_REASON_INTERPRET,
	[SVM_EXIT_WBINVD] = GONDOLA_REASON_CACHE,
	[SVM_EXIT_MONITOR] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_MWAIT] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_MWAIT_ARMED] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_XSETBV] = GONDOLA_REASON_XSETBV,
	[SVM_EXIT_RDPRU] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_INVLPGB] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_INVPCID] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_MCOMMIT] = GONDOLA_REASON_UNDEFINED,
	[SVM_EXIT_TLBSYNC] = GONDOLA_REASON_UNDEFINED,
};

/* ---- state that VMRUN refuses ------------------------------------------------ */

static bool bad_efer(const struct vmcb *v)
{
	bool lme = v->efer & EFER_F_LME, lma = v->efer & EFER_F_LMA;

	return lme != lma || (v->efer & ~(EFER_F_SCE | EFER_F_LME | EFER_F_LMA | EFER_F_NXE |
					  EFER_F_SVME));
}

static bool bad_cr0(const struct vmcb *v)
{
	return (v->cr0 >> 32) || ((v->cr0 & CR0_NW) && !(v->cr0 & CR0_CD)) ||
	       ((v->efer & EFER_F_LME) && !(v->cr0 & CR0_PE));
}

static bool bad_cr4(const struct vmcb *v)
{
	return v->cr4 & ~GENMASK_ULL(24, 0);
}

static bool bad_dr6(const struct vmcb *v)
{
	return v->dr6 >> 32;
}

static bool bad_dr7(const struct vmcb *v)
{
	return v->dr7 >> 32;
}

/* In long mode CS.L and CS.D, bits 9 and 10 of the packed attributes, exclude each other. */
static bool bad_cs(const struct vmcb *v)
{
	return (v->efer & EFER_F_LMA) && (v->seg[GONDOLA_CS].attrib & 0x600) == 0x600;
}

/* The mistakes that a launcher can make, of the manual's "Canonicalization and Consistency Checks". */
static const struct {
	const char *field;
	bool (*bad)(const struct vmcb *v);
} checks[] = {
	{ "efer", bad_efer },
	{ "cr0", bad_cr0 },
	{ "cr4", bad_cr4 },
	{ "dr6", bad_dr6 },
	{ "dr7", bad_dr7 },
	{ "cs.ar", bad_cs },
};

const char *svm_refused_field(const struct vmcb *vmcb)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(checks); i++)
		if (checks[i].bad(vmcb))
			return checks[i].field;
	return NULL;
}

/* ---- what an exit carries --------------------------------------------------- */

/*
 * The exit interrupted the delivery of an event.  A software event that the guest's own instruction
 * raised is not delivered again: RIP is still at the instruction.  For an injected one svm_enter()
 * moved RIP past the instruction: move it back, so that both look alike to the caller.
 */
static void requeue_event(struct gondola_vcpu *vcpu, struct svm_vcpu *svm)
{
	const struct vmcb *vmcb = svm->vmcb;
	struct gondola_event *event = &vcpu->event;
	u32 info = vmcb->exit_int_info;
	u8 vector = info & SVM_EVENT_VECTOR;
	bool soft = false;

	WARN_ON_ONCE(event->kind != GONDOLA_EVENT_NONE);
	*event = (struct gondola_event){ .vector = vector };

	switch (info & SVM_EVENT_TYPE) {
	case SVM_EVENT_INTERRUPT:
		event->kind = GONDOLA_EVENT_INTERRUPT;
		break;
	case SVM_EVENT_NMI:
		event->kind = GONDOLA_EVENT_NMI;
		svm->nmi_blocked = false;
		break;
	case SVM_EVENT_EXCEPTION:
		event->kind = GONDOLA_EVENT_EXCEPTION;
		event->has_error = info & SVM_EVENT_HAS_ERROR;
		event->error = vmcb->exit_int_error;
		event->cr2 = vcpu->cr2;
		soft = vector == VEC_BP || vector == VEC_OF;
		break;
	case SVM_EVENT_SOFT:
		event->kind = GONDOLA_EVENT_SOFT_INTERRUPT;
		soft = true;
		break;
	}

	if (!soft)
		return;
	if (svm->soft_len) {
		event->insn_len = svm->soft_len;
		vcpu->regs.rip -= svm->soft_len;
	} else {
		event->kind = GONDOLA_EVENT_NONE;
	}
}

/*
 * If the virtual interrupt is still pending the guest has not taken it: the host was interrupted
 * first, or the delivery met an exit (QEMU reports such an event as an exception).
 */
static bool requeue_interrupt(struct gondola_vcpu *vcpu, struct svm_vcpu *svm)
{
	u8 vector = svm->interrupt;

	if (!svm_end_interrupt(svm))
		return false;
	vcpu->event = (struct gondola_event){
		.kind = GONDOLA_EVENT_INTERRUPT,
		.vector = vector,
	};
	return true;
}

static void decode_exception(struct gondola_vcpu *vcpu, struct svm_vcpu *svm,
			     struct gondola_exit *exit)
{
	const struct vmcb *vmcb = svm->vmcb;
	u8 vector = vmcb->exit_code - SVM_EXIT_EXCEPTION;

	/* INT3 and INTO exit before they are complete, but their handler returns behind them. */
	if (vector == VEC_BP || vector == VEC_OF) {
		exit->reason = GONDOLA_REASON_INTERPRET;
		return;
	}
	exit->exception.vector = vector;
	exit->exception.syscall = vector == VEC_UD && svm->step;
	exit->exception.has_error = gondola_vector_has_error(vector);
	if (exit->exception.has_error)
		exit->exception.error = vmcb->exit_info_1;
	if (vector != VEC_DB)
		return;

	/* The processor has set the conditions in DR6.  Leave out our own step. */
	if (svm->step && !(vcpu->regs.rflags & RFL_TF)) {
		u64 met = vcpu->dr6 & ~svm->dr6_before;

		if (!(svm->dr6_before & DR6_BS))
			vcpu->dr6 &= ~DR6_BS;
		if (!(met & DR6_VOLATILE & ~DR6_BS)) {
			exit->reason = GONDOLA_REASON_NMI_WINDOW;
			exit->handled = true;
			return;
		}
	}
	exit->exception.dr6 = vcpu->dr6 & DR6_VOLATILE;
}

static void decode_nmi_window(struct gondola_vcpu *vcpu, struct svm_vcpu *svm,
			      struct gondola_exit *exit)
{
	/* Without a wait for it, IRET would pop RFLAGS over our TF. */
	if (svm->step) {
		exit->reason = GONDOLA_REASON_INTERPRET;
		return;
	}
	/* NMIs stay blocked until the IRET has completed, which RIP shows. */
	svm->vmcb->intercept_misc1 &= ~SVM_INTERCEPT_IRET;
	svm->iret_seen = true;
	svm->iret_rip = vcpu->regs.rip;
	exit->handled = true;
}

/* The length of the instruction that caused the exit, or 0. */
static u8 instruction_length(const struct gondola_vcpu *vcpu, const struct svm_vcpu *svm)
{
	u64 len = svm->vmcb->next_rip - vcpu->regs.rip;

	return svm->next_rip_saved && len <= MAX_INSTRUCTION ? len : 0;
}

/* Long, since it is one switch: a case for each exit code. */
void svm_decode(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	struct vmcb *vmcb = svm->vmcb;
	u32 code = vmcb->exit_code;

	*exit = (struct gondola_exit){ .reason = GONDOLA_REASON_UNKNOWN, .hw_reason = code };
	if (code < ARRAY_SIZE(reasons))
		exit->reason = reasons[array_index_nospec(code, ARRAY_SIZE(reasons))];
	else if (code == SVM_EXIT_INVALID)
		exit->reason = GONDOLA_REASON_ENTRY_FAILED;

	if (svm->iret_seen && vcpu->regs.rip != svm->iret_rip) {
		svm->iret_seen = false;
		svm->nmi_blocked = false;
	}
	if (!requeue_interrupt(vcpu, svm) && vmcb->exit_int_info & SVM_EVENT_VALID)
		requeue_event(vcpu, svm);

	switch (exit->reason) {
	case GONDOLA_REASON_PAGE_FAULT:
		exit->pf.gva = vmcb->exit_info_2;
		exit->pf.error = vmcb->exit_info_1;
		break;
	case GONDOLA_REASON_EXCEPTION:
		decode_exception(vcpu, svm, exit);
		break;
	case GONDOLA_REASON_HOST_NMI:
		exit->handled = true;	/* handled before svm_enter() returned */
		break;
	case GONDOLA_REASON_INTERRUPT_WINDOW:
		vmcb->int_control &= ~SVM_V_IRQ;
		vmcb->intercept_misc1 &= ~SVM_INTERCEPT_VINTR;
		break;
	case GONDOLA_REASON_NMI_WINDOW:
		decode_nmi_window(vcpu, svm, exit);
		break;
	case GONDOLA_REASON_CR0_WRITE:
	case GONDOLA_REASON_CR3_WRITE:
	case GONDOLA_REASON_CR4_WRITE:
	case GONDOLA_REASON_CR8_WRITE:
	case GONDOLA_REASON_CR_READ:
		exit->cr.cr = code & 15;
		exit->cr.write = code >= SVM_EXIT_CR_WRITE;
		break;
	case GONDOLA_REASON_HYPERCALL:
		exit->insn_len = VMMCALL_BYTES;
		break;
	case GONDOLA_REASON_DR_ACCESS:
		exit->cr.cr = code & 15;
		exit->cr.write = code >= SVM_EXIT_DR_WRITE;
		break;
	case GONDOLA_REASON_IO:
		exit->io.port = SVM_IO_PORT(vmcb->exit_info_1);
		exit->io.width = SVM_IO_WIDTH(vmcb->exit_info_1);
		exit->io.in = vmcb->exit_info_1 & SVM_IO_IN;
		exit->io.string = vmcb->exit_info_1 & SVM_IO_STRING;
		exit->insn_len = vmcb->exit_info_2 - vcpu->regs.rip;
		break;
	case GONDOLA_REASON_MSR_READ:
		if (vmcb->exit_info_1)
			exit->reason = GONDOLA_REASON_MSR_WRITE;
		exit->insn_len = instruction_length(vcpu, svm);
		break;
	case GONDOLA_REASON_CPUID:
	case GONDOLA_REASON_HLT:
	case GONDOLA_REASON_PAUSE:
	case GONDOLA_REASON_XSETBV:
	case GONDOLA_REASON_CACHE:
		exit->insn_len = instruction_length(vcpu, svm);
		break;
	case GONDOLA_REASON_UNKNOWN:
	case GONDOLA_REASON_ENTRY_FAILED:
		exit->fail.qualification = vmcb->exit_info_1;
		exit->fail.error = vmcb->exit_info_2;
		if (exit->reason == GONDOLA_REASON_ENTRY_FAILED)
			exit->fail.field = svm->refused;
		break;
	default:
		break;
	}
	svm->soft_len = 0;
}
