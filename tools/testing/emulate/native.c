// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each form is executed by the processor and by the interpreter, from the same
 * random registers, flags and memory; then all of them are compared.
 *
 *   native [SEED [CASES [PART-OF-A-FORM]]]
 *
 * A case is found again by its seed, its number and the form.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "emulate/insn.h"
#include "enter.h"
#include "forms.h"

#define MEMORY		((u8 *)0x20000000)
#define MEMORY_BYTES	2048
#define STATUS		(RFL_CF | RFL_PF | RFL_AF | RFL_ZF | RFL_SF | RFL_OF)
#define COMPARED	(STATUS | RFL_DF)

struct state native_in, native_out;
bool native_taken;

static volatile sig_atomic_t native_signal, native_vector, in_native;
static u64 random_state;

static u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull;
}

/* Often one where carries and signs happen. */
static u64 random_value(void)
{
	u64 r = random64();

	switch (r & 7) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return 1ull << (r >> 8 & 63);
	case 3:
		return (1ull << (r >> 8 & 63)) - 1;
	case 4:
		return (s64)(s8)(r >> 8);
	default:
		return random64();
	}
}

/* The interpreter's world: this process' own memory, of which it may touch MEMORY. */

static struct state interpreted;

static int page_fault(struct gondola_emulator *e, gva_t la)
{
	e->exception = (struct gondola_event){
		.kind = GONDOLA_EVENT_EXCEPTION, .vector = VEC_PF, .has_error = true, .cr2 = la,
	};
	return GONDOLA_EMUL_FAULT;
}

static bool outside(gva_t la, unsigned int bytes)
{
	return la < (uintptr_t)MEMORY || la + bytes > (uintptr_t)MEMORY + MEMORY_BYTES;
}

static int world_fetch(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		       unsigned int *got)
{
	memcpy(buf, (void *)(uintptr_t)la, bytes);
	*got = bytes;
	return GONDOLA_EMUL_OK;
}

static int world_read(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		      bool system)
{
	if (outside(la, bytes))
		return page_fault(e, la);
	memcpy(buf, (void *)(uintptr_t)la, bytes);
	return GONDOLA_EMUL_OK;
}

static int world_write(struct gondola_emulator *e, gva_t la, const void *buf, unsigned int bytes,
		       bool system)
{
	if (outside(la, bytes))
		return page_fault(e, la);
	memcpy((void *)(uintptr_t)la, buf, bytes);
	return GONDOLA_EMUL_OK;
}

static int world_cmpxchg(struct gondola_emulator *e, gva_t la, void *old, const void *new,
			 unsigned int bytes)
{
	if (outside(la, bytes))
		return page_fault(e, la);
	if (memcmp((void *)(uintptr_t)la, old, bytes))
		memcpy(old, (void *)(uintptr_t)la, bytes);
	else
		memcpy((void *)(uintptr_t)la, new, bytes);
	return GONDOLA_EMUL_OK;
}

static void world_get_segment(struct gondola_emulator *e, enum gondola_seg seg,
			      struct gondola_segment *out)
{
	u16 s = 0;

	if (e->mode != GONDOLA_EMUL_LONG64) {
		*out = (struct gondola_segment){
			.limit = ~0u, .ar = seg == GONDOLA_CS ? 0xc0fb : 0xc0f3, .selector = 0x2b,
		};
		return;
	}
	switch (seg) {
	case GONDOLA_CS:
		asm("mov %%cs, %0" : "=r" (s));
		break;
	case GONDOLA_SS:
		asm("mov %%ss, %0" : "=r" (s));
		break;
	case GONDOLA_DS:
		asm("mov %%ds, %0" : "=r" (s));
		break;
	case GONDOLA_FS:
		asm("mov %%fs, %0" : "=r" (s));
		break;
	case GONDOLA_GS:
		asm("mov %%gs, %0" : "=r" (s));
		break;
	default:
		break;
	}
	*out = (struct gondola_segment){ .selector = s };
}

static u64 world_get_cr(struct gondola_emulator *e, unsigned int cr)
{
	return cr == 4 ? CR4_OSFXSR | CR4_OSXMMEXCPT : CR0_PE | CR0_PG | CR0_NE;
}

