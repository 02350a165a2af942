// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers to another code segment: jumps and calls within a privilege level, through
 * a gate or to another task, returns to the same level, to an outer one, or to the task
 * before.
 */
#include "insn.h"

#define REAL_LIMIT	0xffffu
/* Access rights in virtual-8086 mode: writable data, DPL 3. */
#define AR_VM86		0xf3u

struct far_pointer {
	u64 offset;
	u16 selector;
};

/* Find and check the code segment @s that @selector names.  Changes nothing. */
static int find_target(struct gondola_emulator *e, const struct far_pointer *to,
		       struct gondola_segment *s)
{
	int r;

	if (!emul_protected(e)) {
		e->ops->get_segment(e, GONDOLA_CS, s);
		s->selector = to->selector;
		s->base = (u32)to->selector << 4;
		return to->offset > REAL_LIMIT ? emul_gp(e) : GONDOLA_EMUL_OK;
	}
	r = emul_code_segment(e, to->selector, s);
	if (r)
		return r;
	if (s->ar & GONDOLA_AR_L)
		return emul_canonical(to->offset) ? GONDOLA_EMUL_OK : emul_gp(e);
	return to->offset > s->limit ? emul_gp(e) : GONDOLA_EMUL_OK;
}

/* Nothing can fail from here on. */
static void go(struct gondola_emulator *e, const struct far_pointer *to,
	       const struct gondola_segment *s)
{
	e->ops->set_segment(e, GONDOLA_CS, s);
	e->next_rip = to->offset;
}

/* Types of system descriptors. */
#define TYPE_TSS16	1u
#define TYPE_CALL16	4u
#define TYPE_TASK_GATE	5u
#define TYPE_TSS	9u
#define TYPE_CALL	12u

/* Jump to the gate or TSS @s, or call it. */
static int go_by_system_descriptor(struct gondola_emulator *e, const struct gondola_segment *s,
				   enum emul_task_way way)
{
	const u32 error = s->selector & ~3u;
	unsigned int type = s->ar & GONDOLA_AR_TYPE;
	unsigned int dpl = (s->ar & GONDOLA_AR_DPL) >> GONDOLA_AR_DPL_SHIFT;
	u16 tss = s->selector;
	bool wide, gate;
	int r = emul_long_mode_active(e, &wide);

	if (r)
		return r;
	gate = type == TYPE_CALL || (type == TYPE_CALL16 && !wide);
	if (!gate && (wide || (type != TYPE_TSS && type != TYPE_TSS16 && type != TYPE_TASK_GATE)))
		return emul_fault_code(e, VEC_GP, error);
	if (dpl < e->cpl || dpl < (s->selector & 3u))
		return emul_fault_code(e, VEC_GP, error);
	if (!(s->ar & GONDOLA_AR_P))
		return emul_fault_code(e, VEC_NP, error);
	if (gate)
		return emul_call_gate(e, s->selector, way == EMUL_TASK_NEST);
	if (type == TYPE_TASK_GATE)
		tss = s->base;
	return emul_switch_task(e, tss, way, e->next_rip, e->rflags, NULL, 0);
}

static int jump(struct gondola_emulator *e, const struct far_pointer *to)
{
	struct gondola_segment s;
	int r = find_target(e, to, &s);

	if (r == GONDOLA_EMUL_UNKNOWN)
		return go_by_system_descriptor(e, &s, EMUL_TASK_JUMP);
	if (!r)
		go(e, to, &s);
	return r;
}

/* Push @n values of @bytes each, the last one to the lowest address. */
static int push(struct gondola_emulator *e, const u64 *values, unsigned int n,
		unsigned int bytes)
{
	u8 frame[3 * 8];
	unsigned int i;
	gva_t la;
	int r;

	for (i = 0; i < n; i++)
		memcpy(frame + i * bytes, &values[n - 1 - i], bytes);
	e->sp_bytes = emul_stack_bytes(e);
	e->sp = (e->regs->gpr[R_RSP] - n * bytes) & emul_mask(e->sp_bytes);
	r = emul_linear(e, GONDOLA_SS, e->sp, n * bytes, true, &la);
	if (!r)
		r = e->ops->write(e, la, frame, n * bytes, false);
	if (!r)
		e->writeback |= W_SP;
	return r;
}

