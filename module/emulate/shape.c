// SPDX-License-Identifier: GPL-2.0-only
/*
 * Most instructions have one of a few shapes.  For these the operands are found when the
 * instruction is decoded, so that executing it again costs little more than its handler.  All
 * others take the general path (execute.c), which is the reference.  Both run the same handlers.
 */
#include "insn.h"

enum kind {
	NONE = GONDOLA_OPERAND_NONE,
	REG = GONDOLA_OPERAND_REG,
	MEM = GONDOLA_OPERAND_MEM,
	IMM = GONDOLA_OPERAND_IMM,
	OTHER,
};

static __always_inline int find_memory(struct gondola_emulator *e, struct gondola_operand *op,
				       bool write)
{
	const struct gondola_insn *insn = e->insn;

	e->ea = emul_effective_address(e, op->bytes);
	if (unlikely(insn->desc->flags & D_NOREAD))
		return GONDOLA_EMUL_OK;
	return emul_linear(e, insn->seg, e->ea, op->bytes, write, &op->la);
}

static __always_inline int find_source(struct gondola_emulator *e, enum kind kind)
{
	const struct gondola_insn *insn = e->insn;
	struct gondola_operand *src = &e->src;
	int r;

	src->kind = kind;
	if (kind == NONE)
		return GONDOLA_EMUL_OK;
	src->bytes = insn->src_bytes;
	if (kind == IMM) {
		src->value = insn->imm;
		return GONDOLA_EMUL_OK;
	}
	if (kind == REG) {
		src->high = false;
		src->reg = insn->src_reg;
		src->value = e->regs->gpr[insn->src_reg] & emul_mask(insn->src_bytes);
		return GONDOLA_EMUL_OK;
	}
	r = find_memory(e, src, false);
	if (unlikely(r) || insn->desc->flags & D_NOREAD)
		return r;
	return emul_read(e, src->la, &src->value, src->bytes);
}

static __always_inline int find_destination(struct gondola_emulator *e, enum kind kind)
{
	const struct gondola_insn *insn = e->insn;
	struct gondola_operand *dst = &e->dst;
	int r;

	dst->kind = kind;
	if (kind == NONE)
		return GONDOLA_EMUL_OK;
	dst->bytes = insn->dst_bytes;
	if (kind == REG) {
		dst->high = false;
		dst->reg = insn->dst_reg;
		dst->value = e->regs->gpr[insn->dst_reg] & emul_mask(insn->dst_bytes);
		return GONDOLA_EMUL_OK;
	}
	r = find_memory(e, dst, insn->desc->flags & D_WRITE);
	if (unlikely(r) || (insn->desc->flags & (D_READ | D_NOREAD)) != D_READ)
		return r;
	if (insn->desc->flags & D_WRITE)
		return emul_read_to_modify(e, dst->la, &dst->value, dst->bytes);
	return emul_read(e, dst->la, &dst->value, dst->bytes);
}

static __always_inline int run_shape(struct gondola_emulator *e, enum kind dst, enum kind src)
{
	const struct gondola_insn *insn = e->insn;
	u32 writeback;
	int r;

	r = find_source(e, src);
	if (unlikely(r))
		return r;
	r = find_destination(e, dst);
	if (unlikely(r))
		return r;
	e->src2.kind = NONE;
	e->writeback = insn->desc->flags;
	e->shadow = 0;
	e->rflags = e->regs->rflags & ~RFL_RF;
	e->next_rip = e->regs->rip + insn->len;
	if (unlikely(!emul_long64(e)))
		e->next_rip = (u32)e->next_rip;
	r = insn->desc->run(e);
	if (unlikely(r))
		return emul_failed(r);
	writeback = e->writeback;
	if (dst == MEM && writeback & D_WRITE) {
		r = emul_write(e, e->dst.la, e->dst.value, e->dst.bytes);
		if (unlikely(r))
			return r;
	}
	if (writeback & W_SP)
		emul_write_gpr(e, R_RSP, e->sp_bytes, e->sp);
	if (dst == REG && writeback & D_WRITE)
		emul_write_gpr(e, insn->dst_reg, insn->dst_bytes, e->dst.value);
	e->regs->rflags = e->rflags;
	e->regs->rip = e->next_rip;
	if (e->ops->set_shadow)
		e->ops->set_shadow(e, e->shadow);
	return GONDOLA_EMUL_OK;
}

