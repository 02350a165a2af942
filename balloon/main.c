// SPDX-License-Identifier: GPL-2.0-only
/*
 * gondola_balloon: a driver for the standard's balloon device.  One worker
 * follows the host's goal, or its plain target.  Nothing else inflates, and what
 * gives pages back for want of memory takes turns with it.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poison.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "balloon.h"
#include "compat.h"

#define CONFIG_OF(member)	(GONDOLA_BALLOON_CONFIG + \
				 offsetof(struct gondola_balloon_config, member))

static unsigned int limit;
module_param(limit, uint, 0644);
MODULE_PARM_DESC(limit, "MiB that the balloon takes at most: goals beyond are refused (0: no limit)");

static u32 read_config(struct balloon *b, unsigned int offset)
{
	__le32 value;

	virtio_cread_bytes(b->vdev, offset, &value, sizeof(value));
	return le32_to_cpu(value);
}

static void write_config(struct balloon *b, unsigned int offset, u32 value)
{
	__le32 raw = cpu_to_le32(value);

	if (!READ_ONCE(b->broken))
		b->vdev->config->set(b->vdev, offset, &raw, sizeof(raw));
}

static u64 now_ms(void)
{
	return ktime_to_ms(ktime_get());
}

void balloon_wake(struct balloon *b)
{
	unsigned long flags;

	spin_lock_irqsave(&b->stop_lock, flags);
	if (!b->stopped)
		mod_delayed_work(system_freezable_wq, &b->work, 0);
	spin_unlock_irqrestore(&b->stop_lock, flags);
}

void balloon_queue(struct balloon *b, struct work_struct *work)
{
	unsigned long flags;

	spin_lock_irqsave(&b->stop_lock, flags);
	if (!b->stopped)
		queue_work(system_freezable_wq, work);
	spin_unlock_irqrestore(&b->stop_lock, flags);
}

static void set_stopped(struct balloon *b, bool stopped)
{
	spin_lock_irq(&b->stop_lock);
	WRITE_ONCE(b->stopped, stopped);
	spin_unlock_irq(&b->stop_lock);
}

/* ---- the goal: lock held ---------------------------------------------------------- */

/* False while the device is about to change it: it tells when it has. */
static bool read_goal(struct balloon *b, struct goal *goal)
{
	if (!virtio_has_feature(b->vdev, GONDOLA_BALLOON_F_PACE)) {
		*goal = (struct goal){
			.target = read_config(b, offsetof(struct virtio_balloon_config, num_pages)),
			.lasting = true,
		};
		goal->id = goal->target;
		return true;
	}
	*goal = (struct goal){
		.id = read_config(b, CONFIG_OF(id)),
		.target = read_config(b, CONFIG_OF(target)),
		.rate = read_config(b, CONFIG_OF(rate)),
		.deadline = read_config(b, CONFIG_OF(deadline)),
		.floor = read_config(b, CONFIG_OF(floor)),
	};
	return goal->id && goal->id == read_config(b, CONFIG_OF(id_again));
}

static u64 most_pages(void)
{
	return (u64)READ_ONCE(limit) << (20 - PAGE_SHIFT);
}

/* A goal beyond the limit is not begun; one that the device changes later ends there. */
static bool refused(const struct balloon *b, const struct goal *goal)
{
	u64 most = most_pages();

	return most && goal->target > b->held && goal->target > most;
}

static void take_goal(struct balloon *b)
{
	struct goal goal;

	if (!read_goal(b, &goal))
		return;
	if (b->begun && goal.id == b->goal.goal.id) {
		/* The device ended it, and wants no more than there was then. */
		b->goal.goal.target = goal.target;
		return;
	}
	goal.floor = max_t(unsigned long, goal.floor, pressure_floor());
	goal_begin(&b->goal, &goal, now_ms());
	b->begun = true;
	b->told = false;
	if (!goal.lasting && refused(b, &goal))
		b->goal.reason = GONDOLA_BALLOON_REFUSED;
}

/* The guest has slept.  Another host, or the same one before it asked, may not want it any more. */
static void resume_goal(struct balloon *b)
{
	struct goal goal;

	b->begun = b->begun && !b->goal.goal.lasting && read_goal(b, &goal) &&
		   goal.id == b->goal.goal.id;
	if (!b->begun)
		return;
	b->goal.goal.target = goal.target;
	goal_resume(&b->goal, now_ms());
}

