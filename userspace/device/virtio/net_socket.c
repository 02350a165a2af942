// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another program's network, at a Unix socket: each frame follows its length, four bytes with the
 * highest first, as passt and QEMU's stream sockets have it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/wait.h"
#include "device/device.h"
#include "device/state.h"
#include "sandbox/keeper.h"
#include "net.h"

#define HEAD		4u
#define RETRY_MS	1000	/* between two tries to connect again */
#define MOST_FRAMES	64u	/* in one turn */

/**
 * struct wire - our end of the connection
 * @fd: it, or -1 while there is none
 * @note: of the socket, see sandbox/keeper.h
 * @next_try: without a connection: when to try again, in ms; 0: the card is yielded
 * @in, @in_bytes: what came: lengths and frames, the last one perhaps in part
 * @skip: bytes that are left of a frame that is too long
 * @out, @out_bytes: the rest of a frame that the socket had no room for
 */
struct wire {
	struct net *net;
	const char *path;
	int fd;
	int note;
	int64_t next_try;
	uint8_t in[HEAD + NET_MAX_FRAME];
	size_t in_bytes;
	size_t skip;
	uint8_t out[HEAD + NET_MAX_FRAME];
	size_t out_bytes;
};

static void hang_up(struct wire *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
	wire->in_bytes = 0;
	wire->skip = 0;
	wire->out_bytes = 0;
}

static void lose(struct wire *wire, const char *words)
{
	hang_up(wire);
	wire->next_try = wait_now_ms() + RETRY_MS;
	net_complain(wire->net, words);
	net_kick(wire->net);
}

/* ---- to the program -------------------------------------------------------------------------- */

/* A frame must go as a whole, or none could follow.  False: there is no room for all of it. */
static bool push(struct wire *wire)
{
	ssize_t sent = send(wire->fd, wire->out, wire->out_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		lose(wire, "its program is gone; the card sends and receives nothing until there is one");
		return false;
	}
	if (sent > 0) {
		wire->out_bytes -= sent;
		memmove(wire->out, wire->out + sent, wire->out_bytes);
	}
	return !wire->out_bytes;
}

static void send_frame(void *backend, const void *frame, size_t bytes)
{
	struct wire *wire = backend;
	uint32_t head = htonl(bytes);

	/* While the program reads nothing, frames are lost, as on a wire. */
	if (wire->fd < 0 || (wire->out_bytes && !push(wire)))
		return;
	memcpy(wire->out, &head, HEAD);
	memcpy(wire->out + HEAD, frame, bytes);
	wire->out_bytes = HEAD + bytes;
	push(wire);
}

/* ---- from it --------------------------------------------------------------------------------- */

/* How many bytes are wanted next: of a length, then of its frame. */
static size_t wanted(const struct wire *wire)
{
	uint32_t head;

	if (wire->in_bytes < HEAD)
		return HEAD - wire->in_bytes;
	memcpy(&head, wire->in, HEAD);
	return HEAD + ntohl(head) - wire->in_bytes;
}

/* It has a length; false: that is nonsense. */
static bool begin_frame(struct wire *wire)
{
	uint32_t bytes;

	memcpy(&bytes, wire->in, HEAD);
	bytes = ntohl(bytes);
	/* More than IP has: it is no length. */
	if (!bytes || bytes > 65536 + 14) {
		lose(wire, "its program says what is no frame; the connection is made anew");
		return false;
	}
	if (bytes > NET_MAX_FRAME) {
		/* It is counted as dropped. */
		net_receive(wire->net, wire->in, bytes);
		wire->skip = bytes;
		wire->in_bytes = 0;
	}
	return true;
}

