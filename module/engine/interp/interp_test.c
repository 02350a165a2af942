// SPDX-License-Identifier: GPL-2.0-only
/* The engine on the shadow of an unpaged guest: execution, TLB and cached code, exits. */
#include <kunit/test.h>
#include <linux/sizes.h>
#include "host/compat.h"
#include "interp.h"
#include "mmu/test_world.h"
#include "x86/control.h"

#define CODE	0x1000u
#define DATA	0x5000u
#define STACK	0x8000u

static struct interp_vcpu *ip_of(struct world *w)
{
	return w->vcpu.engine_data;
}

static void flat(struct world *w, enum gondola_seg seg, u32 ar)
{
	const struct gondola_segment s = { .limit = ~0u, .ar = ar, .selector = 8 };

	w->engine.set_segment(&w->vcpu, seg, &s);
}

static int interp_init(struct kunit *test)
{
	struct world *w = world_create(64);

	KUNIT_ASSERT_NOT_NULL(test, w);
	test->priv = w;
	w->engine = gondola_interp_ops;
	KUNIT_ASSERT_EQ(test, w->engine.vcpu_create(&w->vcpu), 0);
	KUNIT_ASSERT_EQ(test, world_map(w, 0, 0, 0, 256, 0), 0);
	world_set_mode(w, WORLD_UNPAGED);
	flat(w, GONDOLA_CS, 0xc09b);
	flat(w, GONDOLA_SS, 0xc093);
	flat(w, GONDOLA_DS, 0xc093);
	flat(w, GONDOLA_ES, 0xc093);
	w->vcpu.regs.gpr[R_RSP] = STACK;
	w->vcpu.regs.rflags = RFL_FIXED;
	return 0;
}

static void interp_exit(struct kunit *test)
{
	struct world *w = test->priv;

	if (!w)
		return;
	KUNIT_EXPECT_EQ(test, gondola_mmu_audit(&w->vm), 0);
	w->engine.vcpu_destroy(&w->vcpu);
	world_destroy(w);
}

/* Run from @rip to an exit that the MMU does not handle. */
static u32 run(struct world *w, u64 rip, struct gondola_exit *exit)
{
	struct gondola_vcpu *vcpu = &w->vcpu;
	struct gondola_access out;
	unsigned int tries;

	vcpu->regs.rip = rip;
	for (tries = 0; tries < 32; tries++) {
		if (gondola_mmu_load(vcpu))
			break;
		if (gondola_take_request(vcpu, GONDOLA_REQ_TLB_FLUSH))
			w->engine.flush_tlb(vcpu);
		local_irq_disable();
		w->engine.enter(vcpu);
		local_irq_enable();
		w->engine.decode(vcpu, exit);
		if (exit->reason == GONDOLA_REASON_HOST_INTERRUPT)
			continue;
		if (exit->reason != GONDOLA_REASON_PAGE_FAULT ||
		    gondola_mmu_fault(vcpu, exit->pf.gva, exit->pf.error, &out))
			return exit->reason;
	}
	return GONDOLA_REASON_COUNT;
}

static void put_code(struct world *w, const void *code, unsigned int bytes)
{
	memcpy(w->memory + CODE, code, bytes);
}

static void computes(struct kunit *test)
{
	static const u8 code[] = {
		0xb8, 5, 0, 0, 0,			/* mov $5, %eax */
		0x83, 0xc0, 2,				/* add $2, %eax */
		0xa3, 0x00, 0x50, 0, 0,			/* mov %eax, DATA */
		0xf4,					/* hlt */
	};
	struct world *w = test->priv;
	struct gondola_exit exit;

	put_code(w, code, sizeof(code));
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
	KUNIT_EXPECT_EQ(test, exit.insn_len, 1);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.rip, CODE + sizeof(code) - 1);
	KUNIT_EXPECT_EQ(test, *world_u32(w, DATA), 7);
	/* HLT is completed outside. */
	KUNIT_EXPECT_EQ(test, w->vcpu.counters[GONDOLA_COUNTER_INSTRUCTIONS], 3);
}

