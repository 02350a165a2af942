// SPDX-License-Identifier: GPL-2.0-only
/*
 * The records of control and segment registers, and of PAE's directory pointers.  A value that the
 * processor would refuse at entry is refused here with the name of its field, since a failed entry
 * tells very little.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "irq/irq.h"
#include "state.h"
#include "vcpu.h"
#include "x86/control.h"

#define FIELD(field)		offsetof(struct gondola_rec_sregs, field)
#define SEG_FIELD(n, field)	(FIELD(seg) + (n) * sizeof(struct gondola_segment) + \
				 offsetof(struct gondola_segment, field))

#define AR_RESERVED	(~0x1f0ffu)	/* 11:8 and 31:17 */
/* Types of a code or data segment. */
#define TYPE_ACCESSED	1u
#define TYPE_WRITABLE	2u		/* of data; of code: readable */
#define TYPE_CODE	8u
#define TYPE_CONFORMING	4u		/* of code */
/* Types of a system segment. */
#define TYPE_LDT	2u
#define TYPE_TSS16_BUSY	3u
#define TYPE_TSS_BUSY	11u

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_F_LMA);
}

/* ---- directory pointers ---------------------------------------------------------------- */

static u32 pdptes_size(struct gondola_vcpu *vcpu)
{
	return pae_paging(vcpu->cr0, vcpu->cr4, vcpu->efer) ? sizeof(struct gondola_rec_pdptes) : 0;
}

static int pdptes_get(struct gondola_vcpu *vcpu, struct gondola_rec_pdptes *rec)
{
	memcpy(rec->pdpte, vcpu->mmu.pdptes, sizeof(rec->pdpte));
	return 0;
}

/* They are checked with the next record, so keep them for it. */
static int pdptes_set(struct gondola_vcpu *vcpu, const struct gondola_rec_pdptes *rec, u32 *bad)
{
	vcpu->saved_pdptes = rec->pdpte;
	return 0;
}

GONDOLA_RECORD(pdptes, PDPTES, true, sizeof(struct gondola_rec_pdptes), pdptes_size(vcpu),
	       pdptes_get(vcpu, payload), pdptes_set(vcpu, payload, bad));

/* ---- control and segment registers ----------------------------------------------------- */

static bool canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

static int sregs_get(struct gondola_vcpu *vcpu, struct gondola_rec_sregs *rec)
{
	const struct gondola_event *event = &vcpu->event;
	int i;

	for (i = 0; i < GONDOLA_NR_SEGS; i++) {
		vcpu->engine->get_segment(vcpu, i, &rec->seg[i]);
		memset(rec->seg[i].pad, 0, sizeof(rec->seg[i].pad));
	}
	vcpu->engine->get_dtable(vcpu, false, &rec->gdt);
	vcpu->engine->get_dtable(vcpu, true, &rec->idt);
	memset(rec->gdt.pad, 0, sizeof(rec->gdt.pad));
	memset(rec->idt.pad, 0, sizeof(rec->idt.pad));
	rec->cr0 = vcpu->cr0;
	rec->cr2 = vcpu->cr2;
	/* The events record has no field for the address of a queued #PF. */
	if (event->kind == GONDOLA_EVENT_EXCEPTION && event->vector == VEC_PF)
		rec->cr2 = event->cr2;
	rec->cr3 = vcpu->cr3;
	rec->cr4 = vcpu->cr4;
	rec->cr8 = gondola_lapic_cr8(vcpu);
	rec->efer = vcpu->efer;
	rec->xcr0 = vcpu->xcr0;
	return gondola_lapic_get_msr(vcpu, MSRX_APIC_BASE, &rec->apic_base);
}

static int check_control(struct gondola_vcpu *vcpu, const struct gondola_rec_sregs *rec, u32 *bad)
{
	bool paging = rec->cr0 & CR0_PG;
	bool lma = rec->efer & EFER_F_LMA;

	if ((rec->cr0 & ~CR0_DEFINED) || (paging && !(rec->cr0 & CR0_PE)) ||
	    ((rec->cr0 & CR0_NW) && !(rec->cr0 & CR0_CD)))
		return gondola_refuse(bad, FIELD(cr0));
	if ((rec->efer & ~(vcpu->efer_allowed | EFER_F_LMA)) ||
	    lma != (paging && (rec->efer & EFER_F_LME)))
		return gondola_refuse(bad, FIELD(efer));
	if ((rec->cr4 & ~vcpu->cr4_allowed) || (lma && !(rec->cr4 & CR4_PAE)) ||
	    (!lma && (rec->cr4 & CR4_PCIDE)))
		return gondola_refuse(bad, FIELD(cr4));
	/* A value loaded in long mode is kept outside of it. */
	if (rec->cr3 >> vcpu->maxphyaddr)
		return gondola_refuse(bad, FIELD(cr3));
	if (rec->cr8 > 15)
		return gondola_refuse(bad, FIELD(cr8));
	if (!(rec->xcr0 & 1))
		return gondola_refuse(bad, FIELD(xcr0));
	return 0;
}