/* Pop @n values, and release @more bytes. */
static int pop(struct gondola_emulator *e, u64 *values, unsigned int n, unsigned int more)
{
	u64 sp = e->regs->gpr[R_RSP];
	u8 frame[9 * 8];
	unsigned int i;
	gva_t la;
	int r;

	e->sp_bytes = emul_stack_bytes(e);
	r = emul_linear(e, GONDOLA_SS, sp & emul_mask(e->sp_bytes), n * e->insn->op_bytes, false,
			&la);
	if (!r)
		r = e->ops->read(e, la, frame, n * e->insn->op_bytes, false);
	if (r)
		return r;
	for (i = 0; i < n; i++) {
		values[i] = 0;
		memcpy(&values[i], frame + i * e->insn->op_bytes, e->insn->op_bytes);
	}
	e->sp = (sp + n * e->insn->op_bytes + more) & emul_mask(e->sp_bytes);
	e->writeback |= W_SP;
	return GONDOLA_EMUL_OK;
}

static int call(struct gondola_emulator *e, const struct far_pointer *to)
{
	const u64 from[] = { emul_selector(e, GONDOLA_CS), e->next_rip };
	struct gondola_segment s;
	int r = find_target(e, to, &s);

	if (r == GONDOLA_EMUL_UNKNOWN)
		return go_by_system_descriptor(e, &s, EMUL_TASK_NEST);
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
	r = emul_linear(e, e->insn->seg, e->ea, e->insn->op_bytes + 2, false, &la);
	if (!r)
		r = e->ops->read(e, la, &to->offset, e->insn->op_bytes, false);
	if (!r)
		r = e->ops->read(e, la + e->insn->op_bytes, &to->selector, 2, false);
	return r;
}

static struct far_pointer from_insn(const struct gondola_emulator *e)
{
	return (struct far_pointer){
		.offset = e->src.value & emul_mask(e->insn->op_bytes), .selector = e->src.value_hi,
	};
}

int emul_op_jmp_far(struct gondola_emulator *e)
{
	const struct far_pointer to = from_insn(e);

	return jump(e, &to);
}

int emul_op_jmp_far_mem(struct gondola_emulator *e)
{
	struct far_pointer to;
	int r = from_memory(e, &to);

	return r ? r : jump(e, &to);
}

int emul_op_call_far(struct gondola_emulator *e)
{
	const struct far_pointer to = from_insn(e);

	return call(e, &to);
}

int emul_op_call_far_mem(struct gondola_emulator *e)
{
	struct far_pointer to;
	int r = from_memory(e, &to);

	return r ? r : call(e, &to);
}

/**
 * struct way_back - the target of a far return or IRET
 * @to: offset in @cs
 * @cs: the code segment
 * @outer: the privilege level changes, or @cs has 64 bits: SS and SP were popped as well
 * @sp: stack pointer
 * @ss: its segment
 */
struct way_back {
	struct far_pointer to;
	struct gondola_segment cs;
	bool outer;
	u64 sp;
	u16 ss;
};

/* Check what was popped, then load the code segment and, with @outer, the stack. */
static int go_back(struct gondola_emulator *e, struct way_back *back)
{
	const unsigned int cpl = back->to.selector & 3;
	const bool to64 = back->cs.ar & GONDOLA_AR_L;
	struct gondola_segment ss;
	int r;

	if (to64 ? !emul_canonical(back->to.offset) : back->to.offset > back->cs.limit)
		return emul_gp(e);
	if (back->outer) {
		if (!(back->ss & ~3u) && to64 && cpl != 3 && (back->ss & 3) == cpl) {
			emul_null_stack(e, back->ss, cpl);
			e->sp_bytes = 8;
		} else {
			r = emul_stack_segment(e, back->ss, cpl, VEC_GP, 0, &ss);
			if (r)
				return r;
			e->ops->set_segment(e, GONDOLA_SS, &ss);
			e->sp_bytes = to64 ? 8 : ss.ar & GONDOLA_AR_DB ? 4 : 2;
		}
		e->sp = back->sp & emul_mask(e->sp_bytes);
		e->writeback |= W_SP;
	}
	if (cpl > e->cpl)
		emul_drop_inner_segments(e, cpl);
	go(e, &back->to, &back->cs);
	return GONDOLA_EMUL_OK;
}

