/* SPDX-License-Identifier: GPL-2.0-only */
/* An end of a migration's connection: a stream in each direction, paced and counted. */
#ifndef MIGRATE_LINK_H
#define MIGRATE_LINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "stream.h"
#include "transport.h"
#include "wire.h"

#define LINK_TIMEOUT_MS		30000	/* the link is lost if nothing moves for so long */
#define LINK_PATIENCE_MS	60000	/* for slow operations of the other end */
#define LINK_SILENCE_NS		1000000000ull	/* then the user may say that it is lost */

/**
 * struct link - a connection
 * @out: the stream that we send; used by one thread at a time
 * @in: the stream of the other end
 * @limit: bytes per second, 0: none
 * @hurry: ignore the limit: the migration is being cancelled
 * @waited_ns: time that the writer has slept for the other end, and for @limit
 * @budget_ns: time of CLOCK_MONOTONIC at which the next byte may be sent
 * @refused: the other end refused, with the words in @error
 * @error: the first failure
 */
struct link {
	struct transport transport;
	struct stream_writer out;
	struct stream_reader in;
	uint64_t limit;
	uint64_t waited_ns;
	uint64_t budget_ns;
	bool hurry;
	bool refused;
	struct error error;
};

/** link_start() - write the stream's header; link_greet() - read the other end's.  False with @error */
bool link_start(struct link *link, uint64_t features, int level);
bool link_greet(struct link *link);
/** link_put() - send a control record at once */
bool link_put(struct link *link, enum wire_type type, const void *payload, size_t bytes);
/** link_refuse() - tell the other end why we give up, if it still listens */
void link_refuse(struct link *link, const char *words);
/** link_bye() - tell the other end not to wait any more, if it still listens */
void link_bye(struct link *link);
/** link_flush() - send gathered pages; false with words if anything has failed so far */
bool link_flush(struct link *link);
/** link_put_missing() - send WIRE_MISSING records for the first @pages bits of @missing */
bool link_put_missing(struct link *link, const uint64_t *missing, uint64_t pages);
/** link_read() - read the next record; a REFUSE is a failure with the other end's words */
bool link_read(struct link *link, struct stream_record *record);
/** link_expect() - read a record, which must have @type and @bytes; @to may be NULL */
bool link_expect(struct link *link, enum wire_type type, void *to, size_t bytes);
/** link_quiet() - is there no record from the other end?  Out of turn it sends only refusals */
bool link_quiet(const struct link *link);
/** link_heard() - wait for data; false: nothing came for LINK_TIMEOUT_MS */
bool link_heard(const struct link *link);
/** link_lost() - after a failure, read the other end's refusal if there is one; returns false */
bool link_lost(struct link *link);
/** link_blame() - after a failure, add to the words that the link's command has ended, if so */
void link_blame(struct link *link);
/** link_unsent() - get the number of unsent bytes in this host's buffers */
unsigned int link_unsent(const struct link *link);
/** link_drain() - wait until all of these are sent; false with words if the link is lost */
bool link_drain(struct link *link);
void link_close(struct link *link);
/** link_fail() - set the words, unless there are some already; returns false */
bool link_fail(struct link *link, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