static const struct gondola_emul_ops world = {
	.fetch = world_fetch,
	.read = world_read,
	.write = world_write,
	.cmpxchg = world_cmpxchg,
	.get_segment = world_get_segment,
	.get_cr = world_get_cr,
};

static struct gondola_emulator emulator = {
	.ops = &world,
	.regs = &interpreted.regs,
	.fpu = &interpreted.fx,
	.mode = GONDOLA_EMUL_LONG64,
	.cpl = 3,
};

/* The processor's side. */

static void on_signal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	/* Ours, not the tested instruction's: let it end us. */
	if (!in_native) {
		signal(sig, SIG_DFL);
		return;
	}
	native_signal = sig;
	native_vector = uc->uc_mcontext.gregs[REG_TRAPNO];
	native_out.fx.mxcsr = uc->uc_mcontext.fpregs->mxcsr;
	uc->uc_mcontext.gregs[REG_RIP] = (uintptr_t)native_abort;
	uc->uc_mcontext.gregs[REG_CSGSFS] &= ~0xffffll;
	uc->uc_mcontext.gregs[REG_CSGSFS] |= 0x33;
	uc->uc_mcontext.gregs[REG_EFL] &= ~RFL_DF;
}

static void catch_signals(void)
{
	static char stack[65536];
	static const int signals[] = { SIGILL, SIGFPE, SIGSEGV, SIGBUS };
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	unsigned int i;

	sigaltstack(&alt, NULL);
	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &act, NULL);
}

/* A dividend whose quotient is at, or one beside, what the destination can hold. */
static void near_limit(u64 *gpr, unsigned int bytes)
{
	unsigned int bits = 8 * bytes;
	u64 mask = ~0ull >> (64 - bits), divisor = random_value() & mask, r = random64();
	__int128 limits[] = { (__int128)1 << bits, (__int128)1 << (bits - 1),
			      -((__int128)1 << (bits - 1)), 0 };
	__int128 quotient = limits[r & 3] + (__int128)(r >> 8 & 3) - 1;
	__int128 signed_divisor = (s64)(divisor << (64 - bits)) >> (64 - bits);
	__int128 dividend;

	if (divisor)
		quotient = quotient * (r >> 16 & 1 ? signed_divisor : (__int128)divisor);
	dividend = quotient + (divisor ? (__int128)((r >> 17) % divisor) : 0);
	if (r >> 63)
		dividend = quotient - (divisor ? (__int128)((r >> 17) % divisor) : 0);
	gpr[R_RCX] = (gpr[R_RCX] & ~mask) | divisor;
	if (bytes == 1) {
		gpr[R_RAX] = (gpr[R_RAX] & ~0xffffull) | (u16)dividend;
		return;
	}
	gpr[R_RAX] = (gpr[R_RAX] & ~mask) | ((u64)dividend & mask);
	gpr[R_RDX] = (gpr[R_RDX] & ~mask) | ((u64)(dividend >> bits) & mask);
}

/* Where floating point has its corners. */
static u64 random_double(void)
{
	static const u64 corners[] = {
		0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
		0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 1, 0x000fffffffffffff,
		0x7fefffffffffffff, 0x41dfffffffc00000, 0xc1e0000000000000, 0x43e0000000000000,
		0x3fe0000000000000, 0x36a0000000000000,
	};
	u64 r = random64();
	double small = (s64)(r >> 8) >> 40;
	u64 bits;

	switch (r & 3) {
	case 0:
		return corners[r >> 2 & 15];
	case 1:
		memcpy(&bits, &small, 8);
		return bits;
	case 2:		/* of moderate size */
		return (random64() & ~(0x7ffull << 52)) | (1023 - 32 + (r >> 8 & 63)) << 52;
	default:
		return random64();
	}
}

static u32 random_float(void)
{
	static const u32 corners[] = {
		0, 1u << 31, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
		0x7f800001, 1, 0x007fffff, 0x7f7fffff, 0x4f000000, 0xcf000000, 0x5f000000,
		0x3f000000, 0x00800000,
	};
	u64 r = random64();
	float small = (s32)(r >> 8) >> 20;
	u32 bits;

	switch (r & 3) {
	case 0:
		return corners[r >> 2 & 15];
	case 1:
		memcpy(&bits, &small, 4);
		return bits;
	case 2:
		return ((u32)random64() & ~(0xffu << 23)) | (127 - 16 + (r >> 8 & 31)) << 23;
	default:
		return random64();
	}
}

