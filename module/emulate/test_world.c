// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/minmax.h>
#include "test_world.h"

static struct test_world *world(struct gondola_emulator *e)
{
	return container_of(e, struct test_world, emul);
}

static int page_fault(struct gondola_emulator *e, gva_t la, u32 error)
{
	e->exception = (struct gondola_event){
		.kind = GONDOLA_EVENT_EXCEPTION, .vector = VEC_PF, .has_error = true,
		.error = error, .cr2 = la,
	};
	return GONDOLA_EMUL_FAULT;
}

/* May @bytes at @la be accessed?  If not, raise a fault at the first such address. */
static int check(struct test_world *w, gva_t la, unsigned int bytes, bool write)
{
	gva_t at;

	for (at = la; at < la + max(bytes, 1u); at++) {
		if (at < WORLD_BASE || at >= WORLD_END)
			return page_fault(&w->emul, at, write ? PFEC_W : 0);
		if (write && w->read_only && (at & GONDOLA_PAGE_MASK) == w->read_only)
			return page_fault(&w->emul, at, PFEC_P | PFEC_W);
	}
	if (la < WORLD_DEVICE || !bytes)
		return GONDOLA_EMUL_OK;
	if (bytes > 16)
		return GONDOLA_EMUL_SPLIT;
	w->last_width = bytes;
	return w->asks_user ? GONDOLA_EMUL_USER : GONDOLA_EMUL_OK;
}

static int world_fetch(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		       unsigned int *got)
{
	struct test_world *w = world(e);

	w->fetches++;
	if (la < WORLD_BASE || la >= WORLD_END)
		return page_fault(e, la, PFEC_I);
	*got = min_t(u64, bytes, WORLD_END - la);
	memcpy(buf, test_world_at(w, la), *got);
	return GONDOLA_EMUL_OK;
}

static int world_read(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		      bool system)
{
	struct test_world *w = world(e);
	int r;

	w->reads++;
	if (w->vectors && la + bytes <= 1024) {
		memcpy(buf, w->vectors + la, bytes);
		return GONDOLA_EMUL_OK;
	}
	r = check(w, la, bytes, false);
	if (!r)
		memcpy(buf, test_world_at(w, la), bytes);
	return r;
}

static int world_write(struct gondola_emulator *e, gva_t la, const void *buf, unsigned int bytes,
		       bool system)
{
	struct test_world *w = world(e);
	int r = check(w, la, bytes, true);

	if (!bytes)
		w->probes++;
	else
		w->writes++;
	if (!r)
		memcpy(test_world_at(w, la), buf, bytes);
	return r;
}

static int world_cmpxchg(struct gondola_emulator *e, gva_t la, void *old, const void *new,
			 unsigned int bytes)
{
	struct test_world *w = world(e);
	int r = check(w, la, bytes, true);
	u8 *at;

	w->exchanges++;
	if (r)
		return r;
	at = test_world_at(w, la);
	if (w->losses) {
		w->losses--;
		at[0]++;
	}
	if (memcmp(at, old, bytes))
		memcpy(old, at, bytes);
	else
		memcpy(at, new, bytes);
	return GONDOLA_EMUL_OK;
}

static int world_io(struct gondola_emulator *e, u16 port, unsigned int width, bool in, void *buf,
		    unsigned int count, unsigned int *done)
{
	struct test_world *w = world(e);
	unsigned int i;

	w->io_calls++;
	if (w->io_user)
		return GONDOLA_EMUL_USER;
	w->port = port;
	w->io_width = width;
	w->io_in = in;
	*done = min(count, w->io_done);
	for (i = 0; i < *done; i++) {
		if (in) {
			memcpy(buf + i * width, &w->io_value, width);
			w->io_value++;
		} else {
			w->io_value = 0;
			memcpy(&w->io_value, buf + i * width, width);
		}
	}
	return GONDOLA_EMUL_OK;
}

static void world_get_segment(struct gondola_emulator *e, enum gondola_seg seg,
			      struct gondola_segment *out)
{
	*out = world(e)->seg[seg];
}

