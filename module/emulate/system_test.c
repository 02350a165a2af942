// SPDX-License-Identifier: GPL-2.0-only
/* System instructions: rights, widths, descriptors. */
#include <kunit/test.h>
#include "test_world.h"

static void expect_fault(struct kunit *test, struct test_world *w, int result, u8 vector, u32 error)
{
	EXPECT_FAULT(test, w, result, vector);
	if (vector != VEC_UD)
		KUNIT_EXPECT_EQ(test, w->emul.exception.error, error);
}

struct privileged {
	const char *name;
	u8 code[8];
};

static const struct privileged privileged[] = {
	{ "hlt", { 0xf4 } },
	{ "mov to cr3", { 0x0f, 0x22, 0xd8 } },
	{ "mov from cr0", { 0x0f, 0x20, 0xc0 } },
	{ "mov to dr7", { 0x0f, 0x23, 0xf8 } },
	{ "mov from dr6", { 0x0f, 0x21, 0xf0 } },
	{ "clts", { 0x0f, 0x06 } },
	{ "lmsw", { 0x0f, 0x01, 0xf0 } },
	{ "invlpg", { 0x0f, 0x01, 0x3f } },
	{ "lgdt", { 0x0f, 0x01, 0x17 } },
	{ "lidt", { 0x0f, 0x01, 0x1f } },
	{ "lldt", { 0x0f, 0x00, 0xd0 } },
	{ "ltr", { 0x0f, 0x00, 0xd8 } },
	{ "rdmsr", { 0x0f, 0x32 } },
	{ "wrmsr", { 0x0f, 0x30 } },
	{ "wbinvd", { 0x0f, 0x09 } },
	{ "invd", { 0x0f, 0x08 } },
	{ "swapgs", { 0x0f, 0x01, 0xf8 } },
	{ "cli", { 0xfa } },
	{ "sti", { 0xfb } },
};

static void privileged_name(const struct privileged *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(privileged, privileged, privileged_name);

static void needs_privilege(struct kunit *test)
{
	const struct privileged *c = test->param_value;
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	struct gondola_regs before = w->regs;

	w->emul.cpl = 3;
	w->regs.gpr[R_RDI] = before.gpr[R_RDI] = WORLD_DATA;
	expect_fault(test, w, test_world_run(w, c->code, sizeof(c->code)), VEC_GP, 0);
	KUNIT_EXPECT_EQ(test, memcmp(&before, &w->regs, sizeof(before)), 0);
	KUNIT_EXPECT_FALSE(test, w->halted || w->flushed || w->invlpg || w->msr_index);
}

static void control_registers(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RAX] = 0x123456789000;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x22, 0xd8), OK);
	KUNIT_EXPECT_EQ(test, w->cr[3], 0x123456789000ull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x20, 0xd9), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 0x123456789000ull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x44, 0x0f, 0x22, 0xc0), OK);
	KUNIT_EXPECT_EQ(test, w->cr[8], 0x123456789000ull);
	/* A value that the checker refuses is the instruction's fault. */
	expect_fault(test, w, RUN(w, 0x0f, 0x22, 0xc0), VEC_GP, 0);
	KUNIT_EXPECT_EQ(test, w->cr[0] >> 32, 0ull);
	expect_fault(test, w, RUN(w, 0x0f, 0x22, 0xc8), VEC_UD, 0);
	expect_fault(test, w, RUN(w, 0x0f, 0x20, 0xe8), VEC_UD, 0);
	w->cr[0] |= CR0_TS;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x06), OK);
	KUNIT_EXPECT_FALSE(test, w->cr[0] & CR0_TS);
	/* LMSW sets PE but does not clear it. */
	w->regs.gpr[R_RAX] = CR0_MP;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0xf0), OK);
	KUNIT_EXPECT_EQ(test, w->cr[0], CR0_PE | CR0_MP | CR0_ET | CR0_PG);
	/* SMSW: 2 bytes of memory, the operand size of a register. */
	test_world_set(w, WORLD_DATA, ~0ull);
	w->regs.gpr[R_RDI] = WORLD_DATA;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0x27), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA), ~0xffffull | (u16)w->cr[0]);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0xe0), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], w->cr[0]);
	w->emul.cpl = 3;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0xe0), OK);
	w->cr[4] |= CR4_UMIP;
	expect_fault(test, w, RUN(w, 0x0f, 0x01, 0xe0), VEC_GP, 0);
	expect_fault(test, w, RUN(w, 0x0f, 0x01, 0x07), VEC_GP, 0);
}

