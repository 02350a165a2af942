// SPDX-License-Identifier: GPL-2.0-only
/* No guest holds the device's lock for long, whatever its buffers say. */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/wait.h"
#include "world.h"
#include "device/virtio/balloon_device.h"

/* ---- a host that takes its time: the linker puts this in place of the C library's ---------- */

int __real_madvise(void *at, size_t bytes, int advice);
int __wrap_madvise(void *at, size_t bytes, int advice);

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

/* The date that a caller reads, before it is set an hour ahead. */
static bool date_jumps;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int ret = __real_clock_gettime(clock, now);

	if (date_jumps && clock == CLOCK_REALTIME)
		now->tv_sec -= 3600;
	return ret;
}

static uint64_t given;
static bool slow, stuck, is_stuck;

static uint64_t given_now(void)
{
	return __atomic_load_n(&given, __ATOMIC_SEQ_CST);
}

int __wrap_madvise(void *at, size_t bytes, int advice)
{
	int ret = __real_madvise(at, bytes, advice);

	if (advice != MADV_DONTNEED)
		return ret;
	__atomic_fetch_add(&given, bytes, __ATOMIC_SEQ_CST);
	if (slow)
		usleep(2000);
	__atomic_store_n(&is_stuck, true, __ATOMIC_SEQ_CST);
	for (int ms = 0; ms < 5000 && __atomic_load_n(&stuck, __ATOMIC_SEQ_CST); ms++)
		usleep(1000);
	__atomic_store_n(&is_stuck, false, __ATOMIC_SEQ_CST);
	return ret;
}

#define RUN_BYTES	(GUEST_BYTES - FIRST * BALLOON_PAGE)

/* Each of the chains gives half of all memory once more. */
static void give_again_and_again(void)
{
	balloon_start(0);
	given = 0;
	slow = true;
	put_desc(INFLATE, 0, FIRST * (uint64_t)BALLOON_PAGE, RUN_BYTES, WRITE, 0);
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		offer(INFLATE, 0);
	while (!given_now())
		usleep(100);
}

void lets_others_in(void)
{
	give_again_and_again();
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t before = given_now(), after;

		set_register(VIRTIO_MMIO_QUEUE_SEL, 0);
		after = given_now();
		tap_check(after - before <= 6 * RUN_BYTES, true, "%llu bytes were given meanwhile",
			  (unsigned long long)(after - before));
	}
	expect(used_within(INFLATE, QUEUE_SIZE));
	slow = false;
	expect_equal(balloon_held(), RUN_BYTES / BALLOON_PAGE);
	driver_end();
}

/* A freeze does not wait for all that the guest has offered; what is left comes later. */
void frozen_under_way(void)
{
	struct error error;

	give_again_and_again();
	virtio_register(driver.device, 0);
	devices_freeze();
	expect(ring_used(INFLATE)->idx < QUEUE_SIZE);
	require(devices_save(balloon_keep, NULL, NULL));
	tap_check(devices_load(&record, &error), true, "not loaded: %s", error.words);
	slow = false;
	require(devices_thaw(&error));
	expect(used_within(INFLATE, QUEUE_SIZE));
	expect_equal(balloon_held(), RUN_BYTES / BALLOON_PAGE);
	devices_forget();
	driver_end();
}

void more_than_all(void)
{
	balloon_start(0);
	for (unsigned int i = 0; i < 3; i++)
		put_desc(INFLATE, i, FIRST * (uint64_t)BALLOON_PAGE, RUN_BYTES,
			 WRITE | (i < 2 ? NEXT : 0), i + 1);
	offer(INFLATE, 0);
	expect(broken_within());
	driver_end();
}

/* As while it waits for a page that is on another host. */
void status_while_stuck(void)
{
	struct balloon_status status;

	balloon_start(0);
	stuck = true;
	put_desc(INFLATE, 0, FIRST * (uint64_t)BALLOON_PAGE, BALLOON_PAGE, WRITE, 0);
	offer(INFLATE, 0);
	while (!__atomic_load_n(&is_stuck, __ATOMIC_SEQ_CST))
		usleep(100);
	balloon_get_status(driver.device, &status);
	expect(__atomic_load_n(&is_stuck, __ATOMIC_SEQ_CST));
	expect_equal(status.total, PAGES);
	__atomic_store_n(&stuck, false, __ATOMIC_SEQ_CST);
	expect(used_within(INFLATE, 1));
	expect_equal(balloon_held(), 1);
	driver_end();
}

void wait_while_date_changes(void)
{
	struct balloon_stats stats;
	uint64_t before;

	balloon_start(0);
	before = wait_now_ms();
	date_jumps = true;
	expect(!balloon_get_stats(driver.device, &stats, 50));
	date_jumps = false;
	tap_check(wait_now_ms() - before >= 49, true, "it waited %llu of 50 ms",
		  (unsigned long long)(wait_now_ms() - before));
	driver_end();
}
