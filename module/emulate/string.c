// SPDX-License-Identifier: GPL-2.0-only
/*
 * String instructions.  A run of items that goes upwards within a page is one access to memory.
 * Registers are committed after each run.  After about a page the instruction ends with RIP
 * unchanged and continues at the next call, as long as RCX is not 0.
 */
#include "insn.h"

#define BUDGET		GONDOLA_PAGE_SIZE
/* The widest access that operations take for one item. */
#define OPERAND_BYTES	16u
/* Comparisons usually end early. */
#define COMPARE_BYTES	256u

struct run {
	unsigned int width;	/* of an item */
	u64 items;		/* that one access may take; in the end, that it took */
	gva_t src;
	gva_t dst;
};

static bool backwards(const struct gondola_emulator *e)
{
	return e->regs->rflags & RFL_DF;
}

/* Find the next item at seg:reg, and limit run->items to those in the same page and segment. */
static int locate(struct gondola_emulator *e, struct run *run, u8 seg, unsigned int reg,
		  bool write, gva_t *la)
{
	u64 ea = emul_read_gpr(e, reg, e->insn->addr_bytes), room, items;
	int r;

	r = emul_linear(e, seg, ea, run->width, write, la);
	if (r)
		return r;
	if (run->items == 1 || backwards(e)) {
		run->items = 1;
		return GONDOLA_EMUL_OK;
	}
	room = GONDOLA_PAGE_SIZE - (*la & ~GONDOLA_PAGE_MASK);
	if (room > emul_mask(e->insn->addr_bytes) - ea)
		room = emul_mask(e->insn->addr_bytes) - ea + 1;
	items = room / run->width;
	if (items < run->items)
		run->items = items ? items : 1;
	if (!emul_long64(e) && run->items > 1) {
		gva_t unused;

		if (emul_linear(e, seg, ea, run->items * run->width, write, &unused))
			run->items = 1;
	}
	return GONDOLA_EMUL_OK;
}

static int locate_src(struct gondola_emulator *e, struct run *run)
{
	u8 seg = e->insn->seg_override == GONDOLA_NO_SEG ? GONDOLA_DS : e->insn->seg_override;

	return locate(e, run, seg, R_RSI, false, &run->src);
}

static int locate_dst(struct gondola_emulator *e, struct run *run, bool write)
{
	return locate(e, run, GONDOLA_ES, R_RDI, write, &run->dst);
}

/* Advance the registers by run->items. */
static void advance(struct gondola_emulator *e, const struct run *run, bool src, bool dst)
{
	s64 by = run->width * run->items;

	if (backwards(e))
		by = -by;
	if (src)
		emul_add_gpr(e, R_RSI, by);
	if (dst)
		emul_add_gpr(e, R_RDI, by);
	if (e->insn->rep)
		emul_add_gpr(e, R_RCX, -(s64)run->items);
}

/* A device would take so few bytes for one operand. */
static void settle(struct run *run)
{
	if (run->items * run->width <= OPERAND_BYTES)
		run->items = 1;
}

static int read_items(struct gondola_emulator *e, struct run *run, gva_t la, void *buf)
{
	int r;

	settle(run);
	r = e->ops->read(e, la, buf, run->items * run->width, false);
	if (r == GONDOLA_EMUL_SPLIT) {
		run->items = 1;
		r = e->ops->read(e, la, buf, run->width, false);
	}
	return r;
}

static int write_items(struct gondola_emulator *e, struct run *run, const void *buf)
{
	int r;

	settle(run);
	r = e->ops->write(e, run->dst, buf, run->items * run->width, false);
	if (r == GONDOLA_EMUL_SPLIT) {
		run->items = 1;
		r = e->ops->write(e, run->dst, buf, run->width, false);
	}
	return r;
}

static int movs_run(struct gondola_emulator *e, struct run *run)
{
	int r;

	r = locate_src(e, run);
	if (r)
		return r;
	r = locate_dst(e, run, true);
	if (r)
		return r;
	/* A later item may read what this one writes, when a pattern is spread: stop before it. */
	if (run->dst > run->src && run->dst - run->src < run->items * run->width) {
		run->items = (run->dst - run->src) / run->width;
		if (!run->items)
			run->items = 1;
	}
	r = read_items(e, run, run->src, e->chunk);
	if (r)
		return r;
	r = write_items(e, run, e->chunk);
	if (!r)
		advance(e, run, true, true);
	return r;
}

