// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instructions that a kernel's 64-bit code mostly consists of.  Each form has a function, in
 * which size, operands and operation are constants for the compiler; the host's processor computes
 * the flags. This only saves time: the general path can execute all of them, and does so in unusual
 * cases.
 *
 * RF and the shadow of STI and MOV SS are clear here: gondola_execute() checks that.
 */
#include "insn.h"

#define STATUS	(RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_OF)

typedef int (*run_function)(struct gondola_emulator *e);

enum op { MOV, ADD, OR, AND, SUB, XOR, CMP, TEST, INC, DEC, NR_OPS };
enum form { REG_REG, REG_IMM, REG_MEM, MEM_REG, MEM_IMM, NR_FORMS };

/* ---- memory --------------------------------------------------------------------------- */

/* The memory operand's offset in its segment. */
static __always_inline gva_t address(const struct gondola_emulator *e)
{
	const struct gondola_insn *insn = e->insn;
	gva_t la = (s64)insn->disp;

	if (likely(insn->base != GONDOLA_NO_REG))
		la += e->regs->gpr[insn->base];
	if (unlikely(insn->index != GONDOLA_NO_REG))
		la += e->regs->gpr[insn->index] << insn->scale;
	if (unlikely(insn->rip_relative))
		la += e->regs->rip + insn->len;
	return la;
}

static __always_inline gva_t linear(const struct gondola_emulator *e)
{
	gva_t la = address(e);

	if (unlikely(e->insn->seg >= GONDOLA_FS))
		la += e->segments[e->insn->seg].base;
	return la;
}

/*
 * Find @bytes at @la in the TLB, if all lie in one page.  An address in the TLB is canonical.
 * NULL: use the general path, since nothing has been done yet.
 */
static __always_inline u8 *find(const struct gondola_emulator *e, gva_t la, unsigned int bytes,
				bool write)
{
	const struct gondola_tlb_entry *t;

	if (unlikely(!e->tlb))
		return NULL;
	t = emul_tlb(e, la);
	if (unlikely((write ? t->write : t->read) != ((la + bytes - 1) & GONDOLA_PAGE_MASK)))
		return NULL;
	return t->host + (la & ~GONDOLA_PAGE_MASK);
}

/* ---- arithmetic ------------------------------------------------------------------------- */

/* OF in AL, the others in AH. */
#define COMPUTE(insn, type) do { \
	type value = a; \
	asm(insn " %2, %0\n\tlahf\n\tseto %%al" \
	    : "+r" (value), "=&a" (flags) : "r" ((type)b) : "cc"); \
	a = value; \
} while (0)

#define COMPUTE_SIZED(insn) do { \
	switch (bytes) { \
	case 8: \
		COMPUTE(insn "q", u64); \
		break; \
	case 4: \
		COMPUTE(insn "l", u32); \
		break; \
	default: \
		COMPUTE(insn "b", u8); \
		break; \
	} \
} while (0)

static __always_inline u64 compute(enum op op, u64 a, u64 b, unsigned int bytes, u64 *rflags)
{
	u64 changed = op == INC || op == DEC ? STATUS & ~RFL_CF : STATUS;
	u32 flags;

	switch (op) {
	case ADD:
	case INC:
		COMPUTE_SIZED("add");
		break;
	case SUB:
	case CMP:
	case DEC:
		COMPUTE_SIZED("sub");
		break;
	case OR:
		COMPUTE_SIZED("or");
		break;
	case XOR:
		COMPUTE_SIZED("xor");
		break;
	default:
		COMPUTE_SIZED("and");
		break;
	}
	/* AF is undefined after logic; the general path clears it. */
	if (op == OR || op == XOR || op == AND || op == TEST)
		flags &= ~((u32)RFL_AF << 8);
	*rflags = (*rflags & ~changed) |
		  (((flags >> 8 & 0xff) | (flags & 1) << 11) & changed);
	return a;
}

