// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder and the executor, in every mode: the input is a processor's state
 * and code for it.  Each instruction is executed twice, the quick way and the
 * general one, which must agree; faults are delivered through an IDT.
 */
#include <stdlib.h>
#include <string.h>
#include "emulate/insn.h"

#define PAGES		4u
#define BYTES		(PAGES * GONDOLA_PAGE_SIZE)
#define CODE		0x0100u
#define TABLES		(2 * GONDOLA_PAGE_SIZE)	/* GDT, IDT and TSS */
#define IDT		(TABLES + 0x400)
#define TSS		(TABLES + 0xc00)
#define DEVICE		(3 * GONDOLA_PAGE_SIZE)	/* answers, but is no plain memory */
#define MAX_STEPS	48u
#define TWICE		6u	/* so many of them are compared: it takes long */

/* The head of the input; code follows. */
struct start {
	u8 mode;
	u8 cpl;
	u16 flags;
	u8 gpr[NR_GPRS];	/* small numbers, or places in memory */
	u8 cr;
	u8 seed;
};

struct world {
	struct gondola_fxsave fpu;
	struct gondola_emulator emul;
	struct gondola_regs regs;
	struct gondola_segment seg[GONDOLA_NR_SEGS];
	struct gondola_dtable gdt, idt;
	u64 cr[16];
	u64 msr[16];
	u8 memory[BYTES];
};

static struct world world, other;
static struct gondola_tlb_entry tlb[GONDOLA_TLB_ENTRIES];

static struct world *to_world(struct gondola_emulator *e)
{
	return e->ctx;
}

static int page_fault(struct gondola_emulator *e, gva_t la, u32 error)
{
	e->exception = (struct gondola_event){
		.kind = GONDOLA_EVENT_EXCEPTION, .vector = VEC_PF, .has_error = true,
		.error = error, .cr2 = la,
	};
	return GONDOLA_EMUL_FAULT;
}

static int check(struct gondola_emulator *e, gva_t la, unsigned int bytes, u32 error)
{
	if (la >= BYTES || la + bytes > BYTES)
		return page_fault(e, la, error);
	return la + bytes > DEVICE && bytes > 16 ? GONDOLA_EMUL_SPLIT : GONDOLA_EMUL_OK;
}

static int op_fetch(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		    unsigned int *got)
{
	if (la >= DEVICE)
		return page_fault(e, la, PFEC_I);
	/* Now and then no more than one byte. */
	*got = la & 7 ? 1 : bytes;
	if (la + *got > DEVICE)
		*got = DEVICE - la;
	memcpy(buf, to_world(e)->memory + la, *got);
	return GONDOLA_EMUL_OK;
}

static int op_read(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes, bool system)
{
	int r = check(e, la, bytes, 0);

	if (!r)
		memcpy(buf, to_world(e)->memory + la, bytes);
	return r;
}

static int op_write(struct gondola_emulator *e, gva_t la, const void *buf, unsigned int bytes,
		    bool system)
{
	int r = check(e, la, bytes, PFEC_W);

	if (!r)
		memcpy(to_world(e)->memory + la, buf, bytes);
	return r;
}

static int op_cmpxchg(struct gondola_emulator *e, gva_t la, void *old, const void *new,
		      unsigned int bytes)
{
	int r = check(e, la, bytes, PFEC_W);
	u8 *at;

	if (r)
		return r;
	at = to_world(e)->memory + la;
	if (memcmp(at, old, bytes))
		memcpy(old, at, bytes);
	else
		memcpy(at, new, bytes);
	return GONDOLA_EMUL_OK;
}

static int op_io(struct gondola_emulator *e, u16 port, unsigned int width, bool in, void *buf,
		 unsigned int count, unsigned int *done)
{
	if (port & 0x100)
		return GONDOLA_EMUL_USER;
	*done = count > 3 ? 3 : count;
	if (in)
		memset(buf, port, *done * width);
	return GONDOLA_EMUL_OK;
}

