// SPDX-License-Identifier: GPL-2.0-only
/* String instructions: chunks, registers between them, devices, ports. */
#include <kunit/test.h>
#include "test_world.h"

#define PAGE	GONDOLA_PAGE_SIZE

static struct test_world *string_world(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RSI] = WORLD_DATA;
	w->regs.gpr[R_RDI] = WORLD_DATA + 2 * PAGE;
	return w;
}

static bool done(const struct test_world *w)
{
	return w->regs.rip != WORLD_CODE;
}

/* Clearing a page is one write. */
static void clears_a_page(struct kunit *test)
{
	struct test_world *w = string_world(test);

	memset(test_world_at(w, WORLD_DATA + 2 * PAGE), 0xff, PAGE + 8);
	w->regs.gpr[R_RCX] = PAGE / 8;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf3, 0x48, 0xab), OK);
	KUNIT_EXPECT_TRUE(test, done(w));
	KUNIT_EXPECT_EQ(test, w->writes, 1u);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 0ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RDI], (u64)WORLD_DATA + 3 * PAGE);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 3 * PAGE - 8), 0ull);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 3 * PAGE), ~0ull);
}

/* More than a page: RIP stays until RCX is 0, and each chunk lies within a page. */
static void chunks(struct kunit *test)
{
	struct test_world *w = string_world(test);
	unsigned int i, calls = 0;
	u8 *from = test_world_at(w, WORLD_DATA + 100);

	for (i = 0; i < 2 * PAGE - 200; i++)
		from[i] = i * 7;
	w->regs.gpr[R_RSI] = WORLD_DATA + 100;
	w->regs.gpr[R_RCX] = 2 * PAGE - 200;
	while (!done(w) && calls++ < 10) {
		u64 left = w->regs.gpr[R_RCX];

		KUNIT_ASSERT_EQ(test, RUN(w, 0xf3, 0xa4), OK);
		KUNIT_ASSERT_LT(test, w->regs.gpr[R_RCX], left);
		KUNIT_ASSERT_EQ(test, w->regs.gpr[R_RSI] - WORLD_DATA - 100 + w->regs.gpr[R_RCX],
				2ull * PAGE - 200);
	}
	KUNIT_EXPECT_EQ(test, calls, 2u);
	KUNIT_EXPECT_EQ(test, memcmp(test_world_at(w, WORLD_DATA + 2 * PAGE), from,
				     2 * PAGE - 200), 0);
	/* Runs end with the source's page, then with the destination's, then with RCX. */
	KUNIT_EXPECT_EQ(test, w->writes, 3u);
}

/* A debugger's step, without TF. */
static void an_item_at_a_time(struct kunit *test)
{
	struct test_world *w = string_world(test);
	unsigned int i;

	w->emul.one_item = true;
	w->regs.gpr[R_RCX] = 3;
	for (i = 1; i <= 3; i++) {
		KUNIT_ASSERT_FALSE(test, done(w));
		KUNIT_ASSERT_EQ(test, RUN(w, 0xf3, 0xaa), OK);
		KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 3ull - i);
	}
	KUNIT_EXPECT_TRUE(test, done(w));
}

static void nothing_to_do(struct kunit *test)
{
	struct test_world *w = string_world(test);

	w->regs.gpr[R_RDI] = 0;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf3, 0x48, 0xab), OK);
	KUNIT_EXPECT_TRUE(test, done(w));
	KUNIT_EXPECT_EQ(test, w->writes, 0u);
}

/* A copy onto the next bytes spreads the first ones. */
static void spreading(struct kunit *test)
{
	struct test_world *w = string_world(test);
	unsigned int i;
	u8 *at = test_world_at(w, WORLD_DATA);

	at[0] = 1;
	at[1] = 2;
	at[2] = 3;
	w->regs.gpr[R_RDI] = WORLD_DATA + 3;
	w->regs.gpr[R_RCX] = 300;
	while (!done(w))
		KUNIT_ASSERT_EQ(test, RUN(w, 0xf3, 0xa4), OK);
	for (i = 0; i < 303; i++)
		KUNIT_ASSERT_EQ(test, at[i], (u8)(i % 3 + 1));
}

static void downwards(struct kunit *test)
{
	struct test_world *w = string_world(test);
	unsigned int i;
	u8 *at = test_world_at(w, WORLD_DATA);

	for (i = 0; i < 200; i++)
		at[i] = i;
	/* An overlapping move to higher addresses, as memmove() does it. */
	w->regs.rflags |= RFL_DF;
	w->regs.gpr[R_RSI] = WORLD_DATA + 199;
	w->regs.gpr[R_RDI] = WORLD_DATA + 209;
	w->regs.gpr[R_RCX] = 200;
	while (!done(w))
		KUNIT_ASSERT_EQ(test, RUN(w, 0xf3, 0xa4), OK);
	for (i = 0; i < 200; i++)
		KUNIT_ASSERT_EQ(test, at[i + 10], (u8)i);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSI], (u64)WORLD_DATA - 1);
}

