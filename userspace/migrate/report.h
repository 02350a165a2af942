/* SPDX-License-Identifier: GPL-2.0-only */
/* The report of a migration: collected by the source, printed as JSON, drawn as a chart. */
#ifndef MIGRATE_REPORT_H
#define MIGRATE_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <json-c/json.h>
#include "base/error.h"

#define REPORT_MAX_ROUNDS	64	/* later rounds are added to the last */

/**
 * struct report_round - a pass over the pages written since the last pass
 * @number: from 1; the stop-and-copy round is the last
 * @pages: dirty pages handled: the sum of the next five
 * @full: sent as a whole (perhaps compressed)
 * @zero: sent as zero
 * @delta: sent as a delta
 * @same: not sent, since the target has the contents
 * @left_out: not sent, since they are in the balloon
 * @bytes: on the link
 * @ns: duration
 * @dirtied: pages dirty when it ended
 * @dirty_rate: bytes per second that the guest dirtied meanwhile, in whole pages
 * @throttle: percentage of time for which vCPUs had to sleep
 * @unfinished: it was interrupted, so the number of dirty pages is unknown
 */
struct report_round {
	unsigned int number;
	uint64_t pages;
	uint64_t full;
	uint64_t zero;
	uint64_t delta;
	uint64_t same;
	uint64_t left_out;
	uint64_t bytes;
	uint64_t ns;
	uint64_t dirtied;
	uint64_t dirty_rate;
	unsigned int throttle;
	bool unfinished;
};

/**
 * struct report_downtime - the parts of the downtime, in order
 * @pause_ns: until all vCPUs and devices had stopped
 * @copy_ns: the last round
 * @state_ns: to read and send the machine's state
 * @load_ns: until the target had read and checked everything
 * @commit_ns: until the source knew that the VM is the target's
 * @back_ns: if it failed, instead of later parts: until the VM could continue here
 *
 * The target runs the VM within @commit_ns, before the source learns of it.
 */
struct report_downtime {
	uint64_t pause_ns;
	uint64_t copy_ns;
	uint64_t state_ns;
	uint64_t load_ns;
	uint64_t commit_ns;
	uint64_t back_ns;
};

/**
 * struct report - the source's report of a migration
 * @name: of the VM
 * @outcome: "migrated", "failed", "cancelled" or "in-doubt"
 * @phase: the last phase before the end
 * @words: the reason, in a sentence
 * @stall: the reason why it would not have converged, or ""
 * @answer: the measure against the stall: "throttle", "post-copy", "fail", or ""
 * @answer_cost: the cost of the measure in words, or ""
 * @memory: bytes of guest memory
 * @bytes: on the link, both directions
 * @ticks: the total in host TSC ticks, for emulated hosts whose seconds mean nothing
 * @predicted_ns: the downtime predicted after the last round, before the guest was stopped
 * @limit_ns: the user's limit of downtime
 * @faults, @fault_ns, @fault_max_ns: post-copy: pages for which the guest waited, the total and
 *	longest time
 * @pushed, @prefetched: post-copy: pages sent in the background, and around faults
 */
struct report {
	char name[64];
	const char *outcome;
	const char *phase;
	char words[640];
	char stall[160];
	const char *answer;
	char answer_cost[160];
	uint64_t memory;
	uint64_t bytes;
	uint64_t total_ns;
	uint64_t ticks;
	uint64_t predicted_ns;
	uint64_t limit_ns;
	bool stopped;
	bool postcopy;
	uint64_t faults;
	uint64_t fault_ns;
	uint64_t fault_max_ns;
	uint64_t pushed;
	uint64_t prefetched;
	unsigned int nr_rounds;
	struct report_round rounds[REPORT_MAX_ROUNDS];
	struct report_downtime downtime;
};

/** report_round_add() - add a round, zeroed except its number */
struct report_round *report_round_add(struct report *report);
uint64_t report_downtime_ns(const struct report *report);
/** report_json() - get it all as JSON; put the object after use */
struct json_object *report_json(const struct report *report);
/** report_print() - print it for people */
void report_print(struct json_object *report, FILE *out);
/** chart_write() - draw the rounds as SVG; @report: from report_json(); false with @error */
bool chart_write(struct json_object *report, const char *path, struct error *error);

/* ---- members of a report that came from another process: what is not there is 0 or "" ---- */

int64_t report_number(struct json_object *object, const char *member);
const char *report_text(struct json_object *object, const char *member);

#endif
