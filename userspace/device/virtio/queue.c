// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <linux/virtio_ring.h>

#include "queue.h"

_Static_assert(sizeof(struct vring_desc) == 16, "descriptors are ABI");

/* Shared with the guest: load and store it once, in one piece. */
#define LOAD(from)		__atomic_load_n(from, __ATOMIC_ACQUIRE)
#define STORE(to, value)	__atomic_store_n(to, value, __ATOMIC_RELEASE)

/* Layout of the rings, in 16-bit words. */
enum { RING_FLAGS = 0, RING_IDX = 1, AVAIL_RING = 2 };

static uint64_t avail_bytes(uint32_t size)
{
	return 4 + 2ull * size + 2;
}

static uint64_t used_bytes(uint32_t size)
{
	return 4 + 8ull * size + 2;
}

static uint16_t *used_event(const struct queue *queue)
{
	return queue->rings.avail + AVAIL_RING + queue->rings.size;
}

static uint16_t *avail_event(const struct queue *queue)
{
	return (uint16_t *)((uint8_t *)queue->rings.used + 4 + 8ul * queue->rings.size);
}

static void mark_dirty(const struct queue *queue, uint64_t gpa, uint64_t bytes)
{
	if (queue->dirty && bytes)
		queue->dirty(queue->dirty_argument, gpa, bytes);
}

static int broken(struct queue *queue, const char *words)
{
	queue->error = words;
	return -1;
}

void queue_reset(struct queue *queue)
{
	*queue = (struct queue){
		.memory = queue->memory,
		.dirty = queue->dirty,
		.dirty_argument = queue->dirty_argument,
		.form = queue->form,
		.form_data = queue->form_data,
		.generation = queue->generation + 1,
	};
}

static bool find_rings(struct queue *queue)
{
	struct queue_rings rings = { .size = queue->size, .used_gpa = queue->used };

	if (!rings.size || rings.size > QUEUE_MAX_SIZE || rings.size & (rings.size - 1)) {
		queue->error = "its size is not a power of two within the maximum";
		return false;
	}
	if (queue->desc % 16 || queue->avail % 2 || queue->used % 4) {
		queue->error = "its rings are not aligned";
		return false;
	}
	rings.desc = memory_at(queue->memory, queue->desc, 16ull * rings.size);
	rings.avail = memory_at(queue->memory, queue->avail, avail_bytes(rings.size));
	rings.used = memory_at(queue->memory, queue->used, used_bytes(rings.size));
	if (!rings.desc || !rings.avail || !rings.used) {
		queue->error = "its rings are not in memory";
		return false;
	}
	queue->rings = rings;
	return true;
}

bool queue_enable(struct queue *queue)
{
	if (queue->form ? !queue->form->enable(queue) : !find_rings(queue))
		return false;
	queue->next_avail = 0;
	queue->next_used = 0;
	queue->signalled = 0;
	queue->generation++;
	queue->ready = true;
	return true;
}

void queue_disable(struct queue *queue)
{
	if (!queue->ready)
		return;
	queue->ready = false;
	queue->generation++;
}

bool queue_owns(const struct queue *queue, uint32_t generation)
{
	return queue->ready && queue->generation == generation;
}

static bool is_empty(const struct queue *queue)
{
	return !queue->ready || queue->error ||
	       LOAD(&queue->rings.avail[RING_IDX]) == queue->next_avail;
}

static int add_segment(struct queue *queue, struct queue_chain *chain,
		       const struct vring_desc *desc)
{
	unsigned int at = chain->out + chain->in;
	void *data;

	if (at == QUEUE_MAX_SEGMENTS)
		return broken(queue, "a chain of descriptors is too long");
	if (!desc->len)
		return broken(queue, "a descriptor is empty");
	data = memory_at(queue->memory, desc->addr, desc->len);
	if (!data)
		return broken(queue, "a descriptor points outside memory");
	chain->iov[at] = (struct iovec){ data, desc->len };
	chain->gpa[at] = desc->addr;
	if (desc->flags & VRING_DESC_F_WRITE) {
		chain->in++;
		chain->in_bytes += desc->len;
		return 0;
	}
	if (chain->in)
		return broken(queue, "a readable descriptor follows a writable one");
	chain->out++;
	chain->out_bytes += desc->len;
	return 0;
}

