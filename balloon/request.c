// SPDX-License-Identifier: GPL-2.0-only
/* Requests to the device: runs of pages where it knows them, else arrays of their numbers. */
#include <linux/virtio_config.h>

#include "balloon.h"

#define LOOK_AGAIN	(5 * HZ)

void wait_for_device(struct balloon *b, struct virtqueue *vq)
{
	unsigned int len;

	/* A device that broke down may not have been able to say so. */
	while (!wait_event_timeout(b->acked, virtqueue_get_buf(vq, &len) || READ_ONCE(b->broken),
				   LOOK_AGAIN))
		if (virtqueue_is_broken(vq) ||
		    b->vdev->config->get_status(b->vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
			WRITE_ONCE(b->broken, true);
}

static void send(struct balloon *b, struct virtqueue *vq, unsigned int entries, bool in)
{
	int ret;

	if (READ_ONCE(b->broken))
		return;
	/* Without memory for an indirect table the ring itself has room: it is empty. */
	ret = in ? virtqueue_add_inbuf(vq, b->sg, entries, b, GFP_NOWAIT | __GFP_NOWARN) :
	      virtqueue_add_outbuf(vq, b->sg, entries, b, GFP_NOWAIT | __GFP_NOWARN);
	if (ret) {
		dev_err_once(&b->vdev->dev, "a request does not fit its queue (%d)\n", ret);
		WRITE_ONCE(b->broken, true);
		return;
	}
	virtqueue_kick(vq);
	wait_for_device(b, vq);
}

static void send_runs(struct balloon *b, struct virtqueue *vq)
{
	unsigned int done = 0, room = virtqueue_get_vring_size(vq);

	while (done < b->runs.count) {
		unsigned int count = min(b->runs.count - done, room);

		sg_init_table(b->sg, count);
		for (unsigned int i = 0; i < count; i++) {
			const struct run *run = &b->runs.run[done + i];

			sg_set_page(&b->sg[i], pfn_to_page(run->pfn), run->pages << PAGE_SHIFT, 0);
		}
		send(b, vq, count, true);
		done += count;
	}
}

static void send_pfns(struct balloon *b, struct virtqueue *vq, unsigned int count)
{
	sg_init_one(b->sg, b->pfns, count * sizeof(b->pfns[0]));
	send(b, vq, 1, false);
}

static void send_arrays(struct balloon *b, struct virtqueue *vq)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < b->runs.count; i++) {
		const struct run *run = &b->runs.run[i];

		for (u32 page = 0; page < run->pages; page++) {
			b->pfns[count++] = cpu_to_virtio32(b->vdev, run->pfn + page);
			if (count == PFNS) {
				send_pfns(b, vq, count);
				count = 0;
			}
		}
	}
	if (count)
		send_pfns(b, vq, count);
}

void tell_runs(struct balloon *b, struct virtqueue *vq)
{
	BUILD_BUG_ON(PAGE_SHIFT != GONDOLA_BALLOON_PAGE_SHIFT);
	if (virtio_has_feature(b->vdev, GONDOLA_BALLOON_F_RUNS))
		send_runs(b, vq);
	else
		send_arrays(b, vq);
	b->runs.count = 0;
}