static void debug_registers(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RAX] = 0x400;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x23, 0xe8), OK);	/* DR5 */
	KUNIT_EXPECT_EQ(test, w->dr[7], 0x400ull);
	w->dr[6] = 0xffff0ff0;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x21, 0xe1), OK);	/* DR4 */
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 0xffff0ff0ull);
	w->cr[4] |= CR4_DE;
	expect_fault(test, w, RUN(w, 0x0f, 0x21, 0xe1), VEC_UD, 0);
	expect_fault(test, w, RUN(w, 0x44, 0x0f, 0x21, 0xc1), VEC_UD, 0);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x23, 0xd8), OK);
	KUNIT_EXPECT_EQ(test, w->dr[3], 0x400ull);
}

static void msrs_and_cpuid(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RCX] = 0xffffffffc0000080;
	w->regs.gpr[R_RAX] = 0xffffffff00000001;
	w->regs.gpr[R_RDX] = 0xffffffff00000002;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x30), OK);
	KUNIT_EXPECT_EQ(test, w->msr_index, 0xc0000080u);
	KUNIT_EXPECT_EQ(test, w->msr_value, 0x200000001ull);
	w->msr_value = 0x8877665544332211;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x32), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0x44332211ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RDX], 0x88776655ull);
	w->regs.gpr[R_RAX] = 0xffffffff00000007;
	w->regs.gpr[R_RCX] = 0xffffffff00000009;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0xa2), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0xaull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RBX], 8ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 0xcull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RDX], 10ull);
	/* RDTSC reads the MSR; CR4.TSD forbids it to users. */
	w->emul.cpl = 3;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x31), OK);
	KUNIT_EXPECT_EQ(test, w->msr_index, (u32)MSRX_TSC);
	w->cr[4] |= CR4_TSD;
	expect_fault(test, w, RUN(w, 0x0f, 0x31), VEC_GP, 0);
	/* RDPMC reads one of four MSRs; users need CR4.PCE. */
	w->regs.gpr[R_RCX] = 0xffffffff00000003;
	expect_fault(test, w, RUN(w, 0x0f, 0x33), VEC_GP, 0);
	w->cr[4] |= CR4_PCE;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x33), OK);
	KUNIT_EXPECT_EQ(test, w->msr_index, MSRX_AMD_PERF_CTR + 3);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0x44332211ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RDX], 0x88776655ull);
	w->regs.gpr[R_RCX] = 4;
	expect_fault(test, w, RUN(w, 0x0f, 0x33), VEC_GP, 0);
}

static void descriptor_tables(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	u64 image[2];

	w->regs.gpr[R_RDI] = WORLD_DATA;
	/* limit 0x01ff, base 0xffff800012345678 */
	image[0] = 0x01ff | 0xffff800012345678ull << 16;
	image[1] = 0xffff800012345678ull >> 48;
	test_world_set(w, WORLD_DATA, image[0]);
	test_world_set(w, WORLD_DATA + 8, image[1]);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0x17), OK);
	KUNIT_EXPECT_EQ(test, w->gdt.limit, (u16)0x1ff);
	KUNIT_EXPECT_EQ(test, w->gdt.base, 0xffff800012345678ull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0x1f), OK);
	KUNIT_EXPECT_EQ(test, w->idt.base, 0xffff800012345678ull);
	test_world_set(w, WORLD_DATA + 0x20, 0);
	test_world_set(w, WORLD_DATA + 0x28, ~0ull);
	w->regs.gpr[R_RDI] = WORLD_DATA + 0x20;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0x07), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 0x20), image[0]);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 0x28), ~0xffffull | image[1]);
	/* Not canonical. */
	test_world_set(w, WORLD_DATA + 0x28, 0x1234);
	expect_fault(test, w, RUN(w, 0x0f, 0x01, 0x17), VEC_GP, 0);
	/* Outside of 64-bit mode the operand has 6 bytes, of which a 16-bit operand size uses 5. */
	w = test_world_init(test, GONDOLA_EMUL_REAL);
	w->regs.gpr[R_RDI] = 0x2000;
	test_world_set(w, WORLD_BASE + 0x2000, 0xffff123456780027);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0x15), OK);
	KUNIT_EXPECT_EQ(test, w->gdt.base, 0x345678ull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x66, 0x0f, 0x01, 0x15), OK);
	KUNIT_EXPECT_EQ(test, w->gdt.base, 0x12345678ull);
	KUNIT_EXPECT_EQ(test, w->gdt.limit, (u16)0x27);
}

