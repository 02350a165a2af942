// SPDX-License-Identifier: GPL-2.0-only
/* The guest's state in the VMCB: segments, descriptor tables, DR7, TSC offset, MSRs. */
#include <linux/preempt.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include "host/compat.h"
#include "svm.h"
#include "vcpu.h"
#include "vm.h"

/* In the type of a TSS. */
#define TYPE_BUSY	2u

static struct svm_segment *svm_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	switch (seg) {
	case GONDOLA_LDTR:
		return &svm->vmcb->ldtr;
	case GONDOLA_TR:
		return &svm->vmcb->tr;
	default:
		return &svm->vmcb->seg[seg];
	}
}

void svm_get_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg, struct gondola_segment *out)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	const struct svm_segment *s = svm_segment(vcpu, seg);

	*out = (struct gondola_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
		.ar = (s->attrib & 0xff) | (s->attrib & 0xf00) << 4,
	};
	/* The hidden part need not keep G, TR's busy bit, or SS.DPL, which CPL has. */
	if (s->limit > 0xfffff)
		out->ar |= GONDOLA_AR_G;
	if (seg == GONDOLA_TR)
		out->ar |= TYPE_BUSY;
	if (seg == GONDOLA_SS)
		out->ar = (out->ar & ~GONDOLA_AR_DPL) | svm->vmcb->cpl << GONDOLA_AR_DPL_SHIFT;
	if (!(s->attrib & GONDOLA_AR_P))
		out->ar |= GONDOLA_AR_UNUSABLE;
}

void svm_set_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
		     const struct gondola_segment *in)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	struct svm_segment *s = svm_segment(vcpu, seg);

	*s = (struct svm_segment){
		.base = in->base,
		.limit = in->limit,
		.selector = in->selector,
		.attrib = (in->ar & 0xff) | (in->ar >> 4 & 0xf00),
	};
	if (in->ar & GONDOLA_AR_UNUSABLE)
		s->attrib &= ~GONDOLA_AR_P;
	/* Exits leave it so.  QEMU takes no stack from a TSS whose hidden part is busy. */
	if (seg == GONDOLA_TR)
		s->attrib &= ~TYPE_BUSY;
	svm->unchecked = true;
	if (seg == GONDOLA_SS)
		svm->vmcb->cpl = (in->ar & GONDOLA_AR_DPL) >> GONDOLA_AR_DPL_SHIFT;
}

int svm_cpl(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	return svm->vmcb->cpl;
}

void svm_get_dtable(struct gondola_vcpu *vcpu, bool idt, struct gondola_dtable *out)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	const struct svm_segment *s = idt ? &svm->vmcb->idtr : &svm->vmcb->gdtr;

	*out = (struct gondola_dtable){ .base = s->base, .limit = s->limit };
}

void svm_set_dtable(struct gondola_vcpu *vcpu, bool idt, const struct gondola_dtable *in)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	struct svm_segment *s = idt ? &svm->vmcb->idtr : &svm->vmcb->gdtr;

	s->base = in->base;
	s->limit = in->limit;
}

void svm_set_dr7(struct gondola_vcpu *vcpu, u64 dr7)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	svm->vmcb->dr7 = dr7;
	svm->unchecked = true;
}

void svm_set_tsc_offset(struct gondola_vcpu *vcpu)
{
	struct svm_vcpu *svm = vcpu->engine_data;

	svm->vmcb->tsc_offset = gondola_guest_tsc_offset(vcpu);
}

/* Find where an MSR is kept while the guest does not run.  NULL: not by the engine. */
static u64 *svm_msr(struct svm_vcpu *svm, u32 index)
{
	struct vmcb *vmcb = svm->vmcb;

	switch (index) {
	case MSRX_FS_BASE:
		return &vmcb->seg[GONDOLA_FS].base;
	case MSRX_GS_BASE:
		return &vmcb->seg[GONDOLA_GS].base;
	case MSRX_KERNEL_GS_BASE:
		return &vmcb->kernel_gs_base;
	case MSRX_SYSENTER_CS:
		return &vmcb->sysenter_cs;
	case MSRX_SYSENTER_ESP:
		return &vmcb->sysenter_esp;
	case MSRX_SYSENTER_EIP:
		return &vmcb->sysenter_eip;
	case MSRX_STAR:
		return &vmcb->star;
	case MSRX_LSTAR:
		return &vmcb->lstar;
	case MSRX_CSTAR:
		return &vmcb->cstar;
	case MSRX_SFMASK:
		return &vmcb->sfmask;
	case MSRX_TSC_AUX:
		return &svm->tsc_aux;
	case MSRX_PAT:
		return &svm->pat;
	default:
		return NULL;
	}
}

/* Only user space reads TSC_AUX (getcpu), so the guest's value can stay until vcpu_put(). */
void svm_swap_tsc_aux(struct svm_vcpu *svm, bool guest)
{
	if (boot_cpu_has(X86_FEATURE_RDTSCP))
		wrmsrq(MSR_TSC_AUX, guest ? svm->tsc_aux : svm->host_tsc_aux);
}

int svm_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value)
{
	const u64 *msr = svm_msr(vcpu->engine_data, index);

	if (!msr)
		return -ENOENT;
	*value = *msr;
	return 0;
}

int svm_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	struct svm_vcpu *svm = vcpu->engine_data;
	u64 *msr = svm_msr(svm, index);

	if (!msr)
		return -ENOENT;
	preempt_disable();
	*msr = value;
	if (index == MSRX_TSC_AUX && svm->loaded)
		svm_swap_tsc_aux(svm, true);
	preempt_enable();
	return 0;
}
