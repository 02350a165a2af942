/* SPDX-License-Identifier: GPL-2.0-only */
/* The random test of the shadow tables: its runner (random_test.c) and its steps (random_steps.c). */
#ifndef GONDOLA_MMU_RANDOM_TEST_H
#define GONDOLA_MMU_RANDOM_TEST_H

#include <linux/prandom.h>
#include "test_reference.h"

enum random_mode {
	RANDOM_UNPAGED, RANDOM_32, RANDOM_PAE, RANDOM_LONG, RANDOM_GIB, RANDOM_SMP,
	RANDOM_PAE_SMP, RANDOM_32_SMP, RANDOM_MODES
};

/* The machine of a run. */
struct random_setup {
	enum world_mode mode;
	bool gib_pages;
	unsigned int cpus;
};

extern const struct random_setup random_setups[RANDOM_MODES];

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
	u64 spent;
	u64 budget;
};

/* 0 or -ENOMEM. */
int random_begin(struct random_state *s);
void random_end(struct random_state *s);
/* One step, from s->rnd. False: it failed. */
bool random_step(struct random_state *s);
/* Notes why; always false. */
__printf(2, 3) bool random_failed(struct random_state *s, const char *fmt, ...);

#endif
