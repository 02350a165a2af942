// SPDX-License-Identifier: GPL-2.0-only
/* Suite virtual_if: VIF instead of IF, and INT within virtual-8086 mode. */
#include <kunit/test.h>
#include "test_world.h"

#define SP		0x2800u
#define TSS		(WORLD_DATA + 0x1000)
#define TSS_MAP		0x90u		/* of ports; that of vectors lies before it */
#define HANDLER		0x4321u

static const u8 no_vectors[1024];

/* In virtual-8086 mode with VME and IOPL 0, and no INT is redirected. */
static struct test_world *make_world(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_VM86);

	w->cr[4] |= CR4_VME;
	w->regs.rflags &= ~RFL_IOPL;
	w->seg[GONDOLA_TR] = (struct gondola_segment){ .base = TSS, .limit = 0x1ff, .ar = 0x8b };
	*(u16 *)test_world_at(w, TSS + 102) = TSS_MAP;
	memset(test_world_at(w, TSS + TSS_MAP - 32), 0xff, 32);
	return w;
}

static u16 *stack(struct test_world *w, unsigned int sp)
{
	return test_world_at(w, WORLD_BASE + sp);
}

static void expect_gp(struct kunit *test, struct test_world *w, int result)
{
	EXPECT_FAULT(test, w, result, VEC_GP);
	KUNIT_EXPECT_EQ(test, w->emul.exception.error, 0u);
}

/* CLI and STI; @w has an extension by which they change VIF. */
static void changes_vif(struct kunit *test, struct test_world *w)
{
	w->regs.rflags |= RFL_IF;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xfb), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags & (RFL_IF | RFL_VIF), RFL_IF | RFL_VIF);
	KUNIT_EXPECT_EQ_MSG(test, w->shadow, 0u, "real interrupts are not blocked");
	KUNIT_EXPECT_EQ(test, RUN(w, 0xfa), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags & (RFL_IF | RFL_VIF), RFL_IF);
	/* One waits: the system is to hear of it. */
	w->regs.rflags |= RFL_VIP;
	expect_gp(test, w, RUN(w, 0xfb));
	KUNIT_EXPECT_EQ(test, w->regs.rflags & RFL_VIF, 0ull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xfa), OK);
	w->regs.rflags &= ~RFL_VIP;
	/* With IOPL 3 they change IF. */
	w->regs.rflags |= RFL_IOPL;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xfa), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags & (RFL_IF | RFL_VIF), 0ull);
	w->regs.rflags &= ~RFL_IOPL;
}

static void cli_and_sti(struct kunit *test)
{
	struct test_world *w = make_world(test);

	changes_vif(test, w);
	w->cr[4] ^= CR4_VME | CR4_PVI;
	expect_gp(test, w, RUN(w, 0xfa));
	expect_gp(test, w, RUN(w, 0xfb));

	w = test_world_init(test, GONDOLA_EMUL_PROT32);
	w->cr[4] |= CR4_PVI;
	w->emul.cpl = 3;
	changes_vif(test, w);
	w->emul.cpl = 2;
	expect_gp(test, w, RUN(w, 0xfa));
	w->emul.cpl = 3;
	w->cr[4] ^= CR4_VME | CR4_PVI;
	expect_gp(test, w, RUN(w, 0xfb));

	w = test_world_init(test, GONDOLA_EMUL_LONG64);
	w->cr[4] |= CR4_PVI;
	w->emul.cpl = 3;
	changes_vif(test, w);
}

static void pushed_and_popped(struct kunit *test)
{
	struct test_world *w = make_world(test);

	w->regs.rflags |= RFL_VIF | RFL_CF;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9c), OK);
	KUNIT_EXPECT_EQ(test, *stack(w, SP - 2), (u16)(RFL_FIXED | RFL_CF | RFL_IF | RFL_IOPL));
	w->regs.rflags ^= RFL_VIF | RFL_IF;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9c), OK);
	KUNIT_EXPECT_EQ(test, *stack(w, SP - 4), (u16)(RFL_FIXED | RFL_CF | RFL_IOPL));
	/* 32 bits would show too much. */
	expect_gp(test, w, RUN(w, 0x66, 0x9c));
	expect_gp(test, w, RUN(w, 0x66, 0x9d));

	*stack(w, SP - 4) = RFL_IF | RFL_ZF;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9d), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_VM | RFL_IF | RFL_VIF | RFL_ZF);
	w->regs.rflags &= ~RFL_IF;
	*stack(w, SP - 2) = 0;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9d), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_VM);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], (u64)SP);
	*stack(w, SP) = RFL_TF;
	expect_gp(test, w, RUN(w, 0x9d));
	w->regs.rflags |= RFL_VIP;
	*stack(w, SP) = RFL_IF;
	expect_gp(test, w, RUN(w, 0x9d));
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], (u64)SP);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_VM | RFL_VIP);
	*stack(w, SP) = 0;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9d), OK);
	w->cr[4] &= ~CR4_VME;
	expect_gp(test, w, RUN(w, 0x9c));
	expect_gp(test, w, RUN(w, 0x9d));
}

