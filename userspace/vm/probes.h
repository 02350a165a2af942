/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Static probes of the launcher (provider "gondola"): what only it knows.  Each
 * costs a NOP while nobody watches.  Names and arguments are in
 * Documentation/tracing.rst; arguments are integers, in this order, always.
 */
#ifndef VM_PROBES_H
#define VM_PROBES_H

#include <sys/sdt.h>

/* A migration enters enum migrate_phase @phase, in @round. */
#define PROBE_MIGRATE_PHASE(phase, round) \
	DTRACE_PROBE2(gondola, migrate_phase, phase, round)
/* A round begins, with so many pages to be looked at. */
#define PROBE_MIGRATE_ROUND_BEGIN(round, pages) \
	DTRACE_PROBE2(gondola, migrate_round_begin, round, pages)
/* It ends: pages and bytes sent, how long it took, pages that were written meanwhile. */
#define PROBE_MIGRATE_ROUND_END(round, pages, bytes, ns, dirtied) \
	DTRACE_PROBE5(gondola, migrate_round_end, round, pages, bytes, ns, dirtied)
/* After a round: how long the guest would stand if it were stopped now. */
#define PROBE_MIGRATE_PREDICTION(round, ns) \
	DTRACE_PROBE2(gondola, migrate_prediction, round, ns)
/* How long it stood: as was predicted, and as it was. */
#define PROBE_MIGRATE_DOWNTIME(predicted_ns, actual_ns) \
	DTRACE_PROBE2(gondola, migrate_downtime, predicted_ns, actual_ns)
/* Pages are written as fast as they are sent (bytes a second), or faster. */
#define PROBE_MIGRATE_STALL(round, dirty_rate, link_rate) \
	DTRACE_PROBE3(gondola, migrate_stall, round, dirty_rate, link_rate)
/* The guest is slowed down: percent of the time that its vCPUs sleep. */
#define PROBE_MIGRATE_THROTTLE(percent) \
	DTRACE_PROBE1(gondola, migrate_throttle, percent)
/* Post-copy, target: the guest waits for the page at @gpa; it has come after @ns. */
#define PROBE_MIGRATE_FAULT(gpa) \
	DTRACE_PROBE1(gondola, migrate_fault, gpa)
#define PROBE_MIGRATE_FAULT_END(gpa, ns) \
	DTRACE_PROBE2(gondola, migrate_fault_end, gpa, ns)

/* The balloon is asked for @pages; it holds @held. */
#define PROBE_BALLOON_GOAL(id, pages, held) \
	DTRACE_PROBE3(gondola, balloon_goal, id, pages, held)
/* The guest gave (@inflated 1) or took back so many pages at @gpa; the balloon holds @held now. */
#define PROBE_BALLOON_PAGES(inflated, gpa, pages, held) \
	DTRACE_PROBE4(gondola, balloon_pages, inflated, gpa, pages, held)
/* A goal ends: enum gondola_balloon_reason. */
#define PROBE_BALLOON_END(id, reason, held) \
	DTRACE_PROBE3(gondola, balloon_end, id, reason, held)

#endif
