// SPDX-License-Identifier: GPL-2.0-only
/* A tap interface of the host's: bridged, routed or firewalled by whoever owns it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_tun.h>

#include "vm/fail.h"
#include "device/device.h"
#include "net.h"

struct tap {
	struct net *net;
	int fd;
};

static void send_frame(void *backend, const void *frame, size_t bytes)
{
	struct tap *tap = backend;

	/* A full queue or an interface that is down drops it, as a wire would. */
	while (write(tap->fd, frame, bytes) < 0 && errno == EINTR)
		;
}

static unsigned int poll_tap(void *backend, struct pollfd *fds, unsigned int count, bool room,
			     int *timeout)
{
	struct tap *tap = backend;

	(void)count;
	(void)timeout;
	/* What there is no room for waits in the interface. */
	fds[0] = (struct pollfd){ .fd = room ? tap->fd : -1, .events = POLLIN };
	return 1;
}

static void polled(void *backend, const struct pollfd *fds, unsigned int count)
{
	struct tap *tap = backend;
	char frame[NET_MAX_FRAME + 1];
	ssize_t bytes;

	if (!count || !(fds[0].revents & POLLIN))
		return;
	/* A frame that is too long is cut by the kernel, then dropped for its length. */
	while (net_room(tap->net)) {
		bytes = read(tap->fd, frame, sizeof(frame));
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes <= 0)
			break;
		net_receive(tap->net, frame, bytes);
	}
}

static void close_tap(void *backend)
{
	struct tap *tap = backend;

	close(tap->fd);
	free(tap);
}

void *net_tap_open(struct net *net, const char *option, const char *name,
		   const struct net_backend **ops)
{
	static const struct net_backend backend = {
		.send = send_frame, .poll = poll_tap, .polled = polled, .close = close_tap,
	};
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct tap *tap = device_alloc(sizeof(*tap));

	if (!*name || strlen(name) >= sizeof(request.ifr_name))
		fail(EXIT_CODE_USAGE, "%s: an interface's name has 1 to %zu characters", option,
		     sizeof(request.ifr_name) - 1);
	strcpy(request.ifr_name, name);
	tap->net = net;
	tap->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tap->fd < 0)
		fail(EXIT_CODE_USAGE, "%s: cannot open /dev/net/tun: %s%s", option, strerror(errno),
		     errno == ENOENT ? " (modprobe tun)" : "");
	if (ioctl(tap->fd, TUNSETIFF, &request)) {
		if (errno == EPERM)
			fail(EXIT_CODE_USAGE, "%s: this user may not use it (as root: ip tuntap add %s mode tap user NAME)",
			     option, name);
		fail(EXIT_CODE_USAGE, "%s: %s%s", option, strerror(errno),
		     errno == EBUSY ? ": another program has it" :
		     errno == EINVAL ? ": it exists and is no tap interface" : "");
	}
	*ops = &backend;
	return tap;
}