/* The host must not have to wait for a guest that only computes. */
static void leaves_in_time(struct kunit *test)
{
	static const u8 code[] = { 0xeb, 0xfe };	/* jmp . */
	struct world *w = test->priv;
	struct gondola_exit exit;

	put_code(w, code, sizeof(code));
	KUNIT_EXPECT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_COUNT);
	KUNIT_EXPECT_EQ(test, exit.reason, GONDOLA_REASON_HOST_INTERRUPT);
}

static void code_that_changes(struct kunit *test)
{
	static const u8 code[] = {
		0x88, 0x1d, 0x07, 0x10, 0, 0,		/* mov %bl, the 0x11 below */
		0xb0, 0x11,				/* mov $0x11, %al */
		0xf4,
	};
	struct world *w = test->priv;
	struct gondola_exit exit;
	unsigned int i;

	put_code(w, code, sizeof(code));
	for (i = 0x20; i < 0x24; i++) {
		w->vcpu.regs.gpr[R_RBX] = i;
		KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
		KUNIT_EXPECT_EQ(test, w->vcpu.regs.gpr[R_RAX] & 0xff, i);
	}
	/* Change the code behind the engine's back. */
	w->memory[CODE + 6] = 0x40;			/* inc %eax */
	w->memory[CODE + 7] = 0x90;
	w->vcpu.regs.gpr[R_RAX] = 1;
	w->vcpu.regs.gpr[R_RBX] = 0x90;
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.gpr[R_RAX], 2);
}

/* The world's tables for 64-bit code: identity, below 1 MiB, from 0x10000 on. */
static void enter_long_mode(struct world *w)
{
	const u64 rights = PT_P | PT_W | PT_U;
	unsigned int i;

	*world_u64(w, 0x10000) = 0x11000 | rights;
	*world_u64(w, 0x11000) = 0x12000 | rights;
	*world_u64(w, 0x12000) = 0x13000 | rights;
	for (i = 0; i < 256; i++)
		*world_u64(w, 0x13000 + i * 8) = (u64)i << 12 | rights | PT_A | PT_D;
	world_set_mode(w, WORLD_LONG);
	world_set_cr3(w, 0x10000);
	flat(w, GONDOLA_CS, 0xa09b);
}

/* An instruction may write the next one, so bytes are fetched one instruction at a time. */
static void rows_that_change(struct kunit *test)
{
	static const u8 code[] = {
		0x88, 0x1d, 0x02, 0, 0, 0,	/* mov %bl, the 0x11 below */
		0x90,
		0xb0, 0x11,			/* mov $0x11, %al */
		0x04, 0x01,			/* add $1, %al */
		0xf4,
	};
	struct world *w = test->priv;
	struct gondola_exit exit;
	unsigned int i;

	enter_long_mode(w);
	put_code(w, code, sizeof(code));
	for (i = 0x20; i < 0x24; i++) {
		w->vcpu.regs.gpr[R_RBX] = i;
		KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
		KUNIT_EXPECT_EQ(test, w->vcpu.regs.gpr[R_RAX] & 0xff, i + 1);
		KUNIT_EXPECT_EQ(test, w->vcpu.regs.rip, CODE + sizeof(code) - 1);
	}
	/* Two instructions replace one that was decoded. */
	w->memory[CODE + 7] = 0x90;
	w->memory[CODE + 8] = 0x90;
	w->vcpu.regs.gpr[R_RAX] = 5;
	w->vcpu.regs.gpr[R_RBX] = 0x90;
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.gpr[R_RAX] & 0xff, 6);
	/* The same bytes as code of 32 bits, in which 40 is INC and no prefix. */
	w->memory[CODE + 7] = 0x40;
	w->vcpu.regs.gpr[R_RBX] = 0x90;
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
	flat(w, GONDOLA_CS, 0xc09b);
	w->vcpu.regs.gpr[R_RAX] = 5;
	KUNIT_ASSERT_EQ(test, run(w, CODE + 6, &exit), GONDOLA_REASON_HLT);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.gpr[R_RAX] & 0xff, 7);
}

/* Blocks of 16 bytes: ADD of a number, JMP to the next one; the last one halts. */
#define MANY_AT		0x20000u
#define MANY_BLOCKS	(INTERP_BLOCKS + INTERP_BLOCKS / 2)
#define MANY_BYTES	16u

