// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execution: which operations an instruction calls, in which order, and the state after a failure.
 * tools/testing/emulate compares results and flags with a processor's.
 */
#include <kunit/test.h>
#include "test_world.h"

static void plain_store(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RDI] = WORLD_DATA;
	w->regs.gpr[R_RAX] = 0x1122334455667788;
	w->regs.rflags |= RFL_RF | RFL_CF;
	w->shadow = 1;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x89, 0x07), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA), 0x1122334455667788ull);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE + 3);
	/* A completed instruction clears RF and the shadow, and no other flag. */
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_CF);
	KUNIT_EXPECT_EQ(test, w->shadow, 0u);
	KUNIT_EXPECT_EQ(test, w->reads, 0u);
	KUNIT_EXPECT_EQ(test, w->writes, 1u);
	KUNIT_EXPECT_EQ(test, w->fetches, 1u);
}

struct faulting {
	const char *name;
	u8 code[8];
};

/* RDI and RSP point into a read-only page. */
static const struct faulting faulting[] = {
	{ "mov", { 0x48, 0x89, 0x07 } },
	{ "add", { 0x48, 0x01, 0x07 } },
	{ "lock add", { 0xf0, 0x48, 0x01, 0x07 } },
	{ "xchg", { 0x48, 0x87, 0x07 } },
	{ "xadd", { 0x48, 0x0f, 0xc1, 0x07 } },
	{ "lock xadd", { 0xf0, 0x48, 0x0f, 0xc1, 0x07 } },
	{ "cmpxchg that fails", { 0x48, 0x0f, 0xb1, 0x17 } },
	{ "lock cmpxchg", { 0xf0, 0x48, 0x0f, 0xb1, 0x17 } },
	{ "cmpxchg16b", { 0x48, 0x0f, 0xc7, 0x0f } },
	{ "lock bts", { 0xf0, 0x48, 0x0f, 0xba, 0x2f, 0x01 } },
	{ "push", { 0x50 } },
	{ "pushf", { 0x9c } },
	{ "call", { 0xe8, 0, 0, 0, 0 } },
	{ "call (%rdi)", { 0xff, 0x17 } },
	{ "enter", { 0xc8, 0, 0, 0 } },
	{ "pop (%rdi)", { 0x8f, 0x07 } },
	{ "stosq", { 0x48, 0xab } },
	{ "movsb", { 0xa4 } },
	{ "insb", { 0x6c } },
	{ "movaps", { 0x0f, 0x29, 0x07 } },
	{ "sgdt", { 0x0f, 0x01, 0x07 } },
	{ "setz", { 0x0f, 0x94, 0x07 } },
};

static void faulting_name(const struct faulting *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(faulting, faulting, faulting_name);

static void fault_changes_nothing(struct kunit *test)
{
	const struct faulting *c = test->param_value;
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	struct gondola_regs before;
	u8 *memory = kunit_kzalloc(test, WORLD_BYTES, GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, memory);
	for (i = 0; i < NR_GPRS; i++)
		w->regs.gpr[i] = 0x0101010101010101 * i;
	w->regs.gpr[R_RDI] = WORLD_DATA;
	w->regs.gpr[R_RSP] = WORLD_DATA + 0x100;
	w->regs.gpr[R_RSI] = WORLD_DATA + 0x2000;
	w->regs.rflags |= RFL_CF | RFL_OF | RFL_RF;
	w->read_only = WORLD_DATA;
	/* RAX differs from memory: CMPXCHG writes even so. */
	test_world_set(w, WORLD_DATA, WORLD_CODE + 0x100);
	memcpy(w->memory, c->code, sizeof(c->code));
	memcpy(memory, w->memory, WORLD_BYTES);
	before = w->regs;
	w->shadow = 1;
	EXPECT_FAULT(test, w, gondola_emulate(&w->emul), VEC_PF);
	KUNIT_EXPECT_EQ(test, memcmp(&w->regs, &before, sizeof(before)), 0);
	KUNIT_EXPECT_EQ(test, memcmp(w->memory, memory, WORLD_BYTES), 0);
	KUNIT_EXPECT_EQ(test, w->shadow, 1u);
	KUNIT_EXPECT_EQ(test, w->io_calls, 0u);
	/* And with the page writable it goes through. */
	w->read_only = 0;
	KUNIT_EXPECT_EQ(test, gondola_emulate(&w->emul), OK);
	KUNIT_EXPECT_NE(test, w->regs.rip, before.rip);
}

static void page_crossing(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RDI] = WORLD_BASE - 4;
	EXPECT_FAULT(test, w, RUN(w, 0x48, 0x8b, 0x07), VEC_PF);
	KUNIT_EXPECT_EQ(test, w->emul.exception.cr2, (u64)WORLD_BASE - 4);
	w->regs.gpr[R_RDI] = WORLD_END - 4;
	EXPECT_FAULT(test, w, RUN(w, 0x48, 0x8b, 0x07), VEC_PF);
	KUNIT_EXPECT_EQ(test, w->emul.exception.cr2, (u64)WORLD_END);
}

