// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bags of entry pointers: a frame's reverse map and a shadow page's parents.
 * The head is 0 (empty), a pointer (one entry), or a pointer to a chunk with
 * bit 0 set.  Only the first chunk of a chain is not full.
 *
 * The guest decides how often a page is mapped, so the size of a bag is bounded: one entry more
 * displaces another.  This bounds each walk through a bag, too.
 *
 * A fault takes its objects from caches that were filled before the lock was taken, so that it
 * cannot fail half-way.
 */
#include <linux/slab.h>
#include "internal.h"

#define CHUNK_ENTRIES	14
#define CHUNK_BIT	RMAP_CHUNK

/**
 * struct rmap_chunk - a part of a bag
 * @next: the rest of the bag, or NULL
 * @count: entries in it
 * @total: in the first chunk: entries in the whole bag
 * @spte: the entries
 */
struct rmap_chunk {
	struct rmap_chunk *next;
	u32 count;
	u32 total;
	u64 *spte[CHUNK_ENTRIES];
};

static struct kmem_cache *chunk_cache;

static struct rmap_chunk *to_chunk(unsigned long head)
{
	return (struct rmap_chunk *)(head & ~CHUNK_BIT);
}

static struct rmap_chunk *chunk_alloc(struct gondola_mmu_cache *cache)
{
	/* mmu_cache_fill() guarantees this. */
	if (WARN_ON_ONCE(!cache->count))
		return kmem_cache_zalloc(chunk_cache, GFP_ATOMIC | __GFP_NOFAIL);
	return cache->objects[--cache->count];
}

void rmap_add(struct gondola_mmu_cache *cache, unsigned long *head, u64 *spte)
{
	struct rmap_chunk *chunk;

	if (!*head) {
		*head = (unsigned long)spte;
		return;
	}
	if (!(*head & CHUNK_BIT)) {
		chunk = chunk_alloc(cache);
		chunk->next = NULL;
		chunk->spte[0] = (u64 *)*head;
		chunk->count = 1;
		chunk->total = 1;
		*head = (unsigned long)chunk | CHUNK_BIT;
	}
	chunk = to_chunk(*head);
	if (chunk->count == CHUNK_ENTRIES) {
		struct rmap_chunk *full = chunk;

		chunk = chunk_alloc(cache);
		chunk->next = full;
		chunk->count = 0;
		chunk->total = full->total;
		*head = (unsigned long)chunk | CHUNK_BIT;
	}
	chunk->spte[chunk->count++] = spte;
	chunk->total++;
}

unsigned int rmap_size(unsigned long head)
{
	return head & CHUNK_BIT ? to_chunk(head)->total : head != 0;
}

unsigned int rmap_bytes(unsigned long head)
{
	unsigned int chunks = head & CHUNK_BIT ? DIV_ROUND_UP(rmap_size(head), CHUNK_ENTRIES) : 0;

	return chunks * sizeof(struct rmap_chunk);
}

bool rmap_chunks_are_full(unsigned long head)
{
	return to_chunk(head)->total >= RMAP_MAX;
}

u64 *rmap_victim(unsigned long head, unsigned int turn)
{
	struct rmap_chunk *chunk = to_chunk(head);
	unsigned int at = turn % RMAP_MAX;

	/* Do not take the newest, which the same instruction may need as well. */
	if (at == chunk->count - 1)
		at = 0;
	for (; at >= chunk->count; chunk = chunk->next) {
		mmu_step(1);
		at -= chunk->count;
	}
	return chunk->spte[at];
}

bool rmap_remove(unsigned long *head, u64 *spte)
{
	struct rmap_chunk *first, *chunk;
	unsigned int i;

	if (*head == (unsigned long)spte) {
		*head = 0;
		return true;
	}
	if (!(*head & CHUNK_BIT))
		return false;
	first = to_chunk(*head);
	for (chunk = first; chunk; chunk = chunk->next) {
		mmu_step(1);
		for (i = 0; i < chunk->count; i++)
			if (chunk->spte[i] == spte)
				goto found;
	}
	return false;
found:
	/* Fill the hole from the first chunk, the only one that need not be full. */
	chunk->spte[i] = first->spte[--first->count];
	first->total--;
	if (first->count)
		return true;
	if (first->next)
		first->next->total = first->total;
	*head = first->next ? (unsigned long)first->next | CHUNK_BIT : 0;
	kmem_cache_free(chunk_cache, first);
	return true;
}

