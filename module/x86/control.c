// SPDX-License-Identifier: GPL-2.0-only
/* Writes to control and debug registers and EFER, with the processor's checks. */
#include <linux/errno.h>
#include "internal.h"
#include "irq/irq.h"
#include "vcpu.h"

/* XCR0's state components. */
#define XCR0_X87	BIT_ULL(0)
#define XCR0_SSE	BIT_ULL(1)
#define XCR0_AVX	BIT_ULL(2)
#define XCR0_AVX512	(BIT_ULL(5) | BIT_ULL(6) | BIT_ULL(7))

/* Setting CR0.PG: the checks of the section on initialising IA-32e mode. */
static int check_enter_long_mode(struct gondola_vcpu *vcpu)
{
	struct gondola_segment cs, tr;

	if (!(vcpu->cr4 & CR4_PAE))
		return -EINVAL;
	vcpu->engine->get_segment(vcpu, GONDOLA_CS, &cs);
	vcpu->engine->get_segment(vcpu, GONDOLA_TR, &tr);
	/* A TR type below 8 is a 16-bit TSS. */
	if (cs.ar & GONDOLA_AR_L || (tr.ar & GONDOLA_AR_TYPE) < 8)
		return -EINVAL;
	return 0;
}

static int check_leave_long_mode(struct gondola_vcpu *vcpu)
{
	struct gondola_segment cs;

	if (!gondola_long_mode(vcpu))
		return 0;
	vcpu->engine->get_segment(vcpu, GONDOLA_CS, &cs);
	return cs.ar & GONDOLA_AR_L ? -EINVAL : 0;
}

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_F_LME);
}

/*
 * MOV to CR0, CLTS, LMSW.
 *
 * Reserved bits of the low half are ignored, those of the high half fault.
 */
int gondola_set_cr0(struct gondola_vcpu *vcpu, u64 value)
{
	u64 changed;
	int err;

	if (value >> 32)
		return -EINVAL;
	value = (value & CR0_DEFINED) | CR0_ET;
	if ((value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
		return -EINVAL;
	changed = value ^ vcpu->cr0;
	if (changed & CR0_PG) {
		if (value & CR0_PG) {
			if (vcpu->efer & EFER_F_LME && check_enter_long_mode(vcpu))
				return -EINVAL;
		} else if (vcpu->cr4 & CR4_PCIDE || check_leave_long_mode(vcpu)) {
			return -EINVAL;
		}
	}
	/* See the section on PDPTE registers: a change of these bits, or of CR3, loads them. */
	if (changed & (CR0_PG | CR0_CD | CR0_NW) && pae_paging(value, vcpu->cr4, vcpu->efer)) {
		err = gondola_mmu_load_pdptes(vcpu, vcpu->cr3);
		if (err)
			return err;
	}

	vcpu->cr0 = value;
	if (changed & CR0_PG) {
		vcpu->efer &= ~EFER_F_LMA;
		if (value & CR0_PG && vcpu->efer & EFER_F_LME)
			vcpu->efer |= EFER_F_LMA;
	}
	if (changed & (GONDOLA_ROLE_CR0 | CR0_PE))
		gondola_mmu_mode_changed(vcpu);
	if (changed & CR0_PG)
		gondola_mmu_flush_guest(vcpu);
	if (changed)
		vcpu->engine->update_control(vcpu);
	return 0;
}

int gondola_get_cr(struct gondola_vcpu *vcpu, unsigned int cr, u64 *value)
{
	switch (cr) {
	case 0:
		*value = vcpu->cr0;
		return 0;
	case 2:
		*value = vcpu->cr2;
		return 0;
	case 3:
		*value = vcpu->cr3;
		return 0;
	case 4:
		*value = vcpu->cr4;
		return 0;
	case 8:
		*value = gondola_lapic_cr8(vcpu);
		return 0;
	default:
		return -EINVAL;
	}
}

/** gondola_set_cr3() - MOV to CR3; short, since guests switch contexts by it */
int gondola_set_cr3(struct gondola_vcpu *vcpu, u64 value)
{
	bool flush = true;
	int err;

	if (gondola_long_mode(vcpu)) {
		if (vcpu->cr4 & CR4_PCIDE) {
			flush = !(value & CR3_NOFLUSH);
			value &= ~CR3_NOFLUSH;
		}
		if (value >> vcpu->maxphyaddr)
			return -EINVAL;
	} else {
		value = (u32)value;
		if (pae_paging(vcpu->cr0, vcpu->cr4, vcpu->efer)) {
			err = gondola_mmu_load_pdptes(vcpu, value);
			if (err)
				return err;
		}
	}
	vcpu->cr3 = value;
	gondola_mmu_cr3_written(vcpu, flush);
	return 0;
}

int gondola_set_cr4(struct gondola_vcpu *vcpu, u64 value)
{
	u64 changed = value ^ vcpu->cr4;
	int err;

	if (value & ~vcpu->cr4_allowed)
		return -EINVAL;
	if (gondola_long_mode(vcpu)) {
		if (!(value & CR4_PAE) || changed & CR4_LA57)
			return -EINVAL;
	} else if (value & CR4_PCIDE) {
		return -EINVAL;
	}
	if (value & changed & CR4_PCIDE && vcpu->cr3 & CR3_PCID)
		return -EINVAL;
	if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP) &&
	    pae_paging(vcpu->cr0, value, vcpu->efer)) {
		err = gondola_mmu_load_pdptes(vcpu, vcpu->cr3);
		if (err)
			return err;
	}

	vcpu->cr4 = value;
	if (changed & (GONDOLA_ROLE_CR4 | CR4_PCIDE))
		gondola_mmu_mode_changed(vcpu);
	/* The manual demands no flush for SMAP, but hardware flushes, and it is rare. */
	if (changed & (GONDOLA_ROLE_CR4 | CR4_PGE | CR4_PCIDE))
		gondola_mmu_flush_guest(vcpu);
	if (changed)
		vcpu->engine->update_control(vcpu);
	return 0;
}

