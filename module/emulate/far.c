// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers to another code segment.  Real mode has them all; in protected mode
 * there are jumps, calls and returns within a privilege level: what start-up
 * code does on its way up.  Gates, task switches and changes of privilege are
 * not implemented.
 */
#include "insn.h"

#define REAL_LIMIT	0xffffu
#define VECTOR_BYTES	4u

struct far_pointer {
	u64 offset;
	u16 selector;
};

/* @s is the segment that @selector names, checked; nothing has changed yet. */
static int find_target(struct gondola_emulator *e, const struct far_pointer *to,
		       struct gondola_segment *s)
{
	int r;

	if (!gondola_protected(e)) {
		e->ops->get_segment(e, GONDOLA_CS, s);
		s->selector = to->selector;
		s->base = (u32)to->selector << 4;
		return to->offset > REAL_LIMIT ? gondola_gp(e) : GONDOLA_EMUL_OK;
	}
	r = gondola_code_segment(e, to->selector, s);
	if (r)
		return r;
	if (s->ar & GONDOLA_AR_L)
		return gondola_canonical(to->offset) ? GONDOLA_EMUL_OK : gondola_gp(e);
	return to->offset > s->limit ? gondola_gp(e) : GONDOLA_EMUL_OK;
}

/* Nothing fails any more. */
static void go(struct gondola_emulator *e, const struct far_pointer *to,
	       const struct gondola_segment *s)
{
	e->ops->set_segment(e, GONDOLA_CS, s);
	e->next_rip = to->offset;
}

static int jump(struct gondola_emulator *e, const struct far_pointer *to)
{
	struct gondola_segment s;
	int r = find_target(e, to, &s);

	if (!r)
		go(e, to, &s);
	return r;
}

/* @n values, the last one lowest, each of @bytes. */
static int push(struct gondola_emulator *e, const u64 *values, unsigned int n,
		unsigned int bytes)
{
	u8 frame[3 * 8];
	unsigned int i;
	gva_t la;
	int r;

	for (i = 0; i < n; i++)
		memcpy(frame + i * bytes, &values[n - 1 - i], bytes);
	e->sp_bytes = gondola_stack_bytes(e);
	e->sp = (e->regs->gpr[R_RSP] - n * bytes) & gondola_mask(e->sp_bytes);
	r = gondola_linear(e, GONDOLA_SS, e->sp, n * bytes, true, &la);
	if (!r)
		r = e->ops->write(e, la, frame, n * bytes, false);
	if (!r)
		e->writeback |= W_SP;
	return r;
}

/* The reverse, and @more bytes. */
static int pop(struct gondola_emulator *e, u64 *values, unsigned int n, unsigned int more)
{
	u64 sp = e->regs->gpr[R_RSP];
	u8 frame[3 * 8];
	unsigned int i;
	gva_t la;
	int r;

	e->sp_bytes = gondola_stack_bytes(e);
	r = gondola_linear(e, GONDOLA_SS, sp & gondola_mask(e->sp_bytes), n * e->insn->op_bytes, false,
			   &la);
	if (!r)
		r = e->ops->read(e, la, frame, n * e->insn->op_bytes, false);
	if (r)
		return r;
	for (i = 0; i < n; i++) {
		values[i] = 0;
		memcpy(&values[i], frame + i * e->insn->op_bytes, e->insn->op_bytes);
	}
	e->sp = (sp + n * e->insn->op_bytes + more) & gondola_mask(e->sp_bytes);
	e->writeback |= W_SP;
	return GONDOLA_EMUL_OK;
}

static u64 here(struct gondola_emulator *e)
{
	struct gondola_segment cs;

	e->ops->get_segment(e, GONDOLA_CS, &cs);
	return cs.selector;
}

static int call(struct gondola_emulator *e, const struct far_pointer *to)
{
	const u64 from[] = { here(e), e->next_rip };
	struct gondola_segment s;
	int r = find_target(e, to, &s);

	if (!r)
		r = push(e, from, 2, e->insn->op_bytes);
	if (!r)
		go(e, to, &s);
	return r;
}

