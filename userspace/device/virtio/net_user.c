// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network without privileges, by libslirp: the guest is 10.0.2.15 (by DHCP), the host 10.0.2.2, a
 * name server 10.0.2.3; this process makes the guest's connections.  IPv4 only.  The guest cannot
 * reach the host's loopback interface, unless the user allows it.
 */
#include "base/wait.h"
#include "device/device.h"
#include "net.h"

#ifdef NO_USER_NET

void *net_user_open(struct net *net, const char *option, bool host_loopback,
		    const struct net_backend **ops, struct error *error)
{
	(void)net;
	(void)host_loopback;
	(void)ops;
	error_set(error, EXIT_CODE_USAGE, "%s: this gondola was built without libslirp (STATIC=1)",
		  option);
	return NULL;
}

#else

#include <arpa/inet.h>
#include <limits.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "net_flows.h"
#include "virtio.h"

/**
 * struct user - a guest's network
 * @sockets: that slirp has, no more than @most
 * @full: has the user been told that there are no more?
 * @fds: the polled descriptors, while slirp sets or reads them
 * @count: number of @fds in use
 * @room: size of @fds
 */
struct user {
	struct net *net;
	Slirp *slirp;
	struct net_flows flows;
	unsigned int sockets;
	unsigned int most;
	bool full;
	struct pollfd *fds;
	unsigned int count;
	unsigned int room;
};

static const struct {
	int slirp;
	short poll;
} events[] = {
	{ SLIRP_POLL_IN, POLLIN }, { SLIRP_POLL_OUT, POLLOUT }, { SLIRP_POLL_PRI, POLLPRI },
	{ SLIRP_POLL_ERR, POLLERR }, { SLIRP_POLL_HUP, POLLHUP },
};
#define NR_EVENTS	(sizeof(events) / sizeof(events[0]))

static int add_poll(int fd, int wanted, void *opaque)
{
	struct user *user = opaque;
	short mask = 0;

	/* There are no more sockets than entries. */
	if (user->count == user->room)
		return -1;
	for (unsigned int i = 0; i < NR_EVENTS; i++)
		if (wanted & events[i].slirp)
			mask |= events[i].poll;
	user->fds[user->count] = (struct pollfd){ .fd = fd, .events = mask };
	return user->count++;
}

static int get_revents(int index, void *opaque)
{
	struct user *user = opaque;
	int happened = 0;

	if (index < 0 || index >= (int)user->count)
		return 0;
	for (unsigned int i = 0; i < NR_EVENTS; i++)
		if (user->fds[index].revents & events[i].poll)
			happened |= events[i].slirp;
	return happened;
}

static unsigned int poll_user(void *backend, struct pollfd *fds, unsigned int count, bool room,
			      int *timeout)
{
	struct user *user = backend;
	uint32_t wait = UINT32_MAX;

	(void)room;
	user->fds = fds;
	user->count = 0;
	user->room = count;
	slirp_pollfds_fill(user->slirp, &wait, add_poll, user);
	if (wait <= INT_MAX)
		*timeout = (int)wait;
	return user->count;
}

static void polled(void *backend, const struct pollfd *fds, unsigned int count)
{
	struct user *user = backend;

	user->fds = (struct pollfd *)fds;
	user->count = count;
	slirp_pollfds_poll(user->slirp, 0, get_revents, user);
}

/* 127.0.0.0/8 and 0.0.0.0/8 are never on a wire.  Slirp would connect to the host's loopback. */
static bool is_for_this_host(const uint8_t *frame, size_t bytes)
{
	enum { TYPE = 12, HEADER = 14, DESTINATION = HEADER + 16 };

	return bytes > DESTINATION && frame[TYPE] == 8 && !frame[TYPE + 1] &&
	       (frame[DESTINATION] == 127 || !frame[DESTINATION]);
}

/* The rest of the process needs descriptors, too: for its files, its clients, and to save the VM. */
static bool is_one_too_many(struct user *user, const uint8_t *frame, size_t bytes)
{
	if (user->sockets < user->most || !net_begins(frame, bytes))
		return false;
	if (!user->full)
		net_complain(user->net, "the guest has as many connections as it may have: it gets no other until one of them ends");
	user->full = true;
	return true;
}

static void send_frame(void *backend, const void *frame, size_t bytes)
{
	struct user *user = backend;

	if (is_for_this_host(frame, bytes) || is_one_too_many(user, frame, bytes))
		return;
	net_flows_from_guest(&user->flows, frame, bytes);
	slirp_input(user->slirp, frame, (int)bytes);
}

static size_t reset_user(void *backend, unsigned int index, uint8_t frame[NET_MAX_FRAME])
{
	const struct user *user = backend;

	if (index >= user->flows.count)
		return 0;
	net_flows_reset(&user->flows, index, frame);
	return NET_RESET_BYTES;
}

static void close_user(void *backend)
{
	struct user *user = backend;

	slirp_cleanup(user->slirp);
	free(user);
}

/* ---- what slirp asks of us -------------------------------------------------------- */

static ssize_t on_packet(const void *frame, size_t bytes, void *opaque)
{
	struct user *user = opaque;

	net_flows_to_guest(&user->flows, frame, bytes);
	net_receive(user->net, frame, bytes);
	return bytes;
}

static void on_guest_error(const char *words, void *opaque)
{
	struct user *user = opaque;

	net_complain(user->net, words);
}

static int64_t get_clock(void *opaque)
{
	(void)opaque;
	return wait_now_ns();
}

/* They are collected again in each round, and only counted here. */
static void on_socket(int fd, void *opaque)
{
	struct user *user = opaque;

	/* -1: it could not be made. */
	user->sockets += fd >= 0;
}

static void on_socket_end(int fd, void *opaque)
{
	struct user *user = opaque;

	user->sockets -= fd >= 0 && user->sockets;
}

static void on_notify(void *opaque)
{
	struct user *user = opaque;

	net_kick(user->net);
}

static unsigned int most_sockets(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur / 4 >= VIRTIO_MAX_FDS)
		return VIRTIO_MAX_FDS;
	return limit.rlim_cur / 4;
}

void *net_user_open(struct net *net, const char *option, bool host_loopback,
		    const struct net_backend **ops, struct error *error)
{
	static const struct net_backend backend = {
		.send = send_frame, .poll = poll_user, .polled = polled,
		.close = close_user, .reset = reset_user,
	};
	/* Timers are for IPv6's router advertisements alone. */
	static const SlirpCb callbacks = {
		.send_packet = on_packet,
		.guest_error = on_guest_error,
		.clock_get_ns = get_clock,
		.register_poll_fd = on_socket,
		.unregister_poll_fd = on_socket_end,
		.notify = on_notify,
	};
	SlirpConfig config = {
		.version = 1,
		.in_enabled = true,
		.vnetwork.s_addr = htonl(0x0a000200),
		.vnetmask.s_addr = htonl(0xffffff00),
		.vhost.s_addr = htonl(0x0a000202),
		.vnameserver.s_addr = htonl(0x0a000203),
		.vdhcp_start.s_addr = htonl(0x0a00020f),
		.disable_host_loopback = !host_loopback,
	};
	struct user *user = device_alloc(sizeof(*user));

	user->net = net;
	user->most = most_sockets();
	user->slirp = slirp_new(&config, &callbacks, user);
	if (!user->slirp) {
		error_set(error, EXIT_CODE_ERROR, "%s: cannot start the user-mode network", option);
		free(user);
		return NULL;
	}
	*ops = &backend;
	return user;
}

#endif
