// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execute a decoded instruction: checks, reads, its handler, writes.  All steps that can fail come
 * first, so a fault leaves everything unchanged.
 */
#include "insn.h"

/* A LOCKed instruction that loses so often to other vCPUs ends, and the guest tries it again. */
#define MAX_LOCK_TRIES	64

static inline int bind_memory(struct gondola_emulator *e, struct gondola_operand *op, u64 ea)
{
	const struct gondola_insn_desc *d = e->insn->desc;

	op->kind = GONDOLA_OPERAND_MEM;
	e->ea = ea;
	if (unlikely(d->flags & D_NOREAD))
		return GONDOLA_EMUL_OK;
	return emul_linear(e, e->insn->seg, ea, op->bytes, op == &e->dst && d->flags & D_WRITE,
			   &op->la);
}

static inline void bind_gpr(struct gondola_emulator *e, struct gondola_operand *op,
			    unsigned int reg)
{
	op->kind = GONDOLA_OPERAND_REG;
	op->high = false;
	if (unlikely(op->bytes == 1 && reg >= 4 && reg < 8 && !e->insn->rex)) {
		op->high = true;
		op->reg = reg - 4;
		op->value = e->regs->gpr[op->reg] >> 8 & 0xff;
		return;
	}
	op->reg = reg;
	op->value = e->regs->gpr[reg] & emul_mask(op->bytes);
}

static inline void bind_place(struct gondola_operand *op, enum gondola_operand_kind kind,
			      unsigned int reg)
{
	op->kind = kind;
	op->reg = reg;
}

/* None of these is AH … BH: rAX is 0, rCX 1, rDX 2. */
static inline void bind_fixed(struct gondola_emulator *e, struct gondola_operand *op,
			      unsigned int reg)
{
	op->kind = GONDOLA_OPERAND_REG;
	op->high = false;
	op->reg = reg;
	op->value = emul_read_gpr(e, reg, op->bytes);
}

