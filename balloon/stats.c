// SPDX-License-Identifier: GPL-2.0-only
/* Statistics: the device holds one record, and gives it back when it wants a new one. */
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "balloon.h"

static void put(struct balloon *b, unsigned int *at, u16 tag, u64 value)
{
	b->stats[*at].tag = cpu_to_virtio16(b->vdev, tag);
	b->stats[*at].val = cpu_to_virtio64(b->vdev, value);
	++*at;
}

static u64 bytes(u64 pages)
{
	return pages << PAGE_SHIFT;
}

static unsigned int fill(struct balloon *b)
{
	unsigned long events[NR_VM_EVENT_ITEMS];
	struct sysinfo info;
	unsigned int at = 0;

	si_meminfo(&info);
	all_vm_events(events);
	put(b, &at, VIRTIO_BALLOON_S_SWAP_IN, bytes(events[PSWPIN]));
	put(b, &at, VIRTIO_BALLOON_S_SWAP_OUT, bytes(events[PSWPOUT]));
	put(b, &at, VIRTIO_BALLOON_S_MAJFLT, events[PGMAJFAULT]);
	put(b, &at, VIRTIO_BALLOON_S_MINFLT, events[PGFAULT]);
	put(b, &at, VIRTIO_BALLOON_S_MEMFREE, bytes(info.freeram));
	put(b, &at, VIRTIO_BALLOON_S_MEMTOT, bytes(info.totalram));
	put(b, &at, VIRTIO_BALLOON_S_AVAIL, bytes(max(si_mem_available(), 0l)));
	put(b, &at, VIRTIO_BALLOON_S_CACHES, bytes(global_node_page_state(NR_FILE_PAGES)));
#ifdef CONFIG_HUGETLB_PAGE
	put(b, &at, VIRTIO_BALLOON_S_HTLB_PGALLOC, events[HTLB_BUDDY_PGALLOC]);
	put(b, &at, VIRTIO_BALLOON_S_HTLB_PGFAIL, events[HTLB_BUDDY_PGALLOC_FAIL]);
#endif
	return at;
}

static void offer(struct balloon *b)
{
	struct virtqueue *vq = b->vqs[VQ_STATS];
	struct scatterlist sg;

	sg_init_one(&sg, b->stats, fill(b) * sizeof(b->stats[0]));
	if (!virtqueue_add_outbuf(vq, &sg, 1, b, GFP_KERNEL))
		virtqueue_kick(vq);
}

void stats_start(struct balloon *b)
{
	if (b->vqs[VQ_STATS])
		offer(b);
}

void stats_work(struct work_struct *work)
{
	struct balloon *b = container_of(work, struct balloon, stats_work);
	unsigned int len;

	if (virtqueue_get_buf(b->vqs[VQ_STATS], &len))
		offer(b);
}

void stats_wanted(struct virtqueue *vq)
{
	struct balloon *b = vq->vdev->priv;

	balloon_queue(b, &b->stats_work);
}
