// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free pages that stay the guest's.  A report says that the host may discard what
 * they hold.  A hint, which a host asks for before it copies the guest's memory,
 * says that it need not copy them: hinted pages are kept until the host is done.
 */
#include <linux/mm.h>
#include <linux/virtio_config.h>

#include "balloon.h"
#include "compat.h"

#define HINT_ORDER	MAX_PAGE_ORDER
#define HINT_PAGES	(1ul << HINT_ORDER)

static int report(struct page_reporting_dev_info *reporting, struct scatterlist *sg,
		  unsigned int count)
{
	struct balloon *b = container_of(reporting, struct balloon, reporting);
	struct virtqueue *vq = b->vqs[VQ_REPORT];
	int ret;

	if (READ_ONCE(b->broken))
		return -ENODEV;
	ret = virtqueue_add_inbuf(vq, sg, count, b, GFP_NOWAIT | __GFP_NOWARN);
	if (WARN_ON_ONCE(ret))
		return ret;
	virtqueue_kick(vq);
	wait_for_device(b, vq);
	return READ_ONCE(b->broken) ? -ENODEV : 0;
}

int reporting_start(struct balloon *b)
{
	int ret;

	if (!b->vqs[VQ_REPORT])
		return 0;
	if (virtqueue_get_vring_size(b->vqs[VQ_REPORT]) < PAGE_REPORTING_CAPACITY) {
		dev_info(&b->vdev->dev, "the queue for free pages is too small, none are reported\n");
		return 0;
	}
	b->reporting = (struct page_reporting_dev_info){ .report = report };
	ret = page_reporting_register(&b->reporting);
	b->reporting_on = !ret;
	/* There is place for one such device in a kernel. */
	if (ret == -EBUSY)
		dev_info(&b->vdev->dev, "another device has free pages reported to it\n");
	return ret == -EBUSY ? 0 : ret;
}

void reporting_stop(struct balloon *b)
{
	if (b->reporting_on)
		page_reporting_unregister(&b->reporting);
	b->reporting_on = false;
}

static bool hint(struct balloon *b, struct scatterlist *sg, bool in)
{
	struct virtqueue *vq = b->vqs[VQ_HINT];
	int ret = in ? virtqueue_add_inbuf(vq, sg, 1, b, GFP_KERNEL) :
		  virtqueue_add_outbuf(vq, sg, 1, b, GFP_KERNEL);

	if (ret)
		return false;
	virtqueue_kick(vq);
	wait_for_device(b, vq);
	return !READ_ONCE(b->broken);
}

static bool hint_say(struct balloon *b, u32 id)
{
	struct scatterlist sg;

	b->hint_id = cpu_to_virtio32(b->vdev, id);
	sg_init_one(&sg, &b->hint_id, sizeof(b->hint_id));
	return hint(b, &sg, false);
}

static bool hint_chunk(struct balloon *b)
{
	struct page *chunk = alloc_pages((GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM) | __GFP_NOWARN |
					 __GFP_NOMEMALLOC, HINT_ORDER);
	struct scatterlist sg;

	if (!chunk)
		return false;
	mutex_lock(&b->hint_lock);
	list_add(&chunk->lru, &b->hinted);
	mutex_unlock(&b->hint_lock);
	sg_init_table(&sg, 1);
	sg_set_page(&sg, chunk, HINT_PAGES << PAGE_SHIFT, 0);
	return hint(b, &sg, true);
}

unsigned long hint_drop(struct balloon *b, unsigned long count)
{
	unsigned long done = 0;

	/* Without waiting: the thread that hints may itself be out of memory and come here. */
	if (!mutex_trylock(&b->hint_lock))
		return 0;
	while (done < count && !list_empty(&b->hinted)) {
		struct page *chunk = list_first_entry(&b->hinted, struct page, lru);

		list_del(&chunk->lru);
		__free_pages(chunk, HINT_ORDER);
		done += HINT_PAGES;
	}
	mutex_unlock(&b->hint_lock);
	return done;
}

/* To be read once for each change: QEMU takes an id back when the driver has begun with it. */
static u32 wanted_id(struct balloon *b)
{
	if (xchg(&b->hint_changed, false))
		virtio_cread_le(b->vdev, struct virtio_balloon_config, free_page_hint_cmd_id,
				&b->hint_wanted);
	return b->hint_wanted;
}

void hint_work(struct work_struct *work)
{
	struct balloon *b = container_of(work, struct balloon, hint_work);
	u32 id = wanted_id(b);

	if (id == b->hint_seen)
		return;
	b->hint_seen = id;
	if (id == VIRTIO_BALLOON_CMD_ID_DONE || id == VIRTIO_BALLOON_CMD_ID_STOP) {
		if (id == VIRTIO_BALLOON_CMD_ID_DONE)
			while (hint_drop(b, HINT_PAGES))
				cond_resched();
		return;
	}
	if (!hint_say(b, id))
		return;
	while (wanted_id(b) == id && hint_chunk(b))
		cond_resched();
	hint_say(b, VIRTIO_BALLOON_CMD_ID_STOP);
}
