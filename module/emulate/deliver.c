// SPDX-License-Identifier: GPL-2.0-only
/*
 * Enter the handler of an interrupt or exception: "Interrupt and Exception
 * Handling" in the manual, and for 64 bits "Exception and Interrupt Handling in
 * 64-bit Mode".  Calls through gates find their stack in the same way.
 */
#include "insn.h"

/* Bits of an error code: the event came from outside of the program; the index is one of the IDT. */
#define EXT		1u
#define IN_IDT		2u

/* Types of gates; bit 3: of 32 (64) bits. */
#define GATE_TASK	5u
#define GATE_INTERRUPT	6u
#define GATE_TRAP	7u
#define GATE_WIDE	8u
#define TYPE_MASK	0x1fu		/* with the S bit, which is clear in a gate */

/* Stack pointers in a TSS. */
#define TSS64_RSP	4u
#define TSS64_IST	36u
#define TSS32_ESP	4u
#define TSS16_SP	2u
#define TSS_WIDE	8u		/* in its type */

#define REAL_VECTOR_BYTES	4u
#define REAL_LIMIT		0xffffu
/* A call with all of the parameters that a gate can have, and the two pointers. */
#define MAX_PARAMETERS		31u
#define MAX_FRAME		(MAX_PARAMETERS + 4)

/**
 * struct delivery - the delivery of an event
 * @event: the event
 * @software: an instruction raised it, and needs the gate's privilege
 * @ext: EXT for error codes, or 0 if an instruction raised the event
 * @rip: return address
 * @offset: of the handler, in @cs
 * @cs: the handler's code segment
 * @ss: the handler's stack segment, not in long mode
 * @cpl: the handler's privilege level
 * @inner: the privilege level or the mode changes, so SS and the stack pointer are saved
 * @interrupt: the gate clears IF
 * @task: the gate leads to a task
 * @width: of each word of the frame
 * @ist: number of the stack in the interrupt stack table, or 0
 * @words: the words to push, the first one to the highest address
 * @n: number of @words
 */
struct delivery {
	const struct gondola_event *event;
	bool software;
	u32 ext;
	u64 rip;
	u64 offset;
	struct gondola_segment cs;
	struct gondola_segment ss;
	unsigned int cpl;
	bool inner;
	bool interrupt;
	bool task;
	unsigned int width;
	unsigned int ist;
	u64 words[MAX_FRAME];
	unsigned int n;
};

static void add_word(struct delivery *d, u64 word)
{
	d->words[d->n++] = word;
}

/* ---- real mode ------------------------------------------------------------ */

/* By the vector at @at; the handler gets @flags. */
static int enter_by_vector(struct gondola_emulator *e, struct delivery *d, u32 at, u64 flags)
{
	const u16 frame[] = { d->rip, emul_selector(e, GONDOLA_CS), flags };
	u16 entry[2];
	gva_t la;
	int r;

	r = e->ops->read(e, at, entry, sizeof(entry), true);
	if (r)
		return r;
	e->ops->get_segment(e, GONDOLA_CS, &d->cs);
	d->cs.selector = entry[1];
	d->cs.base = (u32)entry[1] << 4;
	e->sp_bytes = emul_stack_bytes(e);
	e->sp = (e->regs->gpr[R_RSP] - sizeof(frame)) & emul_mask(e->sp_bytes);
	r = emul_linear(e, GONDOLA_SS, e->sp, sizeof(frame), true, &la);
	if (!r)
		r = e->ops->write(e, la, frame, sizeof(frame), false);
	if (r)
		return r;
	e->ops->set_segment(e, GONDOLA_CS, &d->cs);
	e->writeback |= W_SP;
	e->next_rip = entry[0];
	e->rflags &= ~(RFL_TF | RFL_RF);
	return GONDOLA_EMUL_OK;
}

