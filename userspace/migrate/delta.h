/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The difference of a page from its last contents sent.
 *
 * A delta is a sequence of { u16 skip; u16 bytes; u8 new[bytes] }, little-endian, from the page's
 * start: skip @skip bytes, then write @bytes new ones.  It never reaches beyond the page.
 */
#ifndef MIGRATE_DELTA_H
#define MIGRATE_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** delta_make() - make a delta; returns its length, or 0 if @room is too small; @now and @before differ */
size_t delta_make(const uint8_t *before, const uint8_t *now, uint8_t *delta, size_t room);
/** delta_apply() - apply a delta; false, with nothing changed, if it is malformed */
bool delta_apply(uint8_t *page, const uint8_t *delta, size_t bytes);

/**
 * struct page_cache - the last contents sent of pages
 *
 * It has a hash of every page, which identifies unchanged pages, and copies of pages that were sent
 * more than once, as far as there is room.
 */
struct page_cache;

/**
 * page_cache_create() - create a cache for @pages of memory, with @bytes for copies; NULL: out of
 * memory
 */
struct page_cache *page_cache_create(uint64_t pages, uint64_t bytes);
void page_cache_destroy(struct page_cache *cache);
/** page_cache_same() - is @data the last contents sent of @page?  If not, note it as sent */
bool page_cache_same(struct page_cache *cache, uint64_t page, const uint8_t *data);
/**
 * page_cache_delta() - make the delta of @data from the last contents sent of @page
 *
 * Returns the length of @delta; or 0 if there is no copy, or it saves too little.  Then send @data
 * as a whole; a copy is kept if @keep.
 */
size_t page_cache_delta(struct page_cache *cache, uint64_t page, const uint8_t *data, bool keep,
			uint8_t *delta, size_t room);
/**
 * page_cache_try() - how many bytes of @data would be sent for @page, without sending it
 *
 * 0 if it is the same, else a delta's, made at @delta, or all of the page's.
 */
size_t page_cache_try(const struct page_cache *cache, uint64_t page, const uint8_t *data,
		      uint8_t *delta, size_t room);
/** page_cache_forget() - forget a page, since it was sent as zeroes */
void page_cache_forget(struct page_cache *cache, uint64_t page);

#endif
