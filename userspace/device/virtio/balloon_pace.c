// SPDX-License-Identifier: GPL-2.0-only
/*
 * Goals: a size, a rate, a deadline and a floor, and the reason of the end.  A driver with
 * GONDOLA_BALLOON_F_PACE follows goals itself, since it knows the guest's memory.  For others the
 * device moves the target in small steps, and watches the statistics for the floor.
 */
#include <string.h>

#include "base/wait.h"
#include "vm/probes.h"
#include "balloon_device.h"

#define STEP_MS		100u	/* between steps of a moving target */
#define GRACE_MS	2000u	/* time for the driver to report a deadline itself */
#define STALL_MS	10000u	/* without progress: the guest has no page to give */

static bool is_paced(const struct balloon *balloon)
{
	return virtio_has(&balloon->device, GONDOLA_BALLOON_F_PACE);
}

const char *balloon_reason_name(uint32_t reason)
{
	static const char *const names[GONDOLA_BALLOON_REASONS] = {
		[GONDOLA_BALLOON_RUNNING] = "running",
		[GONDOLA_BALLOON_REACHED] = "reached",
		[GONDOLA_BALLOON_FLOOR] = "floor",
		[GONDOLA_BALLOON_DEADLINE] = "deadline",
		[GONDOLA_BALLOON_REFUSED] = "refused",
		[GONDOLA_BALLOON_NO_MEMORY] = "out-of-memory",
		[GONDOLA_BALLOON_CANCELLED] = "cancelled",
	};

	return reason < GONDOLA_BALLOON_REASONS ? names[reason] : "unknown";
}

void balloon_put(struct balloon *balloon, uint32_t pages)
{
	struct virtio_device *device = &balloon->device;
	struct gondola_balloon_config *extension = &balloon->extension;

	balloon->config.num_pages = pages;
	/* The guest may read while this is written: the two ids differ until it is complete. */
	extension->id_again = balloon->id;
	virtio_set_config(device, GONDOLA_BALLOON_CONFIG +
			  offsetof(struct gondola_balloon_config, id_again),
			  &extension->id_again, sizeof(extension->id_again));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	extension->target = pages;
	extension->rate = balloon->goal.rate;
	extension->deadline = balloon->goal.deadline_ms;
	extension->floor = balloon->goal.floor;
	virtio_set_config(device, GONDOLA_BALLOON_CONFIG + sizeof(extension->id),
			  &extension->target, sizeof(*extension) - sizeof(extension->id));
	virtio_set_config(device, 0, &balloon->config, sizeof(balloon->config));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	extension->id = balloon->id;
	virtio_set_config(device, GONDOLA_BALLOON_CONFIG, &extension->id, sizeof(extension->id));
}

static void show(struct balloon *balloon, uint32_t pages)
{
	balloon_put(balloon, pages);
	virtio_config_changed(&balloon->device);
}

static void fill_status(const struct balloon *balloon, struct balloon_status *status)
{
	*status = (struct balloon_status){
		.driver = virtio_running(&balloon->device),
		.paced = is_paced(balloon),
		.id = balloon->id,
		.reason = balloon->reason,
		.goal = balloon->goal,
		.held = balloon->held,
		.total = balloon_total(balloon),
		.backoffs = balloon->extension.backoffs,
		.discarded = balloon->discarded,
		.reported = balloon->reported,
	};
}

void balloon_end(struct balloon *balloon, uint32_t reason)
{
	struct balloon_status status;

	if (balloon->reason != GONDOLA_BALLOON_RUNNING)
		return;
	balloon->reason = reason;
	/* Another driver must not reach an old goal, nor this one after a sleep. */
	if (reason != GONDOLA_BALLOON_REACHED && reason != GONDOLA_BALLOON_CANCELLED)
		show(balloon, balloon->held);
	PROBE_BALLOON_END(balloon->id, reason, balloon->held);
	fill_status(balloon, &status);
	if (balloon->hooks.ended)
		balloon->hooks.ended(balloon->hooks.argument, &status);
}

bool balloon_told(struct balloon *balloon, uint32_t id, uint32_t reason)
{
	if (!is_paced(balloon) || reason >= GONDOLA_BALLOON_CANCELLED)
		return false;
	/* The goal is over already, or this is only a pause. */
	if (id != balloon->id || reason == GONDOLA_BALLOON_RUNNING)
		return true;
	/* Check by the device's own count, too. */
	if (reason == GONDOLA_BALLOON_REACHED && balloon->held != balloon->goal.pages)
		reason = GONDOLA_BALLOON_REFUSED;
	balloon_end(balloon, reason);
	return true;
}

/* ---- a driver that knows only a target: lock held --------------------------------- */

/* The pages that the rate allows by now. */
static uint64_t allowed(const struct balloon *balloon, uint64_t elapsed)
{
	const struct balloon_goal *goal = &balloon->goal;
	uint64_t most;

	if (!goal->rate || goal->pages <= balloon->asked_held)
		return goal->pages;
	most = balloon->asked_held + goal->rate * (elapsed + STEP_MS) / 1000;
	return most < goal->pages ? most : goal->pages;
}

/* The target that the floor allows, by a record since the last step; -1: not known yet. */
static int64_t floor_room(struct balloon *balloon)
{
	uint64_t available;

	if (balloon->config.num_pages > balloon->held)
		return -1;
	if (!balloon->wanted_stats) {
		balloon->wanted_stats = balloon->stats.sequence + 1;
		balloon_want_stats(balloon);
	}
	if (balloon->stats.sequence < balloon->wanted_stats)
		return -1;
	balloon->wanted_stats = 0;
	if (!balloon_available(balloon, &available) || available <= balloon->goal.floor)
		return 0;
	return available - balloon->goal.floor;
}

