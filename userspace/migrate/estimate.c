// SPDX-License-Identifier: GPL-2.0-only
#include "estimate.h"

#define PAGE		4096.0
#define FEW		16u	/* pages, too few to measure a speed */
#define HOPELESS	2u	/* rounds without progress that make a stall */
#define LITTLE		0.0625	/* of a page, too little to tell the time of a whole one */
#define SHRINKS		0.9	/* another round helps if no more than this is left */

/* The first round is of other pages than the rest: it counts once. */
static double blend(double before, double now)
{
	return (before + 3 * now) / 4;
}

/* In the last round the guest stands, and what it had of the processors is ours. */
static void learn(struct estimate *estimate, const struct estimate_round *round)
{
	uint64_t pages = round->pages ? round->pages : 1;
	uint64_t lost = round->lost_ns < round->ns ? round->lost_ns : round->ns;
	double ns = (double)(round->ns - lost) / pages, whole = round->whole / pages;
	bool first = estimate->page_ns <= 0;

	estimate->page_ns = first ? ns : blend(estimate->page_ns, ns);
	estimate->page_whole = first ? whole : blend(estimate->page_whole, whole);
	estimate->link_rate = PAGE * 1e9 * pages / (round->ns ? round->ns : 1);
}

void estimate_round(struct estimate *estimate, const struct estimate_round *round)
{
	uint64_t sent = round->pages, dirtied = round->dirtied;
	uint64_t had = estimate->rounds ? estimate->left : sent;
	/* Pages that were written before their turn are sent in the same round. */
	uint64_t written = dirtied + (sent > had ? sent - had : 0);

	estimate->sent = sent;
	estimate->left = dirtied;
	estimate->dirty_rate = written * PAGE * 1e9 / (round->ns ? round->ns : 1);
	if (sent >= FEW || estimate->page_ns <= 0)
		learn(estimate, round);
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

void estimate_next(struct estimate *estimate, double work_ns, double whole)
{
	estimate->next.known = true;
	estimate->next.work_ns = work_ns;
	estimate->next.whole = whole;
}

/*
 * A page is read and compared here, which takes its time whatever comes of it; the rest of the time
 * goes with what is sent.  A page that is sent for the second time goes whole, and from then on
 * often as a delta: what the next will be is tried, or the forecast would be that of the kind before.
 */
static double next_page_ns(const struct estimate *estimate)
{
	double work = estimate->next.work_ns, rest = estimate->page_ns - work;
	double had = estimate->page_whole > LITTLE ? estimate->page_whole : LITTLE;

	if (!estimate->next.known)
		return estimate->page_ns;
	return work + (rest > 0 ? rest : 0) * estimate->next.whole / had;
}

void estimate_trip(struct estimate *estimate, uint64_t ns)
{
	struct estimate_stop *stop = &estimate->stop;

	/* A longer one waited for what will not be there: another program, or the guest. */
	if (!stop->trip_ns || ns < stop->trip_ns)
		stop->trip_ns = ns;
}

void estimate_trip_behind(struct estimate *estimate, uint64_t ns)
{
	struct estimate_stop *stop = &estimate->stop;
	uint64_t rest;

	estimate_trip(estimate, ns);
	rest = ns - stop->trip_ns;
	/* The target gets busier with pages, so the latest counts most. */
	stop->rest_ns = stop->rest_ns ? (stop->rest_ns + rest) / 2 : rest;
}

/* The target answers twice; disks are flushed twice, before the state is sent and before their release. */
static uint64_t hand_over(const struct estimate *estimate, double pages)
{
	const struct estimate_stop *stop = &estimate->stop;

	pages += stop->state_bytes / PAGE;
	return stop->pause_ns + stop->state_ns + stop->load_ns + stop->told_ns + stop->resume_ns +
	       2 * (stop->disk_ns + stop->trip_ns) + (uint64_t)(pages * estimate->page_ns);
}

uint64_t estimate_downtime(const struct estimate *estimate, uint64_t dirty)
{
	uint64_t copy = (uint64_t)(dirty * next_page_ns(estimate));

	/* To take pages takes the target no longer than all that is done for them. */
	return hand_over(estimate, 0) + estimate->stop.look_ns + copy +
	       (estimate->stop.rest_ns < copy ? estimate->stop.rest_ns : copy);
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
