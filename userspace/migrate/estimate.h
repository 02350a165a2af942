/* SPDX-License-Identifier: GPL-2.0-only */
/* The decision when to stop copying.  Pure arithmetic, so that it can be tested by itself. */
#ifndef MIGRATE_ESTIMATE_H
#define MIGRATE_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct estimate_stop - the cost of stopping the guest without its pages, measured while it runs
 * @pause_ns: until vCPUs and devices have stopped
 * @state_ns: to read the VM's state, and send it at the user's limit
 * @state_bytes: size of this state
 * @disk_ns: to flush a disk that has nothing to write
 * @trip_ns: for a question and its answer, with nothing else on its way
 * @rest_ns: how much longer that takes behind the pages of a round, which the target has yet to take
 * @load_ns: for the target to load this state
 * @resume_ns: to let devices and vCPUs go on
 * @absent_ns: post-copy: for the target to prepare memory for missing pages
 * @look_ns: to ask which pages are dirty; 0 as long as it is not known
 * @told_ns: to tell listeners of it, and to let them have a processor that the target needs
 */
struct estimate_stop {
	uint64_t pause_ns;
	uint64_t state_ns;
	uint64_t state_bytes;
	uint64_t disk_ns;
	uint64_t trip_ns;
	uint64_t rest_ns;
	uint64_t load_ns;
	uint64_t resume_ns;
	uint64_t absent_ns;
	uint64_t look_ns;
	uint64_t told_ns;
};

/**
 * struct estimate - measurements of the rounds
 * @page_ns: time to send a dirty page, recently
 * @page_whole: how much of it was sent: 1 is a whole page, a delta is less, zeros are 0
 * @next: the work of this end for a page that is dirty now, and how much of it will be sent
 * @dirty_rate: bytes per second that the guest dirties, in whole pages
 * @link_rate: bytes of guest memory transferred per second
 * @stop: to be added to the time for the pages left
 * @sent, @left: pages sent in the last round, and dirty after it
 * @least: the least number of dirty pages after a round
 * @rounds: number of rounds so far
 * @hopeless: rounds since @least that left as many pages as the round before
 */
struct estimate {
	double page_ns;
	double page_whole;
	struct {
		bool known;
		double work_ns;
		double whole;
	} next;
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
 * struct estimate_limits - the user's limits
 * @downtime_ns: the longest downtime
 * @rounds: the most rounds before the guest is stopped in any case
 */
struct estimate_limits {
	uint64_t downtime_ns;
	unsigned int rounds;
};

enum estimate_verdict {
	ESTIMATE_AGAIN,			/* another round will help */
	ESTIMATE_STOP,			/* the pages left fit the downtime */
	ESTIMATE_STALLED,		/* pages are written as fast as they are sent */
	ESTIMATE_TOO_MANY,		/* no more rounds */
};

/**
 * struct estimate_round - what a round was
 * @pages: that were dirty and are across
 * @whole: as so many whole pages, since deltas are shorter
 * @ns: how long it took
 * @lost_ns: part of it: the guest had the processors that the copying waited for
 * @dirtied: pages that are dirty now
 */
struct estimate_round {
	uint64_t pages;
	double whole;
	uint64_t ns;
	uint64_t lost_ns;
	uint64_t dirtied;
};

/** estimate_round() - a round is over */
void estimate_round(struct estimate *estimate, const struct estimate_round *round);
/** estimate_next() - pages of those that are dirty now were tried: see struct estimate */
void estimate_next(struct estimate *estimate, double work_ns, double whole);
/** estimate_trip() - add the time of another question, with nothing else on its way */
void estimate_trip(struct estimate *estimate, uint64_t ns);
/** estimate_trip_behind() - likewise of one that was sent behind a round's pages */
void estimate_trip_behind(struct estimate *estimate, uint64_t ns);
/** estimate_downtime() - estimate the downtime with so many dirty pages */
uint64_t estimate_downtime(const struct estimate *estimate, uint64_t dirty);
/** estimate_postcopy() - estimate the downtime of a switch to post-copy, with @pages of memory */
uint64_t estimate_postcopy(const struct estimate *estimate, uint64_t pages);
enum estimate_verdict estimate_judge(const struct estimate *estimate,
				     const struct estimate_limits *limits, unsigned int round,
				     uint64_t dirty);

#endif
