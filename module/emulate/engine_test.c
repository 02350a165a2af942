// SPDX-License-Identifier: GPL-2.0-only
/* Features that only an engine of whole guests uses: kept instructions, translations, the FPU. */
#include <kunit/test.h>
#include "insn.h"
#include "test_world.h"

static struct gondola_tlb_entry *make_tlb(struct kunit *test, struct test_world *w)
{
	struct gondola_tlb_entry *tlb = kunit_kcalloc(test, GONDOLA_TLB_ENTRIES, sizeof(*tlb),
						      GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, tlb);
	for (i = 0; i < GONDOLA_TLB_ENTRIES; i++) {
		tlb[i].read = GONDOLA_TLB_NONE;
		tlb[i].write = GONDOLA_TLB_NONE;
	}
	w->emul.tlb = tlb;
	return &tlb[WORLD_DATA / GONDOLA_PAGE_SIZE % GONDOLA_TLB_ENTRIES];
}

static void kept_instructions(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	/* lea 8(%rip), %rax; the same bytes mean something else in 32 bits */
	static const u8 code[] = { 0x48, 0x8d, 0x05, 0x08, 0x00, 0x00, 0x00 };
	struct gondola_insn insn;

	memcpy(w->memory, code, sizeof(code));
	KUNIT_ASSERT_EQ(test, gondola_parse(&w->emul), OK);
	insn = w->emul.own;
	KUNIT_EXPECT_EQ(test, insn.mode, (u8)GONDOLA_EMUL_LONG64);
	memset(&w->emul.own, 0xa5, sizeof(w->emul.own));
	w->regs.rip = WORLD_CODE + 0x100;
	KUNIT_EXPECT_EQ(test, gondola_execute(&w->emul, &insn), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], WORLD_CODE + 0x100ull + 7 + 8);
	KUNIT_EXPECT_EQ(test, w->regs.rip, WORLD_CODE + 0x107ull);
	KUNIT_EXPECT_EQ(test, w->fetches, 1u);

	/* A kept instruction, too, must lie within the code segment. */
	w = test_world_init(test, GONDOLA_EMUL_PROT32);
	memcpy(w->memory, code, sizeof(code));
	KUNIT_ASSERT_EQ(test, gondola_parse(&w->emul), OK);
	insn = w->emul.own;
	KUNIT_EXPECT_EQ(test, insn.len, 1);	/* dec %eax */
	w->seg[GONDOLA_CS].limit = WORLD_CODE + 0xff;
	w->regs.rip = WORLD_CODE + 0xff;
	KUNIT_EXPECT_EQ(test, gondola_execute(&w->emul, &insn), OK);
	EXPECT_FAULT(test, w, gondola_execute(&w->emul, &insn), VEC_GP);
}

static void translations(struct kunit *test)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	struct gondola_tlb_entry *entry = make_tlb(test, w);

	entry->read = WORLD_DATA;
	entry->host = test_world_at(w, WORLD_DATA);
	w->regs.gpr[R_RDI] = WORLD_DATA;
	test_world_set(w, WORLD_DATA, 0x1122334455667788);
	/* mov (%rdi), %rax: no operation is called */
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x8b, 0x07), OK);
	KUNIT_EXPECT_EQ(test, w->regs.gpr[R_RAX], 0x1122334455667788ull);
	KUNIT_EXPECT_EQ(test, w->reads, 0u);
	/* mov %eax, 8(%rdi): there is no translation for writing */
	KUNIT_EXPECT_EQ(test, RUN(w, 0x89, 0x47, 0x08), OK);
	KUNIT_EXPECT_EQ(test, w->writes, 1u);
	entry->write = WORLD_DATA;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x89, 0x47, 0x10), OK);
	KUNIT_EXPECT_EQ(test, w->writes, 1u);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 0x10), 0x55667788ull);
	/* Across the end of the page; then a page with the same index in the TLB. */
	w->regs.gpr[R_RDI] = WORLD_DATA + GONDOLA_PAGE_SIZE - 4;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x8b, 0x07), OK);
	KUNIT_EXPECT_EQ(test, w->reads, 1u);
	w->regs.gpr[R_RDI] = WORLD_DATA + (u64)GONDOLA_TLB_ENTRIES * GONDOLA_PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x8b, 0x07), FAULT);
	KUNIT_EXPECT_EQ(test, w->emul.exception.cr2, w->regs.gpr[R_RDI]);
}

