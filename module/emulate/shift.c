// SPDX-License-Identifier: GPL-2.0-only
/* Shifts, rotates and bit instructions.  The count is src, for SHLD and SHRD src2. */
#include "insn.h"

static unsigned int shift_count(const struct gondola_emulator *e, const struct gondola_operand *op)
{
	return op->value & (e->dst.bytes == 8 ? 63 : 31);
}

static void set_flag(struct gondola_emulator *e, u64 flag, bool on)
{
	e->rflags = on ? e->rflags | flag : e->rflags & ~flag;
}

static int nothing(struct gondola_emulator *e)
{
	/* A 32-bit register is written with its own value, which clears its upper half. */
	return GONDOLA_EMUL_OK;
}

static int rotated(struct gondola_emulator *e, u64 result, bool carry, bool overflow)
{
	e->dst.value = result;
	set_flag(e, RFL_CF, carry);
	set_flag(e, RFL_OF, overflow);
	return GONDOLA_EMUL_OK;
}

int emul_op_rol(struct gondola_emulator *e)
{
	unsigned int bits = 8 * e->dst.bytes, count = shift_count(e, &e->src), n = count % bits;
	u64 v = e->dst.value;

	if (!count)
		return nothing(e);
	if (n)
		v = (v << n | v >> (bits - n)) & emul_mask(e->dst.bytes);
	return rotated(e, v, v & 1, (v >> (bits - 1) ^ v) & 1);
}

int emul_op_ror(struct gondola_emulator *e)
{
	unsigned int bits = 8 * e->dst.bytes, count = shift_count(e, &e->src), n = count % bits;
	u64 v = e->dst.value;

	if (!count)
		return nothing(e);
	if (n)
		v = (v >> n | v << (bits - n)) & emul_mask(e->dst.bytes);
	return rotated(e, v, v >> (bits - 1) & 1, (v >> (bits - 1) ^ v >> (bits - 2)) & 1);
}

int emul_op_rcl(struct gondola_emulator *e)
{
	unsigned int bits = 8 * e->dst.bytes, n = shift_count(e, &e->src) % (bits + 1);
	u64 v = e->dst.value;
	bool carry = e->rflags & RFL_CF;

	if (!n)
		return nothing(e);
	while (n--) {
		bool out = v >> (bits - 1) & 1;

		v = (v << 1 | carry) & emul_mask(e->dst.bytes);
		carry = out;
	}
	return rotated(e, v, carry, (v >> (bits - 1) & 1) ^ carry);
}

int emul_op_rcr(struct gondola_emulator *e)
{
	unsigned int bits = 8 * e->dst.bytes, n = shift_count(e, &e->src) % (bits + 1);
	u64 v = e->dst.value;
	bool carry = e->rflags & RFL_CF;

	if (!n)
		return nothing(e);
	while (n--) {
		bool out = v & 1;

		v = v >> 1 | (u64)carry << (bits - 1);
		carry = out;
	}
	return rotated(e, v, carry, (v >> (bits - 1) ^ v >> (bits - 2)) & 1);
}

static int shifted(struct gondola_emulator *e, u64 result, bool carry, bool overflow)
{
	e->rflags = emul_flags_result(e->rflags, result, e->dst.bytes) & ~RFL_AF;
	return rotated(e, result & emul_mask(e->dst.bytes), carry, overflow);
}

int emul_op_shl(struct gondola_emulator *e)
{
	unsigned int bits = 8 * e->dst.bytes, n = shift_count(e, &e->src);
	u64 v = e->dst.value;
	bool carry;

	if (!n)
		return nothing(e);
	carry = n <= bits && v >> (bits - n) & 1;
	v <<= n;
	return shifted(e, v, carry, (v >> (bits - 1) & 1) ^ carry);
}

int emul_op_shr(struct gondola_emulator *e)
{
	unsigned int bits = 8 * e->dst.bytes, n = shift_count(e, &e->src);
	u64 v = e->dst.value;

	if (!n)
		return nothing(e);
	return shifted(e, v >> n, v >> (n - 1) & 1, v >> (bits - 1) & 1);
}

