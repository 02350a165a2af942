// SPDX-License-Identifier: GPL-2.0-only
/* The guest's state in the VMCS: segments, control registers, MSRs. */
#include <linux/bitmap.h>
#include <linux/preempt.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <asm/special_insns.h>
#include "host/compat.h"
#include "vmcs.h"
#include "vmx.h"

/* The fields of a segment lie two encodings apart, in the order of enum gondola_seg. */
#define SEG_FIELD(what, seg)	(GUEST_ES_##what + 2 * (seg))
static_assert(SEG_FIELD(SELECTOR, GONDOLA_TR) == GUEST_TR_SELECTOR);
static_assert(SEG_FIELD(LIMIT, GONDOLA_LDTR) == GUEST_LDTR_LIMIT);
static_assert(SEG_FIELD(AR_BYTES, GONDOLA_CS) == GUEST_CS_AR_BYTES);
static_assert(SEG_FIELD(BASE, GONDOLA_GS) == GUEST_GS_BASE);
/* The ABI and the VMCS have the same format of access rights. */
static_assert(GONDOLA_AR_UNUSABLE == VMX_AR_UNUSABLE_MASK && GONDOLA_AR_L == VMX_AR_L_MASK);
#define AR_DEFINED	0x1f0ffu

unsigned long *vmx_msr_bitmap;

void vmx_get_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg, struct gondola_segment *out)
{
	*out = (struct gondola_segment){
		.base = vmx_read(SEG_FIELD(BASE, seg)),
		.limit = vmx_read(SEG_FIELD(LIMIT, seg)),
		.ar = vmx_read(SEG_FIELD(AR_BYTES, seg)),
		.selector = vmx_read(SEG_FIELD(SELECTOR, seg)),
	};
}

void vmx_set_segment(struct gondola_vcpu *vcpu, enum gondola_seg seg,
		     const struct gondola_segment *in)
{
	u32 ar = in->ar & AR_DEFINED;

	if (!(ar & GONDOLA_AR_P))
		ar |= GONDOLA_AR_UNUSABLE;
	vmx_write(SEG_FIELD(BASE, seg), in->base);
	vmx_write(SEG_FIELD(LIMIT, seg), in->limit);
	vmx_write(SEG_FIELD(AR_BYTES, seg), ar);
	vmx_write(SEG_FIELD(SELECTOR, seg), in->selector);
	to_vmx(vcpu)->segments_written = true;
}

int vmx_cpl(struct gondola_vcpu *vcpu)
{
	return VMX_AR_DPL(vmx_read(GUEST_SS_AR_BYTES));
}

void vmx_get_dtable(struct gondola_vcpu *vcpu, bool idt, struct gondola_dtable *out)
{
	*out = (struct gondola_dtable){
		.base = vmx_read(idt ? GUEST_IDTR_BASE : GUEST_GDTR_BASE),
		.limit = vmx_read(idt ? GUEST_IDTR_LIMIT : GUEST_GDTR_LIMIT),
	};
}

void vmx_set_dtable(struct gondola_vcpu *vcpu, bool idt, const struct gondola_dtable *in)
{
	vmx_write(idt ? GUEST_IDTR_BASE : GUEST_GDTR_BASE, in->base);
	vmx_write(idt ? GUEST_IDTR_LIMIT : GUEST_GDTR_LIMIT, in->limit);
}

/*
 * Bits in which the hardware runs with the guest's values.  Others are left out: PSE, PGE and PCIDE
 * concern the guest's own tables, PCE has no counters, and some are not offered.
 */
#define CR0_PASSED	(CR0_MP | CR0_EM | CR0_TS | CR0_AM)
#define CR0_FORCED	(CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define CR4_PASSED	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT | \
			 CR4_UMIP | CR4_FSGSBASE | CR4_OSXSAVE)
/* These depend on a page's user bit, which has no meaning on the identity shadow. */
#define CR4_PAGED	(CR4_SMEP | CR4_SMAP)

/*
 * Without controls for EFER it is switched by MSR lists, while it differs from the host's.  The
 * next entry writes their length.
 */
static void list_efer(struct vmx_vcpu *vmx, u64 efer)
{
	const u64 by_control = EFER_F_LME | EFER_F_LMA;
	bool listed = (efer ^ vmx_caps.host_efer) & ~by_control;

	vmx->efer_listed = listed;
	if (!listed)
		return;
	vmx->guest_list[0] = (struct vmx_msr_entry){ .index = MSR_EFER, .value = efer };
	vmx->host_list[0] = (struct vmx_msr_entry){
		.index = MSR_EFER, .value = vmx_caps.host_efer,
	};
}

void vmx_update_control(struct gondola_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	bool long_mode = gondola_long_mode(vcpu);
	u64 cr0, cr4, efer;
	u32 entry;

	cr0 = (vcpu->cr0 & CR0_PASSED) | CR0_FORCED;
	cr0 = (cr0 | vmx_caps.cr0_fixed0) & vmx_caps.cr0_fixed1;
	cr4 = vcpu->cr4 & CR4_PASSED;
	if (gondola_paging(vcpu))
		cr4 |= vcpu->cr4 & CR4_PAGED;
	/* A machine check belongs to the host, also while the guest runs. */
	cr4 |= CR4_PAE | CR4_VMXE | (native_read_cr4() & CR4_MCE);
	cr4 = (cr4 | vmx_caps.cr4_fixed0) & vmx_caps.cr4_fixed1;
	efer = (vcpu->efer & EFER_F_SCE) | EFER_F_NXE;
	if (long_mode)
		efer |= EFER_F_LME | EFER_F_LMA;

	vmx_write(GUEST_CR0, cr0);
	vmx_write(CR0_READ_SHADOW, vcpu->cr0);
	vmx_write(GUEST_CR4, cr4);
	vmx_write(CR4_READ_SHADOW, vcpu->cr4);

	entry = vmx->entry & ~VM_ENTRY_IA32E_MODE;
	if (long_mode)
		entry |= VM_ENTRY_IA32E_MODE;
	if (entry != vmx->entry) {
		vmx->entry = entry;
		vmx_write(VM_ENTRY_CONTROLS, entry);
	}
	if (entry & VM_ENTRY_LOAD_IA32_EFER)
		vmx_write(GUEST_IA32_EFER, efer);
	else
		list_efer(vmx, efer);
}

