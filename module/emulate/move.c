// SPDX-License-Identifier: GPL-2.0-only
/* Moves, exchanges and the instructions that set flags. */
#include "insn.h"

int emul_op_nop(struct gondola_emulator *e)
{
	return GONDOLA_EMUL_OK;
}

/* MOVZX as well, since values are kept zero-extended. */
int emul_op_mov(struct gondola_emulator *e)
{
	e->dst.value = e->src.value;
	return GONDOLA_EMUL_OK;
}

int emul_op_movsx(struct gondola_emulator *e)
{
	e->dst.value = emul_sign_extend(e->src.value, e->src.bytes);
	return GONDOLA_EMUL_OK;
}

int emul_op_movsxd(struct gondola_emulator *e)
{
	return emul_op_movsx(e);
}

int emul_op_lea(struct gondola_emulator *e)
{
	e->dst.value = e->ea;
	return GONDOLA_EMUL_OK;
}

int emul_op_xchg(struct gondola_emulator *e)
{
	u64 old = e->dst.value;

	e->dst.value = e->src.value;
	e->src.value = old;
	return GONDOLA_EMUL_OK;
}

/* Without REX.B 90 is NOP (F3: PAUSE); it does not clear the upper half of RAX. */
int emul_op_xchg_or_nop(struct gondola_emulator *e)
{
	if (e->dst.reg != R_RAX)
		return emul_op_xchg(e);
	e->writeback = 0;
	return GONDOLA_EMUL_OK;
}

static u64 swap_bytes(u64 value, unsigned int bytes)
{
	return __builtin_bswap64(value) >> (64 - 8 * bytes);
}

/* With 16 bits the result is undefined; processors clear it. */
int emul_op_bswap(struct gondola_emulator *e)
{
	e->dst.value = e->dst.bytes == 2 ? 0 : swap_bytes(e->dst.value, e->dst.bytes);
	return GONDOLA_EMUL_OK;
}

int emul_op_movbe(struct gondola_emulator *e)
{
	e->dst.value = swap_bytes(e->src.value, e->src.bytes);
	return GONDOLA_EMUL_OK;
}

/* CMPXCHG8B and 16B: rDX:rAX against memory, rCX:rBX into it. */
int emul_op_cmpxchg8b(struct gondola_emulator *e)
{
	const unsigned int bytes = e->dst.bytes, half = bytes / 2;
	u64 seen[2] = { 0, 0 }, want[2], new[2];
	gva_t la;
	int r;

	r = emul_linear(e, e->insn->seg, e->ea, bytes, true, &la);
	if (r)
		return r;
	if (bytes == 16 && la & 15)
		return emul_gp(e);
	want[0] = emul_read_gpr(e, R_RAX, half);
	want[1] = emul_read_gpr(e, R_RDX, half);
	new[0] = emul_read_gpr(e, R_RBX, half);
	new[1] = emul_read_gpr(e, R_RCX, half);
	if (bytes == 8) {
		want[0] |= want[1] << 32;
		new[0] |= new[1] << 32;
		want[1] = 0;
		new[1] = 0;
	}
	memcpy(seen, want, sizeof(seen));
	r = emul_exchange(e, la, seen, new, bytes);
	if (r)
		return r;
	if (seen[0] == want[0] && seen[1] == want[1]) {
		e->rflags |= RFL_ZF;
		return GONDOLA_EMUL_OK;
	}
	e->rflags &= ~RFL_ZF;
	emul_write_gpr(e, R_RAX, half, seen[0]);
	emul_write_gpr(e, R_RDX, half, bytes == 8 ? seen[0] >> 32 : seen[1]);
	return GONDOLA_EMUL_OK;
}

/* The condition in the low bits of the opcode. */
bool emul_condition(const struct gondola_emulator *e)
{
	return emul_condition_met(e->rflags, e->insn->opcode);
}

int emul_op_setcc(struct gondola_emulator *e)
{
	e->dst.value = emul_condition(e);
	return GONDOLA_EMUL_OK;
}

/* A 32-bit destination is always written, so its upper half is cleared. */
int emul_op_cmov(struct gondola_emulator *e)
{
	if (emul_condition(e))
		e->dst.value = e->src.value;
	return GONDOLA_EMUL_OK;
}

