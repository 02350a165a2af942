// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delivery of events and the return from their handlers, in protected and long mode; fast system
 * calls.
 */
#include <kunit/test.h>
#include "test_world.h"

#define TSS	(WORLD_DATA + 0x2000)
#define HANDLER	(WORLD_CODE + 0x234)
#define STACK0	(WORLD_DATA + 0x3000)		/* of privilege level 0, from the TSS */
#define IST1	(WORLD_DATA + 0x3800)

#define TSS_SELECTOR	0x28

static struct gondola_segment *segment(struct test_world *w, enum gondola_seg seg)
{
	return &w->seg[seg];
}

static u64 stacked(struct test_world *w, u64 sp, unsigned int n, unsigned int bytes)
{
	u64 value = 0;

	memcpy(&value, test_world_at(w, sp + n * bytes), bytes);
	return value;
}

static void enter_user(struct test_world *w, bool wide)
{
	*segment(w, GONDOLA_CS) = (struct gondola_segment){
		.limit = ~0u, .ar = wide ? 0xa0fb : 0xc0fb, .selector = CODE3,
	};
	*segment(w, GONDOLA_SS) = (struct gondola_segment){
		.limit = ~0u, .ar = 0xc0f3, .selector = DATA3,
	};
	test_world_refresh(w);
}

static void set_gate(struct test_world *w, unsigned int vector, bool wide, u64 flags)
{
	u64 gate = (HANDLER & 0xffff) | CODE0 << 16 | flags << 32 | (u64)(HANDLER >> 16) << 48;

	test_world_set(w, IDT + vector * (wide ? 16 : 8), gate);
	if (wide)
		test_world_set(w, IDT + vector * 16 + 8, 0);
}

static struct test_world *make_world(struct kunit *test, bool wide)
{
	struct test_world *w = test_world_init(test, wide ? GONDOLA_EMUL_LONG64 :
						     GONDOLA_EMUL_PROT32);
	static const u64 gdt[] = {
		0, 0, 0x00cf93000000ffff, 0, 0x00cff3000000ffff, 0,
	};

	memcpy(test_world_at(w, GDT), gdt, sizeof(gdt));
	test_world_set(w, GDT + CODE0, wide ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
	test_world_set(w, GDT + (CODE3 & ~3), wide ? 0x00affb000000ffff : 0x00cffb000000ffff);
	w->gdt = (struct gondola_dtable){ .base = GDT, .limit = sizeof(gdt) - 1 };
	w->idt = (struct gondola_dtable){ .base = IDT, .limit = 16 * 16 - 1 };
	*segment(w, GONDOLA_TR) = (struct gondola_segment){
		.base = TSS, .limit = 0x67, .ar = 0x8b, .selector = TSS_SELECTOR,
	};
	*segment(w, GONDOLA_CS) = (struct gondola_segment){
		.limit = ~0u, .ar = wide ? 0xa09b : 0xc09b, .selector = CODE0,
	};
	segment(w, GONDOLA_SS)->selector = DATA0;
	if (wide) {
		test_world_set(w, TSS + 4, STACK0);
		test_world_set(w, TSS + 36, IST1);
		w->msr_value = EFER_F_SCE | EFER_F_LMA | EFER_F_LME;
	} else {
		test_world_set(w, TSS + 4, STACK0 | (u64)DATA0 << 32);
	}
	w->regs.rflags |= RFL_IF | RFL_CF;
	test_world_refresh(w);
	return w;
}

static int deliver(struct test_world *w, u8 kind, u8 vector, u32 error)
{
	const struct gondola_event event = {
		.kind = kind, .vector = vector, .error = error, .cr2 = 0x1234,
		.has_error = kind == GONDOLA_EVENT_EXCEPTION && gondola_vector_has_error(vector),
	};
	int r = gondola_emulate_deliver(&w->emul, &event);

	if (!r)
		test_world_refresh(w);
	return r;
}

static void expect_refused(struct kunit *test, struct test_world *w, int r, u8 vector, u32 error)
{
	EXPECT_FAULT(test, w, r, vector);
	KUNIT_EXPECT_TRUE(test, w->emul.exception.has_error);
	KUNIT_EXPECT_EQ(test, w->emul.exception.error, error);
}

static void long_mode_from_user(struct kunit *test)
{
	struct test_world *w = make_world(test, true);
	u64 sp = STACK0 - 6 * 8;

	set_gate(w, VEC_PF, true, 0x8e00);
	enter_user(w, true);
	w->regs.gpr[R_RSP] = WORLD_DATA + 0x805;
	KUNIT_ASSERT_EQ(test, deliver(w, GONDOLA_EVENT_EXCEPTION, VEC_PF, 7), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)HANDLER);
	KUNIT_EXPECT_EQ(test, w->cr[2], 0x1234ull);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 0);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_SS)->selector, 0);
	KUNIT_EXPECT_TRUE(test, segment(w, GONDOLA_SS)->ar & GONDOLA_AR_UNUSABLE);
	KUNIT_EXPECT_FALSE(test, w->regs.rflags & RFL_IF);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], sp);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 0, 8), 7ull);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 1, 8), (u64)WORLD_CODE);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 2, 8), (u64)CODE3);
	/* A fault saves RF, so that no breakpoint strikes again. */
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 3, 8), RFL_FIXED | RFL_IF | RFL_CF | RFL_RF);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 4, 8), WORLD_DATA + 0x805ull);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 5, 8), (u64)DATA3);
	/* The handler drops the error code and returns. */
	w->regs.gpr[R_RSP] += 8;
	KUNIT_ASSERT_EQ(test, RUN(w, 0x48, 0xcf), OK);
	test_world_refresh(w);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 3);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_CS)->selector, CODE3);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], WORLD_DATA + 0x805ull);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_IF | RFL_CF | RFL_RF);
}