static u64 random_xmm_half(void)
{
	u64 r = random64() & 3;

	if (r == 0)
		return random64();
	return r == 1 ? random_double() : random_float() | (u64)random_float() << 32;
}

static void random_extended(u8 *st)
{
	long double value;
	double from;
	u64 bits = random_double();

	memset(st, 0, 16);
	memcpy(&from, &bits, 8);
	value = from;
	memcpy(st, &value, 10);
	if (random64() & 1)
		st[0] ^= random64();
}

static void randomize_fpu(const struct form *form, struct gondola_fxsave *fx)
{
	u64 r = random64();
	unsigned int i;

	if ((form->attr & F_FPU) == F_FPU) {
		/* All roundings, often with some exceptions unmasked; some noted before. */
		fx->mxcsr = (r & 0x603f) | (r >> 32 & 1 ? 0x1f80 : r & 0x1f80) |
			    (r >> 33 & 7 ? 0 : 0x8040);
		fx->fcw = 0x40 | (r >> 16 & 0xf00) | (r >> 36 & 1 ? 0x3f : r >> 16 & 0x3f);
		fx->fsw = r >> 40 & 0x7f00;
		/* Noted exceptions that are unmasked are pending ones. */
		if (r >> 37 & 1) {
			fx->fsw |= r >> 48 & 0x3f;
			if (fx->fsw & ~fx->fcw & 0x3f)
				fx->fsw |= 0x8080;
		}
		fx->tag = r >> 38 & 1 ? 0xff : random64();
	}
	for (i = 0; i < 8; i++)
		random_extended(fx->st[i]);
	for (i = 0; i < 16; i++) {
		fx->xmm[i][0] = random_xmm_half();
		fx->xmm[i][1] = random_xmm_half();
	}
}

static void randomize(const struct form *form, u8 *image)
{
	u64 *gpr = native_in.regs.gpr;
	unsigned int i;

	for (i = 0; i < NR_GPRS; i++)
		gpr[i] = random_value();
	if (form->attr & F_XMM)
		randomize_fpu(form, &native_in.fx);
	gpr[R_RBX] = (uintptr_t)MEMORY + 512 + (random64() & 0x1f0) + (random64() & 7 ? 0 : 5);
	gpr[R_RSI] = (uintptr_t)MEMORY + 768 + (random64() & 0xff);
	gpr[R_RDI] = (uintptr_t)MEMORY + 768 + (random64() & 0xff);
	gpr[R_RBP] = (uintptr_t)MEMORY + 1024 + (random64() & 0xf8);
	gpr[R_RSP] = (uintptr_t)MEMORY + 1024 + (random64() & 0xff);
	gpr[R_R8] = (s64)(random64() & 0xfff) - 2048;
	gpr[R_R9] = (s64)(random64() & 15) - 8;
	gpr[R_R10] = (uintptr_t)form->taken;
	if (form->attr & F_COUNT)
		gpr[R_RCX] = random64() & 3 ? random64() % 48 : random64() % 3;
	if (form->attr & F_DIVIDE)
		near_limit(gpr, form->attr >> 8);
	if (form->attr & F_32) {
		for (i = 0; i < 8; i++)
			gpr[i] = (u32)gpr[i];
	}
	native_in.regs.rip = (uintptr_t)form->code;
	native_in.regs.rflags = (random64() & COMPARED) | RFL_IF | RFL_FIXED;
	/* Some of the memory changes from case to case. */
	for (i = 0; i < 8; i++) {
		u64 value = random_value();

		memcpy(image + (random64() & (MEMORY_BYTES - 8)), &value, 8);
	}
	for (i = 0; i < 2; i++) {
		u64 value = random64() & 1 ? random_value() : gpr[R_RAX];

		if (form->attr & F_XMM)
			value = random_xmm_half();

		memcpy(image + gpr[i ? R_RSI : R_RDI] - (uintptr_t)MEMORY, &value, 8);
	}
}

