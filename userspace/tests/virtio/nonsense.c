// SPDX-License-Identifier: GPL-2.0-only
/* A guest that writes anything anywhere. */
#include <stdlib.h>

#include "driver.h"

#define NONSENSE	100000

/* Mostly registers and values that mean something, so that it gets somewhere. */
static void write_nonsense(void)
{
	static const uint32_t values[] = {
		0, 1, 2, 3, 7, 8, 11, 15, 16, 64, 128, 255, 256, RINGS, RINGS + 0x2000,
		RINGS + 0x4000, BUFFERS, GUEST_BYTES - 1, 0x7fffffff, 0x80000000, 0xffffffff,
	};
	static const uint8_t widths[] = { 4, 4, 4, 4, 1, 2, 8 };
	uint64_t offset = random() % 8 ? (random() % 0x50) * 4 : random() % 0x1000;
	uint64_t value = random() % 2 ? values[random() % (sizeof(values) / 4)] :
			 (uint64_t)random() << 20 ^ random();

	virtio_write(driver.device, offset, value, widths[random() % 7]);
	if (random() % 64 == 0) {
		uint32_t *words = guest(RINGS);

		for (unsigned int i = 0; i < 256; i++)
			words[random() % (RINGS_STRIDE / 4)] = values[random() % 21];
	}
	virtio_read(driver.device, random() % 0x1100, widths[random() % 7]);
}

void nonsense_to(struct virtio_device *(*create)(void))
{
	srandom(20260101);
	/* Other programs may have it, too. */
	driver_shared_memory();
	driver.device = create();
	require_equal(virtio_start(driver.device), 0);
	for (unsigned int i = 0; i < NONSENSE; i++)
		write_nonsense();
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 0);
	virtio_stop(driver.device);
	/* And it still works for who knows how. */
	driver.device->stop = false;
	memset(guest(0), 0, GUEST_BYTES);
	driver_start(driver.device, EVENT_IDX);
	expect(virtio_running(driver.device));
}
