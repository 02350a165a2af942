// SPDX-License-Identifier: GPL-2.0-only
/* Task switches: by jump, call and return, and by an event through a task gate. */
#include <kunit/test.h>
#include "test_world.h"

#define LDT	(WORLD_DATA + 0x1200)
#define OLD_TSS	(WORLD_DATA + 0x2000)
#define NEW_TSS	(WORLD_DATA + 0x2100)
#define TASK	(WORLD_CODE + 0x234)
#define STACK1	(WORLD_DATA + 0x2800)		/* of the new task */

#define OLD_TASK	0x28
#define NEW_TASK	0x30
#define TASK_GATE	0x38
#define LOCAL		0x40
#define ABSENT		0x48

#define AVAILABLE	0x89u
#define BUSY		0x8bu
#define CR3_OLD		0x1000u
#define CR3_NEW		0x2000u
#define GATE_VECTOR	9u

/* Offsets in a TSS of 32 bits. */
enum {
	T_LINK = 0, T_CR3 = 28, T_EIP = 32, T_EFLAGS = 36, T_EAX = 40, T_ESP = 56, T_ES = 72,
	T_CS = 76, T_SS = 80, T_DS = 84, T_LDT = 96, T_TRAP = 100,
};

static void set32(struct test_world *w, u32 la, u32 value)
{
	memcpy(test_world_at(w, la), &value, 4);
}

static u32 get32(struct test_world *w, u32 la)
{
	return (u32)test_world_u64(w, la);
}

static u8 access_of(struct test_world *w, u16 selector)
{
	return test_world_u64(w, GDT + (selector & ~7u)) >> 40;
}

static void describe_task(struct test_world *w, u16 selector, u32 base, u32 limit, u8 access)
{
	test_world_set(w, GDT + selector, limit | (u64)(base & 0xffffff) << 16 |
		       (u64)access << 40 | (u64)(base >> 24) << 56);
}

static struct test_world *make_world(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_PROT32);
	static const u64 gdt[] = {
		0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff,
		0, 0, 0x0000850000300000, 0, 0x00cf13000000ffff,
	};
	enum gondola_seg seg;

	memcpy(test_world_at(w, GDT), gdt, sizeof(gdt));
	w->gdt = (struct gondola_dtable){ .base = GDT, .limit = sizeof(gdt) - 1 };
	w->idt = (struct gondola_dtable){ .base = IDT, .limit = 16 * 8 - 1 };
	describe_task(w, OLD_TASK, OLD_TSS, 0x67, BUSY);
	describe_task(w, NEW_TASK, NEW_TSS, 0x67, AVAILABLE);
	test_world_set(w, GDT + LOCAL, 15 | (u64)LDT << 16 | 0x82ull << 40);
	/* The new task's data segment, in its LDT. */
	test_world_set(w, LDT + 8, 0x00cf93000000ffff);
	w->seg[GONDOLA_TR] = (struct gondola_segment){
		.base = OLD_TSS, .limit = 0x67, .ar = BUSY, .selector = OLD_TASK,
	};
	w->seg[GONDOLA_LDTR] = (struct gondola_segment){ .ar = 0x82 | GONDOLA_AR_UNUSABLE };
	for (seg = GONDOLA_ES; seg <= GONDOLA_GS; seg++)
		w->seg[seg].selector = seg == GONDOLA_CS ? CODE0 : DATA0;
	w->cr[3] = CR3_OLD;
	set32(w, NEW_TSS + T_CR3, CR3_NEW);
	set32(w, NEW_TSS + T_EIP, TASK);
	set32(w, NEW_TSS + T_EFLAGS, RFL_FIXED | RFL_ZF);
	set32(w, NEW_TSS + T_EAX, 0x1234);
	set32(w, NEW_TSS + T_ESP, STACK1);
	set32(w, NEW_TSS + T_ES, DATA0);
	set32(w, NEW_TSS + T_CS, CODE0);
	set32(w, NEW_TSS + T_SS, DATA0);
	set32(w, NEW_TSS + T_DS, 0xc);
	set32(w, NEW_TSS + T_LDT, LOCAL);
	test_world_set(w, IDT + 8 * VEC_DF, 0x0000850000300000);
	test_world_set(w, IDT + 8 * GATE_VECTOR, 0x0000850000300000);
	w->regs.gpr[R_RAX] = 0x5678;
	w->regs.rflags = RFL_FIXED | RFL_IF | RFL_CF;
	test_world_refresh(w);
	return w;
}

