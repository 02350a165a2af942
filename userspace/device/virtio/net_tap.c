// SPDX-License-Identifier: GPL-2.0-only
/* A tap interface of the host.  Bridges, routes and firewalls are its owner's business. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/if.h>

#include "device/device.h"
#include "device/state.h"
#include "sandbox/keeper.h"
#include "net.h"

/**
 * struct tap - our end of the tap
 * @fd: the open tap, or -1 while it is yielded
 * @name, @note: of the interface, see sandbox/keeper.h
 */
struct tap {
	struct net *net;
	int fd;
	char name[IFNAMSIZ];
	int note;
};

static void send_frame(void *backend, const void *frame, size_t bytes)
{
	struct tap *tap = backend;

	/* If the queue is full or the interface is down, the frame is lost, as on a wire. */
	while (write(tap->fd, frame, bytes) < 0 && errno == EINTR)
		;
}

static unsigned int poll_tap(void *backend, struct pollfd *fds, unsigned int count, bool room,
			     int *timeout)
{
	struct tap *tap = backend;

	(void)count;
	(void)timeout;
	/* Frames without room wait in the interface. */
	fds[0] = (struct pollfd){ .fd = room ? tap->fd : -1, .events = POLLIN };
	return 1;
}

static void yield(void *backend)
{
	struct tap *tap = backend;

	if (tap->fd >= 0)
		close(tap->fd);
	tap->fd = -1;
}

/* The interface was deleted, and its descriptor would always be ready. */
static void unplugged(struct tap *tap)
{
	net_complain(tap->net, "the tap interface is gone: the card sends and receives nothing");
	yield(tap);
}

static void polled(void *backend, const struct pollfd *fds, unsigned int count)
{
	struct tap *tap = backend;
	char frame[NET_MAX_FRAME + 1];
	ssize_t bytes;

	if (!count || !fds[0].revents)
		return;
	/* The kernel truncates a frame that is too long; then its length drops it. */
	while (net_room(tap->net)) {
		bytes = read(tap->fd, frame, sizeof(frame));
		if (bytes < 0 && errno == EINTR)
			continue;
		if (!bytes || (bytes < 0 && fds[0].revents & (POLLERR | POLLHUP | POLLNVAL) &&
			       errno != EAGAIN))
			unplugged(tap);
		if (bytes <= 0)
			break;
		net_receive(tap->net, frame, bytes);
	}
}

static void close_tap(void *backend)
{
	struct tap *tap = backend;

	yield(tap);
	free(tap);
}

static bool open_tap(struct tap *tap, struct error *error)
{
	int fd = keeper_tap(tap->note);

	if (fd >= 0) {
		tap->fd = fd;
		return true;
	}
	if (fd == -EPERM)
		return error_set(error, EXIT_CODE_USAGE,
				 "this user may not use it (as root: ip tuntap add %s mode tap user NAME)",
				 tap->name);
	if (fd == -ENOTUNIQ)
		return error_set(error, EXIT_CODE_USAGE,
				 "it was made with multi_queue, and a card has one queue (as root: ip tuntap del %s mode tap multi_queue; ip tuntap add %s mode tap)",
				 tap->name, tap->name);
	return error_set(error, error_status(-fd), "%s%s", strerror(-fd),
			 fd == -ENOENT || fd == -EACCES ?
			 ": /dev/net/tun cannot be opened (modprobe tun)" :
			 fd == -EBUSY ? ": another program has it" :
			 fd == -EINVAL ? ": it exists and is no tap interface" : "");
}

static bool claim(void *backend, struct error *error)
{
	struct tap *tap = backend;

	return open_tap(tap, error) ||
	       error_set(error, EXIT_CODE_ERROR, "net tap=%s: %s", tap->name, error->words);
}

void *net_tap_open(struct net *net, const char *option, const char *name,
		   const struct net_backend **ops, struct error *error)
{
	static const struct net_backend backend = {
		.send = send_frame, .poll = poll_tap, .polled = polled, .close = close_tap,
		.yield = yield, .claim = claim,
	};
	struct tap *tap;

	if (!*name || strlen(name) >= sizeof(tap->name)) {
		error_set(error, EXIT_CODE_USAGE, "%s: an interface's name has 1 to %zu characters",
			  option, sizeof(tap->name) - 1);
		return NULL;
	}
	tap = device_alloc(sizeof(*tap));
	strcpy(tap->name, name);
	tap->note = keeper_note(KEEPER_TAP, name, error);
	tap->net = net;
	tap->fd = -1;
	if (tap->note < 0 || (!devices_incoming() && !open_tap(tap, error))) {
		error_set(error, error->status, "%s: %s", option, error->words);
		free(tap);
		return NULL;
	}
	*ops = &backend;
	return tap;
}
