// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the virtio devices with a driver of our own: rings as a hostile
 * guest would write them, requests to each device, nonsense in all registers.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>

#include "driver.h"

#define BIT64(n)	(1ull << (n))
#define EVENT_IDX	BIT64(VIRTIO_RING_F_EVENT_IDX)
#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

static char disk_name[32] = "/tmp/gondola-virtio-XXXXXX";
#define DISK_BYTES	(1u << 20)

/* ---- the queue alone ------------------------------------------------------------ */

static struct queue queue;
static struct queue_chain chain;

/* A queue over the rings of queue 0, with nothing in it. */
static void fresh_queue(bool event_idx)
{
	driver_memory();
	queue.memory = &driver.memory;
	queue.dirty = NULL;
	queue_reset(&queue);
	queue.size = QUEUE_SIZE;
	queue.desc = RINGS;
	queue.avail = RINGS + 0x2000;
	queue.used = RINGS + 0x4000;
	queue.event_idx = event_idx;
	require(queue_enable(&queue));
}

static void add(uint16_t head)
{
	uint16_t *avail = ring_avail(0);

	avail[2 + avail[1] % QUEUE_SIZE] = head;
	avail[1]++;
}

static void end_queue(void)
{
	memory_destroy(&driver.memory);
	munmap(driver.registers, VIRTIO_MMIO_STRIDE);
}

static void expect_broken(const char *words)
{
	add(0);
	expect_equal(queue_pop(&queue, &chain), -1);
	tap_check(queue.error && strstr(queue.error, words), false, "\"%s\" has no \"%s\"",
		  queue.error ? queue.error : "(nothing)", words);
	/* And it stays so. */
	expect_equal(queue_pop(&queue, &chain), -1);
	end_queue();
	fresh_queue(false);
}

static void queue_addresses(void)
{
	static const struct {
		uint32_t size;
		uint64_t desc, avail, used;
	} bad[] = {
		{ 0, RINGS, RINGS + 0x2000, RINGS + 0x4000 },
		{ 3, RINGS, RINGS + 0x2000, RINGS + 0x4000 },
		{ 512, RINGS, RINGS + 0x2000, RINGS + 0x4000 },
		{ 1u << 31, RINGS, RINGS + 0x2000, RINGS + 0x4000 },
		{ 16, RINGS + 8, RINGS + 0x2000, RINGS + 0x4000 },
		{ 16, RINGS, RINGS + 0x2001, RINGS + 0x4000 },
		{ 16, RINGS, RINGS + 0x2000, RINGS + 0x4002 },
		{ 16, GUEST_BYTES - 16, RINGS + 0x2000, RINGS + 0x4000 },
		{ 16, RINGS, GUEST_BYTES - 4, RINGS + 0x4000 },
		{ 16, RINGS, RINGS + 0x2000, GUEST_BYTES - 128 },
		{ 16, ~15ull, RINGS + 0x2000, RINGS + 0x4000 },
		{ 16, RINGS, ~1ull, RINGS + 0x4000 },
		{ 16, RINGS, RINGS + 0x2000, ~3ull },
		{ 16, VIRTIO_MMIO_BASE, RINGS + 0x2000, RINGS + 0x4000 },
	};

	fresh_queue(false);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		queue_reset(&queue);
		queue.size = bad[i].size;
		queue.desc = bad[i].desc;
		queue.avail = bad[i].avail;
		queue.used = bad[i].used;
		tap_check(!queue_enable(&queue) && queue.error && !queue.ready, false,
			  "rings %u were taken", i);
		expect_equal(queue_pop(&queue, &chain), 0);
	}
	end_queue();
}