/* An operand that is read and then written faults as a write at once. */
static void modifying_is_writing(struct kunit *test)
{
	static const u8 codes[][4] = {
		{ 0x48, 0x01, 0x07 },		/* add %rax, (%rdi) */
		{ 0xf0, 0xff, 0x07 },		/* lock incl (%rdi) */
		{ 0x87, 0x07 },			/* xchg %eax, (%rdi) */
		{ 0x0f, 0xab, 0x07 },		/* bts %eax, (%rdi) */
	};
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	unsigned int i;

	make_tlb(test, w);
	w->regs.gpr[R_RDI] = WORLD_END;
	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		KUNIT_EXPECT_EQ(test, test_world_run(w, codes[i], 4), FAULT);
		KUNIT_EXPECT_EQ(test, w->emul.exception.error, (u32)PFEC_W);
	}
	/* cmp %rax, (%rdi) */
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x39, 0x07), FAULT);
	KUNIT_EXPECT_EQ(test, w->emul.exception.error, 0u);
}

static struct test_world *fpu_world(struct kunit *test, struct gondola_fxsave **fpu)
{
	struct test_world *w = test_world_init(test, GONDOLA_EMUL_LONG64);
	void *room = kunit_kzalloc(test, sizeof(**fpu) + 64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, room);
	*fpu = PTR_ALIGN(room, 64);
	(*fpu)->fcw = 0x37f;
	(*fpu)->mxcsr = 0x1f80;
	w->emul.fpu = *fpu;
	w->cr[0] |= CR0_NE;
	w->cr[4] |= CR4_OSXMMEXCPT;
	return w;
}

#define ONE	0x3ff0000000000000ull
#define TWO	0x4000000000000000ull
#define THREE	0x4008000000000000ull

static void sse_exceptions(struct kunit *test)
{
	struct gondola_fxsave *fpu;
	struct test_world *w = fpu_world(test, &fpu);

	fpu->xmm[1][0] = ONE;
	fpu->xmm[2][0] = TWO;
	fpu->xmm[2][1] = 5;
	/* addsd %xmm1, %xmm2 */
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf2, 0x0f, 0x58, 0xd1), OK);
	KUNIT_EXPECT_EQ(test, fpu->xmm[2][0], THREE);
	KUNIT_EXPECT_EQ(test, fpu->xmm[2][1], 5ull);
	KUNIT_EXPECT_EQ(test, fpu->mxcsr, 0x1f80u);
	/* divsd %xmm0, %xmm2: by zero, masked, then not */
	KUNIT_EXPECT_EQ(test, RUN(w, 0xf2, 0x0f, 0x5e, 0xd0), OK);
	KUNIT_EXPECT_EQ(test, fpu->mxcsr, 0x1f84u);
	KUNIT_EXPECT_EQ(test, fpu->xmm[2][0], 0x7ff0000000000000ull);
	fpu->xmm[2][0] = THREE;
	fpu->mxcsr = 0x1d80;
	EXPECT_FAULT(test, w, RUN(w, 0xf2, 0x0f, 0x5e, 0xd0), VEC_XM);
	KUNIT_EXPECT_EQ(test, fpu->xmm[2][0], THREE);
	KUNIT_EXPECT_EQ(test, fpu->mxcsr, 0x1d84u);
	w->cr[4] &= ~CR4_OSXMMEXCPT;
	EXPECT_FAULT(test, w, RUN(w, 0xf2, 0x0f, 0x5e, 0xd0), VEC_UD);
	w->cr[0] |= CR0_TS;
	EXPECT_FAULT(test, w, RUN(w, 0xf2, 0x0f, 0x5e, 0xd0), VEC_NM);
	/* ldmxcsr (%rdi) with an undefined bit */
	w->cr[0] &= ~CR0_TS;
	w->regs.gpr[R_RDI] = WORLD_DATA;
	test_world_set(w, WORLD_DATA, 0x10000);
	EXPECT_FAULT(test, w, RUN(w, 0x0f, 0xae, 0x17), VEC_GP);
}

