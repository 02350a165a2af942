// SPDX-License-Identifier: GPL-2.0-only
/* The transport, by means of the simplest device. */
#include <unistd.h>

#include "driver.h"

static void transport(void)
{
	driver_memory();
	driver.device = rng_create(&driver.memory, driver.registers);
	expect_equal(get_register(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	expect_equal(get_register(VIRTIO_MMIO_VERSION), 2);
	expect_equal(get_register(VIRTIO_MMIO_DEVICE_ID), 4);
	virtio_start(driver.device);
	set_register(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	expect_equal(get_register(VIRTIO_MMIO_DEVICE_FEATURES), 1);
	set_register(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 7);
	expect_equal(get_register(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	set_register(VIRTIO_MMIO_QUEUE_SEL, 1);
	expect_equal(get_register(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	set_register(VIRTIO_MMIO_QUEUE_SEL, 0);
	expect_equal(get_register(VIRTIO_MMIO_QUEUE_NUM_MAX), QUEUE_MAX_SIZE);

	/* Without version 1, or with what was not offered, features are not agreed on. */
	set_register(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 3);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES, 3);
	set_register(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 3);
	/* Nor does the driver run then, nor is a queue taken. */
	set_register(VIRTIO_MMIO_STATUS, 7);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 3);
	set_register(VIRTIO_MMIO_QUEUE_NUM, 16);
	set_register(VIRTIO_MMIO_QUEUE_READY, 1);
	expect_equal(get_register(VIRTIO_MMIO_QUEUE_READY), 0);
	set_register(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	set_register(VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 11);
	/* Too late for others. */
	set_register(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	expect_equal(driver.device->negotiated, BIT64(VIRTIO_F_VERSION_1));
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 0);
	driver_end();
}

static void rng(void)
{
	uint8_t *bytes;
	unsigned int zeroes = 0;

	driver_memory();
	driver_start(rng_create(&driver.memory, driver.registers), 0);
	put_desc(0, 0, BUFFERS, 1000, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 1));
	expect_equal(ring_used(0)->ring[0].len, 1000);
	expect_equal(get_register(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	set_register(VIRTIO_MMIO_INTERRUPT_ACK, 1);
	expect_equal(get_register(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	bytes = guest(BUFFERS);
	for (unsigned int i = 0; i < 1000; i++)
		zeroes += !bytes[i];
	expect(zeroes < 40);
	expect_equal(bytes[1000], 0);

	/* A request of nearly all memory is bounded, one without room is wrong. */
	put_desc(0, 0, BUFFERS, 2 << 20, WRITE, 0);
	offer(0, 0);
	require(used_within(0, 2));
	expect_equal(ring_used(0)->ring[1].len, 65536);
	put_desc(0, 0, BUFFERS, 8, 0, 0);
	offer(0, 0);
	expect(broken_within());
	expect(get_register(VIRTIO_MMIO_INTERRUPT_STATUS) & 2);
	/* Nothing is served until it is reset. */
	put_desc(0, 0, BUFFERS, 8, WRITE, 0);
	offer(0, 0);
	usleep(20000);
	expect_equal(ring_used(0)->idx, 2);
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect_equal(get_register(VIRTIO_MMIO_STATUS), 0);
	driver_end();
}

static struct virtio_device *create_rng(void)
{
	return rng_create(&driver.memory, driver.registers);
}

static void nonsense_rng(void)
{
	nonsense_to(create_rng);
	put_desc(0, 0, BUFFERS, 1000, WRITE, 0);
	offer(0, 0);
	expect(used_within(0, 1));
	driver_end();
}

const struct test_table transport_tests = TEST_TABLE(
	{ "features, status and queues follow the standard", transport },
	{ "rng gives random bytes, and breaks on bad requests", rng },
	{ "100,000 nonsense writes to rng", nonsense_rng }
);
