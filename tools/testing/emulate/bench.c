// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast is the interpreter?  It runs a function of this program, in this
 * program's memory: decoding each instruction anew, then with a cache of decoded
 * instructions, then with translations too, as an engine has them.
 *
 *   bench [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "emulate/emulate.h"
#include "x86/regs.h"
#include "work.h"

#define CACHE_SLOTS	65536u		/* a power of two */
#define END		0x1000ull	/* where the function returns to */

struct slot {
	u64 rip;
	struct gondola_insn insn;
};

static struct gondola_regs regs;
static struct gondola_fxsave fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };
static struct slot cache[CACHE_SLOTS];
static struct gondola_tlb_entry tlb[GONDOLA_TLB_ENTRIES];
static u8 stack[65536];

static int world_fetch(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		       unsigned int *got)
{
	memcpy(buf, (void *)la, bytes);
	*got = bytes;
	return GONDOLA_EMUL_OK;
}

static void translate(struct gondola_emulator *e, gva_t la)
{
	struct gondola_tlb_entry *t = &tlb[la / GONDOLA_PAGE_SIZE % GONDOLA_TLB_ENTRIES];

	t->read = la & GONDOLA_PAGE_MASK;
	t->write = t->read;
	t->host = (u8 *)t->read;
}

static int world_read(struct gondola_emulator *e, gva_t la, void *buf, unsigned int bytes,
		      bool system)
{
	translate(e, la);
	memcpy(buf, (void *)la, bytes);
	return GONDOLA_EMUL_OK;
}

static int world_write(struct gondola_emulator *e, gva_t la, const void *buf, unsigned int bytes,
		       bool system)
{
	translate(e, la);
	memcpy((void *)la, buf, bytes);
	return GONDOLA_EMUL_OK;
}

static u64 world_get_cr(struct gondola_emulator *e, unsigned int cr)
{
	return cr == 4 ? CR4_OSFXSR : CR0_PE | CR0_PG;
}

static const struct gondola_segment segments[GONDOLA_NR_SEGS];

static const struct gondola_emul_ops world = {
	.fetch = world_fetch,
	.read = world_read,
	.write = world_write,
	.get_cr = world_get_cr,
};

static struct gondola_emulator emulator = {
	.ops = &world,
	.regs = &regs,
	.segments = segments,
	.fpu = &fpu,
	.mode = GONDOLA_EMUL_LONG64,
	.cpl = 3,
};

static int step_cached(void)
{
	struct slot *slot = &cache[regs.rip % CACHE_SLOTS];

	if (slot->rip != regs.rip) {
		int r = gondola_parse(&emulator);

		if (r)
			return r;
		slot->rip = regs.rip;
		slot->insn = emulator.own;
	}
	return gondola_execute(&emulator, &slot->insn);
}

static u64 run(u64 rounds, bool cached)
{
	u64 *top = (u64 *)(stack + sizeof(stack)) - 3, count = 0;
	int r = GONDOLA_EMUL_OK;

	memset(&regs, 0, sizeof(regs));
	regs.rip = (u64)work;
	regs.rflags = RFL_FIXED | RFL_IF;
	regs.gpr[R_RDI] = rounds;
	regs.gpr[R_RSP] = (u64)top;
	*top = END;
	while (regs.rip != END && !r) {
		r = cached ? step_cached() : gondola_emulate(&emulator);
		count++;
	}
	if (!r)
		return count;
	printf("result %d at %llx\n", r, regs.rip);
	exit(1);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static bool measure(const char *name, u64 rounds, bool cached, u64 expected)
{
	double started = seconds(), took;
	u64 count = run(rounds, cached);

	took = seconds() - started;
	printf("%-28s %6.1f million instructions a second\n", name, count / took / 1e6);
	if (regs.gpr[R_RAX] == expected)
		return true;
	printf("computed %llx instead of %llx\n", regs.gpr[R_RAX], expected);
	return false;
}

int main(int argc, char **argv)
{
	u64 rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 100;
	u64 expected = work(rounds);
	unsigned int i;
	bool right;

	for (i = 0; i < GONDOLA_TLB_ENTRIES; i++)
		tlb[i].read = tlb[i].write = GONDOLA_TLB_NONE;
	right = measure("decoding each time", rounds, false, expected);
	right &= measure("decoded once", rounds, true, expected);
	emulator.tlb = tlb;
	right &= measure("decoded once, translations", rounds, true, expected);
	return !right;
}