static void x87_exceptions(struct kunit *test)
{
	struct gondola_fxsave *fpu;
	struct test_world *w = fpu_world(test, &fpu);

	w->regs.gpr[R_RDI] = WORLD_DATA;
	test_world_set(w, WORLD_DATA, TWO);
	/* fld1; faddl (%rdi); fstpl (%rdi) */
	KUNIT_EXPECT_EQ(test, RUN(w, 0xd9, 0xe8), OK);
	KUNIT_EXPECT_EQ(test, fpu->tag, 0x80);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xdc, 0x07), OK);
	KUNIT_EXPECT_EQ(test, fpu->fip, WORLD_CODE + 2ull);
	KUNIT_EXPECT_EQ(test, fpu->fdp, (u64)WORLD_DATA);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xdd, 0x1f), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA), THREE);
	KUNIT_EXPECT_EQ(test, fpu->tag, 0);
	/* A store from an empty register: with the exception unmasked nothing is stored, … */
	fpu->fcw = 0x37e;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xdd, 0x1f), OK);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA), THREE);
	KUNIT_EXPECT_TRUE(test, fpu->fsw & 0x80);
	/* … and the next instruction raises it, also WAIT, unless it is a control instruction. */
	KUNIT_EXPECT_EQ(test, RUN(w, 0xdd, 0x3f), OK);	/* fnstsw (%rdi) */
	KUNIT_EXPECT_EQ(test, (u16)test_world_u64(w, WORLD_DATA), fpu->fsw);
	EXPECT_FAULT(test, w, RUN(w, 0xd9, 0xe8), VEC_MF);
	EXPECT_FAULT(test, w, RUN(w, 0x9b), VEC_MF);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xdb, 0xe2), OK);	/* fnclex */
	KUNIT_EXPECT_EQ(test, RUN(w, 0x9b), OK);
	/* If the store faults, the stack keeps its top. */
	fpu->fcw = 0x37f;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xd9, 0xe8), OK);
	w->regs.gpr[R_RDI] = WORLD_END;
	EXPECT_FAULT(test, w, RUN(w, 0xdd, 0x1f), VEC_PF);
	KUNIT_EXPECT_EQ(test, fpu->tag, 0x80);
	w->cr[0] |= CR0_TS;
	EXPECT_FAULT(test, w, RUN(w, 0xd9, 0xe8), VEC_NM);
}

static void saves_and_restores(struct kunit *test)
{
	struct gondola_fxsave *fpu, before;
	struct test_world *w = fpu_world(test, &fpu);
	unsigned int i;

	for (i = 0; i < 16; i++)
		fpu->xmm[i][0] = i + 1;
	KUNIT_EXPECT_EQ(test, RUN(w, 0xd9, 0xe8), OK);
	before = *fpu;
	/* fxsave64 (%rdi), across two pages; fxrstor64 brings all back after a clear */
	w->regs.gpr[R_RDI] = WORLD_DATA + GONDOLA_PAGE_SIZE - 0x100;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x0f, 0xae, 0x07), OK);
	memset(fpu, 0, sizeof(*fpu));
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x0f, 0xae, 0x0f), OK);
	before.mxcsr_mask = 0xffff;
	KUNIT_EXPECT_EQ(test, memcmp(fpu, &before, offsetof(struct gondola_fxsave, rest)), 0);
	/* Its second page is read-only: nothing of the first is written. */
	memset(test_world_at(w, WORLD_DATA + 0xf00), 0, 0x100);
	w->read_only = WORLD_DATA + GONDOLA_PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x48, 0x0f, 0xae, 0x07), FAULT);
	KUNIT_EXPECT_EQ(test, test_world_u64(w, WORLD_DATA + 0xf00), 0ull);
	w->regs.gpr[R_RDI] = WORLD_DATA + 8;
	EXPECT_FAULT(test, w, RUN(w, 0x48, 0x0f, 0xae, 0x07), VEC_GP);
}

