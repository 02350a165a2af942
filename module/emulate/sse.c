// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMX, SSE and SSE2 arithmetic.  The host's processor computes in its own registers, with the guest's
 * MXCSR and all exceptions masked.  An exception that it then reports is raised if the guest has it
 * unmasked.
 */
#include "insn.h"

#define MXCSR_FLAGS	0x3fu
#define MXCSR_MASKS	0x1f80u
#define MXCSR_MASK_SHIFT 7
#define MXCSR_UE	0x10u
#define MXCSR_FTZ	0x8000u
/* Invalid, denormal and divide by zero take precedence over the others. */
#define MXCSR_EARLY	0x07u

#define PREFIX_66	1u
#define PREFIX_F3	2u
#define PREFIX_F2	3u

struct xmm {
	u64 half[2];
};

static unsigned int prefix_of(const struct gondola_insn *insn)
{
	if (insn->rep)
		return insn->rep == 0xf3 ? PREFIX_F3 : PREFIX_F2;
	return insn->opsize_prefix ? PREFIX_66 : 0;
}

#define KEY(prefix, opcode)	((prefix) << 8 | (opcode))

#define HOST(prefix, opcode, name)					\
	case KEY(prefix, opcode):					\
		asm volatile("movdqu %0, %%xmm0\n\tmovdqu %1, %%xmm1\n\t" \
			     name " %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0" \
			     : "+m" (*dst) : "m" (*src));		\
		break;
#define INTEGER(opcode, name)	HOST(PREFIX_66, opcode, name)
#define PACKED(opcode, name)	HOST(0, opcode, name "ps") HOST(PREFIX_66, opcode, name "pd")
#define FLOATS(opcode, name)	PACKED(opcode, name)			\
	HOST(PREFIX_F3, opcode, name "ss") HOST(PREFIX_F2, opcode, name "sd")

/* Long, since it is one switch: a line for each instruction. */
static noinline bool integer_on_processor(unsigned int key, struct xmm *dst, const struct xmm *src)
{
	switch (key) {
	default:
		return false;
	INTEGER(0x60, "punpcklbw")
	INTEGER(0x61, "punpcklwd")
	INTEGER(0x62, "punpckldq")
	INTEGER(0x63, "packsswb")
	INTEGER(0x64, "pcmpgtb")
	INTEGER(0x65, "pcmpgtw")
	INTEGER(0x66, "pcmpgtd")
	INTEGER(0x67, "packuswb")
	INTEGER(0x68, "punpckhbw")
	INTEGER(0x69, "punpckhwd")
	INTEGER(0x6a, "punpckhdq")
	INTEGER(0x6b, "packssdw")
	INTEGER(0x6c, "punpcklqdq")
	INTEGER(0x6d, "punpckhqdq")
	INTEGER(0x74, "pcmpeqb")
	INTEGER(0x75, "pcmpeqw")
	INTEGER(0x76, "pcmpeqd")
	INTEGER(0xd1, "psrlw")
	INTEGER(0xd2, "psrld")
	INTEGER(0xd3, "psrlq")
	INTEGER(0xd4, "paddq")
	INTEGER(0xd5, "pmullw")
	INTEGER(0xd8, "psubusb")
	INTEGER(0xd9, "psubusw")
	INTEGER(0xda, "pminub")
	INTEGER(0xdb, "pand")
	INTEGER(0xdc, "paddusb")
	INTEGER(0xdd, "paddusw")
	INTEGER(0xde, "pmaxub")
	INTEGER(0xdf, "pandn")
	INTEGER(0xe0, "pavgb")
	INTEGER(0xe1, "psraw")
	INTEGER(0xe2, "psrad")
	INTEGER(0xe3, "pavgw")
	INTEGER(0xe4, "pmulhuw")
	INTEGER(0xe5, "pmulhw")
	INTEGER(0xe8, "psubsb")
	INTEGER(0xe9, "psubsw")
	INTEGER(0xea, "pminsw")
	INTEGER(0xeb, "por")
	INTEGER(0xec, "paddsb")
	INTEGER(0xed, "paddsw")
	INTEGER(0xee, "pmaxsw")
	INTEGER(0xef, "pxor")
	INTEGER(0xf1, "psllw")
	INTEGER(0xf2, "pslld")
	INTEGER(0xf3, "psllq")
	INTEGER(0xf4, "pmuludq")
	INTEGER(0xf5, "pmaddwd")
	INTEGER(0xf6, "psadbw")
	INTEGER(0xf8, "psubb")
	INTEGER(0xf9, "psubw")
	INTEGER(0xfa, "psubd")
	INTEGER(0xfb, "psubq")
	INTEGER(0xfc, "paddb")
	INTEGER(0xfd, "paddw")
	INTEGER(0xfe, "paddd")
	PACKED(0x14, "unpckl")
	PACKED(0x15, "unpckh")
	PACKED(0x54, "and")
	PACKED(0x55, "andn")
	PACKED(0x56, "or")
	PACKED(0x57, "xor")
	}
	return true;
}