static u64 undefined_flags(const struct form *form)
{
	unsigned int count = native_in.regs.gpr[R_RCX] & 0x3f;

	if (!(form->attr & F_SHIFT))
		return form->undefined;
	/* CF too when a narrow operand is shifted out altogether. */
	return form->undefined | (count >= 8 ? RFL_CF : 0);
}

static const char *compare_fault(int r, const u8 *image)
{
	int vector = emulator.exception.vector;
	u32 noted;

	if (r != GONDOLA_EMUL_FAULT)
		return "the processor faulted, the interpreter did not";
	if (vector != native_vector)
		return "another exception";
	/* The only change is the flag of an SSE exception, and inexactness is not always noted. */
	noted = interpreted.fx.mxcsr ^ native_out.fx.mxcsr;
	if (vector == VEC_XM && native_out.fx.mxcsr & ~(native_out.fx.mxcsr >> 7) & 0x18)
		noted &= ~0x20u;
	if (vector == VEC_XM && noted)
		return "MXCSR of a fault";
	interpreted.fx.mxcsr = native_in.fx.mxcsr;
	if (memcmp(&interpreted, &native_in, sizeof(interpreted)))
		return "a fault that changed registers";
	if (memcmp(MEMORY, image, MEMORY_BYTES))
		return "a fault that changed memory";
	return NULL;
}

static const char *compare_state(const struct form *form, const u8 *result)
{
	u64 flags = COMPARED & ~undefined_flags(form);
	u64 rip = (uintptr_t)form->taken;

	if (memcmp(interpreted.regs.gpr, native_out.regs.gpr, sizeof(interpreted.regs.gpr)))
		return "registers";
	if ((interpreted.regs.rflags ^ native_out.regs.rflags) & flags)
		return "flags";
	if (memcmp(interpreted.fx.xmm, native_out.fx.xmm, sizeof(interpreted.fx.xmm)))
		return "XMM registers";
	if (interpreted.fx.mxcsr != native_out.fx.mxcsr)
		return "MXCSR";
	if (interpreted.fx.fcw != native_out.fx.fcw || interpreted.fx.fsw != native_out.fx.fsw ||
	    interpreted.fx.tag != native_out.fx.tag)
		return "x87 control, status or tags";
	if (memcmp(interpreted.fx.st, native_out.fx.st, sizeof(interpreted.fx.st)))
		return "x87 registers";
	if (memcmp(MEMORY, result, MEMORY_BYTES))
		return "memory";
	if (!native_taken)
		rip = (uintptr_t)form->code + emulator.insn->len;
	return interpreted.regs.rip == rip ? NULL : "RIP";
}

static void print_bytes(const struct form *form)
{
	unsigned int i;

	printf("  bytes:");
	for (i = 0; i < emulator.insn->len; i++)
		printf(" %02x", form->code[i]);
	printf("\n");
}

static void print_state(const char *name, const struct state *s)
{
	unsigned int i;

	printf("  %s:", name);
	for (i = 0; i < NR_GPRS; i++)
		printf(" %llx", s->regs.gpr[i]);
	printf(" rip %llx rflags %llx\n", s->regs.rip, s->regs.rflags);
}

static struct gondola_tlb_entry tlb[GONDOLA_TLB_ENTRIES];

static void fill_tlb(void)
{
	struct gondola_tlb_entry *entry;
	unsigned int i;

	for (i = 0; i < GONDOLA_TLB_ENTRIES; i++)
		tlb[i].read = tlb[i].write = GONDOLA_TLB_NONE;
	entry = &tlb[(uintptr_t)MEMORY / GONDOLA_PAGE_SIZE % GONDOLA_TLB_ENTRIES];
	entry->read = entry->write = (uintptr_t)MEMORY;
	entry->host = MEMORY;
}

/* The general way, by shape and quick, with translations and without. */
static int interpret(unsigned long nr)
{
	static struct gondola_segment segments[GONDOLA_NR_SEGS];
	struct gondola_insn insn;
	unsigned int i;
	int r;

	for (i = 0; i < GONDOLA_NR_SEGS; i++)
		world_get_segment(&emulator, i, &segments[i]);
	emulator.segments = nr & 4 ? segments : NULL;
	emulator.tlb = nr & 2 ? tlb : NULL;
	if (!(nr & 1))
		return gondola_emulate(&emulator);
	r = gondola_parse(&emulator);
	if (r)
		return r;
	insn = emulator.own;
	insn.run = emul_run_any;
	return gondola_execute(&emulator, &insn);
}