static void summary_and_unmasking(struct kunit *test, struct test_world *w,
				  struct gondola_fxsave *fpu, struct gondola_fxsave *image)
{
	/* The summary bit alone raises nothing. */
	image->fcw = 0x37f;
	image->fsw = 0x8080;
	w->regs.gpr[R_RDI] = WORLD_DATA;
	KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0xae, 0x0f), OK);
	KUNIT_EXPECT_EQ(test, fpu->fsw, 0);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xd9, 0xe8), OK);
	/* FLDCW unmasks an exception that is noted. */
	fpu->fsw = 1;
	test_world_set(w, WORLD_DATA, 0x37e);
	KUNIT_EXPECT_EQ(test, RUN(w, 0xd9, 0x2f), OK);
	KUNIT_EXPECT_EQ(test, fpu->fsw & 0x8080, 0x8080);
	EXPECT_FAULT(test, w, RUN(w, 0xd9, 0xe8), VEC_MF);
	/* Nor is an unsettled state executed that got in some other way: it would fault in the host. */
	fpu->fcw = 0x37e;
	fpu->fsw = 1;
	EXPECT_FAULT(test, w, RUN(w, 0xd9, 0xe8), VEC_MF);
}

/* Images that no processor saves: flags without the summary bit, and the summary bit without flags. */
static void pending_exception_from_an_image(struct kunit *test)
{
	static const u8 waits[][4] = {
		{ 0xd9, 0xe8 },			/* fld1 */
		{ 0xd9, 0x2f },			/* fldcw (%rdi) */
		{ 0xd9, 0x27 },			/* fldenv (%rdi) */
		{ 0xdd, 0x27 },			/* frstor (%rdi) */
		{ 0xdd, 0x1f },			/* fstpl (%rdi) */
		{ 0xdf, 0xf0 },			/* fcomip */
		{ 0x9b },			/* fwait */
		{ 0x0f, 0x77 },			/* emms */
	};
	static const u8 goes_on[][4] = {
		{ 0xd9, 0x37 },			/* fnstenv (%rdi) */
		{ 0xdd, 0x37 },			/* fnsave (%rdi) */
		{ 0xd9, 0x3f },			/* fnstcw (%rdi) */
		{ 0xdf, 0xe0 },			/* fnstsw %ax */
		{ 0xdb, 0xe0 },			/* fneni */
		{ 0xdb, 0xe1 },			/* fndisi */
		{ 0xdb, 0xe4 },			/* fnsetpm */
		{ 0xdb, 0xe3 },			/* fninit */
	};
	struct gondola_fxsave *fpu, *image;
	struct test_world *w = fpu_world(test, &fpu);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(waits) + ARRAY_SIZE(goes_on); i++) {
		const u8 *code = i < ARRAY_SIZE(waits) ? waits[i] : goes_on[i - ARRAY_SIZE(waits)];

		image = test_world_at(w, WORLD_DATA);
		memset(image, 0, sizeof(*image));
		image->fcw = 0x37e;
		image->fsw = 1;
		image->mxcsr = 0x1f80;
		w->regs.gpr[R_RDI] = WORLD_DATA;
		KUNIT_EXPECT_EQ(test, RUN(w, 0x0f, 0xae, 0x0f), OK);	/* fxrstor (%rdi) */
		KUNIT_ASSERT_EQ_MSG(test, fpu->fsw, 0x8081, "the summary follows the flags");
		w->regs.gpr[R_RDI] = WORLD_DATA + 0x400;
		KUNIT_EXPECT_EQ_MSG(test, test_world_run(w, code, 4),
				    i < ARRAY_SIZE(waits) ? FAULT : OK, "%4ph", code);
		if (i < ARRAY_SIZE(waits))
			KUNIT_EXPECT_EQ_MSG(test, w->emul.exception.vector, (u8)VEC_MF, "%4ph",
					    code);
	}
	summary_and_unmasking(test, w, fpu, image);
}