static void long_mode_within(struct kunit *test)
{
	struct test_world *w = make_world(test, true);

	/* A trap gate leaves IF.  The stack is aligned although it is not switched. */
	set_gate(w, 9, true, 0x8f00);
	w->regs.gpr[R_RSP] = WORLD_DATA + 0x80c;
	KUNIT_ASSERT_EQ(test, deliver(w, GONDOLA_EVENT_INTERRUPT, 9, 0), OK);
	KUNIT_EXPECT_TRUE(test, w->regs.rflags & RFL_IF);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], WORLD_DATA + 0x800ull - 40);
	KUNIT_EXPECT_EQ(test, stacked(w, w->regs.gpr[R_RSP], 2, 8), RFL_FIXED | RFL_IF | RFL_CF);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_SS)->selector, DATA0);
	/* IST. */
	set_gate(w, VEC_NMI, true, 0x8e01);
	w->regs.rip = WORLD_CODE;
	KUNIT_ASSERT_EQ(test, deliver(w, GONDOLA_EVENT_NMI, VEC_NMI, 0), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], IST1 - 40ull);
}

static void gates_are_checked(struct kunit *test)
{
	struct test_world *w = make_world(test, true);
	struct gondola_regs before;

	enter_user(w, true);
	before = w->regs;
	set_gate(w, 9, true, 0x0e00);
	expect_refused(test, w, deliver(w, GONDOLA_EVENT_INTERRUPT, 9, 0), VEC_NP, 9 * 8 + 3);
	set_gate(w, 9, true, 0x8c00);
	expect_refused(test, w, deliver(w, GONDOLA_EVENT_INTERRUPT, 9, 0), VEC_GP, 9 * 8 + 3);
	expect_refused(test, w, deliver(w, GONDOLA_EVENT_INTERRUPT, 16, 0), VEC_GP, 16 * 8 + 3);
	/* INT n needs the gate's privilege, and its error code has no EXT. */
	set_gate(w, 9, true, 0x8e00);
	expect_refused(test, w, RUN(w, 0xcd, 0x09), VEC_GP, 9 * 8 + 2);
	KUNIT_EXPECT_EQ(test, memcmp(&before, &w->regs, sizeof(before)), 0);
	set_gate(w, 9, true, 0xee00);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xcd, 0x09), OK);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 40, 0, 8), WORLD_CODE + 2ull);
	/* The stack is not mapped. */
	enter_user(w, true);
	test_world_set(w, TSS + 4, 0x1000);
	EXPECT_FAULT(test, w, deliver(w, GONDOLA_EVENT_INTERRUPT, 9, 0), VEC_PF);
	segment(w, GONDOLA_TR)->limit = 3;
	expect_refused(test, w, deliver(w, GONDOLA_EVENT_INTERRUPT, 9, 0), VEC_TS,
		       TSS_SELECTOR | 1);
}

