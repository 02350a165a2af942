// SPDX-License-Identifier: GPL-2.0-only
/*
 * Task switches: "Task Management" in the manual.  An i386 kernel handles its double fault in a
 * task of its own.
 *
 * An instruction may be run again from its start.  So all steps that can fail come before the first
 * change that a second run would notice, and the new task's segments are looked up in advance, in
 * its address space.
 */
#include "insn.h"

#define TYPE_TSS16	1u
#define TYPE_BUSY	2u
#define TYPE_WIDE	8u		/* a TSS of 32 bits */
/* Offset of the access rights in a descriptor. */
#define ACCESS_BYTE	5

/* Access rights in virtual-8086 mode: writable data, DPL 3. */
#define AR_VM86		0xf3u

#define TASK_FLAGS	(RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_TF | RFL_IF | RFL_DF | \
			 RFL_OF | RFL_IOPL | RFL_NT | RFL_RF | RFL_VM | RFL_AC | RFL_VIF | \
			 RFL_VIP | RFL_ID)

#define NR_GPRS_LEGACY	8u
#define NR_SEGS		6u		/* ES, CS, SS, DS, FS, GS */

/**
 * struct layout - the layout of a TSS, whose words are in the same order for both widths
 * @width: of each word
 * @state: offset of the saved words: EIP, EFLAGS, the general registers, the segments
 * @segs: number of segments
 * @ldt: offset of the LDT's selector, which is not saved
 * @bytes: size of the TSS
 */
struct layout {
	u8 width;
	u8 state;
	u8 segs;
	u8 ldt;
	u8 bytes;
};

static const struct layout layout16 = { 2, 14, 4, 42, 44 };
static const struct layout layout32 = { 4, 32, 6, 96, 104 };

#define TSS_LINK	0u
#define TSS32_CR3	28u
#define TSS32_TRAP	100u		/* bit 0: the task begins with #DB */

/**
 * struct task - the new task
 * @tss: its TSS
 * @descriptor: address of the TSS's descriptor
 * @layout: the layout of @tss
 * @ext: for error codes
 * @way: jump, call or return
 * @traps: the TSS asks for #DB
 * @cr3: the TSS's CR3, like the next five fields
 * @eip: its instruction pointer
 * @eflags: its flags
 * @gpr: its general registers
 * @selector: its segments' selectors
 * @ldt: its LDT's selector
 * @seg: the segments of @selector
 * @ldtr: the segment of @ldt
 * @loaded: number of segments that were loaded before a fault
 * @result: FAULT if the task begins with @e->exception
 */
struct task {
	struct gondola_segment tss;
	gva_t descriptor;
	const struct layout *layout;
	u32 ext;
	enum emul_task_way way;
	bool traps;
	u32 cr3;
	u32 eip;
	u32 eflags;
	u32 gpr[NR_GPRS_LEGACY];
	u16 selector[NR_SEGS];
	u16 ldt;
	struct gondola_segment seg[NR_SEGS];
	struct gondola_segment ldtr;
	unsigned int loaded;
	int result;
};

static const struct layout *layout_of(const struct gondola_segment *tss)
{
	return tss->ar & TYPE_WIDE ? &layout32 : &layout16;
}

static int tss_fault(struct gondola_emulator *e, const struct gondola_segment *tss, u32 ext)
{
	return emul_fault_code(e, VEC_TS, (tss->selector & ~3u) | ext);
}

/* ---- the TSS --------------------------------------------------------------- */

/* Save the present task. */
static int save_state(struct gondola_emulator *e, const struct gondola_segment *tss, u64 rip,
		      u64 rflags, u32 ext)
{
	const struct layout *layout = layout_of(tss);
	u8 words[(2 + NR_GPRS_LEGACY + NR_SEGS) * 4] = { 0 };
	struct gondola_segment copy;
	u8 *at = words;
	unsigned int i;
	u32 word;

	if (tss->ar & GONDOLA_AR_UNUSABLE || tss->limit < layout->ldt - 1u)
		return tss_fault(e, tss, ext);
	for (i = 0; i < 2 + NR_GPRS_LEGACY + layout->segs; i++, at += layout->width) {
		if (i < 2)
			word = i ? rflags : rip;
		else if (i < 2 + NR_GPRS_LEGACY)
			word = e->regs->gpr[i - 2];
		else
			word = emul_segment(e, i - 2 - NR_GPRS_LEGACY, &copy)->selector;
		memcpy(at, &word, layout->width);
	}
	return e->ops->write(e, (u32)(tss->base + layout->state), words, at - words, true);
}