int emul_op_sar(struct gondola_emulator *e)
{
	unsigned int n = shift_count(e, &e->src);
	s64 v = emul_sign_extend(e->dst.value, e->dst.bytes);

	if (!n)
		return nothing(e);
	return shifted(e, v >> n, v >> (n - 1) & 1, false);
}

/* With a count above 16 a 16-bit result is undefined; processors rotate through both operands. */
static int double_shift(struct gondola_emulator *e, bool left)
{
	unsigned int bits = 8 * e->dst.bytes, n = shift_count(e, &e->src2);
	u64 a = e->dst.value, b = e->src.value, result;
	bool carry;

	if (!n)
		return nothing(e);
	if (n > bits) {
		u64 t = a;

		a = b;
		b = t;
		n -= bits;
	}
	carry = a >> (left ? bits - n : n - 1) & 1;
	if (n == bits)
		result = b;
	else
		result = left ? a << n | b >> (bits - n) : a >> n | b << (bits - n);
	return shifted(e, result, carry, (result >> (bits - 1) ^ e->dst.value >> (bits - 1)) & 1);
}

int emul_op_shld(struct gondola_emulator *e)
{
	return double_shift(e, true);
}

int emul_op_shrd(struct gondola_emulator *e)
{
	return double_shift(e, false);
}

static u64 test_bit_of(struct gondola_emulator *e)
{
	unsigned int n = e->src.value & (8 * e->dst.bytes - 1);

	set_flag(e, RFL_CF, e->dst.value >> n & 1);
	return 1ull << n;
}

int emul_op_bt(struct gondola_emulator *e)
{
	test_bit_of(e);
	return GONDOLA_EMUL_OK;
}

int emul_op_bts(struct gondola_emulator *e)
{
	e->dst.value |= test_bit_of(e);
	return GONDOLA_EMUL_OK;
}

int emul_op_btr(struct gondola_emulator *e)
{
	e->dst.value &= ~test_bit_of(e);
	return GONDOLA_EMUL_OK;
}

int emul_op_btc(struct gondola_emulator *e)
{
	e->dst.value ^= test_bit_of(e);
	return GONDOLA_EMUL_OK;
}

/* If the source is 0, AMD documents the destination as unchanged, and all processors do so. */
static int bit_scan(struct gondola_emulator *e, unsigned int found)
{
	set_flag(e, RFL_ZF, !e->src.value);
	if (e->src.value)
		e->dst.value = found;
	else
		e->writeback &= ~D_WRITE;
	return GONDOLA_EMUL_OK;
}

int emul_op_bsf(struct gondola_emulator *e)
{
	return bit_scan(e, e->src.value ? __builtin_ctzll(e->src.value) : 0);
}

int emul_op_bsr(struct gondola_emulator *e)
{
	return bit_scan(e, e->src.value ? 63 - __builtin_clzll(e->src.value) : 0);
}

static int bit_count(struct gondola_emulator *e, unsigned int count)
{
	e->dst.value = count;
	set_flag(e, RFL_CF, !e->src.value);
	set_flag(e, RFL_ZF, !count);
	return GONDOLA_EMUL_OK;
}

int emul_op_tzcnt(struct gondola_emulator *e)
{
	return bit_count(e, e->src.value ? __builtin_ctzll(e->src.value) : 8 * e->src.bytes);
}

int emul_op_lzcnt(struct gondola_emulator *e)
{
	unsigned int unused = 64 - 8 * e->src.bytes;

	return bit_count(e, e->src.value ? __builtin_clzll(e->src.value) - unused : 64 - unused);
}

int emul_op_popcnt(struct gondola_emulator *e)
{
	unsigned int count = 0;
	u64 v;

	for (v = e->src.value; v; v &= v - 1)
		count++;
	e->dst.value = count;
	e->rflags &= ~(RFL_CF | RFL_PF | RFL_AF | RFL_SF | RFL_OF);
	set_flag(e, RFL_ZF, !count);
	return GONDOLA_EMUL_OK;
}