static void non_canonical(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RDI] = 0x800000000000;
	EXPECT_FAULT(test, w, RUN(w, 0x48, 0x8b, 0x07), VEC_GP);
	KUNIT_EXPECT_TRUE(test, w->emul.exception.has_error);
	/* Only the last byte is beyond the limit. */
	w->regs.gpr[R_RDI] = 0x7ffffffffffc;
	EXPECT_FAULT(test, w, RUN(w, 0x48, 0x8b, 0x07), VEC_GP);
	w->regs.gpr[R_RBP] = 0xffff7fffffffffff;
	EXPECT_FAULT(test, w, RUN(w, 0x48, 0x8b, 0x45, 0x00), VEC_SS);
	w->regs.gpr[R_RDI] = 0xffff800000000000;
	EXPECT_FAULT(test, w, RUN(w, 0x48, 0x8b, 0x07), VEC_PF);
	/* A jump there faults before it is taken. */
	w->regs.gpr[R_RAX] = 0x800000000000;
	EXPECT_FAULT(test, w, RUN(w, 0xff, 0xe0), VEC_GP);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x8d, 0x07), OK);
}

static void segment_bases(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	unsigned int i;

	/* In 64-bit mode only the bases of FS and GS count. */
	for (i = 0; i < GONDOLA_NR_SEGS; i++)
		w->seg[i].base = 0xdead0000;
	w->seg[GONDOLA_GS].base = WORLD_DATA;
	w->regs.gpr[R_RDI] = 0x10;
	w->regs.gpr[R_RAX] = 0x55;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x65, 0x48, 0x89, 0x07), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 0x10), 0x55ull);
	w->regs.gpr[R_RDI] = WORLD_DATA + 0x20;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x89, 0x07), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 0x20), 0x55ull);
}

static void lock_is_an_exchange(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RDI] = WORLD_DATA;
	w->regs.gpr[R_RAX] = 5;
	test_world_set(w, WORLD_DATA, 10);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf0, 0x48, 0x01, 0x07), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA), 15ull);
	KUNIT_EXPECT_EQ(test, w->exchanges, 1u);
	KUNIT_EXPECT_EQ(test, w->writes, 0u);
	/* XCHG is locked without the prefix. */
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x87, 0x07), OK);
	KUNIT_EXPECT_EQ(test, w->exchanges, 2u);
	KUNIT_EXPECT_EQ(test, w->writes, 0u);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA), 5ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 15ull);
	/* Without LOCK it is a read and a write. */
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x01, 0x07), OK);
	KUNIT_EXPECT_EQ(test, w->exchanges, 2u);
	KUNIT_EXPECT_EQ(test, w->writes, 1u);
}