static void protected_mode_from_user(struct kunit *test)
{
	struct test_world *w = make_world(test, false);
	u64 sp = STACK0 - 6 * 4;

	set_gate(w, VEC_GP, false, 0x8e00);
	enter_user(w, false);
	*segment(w, GONDOLA_DS) = *segment(w, GONDOLA_SS);
	KUNIT_ASSERT_EQ(test, deliver(w, GONDOLA_EVENT_EXCEPTION, VEC_GP, 0x50), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)HANDLER);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 0);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_SS)->selector, DATA0);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], sp);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 0, 4), 0x50ull);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 1, 4), (u64)WORLD_CODE);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 2, 4), (u64)CODE3);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 5, 4), (u64)DATA3);
	/* The return nulls the kernel's FS and keeps the user's DS. */
	w->regs.gpr[R_RSP] += 4;
	*segment(w, GONDOLA_FS) = (struct gondola_segment){
		.limit = ~0u, .ar = 0xc093, .selector = DATA0,
	};
	KUNIT_ASSERT_EQ(test, RUN(w, 0xcf), OK);
	test_world_refresh(w);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 3);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], WORLD_DATA + 0x800ull);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_DS)->selector, DATA3);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_FS)->selector, 0);
	/*
	 * A user's IRET does not change IOPL, changes IF only with IOPL, and cannot return to an
	 * inner level.
	 */
	test_world_set(w, WORLD_DATA, WORLD_CODE | (u64)CODE3 << 32);
	test_world_set(w, WORLD_DATA + 8, RFL_FIXED | RFL_IOPL | RFL_ZF | RFL_VM);
	w->regs.gpr[R_RSP] = WORLD_DATA;
	KUNIT_ASSERT_EQ(test, RUN(w, 0xcf), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_ZF | RFL_IF);
	test_world_set(w, WORLD_DATA, WORLD_CODE | (u64)CODE0 << 32);
	w->regs.gpr[R_RSP] = WORLD_DATA;
	expect_refused(test, w, RUN(w, 0xcf), VEC_GP, CODE0);
	/* The TSS names a stack of another privilege level. */
	test_world_set(w, TSS + 4, STACK0 | (u64)DATA3 << 32);
	expect_refused(test, w, deliver(w, GONDOLA_EVENT_INTERRUPT, VEC_GP, 0), VEC_TS,
		       (DATA3 & ~3) | 1);
}

static void virtual_8086(struct kunit *test)
{
	struct test_world *w = make_world(test, false);
	u64 sp = STACK0 - 9 * 4;

	set_gate(w, 9, false, 0xee00);
	/* Into it … */
	w->regs.gpr[R_RSP] = STACK0 - 36;
	test_world_set(w, STACK0 - 36, 0x123 | (u64)(WORLD_BASE >> 4) << 32);
	test_world_set(w, STACK0 - 28, RFL_FIXED | RFL_VM | RFL_IF | 0x2700ull << 32);
	test_world_set(w, STACK0 - 20, (WORLD_BASE >> 4) | 0x1111ull << 32);
	test_world_set(w, STACK0 - 12, 0x2222 | 0x3333ull << 32);
	test_world_set(w, STACK0 - 4, 0x4444);
	KUNIT_ASSERT_EQ(test, RUN(w, 0xcf), OK);
	test_world_refresh(w);
	KUNIT_EXPECT_EQ(test, w->emul.mode, (u8)GONDOLA_EMUL_VM86);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 3);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x123ull);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_CS)->base, (u64)WORLD_BASE);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_GS)->base, 0x44440ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], 0x2700ull);
	/* … and out of it again. */
	KUNIT_ASSERT_EQ(test, deliver(w, GONDOLA_EVENT_INTERRUPT, 9, 0), OK);
	KUNIT_EXPECT_EQ(test, w->emul.mode, (u8)GONDOLA_EMUL_PROT32);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], sp);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 0, 4), 0x123ull);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 2, 4), RFL_FIXED | RFL_VM | RFL_IF);
	KUNIT_EXPECT_EQ(test, stacked(w, sp, 8, 4), 0x4444ull);
	KUNIT_EXPECT_TRUE(test, segment(w, GONDOLA_GS)->ar & GONDOLA_AR_UNUSABLE);
}

