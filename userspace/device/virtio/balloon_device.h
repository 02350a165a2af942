/* SPDX-License-Identifier: GPL-2.0-only */
/* The balloon's own state, for balloon*.c only. */
#ifndef DEVICE_VIRTIO_BALLOON_DEVICE_H
#define DEVICE_VIRTIO_BALLOON_DEVICE_H

#include <linux/virtio_balloon.h>
#include "balloon.h"
#include "virtio.h"

/* The driver numbers only negotiated queues, without gaps. */
enum balloon_queue {
	BALLOON_INFLATE, BALLOON_DEFLATE, BALLOON_STATS, BALLOON_HINT, BALLOON_REPORT,
	BALLOON_QUEUES
};

/**
 * struct balloon - the device
 * @config, @extension: for the guest
 * @bits: a bit for each page of memory that is in the balloon
 * @held: number of set bits
 * @goal, @id, @reason: the last request
 * @asked_ms, @asked_held: time of the request, and the balloon's pages then
 * @tick_ms: time of the next step of the target
 * @progress_ms, @progress_held: time and size at the balloon's last change
 * @stats: the last record, received at @stats_ms
 * @wanted_stats: number of the record for which the floor waits, or 0
 * @stats_head: the driver's buffer for statistics, kept until statistics are wanted
 * @stats_generation: generation of the buffer's queue
 * @stats_kept: a buffer is kept, unless the queue was switched off since: balloon_keeps_stats()
 * @stats_came: signalled for each record
 * @hinting: the id of the driver's round of hints, or 0
 * @pfns: scratch for page numbers
 * @published: the status when the device's lock was last released
 * @published_lock: never held during a wait
 */
struct balloon {
	struct virtio_device device;
	const struct guest_memory *memory;
	struct virtio_balloon_config config;
	struct gondola_balloon_config extension;
	struct balloon_hooks hooks;
	uint64_t *bits;
	uint64_t held;
	uint64_t discarded;
	uint64_t reported;
	struct balloon_goal goal;
	uint32_t id;
	uint32_t reason;
	uint64_t asked_ms;
	uint64_t asked_held;
	uint64_t tick_ms;
	uint64_t progress_ms;
	uint64_t progress_held;
	struct balloon_stats stats;
	uint64_t stats_ms;
	uint64_t wanted_stats;
	uint16_t stats_head;
	uint32_t stats_generation;
	bool stats_kept;
	pthread_cond_t stats_came;
	uint32_t next_hint;
	uint32_t hinting;
	uint32_t pfns[1024];
	struct balloon_status published;
	pthread_mutex_t published_lock;
};

static inline struct balloon *to_balloon(struct virtio_device *device)
{
	return (struct balloon *)device;
}

static inline uint64_t balloon_total(const struct balloon *balloon)
{
	return balloon->memory->bytes / BALLOON_PAGE;
}

/* balloon_pace.c; all with the lock held */

/** balloon_put() - write the goal to the configuration; @pages: for drivers without goals */
void balloon_put(struct balloon *balloon, uint32_t pages);
/** balloon_end() - end the goal for this reason, if it has not ended */
void balloon_end(struct balloon *balloon, uint32_t reason);
/** balloon_told() - handle the driver's @reason for goal @id; false: it is invalid */
bool balloon_told(struct balloon *balloon, uint32_t id, uint32_t reason);
/** balloon_tick() - do what is due */
void balloon_tick(struct balloon *balloon);
/** balloon_publish() - update the status for balloon_get_status() */
void balloon_publish(struct virtio_device *device);
/** balloon_next_ms() - get the time until balloon_tick() is due; -1: never */
int balloon_next_ms(struct balloon *balloon);

/* balloon_state.c; lock held */

void balloon_save(struct virtio_device *device, struct state_writer *out);
void balloon_load(struct virtio_device *device, struct state_reader *in);

/* balloon_stats.c; lock held */

/** balloon_take_stats() - take a buffer of the statistics queue; -1: it broke the device */
int balloon_take_stats(struct balloon *balloon, struct queue_chain *chain);
/** balloon_stats_queue() - get the statistics queue, or NULL if the driver did not take the feature */
struct queue *balloon_stats_queue(struct balloon *balloon);
/** balloon_keeps_stats() - does the device hold the driver's buffer for statistics? */
bool balloon_keeps_stats(struct balloon *balloon);
/** balloon_want_stats() - return the driver's buffer, so that the driver fills it again */
void balloon_want_stats(struct balloon *balloon);
/** balloon_available() - get the number of pages that the guest could spare; false: unknown */
bool balloon_available(const struct balloon *balloon, uint64_t *pages);

#endif