/* Copy an entry of a table before its use. */
static struct vring_desc copy_desc(const void *table, uint32_t index)
{
	struct vring_desc desc;

	memcpy(&desc, (const struct vring_desc *)table + index, sizeof(desc));
	/* The compiler must not read the table a second time. */
	__asm__ volatile("" : "+m" (desc));
	return desc;
}

static int walk_table(struct queue *queue, struct queue_chain *chain, const void *table,
		      uint32_t entries, uint32_t index, bool indirect);

static int walk_indirect(struct queue *queue, struct queue_chain *chain,
			 const struct vring_desc *desc)
{
	uint32_t entries = desc->len / 16;
	const void *table;

	if (desc->flags & VRING_DESC_F_NEXT)
		return broken(queue, "an indirect descriptor has a successor");
	if (!entries || desc->len % 16 || entries > QUEUE_MAX_SEGMENTS)
		return broken(queue, "an indirect table has a wrong length");
	table = memory_at(queue->memory, desc->addr, desc->len);
	if (!table)
		return broken(queue, "an indirect table is outside memory");
	return walk_table(queue, chain, table, entries, 0, true);
}

static int walk_table(struct queue *queue, struct queue_chain *chain, const void *table,
		      uint32_t entries, uint32_t index, bool indirect)
{
	/* Without a loop a chain has each entry at most once. */
	for (uint32_t steps = 0; steps < entries; steps++) {
		struct vring_desc desc;

		if (index >= entries)
			return broken(queue, "a descriptor's number is outside the table");
		desc = copy_desc(table, index);
		if (desc.flags & VRING_DESC_F_INDIRECT)
			return indirect ? broken(queue, "an indirect table has another in it") :
			       walk_indirect(queue, chain, &desc);
		if (add_segment(queue, chain, &desc))
			return -1;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		index = desc.next;
	}
	return broken(queue, "a chain of descriptors has a loop");
}

static int pop(struct queue *queue, struct queue_chain *chain)
{
	const struct queue_rings *rings = &queue->rings;
	uint16_t waiting;

	waiting = LOAD(&rings->avail[RING_IDX]) - queue->next_avail;
	if (!waiting)
		return 0;
	if (waiting > rings->size)
		return broken(queue, "more buffers are available than the queue has");
	chain->head = LOAD(&rings->avail[AVAIL_RING + queue->next_avail % rings->size]);
	return walk_table(queue, chain, rings->desc, rings->size, chain->head, false) ? -1 : 1;
}

int queue_pop(struct queue *queue, struct queue_chain *chain)
{
	int ret;

	if (!queue->ready)
		return 0;
	if (queue->error)
		return -1;
	chain->generation = queue->generation;
	chain->out = 0;
	chain->in = 0;
	chain->out_bytes = 0;
	chain->in_bytes = 0;
	ret = queue->form ? queue->form->pop(queue, chain) : pop(queue, chain);
	if (ret <= 0)
		return ret;
	chain->entries = ret;
	queue->next_avail += ret;
	return 1;
}

static void mark_written(const struct queue *queue, const struct queue_chain *chain,
			 uint64_t written)
{
	for (unsigned int i = chain->out; i < chain->out + chain->in && written; i++) {
		uint64_t part = chain->iov[i].iov_len < written ? chain->iov[i].iov_len : written;

		mark_dirty(queue, chain->gpa[i], part);
		written -= part;
	}
}

void queue_unpop(struct queue *queue, const struct queue_chain *chain)
{
	if (queue_owns(queue, chain->generation))
		queue->next_avail -= chain->entries;
}

