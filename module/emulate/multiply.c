// SPDX-License-Identifier: GPL-2.0-only
/* Multiplication and division.  The one-operand forms work on rDX:rAX, or AX for bytes. */
#include "insn.h"

static void set_overflow(struct gondola_emulator *e, bool on)
{
	e->rflags &= ~(RFL_CF | RFL_OF);
	if (on)
		e->rflags |= RFL_CF | RFL_OF;
}

static void write_pair(struct gondola_emulator *e, u64 high, u64 low)
{
	unsigned int bytes = e->dst.bytes;

	if (bytes == 1) {
		emul_write_gpr(e, R_RAX, 2, (high & 0xff) << 8 | (low & 0xff));
		return;
	}
	emul_write_gpr(e, R_RAX, bytes, low);
	emul_write_gpr(e, R_RDX, bytes, high);
}

static void product(struct gondola_emulator *e, unsigned __int128 p, u64 *high, u64 *low)
{
	unsigned int bits = 8 * e->dst.bytes;

	*low = (u64)p & emul_mask(e->dst.bytes);
	*high = (u64)(p >> bits) & emul_mask(e->dst.bytes);
}

int emul_op_mul(struct gondola_emulator *e)
{
	unsigned __int128 p = e->dst.value;
	u64 high, low;

	p *= emul_read_gpr(e, R_RAX, e->dst.bytes);
	product(e, p, &high, &low);
	write_pair(e, high, low);
	set_overflow(e, high);
	e->rflags = emul_flags_result(e->rflags, low, e->dst.bytes) & ~RFL_AF;
	return GONDOLA_EMUL_OK;
}

/* Signed @a * @b; *low is the truncated product.  Sets CF and OF if it does not fit. */
static void signed_product(struct gondola_emulator *e, u64 a, u64 b, u64 *high, u64 *low)
{
	unsigned int bytes = e->dst.bytes;
	__int128 p = (__int128)emul_sign_extend(a, bytes) * emul_sign_extend(b, bytes);

	product(e, p, high, low);
	set_overflow(e, p != emul_sign_extend(*low, bytes));
	e->rflags = emul_flags_result(e->rflags, *low, bytes) & ~RFL_AF;
}

int emul_op_imul(struct gondola_emulator *e)
{
	u64 high, low;

	signed_product(e, emul_read_gpr(e, R_RAX, e->dst.bytes), e->dst.value, &high, &low);
	write_pair(e, high, low);
	return GONDOLA_EMUL_OK;
}

/* Two operands, or three if src2 is an immediate. */
int emul_op_imul2(struct gondola_emulator *e)
{
	bool three = e->src2.kind == GONDOLA_OPERAND_IMM;
	u64 high;

	signed_product(e, e->src.value, three ? e->src2.value : e->dst.value, &high,
		       &e->dst.value);
	return GONDOLA_EMUL_OK;
}

/* high:low / by.  The caller knows that the quotient fits in 64 bits. */
static u64 divide(u64 high, u64 low, u64 by, u64 *remainder)
{
	u64 quotient;

	asm("divq %4" : "=a" (quotient), "=d" (*remainder) : "0" (low), "1" (high), "r" (by) : "cc");
	return quotient;
}

static void read_dividend(struct gondola_emulator *e, u64 *high, u64 *low)
{
	unsigned int bytes = e->dst.bytes;

	*low = emul_read_gpr(e, R_RAX, bytes);
	*high = bytes == 1 ? emul_read_gpr(e, R_RAX, 2) >> 8 : emul_read_gpr(e, R_RDX, bytes);
}

/* To two 64-bit halves. */
static void widen(unsigned int bytes, u64 *high, u64 *low)
{
	if (bytes == 8)
		return;
	*low |= *high << (8 * bytes);
	*high = 0;
}

int emul_op_div(struct gondola_emulator *e)
{
	u64 high, low, quotient, remainder;

	read_dividend(e, &high, &low);
	if (high >= e->dst.value)
		return emul_fault(e, VEC_DE);
	widen(e->dst.bytes, &high, &low);
	quotient = divide(high, low, e->dst.value, &remainder);
	write_pair(e, remainder, quotient);
	return GONDOLA_EMUL_OK;
}

int emul_op_idiv(struct gondola_emulator *e)
{
	unsigned int bytes = e->dst.bytes;
	s64 by = emul_sign_extend(e->dst.value, bytes);
	u64 high, low, quotient, remainder, magnitude = by < 0 ? -(u64)by : by;
	u64 limit = 1ull << (8 * bytes - 1);
	bool negative;

	read_dividend(e, &high, &low);
	negative = high >> (8 * bytes - 1) & 1;
	widen(bytes, &high, &low);
	if (bytes < 8)
		high = negative ? ~0ull : 0;
	if (bytes < 4 && negative)
		low |= ~0ull << (16 * bytes);
	if (negative) {
		low = -low;
		high = ~high + !low;
	}
	if (high >= magnitude)
		return emul_fault(e, VEC_DE);
	quotient = divide(high, low, magnitude, &remainder);
	/* The negative range has one value more. */
	if (quotient > limit - (negative == (by < 0)))
		return emul_fault(e, VEC_DE);
	if (negative != (by < 0))
		quotient = -quotient;
	write_pair(e, negative ? -remainder : remainder, quotient);
	return GONDOLA_EMUL_OK;
}
