// SPDX-License-Identifier: GPL-2.0-only
/*
 * A console device with several ports.  Each has a name and is connected to a socket or a file.
 * For the guest a port is a terminal (hvc0 …) if it is a console, else a stream
 * (/dev/virtio-ports/NAME, by udev's rules).
 *
 * Output that a socket cannot take now is held, and the guest waits.  Without a reader it is lost,
 * as on a serial line.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "base/closest.h"
#include "base/line_socket.h"
#include "base/output_file.h"
#include "sandbox/keeper.h"
#include "devices.h"

#define MAX_PORTS	16u
#define BIT64(n)	(1ull << (n))
enum { CONTROL_RX = 2, CONTROL_TX = 3 };

/* The messages about a port to the guest, in this order. */
enum { TELL_ADD = 1, TELL_CONSOLE = 2, TELL_NAME = 4, TELL_OPEN = 8 };

/**
 * struct port - a port
 * @listener: the listening socket, or -1
 * @fd: the connection or the file, or -1
 * @path, @note: the socket's, see sandbox/keeper.h; "" for a file
 * @told: a message said that the file cannot be written
 * @guest_open: the guest has opened the port
 * @tell: messages to send, TELL_*
 * @in: input that waits for a buffer, from @in_first to @in_end
 * @held: with @holds: a buffer of the guest that is not written completely
 * @written: number of bytes of @held that are written
 * @expects: it was connected when it was saved, so its output waits for the peer
 * @skip: bytes of the next buffer that are written already, because it was held before; valid if
 *	the queue is still of @held's generation
 */
struct port {
	char name[64];
	bool console;
	int listener;
	int fd;
	char path[PATH_MAX];
	int note;
	bool told;
	bool guest_open;
	bool expects;
	unsigned int tell;
	char in[4096];
	unsigned int in_first;
	unsigned int in_end;
	struct queue_chain held;
	uint64_t written;
	uint64_t skip;
	bool holds;
};

struct console_device {
	struct virtio_device device;
	unsigned int nr_ports;
	struct port ports[MAX_PORTS];
};

static struct console_device *to_console(struct virtio_device *device)
{
	return (struct console_device *)device;
}

static unsigned int rx_queue(unsigned int port)
{
	return port ? 2 * (port + 1) : 0;
}

static unsigned int tx_queue(unsigned int port)
{
	return rx_queue(port) + 1;
}

