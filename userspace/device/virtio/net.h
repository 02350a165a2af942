/* SPDX-License-Identifier: GPL-2.0-only */
/* The interface between the network card and its backend; called in the device's thread, lock held. */
#ifndef DEVICE_VIRTIO_NET_H
#define DEVICE_VIRTIO_NET_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define NET_MAX_FRAME	1518u	/* Ethernet with a VLAN tag, without its checksum */

struct net;

/**
 * struct net_backend - a tap, the user-mode network, or another program
 * @send: a frame from the guest
 * @poll: set the descriptors to wait for; @room: net_receive() would take a frame
 * @polled: handle their events
 * @close: close and free it
 * @yield, @claim: see struct device_state_ops (may be NULL)
 * @reset: put the frame into @frame that ends the guest's connection @index, of those that are lost
 *	   with this backend; returns its bytes, 0: there are fewer (may be NULL)
 */
struct net_backend {
	void (*send)(void *backend, const void *frame, size_t bytes);
	unsigned int (*poll)(void *backend, struct pollfd *fds, unsigned int count, bool room,
			     int *timeout);
	void (*polled)(void *backend, const struct pollfd *fds, unsigned int count);
	void (*close)(void *backend);
	void (*yield)(void *backend);
	bool (*claim)(void *backend, struct error *error);
	size_t (*reset)(void *backend, unsigned int index, uint8_t frame[NET_MAX_FRAME]);
};

/** net_receive() - receive a frame for the guest; dropped if there is no room */
void net_receive(struct net *net, const void *frame, size_t bytes);
/** net_room() - would net_receive() keep one? */
bool net_room(const struct net *net);
/** net_kick() - make the thread poll again after a change */
void net_kick(struct net *net);
/** net_complain() - print a line about it; the number of lines is limited */
void net_complain(struct net *net, const char *words);

/* Each makes a backend for @net, or returns NULL with an @error that begins with @option. */
void *net_tap_open(struct net *net, const char *option, const char *name,
		   const struct net_backend **ops, struct error *error);
/* @path: of a Unix socket, where passt listens */
void *net_socket_open(struct net *net, const char *option, const char *path,
		      const struct net_backend **ops, struct error *error);
/* @host_loopback: the host's address leads to its loopback interface */
void *net_user_open(struct net *net, const char *option, bool host_loopback,
		    const struct net_backend **ops, struct error *error);

#endif