u64 *rmap_first(unsigned long head)
{
	if (!(head & CHUNK_BIT))
		return (u64 *)head;
	return to_chunk(head)->spte[0];
}

bool rmap_has(unsigned long head, const u64 *spte)
{
	struct rmap_chunk *chunk;
	unsigned int i;

	if (!(head & CHUNK_BIT))
		return head == (unsigned long)spte;
	for (chunk = to_chunk(head); chunk; chunk = chunk->next)
		for (i = 0; i < chunk->count; i++)
			if (chunk->spte[i] == spte)
				return true;
	return false;
}

void rmap_visit(unsigned long head, bool (*visit)(u64 *spte, void *arg), void *arg)
{
	struct rmap_chunk *chunk;
	unsigned int i;

	if (!(head & CHUNK_BIT)) {
		mmu_step(1);
		if (head)
			visit((u64 *)head, arg);
		return;
	}
	for (chunk = to_chunk(head); chunk; chunk = chunk->next)
		for (i = 0; i < chunk->count; i++) {
			mmu_step(1);
			if (visit(chunk->spte[i], arg))
				return;
		}
}

struct protect_state {
	bool any;
	bool written;
};

static bool write_protect_one(u64 *spte, void *arg)
{
	struct protect_state *state = arg;

	if (READ_ONCE(*spte) & PT_W) {
		state->any = true;
		/* The processor may set D until W is clear. */
		if (mmu_entry_change(spte, ~PT_W, 0) & PT_D)
			state->written = true;
	}
	return false;
}

bool rmap_write_protect(unsigned long head, bool *written)
{
	struct protect_state state = {};

	rmap_visit(head, write_protect_one, &state);
	*written = state.written;
	return state.any;
}

static bool harvest_one(u64 *spte, void *any)
{
	if ((READ_ONCE(*spte) & (PT_W | PT_D)) == (PT_W | PT_D)) {
		mmu_entry_change(spte, ~PT_D, 0);
		*(bool *)any = true;
	}
	return false;
}

bool rmap_harvest(unsigned long head)
{
	bool any = false;

	rmap_visit(head, harvest_one, &any);
	return any;
}

#define PAGES_PER_FAULT		6	/* four levels, and what a PAE root needs */
#define CHUNKS_PER_FAULT	36	/* each new entry may need one, prefetched ones too */

/* May sleep. */
int mmu_cache_fill(struct gondola_vcpu *vcpu)
{
	struct gondola_mmu_cache *pages = &vcpu->mmu.page_cache;
	struct gondola_mmu_cache *chunks = &vcpu->mmu.rmap_cache;

	static_assert(CHUNKS_PER_FAULT <= ARRAY_SIZE(chunks->objects));
	if (likely(pages->count >= PAGES_PER_FAULT && chunks->count >= CHUNKS_PER_FAULT))
		return 0;
	while (pages->count < PAGES_PER_FAULT) {
		void *page = mmu_page_alloc(GFP_KERNEL_ACCOUNT, false);

		if (!page)
			return -ENOMEM;
		pages->objects[pages->count++] = page;
	}
	while (chunks->count < (int)ARRAY_SIZE(chunks->objects)) {
		void *chunk = kmem_cache_alloc(chunk_cache, GFP_KERNEL_ACCOUNT);

		if (!chunk)
			return -ENOMEM;
		chunks->objects[chunks->count++] = chunk;
	}
	return 0;
}

void mmu_cache_empty(struct gondola_vcpu *vcpu)
{
	struct gondola_mmu_cache *pages = &vcpu->mmu.page_cache;
	struct gondola_mmu_cache *chunks = &vcpu->mmu.rmap_cache;

	while (pages->count)
		mmu_page_free(pages->objects[--pages->count]);
	while (chunks->count)
		kmem_cache_free(chunk_cache, chunks->objects[--chunks->count]);
}

int rmap_init(void)
{
	static_assert(sizeof(struct rmap_chunk) == 128);
	/* All chunks of a full bag are full. */
	static_assert(RMAP_MAX % CHUNK_ENTRIES == 0);
	chunk_cache = kmem_cache_create("gondola_rmap", sizeof(struct rmap_chunk), 128, SLAB_ACCOUNT,
					NULL);
	return chunk_cache ? 0 : -ENOMEM;
}

void rmap_exit(void)
{
	kmem_cache_destroy(chunk_cache);
}
