// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executing a decoded instruction: checks, reads, its handler, writes.  What
 * can fail comes before what cannot, so that a fault leaves all unchanged.
 */
#include "insn.h"

/* How often a LOCKed instruction may lose against others before the guest tries by itself. */
#define MAX_LOCK_TRIES	64

static int check_sse(struct gondola_emulator *e)
{
	u64 cr0 = e->ops->get_cr(e, 0);

	if (cr0 & CR0_EM || !(e->ops->get_cr(e, 4) & CR4_OSFXSR))
		return gondola_fault(e, VEC_UD);
	if (cr0 & CR0_TS)
		return gondola_fault(e, VEC_NM);
	return GONDOLA_EMUL_OK;
}

static noinline int check_rights(struct gondola_emulator *e)
{
	u32 flags = e->desc->flags;

	if (flags & D_SSE)
		return check_sse(e);
	if (flags & D_PRIV && e->cpl)
		return gondola_gp(e);
	if (flags & D_UMIP && e->cpl && e->ops->get_cr(e, 4) & CR4_UMIP)
		return gondola_gp(e);
	return GONDOLA_EMUL_OK;
}

static noinline int read_wide(struct gondola_emulator *e, struct gondola_operand *op)
{
	u64 both[2];
	int r;

	if (e->desc->flags & D_ALIGN && op->la & 15)
		return gondola_gp(e);
	r = e->ops->read(e, op->la, both, sizeof(both), false);
	if (r)
		return r;
	op->value = both[0];
	op->value_hi = both[1];
	return GONDOLA_EMUL_OK;
}

static noinline void load_xmm(struct gondola_emulator *e, struct gondola_operand *op)
{
	u64 both[2];

	e->ops->get_xmm(e, op->reg, both);
	op->value = both[0];
	op->value_hi = both[1];
}

static inline int load(struct gondola_emulator *e, struct gondola_operand *op)
{
	if (op->kind == GONDOLA_OPERAND_MEM) {
		op->value = 0;
		if (unlikely(op->bytes > 8))
			return read_wide(e, op);
		return e->ops->read(e, op->la, &op->value, op->bytes, false);
	}
	if (unlikely(op->kind == GONDOLA_OPERAND_XMM))
		load_xmm(e, op);
	return GONDOLA_EMUL_OK;
}

static noinline int write_wide(struct gondola_emulator *e, const struct gondola_operand *op)
{
	u64 both[2];

	if (e->desc->flags & D_ALIGN && op->la & 15)
		return gondola_gp(e);
	both[0] = op->value;
	both[1] = op->value_hi;
	return e->ops->write(e, op->la, both, sizeof(both), false);
}

static inline int store_memory(struct gondola_emulator *e)
{
	const struct gondola_operand *op = &e->dst;

	if (likely(op->bytes <= 8))
		return e->ops->write(e, op->la, &op->value, op->bytes, false);
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
			gondola_write_gpr(e, op->reg, op->bytes, op->value);
	} else if (op->kind == GONDOLA_OPERAND_XMM) {
		both[0] = op->value;
		both[1] = op->value_hi;
		e->ops->set_xmm(e, op->reg, both);
	}
}

/* Read, compute, exchange if nobody wrote in between. */
static int run_locked(struct gondola_emulator *e)
{
	const struct gondola_insn_desc *d = e->desc;
	const u64 src = e->src.value, src2 = e->src2.value;
	unsigned int tries;

	for (tries = 0; tries < MAX_LOCK_TRIES; tries++) {
		const u64 expected = e->dst.value;
		u64 old = expected;
		int r;

		e->src.value = src;
		e->src2.value = src2;
		e->rflags = e->regs->rflags;
		e->writeback = d->flags;
		r = d->run(e);
		if (r)
			return r;
		r = gondola_exchange(e, e->dst.la, &old, &e->dst.value, e->dst.bytes);
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
	const struct gondola_insn_desc *d = e->desc;
	int r;

	if (!(d->flags & D_NOREAD)) {
		r = load(e, &e->src);
		if (r)
			return r;
		if (d->flags & D_READ) {
			r = load(e, &e->dst);
			if (r)
				return r;
		}
	}
	if (unlikely((e->lock || d->flags & D_LOCKED) && d->flags & D_WRITE &&
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

/* Nothing fails from here on. */
static void commit(struct gondola_emulator *e)
{
	u32 writeback = e->writeback;

	if (unlikely(writeback & (W_SP | D_WRITE_SRC | D_WRITE_SRC2))) {
		if (writeback & W_SP)
			gondola_write_gpr(e, R_RSP, e->sp_bytes, e->sp);
		if (writeback & D_WRITE_SRC)
			store_register(e, &e->src);
		if (writeback & D_WRITE_SRC2)
			store_register(e, &e->src2);
	}
	if (writeback & D_WRITE && e->dst.kind != GONDOLA_OPERAND_MEM)
		store_register(e, &e->dst);
	e->regs->rflags = e->rflags & ~RFL_RF;
	e->regs->rip = e->next_rip;
	if (e->ops->set_shadow)
		e->ops->set_shadow(e, e->shadow);
}

int gondola_emulate(struct gondola_emulator *e)
{
	int r = gondola_decode(e);

	if (unlikely(r))
		return r;
	if (e->lock && unlikely(!(e->desc->flags & D_LOCK && e->dst.kind == GONDOLA_OPERAND_MEM)))
		return gondola_fault(e, VEC_UD);
	if (unlikely(e->desc->flags & D_CHECKS)) {
		r = check_rights(e);
		if (r)
			return r;
	}
	e->writeback = e->desc->flags;
	e->shadow = 0;
	e->rflags = e->regs->rflags;
	e->next_rip = e->regs->rip + e->insn_len;
	if (unlikely(!gondola_long64(e)))
		e->next_rip = (u32)e->next_rip;
	r = execute(e);
	if (likely(!r))
		commit(e);
	return r;
}
