// SPDX-License-Identifier: GPL-2.0-only
/* Transfers between code segments. */
#include <kunit/test.h>
#include "test_world.h"

#define STACK	0x2800ull		/* offset in real mode's segment */

static struct gondola_segment *cs(struct test_world *w)
{
	return &w->seg[GONDOLA_CS];
}

static struct test_world *real_world(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_REAL);

	w->regs.rip = 0;
	w->regs.gpr[R_RSP] = STACK;
	return w;
}

static void jumps_in_real_mode(struct kunit *test)
{
	struct test_world *w = real_world(test);

	/* ljmp $0x1010, $0x0020 */
	KUNIT_EXPECT_EQ(test, RUN(w, 0xea, 0x20, 0x00, 0x10, 0x10), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x20ull);
	KUNIT_EXPECT_EQ(test, cs(w)->selector, (u16)0x1010);
	KUNIT_EXPECT_EQ(test, cs(w)->base, 0x10100ull);
	KUNIT_EXPECT_EQ(test, cs(w)->limit, 0xffffu);
	/* ljmpl: an offset of 32 bits that is beyond the segment */
	EXPECT_FAULT(test, w, RUN(w, 0x66, 0xea, 0x00, 0x00, 0x01, 0x00, 0x10, 0x10), VEC_GP);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x20ull);
	KUNIT_EXPECT_EQ(test, cs(w)->selector, (u16)0x1010);
	/* ljmp *0x2000 */
	test_world_set(w, WORLD_BASE + 0x2000, 0x10000044);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xff, 0x2e, 0x00, 0x20), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x44ull);
	KUNIT_EXPECT_EQ(test, cs(w)->base, 0x10000ull);
}

static void calls_and_returns(struct kunit *test)
{
	struct test_world *w = real_world(test);

	/* lcall $0x1010, $0x0020 */
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9a, 0x20, 0x00, 0x10, 0x10), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], STACK - 4);
	KUNIT_EXPECT_EQ(test, (u32)test_world_u64(w, WORLD_BASE + STACK - 4),
			(u32)(WORLD_BASE >> 4) << 16 | 5);
	KUNIT_EXPECT_EQ(test, cs(w)->base, 0x10100ull);
	/* lret $2 */
	KUNIT_EXPECT_EQ(test, RUN(w, 0xca, 0x02, 0x00), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 5ull);
	KUNIT_EXPECT_EQ(test, cs(w)->base, (u64)WORLD_BASE);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], STACK + 2);
	/* The stack is not mapped: nothing changes. */
	w->seg[GONDOLA_SS].base = 0;
	w->regs.rip = 0;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9a, 0x20, 0x00, 0x10, 0x10), FAULT);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0ull);
	KUNIT_EXPECT_EQ(test, cs(w)->base, (u64)WORLD_BASE);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], STACK + 2);
}

static void interrupts(struct kunit *test)
{
	struct test_world *w = real_world(test);

	w->idt.base = WORLD_DATA;
	w->idt.limit = 0x21 * 4 + 3;
	test_world_set(w, WORLD_DATA + 0x21 * 4, 0x10100030);
	w->regs.rflags |= RFL_IF | RFL_CF;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xcd, 0x21), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x30ull);
	KUNIT_EXPECT_EQ(test, cs(w)->selector, (u16)0x1010);
	KUNIT_EXPECT_EQ(test, w->regs.rflags & (RFL_IF | RFL_CF), RFL_CF);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], STACK - 6);
	w->regs.rflags &= ~RFL_CF;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xcf), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 2ull);
	KUNIT_EXPECT_EQ(test, cs(w)->selector, (u16)(WORLD_BASE >> 4));
	KUNIT_EXPECT_EQ(test, w->regs.rflags & (RFL_IF | RFL_CF), RFL_IF | RFL_CF);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], STACK);
	/* Beyond the table. */
	EXPECT_FAULT(test, w, RUN(w, 0xcd, 0x22), VEC_GP);
}

static void set_descriptor(struct test_world *w, unsigned int i, u64 raw)
{
	test_world_set(w, GDT + 8 * i, raw);
}

static void expect_refused(struct kunit *test, struct test_world *w, u8 selector, int vector)
{
	w->regs.rip = WORLD_CODE;
	EXPECT_FAULT(test, w, RUN(w, 0xea, 0x00, 0x00, 0x01, 0x00, selector, 0x00), vector);
	KUNIT_EXPECT_EQ(test, w->emul.exception.error, (u32)selector & ~3u);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE);
}

static void jumps_by_descriptor(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_PROT32);

	w->gdt.base = GDT;
	w->gdt.limit = 8 * 8 - 1;
	set_descriptor(w, 1, 0x00cf9a000000ffff);	/* flat code, not yet accessed */
	set_descriptor(w, 2, 0x00cf92000000ffff);	/* data */
	set_descriptor(w, 3, 0x00cf1a000000ffff);	/* not present */
	set_descriptor(w, 4, 0x00cffa000000ffff);	/* of privilege level 3 */
	set_descriptor(w, 5, 0x004f9a000000ffff);	/* ends below 1 MiB */
	set_descriptor(w, 6, 0x00018c0000081236);	/* a call gate */
	KUNIT_EXPECT_EQ(test, RUN(w, 0xea, 0x34, 0x12, 0x01, 0x00, 0x08, 0x00), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x11234ull);
	KUNIT_EXPECT_EQ(test, cs(w)->selector, (u16)8);
	KUNIT_EXPECT_EQ(test, cs(w)->limit, 0xffffffffu);
	KUNIT_EXPECT_EQ(test, cs(w)->ar, 0xc09bu);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, GDT + 8) >> 40 & 0xff, 0x9bull);
	expect_refused(test, w, 0x00, VEC_GP);
	expect_refused(test, w, 0x10, VEC_GP);
	expect_refused(test, w, 0x18, VEC_NP);
	expect_refused(test, w, 0x20, VEC_GP);
	expect_refused(test, w, 0x40, VEC_GP);
	w->regs.rip = WORLD_CODE;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xea, 0x00, 0x00, 0x10, 0x00, 0x28, 0x00), FAULT);
	/* A jump through the gate ignores its own offset. */
	KUNIT_EXPECT_EQ(test, RUN(w, 0xea, 0x78, 0x56, 0x34, 0x12, 0x30, 0x00), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x11236ull);
	KUNIT_EXPECT_EQ(test, cs(w)->selector, (u16)8);
	/* A return to a segment that is not present leaves the stack as it is. */
	w->regs.rip = WORLD_CODE;
	test_world_set(w, w->regs.gpr[R_RSP], 0x1234 | 0x18ull << 32);
	w->regs.rflags |= RFL_TF;
	EXPECT_FAULT(test, w, RUN(w, 0xcb), VEC_NP);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], WORLD_DATA + 0x800ull);
}

static struct kunit_case far_cases[] = {
	KUNIT_CASE(jumps_in_real_mode),
	KUNIT_CASE(calls_and_returns),
	KUNIT_CASE(interrupts),
	KUNIT_CASE(jumps_by_descriptor),
	{}
};

static struct kunit_suite far_suite = {
	.name = "gondola_far",
	.test_cases = far_cases,
};
kunit_test_suite(far_suite);
