/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The difference of a page from what was sent for it before.
 *
 * A delta is a row of { u16 skip; u16 bytes; u8 new[bytes] }, little-endian,
 * from the page's start: leave @skip bytes as they are, then put @bytes new
 * ones.  It never reaches beyond the page.
 */
#ifndef MIGRATE_DELTA_H
#define MIGRATE_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** delta_make() - its length; 0 if it would be longer than @room; @now and @before differ */
size_t delta_make(const uint8_t *before, const uint8_t *now, uint8_t *delta, size_t room);
/** delta_apply() - false, and nothing changed, unless the whole delta is well-formed */
bool delta_apply(uint8_t *page, const uint8_t *delta, size_t bytes);

/**
 * struct page_cache - pages as they were sent last
 *
 * Of every page a hash is kept, which tells an unchanged page; of those sent
 * more than once also the page, as many as there is room for.
 */
struct page_cache;

/** page_cache_create() - for @pages of memory, @bytes for copies; NULL: no memory */
struct page_cache *page_cache_create(uint64_t pages, uint64_t bytes);
void page_cache_destroy(struct page_cache *cache);
/** page_cache_same() - is @data what was sent for @page last? If not, it is from now on */
bool page_cache_same(struct page_cache *cache, uint64_t page, const uint8_t *data);
/**
 * page_cache_delta() - what @data differs by from what was sent for @page before
 *
 * Its length at @delta, or 0: there is no copy, or it is not worth it.  Then @data goes whole,
 * and a copy is kept if @keep.
 */
size_t page_cache_delta(struct page_cache *cache, uint64_t page, const uint8_t *data, bool keep,
			uint8_t *delta, size_t room);
/** page_cache_forget() - a page was sent by other means (as zeroes) */
void page_cache_forget(struct page_cache *cache, uint64_t page);

#endif