static __always_inline int next(struct gondola_emulator *e)
{
	e->regs->rip += e->insn->len;
	return GONDOLA_EMUL_OK;
}

static __always_inline int run(struct gondola_emulator *e, enum op op, enum form form,
			       unsigned int bytes)
{
	const bool writes = op != CMP && op != TEST, to_memory = form == MEM_REG || form == MEM_IMM;
	const struct gondola_insn *insn = e->insn;
	struct gondola_regs *regs = e->regs;
	u8 *at = NULL;
	u64 a = 0, b;

	if (form == REG_MEM || to_memory) {
		at = find(e, linear(e), bytes, to_memory && writes);
		if (unlikely(!at))
			return emul_run_any(e);
	}
	if (form == REG_MEM)
		b = emul_load(at, bytes);
	else if (form == REG_IMM || form == MEM_IMM)
		b = insn->imm;
	else
		b = regs->gpr[insn->src_reg];
	if (op == MOV) {
		a = b;
	} else {
		a = to_memory ? emul_load(at, bytes) : regs->gpr[insn->dst_reg];
		a = compute(op, a, b, bytes, &regs->rflags);
	}
	if (writes && to_memory)
		emul_store(at, a, bytes);
	else if (writes)
		emul_write_gpr(e, insn->dst_reg, bytes, a);
	return next(e);
}

#define RUN(op, form, bytes) \
static int op##_##form##_##bytes(struct gondola_emulator *e) \
{ \
	return run(e, op, form, bytes); \
}
#define RUNS(op, form)	RUN(op, form, 1) RUN(op, form, 4) RUN(op, form, 8)
#define RUNS_OF(op)	RUNS(op, REG_REG) RUNS(op, REG_IMM) RUNS(op, REG_MEM) RUNS(op, MEM_REG) \
			RUNS(op, MEM_IMM)
RUNS_OF(MOV)
RUNS_OF(ADD)
RUNS_OF(OR)
RUNS_OF(AND)
RUNS_OF(SUB)
RUNS_OF(XOR)
RUNS_OF(CMP)
RUNS_OF(TEST)
/* The count 1 is an immediate. */
RUNS(INC, REG_IMM)
RUNS(INC, MEM_IMM)
RUNS(DEC, REG_IMM)
RUNS(DEC, MEM_IMM)

#define BY_SIZE(op, form)	[form] = { op##_##form##_1, op##_##form##_4, op##_##form##_8 }
#define BY_FORM(op)		[op] = { BY_SIZE(op, REG_REG), BY_SIZE(op, REG_IMM), \
					 BY_SIZE(op, REG_MEM), BY_SIZE(op, MEM_REG), \
					 BY_SIZE(op, MEM_IMM) }

static const run_function runs[NR_OPS][NR_FORMS][3] = {
	BY_FORM(MOV), BY_FORM(ADD), BY_FORM(OR), BY_FORM(AND), BY_FORM(SUB), BY_FORM(XOR),
	BY_FORM(CMP), BY_FORM(TEST),
	[INC] = { BY_SIZE(INC, REG_IMM), BY_SIZE(INC, MEM_IMM) },
	[DEC] = { BY_SIZE(DEC, REG_IMM), BY_SIZE(DEC, MEM_IMM) },
};

/* ---- moves of other kinds ------------------------------------------------------------------ */

static __always_inline int write_extended(struct gondola_emulator *e, u64 value,
					  unsigned int bytes, bool sign)
{
	const struct gondola_insn *insn = e->insn;

	if (sign)
		value = emul_sign_extend(value, bytes);
	e->regs->gpr[insn->dst_reg] = insn->dst_bytes == 8 ? value : (u32)value;
	return next(e);
}

static __always_inline int load(struct gondola_emulator *e, unsigned int bytes, bool sign)
{
	const u8 *at = find(e, linear(e), bytes, false);

	return likely(at) ? write_extended(e, emul_load(at, bytes), bytes, sign) : emul_run_any(e);
}