static int deliver_real(struct gondola_emulator *e, struct delivery *d)
{
	u32 at = d->event->vector * REAL_VECTOR_BYTES;
	struct gondola_dtable idt;
	int r;

	e->ops->get_dtable(e, true, &idt);
	if (at + REAL_VECTOR_BYTES - 1 > idt.limit)
		return emul_fault_code(e, VEC_GP, 0);
	r = enter_by_vector(e, d, idt.base + at, e->rflags);
	if (!r)
		e->rflags &= ~(RFL_IF | RFL_AC);
	return r;
}

/* To a handler of the program in virtual-8086 mode, whose vectors begin at 0. */
static int deliver_redirected(struct gondola_emulator *e, u8 vector)
{
	struct delivery d = { .rip = e->regs->rip + e->insn->len };
	bool virtual = emul_has_vif(e);
	int r;

	r = enter_by_vector(e, &d, vector * REAL_VECTOR_BYTES, virtual ? emul_flags_with_vif(e) : e->rflags);
	if (!r)
		e->rflags &= virtual ? ~RFL_VIF : ~RFL_IF;
	return r;
}

/* ---- the gate --------------------------------------------------------------- */

static int gate_fault(struct gondola_emulator *e, const struct delivery *d, u8 vector)
{
	return emul_fault_code(e, vector, d->event->vector * 8u | IN_IDT | d->ext);
}

static int read_gate(struct gondola_emulator *e, struct delivery *d, bool wide, u64 gate[2])
{
	unsigned int bytes = wide ? 16 : 8, type;
	u32 at = d->event->vector * bytes;
	struct gondola_dtable idt;
	int r;

	e->ops->get_dtable(e, true, &idt);
	if (at + bytes - 1 > idt.limit)
		return gate_fault(e, d, VEC_GP);
	r = e->ops->read(e, idt.base + at, gate, bytes, true);
	if (r)
		return r;
	type = gate[0] >> 40 & TYPE_MASK;
	d->task = type == GATE_TASK && !wide;
	if (!d->task && (type & ~GATE_WIDE) != GATE_INTERRUPT && (type & ~GATE_WIDE) != GATE_TRAP)
		return gate_fault(e, d, VEC_GP);
	if (wide && !(type & GATE_WIDE))
		return gate_fault(e, d, VEC_GP);
	if (d->software && (gate[0] >> 45 & 3) < e->cpl)
		return gate_fault(e, d, VEC_GP);
	if (!(gate[0] >> 47 & 1))
		return gate_fault(e, d, VEC_NP);
	d->interrupt = (type & ~GATE_WIDE) == GATE_INTERRUPT;
	d->width = wide ? 8 : type & GATE_WIDE ? 4 : 2;
	d->offset = (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000);
	if (wide) {
		d->offset |= gate[1] << 32;
		d->ist = gate[0] >> 32 & 7;
	} else if (d->width == 2) {
		d->offset &= 0xffff;
	}
	return GONDOLA_EMUL_OK;
}

/* ---- the stack -------------------------------------------------------------- */

/* Read @bytes of the TSS at offset @at. */
static int read_tss(struct gondola_emulator *e, const struct delivery *d, u32 at, void *buf,
		    unsigned int bytes)
{
	struct gondola_segment copy;
	const struct gondola_segment *tss = emul_segment(e, GONDOLA_TR, &copy);

	if (tss->ar & GONDOLA_AR_UNUSABLE || at + bytes - 1 > tss->limit)
		return emul_fault_code(e, VEC_TS, (tss->selector & ~3u) | d->ext);
	return e->ops->read(e, tss->base + at, buf, bytes, true);
}

static int legacy_stack(struct gondola_emulator *e, struct delivery *d)
{
	struct gondola_segment copy;
	bool wide = emul_segment(e, GONDOLA_TR, &copy)->ar & TSS_WIDE;
	u32 words[2] = { 0, 0 };
	u16 narrow[2];
	int r;

	if (wide) {
		r = read_tss(e, d, TSS32_ESP + 8 * d->cpl, words, 6);
	} else {
		r = read_tss(e, d, TSS16_SP + 4 * d->cpl, narrow, 4);
		words[0] = narrow[0];
		words[1] = narrow[1];
	}
	if (r)
		return r;
	e->sp = words[0];
	return emul_stack_segment(e, words[1], d->cpl, VEC_TS, d->ext, &d->ss);
}

