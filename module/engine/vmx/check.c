// SPDX-License-Identifier: GPL-2.0-only
/*
 * The manual's checks on guest state that a guest or a launcher can fail.  Before an entry: do the
 * selectors pass?  After an entry that failed for "invalid guest state": which field was it?  The
 * processor does not tell.
 */
#include <linux/kernel.h>
#include <asm/page.h>
#include "vmcs.h"
#include "vmx.h"

struct guest {
	struct gondola_segment seg[GONDOLA_NR_SEGS];
	u64 cr0, cr3, cr4, dr7, rip, rflags;
	u64 sysenter_esp, sysenter_eip;
	u64 gdt_base, idt_base, pending_debug, debugctl;
	u32 gdt_limit, idt_limit;
	u32 interruptibility, activity, info;
	bool v86, ia32e;
};

static bool canonical(u64 address)
{
	return __is_canonical_address(address, 48);
}

static bool usable(const struct gondola_segment *s)
{
	return !(s->ar & GONDOLA_AR_UNUSABLE);
}

static unsigned int type(const struct gondola_segment *s)
{
	return s->ar & GONDOLA_AR_TYPE;
}

static unsigned int dpl(const struct gondola_segment *s)
{
	return VMX_AR_DPL(s->ar);
}

static unsigned int rpl(const struct gondola_segment *s)
{
	return s->selector & 3;
}

/* The granularity, bytes or pages, must be the one that can express the limit. */
static bool limit_ok(const struct gondola_segment *s)
{
	if ((s->limit & 0xfff) != 0xfff && s->ar & GONDOLA_AR_G)
		return false;
	return !(s->limit & 0xfff00000) || s->ar & GONDOLA_AR_G;
}

static bool info_is(const struct guest *g, u32 kind)
{
	return g->info & INTR_INFO_VALID_MASK && (g->info & INTR_INFO_INTR_TYPE_MASK) == kind;
}

/* ---- control registers and flags --------------------------------------------- */

static bool cr0_ok(const struct guest *g)
{
	return (g->cr0 & vmx_caps.cr0_fixed0) == vmx_caps.cr0_fixed0 &&
	       !(g->cr0 & ~vmx_caps.cr0_fixed1);
}

static bool cr4_ok(const struct guest *g)
{
	return (g->cr4 & vmx_caps.cr4_fixed0) == vmx_caps.cr4_fixed0 &&
	       !(g->cr4 & ~vmx_caps.cr4_fixed1) && (!g->ia32e || g->cr4 & CR4_PAE);
}

static bool rflags_ok(const struct guest *g)
{
	const u64 reserved = ~0x3f7fd7ull;

	if (g->rflags & reserved || !(g->rflags & RFL_FIXED))
		return false;
	if (g->v86 && (g->ia32e || !(g->cr0 & CR0_PE)))
		return false;
	return !info_is(g, INTR_TYPE_EXT_INTR) || g->rflags & RFL_IF;
}

static bool rip_ok(const struct guest *g)
{
	if (!g->ia32e || !(g->seg[GONDOLA_CS].ar & GONDOLA_AR_L))
		return g->rip <= U32_MAX;
	return canonical(g->rip);
}

/* ---- segments --------------------------------------------------------------------- */

static bool cs_rights_ok(const struct guest *g)
{
	const struct gondola_segment *cs = &g->seg[GONDOLA_CS], *ss = &g->seg[GONDOLA_SS];

	if (g->v86)
		return cs->ar == 0xf3;
	if ((cs->ar & (GONDOLA_AR_S | GONDOLA_AR_P)) != (GONDOLA_AR_S | GONDOLA_AR_P))
		return false;
	if (cs->ar & 0xf00 || !limit_ok(cs))
		return false;
	if (g->ia32e && cs->ar & GONDOLA_AR_L && cs->ar & GONDOLA_AR_DB)
		return false;
	switch (type(cs)) {
	case 9: case 11:
		return dpl(cs) == dpl(ss);
	case 13: case 15:
		return dpl(cs) <= dpl(ss);
	default:
		return false;
	}
}

/* Data and non-conforming code. */
static bool data_selector_ok(const struct guest *g, enum gondola_seg seg)
{
	const struct gondola_segment *s = &g->seg[seg];

	return !usable(s) || type(s) > 11 || rpl(s) <= dpl(s);
}

static bool ss_selector_ok(const struct guest *g)
{
	return g->v86 || rpl(&g->seg[GONDOLA_SS]) == rpl(&g->seg[GONDOLA_CS]);
}