static __always_inline int extend(struct gondola_emulator *e, unsigned int bytes, bool sign)
{
	return write_extended(e, emul_read_gpr(e, e->insn->src_reg, bytes), bytes, sign);
}

#define EXTEND(bytes) \
static int load_zero_##bytes(struct gondola_emulator *e) { return load(e, bytes, false); } \
static int load_sign_##bytes(struct gondola_emulator *e) { return load(e, bytes, true); } \
static int zero_##bytes(struct gondola_emulator *e) { return extend(e, bytes, false); } \
static int sign_##bytes(struct gondola_emulator *e) { return extend(e, bytes, true); }
EXTEND(1)
EXTEND(2)
EXTEND(4)

/* By source, signedness and size. */
static const run_function extends[2][2][3] = {
	{ { zero_1, zero_2, zero_4 }, { sign_1, sign_2, sign_4 } },
	{ { load_zero_1, load_zero_2, load_zero_4 }, { load_sign_1, load_sign_2, load_sign_4 } },
};

static int lea(struct gondola_emulator *e)
{
	emul_write_gpr(e, e->insn->dst_reg, e->insn->dst_bytes, address(e));
	return next(e);
}

static __always_inline int push(struct gondola_emulator *e, u64 value)
{
	u64 sp = e->regs->gpr[R_RSP] - 8;
	u8 *at = find(e, sp, 8, true);

	if (unlikely(!at))
		return emul_run_any(e);
	emul_store(at, value, 8);
	e->regs->gpr[R_RSP] = sp;
	return next(e);
}

static int push_reg(struct gondola_emulator *e)
{
	return push(e, e->regs->gpr[e->insn->src_reg]);
}

static int push_imm(struct gondola_emulator *e)
{
	return push(e, e->insn->imm);
}

static int pop_reg(struct gondola_emulator *e)
{
	u64 sp = e->regs->gpr[R_RSP];
	const u8 *at = find(e, sp, 8, false);

	if (unlikely(!at))
		return emul_run_any(e);
	e->regs->gpr[R_RSP] = sp + 8;
	e->regs->gpr[e->insn->dst_reg] = emul_load(at, 8);
	return next(e);
}

static int do_nothing(struct gondola_emulator *e)
{
	return next(e);
}

static int setcc(struct gondola_emulator *e)
{
	emul_write_gpr(e, e->insn->dst_reg, 1,
		       emul_condition_met(e->regs->rflags, e->insn->opcode));
	return next(e);
}

static int cmov(struct gondola_emulator *e)
{
	const struct gondola_insn *insn = e->insn;
	bool met = emul_condition_met(e->regs->rflags, insn->opcode);

	/* With four bytes the upper half is always cleared. */
	emul_write_gpr(e, insn->dst_reg, insn->dst_bytes,
		       e->regs->gpr[met ? insn->src_reg : insn->dst_reg]);
	return next(e);
}

/* Shifts by an immediate.  CF is the last bit shifted out; OF is as the general path has it. */
enum shift { SHL, SHR, SAR };

static __always_inline int shift(struct gondola_emulator *e, enum shift op, unsigned int bytes)
{
	const unsigned int top = 8 * bytes - 1, count = e->insn->imm & top;
	struct gondola_regs *regs = e->regs;
	u64 old = emul_read_gpr(e, e->insn->dst_reg, bytes), result, carry, overflow, rflags;

	if (unlikely(!count))
		return emul_run_any(e);
	rflags = regs->rflags;
	if (op == SHL) {
		result = old << count & emul_mask(bytes);
		carry = old >> (top + 1 - count) & 1;
		overflow = result >> top ^ carry;
	} else {
		if (op == SAR)
			result = emul_sign_extend(old, bytes) >> count & emul_mask(bytes);
		else
			result = old >> count;
		carry = old >> (count - 1) & 1;
		overflow = op == SHR ? old >> top : 0;
	}
	compute(TEST, result, result, bytes, &rflags);
	/* Logic has cleared CF and OF, bits 0 and 11. */
	regs->rflags = rflags | carry | overflow << 11;
	regs->gpr[e->insn->dst_reg] = result;
	return next(e);
}