/* Write eight bytes at a time: each width of a pattern divides eight. */
static void fill(void *buf, u64 value, unsigned int width, unsigned int items)
{
	static const u64 spread[] = { [1] = 0x0101010101010101, [2] = 0x0001000100010001,
				      [4] = 0x0000000100000001, [8] = 1 };
	u64 pattern = (value & emul_mask(width)) * spread[width];
	unsigned int i, bytes = items * width;

	if (!pattern) {
		memset(buf, 0, bytes);
		return;
	}
	for (i = 0; i + 8 <= bytes; i += 8)
		memcpy(buf + i, &pattern, 8);
	memcpy(buf + i, &pattern, bytes - i);
}

static int stos_run(struct gondola_emulator *e, struct run *run)
{
	int r;

	r = locate_dst(e, run, true);
	if (r)
		return r;
	fill(e->chunk, e->regs->gpr[R_RAX], run->width, run->items);
	r = write_items(e, run, e->chunk);
	if (!r)
		advance(e, run, false, true);
	return r;
}

static int lods_run(struct gondola_emulator *e, struct run *run)
{
	u64 value = 0;
	int r;

	run->items = 1;
	r = locate_src(e, run);
	if (r)
		return r;
	r = read_items(e, run, run->src, &value);
	if (r)
		return r;
	emul_write_gpr(e, R_RAX, run->width, value);
	advance(e, run, true, false);
	return GONDOLA_EMUL_OK;
}

/*
 * Compare until REPE or REPNE ends; the flags are those of the last pair. @a and @b advance by
 * @step bytes, 0 for an accumulator.
 */
static void compare(struct gondola_emulator *e, struct run *run, const u8 *a, unsigned int step,
		    const u8 *b)
{
	u64 i, x = 0, y = 0;

	for (i = 0; i < run->items; ) {
		x = emul_take(a + i * step, run->width);
		y = emul_take(b + i * run->width, run->width);
		i++;
		if (e->insn->rep && (x == y) != (e->insn->rep == 0xf3))
			break;
	}
	run->items = i;
	e->rflags = emul_flags_sub(e->rflags, x, y, x - y, run->width);
}

static int cmps_run(struct gondola_emulator *e, struct run *run)
{
	int r;

	if (run->items > COMPARE_BYTES / run->width)
		run->items = COMPARE_BYTES / run->width;
	r = locate_src(e, run);
	if (r)
		return r;
	r = locate_dst(e, run, false);
	if (r)
		return r;
	r = read_items(e, run, run->src, e->chunk);
	if (r)
		return r;
	r = read_items(e, run, run->dst, e->chunk + COMPARE_BYTES);
	if (r)
		return r;
	compare(e, run, e->chunk, run->width, e->chunk + COMPARE_BYTES);
	advance(e, run, true, true);
	return GONDOLA_EMUL_OK;
}

static int scas_run(struct gondola_emulator *e, struct run *run)
{
	u64 accumulator = e->regs->gpr[R_RAX];
	int r;

	if (run->items > COMPARE_BYTES / run->width)
		run->items = COMPARE_BYTES / run->width;
	r = locate_dst(e, run, false);
	if (r)
		return r;
	r = read_items(e, run, run->dst, e->chunk);
	if (r)
		return r;
	compare(e, run, (u8 *)&accumulator, 0, e->chunk);
	advance(e, run, false, true);
	return GONDOLA_EMUL_OK;
}

