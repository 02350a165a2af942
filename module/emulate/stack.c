// SPDX-License-Identifier: GPL-2.0-only
/* The stack, and transfers of control within a code segment. */
#include "insn.h"

unsigned int emul_stack_bytes(struct gondola_emulator *e)
{
	struct gondola_segment copy;

	if (emul_long64(e))
		return 8;
	if (e->mode == GONDOLA_EMUL_VM86)
		return 2;
	return emul_segment(e, GONDOLA_SS, &copy)->ar & GONDOLA_AR_DB ? 4 : 2;
}

int emul_stack_read(struct gondola_emulator *e, u64 sp, u64 *value, unsigned int bytes)
{
	gva_t la;
	int r;

	r = emul_linear(e, GONDOLA_SS, sp, bytes, false, &la);
	if (r)
		return r;
	return emul_read(e, la, value, bytes);
}

int emul_stack_write(struct gondola_emulator *e, u64 sp, u64 value, unsigned int bytes)
{
	gva_t la;
	int r;

	r = emul_linear(e, GONDOLA_SS, sp, bytes, true, &la);
	if (r)
		return r;
	return emul_write(e, la, value, bytes);
}

/* Note the new stack pointer, @from + @add; it is written when the instruction completes. */
static void set_sp(struct gondola_emulator *e, u64 from, s64 add)
{
	e->sp_bytes = emul_stack_bytes(e);
	e->sp = (from + add) & emul_mask(e->sp_bytes);
	e->writeback |= W_SP;
}

static int push(struct gondola_emulator *e, u64 value)
{
	set_sp(e, e->regs->gpr[R_RSP], -(s64)e->insn->op_bytes);
	return emul_stack_write(e, e->sp, value, e->insn->op_bytes);
}

/* Read the top of the stack, and release it and @more bytes. */
static int pop(struct gondola_emulator *e, u64 *value, unsigned int more)
{
	u64 sp = e->regs->gpr[R_RSP];

	set_sp(e, sp, e->insn->op_bytes + more);
	return emul_stack_read(e, sp & emul_mask(e->sp_bytes), value, e->insn->op_bytes);
}

int emul_op_push(struct gondola_emulator *e)
{
	return push(e, e->src.value);
}

int emul_op_pop(struct gondola_emulator *e)
{
	return pop(e, &e->dst.value, 0);
}

int emul_op_push_seg(struct gondola_emulator *e)
{
	struct gondola_segment s;

	e->ops->get_segment(e, e->insn->desc->arg, &s);
	return push(e, s.selector);
}

int emul_op_pop_seg(struct gondola_emulator *e)
{
	u64 selector;
	int r;

	r = pop(e, &selector, 0);
	if (r)
		return r;
	if (e->insn->desc->arg == GONDOLA_SS)
		e->shadow = 2;
	return emul_load_segment(e, e->insn->desc->arg, selector);
}

/* The eight registers are one access; DI has the lowest address. */
int emul_op_pusha(struct gondola_emulator *e)
{
	const unsigned int bytes = e->insn->op_bytes;
	u8 frame[8 * 4];
	unsigned int i;
	gva_t la;
	int r;

	for (i = 0; i < 8; i++)
		memcpy(frame + i * bytes, &e->regs->gpr[7 - i], bytes);
	set_sp(e, e->regs->gpr[R_RSP], -8 * (s64)bytes);
	r = emul_linear(e, GONDOLA_SS, e->sp, 8 * bytes, true, &la);
	return r ? r : e->ops->write(e, la, frame, 8 * bytes, false);
}

int emul_op_popa(struct gondola_emulator *e)
{
	const unsigned int bytes = e->insn->op_bytes;
	u8 frame[8 * 4];
	unsigned int i;
	gva_t la;
	u64 sp;
	int r;

	set_sp(e, e->regs->gpr[R_RSP], 8 * bytes);
	sp = e->regs->gpr[R_RSP] & emul_mask(e->sp_bytes);
	r = emul_linear(e, GONDOLA_SS, sp, 8 * bytes, false, &la);
	if (r)
		return r;
	r = e->ops->read(e, la, frame, 8 * bytes, false);
	if (r)
		return r;
	for (i = 0; i < 8; i++) {
		u64 value = 0;

		memcpy(&value, frame + i * bytes, bytes);
		if (7 - i != R_RSP)
			emul_write_gpr(e, 7 - i, bytes, value);
	}
	return GONDOLA_EMUL_OK;
}

static unsigned int iopl(const struct gondola_emulator *e)
{
	return (e->regs->rflags & RFL_IOPL) >> 12;
}

/* A program in virtual-8086 mode may not see or set IF; 16 bits have VIF instead, if there is one. */
static bool flags_are_virtual(const struct gondola_emulator *e)
{
	return e->mode == GONDOLA_EMUL_VM86 && iopl(e) < 3;
}

static bool has_virtual_flags(struct gondola_emulator *e)
{
	return e->insn->op_bytes == 2 && emul_has_vif(e);
}

int emul_op_pushf(struct gondola_emulator *e)
{
	if (!flags_are_virtual(e))
		return push(e, e->rflags & ~(RFL_VM | RFL_RF));
	return has_virtual_flags(e) ? push(e, emul_flags_with_vif(e)) : emul_gp(e);
}

