// SPDX-License-Identifier: GPL-2.0-only
/* Rounds of copying: each sends the pages written since they were last sent, until few enough are left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/wait.h"
#include "device/virtio/balloon.h"
#include "device/virtio/devices.h"
#include "source.h"
#include "throttle.h"
#include "dirty_sample.h"
#include "vm/probes.h"

#define PAGE		4096u
#define TRIED		16u		/* dirty pages, to learn of the others */
#define DELTA_ROOM	3072u		/* a longer delta is no gain */
#define THROTTLE_FIRST	20u		/* percent */
#define THROTTLE_STEP	20u
#define SLOT_OF(s, page)	((page) * PAGE < (s)->vm->memory.low ? 0u : 1u)

static uint64_t page_gpa(const struct source *s, uint64_t page)
{
	uint64_t at = page * PAGE, low = s->vm->memory.low;

	return at < low ? at : MEMORY_HIGH + at - low;
}

static uint64_t slot_first(const struct source *s, uint64_t page)
{
	return SLOT_OF(s, page) ? s->vm->memory.low / PAGE : 0;
}

/* Read the log of pages [page, page + count) in one slot; @page is a multiple of 64 in it. */
static int log_call(struct source *s, uint64_t page, uint64_t count, bool clear)
{
	uint64_t first = slot_first(s, page);
	uint64_t *bitmap = s->dirty + page / 64;
	int fd = s->vm->fd, slot = SLOT_OF(s, page);

	return clear ? __gondola_clear_dirty(fd, slot, page - first, count, bitmap) :
		       __gondola_get_dirty(fd, slot, page - first, count, bitmap);
}

/* The number of pages of the chunk at @page, which ends with the slot at the latest. */
static uint64_t chunk_at(const struct source *s, uint64_t page, uint64_t want)
{
	uint64_t end = SLOT_OF(s, page) ? s->pages : s->vm->memory.low / PAGE;

	return end - page < want ? end - page : want;
}

static bool is_set(const uint64_t *bits, uint64_t page)
{
	return bits[page / 64] >> (page % 64) & 1;
}

static uint64_t count_bits(const struct source *s)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < s->words; i++)
		count += __builtin_popcountll(s->dirty[i] & ~s->left_out[i]);
	return count;
}

/*
 * Read the balloon's bitmap.  Pages in the balloon stay dirty in the log and are skipped.  A page
 * that the guest takes back is found in the next round; in the last one nothing changes any more.
 * If the guest writes such a page against its promise it is sent, since it is not empty.
 */
static void read_balloon(struct source *s)
{
	struct virtio_device *balloon = virtio_balloon(s->vm);

	if (!balloon || !balloon_get_bitmap(balloon, s->left_out))
		memset(s->left_out, 0, s->words * sizeof(*s->left_out));
	else
		memory_keep_empty(&s->vm->memory, s->left_out);
}

/* Read the whole log to s->dirty; returns the number of pages to send, or -1. */
static int64_t read_log(struct source *s)
{
	uint64_t page = 0;
	int lost;

	while (page < s->pages) {
		uint64_t count = chunk_at(s, page, s->pages);
		int ret = log_call(s, page, count, false);

		if (ret) {
			link_fail(&s->link, "the dirty log cannot be read: %s", strerror(-ret));
			return -1;
		}
		page += count;
	}
	lost = __atomic_load_n(&s->vm->memory.log_lost, __ATOMIC_SEQ_CST);
	if (lost) {
		link_fail(&s->link, "the dirty log misses what a device wrote: %s (migrate again)",
			  strerror(-lost));
		return -1;
	}
	return (int64_t)count_bits(s);
}

int64_t precopy_left(struct source *s)
{
	int64_t left;

	read_balloon(s);
	left = read_log(s);
	for (uint64_t i = 0; i < s->words; i++)
		s->dirty[i] &= ~s->left_out[i];
	return left;
}

static int let_go(void *argument, const struct iovec *iov, unsigned int count)
{
	(void)argument;
	(void)iov;
	(void)count;
	return 0;
}