static void put_many(struct world *w)
{
	static const u8 block[MANY_BYTES] = { 0x05, 0, 0, 0, 0, 0xe9, MANY_BYTES - 10 };
	unsigned int i;

	for (i = 0; i < MANY_BLOCKS; i++)
		memcpy((u8 *)world_u64(w, MANY_AT + i * MANY_BYTES), block, sizeof(block));
	*(u8 *)world_u64(w, MANY_AT + i * MANY_BYTES) = 0xf4;
}

/* Until HLT, with as many turns of the host as it takes. */
static u32 run_many(struct world *w, struct gondola_exit *exit)
{
	u32 reason = run(w, MANY_AT, exit);
	unsigned int turns;

	for (turns = 0; reason == GONDOLA_REASON_COUNT && turns < 8; turns++)
		reason = run(w, w->vcpu.regs.rip, exit);
	return reason;
}

/*
 * A guest with more code than there are places for: what is remembered of it has a bound, and it
 * runs what stands there, whoever has changed it since, in blocks that push one another out.
 */
static void more_code_than_places(struct kunit *test)
{
	struct world *w = test->priv;
	struct gondola_exit exit;
	unsigned int pass, i;
	u32 sum = 0;

	KUNIT_EXPECT_LE(test, sizeof(struct interp_vcpu), 14 * SZ_1M);
	enter_long_mode(w);
	put_many(w);
	for (pass = 1; pass <= 4; pass++) {
		for (i = pass % 3; i < MANY_BLOCKS; i += 3) {
			u8 *at = (u8 *)world_u64(w, MANY_AT + i * MANY_BYTES) + 1;

			sum += pass * i - get_unaligned((u32 *)at);
			put_unaligned(pass * i, (u32 *)at);
		}
		w->vcpu.regs.gpr[R_RAX] = 0;
		KUNIT_ASSERT_EQ(test, run_many(w, &exit), GONDOLA_REASON_HLT);
		KUNIT_EXPECT_EQ(test, (u32)w->vcpu.regs.gpr[R_RAX], sum);
	}
}

/* A page of code in another frame: nothing of the old one runs, and back again. */
static void code_that_moves(struct kunit *test)
{
	static const u8 code[] = {
		0x83, 0xc0, 0x01,		/* add $1, %eax */
		0x83, 0xc0, 0x01,
		0xf4,
	};
	const u64 rights = PT_P | PT_W | PT_U | PT_A | PT_D;
	struct world *w = test->priv;
	struct gondola_exit exit;
	unsigned int i;

	enter_long_mode(w);
	for (i = 0; i < 4; i++) {
		u8 *at = (u8 *)world_u64(w, 0x20000 + i * GONDOLA_PAGE_SIZE);

		memcpy(at, code, sizeof(code));
		at[5] = 16 * i;
	}
	for (i = 0; i < 16; i++) {
		u64 entry = (0x20000 + i % 4 * GONDOLA_PAGE_SIZE) | rights;

		KUNIT_ASSERT_EQ(test, gondola_gpa_write(&w->vcpu, 0x13000 + 0x60 * 8, &entry, 8), 0);
		world_invlpg(w, 0x60000);
		w->vcpu.regs.gpr[R_RAX] = 0;
		KUNIT_ASSERT_EQ(test, run(w, 0x60000, &exit), GONDOLA_REASON_HLT);
		KUNIT_EXPECT_EQ(test, w->vcpu.regs.gpr[R_RAX], 1 + 16 * (i % 4));
	}
}