/* Do a step; true if the floor prevents it. */
static bool step(struct balloon *balloon, uint64_t elapsed)
{
	uint64_t pages = allowed(balloon, elapsed);

	if (balloon->goal.floor && pages > balloon->held) {
		int64_t room = floor_room(balloon);

		if (room <= 0)
			return !room;
		if (pages > balloon->held + room)
			pages = balloon->held + room;
	}
	if (pages != balloon->config.num_pages)
		show(balloon, pages);
	return false;
}

static void drive(struct balloon *balloon, uint64_t now)
{
	uint64_t elapsed = now - balloon->asked_ms;

	if (balloon->held == balloon->goal.pages && balloon->config.actual == balloon->held) {
		balloon_end(balloon, GONDOLA_BALLOON_REACHED);
		return;
	}
	if (now < balloon->tick_ms)
		return;
	balloon->tick_ms = now + STEP_MS;
	if (balloon->held != balloon->progress_held || balloon->config.num_pages <= balloon->held) {
		balloon->progress_held = balloon->held;
		balloon->progress_ms = now;
	} else if (now - balloon->progress_ms >= STALL_MS) {
		balloon_end(balloon, GONDOLA_BALLOON_NO_MEMORY);
		return;
	}
	if (step(balloon, elapsed))
		balloon_end(balloon, GONDOLA_BALLOON_FLOOR);
}

void balloon_tick(struct balloon *balloon)
{
	uint64_t now = wait_now_ms(), late;

	if (balloon->reason != GONDOLA_BALLOON_RUNNING || balloon->device.frozen)
		return;
	if (!virtio_running(&balloon->device)) {
		balloon_end(balloon, GONDOLA_BALLOON_REFUSED);
		return;
	}
	if (!is_paced(balloon)) {
		/* Without statistics the floor cannot be watched. */
		if (balloon->goal.floor &&
		    !virtio_has(&balloon->device, VIRTIO_BALLOON_F_STATS_VQ))
			balloon_end(balloon, GONDOLA_BALLOON_REFUSED);
		else
			drive(balloon, now);
	}
	late = balloon->goal.deadline_ms + (is_paced(balloon) ? GRACE_MS : 0);
	if (balloon->goal.deadline_ms && now - balloon->asked_ms >= late)
		balloon_end(balloon, GONDOLA_BALLOON_DEADLINE);
}

int balloon_next_ms(struct balloon *balloon)
{
	uint64_t elapsed = wait_now_ms() - balloon->asked_ms;
	uint64_t late = balloon->goal.deadline_ms + (is_paced(balloon) ? GRACE_MS : 0);

	if (balloon->reason != GONDOLA_BALLOON_RUNNING)
		return -1;
	if (!is_paced(balloon))
		return STEP_MS;
	if (!balloon->goal.deadline_ms)
		return -1;
	return elapsed < late ? (int)(late - elapsed) : 0;
}

/* ---- for the launcher: any thread ------------------------------------------------- */

uint32_t balloon_ask(struct virtio_device *device, const struct balloon_goal *goal)
{
	struct balloon *balloon = to_balloon(device);
	uint32_t id;

	virtio_lock(device);
	balloon_end(balloon, GONDOLA_BALLOON_CANCELLED);
	balloon->goal = *goal;
	if (balloon->goal.pages > balloon_total(balloon))
		balloon->goal.pages = balloon_total(balloon);
	if (!++balloon->id)
		balloon->id = 1;
	id = balloon->id;
	balloon->reason = GONDOLA_BALLOON_RUNNING;
	balloon->asked_ms = wait_now_ms();
	balloon->asked_held = balloon->held;
	balloon->tick_ms = 0;
	balloon->progress_ms = balloon->asked_ms;
	balloon->progress_held = balloon->held;
	balloon->extension.backoffs = 0;
	balloon->extension.reason = GONDOLA_BALLOON_RUNNING;
	balloon->wanted_stats = 0;
	PROBE_BALLOON_GOAL(id, balloon->goal.pages, balloon->held);
	if (is_paced(balloon))
		show(balloon, balloon->goal.pages);
	virtio_unlock(device);
	/* The thread handles the deadline, and drivers without goals. */
	virtio_kick(device);
	return id;
}

void balloon_cancel(struct virtio_device *device)
{
	struct balloon *balloon = to_balloon(device);

	virtio_lock(device);
	if (balloon->reason == GONDOLA_BALLOON_RUNNING) {
		balloon_end(balloon, GONDOLA_BALLOON_CANCELLED);
		balloon->goal = (struct balloon_goal){ .pages = balloon->held };
		if (!++balloon->id)
			balloon->id = 1;
		show(balloon, balloon->held);
	}
	virtio_unlock(device);
}

void balloon_publish(struct virtio_device *device)
{
	struct balloon *balloon = to_balloon(device);
	struct balloon_status status;

	fill_status(balloon, &status);
	pthread_mutex_lock(&balloon->published_lock);
	balloon->published = status;
	pthread_mutex_unlock(&balloon->published_lock);
}

/* Do not take the device's lock: its thread may wait for a page on another host. */
void balloon_get_status(struct virtio_device *device, struct balloon_status *status)
{
	struct balloon *balloon = to_balloon(device);

	pthread_mutex_lock(&balloon->published_lock);
	*status = balloon->published;
	pthread_mutex_unlock(&balloon->published_lock);
}
