// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "copies.h"
#include "delta.h"

#define PAGE	4096u
#define HEADER	4u	/* size of a run's two lengths */

static size_t equal_run(const uint8_t *a, const uint8_t *b, size_t at)
{
	size_t start = at;

	while (at + 8 <= PAGE && !memcmp(a + at, b + at, 8))
		at += 8;
	while (at < PAGE && a[at] == b[at])
		at++;
	return at - start;
}

/* A run ends at as many equal bytes as a new run's header costs. */
static size_t different_run(const uint8_t *a, const uint8_t *b, size_t at)
{
	size_t start = at, end = at;

	while (at < PAGE && at - end <= HEADER) {
		if (a[at] != b[at])
			end = at + 1;
		at++;
	}
	return end - start;
}

static void put16(uint8_t *to, size_t value)
{
	to[0] = value & 0xff;
	to[1] = value >> 8;
}

static size_t get16(const uint8_t *from)
{
	return from[0] | (size_t)from[1] << 8;
}

size_t delta_make(const uint8_t *before, const uint8_t *now, uint8_t *delta, size_t room)
{
	size_t at = 0, used = 0;

	for (;;) {
		size_t skip = equal_run(before, now, at), bytes;

		at += skip;
		if (at == PAGE)
			return used;
		bytes = different_run(before, now, at);
		if (used + HEADER + bytes > room)
			return 0;
		put16(delta + used, skip);
		put16(delta + used + 2, bytes);
		memcpy(delta + used + HEADER, now + at, bytes);
		used += HEADER + bytes;
		at += bytes;
	}
}

bool delta_apply(uint8_t *page, const uint8_t *delta, size_t bytes)
{
	/* Check the whole delta before applying it. */
	for (int pass = 0; pass < 2; pass++) {
		size_t used = 0, at = 0;

		while (used < bytes) {
			size_t length;

			if (bytes - used < HEADER)
				return false;
			at += get16(delta + used);
			length = get16(delta + used + 2);
			used += HEADER;
			if (!length || at > PAGE || length > PAGE - at || length > bytes - used)
				return false;
			if (pass)
				memcpy(page + at, delta + used, length);
			used += length;
			at += length;
		}
	}
	return true;
}

/* ---- pages as they were sent ---------------------------------------------------------- */

/**
 * struct page_cache - see delta.h
 * @hashes: of every page's last contents sent; 0: not sent yet
 * @owners: the page (+ 1) in each place of @copies; 0: none
 * @places: number of places, a power of two, or 0
 */
struct page_cache {
	uint64_t pages;
	uint64_t *hashes;
	uint64_t places;
	uint64_t *owners;
	uint8_t *copies;
};

struct page_cache *page_cache_create(uint64_t pages, uint64_t bytes)
{
	struct page_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->pages = pages;
	cache->hashes = calloc(pages, sizeof(*cache->hashes));
	if (bytes >= PAGE)
		cache->places = 1;
	while (cache->places && cache->places * 2 * PAGE <= bytes && cache->places < pages)
		cache->places *= 2;
	if (cache->places) {
		cache->owners = calloc(cache->places, sizeof(*cache->owners));
		cache->copies = copies_alloc(cache->places * PAGE);
		/* It is used sparsely, so clearing huge pages would be a waste. */
		if (cache->copies)
			madvise(cache->copies, cache->places * PAGE, MADV_NOHUGEPAGE);
	}
	if (cache->hashes && (!cache->places || (cache->owners && cache->copies)))
		return cache;
	page_cache_destroy(cache);
	return NULL;
}

void page_cache_destroy(struct page_cache *cache)
{
	if (!cache)
		return;
	free(cache->hashes);
	free(cache->owners);
	copies_free(cache->copies, cache->places * PAGE);
	free(cache);
}

/* With 64 bits a collision is as unlikely as an error that checksums miss. */
static uint64_t hash(const uint8_t *data)
{
	uint64_t a = 0x9e3779b97f4a7c15ull, b = 0xc2b2ae3d27d4eb4full, words[2];

	for (size_t i = 0; i < PAGE; i += sizeof(words)) {
		memcpy(words, data + i, sizeof(words));
		a = (a ^ words[0]) * 0xff51afd7ed558ccdull;
		a ^= a >> 32;
		b = (b ^ words[1]) * 0xc4ceb9fe1a85ec53ull;
		b ^= b >> 29;
	}
	a = (a ^ (b << 17 | b >> 47)) * 0x9fb21c651e98df25ull;
	a ^= a >> 28;
	return a ?: 1;
}

bool page_cache_same(struct page_cache *cache, uint64_t page, const uint8_t *data)
{
	uint64_t now = hash(data);

	if (cache->hashes[page] == now)
		return true;
	cache->hashes[page] = now;
	return false;
}

size_t page_cache_delta(struct page_cache *cache, uint64_t page, const uint8_t *data, bool keep,
			uint8_t *delta, size_t room)
{
	uint64_t place = page & (cache->places - 1);
	uint8_t *copy;
	size_t bytes;

	if (!cache->places)
		return 0;
	copy = cache->copies + place * PAGE;
	if (cache->owners[place] == page + 1) {
		bytes = delta_make(copy, data, delta, room);
		memcpy(copy, data, PAGE);
		return bytes;
	}
	if (keep) {
		cache->owners[place] = page + 1;
		memcpy(copy, data, PAGE);
	}
	return 0;
}

size_t page_cache_try(const struct page_cache *cache, uint64_t page, const uint8_t *data,
		      uint8_t *delta, size_t room)
{
	uint64_t place = page & (cache->places - 1);

	if (cache->hashes[page] == hash(data))
		return 0;
	if (!cache->places || cache->owners[place] != page + 1)
		return PAGE;
	return delta_make(cache->copies + place * PAGE, data, delta, room) ?: PAGE;
}

void page_cache_forget(struct page_cache *cache, uint64_t page)
{
	uint64_t place = page & (cache->places - 1);

	cache->hashes[page] = 0;
	if (cache->places && cache->owners[place] == page + 1)
		cache->owners[place] = 0;
}
