/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A ring between this process and a back-end, in memory that both have and the guest has not.
 *
 * Buffers of the guest's queue are copied into it once they are checked, so a back-end never sees
 * what a hostile guest writes into its rings, and the launcher knows at any time which buffers the
 * back-end has.  What the back-end writes is not trusted: of all that is shared, only the used ring is
 * read.
 */
#ifndef DEVICE_VIRTIO_SHADOW_H
#define DEVICE_VIRTIO_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue.h"

#define SHADOW_SIZE	QUEUE_MAX_SEGMENTS
#define SHADOW_RESERVE	2u			/* descriptors for a request of the launcher's own */
#define SHADOW_MOST	(SHADOW_SIZE - SHADOW_RESERVE)	/* of one chain of the guest */

/**
 * enum shadow_owner - who has a chain
 * @SHADOW_FREE: there is none
 * @SHADOW_FLYING: the back-end
 * @SHADOW_HELD: the launcher, which has not returned it to the guest yet
 * @SHADOW_COVERED: likewise, and the back-end has a flush that began after it
 */
enum shadow_owner { SHADOW_FREE, SHADOW_FLYING, SHADOW_HELD, SHADOW_COVERED };

/**
 * struct shadow - the ring
 * @fd, @base, @bytes: the shared memory
 * @desc, @avail, @used, @page: within it; @page is for a request of the launcher's own
 * @next: of a descriptor in a chain, or among those that are free
 * @free, @nr_free: the first of these, and how many
 * @owner: by head, of @chains[head]
 * @nr_flying: how many the back-end has
 * @next_avail, @next_used: as in struct queue, from the driver's side
 */
struct shadow {
	int fd;
	void *base;
	size_t bytes;
	void *desc;
	uint16_t *avail;
	void *used;
	uint8_t *page;
	uint16_t next[SHADOW_SIZE];
	uint16_t free;
	unsigned int nr_free;
	uint8_t owner[SHADOW_SIZE];
	unsigned int nr_flying;
	struct queue_chain *chains;
	uint16_t next_avail;
	uint16_t next_used;
};

/** shadow_create() - 0 or -errno; @shadow is zeroed */
int shadow_create(struct shadow *shadow);
void shadow_destroy(struct shadow *shadow);
/** shadow_again() - a fresh ring, in which all chains fly again; nobody has it meanwhile */
void shadow_again(struct shadow *shadow);
/** shadow_add() - make a copy of @chain available; false: less than @reserve would be left */
bool shadow_add(struct shadow *shadow, const struct queue_chain *chain, unsigned int reserve);
/** shadow_take() - the next used chain is held now; NULL if there is none, or false if it is nonsense */
bool shadow_take(struct shadow *shadow, struct queue_chain **chain);
/** shadow_cover() - all that are held are covered; how many that were */
unsigned int shadow_cover(struct shadow *shadow);
/** shadow_find() - a chain of @owner, or of any owner (SHADOW_FREE); NULL: there is none */
struct queue_chain *shadow_find(struct shadow *shadow, enum shadow_owner owner);
/** shadow_land() - a chain is none any more; what it was stays readable until the next shadow_add() */
void shadow_land(struct shadow *shadow, const struct queue_chain *chain);
/** shadow_wants_kick() - must the back-end be told of what was added? */
bool shadow_wants_kick(const struct shadow *shadow);

#endif