static void queue_good(void)
{
	char text[16];

	fresh_queue(false);
	expect_equal(queue_pop(&queue, &chain), 0);
	memcpy(guest(BUFFERS), "hello, device", 13);
	put_desc(0, 3, BUFFERS, 7, NEXT, 5);
	put_desc(0, 5, BUFFERS + 7, 6, NEXT, 1);
	put_desc(0, 1, BUFFERS + 0x100, 4, WRITE | NEXT, 2);
	put_desc(0, 2, BUFFERS + 0x200, 100, WRITE, 0);
	add(3);
	require_equal(queue_pop(&queue, &chain), 1);
	expect_equal(chain.head, 3);
	expect_equal(chain.out, 2);
	expect_equal(chain.in, 2);
	expect_equal(chain.out_bytes, 13);
	expect_equal(chain.in_bytes, 104);
	expect_equal(chain_read(&chain, 5, text, sizeof(text)), 8);
	expect(!memcmp(text, ", device", 8));
	expect_equal(chain_write(&chain, 2, "abcd", 4), 4);
	expect(!memcmp((char *)guest(BUFFERS + 0x102), "ab", 2));
	expect(!memcmp((char *)guest(BUFFERS + 0x200), "cd", 2));
	expect_equal(chain_write(&chain, 103, "xyz", 3), 1);
	expect_equal(chain_read(&chain, 13, text, 1), 0);
	queue_push(&queue, &chain, 6);
	expect_equal(ring_used(0)->idx, 1);
	expect_equal(ring_used(0)->ring[0].id, 3);
	expect_equal(ring_used(0)->ring[0].len, 6);
	expect_equal(queue_pop(&queue, &chain), 0);
	end_queue();
}

static void queue_indirect(void)
{
	struct vring_desc *table;

	fresh_queue(false);
	table = guest(BUFFERS);
	table[0] = (struct vring_desc){ BUFFERS + 0x1000, 10, NEXT, 2 };
	table[2] = (struct vring_desc){ BUFFERS + 0x2000, 20, WRITE, 0 };
	/* A descriptor before the indirect one is allowed. */
	put_desc(0, 0, BUFFERS + 0x3000, 5, NEXT, 1);
	put_desc(0, 1, BUFFERS, 48, INDIRECT, 0);
	add(0);
	require_equal(queue_pop(&queue, &chain), 1);
	expect_equal(chain.out_bytes, 15);
	expect_equal(chain.in_bytes, 20);
	put_desc(0, 0, BUFFERS, 48, INDIRECT | NEXT, 1);
	expect_broken("successor");
	put_desc(0, 0, BUFFERS, 47, INDIRECT, 0);
	expect_broken("wrong length");
	put_desc(0, 0, BUFFERS, 0, INDIRECT, 0);
	expect_broken("wrong length");
	put_desc(0, 0, BUFFERS, 16 * (QUEUE_MAX_SEGMENTS + 1), INDIRECT, 0);
	expect_broken("wrong length");
	put_desc(0, 0, GUEST_BYTES - 16, 32, INDIRECT, 0);
	expect_broken("outside memory");
	put_desc(0, 0, ~15ull, 32, INDIRECT, 0);
	expect_broken("outside memory");
	((struct vring_desc *)guest(BUFFERS))[0] =
		(struct vring_desc){ BUFFERS + 0x1000, 16, INDIRECT, 0 };
	put_desc(0, 0, BUFFERS, 16, INDIRECT, 0);
	expect_broken("another in it");
	((struct vring_desc *)guest(BUFFERS))[0] = (struct vring_desc){ BUFFERS + 64, 1, NEXT, 0 };
	put_desc(0, 0, BUFFERS, 16, INDIRECT, 0);
	expect_broken("loop");
	((struct vring_desc *)guest(BUFFERS))[0] = (struct vring_desc){ BUFFERS + 64, 1, NEXT, 1 };
	put_desc(0, 0, BUFFERS, 16, INDIRECT, 0);
	expect_broken("a chain of descriptors has a loop");
	end_queue();
}

static void queue_hostile(void)
{
	fresh_queue(false);
	put_desc(0, 0, BUFFERS, 8, NEXT, 0);
	expect_broken("loop");
	put_desc(0, 0, BUFFERS, 8, NEXT, 1);
	put_desc(0, 1, BUFFERS, 8, NEXT, 0);
	expect_broken("loop");
	put_desc(0, 0, BUFFERS, 8, NEXT, QUEUE_SIZE);
	expect_broken("outside the table");
	put_desc(0, 0, BUFFERS, 8, NEXT, 0xffff);
	expect_broken("outside the table");
	put_desc(0, 0, BUFFERS, 0, 0, 0);
	expect_broken("empty");
	put_desc(0, 0, GUEST_BYTES - 8, 9, 0, 0);
	expect_broken("outside memory");
	put_desc(0, 0, ~0ull, 2, 0, 0);
	expect_broken("outside memory");
	put_desc(0, 0, BUFFERS, ~0u, 0, 0);
	expect_broken("outside memory");
	put_desc(0, 0, VIRTIO_MMIO_BASE, 8, WRITE, 0);
	expect_broken("outside memory");
	put_desc(0, 0, BUFFERS, 8, WRITE | NEXT, 1);
	put_desc(0, 1, BUFFERS, 8, 0, 0);
	expect_broken("follows a writable one");
	/* The head itself, and an index that has run away. */
	ring_avail(0)[2] = QUEUE_SIZE;
	ring_avail(0)[1] = 1;
	expect_equal(queue_pop(&queue, &chain), -1);
	end_queue();
	fresh_queue(false);
	ring_avail(0)[1] = QUEUE_SIZE + 1;
	expect_equal(queue_pop(&queue, &chain), -1);
	expect(strstr(queue.error, "more buffers"));
	end_queue();
}