#define SHIFT(op) \
static int op##_4(struct gondola_emulator *e) { return shift(e, op, 4); } \
static int op##_8(struct gondola_emulator *e) { return shift(e, op, 8); }
SHIFT(SHL)
SHIFT(SHR)
SHIFT(SAR)

/* ---- transfers of control -------------------------------------------------------------------- */

static __always_inline int jump(struct gondola_emulator *e, u64 target)
{
	if (unlikely(!emul_canonical(target)))
		return emul_gp(e);
	e->regs->rip = target;
	return GONDOLA_EMUL_OK;
}

static __always_inline int call(struct gondola_emulator *e, u64 target)
{
	u64 sp = e->regs->gpr[R_RSP] - 8;
	u8 *at = find(e, sp, 8, true);

	if (unlikely(!at || !emul_canonical(target)))
		return emul_run_any(e);
	emul_store(at, e->regs->rip + e->insn->len, 8);
	e->regs->gpr[R_RSP] = sp;
	e->regs->rip = target;
	return GONDOLA_EMUL_OK;
}

static __always_inline u64 relative(const struct gondola_emulator *e)
{
	return e->regs->rip + e->insn->len + e->insn->imm;
}

static int jump_relative(struct gondola_emulator *e)
{
	return jump(e, relative(e));
}

static int jump_reg(struct gondola_emulator *e)
{
	return jump(e, e->regs->gpr[e->insn->src_reg]);
}

static int call_relative(struct gondola_emulator *e)
{
	return call(e, relative(e));
}

static int call_reg(struct gondola_emulator *e)
{
	return call(e, e->regs->gpr[e->insn->src_reg]);
}

static int ret(struct gondola_emulator *e)
{
	u64 sp = e->regs->gpr[R_RSP];
	const u8 *at = find(e, sp, 8, false);
	u64 target;

	if (unlikely(!at))
		return emul_run_any(e);
	target = emul_load(at, 8);
	if (unlikely(!emul_canonical(target)))
		return emul_run_any(e);
	e->regs->gpr[R_RSP] = sp + 8;
	e->regs->rip = target;
	return GONDOLA_EMUL_OK;
}

#define JCC(cc) \
static int jcc_##cc(struct gondola_emulator *e) \
{ \
	return emul_condition_met(e->regs->rflags, cc) ? jump(e, relative(e)) : next(e); \
}
JCC(0) JCC(1) JCC(2) JCC(3) JCC(4) JCC(5) JCC(6) JCC(7)
JCC(8) JCC(9) JCC(10) JCC(11) JCC(12) JCC(13) JCC(14) JCC(15)

static const run_function jccs[16] = {
	jcc_0, jcc_1, jcc_2, jcc_3, jcc_4, jcc_5, jcc_6, jcc_7, jcc_8, jcc_9, jcc_10, jcc_11,
	jcc_12, jcc_13, jcc_14, jcc_15,
};

/* ---- which --------------------------------------------------------------------------------- */

static const gondola_handler handlers[NR_OPS] = {
	[MOV] = emul_op_mov, [ADD] = emul_op_add, [OR] = emul_op_or, [AND] = emul_op_and,
	[SUB] = emul_op_sub, [XOR] = emul_op_xor, [CMP] = emul_op_cmp, [TEST] = emul_op_test,
	[INC] = emul_op_inc, [DEC] = emul_op_dec,
};