static int run_none_none(struct gondola_emulator *e)
{
	return run_shape(e, NONE, NONE);
}

static int run_none_reg(struct gondola_emulator *e)
{
	return run_shape(e, NONE, REG);
}

static int run_none_imm(struct gondola_emulator *e)
{
	return run_shape(e, NONE, IMM);
}

static int run_none_mem(struct gondola_emulator *e)
{
	return run_shape(e, NONE, MEM);
}

static int run_reg_none(struct gondola_emulator *e)
{
	return run_shape(e, REG, NONE);
}

static int run_reg_reg(struct gondola_emulator *e)
{
	return run_shape(e, REG, REG);
}

static int run_reg_imm(struct gondola_emulator *e)
{
	return run_shape(e, REG, IMM);
}

static int run_reg_mem(struct gondola_emulator *e)
{
	return run_shape(e, REG, MEM);
}

static int run_mem_none(struct gondola_emulator *e)
{
	return run_shape(e, MEM, NONE);
}

static int run_mem_reg(struct gondola_emulator *e)
{
	return run_shape(e, MEM, REG);
}

static int run_mem_imm(struct gondola_emulator *e)
{
	return run_shape(e, MEM, IMM);
}

/* By destination and source. */
static int (*const runs[IMM][IMM + 1])(struct gondola_emulator *e) = {
	[NONE] = { [NONE] = run_none_none, [REG] = run_none_reg, [MEM] = run_none_mem,
		   [IMM] = run_none_imm },
	[REG] = { [NONE] = run_reg_none, [REG] = run_reg_reg, [MEM] = run_reg_mem,
		  [IMM] = run_reg_imm },
	[MEM] = { [NONE] = run_mem_none, [REG] = run_mem_reg, [IMM] = run_mem_imm },
};

static enum kind as_register(const struct gondola_insn *insn, unsigned int number,
			     unsigned int bytes, u8 *reg)
{
	*reg = number;
	/* AH … BH */
	return bytes == 1 && number >= 4 && number < 8 && !insn->rex ? OTHER : REG;
}

static enum kind kind_of(struct gondola_insn *insn, u8 spec, u8 *reg, u8 *bytes)
{
	if (!spec)
		return NONE;
	*bytes = emul_operand_bytes(insn, spec);
	if (*bytes > 8)
		return OTHER;
	switch (spec & O_MASK) {
	case O_G:
		return as_register(insn, (insn->modrm >> 3 & 7) | (insn->rex & 4) << 1, *bytes,
				   reg);
	case O_E:
	case O_M:
	case O_R:
		if (insn->rm_is_reg == ((spec & O_MASK) == O_M) && (spec & O_MASK) != O_E)
			return OTHER;
		if (!insn->rm_is_reg)
			return MEM;
		return as_register(insn, (insn->modrm & 7) | (insn->rex & 1) << 3, *bytes, reg);
	case O_Z:
		return as_register(insn, (insn->opcode & 7) | (insn->rex & 1) << 3, *bytes, reg);
	case O_A:
	case O_C:
	case O_D:
		return as_register(insn, (spec & O_MASK) - O_A, *bytes, reg);
	case O_ONE:
		insn->imm = 1;
		return IMM;
	case O_IMM:
	case O_IMMU:
	case O_IMM64:
		return IMM;
	default:
		return OTHER;
	}
}

#define GENERAL	(D_CHECKS | D_LOCKED | D_WRITE_SRC | D_WRITE_SRC2 | D_POP_EA | D_BIT)

void emul_choose_run(struct gondola_insn *insn, bool quick)
{
	const struct gondola_insn_desc *d = insn->desc;
	int (*run)(struct gondola_emulator *e) = NULL;
	enum kind dst, src;

	insn->run = emul_run_any;
	if (insn->lock || d->flags & GENERAL || d->src2)
		return;
	src = kind_of(insn, d->src, &insn->src_reg, &insn->src_bytes);
	dst = kind_of(insn, d->dst, &insn->dst_reg, &insn->dst_bytes);
	if (src > IMM || dst >= IMM || !runs[dst][src])
		return;
	insn->run = runs[dst][src];
	if (quick)
		run = emul_quick_run(insn, dst, src);
	if (run)
		insn->run = run;
}