bool precopy_begin(struct source *s)
{
	int ret;

	s->pages = s->vm->memory.bytes / PAGE;
	s->words = (s->pages + 63) / 64;
	s->dirty = calloc(s->words, sizeof(*s->dirty));
	s->left_out = calloc(s->words, sizeof(*s->left_out));
	s->heat = calloc(s->pages, 1);
	s->tries.write = let_go;
	if (s->options.delta)
		s->cache = page_cache_create(s->pages, s->options.cache);
	if (!s->dirty || !s->heat || !s->left_out || (s->options.delta && !s->cache) ||
	    stream_writer_init(&s->tries, -1, 0, s->options.level))
		return link_fail(&s->link, "out of memory");
	/* The log is read in words, so the second slot must begin with a word of ours. */
	if (s->vm->memory.bytes > s->vm->memory.low && s->vm->memory.low / PAGE % 64)
		return link_fail(&s->link, "memory is cut at an odd place");
	/* Otherwise its log would not begin with all pages. */
	dirty_sample_stop();
	ret = memory_log_dirty(&s->vm->memory, true);
	if (ret)
		return link_fail(&s->link, "the dirty log cannot be switched on: %s",
				 strerror(-ret));
	s->logging = true;
	return read_log(s) >= 0;
}

void precopy_end(struct source *s)
{
	throttle_set(s->vm, 0);
	if (s->logging)
		memory_log_dirty(&s->vm->memory, false);
	s->logging = false;
	page_cache_destroy(s->cache);
	s->cache = NULL;
	stream_writer_free(&s->tries);
	free(s->dirty);
	free(s->left_out);
	free(s->heat);
	s->dirty = NULL;
	s->left_out = NULL;
	s->heat = NULL;
}

bool precopy_send_page(struct source *s, uint64_t page, struct report_round *round)
{
	_Alignas(64) uint8_t copy[PAGE], delta[DELTA_ROOM];
	uint64_t gpa = page_gpa(s, page);
	size_t bytes;

	/* The guest may be writing it, so take a copy and use only that. */
	memcpy(copy, s->vm->memory.base + page * PAGE, PAGE);
	round->pages++;
	if (s->options.zero && stream_page_is_zero(copy)) {
		round->zero++;
		if (s->cache)
			page_cache_forget(s->cache, page);
		stream_put_zero(&s->link.out, gpa, 1);
		return true;
	}
	if (s->cache) {
		if (page_cache_same(s->cache, page, copy)) {
			round->same++;
			return true;
		}
		/* In the first round do not keep copies: it is unknown which pages will come again. */
		bytes = page_cache_delta(s->cache, page, copy, s->round > 1, delta, sizeof(delta));
		if (bytes) {
			round->delta++;
			s->whole += (double)bytes / PAGE;
			stream_put_delta(&s->link.out, gpa, delta, bytes);
			return true;
		}
	}
	round->full++;
	s->whole++;
	stream_put_whole(&s->link.out, gpa, copy);
	return true;
}

static bool any_in(const struct source *s, uint64_t page, uint64_t count)
{
	for (uint64_t i = page / 64; i < (page + count + 63) / 64; i++)
		if (s->dirty[i])
			return true;
	return false;
}

/* Skip pages of the chunk that are in the balloon. */
static void leave_out(struct source *s, uint64_t page, uint64_t count, struct report_round *round)
{
	for (uint64_t i = page / 64; i < (page + count + 63) / 64; i++) {
		uint64_t passed = s->dirty[i] & s->left_out[i];

		round->pages += __builtin_popcountll(passed);
		round->left_out += __builtin_popcountll(passed);
		s->dirty[i] &= ~passed;
	}
}

/*
 * Clear the log of a chunk: s->dirty then has its dirty pages, and later writes belong to the next
 * round.  Do it even if the log had no pages when it was read: one may have been written since, and
 * its event must have the round before the one that sends the page.
 */
static int take_chunk(struct source *s, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i += 64) {
		uint64_t rest = page + count - i;

		s->dirty[i / 64] = ~s->left_out[i / 64];
		if (rest < 64)
			s->dirty[i / 64] &= (1ull << rest) - 1;
	}
	return log_call(s, page, count, true);
}

