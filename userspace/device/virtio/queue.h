/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Split virtqueues as the device sees them.  Everything in the rings comes from
 * a guest that may be hostile: each value is copied once, then checked; chains
 * and tables are bounded.  A breach of the rules is told as words in @error,
 * and the queue gives nothing more until it is reset.
 *
 * This needs nothing but struct guest_memory, so that it builds alone.
 */
#ifndef DEVICE_VIRTIO_QUEUE_H
#define DEVICE_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "vm/memory.h"

#define QUEUE_MAX_SIZE		256
#define QUEUE_MAX_SEGMENTS	256	/* of one chain */

/**
 * struct queue_rings - what queue_enable() checked; written there alone
 * @size: entries, a power of two
 * @used_gpa: where the guest has the used ring
 * @desc, @avail, @used: host addresses
 */
struct queue_rings {
	uint32_t size;
	uint64_t used_gpa;
	const void *desc;
	uint16_t *avail;
	void *used;
};

/**
 * struct queue - a virtqueue
 * @memory: where the rings and buffers are
 * @dirty: told of guest memory that was written, or NULL
 * @size, @desc, @avail, @used: what the driver says for the next queue_enable(): entries and
 *	guest-physical addresses, which may be anything
 * @ready: the driver has enabled it, and @rings are valid
 * @generation: counts each time that it was switched on or off, resets included
 * @event_idx: VIRTIO_F_EVENT_IDX was negotiated
 * @rings: what is served while @ready, whatever the driver writes meanwhile
 * @next_avail: the next entry of the available ring that is looked at
 * @next_used: the next entry of the used ring; never read back from the guest
 * @signalled: @next_used when an interrupt was last thought about
 * @error: what the guest did wrong, or NULL
 */
struct queue {
	const struct guest_memory *memory;
	void (*dirty)(void *argument, uint64_t gpa, uint64_t bytes);
	void *dirty_argument;
	uint32_t size;
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	bool ready;
	uint32_t generation;
	bool event_idx;
	struct queue_rings rings;
	uint16_t next_avail;
	uint16_t next_used;
	uint16_t signalled;
	const char *error;
};

/**
 * struct queue_chain - one buffer: segments that the device reads, then those that it writes
 * @generation: of the queue that gave it
 * @iov: @out segments to read, then @in segments to write
 * @gpa: where each lies in the guest
 * @out_bytes, @in_bytes: their sums
 */
struct queue_chain {
	uint16_t head;
	uint32_t generation;
	unsigned int out;
	unsigned int in;
	uint64_t out_bytes;
	uint64_t in_bytes;
	struct iovec iov[QUEUE_MAX_SEGMENTS];
	uint64_t gpa[QUEUE_MAX_SEGMENTS];
};

/** queue_reset() - as before the driver touched it; @memory, @dirty and @generation stay */
void queue_reset(struct queue *queue);
/** queue_enable() - check size and addresses, begin anew; false with @error if they are bad */
bool queue_enable(struct queue *queue);
/** queue_disable() - it gives and takes nothing until it is enabled again */
void queue_disable(struct queue *queue);
/** queue_owns() - is the buffer still the queue's?  Not if the queue was switched off since it gave it */
bool queue_owns(const struct queue *queue, uint32_t generation);
/** queue_pop() - the next available buffer: 1, 0 (none) or -1 (@error) */
int queue_pop(struct queue *queue, struct queue_chain *chain);
/** queue_unpop() - put back the last buffer that was popped, as if it had not been */
void queue_unpop(struct queue *queue, const struct queue_chain *chain);
/**
 * queue_push() - give a buffer back, of which @written bytes were written
 *
 * One that the queue does not own any more is dropped.
 */
void queue_push(struct queue *queue, const struct queue_chain *chain, uint64_t written);
/** queue_wants_interrupt() - does the driver want to hear of what was pushed since last asked? */
bool queue_wants_interrupt(struct queue *queue);
/** queue_notify_off() - the driver need not tell of new buffers */
void queue_notify_off(struct queue *queue);
/** queue_notify_on() - the driver must tell of new buffers; true if some came meanwhile */
bool queue_notify_on(struct queue *queue);

/** chain_read() - copy from the readable part, @skip bytes into it; returns how many there were */
size_t chain_read(const struct queue_chain *chain, uint64_t skip, void *to, size_t bytes);
/** chain_write() - likewise into the writable part */
size_t chain_write(const struct queue_chain *chain, uint64_t skip, const void *from, size_t bytes);
/**
 * chain_slice() - the segments of @bytes bytes, @skip bytes into the readable (or @writable) part
 * @iov: QUEUE_MAX_SEGMENTS of them
 *
 * Returns how many segments; the caller has checked that the chain is as long.
 */
unsigned int chain_slice(const struct queue_chain *chain, bool writable, uint64_t skip,
			 uint64_t bytes, struct iovec *iov);

#endif