/* Rules for every segment register in use, in every mode. */
static int check_form(const struct gondola_segment *seg, int n, u32 *bad)
{
	if (seg->ar & AR_RESERVED)
		return gondola_refuse(bad, SEG_FIELD(n, ar));
	if (seg->pad[0] || seg->pad[1] || seg->pad[2])
		return gondola_refuse(bad, SEG_FIELD(n, pad));
	if (n == GONDOLA_FS || n == GONDOLA_GS || n >= GONDOLA_LDTR) {
		if (!canonical(seg->base))
			return gondola_refuse(bad, SEG_FIELD(n, base));
	} else if (seg->base >> 32) {
		return gondola_refuse(bad, SEG_FIELD(n, base));
	}
	return 0;
}

static u32 dpl(const struct gondola_segment *seg)
{
	return (seg->ar & GONDOLA_AR_DPL) >> GONDOLA_AR_DPL_SHIFT;
}

/* With granularity of pages the low 12 bits are set, with bytes the high 12 are clear. */
static bool limit_fits(const struct gondola_segment *seg)
{
	return seg->ar & GONDOLA_AR_G ? (seg->limit & 0xfff) == 0xfff : !(seg->limit >> 20);
}

/* ES … GS in protected mode.  A kernel may still have real mode's selectors, with any RPL. */
static int check_protected(const struct gondola_segment *seg, int n, bool lma, u32 cpl, u32 *bad)
{
	u32 type = seg->ar & GONDOLA_AR_TYPE;
	u32 rpl = seg->selector & 3;

	if (seg->ar & GONDOLA_AR_UNUSABLE)
		return n == GONDOLA_CS ? gondola_refuse(bad, SEG_FIELD(n, ar)) : 0;
	if ((seg->ar & (GONDOLA_AR_P | GONDOLA_AR_S)) != (GONDOLA_AR_P | GONDOLA_AR_S) ||
	    !(type & TYPE_ACCESSED))
		return gondola_refuse(bad, SEG_FIELD(n, ar));
	if (!limit_fits(seg))
		return gondola_refuse(bad, SEG_FIELD(n, limit));

	if (n == GONDOLA_CS) {
		if (!(type & TYPE_CODE) || (lma && (seg->ar & GONDOLA_AR_L) &&
					    (seg->ar & GONDOLA_AR_DB)))
			return gondola_refuse(bad, SEG_FIELD(n, ar));
		if (type & TYPE_CONFORMING ? dpl(seg) > cpl : dpl(seg) != cpl)
			return gondola_refuse(bad, SEG_FIELD(n, ar));
	} else if (n == GONDOLA_SS) {
		if ((type & TYPE_CODE) || !(type & TYPE_WRITABLE))
			return gondola_refuse(bad, SEG_FIELD(n, ar));
		if (cpl && rpl != dpl(seg))
			return gondola_refuse(bad, SEG_FIELD(n, selector));
	} else {
		if ((type & TYPE_CODE) && !(type & TYPE_WRITABLE))
			return gondola_refuse(bad, SEG_FIELD(n, ar));
		if (cpl && !((type & TYPE_CODE) && (type & TYPE_CONFORMING)) && dpl(seg) < rpl)
			return gondola_refuse(bad, SEG_FIELD(n, ar));
	}
	return 0;
}

/* ES … GS in virtual-8086 mode, where the selector determines everything. */
static int check_vm86(const struct gondola_segment *seg, int n, u32 *bad)
{
	if (seg->base != (u64)seg->selector << 4)
		return gondola_refuse(bad, SEG_FIELD(n, base));
	if (seg->limit != 0xffff)
		return gondola_refuse(bad, SEG_FIELD(n, limit));
	return seg->ar == 0xf3 ? 0 : gondola_refuse(bad, SEG_FIELD(n, ar));
}

static int check_system(const struct gondola_rec_sregs *rec, bool lma, u32 *bad)
{
	const struct gondola_segment *tr = &rec->seg[GONDOLA_TR];
	const struct gondola_segment *ldt = &rec->seg[GONDOLA_LDTR];
	u32 type = tr->ar & GONDOLA_AR_TYPE;

	if ((tr->ar & (GONDOLA_AR_UNUSABLE | GONDOLA_AR_S | GONDOLA_AR_P)) != GONDOLA_AR_P ||
	    (type != TYPE_TSS_BUSY && (lma || type != TYPE_TSS16_BUSY)))
		return gondola_refuse(bad, SEG_FIELD(GONDOLA_TR, ar));
	if (!limit_fits(tr))
		return gondola_refuse(bad, SEG_FIELD(GONDOLA_TR, limit));
	/* Bit 2 of a selector selects the LDT, which holds neither of these. */
	if (tr->selector & 4)
		return gondola_refuse(bad, SEG_FIELD(GONDOLA_TR, selector));
	if (ldt->ar & GONDOLA_AR_UNUSABLE)
		return 0;
	if ((ldt->ar & (GONDOLA_AR_S | GONDOLA_AR_P | GONDOLA_AR_TYPE)) != (GONDOLA_AR_P | TYPE_LDT))
		return gondola_refuse(bad, SEG_FIELD(GONDOLA_LDTR, ar));
	if (!limit_fits(ldt))
		return gondola_refuse(bad, SEG_FIELD(GONDOLA_LDTR, limit));
	if (ldt->selector & 4)
		return gondola_refuse(bad, SEG_FIELD(GONDOLA_LDTR, selector));
	return 0;
}