static void op_get_segment(struct gondola_emulator *e, enum gondola_seg seg,
			   struct gondola_segment *out)
{
	*out = to_world(e)->seg[seg];
}

static void op_set_segment(struct gondola_emulator *e, enum gondola_seg seg,
			   const struct gondola_segment *in)
{
	to_world(e)->seg[seg] = *in;
}

static void op_get_dtable(struct gondola_emulator *e, bool idt, struct gondola_dtable *out)
{
	*out = idt ? to_world(e)->idt : to_world(e)->gdt;
}

static void op_set_dtable(struct gondola_emulator *e, bool idt, const struct gondola_dtable *in)
{
	*(idt ? &to_world(e)->idt : &to_world(e)->gdt) = *in;
}

static u64 op_get_cr(struct gondola_emulator *e, unsigned int cr)
{
	return to_world(e)->cr[cr];
}

static int op_set_cr(struct gondola_emulator *e, unsigned int cr, u64 value)
{
	if (cr == 0 && value >> 32)
		return emul_gp(e);
	/* Paging stays as it is: only the interpreter's view of the bits is of interest. */
	to_world(e)->cr[cr] = value;
	return GONDOLA_EMUL_OK;
}

static int op_get_dr(struct gondola_emulator *e, unsigned int dr, u64 *value)
{
	*value = dr;
	return GONDOLA_EMUL_OK;
}

static int op_set_dr(struct gondola_emulator *e, unsigned int dr, u64 value)
{
	return value >> 32 ? emul_gp(e) : GONDOLA_EMUL_OK;
}

static int op_get_msr(struct gondola_emulator *e, u32 index, u64 *value)
{
	*value = to_world(e)->msr[index & 15];
	if (index == MSRX_EFER) {
		*value = EFER_F_SCE;
		if (to_world(e)->emul.mode == GONDOLA_EMUL_LONG64)
			*value |= EFER_F_LMA | EFER_F_LME;
	}
	return index & 0x800 ? emul_gp(e) : GONDOLA_EMUL_OK;
}

static int op_set_msr(struct gondola_emulator *e, u32 index, u64 value)
{
	to_world(e)->msr[index & 15] = value;
	if (index == MSRX_FS_BASE || index == MSRX_GS_BASE)
		to_world(e)->seg[index - MSRX_FS_BASE + GONDOLA_FS].base = value;
	return GONDOLA_EMUL_OK;
}

static int op_cpuid(struct gondola_emulator *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	*ebx = *ecx = *edx = ~*eax;
	return GONDOLA_EMUL_OK;
}

static int op_invlpg(struct gondola_emulator *e, gva_t la)
{
	return GONDOLA_EMUL_OK;
}

static int op_nothing(struct gondola_emulator *e)
{
	return GONDOLA_EMUL_OK;
}

static int op_invpcid(struct gondola_emulator *e, u64 type, u64 pcid, gva_t la)
{
	return GONDOLA_EMUL_OK;
}

static int op_get_xcr(struct gondola_emulator *e, u32 index, u64 *value)
{
	*value = 3;
	return index ? emul_gp(e) : GONDOLA_EMUL_OK;
}

static int op_set_xcr(struct gondola_emulator *e, u32 index, u64 value)
{
	return emul_gp(e);
}

static const struct gondola_emul_ops ops = {
	.fetch = op_fetch, .read = op_read, .write = op_write, .cmpxchg = op_cmpxchg, .io = op_io,
	.get_segment = op_get_segment, .set_segment = op_set_segment,
	.get_dtable = op_get_dtable, .set_dtable = op_set_dtable,
	.get_cr = op_get_cr, .set_cr = op_set_cr, .get_dr = op_get_dr, .set_dr = op_set_dr,
	.get_msr = op_get_msr, .set_msr = op_set_msr, .cpuid = op_cpuid, .invlpg = op_invlpg,
	.hlt = op_nothing, .wbinvd = op_nothing, .hypercall = op_nothing,
	.invpcid = op_invpcid, .get_xcr = op_get_xcr, .set_xcr = op_set_xcr,
};