int gondola_set_cr8(struct gondola_vcpu *vcpu, u64 value)
{
	if (value > 15)
		return -EINVAL;
	gondola_lapic_set_cr8(vcpu, value);
	return 0;
}

/** gondola_set_efer() - WRMSR to EFER; LMA follows CR0.PG and cannot be written */
int gondola_set_efer(struct gondola_vcpu *vcpu, u64 value)
{
	u64 changed;

	value = (value & ~EFER_F_LMA) | (vcpu->efer & EFER_F_LMA);
	changed = value ^ vcpu->efer;
	if (value & ~vcpu->efer_allowed)
		return -EINVAL;
	if (changed & EFER_F_LME && gondola_paging(vcpu))
		return -EINVAL;

	vcpu->efer = value;
	if (changed & (GONDOLA_ROLE_EFER | EFER_F_LME))
		gondola_mmu_mode_changed(vcpu);
	if (changed)
		vcpu->engine->update_control(vcpu);
	return 0;
}

/** gondola_set_xcr() - XSETBV, after its checks of CR4.OSXSAVE (#UD) and CPL */
int gondola_set_xcr(struct gondola_vcpu *vcpu, u32 index, u64 value)
{
	if (index || !(value & XCR0_X87) || value & ~(cpuid_xcr0(vcpu) | XCR0_X87))
		return -EINVAL;
	if (value & XCR0_AVX && !(value & XCR0_SSE))
		return -EINVAL;
	if (value & XCR0_AVX512 &&
	    ((value & XCR0_AVX512) != XCR0_AVX512 || !(value & XCR0_AVX)))
		return -EINVAL;
	vcpu->xcr0 = value;
	return 0;
}

void gondola_update_dr7(struct gondola_vcpu *vcpu)
{
	vcpu->hw_dr7 = unlikely(vcpu->debug_dr7) ? vcpu->debug_dr7 : vcpu->dr7;
	vcpu->engine->set_dr7(vcpu, vcpu->hw_dr7);
}

/**
 * gondola_debug_exception() - change the debug registers as the processor does when it raises #DB
 * @vcpu: the vCPU, loaded or stopped
 * @conditions: bits of DR6 for the conditions met
 *
 * The handler may use the debug registers, and branches in it do not trap.
 */
void gondola_debug_exception(struct gondola_vcpu *vcpu, u64 conditions)
{
	vcpu->dr6 = (vcpu->dr6 & ~DR6_BREAKPOINTS) | DR6_FIXED | conditions;
	if (unlikely(vcpu->dr7 & DR7_GD)) {
		vcpu->dr7 &= ~DR7_GD;
		gondola_update_dr7(vcpu);
	}
	if (unlikely(vcpu->msrs.debugctl))
		gondola_set_msr(vcpu, MSRX_DEBUGCTL, 0);
}

/**
 * gondola_general_detect() - does DR7.GD forbid a MOV from or to a debug register?
 * @vcpu: the vCPU that executes it
 *
 * Returns true if so; then the caller raises #DB instead of the access.
 */
bool gondola_general_detect(struct gondola_vcpu *vcpu)
{
	if (likely(!(vcpu->dr7 & DR7_GD)))
		return false;
	gondola_debug_exception(vcpu, DR6_BD);
	return true;
}

/* DR4 and DR5 are DR6 and DR7; the caller checks CR4.DE, with which they are undefined. */
int gondola_set_dr(struct gondola_vcpu *vcpu, unsigned int dr, u64 value)
{
	switch (dr) {
	case 0 ... 3:
		vcpu->dr[dr] = value;
		return 0;
	case 4:
	case 6:
		if (value >> 32)
			return -EINVAL;
		vcpu->dr6 = (value & DR6_VOLATILE) | DR6_FIXED;
		return 0;
	case 5:
	case 7:
		if (value >> 32)
			return -EINVAL;
		vcpu->dr7 = (value & DR7_WRITABLE) | DR7_FIXED;
		gondola_update_dr7(vcpu);
		return 0;
	}
	return -EINVAL;
}

int gondola_get_dr(struct gondola_vcpu *vcpu, unsigned int dr, u64 *value)
{
	switch (dr) {
	case 0 ... 3:
		*value = vcpu->dr[dr];
		return 0;
	case 4:
	case 6:
		*value = vcpu->dr6;
		return 0;
	case 5:
	case 7:
		*value = vcpu->dr7;
		return 0;
	}
	return -EINVAL;
}