static int deliver(struct test_world *w, u8 kind, u8 vector)
{
	const struct gondola_event event = {
		.kind = kind, .vector = vector,
		.has_error = kind == GONDOLA_EVENT_EXCEPTION && gondola_vector_has_error(vector),
	};

	return gondola_emulate_deliver(&w->emul, &event);
}

static int jump(struct test_world *w, u8 selector)
{
	return RUN(w, 0xea, 0, 0, 0, 0, selector, 0);
}

static void expect_new_task(struct kunit *test, struct test_world *w, u64 sp)
{
	KUNIT_EXPECT_EQ(test, w->new_tasks, 1u);
	KUNIT_EXPECT_EQ(test, w->cr[3], (u64)CR3_NEW);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)TASK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0x1234ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], sp);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].selector, NEW_TASK);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].base, (u64)NEW_TSS);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].ar, BUSY);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_LDTR].base, (u64)LDT);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_DS].selector, 0xc);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_DS].limit, ~0u);
	KUNIT_EXPECT_TRUE(test, w->seg[GONDOLA_FS].ar & GONDOLA_AR_UNUSABLE);
	KUNIT_EXPECT_EQ(test, access_of(w, NEW_TASK), BUSY);
	/* The old task is saved. */
	KUNIT_EXPECT_EQ(test, get32(w, OLD_TSS + T_EAX), 0x5678u);
	KUNIT_EXPECT_EQ(test, get32(w, OLD_TSS + T_ESP), WORLD_DATA + 0x800u);
	KUNIT_EXPECT_EQ(test, get32(w, OLD_TSS + T_CS), (u32)CODE0);
}

static void jump_to_a_task(struct kunit *test)
{
	struct test_world *w = make_world(test);

	KUNIT_ASSERT_EQ(test, jump(w, NEW_TASK), OK);
	expect_new_task(test, w, STACK1);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_ZF);
	KUNIT_EXPECT_EQ(test, access_of(w, OLD_TASK), AVAILABLE);
	KUNIT_EXPECT_EQ(test, get32(w, OLD_TSS + T_EIP), WORLD_CODE + 7u);
	KUNIT_EXPECT_EQ(test, get32(w, OLD_TSS + T_EFLAGS), (u32)(RFL_FIXED | RFL_IF | RFL_CF));
	KUNIT_EXPECT_EQ(test, get32(w, NEW_TSS + T_LINK), 0u);
	KUNIT_EXPECT_FALSE(test, w->task_traps);
}

static void task_asks_for_a_trap(struct kunit *test)
{
	struct test_world *w = make_world(test);

	set32(w, NEW_TSS + T_TRAP, 0xffff0001);
	KUNIT_ASSERT_EQ(test, jump(w, NEW_TASK), OK);
	expect_new_task(test, w, STACK1);
	KUNIT_EXPECT_TRUE(test, w->task_traps);
}

static void call_through_a_gate_and_return(struct kunit *test)
{
	struct test_world *w = make_world(test);

	KUNIT_ASSERT_EQ(test, RUN(w, 0x9a, 0, 0, 0, 0, TASK_GATE, 0), OK);
	expect_new_task(test, w, STACK1);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_ZF | RFL_NT);
	KUNIT_EXPECT_EQ(test, access_of(w, OLD_TASK), BUSY);
	KUNIT_EXPECT_EQ(test, get32(w, NEW_TSS + T_LINK), (u32)OLD_TASK);
	/* IRET returns to the caller. */
	set32(w, OLD_TSS + T_CR3, CR3_OLD);
	test_world_refresh(w);
	KUNIT_ASSERT_EQ(test, RUN(w, 0xcf), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, WORLD_CODE + 7ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0x5678ull);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_IF | RFL_CF);
	KUNIT_EXPECT_EQ(test, w->cr[3], (u64)CR3_OLD);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].selector, OLD_TASK);
	KUNIT_EXPECT_EQ(test, access_of(w, NEW_TASK), AVAILABLE);
	/* The new task is saved behind its IRET, without NT. */
	KUNIT_EXPECT_EQ(test, get32(w, NEW_TSS + T_EIP), TASK + 1u);
	KUNIT_EXPECT_EQ(test, get32(w, NEW_TSS + T_EFLAGS), (u32)(RFL_FIXED | RFL_ZF));
}