static void fast_calls(struct kunit *test)
{
	struct test_world *w = make_world(test, true);

	enter_user(w, true);
	test_world_msr(w, MSRX_EFER, EFER_F_SCE | EFER_F_LMA);
	test_world_msr(w, MSRX_STAR, (u64)CODE0 << 32 | (u64)0x10 << 48);
	test_world_msr(w, MSRX_LSTAR, HANDLER);
	test_world_msr(w, MSRX_SFMASK, RFL_IF | RFL_CF);
	KUNIT_ASSERT_EQ(test, RUN(w, 0x0f, 0x05), OK);
	test_world_refresh(w);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)HANDLER);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], WORLD_CODE + 2ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_R11], RFL_FIXED | RFL_IF | RFL_CF);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 0);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_CS)->ar, 0xa09bu);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_SS)->selector, CODE0 + 8);
	KUNIT_ASSERT_EQ(test, RUN(w, 0x48, 0x0f, 0x07), OK);
	test_world_refresh(w);
	KUNIT_EXPECT_EQ(test, w->regs.rip, WORLD_CODE + 2ull);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_IF | RFL_CF);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 3);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_CS)->selector, 0x23);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_SS)->selector, 0x1b);
	/* SYSRET is refused to a user, and SYSCALL to everybody while EFER forbids it. */
	expect_refused(test, w, RUN(w, 0x48, 0x0f, 0x07), VEC_GP, 0);
	test_world_msr(w, MSRX_EFER, EFER_F_LMA);
	EXPECT_FAULT(test, w, RUN(w, 0x0f, 0x05), VEC_UD);

	w = make_world(test, false);
	enter_user(w, false);
	expect_refused(test, w, RUN(w, 0x0f, 0x34), VEC_GP, 0);
	test_world_msr(w, MSRX_SYSENTER_CS, CODE0);
	test_world_msr(w, MSRX_SYSENTER_ESP, STACK0);
	test_world_msr(w, MSRX_SYSENTER_EIP, HANDLER);
	KUNIT_ASSERT_EQ(test, RUN(w, 0x0f, 0x34), OK);
	test_world_refresh(w);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)HANDLER);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], (u64)STACK0);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 0);
	w->regs.gpr[R_RCX] = WORLD_DATA;
	w->regs.gpr[R_RDX] = WORLD_CODE;
	KUNIT_ASSERT_EQ(test, RUN(w, 0x0f, 0x35), OK);
	test_world_refresh(w);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], (u64)WORLD_DATA);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_CS)->selector, CODE3);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 3);
}

static void looks_at_descriptors(struct kunit *test)
{
	struct test_world *w = make_world(test, true);

	/* lsl %ax, %ecx and lar %ax, %ecx */
	w->regs.gpr[R_RAX] = CODE3;
	w->regs.gpr[R_RCX] = 5;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x03, 0xc8), OK);
	KUNIT_EXPECT_TRUE(test, w->regs.rflags & RFL_ZF);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 0xffffffffull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x02, 0xc8), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 0xa0fb00ull);
	/* A null selector, one beyond the table and one of the kernel cannot be verified. */
	enter_user(w, true);
	for (w->regs.gpr[R_RAX] = 0; w->regs.gpr[R_RAX] <= 0x80; w->regs.gpr[R_RAX] += 0x40) {
		KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x03, 0xc8), OK);
		KUNIT_EXPECT_FALSE(test, w->regs.rflags & RFL_ZF);
	}
	w->regs.gpr[R_RAX] = CODE0;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x02, 0xc8), OK);
	KUNIT_EXPECT_FALSE(test, w->regs.rflags & RFL_ZF);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 0xa0fb00ull);
	/* verw: data can be written, code cannot */
	w->regs.gpr[R_RAX] = DATA3;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x00, 0xe8), OK);
	KUNIT_EXPECT_TRUE(test, w->regs.rflags & RFL_ZF);
	w->regs.gpr[R_RAX] = CODE3;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x00, 0xe8), OK);
	KUNIT_EXPECT_FALSE(test, w->regs.rflags & RFL_ZF);
}

#define CALL_GATE	0x28

/*
 * A gate that programs may use, with room for 16 bytes behind the other descriptors.  The privilege
 * level in its selector does not count.
 */
static void set_call_gate(struct test_world *w, u64 type, u64 parameters)
{
	test_world_set(w, GDT + CALL_GATE, (HANDLER & 0xffff) | (CODE0 | 3) << 16 |
		       (type << 8 | 0xe000 | parameters) << 32 | (u64)(HANDLER >> 16) << 48);
	test_world_set(w, GDT + CALL_GATE + 8, 0);
	w->gdt.limit = CALL_GATE + 15;
}

/* lcall *(%rsi) or ljmp *(%rsi) */
static int through_gate(struct test_world *w, u8 modrm)
{
	w->regs.gpr[R_RSI] = WORLD_DATA + 0x100;
	w->regs.rip = WORLD_CODE;
	test_world_set(w, w->regs.gpr[R_RSI], 0x77 | (u64)(CALL_GATE | 3) << 32);
	return RUN(w, 0xff, modrm);
}