#define COMPARE(imm)							\
	case (imm):							\
		switch (prefix) {					\
		CMP(0, imm, "ps") CMP(PREFIX_66, imm, "pd")		\
		CMP(PREFIX_F3, imm, "ss") CMP(PREFIX_F2, imm, "sd")	\
		}							\
		break;
#define CMP(with, imm, type)						\
	case (with):							\
		asm volatile("movdqu %0, %%xmm0\n\tmovdqu %1, %%xmm1\n\t" \
			     "cmp" type " %2, %%xmm1, %%xmm0\n\tmovdqu %%xmm0, %0" \
			     : "+m" (*dst) : "m" (*src), "i" (imm));	\
		break;

static noinline void compare_on_processor(unsigned int prefix, u8 predicate, struct xmm *dst,
					  const struct xmm *src)
{
	switch (predicate & 7) {
	COMPARE(0)
	COMPARE(1)
	COMPARE(2)
	COMPARE(3)
	COMPARE(4)
	COMPARE(5)
	COMPARE(6)
	COMPARE(7)
	}
}

static noinline bool float_on_processor(unsigned int key, struct xmm *dst, const struct xmm *src)
{
	switch (key) {
	default:
		return false;
	FLOATS(0x51, "sqrt")
	HOST(0, 0x52, "rsqrtps")
	HOST(PREFIX_F3, 0x52, "rsqrtss")
	HOST(0, 0x53, "rcpps")
	HOST(PREFIX_F3, 0x53, "rcpss")
	FLOATS(0x58, "add")
	FLOATS(0x59, "mul")
	HOST(0, 0x5a, "cvtps2pd")
	HOST(PREFIX_66, 0x5a, "cvtpd2ps")
	HOST(PREFIX_F3, 0x5a, "cvtss2sd")
	HOST(PREFIX_F2, 0x5a, "cvtsd2ss")
	HOST(0, 0x5b, "cvtdq2ps")
	HOST(PREFIX_66, 0x5b, "cvtps2dq")
	HOST(PREFIX_F3, 0x5b, "cvttps2dq")
	FLOATS(0x5c, "sub")
	FLOATS(0x5d, "min")
	FLOATS(0x5e, "div")
	FLOATS(0x5f, "max")
	HOST(PREFIX_66, 0xe6, "cvttpd2dq")
	HOST(PREFIX_F3, 0xe6, "cvtdq2pd")
	HOST(PREFIX_F2, 0xe6, "cvtpd2dq")
	}
	return true;
}

/* Between an XMM register and a general one, which @value is read from or written to. */
#define TO_XMM(prefix, wide, name)					\
	case KEY(prefix, wide):						\
		asm volatile("movdqu %0, %%xmm0\n\t" name " %1, %%xmm0\n\tmovdqu %%xmm0, %0" \
			     : "+m" (*dst) : "r" (value));		\
		break;

static void convert_from_integer(unsigned int key, struct xmm *dst, u64 value)
{
	switch (key) {
	TO_XMM(PREFIX_F3, 8, "cvtsi2ssq")
	TO_XMM(PREFIX_F2, 8, "cvtsi2sdq")
	}
}

static void convert_from_narrow(unsigned int key, struct xmm *dst, u32 value)
{
	switch (key) {
	TO_XMM(PREFIX_F3, 4, "cvtsi2ssl")
	TO_XMM(PREFIX_F2, 4, "cvtsi2sdl")
	}
}

#define FROM_XMM(prefix, opcode, name)					\
	case KEY(prefix, opcode):					\
		if (wide)						\
			asm volatile("movdqu %1, %%xmm1\n\t" name " %%xmm1, %q0" \
				     : "=r" (value) : "m" (*src));	\
		else							\
			asm volatile("movdqu %1, %%xmm1\n\t" name " %%xmm1, %k0" \
				     : "=r" (value) : "m" (*src));	\
		break;

static u64 convert_to_integer(unsigned int key, const struct xmm *src, bool wide)
{
	u64 value = 0;

	switch (key) {
	FROM_XMM(PREFIX_F3, 0x2c, "cvttss2si")
	FROM_XMM(PREFIX_F2, 0x2c, "cvttsd2si")
	FROM_XMM(PREFIX_F3, 0x2d, "cvtss2si")
	FROM_XMM(PREFIX_F2, 0x2d, "cvtsd2si")
	}
	return value;
}