/* Find the stack for the frame: set e->sp and d->ss. */
static int find_stack(struct gondola_emulator *e, struct delivery *d, bool wide)
{
	int r = GONDOLA_EMUL_OK;

	e->sp = e->regs->gpr[R_RSP];
	if (wide) {
		if (d->ist)
			r = read_tss(e, d, TSS64_IST + 8 * (d->ist - 1), &e->sp, 8);
		else if (d->inner)
			r = read_tss(e, d, TSS64_RSP + 8 * d->cpl, &e->sp, 8);
		/* Only events align it. */
		if (d->event)
			e->sp &= ~15ull;
		e->sp_bytes = 8;
		return r;
	}
	if (d->inner)
		r = legacy_stack(e, d);
	else
		e->ops->get_segment(e, GONDOLA_SS, &d->ss);
	e->sp_bytes = d->ss.ar & GONDOLA_AR_DB ? 4 : 2;
	e->sp &= emul_mask(e->sp_bytes);
	return r;
}

/* A fault saves RF set, so that an instruction breakpoint does not strike again. */
static u64 saved_flags(const struct gondola_emulator *e, const struct gondola_event *event)
{
	bool fault = event->kind == GONDOLA_EVENT_EXCEPTION && !event->insn_len &&
		     event->vector != VEC_DB && event->vector != VEC_DF;

	return fault ? e->rflags | RFL_RF : e->rflags;
}

static void collect_words(struct gondola_emulator *e, struct delivery *d, bool wide)
{
	const struct gondola_event *event = d->event;

	if (e->mode == GONDOLA_EMUL_VM86) {
		add_word(d, emul_selector(e, GONDOLA_GS));
		add_word(d, emul_selector(e, GONDOLA_FS));
		add_word(d, emul_selector(e, GONDOLA_DS));
		add_word(d, emul_selector(e, GONDOLA_ES));
	}
	if (wide || d->inner) {
		add_word(d, emul_selector(e, GONDOLA_SS));
		add_word(d, e->regs->gpr[R_RSP]);
	}
	add_word(d, saved_flags(e, event));
	add_word(d, emul_selector(e, GONDOLA_CS));
	add_word(d, d->rip);
	if (event->has_error)
		add_word(d, event->error);
}

static int push_frame(struct gondola_emulator *e, struct delivery *d, bool wide)
{
	const unsigned int bytes = d->n * d->width;
	u8 frame[MAX_FRAME * 8];
	unsigned int i;
	gva_t la;

	for (i = 0; i < d->n; i++)
		memcpy(frame + i * d->width, &d->words[d->n - 1 - i], d->width);
	e->sp = (e->sp - bytes) & emul_mask(e->sp_bytes);
	la = wide ? e->sp : (u32)(d->ss.base + e->sp);
	if (wide ? !emul_canonical(la) || !emul_canonical(la + bytes - 1) :
		   !emul_stack_inside(&d->ss, e->sp, bytes))
		return emul_fault_code(e, VEC_SS, (d->inner && !wide ? d->ss.selector & ~3u : 0) |
				       d->ext);
	return e->ops->write(e, la, frame, bytes, d->cpl != 3);
}

/* ---- protected and long mode -------------------------------------------------- */

/* Nothing can fail from here on. */
static void enter_handler(struct gondola_emulator *e, struct delivery *d, bool wide)
{
	if (e->mode == GONDOLA_EMUL_VM86) {
		emul_load_null(e, GONDOLA_ES);
		emul_load_null(e, GONDOLA_DS);
		emul_load_null(e, GONDOLA_FS);
		emul_load_null(e, GONDOLA_GS);
	}
	if (d->inner && wide)
		emul_null_stack(e, d->cpl, d->cpl);
	else if (d->inner)
		e->ops->set_segment(e, GONDOLA_SS, &d->ss);
	e->ops->set_segment(e, GONDOLA_CS, &d->cs);
	e->rflags &= ~(RFL_TF | RFL_NT | RFL_RF | RFL_VM | (d->interrupt ? RFL_IF : 0));
	e->next_rip = d->offset;
	e->writeback |= W_SP;
}

