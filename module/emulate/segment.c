// SPDX-License-Identifier: GPL-2.0-only
/* Segmentation: addresses outside 64-bit mode, and loading of segment registers. */
#include "insn.h"

/*
 * Types of a descriptor (S set): bit 3 code; bit 2 expand-down or conforming;
 * bit 1 writable or readable; bit 0 accessed.
 */
#define TYPE_ACCESSED	1u
#define TYPE_RW		2u
#define TYPE_DOWN	4u
#define TYPE_CODE	8u
/* System types (S clear). */
#define TYPE_LDT	2u
#define TYPE_TSS16	1u
#define TYPE_TSS	9u
#define TYPE_BUSY	2u

/* In a descriptor's upper word the access rights start at bit 8.  Bits 19:16 belong to the limit. */
#define RAW_AR(high)	((u32)(high) >> 8 & 0xf0ffu)

static int out_of_segment(struct gondola_emulator *e, u8 seg)
{
	return emul_fault_code(e, seg == GONDOLA_SS ? VEC_SS : VEC_GP, 0);
}

static bool rights_ok(const struct gondola_segment *s, bool write)
{
	if (s->ar & GONDOLA_AR_UNUSABLE)
		return false;
	if (s->ar & TYPE_CODE)
		return !write && s->ar & TYPE_RW;
	return !write || s->ar & TYPE_RW;
}

/* Protected mode: does the access lie within the segment, and do the rights allow it? */
static bool inside(const struct gondola_segment *s, u64 ea, unsigned int bytes, bool write)
{
	u64 last = (u32)ea + (u64)bytes - 1;

	if (!rights_ok(s, write))
		return false;
	if ((s->ar & (TYPE_CODE | TYPE_DOWN)) == TYPE_DOWN) {
		u64 top = s->ar & GONDOLA_AR_DB ? 0xffffffffu : 0xffffu;

		return (u32)ea > s->limit && last <= top;
	}
	return last <= s->limit;
}

int emul_linear_legacy(struct gondola_emulator *e, u8 seg, u64 ea, unsigned int bytes,
		       bool write, gva_t *la)
{
	struct gondola_segment copy;
	const struct gondola_segment *s = emul_segment(e, seg, &copy);
	bool ok;

	*la = (u32)(s->base + ea);
	if (emul_protected(e))
		ok = inside(s, ea, bytes, write);
	else
		ok = (u32)ea + (u64)bytes - 1 <= (e->mode == GONDOLA_EMUL_VM86 ? 0xffff : s->limit);
	return ok ? GONDOLA_EMUL_OK : out_of_segment(e, seg);
}

bool emul_stack_inside(const struct gondola_segment *ss, u64 ea, unsigned int bytes)
{
	return inside(ss, ea, bytes, true);
}

int emul_long_mode_active(struct gondola_emulator *e, bool *is)
{
	u64 efer;
	int r;

	*is = true;
	if (emul_long64(e))
		return GONDOLA_EMUL_OK;
	r = e->ops->get_msr(e, MSRX_EFER, &efer);
	*is = efer & EFER_F_LMA;
	return r;
}

int emul_read_descriptor(struct gondola_emulator *e, u16 selector, u64 raw[2],
			 unsigned int bytes, gva_t *la)
{
	u32 offset = selector & ~7u, limit;

	if (selector & 4) {
		struct gondola_segment copy;
		const struct gondola_segment *ldt = emul_segment(e, GONDOLA_LDTR, &copy);

		if (ldt->ar & GONDOLA_AR_UNUSABLE)
			return emul_fault_code(e, VEC_GP, selector & ~3u);
		*la = ldt->base + offset;
		limit = ldt->limit;
	} else {
		struct gondola_dtable gdt;

		e->ops->get_dtable(e, false, &gdt);
		*la = gdt.base + offset;
		limit = gdt.limit;
	}
	if (offset + bytes - 1 > limit)
		return emul_fault_code(e, VEC_GP, selector & ~3u);
	return e->ops->read(e, *la, raw, bytes, true);
}

