/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page that a driver and its device share: counters, then entries that are requests first and answers
 * later (Xen's public/io/ring.h).  To our devices it is another form of queue.
 */
#ifndef DEVICE_XEN_RING_H
#define DEVICE_XEN_RING_H

#include "device/virtio/queue.h"

struct xen_backend;
struct xen_ring_page;

/**
 * struct xen_ring - the form_data of such a queue; first in it
 * @entries: of @entry_bytes each; a power of two
 * @page, @gpa: where it is, since it was enabled
 */
struct xen_ring {
	const struct xen_backend *backend;
	unsigned int entries;
	unsigned int entry_bytes;
	struct xen_ring_page *page;
	uint64_t gpa;
};

/** xen_ring_enable(), xen_ring_notify_on() - see struct queue_form */
bool xen_ring_enable(struct queue *queue);
bool xen_ring_notify_on(struct queue *queue);
/** xen_ring_waiting() - requests from @queue->next_avail on; -1 with @queue->error: nonsense */
int xen_ring_waiting(struct queue *queue);
/** xen_ring_read() - copy the entry @index, which counts on, of @bytes */
void xen_ring_read(const struct queue *queue, uint16_t index, void *entry, size_t bytes);
/** xen_ring_answer() - write the next answer; the driver sees it after xen_ring_publish() */
void xen_ring_answer(struct queue *queue, const void *entry, size_t bytes);
void xen_ring_publish(struct queue *queue);
/** xen_chain_add() - add a segment; @gpa: 0: it is no memory of the guest's */
void xen_chain_add(struct queue_chain *chain, bool in, void *data, size_t bytes, uint64_t gpa);
/** xen_granted() - find a part of a page that the guest granted; NULL: it did not, or there is no such part */
uint8_t *xen_granted(const struct xen_ring *ring, bool write, uint32_t grant, uint32_t offset, uint32_t bytes);
/** xen_chain_add_granted() - add a part of a page that the guest granted; false: it did not, or no such part */
bool xen_chain_add_granted(const struct xen_ring *ring, struct queue_chain *chain, bool in, uint32_t grant,
			   uint32_t offset, uint32_t bytes);
/** xen_chain_mark() - log that the first @written bytes were written, where they are the guest's */
void xen_chain_mark(const struct queue *queue, const struct queue_chain *chain, uint64_t written);

#endif
