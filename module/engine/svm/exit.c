// SPDX-License-Identifier: GPL-2.0-only
/*
 * SVM exits in the terms that all engines share.  Neither decode assists nor
 * the next RIP are relied on: where the processor tells neither operand nor
 * length, the caller decodes the instruction.
 */
#include <linux/bug.h>
#include <linux/kernel.h>
#include "svm.h"
#include "../../engine.h"
#include "../../vcpu.h"

struct svm_exit_kind {
	const char *name;
	u8 reason;
};

#define EXIT(code, shared, words) [SVM_EXIT_##code] = { words, GONDOLA_REASON_##shared }
#define VECTOR(n, shared, words) [SVM_EXIT_EXCEPTION + (n)] = { words, GONDOLA_REASON_##shared }

/* What gondola intercepts; a code without a name is unknown. */
static const struct svm_exit_kind kinds[] = {
	[SVM_EXIT_CR_READ + 0]	= { "CR0_READ", GONDOLA_REASON_CR_READ },
	[SVM_EXIT_CR_READ + 3]	= { "CR3_READ", GONDOLA_REASON_CR_READ },
	[SVM_EXIT_CR_READ + 4]	= { "CR4_READ", GONDOLA_REASON_CR_READ },
	[SVM_EXIT_CR_READ + 8]	= { "CR8_READ", GONDOLA_REASON_CR_READ },
	[SVM_EXIT_CR_WRITE + 0]	= { "CR0_WRITE", GONDOLA_REASON_CR0_WRITE },
	[SVM_EXIT_CR_WRITE + 3]	= { "CR3_WRITE", GONDOLA_REASON_CR3_WRITE },
	[SVM_EXIT_CR_WRITE + 4]	= { "CR4_WRITE", GONDOLA_REASON_CR4_WRITE },
	[SVM_EXIT_CR_WRITE + 8]	= { "CR8_WRITE", GONDOLA_REASON_CR8_WRITE },
	[SVM_EXIT_DR_READ ... SVM_EXIT_DR_READ + 15] = { "DR_READ", GONDOLA_REASON_DR_ACCESS },
	[SVM_EXIT_DR_WRITE ... SVM_EXIT_DR_WRITE + 15] = { "DR_WRITE", GONDOLA_REASON_DR_ACCESS },
	VECTOR(VEC_DE, EXCEPTION, "#DE"),
	VECTOR(VEC_DB, EXCEPTION, "#DB"),
	VECTOR(VEC_BP, EXCEPTION, "#BP"),
	VECTOR(VEC_OF, EXCEPTION, "#OF"),
	VECTOR(VEC_BR, EXCEPTION, "#BR"),
	VECTOR(VEC_UD, EXCEPTION, "#UD"),
	VECTOR(VEC_NM, EXCEPTION, "#NM"),
	VECTOR(VEC_DF, EXCEPTION, "#DF"),
	VECTOR(VEC_TS, EXCEPTION, "#TS"),
	VECTOR(VEC_NP, EXCEPTION, "#NP"),
	VECTOR(VEC_SS, EXCEPTION, "#SS"),
	VECTOR(VEC_GP, EXCEPTION, "#GP"),
	VECTOR(VEC_PF, PAGE_FAULT, "#PF"),
	VECTOR(VEC_MF, EXCEPTION, "#MF"),
	VECTOR(VEC_AC, EXCEPTION, "#AC"),
	VECTOR(VEC_MC, HOST_NMI, "#MC"),
	VECTOR(VEC_XM, EXCEPTION, "#XM"),
	EXIT(INTR, HOST_INTERRUPT, "INTR"),
	EXIT(NMI, HOST_NMI, "NMI"),
	EXIT(SMI, HOST_INTERRUPT, "SMI"),
	EXIT(INIT, INIT_SIGNAL, "INIT"),
	EXIT(VINTR, INTERRUPT_WINDOW, "VINTR"),
	EXIT(RDPMC, EXCEPTION, "RDPMC"),
	EXIT(CPUID, CPUID, "CPUID"),
	EXIT(RSM, UNDEFINED, "RSM"),
	EXIT(IRET, NMI_WINDOW, "IRET"),
	EXIT(INVD, CACHE, "INVD"),
	EXIT(HLT, HLT, "HLT"),
	EXIT(INVLPG, INVLPG, "INVLPG"),
	EXIT(INVLPGA, UNDEFINED, "INVLPGA"),
	EXIT(IOIO, IO, "IOIO"),
	EXIT(MSR, MSR_READ, "MSR"),
	EXIT(TASK_SWITCH, TASK_SWITCH, "TASK_SWITCH"),
	EXIT(SHUTDOWN, TRIPLE_FAULT, "SHUTDOWN"),
	EXIT(VMRUN, UNDEFINED, "VMRUN"),
	EXIT(VMMCALL, HYPERCALL, "VMMCALL"),
	EXIT(VMLOAD, UNDEFINED, "VMLOAD"),
	EXIT(VMSAVE, UNDEFINED, "VMSAVE"),
	EXIT(STGI, UNDEFINED, "STGI"),
	EXIT(CLGI, UNDEFINED, "CLGI"),
	EXIT(SKINIT, UNDEFINED, "SKINIT"),
	EXIT(RDTSCP, UNDEFINED, "RDTSCP"),
	EXIT(WBINVD, CACHE, "WBINVD"),
	EXIT(MONITOR, UNDEFINED, "MONITOR"),
	EXIT(MWAIT, UNDEFINED, "MWAIT"),
	EXIT(MWAIT_ARMED, UNDEFINED, "MWAIT_ARMED"),
	EXIT(XSETBV, XSETBV, "XSETBV"),
	EXIT(RDPRU, UNDEFINED, "RDPRU"),
	EXIT(INVLPGB, UNDEFINED, "INVLPGB"),
	EXIT(INVPCID, UNDEFINED, "INVPCID"),
	EXIT(MCOMMIT, UNDEFINED, "MCOMMIT"),
	EXIT(TLBSYNC, UNDEFINED, "TLBSYNC"),
};