#define FLAGS_OF(prefix, opcode, name)					\
	case KEY(prefix, opcode):					\
		asm volatile("movdqu %1, %%xmm0\n\tmovdqu %2, %%xmm1\n\t" \
			     name " %%xmm1, %%xmm0\n\tlahf"		\
			     : "=a" (flags) : "m" (*dst), "m" (*src) : "cc"); \
		break;

static u32 compare_scalars(unsigned int key, const struct xmm *dst, const struct xmm *src)
{
	u32 flags = 0;

	switch (key) {
	FLAGS_OF(0, 0x2e, "ucomiss")
	FLAGS_OF(PREFIX_66, 0x2e, "ucomisd")
	FLAGS_OF(0, 0x2f, "comiss")
	FLAGS_OF(PREFIX_66, 0x2f, "comisd")
	}
	return flags >> 8 & (RFL_CF | RFL_PF | RFL_ZF);
}

static struct xmm *as_xmm(struct gondola_operand *op)
{
	return (struct xmm *)&op->value;
}

static void begin(struct gondola_emulator *e)
{
	if (e->ops->fpu_begin)
		e->ops->fpu_begin(e);
}

static void end(struct gondola_emulator *e)
{
	if (e->ops->fpu_end)
		e->ops->fpu_end(e);
}

static bool underflow_unmasked(const struct gondola_emulator *e)
{
	return !(e->fpu->mxcsr & MXCSR_UE << MXCSR_MASK_SHIFT);
}

/* The processor computes with the guest's MXCSR from here … */
static u32 begin_float(struct gondola_emulator *e)
{
	u32 host, guest = (e->fpu->mxcsr | MXCSR_MASKS) & ~MXCSR_FLAGS;

	/* Results are flushed to zero only if underflow is masked. */
	if (underflow_unmasked(e))
		guest &= ~MXCSR_FTZ;
	begin(e);
	asm volatile("stmxcsr %0\n\tldmxcsr %1" : "=m" (host) : "m" (guest));
	return host;
}

/*
 * … to here.  Exceptions are noted, and raised if they are not masked.  @more: an exception that
 * the processor does not note while it is masked.  (An unmasked overflow or underflow may note an
 * inexact result too; this is not emulated.)
 */
