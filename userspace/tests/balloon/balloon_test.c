// SPDX-License-Identifier: GPL-2.0-only
/* Tests of the balloon device with a driver of our own, well-behaved and hostile. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "world.h"

static void arrays(void)
{
	static const uint32_t mixed[] = { FIRST + 9, FIRST, FIRST + 2, FIRST + 1, FIRST + 1 };
	static const uint32_t back[] = { FIRST + 1, FIRST };

	balloon_start(EXTENSION);
	expect(balloon_send(INFLATE, mixed, sizeof(mixed)));
	expect_equal(balloon_held(), 4);
	expect_equal(discarded, 4);
	expect(balloon_has(FIRST) && balloon_has(FIRST + 2) && balloon_has(FIRST + 9));
	expect(!balloon_has(FIRST + 3));
	expect_equal(*(uint32_t *)guest((FIRST + 2) * 4096ul), 0);
	expect_equal(*(uint32_t *)guest((FIRST + 9) * 4096ul + 4092), 0);
	expect_equal(*(uint32_t *)guest((FIRST + 3) * 4096ul), 0x55555555);
	expect(balloon_send(DEFLATE, back, sizeof(back)));
	expect_equal(balloon_held(), 2);
	expect(!balloon_has(FIRST) && balloon_has(FIRST + 2));
	driver_end();
}

static void runs(void)
{
	balloon_start(0);
	expect(balloon_send_run(INFLATE, FIRST * 4096ul, 64 * 4096, WRITE));
	expect_equal(balloon_held(), 64);
	expect_equal(*(uint32_t *)guest((FIRST + 63) * 4096ul), 0);
	expect_equal(*(uint32_t *)guest((FIRST + 64) * 4096ul), 0x55555555);
	expect_equal(early, 1);
	dirtied = 0;
	expect(balloon_send_run(DEFLATE, (FIRST + 8) * 4096ul, 8 * 4096, WRITE));
	expect_equal(balloon_held(), 56);
	/* A migration has to copy that this page is empty; a ring's page is dirty, too. */
	expect(dirtied >= 8);
	driver_end();
}

/* One wrong buffer each: the device is broken, and nothing else happens. */
static void bad_arrays(void)
{
	static const struct {
		unsigned int queue;
		uint32_t pfns[2];
		uint32_t bytes;
	} bad[] = {
		{ INFLATE, { PAGES, 0 }, 4 },
		{ INFLATE, { 0xffffffff, FIRST }, 8 },
		{ INFLATE, { FIRST, 0 }, 7 },
		{ DEFLATE, { FIRST, 0 }, 4 },
		{ DEFLATE, { 0xffffffff, 0 }, 4 },
		/* More pages than the guest has. */
		{ INFLATE, { FIRST, FIRST }, 4 * (PAGES + 1) },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		balloon_start(EXTENSION);
		memset(guest(BUFFERS), 0, 8192);
		put_desc(bad[i].queue, 0, BUFFERS, bad[i].bytes, 0, 0);
		memcpy(guest(BUFFERS), bad[i].pfns, sizeof(bad[i].pfns));
		offer(bad[i].queue, 0);
		expect(broken_within());
		expect_equal(driver.device->complaints, 1);
		driver_end();
	}
	/* One buffer takes the same page back twice. */
	balloon_start(EXTENSION);
	expect(balloon_send(INFLATE, (uint32_t[]){ FIRST, FIRST + 1 }, 8));
	expect(!balloon_send(DEFLATE, (uint32_t[]){ FIRST, FIRST }, 8));
	expect(broken_within());
	driver_end();
}

static void bad_runs(void)
{
	static const struct {
		unsigned int queue;
		uint64_t gpa;
		uint32_t bytes;
		unsigned int flags;
	} bad[] = {
		{ INFLATE, FIRST * 4096ul + 8, 4096, WRITE },
		{ INFLATE, FIRST * 4096ul, 4095, WRITE },
		{ INFLATE, FIRST * 4096ul, 4096, 0 },
		{ INFLATE, GUEST_BYTES - 4096, 8192, WRITE },
		{ INFLATE, ~0ull - 4095, 4096, WRITE },
		{ DEFLATE, FIRST * 4096ul, 4096, WRITE },
		{ REPORT, FIRST * 4096ul, 4096, 0 },
		{ REPORT, FIRST * 4096ul + 1, 4096, WRITE },
		{ HINT, BUFFERS, 3, 0 },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		balloon_start(0);
		put_desc(bad[i].queue, 0, bad[i].gpa, bad[i].bytes, bad[i].flags, 0);
		offer(bad[i].queue, 0);
		expect(broken_within());
		expect_equal(driver.device->complaints, 1);
		expect_equal(balloon_held(), 0);
		driver_end();
	}
	/* A loop in the ring. */
	balloon_start(0);
	put_desc(INFLATE, 0, FIRST * 4096ul, 4096, WRITE | NEXT, 1);
	put_desc(INFLATE, 1, (FIRST + 1) * 4096ul, 4096, WRITE | NEXT, 0);
	offer(INFLATE, 0);
	expect(broken_within());
	expect_equal(balloon_held(), 0);
	driver_end();
}

