// SPDX-License-Identifier: GPL-2.0-only
/* Moves of XMM registers and of their parts, and of MMX registers. */
#include "insn.h"

static void get_xmm(struct gondola_emulator *e, unsigned int n, u64 both[2])
{
	if (e->fpu)
		memcpy(both, e->fpu->xmm[n], 16);
	else
		e->ops->get_xmm(e, n, both);
}

/* Move all bytes.  A load of fewer than 16 bytes clears the rest. */
int emul_op_movx(struct gondola_emulator *e)
{
	e->dst.value = e->src.value;
	e->dst.value_hi = e->src.bytes == 16 ? e->src.value_hi : 0;
	return GONDOLA_EMUL_OK;
}

/* MOVSS and MOVSD between registers keep the rest. */
int emul_op_movx_low(struct gondola_emulator *e)
{
	u8 bytes = e->src.bytes < e->dst.bytes ? e->src.bytes : e->dst.bytes;
	u64 keep[2], mask = emul_mask(bytes);

	if (e->dst.kind != GONDOLA_OPERAND_XMM || e->src.kind != GONDOLA_OPERAND_XMM) {
		e->dst.value = e->src.value & mask;
		e->dst.value_hi = 0;
		return GONDOLA_EMUL_OK;
	}
	get_xmm(e, e->dst.reg, keep);
	e->dst.value = (keep[0] & ~mask) | (e->src.value & mask);
	e->dst.value_hi = keep[1];
	return GONDOLA_EMUL_OK;
}

/* MOVQ between registers moves the low half and clears the other. */
int emul_op_movq(struct gondola_emulator *e)
{
	e->dst.value = e->src.value;
	e->dst.value_hi = 0;
	return GONDOLA_EMUL_OK;
}

/* MOVLPS, MOVHPS and the like load one half and keep the other. */
int emul_op_movx_half(struct gondola_emulator *e)
{
	u64 both[2];

	get_xmm(e, e->dst.reg, both);
	both[e->insn->desc->arg] = e->src.value;
	e->dst.value = both[0];
	e->dst.value_hi = both[1];
	return GONDOLA_EMUL_OK;
}

int emul_op_movx_store_high(struct gondola_emulator *e)
{
	e->dst.value = e->src.value_hi;
	return GONDOLA_EMUL_OK;
}

/* MOVHLPS and MOVLHPS: arg names the half to write; it comes from the source's other half. */
int emul_op_movx_cross(struct gondola_emulator *e)
{
	if (e->insn->desc->arg)
		e->dst.value_hi = e->src.value;
	else
		e->dst.value = e->src.value_hi;
	return GONDOLA_EMUL_OK;
}

static u32 dword_of(const struct gondola_operand *op, unsigned int n)
{
	return (n & 2 ? op->value_hi : op->value) >> (n & 1 ? 32 : 0);
}

static u64 dwords(u32 low, u32 high)
{
	return low | (u64)high << 32;
}

/* PSHUFD: four dwords, each chosen by two bits of the immediate. */
int emul_op_pshufd(struct gondola_emulator *e)
{
	const struct gondola_operand src = e->src;
	u8 order = e->src2.value;

	e->dst.value = dwords(dword_of(&src, order & 3), dword_of(&src, order >> 2 & 3));
	e->dst.value_hi = dwords(dword_of(&src, order >> 4 & 3), dword_of(&src, order >> 6));
	return GONDOLA_EMUL_OK;
}

/* PSHUFW of MMX, PSHUFLW and PSHUFHW: the same with the words of one half. */
int emul_op_pshufw(struct gondola_emulator *e)
{
	u64 from = e->insn->desc->arg ? e->src.value_hi : e->src.value, to = 0;
	u8 order = e->src2.value;
	unsigned int i;

	for (i = 0; i < 4; i++)
		to |= (from >> 16 * (order >> 2 * i & 3) & 0xffff) << 16 * i;
	e->dst.value = e->insn->desc->arg ? e->src.value : to;
	e->dst.value_hi = e->insn->desc->arg ? to : e->src.value_hi;
	return GONDOLA_EMUL_OK;
}

