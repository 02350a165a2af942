/* SPDX-License-Identifier: GPL-2.0-only */
/* The sending end of a migration: one thread of the VM's process (source.c, precopy.c, push.c). */
#ifndef MIGRATE_SOURCE_H
#define MIGRATE_SOURCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "delta.h"
#include "estimate.h"
#include "link.h"
#include "phase.h"
#include "report.h"
#include "vm/vm.h"

#define SOURCE_CHUNK		256u	/* pages that are cleared in the log and sent at a time */

enum on_stall { ON_STALL_THROTTLE, ON_STALL_POSTCOPY, ON_STALL_FAIL };

/**
 * struct migrate_options - what the user asked for
 * @fd: for "fd:" addresses
 * @bandwidth: bytes a second, 0: no limit
 * @postcopy: switch after the first round, stall or not
 * @zero, @delta: how pages are made smaller
 * @cache: bytes for copies of pages, for deltas
 * @level: of zstd, 0: none
 */
struct migrate_options {
	char address[256];
	int fd;
	struct estimate_limits limits;
	uint64_t bandwidth;
	enum on_stall on_stall;
	bool postcopy;
	bool zero;
	bool delta;
	uint64_t cache;
	int level;
};

/**
 * struct source - a migration under way
 * @lock: @phase, @link's transport for those who cut it
 * @dirty: the log as last read, a bit for each page of RAM
 * @heat: the last round in which each page was found dirty: recent ones are needed soon
 * @left_out: pages in the balloon
 * @slowed_from: the first round with a throttled guest
 * @gone: the COMMIT was sent: from here on the VM may be the target's
 * @theirs: it is: the target said so
 * @cancelled: by the user
 * @recover_fd: a connection to the target that the user made anew, or -1
 * @recover_asked: that was not looked at yet
 * @settling: the target is being asked whether it has the VM
 * @take_back: the user knows that it does not
 */
struct source {
	struct vm *vm;
	struct migrate_options options;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum migrate_phase phase;
	struct link link;
	struct report report;
	struct estimate estimate;
	struct page_cache *cache;
	uint64_t pages;
	uint64_t words;
	uint64_t *dirty;
	uint8_t *heat;
	uint64_t *left_out;
	unsigned int round;
	unsigned int slowed_from;
	uint64_t round_began_ns;
	uint64_t began_ns;
	uint64_t began_tsc;
	uint64_t stopped_ns;
	uint64_t told_ns;
	uint64_t flowed_ns;		/* post-copy: when something got across, or nothing had to */
	uint64_t lost_bytes;		/* of links that are gone */
	uint8_t token[WIRE_TOKEN];
	bool logging;
	bool frozen;
	bool gone;
	bool theirs;
	bool cancelled;
	bool target_has_postcopy;
	bool pushing;			/* pages follow, on a link that may be dead */
	int recover_fd;
	bool recover_asked;
	bool settling;
	bool take_back;
};

/* ---- source.c ---- */

/** source_recover_fd() - s->recover_fd, which is the caller's from then on; the lock is held */
int source_recover_fd(struct source *s);
/** source_phase() - marked into the module, for probes and subscribers */
void source_phase(struct source *s, enum migrate_phase phase);
/**
 * source_settle() - it is unknown which end has the VM: wait until the user says so, or where to ask
 *
 * True if it is the target's, and the target has all of it.
 */
bool source_settle(struct source *s);
/** source_ping() - how long a question takes, into s->estimate; false with link.error */
bool source_ping(struct source *s);
/** source_progress() - an event, unless the last one is fresh and not @now */
void source_progress(struct source *s, bool now);
uint64_t source_bytes(const struct source *s);

/* ---- precopy.c ---- */

/** precopy_begin() - the log, and what is kept of each page; false with link.error */
bool precopy_begin(struct source *s);
void precopy_end(struct source *s);
/** precopy_rounds() - until the guest should be stopped; @postcopy: out: and the rest follow later */
bool precopy_rounds(struct source *s, bool *postcopy);
/** precopy_last() - the last round, the guest standing */
bool precopy_last(struct source *s);
/**
 * precopy_left() - the guest standing: what has not been sent, into s->dirty
 *
 * Returns how many pages; -1 with words.
 */
int64_t precopy_left(struct source *s);
/** precopy_send_page() - in the smallest way; counts it in @round */
bool precopy_send_page(struct source *s, uint64_t page, struct report_round *round);

/* ---- push.c: after the switch to post-copy ---- */

/** push_missing() - the pages of s->dirty are missing at the target */
bool push_missing(struct source *s);
/** push_reconnect() - to the target by @fd, taken over; and what it lacks; false with link.error */
bool push_reconnect(struct source *s, int fd);
/** push_all() - serve the target until it has everything, over as many links as it takes */
void push_all(struct source *s);

#endif
