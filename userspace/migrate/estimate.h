/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When to stop copying: what the rounds so far say about the next.  Pure
 * arithmetic, so that it can be tested by itself.
 */
#ifndef MIGRATE_ESTIMATE_H
#define MIGRATE_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct estimate - what was learned from rounds
 * @page_ns: time to send one dirty page, of late
 * @dirty_rate: bytes a second that the guest writes, by pages
 * @link_rate: bytes of guest memory a second that get across
 * @fixed_ns: of downtime, besides pages: to stop, to send and load the state, to hand over
 * @sent, @left: pages of the last round, and dirty after it
 * @least: dirty after the round that left the fewest
 * @rounds: so far
 * @hopeless: rounds since @least that left as much as the round before them
 */
struct estimate {
	double page_ns;
	double dirty_rate;
	double link_rate;
	uint64_t fixed_ns;
	uint64_t sent;
	uint64_t left;
	uint64_t least;
	unsigned int rounds;
	unsigned int hopeless;
};

/**
 * struct estimate_limits - what the user wants
 * @downtime_ns: at most
 * @rounds: at most, before the guest is stopped whatever comes of it
 */
struct estimate_limits {
	uint64_t downtime_ns;
	unsigned int rounds;
};

enum estimate_verdict {
	ESTIMATE_AGAIN,			/* another round will help */
	ESTIMATE_STOP,			/* what is left fits the downtime, and would not shrink much */
	ESTIMATE_STALLED,		/* pages are written as fast as they are sent */
	ESTIMATE_TOO_MANY,		/* no more rounds */
};

/**
 * estimate_round() - a round is over
 * @sent: pages that were dirty and are across
 * @ns: how long it took
 * @dirtied: pages that are dirty now
 */
void estimate_round(struct estimate *estimate, uint64_t sent, uint64_t ns, uint64_t dirtied);
/** estimate_downtime() - if the guest were stopped with so many dirty pages */
uint64_t estimate_downtime(const struct estimate *estimate, uint64_t dirty);
enum estimate_verdict estimate_judge(const struct estimate *estimate,
				     const struct estimate_limits *limits, unsigned int round,
				     uint64_t dirty);

#endif