/* CBW, CWDE, CDQE: rAX from its own lower half. */
int emul_op_cbw(struct gondola_emulator *e)
{
	e->dst.value = emul_sign_extend(e->dst.value, e->dst.bytes / 2);
	return GONDOLA_EMUL_OK;
}

/* CWD, CDQ, CQO: the sign of rAX into all of rDX. */
int emul_op_cwd(struct gondola_emulator *e)
{
	e->dst.value = emul_sign_extend(e->src.value, e->src.bytes) < 0 ? ~0ull : 0;
	return GONDOLA_EMUL_OK;
}

int emul_op_xlat(struct gondola_emulator *e)
{
	u8 seg = e->insn->seg_override == GONDOLA_NO_SEG ? GONDOLA_DS : e->insn->seg_override;
	u64 ea = (e->regs->gpr[R_RBX] + (u8)e->regs->gpr[R_RAX]) & emul_mask(e->insn->addr_bytes);
	gva_t la;
	int r;

	r = emul_linear(e, seg, ea, 1, false, &la);
	if (r)
		return r;
	e->dst.value = 0;
	return e->ops->read(e, la, &e->dst.value, 1, false);
}

#define AH_FLAGS	(RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF)

int emul_op_lahf(struct gondola_emulator *e)
{
	u64 flags = (e->rflags & AH_FLAGS) | RFL_FIXED;

	e->regs->gpr[R_RAX] = (e->regs->gpr[R_RAX] & ~0xff00ull) | flags << 8;
	return GONDOLA_EMUL_OK;
}

int emul_op_sahf(struct gondola_emulator *e)
{
	e->rflags = (e->rflags & ~AH_FLAGS) | (e->regs->gpr[R_RAX] >> 8 & AH_FLAGS);
	return GONDOLA_EMUL_OK;
}

/* CMC, CLC, STC, CLD, STD */
int emul_op_flag(struct gondola_emulator *e)
{
	switch (e->insn->opcode) {
	case 0xf5:
		e->rflags ^= RFL_CF;
		break;
	case 0xf8:
		e->rflags &= ~RFL_CF;
		break;
	case 0xf9:
		e->rflags |= RFL_CF;
		break;
	case 0xfc:
		e->rflags &= ~RFL_DF;
		break;
	default:
		e->rflags |= RFL_DF;
		break;
	}
	return GONDOLA_EMUL_OK;
}

int emul_op_mov_from_seg(struct gondola_emulator *e)
{
	struct gondola_segment s;

	e->ops->get_segment(e, e->src.reg, &s);
	e->dst.value = s.selector;
	return GONDOLA_EMUL_OK;
}

int emul_op_mov_to_seg(struct gondola_emulator *e)
{
	if (e->dst.reg == GONDOLA_SS)
		e->shadow = 2;
	return emul_load_segment(e, e->dst.reg, e->src.value);
}

/* LSS, LFS, LGS load an offset and the selector behind it. */
int emul_op_load_far(struct gondola_emulator *e)
{
	u16 selector = 0;
	u64 offset = 0;
	gva_t la;
	int r;

	r = emul_linear(e, e->insn->seg, e->ea, e->insn->op_bytes + 2, false, &la);
	if (r)
		return r;
	r = e->ops->read(e, la, &offset, e->insn->op_bytes, false);
	if (r)
		return r;
	r = e->ops->read(e, la + e->insn->op_bytes, &selector, 2, false);
	if (r)
		return r;
	r = emul_load_segment(e, e->insn->desc->arg, selector);
	if (r)
		return r;
	e->dst.value = offset;
	return GONDOLA_EMUL_OK;
}

/* CRC32C, least significant bit first. */
int emul_op_crc32(struct gondola_emulator *e)
{
	unsigned int bits = 8 * e->src.bytes;
	u32 crc = e->dst.value;
	u64 data = e->src.value;

	while (bits--) {
		crc = crc >> 1 ^ ((crc ^ data) & 1 ? 0x82f63b78 : 0);
		data >>= 1;
	}
	e->dst.value = crc;
	return GONDOLA_EMUL_OK;
}
