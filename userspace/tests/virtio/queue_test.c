// SPDX-License-Identifier: GPL-2.0-only
/* The queue alone: rings as a hostile guest would write them. */
#include <stdlib.h>
#include <sys/mman.h>

#include "driver.h"

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

const struct test_table queue_tests = TEST_TABLE(
	{ "rings at wrong places or of wrong sizes are refused", queue_addresses },
	{ "a chain is read, written and given back", queue_good },
	{ "indirect tables are followed, bad ones refused", queue_indirect },
	{ "loops, wild addresses and run-away indices break a queue", queue_hostile },
	{ "indices wrap", queue_wraps },
	{ "notifications and interrupts are held back as asked", queue_notifications },
	{ "what is written is marked dirty", queue_dirty },
	{ "20,000 random rings stay within memory", queue_random }
);
