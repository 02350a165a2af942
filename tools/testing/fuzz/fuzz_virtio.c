// SPDX-License-Identifier: GPL-2.0-only
/*
 * The other virtio devices built alone: disk, network card, randomness and ports.  An input names
 * one and is a row of commands then: registers written at any time, queues switched off, resized
 * and on again under requests, resets, guest memory, a peer of a port that comes, stalls and goes,
 * and a move to a new device by a record whose bytes may be changed on the way.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "base/line_socket.h"
#include "sandbox/keeper.h"
#include "base/fail.h"
#include "device/device.h"
#include "device/virtio/devices.h"
#include "device/virtio/net.h"

#define MEMORY		(2u << 20)
#define GUARD		(1u << 20)	/* behind memory: whatever reaches it ends the run */
#define RINGS		0x10000u	/* of each queue: table, available and used ring, a page each */
#define STRIDE		0x4000u
#define QUEUES		6u
#define SIZE		16u
#define BUFFERS		0x40000u
#define DISK_BYTES	(64u << 10)
#define MAX_COMMANDS	2000u

enum kind { DISK, READ_ONLY_DISK, NET, RNG, PORTS, KINDS };

static struct guest_memory memory;
static uint8_t *registers;
static struct virtio_device *device;
static enum kind kind;
static const uint8_t *input, *input_end;
static char disk_path[64], port_path[64];
static int peer = -1;
static char port_socket[108];

/* Messages about a guest's mistakes do not matter here; a launcher that gives up is a bug. */
void say(const char *format, ...)
{
	(void)format;
}

void fail(enum exit_code code, const char *format, ...)
{
	va_list args;

	(void)code;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	abort();
}

/* The keeper's part, without a process: the fuzzer makes and forgets ports by the thousand. */
int keeper_note(enum keeper_kind of, const char *path, struct error *error)
{
	(void)error;
	(void)of;
	snprintf(port_socket, sizeof(port_socket), "%s", path);
	return 0;
}

int keeper_listen(int note)
{
	(void)note;
	unlink(port_socket);
	return line_socket_listen(port_socket);
}

int keeper_remove(int note)
{
	(void)note;
	return unlink(port_socket) ? -errno : 0;
}

static uint32_t take(unsigned int bytes)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < bytes && input < input_end; i++)
		value |= (uint32_t)*input++ << 8 * i;
	return value;
}

/* ---- a network that sends back what it gets --------------------------------------------- */

static void send_back(void *backend, const void *frame, size_t bytes)
{
	net_receive(backend, frame, bytes);
}

static unsigned int poll_nothing(void *backend, struct pollfd *fds, unsigned int count, bool room,
				 int *timeout)
{
	(void)backend;
	(void)fds;
	(void)count;
	(void)room;
	(void)timeout;
	return 0;
}

static void polled_nothing(void *backend, const struct pollfd *fds, unsigned int count)
{
	(void)backend;
	(void)fds;
	(void)count;
}

static void close_nothing(void *backend)
{
	(void)backend;
}

void *net_user_open(struct net *net, const char *option, bool host_loopback,
		    const struct net_backend **ops, struct error *error)
{
	static const struct net_backend mirror = {
		.send = send_back, .poll = poll_nothing, .polled = polled_nothing,
		.close = close_nothing,
	};

	(void)option;
	(void)host_loopback;
	(void)error;
	*ops = &mirror;
	return net;
}

void *net_tap_open(struct net *net, const char *option, const char *name,
		   const struct net_backend **ops, struct error *error)
{
	(void)name;
	return net_user_open(net, option, false, ops, error);
}

void *net_socket_open(struct net *net, const char *option, const char *path,
		      const struct net_backend **ops, struct error *error)
{
	(void)path;
	return net_user_open(net, option, false, ops, error);
}

/* ---- the device and what is outside of it ------------------------------------------------ */

static struct virtio_device *create(void)
{
	char spec[96], ports[96];
	const char *const specs[] = { "first=/dev/null,console", ports };

	snprintf(spec, sizeof(spec), "%s%s", disk_path, kind == READ_ONLY_DISK ? ",ro" : "");
	snprintf(ports, sizeof(ports), "second=unix:%s", port_path);
	switch (kind) {
	case NET:
		return net_create(&memory, registers, "user,mac=02:00:00:00:00:01", NULL);
	case RNG:
		return rng_create(&memory, registers, NULL);
	case PORTS:
		return console_create(&memory, registers, specs, 2, NULL);
	default:
		return block_create(&memory, registers, spec, NULL);
	}
}

