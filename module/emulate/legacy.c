// SPDX-License-Identifier: GPL-2.0-only
/* Instructions that 64-bit mode dropped: decimal arithmetic, BOUND, ARPL. */
#include "insn.h"

static u8 al(const struct gondola_emulator *e)
{
	return e->regs->gpr[R_RAX];
}

static void set_flag(struct gondola_emulator *e, u64 flag, bool on)
{
	e->rflags = on ? e->rflags | flag : e->rflags & ~flag;
}

/* DAA and DAS: 27 and 2f. */
int emul_op_daa(struct gondola_emulator *e)
{
	bool subtract = e->insn->opcode == 0x2f, carry = e->rflags & RFL_CF;
	u8 old = al(e), value = old;
	bool low = (old & 15) > 9 || e->rflags & RFL_AF;
	bool high = old > 0x99 || carry;

	if (low) {
		/* A borrow out of the low digit's correction sets CF too. */
		if (subtract && old < 6)
			carry = true;
		value += subtract ? -6 : 6;
	}
	if (high)
		value += subtract ? -0x60 : 0x60;
	set_flag(e, RFL_AF, low);
	set_flag(e, RFL_CF, high || (subtract && low && carry));
	e->rflags = emul_flags_result(e->rflags, value, 1);
	emul_write_gpr(e, R_RAX, 1, value);
	return GONDOLA_EMUL_OK;
}

/* AAA and AAS: 37 and 3f. */
int emul_op_aaa(struct gondola_emulator *e)
{
	bool adjust = (al(e) & 15) > 9 || e->rflags & RFL_AF;
	u16 ax = e->regs->gpr[R_RAX];

	if (adjust)
		ax += e->insn->opcode == 0x3f ? -0x106 : 0x106;
	set_flag(e, RFL_AF | RFL_CF, adjust);
	emul_write_gpr(e, R_RAX, 2, ax & 0xff0f);
	return GONDOLA_EMUL_OK;
}

int emul_op_aam(struct gondola_emulator *e)
{
	u8 base = e->src.value, value = al(e);

	if (!base)
		return emul_fault(e, VEC_DE);
	emul_write_gpr(e, R_RAX, 2, (value / base) << 8 | value % base);
	e->rflags = emul_flags_result(e->rflags, value % base, 1);
	return GONDOLA_EMUL_OK;
}

int emul_op_aad(struct gondola_emulator *e)
{
	u8 value = al(e) + (e->regs->gpr[R_RAX] >> 8) * e->src.value;

	emul_write_gpr(e, R_RAX, 2, value);
	e->rflags = emul_flags_result(e->rflags, value, 1);
	return GONDOLA_EMUL_OK;
}

/* SALC: undocumented, but all processors have it. */
int emul_op_salc(struct gondola_emulator *e)
{
	emul_write_gpr(e, R_RAX, 1, e->rflags & RFL_CF ? 0xff : 0);
	return GONDOLA_EMUL_OK;
}

/* The two bounds in memory are signed and inclusive. */
int emul_op_bound(struct gondola_emulator *e)
{
	const unsigned int bytes = e->insn->op_bytes;
	s64 index = emul_sign_extend(e->dst.value, bytes);
	u64 bounds[2] = { 0, 0 };
	gva_t la;
	int r;

	r = emul_linear(e, e->insn->seg, e->ea, 2 * bytes, false, &la);
	if (!r)
		r = e->ops->read(e, la, &bounds[0], bytes, false);
	if (!r)
		r = e->ops->read(e, la + bytes, &bounds[1], bytes, false);
	if (r)
		return r;
	if (index < emul_sign_extend(bounds[0], bytes) ||
	    index > emul_sign_extend(bounds[1], bytes))
		return emul_fault(e, VEC_BR);
	return GONDOLA_EMUL_OK;
}

/* ARPL raises a selector's RPL to that of another. */
int emul_op_arpl(struct gondola_emulator *e)
{
	u16 rpl = e->src.value & 3;
	bool raise = (e->dst.value & 3) < rpl;

	set_flag(e, RFL_ZF, raise);
	if (raise)
		e->dst.value = (e->dst.value & ~3ull) | rpl;
	return GONDOLA_EMUL_OK;
}