static void tell_end(struct balloon *b)
{
	static const char *const why[GONDOLA_BALLOON_REASONS] = {
		[GONDOLA_BALLOON_FLOOR] = "the guest would have less than its floor",
		[GONDOLA_BALLOON_DEADLINE] = "the time is over",
		[GONDOLA_BALLOON_REFUSED] = "it is beyond this guest's limit",
		[GONDOLA_BALLOON_NO_MEMORY] = "there are no pages to give",
	};
	u32 reason = b->goal.reason;

	if (b->told || reason == GONDOLA_BALLOON_RUNNING)
		return;
	b->told = true;
	balloon_write_actual(b);
	if (why[reason])
		dev_info_ratelimited(&b->vdev->dev, "%llu of %u MiB in the balloon: %s\n",
				     b->held >> (20 - PAGE_SHIFT),
				     b->goal.goal.target >> (20 - PAGE_SHIFT), why[reason]);
	if (!virtio_has_feature(b->vdev, GONDOLA_BALLOON_F_PACE))
		return;
	write_config(b, CONFIG_OF(backoffs), b->goal.backoffs);
	write_config(b, CONFIG_OF(report_id), b->goal.goal.id);
	write_config(b, CONFIG_OF(reason), reason);
}

static void say_pause(struct balloon *b)
{
	balloon_write_actual(b);
	if (b->goal.backoffs == 1)
		dev_info_ratelimited(&b->vdev->dev,
				     "%llu of %u MiB in the balloon: memory is short, pausing\n",
				     b->held >> (20 - PAGE_SHIFT),
				     b->goal.goal.target >> (20 - PAGE_SHIFT));
	if (virtio_has_feature(b->vdev, GONDOLA_BALLOON_F_PACE))
		write_config(b, CONFIG_OF(backoffs), b->goal.backoffs);
}

/* True if there may be more to do at once. */
static bool one_step(struct balloon *b)
{
	struct goal_step step;

	if (xchg(&b->changed, false))
		take_goal(b);
	/* Either it gives back or it takes: in this order. */
	if (xchg(&b->squeezed, false))
		pressure_relieve(b);
	tell_end(b);
	if (!b->begun)
		return false;
	b->goal.most = most_pages();
	step = goal_next(&b->goal, now_ms(), b->held, max(si_mem_available(), 0l));
	switch (step.action) {
	case GOAL_INFLATE:
		goal_inflated(&b->goal, now_ms(), balloon_inflate(b, step.pages));
		balloon_write_actual(b);
		return true;
	case GOAL_DEFLATE:
		/* A page that is being moved comes back in a moment. */
		if (!balloon_deflate(b, step.pages))
			mod_delayed_work(system_freezable_wq, &b->work, HZ / 50);
		else
			return true;
		return false;
	case GOAL_WAIT:
		if (step.paused)
			say_pause(b);
		mod_delayed_work(system_freezable_wq, &b->work, msecs_to_jiffies(step.wait));
		return false;
	case GOAL_END:
		tell_end(b);
		return false;
	case GOAL_IDLE:
		return false;
	}
	return false;
}

/* One step at a time: before the guest sleeps, the kernel waits until no work is running. */
static void follow(struct work_struct *work)
{
	struct balloon *b = container_of(to_delayed_work(work), struct balloon, work);
	bool more;

	mutex_lock(&b->lock);
	more = !READ_ONCE(b->broken) && !READ_ONCE(b->stopped) && !b->sleepy && one_step(b);
	mutex_unlock(&b->lock);
	if (more)
		balloon_wake(b);
}

/* ---- the device --------------------------------------------------------------------- */

static void on_ack(struct virtqueue *vq)
{
	struct balloon *b = vq->vdev->priv;

	wake_up(&b->acked);
}

static void on_config(struct virtio_device *vdev)
{
	struct balloon *b = vdev->priv;

	if (vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET) {
		dev_err_once(&vdev->dev, "the device is broken; the balloon stays as it is\n");
		WRITE_ONCE(b->broken, true);
		wake_up_all(&b->acked);
		return;
	}
	WRITE_ONCE(b->changed, true);
	balloon_wake(b);
	if (b->vqs[VQ_HINT]) {
		WRITE_ONCE(b->hint_changed, true);
		balloon_queue(b, &b->hint_work);
	}
}

static int find_queues(struct balloon *b)
{
	struct virtqueue_info queues[VQ_COUNT] = {
		[VQ_INFLATE] = { "inflate", on_ack },
		[VQ_DEFLATE] = { "deflate", on_ack },
	};

	if (virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_STATS_VQ))
		queues[VQ_STATS] = (struct virtqueue_info){ "stats", stats_wanted };
	if (virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		queues[VQ_HINT] = (struct virtqueue_info){ "free_page_hint", on_ack };
	if (virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_REPORTING))
		queues[VQ_REPORT] = (struct virtqueue_info){ "reporting", on_ack };
	return virtio_find_vqs(b->vdev, VQ_COUNT, b->vqs, queues, NULL);
}

