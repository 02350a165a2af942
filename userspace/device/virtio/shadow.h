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

#define SHADOW_SIZE	QUEUE_MAX_SEGMENTS	/* any chain fits into an empty ring */

/**
 * struct shadow - the ring
 * @fd, @base, @bytes: the shared memory
 * @desc, @avail, @used: within it
 * @next: of a descriptor in a chain, or among those that are free
 * @free, @nr_free: the first of these, and how many
 * @flying: by head: the back-end has this chain, and it has @chains[head]
 * @nr_flying: how many
 * @next_avail, @next_used: as in struct queue, from the driver's side
 */
struct shadow {
	int fd;
	void *base;
	size_t bytes;
	void *desc;
	uint16_t *avail;
	void *used;
	uint16_t next[SHADOW_SIZE];
	uint16_t free;
	unsigned int nr_free;
	bool flying[SHADOW_SIZE];
	unsigned int nr_flying;
	struct queue_chain *chains;
	uint16_t next_avail;
	uint16_t next_used;
};

/** shadow_create() - 0 or -errno; @shadow is zeroed */
int shadow_create(struct shadow *shadow);
void shadow_destroy(struct shadow *shadow);
/** shadow_reset() - an empty ring; nobody has it meanwhile */
void shadow_reset(struct shadow *shadow);
/** shadow_add() - make a copy of @chain available; false: there is no room for it now */
bool shadow_add(struct shadow *shadow, const struct queue_chain *chain);
/** shadow_take() - the next used chain, NULL if there is none, or false if it is nonsense */
bool shadow_take(struct shadow *shadow, const struct queue_chain **chain);
/** shadow_take_back() - any chain that the back-end still has, or NULL; it must be gone */
const struct queue_chain *shadow_take_back(struct shadow *shadow);
/** shadow_wants_kick() - must the back-end be told of what was added? */
bool shadow_wants_kick(const struct shadow *shadow);

#endif
