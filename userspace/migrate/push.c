// SPDX-License-Identifier: GPL-2.0-only
/*
 * Post-copy, the source: the VM runs at the target and its pages follow.  First come pages for
 * which it waits; then those around them, outwards from the last such page; then the rest, most
 * recently written first.  If the link is lost the pages stay here until the user gives another
 * link.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <time.h>

#include "source.h"
#include "control/control.h"
#include "base/fail.h"
#include "base/wait.h"

#define WANTS		1024u		/* pages requested and not yet sent */
#define PIVOTS		8u		/* places of recent requests */
#define BUBBLE		64u		/* the most pages sent around each, on either side */
#define BATCH		8u		/* pages between two checks for requests */
#define QUEUED_MAX	(96u << 10)	/* with more unsent bytes a requested page would be late */

struct pivot {
	uint64_t left;
	uint64_t right;
	unsigned int sent;
};

/**
 * struct push - the state of sending over one link
 * @wants: a ring of requested pages, from @first on
 * @order: pages by recency; @next is the next one to check
 * @left: pages that the target still lacks
 * @pivots: places of requests, the last one first
 */
struct push {
	struct source *s;
	pthread_t reader;
	uint64_t wants[WANTS];
	unsigned int first;
	unsigned int count;
	bool lost;
	bool finished;
	struct wire_finished end;
	uint64_t *order;
	uint64_t nr_order;
	uint64_t next;
	uint64_t left;
	struct pivot pivots[PIVOTS];
	unsigned int nr_pivots;
};

static bool is_missing(const struct source *s, uint64_t page)
{
	return page < s->pages && s->dirty[page / 64] >> (page % 64) & 1;
}

static uint64_t count_missing(const struct source *s)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < s->words; i++)
		count += __builtin_popcountll(s->dirty[i]);
	return count;
}

bool push_missing(struct source *s)
{
	return link_put_missing(&s->link, s->dirty, s->pages);
}

/* ---- what the target says ------------------------------------------------------------- */

static bool take_wants(struct push *push, const struct stream_record *record)
{
	const uint64_t *gpas = (const void *)record->data;
	struct source *s = push->s;
	unsigned int count = record->bytes / sizeof(*gpas);

	if (!count || record->bytes % sizeof(*gpas) || count > WIRE_WANTS_MAX)
		return link_fail(&s->link, "the target wants %u bytes of pages", record->bytes);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t low = s->vm->memory.low;
		uint64_t at = gpas[i] < low ? gpas[i] : gpas[i] - MEMORY_HIGH + low;

		if (!memory_at(&s->vm->memory, gpas[i] & ~4095ull, 4096))
			return link_fail(&s->link, "the target wants 0x%llx, which is no memory",
					 (unsigned long long)gpas[i]);
		/* A request that is dropped here is sent with the rest. */
		if (push->count < WANTS)
			push->wants[(push->first + push->count++) % WANTS] = at / 4096;
	}
	return true;
}

