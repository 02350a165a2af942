// SPDX-License-Identifier: GPL-2.0-only
/* Arithmetic and logic, with their flags. */
#include "insn.h"

#define ARITH	(RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_OF)

static inline u64 parity(u64 result)
{
	unsigned int nibble = (result ^ result >> 4) & 15;

	/* Bit n of the constant: n has an even number of bits set. */
	return (0x9669u >> nibble & 1) ? RFL_PF : 0;
}

static inline u64 top_bit(u64 value, unsigned int bytes)
{
	return value >> (8 * bytes - 1) & 1;
}

static inline u64 result_flags(u64 result, unsigned int bytes)
{
	result &= emul_mask(bytes);
	return parity(result) | (result ? 0 : RFL_ZF) | (top_bit(result, bytes) ? RFL_SF : 0);
}

u64 emul_flags_result(u64 rflags, u64 result, unsigned int bytes)
{
	return (rflags & ~(RFL_PF | RFL_ZF | RFL_SF)) | result_flags(result, bytes);
}

/* @carries: the carry, or borrow, out of each bit. */
static inline u64 arith_flags(u64 rflags, u64 result, u64 carries, u64 overflow,
			      unsigned int bytes)
{
	return (rflags & ~ARITH) | result_flags(result, bytes) |
	       (top_bit(carries, bytes) ? RFL_CF : 0) | (carries & 8 ? RFL_AF : 0) |
	       (top_bit(overflow, bytes) ? RFL_OF : 0);
}

static u64 flags_add(u64 rflags, u64 a, u64 b, u64 result, unsigned int bytes)
{
	return arith_flags(rflags, result, (a & b) | ((a | b) & ~result),
			   (a ^ result) & (b ^ result), bytes);
}

u64 emul_flags_sub(u64 rflags, u64 a, u64 b, u64 result, unsigned int bytes)
{
	return arith_flags(rflags, result, (~a & b) | ((~a | b) & result),
			   (a ^ b) & (a ^ result), bytes);
}

static int add(struct gondola_emulator *e, u64 carry)
{
	u64 a = e->dst.value, b = e->src.value;

	e->dst.value = a + b + carry;
	e->rflags = flags_add(e->rflags, a, b, e->dst.value, e->dst.bytes);
	return GONDOLA_EMUL_OK;
}

static int sub(struct gondola_emulator *e, u64 borrow)
{
	u64 a = e->dst.value, b = e->src.value;

	e->dst.value = a - b - borrow;
	e->rflags = emul_flags_sub(e->rflags, a, b, e->dst.value, e->dst.bytes);
	return GONDOLA_EMUL_OK;
}

/* AF is undefined after these; processors clear it. */
static int logic(struct gondola_emulator *e, u64 result)
{
	e->dst.value = result;
	e->rflags = (e->rflags & ~ARITH) | result_flags(result, e->dst.bytes);
	return GONDOLA_EMUL_OK;
}

int emul_op_add(struct gondola_emulator *e)
{
	return add(e, 0);
}

int emul_op_adc(struct gondola_emulator *e)
{
	return add(e, e->rflags & RFL_CF);
}

int emul_op_sub(struct gondola_emulator *e)
{
	return sub(e, 0);
}

int emul_op_sbb(struct gondola_emulator *e)
{
	return sub(e, e->rflags & RFL_CF);
}

int emul_op_cmp(struct gondola_emulator *e)
{
	return sub(e, 0);
}

int emul_op_or(struct gondola_emulator *e)
{
	return logic(e, e->dst.value | e->src.value);
}

int emul_op_and(struct gondola_emulator *e)
{
	return logic(e, e->dst.value & e->src.value);
}

int emul_op_test(struct gondola_emulator *e)
{
	return logic(e, e->dst.value & e->src.value);
}

int emul_op_xor(struct gondola_emulator *e)
{
	return logic(e, e->dst.value ^ e->src.value);
}

/* INC and DEC keep CF. */
int emul_op_inc(struct gondola_emulator *e)
{
	u64 carry = e->rflags & RFL_CF;

	e->src.value = 1;
	add(e, 0);
	e->rflags = (e->rflags & ~RFL_CF) | carry;
	return GONDOLA_EMUL_OK;
}

int emul_op_dec(struct gondola_emulator *e)
{
	u64 carry = e->rflags & RFL_CF;

	e->src.value = 1;
	sub(e, 0);
	e->rflags = (e->rflags & ~RFL_CF) | carry;
	return GONDOLA_EMUL_OK;
}

int emul_op_not(struct gondola_emulator *e)
{
	e->dst.value = ~e->dst.value;
	return GONDOLA_EMUL_OK;
}

int emul_op_neg(struct gondola_emulator *e)
{
	e->src.value = e->dst.value;
	e->dst.value = 0;
	return sub(e, 0);
}

int emul_op_xadd(struct gondola_emulator *e)
{
	u64 old = e->dst.value;

	add(e, 0);
	e->src.value = old;
	return GONDOLA_EMUL_OK;
}

/*
 * src2 is the accumulator.  If it equals the destination, only the destination is written, else
 * only src2.
 */
int emul_op_cmpxchg(struct gondola_emulator *e)
{
	u64 old = e->dst.value, accumulator = e->src2.value;

	e->rflags = emul_flags_sub(e->rflags, accumulator, old, accumulator - old,
				   e->dst.bytes);
	if (accumulator == old) {
		e->dst.value = e->src.value;
		e->writeback &= ~D_WRITE_SRC2;
		return GONDOLA_EMUL_OK;
	}
	e->src2.value = old;
	/* Memory is written in either case, as the processor does. */
	if (e->dst.kind != GONDOLA_OPERAND_MEM)
		e->writeback &= ~D_WRITE;
	return GONDOLA_EMUL_OK;
}