/* The other layouts: of real mode with 32 and with 16 bits.  (Native forms test that of 16 bits.) */
static void environment_in_real_mode(struct kunit *test)
{
	struct gondola_fxsave *fpu;
	struct test_world *w = fpu_world(test, &fpu);
	unsigned int wide;
	u32 words[7];
	u16 narrow[7];

	w->emul.mode = GONDOLA_EMUL_REAL;
	w->cr[0] &= ~(CR0_PE | CR0_PG);
	w->seg[GONDOLA_DS].base = WORLD_DATA;
	for (wide = 0; wide < 2; wide++) {
		fpu->fcw = 0x27f;
		fpu->fsw = 0x3800;
		fpu->fip = 0xa1234;
		fpu->fdp = 0xb5678;
		fpu->fop = 0x5a5;
		w->regs.gpr[R_RDI] = 0;
		w->regs.rip = WORLD_CODE;
		/* fnstenv (%di), with a prefix for 32 bits */
		KUNIT_ASSERT_EQ(test, wide ? RUN(w, 0x66, 0xd9, 0x35) : RUN(w, 0xd9, 0x35), OK);
		memcpy(words, test_world_at(w, WORLD_DATA), sizeof(words));
		memcpy(narrow, words, sizeof(narrow));
		KUNIT_EXPECT_EQ(test, wide ? words[0] : narrow[0] | 0xffff0000, 0xffff027f);
		KUNIT_EXPECT_EQ(test, wide ? words[3] : narrow[3] | 0xffff0000, 0xffff1234);
		KUNIT_EXPECT_EQ(test, wide ? words[4] : narrow[4], 0xa5a5u);
		KUNIT_EXPECT_EQ(test, wide ? words[5] : narrow[5] | 0xffff0000, 0xffff5678);
		KUNIT_EXPECT_EQ(test, wide ? words[6] : narrow[6], 0xb000u);
		fpu->fip = fpu->fdp = fpu->fop = 0;
		fpu->fcw = 0x37f;
		/* fldenv (%di) */
		KUNIT_ASSERT_EQ(test, wide ? RUN(w, 0x66, 0xd9, 0x25) : RUN(w, 0xd9, 0x25), OK);
		KUNIT_EXPECT_EQ(test, fpu->fcw, 0x27f);
		KUNIT_EXPECT_EQ(test, fpu->fip, 0xa1234ull);
		KUNIT_EXPECT_EQ(test, fpu->fdp, 0xb5678ull);
		KUNIT_EXPECT_EQ(test, fpu->fop, 0x5a5);
	}
}

static struct kunit_case engine_cases[] = {
	KUNIT_CASE(kept_instructions),
	KUNIT_CASE(translations),
	KUNIT_CASE(modifying_is_writing),
	KUNIT_CASE(sse_exceptions),
	KUNIT_CASE(x87_exceptions),
	KUNIT_CASE(saves_and_restores),
	KUNIT_CASE(pending_exception_from_an_image),
	KUNIT_CASE(environment_in_real_mode),
	{}
};

static struct kunit_suite engine_suite = {
	.name = "gondola_emulate_engine",
	.test_cases = engine_cases,
};
kunit_test_suite(engine_suite);
