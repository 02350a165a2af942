// SPDX-License-Identifier: GPL-2.0-only
/*
 * After a VM entry that failed for "invalid guest state": which field was it?
 * The processor does not say.  This walks the rules of the manual's section on
 * checks on guest state, those that depend on what a guest or a launcher can
 * set, and names the first field that breaks one.
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

/* Bytes or pages: the granularity must be the one that can express the limit. */
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

static bool cr3_ok(const struct guest *g)
{
	return !(g->cr3 >> boot_cpu_data.x86_phys_bits);
}

static bool dr7_ok(const struct guest *g)
{
	return g->dr7 <= U32_MAX;
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

static bool sysenter_esp_ok(const struct guest *g)
{
	return canonical(g->sysenter_esp);
}

static bool sysenter_eip_ok(const struct guest *g)
{
	return canonical(g->sysenter_eip);
}

static bool gdt_base_ok(const struct guest *g)
{
	return canonical(g->gdt_base);
}

static bool gdt_limit_ok(const struct guest *g)
{
	return g->gdt_limit <= U16_MAX;
}

static bool idt_base_ok(const struct guest *g)
{
	return canonical(g->idt_base);
}

static bool idt_limit_ok(const struct guest *g)
{
	return g->idt_limit <= U16_MAX;
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

static bool cs_base_ok(const struct guest *g)
{
	const struct gondola_segment *cs = &g->seg[GONDOLA_CS];

	return g->v86 ? cs->base == cs->selector << 4 : cs->base <= U32_MAX;
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
	/* Accessed, and readable if it is code. */
	if (!(type(s) & 1) || (type(s) & 8 && !(type(s) & 2)))
		return false;
	/* Data and non-conforming code. */
	if (type(s) <= 11 && dpl(s) < rpl(s))
		return false;
	return s->ar & GONDOLA_AR_S && s->ar & GONDOLA_AR_P && !(s->ar & 0xf00) && limit_ok(s);
}

static bool ds_rights_ok(const struct guest *g)
{
	return data_rights_ok(g, GONDOLA_DS);
}

static bool es_rights_ok(const struct guest *g)
{
	return data_rights_ok(g, GONDOLA_ES);
}

static bool fs_rights_ok(const struct guest *g)
{
	return data_rights_ok(g, GONDOLA_FS);
}

static bool gs_rights_ok(const struct guest *g)
{
	return data_rights_ok(g, GONDOLA_GS);
}

static bool data_base_ok(const struct guest *g, enum gondola_seg seg)
{
	const struct gondola_segment *s = &g->seg[seg];

	if (g->v86)
		return s->base == s->selector << 4;
	return !usable(s) || s->base <= U32_MAX;
}

static bool ss_base_ok(const struct guest *g)
{
	return data_base_ok(g, GONDOLA_SS);
}

static bool ds_base_ok(const struct guest *g)
{
	return data_base_ok(g, GONDOLA_DS);
}

static bool es_base_ok(const struct guest *g)
{
	return data_base_ok(g, GONDOLA_ES);
}

static bool fs_base_ok(const struct guest *g)
{
	return canonical(g->seg[GONDOLA_FS].base);
}

static bool gs_base_ok(const struct guest *g)
{
	return canonical(g->seg[GONDOLA_GS].base);
}

static bool tr_selector_ok(const struct guest *g)
{
	return !(g->seg[GONDOLA_TR].selector & BIT(2));
}

static bool tr_rights_ok(const struct guest *g)
{
	const struct gondola_segment *tr = &g->seg[GONDOLA_TR];

	if (!usable(tr) || tr->ar & GONDOLA_AR_S || !(tr->ar & GONDOLA_AR_P) || tr->ar & 0xf00)
		return false;
	return limit_ok(tr) && (type(tr) == VMX_AR_TYPE_BUSY_64_TSS ||
				(type(tr) == VMX_AR_TYPE_BUSY_16_TSS && !g->ia32e));
}

static bool tr_base_ok(const struct guest *g)
{
	return canonical(g->seg[GONDOLA_TR].base);
}

static bool ldtr_selector_ok(const struct guest *g)
{
	const struct gondola_segment *ldtr = &g->seg[GONDOLA_LDTR];

	return !usable(ldtr) || !(ldtr->selector & BIT(2));
}

static bool ldtr_rights_ok(const struct guest *g)
{
	const struct gondola_segment *ldtr = &g->seg[GONDOLA_LDTR];

	if (!usable(ldtr))
		return true;
	return type(ldtr) == VMX_AR_TYPE_LDT && !(ldtr->ar & GONDOLA_AR_S) &&
	       ldtr->ar & GONDOLA_AR_P && !(ldtr->ar & 0xf00) && limit_ok(ldtr);
}

static bool ldtr_base_ok(const struct guest *g)
{
	return !usable(&g->seg[GONDOLA_LDTR]) || canonical(g->seg[GONDOLA_LDTR].base);
}

/* ---- non-register state --------------------------------------------------------------- */

static bool activity_ok(const struct guest *g)
{
	return g->activity == GUEST_ACTIVITY_ACTIVE;
}

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

static const struct rule {
	u32 field;
	bool (*ok)(const struct guest *g);
} rules[] = {
	{ GUEST_CR0, cr0_ok },
	{ GUEST_CR4, cr4_ok },
	{ GUEST_CR3, cr3_ok },
	{ GUEST_DR7, dr7_ok },
	{ GUEST_SYSENTER_ESP, sysenter_esp_ok },
	{ GUEST_SYSENTER_EIP, sysenter_eip_ok },
	{ GUEST_RFLAGS, rflags_ok },
	{ GUEST_TR_SELECTOR, tr_selector_ok },
	{ GUEST_LDTR_SELECTOR, ldtr_selector_ok },
	{ GUEST_SS_SELECTOR, ss_selector_ok },
	{ GUEST_CS_BASE, cs_base_ok },
	{ GUEST_SS_BASE, ss_base_ok },
	{ GUEST_DS_BASE, ds_base_ok },
	{ GUEST_ES_BASE, es_base_ok },
	{ GUEST_FS_BASE, fs_base_ok },
	{ GUEST_GS_BASE, gs_base_ok },
	{ GUEST_TR_BASE, tr_base_ok },
	{ GUEST_LDTR_BASE, ldtr_base_ok },
	{ GUEST_CS_AR_BYTES, cs_rights_ok },
	{ GUEST_SS_AR_BYTES, ss_rights_ok },
	{ GUEST_DS_AR_BYTES, ds_rights_ok },
	{ GUEST_ES_AR_BYTES, es_rights_ok },
	{ GUEST_FS_AR_BYTES, fs_rights_ok },
	{ GUEST_GS_AR_BYTES, gs_rights_ok },
	{ GUEST_TR_AR_BYTES, tr_rights_ok },
	{ GUEST_LDTR_AR_BYTES, ldtr_rights_ok },
	{ GUEST_GDTR_BASE, gdt_base_ok },
	{ GUEST_GDTR_LIMIT, gdt_limit_ok },
	{ GUEST_IDTR_BASE, idt_base_ok },
	{ GUEST_IDTR_LIMIT, idt_limit_ok },
	{ GUEST_RIP, rip_ok },
	{ GUEST_ACTIVITY_STATE, activity_ok },
	{ GUEST_INTERRUPTIBILITY_INFO, interruptibility_ok },
	{ GUEST_PENDING_DBG_EXCEPTIONS, pending_debug_ok },
};

static void read_guest(struct gondola_vcpu *vcpu, struct guest *g)
{
	enum gondola_seg seg;

	for (seg = 0; seg < GONDOLA_NR_SEGS; seg++)
		vmx_get_segment(vcpu, seg, &g->seg[seg]);
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

const char *vmx_check_guest_state(struct gondola_vcpu *vcpu)
{
	struct guest g;
	unsigned int i;

	read_guest(vcpu, &g);
	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (!rules[i].ok(&g))
			return vmx_field_name(rules[i].field);
	return NULL;
}
