// SPDX-License-Identifier: GPL-2.0-only
/* Decoding: lengths, sizes, addresses and refusals. */
#include <kunit/test.h>
#include "insn.h"
#include "test_world.h"

#define REAL	GONDOLA_EMUL_REAL
#define VM86	GONDOLA_EMUL_VM86
#define P16	GONDOLA_EMUL_PROT16
#define P32	GONDOLA_EMUL_PROT32
#define L64	GONDOLA_EMUL_LONG64

struct length_case {
	const char *name;
	u8 mode, length, op_bytes, addr_bytes;
	u8 code[16];
};

static const struct length_case length_cases[] = {
	{ "mov %rax, (%rdi)", L64, 3, 8, 8, { 0x48, 0x89, 0x07 } },
	{ "mov %eax, (%edi), 67", L64, 3, 4, 4, { 0x67, 0x89, 0x07 } },
	{ "mov %ax, (%rdi), 66", L64, 3, 2, 8, { 0x66, 0x89, 0x07 } },
	{ "REX.W beats 66", L64, 4, 8, 8, { 0x66, 0x48, 0x89, 0x07 } },
	{ "REX before 66 is void", L64, 4, 2, 8, { 0x48, 0x66, 0x89, 0x07 } },
	{ "the last REX counts", L64, 4, 4, 8, { 0x48, 0x40, 0x89, 0x07 } },
	{ "the same byte is DEC in 32 bits", P32, 1, 4, 4, { 0x48, 0x89, 0x07 } },
	{ "and in 16 bits", REAL, 1, 2, 2, { 0x48 } },
	{ "disp32 RIP-relative, imm32", L64, 10, 4, 8, { 0xc7, 0x05, 1, 2, 3, 4, 5, 6, 7, 8 } },
	{ "SIB, disp8, imm8", L64, 5, 4, 8, { 0x80, 0x44, 0x8b, 0x10, 0x20 } },
	{ "SIB without base: disp32", L64, 7, 4, 8, { 0x89, 0x04, 0x25, 1, 2, 3, 4 } },
	{ "base R13 needs a displacement", L64, 4, 8, 8, { 0x49, 0x89, 0x45, 0x00 } },
	{ "base R12 needs SIB", L64, 4, 8, 8, { 0x49, 0x89, 0x04, 0x24 } },
	{ "imm64", L64, 10, 8, 8, { 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8 } },
	{ "imm32 sign-extended", L64, 7, 8, 8, { 0x48, 0xc7, 0xc0, 1, 2, 3, 4 } },
	{ "moffs 64", L64, 9, 4, 8, { 0xa1, 1, 2, 3, 4, 5, 6, 7, 8 } },
	{ "moffs 32 by 67", L64, 6, 4, 4, { 0x67, 0xa1, 1, 2, 3, 4 } },
	{ "moffs 16", REAL, 3, 2, 2, { 0xa1, 0, 1 } },
	{ "imm16", REAL, 3, 2, 2, { 0xb8, 1, 2 } },
	{ "imm32 by 66 in real mode", REAL, 6, 4, 2, { 0x66, 0xb8, 1, 2, 3, 4 } },
	{ "32-bit address by 67 in real mode", REAL, 3, 2, 4, { 0x67, 0x89, 0x07 } },
	{ "disp16 alone", REAL, 4, 2, 2, { 0x89, 0x06, 1, 2 } },
	{ "disp8 16-bit", P16, 3, 2, 2, { 0x89, 0x40, 1 } },
	{ "disp16 16-bit", VM86, 4, 2, 2, { 0x89, 0x80, 1, 2 } },
	{ "imm16 by 66 in 32 bits", P32, 5, 2, 4, { 0x66, 0x81, 0xc0, 1, 2 } },
	{ "disp32 alone in 32 bits", P32, 6, 4, 4, { 0x89, 0x05, 1, 2, 3, 4 } },
	{ "test with immediate", L64, 6, 4, 8, { 0xf7, 0xc0, 1, 2, 3, 4 } },
	{ "not, without one", L64, 2, 4, 8, { 0xf7, 0xd0 } },
	{ "push defaults to 8 bytes", L64, 1, 8, 8, { 0x50 } },
	{ "push 2 bytes", L64, 2, 2, 8, { 0x66, 0x50 } },
	{ "near jump stays 8 bytes", L64, 6, 8, 8, { 0x66, 0xe9, 0, 0, 0, 0 } },
	{ "enter", L64, 4, 8, 8, { 0xc8, 1, 2, 0 } },
	{ "0f map", L64, 4, 8, 8, { 0x48, 0x0f, 0xb1, 0x17 } },
	{ "0f 38 map", L64, 5, 8, 8, { 0x48, 0x0f, 0x38, 0xf0, 0x07 } },
	{ "bit test with imm8", L64, 6, 8, 8, { 0xf0, 0x48, 0x0f, 0xba, 0x37, 1 } },
	{ "shld imm8", L64, 5, 8, 8, { 0x48, 0x0f, 0xa4, 0xd0, 3 } },
	{ "imul imm8", L64, 4, 8, 8, { 0x48, 0x6b, 0xc1, 3 } },
	{ "mov to cr ignores mod", L64, 3, 4, 8, { 0x0f, 0x22, 0x1f } },
	{ "14 prefixes", L64, 15, 2, 8, { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
					  0x66, 0x66, 0x66, 0x66, 0x66, 0x90 } },
};