/* STI and MOV SS act for one instruction, also within a row.  The next instruction clears RF. */
static void rows_keep_order(struct kunit *test)
{
	static const u8 code[] = {
		0xfb,				/* sti */
		0x89, 0xc8,			/* mov %ecx, %eax */
		0x01, 0xd8,			/* add %ebx, %eax */
		0xf4,
	};
	struct world *w = test->priv;
	struct gondola_exit exit;

	enter_long_mode(w);
	put_code(w, code, sizeof(code));
	w->vcpu.regs.gpr[R_RBX] = 3;
	w->vcpu.regs.gpr[R_RCX] = 4;
	w->vcpu.regs.rflags = RFL_FIXED | RFL_RF;
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.rflags, RFL_FIXED | RFL_IF);
	KUNIT_EXPECT_EQ(test, w->engine.get_shadow(&w->vcpu), 0u);
	/* An interrupt window opens after the instruction that follows STI. */
	w->vcpu.regs.rflags = RFL_FIXED;
	w->engine.open_window(&w->vcpu, true, false);
	KUNIT_EXPECT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_INTERRUPT_WINDOW);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.rip, CODE + 3ull);
	w->engine.open_window(&w->vcpu, false, false);
	/* A row that ends in STI leaves its shadow. */
	w->memory[CODE + 1] = 0xf4;
	w->vcpu.regs.rflags = RFL_FIXED;
	KUNIT_EXPECT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
	KUNIT_EXPECT_EQ(test, w->engine.get_shadow(&w->vcpu), 1u);
}

/* A translation holds for its own page only; the next page lies elsewhere. */
static void rows_cross_pages(struct kunit *test)
{
	static const u8 code[] = {
		0x48, 0x89, 0x03,		/* mov %rax, (%rbx) */
		0x48, 0x89, 0x43, 0x0c,		/* mov %rax, 12(%rbx) */
		0x48, 0x8b, 0x4b, 0x0c,		/* mov 12(%rbx), %rcx */
		0xf4,
	};
	const u64 value = 0x1122334455667788;
	struct world *w = test->priv;
	struct gondola_exit exit;

	enter_long_mode(w);
	*world_u64(w, 0x13000 + (DATA / 4096 + 1) * 8) = 0x20000 | PT_P | PT_W | PT_A | PT_D;
	put_code(w, code, sizeof(code));
	w->vcpu.regs.gpr[R_RAX] = value;
	w->vcpu.regs.gpr[R_RBX] = DATA + 0xff0;
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
	KUNIT_EXPECT_EQ(test, *world_u32(w, DATA + 0xffc), 0x55667788u);
	KUNIT_EXPECT_EQ(test, *world_u32(w, 0x20000), 0x11223344u);
	KUNIT_EXPECT_EQ(test, *world_u32(w, DATA + 0x1000), 0u);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.gpr[R_RCX], value);
}

/* The shadow entry of a page below 2 MiB. */
static u64 *entry_of(struct world *w, u32 gva)
{
	u64 *root = __va(w->vcpu.hw_root);
	u64 *directory = __va(root[0] & PT_ADDR);

	return (u64 *)__va(directory[0] & PT_ADDR) + (gva >> 12);
}

static u64 *mapped_entry(struct kunit *test)
{
	static const u8 code[] = { 0xff, 0x05, 0x00, 0x50, 0, 0, 0xf4 };	/* incl DATA */
	struct world *w = test->priv;
	struct gondola_exit exit;

	put_code(w, code, sizeof(code));
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
	return entry_of(w, DATA);
}

static void remembers_until_told(struct kunit *test)
{
	struct world *w = test->priv;
	struct interp_vcpu *ip = ip_of(w);
	u64 *entry = mapped_entry(test), was = *entry;
	u8 *host;

	host = interp_translate(ip, DATA + 5, PFEC_W);
	KUNIT_EXPECT_PTR_EQ(test, host, w->memory + DATA + 5);
	*entry = 0;
	KUNIT_EXPECT_PTR_EQ(test, interp_translate(ip, DATA + 5, PFEC_W), host);
	interp_flush_page(ip, DATA);
	KUNIT_EXPECT_NULL(test, interp_translate(ip, DATA + 5, PFEC_W));
	KUNIT_EXPECT_EQ(test, ip->exit.reason, GONDOLA_REASON_PAGE_FAULT);
	KUNIT_EXPECT_EQ(test, ip->exit.pf.gva, DATA + 5);
	KUNIT_EXPECT_EQ(test, ip->exit.pf.error, PFEC_W);
	*entry = was;
	KUNIT_EXPECT_PTR_EQ(test, interp_translate(ip, DATA + 5, PFEC_W), host);
	*entry = 0;
	interp_flush(ip);
	KUNIT_EXPECT_NULL(test, interp_translate(ip, DATA, 0));
	*entry = was;
}