static void returns(struct kunit *test)
{
	struct test_world *w = make_world(test);

	stack(w, SP)[0] = 0x40;
	stack(w, SP)[1] = WORLD_BASE >> 4;
	stack(w, SP)[2] = RFL_IF | RFL_CF;
	expect_gp(test, w, RUN(w, 0x66, 0xcf));
	KUNIT_EXPECT_EQ(test, RUN(w, 0xcf), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x40ull);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_VM | RFL_VIF | RFL_CF);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], (u64)SP + 6);
	w->regs.gpr[R_RSP] = SP;
	w->regs.rflags = RFL_FIXED | RFL_VM | RFL_VIP;
	expect_gp(test, w, RUN(w, 0xcf));
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x40ull);
	stack(w, SP)[2] = RFL_TF;
	expect_gp(test, w, RUN(w, 0xcf));
	w->cr[4] &= ~CR4_VME;
	stack(w, SP)[2] = 0;
	expect_gp(test, w, RUN(w, 0xcf));
}

static void ints(struct kunit *test)
{
	struct test_world *w = make_world(test);
	u8 *vectors = kunit_kzalloc(test, sizeof(no_vectors), GFP_KERNEL);
	u8 *map = test_world_at(w, TSS + TSS_MAP - 32);

	KUNIT_ASSERT_NOT_NULL(test, vectors);
	((u16 *)vectors)[2 * 0x21] = HANDLER;
	((u16 *)vectors)[2 * 0x21 + 1] = 0x1234;
	w->vectors = vectors;
	/* Not redirected, and IOPL is 0: the system's. */
	expect_gp(test, w, RUN(w, 0xcd, 0x21));
	map[0x21 / 8] = (u8)~2;
	expect_gp(test, w, RUN(w, 0xcd, 0x20));
	w->regs.rflags |= RFL_VIF | RFL_IF;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xcd, 0x21), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)HANDLER);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_CS].base, 0x12340ull);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_VM | RFL_IF);
	KUNIT_EXPECT_EQ(test, stack(w, SP - 6)[0], (u16)2);
	KUNIT_EXPECT_EQ(test, stack(w, SP - 6)[1], (u16)(WORLD_BASE >> 4));
	KUNIT_EXPECT_EQ(test, stack(w, SP - 6)[2], (u16)(RFL_FIXED | RFL_IF | RFL_IOPL));
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], (u64)SP - 6);

	/* With IOPL 3 the flags are the real ones. */
	w->regs.rip = 0;
	w->seg[GONDOLA_CS].base = WORLD_BASE;
	w->regs.rflags |= RFL_IOPL | RFL_VIF;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xcd, 0x21), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)HANDLER);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_VM | RFL_IOPL | RFL_VIF);
}

/* A task whose TSS has no such map. */
static void no_map(struct kunit *test)
{
	struct test_world *w = make_world(test);

	w->vectors = no_vectors;
	memset(test_world_at(w, TSS + TSS_MAP - 32), 0, 32);
	w->seg[GONDOLA_TR].limit = TSS_MAP - 32 + 0x21 / 8 - 1;
	expect_gp(test, w, RUN(w, 0xcd, 0x21));
	w->seg[GONDOLA_TR].limit++;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xcd, 0x21), OK);
	w->regs.rip = 0;
	w->seg[GONDOLA_CS].base = WORLD_BASE;
	/* It would begin before the TSS. */
	*(u16 *)test_world_at(w, TSS + 102) = 27;
	expect_gp(test, w, RUN(w, 0xcd, 0x21));
	*(u16 *)test_world_at(w, TSS + 102) = TSS_MAP;
	w->seg[GONDOLA_TR].ar = 0x83;	/* of 16 bits */
	expect_gp(test, w, RUN(w, 0xcd, 0x21));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(cli_and_sti),
	KUNIT_CASE(pushed_and_popped),
	KUNIT_CASE(returns),
	KUNIT_CASE(ints),
	KUNIT_CASE(no_map),
	{}
};

static struct kunit_suite suite = {
	.name = "gondola_virtual_if",
	.test_cases = cases,
};
kunit_test_suite(suite);