static int deliver_protected(struct gondola_emulator *e, struct delivery *d)
{
	u64 gate[2] = { 0, 0 };
	bool wide;
	int r;

	r = emul_long_mode_active(e, &wide);
	if (!r)
		r = read_gate(e, d, wide, gate);
	if (!r && d->task)
		return emul_switch_task(e, gate[0] >> 16, EMUL_TASK_NEST, d->rip,
					saved_flags(e, d->event), d->event, d->ext);
	if (!r)
		r = emul_handler_segment(e, gate[0] >> 16, d->ext, &d->cs, &d->cpl);
	if (r)
		return r;
	d->inner = d->cpl != e->cpl || e->mode == GONDOLA_EMUL_VM86;
	r = find_stack(e, d, wide);
	if (r)
		return r;
	if (wide ? !emul_canonical(d->offset) : d->offset > d->cs.limit)
		return emul_fault_code(e, VEC_GP, d->ext);
	collect_words(e, d, wide);
	r = push_frame(e, d, wide);
	if (r)
		return r;
	enter_handler(e, d, wide);
	return GONDOLA_EMUL_OK;
}

/* Leaves the result in next_rip, rflags and sp.  The caller commits them, or the instruction does. */
static int deliver(struct gondola_emulator *e, const struct gondola_event *event)
{
	struct delivery d = { .event = event };
	int r;

	/* INT1 is an instruction too, but needs no privilege. */
	d.software = (event->kind == GONDOLA_EVENT_SOFT_INTERRUPT || event->insn_len) &&
		     !(event->kind == GONDOLA_EVENT_EXCEPTION && event->vector == VEC_DB);
	d.ext = d.software ? 0 : EXT;
	d.rip = e->regs->rip + event->insn_len;
	if (!emul_long64(e))
		d.rip = (u32)d.rip;
	if (e->mode == GONDOLA_EMUL_REAL)
		r = deliver_real(e, &d);
	else
		r = deliver_protected(e, &d);
	if (r == GONDOLA_EMUL_OK && event->kind == GONDOLA_EVENT_EXCEPTION &&
	    event->vector == VEC_PF)
		r = e->ops->set_cr(e, 2, event->cr2);
	return r;
}

int gondola_emulate_deliver(struct gondola_emulator *e, const struct gondola_event *event)
{
	int r;

	e->nr_bytes = 0;	/* of no instruction */
	e->writeback = 0;
	e->shadow = 0;
	e->rflags = e->regs->rflags;
	r = deliver(e, event);
	if (r)
		return emul_failed(r);
	emul_write_gpr(e, R_RSP, e->sp_bytes, e->sp);
	e->regs->rflags = e->rflags;
	e->regs->rip = e->next_rip;
	if (e->ops->set_shadow)
		e->ops->set_shadow(e, 0);
	return GONDOLA_EMUL_OK;
}

/* ---- call gates --------------------------------------------------------------- */

static int read_call_gate(struct gondola_emulator *e, struct delivery *d, u16 selector, bool wide,
			  u64 gate[2])
{
	gva_t la;
	int r = emul_read_descriptor(e, selector, gate, wide ? 16 : 8, &la);

	if (r)
		return r;
	d->width = wide ? 8 : gate[0] >> 40 & GATE_WIDE ? 4 : 2;
	d->offset = gate[0] & 0xffff;
	if (d->width > 2)
		d->offset |= gate[0] >> 32 & 0xffff0000;
	if (!wide)
		return GONDOLA_EMUL_OK;
	d->offset |= gate[1] << 32;
	return gate[1] >> 40 & TYPE_MASK ? emul_fault_code(e, VEC_GP, selector & ~3u) :
					   GONDOLA_EMUL_OK;
}