/* The first page is done when the second faults. */
static void fault_between(struct kunit *test)
{
	struct test_world *w = string_world(test);

	w->read_only = WORLD_DATA + 3 * PAGE;
	w->regs.gpr[R_RDI] = WORLD_DATA + 3 * PAGE - 64;
	w->regs.gpr[R_RAX] = 0x77;
	w->regs.gpr[R_RCX] = 100;
	EXPECT_FAULT(test, w, RUN(w, 0xf3, 0xaa), VEC_PF);
	KUNIT_EXPECT_EQ(test, w->emul.exception.cr2, (u64)WORLD_DATA + 3 * PAGE);
	KUNIT_EXPECT_FALSE(test, done(w));
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 36ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RDI], (u64)WORLD_DATA + 3 * PAGE);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 3 * PAGE - 8), 0x7777777777777777ull);
}

/* An item across a page border is accessed alone and as a whole. */
static void across_a_border(struct kunit *test)
{
	struct test_world *w = string_world(test);

	w->regs.gpr[R_RDI] = WORLD_DATA + 3 * PAGE - 4;
	w->regs.gpr[R_RAX] = 0x1122334455667788;
	w->regs.gpr[R_RCX] = 4;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf3, 0x48, 0xab), OK);
	KUNIT_EXPECT_TRUE(test, done(w));
	KUNIT_EXPECT_EQ(test, w->writes, 2u);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 3 * PAGE - 4), 0x1122334455667788ull);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 3 * PAGE + 12), 0x1122334455667788ull);
}

static void compares(struct kunit *test)
{
	struct test_world *w = string_world(test);
	u8 *a = test_world_at(w, WORLD_DATA), *b = test_world_at(w, WORLD_DATA + 2 * PAGE);

	memset(a, 'x', 1000);
	memset(b, 'x', 1000);
	b[700] = 'y';
	w->regs.gpr[R_RCX] = 1000;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf3, 0xa6), OK);
	KUNIT_EXPECT_TRUE(test, done(w));
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 299ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSI], (u64)WORLD_DATA + 701);
	KUNIT_EXPECT_EQ(test, w->regs.rflags & (RFL_ZF | RFL_CF), RFL_CF);
	/* strlen() */
	w->regs.rip = WORLD_CODE;
	w->regs.gpr[R_RDI] = WORLD_DATA;
	w->regs.gpr[R_RCX] = ~0ull;
	w->regs.gpr[R_RAX] = 0;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf2, 0xae), OK);
	KUNIT_EXPECT_TRUE(test, done(w));
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RDI], (u64)WORLD_DATA + 1001);
	KUNIT_EXPECT_TRUE(test, w->regs.rflags & RFL_ZF);
}

/* A device sees the width of the instruction. */
static void to_a_device(struct kunit *test)
{
	struct test_world *w = string_world(test);

	memset(test_world_at(w, WORLD_DATA), 0x5a, 64);
	w->regs.gpr[R_RDI] = WORLD_DEVICE;
	w->regs.gpr[R_RCX] = 16;
	while (!done(w)) {
		KUNIT_ASSERT_EQ(test, RUN(w, 0xf3, 0xa5), OK);
		KUNIT_ASSERT_EQ(test, w->last_width, 4u);
	}
	KUNIT_EXPECT_EQ(test, memcmp(test_world_at(w, WORLD_DEVICE), test_world_at(w, WORLD_DATA),
				     64), 0);
	/* Two items are not merged into one of twice the width. */
	w->regs.rip = WORLD_CODE;
	w->regs.gpr[R_RCX] = 2;
	KUNIT_ASSERT_EQ(test, RUN(w, 0xf3, 0xab), OK);
	KUNIT_EXPECT_EQ(test, w->last_width, 4u);
	/* From the device, when the launcher must answer each read. */
	w->regs.rip = WORLD_CODE;
	w->regs.gpr[R_RSI] = WORLD_DEVICE;
	w->regs.gpr[R_RDI] = WORLD_DATA + 2 * PAGE;
	w->regs.gpr[R_RCX] = 20;
	w->asks_user = true;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf3, 0x66, 0xa5), USER);
	KUNIT_EXPECT_EQ(test, w->last_width, 2u);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 20ull);
	w->asks_user = false;
	while (!done(w))
		KUNIT_ASSERT_EQ(test, RUN(w, 0xf3, 0x66, 0xa5), OK);
	KUNIT_EXPECT_EQ(test, memcmp(test_world_at(w, WORLD_DEVICE),
				     test_world_at(w, WORLD_DATA + 2 * PAGE), 40), 0);
}