static bool ss_rights_ok(const struct guest *g)
{
	const struct gondola_segment *ss = &g->seg[GONDOLA_SS];

	if (g->v86)
		return ss->ar == 0xf3;
	if (dpl(ss) != rpl(ss))
		return false;
	if (!usable(ss))
		return true;
	return (type(ss) == 3 || type(ss) == 7) && ss->ar & GONDOLA_AR_S &&
	       ss->ar & GONDOLA_AR_P && !(ss->ar & 0xf00) && limit_ok(ss);
}

static bool data_rights_ok(const struct guest *g, enum gondola_seg seg)
{
	const struct gondola_segment *s = &g->seg[seg];

	if (g->v86)
		return s->ar == 0xf3;
	if (!usable(s))
		return true;
	/* It must be accessed, and readable if it is code. */
	if (!(type(s) & 1) || (type(s) & 8 && !(type(s) & 2)))
		return false;
	if (!data_selector_ok(g, seg))
		return false;
	return s->ar & GONDOLA_AR_S && s->ar & GONDOLA_AR_P && !(s->ar & 0xf00) && limit_ok(s);
}

static bool base_ok(const struct guest *g, enum gondola_seg seg)
{
	const struct gondola_segment *s = &g->seg[seg];

	if (g->v86)
		return s->base == s->selector << 4;
	return (seg != GONDOLA_CS && !usable(s)) || s->base <= U32_MAX;
}

static bool tr_rights_ok(const struct guest *g)
{
	const struct gondola_segment *tr = &g->seg[GONDOLA_TR];

	if (!usable(tr) || tr->ar & GONDOLA_AR_S || !(tr->ar & GONDOLA_AR_P) || tr->ar & 0xf00)
		return false;
	return limit_ok(tr) && (type(tr) == VMX_AR_TYPE_BUSY_64_TSS ||
				(type(tr) == VMX_AR_TYPE_BUSY_16_TSS && !g->ia32e));
}

static bool ldtr_rights_ok(const struct guest *g)
{
	const struct gondola_segment *ldtr = &g->seg[GONDOLA_LDTR];

	if (!usable(ldtr))
		return true;
	return type(ldtr) == VMX_AR_TYPE_LDT && !(ldtr->ar & GONDOLA_AR_S) &&
	       ldtr->ar & GONDOLA_AR_P && !(ldtr->ar & 0xf00) && limit_ok(ldtr);
}

/* ---- non-register state --------------------------------------------------------------- */

static bool interruptibility_ok(const struct guest *g)
{
	const u32 both = GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS;
	u32 state = g->interruptibility;

	if ((state & both) == both || state & ~(both | GUEST_INTR_STATE_NMI))
		return false;
	if (state & GUEST_INTR_STATE_STI && !(g->rflags & RFL_IF))
		return false;
	if (info_is(g, INTR_TYPE_EXT_INTR))
		return !(state & both);
	if (info_is(g, INTR_TYPE_NMI_INTR))
		return !(state & (GUEST_INTR_STATE_MOV_SS | GUEST_INTR_STATE_NMI));
	return true;
}

static bool pending_debug_ok(const struct guest *g)
{
	bool step = g->pending_debug & DR6_BS;

	if (g->interruptibility & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS))
		return step == (g->rflags & RFL_TF && !(g->debugctl & DEBUGCTL_BTF));
	return true;
}

/* ---- the two questions ----------------------------------------------------------------- */

static void read_segments(struct gondola_vcpu *vcpu, struct guest *g)
{
	enum gondola_seg seg;

	for (seg = 0; seg < GONDOLA_NR_SEGS; seg++)
		vmx_get_segment(vcpu, seg, &g->seg[seg]);
}

/*
 * In real mode a selector's low bits are part of an address.  Once CR0.PE is set they are a privilege,
 * and the guest must replace the selector before the processor enters.
 */
bool vmx_can_enter(struct gondola_vcpu *vcpu)
{
	const struct gondola_segment *ss;
	struct guest g;
	bool ok;

	if (unlikely(!(vcpu->cr0 & CR0_PE)))
		return false;
	if (likely(!to_vmx(vcpu)->segments_written))
		return true;
	g.v86 = vcpu->regs.rflags & RFL_VM;
	read_segments(vcpu, &g);
	ss = &g.seg[GONDOLA_SS];
	ok = g.v86 || (rpl(ss) == dpl(ss) && ss_selector_ok(&g) &&
		       data_selector_ok(&g, GONDOLA_DS) && data_selector_ok(&g, GONDOLA_ES) &&
		       data_selector_ok(&g, GONDOLA_FS) && data_selector_ok(&g, GONDOLA_GS));
	to_vmx(vcpu)->segments_written = !ok;
	return ok;
}