static void obeys_rights(struct kunit *test)
{
	struct world *w = test->priv;
	struct interp_vcpu *ip = ip_of(w);
	u64 *entry = mapped_entry(test), was = *entry;

	*entry = was & ~PT_W;
	interp_flush(ip);
	KUNIT_EXPECT_NOT_NULL(test, interp_translate(ip, DATA, 0));
	KUNIT_EXPECT_NULL(test, interp_translate(ip, DATA, PFEC_W));
	KUNIT_EXPECT_EQ(test, ip->exit.pf.error, PFEC_W | PFEC_P);
	*entry = was & ~PT_U;
	interp_flush(ip);
	KUNIT_EXPECT_NOT_NULL(test, interp_translate(ip, DATA, PFEC_W));
	KUNIT_EXPECT_NULL(test, interp_translate(ip, DATA, PFEC_U));
	KUNIT_EXPECT_EQ(test, ip->exit.pf.error, PFEC_U | PFEC_P);
	*entry = was | PT_NX;
	interp_flush(ip);
	KUNIT_EXPECT_NOT_NULL(test, interp_translate(ip, DATA, 0));
	KUNIT_EXPECT_NULL(test, interp_code(ip, DATA));
	KUNIT_EXPECT_EQ(test, ip->exit.pf.error, PFEC_I | PFEC_P);
	*entry = was;
	interp_flush(ip);
}

static void sets_accessed_and_dirty(struct kunit *test)
{
	struct world *w = test->priv;
	struct interp_vcpu *ip = ip_of(w);
	u64 *entry = mapped_entry(test), was = *entry;

	*entry = was & ~(PT_A | PT_D);
	interp_flush(ip);
	KUNIT_EXPECT_NOT_NULL(test, interp_translate(ip, DATA, 0));
	KUNIT_EXPECT_EQ(test, *entry & (PT_A | PT_D), PT_A);
	/* A translation for reads must not serve a write without a look at the entry. */
	KUNIT_EXPECT_NOT_NULL(test, interp_translate(ip, DATA, PFEC_W));
	KUNIT_EXPECT_EQ(test, *entry & (PT_A | PT_D), PT_A | PT_D);
	*entry = was;
	interp_flush(ip);
}

static void leaves_before_anything_is_done(struct kunit *test)
{
	static const u8 code[] = { 0x0f, 0xa2 };	/* cpuid */
	struct world *w = test->priv;
	struct gondola_exit exit;

	put_code(w, code, sizeof(code));
	w->vcpu.regs.gpr[R_RAX] = 0x1234;
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_CPUID);
	KUNIT_EXPECT_EQ(test, exit.insn_len, 2);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.rip, CODE);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.gpr[R_RAX], 0x1234);
}

static void steps(struct kunit *test)
{
	static const u8 code[] = { 0x90, 0x90, 0xf4 };
	struct world *w = test->priv;
	struct gondola_exit exit;

	put_code(w, code, sizeof(code));
	w->vcpu.regs.rflags |= RFL_TF;
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_EXCEPTION);
	KUNIT_EXPECT_EQ(test, exit.exception.vector, VEC_DB);
	KUNIT_EXPECT_EQ(test, exit.exception.dr6, DR6_BS);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.rip, CODE + 1);
}

/**
 * struct step - an instruction that begins with TF set, and the RIP of the first single step
 * @name: for the report
 * @code: its bytes, and the code behind it
 * @at: RIP of the step, relative to CODE
 * @branches: DEBUGCTL.BTF is set
 */
struct step {
	const char *name;
	u8 code[12];
	u32 at;
	bool branches;
};

static const struct step stepped[] = {
	{ "jmp to itself", { 0xeb, 0xfe }, 0 },
	{ "mov ss puts it off", { 0x8e, 0xd0, 0x90, 0x90, 0xf4 }, 3 },
	{ "pop ss puts it off", { 0x17, 0x90, 0x90, 0xf4 }, 2 },
	{ "mov ds does not", { 0x8e, 0xd8, 0x90, 0xf4 }, 2 },
	{ "sti does not", { 0xfb, 0x90, 0xf4 }, 1 },
	{ "popf that clears it", { 0x9d, 0x90, 0xf4 }, 1 },
	{ "rep movsb, an item", { 0xf3, 0xa4, 0x90, 0xf4 }, 0 },
	{ "a branch", { 0x90, 0xeb, 0x01, 0x90, 0x90, 0xf4 }, 4, true },
	{ "no branch", { 0x90, 0x74, 0x01, 0x90, 0xeb, 0x00, 0xeb, 0x02, 0x90, 0x90, 0xf4 }, 10, true },
};

