/* SPDX-License-Identifier: GPL-2.0-only */
/* The report of a migration: collected by the source, told as JSON, drawn as a chart. */
#ifndef MIGRATE_REPORT_H
#define MIGRATE_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <json-c/json.h>
#include "base/error.h"

#define REPORT_MAX_ROUNDS	64	/* more are added up in the last */

/**
 * struct report_round - one pass over what was written since the pass before
 * @number: from 1; the stop-and-copy round is the last
 * @pages: that were looked at, being dirty: the sum of the next five
 * @full: sent whole (perhaps compressed)
 * @zero: told to be zero
 * @delta: sent as what changed
 * @same: found to be what the target has: not sent
 * @left_out: in the balloon: not sent
 * @bytes: on the link
 * @ns: how long it took
 * @dirtied: pages dirty when it ended
 * @dirty_rate: bytes a second that the guest wrote meanwhile, by pages
 * @throttle: percent of the time that the vCPUs were made to sleep
 * @unfinished: it was cut short: what was dirty then is not known
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
 * struct report_downtime - its parts, in order; together they are the downtime
 * @pause_ns: until all vCPUs and devices stood
 * @copy_ns: the last round
 * @state_ns: the machine's state, read and sent
 * @load_ns: the target has read and checked all
 * @commit_ns: until the source knows that the VM is the target's
 * @back_ns: instead of the rest of them, if it failed: until the VM could go on here
 *
 * The target lets it run within @commit_ns, before the source hears of it.
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
 * struct report - a migration as the source saw it
 * @name: of the VM
 * @outcome: "migrated", "failed", "cancelled" or "in-doubt"
 * @phase: the last one that it reached before it ended
 * @words: why, in a sentence
 * @stall: why it would not have ended by itself, or ""
 * @answer: what was done about it: "throttle", "post-copy", "fail", or ""
 * @answer_cost: what that cost, in words, or ""
 * @memory: bytes of guest memory
 * @bytes: on the link, both directions
 * @ticks: host TSC, likewise for those whose seconds mean nothing
 * @predicted_ns: of downtime, after the last round: when the guest was stopped, if it was
 * @limit_ns: what downtime was to be at most
 * @faults, @fault_ns, @fault_max_ns: post-copy: pages the guest waited for, together and longest
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

/** report_round_add() - room for another round, zeroed but for its number */
struct report_round *report_round_add(struct report *report);
uint64_t report_downtime_ns(const struct report *report);
/** report_json() - all of it; to be put */
struct json_object *report_json(const struct report *report);
/** report_print() - the same for a person */
void report_print(struct json_object *report, FILE *out);
/** chart_write() - the rounds as SVG; @report as report_json() made it; false: @error */
bool chart_write(struct json_object *report, const char *path, struct error *error);

/* ---- members of a report that came from another process: what is not there is 0 or "" ---- */

int64_t report_number(struct json_object *object, const char *member);
const char *report_text(struct json_object *object, const char *member);

#endif
