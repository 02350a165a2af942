// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "world.h"

struct balloon_status ended;
unsigned int ends;
uint64_t discarded, hinted, dirtied, early;

static void on_end(void *argument, const struct balloon_status *status)
{
	(void)argument;
	ended = *status;
	ends++;
}

static void on_discard(void *argument, uint64_t gpa, uint64_t bytes)
{
	(void)argument;
	/* The page is dropped next, so the dirty log must hear of it while it is still there. */
	early += *(uint32_t *)guest(gpa) == 0x55555555;
	discarded += bytes / BALLOON_PAGE;
}

static void on_dirty(void *argument, uint64_t gpa, uint64_t bytes)
{
	(void)argument;
	(void)gpa;
	dirtied += bytes / BALLOON_PAGE;
}

static void on_hint(void *argument, uint64_t gpa, uint64_t bytes)
{
	(void)argument;
	(void)gpa;
	hinted += bytes / BALLOON_PAGE;
}

void balloon_start(uint64_t without)
{
	static const struct balloon_hooks hooks = {
		.ended = on_end, .discarded = on_discard, .hinted = on_hint,
	};
	struct virtio_device *device;

	driver_memory();
	ends = 0;
	discarded = 0;
	dirtied = 0;
	early = 0;
	hinted = 0;
	memset(guest(0), 0x55, GUEST_BYTES);
	memset(guest(RINGS), 0, 8 * RINGS_STRIDE);
	device = balloon_create(&driver.memory, driver.registers, true, NULL);
	balloon_set_hooks(device, &hooks);
	for (unsigned int i = 0; i < device->nr_queues; i++)
		device->queues[i].dirty = on_dirty;
	driver_start(device, without);
}

uint64_t balloon_held(void)
{
	struct balloon_status status;

	/* A buffer is used a moment before the device shows what it did: with its lock. */
	virtio_lock(driver.device);
	virtio_unlock(driver.device);
	balloon_get_status(driver.device, &status);
	return status.held;
}

bool balloon_has(uint32_t page)
{
	uint64_t bits[PAGES / 64];

	require(balloon_get_bitmap(driver.device, bits));
	return bits[page / 64] & BIT64(page % 64);
}

/* Sends an array of page numbers, or a part of one; true when the device has served it. */
bool balloon_send(unsigned int queue, const uint32_t *pfns, uint32_t bytes)
{
	memcpy(guest(BUFFERS), pfns, bytes);
	return balloon_send_run(queue, BUFFERS, bytes, 0);
}

bool balloon_send_run(unsigned int queue, uint64_t gpa, uint32_t bytes, unsigned int flags)
{
	uint16_t before = ring_used(queue)->idx;

	put_desc(queue, 0, gpa, bytes, flags, 0);
	offer(queue, 0);
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (ring_used(queue)->idx != before)
			return true;
		if (get_register(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return false;
		usleep(1000);
	}
	return false;
}

uint8_t saved[65536];
struct device_record record;

bool balloon_keep(void *argument, const struct device_record *from)
{
	(void)argument;
	require(from->bytes <= sizeof(saved));
	memcpy(saved, from->data, from->bytes);
	record = *from;
	record.data = saved;
	return true;
}