static bool multiport(const struct console_device *console)
{
	return virtio_has(&console->device, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* ---- control messages ----------------------------------------------------------------- */

static bool tell_one(struct console_device *console, unsigned int index, unsigned int what)
{
	struct virtio_device *device = &console->device;
	struct port *port = &console->ports[index];
	struct virtio_console_control message = { .id = index, .value = 1 };
	size_t name = 0;

	if (!virtio_pop(device, CONTROL_RX))
		return false;
	switch (what) {
	case TELL_ADD:
		message.event = VIRTIO_CONSOLE_PORT_ADD;
		break;
	case TELL_CONSOLE:
		message.event = VIRTIO_CONSOLE_CONSOLE_PORT;
		break;
	case TELL_NAME:
		message.event = VIRTIO_CONSOLE_PORT_NAME;
		name = strlen(port->name);
		break;
	case TELL_OPEN:
		message.event = VIRTIO_CONSOLE_PORT_OPEN;
		message.value = port->fd >= 0;
		break;
	}
	if (device->chain.in_bytes < sizeof(message) + name) {
		virtio_broken(device, "a buffer for control messages is too small");
		return false;
	}
	chain_write(&device->chain, 0, &message, sizeof(message));
	chain_write(&device->chain, sizeof(message), port->name, name);
	virtio_push(device, CONTROL_RX, sizeof(message) + name);
	port->tell &= ~what;
	return true;
}

/* False if a message waits for a buffer. */
static bool tell_all(struct console_device *console)
{
	for (unsigned int i = 0; i < console->nr_ports; i++)
		for (unsigned int what = TELL_ADD; what <= TELL_OPEN; what <<= 1)
			if (console->ports[i].tell & what && !tell_one(console, i, what))
				return false;
	return true;
}

static void tell(struct console_device *console)
{
	if (!multiport(console))
		return;
	while (!tell_all(console) && virtio_more(&console->device, CONTROL_RX))
		;
}

static int64_t control(struct virtio_device *device, struct queue_chain *chain)
{
	struct console_device *console = to_console(device);
	struct virtio_console_control message;
	struct port *port;

	if (chain_read(chain, 0, &message, sizeof(message)) != sizeof(message)) {
		virtio_broken(device, "a control message is too short");
		return -1;
	}
	if (message.event == VIRTIO_CONSOLE_DEVICE_READY) {
		for (unsigned int i = 0; i < console->nr_ports; i++)
			console->ports[i].tell = message.value ? TELL_ADD : 0;
		return 0;
	}
	if (message.id >= console->nr_ports)
		return 0;
	port = &console->ports[message.id];
	if (message.event == VIRTIO_CONSOLE_PORT_READY && message.value)
		port->tell |= (port->console ? TELL_CONSOLE : 0) | TELL_NAME | TELL_OPEN;
	else if (message.event == VIRTIO_CONSOLE_PORT_OPEN)
		port->guest_open = message.value;
	return 0;
}

static bool is_file(const struct port *port)
{
	return !port->path[0];
}

/* ---- data -------------------------------------------------------------------------------- */

static void hang_up(struct port *port)
{
	close(port->fd);
	port->fd = -1;
	port->in_first = 0;
	port->in_end = 0;
	port->tell |= TELL_OPEN;
}

/* The disk is full, or nobody reads the pipe any more. */
static void lose(struct virtio_device *device, struct port *port, int error)
{
	if (!port->told)
		virtio_complain(device, "what the guest writes to port \"%s\" is lost: %s", port->name,
				strerror(error));
	port->told = true;
}

/* Is the buffer still held?  A freeze puts it back; a reset, or the end of its queue, drops it. */
static bool still_held(const struct virtio_device *device, const struct port *port,
		       unsigned int queue)
{
	return port->holds && queue_owns(&device->queues[queue], port->held.generation);
}

/* Write the held buffer, with pauses; false if the peer takes no more now. */
static bool write_held(struct virtio_device *device, struct port *port, unsigned int queue)
{
	struct iovec iov[QUEUE_MAX_SEGMENTS];

	if (port->fd < 0 && port->expects)
		return false;
	while (port->fd >= 0 && port->written < port->held.out_bytes) {
		uint64_t left = port->held.out_bytes - port->written;
		unsigned int count = chain_slice(&port->held, false, port->written,
						 left < VIRTIO_PIECE ? left : VIRTIO_PIECE, iov);
		struct msghdr message = { .msg_iov = iov, .msg_iovlen = count };
		ssize_t done;

		if (!memory_holds(device->memory, iov, count))
			return false;
		done = is_file(port) ? writev(port->fd, iov, count) :
			sendmsg(port->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (done < 0 && errno == EAGAIN)
			return false;
		if (done < 0 && errno != EINTR && is_file(port)) {
			lose(device, port, errno);
			break;
		}
		if (done < 0 && errno != EINTR)
			hang_up(port);
		else if (done > 0)
			port->written += done;
		virtio_breathe(device, done > 0 ? done : 0);
		if (!still_held(device, port, queue) || virtio_halts(device)) {
			virtio_kick(device);
			return false;
		}
	}
	return true;
}

static void send_out(struct console_device *console, unsigned int index)
{
	struct virtio_device *device = &console->device;
	struct port *port = &console->ports[index];
	unsigned int queue = tx_queue(index), budget = device->queues[queue].rings.size;

	port->holds = still_held(device, port, queue);
	for (;;) {
		if (port->holds) {
			if (!write_held(device, port, queue))
				return;
			port->holds = false;
			port->held.in = 0;
			virtio_push_other(device, queue, &port->held, 0);
			virtio_breathe(device, VIRTIO_SEGMENT * port->held.out);
			if (!--budget || device->turn >= VIRTIO_TURN) {
				virtio_kick(device);
				return;
			}
		}
		if (!virtio_pop(device, queue)) {
			if (!virtio_more(device, queue))
				return;
			continue;
		}
		port->written = port->held.generation == device->chain.generation ? port->skip : 0;
		port->held = device->chain;
		port->skip = 0;
		port->holds = true;
	}
}

static void take_in(struct console_device *console, unsigned int index)
{
	struct virtio_device *device = &console->device;
	struct port *port = &console->ports[index];
	unsigned int queue = rx_queue(index);

	while (port->in_first < port->in_end) {
		uint64_t bytes = port->in_end - port->in_first;

		if (!virtio_pop(device, queue)) {
			if (!virtio_more(device, queue))
				return;
			continue;
		}
		if (!device->chain.in_bytes) {
			virtio_broken(device, "a buffer for input has no room");
			return;
		}
		bytes = chain_write(&device->chain, 0, port->in + port->in_first, bytes);
		virtio_push(device, queue, bytes);
		port->in_first += bytes;
	}
}

static void work(struct virtio_device *device)
{
	struct console_device *console = to_console(device);

	if (multiport(console))
		virtio_serve(device, CONTROL_TX, control);
	for (unsigned int i = 0; i < console->nr_ports && virtio_running(device); i++) {
		send_out(console, i);
		if (virtio_running(device))
			take_in(console, i);
	}
	if (virtio_running(device))
		tell(console);
}

static void reset(struct virtio_device *device)
{
	struct console_device *console = to_console(device);

	for (unsigned int i = 0; i < console->nr_ports; i++) {
		struct port *port = &console->ports[i];

		port->guest_open = false;
		port->holds = false;
		port->expects = false;
		port->skip = 0;
		port->tell = 0;
		port->in_first = 0;
		port->in_end = 0;
	}
}

/* Each port has two: the listening socket, and the connection or the file, which may be a pipe. */
static unsigned int poll_ports(struct virtio_device *device, struct pollfd *fds,
			       unsigned int count, int *timeout)
{
	struct console_device *console = to_console(device);

	(void)count;
	(void)timeout;
	for (unsigned int i = 0; i < console->nr_ports; i++) {
		struct port *port = &console->ports[i];
		bool listens = virtio_running(device) && (port->guest_open || !multiport(console));
		bool reads = listens && !is_file(port) && port->in_first == port->in_end;
		short events = (reads ? POLLIN : 0) |
			       (port->holds && virtio_running(device) ? POLLOUT : 0);
		bool open = is_file(port) || port->listener >= 0;

		fds[2 * i] = (struct pollfd){
			.fd = port->fd < 0 ? port->listener : -1, .events = POLLIN,
		};
		/* POLLHUP cannot be masked. */
		fds[2 * i + 1] = (struct pollfd){
			.fd = open && events ? port->fd : -1, .events = events,
		};
	}
	return 2 * console->nr_ports;
}

static void accept_peer(struct port *port)
{
	port->fd = line_socket_accept(port->listener, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (port->fd < 0)
		return;
	port->expects = false;
	port->tell |= TELL_OPEN;
}

static void read_peer(struct port *port)
{
	ssize_t bytes = read(port->fd, port->in, sizeof(port->in));

	if (bytes > 0) {
		port->in_first = 0;
		port->in_end = bytes;
	} else if (!bytes || (errno != EINTR && errno != EAGAIN)) {
		hang_up(port);
	}
}

static void polled(struct virtio_device *device, const struct pollfd *fds, unsigned int count)
{
	struct console_device *console = to_console(device);

	for (unsigned int i = 0; 2 * i + 1 < count; i++) {
		struct port *port = &console->ports[i];

		if (fds[2 * i].revents & POLLIN && port->fd < 0)
			accept_peer(port);
		else if (fds[2 * i + 1].revents & (POLLIN | POLLHUP | POLLERR) && !is_file(port) &&
			 port->fd == fds[2 * i + 1].fd && port->in_first == port->in_end)
			read_peer(port);
	}
}

/* ---- saved state ---------------------------------------------------------------------------- */

/* Put a held buffer back to its queue, and keep the position in it. */
static void freeze(struct virtio_device *device)
{
	struct console_device *console = to_console(device);

	for (unsigned int i = 0; i < console->nr_ports; i++) {
		struct port *port = &console->ports[i];

		if (!port->holds)
			continue;
		queue_unpop(&device->queues[tx_queue(i)], &port->held);
		port->holds = false;
		port->skip = port->written;
	}
}

static void save(struct virtio_device *device, struct state_writer *out)
{
	const struct console_device *console = to_console(device);

	for (unsigned int i = 0; i < console->nr_ports; i++) {
		const struct port *port = &console->ports[i];

		state_put_bytes(out, "port.name", port->name, strlen(port->name));
		state_put(out, "port.console", 1, port->console);
		state_put(out, "port.guest_open", 1, port->guest_open);
		state_put(out, "port.peer_open", 1, port->fd >= 0 || port->expects);
		state_put(out, "port.tell", 4, port->tell);
		state_put(out, "port.skip", 8, port->skip);
		state_put_bytes(out, "port.in", port->in + port->in_first,
				port->in_end - port->in_first);
	}
}

static void load_port(struct port *port, struct state_reader *in)
{
	size_t bytes;
	const void *data = state_take_some(in, "port.name", sizeof(port->name) - 1, &bytes);
	bool console, peer_open;

	if (data && (bytes != strlen(port->name) || memcmp(data, port->name, bytes)))
		state_refuse(in, "port.name", "it was \"%.*s\", this one is \"%s\"", (int)bytes,
			     (const char *)data, port->name);
	console = state_take(in, "port.console", 1, 1);
	if (console != port->console)
		state_refuse(in, "port.console", "port \"%s\" is %s here", port->name,
			     port->console ? "a console" : "no console");
	port->guest_open = state_take(in, "port.guest_open", 1, 1);
	peer_open = state_take(in, "port.peer_open", 1, 1);
	port->tell = state_take(in, "port.tell", 4, TELL_ADD | TELL_CONSOLE | TELL_NAME | TELL_OPEN);
	port->skip = state_take(in, "port.skip", 8, UINT64_MAX);
	data = state_take_some(in, "port.in", sizeof(port->in), &bytes);
	if (bytes)
		memcpy(port->in, data, bytes);
	port->in_first = 0;
	port->in_end = bytes;
	/* The peer is connected to the machine that was saved, not to this one. */
	if (peer_open != (port->fd >= 0))
		port->tell |= TELL_OPEN;
	/* A console's driver spins while it writes, so it must not wait for a peer. */
	port->expects = peer_open && port->fd < 0 && !port->console;
}

static void load(struct virtio_device *device, struct state_reader *in)
{
	struct console_device *console = to_console(device);

	for (unsigned int i = 0; i < console->nr_ports && !state_failed(in); i++) {
		load_port(&console->ports[i], in);
		console->ports[i].held.generation = device->queues[tx_queue(i)].generation;
	}
}

/* ---- sockets: one process has each ------------------------------------------------------------ */

/* A peer stays connected until this process ends. */
static void yield(struct virtio_device *device)
{
	struct console_device *console = to_console(device);

	for (unsigned int i = 0; i < console->nr_ports; i++) {
		struct port *port = &console->ports[i];

		if (port->listener < 0)
			continue;
		close(port->listener);
		port->listener = -1;
		keeper_remove(port->note);
	}
}

static bool listen_at(struct port *port, struct error *error)
{
	port->listener = keeper_listen(port->note);
	if (port->listener >= 0)
		return true;
	error_set(error, error_status(-port->listener), "port %s: %s: %s", port->name, port->path,
		  line_socket_reason(port->path, -port->listener));
	port->listener = -1;
	return false;
}

static bool claim(struct virtio_device *device, struct error *error)
{
	struct console_device *console = to_console(device);

	for (unsigned int i = 0; i < console->nr_ports; i++) {
		struct port *port = &console->ports[i];

		if (port->path[0] && port->listener < 0 && !listen_at(port, error)) {
			yield(device);
			return false;
		}
	}
	return true;
}

/* ---- making it ------------------------------------------------------------------------------ */

static void destroy(struct virtio_device *device)
{
	struct console_device *console = to_console(device);

	for (unsigned int i = 0; i < console->nr_ports; i++) {
		struct port *port = &console->ports[i];

		if (port->fd >= 0)
			close(port->fd);
		if (port->listener >= 0) {
			close(port->listener);
			keeper_remove(port->note);
		}
	}
}

/* Cut @copy of @spec at its "=".  *@place: the part behind it, without options. */
/* A misspelt option would become a part of the name of a new file. */
static bool is_slip(const char *where)
{
	static const char *const names[] = { "console" };
	const char *comma = strrchr(where, ',');

	return comma && closest(comma + 1, names, 1) && access(where, F_OK);
}

static bool parse_port(struct port *port, const char *spec, char *copy, char **place,
		       struct error *error)
{
	char *where = strchr(copy, '='), *console;

	if (!where || where == copy || where - copy >= (long)sizeof(port->name) || !where[1])
		return error_set(error, EXIT_CODE_USAGE,
				 "--port: \"%s\" is not NAME=unix:PATH or NAME=FILE", spec);
	*where++ = 0;
	strcpy(port->name, copy);
	console = strstr(where, ",console");
	if (console && !console[strlen(",console")]) {
		port->console = true;
		*console = 0;
	}
	*place = where;
	if (!port->console && is_slip(where))
		return error_set(error, EXIT_CODE_USAGE,
				 "--port %s: did you mean ,console? (a file that is there may be called so)", spec);
	return strncmp(where, "unix:", 5) || (where[5] && strlen(where + 5) < sizeof(port->path)) ||
	       error_set(error, EXIT_CODE_USAGE, "--port %s: a socket's path has 1 to %zu characters",
			 spec, sizeof(port->path) - 1);
}

bool port_check(const char *spec, struct error *error)
{
	static struct port port;
	char *copy = strdup(spec), *where;
	bool good = copy ? parse_port(&port, spec, copy, &where, error) :
		    error_set(error, EXIT_CODE_ERROR, "out of memory");

	free(copy);
	return good;
}

static bool open_port(struct port *port, const char *spec, char *copy, struct error *error)
{
	char *where;

	if (!parse_port(port, spec, copy, &where, error))
		return false;
	if (!strncmp(where, "unix:", 5)) {
		where += 5;
		strcpy(port->path, where);
		port->note = keeper_note(KEEPER_SOCKET, where, error);
		if (port->note < 0)
			return false;
		if (!devices_incoming() && !listen_at(port, error))
			return error_set(error, error->status, "--%s", error->words);
	} else {
		/* Keep output from before the guest was suspended. */
		port->fd = output_file_open(where, O_APPEND | O_NONBLOCK |
					    (devices_incoming() ? 0 : O_TRUNC));
		if (port->fd < 0)
			return error_set(error, error_status(-port->fd), "--port %s: %s", spec,
					 strerror(-port->fd));
	}
	return true;
}

static bool open_ports(struct console_device *console, const char *const *specs,
		       unsigned int count, struct error *error)
{
	bool good = true;

	if (count > MAX_PORTS)
		return error_set(error, EXIT_CODE_USAGE, "--port: there may be %u at most",
				 MAX_PORTS);
	console->nr_ports = count;
	for (unsigned int i = 0; i < count; i++) {
		console->ports[i].listener = -1;
		console->ports[i].fd = -1;
	}
	for (unsigned int i = 0; good && i < count; i++) {
		char *copy = strdup(specs[i]);

		good = copy ? open_port(&console->ports[i], specs[i], copy, error) :
		       error_set(error, EXIT_CODE_ERROR, "out of memory");
		free(copy);
	}
	return good;
}

struct virtio_device *console_create(struct guest_memory *memory, uint8_t *registers,
				     const char *const *specs, unsigned int count,
				     struct error *error)
{
	static const struct virtio_ops ops = {
		.name = "console", .id = VIRTIO_ID_CONSOLE, .work = work, .reset = reset,
		.poll = poll_ports, .polled = polled, .destroy = destroy,
		.version = 1, .save = save, .load = load, .freeze = freeze,
		.yield = yield, .claim = claim,
	};
	struct console_device *console = device_alloc(sizeof(*console));
	struct virtio_console_config config = { .max_nr_ports = count };

	if (!open_ports(console, specs, count, error)) {
		destroy(&console->device);
		free(console);
		return NULL;
	}
	snprintf(console->device.label, sizeof(console->device.label), "ports");
	if (!virtio_init(&console->device, &ops, memory, registers,
			 BIT64(VIRTIO_CONSOLE_F_MULTIPORT), 2 * (count + 1), error))
		return NULL;
	virtio_set_config(&console->device, 0, &config, sizeof(config));
	return &console->device;
}
