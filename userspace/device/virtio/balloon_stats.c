// SPDX-License-Identifier: GPL-2.0-only
/* The balloon's statistics queue: the guest's own account of its memory. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "balloon_device.h"
#include "base/wait.h"

#define RECORD		10u	/* a 16-bit tag and a 64-bit value, without padding */
#define MAX_RECORDS	64u	/* the standard defines ten */

static void take_record(struct balloon *balloon, const struct queue_chain *chain, uint64_t at)
{
	struct virtio_balloon_stat record;

	chain_read(chain, at, &record, sizeof(record));
	/* A newer driver may send more tags. */
	if (record.tag >= BALLOON_MAX_STATS)
		return;
	balloon->stats.value[record.tag] = record.val;
	balloon->stats.valid |= 1u << record.tag;
}

int balloon_take_stats(struct balloon *balloon, struct queue_chain *chain)
{
	_Static_assert(sizeof(struct virtio_balloon_stat) == RECORD, "records are packed");

	if (chain->in || chain->out_bytes % RECORD || chain->out_bytes > RECORD * MAX_RECORDS) {
		virtio_broken(&balloon->device, "statistics are no array of records");
		return -1;
	}
	if (balloon_keeps_stats(balloon)) {
		virtio_broken(&balloon->device, "statistics come unasked");
		return -1;
	}
	balloon->stats.valid = 0;
	for (uint64_t at = 0; at < chain->out_bytes; at += RECORD)
		take_record(balloon, chain, at);
	balloon->stats.sequence++;
	balloon->stats_ms = wait_now_ms();
	balloon->stats_head = chain->head;
	balloon->stats_generation = chain->generation;
	balloon->stats_kept = true;
	pthread_cond_broadcast(&balloon->stats_came);
	return 0;
}

bool balloon_available(const struct balloon *balloon, uint64_t *pages)
{
	unsigned int tag = balloon->stats.valid & 1u << VIRTIO_BALLOON_S_AVAIL ?
			   VIRTIO_BALLOON_S_AVAIL : VIRTIO_BALLOON_S_MEMFREE;
	uint64_t most = balloon_total(balloon) - balloon->held;

	if (!(balloon->stats.valid & 1u << tag))
		return false;
	*pages = balloon->stats.value[tag] / BALLOON_PAGE;
	/* The guest may report anything; limit it to the memory that it has. */
	if (*pages > most)
		*pages = most;
	return true;
}

bool balloon_get_stats(struct virtio_device *device, struct balloon_stats *stats,
		       unsigned int wait_ms)
{
	struct balloon *balloon = to_balloon(device);
	struct timespec until = wait_deadline(wait_ms * 1000000ull);
	uint64_t sequence;
	bool ever;

	virtio_lock(device);
	sequence = balloon->stats.sequence;
	balloon_want_stats(balloon);
	while (wait_ms && balloon->stats.sequence == sequence)
		if (wait_until(&balloon->stats_came, &device->lock, &until))
			break;
	ever = balloon->stats.valid;
	*stats = balloon->stats;
	stats->age_ms = ever ? wait_now_ms() - balloon->stats_ms : 0;
	virtio_unlock(device);
	return ever;
}