static void put(unsigned int offset, uint32_t value)
{
	virtio_write(device, offset, value, 4);
}

static void setup_queue(unsigned int queue, uint32_t size)
{
	put(VIRTIO_MMIO_QUEUE_SEL, queue);
	put(VIRTIO_MMIO_QUEUE_NUM, size);
	put(VIRTIO_MMIO_QUEUE_DESC_LOW, RINGS + queue * STRIDE);
	put(VIRTIO_MMIO_QUEUE_AVAIL_LOW, RINGS + queue * STRIDE + 0x1000);
	put(VIRTIO_MMIO_QUEUE_USED_LOW, RINGS + queue * STRIDE + 0x2000);
	put(VIRTIO_MMIO_QUEUE_READY, 1);
}

/* As a driver does it, with some of the features. */
static void bring_up(uint32_t without)
{
	uint64_t features = device->features & ~(uint64_t)(without & 3);

	if (without & 0x80)
		features &= ~(1ull << VIRTIO_RING_F_EVENT_IDX);
	put(VIRTIO_MMIO_STATUS, 0);
	put(VIRTIO_MMIO_STATUS, 3);
	for (unsigned int half = 0; half < 2; half++) {
		put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		put(VIRTIO_MMIO_DRIVER_FEATURES, features >> 32 * half);
	}
	put(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	memset(memory.base + RINGS, 0, QUEUES * STRIDE);
	for (unsigned int i = 0; i < device->nr_queues && i < QUEUES; i++)
		setup_queue(i, SIZE);
	put(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* A turn of the device's thread, which there is not. */
static void serve(void)
{
	struct pollfd fds[VIRTIO_MAX_FDS];
	unsigned int count = 0;
	int timeout = 0;

	virtio_lock(device);
	device->piece = 0;
	device->turn = 0;
	device->rounds = 4;
	if (device->ops->poll)
		count = device->ops->poll(device, fds, VIRTIO_MAX_FDS, &timeout);
	poll(fds, count, 0);
	if (device->ops->polled)
		device->ops->polled(device, fds, count);
	if (virtio_running(device))
		device->ops->work(device);
	virtio_unlock(device);
}

/* ---- commands -------------------------------------------------------------------------- */

static void descriptor(void)
{
	unsigned int queue = take(1) % QUEUES, at = take(1) % SIZE;
	struct vring_desc *table = (struct vring_desc *)(memory.base + RINGS + queue * STRIDE);
	/* Mostly buffers; at times anything. */
	uint32_t where = take(2), length = take(2), flags = take(1);

	table[at] = (struct vring_desc){
		.addr = flags & 0x80 ? (uint64_t)take(4) << 8 : BUFFERS + where * 16ull,
		.len = flags & 0x40 ? length * 64u : length % 4096,
		.flags = flags & 7,
		.next = take(1) % (SIZE + 1),
	};
}

static void offer(void)
{
	unsigned int queue = take(1) % QUEUES;
	uint16_t *ring = (uint16_t *)(memory.base + RINGS + queue * STRIDE + 0x1000);

	ring[2 + ring[1] % SIZE] = take(1) % (SIZE + 1);
	ring[1]++;
	put(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static void bytes(void)
{
	uint32_t at = BUFFERS + take(1) * 16, length = take(1) % 64;

	for (; length--; at++)
		memory.base[at] = take(1);
}

/* Do to a queue in use what no driver should. */
static void reconfigure(void)
{
	unsigned int queue = take(1) % QUEUES;
	uint32_t how = take(1), size = how & 0x80 ? take(4) : 1u << how % 10;

	put(VIRTIO_MMIO_QUEUE_SEL, queue);
	put(VIRTIO_MMIO_QUEUE_READY, 0);
	if (how & 0x40)
		put(VIRTIO_MMIO_QUEUE_NUM, size);
	else
		setup_queue(queue, size);
	if (how & 0x20)
		put(VIRTIO_MMIO_QUEUE_USED_LOW, MEMORY - 0x1000);
	if (how & 0x10)
		put(VIRTIO_MMIO_QUEUE_READY, 1);
}

static void outside(void)
{
	static char data[1 << 16];
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (kind != PORTS)
		return;
	switch (take(1) % 4) {
	case 0:
		if (peer >= 0)
			return;
		strcpy(address.sun_path, port_path);
		peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(peer, (struct sockaddr *)&address, sizeof(address))) {
			close(peer);
			peer = -1;
		}
		break;
	case 1:
		if (peer >= 0 && send(peer, data, take(1), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			return;
		break;
	case 2:
		while (peer >= 0 && recv(peer, data, sizeof(data), 0) > 0)
			;
		break;
	default:
		if (peer >= 0)
			close(peer);
		peer = -1;
	}
}

static uint8_t record_data[1 << 20];
static struct device_record record;
static char record_name[STATE_NAME_MAX + 1];

static bool keep(void *argument, const struct device_record *saved)
{
	(void)argument;
	if (saved->bytes > sizeof(record_data))
		abort();
	memcpy(record_data, saved->data, saved->bytes);
	snprintf(record_name, sizeof(record_name), "%s", saved->name);
	record = *saved;
	record.name = record_name;
	record.data = record_data;
	return true;
}

static void destroy(void)
{
	virtio_destroy(device);
	devices_forget();
}

static void begin(void)
{
	memset(registers, 0, VIRTIO_MMIO_STRIDE);
	device = create();
	virtio_register(device, 0);
}

/* To a new device by a record that somebody else had in their hands; or it stays. */
static void move(void)
{
	struct error error;
	uint32_t changes = take(1) % 4;

	devices_freeze();
	devices_flush(&error);
	devices_save(keep, NULL, NULL);
	if (changes == 3) {
		devices_thaw(&error);
		return;
	}
	devices_yield();
	destroy();
	devices_set_incoming();
	begin();
	devices_freeze();
	while (changes--) {
		uint32_t at = take(2);

		record_data[at % record.bytes] = take(1);
	}
	/* A device that refused a record is as after power-on. */
	if (!devices_load(&record, &error) && device->status)
		abort();
	if (!devices_thaw(&error))
		abort();
}

static void command(void)
{
	switch (take(1) % 16) {
	case 0:
		bring_up(take(1));
		break;
	case 1:
		put(take(1) & ~3u, take(4));
		break;
	case 2:
		virtio_write(device, 0x100 + take(1), take(4), 1u << take(1) % 4);
		break;
	case 3:
		reconfigure();
		break;
	case 4:
		move();
		break;
	case 5:
		outside();
		break;
	case 6:
	case 7:
		bytes();
		break;
	case 8:
	case 9:
	case 10:
		descriptor();
		break;
	case 11:
	case 12:
	case 13:
		offer();
		break;
	default:
		serve();
	}
}

/* The enabled geometry is the checked one. */
static void check(void)
{
	for (unsigned int i = 0; i < device->nr_queues; i++) {
		const struct queue *queue = &device->queues[i];
		const uint8_t *used = queue->rings.used;

		if (queue->ready && (!queue->rings.size || queue->rings.size > QUEUE_MAX_SIZE ||
				     used < memory.base ||
				     used + 6 + 8 * queue->rings.size > memory.base + MEMORY))
			abort();
	}
}

static void prepare(void)
{
	int disk = memfd_create("disk", 0);
	void *base = mmap(NULL, MEMORY + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	registers = mmap(NULL, VIRTIO_MMIO_STRIDE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (disk < 0 || ftruncate(disk, DISK_BYTES) || base == MAP_FAILED ||
	    registers == MAP_FAILED || mprotect(base, MEMORY, PROT_READ | PROT_WRITE))
		abort();
	memory = (struct guest_memory){ .base = base, .bytes = MEMORY, .low = MEMORY, .vm_fd = -1 };
	snprintf(disk_path, sizeof(disk_path), "/proc/self/fd/%d", disk);
	snprintf(port_path, sizeof(port_path), "/tmp/gondola-fuzz-%d", (int)getpid());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!memory.base)
		prepare();
	memset(memory.base + RINGS, 0, BUFFERS + 0x2000 - RINGS);
	/* A guest may write what no raw disk begins with: see image_format(). */
	if (truncate(disk_path, 0) || truncate(disk_path, DISK_BYTES))
		abort();
	input = data;
	input_end = data + size;
	kind = take(1) % KINDS;
	begin();
	bring_up(take(1));
	for (unsigned int i = 0; i < MAX_COMMANDS && input < input_end; i++) {
		command();
		check();
	}
	serve();
	check();
	if (peer >= 0)
		close(peer);
	peer = -1;
	destroy();
	return 0;
}