/* Reads some; false: there is no more now. */
static bool pull(struct wire *wire)
{
	uint8_t lost[4096];
	bool skips = wire->skip;
	size_t want = skips ? (wire->skip < sizeof(lost) ? wire->skip : sizeof(lost)) : wanted(wire);
	ssize_t got = recv(wire->fd, skips ? lost : wire->in + wire->in_bytes, want, MSG_DONTWAIT);

	if (got < 0 && errno == EINTR)
		return true;
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0) {
		lose(wire, "its program is gone; the card sends and receives nothing until there is one");
		return false;
	}
	if (skips) {
		wire->skip -= got;
		return true;
	}
	wire->in_bytes += got;
	if (wire->in_bytes == HEAD)
		return begin_frame(wire);
	if (wire->in_bytes > HEAD && !wanted(wire)) {
		net_receive(wire->net, wire->in + HEAD, wire->in_bytes - HEAD);
		wire->in_bytes = 0;
	}
	return true;
}

/* ---- the thread's turns ---------------------------------------------------------------------- */

static unsigned int poll_wire(void *backend, struct pollfd *fds, unsigned int count, bool room,
			      int *timeout)
{
	struct wire *wire = backend;
	int64_t left = wire->next_try - wait_now_ms();

	(void)count;
	if (wire->fd < 0) {
		if (wire->next_try && (*timeout < 0 || left < *timeout))
			*timeout = left > 0 ? left : 0;
		return 0;
	}
	/* Frames without room wait in the socket. */
	fds[0] = (struct pollfd){
		.fd = room || wire->out_bytes ? wire->fd : -1,
		.events = (room ? POLLIN : 0) | (wire->out_bytes ? POLLOUT : 0),
	};
	return 1;
}

static void try_again(struct wire *wire)
{
	int fd = keeper_connect(wire->note);

	if (fd < 0) {
		wire->next_try = wait_now_ms() + RETRY_MS;
		return;
	}
	wire->fd = fd;
	net_complain(wire->net, "there is a program again");
}

static void polled(void *backend, const struct pollfd *fds, unsigned int count)
{
	struct wire *wire = backend;

	if (wire->fd < 0) {
		if (wire->next_try && wait_now_ms() >= wire->next_try)
			try_again(wire);
		return;
	}
	if (!count || !fds[0].revents)
		return;
	if (wire->out_bytes && !push(wire) && wire->fd < 0)
		return;
	/* A frame takes two reads. */
	for (unsigned int i = 0; i < 2 * MOST_FRAMES && wire->fd >= 0 && net_room(wire->net); i++)
		if (!pull(wire))
			return;
}

/* ---- making it ------------------------------------------------------------------------------- */

static void yield(void *backend)
{
	struct wire *wire = backend;

	hang_up(wire);
	wire->next_try = 0;
}

static bool claim(void *backend, struct error *error)
{
	struct wire *wire = backend;
	int fd = keeper_connect(wire->note);

	if (fd < 0)
		return error_set(error, EXIT_CODE_ERROR, "net passt=%s: cannot connect to it: %s",
				 wire->path, strerror(-fd));
	wire->fd = fd;
	return true;
}

static void close_wire(void *backend)
{
	struct wire *wire = backend;

	hang_up(wire);
	free((char *)wire->path);
	free(wire);
}

void *net_socket_open(struct net *net, const char *option, const char *path,
		      const struct net_backend **ops, struct error *error)
{
	static const struct net_backend backend = {
		.send = send_frame, .poll = poll_wire, .polled = polled, .close = close_wire,
		.yield = yield, .claim = claim,
	};
	struct wire *wire = device_alloc(sizeof(*wire));

	wire->net = net;
	wire->fd = -1;
	wire->path = strdup(path);
	wire->note = wire->path ? keeper_note(KEEPER_PEER, path, error) : -1;
	if (wire->note >= 0 && !devices_incoming()) {
		int fd = keeper_connect(wire->note);

		wire->fd = fd;
		if (fd < 0)
			error_set(error, error_status(-fd), "%s: cannot connect to it: %s", option,
				  strerror(-fd));
	}
	if (wire->note < 0 || (wire->fd < 0 && !devices_incoming())) {
		wire->fd = -1;
		close_wire(wire);
		return NULL;
	}
	*ops = &backend;
	return wire;
}