static int read_state(struct gondola_emulator *e, struct task *t)
{
	const struct layout *layout = t->layout;
	const u8 *at;
	u8 tss[104];
	unsigned int i;
	u32 word;
	int r;

	if (t->tss.limit < layout->bytes - 1u)
		return tss_fault(e, &t->tss, t->ext);
	r = e->ops->read(e, t->tss.base, tss, layout->bytes, true);
	if (r)
		return r;
	if (layout == &layout32) {
		memcpy(&t->cr3, tss + TSS32_CR3, 4);
		t->traps = tss[TSS32_TRAP] & 1;
	}
	memcpy(&t->ldt, tss + layout->ldt, 2);
	at = tss + layout->state;
	for (i = 0; i < 2 + NR_GPRS_LEGACY + layout->segs; i++, at += layout->width) {
		word = 0;
		memcpy(&word, at, layout->width);
		if (i == 0)
			t->eip = word;
		else if (i == 1)
			t->eflags = word & TASK_FLAGS;
		else if (i < 2 + NR_GPRS_LEGACY)
			t->gpr[i - 2] = word;
		else
			t->selector[i - 2 - NR_GPRS_LEGACY] = word;
	}
	if (t->way == EMUL_TASK_NEST)
		t->eflags |= RFL_NT;
	return GONDOLA_EMUL_OK;
}

/* ---- the new task, looked at in advance ------------------------------------- */

static int load_segments(struct gondola_emulator *e, struct task *t)
{
	static const enum gondola_seg order[NR_SEGS] = {
		GONDOLA_CS, GONDOLA_SS, GONDOLA_DS, GONDOLA_ES, GONDOLA_FS, GONDOLA_GS,
	};
	const bool vm86 = t->eflags & RFL_VM;

	for (t->loaded = 0; t->loaded < NR_SEGS; t->loaded++) {
		enum gondola_seg seg = order[t->loaded];
		u16 selector = t->selector[seg];
		int r;

		t->seg[seg] = (struct gondola_segment){
			.base = (u32)selector << 4, .limit = 0xffff, .ar = AR_VM86,
			.selector = selector,
		};
		if (vm86)
			continue;
		r = emul_task_segment(e, seg, selector, t->ext, &t->seg[seg]);
		if (r)
			return r;
	}
	return GONDOLA_EMUL_OK;
}

static int push_error(struct gondola_emulator *e, struct task *t, u32 error)
{
	const struct gondola_segment *ss = &t->seg[GONDOLA_SS];
	unsigned int bytes = t->layout->width;
	u32 mask = ss->ar & GONDOLA_AR_DB ? ~0u : 0xffff;
	u32 sp = (t->gpr[R_RSP] - bytes) & mask;

	if (!emul_stack_inside(ss, sp, bytes))
		return emul_fault_code(e, VEC_SS, t->ext);
	t->gpr[R_RSP] = (t->gpr[R_RSP] & ~mask) | sp;
	return e->ops->write(e, (u32)(ss->base + sp), &error, bytes, e->cpl != 3);
}

/* Does all reads, and those writes that can be repeated, at the new privilege level. */
static int look_at_task(struct gondola_emulator *e, struct task *t,
			const struct gondola_event *event)
{
	int r;

	e->cpl = t->eflags & RFL_VM ? 3 : t->selector[GONDOLA_CS] & 3;
	r = emul_task_ldt(e, t->ldt, t->ext, &t->ldtr);
	if (r)
		return r;
	e->ops->set_segment(e, GONDOLA_LDTR, &t->ldtr);
	r = load_segments(e, t);
	if (r)
		return r;
	if (t->eip > t->seg[GONDOLA_CS].limit)
		return emul_fault_code(e, VEC_GP, t->ext);
	return event && event->has_error ? push_error(e, t, event->error) : GONDOLA_EMUL_OK;
}

static bool has_space(struct gondola_emulator *e, const struct task *t)
{
	return t->layout == &layout32 && e->ops->get_cr(e, 0) & CR0_PG;
}

/* Fills *@t and restores all else. */
static int look_ahead(struct gondola_emulator *e, struct task *t,
		      const struct gondola_event *event)
{
	const bool space = has_space(e, t);
	const u8 cpl = e->cpl;
	struct gondola_segment ldtr;
	int r = GONDOLA_EMUL_OK;

	e->ops->get_segment(e, GONDOLA_LDTR, &ldtr);
	if (space)
		r = e->ops->enter_space(e, t->cr3);
	if (r)
		return r;
	t->result = look_at_task(e, t, event);
	e->cpl = cpl;
	e->ops->set_segment(e, GONDOLA_LDTR, &ldtr);
	if (space)
		e->ops->swap_space(e);
	return t->result == GONDOLA_EMUL_FAULT ? GONDOLA_EMUL_OK : t->result;
}