static int check_segments(struct gondola_vcpu *vcpu, const struct gondola_rec_sregs *rec, u32 *bad)
{
	bool lma = rec->efer & EFER_F_LMA;
	u32 cpl = dpl(&rec->seg[GONDOLA_SS]);
	int n, err;

	for (n = 0; n < GONDOLA_NR_SEGS; n++) {
		err = check_form(&rec->seg[n], n, bad);
		if (err)
			return err;
	}
	if (!canonical(rec->gdt.base) || rec->gdt.pad[0] || rec->gdt.pad[1] || rec->gdt.pad[2])
		return gondola_refuse(bad, FIELD(gdt));
	if (!canonical(rec->idt.base) || rec->idt.pad[0] || rec->idt.pad[1] || rec->idt.pad[2])
		return gondola_refuse(bad, FIELD(idt));
	/* Real mode loads segments without checks. */
	if (!(rec->cr0 & CR0_PE))
		return 0;
	for (n = 0; n < GONDOLA_LDTR; n++) {
		if (vcpu->regs.rflags & RFL_VM)
			err = check_vm86(&rec->seg[n], n, bad);
		else
			err = check_protected(&rec->seg[n], n, lma, cpl, bad);
		if (err)
			return err;
	}
	return check_system(rec, lma, bad);
}

static int load_pdptes(struct gondola_vcpu *vcpu, u64 cr3)
{
	return vcpu->saved_pdptes ? gondola_mmu_set_pdptes(vcpu, vcpu->saved_pdptes) :
				    gondola_mmu_load_pdptes(vcpu, cr3);
}

static int apply(struct gondola_vcpu *vcpu, const struct gondola_rec_sregs *rec, u32 *bad)
{
	int n, err = 0;

	vcpu->cr0 = rec->cr0 | CR0_ET;
	vcpu->cr2 = rec->cr2;
	vcpu->cr3 = rec->cr3;
	vcpu->cr4 = rec->cr4;
	vcpu->efer = rec->efer;
	for (n = 0; n < GONDOLA_NR_SEGS; n++)
		vcpu->engine->set_segment(vcpu, n, &rec->seg[n]);
	vcpu->engine->set_dtable(vcpu, false, &rec->gdt);
	vcpu->engine->set_dtable(vcpu, true, &rec->idt);
	vcpu->engine->update_control(vcpu);
	gondola_mmu_mode_changed(vcpu);
	if (pae_paging(rec->cr0, rec->cr4, rec->efer))
		err = load_pdptes(vcpu, rec->cr3);
	if (err)
		return gondola_refuse_for(err, bad, FIELD(cr3));
	gondola_mmu_cr3_written(vcpu, true);
	gondola_mmu_flush_guest(vcpu);
	if (gondola_set_xcr(vcpu, 0, rec->xcr0))
		return gondola_refuse(bad, FIELD(xcr0));
	if (gondola_lapic_restore_base(vcpu, rec->apic_base))
		return gondola_refuse(bad, FIELD(apic_base));
	gondola_lapic_set_cr8(vcpu, rec->cr8);
	return 0;
}

static int sregs_set(struct gondola_vcpu *vcpu, const struct gondola_rec_sregs *rec, u32 *bad)
{
	struct gondola_rec_sregs old = { };
	u64 old_pdptes[4];
	u32 ignored;
	int err;

	/* The checks depend on CPUID. */
	if (!vcpu->cpuid)
		return -ENOEXEC;
	err = check_control(vcpu, rec, bad);
	if (!err)
		err = check_segments(vcpu, rec, bad);
	if (!err)
		err = sregs_get(vcpu, &old);
	if (err)
		return err;
	memcpy(old_pdptes, vcpu->mmu.pdptes, sizeof(old_pdptes));
	err = apply(vcpu, rec, bad);
	/* Directory pointers, XCR0 and the APIC's base are checked when they are applied. */
	if (err) {
		vcpu->saved_pdptes = old_pdptes;
		apply(vcpu, &old, &ignored);
		vcpu->saved_pdptes = NULL;
	}
	return err;
}

GONDOLA_VCPU_RECORD(sregs, SREGS);
