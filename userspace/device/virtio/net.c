// SPDX-License-Identifier: GPL-2.0-only
/* A network card: frames between two queues and a backend, nothing offloaded. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <net/if.h>

#include "base/closest.h"
#include "devices.h"
#include "net.h"

#define BACKLOG		256u
#define MAC_BYTES	6u
#define BIT64(n)	(1ull << (n))
enum { RX, TX, QUEUES };

struct frame {
	unsigned int bytes;
	uint8_t data[NET_MAX_FRAME];
};

/**
 * struct net - the card
 * @backlog: frames that wait for a buffer of the guest's; a ring
 * @first: the oldest
 * @waiting: how many
 */
struct net {
	struct virtio_device device;
	const struct net_backend *ops;
	void *backend;
	unsigned int first;
	unsigned int waiting;
	struct frame backlog[BACKLOG];
};

static struct net *to_net(struct virtio_device *device)
{
	return (struct net *)device;
}

bool net_room(const struct net *net)
{
	return net->waiting < BACKLOG;
}

void net_kick(struct net *net)
{
	virtio_kick(&net->device);
}

void net_complain(struct net *net, const char *words)
{
	virtio_complain(&net->device, "%s", words);
}

void net_receive(struct net *net, const void *data, size_t bytes)
{
	struct frame *frame = &net->backlog[(net->first + net->waiting) % BACKLOG];

	if (!net_room(net) || bytes > NET_MAX_FRAME) {
		virtio_counted(&net->device, VIRTIO_DROPPED, 1);
		return;
	}
	memcpy(frame->data, data, bytes);
	frame->bytes = bytes;
	net->waiting++;
}

/* Give waiting frames to the guest, as far as it has buffers. */
static void deliver(struct net *net)
{
	static const struct virtio_net_hdr_v1 header = { .num_buffers = 1 };
	struct virtio_device *device = &net->device;

	queue_notify_off(&device->queues[RX]);
	while (net->waiting) {
		const struct frame *frame = &net->backlog[net->first];

		if (!virtio_pop(device, RX)) {
			/* Only now are more buffers needed. */
			if (!virtio_more(device, RX))
				return;
			continue;
		}
		if (device->chain.in_bytes < sizeof(header) + frame->bytes) {
			virtio_broken(device, "a buffer for received frames is too small");
			return;
		}
		chain_write(&device->chain, 0, &header, sizeof(header));
		chain_write(&device->chain, sizeof(header), frame->data, frame->bytes);
		virtio_counted(device, VIRTIO_IN, 1);
		virtio_counted(device, VIRTIO_IN_BYTES, frame->bytes);
		virtio_push(device, RX, sizeof(header) + frame->bytes);
		net->first = (net->first + 1) % BACKLOG;
		net->waiting--;
	}
}

static int64_t transmit(struct virtio_device *device, struct queue_chain *chain)
{
	struct net *net = to_net(device);
	uint8_t frame[NET_MAX_FRAME];
	uint64_t bytes;

	if (chain->out_bytes < sizeof(struct virtio_net_hdr_v1)) {
		virtio_broken(device, "a frame to send has no header");
		return -1;
	}
	bytes = chain->out_bytes - sizeof(struct virtio_net_hdr_v1);
	/* Too short or too long for Ethernet: lost on the wire. */
	if (bytes < 14 || bytes > sizeof(frame)) {
		virtio_counted(device, VIRTIO_DROPPED, 1);
		return 0;
	}
	chain_read(chain, sizeof(struct virtio_net_hdr_v1), frame, bytes);
	if (!memory_holds(device->memory, NULL, 0)) {
		virtio_counted(device, VIRTIO_DROPPED, 1);
		return 0;
	}
	net->ops->send(net->backend, frame, bytes);
	virtio_counted(device, VIRTIO_OUT, 1);
	virtio_counted(device, VIRTIO_OUT_BYTES, bytes);
	return 0;
}

static void destroy(struct virtio_device *device)
{
	struct net *net = to_net(device);

	net->ops->close(net->backend);
}