/* Flat descriptors of both privileges and all sizes, and one gate for all vectors. */
static void make_tables(struct world *w, bool wide)
{
	static const u64 gdt[] = {
		0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff,
		0x00affb000000ffff, 0x00cff3000000ffff, 0x00cffb000000ffff, 0x000f9b000000ffff,
		0x0000890000002067 | (u64)TSS << 16, 0, 0x0000820000000fff, 0, 0x00cf97000000ffff,
	};
	unsigned int i;

	memcpy(w->memory + TABLES, gdt, sizeof(gdt));
	for (i = 0; i < 32; i++) {
		u64 gate = (wide ? 0x00080000 : 0x00180000) | CODE | 0x8e0000000000 |
			   (i & 3 ? 0 : 0x600000000000) | (i == 8 && wide ? 1ull << 32 : 0);

		memcpy(w->memory + IDT + i * (wide ? 16 : 8), &gate, 8);
	}
	for (i = 0; i < 12; i++) {
		u64 sp = wide ? 0x1f00 : i & 1 ? 0x10 : 0x1f00;

		memcpy(w->memory + TSS + 4 + i * (wide ? 8 : 4), &sp, wide ? 8 : 4);
	}
}

static void init(struct world *w, const struct start *start, const u8 *code, size_t bytes)
{
	const u8 mode = start->mode % 5;
	const bool real = mode <= GONDOLA_EMUL_VM86, long64 = mode == GONDOLA_EMUL_LONG64;
	const u8 cpl = mode == GONDOLA_EMUL_VM86 || (!real && start->cpl & 1) ? 3 : 0;
	unsigned int i;

	memset(w, 0, sizeof(*w));
	memset(w->memory, start->seed, DEVICE);
	make_tables(w, long64);
	memcpy(w->memory + CODE, code, bytes);
	for (i = 0; i < GONDOLA_NR_SEGS; i++)
		w->seg[i] = (struct gondola_segment){
			.limit = real ? 0xffff : 0xffffffff,
			.ar = (i == GONDOLA_CS ? 0x9b : 0x93) | cpl << GONDOLA_AR_DPL_SHIFT |
			      (mode == GONDOLA_EMUL_PROT32 ? GONDOLA_AR_DB : 0) |
			      (long64 && i == GONDOLA_CS ? GONDOLA_AR_L : 0),
			.selector = real ? 0 : (8 * (i + 1)) | cpl,
		};
	w->seg[GONDOLA_TR] = (struct gondola_segment){
		.base = TSS, .limit = 0x7f, .ar = 0x8b, .selector = 0x40,
	};
	w->seg[GONDOLA_LDTR].ar = GONDOLA_AR_UNUSABLE;
	w->gdt = (struct gondola_dtable){ .base = TABLES, .limit = 0x67 };
	w->idt = (struct gondola_dtable){ .base = real ? 0 : IDT, .limit = 0x1ff };
	w->cr[0] = CR0_NE | CR0_ET | (mode == GONDOLA_EMUL_REAL ? 0 : CR0_PE) |
		   (start->cr & 1 ? CR0_TS : 0) | (start->cr & 2 ? CR0_EM : 0);
	w->cr[4] = (start->cr & 4 ? 0 : CR4_OSFXSR | CR4_OSXMMEXCPT) |
		   (start->cr & 8 ? CR4_FSGSBASE | CR4_UMIP | CR4_OSXSAVE : 0);
	w->fpu.fcw = 0x37f;
	w->fpu.mxcsr = start->cr & 16 ? 0 : 0x1f80;
	for (i = 0; i < NR_GPRS; i++)
		w->regs.gpr[i] = start->gpr[i] < 0xf0 ? start->gpr[i] * 0x44ull :
						       ~0ull << (start->gpr[i] & 15) * 4;
	w->regs.rip = CODE;
	w->regs.rflags = (start->flags & 0x7fd5 & ~RFL_TF) | RFL_FIXED |
			 (mode == GONDOLA_EMUL_VM86 ? RFL_VM : 0);
	w->emul = (struct gondola_emulator){
		.ops = &ops, .ctx = w, .regs = &w->regs, .fpu = &w->fpu,
		.segments = start->cr & 32 ? w->seg : NULL,
		.tlb = start->cr & 64 ? tlb : NULL,
		.mode = mode, .cpl = cpl,
	};
}