/* The immediate is the number of bytes of arguments, which both stacks release. */
int emul_op_ret_far(struct gondola_emulator *e)
{
	unsigned int more = e->src.kind == GONDOLA_OPERAND_IMM ? e->src.value : 0;
	unsigned int bytes = e->insn->op_bytes;
	struct way_back back = { 0 };
	u64 values[2];
	gva_t la;
	int r;

	r = pop(e, values, 2, more);
	if (r)
		return r;
	back.to.offset = values[0];
	back.to.selector = values[1];
	if (!emul_protected(e))
		return jump(e, &back.to);
	r = emul_return_segment(e, back.to.selector, &back.cs);
	if (r)
		return r;
	back.outer = (back.to.selector & 3) != e->cpl;
	if (back.outer) {
		/* e->sp points at the outer stack pointer. */
		r = emul_linear(e, GONDOLA_SS, e->sp, 2 * bytes, false, &la);
		if (!r)
			r = e->ops->read(e, la, &back.sp, bytes, false);
		if (!r)
			r = e->ops->read(e, la + bytes, &back.ss, 2, false);
		if (r)
			return r;
		back.sp += more;
	}
	return go_back(e, &back);
}

#define IRET_FLAGS	(RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_TF | RFL_DF | RFL_OF | \
			 RFL_NT | RFL_RF | RFL_AC | RFL_ID)

static void restore_flags(struct gondola_emulator *e, u64 value)
{
	unsigned int iopl = (e->rflags & RFL_IOPL) >> 12;
	u64 change = IRET_FLAGS;

	if (e->cpl <= iopl)
		change |= RFL_IF;
	if (e->cpl == 0)
		change |= RFL_IOPL | RFL_VIF | RFL_VIP;
	change &= emul_mask(e->insn->op_bytes);
	e->rflags = (e->rflags & ~change) | (value & change);
}

static int iret_real(struct gondola_emulator *e)
{
	bool virtual = e->mode == GONDOLA_EMUL_VM86 && (e->rflags & RFL_IOPL) != RFL_IOPL;
	struct far_pointer to;
	u64 values[3];
	int r;

	if (virtual && (e->insn->op_bytes != 2 || !emul_has_vif(e)))
		return emul_gp(e);
	r = pop(e, values, 3, 0);
	if (!r && virtual)
		r = emul_set_vif(e, values[2]);
	if (r)
		return r;
	to.offset = values[0];
	to.selector = values[1];
	r = jump(e, &to);
	if (!r)
		restore_flags(e, values[2]);
	return r;
}

/* Pops nine words: EIP, CS, EFLAGS, ESP, SS, ES, DS, FS, GS. */
static int iret_to_vm86(struct gondola_emulator *e)
{
	static const enum gondola_seg segs[] = { GONDOLA_SS, GONDOLA_ES, GONDOLA_DS, GONDOLA_FS,
						 GONDOLA_GS };
	u64 values[9];
	unsigned int i;
	int r;

	r = pop(e, values, 9, 0);
	if (r)
		return r;
	if (values[0] > REAL_LIMIT)
		return emul_gp(e);
	emul_load_real(e, GONDOLA_CS, values[1], AR_VM86);
	for (i = 0; i < 5; i++)
		emul_load_real(e, segs[i], values[4 + i], AR_VM86);
	restore_flags(e, values[2]);
	e->rflags |= RFL_VM;
	e->sp = values[3];
	e->sp_bytes = 4;
	e->next_rip = values[0];
	return GONDOLA_EMUL_OK;
}

/* IRET in 64-bit mode always pops SS and RSP. */
static int iret_protected(struct gondola_emulator *e)
{
	const bool long64 = emul_long64(e);
	struct way_back back = { 0 };
	u64 values[5];
	bool wide;
	int r;

	r = emul_long_mode_active(e, &wide);
	if (r)
		return r;
	if (e->rflags & RFL_NT)
		return wide ? emul_gp(e) : emul_switch_task(e, 0, EMUL_TASK_RETURN, e->next_rip,
							    e->rflags & ~RFL_NT, NULL, 0);
	r = pop(e, values, long64 ? 5 : 3, 0);
	if (r)
		return r;
	if (values[2] & RFL_VM && e->cpl == 0 && e->insn->op_bytes == 4 && !long64)
		return iret_to_vm86(e);
	back.to.offset = values[0];
	back.to.selector = values[1];
	r = emul_return_segment(e, back.to.selector, &back.cs);
	if (r)
		return r;
	back.outer = long64 || (back.to.selector & 3) != e->cpl;
	if (back.outer && !long64) {
		r = pop(e, values, 5, 0);
		if (r)
			return r;
	}
	if (back.outer) {
		back.sp = values[3];
		back.ss = values[4];
	}
	r = go_back(e, &back);
	if (!r)
		restore_flags(e, values[2]);
	return r;
}

int emul_op_iret(struct gondola_emulator *e)
{
	int r = emul_protected(e) ? iret_protected(e) : iret_real(e);

	if (!r && e->ops->iret)
		e->ops->iret(e);
	return r;
}
