// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/virtio_ring.h>

#include "shadow.h"

#define LOAD(from)		__atomic_load_n(from, __ATOMIC_ACQUIRE)
#define STORE(to, value)	__atomic_store_n(to, value, __ATOMIC_RELEASE)

/* In bytes: each part begins where the one before it ends, and that is aligned well enough. */
#define DESC_BYTES	(16u * SHADOW_SIZE)
#define AVAIL_BYTES	(4u + 2u * SHADOW_SIZE + 4u)
#define USED_BYTES	(4u + 8u * SHADOW_SIZE + 4u)
#define RING_BYTES	((DESC_BYTES + AVAIL_BYTES + USED_BYTES + 4095u) & ~4095u)
#define PAGE_BYTES	4096u

/* The layout of the available ring, in 16-bit words. */
enum { RING_IDX = 1, AVAIL_RING = 2 };

int shadow_create(struct shadow *shadow)
{
	int ret;

	shadow->bytes = RING_BYTES + PAGE_BYTES;
	shadow->chains = calloc(SHADOW_SIZE, sizeof(*shadow->chains));
	shadow->fd = shadow->chains ? memory_share(shadow->bytes) : -ENOMEM;
	if (shadow->fd < 0) {
		ret = shadow->fd;
		shadow->fd = 0;
		return ret;
	}
	shadow->base = mmap(NULL, shadow->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shadow->fd, 0);
	if (shadow->base == MAP_FAILED) {
		shadow->base = NULL;
		return -errno;
	}
	shadow->desc = shadow->base;
	shadow->avail = (uint16_t *)((uint8_t *)shadow->base + DESC_BYTES);
	shadow->used = (uint8_t *)shadow->avail + AVAIL_BYTES;
	shadow->page = (uint8_t *)shadow->base + RING_BYTES;
	for (unsigned int i = 0; i < SHADOW_SIZE; i++)
		shadow->next[i] = i + 1;
	shadow->nr_free = SHADOW_SIZE;
	return 0;
}

void shadow_destroy(struct shadow *shadow)
{
	if (shadow->base)
		munmap(shadow->base, shadow->bytes);
	if (shadow->fd)
		close(shadow->fd);
	free(shadow->chains);
}

static void copy_chain(struct queue_chain *to, const struct queue_chain *from)
{
	unsigned int count = from->out + from->in;

	memcpy(to, from, offsetof(struct queue_chain, iov));
	memcpy(to->iov, from->iov, count * sizeof(from->iov[0]));
	memcpy(to->gpa, from->gpa, count * sizeof(from->gpa[0]));
}

/* The descriptors from @head on become @chain's, and it is available. */
static void fly(struct shadow *shadow, uint16_t head, const struct queue_chain *chain)
{
	unsigned int count = chain->out + chain->in;
	uint16_t at = head;

	for (unsigned int i = 0; i < count; i++, at = shadow->next[at]) {
		struct vring_desc *desc = (struct vring_desc *)shadow->desc + at;

		*desc = (struct vring_desc){
			.addr = chain->gpa[i], .len = chain->iov[i].iov_len,
			.flags = (i >= chain->out ? VRING_DESC_F_WRITE : 0) |
				 (i + 1 < count ? VRING_DESC_F_NEXT : 0),
			.next = i + 1 < count ? shadow->next[at] : 0,
		};
	}
	shadow->owner[head] = SHADOW_FLYING;
	shadow->nr_flying++;
	shadow->avail[AVAIL_RING + shadow->next_avail % SHADOW_SIZE] = head;
	shadow->next_avail++;
	STORE(&shadow->avail[RING_IDX], shadow->next_avail);
}

bool shadow_add(struct shadow *shadow, const struct queue_chain *chain, unsigned int reserve)
{
	unsigned int count = chain->out + chain->in;
	uint16_t head = shadow->free, last = head;

	if (count + reserve > shadow->nr_free)
		return false;
	for (unsigned int i = 1; i < count; i++)
		last = shadow->next[last];
	shadow->free = shadow->next[last];
	shadow->nr_free -= count;
	copy_chain(&shadow->chains[head], chain);
	fly(shadow, head, chain);
	return true;
}

void shadow_again(struct shadow *shadow)
{
	memset(shadow->base, 0, RING_BYTES);
	shadow->nr_flying = 0;
	shadow->next_avail = 0;
	shadow->next_used = 0;
	for (unsigned int head = 0; head < SHADOW_SIZE; head++)
		if (shadow->owner[head] != SHADOW_FREE)
			fly(shadow, head, &shadow->chains[head]);
}

void shadow_land(struct shadow *shadow, const struct queue_chain *chain)
{
	unsigned int count = chain->out + chain->in;
	uint16_t head = chain - shadow->chains, last = head;

	for (unsigned int i = 1; i < count; i++)
		last = shadow->next[last];
	shadow->next[last] = shadow->free;
	shadow->free = head;
	shadow->nr_free += count;
	shadow->nr_flying -= shadow->owner[head] == SHADOW_FLYING;
	shadow->owner[head] = SHADOW_FREE;
}

bool shadow_take(struct shadow *shadow, struct queue_chain **chain)
{
	const struct vring_used *used = shadow->used;
	uint16_t waiting = LOAD(&used->idx) - shadow->next_used;
	uint32_t head;

	*chain = NULL;
	if (!waiting)
		return true;
	if (waiting > shadow->nr_flying)
		return false;
	head = LOAD(&used->ring[shadow->next_used % SHADOW_SIZE].id);
	if (head >= SHADOW_SIZE || shadow->owner[head] != SHADOW_FLYING)
		return false;
	shadow->next_used++;
	shadow->nr_flying--;
	shadow->owner[head] = SHADOW_HELD;
	*chain = &shadow->chains[head];
	return true;
}

unsigned int shadow_cover(struct shadow *shadow)
{
	unsigned int count = 0;

	for (unsigned int head = 0; head < SHADOW_SIZE; head++)
		if (shadow->owner[head] == SHADOW_HELD) {
			shadow->owner[head] = SHADOW_COVERED;
			count++;
		}
	return count;
}

struct queue_chain *shadow_find(struct shadow *shadow, enum shadow_owner owner)
{
	for (unsigned int head = 0; head < SHADOW_SIZE; head++)
		if (shadow->owner[head] != SHADOW_FREE &&
		    (owner == SHADOW_FREE || shadow->owner[head] == owner))
			return &shadow->chains[head];
	return NULL;
}

bool shadow_wants_kick(const struct shadow *shadow)
{
	const struct vring_used *used = shadow->used;

	/* The back-end looks at the ring after it wrote what is read here. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !(LOAD(&used->flags) & VRING_USED_F_NO_NOTIFY);
}
