// SPDX-License-Identifier: GPL-2.0-only
#include "estimate.h"

#define PAGE		4096.0
#define FEW		16u	/* pages, too few to measure a speed */
#define HOPELESS	2u	/* rounds without progress that make a stall */
#define SHRINKS		0.9	/* another round helps if no more than this is left */

void estimate_round(struct estimate *estimate, uint64_t sent, uint64_t ns, uint64_t dirtied)
{
	uint64_t had = estimate->rounds ? estimate->left : sent;
	/* Pages that were written before their turn are sent in the same round. */
	uint64_t written = dirtied + (sent > had ? sent - had : 0);

	if (!ns)
		ns = 1;
	estimate->sent = sent;
	estimate->left = dirtied;
	estimate->dirty_rate = written * PAGE * 1e9 / ns;
	if (sent >= FEW || estimate->page_ns <= 0) {
		double now = (double)ns / (sent ? sent : 1);

		/* The first round sends other pages than later ones: replace its values by the next. */
		estimate->page_ns = estimate->page_ns > 0 ? (estimate->page_ns + 3 * now) / 4 : now;
		estimate->link_rate = PAGE * 1e9 / now;
	}
	/*
	 * Compare the pages left with those left before, not with those sent, which are more.  A
	 * guest that goes through its memory in order leaves many and few by turns, so only a new
	 * minimum is progress.
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

	/* The target gets busier with pages, so the latest trip counts most. */
	stop->trip_ns = stop->trip_ns ? (stop->trip_ns + ns) / 2 : ns;
}

/* The target answers twice; disks are flushed twice, before the state is sent and before their release. */
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
	/* Only the list of pages is sent, a bit for each. */
	return hand_over(estimate, pages / 8 / PAGE) + estimate->stop.absent_ns;
}

enum estimate_verdict estimate_judge(const struct estimate *estimate,
				     const struct estimate_limits *limits, unsigned int round,
				     uint64_t dirty)
{
	/* While each round halves the pages left, another one is cheap. */
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
