// SPDX-License-Identifier: GPL-2.0-only
/* SYSCALL, SYSENTER and their returns.  They load flat segments and read no descriptors. */
#include "insn.h"

#define AR_DATA		0x93u		/* P, S, writable, accessed */
#define AR_CODE		0x9bu
/* The flags that SYSRET loads from R11. */
#define SYSRET_FLAGS	0x3c7fd7ull

static void set_flat(struct gondola_emulator *e, enum gondola_seg seg, u16 selector, u32 ar,
		     unsigned int dpl)
{
	const struct gondola_segment s = {
		.limit = 0xffffffff,
		.ar = ar | dpl << GONDOLA_AR_DPL_SHIFT | GONDOLA_AR_G,
		.selector = selector,
	};

	e->ops->set_segment(e, seg, &s);
}

/* @code64: CS has 64 bits.  SS is set last, since it sets the CPL. */
static void set_pair(struct gondola_emulator *e, u16 cs, u16 ss, bool code64, unsigned int dpl)
{
	set_flat(e, GONDOLA_CS, cs, AR_CODE | (code64 ? GONDOLA_AR_L : GONDOLA_AR_DB), dpl);
	set_flat(e, GONDOLA_SS, ss, AR_DATA | GONDOLA_AR_DB, dpl);
}

static int get_msrs(struct gondola_emulator *e, const u32 *index, u64 *value, unsigned int n)
{
	unsigned int i;
	int r = GONDOLA_EMUL_OK;

	for (i = 0; i < n && !r; i++)
		r = e->ops->get_msr(e, index[i], &value[i]);
	return r;
}

/* Long mode only, but compatibility mode as well, as on AMD's processors. */
int emul_op_syscall(struct gondola_emulator *e)
{
	const u32 index[] = { MSRX_EFER, MSRX_STAR, emul_long64(e) ? MSRX_LSTAR : MSRX_CSTAR,
			      MSRX_SFMASK };
	u64 msr[4];
	u16 cs;
	int r;

	if (e->ops->syscall) {
		r = e->ops->syscall(e);
		if (r)
			return r;
	}
	r = get_msrs(e, index, msr, 4);
	if (r)
		return r;
	if (!(msr[0] & EFER_F_SCE) || !(msr[0] & EFER_F_LMA) || !emul_protected(e))
		return emul_fault(e, VEC_UD);
	e->regs->gpr[R_RCX] = e->next_rip;
	e->regs->gpr[R_R11] = e->rflags;
	e->rflags = (e->rflags & ~msr[3]) | RFL_FIXED;
	e->next_rip = msr[2];
	cs = msr[1] >> 32 & 0xfffc;
	set_pair(e, cs, cs + 8, true, 0);
	return GONDOLA_EMUL_OK;
}

int emul_op_sysret(struct gondola_emulator *e)
{
	static const u32 index[] = { MSRX_EFER, MSRX_STAR };
	const bool to64 = e->insn->rex & 8;
	u64 msr[2], rip = e->regs->gpr[R_RCX];
	u16 base;
	int r;

	r = get_msrs(e, index, msr, 2);
	if (r)
		return r;
	if (!(msr[0] & EFER_F_SCE))
		return emul_fault(e, VEC_UD);
	if (to64 && !emul_canonical(rip))
		return emul_gp(e);
	e->rflags = (e->regs->gpr[R_R11] & SYSRET_FLAGS) | RFL_FIXED;
	e->next_rip = to64 ? rip : (u32)rip;
	base = (msr[1] >> 48) + (to64 ? 16 : 0);
	set_pair(e, base | 3, ((msr[1] >> 48) + 8) | 3, to64, 3);
	return GONDOLA_EMUL_OK;
}

int emul_op_sysenter(struct gondola_emulator *e)
{
	static const u32 index[] = { MSRX_SYSENTER_CS, MSRX_SYSENTER_ESP, MSRX_SYSENTER_EIP };
	u64 msr[3];
	bool wide;
	u16 cs;
	int r;

	if (e->mode == GONDOLA_EMUL_REAL)
		return emul_gp(e);
	r = emul_long_mode_active(e, &wide);
	if (!r)
		r = get_msrs(e, index, msr, 3);
	if (r)
		return r;
	cs = msr[0] & 0xfffc;
	if (!cs)
		return emul_gp(e);
	e->rflags &= ~(RFL_VM | RFL_IF);
	e->regs->gpr[R_RSP] = wide ? msr[1] : (u32)msr[1];
	e->next_rip = wide ? msr[2] : (u32)msr[2];
	set_pair(e, cs, cs + 8, wide, 0);
	return GONDOLA_EMUL_OK;
}

int emul_op_sysexit(struct gondola_emulator *e)
{
	const bool to64 = e->insn->rex & 8;
	u64 rip = e->regs->gpr[R_RDX], sp = e->regs->gpr[R_RCX], msr;
	u16 cs;
	int r;

	r = e->ops->get_msr(e, MSRX_SYSENTER_CS, &msr);
	if (r)
		return r;
	cs = msr & 0xfffc;
	if (!cs || e->mode == GONDOLA_EMUL_REAL)
		return emul_gp(e);
	if (to64 && (!emul_canonical(rip) || !emul_canonical(sp)))
		return emul_gp(e);
	e->regs->gpr[R_RSP] = to64 ? sp : (u32)sp;
	e->next_rip = to64 ? rip : (u32)rip;
	cs += to64 ? 32 : 16;
	set_pair(e, cs | 3, (cs + 8) | 3, to64, 3);
	return GONDOLA_EMUL_OK;
}
