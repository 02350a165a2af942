/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vhost-user protocol: another program, the back-end, serves a device's queue in memory that
 * both have.  Messages go through a socket; this is the side that sends them.
 *
 * Nothing that comes from the back-end is trusted, and nothing waits for it longer than the time
 * that vhost_user_begin() gives.
 */
#ifndef DEVICE_VIRTIO_VHOST_USER_H
#define DEVICE_VIRTIO_VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/vhost_types.h>

#include "base/error.h"

#define VHOST_USER_MAX_CONFIG	256u
#define VHOST_USER_MAX_REGIONS	8u

/** vhost_user_patience_ms - how long vhost_user_begin() gives; tests have less of it */
extern int vhost_user_patience_ms;
/** vhost_blk_window_ms - how long a disk's requests wait for another back-end; tests have less of it */
extern int vhost_blk_window_ms;

/**
 * struct vhost_user - a connection
 * @fd: the socket
 * @features: of the device, as the back-end offers them
 * @protocol: features of the protocol that both know
 * @until: when the patience ends, in ms
 * @why: what went wrong, after a call that returned false
 * @status: the exit status for that, where the connection was not made
 * @gone: it was that the back-end has closed the connection
 */
struct vhost_user {
	int fd;
	uint64_t features;
	uint64_t protocol;
	int64_t until;
	char why[128];
	enum exit_code status;
	bool gone;
};

/** struct vhost_user_region - a piece of memory for the back-end: @bytes from @offset of @fd */
struct vhost_user_region {
	uint64_t gpa;
	uint64_t bytes;
	void *address;
	uint64_t offset;
	int fd;
};

/**
 * struct vhost_user_ring - queue 0
 * @kick: the back-end looks at the ring when it is signalled
 * @call: the back-end signals it when it has used a buffer
 */
struct vhost_user_ring {
	uint32_t size;
	const void *desc;
	const void *avail;
	const void *used;
	int kick;
	int call;
};

/** vhost_user_begin() - what is asked from now on must be answered in time, all of it together */
void vhost_user_begin(struct vhost_user *peer);
/**
 * vhost_user_take() - agree on features over the connection @fd (or -errno) within @patience_ms
 *
 * False with @peer->why, and nothing to close.
 */
bool vhost_user_take(struct vhost_user *peer, int fd, int patience_ms);
void vhost_user_close(struct vhost_user *peer);
/** vhost_user_config() - the first @bytes of the device's configuration */
bool vhost_user_config(struct vhost_user *peer, void *config, uint32_t bytes);
/** vhost_user_start() - the back-end serves the ring, for a driver that took @features */
bool vhost_user_start(struct vhost_user *peer, uint64_t features,
		      const struct vhost_user_region *regions, unsigned int count,
		      const struct vhost_user_ring *ring);
/** vhost_user_stop() - it does no longer, and touches no memory */
bool vhost_user_stop(struct vhost_user *peer);

#endif
