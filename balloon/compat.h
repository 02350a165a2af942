/* SPDX-License-Identifier: GPL-2.0-only */
/* Teaches older kernels the newest one's dialect: see module/host/compat-probe. */
#ifndef GONDOLA_BALLOON_COMPAT_H
#define GONDOLA_BALLOON_COMPAT_H

#include <linux/gfp.h>
#include <linux/mmzone.h>
#include <linux/virtio_config.h>
#include <linux/vmstat.h>
#include "compat_shrinker.h"

/* Newer kernels put a page that moved into the balloon's list themselves. */
#ifdef COMPAT_BALLOON_LIST
#include <linux/balloon.h>
#define COMPAT_BALLOON_MOVES	IS_ENABLED(CONFIG_BALLOON_MIGRATION)

static inline void compat_balloon_moved(struct balloon_dev_info *pages, struct page *to,
					struct page *from)
{
}
#else
#include <linux/balloon_compaction.h>
#define COMPAT_BALLOON_MOVES	IS_ENABLED(CONFIG_BALLOON_COMPACTION)

static inline void compat_balloon_moved(struct balloon_dev_info *pages, struct page *to,
					struct page *from)
{
	unsigned long flags;

	get_page(to);
	spin_lock_irqsave(&pages->pages_lock, flags);
	balloon_page_insert(pages, to);
	pages->isolated_pages--;
	__count_vm_event(BALLOON_MIGRATE);
	spin_unlock_irqrestore(&pages->pages_lock, flags);
	balloon_page_finalize(from);
	put_page(from);
}
#endif

#ifndef COMPAT_MAX_PAGE_ORDER
#define MAX_PAGE_ORDER	(MAX_ORDER - 1)
#endif

#ifndef COMPAT_VIRTQUEUE_INFO
#define COMPAT_MAX_VQS	8

struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
	bool ctx;
};

static inline int compat_find_vqs(struct virtio_device *vdev, unsigned int count,
				  struct virtqueue *vqs[], const struct virtqueue_info *info,
				  struct irq_affinity *affinity)
{
	vq_callback_t *callbacks[COMPAT_MAX_VQS];
	const char *names[COMPAT_MAX_VQS];
	unsigned int i;

	if (WARN_ON_ONCE(count > COMPAT_MAX_VQS))
		return -EINVAL;
	for (i = 0; i < count; i++) {
		callbacks[i] = info[i].callback;
		names[i] = info[i].name;
	}
	return virtio_find_vqs(vdev, count, vqs, callbacks, names, affinity);
}
#define virtio_find_vqs	compat_find_vqs
#endif

#endif