/* In the last round the log does not change. */
static bool send_chunk(struct source *s, uint64_t page, uint64_t count, struct report_round *round)
{
	int ret = 0;

	leave_out(s, page, count, round);
	if (s->phase == MIGRATE_COPY)
		ret = take_chunk(s, page, count);
	if (ret)
		return link_fail(&s->link, "the dirty log cannot be cleared: %s", strerror(-ret));
	if (!any_in(s, page, count))
		return true;
	for (uint64_t i = page; i < page + count; i++) {
		if (!is_set(s->dirty, i))
			continue;
		s->heat[i] = s->round < 255 ? s->round : 255;
		if (!precopy_send_page(s, i, round))
			return false;
	}
	if (s->cancelled || vm_ending(s->vm))
		return link_fail(&s->link, s->cancelled ? "cancelled" : "the VM has ended");
	if (s->link.out.error || !link_quiet(&s->link))
		return link_lost(&s->link);
	source_progress(s, false);
	return true;
}

static bool send_round(struct source *s, struct report_round *round)
{
	struct wire_round head = { .phase = s->phase, .round = s->round };
	uint64_t page = 0;

	if (!link_put(&s->link, WIRE_ROUND, &head, sizeof(head)))
		return link_lost(&s->link);
	while (page < s->pages) {
		uint64_t count = chunk_at(s, page, SOURCE_CHUNK);

		if (!send_chunk(s, page, count, round))
			return false;
		page += count;
	}
	if (!link_flush(&s->link))
		return link_lost(&s->link);
	/* Data in buffers would make a slow link look fast, and the downtime short. */
	return s->phase != MIGRATE_COPY || link_drain(&s->link);
}

/* All that is done for a page on its way out; returns how much of it would be sent, from 0 to 1. */
static double try_page(struct source *s, uint64_t page)
{
	_Alignas(64) uint8_t copy[PAGE], delta[DELTA_ROOM];
	size_t bytes = PAGE;

	memcpy(copy, s->vm->memory.base + page * PAGE, PAGE);
	if (s->options.zero && stream_page_is_zero(copy))
		return 0;
	if (s->cache)
		bytes = page_cache_try(s->cache, page, copy, delta, sizeof(delta));
	if (bytes == PAGE)
		stream_put_whole(&s->tries, page_gpa(s, page), copy);
	else if (bytes)
		stream_put_delta(&s->tries, page_gpa(s, page), delta, bytes);
	return (double)bytes / PAGE;
}

/* What will the pages that are dirty now be like?  Some of all of them are tried. */
static void rehearse(struct source *s, uint64_t dirty)
{
	uint64_t every = dirty / TRIED + 1, nth = 0, tried = 0, ns = 0, began;
	double whole = 0;

	for (uint64_t i = 0; i < s->words; i++)
		for (uint64_t bits = s->dirty[i] & ~s->left_out[i]; bits; bits &= bits - 1) {
			if (nth++ % every)
				continue;
			began = wait_worked_ns();
			whole += try_page(s, 64 * i + __builtin_ctzll(bits));
			ns += wait_worked_ns() - began;
			tried++;
		}
	began = wait_worked_ns();
	stream_flush(&s->tries);
	ns += wait_worked_ns() - began;
	if (tried)
		estimate_next(&s->estimate, (double)ns / tried, whole / tried);
}

/* Copying waits for its own work, for the link, and else for a processor. */
static uint64_t lost_to_guest(const struct source *s, uint64_t idle, uint64_t waited, uint64_t others)
{
	idle = wait_idle_ns() - idle;
	waited = s->link.waited_ns - waited;
	others = source_others_ns() - others;
	idle -= idle < waited ? idle : waited;
	return idle < others ? idle : others;
}

