// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages themselves.  They are taken from the page allocator in chunks as
 * large as it has them, which are neighbours in one run, and are kept one by one:
 * each can be moved by compaction, and be given back alone.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/virtio_config.h>
#include <linux/vmstat.h>

#include "balloon.h"
#include "compat.h"

#define LARGEST		MAX_PAGE_ORDER

/* Is the balloon's memory no longer the guest's? Where the guest may take it back by itself, it is. */
static bool counts(struct balloon *b)
{
	return !virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
}

static void count_run(struct balloon *b, const struct run *run, int sign)
{
	struct page *first = pfn_to_page(run->pfn);

	if (!counts(b))
		return;
	if (page_zone(first) == page_zone(first + run->pages - 1)) {
		adjust_managed_page_count(first, sign * (long)run->pages);
		return;
	}
	for (u32 i = 0; i < run->pages; i++)
		adjust_managed_page_count(first + i, sign);
}

static void tell(struct balloon *b, bool inflate)
{
	for (unsigned int i = 0; i < b->runs.count; i++)
		count_run(b, &b->runs.run[i], inflate ? -1 : 1);
	tell_runs(b, b->vqs[inflate ? VQ_INFLATE : VQ_DEFLATE]);
}

#define GFP_BALLOON	((COMPAT_BALLOON_MOVES ? GFP_HIGHUSER_MOVABLE : GFP_HIGHUSER) | \
			 __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN)

/* A chunk of @count pages or less that is free by now. */
static struct page *take_chunk(struct balloon *b, unsigned long count, unsigned int *order)
{
	for (*order = min_t(unsigned int, b->low_order, ilog2(count));; --*order) {
		struct page *page = alloc_pages((GFP_BALLOON & ~__GFP_RECLAIM) | __GFP_NOWARN,
						*order);

		if (page) {
			split_page(page, *order);
			return page;
		}
		if (!*order)
			return NULL;
		b->low_order = *order - 1;
	}
}

static void add_chunk(struct balloon *b, struct page *chunk, unsigned int order)
{
	LIST_HEAD(list);

	for (unsigned int i = 0; i < 1u << order; i++)
		list_add_tail(&chunk[i].lru, &list);
	balloon_page_list_enqueue(&b->pages, &list);
	b->held += 1ul << order;
	if (!runs_add(&b->runs, page_to_pfn(chunk), 1u << order)) {
		tell(b, true);
		runs_add(&b->runs, page_to_pfn(chunk), 1u << order);
	}
}

/*
 * Single pages for which others are asked to give way.  Reclaim may wait for a lock of a file
 * system, and its holder for memory, in our OOM notifier: so b->lock is let go meanwhile, and the
 * device knows of all pages in the balloon by then.
 */
static void take_reclaimed(struct balloon *b, struct list_head *list, unsigned long count)
{
	struct page *page;

	tell(b, true);
	mutex_unlock(&b->lock);
	lockdep_assert_not_held(&b->lock);
	while (count-- && (page = alloc_page(GFP_BALLOON)))
		list_add_tail(&page->lru, list);
	mutex_lock(&b->lock);
}

/* Does the goal still stand, after the lock was let go? */
static bool goes_on(const struct balloon *b)
{
	return !READ_ONCE(b->broken) && !READ_ONCE(b->stopped) && !b->sleepy &&
	       b->goal.reason == GONDOLA_BALLOON_RUNNING;
}

/* Returns how many there were; those that came too late are freed. */
static unsigned long add_reclaimed(struct balloon *b, unsigned long count)
{
	struct page *page, *next;
	unsigned long got = 0;
	LIST_HEAD(list);

	take_reclaimed(b, &list, min_t(unsigned long, count, RUNS_MAX));
	list_for_each_entry_safe(page, next, &list, lru) {
		list_del(&page->lru);
		if (goes_on(b)) {
			add_chunk(b, page, 0);
			got++;
		} else {
			put_page(page);
		}
	}
	return got;
}

unsigned long balloon_inflate(struct balloon *b, unsigned long count)
{
	unsigned long got = 0;

	b->low_order = LARGEST;
	while (got < count && goes_on(b)) {
		unsigned int order;
		struct page *chunk = take_chunk(b, count - got, &order);
		unsigned long more;

		if (chunk) {
			add_chunk(b, chunk, order);
			got += 1ul << order;
			continue;
		}
		more = add_reclaimed(b, count - got);
		if (!more)
			break;
		got += more;
	}
	tell(b, true);
	return got;
}

unsigned long balloon_deflate(struct balloon *b, unsigned long count)
{
	struct page *page, *next;
	LIST_HEAD(list);
	unsigned long got = balloon_page_list_dequeue(&b->pages, &list, count);

	list_for_each_entry(page, &list, lru) {
		if (!runs_add(&b->runs, page_to_pfn(page), 1)) {
			tell(b, false);
			runs_add(&b->runs, page_to_pfn(page), 1);
		}
	}
	tell(b, false);
	/* Used again only now that the device knows. */
	list_for_each_entry_safe(page, next, &list, lru) {
		list_del(&page->lru);
		put_page(page);
	}
	b->held -= got;
	return got;
}

void balloon_empty(struct balloon *b)
{
	mutex_lock(&b->lock);
	while (b->held) {
		if (!balloon_deflate(b, GOAL_BATCH)) {
			/* The rest is being moved just now. */
			mutex_unlock(&b->lock);
			msleep(20);
			mutex_lock(&b->lock);
		}
		cond_resched();
	}
	balloon_write_actual(b);
	mutex_unlock(&b->lock);
}

void balloon_write_actual(struct balloon *b)
{
	u32 actual = b->held;

	if (!READ_ONCE(b->broken))
		virtio_cwrite_le(b->vdev, struct virtio_balloon_config, actual, &actual);
}

/* Compaction moves a page of ours: give the new one up, then take the old one back. */
int balloon_migrate(struct balloon_dev_info *pages, struct page *to, struct page *from,
		    enum migrate_mode mode)
{
	struct balloon *b = container_of(pages, struct balloon, pages);

	/* The holder may be waiting for compaction. */
	if (!mutex_trylock(&b->lock))
		return -EAGAIN;
	runs_add(&b->runs, page_to_pfn(to), 1);
	tell(b, true);
	runs_add(&b->runs, page_to_pfn(from), 1);
	tell(b, false);
	compat_balloon_moved(pages, to, from);
	mutex_unlock(&b->lock);
	return 0;
}
