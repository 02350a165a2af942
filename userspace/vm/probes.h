/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Static probes of the launcher (provider "gondola"), for events that only it knows.  A probe costs
 * a NOP while nobody watches.  Names and arguments are in Documentation/tracing.rst; arguments are
 * integers, in a fixed order.
 */
#ifndef VM_PROBES_H
#define VM_PROBES_H

#include <sys/sdt.h>

/* A migration enters enum migrate_phase @phase, in @round. */
#define PROBE_MIGRATE_PHASE(phase, round) \
	DTRACE_PROBE2(gondola, migrate_phase, phase, round)
/* A round begins, with so many pages to handle. */
#define PROBE_MIGRATE_ROUND_BEGIN(round, pages) \
	DTRACE_PROBE2(gondola, migrate_round_begin, round, pages)
/* The round ends: pages and bytes sent, its duration, pages dirtied meanwhile. */
#define PROBE_MIGRATE_ROUND_END(round, pages, bytes, ns, dirtied) \
	DTRACE_PROBE5(gondola, migrate_round_end, round, pages, bytes, ns, dirtied)
/* After a round: the downtime if the guest were stopped now. */
#define PROBE_MIGRATE_PREDICTION(round, ns) \
	DTRACE_PROBE2(gondola, migrate_prediction, round, ns)
/* The downtime, predicted and actual. */
#define PROBE_MIGRATE_DOWNTIME(predicted_ns, actual_ns) \
	DTRACE_PROBE2(gondola, migrate_downtime, predicted_ns, actual_ns)
/* Pages are written as fast as they are sent (bytes per second), or faster. */
#define PROBE_MIGRATE_STALL(round, dirty_rate, link_rate) \
	DTRACE_PROBE3(gondola, migrate_stall, round, dirty_rate, link_rate)
/* The guest is slowed down: percentage of time for which its vCPUs sleep. */
#define PROBE_MIGRATE_THROTTLE(percent) \
	DTRACE_PROBE1(gondola, migrate_throttle, percent)
/* Post-copy, target: the guest waits for the page at @gpa; the page arrived after @ns. */
#define PROBE_MIGRATE_FAULT(gpa) \
	DTRACE_PROBE1(gondola, migrate_fault, gpa)
#define PROBE_MIGRATE_FAULT_END(gpa, ns) \
	DTRACE_PROBE2(gondola, migrate_fault_end, gpa, ns)

/* The balloon's goal is @pages; it holds @held. */
#define PROBE_BALLOON_GOAL(id, pages, held) \
	DTRACE_PROBE3(gondola, balloon_goal, id, pages, held)
/* The guest gave (@inflated 1) or took back @pages at @gpa; the balloon holds @held now. */
#define PROBE_BALLOON_PAGES(inflated, gpa, pages, held) \
	DTRACE_PROBE4(gondola, balloon_pages, inflated, gpa, pages, held)
/* A goal ends: enum gondola_balloon_reason. */
#define PROBE_BALLOON_END(id, reason, held) \
	DTRACE_PROBE3(gondola, balloon_end, id, reason, held)

#endif