static void step_name(const struct step *s, char *name)
{
	strscpy(name, s->name, KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(step, stepped, step_name);

static void single_step(struct kunit *test)
{
	/* Descriptor 2 is flat data. */
	static const u64 gdt[] = { 0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull };
	const struct gondola_dtable table = { .base = DATA + 0x800, .limit = sizeof(gdt) - 1 };
	const struct step *s = test->param_value;
	struct world *w = test->priv;
	struct gondola_exit exit;

	put_code(w, s->code, sizeof(s->code));
	memcpy(w->memory + table.base, gdt, sizeof(gdt));
	w->engine.set_dtable(&w->vcpu, false, &table);
	*world_u32(w, STACK) = 0x10;
	w->vcpu.regs.gpr[R_RAX] = 0x10;
	w->vcpu.regs.gpr[R_RCX] = 3;
	w->vcpu.regs.gpr[R_RSI] = w->vcpu.regs.gpr[R_RDI] = DATA;
	w->vcpu.regs.rflags |= RFL_TF;
	w->vcpu.msrs.debugctl = s->branches ? DEBUGCTL_BTF : 0;
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_EXCEPTION);
	KUNIT_EXPECT_EQ(test, exit.exception.vector, VEC_DB);
	KUNIT_EXPECT_EQ(test, exit.exception.dr6, DR6_BS);
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.rip, CODE + s->at);
}

/* A DR7, with DR0 at DATA or in CODE, and the RIP of #DB, or that of HLT for none. */
static void breakpoints(struct kunit *test)
{
	static const u8 code[] = {
		0x90,					/* nop */
		0x8b, 0x0d, 0x00, 0x50, 0, 0,		/* mov DATA, %ecx */
		0x89, 0x0d, 0x00, 0x50, 0, 0,		/* mov %ecx, DATA */
		0xf0, 0xff, 0x05, 0x00, 0x50, 0, 0,	/* lock incl DATA */
		0xf4,
	};
	static const struct { u64 dr0, dr7; u32 at; } cases[] = {
		{ CODE, 1, 0 }, { CODE + 1, 2, 1 }, { CODE + 7, 1, 7 },
		{ DATA, 3 << 16 | 1, 7 }, { DATA, 1 << 16 | 1, 13 },
		{ DATA + 3, 3 << 16 | 1, 7 }, { DATA + 4, 3 << 16 | 1, 20 },
		{ DATA + 6, 3 << 18 | 3 << 16 | 1, 20 }, { DATA + 3, 3 << 18 | 3 << 16 | 1, 7 },
		{ DATA, 1 << 20 | 4, 20 }, { DATA, 2 << 16 | 1, 20 },
	};
	struct world *w = test->priv;
	struct gondola_vcpu *vcpu = &w->vcpu;
	struct gondola_exit exit;
	unsigned int i;

	put_code(w, code, sizeof(code));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		bool struck = cases[i].at != 20;

		vcpu->dr[0] = cases[i].dr0;
		vcpu->dr7 = DR7_FIXED | cases[i].dr7;
		gondola_update_dr7(vcpu);
		KUNIT_ASSERT_EQ(test, run(w, CODE, &exit),
				struck ? GONDOLA_REASON_EXCEPTION : GONDOLA_REASON_HLT);
		KUNIT_EXPECT_EQ_MSG(test, vcpu->regs.rip, CODE + cases[i].at, "case %u", i);
		if (!struck)
			continue;
		KUNIT_EXPECT_EQ(test, exit.exception.vector, VEC_DB);
		KUNIT_EXPECT_EQ(test, exit.exception.dr6, 1ull);
	}
	/* RF lets the instruction pass, and is clear afterwards. */
	vcpu->dr[0] = CODE;
	vcpu->dr7 = DR7_FIXED | 1;
	gondola_update_dr7(vcpu);
	vcpu->regs.rflags |= RFL_RF | RFL_TF;
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_EXCEPTION);
	KUNIT_EXPECT_EQ(test, vcpu->regs.rip, CODE + 1);
	KUNIT_EXPECT_EQ(test, exit.exception.dr6, DR6_BS);
	KUNIT_EXPECT_FALSE(test, vcpu->regs.rflags & RFL_RF);
	vcpu->regs.rflags &= ~RFL_TF;
	vcpu->dr7 = DR7_FIXED;
	gondola_update_dr7(vcpu);
	KUNIT_EXPECT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
}

