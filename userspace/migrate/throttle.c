// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "throttle.h"
#include "vm/vm.h"

#define RUN_NS		10000000ull	/* between two sleeps */
#define NS		1000000000ull

/**
 * For the process' VM: each vCPU calls vm->rest(), which must find it without a lock.
 *
 * A thread makes all vCPUs sleep now and then
 * @percent: 0: the thread ends
 * @turn: incremented for each sleep; a vCPU that has not seen the value sleeps for @sleep_ns
 */
static struct {
	pthread_t thread;
	bool running;
	unsigned int percent;
	uint64_t turn;
	uint64_t sleep_ns;
	struct vm *vm;
} throttle;

static void rest(uint64_t ns)
{
	struct timespec left = { .tv_sec = ns / NS, .tv_nsec = ns % NS };

	nanosleep(&left, NULL);
}

/* Called by a vCPU's thread.  A kick ends the sleep. */
static void sleep_if_told(struct vcpu *vcpu)
{
	static _Thread_local uint64_t seen;
	uint64_t turn = __atomic_load_n(&throttle.turn, __ATOMIC_ACQUIRE);

	if (seen == turn || vm_paused(vcpu->vm) || vm_ending(vcpu->vm))
		return;
	seen = turn;
	rest(__atomic_load_n(&throttle.sleep_ns, __ATOMIC_RELAXED));
}

static void *clock_thread(void *argument)
{
	struct vm *vm = argument;

	for (;;) {
		unsigned int percent = __atomic_load_n(&throttle.percent, __ATOMIC_ACQUIRE);
		uint64_t sleep_ns;

		if (!percent || vm_ending(vm))
			return NULL;
		sleep_ns = RUN_NS * percent / (100 - percent);
		__atomic_store_n(&throttle.sleep_ns, sleep_ns, __ATOMIC_RELAXED);
		__atomic_add_fetch(&throttle.turn, 1, __ATOMIC_RELEASE);
		for (unsigned int i = 0; i < vm->nr_vcpus; i++)
			vcpu_kick(&vm->vcpus[i]);
		rest(sleep_ns + RUN_NS);
	}
}

void throttle_set(struct vm *vm, unsigned int percent)
{
	if (percent > THROTTLE_MAX)
		percent = THROTTLE_MAX;
	__atomic_store_n(&throttle.percent, percent, __ATOMIC_RELEASE);
	if (percent && !throttle.running) {
		throttle.vm = vm;
		__atomic_store_n(&vm->rest, sleep_if_told, __ATOMIC_RELEASE);
		throttle.running = !pthread_create(&throttle.thread, NULL, clock_thread, vm);
	} else if (!percent && throttle.running) {
		pthread_join(throttle.thread, NULL);
		throttle.running = false;
		__atomic_store_n(&vm->rest, NULL, __ATOMIC_RELEASE);
	}
}

unsigned int throttle_percent(void)
{
	return __atomic_load_n(&throttle.percent, __ATOMIC_RELAXED);
}
