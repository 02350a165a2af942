// SPDX-License-Identifier: GPL-2.0-only
#include "driver.h"

static const uint8_t arp[42] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6,
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
};

/* "Who has 10.0.2.2?" in two segments; the host answers. */
static void ask_host(void)
{
	uint8_t *frame = guest(BUFFERS), *answer = guest(BUFFERS + 0x1000);

	memset(frame, 0, 12);
	memcpy(frame + 12, arp, sizeof(arp));
	put_desc(0, 0, BUFFERS + 0x1000, 2000, WRITE, 0);
	offer(0, 0);
	put_desc(1, 0, BUFFERS, 12, NEXT, 1);
	put_desc(1, 1, BUFFERS + 12, sizeof(arp), 0, 0);
	offer(1, 0);
	require(used_within(1, 1));
	require(used_within(0, 1));
	expect(ring_used(0)->ring[0].len >= 12 + 42);
	expect_equal(answer[10], 1);
	expect(!memcmp(answer + 12, arp + 6, 6));
	expect_equal(answer[12 + 21], 2);
	expect(!memcmp(answer + 12 + 28, arp + 38, 4));
}

static struct virtio_device *create_net(void)
{
	return net_create(&driver.memory, driver.registers, "user,mac=02:00:00:00:00:01");
}

static void net(void)
{
	driver_memory();
	driver_start(create_net(), 0);
	expect_equal(get_register(VIRTIO_CONFIG), 2);
	ask_host();
	/* Frames too short and too long for Ethernet get lost. */
	put_desc(1, 0, BUFFERS, 12, 0, 0);
	offer(1, 0);
	expect(used_within(1, 2));
	put_desc(1, 0, BUFFERS, 100000, 0, 0);
	offer(1, 0);
	expect(used_within(1, 3));
	/* One without a header is wrong. */
	put_desc(1, 0, BUFFERS, 11, 0, 0);
	offer(1, 0);
	expect(broken_within());
	driver_end();
	driver_memory();
	driver_start(create_net(), 0);
	/* So is a buffer that holds no frame. */
	put_desc(0, 0, BUFFERS + 0x1000, 20, WRITE, 0);
	offer(0, 0);
	memcpy((uint8_t *)guest(BUFFERS) + 12, arp, sizeof(arp));
	put_desc(1, 0, BUFFERS, 12 + sizeof(arp), 0, 0);
	offer(1, 0);
	expect(broken_within());
	driver_end();
}

static void nonsense_net(void)
{
	nonsense_to(create_net);
	ask_host();
	driver_end();
}

const struct test_table net_tests = TEST_TABLE(
	{ "a network card sends, receives, and breaks on bad buffers", net },
	{ "100,000 nonsense writes to a network card", nonsense_net }
);
