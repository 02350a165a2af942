/* SPDX-License-Identifier: GPL-2.0-only */
/* Teaches older kernels the newest one's dialect: see module/host/compat-probe. */
#ifndef GONDOLA_BALLOON_COMPAT_H
#define GONDOLA_BALLOON_COMPAT_H

#include <linux/mmzone.h>
#include <linux/virtio_config.h>
#include "compat_shrinker.h"

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