int emul_op_popf(struct gondola_emulator *e)
{
	u64 change = RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_TF | RFL_DF | RFL_OF |
		     RFL_NT | RFL_AC | RFL_ID;
	u64 value;
	int r;

	if (flags_are_virtual(e) && !has_virtual_flags(e))
		return emul_gp(e);
	r = pop(e, &value, 0);
	if (!r && flags_are_virtual(e))
		r = emul_set_vif(e, value);
	if (r)
		return r;
	if (e->cpl == 0)
		change |= RFL_IOPL;
	if (e->cpl <= iopl(e))
		change |= RFL_IF;
	change &= emul_mask(e->insn->op_bytes);
	e->rflags = (e->rflags & ~change) | (value & change);
	return GONDOLA_EMUL_OK;
}

/* Push the frame pointers of the @level - 1 outer frames of a nested procedure. */
static int copy_frames(struct gondola_emulator *e, unsigned int level, u64 frame, u64 *sp)
{
	const unsigned int bytes = e->insn->op_bytes;
	u64 from = e->regs->gpr[R_RBP], value;
	unsigned int i;
	int r;

	for (i = 1; i < level; i++) {
		from = (from - bytes) & emul_mask(e->sp_bytes);
		r = emul_stack_read(e, from, &value, bytes);
		if (r)
			return r;
		*sp = (*sp - bytes) & emul_mask(e->sp_bytes);
		r = emul_stack_write(e, *sp, value, bytes);
		if (r)
			return r;
	}
	*sp = (*sp - bytes) & emul_mask(e->sp_bytes);
	return emul_stack_write(e, *sp, frame, bytes);
}

int emul_op_enter(struct gondola_emulator *e)
{
	unsigned int level = e->src.value & 31;
	u64 frame;
	int r;

	r = push(e, emul_read_gpr(e, R_RBP, e->insn->op_bytes));
	if (r)
		return r;
	frame = e->sp;
	if (level) {
		r = copy_frames(e, level, frame, &e->sp);
		if (r)
			return r;
	}
	set_sp(e, e->sp, -(s64)e->dst.value);
	emul_write_gpr(e, R_RBP, e->insn->op_bytes, frame);
	return GONDOLA_EMUL_OK;
}

int emul_op_leave(struct gondola_emulator *e)
{
	u64 frame = e->regs->gpr[R_RBP], value;
	int r;

	set_sp(e, frame, e->insn->op_bytes);
	r = emul_stack_read(e, frame & emul_mask(e->sp_bytes), &value, e->insn->op_bytes);
	if (r)
		return r;
	emul_write_gpr(e, R_RBP, e->insn->op_bytes, value);
	return GONDOLA_EMUL_OK;
}

int emul_branch(struct gondola_emulator *e, u64 target)
{
	target &= emul_mask(e->insn->op_bytes);
	if (emul_long64(e)) {
		if (!emul_canonical(target))
			return emul_gp(e);
	} else {
		struct gondola_segment copy;
		u32 limit = emul_segment(e, GONDOLA_CS, &copy)->limit;

		if (target > (e->mode == GONDOLA_EMUL_VM86 ? 0xffff : limit))
			return emul_gp(e);
	}
	e->next_rip = target;
	return GONDOLA_EMUL_OK;
}

int emul_op_jmp(struct gondola_emulator *e)
{
	return emul_branch(e, e->next_rip + e->src.value);
}

int emul_op_jmp_abs(struct gondola_emulator *e)
{
	return emul_branch(e, e->src.value);
}

int emul_op_jcc(struct gondola_emulator *e)
{
	return emul_condition(e) ? emul_op_jmp(e) : GONDOLA_EMUL_OK;
}

int emul_op_jcxz(struct gondola_emulator *e)
{
	return emul_read_gpr(e, R_RCX, e->insn->addr_bytes) ? GONDOLA_EMUL_OK : emul_op_jmp(e);
}

/* LOOPNE, LOOPE, LOOP: e0, e1, e2 */
int emul_op_loop(struct gondola_emulator *e)
{
	u64 left = (e->regs->gpr[R_RCX] - 1) & emul_mask(e->insn->addr_bytes);
	u8 opcode = e->insn->opcode;
	bool again = left && (opcode == 0xe2 || !(e->rflags & RFL_ZF) == (opcode == 0xe0));

	if (again) {
		int r = emul_op_jmp(e);

		if (r)
			return r;
	}
	emul_add_gpr(e, R_RCX, -1);
	return GONDOLA_EMUL_OK;
}

static int call(struct gondola_emulator *e, u64 target)
{
	u64 from = e->next_rip;
	int r = emul_branch(e, target);

	return r ? r : push(e, from);
}

int emul_op_call(struct gondola_emulator *e)
{
	return call(e, e->next_rip + e->src.value);
}

int emul_op_call_abs(struct gondola_emulator *e)
{
	return call(e, e->src.value);
}

/* The immediate is the number of bytes of arguments to release. */
int emul_op_ret(struct gondola_emulator *e)
{
	unsigned int more = e->src.kind == GONDOLA_OPERAND_IMM ? e->src.value : 0;
	u64 target;
	int r;

	r = pop(e, &target, more);
	return r ? r : emul_branch(e, target);
}