/* A debugger's breakpoints replace the guest's, whose registers are unchanged. */
static void breakpoints_of_a_debugger(struct kunit *test)
{
	static const u8 code[] = { 0x90, 0x90, 0x90, 0xf4 };
	struct world *w = test->priv;
	struct gondola_vcpu *vcpu = &w->vcpu;
	struct gondola_exit exit;

	put_code(w, code, sizeof(code));
	vcpu->dr[0] = CODE + 1;
	KUNIT_ASSERT_EQ(test, gondola_set_dr(vcpu, 7, 1), 0);
	vcpu->debug_dr[1] = CODE + 2;
	vcpu->debug_dr7 = DR7_FIXED | 4;
	gondola_update_dr7(vcpu);
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_EXCEPTION);
	KUNIT_EXPECT_EQ(test, vcpu->regs.rip, CODE + 2);
	KUNIT_EXPECT_EQ(test, exit.exception.dr6, 2ull);
	KUNIT_EXPECT_EQ(test, vcpu->dr7, DR7_FIXED | 1);
	/* The guest's own writes meanwhile take effect when the debugger has detached. */
	KUNIT_ASSERT_EQ(test, gondola_set_dr(vcpu, 0, CODE), 0);
	KUNIT_ASSERT_EQ(test, gondola_set_dr(vcpu, 7, 2), 0);
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_EXCEPTION);
	KUNIT_EXPECT_EQ(test, vcpu->regs.rip, CODE + 2);
	vcpu->debug_dr7 = 0;
	gondola_update_dr7(vcpu);
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_EXCEPTION);
	KUNIT_EXPECT_EQ(test, vcpu->regs.rip, CODE);
}

/* With a debugger INT3 exits before anything is pushed; without one it is the guest's. */
static void int3_of_a_debugger(struct kunit *test)
{
	static const u8 code[] = { 0x90, 0xcc, 0xf4 };
	struct world *w = test->priv;
	struct gondola_vcpu *vcpu = &w->vcpu;
	struct gondola_exit exit;

	put_code(w, code, sizeof(code));
	vcpu->regs.gpr[R_RSP] = STACK;
	vcpu->breakpoints = true;
	KUNIT_ASSERT_EQ(test, w->engine.set_debug(vcpu), 0);
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_EXCEPTION);
	KUNIT_EXPECT_EQ(test, exit.exception.vector, VEC_BP);
	KUNIT_EXPECT_EQ(test, vcpu->regs.rip, CODE + 1);
	KUNIT_EXPECT_EQ(test, vcpu->regs.gpr[R_RSP], STACK);
	vcpu->breakpoints = false;
	KUNIT_ASSERT_EQ(test, w->engine.set_debug(vcpu), 0);
	/* There is no gate for it. */
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_EXCEPTION);
	KUNIT_EXPECT_NE(test, exit.exception.vector, VEC_BP);
}