static void world_set_segment(struct gondola_emulator *e, enum gondola_seg seg,
			      const struct gondola_segment *in)
{
	world(e)->seg[seg] = *in;
}

static void world_get_dtable(struct gondola_emulator *e, bool idt, struct gondola_dtable *out)
{
	*out = idt ? world(e)->idt : world(e)->gdt;
}

static void world_set_dtable(struct gondola_emulator *e, bool idt, const struct gondola_dtable *in)
{
	*(idt ? &world(e)->idt : &world(e)->gdt) = *in;
}

static u64 world_get_cr(struct gondola_emulator *e, unsigned int cr)
{
	return world(e)->cr[cr];
}

/* Refuses bits above 31 in CR0, as a checker of control registers does. */
static int world_set_cr(struct gondola_emulator *e, unsigned int cr, u64 value)
{
	if (cr == 0 && value >> 32) {
		e->exception = (struct gondola_event){
			.kind = GONDOLA_EVENT_EXCEPTION, .vector = VEC_GP, .has_error = true,
		};
		return GONDOLA_EMUL_FAULT;
	}
	world(e)->cr[cr] = value;
	return GONDOLA_EMUL_OK;
}

static int world_get_dr(struct gondola_emulator *e, unsigned int dr, u64 *value)
{
	*value = world(e)->dr[dr];
	return GONDOLA_EMUL_OK;
}

static int world_set_dr(struct gondola_emulator *e, unsigned int dr, u64 value)
{
	world(e)->dr[dr] = value;
	return GONDOLA_EMUL_OK;
}

static int world_get_msr(struct gondola_emulator *e, u32 index, u64 *value)
{
	struct test_world *w = world(e);
	unsigned int i;

	for (i = 0; i < w->nr_msrs; i++) {
		if (w->msr[i].index == index) {
			*value = w->msr[i].value;
			return GONDOLA_EMUL_OK;
		}
	}
	/* EFER.LMA follows the mode; a test's MSRs do not change it. */
	if (index == MSRX_EFER && e->mode != GONDOLA_EMUL_LONG64)
		*value = 0;
	else
		*value = w->msr_value;
	w->msr_index = index;
	return GONDOLA_EMUL_OK;
}

static int world_set_msr(struct gondola_emulator *e, u32 index, u64 value)
{
	world(e)->msr_index = index;
	world(e)->msr_value = value;
	return GONDOLA_EMUL_OK;
}

static int world_cpuid(struct gondola_emulator *e, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	*ebx = *eax + 1;
	*edx = *ecx + 1;
	*eax = 0xa;
	*ecx = 0xc;
	return GONDOLA_EMUL_OK;
}

static int world_invlpg(struct gondola_emulator *e, gva_t la)
{
	world(e)->invlpg = la;
	return GONDOLA_EMUL_OK;
}

static int world_hlt(struct gondola_emulator *e)
{
	world(e)->halted = true;
	return GONDOLA_EMUL_OK;
}

static int world_wbinvd(struct gondola_emulator *e)
{
	world(e)->flushed = true;
	return GONDOLA_EMUL_OK;
}

static void world_set_shadow(struct gondola_emulator *e, u32 shadow)
{
	world(e)->shadow = shadow;
}

static void world_get_xmm(struct gondola_emulator *e, unsigned int n, void *buf)
{
	memcpy(buf, world(e)->xmm[n], 16);
}

static void world_set_xmm(struct gondola_emulator *e, unsigned int n, const void *buf)
{
	memcpy(world(e)->xmm[n], buf, 16);
}

/* There is one memory for all address spaces: this only notes CR3. */
static int world_enter_space(struct gondola_emulator *e, u64 cr3)
{
	world(e)->other_cr3 = world(e)->cr[3];
	world(e)->cr[3] = cr3;
	return GONDOLA_EMUL_OK;
}

static void world_swap_space(struct gondola_emulator *e)
{
	swap(world(e)->cr[3], world(e)->other_cr3);
}

static void world_new_task(struct gondola_emulator *e, bool traps)
{
	world(e)->new_tasks++;
	world(e)->task_traps = traps;
}

