/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TCP connections that end in this process. Where the guest goes on elsewhere they are lost: one
 * that only reads would wait for ever, so it is told by a reset.
 */
#ifndef DEVICE_VIRTIO_NET_FLOWS_H
#define DEVICE_VIRTIO_NET_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio.h"

/* As many as the user-mode network may have sockets. */
#define NET_FLOWS	VIRTIO_MAX_FDS
#define NET_RESET_BYTES	54u	/* headers of Ethernet, IPv4 and TCP */

/**
 * struct net_flow - one connection
 * @ends: addresses and ports as in a frame to the guest: theirs, then the guest's
 * @ethernet: the header of such a frame
 * @next: the sequence number that the guest waits for, if it has got all that was sent
 * @fins: who has sent its last byte
 * @used: when it was last seen, see struct net_flows
 */
struct net_flow {
	struct net_ends {
		uint8_t addresses[8];
		uint8_t ports[4];
	} ends;
	uint8_t ethernet[14];
	uint32_t next;
	unsigned int fins;
	uint64_t used;
};

/** struct net_flows - @all of them, @count in number; @frames were seen: their clock */
struct net_flows {
	struct net_flow all[NET_FLOWS];
	unsigned int count;
	uint64_t frames;
};

/** net_begins() - may a frame from the guest begin what needs a socket: a connection or datagrams? */
bool net_begins(const uint8_t *frame, size_t bytes);
/** net_flows_to_guest() - a frame is on its way to the guest */
void net_flows_to_guest(struct net_flows *flows, const uint8_t *frame, size_t bytes);
/** net_flows_from_guest() - one came from it */
void net_flows_from_guest(struct net_flows *flows, const uint8_t *frame, size_t bytes);
/** net_flows_reset() - the frame that ends the connection @index, of NET_RESET_BYTES */
void net_flows_reset(const struct net_flows *flows, unsigned int index, uint8_t *frame);

#endif