static void put_stat(unsigned int at, uint16_t tag, uint64_t value)
{
	memcpy(guest(BUFFERS + at * 10), &tag, 2);
	memcpy(guest(BUFFERS + at * 10 + 2), &value, 8);
}

static void statistics(void)
{
	struct balloon_stats stats;

	balloon_start(0);
	expect(!balloon_get_stats(driver.device, &stats, 0));
	put_stat(0, VIRTIO_BALLOON_S_MEMFREE, 123);
	put_stat(1, 999, 1);
	put_desc(STATS, 0, BUFFERS, 20, 0, 0);
	offer(STATS, 0);
	for (int i = 0; i < PATIENCE_MS && !balloon_get_stats(driver.device, &stats, 0); i++)
		usleep(1000);
	expect_equal(stats.valid, 1u << VIRTIO_BALLOON_S_MEMFREE);
	expect_equal(stats.value[VIRTIO_BALLOON_S_MEMFREE], 123);
	/* The device gives the buffer back when it asks. */
	expect(used_within(STATS, 1));
	put_stat(0, VIRTIO_BALLOON_S_MEMFREE, 456);
	offer(STATS, 0);
	require(balloon_get_stats(driver.device, &stats, PATIENCE_MS));
	for (int i = 0; i < PATIENCE_MS && stats.sequence < 2; i++, usleep(1000))
		balloon_get_stats(driver.device, &stats, 0);
	expect_equal(stats.value[VIRTIO_BALLOON_S_MEMFREE], 456);
	driver_end();
}

static void bad_statistics(void)
{
	for (int way = 0; way < 3; way++) {
		balloon_start(0);
		put_stat(0, VIRTIO_BALLOON_S_MEMFREE, ~0ull);
		put_desc(STATS, 0, BUFFERS, way == 0 ? 19 : way == 1 ? 650 : 10, 0, 0);
		put_desc(STATS, 1, BUFFERS, 10, 0, 0);
		offer(STATS, 0);
		/* The driver offers a second buffer, which the device did not ask for. */
		if (way == 2)
			offer(STATS, 1);
		expect(broken_within());
		driver_end();
	}
}

static void bad_config(void)
{
	balloon_start(0);
	set_register(STANDARD(actual), PAGES + 1);
	expect(broken_within());
	driver_end();

	/* Reasons that a driver cannot tell. */
	for (uint32_t reason = GONDOLA_BALLOON_CANCELLED; reason < 9; reason++) {
		balloon_start(0);
		set_register(CONFIG(reason), reason);
		expect(broken_within());
		driver_end();
	}
	/* The extension was not negotiated. */
	balloon_start(EXTENSION);
	set_register(CONFIG(reason), GONDOLA_BALLOON_REACHED);
	expect(broken_within());
	driver_end();

	/* Pages that the device holds stay with it. */
	balloon_start(0);
	set_register(STANDARD(num_pages), 77);
	set_register(CONFIG(target), 77);
	expect_equal(get_register(STANDARD(num_pages)), 0);
	expect_equal(get_register(CONFIG(target)), 0);
	driver_end();
}