static void flush_one_page(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RDI] = 0xffff888000001234;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0x3f), OK);
	KUNIT_EXPECT_EQ(test, w->invlpg, 0xffff888000001234ull);
	/* An address that is not canonical: no fault, and nothing is done. */
	w->invlpg = 0;
	w->regs.gpr[R_RDI] = 0x800000000000;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x01, 0x3f), OK);
	KUNIT_EXPECT_EQ(test, w->invlpg, 0ull);
	w->seg[GONDOLA_GS].base = 0x1000;
	w->regs.gpr[R_RDI] = 0x234;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x65, 0x0f, 0x01, 0x3f), OK);
	KUNIT_EXPECT_EQ(test, w->invlpg, 0x1234ull);
}

static void interrupt_flag(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	KUNIT_EXPECT_EQ(test, RUN(w, 0xfb), OK);
	KUNIT_EXPECT_TRUE(test, w->regs.rflags & RFL_IF);
	KUNIT_EXPECT_EQ(test, w->shadow, 1u);
	/* Only an STI that sets IF blocks interrupts for one instruction. */
	KUNIT_EXPECT_EQ(test, RUN(w, 0xfb), OK);
	KUNIT_EXPECT_EQ(test, w->shadow, 0u);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf4), OK);
	KUNIT_EXPECT_TRUE(test, w->halted);
	KUNIT_EXPECT_EQ(test, w->regs.rip, (u64)WORLD_CODE + 3);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xfa), OK);
	KUNIT_EXPECT_FALSE(test, w->regs.rflags & RFL_IF);
	w->emul.cpl = 3;
	w->regs.rflags |= RFL_IOPL;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xfb), OK);
}

static void ports(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);

	w->regs.gpr[R_RDX] = 0xffff03f8;
	w->regs.gpr[R_RAX] = 0xffffffffffffff41;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xee), OK);
	KUNIT_EXPECT_EQ(test, w->port, (u16)0x3f8);
	KUNIT_EXPECT_EQ(test, w->io_value, 0x41u);
	w->io_value = 0x12345678;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xec), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0xffffffffffffff78ull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xe5, 0x80), OK);
	KUNIT_EXPECT_EQ(test, w->port, (u16)0x80);
	KUNIT_EXPECT_EQ(test, w->io_width, 4u);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0x12345679ull);
	/* The launcher is asked; then the same runs again. */
	w->io_user = true;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xec), USER);
	w->io_user = false;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xec), OK);
}

static void port_permissions(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	const gva_t tss = WORLD_DATA + 0x1000;

	w->emul.cpl = 3;
	w->regs.gpr[R_RDX] = 0x3f8;
	w->seg[GONDOLA_TR] = (struct gondola_segment){
		.base = tss, .limit = 0x68 + 0x80, .ar = 0x8b,
	};
	memset(test_world_at(w, tss), 0xff, 0x1000);
	*(u16 *)test_world_at(w, tss + 102) = 0x68;
	expect_fault(test, w, RUN(w, 0xee), VEC_GP, 0);
	*(u8 *)test_world_at(w, tss + 0x68 + 0x3f8 / 8) = 0xfc;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xee), OK);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x66, 0xef), OK);
	/* Two of the four ports are open. */
	expect_fault(test, w, RUN(w, 0xef), VEC_GP, 0);
	/* Beyond the TSS all ports are closed. */
	w->seg[GONDOLA_TR].limit = 0x68 + 0x3f8 / 8;
	expect_fault(test, w, RUN(w, 0xee), VEC_GP, 0);
	w->regs.rflags |= RFL_IOPL;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xef), OK);
	KUNIT_EXPECT_EQ(test, w->io_calls, 3u);
}