/* Through the wrap of all indices, with a used ring that the guest scribbles on. */
static void queue_wraps(void)
{
	fresh_queue(true);
	put_desc(0, 0, BUFFERS, 8, WRITE, 0);
	for (unsigned int i = 0; i < 70000; i++) {
		add(0);
		require_equal(queue_pop(&queue, &chain), 1);
		queue_push(&queue, &chain, i);
		require_equal(ring_used(0)->idx, (uint16_t)(i + 1));
		require_equal(ring_used(0)->ring[i % QUEUE_SIZE].len, i);
		ring_used(0)->idx = i * 7;
	}
	end_queue();
}

static void queue_notifications(void)
{
	uint16_t *used_event, *avail_event;

	fresh_queue(false);
	put_desc(0, 0, BUFFERS, 8, WRITE, 0);
	add(0);
	require_equal(queue_pop(&queue, &chain), 1);
	queue_push(&queue, &chain, 0);
	expect(queue_wants_interrupt(&queue));
	expect(!queue_wants_interrupt(&queue));
	ring_avail(0)[0] = VRING_AVAIL_F_NO_INTERRUPT;
	add(0);
	require_equal(queue_pop(&queue, &chain), 1);
	queue_push(&queue, &chain, 0);
	expect(!queue_wants_interrupt(&queue));
	queue_notify_off(&queue);
	expect_equal(ring_used(0)->flags, VRING_USED_F_NO_NOTIFY);
	expect(!queue_notify_on(&queue));
	expect_equal(ring_used(0)->flags, 0);
	add(0);
	expect(queue_notify_on(&queue));
	end_queue();

	fresh_queue(true);
	used_event = ring_avail(0) + 2 + QUEUE_SIZE;
	avail_event = (uint16_t *)((char *)ring_used(0) + 4 + 8 * QUEUE_SIZE);
	put_desc(0, 0, BUFFERS, 8, WRITE, 0);
	*used_event = 1;
	for (unsigned int i = 0; i < 4; i++) {
		add(0);
		require_equal(queue_pop(&queue, &chain), 1);
		queue_push(&queue, &chain, 0);
		/* Only the second one, whose index is the event. */
		expect_equal(queue_wants_interrupt(&queue), i == 1);
	}
	queue_notify_on(&queue);
	expect_equal(*avail_event, 4);
	end_queue();
}

static uint64_t dirty_sum, dirty_used;

static void on_dirty(void *argument, uint64_t gpa, uint64_t bytes)
{
	(void)argument;
	if (gpa >= BUFFERS)
		dirty_sum += bytes;
	else
		dirty_used += bytes;
}

static void queue_dirty(void)
{
	fresh_queue(false);
	queue.dirty = on_dirty;
	put_desc(0, 0, BUFFERS, 8, NEXT, 1);
	put_desc(0, 1, BUFFERS + 0x1000, 8, WRITE | NEXT, 2);
	put_desc(0, 2, BUFFERS + 0x2000, 8, WRITE, 0);
	add(0);
	require_equal(queue_pop(&queue, &chain), 1);
	queue_push(&queue, &chain, 11);
	expect_equal(dirty_sum, 11);
	expect(dirty_used > 0);
	end_queue();
}

