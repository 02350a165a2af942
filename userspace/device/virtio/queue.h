/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device's side of split virtqueues.  Everything in the rings comes from a guest that may be
 * hostile: each value is copied once, then checked; chains and tables are bounded.  After a breach
 * of the rules @error has words, and the queue gives no buffers until it is reset.
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

struct queue;
struct queue_chain;

/**
 * struct queue_form - rings of another form than a split virtqueue's, which give the same chains
 * @enable: check @queue->desc, where the ring is, and set @queue->rings.size; false with @queue->error
 * @pop, @push, @notify_on: see queue_pop(), queue_push() and queue_notify_on()
 *
 * @pop returns how many entries from @queue->next_avail on it took, 0 or -1, and changes nothing; @push
 * advances @queue->next_used.
 */
struct queue_form {
	bool (*enable)(struct queue *queue);
	int (*pop)(struct queue *queue, struct queue_chain *chain);
	void (*push)(struct queue *queue, const struct queue_chain *chain, uint64_t written);
	bool (*notify_on)(struct queue *queue);
};

/**
 * struct queue_rings - the rings, checked and set by queue_enable()
 * @size: entries, a power of two
 * @used_gpa: guest-physical address of the used ring
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
 * @memory: contains rings and buffers
 * @dirty: called after writes to guest memory, or NULL
 * @form, @form_data: of rings that are no virtqueue; NULL: they are one
 * @size, @desc, @avail, @used: the driver's values for the next queue_enable(), not checked yet:
 *	number of entries and guest-physical addresses
 * @ready: the driver has enabled it, and @rings are valid
 * @generation: counts each time that it is switched on or off, or reset
 * @event_idx: VIRTIO_F_EVENT_IDX was negotiated
 * @rings: the rings in use while @ready; the driver's writes do not change them
 * @next_avail: the next entry of the available ring to read
 * @next_used: the next entry of the used ring; never read back from the guest
 * @signalled: @next_used at the last decision about an interrupt
 * @error: the guest's mistake in words, or NULL
 */
struct queue {
	const struct guest_memory *memory;
	void (*dirty)(void *argument, uint64_t gpa, uint64_t bytes);
	void *dirty_argument;
	const struct queue_form *form;
	void *form_data;
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
 * struct queue_chain - a buffer: segments for the device to read, then segments to write
 * @entries: how many of the ring's it took
 * @generation: the queue's, when it gave the buffer
 * @iov: @out segments to read, then @in segments to write
 * @gpa: where each lies in the guest
 * @out_bytes, @in_bytes: their sums
 */
struct queue_chain {
	uint16_t head;
	uint16_t entries;
	uint32_t generation;
	unsigned int out;
	unsigned int in;
	uint64_t out_bytes;
	uint64_t in_bytes;
	struct iovec iov[QUEUE_MAX_SEGMENTS];
	uint64_t gpa[QUEUE_MAX_SEGMENTS];
};

/** queue_reset() - set the state after power-on; @memory, @dirty and @generation stay */
void queue_reset(struct queue *queue);
/** queue_enable() - check size and addresses, and start; false with @error if they are bad */
bool queue_enable(struct queue *queue);
/** queue_disable() - stop the queue until it is enabled again */
void queue_disable(struct queue *queue);
/**
 * queue_owns() - does the buffer still belong to the queue?  Not if the queue was switched off
 * meanwhile
 */
bool queue_owns(const struct queue *queue, uint32_t generation);
/** queue_pop() - take the next available buffer: 1, 0 (none) or -1 (@error) */
int queue_pop(struct queue *queue, struct queue_chain *chain);
/** queue_unpop() - undo the last queue_pop() */
void queue_unpop(struct queue *queue, const struct queue_chain *chain);
/**
 * queue_push() - return a buffer to which @written bytes were written
 *
 * A buffer that the queue does not own any more is dropped.
 */
void queue_push(struct queue *queue, const struct queue_chain *chain, uint64_t written);
/**
 * queue_wants_interrupt() - does the driver want an interrupt for the buffers pushed since the last
 * call?
 */
bool queue_wants_interrupt(struct queue *queue);
/** queue_notify_off() - tell the driver not to notify about new buffers */
void queue_notify_off(struct queue *queue);
/** queue_notify_on() - ask the driver to notify about new buffers; true if some came meanwhile */
bool queue_notify_on(struct queue *queue);

/** chain_read() - copy from the readable part, from @skip on; returns the number of bytes */
size_t chain_read(const struct queue_chain *chain, uint64_t skip, void *to, size_t bytes);
/** chain_write() - likewise to the writable part */
size_t chain_write(const struct queue_chain *chain, uint64_t skip, const void *from, size_t bytes);
/**
 * chain_slice() - find the segments of @bytes, from @skip on in the readable (or @writable) part
 * @iov: QUEUE_MAX_SEGMENTS of them
 *
 * Returns the number of segments; the caller has checked the chain's length.
 */
unsigned int chain_slice(const struct queue_chain *chain, bool writable, uint64_t skip,
			 uint64_t bytes, struct iovec *iov);

#endif