static const struct gondola_emul_ops world_ops = {
	.fetch = world_fetch,
	.read = world_read,
	.write = world_write,
	.cmpxchg = world_cmpxchg,
	.io = world_io,
	.get_segment = world_get_segment,
	.set_segment = world_set_segment,
	.get_dtable = world_get_dtable,
	.set_dtable = world_set_dtable,
	.get_cr = world_get_cr,
	.set_cr = world_set_cr,
	.get_dr = world_get_dr,
	.set_dr = world_set_dr,
	.get_msr = world_get_msr,
	.set_msr = world_set_msr,
	.cpuid = world_cpuid,
	.invlpg = world_invlpg,
	.hlt = world_hlt,
	.wbinvd = world_wbinvd,
	.set_shadow = world_set_shadow,
	.get_xmm = world_get_xmm,
	.set_xmm = world_set_xmm,
	.enter_space = world_enter_space,
	.swap_space = world_swap_space,
	.new_task = world_new_task,
};

struct test_world *test_world_init(struct kunit *test, enum gondola_emul_mode mode)
{
	struct test_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	bool small = mode <= GONDOLA_EMUL_PROT16;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, w);
	/* Nothing may depend on what the last instruction left behind. */
	memset(&w->emul, 0xa5, sizeof(w->emul));
	w->emul.ops = &world_ops;
	w->emul.regs = &w->regs;
	w->emul.segments = NULL;
	w->emul.tlb = NULL;
	w->emul.fpu = NULL;
	w->emul.mode = mode;
	w->emul.int3_fails = false;
	w->emul.one_item = false;
	w->emul.cpl = mode == GONDOLA_EMUL_VM86 ? 3 : 0;
	w->regs.rip = WORLD_CODE;
	w->regs.rflags = RFL_FIXED | (mode == GONDOLA_EMUL_VM86 ? RFL_VM | RFL_IOPL : 0);
	w->regs.gpr[R_RSP] = WORLD_DATA + 0x800;
	w->cr[0] = CR0_ET | (mode == GONDOLA_EMUL_REAL ? 0 : CR0_PE | CR0_PG);
	w->cr[4] = CR4_OSFXSR;
	w->io_done = ~0u;
	for (i = 0; i < GONDOLA_NR_SEGS; i++) {
		bool real = mode <= GONDOLA_EMUL_VM86;

		w->seg[i] = (struct gondola_segment){
			.limit = real ? 0xffff : 0xffffffff,
			.ar = (i == GONDOLA_CS ? 0x9b : 0x93) | (small ? 0 : GONDOLA_AR_DB),
			.selector = real ? WORLD_BASE >> 4 : 8 * (i + 1),
			/* In real mode offset 0 is the first byte, so that 16 bits reach the memory. */
			.base = real ? WORLD_BASE : 0,
		};
		if (real && w->emul.mode == GONDOLA_EMUL_VM86)
			w->seg[i].ar = 0xf3;
	}
	if (mode <= GONDOLA_EMUL_VM86) {
		w->regs.rip = 0;
		w->regs.gpr[R_RSP] = 0x2800;
	}
	return w;
}

int test_world_run(struct test_world *w, const u8 *code, unsigned int bytes)
{
	gva_t la = w->regs.rip;

	if (w->emul.mode != GONDOLA_EMUL_LONG64)
		la += w->seg[GONDOLA_CS].base;
	memcpy(test_world_at(w, la), code, bytes);
	return gondola_emulate(&w->emul);
}

void test_world_refresh(struct test_world *w)
{
	w->emul.cpl = (w->seg[GONDOLA_SS].ar & GONDOLA_AR_DPL) >> GONDOLA_AR_DPL_SHIFT;
	if (w->regs.rflags & RFL_VM)
		w->emul.mode = GONDOLA_EMUL_VM86;
	else if (w->seg[GONDOLA_CS].ar & GONDOLA_AR_L)
		w->emul.mode = GONDOLA_EMUL_LONG64;
	else
		w->emul.mode = GONDOLA_EMUL_PROT32;
}
