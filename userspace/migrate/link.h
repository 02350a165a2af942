/* SPDX-License-Identifier: GPL-2.0-only */
/* One end of a migration's connection: a stream each way, paced, counted, and able to be cut. */
#ifndef MIGRATE_LINK_H
#define MIGRATE_LINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "stream.h"
#include "transport.h"
#include "wire.h"

#define LINK_TIMEOUT_MS		30000	/* nothing moves for so long: the link is lost */
#define LINK_PATIENCE_MS	60000	/* for what takes the other end its time */
#define LINK_SILENCE_NS		1000000000ull	/* then a user who says that it is lost is right */

/**
 * struct link - a connection
 * @out: what we say; by one thread at a time
 * @in: what the other end says
 * @limit: bytes a second, 0: none
 * @hurry: the limit counts no more: it is being cancelled
 * @budget_ns: when, of CLOCK_MONOTONIC, the next byte may go
 * @refused: the other end said no, in @error
 * @error: what went wrong first
 */
struct link {
	struct transport transport;
	struct stream_writer out;
	struct stream_reader in;
	uint64_t limit;
	uint64_t budget_ns;
	bool hurry;
	bool refused;
	struct error error;
};

/** link_start() - write the stream's header; link_greet() - read the other end's.  False: @error */
bool link_start(struct link *link, uint64_t features, int level);
bool link_greet(struct link *link);
/** link_put() - a control record, out at once */
bool link_put(struct link *link, enum wire_type type, const void *payload, size_t bytes);
/** link_refuse() - tell the other end, if it still listens, why we give up */
void link_refuse(struct link *link, const char *words);
/** link_bye() - if it is still there: the other end has nothing to wait for */
void link_bye(struct link *link);
/** link_flush() - gathered pages go out; false with words if anything has failed so far */
bool link_flush(struct link *link);
/** link_put_missing() - WIRE_MISSING records of the first @pages bits of @missing */
bool link_put_missing(struct link *link, const uint64_t *missing, uint64_t pages);
/** link_read() - the next record; a REFUSE is a failure with the other end's words */
bool link_read(struct link *link, struct stream_record *record);
/** link_expect() - likewise, and it must be of @type and have @bytes; @to may be NULL */
bool link_expect(struct link *link, enum wire_type type, void *to, size_t bytes);
/** link_quiet() - has the other end nothing to say? It speaks out of turn to refuse */
bool link_quiet(const struct link *link);
/** link_heard() - wait for something to come; false: for LINK_TIMEOUT_MS nothing has */
bool link_heard(const struct link *link);
/** link_lost() - something failed: hear what the other end may have to say about it; false */
bool link_lost(struct link *link);
/** link_blame() - it failed: if it was a command's, and that has ended, the words say so, too */
void link_blame(struct link *link);
/** link_unsent() - bytes that lie in this host's buffers */
unsigned int link_unsent(const struct link *link);
/** link_drain() - until all of that is across; false with words if the link is lost */
bool link_drain(struct link *link);
void link_close(struct link *link);
/** link_fail() - the first words stay; returns false */
bool link_fail(struct link *link, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