static void work(struct virtio_device *device)
{
	virtio_serve(device, TX, transmit);
	if (virtio_running(device))
		deliver(to_net(device));
}

static void reset(struct virtio_device *device)
{
	to_net(device)->waiting = 0;
}

static unsigned int poll_net(struct virtio_device *device, struct pollfd *fds, unsigned int count,
			     int *timeout)
{
	struct net *net = to_net(device);

	return net->ops->poll(net->backend, fds, count, net_room(net), timeout);
}

static void polled(struct virtio_device *device, const struct pollfd *fds, unsigned int count)
{
	struct net *net = to_net(device);

	net->ops->polled(net->backend, fds, count);
	/* A card that is not running receives nothing. */
	if (!virtio_running(device))
		net->waiting = 0;
}

/* ---- saved state -------------------------------------------------------------------- */

static size_t get_reset(const struct net *net, unsigned int index, uint8_t *frame)
{
	return net->ops->reset && index < BACKLOG ? net->ops->reset(net->backend, index, frame) : 0;
}

/*
 * Waiting frames are part of the state: for the sender they have arrived.  Behind them
 * come the ends of the connections that stay here.  If the guest goes on here it never sees those.
 */
static void save(struct virtio_device *device, struct state_writer *out)
{
	const struct net *net = to_net(device);
	unsigned int resets = 0, waiting = net->waiting;
	uint8_t reset[NET_MAX_FRAME];
	size_t bytes;

	while (get_reset(net, resets, reset))
		resets++;
	if (waiting > BACKLOG - resets)
		waiting = BACKLOG - resets;
	state_put_bytes(out, "net.mac", device->registers + VIRTIO_CONFIG, MAC_BYTES);
	state_put(out, "net.waiting", 4, waiting + resets);
	for (unsigned int i = 0; i < waiting; i++) {
		const struct frame *frame = &net->backlog[(net->first + i) % BACKLOG];

		state_put_bytes(out, "net.frame", frame->data, frame->bytes);
	}
	for (unsigned int i = 0; i < resets; i++) {
		bytes = get_reset(net, i, reset);
		state_put_bytes(out, "net.frame", reset, bytes);
	}
}

/* The address comes from the record, and must not change with the tap's name. */
static void load(struct virtio_device *device, struct state_reader *in)
{
	struct net *net = to_net(device);
	uint8_t mac[MAC_BYTES];
	unsigned int waiting;

	state_take_bytes(in, "net.mac", mac, sizeof(mac));
	if (mac[0] & 1)
		state_refuse(in, "net.mac", "it is the address of a group");
	waiting = state_take(in, "net.waiting", 4, BACKLOG);
	net->first = 0;
	net->waiting = 0;
	for (unsigned int i = 0; i < waiting && !state_failed(in); i++) {
		size_t bytes;
		const void *frame = state_take_some(in, "net.frame", NET_MAX_FRAME, &bytes);

		if (frame)
			net_receive(net, frame, bytes);
	}
	if (!state_failed(in))
		virtio_set_config(device, 0, mac, sizeof(mac));
}

/* A reverse ARP request shows switches the new place of the card. */
static void announce(struct virtio_device *device)
{
	struct net *net = to_net(device);
	const uint8_t *mac = device->registers + VIRTIO_CONFIG;
	uint8_t frame[60] = {
		[12] = 0x80, 0x35,		/* RARP */
		0, 1, 8, 0, MAC_BYTES, 4, 0, 3,	/* Ethernet, IPv4; request reverse */
	};

	memset(frame, 0xff, MAC_BYTES);
	memcpy(frame + 6, mac, MAC_BYTES);
	memcpy(frame + 22, mac, MAC_BYTES);
	memcpy(frame + 32, mac, MAC_BYTES);
	net->ops->send(net->backend, frame, sizeof(frame));
}

static void yield(struct virtio_device *device)
{
	struct net *net = to_net(device);

	if (net->ops->yield)
		net->ops->yield(net->backend);
}

static bool claim(struct virtio_device *device, struct error *error)
{
	struct net *net = to_net(device);

	return !net->ops->claim || net->ops->claim(net->backend, error);
}