static void lost_races(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	struct gondola_regs before;

	/* "Another" adds one before each of three tries. */
	w->regs.gpr[R_RDI] = WORLD_DATA;
	w->regs.gpr[R_RAX] = 100;
	w->losses = 3;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf0, 0x48, 0x0f, 0xc1, 0x07), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA), 103ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 3ull);
	KUNIT_EXPECT_EQ(test, w->exchanges, 4u);
	/* CMPXCHG sees the other's value and clears ZF. */
	w->regs.gpr[R_RAX] = 103;
	w->regs.gpr[R_RDX] = 7;
	w->losses = 1;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf0, 0x48, 0x0f, 0xb1, 0x17), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags & RFL_ZF, 0ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 104ull);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA), 104ull);
	/* A compare-and-exchange that never wins gives up: the guest tries again by itself. */
	w->losses = ~0u;
	before = w->regs;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf0, 0x48, 0x01, 0x07), RETRY);
	KUNIT_EXPECT_EQ(test, memcmp(&w->regs, &before, sizeof(before)), 0);
}

static void lock_refused(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RDI] = WORLD_DATA;
	EXPECT_FAULT(test, w, RUN(w, 0xf0, 0x48, 0x89, 0x07), VEC_UD);
	EXPECT_FAULT(test, w, RUN(w, 0xf0, 0x48, 0x01, 0xc0), VEC_UD);
	EXPECT_FAULT(test, w, RUN(w, 0xf0, 0x48, 0x39, 0x07), VEC_UD);
	EXPECT_FAULT(test, w, RUN(w, 0xf0, 0x48, 0x03, 0x07), VEC_UD);
	EXPECT_FAULT(test, w, RUN(w, 0xf0, 0x90), VEC_UD);
	EXPECT_FAULT(test, w, RUN(w, 0xf0, 0xa4), VEC_UD);
	KUNIT_EXPECT_EQ(test, w->writes + w->exchanges, 0u);
}

static void cmpxchg_pairs(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RDI] = WORLD_DATA;
	w->regs.gpr[R_RAX] = 1;
	w->regs.gpr[R_RDX] = 2;
	w->regs.gpr[R_RBX] = 3;
	w->regs.gpr[R_RCX] = 4;
	test_world_set(w, WORLD_DATA, 1);
	test_world_set(w, WORLD_DATA + 8, 2);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf0, 0x48, 0x0f, 0xc7, 0x0f), OK);
	KUNIT_EXPECT_TRUE(test, w->regs.rflags & RFL_ZF);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA), 3ull);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 8), 4ull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf0, 0x48, 0x0f, 0xc7, 0x0f), OK);
	KUNIT_EXPECT_FALSE(test, w->regs.rflags & RFL_ZF);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 3ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RDX], 4ull);
	w->regs.gpr[R_RDI] += 8;
	EXPECT_FAULT(test, w, RUN(w, 0xf0, 0x48, 0x0f, 0xc7, 0x0f), VEC_GP);
	/* 8 bytes need no alignment. */
	w->regs.gpr[R_RDI] += 4;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0xc7, 0x0f), OK);
}

static void asks_and_runs_again(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	struct gondola_regs before;

	w->regs.gpr[R_RDI] = WORLD_DEVICE;
	w->regs.gpr[R_RAX] = 0xff;
	test_world_set(w, WORLD_DEVICE, 0xf0f0);
	w->asks_user = true;
	before = w->regs;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x66, 0x23, 0x07), USER);
	KUNIT_EXPECT_EQ(test, memcmp(&w->regs, &before, sizeof(before)), 0);
	KUNIT_EXPECT_EQ(test, w->last_width, 2u);
	w->asks_user = false;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x66, 0x23, 0x07), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0xf0ull);
	w->asks_user = true;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x89, 0x07), USER);
	KUNIT_EXPECT_EQ(test, w->last_width, 4u);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xff, 0x37), USER);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], before.gpr[R_RSP]);
}