static run_function transfer(const struct gondola_insn *insn, unsigned int src)
{
	const gondola_handler handler = insn->desc->run;
	const bool imm = src == GONDOLA_OPERAND_IMM, reg = src == GONDOLA_OPERAND_REG;

	if (insn->op_bytes != 8)
		return NULL;
	if (handler == emul_op_jcc)
		return jccs[insn->opcode & 15];
	if (handler == emul_op_jmp)
		return jump_relative;
	if (handler == emul_op_call)
		return call_relative;
	if (handler == emul_op_jmp_abs)
		return reg ? jump_reg : NULL;
	if (handler == emul_op_call_abs)
		return reg ? call_reg : NULL;
	if (handler == emul_op_push)
		return reg ? push_reg : imm ? push_imm : NULL;
	if (handler == emul_op_ret)
		return src == GONDOLA_OPERAND_NONE ? ret : NULL;
	return NULL;
}

static run_function arithmetic(struct gondola_insn *insn, enum op op, unsigned int dst,
			       unsigned int src)
{
	static const u8 size[9] = { [1] = 1, [4] = 2, [8] = 3 };
	enum form form;

	if (op == INC || op == DEC) {
		src = GONDOLA_OPERAND_IMM;
		insn->src_bytes = insn->dst_bytes;
		insn->imm = 1;
	}
	if (src != GONDOLA_OPERAND_IMM && insn->src_bytes != insn->dst_bytes)
		return NULL;
	if (dst == GONDOLA_OPERAND_MEM)
		form = src == GONDOLA_OPERAND_REG ? MEM_REG : MEM_IMM;
	else
		form = src == GONDOLA_OPERAND_REG ? REG_REG : src == GONDOLA_OPERAND_IMM ? REG_IMM :
		       REG_MEM;
	return size[insn->dst_bytes] ? runs[op][form][size[insn->dst_bytes] - 1] : NULL;
}

static run_function shift_by(const struct gondola_insn *insn, unsigned int dst)
{
	const gondola_handler handler = insn->desc->run;
	const bool wide = insn->dst_bytes == 8;

	if (dst != GONDOLA_OPERAND_REG || insn->dst_bytes < 4)
		return NULL;
	if (handler == emul_op_shl)
		return wide ? SHL_8 : SHL_4;
	if (handler == emul_op_shr)
		return wide ? SHR_8 : SHR_4;
	return handler == emul_op_sar ? (wide ? SAR_8 : SAR_4) : NULL;
}

/* The other forms, between registers or without operands. */
static run_function other(const struct gondola_insn *insn, unsigned int dst, unsigned int src)
{
	const gondola_handler handler = insn->desc->run;

	if (src == GONDOLA_OPERAND_IMM)
		return shift_by(insn, dst);
	if (dst == GONDOLA_OPERAND_REG && handler == emul_op_setcc)
		return setcc;
	if (dst == GONDOLA_OPERAND_REG && src == GONDOLA_OPERAND_REG && handler == emul_op_cmov)
		return cmov;
	return NULL;
}

run_function emul_quick_run(struct gondola_insn *insn, unsigned int dst, unsigned int src)
{
	const gondola_handler handler = insn->desc->run;
	const bool memory = src == GONDOLA_OPERAND_MEM;
	enum op op;

	if (insn->mode != GONDOLA_EMUL_LONG64)
		return NULL;
	if (handler == emul_op_nop)
		return do_nothing;
	if (dst == GONDOLA_OPERAND_NONE)
		return transfer(insn, src);
	if ((dst == GONDOLA_OPERAND_MEM || memory) && insn->addr_bytes != 8)
		return NULL;
	if (handler == emul_op_lea)
		return lea;
	if (handler == emul_op_pop)
		return dst == GONDOLA_OPERAND_REG && insn->op_bytes == 8 ? pop_reg : NULL;
	if ((handler == emul_op_mov || handler == emul_op_movsx || handler == emul_op_movsxd) &&
	    dst == GONDOLA_OPERAND_REG && src != GONDOLA_OPERAND_IMM &&
	    insn->src_bytes < insn->dst_bytes && insn->dst_bytes >= 4)
		return extends[memory][handler != emul_op_mov][insn->src_bytes / 2];
	for (op = 0; op < NR_OPS; op++)
		if (handlers[op] == handler)
			return arithmetic(insn, op, dst, src);
	return other(insn, dst, src);
}