static void length_name(const struct length_case *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(length, length_cases, length_name);

static void lengths(struct kunit *test)
{
	const struct length_case *c = test->param_value;
	struct test_world *w = test_world_init(test, c->mode);

	memcpy(w->memory, c->code, sizeof(c->code));
	KUNIT_ASSERT_EQ(test, gondola_parse(&w->emul), OK);
	KUNIT_EXPECT_EQ(test, w->emul.insn->len, c->length);
	KUNIT_EXPECT_EQ(test, w->emul.insn->op_bytes, c->op_bytes);
	KUNIT_EXPECT_EQ(test, w->emul.insn->addr_bytes, c->addr_bytes);
	KUNIT_EXPECT_EQ(test, w->fetches, 1u);
}

struct address_case {
	const char *name;
	u8 mode, seg;
	u64 ea;
	u8 code[12];
};

/* Register n holds 0x11 * n << 8, RIP WORLD_CODE (0 in real mode). */
static const struct address_case address_cases[] = {
	{ "(%rdi)", L64, GONDOLA_DS, 0x7700, { 0x89, 0x07 } },
	{ "(%r15)", L64, GONDOLA_DS, 0xff00, { 0x41, 0x89, 0x07 } },
	{ "-1(%rdi)", L64, GONDOLA_DS, 0x76ff, { 0x89, 0x47, 0xff } },
	{ "0x100(%rbp) is on the stack", L64, GONDOLA_SS, 0x5600, { 0x89, 0x85, 0, 1, 0, 0 } },
	{ "(%rsp)", L64, GONDOLA_SS, 0x4400, { 0x89, 0x04, 0x24 } },
	{ "(%r12) is not", L64, GONDOLA_DS, 0xcc00, { 0x41, 0x89, 0x04, 0x24 } },
	{ "(%rdi,%rcx,8)", L64, GONDOLA_DS, 0x7700 + 0x8800, { 0x89, 0x04, 0xcf } },
	{ "(%rdi,%r12,2): R12 is an index", L64, GONDOLA_DS, 0x7700 + 0x19800,
	  { 0x42, 0x89, 0x04, 0x67 } },
	{ "(,%rcx,4) + disp32", L64, GONDOLA_DS, 0x4400 + 0x10, { 0x89, 0x04, 0x8d, 0x10 } },
	{ "negative disp32", L64, GONDOLA_DS, 0x7700 - 0x100, { 0x89, 0x87, 0, 0xff, 0xff, 0xff } },
	{ "RIP-relative", L64, GONDOLA_DS, WORLD_CODE + 6 + 0x20, { 0x89, 0x05, 0x20 } },
	{ "RIP-relative counts the immediate", L64, GONDOLA_DS, WORLD_CODE + 7 + 0x20,
	  { 0x80, 0x05, 0x20, 0, 0, 0, 9 } },
	{ "override FS", L64, GONDOLA_FS, 0x7700, { 0x64, 0x89, 0x07 } },
	{ "SS means nothing in 64 bits", L64, GONDOLA_DS, 0x7700, { 0x36, 0x89, 0x07 } },
	{ "and leaves FS alone", L64, GONDOLA_FS, 0x7700, { 0x64, 0x36, 0x89, 0x07 } },
	{ "32-bit address wraps", L64, GONDOLA_DS, 0x76ff,
	  { 0x67, 0x89, 0x87, 0xff, 0xff, 0xff, 0xff } },
	{ "bit offset moves it up", L64, GONDOLA_DS, 0x7700 + 0x220, { 0x48, 0x0f, 0xab, 0x0f } },
	{ "POP's RSP is the new one", L64, GONDOLA_SS, 0x4408, { 0x8f, 0x04, 0x24 } },
	{ "override SS in 32 bits", P32, GONDOLA_SS, 0x7700, { 0x36, 0x89, 0x07 } },
	{ "disp32 in 32 bits is absolute", P32, GONDOLA_DS, 0x20, { 0x89, 0x05, 0x20 } },
	{ "(%bx,%si)", REAL, GONDOLA_DS, 0x9900, { 0x89, 0x00 } },
	{ "(%bx,%di)", REAL, GONDOLA_DS, 0xaa00, { 0x89, 0x01 } },
	{ "(%bp,%si)", REAL, GONDOLA_SS, 0xbb00, { 0x89, 0x02 } },
	{ "(%bp,%di)", REAL, GONDOLA_SS, 0xcc00, { 0x89, 0x03 } },
	{ "(%si)", REAL, GONDOLA_DS, 0x6600, { 0x89, 0x04 } },
	{ "(%di)", REAL, GONDOLA_DS, 0x7700, { 0x89, 0x05 } },
	{ "disp16", REAL, GONDOLA_DS, 0x1234, { 0x89, 0x06, 0x34, 0x12 } },
	{ "(%bx)", REAL, GONDOLA_DS, 0x3300, { 0x89, 0x07 } },
	{ "-0x10(%bp)", P16, GONDOLA_SS, 0x54f0, { 0x89, 0x46, 0xf0 } },
	{ "0x9000(%bx,%di) wraps", VM86, GONDOLA_DS, 0x3a00, { 0x89, 0x81, 0x00, 0x90 } },
	{ "override ES in real mode", REAL, GONDOLA_ES, 0x3300, { 0x26, 0x89, 0x07 } },
	{ "32-bit address in real mode", REAL, GONDOLA_DS, 0x7700, { 0x67, 0x89, 0x07 } },
};

static void address_name(const struct address_case *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(address, address_cases, address_name);

static void addresses(struct kunit *test)
{
	const struct address_case *c = test->param_value;
	struct test_world *w = test_world_init(test, c->mode);
	unsigned int i;

	for (i = 0; i < NR_GPRS; i++)
		w->regs.gpr[i] = 0x1100 * i;
	memcpy(w->memory, c->code, sizeof(c->code));
	KUNIT_ASSERT_EQ(test, emul_decode(&w->emul), OK);
	KUNIT_EXPECT_EQ(test, w->emul.ea, c->ea);
	KUNIT_EXPECT_EQ(test, w->emul.insn->seg, c->seg);
	KUNIT_EXPECT_EQ(test, w->emul.dst.la,
			c->ea + (c->mode == L64 ? 0 : w->seg[c->seg].base));
}

struct refused_case {
	const char *name;
	u8 mode;
	int result;
	u8 code[16];
};

static const struct refused_case refused_cases[] = {
	{ "ud2", L64, FAULT, { 0x0f, 0x0b } },
	{ "push es in 64 bits", L64, FAULT, { 0x06 } },
	{ "82 in 64 bits", L64, FAULT, { 0x82, 0xc0, 0x01 } },
	{ "daa in 64 bits", L64, FAULT, { 0x27 } },
	{ "lea of a register", L64, FAULT, { 0x8d, 0xc0 } },
	{ "mov to cs", L64, FAULT, { 0x8e, 0xc8 } },
	{ "mov from segment 6", L64, FAULT, { 0x8c, 0xf0 } },
	{ "lldt in real mode", REAL, FAULT, { 0x0f, 0x00, 0xd0 } },
	{ "ltr in virtual-8086 mode", VM86, FAULT, { 0x0f, 0x00, 0xd8 } },
	{ "inc group, /2", P32, FAULT, { 0xfe, 0xd0 } },
	{ "swapgs in 32 bits", P32, FAULT, { 0x0f, 0x01, 0xf8 } },
	{ "mwait", L64, FAULT, { 0x0f, 0x01, 0xc9 } },
	{ "vmptrld", L64, FAULT, { 0x0f, 0xc7, 0x30 } },
	{ "vmclear", L64, FAULT, { 0x66, 0x0f, 0xc7, 0x30 } },
	{ "vmxon", P32, FAULT, { 0xf3, 0x0f, 0xc7, 0x30 } },
	{ "vmptrst", P32, FAULT, { 0x0f, 0xc7, 0x38 } },
	{ "vmread", L64, FAULT, { 0x0f, 0x78, 0xc1 } },
	{ "vmwrite", L64, FAULT, { 0x0f, 0x79, 0xc1 } },
	{ "extrq", L64, GONDOLA_EMUL_UNKNOWN, { 0x66, 0x0f, 0x79, 0xc1 } },
	{ "invept", L64, FAULT, { 0x66, 0x0f, 0x38, 0x80, 0x07 } },
	{ "getsec", P32, FAULT, { 0x0f, 0x37 } },
	{ "rsm", P32, FAULT, { 0x0f, 0xaa } },
	{ "aam in 64 bits", L64, FAULT, { 0xd4, 0x0a } },
	{ "movmskps of memory", L64, FAULT, { 0x0f, 0x50, 0x07 } },
	{ "xsave", L64, GONDOLA_EMUL_UNKNOWN, { 0x0f, 0xae, 0x27 } },
	{ "SSSE3 pshufb", L64, GONDOLA_EMUL_UNKNOWN, { 0x66, 0x0f, 0x38, 0x00, 0xc1 } },
	{ "a VEX prefix", L64, GONDOLA_EMUL_UNKNOWN, { 0xc5, 0xf8, 0x77 } },
	{ "pop group, /2", P32, FAULT, { 0x8f, 0xd0 } },
	{ "punpcklqdq of MMX", L64, FAULT, { 0x0f, 0x6c, 0xc1 } },
	{ "paddb with F3", L64, FAULT, { 0xf3, 0x0f, 0xfc, 0xc1 } },
	{ "movntq to a register", L64, FAULT, { 0x0f, 0xe7, 0xc1 } },
	{ "maskmovq to memory", L64, FAULT, { 0x0f, 0xf7, 0x07 } },
	{ "0f 3a", L64, GONDOLA_EMUL_UNKNOWN, { 0x66, 0x0f, 0x3a, 0x0f, 0xc1, 0x04 } },
};

static void refused_name(const struct refused_case *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(refused, refused_cases, refused_name);

static void refusals(struct kunit *test)
{
	const struct refused_case *c = test->param_value;
	struct test_world *w = test_world_init(test, c->mode);
	struct gondola_regs before = w->regs;

	memcpy(w->memory, c->code, sizeof(c->code));
	KUNIT_ASSERT_EQ(test, emul_decode(&w->emul), c->result);
	if (c->result == FAULT) {
		KUNIT_EXPECT_EQ(test, w->emul.exception.kind, (u8)GONDOLA_EVENT_EXCEPTION);
		KUNIT_EXPECT_EQ(test, w->emul.exception.vector, (u8)VEC_UD);
		KUNIT_EXPECT_FALSE(test, w->emul.exception.has_error);
	}
	KUNIT_EXPECT_EQ(test, memcmp(w->emul.bytes, c->code, w->emul.nr_bytes), 0);
	KUNIT_EXPECT_EQ(test, memcmp(&before, &w->regs, sizeof(before)), 0);
}

static void too_long(struct kunit *test)
{
	struct test_world *w = test_world_init(test, L64);

	memset(w->memory, 0x66, 15);
	w->memory[15] = 0x90;
	EXPECT_FAULT(test, w, emul_decode(&w->emul), VEC_GP);
	/* 15 bytes end within the immediate. */
	memset(w->memory, 0x66, 12);
	w->memory[12] = 0x81;
	w->memory[13] = 0xc0;
	EXPECT_FAULT(test, w, emul_decode(&w->emul), VEC_GP);
}

/* The world ends behind the bytes that were fetched. */
static void end_of_memory(struct kunit *test)
{
	static const u8 add[] = { 0x48, 0x81, 0xc0, 1, 2, 3, 4 };
	struct test_world *w = test_world_init(test, L64);
	unsigned int there;

	for (there = 1; there <= sizeof(add); there++) {
		w->regs.rip = WORLD_END - there;
		memcpy(test_world_at(w, w->regs.rip), add, there);
		if (there == sizeof(add)) {
			KUNIT_EXPECT_EQ(test, emul_decode(&w->emul), OK);
			KUNIT_EXPECT_EQ(test, w->emul.insn->imm, 0x04030201ull);
			continue;
		}
		EXPECT_FAULT(test, w, emul_decode(&w->emul), VEC_PF);
		KUNIT_EXPECT_EQ(test, w->emul.exception.cr2, (u64)WORLD_END);
	}
	/* An undefined instruction is recognised without fetching more bytes. */
	w->regs.rip = WORLD_END - 1;
	w->memory[WORLD_BYTES - 1] = 0x06;
	EXPECT_FAULT(test, w, emul_decode(&w->emul), VEC_UD);
	/* In a group ModRM decides: most members of this one are undefined. */
	w->memory[WORLD_BYTES - 1] = 0xfe;
	memset(w->emul.bytes, 0xff, sizeof(w->emul.bytes));
	EXPECT_FAULT(test, w, emul_decode(&w->emul), VEC_PF);
}

static void code_segment_limit(struct kunit *test)
{
	struct test_world *w = test_world_init(test, P32);
	static const u8 add[] = { 0x81, 0xc0, 1, 2, 3, 4 };

	memcpy(w->memory, add, sizeof(add));
	w->seg[GONDOLA_CS].limit = WORLD_CODE + sizeof(add) - 1;
	KUNIT_EXPECT_EQ(test, emul_decode(&w->emul), OK);
	w->seg[GONDOLA_CS].limit--;
	EXPECT_FAULT(test, w, emul_decode(&w->emul), VEC_GP);
	w->seg[GONDOLA_CS].limit = WORLD_CODE - 1;
	EXPECT_FAULT(test, w, emul_decode(&w->emul), VEC_GP);
}

/* Any bytes decode or are refused, with a length of 1 … 15, and the registers do not change. */
static void random_bytes(struct kunit *test)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x48, 0x64, 0x0f };
	struct test_world *w = test_world_init(test, L64);
	struct gondola_regs before;
	u64 seed = 0x853c49e6748fea9bull;
	unsigned int i, n, ok = 0;

	for (i = 0; i < 200000; i++) {
		for (n = 0; n < 16; n++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			w->memory[n] = seed >> 56;
			if ((seed >> 40 & 3) == 0)
				w->memory[n] = prefixes[seed >> 48 & 7];
		}
		w->emul.mode = i % 5;
		before = w->regs;
		switch (emul_decode(&w->emul)) {
		case OK:
			ok++;
			if (w->emul.insn->len < 1 || w->emul.insn->len > 15)
				KUNIT_FAIL(test, "round %u: %u bytes", i, w->emul.insn->len);
			break;
		case FAULT:
		case GONDOLA_EMUL_UNKNOWN:
			break;
		default:
			KUNIT_FAIL(test, "round %u: an unexpected answer", i);
		}
		if (memcmp(&before, &w->regs, sizeof(before)))
			KUNIT_FAIL(test, "round %u: registers changed", i);
	}
	KUNIT_EXPECT_GT(test, ok, 50000u);
	KUNIT_EXPECT_EQ(test, w->reads + w->writes, 0u);
}

static struct kunit_case decode_cases[] = {
	KUNIT_CASE_PARAM(lengths, length_gen_params),
	KUNIT_CASE_PARAM(addresses, address_gen_params),
	KUNIT_CASE_PARAM(refusals, refused_gen_params),
	KUNIT_CASE(too_long),
	KUNIT_CASE(end_of_memory),
	KUNIT_CASE(code_segment_limit),
	KUNIT_CASE(random_bytes),
	{}
};

static struct kunit_suite decode_suite = {
	.name = "gondola_decode",
	.test_cases = decode_cases,
};
kunit_test_suite(decode_suite);
