/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The random test of the shadow tables: its runner (random_test.c), its
 * steps (random_steps.c), and those of control registers (random_regs.c).
 */
#ifndef GONDOLA_MMU_RANDOM_TEST_H
#define GONDOLA_MMU_RANDOM_TEST_H

#include <kunit/test.h>
#include <linux/prandom.h>
#include "test_reference.h"

enum random_mode {
	RANDOM_UNPAGED, RANDOM_32, RANDOM_PAE, RANDOM_LONG, RANDOM_GIB, RANDOM_SMP,
	RANDOM_PAE_SMP, RANDOM_32_SMP, RANDOM_XEN, RANDOM_MODES
};

/* The machine of a run. */
struct random_setup {
	enum world_mode mode;
	bool gib_pages;
	bool xen;		/* the kernel is in ring 3, and what it sees of the tables is read-only */
	unsigned int cpus;
};

extern const struct random_setup random_setups[RANDOM_MODES];

#define RANDOM_TABLES		16u	/* pages 16 … 31 are tables, in any role */
#define RANDOM_FIRST_TABLE	16u
#define RANDOM_LATE_ROOT	0x18000u /* a table that is a CR3, too, in a slot that comes and goes */
#define RANDOM_OWN_ROOT		0x14000u /* a table that is a CR3, too: its own directory is edited */
#define RANDOM_FOREIGN_ROOT	0x6000u	/* a CR3 in other modes than the tables': nothing edits it */

#define RANDOM_LOGGED	256u	/* world pages whose contents are compared with the dirty log */

/**
 * struct random_state - a run under way
 * @seed, @setup, @mode_number: what makes it
 * @step: the one under way
 * @why: how it failed
 * @lie: what a hook saw
 * @test: if set, each step tells what it does
 * @cpu: the processor of this step
 * @logged: each page as it was when its dirty bit was last cleared; NULL: its slot has no log
 * @compared, @ambiguous, @unknown: accesses, for the record
 * @abroad: those that found memory in another mode than the tables'
 * @spent, @budget: steps that shrinking took, and may take
 */
struct random_state {
	u64 seed;
	const struct random_setup *setup;
	unsigned int mode_number;
	bool blunder;
	struct world *w;
	struct reference ref;
	struct rnd_state rnd;
	u32 step;
	char why[240];
	const char *lie;
	struct kunit *test;
	struct ref_cpu *cpu;
	struct {
		u8 page;	/* first world page */
		u8 flags;
		bool present;
	} slots[4];
	u8 *logged;
	u64 compared;
	u64 ambiguous;
	u64 unknown;
	u64 abroad;
	u64 spent;
	u64 budget;
};

static inline u32 rnd(struct random_state *s, u32 below)
{
	return prandom_u32_state(&s->rnd) % below;
}

/* The processor's paging is another than that of the tables. */
static inline bool is_foreign(const struct random_state *s)
{
	return s->cpu->mode != s->ref.mode;
}

/* @bit set or clear. */
static inline u64 with(struct random_state *s, u64 value, u64 bit)
{
	return rnd(s, 2) ? value | bit : value & ~bit;
}

#define say(s, fmt, ...)							\
({										\
	if ((s)->test)								\
		kunit_info((s)->test, "  step %u, processor %u: " fmt "\n", (s)->step,	\
			   (s)->cpu->vcpu->id, ##__VA_ARGS__);			\
})

/* 0 or -ENOMEM. */
int random_begin(struct random_state *s);
void random_end(struct random_state *s);
/* One step, from s->rnd. False: it failed. */
bool random_step(struct random_state *s);
/* random_steps.c, for random_regs.c: one access; an edit by guest or host; what the host took is back. */
bool random_probe(struct random_state *s);
bool random_edit(struct random_state *s, gpa_t at, u64 value);
void random_bring_all(struct random_state *s);
/* random_regs.c: steps of the guest's registers. */
bool random_cr3(struct random_state *s);
bool random_flush(struct random_state *s);
bool random_control_bits(struct random_state *s);
bool random_without_paging(struct random_state *s);
/* Into a mode that is not the tables', and back. */
bool random_go_abroad(struct random_state *s);
bool random_go_home(struct random_state *s);
/* Notes why; always false. */
__printf(2, 3) bool random_failed(struct random_state *s, const char *fmt, ...);

#endif