/* ---- making it ---------------------------------------------------------------------- */

static void add(uint32_t *hash, const void *data, size_t bytes)
{
	for (const uint8_t *at = data; bytes--; at++)
		*hash = (*hash ^ *at) * 16777619u;
}

/* Only a hash of the id may be shown, as its manual page demands; 32 bits do not reveal 128. */
static void add_host(uint32_t *hash)
{
	char id[64] = "";
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? 0 : read(fd, id, sizeof(id));

	if (fd >= 0)
		close(fd);
	/* A small system has no id, or an empty one. */
	if (count <= 1)
		count = gethostname(id, sizeof(id)) ? 0 : (ssize_t)strnlen(id, sizeof(id));
	add(hash, id, count);
}

/*
 * A locally administered address, always the same for the same network.  Taps of the same name on
 * other hosts and in other network namespaces may be in one network, so these differ.
 */
static void make_mac(uint8_t mac[6], const char *spec, unsigned int number)
{
	uint32_t hash = 2166136261u;
	struct stat st;

	add(&hash, spec, strlen(spec));
	add_host(&hash);
	/* With "user" each guest has a network of its own. */
	if (strcmp(spec, "user") && !stat("/proc/self/ns/net", &st))
		add(&hash, &st.st_ino, sizeof(st.st_ino));
	hash += number;
	mac[0] = 0x02;
	mac[1] = 0x67;
	memcpy(mac + 2, &hash, 4);
}

/* Some systems write dashes. */
static bool parse_mac(uint8_t mac[6], const char *text, struct error *error)
{
	static const uint8_t none[6];
	int end = 0;

	if ((sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		    &mac[3], &mac[4], &mac[5], &end) == 6 ||
	     sscanf(text, "%2hhx-%2hhx-%2hhx-%2hhx-%2hhx-%2hhx%n", &mac[0], &mac[1], &mac[2],
		    &mac[3], &mac[4], &mac[5], &end) == 6) &&
	    !text[end] && !(mac[0] & 1) && memcmp(mac, none, sizeof(none)))
		return true;
	return error_set(error, EXIT_CODE_USAGE,
			 "--net: \"%s\" is not the address of one network card, like 02:00:00:00:00:01",
			 text);
}

/**
 * struct net_spec - the argument of --net
 * @kind: "user", "tap=NAME" or "passt=SOCKET"
 * @mac: as text; NULL: generate one
 * @host_loopback: see net_user_open()
 */
struct net_spec {
	char *kind;
	const char *mac;
	bool host_loopback;
};

/* For options that are misspelt, and those of other monitors. */
static const char *hint_of(const char *option)
{
	static const char *const names[] = {
		"mac", "host-loopback", "macaddr", "name", "ifname", "hostfwd",
	};
	static const char *const hints[] = {
		" (did you mean mac=ADDRESS?)", " (did you mean host-loopback=on|off?)",
		" (did you mean mac=ADDRESS?)", " (the interface comes first: tap=NAME)",
		" (the interface comes first: tap=NAME)",
		" (no port of the host is handed on; a tap can be reached)",
	};
	const char *name = closest(option, names, sizeof(names) / sizeof(names[0]));

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (name == names[i])
			return hints[i];
	return "";
}

static bool parse_option(struct net_spec *spec, const char *option, struct error *error)
{
	static const char loopback[] = "host-loopback=";
	const char *value = option + strlen(loopback);

	if (!strncmp(option, "mac=", 4)) {
		spec->mac = option + 4;
		return true;
	}
	if (strncmp(option, loopback, strlen(loopback)))
		return error_set(error, EXIT_CODE_USAGE,
				 "--net: \"%s\" is neither mac=ADDRESS nor host-loopback=on|off%s",
				 option, hint_of(option));
	if (strcmp(spec->kind, "user"))
		return error_set(error, EXIT_CODE_USAGE,
				 "--net: host-loopback is for the network \"user\" alone");
	if (strcmp(value, "on") && strcmp(value, "off"))
		return error_set(error, EXIT_CODE_USAGE,
				 "--net: host-loopback is on or off, not \"%s\"", value);
	spec->host_loopback = !strcmp(value, "on");
	return true;
}

