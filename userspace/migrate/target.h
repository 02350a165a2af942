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
 * enum target_word - this end's decision about the source's COMMIT, which is final
 * @TARGET_OPEN: COMMIT has not arrived, or is not handled
 * @TARGET_TAKES: the VM is ours from now on
 * @TARGET_REFUSES: the VM stays the source's
 */
enum target_word {
	TARGET_OPEN,
	TARGET_TAKES,
	TARGET_REFUSES,
};

/**
 * struct target - an incoming migration
 * @word: set only by target_decide()
 * @config: the source's configuration of the machine
 * @lock: for all below, and for link.out once the VM runs
 * @missing: post-copy: a bit for each missing page; NULL: none is missing
 * @wanted: missing pages that were requested
 * @left: number of missing pages
 * @said: COMMITTED was sent: the source answers only requests after it
 * @uffd: the userfaultfd, or -1
 * @heard_ns: time when data last arrived, in post-copy
 * @wake_fd: readable once the VM has ended, or the user gives another address
 * @broken: pages are missing, and the link is lost
 * @unconfirmed: no page is missing, but the source may not know it
 * @listening: waiting for the source, on a link that may be dead
 * @stop_fd: written to end the thread that reads @uffd
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

/** target_listen() - listen at @address; false with @error, as below */
bool target_listen(struct target *target, const char *address, struct error *error);
/** target_accept() - wait for a source, and read its config, CPUID and hello */
bool target_accept(struct target *target, struct error *error);
/** target_reserve() - check that this host has the memory; if not, tell the source */
bool target_reserve(struct target *target, uint64_t bytes, struct error *error);
/** target_refuse() - tell the source that the machine cannot be created here */
void target_refuse(struct target *target, const char *words);
/**
 * target_begin() - for struct launch: @argument is the struct target
 *
 * A thread receives memory and state, and runs the VM once it is ours, or ends it.
 */
bool target_begin(struct vm *vm, void *argument, struct error *error);
/** target_join() - join the thread, after the VM's end */
void target_join(struct target *target);
/** target_here() - get this process' target, or NULL */
struct target *target_here(void);
/** target_wake() - wake a wait for a connection, to handle a request */
void target_wake(const struct target *target);
/** target_left() - get the number of missing pages */
uint64_t target_left(const struct target *target);
/** target_lost() - may the user give it another link, because its own is silent or lost? */
bool target_lost(const struct target *target);
/** target_page() - get the number of the page at @gpa, which the caller has checked */
uint64_t target_page(const struct target *target, uint64_t gpa);

/* ---- fetch.c: post-copy ---- */

/** fetch_open() - open a userfaultfd, before the launcher confines itself */
void fetch_open(struct target *target);
/** fetch_possible() - does this user have a userfaultfd? */
bool fetch_possible(const struct target *target);
/** fetch_rehearse() - measure the preparation for absent pages, in ns; 0: it is impossible */
uint64_t fetch_rehearse(struct target *target);
/** fetch_missing() - handle a WIRE_MISSING record */
bool fetch_missing(struct target *target, const struct stream_record *record);
/** fetch_begin() - drop the missing pages and watch them, before the VM may run */
bool fetch_begin(struct target *target);
/**
 * fetch_discarded() - the guest gives these pages up now: data that arrives for them is old
 *
 * Called by any thread before the pages are dropped, also in a process that is no target.
 */
void fetch_discarded(uint64_t gpa, uint64_t bytes);
/** fetch_ask_again() - request every wanted page that is missing; lock held */
void fetch_ask_again(struct target *target);
/** fetch_all() - receive pages until none is missing, over as many links as necessary */
void fetch_all(struct target *target);
/** fetch_confirm() - tell the source that the VM is here, until it knows or the VM ends */
void fetch_confirm(struct target *target);

#endif
