/* SPDX-License-Identifier: GPL-2.0-only */
/* The balloon's own state, shared by balloon*.c alone. */
#ifndef DEVICE_VIRTIO_BALLOON_DEVICE_H
#define DEVICE_VIRTIO_BALLOON_DEVICE_H

#include <linux/virtio_balloon.h>
#include "balloon.h"
#include "virtio.h"

/* The driver numbers the queues that it negotiated, without gaps. */
enum balloon_queue {
	BALLOON_INFLATE, BALLOON_DEFLATE, BALLOON_STATS, BALLOON_HINT, BALLOON_REPORT,
	BALLOON_QUEUES
};

/**
 * struct balloon - the device
 * @config, @extension: as the guest sees them
 * @bits: one for each page of memory: it is in the balloon
 * @held: how many of them are set
 * @goal, @id, @reason: the last request
 * @asked_ms, @asked_held: when it came, and what the balloon held then
 * @tick_ms: when the next step of a target that moves is due
 * @progress_ms, @progress_held: when the balloon last changed, and to what
 * @stats: the last record, @stats_ms when it came
 * @wanted_stats: the record that the floor waits for, or 0
 * @stats_head: the driver's buffer for statistics, kept until they are wanted
 * @stats_generation: of the queue that gave it
 * @stats_kept: there is one, unless the queue was switched off since: balloon_keeps_stats()
 * @stats_came: signalled with a record
 * @hinting: the id of a round of hints that the driver has begun, or 0
 * @pfns: scratch for page numbers
 * @published: the status as it was when the device's lock was last let go
 * @published_lock: nothing is waited for while it is held
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

/** balloon_put() - write the goal into the configuration; @pages: for drivers that know no goals */
void balloon_put(struct balloon *balloon, uint32_t pages);
/** balloon_end() - end the goal for this reason, if it has not ended already */
void balloon_end(struct balloon *balloon, uint32_t reason);
/** balloon_told() - the driver wrote @reason for the goal @id; false: it may not */
bool balloon_told(struct balloon *balloon, uint32_t id, uint32_t reason);
/** balloon_tick() - do what is due by now */
void balloon_tick(struct balloon *balloon);
/** balloon_publish() - update what balloon_get_status() tells */
void balloon_publish(struct virtio_device *device);
/** balloon_next_ms() - until balloon_tick() has something to do; -1: nothing */
int balloon_next_ms(struct balloon *balloon);

/* balloon_state.c; lock held */

void balloon_save(struct virtio_device *device, struct state_writer *out);
void balloon_load(struct virtio_device *device, struct state_reader *in);

/* balloon_stats.c; lock held */

/** balloon_take_stats() - a buffer of the statistics queue; -1: it broke the device */
int balloon_take_stats(struct balloon *balloon, struct queue_chain *chain);
/** balloon_stats_queue() - the statistics queue, or NULL if the driver did not take the feature */
struct queue *balloon_stats_queue(struct balloon *balloon);
/** balloon_keeps_stats() - does the device hold the driver's buffer for statistics? */
bool balloon_keeps_stats(struct balloon *balloon);
/** balloon_want_stats() - give the driver its buffer back, so that it fills it anew */
void balloon_want_stats(struct balloon *balloon);
/** balloon_available() - pages that the guest says it could spare or use; false: it did not */
bool balloon_available(const struct balloon *balloon, uint64_t *pages);

#endif