/* As an engine does it after each instruction. */
static void find_mode(struct world *w)
{
	const u32 ar = w->seg[GONDOLA_CS].ar;
	struct gondola_emulator *e = &w->emul;

	if (e->mode == GONDOLA_EMUL_LONG64)
		e->mode = ar & GONDOLA_AR_L ? GONDOLA_EMUL_LONG64 : GONDOLA_EMUL_PROT32;
	else if (!(w->cr[0] & CR0_PE))
		e->mode = GONDOLA_EMUL_REAL;
	else if (w->regs.rflags & RFL_VM)
		e->mode = GONDOLA_EMUL_VM86;
	else
		e->mode = ar & GONDOLA_AR_DB ? GONDOLA_EMUL_PROT32 : GONDOLA_EMUL_PROT16;
	e->cpl = (w->seg[GONDOLA_SS].ar & GONDOLA_AR_DPL) >> GONDOLA_AR_DPL_SHIFT;
}

/* The translations' memory is the first world's: with them there is no second one. */
static void agree(const struct gondola_insn *insn, int r)
{
	struct gondola_insn general = *insn;

	general.run = emul_run_any;
	if (gondola_execute(&other.emul, &general) != r)
		abort();
	if (memcmp(&other.regs, &world.regs, sizeof(world.regs)) ||
	    memcmp(other.memory, world.memory, BYTES) ||
	    memcmp(&other.fpu, &world.fpu, sizeof(world.fpu)))
		abort();
}

static int step(struct world *w, bool twice)
{
	struct gondola_emulator *e = &w->emul;
	struct gondola_insn insn;
	int r;

	r = gondola_parse(e);
	if (e->insn->len > 15 && r != GONDOLA_EMUL_FAULT)
		abort();
	if (r)
		return r;
	insn = e->own;
	if (twice) {
		other = *w;
		other.emul.ctx = &other;
		other.emul.regs = &other.regs;
		other.emul.fpu = &other.fpu;
		other.emul.segments = w->emul.segments ? other.seg : NULL;
	}
	r = gondola_execute(e, &insn);
	if (twice)
		agree(&insn, r);
	return r;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct start start;
	struct gondola_event event;
	unsigned int i;
	int r;

	if (size <= sizeof(start) || size > sizeof(start) + 512)
		return 0;
	memcpy(&start, data, sizeof(start));
	init(&world, &start, data + sizeof(start), size - sizeof(start));
	for (i = 0; i < GONDOLA_TLB_ENTRIES; i++) {
		tlb[i].read = i < 3 ? i * GONDOLA_PAGE_SIZE : GONDOLA_TLB_NONE;
		tlb[i].write = i == 1 ? i * GONDOLA_PAGE_SIZE : GONDOLA_TLB_NONE;
		tlb[i].host = world.memory + i % PAGES * GONDOLA_PAGE_SIZE;
	}
	for (i = 0; i < MAX_STEPS; i++) {
		r = step(&world, i < TWICE && !world.emul.tlb);
		if (r == GONDOLA_EMUL_FAULT) {
			event = world.emul.exception;
			r = gondola_emulate_deliver(&world.emul, &event);
		}
		if (r)
			break;
		find_mode(&world);
	}
	return 0;
}