static void *read_wants(void *argument)
{
	struct push *push = argument;
	struct source *s = push->s;
	struct stream_record record;
	bool good = true;

	while (good && !push->finished) {
		struct pollfd ready = { .fd = s->link.transport.fd, .events = POLLIN };

		/* Silence does not mean a loss: the guest may need no page for long. */
		while (poll(&ready, 1, -1) < 0 && errno == EINTR)
			;
		good = link_read(&s->link, &record);
		pthread_mutex_lock(&s->lock);
		if (good && record.type == WIRE_WANT) {
			good = take_wants(push, &record);
		} else if (good && record.type == WIRE_FINISHED &&
			   record.bytes == sizeof(push->end)) {
			memcpy(&push->end, record.data, sizeof(push->end));
			push->finished = true;
		} else if (good) {
			good = link_fail(&s->link, "the target says what makes no sense here");
		}
		push->lost |= !good;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

/* ---- what goes when -------------------------------------------------------------------- */

/* Sort by counting: the most recent first, equal ones by address. */
static bool make_order(struct push *push)
{
	const struct source *s = push->s;
	uint64_t at[257] = { 0 };

	push->order = malloc((s->pages ?: 1) * sizeof(*push->order));
	if (!push->order)
		return false;
	for (uint64_t page = 0; page < s->pages; page++)
		if (is_missing(s, page))
			at[256 - s->heat[page]]++;
	for (unsigned int i = 1; i < 257; i++)
		at[i] += at[i - 1];
	push->nr_order = at[256];
	for (uint64_t page = s->pages; page-- > 0;)
		if (is_missing(s, page))
			push->order[--at[256 - s->heat[page]]] = page;
	return true;
}

static void send_one(struct push *push, uint64_t page)
{
	struct report_round unused = { 0 };
	struct source *s = push->s;

	s->dirty[page / 64] &= ~(1ull << (page % 64));
	push->left--;
	precopy_send_page(s, page, &unused);
}

static void new_pivot(struct push *push, uint64_t page)
{
	if (push->nr_pivots < PIVOTS)
		push->nr_pivots++;
	memmove(push->pivots + 1, push->pivots, (push->nr_pivots - 1) * sizeof(push->pivots[0]));
	push->pivots[0] = (struct pivot){ .left = page, .right = page };
}

/* True if a page was requested. */
static bool serve_wants(struct push *push)
{
	struct source *s = push->s;
	bool any = false;

	for (;;) {
		uint64_t page;

		pthread_mutex_lock(&s->lock);
		if (!push->count) {
			pthread_mutex_unlock(&s->lock);
			return any;
		}
		page = push->wants[push->first];
		push->first = (push->first + 1) % WANTS;
		push->count--;
		pthread_mutex_unlock(&s->lock);
		any = true;
		new_pivot(push, page);
		if (!is_missing(s, page))
			continue;
		send_one(push, page);
		link_flush(&s->link);
	}
}

/* The next page outwards from the most recent place that has pages left. */
static bool send_around(struct push *push)
{
	struct source *s = push->s;

	for (unsigned int i = 0; i < push->nr_pivots; i++) {
		struct pivot *pivot = &push->pivots[i];

		while (pivot->sent < BUBBLE) {
			/* Programs go upwards more often: two steps up for one down. */
			uint64_t page = pivot->sent++ % 3 == 2 && pivot->left ? --pivot->left :
					++pivot->right;

			if (!is_missing(s, page))
				continue;
			send_one(push, page);
			s->report.prefetched++;
			return true;
		}
	}
	return false;
}

static bool send_next(struct push *push)
{
	if (send_around(push))
		return true;
	while (push->next < push->nr_order) {
		uint64_t page = push->order[push->next++];

		if (!is_missing(push->s, page))
			continue;
		send_one(push, page);
		push->s->report.pushed++;
		return true;
	}
	return false;
}

static void wait_a_moment(struct source *s, struct push *push, long ns)
{
	struct timespec until = wait_deadline(ns);

	pthread_mutex_lock(&s->lock);
	if (!push->count && !push->lost && !push->finished)
		wait_until(&s->changed, &s->lock, &until);
	pthread_mutex_unlock(&s->lock);
}

static bool over(struct push *push)
{
	bool over;

	pthread_mutex_lock(&push->s->lock);
	over = push->lost || push->finished || push->s->link.out.error;
	pthread_mutex_unlock(&push->s->lock);
	return over;
}

static void set_pushing(struct source *s, bool pushing)
{
	pthread_mutex_lock(&s->lock);
	s->pushing = pushing;
	pthread_mutex_unlock(&s->lock);
}

static void flowed(struct source *s)
{
	__atomic_store_n(&s->flowed_ns, wait_now_ns(), __ATOMIC_RELAXED);
}

/*
 * Does the link transfer data?  @before: unsent bytes at the last check; @posted: the target owes
 * an answer, which takes no time.
 */
static bool flows(struct source *s, unsigned int *before, bool posted)
{
	unsigned int unsent = link_unsent(&s->link);

	if (unsent != *before || (!unsent && !posted))
		flowed(s);
	*before = unsent;
	return wait_now_ns() - s->flowed_ns < LINK_TIMEOUT_MS * 1000000ull ||
	       link_fail(&s->link, "nothing gets across");
}

/* Send over one link, until everything has arrived (true) or the link is lost. */
static bool push_over(struct source *s, struct push *push)
{
	unsigned int unsent = 0;
	bool posted = false;

	push->left = count_missing(s);
	if (!make_order(push) || pthread_create(&push->reader, NULL, read_wants, push))
		return link_fail(&s->link, "out of memory");
	flowed(s);
	set_pushing(s, true);
	while (!over(push) && flows(s, &unsent, posted)) {
		serve_wants(push);
		if (push->left && link_unsent(&s->link) < QUEUED_MAX) {
			for (unsigned int i = 0; i < BATCH && send_next(push); i++)
				;
			link_flush(&s->link);
			source_progress(s, false);
		} else if (!push->left && !posted) {
			posted = link_put(&s->link, WIRE_POSTED, NULL, 0);
			flowed(s);
		} else {
			wait_a_moment(s, push, posted ? 100000000 : 1000000);
		}
	}
	set_pushing(s, false);
	if (!push->finished)
		transport_cut(&s->link.transport);
	pthread_join(push->reader, NULL);
	free(push->order);
	return push->finished;
}

/* ---- another link -------------------------------------------------------------------- */

/* Ask the target for its missing pages: pages in flight were lost with the link. */
static bool take_missing(struct source *s)
{
	struct stream_record record;
	uint64_t pages = 0;

	while (pages < s->pages) {
		const struct wire_missing *head;

		if (!link_read(&s->link, &record))
			return false;
		head = (const void *)record.data;
		if (record.type != WIRE_MISSING || record.bytes < sizeof(*head) ||
		    head->first != pages || !head->pages || head->pages > WIRE_MISSING_MAX ||
		    head->pages > s->pages - pages ||
		    record.bytes != sizeof(*head) + (head->pages + 7) / 8)
			return link_fail(&s->link, "the target does not say what it lacks");
		memcpy((uint8_t *)s->dirty + pages / 8, head + 1, (head->pages + 7) / 8);
		pages += head->pages;
	}
	if (s->pages % 64)
		s->dirty[s->words - 1] &= (1ull << (s->pages % 64)) - 1;
	return true;
}

bool push_reconnect(struct source *s, int fd)
{
	struct wire_recover hello = { .protocol = WIRE_PROTOCOL };
	uint64_t bytes = source_bytes(s);

	link_close(&s->link);
	s->link = (struct link){ .transport.fd = -1, .limit = s->options.bandwidth };
	s->lost_bytes = bytes;
	memcpy(hello.token, s->token, sizeof(hello.token));
	return transport_take(&s->link.transport, fd, LINK_TIMEOUT_MS, &s->link.error) &&
	       link_start(&s->link, 0, 0) &&
	       link_put(&s->link, WIRE_RECOVER, &hello, sizeof(hello)) &&
	       link_greet(&s->link) && take_missing(s);
}

static void wait_for_recovery(struct source *s)
{
	char words[256];
	const char *state = count_missing(s) ? "it needs pages from here" :
			    "all pages were sent, and it may have them";
	int fd;

	for (;;) {
		snprintf(words, sizeof(words),
			 "the link was lost after the VM changed hands; %s: gondola migrate-recover NAME ADDRESS there, then gondola migrate-recover %s ADDRESS here",
			 state, s->vm->name);
		snprintf(s->report.words, sizeof(s->report.words), "%s", words);
		vm_pause_because(s->vm, PAUSE_ERROR, words);
		if (s->phase == MIGRATE_BROKEN)
			source_progress(s, true);
		else
			source_phase(s, MIGRATE_BROKEN);
		control_state_event(s->vm);
		say("%s: %s (%s)", s->vm->name, words, s->link.error.words);
		pthread_mutex_lock(&s->lock);
		while (!s->recover_asked && !vm_ending(s->vm))
			pthread_cond_wait(&s->changed, &s->lock);
		s->recover_asked = false;
		fd = source_recover_fd(s);
		pthread_mutex_unlock(&s->lock);
		if (vm_ending(s->vm)) {
			if (fd >= 0)
				close(fd);
			return;
		}
		if (push_reconnect(s, fd)) {
			vm_unpause(s->vm, PAUSE_ERROR);
			return;
		}
	}
}

void push_all(struct source *s)
{
	struct push push;

	/* The target has dropped these pages, so deltas would be meaningless. */
	page_cache_destroy(s->cache);
	s->cache = NULL;
	for (;;) {
		push = (struct push){ .s = s };
		if (push_over(s, &push))
			break;
		wait_for_recovery(s);
		if (vm_ending(s->vm))
			return;
		source_phase(s, MIGRATE_POSTCOPY);
	}
	s->report.faults = push.end.faults;
	s->report.fault_ns = push.end.fault_ns;
	s->report.fault_max_ns = push.end.fault_max_ns;
	if (s->report.answer)
		snprintf(s->report.answer_cost, sizeof(s->report.answer_cost),
			 "the guest waited for %llu pages, %.1f ms in all",
			 (unsigned long long)push.end.faults, push.end.fault_ns / 1e6);
}