static void address_sizes(struct kunit *test)
{
	struct test_world *w = string_world(test);

	/* ECX counts, EDI wraps; the upper halves are cleared. */
	w->regs.gpr[R_RDI] = 0x500000000ull + WORLD_DATA;
	w->regs.gpr[R_RCX] = 0x700000002;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x67, 0xf3, 0xaa), OK);
	KUNIT_EXPECT_TRUE(test, done(w));
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RDI], (u64)WORLD_DATA + 2);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 0ull);
	/* In real mode DI wraps at the segment's end. */
	w = test_world_init(test, GONDOLA_EMUL_REAL);
	w->seg[GONDOLA_ES].base = WORLD_DATA - 0xf000;
	w->regs.gpr[R_RDI] = 0xabcdfffe;
	w->regs.gpr[R_RCX] = 3;
	w->regs.gpr[R_RAX] = 0x42;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf3, 0xaa), FAULT);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RDI], 0xabcd0000ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 1ull);
	KUNIT_EXPECT_EQ(test, (u16)test_world_u64(w, WORLD_DATA + 0xffe), (u16)0x4242);
	/* It also wraps in the middle of a page, if no limit stops it. */
	w->seg[GONDOLA_ES].base -= 0x800;
	w->seg[GONDOLA_ES].limit = 0xffffffff;
	w->regs.gpr[R_RDI] = 0xffe0;
	w->regs.gpr[R_RCX] = 40;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf3, 0xaa), FAULT);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 8ull);
	w->seg[GONDOLA_ES].base += 0x800;
	w->seg[GONDOLA_ES].limit = 0xffff;
	/* An item across the limit faults. */
	w->regs.gpr[R_RDI] = 0xffff;
	EXPECT_FAULT(test, w, RUN(w, 0xab), VEC_GP);
}

static void port_strings(struct kunit *test)
{
	struct test_world *w = string_world(test);
	unsigned int i;
	u16 *at = test_world_at(w, WORLD_DATA + 2 * PAGE);

	w->regs.gpr[R_RDX] = 0x1f0;
	w->regs.gpr[R_RCX] = 256;
	w->io_value = 1000;
	w->io_done = 100;
	while (!done(w))
		KUNIT_ASSERT_EQ(test, RUN(w, 0xf3, 0x66, 0x6d), OK);
	KUNIT_EXPECT_EQ(test, w->io_calls, 3u);
	KUNIT_EXPECT_EQ(test, w->io_width, 2u);
	KUNIT_EXPECT_EQ(test, w->port, (u16)0x1f0);
	KUNIT_EXPECT_GE(test, w->probes, 3u);
	for (i = 0; i < 256; i++)
		KUNIT_ASSERT_EQ(test, at[i], (u16)(1000 + i));
	/* The launcher has answered: run the same again. */
	w->regs.rip = WORLD_CODE;
	w->regs.gpr[R_RCX] = 4;
	w->io_user = true;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf3, 0x6c), USER);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 4ull);
	w->io_user = false;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf3, 0x6c), OK);
	KUNIT_EXPECT_TRUE(test, done(w));
	/* OUT: REX.W makes no port of 8 bytes. */
	w->regs.rip = WORLD_CODE;
	test_world_set(w, WORLD_DATA, 0x1122334455667788);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x6f), OK);
	KUNIT_EXPECT_FALSE(test, w->io_in);
	KUNIT_EXPECT_EQ(test, w->io_width, 4u);
	KUNIT_EXPECT_EQ(test, w->io_value, 0x55667788u);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSI], (u64)WORLD_DATA + 4);
}

/* No data is read from a device if the page cannot be written. */
static void input_needs_memory(struct kunit *test)
{
	struct test_world *w = string_world(test);

	w->read_only = WORLD_DATA + 2 * PAGE;
	w->regs.gpr[R_RCX] = 4;
	EXPECT_FAULT(test, w, RUN(w, 0xf3, 0x6c), VEC_PF);
	KUNIT_EXPECT_EQ(test, w->io_calls, 0u);
}

static struct kunit_case string_cases[] = {
	KUNIT_CASE(clears_a_page),
	KUNIT_CASE(chunks),
	KUNIT_CASE(an_item_at_a_time),
	KUNIT_CASE(nothing_to_do),
	KUNIT_CASE(spreading),
	KUNIT_CASE(downwards),
	KUNIT_CASE(fault_between),
	KUNIT_CASE(across_a_border),
	KUNIT_CASE(compares),
	KUNIT_CASE(to_a_device),
	KUNIT_CASE(address_sizes),
	KUNIT_CASE(port_strings),
	KUNIT_CASE(input_needs_memory),
	{}
};

static struct kunit_suite string_suite = {
	.name = "gondola_string",
	.test_cases = string_cases,
};
kunit_test_suite(string_suite);
