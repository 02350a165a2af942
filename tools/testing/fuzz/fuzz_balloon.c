// SPDX-License-Identifier: GPL-2.0-only
/*
 * The balloon device built alone, driven by a guest that may do anything: an
 * input is a row of commands that write guest memory and registers, let the
 * device serve its queues, and ask it for goals as the launcher does.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "device/device.h"
#include "device/virtio/balloon_device.h"
#include "base/fail.h"

#define MEMORY		(2u << 20)
#define RINGS		0x10000u	/* of each queue: table, available and used ring, in a page each */
#define STRIDE		0x4000u
#define SIZE		16u
#define BUFFERS		0x40000u

static struct guest_memory memory;
static uint8_t *registers;
static struct virtio_device *device;
static const uint8_t *input, *input_end;

/* Messages about a guest's mistakes do not matter here; a launcher that gives up is a bug. */
void say(const char *format, ...)
{
	(void)format;
}

void fail(enum exit_code code, const char *format, ...)
{
	(void)code;
	(void)format;
	abort();
}

static uint32_t take(unsigned int bytes)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < bytes && input < input_end; i++)
		value |= (uint32_t)*input++ << 8 * i;
	return value;
}

static void put(unsigned int offset, uint32_t value)
{
	virtio_write(device, offset, value, 4);
}

/* As a driver does it, with some of the features. */
static void bring_up(uint32_t without)
{
	uint64_t features = device->features & ~(uint64_t)(without & 0x3f);

	if (without & 0x40)
		features &= ~(1ull << GONDOLA_BALLOON_F_RUNS);
	if (without & 0x80)
		features &= ~(1ull << GONDOLA_BALLOON_F_PACE);
	put(VIRTIO_MMIO_STATUS, 0);
	put(VIRTIO_MMIO_STATUS, 3);
	for (unsigned int half = 0; half < 2; half++) {
		put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		put(VIRTIO_MMIO_DRIVER_FEATURES, features >> 32 * half);
	}
	put(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned int i = 0; i < BALLOON_QUEUES; i++) {
		put(VIRTIO_MMIO_QUEUE_SEL, i);
		put(VIRTIO_MMIO_QUEUE_NUM, SIZE);
		put(VIRTIO_MMIO_QUEUE_DESC_LOW, RINGS + i * STRIDE);
		put(VIRTIO_MMIO_QUEUE_AVAIL_LOW, RINGS + i * STRIDE + 0x1000);
		put(VIRTIO_MMIO_QUEUE_USED_LOW, RINGS + i * STRIDE + 0x2000);
		put(VIRTIO_MMIO_QUEUE_READY, 1);
	}
	put(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* Do what the device's thread does after a kick. */
static void serve(void)
{
	virtio_lock(device);
	device->piece = 0;
	device->turn = 0;
	device->rounds = 4;
	device->ops->polled(device, NULL, 0);
	if (virtio_running(device))
		device->ops->work(device);
	virtio_unlock(device);
}

static void descriptor(void)
{
	unsigned int queue = take(1) % BALLOON_QUEUES, at = take(1) % SIZE;
	struct vring_desc *table = (struct vring_desc *)(memory.base + RINGS + queue * STRIDE);
	/* Mostly pages and buffers; at times anything. */
	uint32_t where = take(2), length = take(2), flags = take(1);

	table[at] = (struct vring_desc){
		.addr = flags & 0x80 ? (uint64_t)take(4) << 8 : flags & 0x40 ?
			BUFFERS + where % 0x1000 : where * 4096ull % (MEMORY + 8192),
		.len = flags & 0x20 ? length * 4096u : length,
		.flags = flags & 7,
		.next = take(1) % (SIZE + 1),
	};
}

static void offer(void)
{
	unsigned int queue = take(1) % BALLOON_QUEUES;
	uint16_t *ring = (uint16_t *)(memory.base + RINGS + queue * STRIDE + 0x1000);

	ring[2 + ring[1] % SIZE] = take(1) % (SIZE + 1);
	ring[1]++;
	put(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static void goal(void)
{
	const struct balloon_goal goal = {
		.pages = take(2), .rate = take(2), .deadline_ms = take(1), .floor = take(1),
	};
	struct balloon_status status;
	struct balloon_stats stats;

	switch (take(1) % 6) {
	case 0:
		balloon_cancel(device);
		break;
	case 1:
		balloon_hint(device, take(1) & 1);
		break;
	case 2:
		balloon_get_stats(device, &stats, 0);
		break;
	default:
		balloon_ask(device, &goal);
	}
	balloon_get_status(device, &status);
}

static void command(void)
{
	uint32_t at, length;

	switch (take(1) % 10) {
	case 0:
		bring_up(take(1));
		break;
	case 1:
		put(take(1) & ~3u, take(4));
		break;
	case 2:
		/* The configuration, the extension's too. */
		at = 0x100 + take(1) % (GONDOLA_BALLOON_CONFIG + 64);
		virtio_write(device, at, take(4), 1u << take(1) % 4);
		break;
	case 3:
		goal();
		break;
	case 4:
		at = BUFFERS + take(1) * 16;
		for (length = take(1) % 64; length--; at++)
			memory.base[at] = take(1);
		break;
	case 5:
	case 6:
		descriptor();
		break;
	case 7:
	case 8:
		offer();
		break;
	default:
		serve();
	}
}

static void check(void)
{
	const struct balloon *balloon = (struct balloon *)device;
	uint64_t held = 0;

	for (unsigned int i = 0; i < MEMORY / 4096 / 64; i++)
		held += __builtin_popcountll(balloon->bits[i]);
	if (held != balloon->held || balloon->config.actual > MEMORY / 4096 ||
	    balloon->reason >= GONDOLA_BALLOON_REASONS)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (!memory.base) {
		if (memory_create_bare(&memory, MEMORY, false))
			abort();
		registers = mmap(NULL, VIRTIO_MMIO_STRIDE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	memset(memory.base + RINGS, 0, BUFFERS + 0x2000 - RINGS);
	memset(registers, 0, VIRTIO_MMIO_STRIDE);
	input = data;
	input_end = data + bytes;
	device = balloon_create(&memory, registers, take(1) & 1, NULL);
	bring_up(take(1));
	while (input < input_end)
		command();
	serve();
	check();
	virtio_destroy(device);
	return 0;
}
