// SPDX-License-Identifier: GPL-2.0-only
/*
 * The standard's "Traditional Memory Balloon Device", with the additions of
 * <linux/gondola_balloon.h>.  Pages that the guest gives are returned to the host at once,
 * neighbours by one call, and read as zero when they are used again.
 *
 * The bitmap has the pages in the balloon.  With MUST_TELL_HOST their contents are not needed any
 * more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>

#include "base/wait.h"
#include "vm/probes.h"
#include "balloon_device.h"
#include "devices.h"

#define BIT64(n)	(1ull << (n))
#define PIECE		(4u << 20)	/* returned to the host by one call */
#define PIECE_SHARE	(PIECE / VIRTIO_PIECE)	/* so much cheaper are its bytes than copied ones */

_Static_assert(sizeof(struct virtio_balloon_config) <= GONDOLA_BALLOON_CONFIG,
	       "the extension lies behind the standard's configuration");

/* ---- pages: lock held -------------------------------------------------------------- */

static uint64_t page_of(const struct balloon *balloon, const void *at)
{
	return ((const uint8_t *)at - balloon->memory->base) / BALLOON_PAGE;
}

static bool test_bit(const struct balloon *balloon, uint64_t page)
{
	return balloon->bits[page / 64] & BIT64(page % 64);
}

static void set_range(struct balloon *balloon, uint64_t first, uint64_t count)
{
	for (uint64_t page = first; page < first + count; page++) {
		balloon->held += !test_bit(balloon, page);
		balloon->bits[page / 64] |= BIT64(page % 64);
	}
}

/* The bits of the pages from @page to @end, as far as they lie in one word. */
static uint64_t word_mask(uint64_t page, uint64_t end)
{
	uint64_t first = page % 64, last = end - page < 64 - first ? first + (end - page) : 64;

	return ~0ull << first & ~0ull >> (64 - last);
}

/* False, with nothing changed, if a page is not in the balloon. */
static bool clear_range(struct balloon *balloon, uint64_t first, uint64_t count)
{
	uint64_t end = first + count;

	for (uint64_t page = first; page < end; page += 64 - page % 64)
		if (~balloon->bits[page / 64] & word_mask(page, end))
			return false;
	for (uint64_t page = first; page < end; page += 64 - page % 64)
		balloon->bits[page / 64] &= ~word_mask(page, end);
	balloon->held -= count;
	return true;
}

/* A migration must send that the page is empty now. */
static void now_zero(struct balloon *balloon, uint64_t gpa, uint64_t bytes)
{
	const struct queue *queue = &balloon->device.queues[0];

	if (queue->dirty)
		queue->dirty(queue->dirty_argument, gpa, bytes);
}

static void discard(struct balloon *balloon, void *at, uint64_t gpa, uint64_t bytes)
{
	int ret;

	/* The receiver of memory must not fill the page once it is empty. */
	if (balloon->hooks.discarded)
		balloon->hooks.discarded(balloon->hooks.argument, gpa, bytes);
	ret = memory_discard(balloon->memory, at, bytes);
	if (ret) {
		virtio_complain(&balloon->device, "the host does not take memory back: %s",
				strerror(-ret));
		return;
	}
	balloon->discarded += bytes / BALLOON_PAGE;
	now_zero(balloon, gpa, bytes);
}

/*
 * @bytes of device->chain are done.  -1: leave the buffer, since the driver took it away, or since
 *	somebody waits for the thread; then it is served again, and giving a page twice does no
 *	harm.
 */
static int pause_giving(struct balloon *balloon, uint64_t bytes)
{
	struct virtio_device *device = &balloon->device;

	if (!virtio_spend(device, bytes))
		return -1;
	if (!virtio_halts(device))
		return 0;
	virtio_put_back(device);
	return -1;
}

/* If the driver takes a page back twice, finish the rest. */
static int pause_taking(struct balloon *balloon, uint64_t bytes)
{
	return virtio_spend(&balloon->device, bytes) ? 0 : -1;
}

