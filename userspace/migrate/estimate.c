// SPDX-License-Identifier: GPL-2.0-only
#include "estimate.h"

#define PAGE		4096.0
#define FEW		16u	/* pages from which no speed can be told */
#define HOPELESS	2u	/* rounds, before it is called a stall */
#define SHRINKS		0.9	/* what must be left, at most, for another round to make sense */

void estimate_round(struct estimate *estimate, uint64_t sent, uint64_t ns, uint64_t dirtied)
{
	uint64_t had = estimate->rounds ? estimate->left : sent;
	/* Pages that were written before their turn came are sent in the same round. */
	uint64_t written = dirtied + (sent > had ? sent - had : 0);

	if (!ns)
		ns = 1;
	estimate->sent = sent;
	estimate->left = dirtied;
	estimate->dirty_rate = written * PAGE * 1e9 / ns;
	if (sent >= FEW || estimate->page_ns <= 0) {
		double now = (double)ns / (sent ? sent : 1);

		/* The first round is of other pages than the rest: it counts once. */
		estimate->page_ns = estimate->page_ns > 0 ? (estimate->page_ns + 3 * now) / 4 : now;
		estimate->link_rate = PAGE * 1e9 / now;
	}
	/*
	 * Compare what is left with what was left, not with what was sent, which is more.  And
	 * a guest that goes through its memory in order leaves much and little by turns: only less
	 * than ever before is progress.
	 */
	if (!estimate->rounds++ || dirtied < SHRINKS * estimate->least) {
		estimate->least = dirtied;
		estimate->hopeless = 0;
	}
	if (dirtied > FEW && dirtied >= SHRINKS * had)
		estimate->hopeless++;
}

void estimate_trip(struct estimate *estimate, uint64_t ns)
{
	struct estimate_stop *stop = &estimate->stop;

	/* The target gets busier with the guest's pages: the latest trip says most. */
	stop->trip_ns = stop->trip_ns ? (stop->trip_ns + ns) / 2 : ns;
}

/* The target answers twice, and disks are asked twice: before the state is sent, and let go. */
static uint64_t hand_over(const struct estimate *estimate, double pages)
{
	const struct estimate_stop *stop = &estimate->stop;

	pages += stop->state_bytes / PAGE;
	return stop->pause_ns + stop->state_ns + stop->load_ns +
	       2 * (stop->disk_ns + stop->trip_ns) + (uint64_t)(pages * estimate->page_ns);
}

uint64_t estimate_downtime(const struct estimate *estimate, uint64_t dirty)
{
	return hand_over(estimate, dirty);
}

uint64_t estimate_postcopy(const struct estimate *estimate, uint64_t pages)
{
	/* What goes across is the list of the pages, a bit for each. */
	return hand_over(estimate, pages / 8 / PAGE) + estimate->stop.absent_ns;
}

enum estimate_verdict estimate_judge(const struct estimate *estimate,
				     const struct estimate_limits *limits, unsigned int round,
				     uint64_t dirty)
{
	/* While each round halves what is left, one more costs less than the one before. */
	bool shrinks = dirty > FEW && 2 * estimate->left < estimate->sent;

	if (estimate_downtime(estimate, dirty) <= limits->downtime_ns &&
	    (!shrinks || round >= limits->rounds))
		return ESTIMATE_STOP;
	if (estimate->hopeless >= HOPELESS)
		return ESTIMATE_STALLED;
	if (round >= limits->rounds)
		return ESTIMATE_TOO_MANY;
	return ESTIMATE_AGAIN;
}
