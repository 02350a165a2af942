// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/wait.h"
#include "throttle.h"
#include "vm/vm.h"

#define RUN_NS		10000000ull	/* between two sleeps */
#define NAP_NS		10000000ull	/* a part of a sleep */

/**
 * For the process' VM: each vCPU calls vm->rest(), which must find it without a lock.
 *
 * A thread makes all vCPUs sleep now and then
 * @percent: 0: the thread ends, and the vCPUs wake up
 * @lock, @changed: the thread waits for @percent to become 0
 * @turn: incremented for each sleep; a vCPU that has not seen the value sleeps for @sleep_ns
 */
static struct {
	pthread_t thread;
	bool running;
	unsigned int percent;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t turn;
	uint64_t sleep_ns;
	struct vm *vm;
} throttle = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool may_sleep(struct vcpu *vcpu)
{
	return throttle_percent() && !vm_paused(vcpu->vm) && !vm_ending(vcpu->vm);
}

/* Called by a vCPU's thread.  A kick that comes too early ends no sleep, so it looks now and then. */
static void sleep_if_told(struct vcpu *vcpu)
{
	static _Thread_local uint64_t seen;
	uint64_t turn = __atomic_load_n(&throttle.turn, __ATOMIC_ACQUIRE), until;

	if (seen == turn)
		return;
	seen = turn;
	until = wait_now_ns() + __atomic_load_n(&throttle.sleep_ns, __ATOMIC_RELAXED);
	for (uint64_t now = wait_now_ns(); now < until && may_sleep(vcpu); now = wait_now_ns()) {
		struct timespec nap = { .tv_nsec = until - now < NAP_NS ? until - now : NAP_NS };

		nanosleep(&nap, NULL);
	}
}

static void begin_turn(struct vm *vm, uint64_t sleep_ns)
{
	__atomic_store_n(&throttle.sleep_ns, sleep_ns, __ATOMIC_RELAXED);
	__atomic_add_fetch(&throttle.turn, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(&vm->vcpus[i]);
}

static void *clock_thread(void *argument)
{
	struct vm *vm = argument;

	pthread_mutex_lock(&throttle.lock);
	while (throttle.percent && !vm_ending(vm)) {
		uint64_t sleep_ns = RUN_NS * throttle.percent / (100 - throttle.percent);
		struct timespec until = wait_deadline(sleep_ns + RUN_NS);

		begin_turn(vm, sleep_ns);
		while (throttle.percent &&
		       wait_until(&throttle.changed, &throttle.lock, &until) != ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&throttle.lock);
	return NULL;
}

static void set_percent(unsigned int percent)
{
	pthread_mutex_lock(&throttle.lock);
	__atomic_store_n(&throttle.percent, percent, __ATOMIC_RELEASE);
	if (!percent && throttle.running)
		pthread_cond_signal(&throttle.changed);
	pthread_mutex_unlock(&throttle.lock);
}

void throttle_set(struct vm *vm, unsigned int percent)
{
	set_percent(percent > THROTTLE_MAX ? THROTTLE_MAX : percent);
	if (percent && !throttle.running) {
		throttle.vm = vm;
		wait_init(&throttle.changed);
		__atomic_store_n(&vm->rest, sleep_if_told, __ATOMIC_RELEASE);
		throttle.running = !pthread_create(&throttle.thread, NULL, clock_thread, vm);
	} else if (!percent && throttle.running) {
		pthread_join(throttle.thread, NULL);
		pthread_cond_destroy(&throttle.changed);
		throttle.running = false;
		__atomic_store_n(&vm->rest, NULL, __ATOMIC_RELEASE);
	}
}

unsigned int throttle_percent(void)
{
	return __atomic_load_n(&throttle.percent, __ATOMIC_ACQUIRE);
}