void vmx_set_dr7(struct gondola_vcpu *vcpu, u64 dr7)
{
	vmx_write(GUEST_DR7, dr7 | DR7_FIXED);
}

void vmx_set_tsc_offset(struct gondola_vcpu *vcpu)
{
	vmx_write(TSC_OFFSET, gondola_guest_tsc_offset(vcpu));
}

/* ---- MSRs ------------------------------------------------------------------ */

/* MSRs that are VMCS fields: the processor switches them. */
static const struct {
	u32 index;
	u32 field;
} field_msrs[] = {
	{ MSRX_FS_BASE, GUEST_FS_BASE },
	{ MSRX_GS_BASE, GUEST_GS_BASE },
	{ MSRX_SYSENTER_CS, GUEST_SYSENTER_CS },
	{ MSRX_SYSENTER_ESP, GUEST_SYSENTER_ESP },
	{ MSRX_SYSENTER_EIP, GUEST_SYSENTER_EIP },
};

/* There is a bit for each MSR: reads of 0 … 1fff, reads of c0000000 …, then writes of both. */
#define BITMAP_HIGH	(1024 * 8)
#define BITMAP_WRITE	(2048 * 8)

static void pass(unsigned long *bitmap, u32 msr, bool write)
{
	u32 bit = (msr & 0x1fff) + (msr & 0xc0000000 ? BITMAP_HIGH : 0);

	__clear_bit(bit + (write ? BITMAP_WRITE : 0), bitmap);
}

/* All guests share it.  Writes of SYSCALL's MSRs are rare and exit, so vcpu_put() need not read them. */
void vmx_fill_msr_bitmap(unsigned long *bitmap)
{
	unsigned int i;

	bitmap_fill(bitmap, PAGE_SIZE * 8);
	for (i = 0; i < ARRAY_SIZE(field_msrs); i++) {
		pass(bitmap, field_msrs[i].index, false);
		pass(bitmap, field_msrs[i].index, true);
	}
	pass(bitmap, MSRX_TSC, false);
	pass(bitmap, MSRX_STAR, false);
	pass(bitmap, MSRX_LSTAR, false);
	pass(bitmap, MSRX_CSTAR, false);
	pass(bitmap, MSRX_SFMASK, false);
	pass(bitmap, MSRX_KERNEL_GS_BASE, false);
	pass(bitmap, MSRX_KERNEL_GS_BASE, true);
}

static int field_of(u32 index)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(field_msrs); i++)
		if (field_msrs[i].index == index)
			return field_msrs[i].field;
	return -1;
}

static int switched_of(u32 index)
{
	unsigned int i;

	for (i = 0; i < VMX_NR_SWITCHED; i++)
		if (vmx_switched_msrs[i] == index)
			return i;
	return -1;
}

int vmx_get_msr(struct gondola_vcpu *vcpu, u32 index, u64 *value)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i;

	if (index == MSRX_PAT) {
		*value = vmx->pat;
		return 0;
	}
	i = field_of(index);
	if (i >= 0) {
		*value = vmx_read(i);
		return 0;
	}
	i = switched_of(index);
	if (i < 0)
		return -ENOENT;
	/* SWAPGS and the guest's WRMSR change it without an exit. */
	preempt_disable();
	if (i == VMX_MSR_KERNEL_GS_BASE && vmx->live)
		rdmsrq(MSR_KERNEL_GS_BASE, vmx->msr[i]);
	*value = vmx->msr[i];
	preempt_enable();
	return 0;
}

/* WRMSR would refuse this value. */
static bool msr_value_valid(u32 index, u64 value)
{
	switch (index) {
	case MSRX_SFMASK:
		return value <= U32_MAX;
	case MSRX_TSC_AUX:
		return value <= U32_MAX && vmx_caps.proc2 & SECONDARY_EXEC_ENABLE_RDTSCP;
	case MSRX_SYSENTER_CS:
	case MSRX_STAR:
		return true;
	default:
		return __is_canonical_address(value, 48);
	}
}

int vmx_set_msr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i;

	switch (index) {
	case MSRX_PAT:
		vmx->pat = value;
		return 0;
	case MSRX_DEBUGCTL:
		vmx_write(GUEST_IA32_DEBUGCTL, value);
		return 0;
	}
	i = field_of(index);
	if (i >= 0) {
		if (!msr_value_valid(index, value))
			return -EINVAL;
		vmx_write(i, index == MSRX_SYSENTER_CS ? (u32)value : value);
		return 0;
	}
	i = switched_of(index);
	if (i < 0)
		return -ENOENT;
	if (!msr_value_valid(index, value))
		return -EINVAL;
	preempt_disable();
	vmx->msr[i] = value;
	if (vmx->live)
		wrmsrq(index, value);
	preempt_enable();
	return 0;
}