static void read_guest(struct gondola_vcpu *vcpu, struct guest *g)
{
	read_segments(vcpu, g);
	g->cr0 = vmx_read(GUEST_CR0);
	g->cr3 = vmx_read(GUEST_CR3);
	g->cr4 = vmx_read(GUEST_CR4);
	g->dr7 = vmx_read(GUEST_DR7);
	g->rip = vmx_read(GUEST_RIP);
	g->rflags = vmx_read(GUEST_RFLAGS);
	g->sysenter_esp = vmx_read(GUEST_SYSENTER_ESP);
	g->sysenter_eip = vmx_read(GUEST_SYSENTER_EIP);
	g->gdt_base = vmx_read(GUEST_GDTR_BASE);
	g->gdt_limit = vmx_read(GUEST_GDTR_LIMIT);
	g->idt_base = vmx_read(GUEST_IDTR_BASE);
	g->idt_limit = vmx_read(GUEST_IDTR_LIMIT);
	g->pending_debug = vmx_read(GUEST_PENDING_DBG_EXCEPTIONS);
	g->debugctl = vmx_read(GUEST_IA32_DEBUGCTL);
	g->interruptibility = vmx_read(GUEST_INTERRUPTIBILITY_INFO);
	g->activity = vmx_read(GUEST_ACTIVITY_STATE);
	g->info = vmx_read(VM_ENTRY_INTR_INFO_FIELD);
	g->v86 = g->rflags & RFL_VM;
	g->ia32e = to_vmx(vcpu)->entry & VM_ENTRY_IA32E_MODE;
}

static const char *broken_rule(const struct guest *g)
{
	const struct gondola_segment *tr = &g->seg[GONDOLA_TR], *ldtr = &g->seg[GONDOLA_LDTR];
	const struct {
		u32 field;
		bool ok;
	} rules[] = {
		{ GUEST_CR0, cr0_ok(g) },
		{ GUEST_CR4, cr4_ok(g) },
		{ GUEST_CR3, !(g->cr3 >> boot_cpu_data.x86_phys_bits) },
		{ GUEST_DR7, g->dr7 <= U32_MAX },
		{ GUEST_SYSENTER_ESP, canonical(g->sysenter_esp) },
		{ GUEST_SYSENTER_EIP, canonical(g->sysenter_eip) },
		{ GUEST_RFLAGS, rflags_ok(g) },
		{ GUEST_TR_SELECTOR, !(tr->selector & BIT(2)) },
		{ GUEST_LDTR_SELECTOR, !usable(ldtr) || !(ldtr->selector & BIT(2)) },
		{ GUEST_SS_SELECTOR, ss_selector_ok(g) },
		{ GUEST_CS_BASE, base_ok(g, GONDOLA_CS) },
		{ GUEST_SS_BASE, base_ok(g, GONDOLA_SS) },
		{ GUEST_DS_BASE, base_ok(g, GONDOLA_DS) },
		{ GUEST_ES_BASE, base_ok(g, GONDOLA_ES) },
		{ GUEST_FS_BASE, canonical(g->seg[GONDOLA_FS].base) },
		{ GUEST_GS_BASE, canonical(g->seg[GONDOLA_GS].base) },
		{ GUEST_TR_BASE, canonical(tr->base) },
		{ GUEST_LDTR_BASE, !usable(ldtr) || canonical(ldtr->base) },
		{ GUEST_CS_AR_BYTES, cs_rights_ok(g) },
		{ GUEST_SS_AR_BYTES, ss_rights_ok(g) },
		{ GUEST_DS_AR_BYTES, data_rights_ok(g, GONDOLA_DS) },
		{ GUEST_ES_AR_BYTES, data_rights_ok(g, GONDOLA_ES) },
		{ GUEST_FS_AR_BYTES, data_rights_ok(g, GONDOLA_FS) },
		{ GUEST_GS_AR_BYTES, data_rights_ok(g, GONDOLA_GS) },
		{ GUEST_TR_AR_BYTES, tr_rights_ok(g) },
		{ GUEST_LDTR_AR_BYTES, ldtr_rights_ok(g) },
		{ GUEST_GDTR_BASE, canonical(g->gdt_base) },
		{ GUEST_GDTR_LIMIT, g->gdt_limit <= U16_MAX },
		{ GUEST_IDTR_BASE, canonical(g->idt_base) },
		{ GUEST_IDTR_LIMIT, g->idt_limit <= U16_MAX },
		{ GUEST_RIP, rip_ok(g) },
		{ GUEST_ACTIVITY_STATE, g->activity == GUEST_ACTIVITY_ACTIVE },
		{ GUEST_INTERRUPTIBILITY_INFO, interruptibility_ok(g) },
		{ GUEST_PENDING_DBG_EXCEPTIONS, pending_debug_ok(g) },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (!rules[i].ok)
			return vmx_field_name(rules[i].field);
	return NULL;
}

const char *vmx_check_guest_state(struct gondola_vcpu *vcpu)
{
	struct guest g;

	read_guest(vcpu, &g);
	return broken_rule(&g);
}