static void unpack(struct gondola_segment *s, u16 selector, u64 raw)
{
	*s = (struct gondola_segment){
		.base = (raw >> 16 & 0xffffff) | (raw >> 56 << 24),
		.limit = (raw & 0xffff) | (raw >> 32 & 0xf0000),
		.ar = RAW_AR(raw >> 32),
		.selector = selector,
	};
	if (s->ar & GONDOLA_AR_G)
		s->limit = s->limit << 12 | 0xfff;
}

static int read_segment(struct gondola_emulator *e, u16 selector, struct gondola_segment *s,
			gva_t *la)
{
	u64 raw[2] = { 0, 0 };
	int r = emul_read_descriptor(e, selector, raw, 8, la);

	if (!r)
		unpack(s, selector, raw[0]);
	return r;
}

/* Set the accessed bit. */
static int mark_accessed(struct gondola_emulator *e, struct gondola_segment *s, gva_t la)
{
	u8 access;

	if (s->ar & TYPE_ACCESSED)
		return GONDOLA_EMUL_OK;
	s->ar |= TYPE_ACCESSED;
	access = s->ar;
	return e->ops->write(e, la + 5, &access, 1, true);
}

static void load_null(struct gondola_emulator *e, enum gondola_seg seg, u16 selector)
{
	struct gondola_segment s;

	e->ops->get_segment(e, seg, &s);
	s.selector = selector;
	s.ar |= GONDOLA_AR_UNUSABLE;
	e->ops->set_segment(e, seg, &s);
}

/* Real and virtual-8086 mode: only the base changes, not limit and rights. */
static void load_real(struct gondola_emulator *e, enum gondola_seg seg, u16 selector)
{
	struct gondola_segment s;

	e->ops->get_segment(e, seg, &s);
	s.selector = selector;
	s.base = (u32)selector << 4;
	e->ops->set_segment(e, seg, &s);
}

static bool data_allowed(struct gondola_emulator *e, enum gondola_seg seg, u16 selector, u32 ar)
{
	unsigned int rpl = selector & 3;
	unsigned int dpl = (ar & GONDOLA_AR_DPL) >> GONDOLA_AR_DPL_SHIFT;

	if (!(ar & GONDOLA_AR_S))
		return false;
	if (seg == GONDOLA_SS)
		return (ar & (TYPE_CODE | TYPE_RW)) == TYPE_RW && rpl == e->cpl && dpl == e->cpl;
	if (ar & TYPE_CODE && !(ar & TYPE_RW))
		return false;
	/* Conforming code may be read from anywhere. */
	return (ar & (TYPE_CODE | TYPE_DOWN)) == (TYPE_CODE | TYPE_DOWN) ||
	       (rpl <= dpl && e->cpl <= dpl);
}

/* Find the segment that a selector, not null, loads into the register of a data segment. */
static int find_data(struct gondola_emulator *e, enum gondola_seg seg, u16 selector,
		     struct gondola_segment *s)
{
	gva_t la;
	int r = read_segment(e, selector, s, &la);

	if (r)
		return r;
	if (!data_allowed(e, seg, selector, s->ar))
		return emul_fault_code(e, VEC_GP, selector & ~3u);
	if (!(s->ar & GONDOLA_AR_P))
		return emul_fault_code(e, seg == GONDOLA_SS ? VEC_SS : VEC_NP, selector & ~3u);
	return mark_accessed(e, s, la);
}

static int load_data(struct gondola_emulator *e, enum gondola_seg seg, u16 selector)
{
	struct gondola_segment s;
	int r;

	if (!(selector & ~3u)) {
		if (seg == GONDOLA_SS &&
		    (!emul_long64(e) || e->cpl == 3 || (selector & 3) != e->cpl))
			return emul_gp(e);
		load_null(e, seg, selector);
		return GONDOLA_EMUL_OK;
	}
	r = find_data(e, seg, selector, &s);
	if (!r)
		e->ops->set_segment(e, seg, &s);
	return r;
}

