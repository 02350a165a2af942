// SPDX-License-Identifier: GPL-2.0-only
/* Moves of XMM registers, as drivers and memcpy() use them on devices and page tables. */
#include "insn.h"

/* All that fits: a load from fewer than 16 bytes of memory clears the rest. */
int gondola_op_movx(struct gondola_emulator *e)
{
	e->dst.value = e->src.value;
	e->dst.value_hi = e->src.bytes == 16 ? e->src.value_hi : 0;
	return GONDOLA_EMUL_OK;
}

/* MOVSS, MOVSD: between registers they keep the rest. */
int gondola_op_movx_low(struct gondola_emulator *e)
{
	u8 bytes = e->src.bytes < e->dst.bytes ? e->src.bytes : e->dst.bytes;
	u64 keep[2], mask = gondola_mask(bytes);

	if (e->dst.kind != GONDOLA_OPERAND_XMM || e->src.kind != GONDOLA_OPERAND_XMM) {
		e->dst.value = e->src.value & mask;
		e->dst.value_hi = 0;
		return GONDOLA_EMUL_OK;
	}
	e->ops->get_xmm(e, e->dst.reg, keep);
	e->dst.value = (keep[0] & ~mask) | (e->src.value & mask);
	e->dst.value_hi = keep[1];
	return GONDOLA_EMUL_OK;
}

/* MOVQ between registers: the low half alone, the other cleared. */
int gondola_op_movq(struct gondola_emulator *e)
{
	e->dst.value = e->src.value;
	e->dst.value_hi = 0;
	return GONDOLA_EMUL_OK;
}

/* MOVLPS, MOVHPS and their kin load one half and keep the other. */
int gondola_op_movx_half(struct gondola_emulator *e)
{
	u64 both[2];

	e->ops->get_xmm(e, e->dst.reg, both);
	both[e->insn->desc->arg] = e->src.value;
	e->dst.value = both[0];
	e->dst.value_hi = both[1];
	return GONDOLA_EMUL_OK;
}

int gondola_op_movx_store_high(struct gondola_emulator *e)
{
	e->dst.value = e->src.value_hi;
	return GONDOLA_EMUL_OK;
}