static void set_descriptor(struct test_world *w, unsigned int index, u64 raw)
{
	test_world_set(w, GDT + 8 * index, raw);
}

#define DATA_DPL0	0x00cf92000000ffffull	/* not accessed */
#define DATA_DPL3	0x00cff3000000ffffull
#define CODE_DPL0	0x00cf9a000000ffffull
#define CODE_HIDDEN	0x00cf98000000ffffull	/* not readable */
#define DATA_ABSENT	0x00cf12000000ffffull
#define DATA_BASED	0x1240923456781000ull	/* base 0x12345678, limit 0x1000 bytes */

static void load_stack_segment(struct kunit *test, struct test_world *w)
{
	u64 *ax = &w->regs.gpr[R_RAX];

	/* SS must be writable data of this privilege, and never null. */
	*ax = 0x10;
	expect_fault(test, w, RUN(w, 0x8e, 0xd0), VEC_GP, 0x10);
	*ax = 0x18;
	expect_fault(test, w, RUN(w, 0x8e, 0xd0), VEC_GP, 0x18);
	*ax = 0;
	expect_fault(test, w, RUN(w, 0x8e, 0xd0), VEC_GP, 0);
	*ax = 8;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8e, 0xd0), OK);
	KUNIT_EXPECT_EQ(test, w->shadow, 2u);
	/* POP SS likewise. */
	w->shadow = 0;
	w->regs.gpr[R_RSP] = WORLD_DATA + 0x800;
	*(u32 *)test_world_at(w, WORLD_DATA + 0x800) = 8;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x17), OK);
	KUNIT_EXPECT_EQ(test, w->shadow, 2u);
}

static void load_data_segments(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_PROT32);
	u64 *ax = &w->regs.gpr[R_RAX];

	w->gdt.base = GDT;
	w->gdt.limit = 8 * 8 - 1;
	set_descriptor(w, 1, DATA_DPL0);
	set_descriptor(w, 2, DATA_DPL3);
	set_descriptor(w, 3, CODE_DPL0);
	set_descriptor(w, 4, CODE_HIDDEN);
	set_descriptor(w, 5, DATA_ABSENT);
	set_descriptor(w, 6, DATA_BASED);
	*ax = 0x08;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8e, 0xd8), OK);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_DS].selector, (u16)8);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_DS].limit, 0xffffffffu);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_DS].ar, 0xc093u);
	/* The accessed bit is set in memory, once. */
	KUNIT_EXPECT_EQ(test, test_world_u64(w, GDT + 8), DATA_DPL0 | 1ull << 40);
	KUNIT_EXPECT_EQ(test, w->writes, 1u);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8e, 0xd8), OK);
	KUNIT_EXPECT_EQ(test, w->writes, 1u);
	*ax = 0x30;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8e, 0xe0), OK);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_FS].base, 0x12345678ull);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_FS].limit, 0x1000u);
	*ax = 0x18;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8e, 0xe8), OK);
	*ax = 0x20;
	expect_fault(test, w, RUN(w, 0x8e, 0xe8), VEC_GP, 0x20);
	*ax = 0x2b;
	expect_fault(test, w, RUN(w, 0x8e, 0xe8), VEC_GP, 0x28);
	*ax = 0x28;
	expect_fault(test, w, RUN(w, 0x8e, 0xe8), VEC_NP, 0x28);
	expect_fault(test, w, RUN(w, 0x8e, 0xd0), VEC_SS, 0x28);
	*ax = 0x40;
	expect_fault(test, w, RUN(w, 0x8e, 0xe8), VEC_GP, 0x40);
	*ax = 0x0c;
	w->seg[GONDOLA_LDTR].ar = GONDOLA_AR_UNUSABLE;
	expect_fault(test, w, RUN(w, 0x8e, 0xe8), VEC_GP, 0x0c);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_GS].selector, (u16)0x18);
	load_stack_segment(test, w);
	*ax = 3;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8e, 0xe8), OK);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_GS].selector, (u16)3);
	KUNIT_EXPECT_TRUE(test, w->seg[GONDOLA_GS].ar & GONDOLA_AR_UNUSABLE);
	/* A user may not load the kernel's data segment. */
	w->emul.cpl = 3;
	*ax = 0x08;
	expect_fault(test, w, RUN(w, 0x8e, 0xd8), VEC_GP, 0x08);
	*ax = 0x13;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8e, 0xd8), OK);
}

