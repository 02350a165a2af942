/* SPDX-License-Identifier: GPL-2.0-only */
/* The receiving end of a migration (target.c, fetch.c). */
#ifndef MIGRATE_TARGET_H
#define MIGRATE_TARGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "link.h"
#include "machine.h"
#include "phase.h"
#include "vm/vm.h"

/**
 * enum target_word - what this end has made of the source's COMMIT; it is said once
 * @TARGET_OPEN: it has not come, or was not looked at
 * @TARGET_TAKES: the VM is ours from here on
 * @TARGET_REFUSES: it stays the source's, whatever comes
 */
enum target_word {
	TARGET_OPEN,
	TARGET_TAKES,
	TARGET_REFUSES,
};

/**
 * struct target - what comes in
 * @word: set by target_decide() alone
 * @config: how the machine is made, as the source says
 * @lock: all below, and link.out once the VM runs
 * @missing: post-copy: pages that are not here, a bit each; NULL: there are none
 * @wanted: those of them that were asked for
 * @left: how many are missing
 * @said: COMMITTED is on its way: only what is asked for after it is answered
 * @uffd: the userfaultfd, or -1
 * @heard_ns: when something came last, in post-copy
 * @wake_fd: readable once the VM has ended, or the user names another address
 * @broken: pages are missing, and there is no link
 * @unconfirmed: none are, but the source may not have heard that all is here
 * @listening: to its source, on a link that may be dead
 * @stop_fd: written to when the thread that reads @uffd shall end
 */
struct target {
	struct transport_listener listener;
	struct link link;
	struct machine_config config;
	struct machine_loader loader;
	struct wire_hello hello;
	struct vm *vm;
	pthread_t thread;
	enum migrate_phase phase;
	enum target_word word;
	unsigned int round;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t pages;
	uint64_t *missing;
	uint64_t *wanted;
	uint64_t *asked_ns;
	uint64_t left;
	int uffd;
	int stop_fd;
	int wake_fd;
	pthread_t faults_thread;
	struct wire_finished counts;
	uint64_t heard_ns;
	bool said;
	bool broken;
	bool unconfirmed;
	bool listening;
	int recover_fd;
	bool recover_asked;
};

/** target_listen() - at @address; false with @error, as below */
bool target_listen(struct target *target, const char *address, struct error *error);
/** target_accept() - wait for a source, and read what it has: config, CPUID, hello */
bool target_accept(struct target *target, struct error *error);
/** target_reserve() - is there as much memory on this host? If not, the source is told */
bool target_reserve(struct target *target, uint64_t bytes, struct error *error);
/** target_refuse() - the machine cannot be made here; tells the source */
void target_refuse(struct target *target, const char *words);
/**
 * target_begin() - for struct launch: @argument is the struct target
 *
 * A thread takes memory and state, and lets the VM run when it is ours, or ends it.
 */
bool target_begin(struct vm *vm, void *argument, struct error *error);
/** target_join() - the VM has ended: the thread too */
void target_join(struct target *target);
/** target_here() - this process's, or NULL */
struct target *target_here(void);
/** target_wake() - whatever waits for a connection looks again at what is asked for */
void target_wake(const struct target *target);
/** target_left() - pages that are still missing */
uint64_t target_left(const struct target *target);
/** target_lost() - may the user give it another link? Its own says nothing any more, or is gone */
bool target_lost(const struct target *target);
/** target_page() - the page at @gpa, counted through all RAM; the caller has checked it */
uint64_t target_page(const struct target *target, uint64_t gpa);

/* ---- fetch.c: post-copy ---- */

/** fetch_open() - a userfaultfd, before the launcher confines itself */
void fetch_open(struct target *target);
/** fetch_possible() - was there one for this user? */
bool fetch_possible(const struct target *target);
/** fetch_rehearse() - how long getting ready for absent pages takes, in ns; 0: it cannot be done */
uint64_t fetch_rehearse(struct target *target);
/** fetch_missing() - a WIRE_MISSING record */
bool fetch_missing(struct target *target, const struct stream_record *record);
/** fetch_begin() - before the VM may run: the missing pages are dropped, and watched */
bool fetch_begin(struct target *target);
/**
 * fetch_discarded() - the guest gives these pages up, in this moment: what comes for them is old
 *
 * Any thread, before the pages are dropped; also in a process that is no target.
 */
void fetch_discarded(uint64_t gpa, uint64_t bytes);
/** fetch_ask_again() - for every page that is wanted and not here; the lock is held */
void fetch_ask_again(struct target *target);
/** fetch_all() - take pages until all are here, over as many links as it takes */
void fetch_all(struct target *target);
/** fetch_confirm() - the VM is here: until its source has heard so, or the VM ends */
void fetch_confirm(struct target *target);

#endif