static void tell_poison(struct balloon *b)
{
	u32 value = 0;

	if (!virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		return;
	if (!want_init_on_free())
		memset(&value, PAGE_POISON, sizeof(value));
	virtio_cwrite_le(b->vdev, struct virtio_balloon_config, poison_val, &value);
}

static void wind_down(struct balloon *b)
{
	set_stopped(b, true);
	cancel_delayed_work_sync(&b->work);
	cancel_work_sync(&b->stats_work);
	cancel_work_sync(&b->hint_work);
	/* A reset gives back all that the device still has; before it, it is told of it. */
	while (hint_drop(b, 1))
		;
	balloon_empty(b);
	virtio_reset_device(b->vdev);
	b->vdev->config->del_vqs(b->vdev);
}

static int begin(struct balloon *b)
{
	int ret;

	WRITE_ONCE(b->broken, false);
	b->hint_seen = VIRTIO_BALLOON_CMD_ID_STOP;
	ret = find_queues(b);
	if (ret)
		return ret;
	tell_poison(b);
	virtio_device_ready(b->vdev);
	resume_goal(b);
	stats_start(b);
	set_stopped(b, false);
	ret = reporting_start(b);
	if (ret)
		goto fail;
	ret = pressure_start(b);
	if (ret)
		goto fail_reporting;
	b->up = true;
	on_config(b->vdev);
	return 0;

fail_reporting:
	reporting_stop(b);
fail:
	wind_down(b);
	return ret;
}

static void end(struct balloon *b)
{
	/* It may have failed to begin again after a sleep. */
	if (!xchg(&b->up, false))
		return;
	pressure_stop(b);
	reporting_stop(b);
	wind_down(b);
}

/* An image of the memory for hibernation is made room for long before freeze() is called. */
static int on_sleep(struct notifier_block *block, unsigned long event, void *unused)
{
	struct balloon *b = container_of(block, struct balloon, pm);

	if (event != PM_HIBERNATION_PREPARE && event != PM_POST_HIBERNATION)
		return NOTIFY_DONE;
	mutex_lock(&b->lock);
	b->sleepy = event == PM_HIBERNATION_PREPARE;
	if (b->up && !b->sleepy)
		resume_goal(b);
	mutex_unlock(&b->lock);
	if (!b->up)
		return NOTIFY_DONE;
	if (event == PM_HIBERNATION_PREPARE)
		balloon_empty(b);
	else
		on_config(b->vdev);
	return NOTIFY_OK;
}

static int probe(struct virtio_device *vdev)
{
	struct balloon *b;
	int ret;

	if (!vdev->config->get)
		return -EINVAL;
	b = kzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return -ENOMEM;
	b->vdev = vdev;
	vdev->priv = b;
	b->stopped = true;
	init_waitqueue_head(&b->acked);
	spin_lock_init(&b->stop_lock);
	mutex_init(&b->lock);
	mutex_init(&b->hint_lock);
	INIT_LIST_HEAD(&b->hinted);
	INIT_DELAYED_WORK(&b->work, follow);
	INIT_WORK(&b->stats_work, stats_work);
	INIT_WORK(&b->hint_work, hint_work);
	balloon_devinfo_init(&b->pages);
	b->pages.migratepage = balloon_migrate;
	b->pm.notifier_call = on_sleep;
	ret = begin(b);
	if (ret)
		goto fail;
	ret = register_pm_notifier(&b->pm);
	if (ret)
		goto fail_begun;
	return 0;

fail_begun:
	end(b);
fail:
	kfree(b);
	return ret;
}

static void remove(struct virtio_device *vdev)
{
	struct balloon *b = vdev->priv;

	unregister_pm_notifier(&b->pm);
	end(b);
	kfree(b);
}

#ifdef CONFIG_PM_SLEEP
/* The host's side may be gone after sleep, and pages with it: deflate before the guest sleeps. */
static int freeze(struct virtio_device *vdev)
{
	end(vdev->priv);
	return 0;
}

static int restore(struct virtio_device *vdev)
{
	return begin(vdev->priv);
}
#endif

static int validate(struct virtio_device *vdev)
{
	/* Without a pattern in free pages there is nothing to tell; with one, the device must know. */
	if (!want_init_on_free() && !page_poisoning_enabled_static())
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_PAGE_POISON);
	else if (!virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_REPORTING);
	/* The device works on the guest's physical pages, behind any IOMMU. */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	return 0;
}

static const struct virtio_device_id ids[] = {
	{ VIRTIO_ID_BALLOON, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, ids);

static const unsigned int features[] = {
	VIRTIO_BALLOON_F_MUST_TELL_HOST, VIRTIO_BALLOON_F_STATS_VQ, VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
	VIRTIO_BALLOON_F_FREE_PAGE_HINT, VIRTIO_BALLOON_F_PAGE_POISON, VIRTIO_BALLOON_F_REPORTING,
	GONDOLA_BALLOON_F_PACE, GONDOLA_BALLOON_F_RUNS,
};

static struct virtio_driver balloon_driver = {
	.feature_table = features,
	.feature_table_size = ARRAY_SIZE(features),
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = ids,
	.validate = validate,
	.probe = probe,
	.remove = remove,
	.config_changed = on_config,
#ifdef CONFIG_PM_SLEEP
	.freeze = freeze,
	.restore = restore,
#endif
};
module_virtio_driver(balloon_driver);

MODULE_DESCRIPTION("Balloon driver for guests of gondola and any standard host");
MODULE_LICENSE("GPL");
