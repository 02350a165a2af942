// SPDX-License-Identifier: GPL-2.0-only
/*
 * Breakpoints of the debug registers ("Debug Registers" in the manual).  Accesses to devices and
 * ports leave the guest; they are completed outside and meet none.
 */
#include "interp.h"

#define NR_BREAKPOINTS	4u

/* R/W fields of DR7. */
#define ON_EXECUTION	0u
#define ON_WRITE	1u
#define ON_ACCESS	3u

static unsigned int kind_of(u64 dr7, unsigned int i)
{
	return dr7 >> (16 + 4 * i) & 3;
}

static unsigned int bytes_of(u64 dr7, unsigned int i)
{
	static const u8 bytes[] = { 1, 2, 8, 4 };

	return bytes[dr7 >> (18 + 4 * i) & 3];
}

static bool enabled(u64 dr7, unsigned int i)
{
	return dr7 >> (2 * i) & 3;
}

static const u64 *addresses(const struct gondola_vcpu *vcpu)
{
	return unlikely(vcpu->debug_dr7) ? vcpu->debug_dr : vcpu->dr;
}

void interp_set_breakpoints(struct interp_vcpu *ip, u64 dr7)
{
	unsigned int i;

	ip->attention &= ~(INTERP_BREAKPOINTS | INTERP_WATCHES);
	for (i = 0; i < NR_BREAKPOINTS; i++) {
		if (!enabled(dr7, i))
			continue;
		ip->attention |= INTERP_BREAKPOINTS;
		if (kind_of(dr7, i) & ON_WRITE)
			ip->attention |= INTERP_WATCHES;
	}
	/* The TLB has no entries for watched memory, so all accesses to it are operations. */
	ip->attention |= INTERP_MODE;
}

u64 interp_breakpoint(struct interp_vcpu *ip, gva_t la)
{
	const struct gondola_vcpu *vcpu = ip->vcpu;
	u64 met = 0;
	unsigned int i;

	for (i = 0; i < NR_BREAKPOINTS; i++)
		if (enabled(vcpu->hw_dr7, i) && kind_of(vcpu->hw_dr7, i) == ON_EXECUTION &&
		    addresses(vcpu)[i] == la)
			met |= BIT(i);
	return met;
}

void interp_watch(struct interp_vcpu *ip, gva_t la, unsigned int bytes, bool write)
{
	const struct gondola_vcpu *vcpu = ip->vcpu;
	unsigned int i;

	for (i = 0; i < NR_BREAKPOINTS; i++) {
		unsigned int kind = kind_of(vcpu->hw_dr7, i), watched = bytes_of(vcpu->hw_dr7, i);
		gva_t at = addresses(vcpu)[i] & ~(u64)(watched - 1);

		if (enabled(vcpu->hw_dr7, i) && (kind == ON_ACCESS || (kind == ON_WRITE && write)) &&
		    la < at + watched && at < la + bytes)
			ip->watch_met |= BIT(i);
	}
}
