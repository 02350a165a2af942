/* SPDX-License-Identifier: GPL-2.0-only */
/* The driver's own: one balloon, and what its files do for each other. */
#ifndef BALLOON_BALLOON_H
#define BALLOON_BALLOON_H

#include <linux/mutex.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <linux/shrinker.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "goal.h"

/* Requests are in the standard's pages, which are x86's, too. */
#define PFNS		1024

enum { VQ_INFLATE, VQ_DEFLATE, VQ_STATS, VQ_HINT, VQ_REPORT, VQ_COUNT };

/**
 * struct balloon - a device's
 * @lock: everything from @held to @pfns, and the inflate and deflate queues: one request at a
 *        time.  Under it nothing is allocated that waits, neither for an OOM kill, nor for
 *        reclaim: the OOM notifier takes it.
 * @broken: the device is gone or broken: nobody answers
 * @acked: a request on any queue was answered
 * @work: follows the goal
 * @changed: the configuration changed since @work last looked
 * @squeezed: the guest's memory is short: give some back
 * @stop_lock: taken by interrupts, too
 * @stopped: no new work
 * @up: it has queues, and is registered with all that calls it
 * @pages: the pages themselves
 * @held: how many they are, those that move just now included
 * @low_order: the page allocator had no chunk above this order a moment ago
 * @begun: @goal is one
 * @told: the device knows how it ended
 * @sleepy: the guest is about to hibernate: no goal is followed
 * @stats: the record that the device asks for
 * @hint_changed: the configuration changed since @hint_wanted was read from it
 * @hint_seen: the last id that hint_work() followed
 * @hint_id: in the device's byte order, as it goes there
 * @hinted: chunks that are held while the device has hints of them
 */
struct balloon {
	struct virtio_device *vdev;
	struct virtqueue *vqs[VQ_COUNT];
	bool broken;
	wait_queue_head_t acked;
	struct delayed_work work;
	bool changed;
	bool squeezed;
	spinlock_t stop_lock;
	bool stopped;
	bool up;

	struct mutex lock;
	struct balloon_dev_info pages;
	u64 held;
	unsigned int low_order;
	struct goal_state goal;
	bool begun;
	bool told;
	bool sleepy;
	struct runs runs;
	struct scatterlist sg[RUNS_MAX];
	__virtio32 pfns[PFNS];

	struct work_struct stats_work;
	struct virtio_balloon_stat stats[VIRTIO_BALLOON_S_NR];

	struct work_struct hint_work;
	struct mutex hint_lock;
	bool hint_changed;
	u32 hint_wanted;
	u32 hint_seen;
	__virtio32 hint_id;
	struct list_head hinted;

	struct page_reporting_dev_info reporting;
	bool reporting_on;
	struct shrinker *shrinker;
	struct notifier_block oom;
	struct notifier_block pm;
};

/* request.c: with the lock held but for wait_for_device() */

/** tell_runs() - hand b->runs to the device, as runs or page by page, and wait for its answer */
void tell_runs(struct balloon *b, struct virtqueue *vq);
/** wait_for_device() - until @vq has an answer, or never will */
void wait_for_device(struct balloon *b, struct virtqueue *vq);

/* pages.c: with the lock held */

/**
 * balloon_inflate() - up to @count pages; returns how many the guest's kernel gave
 *
 * The lock may be let go and taken again: the goal may be over when it returns.
 */
unsigned long balloon_inflate(struct balloon *b, unsigned long count);
/** balloon_deflate() - up to @count pages, which are free when it returns */
unsigned long balloon_deflate(struct balloon *b, unsigned long count);
/** balloon_empty() - takes the lock itself; returns when no page is left */
void balloon_empty(struct balloon *b);
int balloon_migrate(struct balloon_dev_info *pages, struct page *to, struct page *from,
		    enum migrate_mode mode);
/** balloon_write_actual() - tell the device how much there is; no more than that */
void balloon_write_actual(struct balloon *b);

/* pressure.c */

/** floor_of() - pages that the guest keeps available; 0: there is no floor */
unsigned long floor_of(const struct balloon *b);
/** pressure_relieve() - with the lock held: give back what the floor lacks */
unsigned long pressure_relieve(struct balloon *b);
int pressure_start(struct balloon *b);
void pressure_stop(struct balloon *b);
/** pressure_floor() - of the module's parameter, in pages */
unsigned long pressure_floor(void);

/* stats.c */
void stats_start(struct balloon *b);
void stats_work(struct work_struct *work);
void stats_wanted(struct virtqueue *vq);

/* free.c: free pages that stay the guest's */
int reporting_start(struct balloon *b);
void reporting_stop(struct balloon *b);
void hint_work(struct work_struct *work);
/** hint_drop() - give up to @count pages back to the guest; returns how many */
unsigned long hint_drop(struct balloon *b, unsigned long count);

/* main.c */

/** balloon_wake() - look at goal and pressure soon */
void balloon_wake(struct balloon *b);
/** balloon_queue() - @work soon, unless all is winding down */
void balloon_queue(struct balloon *b, struct work_struct *work);

#endif