/* The part of a run that is handled at once: up to the next multiple of PIECE. */
static uint64_t piece_of(uint64_t gpa, uint64_t bytes)
{
	uint64_t part = PIECE - gpa % PIECE;

	return part < bytes ? part : bytes;
}

/* Handle a run of pages that lie in one piece of memory; the caller has checked this. */
static int give_run(struct balloon *balloon, uint64_t gpa, uint8_t *at, uint64_t bytes)
{
	while (bytes) {
		uint64_t part = piece_of(gpa, bytes);

		set_range(balloon, page_of(balloon, at), part / BALLOON_PAGE);
		discard(balloon, at, gpa, part);
		PROBE_BALLOON_PAGES(true, gpa, part / BALLOON_PAGE, balloon->held);
		if (pause_giving(balloon, part / PIECE_SHARE))
			return -1;
		gpa += part;
		at += part;
		bytes -= part;
	}
	return 0;
}

static int take_run(struct balloon *balloon, uint64_t gpa, const void *at, uint64_t bytes)
{
	uint64_t count = bytes / BALLOON_PAGE;

	if (!clear_range(balloon, page_of(balloon, at), count)) {
		virtio_broken(&balloon->device, "it takes back pages that it did not give");
		return -1;
	}
	/* The contents of pages in the balloon were not tracked. */
	now_zero(balloon, gpa, bytes);
	PROBE_BALLOON_PAGES(false, gpa, count, balloon->held);
	return pause_taking(balloon, bytes / PIECE_SHARE);
}

static int move_run(struct balloon *balloon, bool inflate, uint64_t gpa, void *at, uint64_t bytes)
{
	return inflate ? give_run(balloon, gpa, at, bytes) : take_run(balloon, gpa, at, bytes);
}