static void stack_widths(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	u64 sp = w->regs.gpr[R_RSP];

	w->regs.gpr[R_RAX] = 0x1122334455667788;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x50), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], sp - 8);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x66, 0x50), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], sp - 10);
	/* 16-bit stack of a 32-bit code segment: SP wraps, the upper half stays. */
	w = test_world_init(test, GONDOLA_EMUL_PROT32);
	w->seg[GONDOLA_SS].ar &= ~GONDOLA_AR_DB;
	w->seg[GONDOLA_SS].base = WORLD_DATA;
	w->regs.gpr[R_RSP] = 0xabcd0004;
	w->regs.gpr[R_RAX] = 0x12345678;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x50), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], 0xabcd0000ull);
	KUNIT_EXPECT_EQ(test, (u32)test_world_u64(w, WORLD_DATA), 0x12345678u);
	w->seg[GONDOLA_SS].base = WORLD_DATA - 0xf000;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x50), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], 0xabcdfffcull);
	KUNIT_EXPECT_EQ(test, (u32)test_world_u64(w, WORLD_DATA + 0xffc), 0x12345678u);
}

static void all_registers(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_PROT32);
	u32 sp = WORLD_DATA + 0x800;
	unsigned int i;

	for (i = 0; i < 8; i++)
		w->regs.gpr[i] = i == R_RSP ? sp : 0x11111111 * i;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x60), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], (u64)sp - 32);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, sp - 32), 0x6666666677777777ull);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, sp - 24), (u64)sp << 32 | 0x55555555);
	for (i = 0; i < 8; i++)
		if (i != R_RSP)
			w->regs.gpr[i] = 0;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x61), OK);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, w->regs.gpr[i], i == R_RSP ? sp : (u64)0x11111111 * i);
}

static void popf_rights(struct kunit *test)
{
	const u64 all = 0x3f7fd7, sp = WORLD_DATA;
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	/* The kernel: all but VM, RF, VIF and VIP. */
	w->regs.gpr[R_RSP] = sp;
	test_world_set(w, sp, all);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9d), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags,
			all & ~(RFL_VM | RFL_RF | RFL_VIF | RFL_VIP));
	/* A user changes neither IOPL nor IF. */
	w->regs.rflags = RFL_FIXED;
	w->regs.gpr[R_RSP] = sp;
	w->emul.cpl = 3;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9d), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags & (RFL_IF | RFL_IOPL), 0ull);
	KUNIT_EXPECT_TRUE(test, w->regs.rflags & RFL_CF);
	/* With IOPL 3 a user changes IF, but not IOPL itself. */
	w->regs.rflags = RFL_FIXED | RFL_IOPL;
	w->regs.gpr[R_RSP] = sp;
	test_world_set(w, sp, RFL_IF);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9d), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_IF | RFL_IOPL);
	/* Virtual-8086 mode needs IOPL 3. */
	w = test_world_init(test, GONDOLA_EMUL_VM86);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9c), OK);
	w->regs.rflags &= ~RFL_IOPL;
	EXPECT_FAULT(test, w, RUN(w, 0x9c), VEC_GP);
	EXPECT_FAULT(test, w, RUN(w, 0x9d), VEC_GP);
}

static void branch_limits(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_PROT32);
	u64 sp = w->regs.gpr[R_RSP];

	w->seg[GONDOLA_CS].limit = WORLD_CODE + 0x7f;
	EXPECT_FAULT(test, w, RUN(w, 0xe8, 0x00, 0x01, 0x00, 0x00), VEC_GP);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], sp);
	KUNIT_EXPECT_EQ(test, w->writes, 0u);
	EXPECT_FAULT(test, w, RUN(w, 0xeb, 0x7e), VEC_GP);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xeb, 0x7d), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE + 0x7f);
	/* 66: the target is cut to 16 bits. */
	w = test_world_init(test, GONDOLA_EMUL_PROT32);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x66, 0xe9, 0x04, 0x00), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)(WORLD_CODE & 0xffff) + 8);
}

