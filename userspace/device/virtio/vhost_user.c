// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/virtio_config.h>

#include "base/wait.h"
#include "vhost_user.h"

#define BIT64(n)		(1ull << (n))
/* Of a message's flags. */
#define VERSION			1u
#define VERSION_MASK		3u
#define REPLY			(1u << 2)
#define NEED_REPLY		(1u << 3)
/* Among a device's features: the back-end has features of the protocol. */
#define PROTOCOL_FEATURES	BIT64(30)
#define PROTOCOL_REPLY_ACK	BIT64(3)
#define PROTOCOL_CONFIG		BIT64(9)

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
};

static const char *const names[] = {
	[GET_FEATURES] = "GET_FEATURES", [SET_FEATURES] = "SET_FEATURES",
	[SET_OWNER] = "SET_OWNER", [SET_MEM_TABLE] = "SET_MEM_TABLE",
	[SET_VRING_NUM] = "SET_VRING_NUM", [SET_VRING_ADDR] = "SET_VRING_ADDR",
	[SET_VRING_BASE] = "SET_VRING_BASE", [GET_VRING_BASE] = "GET_VRING_BASE",
	[SET_VRING_KICK] = "SET_VRING_KICK", [SET_VRING_CALL] = "SET_VRING_CALL",
	[GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
	[SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
	[SET_VRING_ENABLE] = "SET_VRING_ENABLE", [GET_CONFIG] = "GET_CONFIG",
};

struct header {
	uint32_t request;
	uint32_t flags;
	uint32_t bytes;
};

struct config {
	uint32_t offset;
	uint32_t bytes;
	uint32_t flags;
	uint8_t data[VHOST_USER_MAX_CONFIG];
};
#define CONFIG_HEADER	offsetof(struct config, data)

struct region {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t address;
	uint64_t offset;
};

struct memory_table {
	uint32_t count;
	uint32_t padding;
	struct region regions[VHOST_USER_MAX_REGIONS];
};

struct message {
	struct header header;
	union {
		uint64_t number;
		struct vhost_vring_state state;
		struct vhost_vring_addr address;
		struct memory_table table;
		struct config config;
	} __attribute__((packed));
};

int vhost_user_patience_ms = 5000;

__attribute__((format(printf, 2, 3)))
static bool wrong(struct vhost_user *peer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(peer->why, sizeof(peer->why), format, args);
	va_end(args);
	return false;
}

/* ---- messages ------------------------------------------------------------------------- */

void vhost_user_begin(struct vhost_user *peer)
{
	peer->until = wait_now_ms() + vhost_user_patience_ms;
}

/* A descriptor that comes along, unasked, goes away: there is no room for it. */
static bool receive(struct vhost_user *peer, enum request request, void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		struct pollfd fd = { .fd = peer->fd, .events = POLLIN };
		int64_t left = peer->until - wait_now_ms();
		ssize_t got;

		if (left <= 0)
			return wrong(peer, "it does not answer %s in time", names[request]);
		if (poll(&fd, 1, left) <= 0)
			continue;
		got = recv(peer->fd, (uint8_t *)to + done, bytes - done, MSG_DONTWAIT);
		peer->gone = !got || (got < 0 && errno == ECONNRESET);
		if (!got)
			return wrong(peer, "it hung up at %s", names[request]);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return wrong(peer, "%s: %s", names[request], strerror(errno));
		if (got > 0)
			done += got;
	}
	return true;
}

/* All of a message fits into the socket, or the back-end reads nothing. */
static bool put(struct vhost_user *peer, struct message *message, const int *fds,
		unsigned int count)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(VHOST_USER_MAX_REGIONS * sizeof(int))];
	} ancillary = { .header = {
		.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct iovec data = { message, sizeof(message->header) + message->header.bytes };
	struct msghdr out = { .msg_iov = &data, .msg_iovlen = 1 };
	ssize_t sent;

	if (count) {
		memcpy(CMSG_DATA(&ancillary.header), fds, count * sizeof(int));
		out.msg_control = &ancillary;
		out.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	do
		sent = sendmsg(peer->fd, &out, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent == (ssize_t)data.iov_len)
		return true;
	peer->gone = sent < 0 && (errno == EPIPE || errno == ECONNRESET);
	return wrong(peer, "%s: %s", names[message->header.request],
		     sent >= 0 || errno == EAGAIN ? "it takes no messages" : strerror(errno));
}

/* Its reply takes the place of @message, and has as much in it as @bytes says. */
static bool ask(struct vhost_user *peer, struct message *message, uint32_t bytes)
{
	enum request request = message->header.request;

	if (!put(peer, message, NULL, 0) ||
	    !receive(peer, request, &message->header, sizeof(message->header)))
		return false;
	if (message->header.request != request ||
	    (message->header.flags & (VERSION_MASK | REPLY)) != (VERSION | REPLY) ||
	    message->header.bytes != bytes)
		return wrong(peer, "it answers %s with nonsense", names[request]);
	return receive(peer, request, &message->number, bytes);
}

static bool ask_number(struct vhost_user *peer, enum request request, uint64_t *number)
{
	struct message message = { .header = { request, VERSION, 0 } };

	if (!ask(peer, &message, sizeof(message.number)))
		return false;
	*number = message.number;
	return true;
}

/* With word of its success, if the back-end can give that. */
static bool tell(struct vhost_user *peer, struct message *message, const int *fds,
		 unsigned int count)
{
	enum request request = message->header.request;
	struct message reply;

	message->header.flags = VERSION;
	if (peer->protocol & PROTOCOL_REPLY_ACK)
		message->header.flags |= NEED_REPLY;
	if (!put(peer, message, fds, count))
		return false;
	if (!(peer->protocol & PROTOCOL_REPLY_ACK))
		return true;
	if (!receive(peer, request, &reply.header, sizeof(reply.header)))
		return false;
	if (reply.header.request != request ||
	    (reply.header.flags & (VERSION_MASK | REPLY)) != (VERSION | REPLY) ||
	    reply.header.bytes != sizeof(reply.number))
		return wrong(peer, "it answers %s with nonsense", names[request]);
	if (!receive(peer, request, &reply.number, sizeof(reply.number)))
		return false;
	return !reply.number || wrong(peer, "it refuses %s", names[request]);
}

static bool tell_number(struct vhost_user *peer, enum request request, uint64_t number)
{
	struct message message = { .header = { request, 0, sizeof(number) }, .number = number };

	return tell(peer, &message, NULL, 0);
}

/* @fd goes along. */
static bool tell_fd(struct vhost_user *peer, enum request request, int fd)
{
	struct message message = { .header = { request, 0, sizeof(message.number) } };

	return tell(peer, &message, &fd, 1);
}

static bool tell_state(struct vhost_user *peer, enum request request, uint32_t number)
{
	struct message message = {
		.header = { request, 0, sizeof(message.state) }, .state = { 0, number },
	};

	return tell(peer, &message, NULL, 0);
}

/* ---- what is done with them ----------------------------------------------------------- */

static bool agree(struct vhost_user *peer)
{
	struct message owner = { .header = { SET_OWNER, 0, 0 } };
	uint64_t protocol;

	if (!ask_number(peer, GET_FEATURES, &peer->features))
		return false;
	if (!(peer->features & BIT64(VIRTIO_F_VERSION_1)))
		return wrong(peer, "it serves only drivers from before virtio 1.0");
	if (!(peer->features & PROTOCOL_FEATURES))
		return wrong(peer, "it has no features of the protocol, of which CONFIG is needed");
	if (!ask_number(peer, GET_PROTOCOL_FEATURES, &protocol))
		return false;
	if (!(protocol & PROTOCOL_CONFIG))
		return wrong(peer, "it lacks CONFIG, by which it would say how large the disk is");
	protocol &= PROTOCOL_CONFIG | PROTOCOL_REPLY_ACK;
	if (!tell_number(peer, SET_PROTOCOL_FEATURES, protocol))
		return false;
	peer->protocol = protocol;
	return tell(peer, &owner, NULL, 0);
}

bool vhost_user_take(struct vhost_user *peer, int fd, int patience_ms)
{
	*peer = (struct vhost_user){ .fd = fd, .status = EXIT_CODE_USAGE };
	if (peer->fd < 0) {
		peer->status = error_status(-peer->fd);
		return wrong(peer, "cannot connect to it: %s", strerror(-peer->fd));
	}
	peer->until = wait_now_ms() + patience_ms;
	if (agree(peer))
		return true;
	vhost_user_close(peer);
	return false;
}

void vhost_user_close(struct vhost_user *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
}

bool vhost_user_config(struct vhost_user *peer, void *config, uint32_t bytes)
{
	struct message message = {
		.header = { GET_CONFIG, VERSION, CONFIG_HEADER + bytes },
		.config = { .bytes = bytes },
	};

	vhost_user_begin(peer);
	if (!ask(peer, &message, CONFIG_HEADER + bytes))
		return false;
	if (message.config.offset || message.config.bytes != bytes)
		return wrong(peer, "it answers GET_CONFIG with nonsense");
	memcpy(config, message.config.data, bytes);
	return true;
}

static bool tell_memory(struct vhost_user *peer, const struct vhost_user_region *regions,
			unsigned int count)
{
	uint32_t bytes = offsetof(struct memory_table, regions) + count * sizeof(struct region);
	struct message message = {
		.header = { SET_MEM_TABLE, 0, bytes }, .table = { .count = count },
	};
	int fds[VHOST_USER_MAX_REGIONS];

	for (unsigned int i = 0; i < count; i++) {
		message.table.regions[i] = (struct region){
			regions[i].gpa, regions[i].bytes, (uintptr_t)regions[i].address,
			regions[i].offset,
		};
		fds[i] = regions[i].fd;
	}
	return tell(peer, &message, fds, count);
}

bool vhost_user_start(struct vhost_user *peer, uint64_t features,
		      const struct vhost_user_region *regions, unsigned int count,
		      const struct vhost_user_ring *ring)
{
	struct message message = {
		.header = { SET_VRING_ADDR, 0, sizeof(message.address) },
		.address = {
			.desc_user_addr = (uintptr_t)ring->desc,
			.used_user_addr = (uintptr_t)ring->used,
			.avail_user_addr = (uintptr_t)ring->avail,
		},
	};

	vhost_user_begin(peer);
	return tell_number(peer, SET_FEATURES, features | PROTOCOL_FEATURES) &&
	       tell_memory(peer, regions, count) &&
	       tell_state(peer, SET_VRING_NUM, ring->size) &&
	       tell_state(peer, SET_VRING_BASE, 0) &&
	       tell(peer, &message, NULL, 0) &&
	       tell_fd(peer, SET_VRING_CALL, ring->call) &&
	       tell_fd(peer, SET_VRING_KICK, ring->kick) &&
	       tell_state(peer, SET_VRING_ENABLE, 1);
}

bool vhost_user_stop(struct vhost_user *peer)
{
	struct message message = {
		.header = { GET_VRING_BASE, VERSION, sizeof(message.state) },
	};

	return ask(peer, &message, sizeof(message.state));
}