static int from_memory(struct gondola_emulator *e, struct far_pointer *to)
{
	gva_t la;
	int r;

	to->offset = 0;
	r = gondola_linear(e, e->insn->seg, e->ea, e->insn->op_bytes + 2, false, &la);
	if (!r)
		r = e->ops->read(e, la, &to->offset, e->insn->op_bytes, false);
	if (!r)
		r = e->ops->read(e, la + e->insn->op_bytes, &to->selector, 2, false);
	return r;
}

static struct far_pointer from_insn(const struct gondola_emulator *e)
{
	return (struct far_pointer){
		.offset = e->src.value & gondola_mask(e->insn->op_bytes), .selector = e->src.value_hi,
	};
}

int gondola_op_jmp_far(struct gondola_emulator *e)
{
	const struct far_pointer to = from_insn(e);

	return jump(e, &to);
}

int gondola_op_jmp_far_mem(struct gondola_emulator *e)
{
	struct far_pointer to;
	int r = from_memory(e, &to);

	return r ? r : jump(e, &to);
}

int gondola_op_call_far(struct gondola_emulator *e)
{
	const struct far_pointer to = from_insn(e);

	return call(e, &to);
}

int gondola_op_call_far_mem(struct gondola_emulator *e)
{
	struct far_pointer to;
	int r = from_memory(e, &to);

	return r ? r : call(e, &to);
}

/* With an immediate: that many bytes of arguments go too. */
int gondola_op_ret_far(struct gondola_emulator *e)
{
	unsigned int more = e->src.kind == GONDOLA_OPERAND_IMM ? e->src.value : 0;
	struct far_pointer to;
	u64 values[2];
	int r;

	r = pop(e, values, 2, more);
	if (r)
		return r;
	to.offset = values[0];
	to.selector = values[1];
	if (gondola_protected(e) && (to.selector & 3) != e->cpl)
		return GONDOLA_EMUL_UNKNOWN;
	return jump(e, &to);
}

int gondola_op_iret(struct gondola_emulator *e)
{
	const u64 change = (RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_TF | RFL_IF | RFL_DF |
			    RFL_OF | RFL_IOPL | RFL_NT | RFL_AC | RFL_ID) &
			   gondola_mask(e->insn->op_bytes);
	struct far_pointer to;
	u64 values[3];
	int r;

	if (e->mode != GONDOLA_EMUL_REAL)
		return GONDOLA_EMUL_UNKNOWN;
	r = pop(e, values, 3, 0);
	if (r)
		return r;
	to.offset = values[0];
	to.selector = values[1];
	r = jump(e, &to);
	if (!r)
		e->rflags = (e->rflags & ~change) | (values[2] & change);
	return r;
}

/* Through the interrupt vector table; its frame has 16 bits whatever the operand size. */
static int interrupt(struct gondola_emulator *e, u8 vector)
{
	const u64 frame[] = { e->rflags, here(e), e->next_rip };
	struct gondola_dtable idt;
	struct far_pointer to;
	struct gondola_segment s;
	u16 entry[2];
	int r;

	if (e->mode != GONDOLA_EMUL_REAL)
		return GONDOLA_EMUL_UNKNOWN;
	e->ops->get_dtable(e, true, &idt);
	if (vector * VECTOR_BYTES + VECTOR_BYTES - 1 > idt.limit)
		return gondola_gp(e);
	r = e->ops->read(e, idt.base + vector * VECTOR_BYTES, entry, sizeof(entry), true);
	if (r)
		return r;
	to.offset = entry[0];
	to.selector = entry[1];
	r = find_target(e, &to, &s);
	if (!r)
		r = push(e, frame, 3, 2);
	if (r)
		return r;
	go(e, &to, &s);
	e->rflags &= ~(RFL_IF | RFL_TF | RFL_AC);
	return GONDOLA_EMUL_OK;
}

int gondola_op_int(struct gondola_emulator *e)
{
	return interrupt(e, e->src.value);
}

int gondola_op_int3(struct gondola_emulator *e)
{
	return interrupt(e, VEC_BP);
}