/* NULL, or what differs. */
static const char *run_case(const struct form *form, u8 *image, unsigned long nr)
{
	u8 result[MEMORY_BYTES];
	int r;

	randomize(form, image);
	memcpy(MEMORY, image, MEMORY_BYTES);
	native_signal = 0;
	in_native = 1;
	native_enter(form->code, form->attr & F_32);
	in_native = 0;
	memcpy(result, MEMORY, MEMORY_BYTES);

	memcpy(MEMORY, image, MEMORY_BYTES);
	interpreted = native_in;
	emulator.mode = form->attr & F_32 ? GONDOLA_EMUL_PROT32 : GONDOLA_EMUL_LONG64;
	do {
		r = interpret(nr);
	} while (r == GONDOLA_EMUL_OK && interpreted.regs.rip == native_in.regs.rip);
	if (native_signal)
		return compare_fault(r, image);
	if (r == GONDOLA_EMUL_UNKNOWN)
		return "not implemented";
	if (r)
		return "the interpreter faulted, the processor did not";
	return compare_state(form, result);
}

static bool run_form(const struct form *form, u64 seed, unsigned long cases)
{
	u8 image[MEMORY_BYTES];
	unsigned long i;

	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	memset(&native_in.fx, 0, sizeof(native_in.fx));
	native_in.fx.fcw = 0x37f;
	native_in.fx.mxcsr = 0x1f80;
	native_in.fx.mxcsr_mask = 0xffff;
	for (i = 0; i < MEMORY_BYTES; i += 8) {
		u64 value = random_value();

		memcpy(image + i, &value, 8);
	}
	for (i = 0; i < cases; i++) {
		const char *wrong = run_case(form, image, i);

		if (wrong) {
			printf("not ok: %s: case %lu of seed %llu: %s\n", form->text, i, seed,
			       wrong);
			print_bytes(form);
			print_state("before", &native_in);
			if (!native_signal)
				print_state("processor", &native_out);
			print_state("interpreter", &interpreted);
			return false;
		}
	}
	return true;
}

/* Hosts that run programs of 64 bits alone have no descriptor for others: even NOP faults. */
static bool host_runs_code32(void)
{
	u8 image[MEMORY_BYTES] = { 0 };
	const struct form *form;

	for (form = __start_forms; form < __stop_forms; form++) {
		if (strcmp(form->text, "nop (32 bits)"))
			continue;
		run_case(form, image, 0);
		return !native_signal;
	}
	return false;
}

static bool processor_has(u64 attr)
{
	unsigned int a, b, c = 0, d, ext_c = 0;

	__get_cpuid(1, &a, &b, &c, &d);
	if (attr & F_CPU_MOVBE && !(c & bit_MOVBE))
		return false;
	if (attr & F_CPU_POPCNT && !(c & bit_POPCNT))
		return false;
	__get_cpuid(0x80000001, &a, &b, &ext_c, &d);
	return !(attr & F_CPU_LZCNT) || ext_c & bit_LZCNT;
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	unsigned long cases = argc > 2 ? strtoul(argv[2], NULL, 0) : 1000;
	unsigned int passed = 0, failed = 0, skipped = 0, skipped32 = 0;
	const struct form *form;
	bool code32;

	/* Nothing else is near it. */
	if (mmap(MEMORY, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != MEMORY) {
		perror("mmap");
		return 2;
	}
	catch_signals();
	fill_tlb();
	code32 = host_runs_code32();
	for (form = __start_forms; form < __stop_forms; form++) {
		if (argc > 3 && !strstr(form->text, argv[3]))
			continue;
		if (form->attr & F_32 && !code32)
			skipped32++;
		else if (!processor_has(form->attr))
			skipped++;
		else if (run_form(form, seed, cases))
			passed++;
		else
			failed++;
	}
	printf("seed %llu, %lu cases of each form, %u forms that this processor lacks\n", seed,
	       cases, skipped);
	if (skipped32)
		printf("skipped: %u forms of 32 bits: this host runs no such code\n", skipped32);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