/* Long, since it is one switch: a case for each kind of operand. */
static noinline int bind_other(struct gondola_emulator *e, struct gondola_operand *op, u8 spec)
{
	unsigned int reg;
	bool second;

	switch (spec & O_MASK) {
	case O_G:
		bind_gpr(e, op, (e->insn->modrm >> 3 & 7) | (e->insn->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	case O_M:
		if (e->insn->rm_is_reg)
			return emul_fault(e, VEC_UD);
		fallthrough;
	case O_E:
	case O_W:
		if (!e->insn->rm_is_reg)
			return bind_memory(e, op, emul_effective_address(e, op->bytes));
		fallthrough;
	case O_R:
	case O_U:
		if (!e->insn->rm_is_reg)
			return emul_fault(e, VEC_UD);
		reg = (e->insn->modrm & 7) | (e->insn->rex & 1) << 3;
		if ((spec & O_MASK) >= O_W)
			bind_place(op, GONDOLA_OPERAND_XMM, reg);
		else
			bind_gpr(e, op, reg);
		return GONDOLA_EMUL_OK;
	case O_IMM:
	case O_IMMU:
	case O_IMM64:
		op->kind = GONDOLA_OPERAND_IMM;
		second = op == &e->src && (e->insn->desc->dst & O_MASK) >= O_IMM;
		op->value = second ? e->insn->imm2 : e->insn->imm;
		return GONDOLA_EMUL_OK;
	case O_Z:
		bind_gpr(e, op, (e->insn->opcode & 7) | (e->insn->rex & 1) << 3);
		return GONDOLA_EMUL_OK;
	case O_A:
	case O_C:
	case O_D:
		bind_fixed(e, op, (spec & O_MASK) - O_A);
		return GONDOLA_EMUL_OK;
	case O_ONE:
		op->kind = GONDOLA_OPERAND_IMM;
		op->value = 1;
		return GONDOLA_EMUL_OK;
	case O_SEG:
		reg = e->insn->modrm >> 3 & 7;
		if (reg > GONDOLA_GS || (reg == GONDOLA_CS && op == &e->dst))
			return emul_fault(e, VEC_UD);
		bind_place(op, GONDOLA_OPERAND_SEG, reg);
		return GONDOLA_EMUL_OK;
	case O_CR:
		bind_place(op, GONDOLA_OPERAND_CR, (e->insn->modrm >> 3 & 7) | (e->insn->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	case O_DR:
		bind_place(op, GONDOLA_OPERAND_DR, (e->insn->modrm >> 3 & 7) | (e->insn->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	case O_V:
		bind_place(op, GONDOLA_OPERAND_XMM, (e->insn->modrm >> 3 & 7) | (e->insn->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	case O_P:
		bind_place(op, GONDOLA_OPERAND_MMX, e->insn->modrm >> 3 & 7);
		return GONDOLA_EMUL_OK;
	case O_Q:
		if (!e->insn->rm_is_reg)
			return bind_memory(e, op, emul_effective_address(e, op->bytes));
		fallthrough;
	case O_N:
		if (!e->insn->rm_is_reg)
			return emul_fault(e, VEC_UD);
		bind_place(op, GONDOLA_OPERAND_MMX, e->insn->modrm & 7);
		return GONDOLA_EMUL_OK;
	case O_MOFFS:
		return bind_memory(e, op, e->insn->imm);
	case O_FAR:
		op->kind = GONDOLA_OPERAND_IMM;
		op->value = e->insn->imm;
		op->value_hi = e->insn->imm2;
		return GONDOLA_EMUL_OK;
	}
	op->kind = GONDOLA_OPERAND_NONE;
	return GONDOLA_EMUL_OK;
}

/* The two most frequent kinds are inline. */
static __always_inline int bind_operand(struct gondola_emulator *e, struct gondola_operand *op,
					u8 spec)
{
	op->bytes = emul_operand_bytes(e->insn, spec);
	if ((spec & O_MASK) == O_G) {
		bind_gpr(e, op, (e->insn->modrm >> 3 & 7) | (e->insn->rex & 4) << 1);
		return GONDOLA_EMUL_OK;
	}
	if ((spec & O_MASK) == O_E && !e->insn->rm_is_reg)
		return bind_memory(e, op, emul_effective_address(e, op->bytes));
	return bind_other(e, op, spec);
}

static inline int bind(struct gondola_emulator *e)
{
	const struct gondola_insn_desc *d = e->insn->desc;
	int r;

	/* Bind the source first: the address of a bit string depends on it. */
	e->src.kind = GONDOLA_OPERAND_NONE;
	if (d->src) {
		r = bind_operand(e, &e->src, d->src);
		if (r)
			return r;
	}
	e->src2.kind = GONDOLA_OPERAND_NONE;
	if (unlikely(d->src2)) {
		e->src2.bytes = emul_operand_bytes(e->insn, d->src2);
		r = bind_other(e, &e->src2, d->src2);
		if (r)
			return r;
	}
	e->dst.kind = GONDOLA_OPERAND_NONE;
	return d->dst ? bind_operand(e, &e->dst, d->dst) : GONDOLA_EMUL_OK;
}

int emul_decode(struct gondola_emulator *e)
{
	int r = gondola_parse(e);

	return likely(!r) ? bind(e) : r;
}

static int check_sse(struct gondola_emulator *e)
{
	u64 cr0 = e->ops->get_cr(e, 0);

	if (cr0 & CR0_EM || !(e->ops->get_cr(e, 4) & CR4_OSFXSR))
		return emul_fault(e, VEC_UD);
	if (cr0 & CR0_TS)
		return emul_fault(e, VEC_NM);
	return GONDOLA_EMUL_OK;
}

static noinline int check_rights(struct gondola_emulator *e)
{
	u32 flags = e->insn->desc->flags;

	if (flags & D_SSE) {
		int r = check_sse(e);

		if (r || !(flags & D_MMX))
			return r;
	}
	if (flags & D_MMX)
		return emul_check_mmx(e);
	if (flags & D_PRIV && e->cpl)
		return emul_gp(e);
	if (flags & D_UMIP && e->cpl && e->ops->get_cr(e, 4) & CR4_UMIP)
		return emul_gp(e);
	return GONDOLA_EMUL_OK;
}

static noinline int read_wide(struct gondola_emulator *e, struct gondola_operand *op)
{
	u64 both[2];
	int r;

	if (e->insn->desc->flags & D_ALIGN && op->la & 15)
		return emul_gp(e);
	if (e->tlb && emul_in_page(op->la, 16)) {
		r = emul_read(e, op->la, &op->value, 8);
		return r ? r : emul_read(e, op->la + 8, &op->value_hi, 8);
	}
	r = e->ops->read(e, op->la, both, sizeof(both), false);
	if (r)
		return r;
	op->value = both[0];
	op->value_hi = both[1];
	return GONDOLA_EMUL_OK;
}

/* Of MMX as well. */
static noinline void load_xmm(struct gondola_emulator *e, struct gondola_operand *op)
{
	u64 both[2];

	if (op->kind == GONDOLA_OPERAND_MMX) {
		op->value = emul_read_mmx(e, op->reg);
		op->value_hi = 0;
		return;
	}
	if (e->fpu) {
		op->value = e->fpu->xmm[op->reg][0];
		op->value_hi = e->fpu->xmm[op->reg][1];
		return;
	}
	e->ops->get_xmm(e, op->reg, both);
	op->value = both[0];
	op->value_hi = both[1];
}

static inline int load(struct gondola_emulator *e, struct gondola_operand *op)
{
	if (op->kind == GONDOLA_OPERAND_MEM) {
		if (unlikely(op->bytes > 8))
			return read_wide(e, op);
		return emul_read(e, op->la, &op->value, op->bytes);
	}
	if (unlikely(op->kind >= GONDOLA_OPERAND_XMM))
		load_xmm(e, op);
	return GONDOLA_EMUL_OK;
}

static inline int load_destination(struct gondola_emulator *e)
{
	struct gondola_operand *dst = &e->dst;

	if (dst->kind == GONDOLA_OPERAND_MEM && e->insn->desc->flags & D_WRITE &&
	    likely(dst->bytes <= 8))
		return emul_read_to_modify(e, dst->la, &dst->value, dst->bytes);
	return load(e, dst);
}

static noinline int write_wide(struct gondola_emulator *e, const struct gondola_operand *op)
{
	u64 both[2];

	if (e->insn->desc->flags & D_ALIGN && op->la & 15)
		return emul_gp(e);
	both[0] = op->value;
	both[1] = op->value_hi;
	return e->ops->write(e, op->la, both, sizeof(both), false);
}

static inline int store_memory(struct gondola_emulator *e)
{
	const struct gondola_operand *op = &e->dst;

	if (likely(op->bytes <= 8))
		return emul_write(e, op->la, op->value, op->bytes);
	return write_wide(e, op);
}

static void store_register(struct gondola_emulator *e, const struct gondola_operand *op)
{
	u64 both[2];

	if (op->kind == GONDOLA_OPERAND_REG) {
		if (unlikely(op->high))
			e->regs->gpr[op->reg] = (e->regs->gpr[op->reg] & ~0xff00ull) |
						(op->value & 0xff) << 8;
		else
			emul_write_gpr(e, op->reg, op->bytes, op->value);
	} else if (op->kind == GONDOLA_OPERAND_MMX) {
		emul_write_mmx(e, op->reg, op->value);
	} else if (op->kind == GONDOLA_OPERAND_XMM && e->fpu) {
		e->fpu->xmm[op->reg][0] = op->value;
		e->fpu->xmm[op->reg][1] = op->value_hi;
	} else if (op->kind == GONDOLA_OPERAND_XMM) {
		both[0] = op->value;
		both[1] = op->value_hi;
		e->ops->set_xmm(e, op->reg, both);
	}
}

/* Read, compute, exchange if nobody wrote in between. */
static int run_locked(struct gondola_emulator *e)
{
	const struct gondola_insn_desc *d = e->insn->desc;
	const u64 src = e->src.value, src2 = e->src2.value;
	unsigned int tries;

	for (tries = 0; tries < MAX_LOCK_TRIES; tries++) {
		const u64 expected = e->dst.value;
		u64 old = expected;
		int r;

		e->src.value = src;
		e->src2.value = src2;
		e->rflags = e->regs->rflags & ~RFL_RF;
		e->writeback = d->flags;
		r = d->run(e);
		if (r)
			return r;
		r = emul_exchange(e, e->dst.la, &old, &e->dst.value, e->dst.bytes);
		if (r)
			return r;
		if (old == expected) {
			e->writeback &= ~D_WRITE;
			return GONDOLA_EMUL_OK;
		}
		e->dst.value = old;
	}
	return GONDOLA_EMUL_RETRY;
}

static int execute(struct gondola_emulator *e)
{
	const struct gondola_insn_desc *d = e->insn->desc;
	int r;

	if (!(d->flags & D_NOREAD)) {
		r = load(e, &e->src);
		if (r)
			return r;
		if (d->flags & D_READ) {
			r = load_destination(e);
			if (r)
				return r;
		}
	}
	if (unlikely((e->insn->lock || d->flags & D_LOCKED) && d->flags & D_WRITE &&
		     e->dst.kind == GONDOLA_OPERAND_MEM))
		r = run_locked(e);
	else
		r = d->run(e);
	if (r)
		return r;
	if (e->writeback & D_WRITE && e->dst.kind == GONDOLA_OPERAND_MEM)
		return store_memory(e);
	return GONDOLA_EMUL_OK;
}

/* Nothing can fail from here on. */
static void commit(struct gondola_emulator *e)
{
	u32 writeback = e->writeback;

	if (unlikely(writeback & (W_SP | D_WRITE_SRC | D_WRITE_SRC2 | D_MMX))) {
		if (writeback & D_MMX)
			emul_begin_mmx(e);
		if (writeback & W_SP)
			emul_write_gpr(e, R_RSP, e->sp_bytes, e->sp);
		if (writeback & D_WRITE_SRC)
			store_register(e, &e->src);
		if (writeback & D_WRITE_SRC2)
			store_register(e, &e->src2);
	}
	if (writeback & D_WRITE && e->dst.kind != GONDOLA_OPERAND_MEM)
		store_register(e, &e->dst);
	e->regs->rflags = e->rflags;
	e->regs->rip = e->next_rip;
	if (e->ops->set_shadow)
		e->ops->set_shadow(e, e->shadow);
}

int emul_run_any(struct gondola_emulator *e)
{
	const struct gondola_insn *insn = e->insn;
	int r = bind(e);

	if (unlikely(r))
		return r;
	if (insn->lock && unlikely(!(insn->desc->flags & D_LOCK &&
				     e->dst.kind == GONDOLA_OPERAND_MEM)))
		return emul_fault(e, VEC_UD);
	if (unlikely(insn->desc->flags & D_CHECKS)) {
		r = check_rights(e);
		if (r)
			return r;
	}
	e->writeback = insn->desc->flags;
	e->shadow = 0;
	e->rflags = e->regs->rflags & ~RFL_RF;
	e->next_rip = e->regs->rip + insn->len;
	if (unlikely(!emul_long64(e)))
		e->next_rip = (u32)e->next_rip;
	r = execute(e);
	if (likely(!r)) {
		commit(e);
		return GONDOLA_EMUL_OK;
	}
	return emul_failed(r);
}

/* Fetching checks the code segment's limit, but a kept instruction is not fetched. */
static int check_limit(struct gondola_emulator *e)
{
	struct gondola_segment copy;
	u32 limit = emul_segment(e, GONDOLA_CS, &copy)->limit;

	if (e->regs->rip + e->insn->len - 1 > (e->mode == GONDOLA_EMUL_VM86 ? 0xffff : limit))
		return emul_gp(e);
	return GONDOLA_EMUL_OK;
}

int gondola_execute_rare(struct gondola_emulator *e)
{
	if (e->mode == GONDOLA_EMUL_LONG64)
		return emul_run_any(e);		/* RF */
	return check_limit(e) ?: e->insn->run(e);
}

#define OPCODE(map, opcode)	((map) << 8 | (opcode))
#define SHADOW_MOV_SS		2

bool gondola_emulate_trap_due(const struct gondola_emulator *e, u64 rflags, u64 rip,
			      bool branches)
{
	const struct gondola_insn *insn = e->insn;

	if (branches && e->regs->rip == rip + insn->len)
		return false;
	switch (OPCODE(insn->opcode_map, insn->opcode)) {
	case OPCODE(2, 0x05):	/* SYSCALL, SYSRET */
	case OPCODE(2, 0x07):
		return e->regs->rflags & RFL_TF;
	case OPCODE(1, 0xcc):	/* INT3, INT n, INT1; INTO if it does anything */
	case OPCODE(1, 0xcd):
	case OPCODE(1, 0xf1):
		return false;
	case OPCODE(1, 0xce):
		return rflags & RFL_TF && !(rflags & RFL_OF);
	}
	return rflags & RFL_TF && e->shadow != SHADOW_MOV_SS;
}

int gondola_emulate(struct gondola_emulator *e)
{
	int r = gondola_parse(e);

	return likely(!r) ? gondola_execute(e, e->insn) : r;
}
