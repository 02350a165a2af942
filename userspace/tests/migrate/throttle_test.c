// SPDX-License-Identifier: GPL-2.0-only
/* A guest that is slowed down: its vCPU sleeps long, and no longer when it is to stand, or to run on. */
#include <pthread.h>
#include <time.h>

#include "base/wait.h"
#include "migrate/throttle.h"
#include "tap.h"
#include "throttle_test.h"
#include "vm/vm.h"

#define MS		1000000ull
#define SOON_NS		(400 * MS)	/* of a sleep of 990 ms */

static struct vm vm;
static bool paused, slept;

/* ---- what throttling asks of a VM ------------------------------------------------------- */

/* A kick that comes before the vCPU sleeps wakes nobody. */
void vcpu_kick(struct vcpu *vcpu)
{
	(void)vcpu;
}

unsigned int vm_paused(struct vm *of)
{
	(void)of;
	return __atomic_load_n(&paused, __ATOMIC_ACQUIRE);
}

bool vm_ending(struct vm *of)
{
	(void)of;
	return false;
}

/* A vCPU that is told to sleep once; slept is true as soon as it looks. */
static void *sleep_once(void *argument)
{
	void (*rest)(struct vcpu *vcpu);

	do
		rest = __atomic_load_n(&vm.rest, __ATOMIC_ACQUIRE);
	while (!rest);
	__atomic_store_n(&slept, true, __ATOMIC_RELEASE);
	rest(argument);
	return NULL;
}

static pthread_t fall_asleep(void)
{
	const struct timespec until_it_sleeps = { .tv_nsec = 100 * MS };
	pthread_t thread;

	vm.nr_vcpus = 1;
	vm.vcpus[0].vm = &vm;
	slept = false;
	throttle_set(&vm, 99);
	/* The first turn has begun when it looks. */
	nanosleep(&until_it_sleeps, NULL);
	require_equal(pthread_create(&thread, NULL, sleep_once, &vm.vcpus[0]), 0);
	while (!__atomic_load_n(&slept, __ATOMIC_ACQUIRE))
		;
	nanosleep(&until_it_sleeps, NULL);
	return thread;
}

/* ---- tests ------------------------------------------------------------------------------- */

void throttle_lets_pause(void)
{
	pthread_t thread = fall_asleep();
	uint64_t began = wait_now_ns();

	__atomic_store_n(&paused, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	tap_check(wait_now_ns() - began < SOON_NS, true, "it slept on for %llu ms",
		  (unsigned long long)((wait_now_ns() - began) / MS));
	throttle_set(&vm, 0);
	paused = false;
}

void throttle_ends_at_once(void)
{
	pthread_t thread = fall_asleep();
	uint64_t began = wait_now_ns();

	throttle_set(&vm, 0);
	tap_check(wait_now_ns() - began < SOON_NS, true, "the end took %llu ms",
		  (unsigned long long)((wait_now_ns() - began) / MS));
	pthread_join(thread, NULL);
	tap_check(wait_now_ns() - began < SOON_NS, true, "it slept on for %llu ms",
		  (unsigned long long)((wait_now_ns() - began) / MS));
	expect_equal(throttle_percent(), 0);
	expect(!vm.rest);
}