static void goals(void)
{
	struct balloon_goal goal = { .pages = 64, .rate = 7, .deadline_ms = 9000, .floor = 11 };
	uint32_t generation, id;

	balloon_start(0);
	generation = get_register(VIRTIO_MMIO_CONFIG_GENERATION);
	id = balloon_ask(driver.device, &goal);
	expect(get_register(VIRTIO_MMIO_CONFIG_GENERATION) != generation);
	expect(get_register(VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	expect_equal(get_register(CONFIG(id)), id);
	expect_equal(get_register(CONFIG(id_again)), id);
	expect_equal(get_register(CONFIG(target)), 64);
	expect_equal(get_register(CONFIG(rate)), 7);
	expect_equal(get_register(CONFIG(deadline)), 9000);
	expect_equal(get_register(CONFIG(floor)), 11);
	expect_equal(get_register(STANDARD(num_pages)), 64);

	/* It is not reached because the driver says so. */
	set_register(CONFIG(report_id), id);
	set_register(CONFIG(reason), GONDOLA_BALLOON_REACHED);
	expect_equal(ends, 1);
	expect_equal(ended.reason, GONDOLA_BALLOON_REFUSED);

	id = balloon_ask(driver.device, &goal);
	expect(balloon_send_run(INFLATE, FIRST * 4096ul, 64 * 4096, WRITE));
	set_register(CONFIG(backoffs), 3);
	/* The end of an older goal is none of this one. */
	set_register(CONFIG(report_id), id - 1);
	set_register(CONFIG(reason), GONDOLA_BALLOON_FLOOR);
	expect_equal(ends, 1);
	set_register(CONFIG(report_id), id);
	set_register(CONFIG(reason), GONDOLA_BALLOON_REACHED);
	expect_equal(ends, 2);
	expect_equal(ended.reason, GONDOLA_BALLOON_REACHED);
	expect_equal(ended.backoffs, 3);
	expect_equal(ended.held, 64);

	/* Another one takes its place; this one is cancelled. */
	goal.pages = 100;
	balloon_ask(driver.device, &goal);
	balloon_ask(driver.device, &goal);
	expect_equal(ends, 3);
	expect_equal(ended.reason, GONDOLA_BALLOON_CANCELLED);
	balloon_cancel(driver.device);
	expect_equal(ends, 4);
	expect_equal(ended.reason, GONDOLA_BALLOON_CANCELLED);
	expect_equal(get_register(CONFIG(target)), 64);
	driver_end();
}

static bool ends_within(unsigned int ms)
{
	while (ms-- && !__atomic_load_n(&ends, __ATOMIC_ACQUIRE))
		usleep(1000);
	return ends;
}

/* A driver may never answer, and there may be none. */
static void silence(void)
{
	struct balloon_goal goal = { .pages = 64, .deadline_ms = 1 };

	balloon_start(0);
	balloon_ask(driver.device, &goal);
	expect(balloon_send_run(INFLATE, FIRST * 4096ul, 16 * 4096, WRITE));
	expect(ends_within(PATIENCE_MS));
	expect_equal(ended.reason, GONDOLA_BALLOON_DEADLINE);
	/* Should it wake up yet, or another one come, it finds nothing left to do. */
	expect_equal(get_register(CONFIG(target)), 16);
	expect_equal(get_register(CONFIG(id)), get_register(CONFIG(id_again)));
	driver_end();

	/* It goes in the middle. */
	balloon_start(0);
	goal.deadline_ms = 0;
	balloon_ask(driver.device, &goal);
	expect(balloon_send_run(INFLATE, FIRST * 4096ul, 16 * 4096, WRITE));
	expect_equal(ends, 0);
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect(ends_within(PATIENCE_MS));
	expect_equal(ended.reason, GONDOLA_BALLOON_REFUSED);
	expect_equal(get_register(CONFIG(target)), 0);
	goal.deadline_ms = 1;
	driver_end();

	balloon_start(0);
	set_register(VIRTIO_MMIO_STATUS, 0);
	balloon_ask(driver.device, &goal);
	expect(ends_within(PATIENCE_MS));
	expect_equal(ended.reason, GONDOLA_BALLOON_REFUSED);
	/* A driver that comes later must not do what was refused. */
	expect_equal(get_register(STANDARD(num_pages)), 0);
	expect_equal(get_register(CONFIG(target)), 0);
	driver_end();
}

/* Act as a driver that knows only targets; returns the largest step that it was asked for. */
static uint32_t follow(uint32_t *from, unsigned int ms)
{
	uint32_t largest = 0;

	while (ms-- && !__atomic_load_n(&ends, __ATOMIC_ACQUIRE)) {
		uint32_t target = get_register(STANDARD(num_pages));

		if (target > *from && target - *from > largest)
			largest = target - *from;
		for (; *from < target; ++*from)
			require(balloon_send(INFLATE, (uint32_t[]){ FIRST + *from }, 4));
		set_register(STANDARD(actual), *from);
		usleep(1000);
	}
	return largest;
}

static void standard_driver(void)
{
	struct balloon_goal goal = { .pages = 64, .rate = 100 };
	uint32_t from = 0, largest;

	balloon_start(EXTENSION);
	balloon_ask(driver.device, &goal);
	largest = follow(&from, PATIENCE_MS);
	expect_equal(ends, 1);
	expect_equal(ended.reason, GONDOLA_BALLOON_REACHED);
	expect(!ended.paced);
	/* A rate of 100 a second is kept in steps of a tenth: even a slow computer takes several. */
	expect(largest && largest < 64);

	ends = 0;
	goal = (struct balloon_goal){ .pages = 128, .rate = 1, .deadline_ms = 300 };
	balloon_ask(driver.device, &goal);
	follow(&from, PATIENCE_MS);
	expect_equal(ended.reason, GONDOLA_BALLOON_DEADLINE);
	expect_equal(get_register(STANDARD(num_pages)), balloon_held());

	/* The guest has 30 pages to spare and shall keep 20. */
	ends = 0;
	put_stat(0, VIRTIO_BALLOON_S_AVAIL, 30 * 4096);
	memcpy(guest(BUFFERS + 0x1000), guest(BUFFERS), 10);
	put_desc(STATS, 0, BUFFERS + 0x1000, 10, 0, 0);
	offer(STATS, 0);
	goal = (struct balloon_goal){ .pages = 200, .floor = 20 };
	largest = from;
	balloon_ask(driver.device, &goal);
	for (int i = 0; i < 5000 && !ends; i++) {
		static uint16_t seen;
		uint64_t spare;

		follow(&from, 1);
		spare = (30 - (from - largest)) * 4096ull;
		if (ring_used(STATS)->idx != seen) {
			seen = ring_used(STATS)->idx;
			memcpy(guest(BUFFERS + 0x1002), &spare, 8);
			offer(STATS, 0);
		}
	}
	expect_equal(ended.reason, GONDOLA_BALLOON_FLOOR);
	expect_equal(from - largest, 10);
	driver_end();

	/* Without statistics there is no floor to be kept. */
	balloon_start(EXTENSION | BIT64(VIRTIO_BALLOON_F_STATS_VQ));
	balloon_ask(driver.device, &goal);
	expect(ends_within(PATIENCE_MS));
	expect_equal(ended.reason, GONDOLA_BALLOON_REFUSED);
	driver_end();
}

static void resets(void)
{
	balloon_start(0);
	expect(balloon_send_run(INFLATE, FIRST * 4096ul, 64 * 4096, WRITE));
	dirtied = 0;
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect_equal(balloon_held(), 0);
	/* A migration has to know. */
	expect(dirtied >= 64);
	expect_equal(get_register(STANDARD(actual)), 0);
	driver_end();

	/* A driver that does not promise to tell: its pages cannot be left out. */
	balloon_start(EXTENSION | BIT64(VIRTIO_BALLOON_F_MUST_TELL_HOST));
	expect(balloon_send(INFLATE, (uint32_t[]){ FIRST }, 4));
	expect(!balloon_get_bitmap(driver.device, (uint64_t[PAGES / 64]) {}));
	driver_end();
}

static void reports(void)
{
	balloon_start(0);
	expect(balloon_send_run(REPORT, FIRST * 4096ul, 16 * 4096, WRITE));
	expect_equal(*(uint32_t *)guest(FIRST * 4096ul), 0);
	expect_equal(balloon_held(), 0);
	expect_equal(discarded, 16);
	/* The guest expects its own pattern there. */
	set_register(STANDARD(poison_val), 0xaa);
	expect(balloon_send_run(REPORT, (FIRST + 16) * 4096ul, 16 * 4096, WRITE));
	expect_equal(*(uint32_t *)guest((FIRST + 16) * 4096ul), 0x55555555);
	driver_end();
}

static void hints(void)
{
	uint32_t id;

	balloon_start(0);
	require(balloon_hint(driver.device, true));
	id = get_register(STANDARD(free_page_hint_cmd_id));
	expect(id > VIRTIO_BALLOON_CMD_ID_DONE);
	expect(balloon_send_run(HINT, FIRST * 4096ul, 4096, WRITE));
	expect_equal(hinted, 0);
	expect(balloon_send(HINT, (uint32_t[]){ id + 1 }, 4));
	expect(balloon_send_run(HINT, FIRST * 4096ul, 4096, WRITE));
	expect_equal(hinted, 0);
	expect(balloon_send(HINT, &id, 4));
	expect(balloon_send_run(HINT, FIRST * 4096ul, 4096, WRITE));
	expect_equal(hinted, 1);
	/* A hint is none more: the page keeps what it holds. */
	expect_equal(*(uint32_t *)guest(FIRST * 4096ul), 0x55555555);
	expect(balloon_send(HINT, (uint32_t[]){ VIRTIO_BALLOON_CMD_ID_STOP }, 4));
	expect(balloon_send_run(HINT, FIRST * 4096ul, 4096, WRITE));
	expect_equal(hinted, 1);
	balloon_hint(driver.device, false);
	expect_equal(get_register(STANDARD(free_page_hint_cmd_id)), VIRTIO_BALLOON_CMD_ID_DONE);
	driver_end();
}

/* Without the queue for statistics the later queues have lower numbers. */
static void queue_numbers(void)
{
	balloon_start(BIT64(VIRTIO_BALLOON_F_STATS_VQ));
	expect(balloon_send_run(REPORT - 1, FIRST * 4096ul, 4096, WRITE));
	expect_equal(*(uint32_t *)guest(FIRST * 4096ul), 0);
	driver_end();
}

/* ---- saved state -------------------------------------------------------------------- */

/* The value of the @n-th field of this name in the saved record. */
static uint8_t *nth_field(const char *wanted, unsigned int n)
{
	char name[STATE_NAME_MAX + 1];
	unsigned int kind;
	const void *value;
	size_t bytes;

	for (size_t at = 0; at < record.bytes;) {
		at = state_next(&record, at, name, &kind, &value, &bytes);
		require(at);
		if (!strcmp(name, wanted) && !n--)
			return saved + ((const uint8_t *)value - saved);
	}
	require(!"there is such a field");
	return NULL;
}

static uint8_t *field(const char *wanted)
{
	return nth_field(wanted, 0);
}

static void state(void)
{
	static const char *const bounded[] = {
		"balloon.num_pages", "balloon.actual", "balloon.goal.pages", "balloon.goal.reason",
		"balloon.stats.head",
	};
	struct balloon_goal goal = { .pages = 64, .rate = 7, .floor = 11 };
	struct error error;
	uint8_t good[sizeof(saved)];
	uint32_t id;

	balloon_start(0);
	virtio_register(driver.device, 0);
	id = balloon_ask(driver.device, &goal);
	expect(balloon_send_run(INFLATE, FIRST * 4096ul, 16 * 4096, WRITE));
	devices_freeze();
	require(devices_save(balloon_keep, NULL, NULL));
	memcpy(good, saved, record.bytes);
	devices_thaw(&error);
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect_equal(balloon_held(), 0);

	devices_freeze();
	for (unsigned int i = 0; i < sizeof(bounded) / sizeof(bounded[0]); i++) {
		memset(field(bounded[i]), 0xff, 2);
		expect(!devices_load(&record, &error));
		expect(strstr(error.words, bounded[i]));
		expect_equal(balloon_held(), 0);
		memcpy(saved, good, record.bytes);
	}
	require(devices_load(&record, &error));
	require(devices_thaw(&error));
	expect_equal(balloon_held(), 16);
	expect(balloon_has(FIRST + 15) && !balloon_has(FIRST + 16));
	expect_equal(get_register(CONFIG(id)), id);
	expect_equal(get_register(CONFIG(target)), 64);
	expect_equal(get_register(CONFIG(floor)), 11);
	expect(balloon_send_run(DEFLATE, FIRST * 4096ul, 16 * 4096, WRITE));
	devices_forget();
	driver_end();
}

/* A record says that a buffer of the statistics queue is kept, which is not ready. */
static void kept_of_no_queue(void)
{
	struct error error;
	struct balloon_stats stats;

	balloon_start(0);
	virtio_register(driver.device, 0);
	devices_freeze();
	require(devices_save(balloon_keep, NULL, NULL));
	*field("balloon.stats.kept") = 1;
	*nth_field("queue.ready", STATS) = 0;
	expect(!devices_load(&record, &error));
	expect(strstr(error.words, "balloon.stats.kept"));
	*nth_field("queue.ready", STATS) = 1;
	*field("balloon.stats.head") = QUEUE_SIZE;
	expect(!devices_load(&record, &error));
	expect(strstr(error.words, "balloon.stats.head"));
	*field("balloon.stats.head") = QUEUE_SIZE - 1;
	tap_check(devices_load(&record, &error), true, "not loaded: %s", error.words);
	require(devices_thaw(&error));
	balloon_get_stats(driver.device, &stats, 0);
	expect_equal(ring_used(STATS)->ring[0].id, QUEUE_SIZE - 1);
	devices_forget();
	driver_end();
}

/* The guest gives a buffer of statistics, and switches the queue off. */
static void keep_and_turn_off(void)
{
	balloon_start(0);
	put_desc(STATS, 0, BUFFERS, 10, 0, 0);
	offer(STATS, 0);
	usleep(100000);
	set_register(VIRTIO_MMIO_QUEUE_SEL, STATS);
	set_register(VIRTIO_MMIO_QUEUE_READY, 0);
}

static void kept_and_turned_off(void)
{
	struct balloon_stats stats;

	keep_and_turn_off();
	set_register(VIRTIO_MMIO_QUEUE_NUM, 0);
	balloon_get_stats(driver.device, &stats, 0);
	expect_equal(ring_used(STATS)->idx, 0);
	driver_end();
}

/* Nothing is kept from before: the next buffer is not one that comes unasked. */
static void kept_and_enabled_again(void)
{
	struct balloon_stats stats;

	keep_and_turn_off();
	memset(ring_avail(STATS), 0, 0x1000);
	set_register(VIRTIO_MMIO_QUEUE_READY, 1);
	balloon_get_stats(driver.device, &stats, 0);
	expect_equal(ring_used(STATS)->idx, 0);
	put_desc(STATS, 3, BUFFERS, 10, 0, 0);
	offer(STATS, 3);
	usleep(100000);
	balloon_get_stats(driver.device, &stats, 0);
	expect_equal(ring_used(STATS)->idx, 1);
	expect_equal(ring_used(STATS)->ring[0].id, 3);
	driver_end();
}

/* The saved state can be loaded. */
static void kept_turned_off_and_saved(void)
{
	struct error error;

	keep_and_turn_off();
	virtio_register(driver.device, 0);
	devices_freeze();
	require(devices_save(balloon_keep, NULL, NULL));
	expect_equal(*field("balloon.stats.kept"), 0);
	tap_check(devices_load(&record, &error), true, "not loaded: %s", error.words);
	devices_forget();
	driver_end();
}

static uint32_t seed = 1;

static uint32_t random32(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8 ^ seed << 20;
}

static void nonsense(void)
{
	balloon_start(0);
	for (int i = 0; i < 100000; i++) {
		unsigned int queue = random32() % 6;

		switch (random32() % 4) {
		case 0:
			set_register(random32() % 0x200 & ~3u, random32() >> random32() % 32);
			break;
		case 1:
			put_desc(queue, random32() % QUEUE_SIZE, random32() % (GUEST_BYTES + 8192),
				 random32() % 9000, random32() % 8, random32() % (QUEUE_SIZE + 1));
			break;
		default:
			offer(queue, random32() % (QUEUE_SIZE + 1));
		}
	}
	require(balloon_held() <= PAGES);
	set_register(VIRTIO_MMIO_STATUS, 0);
	expect_equal(balloon_held(), 0);
	driver_end();
}

static const struct tap_test tests[] = {
	{ "arrays of page numbers give pages to the host and take them back", arrays },
	{ "so do runs", runs },
	{ "wrong page numbers and arrays break the device, with one line", bad_arrays },
	{ "so do wrong runs, reports, hints and a loop", bad_runs },
	{ "statistics come when they are asked for", statistics },
	{ "wrong statistics break the device", bad_statistics },
	{ "so do impossible values in its configuration", bad_config },
	{ "a goal is shown, and ends for the reason that the driver tells", goals },
	{ "a driver that is silent or not there ends a goal too", silence },
	{ "a standard driver is led with rate, deadline and floor", standard_driver },
	{ "a reset forgets the balloon", resets },
	{ "reported pages are given back, poisoned ones not", reports },
	{ "hints count in their round alone", hints },
	{ "queues are numbered as drivers do", queue_numbers },
	{ "it is saved and loaded, and wrong records are refused", state },
	{ "a record keeps statistics of a queue that is not ready", kept_of_no_queue },
	{ "statistics are kept and their queue is switched off", kept_and_turned_off },
	{ "statistics are kept and their queue is enabled again", kept_and_enabled_again },
	{ "a queue of statistics that is off can be saved", kept_turned_off_and_saved },
	{ "chains over all memory let others in", lets_others_in },
	{ "chains over all memory can be frozen", frozen_under_way },
	{ "a buffer of more than all memory breaks the device", more_than_all },
	{ "the status is told while the device waits", status_while_stuck },
	{ "a wait for statistics follows no change of the date", wait_while_date_changes },
	{ "100,000 nonsense writes", nonsense },
};

TAP_MAIN(tests)
