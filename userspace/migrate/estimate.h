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
 * struct estimate_stop - what stopping the guest costs besides its pages, measured while it runs
 * @pause_ns: until all vCPUs stand
 * @state_ns: the state of the vCPUs and of the VM is read, and may go as fast as the user allows
 * @state_bytes: of it
 * @disk_ns: a disk that has nothing to write says so
 * @trip_ns: a question, and its answer by the target's thread that takes pages
 * @load_ns: the target loads that state
 * @absent_ns: post-copy: the target prepares memory for pages that are not there
 */
struct estimate_stop {
	uint64_t pause_ns;
	uint64_t state_ns;
	uint64_t state_bytes;
	uint64_t disk_ns;
	uint64_t trip_ns;
	uint64_t load_ns;
	uint64_t absent_ns;
};

/**
 * struct estimate - what was learned from rounds
 * @page_ns: time to send one dirty page, of late
 * @dirty_rate: bytes a second that the guest writes, by pages
 * @link_rate: bytes of guest memory a second that get across
 * @stop: what is to be added to the time of the pages that are left
 * @sent, @left: pages of the last round, and dirty after it
 * @least: dirty after the round that left the fewest
 * @rounds: so far
 * @hopeless: rounds since @least that left as much as the round before them
 */
struct estimate {
	double page_ns;
	double dirty_rate;
	double link_rate;
	struct estimate_stop stop;
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
/** estimate_trip() - another question was answered after @ns */
void estimate_trip(struct estimate *estimate, uint64_t ns);
/** estimate_downtime() - if the guest were stopped with so many dirty pages */
uint64_t estimate_downtime(const struct estimate *estimate, uint64_t dirty);
/** estimate_postcopy() - if it were stopped and its pages came later, @pages of memory in all */
uint64_t estimate_postcopy(const struct estimate *estimate, uint64_t pages);
enum estimate_verdict estimate_judge(const struct estimate *estimate,
				     const struct estimate_limits *limits, unsigned int round,
				     uint64_t dirty);

#endif