static int end_float(struct gondola_emulator *e, u32 host, u32 more)
{
	u32 found, unmasked;

	asm volatile("stmxcsr %0\n\tldmxcsr %1" : "=m" (found) : "m" (host));
	end(e);
	found = (found & MXCSR_FLAGS) | more;
	unmasked = found & ~(e->fpu->mxcsr >> MXCSR_MASK_SHIFT);
	if (unmasked & MXCSR_EARLY)
		found &= MXCSR_EARLY;
	e->fpu->mxcsr |= found;
	if (!unmasked)
		return GONDOLA_EMUL_OK;
	return emul_fault(e, e->ops->get_cr(e, 4) & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
}

int emul_op_sse_int(struct gondola_emulator *e)
{
	unsigned int key = KEY(prefix_of(e->insn), e->insn->opcode);
	bool known;

	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	begin(e);
	known = integer_on_processor(key, as_xmm(&e->dst), as_xmm(&e->src));
	end(e);
	return known ? GONDOLA_EMUL_OK : GONDOLA_EMUL_UNKNOWN;
}

/*
 * MMX: the same by the instruction for XMM registers.  PACK takes the source from the destination's
 * upper half, and PUNPCKH is the upper half of what PUNPCKL gives.
 */
int emul_op_mmx_int(struct gondola_emulator *e)
{
	const bool upper = (e->insn->opcode & ~3u) == 0x68 && e->insn->opcode != 0x6b;
	struct xmm dst = { { e->dst.value, e->src.value } };
	const struct xmm src = { { e->src.value, 0 } };

	begin(e);
	integer_on_processor(KEY(PREFIX_66, e->insn->opcode - 8 * upper), &dst, &src);
	end(e);
	e->dst.value = dst.half[upper];
	return GONDOLA_EMUL_OK;
}

static bool tiny_double(u64 value)
{
	return !(value & 0x7ffull << 52) && value << 1;
}

static bool tiny_float(u32 value)
{
	return !(value & 0xffu << 23) && value << 1;
}

/*
 * Did an addition, multiplication, division or narrowing give a denormal number?  If underflow is
 * not masked, an exact one counts as well.
 */
static bool has_tiny(const struct gondola_insn *insn, const struct xmm *result)
{
	unsigned int prefix = prefix_of(insn), i;
	bool doubles = prefix == PREFIX_66 || prefix == PREFIX_F2, scalar = prefix >= PREFIX_F3;

	switch (insn->opcode) {
	case 0x58:
	case 0x59:
	case 0x5c:
	case 0x5e:
		break;
	case 0x5a:
		if (!doubles)
			return false;
		doubles = false;
		break;
	default:
		return false;
	}
	for (i = 0; i < (scalar ? 1 : doubles ? 2 : 4); i++) {
		if (doubles ? tiny_double(result->half[i]) :
			      tiny_float(result->half[i / 2] >> 32 * (i & 1)))
			return true;
	}
	return false;
}

int emul_op_sse_float(struct gondola_emulator *e)
{
	unsigned int key = KEY(prefix_of(e->insn), e->insn->opcode);
	bool known, tiny;
	u32 host;
	int r;

	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	host = begin_float(e);
	known = float_on_processor(key, as_xmm(&e->dst), as_xmm(&e->src));
	tiny = underflow_unmasked(e) && has_tiny(e->insn, as_xmm(&e->dst));
	r = end_float(e, host, tiny ? MXCSR_UE : 0);
	return known ? r : GONDOLA_EMUL_UNKNOWN;
}

/* CMPPS and the like: the predicate is src2. */
int emul_op_sse_compare(struct gondola_emulator *e)
{
	u32 host;

	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	host = begin_float(e);
	compare_on_processor(prefix_of(e->insn), e->src2.value, as_xmm(&e->dst), as_xmm(&e->src));
	return end_float(e, host, 0);
}

/* CVTSI2SS and CVTSI2SD */
int emul_op_sse_from_int(struct gondola_emulator *e)
{
	unsigned int key = KEY(prefix_of(e->insn), e->src.bytes);
	u32 host;

	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	host = begin_float(e);
	if (e->src.bytes == 8)
		convert_from_integer(key, as_xmm(&e->dst), e->src.value);
	else
		convert_from_narrow(key, as_xmm(&e->dst), e->src.value);
	return end_float(e, host, 0);
}

/* CVTSS2SI, CVTSD2SI and their truncating forms */
int emul_op_sse_to_int(struct gondola_emulator *e)
{
	u32 host;

	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	host = begin_float(e);
	e->dst.value = convert_to_integer(KEY(prefix_of(e->insn), e->insn->opcode),
					  as_xmm(&e->src), e->dst.bytes == 8);
	return end_float(e, host, 0);
}

/* UCOMISS and the like */
int emul_op_sse_flags(struct gondola_emulator *e)
{
	u32 host, flags;
	int r;

	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	host = begin_float(e);
	flags = compare_scalars(KEY(prefix_of(e->insn), e->insn->opcode), as_xmm(&e->dst),
				as_xmm(&e->src));
	r = end_float(e, host, 0);
	if (!r)
		e->rflags = (e->rflags & ~(RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_OF)) |
			    flags;
	return r;
}

/*
 * Conversions between XMM and MMX registers, by the one that converts packed numbers within XMM
 * registers.  Zeros in the other half raise no exceptions.
 */
int emul_op_sse_mmx(struct gondola_emulator *e)
{
	const bool doubles = prefix_of(e->insn) == PREFIX_66, to_xmm = e->insn->opcode == 0x2a;
	const bool truncate = e->insn->opcode == 0x2c;
	const struct xmm src = { { e->src.value, doubles && !to_xmm ? e->src.value_hi : 0 } };
	struct xmm dst = { { 0, 0 } };
	unsigned int key;
	u32 host;

	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	if (doubles)
		key = KEY(to_xmm ? PREFIX_F3 : truncate ? PREFIX_66 : PREFIX_F2, 0xe6);
	else
		key = KEY(to_xmm ? 0 : truncate ? PREFIX_F3 : PREFIX_66, 0x5b);
	host = begin_float(e);
	float_on_processor(key, &dst, &src);
	e->dst.value = dst.half[0];
	if (to_xmm && doubles)
		e->dst.value_hi = dst.half[1];
	return end_float(e, host, 0);
}

/*
 * Shifts by an immediate are done as shifts by a register that holds it.  Their opcodes differ from
 * 71 … 73 by d0, e0 (arithmetic) or f0 (left).
 */
int emul_op_sse_shift(struct gondola_emulator *e)
{
	static const u8 kind[8] = { [2] = 0xd0, [4] = 0xe0, [6] = 0xf0 };
	u8 row = kind[e->insn->modrm >> 3 & 7] | (e->insn->opcode & 3);
	struct xmm count = { { e->src.value, 0 } };

	if (!e->fpu)
		return GONDOLA_EMUL_UNKNOWN;
	begin(e);
	integer_on_processor(KEY(PREFIX_66, row), as_xmm(&e->dst), &count);
	end(e);
	return GONDOLA_EMUL_OK;
}
