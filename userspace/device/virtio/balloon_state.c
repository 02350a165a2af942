// SPDX-License-Identifier: GPL-2.0-only
/* The balloon's saved fields: goal, configuration, the buffer for statistics, and the bitmap. */
#include <string.h>

#include "base/wait.h"
#include "balloon_device.h"

static size_t bitmap_bytes(const struct balloon *balloon)
{
	return (balloon_total(balloon) + 63) / 64 * 8;
}

void balloon_save(struct virtio_device *device, struct state_writer *out)
{
	struct balloon *balloon = to_balloon(device);
	const struct balloon_goal *goal = &balloon->goal;

	state_put(out, "balloon.num_pages", 4, balloon->config.num_pages);
	state_put(out, "balloon.actual", 4, balloon->config.actual);
	state_put(out, "balloon.hint_id", 4, balloon->config.free_page_hint_cmd_id);
	state_put(out, "balloon.poison", 4, balloon->config.poison_val);
	state_put(out, "balloon.next_hint", 4, balloon->next_hint);
	state_put(out, "balloon.hinting", 4, balloon->hinting);
	state_put(out, "balloon.goal.id", 4, balloon->id);
	state_put(out, "balloon.goal.reason", 4, balloon->reason);
	state_put(out, "balloon.goal.pages", 4, goal->pages);
	state_put(out, "balloon.goal.rate", 4, goal->rate);
	state_put(out, "balloon.goal.deadline", 4, goal->deadline_ms);
	state_put(out, "balloon.goal.floor", 4, goal->floor);
	state_put(out, "balloon.goal.held", 8, balloon->asked_held);
	state_put(out, "balloon.goal.elapsed", 8, wait_now_ms() - balloon->asked_ms);
	state_put(out, "balloon.goal.backoffs", 4, balloon->extension.backoffs);
	state_put(out, "balloon.goal.report_id", 4, balloon->extension.report_id);
	state_put(out, "balloon.stats.kept", 1, balloon_keeps_stats(balloon));
	state_put(out, "balloon.stats.head", 2, balloon->stats_head);
	state_put_bytes(out, "balloon.bitmap", balloon->bits, bitmap_bytes(balloon));
}

static void load_bitmap(struct balloon *balloon, struct state_reader *in)
{
	uint64_t total = balloon_total(balloon), last;

	state_take_bytes(in, "balloon.bitmap", balloon->bits, bitmap_bytes(balloon));
	last = total % 64 ? balloon->bits[total / 64] >> total % 64 : 0;
	if (last) {
		state_refuse(in, "balloon.bitmap", "it has more pages than memory");
		memset(balloon->bits, 0, bitmap_bytes(balloon));
	}
	balloon->held = 0;
	for (size_t i = 0; i < bitmap_bytes(balloon) / 8; i++)
		balloon->held += __builtin_popcountll(balloon->bits[i]);
}

/* The buffer will be returned to its queue, so it must be one of that queue. */
static void load_stats(struct balloon *balloon, struct state_reader *in)
{
	const struct queue *queue = balloon_stats_queue(balloon);

	balloon->stats_kept = state_take(in, "balloon.stats.kept", 1, 1);
	balloon->stats_head = state_take(in, "balloon.stats.head", 2, QUEUE_MAX_SIZE - 1);
	balloon->stats_generation = queue ? queue->generation : 0;
	if (!balloon->stats_kept || state_failed(in))
		return;
	if (!balloon_keeps_stats(balloon))
		state_refuse(in, "balloon.stats.kept", "the queue that it came from is not ready");
	else if (balloon->stats_head >= queue->rings.size)
		state_refuse(in, "balloon.stats.head", "%u: the queue has %u entries",
			     balloon->stats_head, queue->rings.size);
}

void balloon_load(struct virtio_device *device, struct state_reader *in)
{
	struct balloon *balloon = to_balloon(device);
	struct balloon_goal *goal = &balloon->goal;
	uint64_t total = balloon_total(balloon), now = wait_now_ms(), elapsed;
	uint32_t shown = state_take(in, "balloon.num_pages", 4, total);

	balloon->config.actual = state_take(in, "balloon.actual", 4, total);
	balloon->config.free_page_hint_cmd_id = state_take(in, "balloon.hint_id", 4, UINT32_MAX);
	balloon->config.poison_val = state_take(in, "balloon.poison", 4, UINT32_MAX);
	balloon->next_hint = state_take(in, "balloon.next_hint", 4, UINT32_MAX);
	balloon->hinting = state_take(in, "balloon.hinting", 4, UINT32_MAX);
	balloon->id = state_take(in, "balloon.goal.id", 4, UINT32_MAX);
	balloon->reason = state_take(in, "balloon.goal.reason", 4, GONDOLA_BALLOON_REASONS - 1);
	goal->pages = state_take(in, "balloon.goal.pages", 4, total);
	goal->rate = state_take(in, "balloon.goal.rate", 4, UINT32_MAX);
	goal->deadline_ms = state_take(in, "balloon.goal.deadline", 4, UINT32_MAX);
	goal->floor = state_take(in, "balloon.goal.floor", 4, UINT32_MAX);
	balloon->asked_held = state_take(in, "balloon.goal.held", 8, total);
	elapsed = state_take(in, "balloon.goal.elapsed", 8, UINT64_MAX);
	balloon->extension.backoffs = state_take(in, "balloon.goal.backoffs", 4, UINT32_MAX);
	balloon->extension.report_id = state_take(in, "balloon.goal.report_id", 4, UINT32_MAX);
	load_stats(balloon, in);
	load_bitmap(balloon, in);
	/* This host's clock has another start; times before it are set to the start. */
	balloon->asked_ms = elapsed < now ? now - elapsed : 0;
	balloon->progress_ms = now;
	balloon->extension.reason = balloon->reason;
	balloon_put(balloon, shown);
}