static void load_real_segments(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_REAL);

	/* "Unreal": the limit survives. */
	w->seg[GONDOLA_DS].limit = 0xffffffff;
	w->regs.gpr[R_RAX] = 0x1234;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x8e, 0xd8), OK);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_DS].base, 0x12340ull);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_DS].limit, 0xffffffffu);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x1e), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], 0x27feull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x07), OK);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_ES].base, 0x12340ull);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RSP], 0x2800ull);
	/* LGS: offset 0x5678, selector 0x9abc */
	w->seg[GONDOLA_DS].base = WORLD_BASE;
	test_world_set(w, WORLD_BASE + 0x2000, 0x9abc5678);
	w->regs.gpr[R_RDI] = 0x2000;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0xb5, 0x0d), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 0x5678ull);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_GS].base, 0x9abc0ull);
}

static void load_system_segments(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	u64 *ax = &w->regs.gpr[R_RAX];

	w->gdt.base = GDT;
	w->gdt.limit = 6 * 8 - 1;
	set_descriptor(w, 1, 0x00008900000020abull | 0x1234ull << 16);	/* TSS */
	set_descriptor(w, 2, 0xffff8000);
	set_descriptor(w, 3, 0x00008200000000ffull);			/* LDT */
	set_descriptor(w, 4, 0);
	set_descriptor(w, 5, 0x00008900000020abull);
	*ax = 0x08;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x00, 0xd8), OK);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].base, 0xffff800000001234ull);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].limit, 0x20abu);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_TR].ar, 0x8bu);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, GDT + 8) >> 40 & 0xff, 0x8bull);
	/* Now it is busy. */
	expect_fault(test, w, RUN(w, 0x0f, 0x00, 0xd8), VEC_GP, 0x08);
	/* The second half of the descriptor is beyond the table's limit. */
	*ax = 0x28;
	expect_fault(test, w, RUN(w, 0x0f, 0x00, 0xd8), VEC_GP, 0x28);
	*ax = 0;
	expect_fault(test, w, RUN(w, 0x0f, 0x00, 0xd8), VEC_GP, 0);
	*ax = 0x0c;
	expect_fault(test, w, RUN(w, 0x0f, 0x00, 0xd8), VEC_GP, 0x0c);
	*ax = 0x18;
	expect_fault(test, w, RUN(w, 0x0f, 0x00, 0xd8), VEC_GP, 0x18);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x00, 0xd0), OK);
	KUNIT_EXPECT_EQ(test, w->seg[GONDOLA_LDTR].selector, (u16)0x18);
	*ax = ~0ull;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x00, 0xc0), OK);	/* SLDT */
	KUNIT_EXPECT_EQ(test, *ax, 0x18ull);
	KUNIT_EXPECT_EQ(test, RUN(w, 0x66, 0x0f, 0x00, 0xc9), OK);	/* STR */
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RCX], 8ull);
	*ax = 0;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0x00, 0xd0), OK);
	KUNIT_EXPECT_TRUE(test, w->seg[GONDOLA_LDTR].ar & GONDOLA_AR_UNUSABLE);
}

static struct kunit_case system_cases[] = {
	KUNIT_CASE_PARAM(needs_privilege, privileged_gen_params),
	KUNIT_CASE(control_registers),
	KUNIT_CASE(debug_registers),
	KUNIT_CASE(msrs_and_cpuid),
	KUNIT_CASE(descriptor_tables),
	KUNIT_CASE(flush_one_page),
	KUNIT_CASE(interrupt_flag),
	KUNIT_CASE(ports),
	KUNIT_CASE(port_permissions),
	KUNIT_CASE(load_data_segments),
	KUNIT_CASE(load_real_segments),
	KUNIT_CASE(load_system_segments),
	{}
};

static struct kunit_suite system_suite = {
	.name = "gondola_system",
	.test_cases = system_cases,
};
kunit_test_suite(system_suite);