static bool parse_spec(struct net_spec *spec, char *text, struct error *error)
{
	const char *option;

	*spec = (struct net_spec){ .kind = strsep(&text, ",") };
	while ((option = strsep(&text, ",")))
		if (!parse_option(spec, option, error))
			return false;
	return true;
}

static bool no_kind(const char *kind, struct error *error)
{
	static const char *const names[] = { "user", "tap", "passt" };
	const char *meant = closest(kind, names, 3);
	bool is_interface = if_nametoindex(kind);

	return error_set(error, EXIT_CODE_USAGE, "--net: \"%s\" is none of user, tap=NAME and passt=SOCKET%s%s%s", kind,
			 is_interface || meant == names[0] ? "; did you mean " : "",
			 is_interface ? "tap=" : meant == names[0] ? "user?" : "",
			 is_interface ? kind : "");
}

/* Cuts @text at its commas.  Without "mac=" the address is not changed. */
static bool parse(struct net_spec *spec, char *text, uint8_t mac[6], struct error *error)
{
	if (!parse_spec(spec, text, error))
		return false;
	if (strcmp(spec->kind, "user") && strncmp(spec->kind, "tap=", 4) &&
	    (strncmp(spec->kind, "passt=", 6) || !spec->kind[6]))
		return no_kind(spec->kind, error);
	return !spec->mac || parse_mac(mac, spec->mac, error);
}

bool net_check(const char *spec, struct error *error)
{
	struct net_spec wanted;
	char *text = strdup(spec);
	uint8_t mac[6];
	bool good;

	if (!text)
		return error_set(error, EXIT_CODE_ERROR, "out of memory");
	good = parse(&wanted, text, mac, error);
	free(text);
	return good;
}

static bool plug(struct net *net, const struct net_spec *spec, struct error *error)
{
	char option[160];

	snprintf(option, sizeof(option), "--net %s", spec->kind);
	if (!strcmp(spec->kind, "user"))
		net->backend = net_user_open(net, option, spec->host_loopback, &net->ops, error);
	else if (!strncmp(spec->kind, "passt=", 6))
		net->backend = net_socket_open(net, option, spec->kind + 6, &net->ops, error);
	else
		net->backend = net_tap_open(net, option, spec->kind + strlen("tap="), &net->ops, error);
	return net->backend;
}

/* @text is cut at its commas. */
static bool open_net(struct net *net, char *text, uint8_t mac[6], struct error *error)
{
	static unsigned int number;
	struct net_spec wanted;

	if (!parse(&wanted, text, mac, error))
		return false;
	if (!wanted.mac)
		make_mac(mac, wanted.kind, number);
	number++;
	snprintf(net->device.label, sizeof(net->device.label), "net %s", wanted.kind);
	return plug(net, &wanted, error);
}

struct virtio_device *net_create(struct guest_memory *memory, uint8_t *registers,
				 const char *spec, struct error *error)
{
	static const struct virtio_ops ops = {
		.name = "net", .id = VIRTIO_ID_NET, .work = work, .reset = reset,
		.poll = poll_net, .polled = polled, .destroy = destroy,
		.version = 1, .save = save, .load = load, .thaw = announce,
		.yield = yield, .claim = claim,
	};
	struct net *net = device_alloc(sizeof(*net));
	struct virtio_net_config config = { .status = VIRTIO_NET_S_LINK_UP };
	char *text = strdup(spec);
	bool good = text ? open_net(net, text, config.mac, error) :
		    error_set(error, EXIT_CODE_ERROR, "out of memory");

	free(text);
	if (!good) {
		free(net);
		return NULL;
	}
	if (!virtio_init(&net->device, &ops, memory, registers,
			 BIT64(VIRTIO_NET_F_MAC) | BIT64(VIRTIO_NET_F_STATUS), QUEUES, error))
		return NULL;
	virtio_set_config(&net->device, 0, &config, sizeof(config));
	return &net->device;
}