/* Note the round even if it fails. */
static bool one_round(struct source *s)
{
	struct report_round *round = report_round_add(&s->report);
	uint64_t began = source_bytes(s), waited = s->link.waited_ns;
	uint64_t idle = wait_idle_ns(), others = source_others_ns();
	struct estimate_round sent;
	int64_t dirty = 0;

	s->round++;
	source_phase(s, s->phase);
	read_balloon(s);
	s->round_began_ns = wait_now_ns();
	s->whole = 0;
	round->throttle = throttle_percent();
	PROBE_MIGRATE_ROUND_BEGIN(s->round, s->report.nr_rounds > 1 ?
				  s->report.rounds[s->report.nr_rounds - 2].dirtied : s->pages);
	if (!send_round(s, round))
		dirty = -1;
	else if (s->phase == MIGRATE_COPY)
		dirty = read_log(s);
	round->bytes += source_bytes(s) - began;
	round->ns += wait_now_ns() - s->round_began_ns;
	round->unfinished = dirty < 0;
	if (round->unfinished)
		return false;
	round->dirtied += dirty;
	PROBE_MIGRATE_ROUND_END(s->round, round->pages, round->bytes, round->ns, round->dirtied);
	sent = (struct estimate_round){
		.pages = round->pages - round->left_out, .whole = s->whole, .ns = round->ns,
		.lost_ns = lost_to_guest(s, idle, waited, others), .dirtied = dirty,
	};
	estimate_round(&s->estimate, &sent);
	round->dirty_rate = (uint64_t)s->estimate.dirty_rate;
	if (s->phase != MIGRATE_COPY)
		return true;
	rehearse(s, dirty);
	return source_ping_behind(s);
}

bool precopy_last(struct source *s)
{
	return precopy_left(s) >= 0 && one_round(s);
}

static void note_stall(struct source *s)
{
	if (s->report.stall[0])
		return;
	PROBE_MIGRATE_STALL(s->round, (uint64_t)s->estimate.dirty_rate,
			    (uint64_t)s->estimate.link_rate);
	snprintf(s->report.stall, sizeof(s->report.stall),
		 "in round %u the guest wrote %.1f MiB/s of pages and %.1f MiB/s got across",
		 s->round, s->estimate.dirty_rate / 1048576, s->estimate.link_rate / 1048576);
}

/* True: continue with rounds. */
static bool slow_down(struct source *s)
{
	unsigned int percent = throttle_percent();

	if (percent >= THROTTLE_MAX)
		return false;
	if (!percent)
		s->slowed_from = s->round + 1;
	percent = percent ? percent + THROTTLE_STEP : THROTTLE_FIRST;
	if (percent > THROTTLE_MAX)
		percent = THROTTLE_MAX;
	throttle_set(s->vm, percent);
	/* If the next round is no better, take the next step. */
	s->estimate.hopeless = 1;
	PROBE_MIGRATE_THROTTLE(percent);
	s->report.answer = "throttle";
	snprintf(s->report.answer_cost, sizeof(s->report.answer_cost),
		 "from round %u on the vCPUs slept, %u %% of the time at last", s->slowed_from,
		 percent);
	return true;
}

/* Handle a stall, or too many rounds, by policy.  @stop: out: stop the guest now. */
static bool answer(struct source *s, bool *stop, bool *postcopy)
{
	note_stall(s);
	*stop = true;
	switch (s->options.on_stall) {
	case ON_STALL_THROTTLE:
		/* At the last step the guest cannot be slowed down more. */
		*stop = !slow_down(s);
		return true;
	case ON_STALL_POSTCOPY:
		*postcopy = true;
		s->report.answer = "post-copy";
		return true;
	default:
		s->report.answer = "fail";
		snprintf(s->report.answer_cost, sizeof(s->report.answer_cost), "nothing moved");
		return link_fail(&s->link, "it does not converge: %s", s->report.stall);
	}
}

bool precopy_rounds(struct source *s, bool *postcopy)
{
	bool stop = false;

	while (!stop) {
		uint64_t dirty;

		if (!one_round(s))
			return false;
		dirty = s->report.rounds[s->report.nr_rounds - 1].dirtied;
		s->report.predicted_ns = estimate_downtime(&s->estimate, dirty);
		PROBE_MIGRATE_PREDICTION(s->round, s->report.predicted_ns);
		source_progress(s, true);
		if (s->options.postcopy) {
			*postcopy = true;
			break;
		}
		switch (estimate_judge(&s->estimate, &s->options.limits, s->round, dirty)) {
		case ESTIMATE_AGAIN:
			break;
		case ESTIMATE_STOP:
		case ESTIMATE_TOO_MANY:
			stop = true;
			break;
		case ESTIMATE_STALLED:
			if (!answer(s, &stop, postcopy))
				return false;
			break;
		}
	}
	return true;
}