/* LLDT and LTR: the GDT only; a TSS becomes busy. */
static int load_system(struct gondola_emulator *e, enum gondola_seg seg, u16 selector)
{
	struct gondola_segment s;
	u64 raw[2] = { 0, 0 };
	bool wide, tss = seg == GONDOLA_TR;
	u32 type;
	gva_t la;
	int r;

	if (!(selector & ~3u)) {
		if (tss)
			return emul_gp(e);
		load_null(e, seg, selector);
		return GONDOLA_EMUL_OK;
	}
	if (selector & 4)
		return emul_fault_code(e, VEC_GP, selector & ~3u);
	r = emul_long_mode_active(e, &wide);
	if (r)
		return r;
	r = emul_read_descriptor(e, selector, raw, wide ? 16 : 8, &la);
	if (r)
		return r;
	unpack(&s, selector, raw[0]);
	type = s.ar & (GONDOLA_AR_S | GONDOLA_AR_TYPE);
	if (tss ? type != TYPE_TSS && (wide || type != TYPE_TSS16) : type != TYPE_LDT)
		return emul_fault_code(e, VEC_GP, selector & ~3u);
	if (!(s.ar & GONDOLA_AR_P))
		return emul_fault_code(e, VEC_NP, selector & ~3u);
	if (wide) {
		s.base |= raw[1] << 32;
		if (!emul_canonical(s.base))
			return emul_fault_code(e, VEC_GP, selector & ~3u);
	}
	if (tss) {
		u8 access = raw[0] >> 40 | TYPE_BUSY;

		r = e->ops->write(e, la + 5, &access, 1, true);
		if (r)
			return r;
		s.ar |= TYPE_BUSY;
	}
	e->ops->set_segment(e, seg, &s);
	return GONDOLA_EMUL_OK;
}

int emul_load_segment(struct gondola_emulator *e, enum gondola_seg seg, u16 selector)
{
	if (seg == GONDOLA_LDTR || seg == GONDOLA_TR)
		return load_system(e, seg, selector);
	if (emul_protected(e))
		return load_data(e, seg, selector);
	load_real(e, seg, selector);
	return GONDOLA_EMUL_OK;
}

/* Is it code, with a valid combination of L and D? */
static int check_code(struct gondola_emulator *e, struct gondola_segment *s, bool wide, u32 error)
{
	if (!(s->ar & GONDOLA_AR_S) || !(s->ar & TYPE_CODE))
		return emul_fault_code(e, VEC_GP, error);
	/* Outside of long mode L is ignored.  In long mode L and D together are reserved. */
	if (!wide)
		s->ar &= ~GONDOLA_AR_L;
	else if (s->ar & GONDOLA_AR_L && s->ar & GONDOLA_AR_DB)
		return emul_fault_code(e, VEC_GP, error);
	return GONDOLA_EMUL_OK;
}

static unsigned int dpl_of(const struct gondola_segment *s)
{
	return (s->ar & GONDOLA_AR_DPL) >> GONDOLA_AR_DPL_SHIFT;
}

/* Read the descriptor of a selector for CS.  @wide: in long mode. */
static int read_code(struct gondola_emulator *e, u16 selector, struct gondola_segment *s,
		     bool *wide, gva_t *la)
{
	int r;

	if (!(selector & ~3u))
		return emul_gp(e);
	r = emul_long_mode_active(e, wide);
	return r ?: read_segment(e, selector, s, la);
}

int emul_code_segment(struct gondola_emulator *e, u16 selector, struct gondola_segment *s)
{
	bool wide;
	gva_t la;
	int r = read_code(e, selector, s, &wide, &la);

	if (r)
		return r;
	/* The caller handles gates and tasks. */
	if (!(s->ar & GONDOLA_AR_S))
		return GONDOLA_EMUL_UNKNOWN;
	r = check_code(e, s, wide, selector & ~3u);
	if (r)
		return r;
	if (s->ar & TYPE_DOWN ? dpl_of(s) > e->cpl :
				dpl_of(s) != e->cpl || (selector & 3) > e->cpl)
		return emul_fault_code(e, VEC_GP, selector & ~3u);
	if (!(s->ar & GONDOLA_AR_P))
		return emul_fault_code(e, VEC_NP, selector & ~3u);
	s->selector = (selector & ~3u) | e->cpl;
	return mark_accessed(e, s, la);
}