static void double_fault(struct kunit *test)
{
	struct test_world *w = make_world(test);

	w->regs.rip = WORLD_CODE + 0x100;
	/* A double fault has a task because the stack may be bad. */
	w->regs.gpr[R_RSP] = 0;
	KUNIT_ASSERT_EQ(test, deliver(w, GONDOLA_EVENT_EXCEPTION, VEC_DF), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)TASK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], STACK1 - 4ull);
	KUNIT_EXPECT_EQ(test, get32(w, STACK1 - 4), 0u);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_ZF | RFL_NT);
	KUNIT_EXPECT_EQ(test, get32(w, OLD_TSS + T_EIP), WORLD_CODE + 0x100u);
	KUNIT_EXPECT_EQ(test, get32(w, OLD_TSS + T_ESP), 0u);
	KUNIT_EXPECT_EQ(test, get32(w, NEW_TSS + T_LINK), (u32)OLD_TASK);
	/* A second one: its task is busy. */
	EXPECT_FAULT(test, w, deliver(w, GONDOLA_EVENT_EXCEPTION, VEC_DF), VEC_GP);
	KUNIT_EXPECT_EQ(test, w->emul.exception.error, NEW_TASK | 1u);
	KUNIT_EXPECT_EQ(test, w->new_tasks, 1u);
}

static void expect_refused(struct kunit *test, struct test_world *w, int r, u8 vector, u32 error)
{
	EXPECT_FAULT(test, w, r, vector);
	KUNIT_EXPECT_EQ(test, w->emul.exception.error, error);
	KUNIT_EXPECT_EQ(test, w->new_tasks, 0u);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0x5678ull);
	KUNIT_EXPECT_EQ(test, w->cr[3], (u64)CR3_OLD);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].selector, OLD_TASK);
	KUNIT_EXPECT_EQ(test, access_of(w, OLD_TASK), BUSY);
}

static void refused_in_the_old_task(struct kunit *test)
{
	struct test_world *w = make_world(test);

	expect_refused(test, w, jump(w, OLD_TASK), VEC_GP, OLD_TASK);
	expect_refused(test, w, jump(w, LOCAL), VEC_GP, LOCAL);
	/* INT n needs the gate's privilege. */
	w->seg[GONDOLA_SS].ar |= GONDOLA_AR_DPL;
	test_world_refresh(w);
	expect_refused(test, w, RUN(w, 0xcd, GATE_VECTOR), VEC_GP, GATE_VECTOR * 8 + 2);
	expect_refused(test, w, jump(w, NEW_TASK), VEC_GP, NEW_TASK);
	w->seg[GONDOLA_SS].ar &= ~GONDOLA_AR_DPL;
	test_world_refresh(w);
	describe_task(w, NEW_TASK, NEW_TSS, 0x66, AVAILABLE);
	expect_refused(test, w, jump(w, NEW_TASK), VEC_TS, NEW_TASK);
	describe_task(w, NEW_TASK, NEW_TSS, 0x67, AVAILABLE & 0x7f);
	expect_refused(test, w, jump(w, NEW_TASK), VEC_NP, NEW_TASK);
	/* The link names a task that is not busy. */
	w->regs.rflags |= RFL_NT;
	set32(w, OLD_TSS + T_LINK, NEW_TASK);
	describe_task(w, NEW_TASK, NEW_TSS, 0x67, AVAILABLE);
	expect_refused(test, w, RUN(w, 0xcf), VEC_TS, NEW_TASK);
}

/* The new task has its registers when the exception is raised. */
static void refused_in_the_new_task(struct kunit *test)
{
	static const struct {
		u32 at;
		u32 value;
		u8 vector;
		u32 error;
	} bad[] = {
		{ T_LDT, CODE0, VEC_TS, CODE0 },
		{ T_CS, DATA0, VEC_TS, DATA0 },
		{ T_CS, 0, VEC_TS, 0 },
		{ T_SS, DATA3, VEC_TS, DATA3 & ~3 },
		{ T_SS, ABSENT, VEC_SS, ABSENT },
		{ T_DS, ABSENT, VEC_NP, ABSENT },
		{ T_ES, OLD_TASK, VEC_TS, OLD_TASK },
	};
	struct test_world *w;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		w = make_world(test);
		set32(w, NEW_TSS + bad[i].at, bad[i].value);
		KUNIT_EXPECT_EQ(test, deliver(w, GONDOLA_EVENT_INTERRUPT, GATE_VECTOR), FAULT);
		KUNIT_EXPECT_EQ(test, w->new_tasks, 1u);
		KUNIT_EXPECT_EQ(test, w->emul.exception.vector, bad[i].vector);
		KUNIT_EXPECT_EQ(test, w->emul.exception.error, bad[i].error | 1);
		KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)TASK);
		KUNIT_EXPECT_EQ(test, w->cr[3], (u64)CR3_NEW);
		KUNIT_EXPECT_EQ(test, w->regs.rflags & RFL_NT, RFL_NT);
		KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].selector, NEW_TASK);
	}
}

