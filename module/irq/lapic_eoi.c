// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paravirtual EOI, as documented in Linux's Documentation/virt/kvm/x86/msr.rst:
 * the host sets a bit in the guest's memory, and the guest may clear it instead of writing EOI.
 * The host sees this at the next exit.
 *
 * So it is offered only if nothing depends on the EOI: no other vector is in service or requested,
 * and no I/O APIC waits for it.  If a vector is requested later the offer is withdrawn, and the
 * guest writes the register.
 */
#include <linux/errno.h>
#include "mmu/mmu.h"
#include "lapic.h"

#define EOI_ENABLE	BIT_ULL(0)
#define EOI_RESERVED	BIT_ULL(1)	/* the address is a multiple of 4 */
#define NO_EOI_NEEDED	BIT(0)

static gpa_t eoi_byte(const struct gondola_vcpu *vcpu)
{
	return vcpu->msrs.eoi & ~(EOI_ENABLE | EOI_RESERVED);
}

void gondola_lapic_offer_eoi(struct gondola_vcpu *vcpu)
{
	struct gondola_lapic *lapic = vcpu->lapic;
	int vector = lapic->isr_top;

	if (!(vcpu->msrs.eoi & EOI_ENABLE) || vcpu->eoi_offered || vector < 0 ||
	    bitmap_weight(lapic->isr, NR_VECTORS_LAPIC) != 1 || test_bit(vector, lapic->tmr) ||
	    lapic_top_vector(lapic->irr) >= 0)
		return;
	vcpu->eoi_offered = gondola_gpa_try_or(vcpu->vm, eoi_byte(vcpu), NO_EOI_NEEDED);
}

static int collect(struct gondola_vcpu *vcpu, bool withdraw)
{
	gpa_t gpa = eoi_byte(vcpu);
	u8 byte = 0;
	int err;

	err = withdraw ? gondola_gpa_exchange(vcpu, gpa, 0, &byte) :
	      gondola_gpa_read(vcpu, gpa, &byte, sizeof(byte));
	if (err == -EAGAIN)
		return err;
	/* If the record is no memory any more, the guest must write the register. */
	if (err)
		vcpu->eoi_offered = false;
	else if (!(byte & NO_EOI_NEEDED))
		lapic_eoi(vcpu->lapic);
	if (withdraw || !(byte & NO_EOI_NEEDED))
		vcpu->eoi_offered = false;
	return 0;
}

int gondola_lapic_collect_eoi(struct gondola_vcpu *vcpu)
{
	return collect(vcpu, lapic_top_vector(vcpu->lapic->irr) >= 0);
}

int lapic_settle_eoi(struct gondola_vcpu *vcpu)
{
	return vcpu->eoi_offered ? collect(vcpu, true) : 0;
}

/* This also makes the page present, as offers need it.  -EAGAIN: no offers until it is. */
static bool may_offer_there(struct gondola_vcpu *vcpu, u64 value)
{
	u8 old;

	return gondola_gpa_exchange(vcpu, value & ~EOI_ENABLE, 0, &old) != -EFAULT;
}

static int set_pv_eoi(struct gondola_vcpu *vcpu, u64 value, bool must_be_good)
{
	int err;

	if (value & EOI_RESERVED)
		return -EINVAL;
	err = lapic_settle_eoi(vcpu);
	if (err)
		return err;
	if ((value & EOI_ENABLE) && !may_offer_there(vcpu, value) && must_be_good)
		return -EINVAL;
	vcpu->msrs.eoi = value;
	return 0;
}

int gondola_lapic_set_pv_eoi(struct gondola_vcpu *vcpu, u64 value)
{
	return set_pv_eoi(vcpu, value, true);
}

/* The page may have become a page table since: then make no offers. */
int gondola_lapic_restore_pv_eoi(struct gondola_vcpu *vcpu, u64 value)
{
	return set_pv_eoi(vcpu, value, false);
}