/* An exception during a delivery has EXT in its error code. */
static int with_ext(struct gondola_emulator *e, int r, u32 ext)
{
	if (r == GONDOLA_EMUL_FAULT && e->exception.vector != VEC_PF)
		e->exception.error |= ext;
	return r;
}

/* The same, but an unusable descriptor raises @vector instead of #GP. */
static int as_vector(struct gondola_emulator *e, int r, u8 vector, u32 ext)
{
	if (r == GONDOLA_EMUL_FAULT && e->exception.vector == VEC_GP)
		e->exception.vector = vector;
	return with_ext(e, r, ext);
}

int emul_handler_segment(struct gondola_emulator *e, u16 selector, u32 ext,
			 struct gondola_segment *s, unsigned int *cpl)
{
	u32 error = (selector & ~3u) | ext;
	bool wide;
	gva_t la;
	int r = with_ext(e, read_code(e, selector, s, &wide, &la), ext);

	if (!r)
		r = check_code(e, s, wide, error);
	if (r)
		return r;
	if (dpl_of(s) > e->cpl || (wide && !(s->ar & GONDOLA_AR_L)))
		return emul_fault_code(e, VEC_GP, error);
	if (!(s->ar & GONDOLA_AR_P))
		return emul_fault_code(e, VEC_NP, error);
	*cpl = s->ar & TYPE_DOWN ? e->cpl : dpl_of(s);
	if (e->mode == GONDOLA_EMUL_VM86 && *cpl)
		return emul_fault_code(e, VEC_GP, error);
	s->selector = (selector & ~3u) | *cpl;
	return mark_accessed(e, s, la);
}

int emul_return_segment(struct gondola_emulator *e, u16 selector, struct gondola_segment *s)
{
	unsigned int rpl = selector & 3;
	bool wide;
	gva_t la;
	int r = read_code(e, selector, s, &wide, &la);

	if (!r)
		r = check_code(e, s, wide, selector & ~3u);
	if (r)
		return r;
	if (rpl < e->cpl || (s->ar & TYPE_DOWN ? dpl_of(s) > rpl : dpl_of(s) != rpl))
		return emul_fault_code(e, VEC_GP, selector & ~3u);
	if (!(s->ar & GONDOLA_AR_P))
		return emul_fault_code(e, VEC_NP, selector & ~3u);
	return mark_accessed(e, s, la);
}

int emul_stack_segment(struct gondola_emulator *e, u16 selector, unsigned int cpl, u8 vector,
		       u32 ext, struct gondola_segment *s)
{
	u32 error = (selector & ~3u) | ext;
	gva_t la;
	int r;

	if (!(selector & ~3u))
		return emul_fault_code(e, vector, ext);
	r = as_vector(e, read_segment(e, selector, s, &la), vector, ext);
	if (r)
		return r;
	if ((selector & 3) != cpl || dpl_of(s) != cpl || !(s->ar & GONDOLA_AR_S) ||
	    (s->ar & (TYPE_CODE | TYPE_RW)) != TYPE_RW)
		return emul_fault_code(e, vector, error);
	if (!(s->ar & GONDOLA_AR_P))
		return emul_fault_code(e, VEC_SS, error);
	return mark_accessed(e, s, la);
}

int emul_task(struct gondola_emulator *e, u16 selector, bool busy, u8 vector, u32 ext,
	      struct gondola_segment *s, gva_t *la)
{
	u32 error = (selector & ~3u) | ext, type;
	int r;

	if (selector & 4 || !(selector & ~3u))
		return emul_fault_code(e, vector, error);
	r = as_vector(e, read_segment(e, selector, s, la), vector, ext);
	if (r)
		return r;
	type = s->ar & (GONDOLA_AR_S | GONDOLA_AR_TYPE);
	if ((type | TYPE_BUSY) != (TYPE_TSS | TYPE_BUSY) &&
	    (type | TYPE_BUSY) != (TYPE_TSS16 | TYPE_BUSY))
		return emul_fault_code(e, vector, error);
	if (!(type & TYPE_BUSY) == busy)
		return emul_fault_code(e, vector, error);
	if (!(s->ar & GONDOLA_AR_P))
		return emul_fault_code(e, VEC_NP, error);
	return GONDOLA_EMUL_OK;
}