static void call_gate_of_32_bits(struct kunit *test)
{
	struct test_world *w = make_world(test, false);
	u64 sp = w->regs.gpr[R_RSP];

	enter_user(w, false);
	set_call_gate(w, 12, 2);
	test_world_set(w, sp, 0x1111 | 0x2222ull << 32);
	KUNIT_ASSERT_EQ(test, through_gate(w, 0x1e), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)HANDLER);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_CS)->selector, CODE0);
	KUNIT_EXPECT_EQ(test, segment(w, GONDOLA_SS)->selector, DATA0);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], STACK0 - 24ull);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 24, 0, 4), WORLD_CODE + 2ull);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 24, 1, 4), (u64)CODE3);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 24, 2, 4), 0x1111ull);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 24, 3, 4), 0x2222ull);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 24, 4, 4), sp);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 24, 5, 4), (u64)DATA3);
	KUNIT_EXPECT_EQ(test, w->regs.rflags & (RFL_IF | RFL_CF), RFL_IF | RFL_CF);
	/* lret $8: both stacks release the parameters.  Programs keep segments of their own alone. */
	segment(w, GONDOLA_DS)->ar = 0xc0f3;
	test_world_refresh(w);
	KUNIT_ASSERT_EQ(test, RUN(w, 0xca, 0x08, 0x00), OK);
	test_world_refresh(w);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], sp + 8);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 3);
	/* A jump does not change the level. */
	expect_refused(test, w, through_gate(w, 0x2e), VEC_GP, CODE0);
	/* One of 16 bits has another frame, and an offset of 16. */
	set_call_gate(w, 4, 1);
	test_world_set(w, GDT + CODE0, 0x00cf9b000000ffff | (u64)(HANDLER & ~0xffffull) << 16);
	KUNIT_ASSERT_EQ(test, through_gate(w, 0x1e), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, HANDLER & 0xffffull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], STACK0 - 10ull);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 10, 1, 2), (u64)CODE3);
}

static void call_gate_of_64_bits(struct kunit *test)
{
	struct test_world *w = make_world(test, true);
	u64 sp = w->regs.gpr[R_RSP];

	/* Within the level, the stack stays; it is not aligned. */
	set_call_gate(w, 12, 0);
	w->regs.gpr[R_RSP] = sp - 4;
	KUNIT_ASSERT_EQ(test, through_gate(w, 0x1e), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)HANDLER);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], sp - 20);
	KUNIT_EXPECT_EQ(test, stacked(w, sp - 20, 0, 8), WORLD_CODE + 2ull);
	KUNIT_EXPECT_EQ(test, stacked(w, sp - 20, 1, 8), (u64)CODE0);
	/* From a program: SS becomes null. */
	enter_user(w, true);
	test_world_set(w, TSS + 4, STACK0 + 8);
	KUNIT_ASSERT_EQ(test, through_gate(w, 0x1e), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], STACK0 - 24ull);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 24, 1, 8), (u64)CODE3);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 24, 2, 8), sp - 20);
	KUNIT_EXPECT_EQ(test, stacked(w, STACK0 - 24, 3, 8), (u64)DATA3);
	KUNIT_EXPECT_TRUE(test, segment(w, GONDOLA_SS)->ar & GONDOLA_AR_UNUSABLE);
	/* Refused: the upper half has a type; the gate is privileged; it is absent; of 16 bits. */
	enter_user(w, true);
	test_world_set(w, GDT + CALL_GATE + 8, 1ull << 40);
	expect_refused(test, w, through_gate(w, 0x1e), VEC_GP, CALL_GATE);
	set_call_gate(w, 12, 0);
	w->memory[GDT + CALL_GATE + 5 - WORLD_BASE] = 0x8c;
	expect_refused(test, w, through_gate(w, 0x1e), VEC_GP, CALL_GATE);
	w->memory[GDT + CALL_GATE + 5 - WORLD_BASE] = 0x6c;
	expect_refused(test, w, through_gate(w, 0x1e), VEC_NP, CALL_GATE);
	set_call_gate(w, 4, 0);
	expect_refused(test, w, through_gate(w, 0x1e), VEC_GP, CALL_GATE);
}

static struct kunit_case deliver_cases[] = {
	KUNIT_CASE(long_mode_from_user),
	KUNIT_CASE(long_mode_within),
	KUNIT_CASE(gates_are_checked),
	KUNIT_CASE(protected_mode_from_user),
	KUNIT_CASE(virtual_8086),
	KUNIT_CASE(fast_calls),
	KUNIT_CASE(looks_at_descriptors),
	KUNIT_CASE(call_gate_of_32_bits),
	KUNIT_CASE(call_gate_of_64_bits),
	{}
};

static struct kunit_suite deliver_suite = {
	.name = "gondola_deliver",
	.test_cases = deliver_cases,
};
kunit_test_suite(deliver_suite);
