// SPDX-License-Identifier: GPL-2.0-only
/*
 * Would a pre-copy converge?  Each page's rounds tell how many different pages
 * are dirtied in one round, in two, in three ...: fewer than in proportion,
 * because a working set is written again and again.  Along this curve the
 * rounds of a migration are played through, and judged by the migration's own rules.
 */
#include <math.h>

#include "dirty.h"
#include "migrate/estimate.h"

#define STEPS		64	/* of a round, when it is summed up */
#define MAX_ROUNDS	30	/* as "gondola migrate" does if nobody says else */

/* The newest round is not over: it does not count. Bit 0 is the last whole one. */
static uint64_t whole_rounds(const struct dirty_vm *vm, const struct dirty_page *page)
{
	uint32_t age = vm->count.epoch - page->count.epoch;

	if (age > EPOCHS)
		return 0;
	return age ? page->count.rounds << (age - 1) : page->count.rounds >> 1;
}

static double round_seconds(const struct dirty_vm *vm)
{
	const struct dirty_round *first = NULL, *last = NULL;
	unsigned int between = 0;

	/* In the phase that is under way: other phases' rounds have other lengths. */
	for (size_t i = 0; i < vm->nr_rounds; i++) {
		const struct dirty_round *round = &vm->rounds[i];

		if (round->key.phase != vm->count.phase || !round->count.marked_ns)
			continue;
		if (!first)
			first = round;
		last = round;
		between++;
	}
	if (between < 2)
		return 0;
	return (last->count.marked_ns - first->count.marked_ns) / 1e9 / (between - 1);
}

bool dirty_curve(const struct dirty_vm *vm, struct dirty_curve *curve)
{
	unsigned int n = vm->count.epoch ? vm->count.epoch - 1 : 0;

	if (n > EPOCHS - 1)
		n = EPOCHS - 1;
	*curve = (struct dirty_curve){ .rounds = n, .seconds = round_seconds(vm) };
	if (n < 2 || curve->seconds <= 0)
		return false;
	for (size_t i = 0; i < vm->nr_pages; i++) {
		uint64_t rounds = whole_rounds(vm, &vm->pages[i]);
		unsigned int run = 0;

		/* Windows of k rounds in a row, less those that lie in a run without a write. */
		for (unsigned int k = 1; k <= n; k++)
			curve->pages[k] += n - k + 1;
		for (unsigned int at = 0; at <= n; at++) {
			if (at < n && !(rounds >> at & 1)) {
				run++;
				continue;
			}
			for (unsigned int k = 1; k <= run; k++)
				curve->pages[k] -= run - k + 1;
			run = 0;
		}
	}
	for (unsigned int k = 1; k <= n; k++)
		curve->pages[k] /= n - k + 1;
	return true;
}

double dirty_in(const struct dirty_curve *curve, double seconds)
{
	double k = seconds / curve->seconds;
	unsigned int whole = (unsigned int)fmin(k, curve->rounds);
	double slope;

	if (whole < curve->rounds)
		slope = curve->pages[whole + 1] - curve->pages[whole];
	else
		slope = curve->pages[whole] - curve->pages[whole - 1];
	return curve->pages[whole] + (k - whole) * fmax(slope, 0);
}

/* In a time between @from and @to, on average. */
static double dirty_between(const struct dirty_curve *curve, double from, double to)
{
	double sum = 0;

	for (unsigned int i = 0; i < STEPS; i++)
		sum += dirty_in(curve, from + (to - from) * (i + 0.5) / STEPS);
	return sum / STEPS;
}

static struct dirty_estimate play(const struct dirty_curve *curve, double memory, double rate,
				  double downtime)
{
	const struct estimate_limits limits = {
		.downtime_ns = (uint64_t)(downtime * 1e9), .rounds = MAX_ROUNDS,
	};
	struct dirty_estimate result = { .downtime = INFINITY };
	enum estimate_verdict verdict = ESTIMATE_AGAIN;
	struct estimate rounds = { 0 };
	double sent = memory, left = 0;

	while (verdict == ESTIMATE_AGAIN) {
		double seconds = sent / rate;
		struct estimate_round round;

		/* Each page is sent when its turn comes: left is what was written since then, ... */
		left = fmin(dirty_between(curve, 0, seconds) * PAGE_BYTES, memory);
		result.rounds++;
		result.seconds += seconds;
		result.bytes += sent;
		round = (struct estimate_round){
			.pages = (uint64_t)(sent / PAGE_BYTES),
			.whole = sent / PAGE_BYTES,
			.ns = (uint64_t)(seconds * 1e9),
			.dirtied = (uint64_t)(left / PAGE_BYTES),
		};
		estimate_round(&rounds, &round);
		verdict = estimate_judge(&rounds, &limits, result.rounds,
					 (uint64_t)(left / PAGE_BYTES));
		if (verdict == ESTIMATE_STOP)
			result.downtime = left / rate;
		else
			result.downtime = fmin(result.downtime, left / rate);
		/* ... and until its next turn more is: the longer the next round, the more. */
		sent = left;
		for (unsigned int i = 0; i < STEPS; i++)
			sent = fmin(dirty_between(curve, seconds, sent / rate) * PAGE_BYTES, memory);
	}
	result.converges = verdict == ESTIMATE_STOP;
	if (result.converges)
		result.bytes += left;
	return result;
}

struct dirty_estimate dirty_estimate(const struct dirty_curve *curve, double memory_bytes,
				     double bytes_per_second, double downtime)
{
	struct dirty_estimate estimate = play(curve, memory_bytes, bytes_per_second, downtime);
	double low = bytes_per_second, high = 1e11;

	if (estimate.converges || !play(curve, memory_bytes, high, downtime).converges)
		return estimate;
	while (high / low > 1.02) {
		double middle = sqrt(low * high);

		if (play(curve, memory_bytes, middle, downtime).converges)
			high = middle;
		else
			low = middle;
	}
	estimate.enough = high;
	return estimate;
}

bool dirty_hot(const struct dirty_vm *vm, const struct dirty_page *page, unsigned int least,
	       unsigned int of)
{
	uint64_t rounds = whole_rounds(vm, page);

	if (of < EPOCHS)
		rounds &= (1ull << of) - 1;
	return (unsigned int)__builtin_popcountll(rounds) >= least;
}