/* Rings full of random bytes, biased so that some chains are good. */
static void queue_random(void)
{
	uint64_t good = 0, bad = 0;

	srandom(1);
	fresh_queue(false);
	for (unsigned int round = 0; round < 20000; round++) {
		uint32_t *words = guest(RINGS);

		for (unsigned int i = 0; i < 4 * QUEUE_SIZE; i++)
			words[i] = random() << 1 ^ random();
		for (unsigned int i = 0; i < QUEUE_SIZE; i++) {
			if (random() % 4)
				put_desc(0, i, random() % (GUEST_BYTES + 0x1000), random() % 0x2000,
					 random() & 7, random() % (QUEUE_SIZE + 1));
		}
		queue_reset(&queue);
		queue.size = QUEUE_SIZE;
		queue.desc = RINGS;
		queue.avail = RINGS + 0x2000;
		queue.used = RINGS + 0x4000;
		queue.event_idx = round & 1;
		require(queue_enable(&queue));
		memset(ring_avail(0), 0, 64);
		for (unsigned int i = 0; i < QUEUE_SIZE; i++)
			add(random() % (QUEUE_SIZE + 1));
		for (;;) {
			int ret = queue_pop(&queue, &chain);

			if (ret <= 0) {
				bad += ret < 0;
				break;
			}
			require(chain.out + chain.in <= QUEUE_MAX_SEGMENTS);
			for (unsigned int i = 0; i < chain.out + chain.in; i++) {
				uint8_t *base = chain.iov[i].iov_base;

				require(base >= driver.memory.base);
				require(base + chain.iov[i].iov_len <=
					driver.memory.base + GUEST_BYTES);
			}
			queue_push(&queue, &chain, chain.in_bytes);
			good++;
		}
	}
	expect(good > 1000);
	expect(bad > 1000);
	end_queue();
}

/* ---- transport and rng -------------------------------------------------------------- */

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

/* ---- disk ------------------------------------------------------------------------------ */

static void make_disk(unsigned int bytes)
{
	static uint8_t data[DISK_BYTES];
	int fd = open(disk_name, O_RDWR | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

	require(fd >= 0);
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = i / 512 + i;
	require_equal(write(fd, data, bytes), bytes);
	close(fd);
}

static void start_disk(const char *option)
{
	char spec[64];

	driver_memory();
	snprintf(spec, sizeof(spec), "%s%s", disk_name, option);
	driver_start(block_create(&driver.memory, driver.registers, spec), 0);
}

/* A request with data at BUFFERS + 0x1000; returns its status. */
static int disk_request(uint32_t type, uint64_t sector, uint32_t bytes, bool write)
{
	struct virtio_blk_outhdr *header = guest(BUFFERS);
	uint8_t *status = guest(BUFFERS + 0x100);
	uint16_t next = ring_used(0)->idx + 1;

	*header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*status = 0xaa;
	put_desc(0, 0, BUFFERS, sizeof(*header), NEXT, bytes ? 1 : 2);
	put_desc(0, 1, BUFFERS + 0x1000, bytes, NEXT | (write ? 0 : WRITE), 2);
	put_desc(0, 2, BUFFERS + 0x100, 1, WRITE, 0);
	offer(0, 0);
	if (!used_within(0, next))
		return -1;
	return *status;
}

static uint8_t disk_byte(unsigned int at)
{
	int fd = open(disk_name, O_RDONLY | O_CLOEXEC);
	uint8_t byte = 0;

	expect_equal(pread(fd, &byte, 1, at), 1);
	close(fd);
	return byte;
}

static void disk(void)
{
	uint8_t *data;
	struct virtio_blk_discard_write_zeroes range = { .sector = 16, .num_sectors = 16 };

	make_disk(DISK_BYTES);
	start_disk("");
	data = guest(BUFFERS + 0x1000);
	expect_equal(get_register(VIRTIO_CONFIG), DISK_BYTES / 512);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 3, 1024, false), 0);
	expect_equal(data[0], 3);
	expect_equal(data[512 + 9], 4 + 9);
	memset(data, 'x', 512);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 2047, 512, true), 0);
	expect_equal(disk_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	expect_equal(disk_byte(2047 * 512), 'x');
	expect_equal(disk_request(VIRTIO_BLK_T_GET_ID, 0, 20, false), 0);
	expect(!memcmp(data, "gondola-", 8));
	memcpy(data, &range, sizeof(range));
	expect_equal(disk_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range), true), 0);
	expect_equal(disk_byte(16 * 512 + 100), 0);
	expect(disk_byte(32 * 512 + 100));
	range.sector = 64;
	memcpy(data, &range, sizeof(range));
	expect_equal(disk_request(VIRTIO_BLK_T_DISCARD, 0, sizeof(range), true), 0);
	expect_equal(disk_byte(64 * 512 + 100), 0);
	driver_end();
}

