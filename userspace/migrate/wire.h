/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol between a migration's ends: control records of the stream (stream.h), in both
 * directions.  Documentation/migration-protocol.rst has their order.  Everything received is
 * untrusted.
 *
 *	source				target
 *	configuration, CPUID, HELLO ->
 *				    <-  READY (or REFUSE)
 *	PING, pages, ROUND ...	    ->
 *				    <-  PONG
 *	pages, state, PREPARE	    ->			the guest stands
 *				    <-  PREPARED
 *	COMMIT			    ->			the VM changes hands
 *				    <-  COMMITTED
 *	BYE			    ->			or, in post-copy:
 *	pages, POSTED		    <-> WANT		post-copy only
 *				    <-  FINISHED
 *	BYE			    ->
 */
#ifndef MIGRATE_WIRE_H
#define MIGRATE_WIRE_H

#include <stdint.h>
#include "stream.h"

#define WIRE_PROTOCOL		2
#define WIRE_VERSION		1		/* of every record's layout */
#define WIRE_TOKEN		16
#define WIRE_WORDS_MAX		256
#define WIRE_WANTS_MAX		64

/**
 * enum wire_type - the records
 * @WIRE_HELLO: struct wire_hello
 * @WIRE_READY: struct wire_ready: the machine is created and its memory reserved
 * @WIRE_REFUSE: words: the sender gives up
 * @WIRE_PING: uint64_t
 * @WIRE_PONG: the same number, as the answer
 * @WIRE_ROUND: struct wire_round
 * @WIRE_MISSING: struct wire_missing and a bitmap: pages that come later
 * @WIRE_PREPARE: the state is sent completely: check it, and answer
 * @WIRE_PREPARED: struct wire_time: the target could run the VM
 * @WIRE_COMMIT: the VM is the target's now
 * @WIRE_COMMITTED: the target has the VM and runs it
 * @WIRE_WANT: at most WIRE_WANTS_MAX uint64_t gpa: pages for which the guest waits
 * @WIRE_POSTED: all pages have been sent
 * @WIRE_FINISHED: struct wire_finished: all pages have arrived
 * @WIRE_RECOVER: struct wire_recover: a new connection for a migration that lost its link
 * @WIRE_BYE: the source knows that the target has the VM and all of its memory
 */
enum wire_type {
	WIRE_HELLO = STREAM_MIGRATE_FIRST,
	WIRE_READY,
	WIRE_REFUSE,
	WIRE_PING,
	WIRE_PONG,
	WIRE_ROUND,
	WIRE_MISSING,
	WIRE_PREPARE,
	WIRE_PREPARED,
	WIRE_COMMIT,
	WIRE_COMMITTED,
	WIRE_WANT,
	WIRE_POSTED,
	WIRE_FINISHED,
	WIRE_RECOVER,
	WIRE_BYE,
};

struct wire_hello {
	uint32_t protocol;		/* WIRE_PROTOCOL */
	uint32_t flags;			/* 0 */
	uint64_t memory;		/* bytes */
	uint64_t tsc_khz;
	uint8_t token[WIRE_TOKEN];	/* random number of the migration */
};

struct wire_ready {
	uint32_t protocol;
	uint32_t flags;			/* WIRE_READY_* */
	uint64_t load_ns;		/* time to load the state of its vCPUs */
	uint64_t absent_ns;		/* time to prepare for absent pages; or 0 */
};
#define WIRE_READY_POSTCOPY	(1u << 0)	/* the target has a userfaultfd */

struct wire_round {
	uint32_t phase;			/* enum migrate_phase */
	uint32_t round;
};

/** struct wire_missing - @pages bits follow, the first page's is the lowest of the first byte */
struct wire_missing {
	uint64_t first;			/* number of the page in RAM */
	uint64_t pages;
};
#define WIRE_MISSING_MAX	(1ull << 20)	/* the most pages in a record */

struct wire_time {
	uint64_t ns;
};

struct wire_finished {
	uint64_t faults;
	uint64_t fault_ns;
	uint64_t fault_max_ns;
};

struct wire_recover {
	uint32_t protocol;
	uint32_t flags;			/* 0 */
	uint8_t token[WIRE_TOKEN];
};

#endif