static void limits(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_PROT32);
	struct gondola_segment *ds = &w->seg[GONDOLA_DS];

	ds->limit = WORLD_DATA + 3;
	w->regs.gpr[R_RDI] = WORLD_DATA;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8b, 0x07), OK);
	w->regs.gpr[R_RDI]++;
	EXPECT_FAULT(test, w, RUN(w, 0x8b, 0x07), VEC_GP);
	w->seg[GONDOLA_SS].limit = WORLD_DATA + 3;
	w->regs.gpr[R_RBP] = WORLD_DATA + 1;
	EXPECT_FAULT(test, w, RUN(w, 0x8b, 0x45, 0x00), VEC_SS);
	/* An expand-down segment contains the offsets above its limit. */
	ds->ar |= 4;
	ds->limit = WORLD_DATA;
	w->regs.gpr[R_RDI] = WORLD_DATA;
	EXPECT_FAULT(test, w, RUN(w, 0x8b, 0x07), VEC_GP);
	w->regs.gpr[R_RDI]++;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8b, 0x07), OK);
	ds->ar &= ~4;
	/* Rights: read-only data, code, nothing. */
	ds->limit = ~0u;
	ds->ar &= ~2;
	EXPECT_FAULT(test, w, RUN(w, 0x89, 0x07), VEC_GP);
	EXPECT_FAULT(test, w, RUN(w, 0x01, 0x07), VEC_GP);
	EXPECT_FAULT(test, w, RUN(w, 0xf0, 0x0f, 0xc7, 0x0f), VEC_GP);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x39, 0x07), OK);
	ds->ar |= GONDOLA_AR_UNUSABLE;
	EXPECT_FAULT(test, w, RUN(w, 0x8b, 0x07), VEC_GP);
	EXPECT_FAULT(test, w, RUN(w, 0x2e, 0x89, 0x07), VEC_GP);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x2e, 0x8b, 0x07), OK);
	/* Real mode: 64 KiB, wherever the base is. */
	w = test_world_init(test, GONDOLA_EMUL_REAL);
	w->regs.gpr[R_RDI] = 0xffff;
	EXPECT_FAULT(test, w, RUN(w, 0x8b, 0x05), VEC_GP);
}

static void xmm_rights(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RDI] = WORLD_DATA + 8;
	w->xmm[1][0] = 0x1111;
	w->xmm[1][1] = 0x2222;
	EXPECT_FAULT(test, w, RUN(w, 0x0f, 0x29, 0x0f), VEC_GP);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x11, 0x0f), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 8), 0x1111ull);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 16), 0x2222ull);
	KUNIT_EXPECT_EQ(test, w->writes, 1u);
	w->cr[0] |= CR0_TS;
	EXPECT_FAULT(test, w, RUN(w, 0x0f, 0x11, 0x0f), VEC_NM);
	w->cr[0] |= CR0_EM;
	EXPECT_FAULT(test, w, RUN(w, 0x0f, 0x11, 0x0f), VEC_UD);
	w->cr[0] &= ~(CR0_TS | CR0_EM);
	w->cr[4] &= ~CR4_OSFXSR;
	EXPECT_FAULT(test, w, RUN(w, 0x0f, 0x11, 0x0f), VEC_UD);
	/* MOVNTI needs none of it. */
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x0f, 0xc3, 0x07), OK);
}

static struct kunit_case execute_cases[] = {
	KUNIT_CASE(plain_store),
	KUNIT_CASE_PARAM(fault_changes_nothing, faulting_gen_params),
	KUNIT_CASE(page_crossing),
	KUNIT_CASE(non_canonical),
	KUNIT_CASE(segment_bases),
	KUNIT_CASE(lock_is_an_exchange),
	KUNIT_CASE(lost_races),
	KUNIT_CASE(lock_refused),
	KUNIT_CASE(cmpxchg_pairs),
	KUNIT_CASE(asks_and_runs_again),
	KUNIT_CASE(stack_widths),
	KUNIT_CASE(all_registers),
	KUNIT_CASE(popf_rights),
	KUNIT_CASE(branch_limits),
	KUNIT_CASE(limits),
	KUNIT_CASE(xmm_rights),
	{}
};

static struct kunit_suite execute_suite = {
	.name = "gondola_execute",
	.test_cases = execute_cases,
};
kunit_test_suite(execute_suite);