static void disk_bad_requests(void)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = 2047, .num_sectors = 2 };

	make_disk(DISK_BYTES);
	start_disk("");
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 2048, 512, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 2047, 1024, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, ~0ull, 512, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 1ull << 55, 512, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 2047, 1024, true), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 0, 100, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(77, 0, 512, false), VIRTIO_BLK_S_UNSUPP);
	memcpy(guest(BUFFERS + 0x1000), &range, sizeof(range));
	expect_equal(disk_request(VIRTIO_BLK_T_DISCARD, 0, sizeof(range), true),
		     VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_DISCARD, 0, 17, true), VIRTIO_BLK_S_UNSUPP);
	range = (struct virtio_blk_discard_write_zeroes){ .num_sectors = 1, .flags = 2 };
	memcpy(guest(BUFFERS + 0x1000), &range, sizeof(range));
	expect_equal(disk_request(VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range), true),
		     VIRTIO_BLK_S_UNSUPP);
	/* No header. */
	put_desc(0, 0, BUFFERS, 15, NEXT, 1);
	put_desc(0, 1, BUFFERS, 1, WRITE, 0);
	offer(0, 0);
	expect(broken_within());
	driver_end();
	start_disk("");
	/* No room for the status. */
	put_desc(0, 0, BUFFERS, 16, 0, 0);
	offer(0, 0);
	expect(broken_within());
	driver_end();
}

static void disk_cut(void)
{
	make_disk(DISK_BYTES);
	start_disk("");
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 2000, 512, false), 0);
	require_equal(truncate(disk_name, DISK_BYTES / 2), 0);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 2000, 512, false), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 2000, 512, true), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 20, 512, false), 0);
	driver_end();
}

static void disk_readonly(void)
{
	make_disk(DISK_BYTES);
	start_disk(",ro");
	expect(driver.device->features & BIT64(VIRTIO_BLK_F_RO));
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 0, 512, false), 0);
	expect_equal(disk_request(VIRTIO_BLK_T_OUT, 0, 512, true), VIRTIO_BLK_S_IOERR);
	expect_equal(disk_request(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	driver_end();
}

/* ---- network --------------------------------------------------------------------------- */

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

/* ---- console --------------------------------------------------------------------------- */

static char socket_name[sizeof(disk_name) + 8];

static struct virtio_device *create_console(void)
{
	static char spec[sizeof(socket_name) + 16];
	const char *const specs[] = { "first=/dev/null,console", spec };

	snprintf(socket_name, sizeof(socket_name), "%s.sock", disk_name);
	snprintf(spec, sizeof(spec), "second=unix:%s", socket_name);
	return console_create(&driver.memory, driver.registers, specs, 2);
}

static void send_control(uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control *message = guest(BUFFERS);
	uint16_t next = ring_used(3)->idx + 1;

	*message = (struct virtio_console_control){ id, event, value };
	put_desc(3, 0, BUFFERS, sizeof(*message), 0, 0);
	offer(3, 0);
	require(used_within(3, next));
}

/* The next control message from the device. */
static void expect_control(uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control *message = guest(BUFFERS + 0x400);
	uint16_t next = ring_used(2)->idx + 1;

	memset(message, 0xff, 64);
	put_desc(2, 0, BUFFERS + 0x400, 64, WRITE, 0);
	offer(2, 0);
	require(used_within(2, next));
	expect_equal(message->id, id);
	expect_equal(message->event, event);
	expect_equal(message->value, value);
}

static int connect_peer(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, socket_name);
	require_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
	return peer;
}

