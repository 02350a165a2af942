// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the guest runs short.  While a floor is set, or the device lets the guest
 * help itself (DEFLATE_ON_OOM), nothing is killed as long as the balloon has
 * pages.  Reclaim is the early sign, and only wakes the worker; the OOM killer is
 * the last one, and is made to wait until pages are free.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/virtio_config.h>

#include "balloon.h"
#include "compat.h"

#define OOM_PAGES	1024	/* for a guest that has no floor */

static unsigned int floor;
module_param(floor, uint, 0644);
MODULE_PARM_DESC(floor, "MiB that this guest keeps available whatever the host asks (0)");

unsigned long pressure_floor(void)
{
	return (unsigned long)READ_ONCE(floor) << (20 - PAGE_SHIFT);
}

unsigned long floor_of(const struct balloon *b)
{
	return max_t(unsigned long, b->goal.goal.floor, pressure_floor());
}

static unsigned long missing(const struct balloon *b)
{
	unsigned long least = floor_of(b), available;

	if (!least || !READ_ONCE(b->held))
		return 0;
	available = max(si_mem_available(), 0l);
	return available < least ? least - available : 0;
}

unsigned long pressure_relieve(struct balloon *b)
{
	unsigned long done = 0, now;

	while (b->held && (now = missing(b)) && !READ_ONCE(b->broken)) {
		goal_pressure(&b->goal);
		now = balloon_deflate(b, min_t(unsigned long, now, GOAL_BATCH));
		if (!now)
			break;
		done += now;
	}
	if (done)
		balloon_write_actual(b);
	return done;
}

static unsigned long count_pages(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct balloon *b = compat_shrinker_data(shrinker);

	return missing(b) ? READ_ONCE(b->held) : 0;
}

/* This must not wait for an answer of the device: a thread that reclaims may hold any lock. */
static unsigned long scan_pages(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct balloon *b = compat_shrinker_data(shrinker);

	WRITE_ONCE(b->squeezed, true);
	balloon_wake(b);
	return SHRINK_STOP;
}

static int on_oom(struct notifier_block *block, unsigned long unused, void *freed)
{
	struct balloon *b = container_of(block, struct balloon, oom);
	unsigned long pages = hint_drop(b, OOM_PAGES);

	if (!pages && (floor_of(b) || virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM))) {
		mutex_lock(&b->lock);
		goal_pressure(&b->goal);
		pages = balloon_deflate(b, max_t(unsigned long, OOM_PAGES, missing(b)));
		balloon_write_actual(b);
		mutex_unlock(&b->lock);
		/* The worker tells the end of the goal. */
		balloon_wake(b);
	}
	*(unsigned long *)freed += pages;
	return NOTIFY_OK;
}

int pressure_start(struct balloon *b)
{
	int ret;

	b->shrinker = shrinker_alloc(0, "gondola-balloon");
	if (!b->shrinker)
		return -ENOMEM;
	b->shrinker->count_objects = count_pages;
	b->shrinker->scan_objects = scan_pages;
	b->shrinker->seeks = DEFAULT_SEEKS;
	compat_shrinker_data(b->shrinker) = b;
	shrinker_register(b->shrinker);
	b->oom.notifier_call = on_oom;
	ret = register_oom_notifier(&b->oom);
	if (ret)
		shrinker_free(b->shrinker);
	return ret;
}

void pressure_stop(struct balloon *b)
{
	unregister_oom_notifier(&b->oom);
	shrinker_free(b->shrinker);
}