int emul_task_ldt(struct gondola_emulator *e, u16 selector, u32 ext, struct gondola_segment *s)
{
	u32 error = (selector & ~3u) | ext;
	gva_t la;
	int r;

	*s = (struct gondola_segment){ .selector = selector, .ar = TYPE_LDT | GONDOLA_AR_UNUSABLE };
	if (!(selector & ~3u))
		return GONDOLA_EMUL_OK;
	if (selector & 4)
		return emul_fault_code(e, VEC_TS, error);
	r = as_vector(e, read_segment(e, selector, s, &la), VEC_TS, ext);
	if (r)
		return r;
	if ((s->ar & (GONDOLA_AR_S | GONDOLA_AR_TYPE)) != TYPE_LDT || !(s->ar & GONDOLA_AR_P))
		return emul_fault_code(e, VEC_TS, error);
	return GONDOLA_EMUL_OK;
}

int emul_task_segment(struct gondola_emulator *e, enum gondola_seg seg, u16 selector, u32 ext,
		      struct gondola_segment *s)
{
	const u8 cpl = e->cpl;
	int r;

	if (seg == GONDOLA_SS)
		return emul_stack_segment(e, selector, cpl, VEC_TS, ext, s);
	if (seg == GONDOLA_CS) {
		e->cpl = 0;	/* any privilege level is allowed */
		r = emul_return_segment(e, selector, s);
		e->cpl = cpl;
		return as_vector(e, r, VEC_TS, ext);
	}
	*s = (struct gondola_segment){ .selector = selector, .ar = GONDOLA_AR_UNUSABLE };
	if (!(selector & ~3u))
		return GONDOLA_EMUL_OK;
	return as_vector(e, find_data(e, seg, selector, s), VEC_TS, ext);
}

void emul_null_stack(struct gondola_emulator *e, u16 selector, unsigned int cpl)
{
	struct gondola_segment s;

	e->ops->get_segment(e, GONDOLA_SS, &s);
	s.selector = selector;
	s.ar = (s.ar & ~GONDOLA_AR_DPL) | GONDOLA_AR_UNUSABLE | cpl << GONDOLA_AR_DPL_SHIFT;
	e->ops->set_segment(e, GONDOLA_SS, &s);
}

void emul_drop_inner_segments(struct gondola_emulator *e, unsigned int cpl)
{
	static const enum gondola_seg data[] = { GONDOLA_ES, GONDOLA_DS, GONDOLA_FS, GONDOLA_GS };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct gondola_segment s;

		e->ops->get_segment(e, data[i], &s);
		if (s.ar & GONDOLA_AR_UNUSABLE || dpl_of(&s) >= cpl ||
		    (s.ar & (TYPE_CODE | TYPE_DOWN)) == (TYPE_CODE | TYPE_DOWN))
			continue;
		load_null(e, data[i], 0);
	}
}

void emul_load_null(struct gondola_emulator *e, enum gondola_seg seg)
{
	load_null(e, seg, 0);
}

void emul_load_real(struct gondola_emulator *e, enum gondola_seg seg, u16 selector, u32 ar)
{
	const struct gondola_segment s = {
		.base = (u32)selector << 4, .limit = 0xffff, .ar = ar, .selector = selector,
	};

	e->ops->set_segment(e, seg, &s);
}

/* LAR, LSL, VERR and VERW only ask whether there is a descriptor. */
int emul_look_up(struct gondola_emulator *e, u16 selector, struct gondola_segment *s,
		 bool *found)
{
	gva_t la;
	int r;

	*found = false;
	if (!(selector & ~3u))
		return GONDOLA_EMUL_OK;
	r = read_segment(e, selector, s, &la);
	if (r == GONDOLA_EMUL_FAULT && e->exception.vector == VEC_GP)
		return GONDOLA_EMUL_OK;
	*found = !r;
	return r;
}