static int ins_run(struct gondola_emulator *e, struct run *run)
{
	u16 port = e->regs->gpr[R_RDX];
	unsigned int done = 0, i;
	int r;

	r = emul_check_io(e, port, run->width);
	if (r)
		return r;
	r = locate_dst(e, run, true);
	if (r)
		return r;
	settle(run);
	/* Data read from a device cannot be put back: check the memory first. */
	r = e->ops->write(e, run->dst, e->chunk, 0, false);
	if (r)
		return r;
	r = e->ops->io(e, port, run->width, true, e->chunk, run->items, &done);
	if (r)
		return r;
	if (!done || done > run->items)
		return GONDOLA_EMUL_ERROR;
	run->items = done;
	r = e->ops->write(e, run->dst, e->chunk, done * run->width, false);
	if (r != GONDOLA_EMUL_SPLIT) {
		if (!r)
			advance(e, run, false, true);
		return r;
	}
	run->items = 1;
	for (i = 0; i < done; i++) {
		r = e->ops->write(e, run->dst + i * run->width, e->chunk + i * run->width,
				  run->width, false);
		if (r)
			return r;
		advance(e, run, false, true);
	}
	return GONDOLA_EMUL_OK;
}

static int outs_run(struct gondola_emulator *e, struct run *run)
{
	u16 port = e->regs->gpr[R_RDX];
	unsigned int done = 0;
	int r;

	r = emul_check_io(e, port, run->width);
	if (r)
		return r;
	r = locate_src(e, run);
	if (r)
		return r;
	r = read_items(e, run, run->src, e->chunk);
	if (r)
		return r;
	r = e->ops->io(e, port, run->width, false, e->chunk, run->items, &done);
	if (r)
		return r;
	if (!done || done > run->items)
		return GONDOLA_EMUL_ERROR;
	run->items = done;
	advance(e, run, true, false);
	return GONDOLA_EMUL_OK;
}

/* @compares: REPE and REPNE also depend on ZF. */
static int repeat(struct gondola_emulator *e, unsigned int width, bool compares,
		  int (*one)(struct gondola_emulator *e, struct run *run))
{
	struct run run = { .width = width };
	/* With single steps each item is a step. */
	unsigned int budget = e->one_item || e->regs->rflags & RFL_TF ? 1 : BUDGET / width;
	u64 left;

	if (!e->insn->rep) {
		run.items = 1;
		return one(e, &run);
	}
	for (;;) {
		int r;

		left = emul_read_gpr(e, R_RCX, e->insn->addr_bytes);
		if (!left)
			return GONDOLA_EMUL_OK;
		if (!budget)
			break;
		run.items = left < budget ? left : budget;
		r = one(e, &run);
		if (r)
			return r;
		e->regs->rflags = e->rflags;
		budget -= run.items < budget ? run.items : budget;
		if (compares && !(e->rflags & RFL_ZF) == (e->insn->rep == 0xf3))
			return GONDOLA_EMUL_OK;
	}
	/* A breakpoint on the instruction does not strike again for the rest. */
	e->rflags |= RFL_RF;
	e->next_rip = e->regs->rip;
	return GONDOLA_EMUL_OK;
}

static unsigned int item_bytes(const struct gondola_emulator *e)
{
	return e->insn->opcode & 1 ? e->insn->op_bytes : 1;
}

/* There are no ports of 8 bytes: REX.W is ignored. */
static unsigned int port_bytes(const struct gondola_emulator *e)
{
	unsigned int bytes = item_bytes(e);

	return bytes > 4 ? 4 : bytes;
}

int emul_op_movs(struct gondola_emulator *e)
{
	return repeat(e, item_bytes(e), false, movs_run);
}

int emul_op_stos(struct gondola_emulator *e)
{
	return repeat(e, item_bytes(e), false, stos_run);
}

int emul_op_lods(struct gondola_emulator *e)
{
	return repeat(e, item_bytes(e), false, lods_run);
}

int emul_op_cmps(struct gondola_emulator *e)
{
	return repeat(e, item_bytes(e), true, cmps_run);
}

int emul_op_scas(struct gondola_emulator *e)
{
	return repeat(e, item_bytes(e), true, scas_run);
}

int emul_op_ins(struct gondola_emulator *e)
{
	return repeat(e, port_bytes(e), false, ins_run);
}

int emul_op_outs(struct gondola_emulator *e)
{
	return repeat(e, port_bytes(e), false, outs_run);
}