static void console(void)
{
	static char large[0x40000];
	size_t got = 0;
	char text[16];
	int peer;

	driver_memory();
	driver_start(create_console(), 0);
	expect_equal(get_register(VIRTIO_CONFIG + 4), 2);
	send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect_control(0, VIRTIO_CONSOLE_PORT_ADD, 1);
	expect_control(1, VIRTIO_CONSOLE_PORT_ADD, 1);
	send_control(0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	expect_control(0, VIRTIO_CONSOLE_PORT_NAME, 1);
	expect(!memcmp((char *)guest(BUFFERS + 0x400) + 8, "first", 5));
	expect_control(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	send_control(1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(1, VIRTIO_CONSOLE_PORT_NAME, 1);
	expect_control(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	send_control(77, VIRTIO_CONSOLE_PORT_READY, 1);
	send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);

	/* Nobody is there: lost. Then somebody is, who speaks and listens. */
	put_desc(5, 0, BUFFERS, 4, 0, 0);
	offer(5, 0);
	expect(used_within(5, 1));
	peer = connect_peer();
	expect_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_equal(write(peer, "hello", 5), 5);
	put_desc(4, 0, BUFFERS + 0x800, 3, WRITE, 0);
	offer(4, 0);
	require(used_within(4, 1));
	expect(!memcmp(guest(BUFFERS + 0x800), "hel", 3));
	offer(4, 0);
	require(used_within(4, 2));
	expect_equal(ring_used(4)->ring[1].len, 2);
	memcpy(guest(BUFFERS), "good day", 8);
	put_desc(5, 0, BUFFERS, 8, 0, 0);
	offer(5, 0);
	expect_equal(recv(peer, text, 8, MSG_WAITALL), 8);
	expect(!memcmp(text, "good day", 8));

	/* More than a socket takes at once is held until the peer reads. */
	require(used_within(5, 2));
	for (int i = 0; i < 8; i++) {
		put_desc(5, i, BUFFERS, sizeof(large), 0, 0);
		offer(5, i);
	}
	usleep(20000);
	expect(ring_used(5)->idx < 10);
	while (got < 8 * sizeof(large)) {
		ssize_t bytes = recv(peer, large, sizeof(large), 0);

		require(bytes > 0);
		got += bytes;
	}
	expect(used_within(5, 10));
	close(peer);
	expect_control(1, VIRTIO_CONSOLE_PORT_OPEN, 0);

	put_desc(3, 0, BUFFERS, 7, 0, 0);
	offer(3, 0);
	expect(broken_within());
	driver_end();
	expect(access(socket_name, F_OK));
}

/* ---- every device: nonsense ------------------------------------------------------------- */

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

static void nonsense_to(struct virtio_device *(*create)(void))
{
	srandom(20260101);
	driver_memory();
	driver.device = create();
	virtio_start(driver.device);
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

static struct virtio_device *create_rng(void)
{
	return rng_create(&driver.memory, driver.registers);
}

static struct virtio_device *create_disk(void)
{
	return block_create(&driver.memory, driver.registers, disk_name);
}

static void nonsense_rng(void)
{
	nonsense_to(create_rng);
	put_desc(0, 0, BUFFERS, 1000, WRITE, 0);
	offer(0, 0);
	expect(used_within(0, 1));
	driver_end();
}

static void nonsense_disk(void)
{
	make_disk(DISK_BYTES);
	nonsense_to(create_disk);
	expect_equal(disk_request(VIRTIO_BLK_T_IN, 0, 512, false), 0);
	driver_end();
}

static void nonsense_net(void)
{
	nonsense_to(create_net);
	ask_host();
	driver_end();
}

static void nonsense_console(void)
{
	nonsense_to(create_console);
	send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect_control(0, VIRTIO_CONSOLE_PORT_ADD, 1);
	driver_end();
}

static const struct tap_test tests[] = {
	{ "rings at wrong places or of wrong sizes are refused", queue_addresses },
	{ "a chain is read, written and given back", queue_good },
	{ "indirect tables are followed, bad ones refused", queue_indirect },
	{ "loops, wild addresses and run-away indices break a queue", queue_hostile },
	{ "indices wrap", queue_wraps },
	{ "notifications and interrupts are held back as asked", queue_notifications },
	{ "what is written is marked dirty", queue_dirty },
	{ "20,000 random rings stay within memory", queue_random },
	{ "features, status and queues follow the standard", transport },
	{ "rng gives random bytes, and breaks on bad requests", rng },
	{ "a disk reads, writes, flushes, discards", disk },
	{ "bad requests get errors or break the disk", disk_bad_requests },
	{ "a disk that became shorter gives I/O errors", disk_cut },
	{ "a read-only disk is not written", disk_readonly },
	{ "a network card sends, receives, and breaks on bad buffers", net },
	{ "ports of a console are told, speak and hold", console },
	{ "100,000 nonsense writes to rng", nonsense_rng },
	{ "100,000 nonsense writes to a disk", nonsense_disk },
	{ "100,000 nonsense writes to a network card", nonsense_net },
	{ "100,000 nonsense writes to a console", nonsense_console },
};

int main(void)
{
	int fd = mkstemp(disk_name), status;

	if (fd < 0) {
		perror(disk_name);
		return 1;
	}
	close(fd);
	status = tap_run(tests, sizeof(tests) / sizeof(tests[0]));
	unlink(disk_name);
	return status;
}