/* Two elements come from the destination, two from the source. */
int emul_op_shufps(struct gondola_emulator *e)
{
	const struct gondola_operand dst = e->dst, src = e->src;
	u8 order = e->src2.value;

	e->dst.value = dwords(dword_of(&dst, order & 3), dword_of(&dst, order >> 2 & 3));
	e->dst.value_hi = dwords(dword_of(&src, order >> 4 & 3), dword_of(&src, order >> 6));
	return GONDOLA_EMUL_OK;
}

int emul_op_shufpd(struct gondola_emulator *e)
{
	u8 order = e->src2.value;
	u64 low = order & 1 ? e->dst.value_hi : e->dst.value;

	e->dst.value_hi = order & 2 ? e->src.value_hi : e->src.value;
	e->dst.value = low;
	return GONDOLA_EMUL_OK;
}

/* PSRLDQ and PSLLDQ shift by bytes.  ModRM.reg 3 shifts right. */
int emul_op_shift_bytes(struct gondola_emulator *e)
{
	unsigned int count = e->src.value > 16 ? 16 : e->src.value;
	bool right = (e->insn->modrm >> 3 & 7) == 3;
	u8 in[48] = { 0 };

	memcpy(in + 16, &e->dst.value, 8);
	memcpy(in + 24, &e->dst.value_hi, 8);
	memcpy(&e->dst.value, in + (right ? 16 + count : 16 - count), 8);
	memcpy(&e->dst.value_hi, in + (right ? 24 + count : 24 - count), 8);
	return GONDOLA_EMUL_OK;
}

int emul_op_pinsrw(struct gondola_emulator *e)
{
	unsigned int n = e->src2.value & (e->dst.bytes / 2 - 1);
	u64 *half = n & 4 ? &e->dst.value_hi : &e->dst.value;
	unsigned int shift = 16 * (n & 3);

	*half = (*half & ~(0xffffull << shift)) | (e->src.value & 0xffff) << shift;
	return GONDOLA_EMUL_OK;
}

int emul_op_pextrw(struct gondola_emulator *e)
{
	unsigned int n = e->src2.value & (e->src.bytes / 2 - 1);

	e->dst.value = (n & 4 ? e->src.value_hi : e->src.value) >> 16 * (n & 3) & 0xffff;
	return GONDOLA_EMUL_OK;
}

/* The sign bits of 16 bytes, 4 floats or 2 doubles. */
static u32 signs(u64 half, unsigned int bytes)
{
	unsigned int i;
	u32 mask = 0;

	for (i = 0; i < 8 / bytes; i++)
		mask |= (half >> (8 * bytes * (i + 1) - 1) & 1) << i;
	return mask;
}

int emul_op_movmsk(struct gondola_emulator *e)
{
	unsigned int bytes = e->insn->desc->arg;

	e->dst.value = signs(e->src.value, bytes) | signs(e->src.value_hi, bytes) << 8 / bytes;
	return GONDOLA_EMUL_OK;
}

/* Store the bytes whose mask has its top bit set, at DS:RDI. */
static int store_masked(struct gondola_emulator *e, gva_t la, const u8 *data, const u8 *mask,
			unsigned int bytes)
{
	unsigned int i, end;
	int r;

	for (i = 0; i < bytes; i = end) {
		for (end = i; end < bytes && mask[end] & 0x80; end++)
			;
		if (end > i) {
			r = e->ops->write(e, la + i, data + i, end - i, false);
			if (r)
				return r;
		}
		end++;
	}
	return GONDOLA_EMUL_OK;
}

int emul_op_maskmov(struct gondola_emulator *e)
{
	u8 seg = e->insn->seg_override == GONDOLA_NO_SEG ? GONDOLA_DS : e->insn->seg_override;
	const unsigned int bytes = e->src.bytes;
	u64 data[2], mask[2];
	gva_t la;
	int r;

	data[0] = e->src.value;
	data[1] = e->src.value_hi;
	mask[0] = e->dst.value;
	mask[1] = e->dst.value_hi;
	r = emul_linear(e, seg, emul_read_gpr(e, R_RDI, e->insn->addr_bytes), bytes, true, &la);
	/* Both pages are written, or neither. */
	if (!r)
		r = e->ops->write(e, la, data, 0, false);
	if (!r)
		r = e->ops->write(e, la + bytes - 1, data, 0, false);
	return r ? r : store_masked(e, la, (const u8 *)data, (const u8 *)mask, bytes);
}