static void virtual_8086_task(struct kunit *test)
{
	struct test_world *w = make_world(test);

	set32(w, NEW_TSS + T_EFLAGS, RFL_FIXED | RFL_VM);
	set32(w, NEW_TSS + T_CS, 0x1000);
	set32(w, NEW_TSS + T_EIP, 0x234);
	set32(w, NEW_TSS + T_SS, 0x1111);
	KUNIT_ASSERT_EQ(test, jump(w, NEW_TASK), OK);
	test_world_refresh(w);
	KUNIT_EXPECT_EQ(test, w->emul.mode, (u8)GONDOLA_EMUL_VM86);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 3);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x234ull);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_CS].base, 0x10000ull);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_SS].base, 0x11110ull);
}

/* A 16-bit TSS has no CR3, FS and GS.  CS is entry 0 of the LDT, which is a valid entry. */
static void task_of_16_bits(struct kunit *test)
{
	static const u16 tss[22] = {
		[7] = 0x1234, [8] = RFL_FIXED | RFL_SF, [9] = 0xaaaa, [13] = 0x2000,
		[17] = DATA0, [18] = 4, [19] = DATA0, [20] = DATA0, [21] = LOCAL,
	};
	struct test_world *w = make_world(test);

	test_world_set(w, LDT, 0x00cf9b000000ffff);
	memcpy(test_world_at(w, NEW_TSS), tss, sizeof(tss));
	describe_task(w, NEW_TASK, NEW_TSS, 0x2b, 0x81);
	KUNIT_ASSERT_EQ(test, jump(w, NEW_TASK), OK);
	KUNIT_EXPECT_EQ(test, w->cr[3], (u64)CR3_OLD);
	KUNIT_EXPECT_EQ(test, w->regs.rip, 0x1234ull);
	KUNIT_EXPECT_EQ(test, w->regs.rflags, RFL_FIXED | RFL_SF);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0xaaaaull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], 0x2000ull);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].ar, 0x83u);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_CS].selector, 4);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_ES].selector, DATA0);
}

/* A page is missing half-way: nothing has changed, and the second try succeeds. */
static void interrupted_by_missing_memory(struct kunit *test)
{
	struct test_world *w = make_world(test);

	test_world_set(w, GDT + LOCAL, 15 | (u64)WORLD_DEVICE << 16 | 0x82ull << 40);
	test_world_set(w, WORLD_DEVICE + 8, 0x00cf93000000ffff);
	w->asks_user = true;
	KUNIT_EXPECT_EQ(test, jump(w, NEW_TASK), USER);
	KUNIT_EXPECT_EQ(test, w->new_tasks, 0u);
	KUNIT_EXPECT_EQ(test, w->cr[3], (u64)CR3_OLD);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE);
	KUNIT_EXPECT_TRUE(test, w->seg[GONDOLA_LDTR].ar & GONDOLA_AR_UNUSABLE);
	KUNIT_EXPECT_EQ(test, w->emul.cpl, 0);
	KUNIT_EXPECT_EQ(test, access_of(w, NEW_TASK), AVAILABLE);
	w->asks_user = false;
	KUNIT_EXPECT_EQ(test, jump(w, NEW_TASK), OK);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)TASK);
}

static struct kunit_case task_cases[] = {
	KUNIT_CASE(jump_to_a_task),
	KUNIT_CASE(task_asks_for_a_trap),
	KUNIT_CASE(call_through_a_gate_and_return),
	KUNIT_CASE(double_fault),
	KUNIT_CASE(refused_in_the_old_task),
	KUNIT_CASE(refused_in_the_new_task),
	KUNIT_CASE(virtual_8086_task),
	KUNIT_CASE(task_of_16_bits),
	KUNIT_CASE(interrupted_by_missing_memory),
	{}
};

static struct kunit_suite task_suite = {
	.name = "gondola_task",
	.test_cases = task_cases,
};
kunit_test_suite(task_suite);