/* ---- the switch ------------------------------------------------------------- */

/* Only the last write would be noticed by a second run. */
static int mark_tasks(struct gondola_emulator *e, const struct task *t,
		      const struct gondola_segment *old)
{
	struct gondola_dtable gdt;
	u8 access;
	gva_t la;
	int r;

	if (t->way == EMUL_TASK_NEST) {
		r = e->ops->write(e, t->tss.base + TSS_LINK, &old->selector, 2, true);
	} else {
		e->ops->get_dtable(e, false, &gdt);
		la = (u32)(gdt.base + (old->selector & ~7u) + ACCESS_BYTE);
		r = e->ops->read(e, la, &access, 1, true);
		access &= ~TYPE_BUSY;
		if (!r)
			r = e->ops->write(e, la, &access, 1, true);
	}
	if (r || t->way == EMUL_TASK_RETURN)
		return r;
	access = t->tss.ar | TYPE_BUSY;
	return e->ops->write(e, t->descriptor + ACCESS_BYTE, &access, 1, true);
}

/* Segments after a fault become null, so that the exception's handler finds none of the old task. */
static void set_segments(struct gondola_emulator *e, const struct task *t)
{
	enum gondola_seg seg;

	e->ops->set_segment(e, GONDOLA_LDTR, &t->ldtr);
	if (t->loaded > 0)
		e->ops->set_segment(e, GONDOLA_CS, &t->seg[GONDOLA_CS]);
	if (t->loaded > 1)
		e->ops->set_segment(e, GONDOLA_SS, &t->seg[GONDOLA_SS]);
	else if (t->loaded > 0)
		emul_null_stack(e, t->selector[GONDOLA_CS] & 3, t->selector[GONDOLA_CS] & 3);
	if (t->loaded == NR_SEGS) {
		for (seg = GONDOLA_DS; seg <= GONDOLA_GS; seg++)
			e->ops->set_segment(e, seg, &t->seg[seg]);
		e->ops->set_segment(e, GONDOLA_ES, &t->seg[GONDOLA_ES]);
		return;
	}
	emul_load_null(e, GONDOLA_ES);
	for (seg = GONDOLA_DS; seg <= GONDOLA_GS; seg++)
		emul_load_null(e, seg);
}

/* Nothing can fail from here on. */
static void begin(struct gondola_emulator *e, struct task *t)
{
	unsigned int i;

	if (has_space(e, t))
		e->ops->swap_space(e);
	t->tss.ar |= TYPE_BUSY;
	e->ops->set_segment(e, GONDOLA_TR, &t->tss);
	set_segments(e, t);
	for (i = 0; i < NR_GPRS_LEGACY; i++)
		e->regs->gpr[i] = t->gpr[i];
	e->sp = t->gpr[R_RSP];
	e->sp_bytes = 4;
	e->shadow = 0;
	e->next_rip = t->eip;
	e->rflags = t->eflags | RFL_FIXED;
	/* A task that begins with an exception needs them now. */
	e->regs->rip = e->next_rip;
	e->regs->rflags = e->rflags;
	e->ops->new_task(e, t->traps);
}

int emul_switch_task(struct gondola_emulator *e, u16 selector, enum emul_task_way way, u64 rip,
		     u64 rflags, const struct gondola_event *event, u32 ext)
{
	const bool back = way == EMUL_TASK_RETURN;
	struct task t = { .way = way, .ext = ext };
	struct gondola_event exception;
	struct gondola_segment old;
	int r = GONDOLA_EMUL_OK;

	if (!e->ops->new_task)
		return GONDOLA_EMUL_UNKNOWN;
	e->ops->get_segment(e, GONDOLA_TR, &old);
	if (back)
		r = e->ops->read(e, old.base + TSS_LINK, &selector, 2, true);
	if (!r)
		r = emul_task(e, selector, back, back ? VEC_TS : VEC_GP, ext, &t.tss,
			      &t.descriptor);
	if (r)
		return r;
	t.layout = layout_of(&t.tss);
	r = read_state(e, &t);
	if (!r)
		r = save_state(e, &old, rip, rflags, ext);
	if (!r)
		r = look_ahead(e, &t, event);
	if (r)
		return r;
	exception = e->exception;
	r = mark_tasks(e, &t, &old);
	if (r)
		return r;
	begin(e, &t);
	e->exception = exception;
	return t.result;
}
