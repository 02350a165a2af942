// SPDX-License-Identifier: GPL-2.0-only
/* gondola-dirty's estimate, from made-up rounds: would a pre-copy converge, and how? */
#include <math.h>
#include <stdlib.h>

#include "dirty.h"
#include "tap.h"

#define ROUNDS	80u		/* of 0.1 s */
#define MEMORY	(8.0 * (1 << 20))
#define MIB_S	1048576.0

static struct dirty_curve curve;

/* In each round @count pages of @all are written, one after the other. */
static void guest_that_writes(unsigned int count, unsigned int all)
{
	struct dirty_round rounds[ROUNDS] = { 0 };
	struct dirty_vm vm = {
		.count.epoch = ROUNDS, .rounds = rounds, .nr_rounds = ROUNDS, .nr_pages = all,
		.pages = calloc(all, sizeof(*vm.pages)),
	};

	require(vm.pages);
	for (unsigned int epoch = 1, at = 0; epoch <= ROUNDS; epoch++) {
		rounds[epoch - 1].key.round = epoch;
		rounds[epoch - 1].count.marked_ns = epoch * 100000000ull;
		for (unsigned int i = 0; i < count; i++, at = (at + 1) % all) {
			struct page_count *page = &vm.pages[at].count;
			unsigned int age = epoch - page->epoch;

			page->rounds = (age < EPOCHS ? page->rounds << age : 0) | 1;
			page->epoch = epoch;
		}
	}
	require(dirty_curve(&vm, &curve));
	free(vm.pages);
	expect_equal(curve.rounds, EPOCHS - 1);
	expect(fabs(curve.seconds - 0.1) < 1e-6);
}

static void a_curve(void)
{
	guest_that_writes(40, 1000);
	expect_equal(lround(curve.pages[1]), 40);
	expect_equal(lround(curve.pages[10]), 400);
	/* It has gone round: from here on it writes the same pages again. */
	expect_equal(lround(curve.pages[25]), 1000);
	expect_equal(lround(curve.pages[60]), 1000);
	expect_equal(lround(dirty_in(&curve, 0.05)), 20);
	expect_equal(lround(dirty_in(&curve, 60)), 1000);
}

static void no_writes(void)
{
	struct dirty_estimate estimate;

	guest_that_writes(0, 1);
	estimate = dirty_estimate(&curve, MEMORY, MIB_S, 0.001);
	expect(estimate.converges);
	expect_equal(estimate.rounds, 1);
	expect_equal(lround(estimate.seconds), 8);
	expect_equal(lround(estimate.bytes), lround(MEMORY));
	expect_equal(lround(estimate.downtime * 1e6), 0);
}

/* 1.6 MB a second: 8 MiB/s carry that, 1 MiB/s do not. */
static void bandwidths(void)
{
	struct dirty_estimate fast, slow, enough;

	guest_that_writes(40, 1000);
	fast = dirty_estimate(&curve, MEMORY, 8 * MIB_S, 0.1);
	expect(fast.converges);
	/* In 1 s it writes 400 pages, half of them after their turn; a tenth of that in the next. */
	expect_equal(fast.rounds, 3);
	expect(fast.seconds > 1.1 && fast.seconds < 1.15);
	expect(fast.downtime < 0.01);
	slow = dirty_estimate(&curve, MEMORY, MIB_S, 0.1);
	expect(!slow.converges);
	expect(slow.downtime > 1);
	expect(slow.enough > 1.4e6 && slow.enough < 2.2e6);
	enough = dirty_estimate(&curve, MEMORY, slow.enough * 1.01, 0.1);
	expect(enough.converges);
	enough = dirty_estimate(&curve, MEMORY, slow.enough * 0.9, 0.1);
	expect(!enough.converges);
}

/* The same 100 pages all the time: it is a matter of the downtime alone. */
static void a_hot_set(void)
{
	struct dirty_estimate estimate;

	guest_that_writes(100, 100);
	estimate = dirty_estimate(&curve, MEMORY, 2 * MIB_S, 0.3);
	expect(estimate.converges);
	expect(estimate.downtime < 0.2);
	estimate = dirty_estimate(&curve, MEMORY, 2 * MIB_S, 0.02);
	expect(!estimate.converges);
}

static const struct tap_test tests[] = {
	{ "estimate: different pages in one round, in two, in three", a_curve },
	{ "estimate: who writes nothing has no downtime", no_writes },
	{ "estimate: one bandwidth is enough, another is not", bandwidths },
	{ "estimate: a set that is written again and again", a_hot_set },
};

TAP_MAIN(tests)