void queue_push(struct queue *queue, const struct queue_chain *chain, uint64_t written)
{
	const struct queue_rings *rings = &queue->rings;
	struct vring_used_elem *element;

	if (!queue_owns(queue, chain->generation))
		return;
	if (queue->form) {
		queue->form->push(queue, chain, written);
		return;
	}
	element = (struct vring_used_elem *)((uint8_t *)rings->used + 4) +
		  queue->next_used % rings->size;
	mark_written(queue, chain, written);
	STORE(&element->id, chain->head);
	STORE(&element->len, written > UINT32_MAX ? UINT32_MAX : (uint32_t)written);
	queue->next_used++;
	STORE((uint16_t *)rings->used + RING_IDX, queue->next_used);
	mark_dirty(queue, rings->used_gpa, used_bytes(rings->size));
}

bool queue_wants_interrupt(struct queue *queue)
{
	uint16_t before = queue->signalled, event;

	if (!queue->ready || before == queue->next_used)
		return false;
	queue->signalled = queue->next_used;
	/* An event too many does no harm, and these rings' drivers look once for many. */
	if (queue->form)
		return true;
	/* The driver writes this word before it reads the ring. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!queue->event_idx)
		return !(LOAD(&queue->rings.avail[RING_FLAGS]) & VRING_AVAIL_F_NO_INTERRUPT);
	event = LOAD(used_event(queue));
	return vring_need_event(event, queue->next_used, before);
}

void queue_notify_off(struct queue *queue)
{
	/* With event indices an old index means no notification. */
	if (!queue->ready || queue->event_idx || queue->form)
		return;
	STORE((uint16_t *)queue->rings.used + RING_FLAGS, VRING_USED_F_NO_NOTIFY);
	mark_dirty(queue, queue->rings.used_gpa, 2);
}

bool queue_notify_on(struct queue *queue)
{
	if (!queue->ready)
		return false;
	if (queue->form)
		return queue->form->notify_on(queue);
	if (queue->event_idx) {
		STORE(avail_event(queue), queue->next_avail);
		mark_dirty(queue, queue->rings.used_gpa + 4 + 8ull * queue->rings.size, 2);
	} else {
		STORE((uint16_t *)queue->rings.used + RING_FLAGS, 0);
		mark_dirty(queue, queue->rings.used_gpa, 2);
	}
	/* The driver adds a buffer before it reads the word written here. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !is_empty(queue);
}

/* ---- chains -------------------------------------------------------------------- */

unsigned int chain_slice(const struct queue_chain *chain, bool writable, uint64_t skip,
			 uint64_t bytes, struct iovec *iov)
{
	unsigned int first = writable ? chain->out : 0, count = 0;
	unsigned int end = writable ? chain->out + chain->in : chain->out;

	for (unsigned int i = first; i < end && bytes; i++) {
		uint64_t length = chain->iov[i].iov_len;

		if (skip >= length) {
			skip -= length;
			continue;
		}
		length -= skip;
		if (length > bytes)
			length = bytes;
		iov[count++] = (struct iovec){ (uint8_t *)chain->iov[i].iov_base + skip, length };
		skip = 0;
		bytes -= length;
	}
	return count;
}

static size_t copy(const struct queue_chain *chain, bool writable, uint64_t skip, void *data,
		   size_t bytes)
{
	struct iovec iov[QUEUE_MAX_SEGMENTS];
	unsigned int count = chain_slice(chain, writable, skip, bytes, iov);
	size_t done = 0;

	for (unsigned int i = 0; i < count; i++) {
		if (writable)
			memcpy(iov[i].iov_base, (uint8_t *)data + done, iov[i].iov_len);
		else
			memcpy((uint8_t *)data + done, iov[i].iov_base, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	return done;
}

size_t chain_read(const struct queue_chain *chain, uint64_t skip, void *to, size_t bytes)
{
	return copy(chain, false, skip, to, bytes);
}

size_t chain_write(const struct queue_chain *chain, uint64_t skip, const void *from, size_t bytes)
{
	return copy(chain, true, skip, (void *)from, bytes);
}