/* The caller's parameters, the one at the highest address first. */
static int collect_parameters(struct gondola_emulator *e, struct delivery *d, unsigned int n)
{
	const unsigned int bytes = n * d->width;
	u8 parameters[MAX_PARAMETERS * 4];
	u64 word;
	gva_t la;
	int r;

	if (!n)
		return GONDOLA_EMUL_OK;
	r = emul_linear(e, GONDOLA_SS, e->regs->gpr[R_RSP] & emul_mask(emul_stack_bytes(e)), bytes,
			false, &la);
	if (!r)
		r = e->ops->read(e, la, parameters, bytes, false);
	while (!r && n--) {
		word = 0;
		memcpy(&word, parameters + n * d->width, d->width);
		add_word(d, word);
	}
	return r;
}

static int push_call(struct gondola_emulator *e, struct delivery *d, bool wide,
		     unsigned int parameters)
{
	int r = find_stack(e, d, wide);

	if (r)
		return r;
	if (d->inner) {
		add_word(d, emul_selector(e, GONDOLA_SS));
		add_word(d, e->regs->gpr[R_RSP]);
		r = collect_parameters(e, d, wide ? 0 : parameters);
		if (r)
			return r;
	}
	add_word(d, emul_selector(e, GONDOLA_CS));
	add_word(d, e->next_rip);
	r = push_frame(e, d, wide);
	if (!r)
		e->writeback |= W_SP;
	return r;
}

int emul_call_gate(struct gondola_emulator *e, u16 selector, bool is_call)
{
	struct delivery d = { 0 };
	u64 gate[2] = { 0, 0 };
	u16 target;
	bool wide;
	int r;

	r = emul_long_mode_active(e, &wide);
	if (!r)
		r = read_call_gate(e, &d, selector, wide, gate);
	if (r)
		return r;
	target = gate[0] >> 16;
	r = emul_handler_segment(e, target, 0, &d.cs, &d.cpl);
	if (r)
		return r;
	d.inner = d.cpl != e->cpl;
	if (!is_call && d.inner)
		return emul_fault_code(e, VEC_GP, target & ~3u);
	if (wide ? !emul_canonical(d.offset) : d.offset > d.cs.limit)
		return emul_gp(e);
	r = is_call ? push_call(e, &d, wide, gate[0] >> 32 & MAX_PARAMETERS) : GONDOLA_EMUL_OK;
	if (r)
		return r;
	if (d.inner && wide)
		emul_null_stack(e, d.cpl, d.cpl);
	else if (d.inner)
		e->ops->set_segment(e, GONDOLA_SS, &d.ss);
	e->ops->set_segment(e, GONDOLA_CS, &d.cs);
	e->next_rip = d.offset;
	return GONDOLA_EMUL_OK;
}

/* ---- instructions ----------------------------------------------------------- */

static int software(struct gondola_emulator *e, u8 kind, u8 vector)
{
	const struct gondola_event event = {
		.kind = kind, .vector = vector, .insn_len = e->insn->len,
	};

	return deliver(e, &event);
}

int emul_op_int(struct gondola_emulator *e)
{
	if (e->mode == GONDOLA_EMUL_VM86) {
		bool redirected;
		int r = emul_redirected(e, e->src.value, &redirected);

		if (r)
			return r;
		if (redirected)
			return deliver_redirected(e, e->src.value);
		if ((e->rflags & RFL_IOPL) != RFL_IOPL)
			return emul_gp(e);
	}
	return software(e, GONDOLA_EVENT_SOFT_INTERRUPT, e->src.value);
}

int emul_op_int3(struct gondola_emulator *e)
{
	if (unlikely(e->int3_fails))
		return emul_fault(e, VEC_BP);
	return software(e, GONDOLA_EVENT_EXCEPTION, VEC_BP);
}

int emul_op_int1(struct gondola_emulator *e)
{
	return software(e, GONDOLA_EVENT_EXCEPTION, VEC_DB);
}

int emul_op_into(struct gondola_emulator *e)
{
	return e->rflags & RFL_OF ? software(e, GONDOLA_EVENT_EXCEPTION, VEC_OF) : GONDOLA_EMUL_OK;
}
