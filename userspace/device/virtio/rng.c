// SPDX-License-Identifier: GPL-2.0-only
/* Entropy, from the host's getrandom(). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <linux/virtio_ids.h>

#include "devices.h"

/* A buffer may have any size: write this much at most, as the standard allows. */
#define MAX_BYTES	65536u

static int64_t fill(struct virtio_device *device, struct queue_chain *chain)
{
	struct iovec iov[QUEUE_MAX_SEGMENTS];
	uint64_t bytes = chain->in_bytes < MAX_BYTES ? chain->in_bytes : MAX_BYTES;
	unsigned int count = chain_slice(chain, true, 0, bytes, iov);
	uint64_t done = 0;

	if (!bytes) {
		virtio_broken(device, "a request for randomness has no room for it");
		return -1;
	}
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *to = iov[i].iov_base;

		while (iov[i].iov_len) {
			ssize_t got = getrandom(to, iov[i].iov_len, 0);

			if (got < 0 && errno != EINTR)
				return done;
			if (got <= 0)
				continue;
			to += got;
			iov[i].iov_len -= got;
			done += got;
		}
	}
	return virtio_spend(device, done) ? (int64_t)done : -1;
}

static void work(struct virtio_device *device)
{
	virtio_serve(device, 0, fill);
}

struct virtio_device *rng_create(struct guest_memory *memory, uint8_t *registers,
				 struct error *error)
{
	static const struct virtio_ops ops = {
		.name = "rng", .id = VIRTIO_ID_RNG, .work = work,
	};
	struct virtio_device *device = device_alloc(sizeof(*device));

	snprintf(device->label, sizeof(device->label), "rng");
	return virtio_init(device, &ops, memory, registers, 0, 1, error) ? device : NULL;
}