const char *gondola_svm_exit_name(u32 hw_reason)
{
	if (hw_reason == SVM_EXIT_INVALID)
		return "INVALID";
	return hw_reason < ARRAY_SIZE(kinds) ? kinds[hw_reason].name : NULL;
}

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

/* CS.L and CS.D, bits 9 and 10 of the packed attributes, exclude each other in long mode. */
static bool bad_cs(const struct vmcb *v)
{
	return (v->efer & EFER_F_LMA) && (v->seg[GONDOLA_CS].attrib & 0x600) == 0x600;
}

/* What a launcher can get wrong, of the manual's "Canonicalization and Consistency Checks". */
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

const char *gondola_svm_refused_field(const struct vmcb *vmcb)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(checks); i++)
		if (checks[i].bad(vmcb))
			return checks[i].field;
	return NULL;
}

/* ---- what an exit carries --------------------------------------------------- */

/*
 * The exit struck while an event was being delivered.  A software event that
 * the guest's own instruction raised needs no second delivery: RIP is still at
 * the instruction.  One that was injected has had RIP moved past it (see
 * svm_enter()): back, so that both look alike to the caller.
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

static void decode_exception(struct gondola_vcpu *vcpu, struct svm_vcpu *svm,
			     struct gondola_exit *exit)
{
	const struct vmcb *vmcb = svm->vmcb;
	u8 vector = vmcb->exit_code - SVM_EXIT_EXCEPTION;

	if (vmcb->exit_code == SVM_EXIT_RDPMC) {	/* no counters: any index is illegal */
		exit->exception.vector = VEC_GP;
		exit->exception.has_error = true;
		return;
	}
	exit->exception.vector = vector;
	exit->exception.has_error = gondola_vector_has_error(vector);
	if (exit->exception.has_error)
		exit->exception.error = vmcb->exit_info_1;
	if (vector != VEC_DB)
		return;

	/* The processor has put the conditions into DR6; our own step is not the guest's. */
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
	/* NMIs stay blocked until the IRET is through: its RIP tells. */
	svm->vmcb->intercept_misc1 &= ~SVM_INTERCEPT_IRET;
	svm->iret_seen = true;
	svm->iret_rip = vcpu->regs.rip;
	exit->handled = true;
}

void gondola_svm_decode(struct gondola_vcpu *vcpu, struct gondola_exit *exit)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	struct vmcb *vmcb = svm->vmcb;
	u32 code = vmcb->exit_code;

	*exit = (struct gondola_exit){ .reason = GONDOLA_REASON_UNKNOWN, .hw_reason = code };
	if (code < ARRAY_SIZE(kinds) && kinds[code].name)
		exit->reason = kinds[code].reason;
	else if (code == SVM_EXIT_INVALID)
		exit->reason = GONDOLA_REASON_ENTRY_FAILED;

	if (svm->iret_seen && vcpu->regs.rip != svm->iret_rip) {
		svm->iret_seen = false;
		svm->nmi_blocked = false;
	}
	if (vmcb->exit_int_info & SVM_EVENT_VALID)
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
		exit->handled = true;	/* taken before svm_enter() returned */
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
	/* Both were for this one entry. */
	svm->soft_len = 0;
	svm->step = false;
}