/* The handler is at CODE + 0x100. */
static void handlers_are_not_stepped(struct kunit *test)
{
	static const u8 code[][3] = { { 0xcd, 0x21 }, { 0xcc }, { 0xf1 }, { 0xce } };
	static const u8 vectors[] = { 0x21, VEC_BP, VEC_DB, VEC_OF };
	static const u64 gdt[] = { 0, 0x00cf9b000000ffffull };
	static const u64 gate = 0x00008e0000080000ull | (CODE + 0x100);
	const struct gondola_dtable gdtr = { .base = DATA, .limit = sizeof(gdt) - 1 };
	const struct gondola_dtable idtr = { .base = DATA + 0x800, .limit = 0x7ff };
	struct world *w = test->priv;
	struct gondola_exit exit;
	unsigned int i;

	memcpy(w->memory + DATA, gdt, sizeof(gdt));
	w->engine.set_dtable(&w->vcpu, false, &gdtr);
	w->engine.set_dtable(&w->vcpu, true, &idtr);
	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		memcpy(w->memory + DATA + 0x800 + 8 * vectors[i], &gate, sizeof(gate));
		put_code(w, code[i], sizeof(code[i]));
		w->memory[CODE + 0x100] = 0x90;
		w->memory[CODE + 0x101] = 0xf4;
		w->vcpu.regs.rflags = RFL_FIXED | RFL_TF | RFL_OF;
		w->vcpu.regs.gpr[R_RSP] = STACK;
		KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
		KUNIT_EXPECT_EQ(test, w->vcpu.regs.rip, CODE + 0x101);
		KUNIT_EXPECT_TRUE(test, *world_u32(w, STACK - 4) & RFL_TF);
	}
}

static void opens_windows(struct kunit *test)
{
	static const u8 code[] = { 0xfb, 0x90, 0x90, 0xf4 };	/* sti; nop; nop; hlt */
	struct world *w = test->priv;
	struct gondola_exit exit;

	put_code(w, code, sizeof(code));
	w->engine.open_window(&w->vcpu, true, false);
	KUNIT_ASSERT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_INTERRUPT_WINDOW);
	/* STI delays interrupts by one instruction. */
	KUNIT_EXPECT_EQ(test, w->vcpu.regs.rip, CODE + 2);
	w->engine.open_window(&w->vcpu, false, false);
	KUNIT_EXPECT_EQ(test, run(w, CODE, &exit), GONDOLA_REASON_HLT);
}

/* The emulator must know every instruction that CPUID offers. */
static void offers_what_it_has(struct kunit *test)
{
	u32 eax, ebx, ecx, edx;

	interp_processor_cpuid(1, 0, &eax, &ebx, &ecx, &edx);
	KUNIT_EXPECT_EQ_MSG(test, edx & BIT(1), 0u, "VME");
	KUNIT_EXPECT_EQ_MSG(test, edx & BIT(23), 0u, "MMX");
	KUNIT_EXPECT_EQ_MSG(test, ecx & (BIT(0) | BIT(9) | BIT(19) | BIT(20)), 0u, "SSE3 and later");
	KUNIT_EXPECT_EQ_MSG(test, ecx & (BIT(26) | BIT(28)), 0u, "XSAVE, AVX");
}

static struct kunit_case interp_cases[] = {
	KUNIT_CASE(offers_what_it_has),
	KUNIT_CASE(computes),
	KUNIT_CASE(leaves_in_time),
	KUNIT_CASE(code_that_changes),
	KUNIT_CASE(rows_that_change),
	KUNIT_CASE(more_code_than_places),
	KUNIT_CASE(code_that_moves),
	KUNIT_CASE(rows_keep_order),
	KUNIT_CASE(rows_cross_pages),
	KUNIT_CASE(remembers_until_told),
	KUNIT_CASE(obeys_rights),
	KUNIT_CASE(sets_accessed_and_dirty),
	KUNIT_CASE(leaves_before_anything_is_done),
	KUNIT_CASE(steps),
	KUNIT_CASE_PARAM(single_step, step_gen_params),
	KUNIT_CASE(handlers_are_not_stepped),
	KUNIT_CASE(breakpoints),
	KUNIT_CASE(breakpoints_of_a_debugger),
	KUNIT_CASE(int3_of_a_debugger),
	KUNIT_CASE(opens_windows),
	{}
};

static int interp_suite_init(struct kunit_suite *suite)
{
	return gondola_mmu_module_init();
}

static void interp_suite_exit(struct kunit_suite *suite)
{
	gondola_mmu_module_exit();
}

static struct kunit_suite interp_suite = {
	.name = "gondola_interp",
	.suite_init = interp_suite_init,
	.suite_exit = interp_suite_exit,
	.init = interp_init,
	.exit = interp_exit,
	.test_cases = interp_cases,
};
kunit_test_suite(interp_suite);
