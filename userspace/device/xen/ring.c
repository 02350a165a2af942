// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "ring.h"
#include "xen.h"

#define PAGE		4096u

#define LOAD(from)		__atomic_load_n(from, __ATOMIC_ACQUIRE)
#define STORE(to, value)	__atomic_store_n(to, value, __ATOMIC_RELEASE)

/**
 * struct xen_ring_page - see above; the layout is ABI
 * @requests: how many the driver has ever made; it counts on beyond our 16 bits
 * @request_event: it tells us of this one
 * @responses, @response_event: likewise of the answers
 */
struct xen_ring_page {
	uint32_t requests;
	uint32_t request_event;
	uint32_t responses;
	uint32_t response_event;
	uint8_t pad[48];
	uint8_t entries[PAGE - 64];
};
_Static_assert(offsetof(struct xen_ring_page, entries) == 64, "the ring is ABI");

static void *entry_of(const struct xen_ring *ring, uint16_t index)
{
	return ring->page->entries + (index % ring->entries) * ring->entry_bytes;
}

bool xen_ring_enable(struct queue *queue)
{
	struct xen_ring *ring = queue->form_data;

	ring->gpa = queue->desc;
	ring->page = queue->desc % PAGE ? NULL : memory_at(queue->memory, queue->desc, PAGE);
	queue->rings.size = ring->entries;
	if (!ring->page)
		queue->error = "its ring is not in memory";
	return ring->page;
}

int xen_ring_waiting(struct queue *queue)
{
	const struct xen_ring *ring = queue->form_data;
	uint16_t waiting = LOAD(&ring->page->requests) - queue->next_avail;

	if (waiting <= ring->entries)
		return waiting;
	queue->error = "more requests are waiting than the ring has";
	return -1;
}

void xen_ring_read(const struct queue *queue, uint16_t index, void *entry, size_t bytes)
{
	memcpy(entry, entry_of(queue->form_data, index), bytes);
	/* The compiler must not read the ring a second time. */
	__asm__ volatile("" : : "r" (entry) : "memory");
}

void xen_ring_answer(struct queue *queue, const void *entry, size_t bytes)
{
	memcpy(entry_of(queue->form_data, queue->next_used), entry, bytes);
	queue->next_used++;
}

void xen_ring_publish(struct queue *queue)
{
	struct xen_ring *ring = queue->form_data;
	uint32_t all = LOAD(&ring->page->requests);

	STORE(&ring->page->responses, all - (uint16_t)(all - queue->next_used));
	queue->dirty(queue->dirty_argument, ring->gpa, PAGE);
}

bool xen_ring_notify_on(struct queue *queue)
{
	struct xen_ring *ring = queue->form_data;
	uint32_t all = LOAD(&ring->page->requests);

	STORE(&ring->page->request_event, all - (uint16_t)(all - queue->next_avail) + 1);
	queue->dirty(queue->dirty_argument, ring->gpa, PAGE);
	/* The driver adds a request before it reads the word written here. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)LOAD(&ring->page->requests) != queue->next_avail;
}

void xen_chain_add(struct queue_chain *chain, bool in, void *data, size_t bytes, uint64_t gpa)
{
	unsigned int at = chain->out + chain->in;

	chain->iov[at] = (struct iovec){ data, bytes };
	chain->gpa[at] = gpa;
	if (in) {
		chain->in++;
		chain->in_bytes += bytes;
	} else {
		chain->out++;
		chain->out_bytes += bytes;
	}
}

static uint8_t *find_granted(const struct xen_ring *ring, bool write, uint32_t grant, uint32_t offset,
			     uint32_t bytes, uint64_t *gpa)
{
	uint8_t *page;

	if (!bytes || bytes > PAGE || offset > PAGE - bytes)
		return NULL;
	page = grants_page(ring->backend->grants, grant, write, gpa);
	return page ? page + offset : NULL;
}

uint8_t *xen_granted(const struct xen_ring *ring, bool write, uint32_t grant, uint32_t offset, uint32_t bytes)
{
	uint64_t gpa;

	return find_granted(ring, write, grant, offset, bytes, &gpa);
}

bool xen_chain_add_granted(const struct xen_ring *ring, struct queue_chain *chain, bool in, uint32_t grant,
			   uint32_t offset, uint32_t bytes)
{
	uint64_t gpa;
	uint8_t *data = find_granted(ring, in, grant, offset, bytes, &gpa);

	if (data)
		xen_chain_add(chain, in, data, bytes, gpa + offset);
	return data;
}

void xen_chain_mark(const struct queue *queue, const struct queue_chain *chain, uint64_t written)
{
	for (unsigned int i = chain->out; i < chain->out + chain->in && written; i++) {
		uint64_t part = chain->iov[i].iov_len < written ? chain->iov[i].iov_len : written;

		if (chain->gpa[i])
			queue->dirty(queue->dirty_argument, chain->gpa[i], part);
		written -= part;
	}
}