static int by_number(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* Drivers give most pages in ascending or descending order. */
static void sort(uint32_t *pfns, unsigned int count)
{
	for (unsigned int i = 1; i < count; i++)
		if (pfns[i] < pfns[i - 1]) {
			qsort(pfns, count, sizeof(*pfns), by_number);
			return;
		}
}

/* The size of the run that begins with pfns[i]; *next: the first page number after it. */
static uint64_t run_of(const struct balloon *balloon, bool inflate, unsigned int i,
		       unsigned int count, unsigned int *next)
{
	const uint32_t *pfns = balloon->pfns;
	uint64_t gpa = (uint64_t)pfns[i] * BALLOON_PAGE, bytes = BALLOON_PAGE;

	for (i++; i < count; i++) {
		uint32_t step = pfns[i] - pfns[i - 1];

		/* Giving a page twice does no harm; taking one back twice is a mistake. */
		if (step > 1 || (!step && !inflate))
			break;
		if (!memory_at(balloon->memory, gpa, bytes + step * BALLOON_PAGE))
			break;
		bytes += step * BALLOON_PAGE;
	}
	*next = i;
	return bytes;
}

static int move_pfns(struct balloon *balloon, bool inflate, unsigned int count)
{
	unsigned int i = 0;

	sort(balloon->pfns, count);
	while (i < count) {
		uint64_t gpa = (uint64_t)balloon->pfns[i] * BALLOON_PAGE, bytes;
		void *at = memory_at(balloon->memory, gpa, BALLOON_PAGE);

		if (!at) {
			virtio_broken(&balloon->device, "a page's number is outside memory");
			return -1;
		}
		bytes = run_of(balloon, inflate, i, count, &i);
		if (move_run(balloon, inflate, gpa, at, bytes))
			return -1;
	}
	return 0;
}

/* ---- buffers: the device's thread, lock held ---------------------------------------- */

static int broken(struct virtio_device *device, const char *words)
{
	virtio_broken(device, words);
	return -1;
}

static int take_pfns(struct balloon *balloon, struct queue_chain *chain, bool inflate)
{
	struct virtio_device *device = &balloon->device;
	uint64_t done = 0;

	if (chain->in || chain->out_bytes % sizeof(uint32_t))
		return broken(device, "a request is no array of page numbers");
	if (chain->out_bytes / sizeof(uint32_t) > balloon_total(balloon))
		return broken(device, "a request has more pages than the guest");
	while (done < chain->out_bytes) {
		size_t bytes = chain_read(chain, done, balloon->pfns, sizeof(balloon->pfns));

		if (move_pfns(balloon, inflate, bytes / sizeof(uint32_t)))
			return -1;
		/* Each page may have been a run of its own. */
		bytes = bytes / sizeof(uint32_t) * BALLOON_PAGE / PIECE_SHARE;
		if (inflate ? pause_giving(balloon, bytes) : pause_taking(balloon, bytes))
			return -1;
		done += sizeof(balloon->pfns);
	}
	return 0;
}

static bool is_pages(uint64_t gpa, const struct iovec *iov)
{
	return !(gpa % BALLOON_PAGE) && !(iov->iov_len % BALLOON_PAGE);
}

/* A buffer must not contain a page twice. */
static bool is_too_much(const struct balloon *balloon, const struct queue_chain *chain)
{
	return chain->in_bytes > balloon->memory->bytes;
}

static int take_runs(struct balloon *balloon, struct queue_chain *chain, bool inflate)
{
	if (chain->out)
		return broken(&balloon->device, "a run of pages is not writable");
	if (is_too_much(balloon, chain))
		return broken(&balloon->device, "a request has more pages than the guest");
	for (unsigned int i = 0; i < chain->in; i++) {
		if (!is_pages(chain->gpa[i], &chain->iov[i]))
			return broken(&balloon->device, "a run is not made of whole pages");
		if (move_run(balloon, inflate, chain->gpa[i], chain->iov[i].iov_base,
			     chain->iov[i].iov_len))
			return -1;
	}
	return 0;
}

static int64_t move(struct virtio_device *device, struct queue_chain *chain, bool inflate)
{
	struct balloon *balloon = to_balloon(device);

	return virtio_has(device, GONDOLA_BALLOON_F_RUNS) ? take_runs(balloon, chain, inflate) :
	       take_pfns(balloon, chain, inflate);
}

static int64_t inflate(struct virtio_device *device, struct queue_chain *chain)
{
	return move(device, chain, true);
}

static int64_t deflate(struct virtio_device *device, struct queue_chain *chain)
{
	return move(device, chain, false);
}

/* Does the guest fill freed pages with another value than zero?  Then leave them alone. */
static bool is_poisoned(const struct balloon *balloon)
{
	return virtio_has(&balloon->device, VIRTIO_BALLOON_F_PAGE_POISON) &&
	       balloon->config.poison_val;
}

static int report_run(struct balloon *balloon, uint64_t gpa, const struct iovec *iov)
{
	for (uint64_t done = 0, part; done < iov->iov_len && !is_poisoned(balloon); done += part) {
		part = piece_of(gpa + done, iov->iov_len - done);
		discard(balloon, (uint8_t *)iov->iov_base + done, gpa + done, part);
		balloon->reported += part / BALLOON_PAGE;
		if (pause_giving(balloon, part / PIECE_SHARE))
			return -1;
	}
	return 0;
}

static int64_t report(struct virtio_device *device, struct queue_chain *chain)
{
	struct balloon *balloon = to_balloon(device);

	if (chain->out)
		return broken(device, "a report of free pages is not writable");
	if (is_too_much(balloon, chain))
		return broken(device, "a report has more pages than the guest");
	for (unsigned int i = 0; i < chain->in; i++) {
		if (!is_pages(chain->gpa[i], &chain->iov[i]))
			return broken(device, "a report is not made of whole pages");
		if (report_run(balloon, chain->gpa[i], &chain->iov[i]))
			return -1;
	}
	return 0;
}

static int hint_run(struct balloon *balloon, uint64_t gpa, uint64_t bytes)
{
	while (bytes) {
		uint64_t part = piece_of(gpa, bytes);

		if (balloon->hinting && balloon->hooks.hinted && !is_poisoned(balloon))
			balloon->hooks.hinted(balloon->hooks.argument, gpa, part);
		if (pause_giving(balloon, part / PIECE_SHARE))
			return -1;
		gpa += part;
		bytes -= part;
	}
	return 0;
}

/* A buffer has the id of a round that begins, or ends one, or has its free pages. */
static int64_t hint(struct virtio_device *device, struct queue_chain *chain)
{
	struct balloon *balloon = to_balloon(device);
	uint32_t id;

	if (chain->out) {
		if (chain->in || chain->out_bytes != sizeof(id))
			return broken(device, "a hint's id is no 32-bit number");
		chain_read(chain, 0, &id, sizeof(id));
		balloon->hinting = id > VIRTIO_BALLOON_CMD_ID_DONE &&
				   id == balloon->config.free_page_hint_cmd_id ? id : 0;
		return 0;
	}
	if (is_too_much(balloon, chain))
		return broken(device, "a hint has more pages than the guest");
	for (unsigned int i = 0; i < chain->in; i++)
		if (hint_run(balloon, chain->gpa[i], chain->iov[i].iov_len))
			return -1;
	return 0;
}

/* The driver's number for the queue; -1: it did not take the feature. */
static int queue_of(const struct virtio_device *device, enum balloon_queue queue)
{
	static const unsigned int features[BALLOON_QUEUES] = {
		[BALLOON_STATS] = VIRTIO_BALLOON_F_STATS_VQ,
		[BALLOON_HINT] = VIRTIO_BALLOON_F_FREE_PAGE_HINT,
		[BALLOON_REPORT] = VIRTIO_BALLOON_F_REPORTING,
	};
	int number = queue;

	if (queue >= BALLOON_STATS && !virtio_has(device, features[queue]))
		return -1;
	for (unsigned int i = BALLOON_STATS; i < queue; i++)
		number -= !virtio_has(device, features[i]);
	return number;
}

/* Keep this queue's buffer until statistics are wanted. */
static void serve_stats(struct balloon *balloon, int number)
{
	struct virtio_device *device = &balloon->device;

	do {
		queue_notify_off(&device->queues[number]);
		while (virtio_pop(device, number))
			if (balloon_take_stats(balloon, &device->chain))
				return;
	} while (virtio_more(device, number));
}

static void work(struct virtio_device *device)
{
	int number;

	virtio_serve(device, BALLOON_INFLATE, inflate);
	virtio_serve(device, BALLOON_DEFLATE, deflate);
	number = queue_of(device, BALLOON_STATS);
	if (number >= 0)
		serve_stats(to_balloon(device), number);
	number = queue_of(device, BALLOON_HINT);
	if (number >= 0)
		virtio_serve(device, number, hint);
	number = queue_of(device, BALLOON_REPORT);
	if (number >= 0)
		virtio_serve(device, number, report);
}

struct queue *balloon_stats_queue(struct balloon *balloon)
{
	int number = queue_of(&balloon->device, BALLOON_STATS);

	return number < 0 ? NULL : &balloon->device.queues[number];
}

bool balloon_keeps_stats(struct balloon *balloon)
{
	const struct queue *queue = balloon_stats_queue(balloon);

	return balloon->stats_kept && queue && queue_owns(queue, balloon->stats_generation);
}

void balloon_want_stats(struct balloon *balloon)
{
	struct virtio_device *device = &balloon->device;
	struct queue_chain chain;

	if (!virtio_running(device) || device->frozen || !balloon_keeps_stats(balloon))
		return;
	balloon->stats_kept = false;
	chain.head = balloon->stats_head;
	chain.generation = balloon->stats_generation;
	chain.out = 0;
	chain.in = 0;
	virtio_push_other(device, queue_of(device, BALLOON_STATS), &chain, 0);
}

/* ---- configuration: lock held ------------------------------------------------------- */

static void write_actual(struct balloon *balloon, uint32_t value)
{
	if (value > balloon_total(balloon)) {
		virtio_broken(&balloon->device, "it says that more is in the balloon than the guest has");
		return;
	}
	balloon->config.actual = value;
	virtio_kick(&balloon->device);
}

static void config_write(struct virtio_device *device, unsigned int offset, uint32_t value,
			 unsigned int bytes)
{
	struct balloon *balloon = to_balloon(device);

	/* The driver must not write the other fields. */
	if (bytes != 4)
		return;
	switch (offset) {
	case offsetof(struct virtio_balloon_config, actual):
		write_actual(balloon, value);
		break;
	case offsetof(struct virtio_balloon_config, poison_val):
		balloon->config.poison_val = value;
		break;
	case GONDOLA_BALLOON_CONFIG + offsetof(struct gondola_balloon_config, backoffs):
		balloon->extension.backoffs = value;
		break;
	case GONDOLA_BALLOON_CONFIG + offsetof(struct gondola_balloon_config, report_id):
		balloon->extension.report_id = value;
		break;
	case GONDOLA_BALLOON_CONFIG + offsetof(struct gondola_balloon_config, reason):
		if (!balloon_told(balloon, balloon->extension.report_id, value)) {
			virtio_broken(device, "it tells an end that there is not");
			return;
		}
		balloon->extension.reason = value;
		break;
	default:
		return;
	}
	virtio_set_config(device, 0, &balloon->config, sizeof(balloon->config));
	virtio_set_config(device, GONDOLA_BALLOON_CONFIG, &balloon->extension,
			  sizeof(balloon->extension));
}

/* Find words of the bitmap with bits set, from @first on; *end: the first word without. */
static bool next_words(const struct balloon *balloon, size_t words, size_t *first, size_t *end)
{
	while (*first < words && !balloon->bits[*first])
		++*first;
	for (*end = *first; *end < words && balloon->bits[*end]; ++*end)
		;
	return *first < words;
}

/*
 * A new driver does not know the old one's balloon: all memory belongs to the guest, and the pages
 * in the balloon are zero.  Pages in between are marked, too, so that a driver that gave every
 * second page does not cause a call for each.
 */
static void forget_pages(struct balloon *balloon)
{
	const struct guest_memory *memory = balloon->memory;
	size_t words = (balloon_total(balloon) + 63) / 64, end;

	if (!balloon->held)
		return;
	for (size_t first = 0; next_words(balloon, words, &first, &end); first = end) {
		uint64_t at = first * 64ull * BALLOON_PAGE, to = end * 64ull * BALLOON_PAGE;

		if (at < memory->low)
			now_zero(balloon, at, (to < memory->low ? to : memory->low) - at);
		if (to > memory->bytes)
			to = memory->bytes;
		if (at < memory->low)
			at = memory->low;
		if (to > at)
			now_zero(balloon, at - memory->low + MEMORY_HIGH, to - at);
	}
	memset(balloon->bits, 0, words * sizeof(*balloon->bits));
	balloon->held = 0;
}

static void reset(struct virtio_device *device)
{
	struct balloon *balloon = to_balloon(device);

	/* Also called before the first driver. */
	if (!balloon->bits)
		return;
	forget_pages(balloon);
	balloon->stats_kept = false;
	balloon->stats.valid = 0;
	balloon->hinting = 0;
	balloon->config.actual = 0;
	balloon->config.poison_val = 0;
	balloon->extension.backoffs = 0;
	balloon->extension.report_id = 0;
	balloon->extension.reason = 0;
	virtio_set_config(device, 0, &balloon->config, sizeof(balloon->config));
	virtio_set_config(device, GONDOLA_BALLOON_CONFIG, &balloon->extension,
			  sizeof(balloon->extension));
	/* End a goal that nobody follows any more. */
	virtio_kick(device);
}

static unsigned int poll_fds(struct virtio_device *device, struct pollfd *fds, unsigned int room,
			     int *timeout)
{
	int next = balloon_next_ms(to_balloon(device));

	(void)fds;
	(void)room;
	if (next >= 0 && (*timeout < 0 || next < *timeout))
		*timeout = next;
	return 0;
}

static void polled(struct virtio_device *device, const struct pollfd *fds, unsigned int count)
{
	(void)fds;
	(void)count;
	balloon_tick(to_balloon(device));
}

static void destroy(struct virtio_device *device)
{
	struct balloon *balloon = to_balloon(device);

	pthread_mutex_destroy(&balloon->published_lock);
	pthread_cond_destroy(&balloon->stats_came);
	free(balloon->bits);
}

/* ---- for the launcher: any thread ---------------------------------------------------- */

void balloon_set_hooks(struct virtio_device *device, const struct balloon_hooks *hooks)
{
	virtio_lock(device);
	to_balloon(device)->hooks = hooks ? *hooks : (struct balloon_hooks){};
	virtio_unlock(device);
}

bool balloon_get_bitmap(struct virtio_device *device, uint64_t *bits)
{
	struct balloon *balloon = to_balloon(device);
	bool told;

	virtio_lock(device);
	told = virtio_has(device, VIRTIO_BALLOON_F_MUST_TELL_HOST);
	if (told)
		memcpy(bits, balloon->bits, (balloon_total(balloon) + 63) / 64 * 8);
	virtio_unlock(device);
	return told;
}

bool balloon_hint(struct virtio_device *device, bool on)
{
	struct balloon *balloon = to_balloon(device);
	bool can;

	virtio_lock(device);
	can = virtio_running(device) && virtio_has(device, VIRTIO_BALLOON_F_FREE_PAGE_HINT);
	balloon->hinting = 0;
	if (on && ++balloon->next_hint <= VIRTIO_BALLOON_CMD_ID_DONE)
		balloon->next_hint = VIRTIO_BALLOON_CMD_ID_DONE + 1;
	balloon->config.free_page_hint_cmd_id = on ? balloon->next_hint :
						VIRTIO_BALLOON_CMD_ID_DONE;
	virtio_set_config(device, 0, &balloon->config, sizeof(balloon->config));
	virtio_config_changed(device);
	virtio_unlock(device);
	return can;
}

struct virtio_device *balloon_create(struct guest_memory *memory, uint8_t *registers,
				     bool oom, struct error *error)
{
	static const struct virtio_ops ops = {
		.name = "balloon", .id = VIRTIO_ID_BALLOON, .work = work, .reset = reset,
		.config_write = config_write, .poll = poll_fds, .polled = polled,
		.destroy = destroy, .version = 1, .save = balloon_save, .load = balloon_load,
		.publish = balloon_publish,
	};
	struct balloon *balloon = device_alloc(sizeof(*balloon));
	uint64_t features = BIT64(VIRTIO_BALLOON_F_MUST_TELL_HOST) |
			    BIT64(VIRTIO_BALLOON_F_STATS_VQ) |
			    BIT64(VIRTIO_BALLOON_F_FREE_PAGE_HINT) |
			    BIT64(VIRTIO_BALLOON_F_PAGE_POISON) |
			    BIT64(VIRTIO_BALLOON_F_REPORTING) |
			    BIT64(GONDOLA_BALLOON_F_PACE) | BIT64(GONDOLA_BALLOON_F_RUNS);

	if (oom)
		features |= BIT64(VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	balloon->memory = memory;
	balloon->reason = GONDOLA_BALLOON_REACHED;
	balloon->config.free_page_hint_cmd_id = VIRTIO_BALLOON_CMD_ID_STOP;
	balloon->next_hint = VIRTIO_BALLOON_CMD_ID_DONE;
	wait_init(&balloon->stats_came);
	snprintf(balloon->device.label, sizeof(balloon->device.label), "balloon");
	balloon->bits = device_alloc((balloon_total(balloon) + 63) / 64 * 8);
	pthread_mutex_init(&balloon->published_lock, NULL);
	if (!virtio_init(&balloon->device, &ops, memory, registers, features, BALLOON_QUEUES, error))
		return NULL;
	balloon_publish(&balloon->device);
	return &balloon->device;
}
