/* SPDX-License-Identifier: GPL-2.0-only */
/* The sending end of a migration: a thread of the VM's process (source.c, precopy.c, push.c). */
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

#define SOURCE_CHUNK		256u	/* pages whose log is cleared, and which are sent, at once */

enum on_stall { ON_STALL_THROTTLE, ON_STALL_POSTCOPY, ON_STALL_FAIL };

/**
 * struct migrate_options - the user's options
 * @fd: the descriptor of "fd:" addresses
 * @bandwidth: bytes per second, 0: no limit
 * @postcopy: switch to post-copy after the first round in any case
 * @zero, @delta: methods to make pages smaller
 * @cache: bytes for copies of pages, which deltas need
 * @level: zstd's level, 0: no compression
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
 * struct source - a migration in progress
 * @lock: for @phase, and @link's transport if another thread cuts it
 * @dirty: the log last read, a bit for each page of RAM
 * @whole: what the round has sent of pages, in whole ones
 * @tries: takes what is written to see how long that takes, and drops it
 * @heat: for each page the last round that found it dirty: recent pages are needed soon
 * @left_out: pages in the balloon
 * @slowed_from: the first round with a throttled guest
 * @gone: COMMIT was sent: from now on the VM may be the target's
 * @theirs: the target said that it has the VM
 * @cancelled: by the user
 * @recover_fd: a new connection to the target, made by the user, or -1
 * @recover_asked: @recover_fd is not handled yet
 * @settling: asking the target whether it has the VM
 * @take_back: the user says that the target does not have it
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
	double whole;
	struct stream_writer tries;
	uint8_t *heat;
	uint64_t *left_out;
	unsigned int round;
	unsigned int slowed_from;
	uint64_t round_began_ns;
	uint64_t began_ns;
	uint64_t began_tsc;
	uint64_t stopped_ns;
	uint64_t told_ns;
	uint64_t flowed_ns;		/* post-copy: last time when data arrived, or none was due */
	uint64_t lost_bytes;		/* by lost links */
	uint8_t token[WIRE_TOKEN];
	bool logging;
	bool frozen;
	bool gone;
	bool theirs;
	bool cancelled;
	bool target_has_postcopy;
	bool pushing;			/* sending pages, on a link that may be dead */
	int recover_fd;
	bool recover_asked;
	bool settling;
	bool take_back;
};

/* ---- source.c ---- */

/** source_recover_fd() - take s->recover_fd, which then belongs to the caller; lock held */
int source_recover_fd(struct source *s);
/** source_phase() - set the phase, for the module's marks, probes and subscribers */
void source_phase(struct source *s, enum migrate_phase phase);
/**
 * source_settle() - wait until the user says which end has the VM, or gives an address to ask
 *
 * True if the target has the VM and all of its memory.
 */
bool source_settle(struct source *s);
/** source_ping_behind() - a question behind a round's pages, for s->estimate; false with link.error */
bool source_ping_behind(struct source *s);
/** source_others_ns() - what all other threads have worked: vCPUs, and those that serve the guest */
uint64_t source_others_ns(void);
/** source_progress() - send an event, unless the last one is recent and not @now */
void source_progress(struct source *s, bool now);
uint64_t source_bytes(const struct source *s);

/* ---- precopy.c ---- */

/** precopy_begin() - start the log, and allocate for each page; false with link.error */
bool precopy_begin(struct source *s);
void precopy_end(struct source *s);
/** precopy_rounds() - copy until the guest should be stopped; @postcopy: out: the rest follows later */
bool precopy_rounds(struct source *s, bool *postcopy);
/** precopy_last() - do the last round; guest stopped */
bool precopy_last(struct source *s);
/**
 * precopy_left() - set s->dirty to the pages that were not sent; guest stopped
 *
 * Returns their number; -1 with words.
 */
int64_t precopy_left(struct source *s);
/** precopy_send_page() - send a page in the smallest form, and count it in @round */
bool precopy_send_page(struct source *s, uint64_t page, struct report_round *round);

/* ---- push.c: after the switch to post-copy ---- */

/** push_missing() - tell the target that the pages of s->dirty are missing */
bool push_missing(struct source *s);
/**
 * push_reconnect() - connect to the target by @fd, taken over, and get its missing pages; false
 * with link.error
 */
bool push_reconnect(struct source *s, int fd);
/** push_all() - serve the target until it has everything, over as many links as it takes */
void push_all(struct source *s);

#endif
