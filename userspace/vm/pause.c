// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/wait.h"
#include "pause.h"
#include "vm.h"

static const char *const names[PAUSE_REASONS] = {
	[PAUSE_USER] = "user",
	[PAUSE_START] = "start",
	[PAUSE_SUSPEND] = "suspend",
	[PAUSE_MIGRATE] = "migrate",
	[PAUSE_ERROR] = "error",
	[PAUSE_INSPECT] = "inspect",
	[PAUSE_DEBUG] = "debug",
	[PAUSE_DUMP] = "dump",
};

const char *pause_reason_name(enum pause_reason reason)
{
	return reason < PAUSE_REASONS ? names[reason] : "unknown";
}

void pause_init(struct pause *pause)
{
	pthread_mutex_init(&pause->lock, NULL);
	wait_init(&pause->changed);
}

/* ---- clocks: the lock is held ----------------------------------------------------- */

static void stop_clocks(struct vm *vm)
{
	struct pause *pause = &vm->pause;

	if (pause->stopped)
		return;
	if (__gondola_hold_clock(vm->fd, true, &pause->stopped_ns, NULL))
		vm_end(vm, VM_ERROR, "the VM's clocks cannot be stopped");
	pause->stopped = true;
}

static void start_clocks(struct vm *vm)
{
	struct pause *pause = &vm->pause;
	uint64_t lost = 0;

	if (!pause->stopped)
		return;
	if (__gondola_hold_clock(vm->fd, false, NULL, &lost))
		vm_end(vm, VM_ERROR, "the VM's clocks cannot go on");
	pause->lost_ns += lost - pause->module_lost_ns;
	pause->module_lost_ns = lost;
	pause->stopped = false;
}

/* The module's clock goes on while the host sleeps, as the guest's date must. */
static uint64_t host_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

uint64_t vm_clock_ns(struct vm *vm)
{
	struct pause *pause = &vm->pause;
	uint64_t now;

	pthread_mutex_lock(&pause->lock);
	now = (pause->stopped ? pause->stopped_ns : host_ns()) - pause->lost_ns;
	pthread_mutex_unlock(&pause->lock);
	return now;
}

void vm_clock_set(struct vm *vm, uint64_t ns)
{
	struct pause *pause = &vm->pause;

	pthread_mutex_lock(&pause->lock);
	pause->lost_ns = (pause->stopped ? pause->stopped_ns : host_ns()) - ns;
	pthread_mutex_unlock(&pause->lock);
}

/* ---- the vCPUs' side ------------------------------------------------------------------ */

/*
 * The module takes the answer to a device access at the start of the next GONDOLA_RUN.  Only then
 * the registers are those after the instruction.
 */
static void settle(struct vcpu *vcpu)
{
	do
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	while (!vm_ending(vcpu->vm) && vcpu_run_once(vcpu));
}

void vcpu_park(struct vcpu *vcpu)
{
	struct pause *pause = &vcpu->vm->pause;

	if (!__atomic_load_n(&pause->reasons, __ATOMIC_ACQUIRE) &&
	    !__atomic_load_n(&vcpu->held, __ATOMIC_ACQUIRE))
		return;
	if (vcpu->ran)
		settle(vcpu);
	pthread_mutex_lock(&pause->lock);
	pause->parked++;
	pthread_cond_broadcast(&pause->changed);
	while ((pause->reasons || __atomic_load_n(&vcpu->held, __ATOMIC_ACQUIRE)) &&
	       !vm_ending(vcpu->vm))
		pthread_cond_wait(&pause->changed, &pause->lock);
	pause->parked--;
	pthread_cond_broadcast(&pause->changed);
	pthread_mutex_unlock(&pause->lock);
}

/* ---- the others' -------------------------------------------------------------------------- */

static void kick_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->pause.threads; i++)
		vcpu_kick(&vm->vcpus[i]);
}

static bool must_wait(struct vm *vm)
{
	return vm->pause.parked < vm->pause.threads && !vm_ending(vm);
}

static void wait_for_all(struct vm *vm, uint64_t ns)
{
	const struct timespec until = wait_deadline(ns);

	while (must_wait(vm) && !wait_until(&vm->pause.changed, &vm->pause.lock, &until))
		;
}

/* The lock is held. */
static void add_reason(struct pause *pause, enum pause_reason reason)
{
	__atomic_store_n(&pause->reasons, pause->reasons | 1u << reason, __ATOMIC_RELEASE);
}

void vm_pause(struct vm *vm, enum pause_reason reason)
{
	pthread_mutex_lock(&vm->pause.lock);
	add_reason(&vm->pause, reason);
	pthread_mutex_unlock(&vm->pause.lock);
	vm_pause_wait(vm, reason);
}

void vm_pause_begin(struct vm *vm, enum pause_reason reason)
{
	pthread_mutex_lock(&vm->pause.lock);
	add_reason(&vm->pause, reason);
	kick_all(vm);
	pthread_mutex_unlock(&vm->pause.lock);
}

bool vm_pause_wait(struct vm *vm, enum pause_reason reason)
{
	struct pause *pause = &vm->pause;
	unsigned int kicks = 0;
	bool stands;

	pthread_mutex_lock(&pause->lock);
	/* Repeat the kick, since one may come just before a thread blocks in a write. */
	while (pause->reasons & 1u << reason && must_wait(vm)) {
		kick_all(vm);
		wait_for_all(vm, vcpu_kick_ns(kicks++));
	}
	stands = pause->reasons & 1u << reason && !vm_ending(vm);
	if (stands)
		stop_clocks(vm);
	pthread_mutex_unlock(&pause->lock);
	return stands;
}

void vm_pause_because(struct vm *vm, enum pause_reason reason, const char *words)
{
	struct pause *pause = &vm->pause;

	pthread_mutex_lock(&pause->lock);
	add_reason(pause, reason);
	snprintf(pause->words, sizeof(pause->words), "%s", words);
	kick_all(vm);
	pthread_mutex_unlock(&pause->lock);
}

void vm_unpause(struct vm *vm, enum pause_reason reason)
{
	struct pause *pause = &vm->pause;
	unsigned int left;

	pthread_mutex_lock(&pause->lock);
	left = pause->reasons & ~(1u << reason);
	if (reason == PAUSE_ERROR)
		pause->words[0] = 0;
	if (!left && !vm_ending(vm))
		start_clocks(vm);
	__atomic_store_n(&pause->reasons, left, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&pause->changed);
	pthread_mutex_unlock(&pause->lock);
}

void pause_threads(struct vm *vm, unsigned int threads)
{
	pthread_mutex_lock(&vm->pause.lock);
	vm->pause.threads = threads;
	pthread_cond_broadcast(&vm->pause.changed);
	pthread_mutex_unlock(&vm->pause.lock);
}

unsigned int vm_paused(struct vm *vm)
{
	return __atomic_load_n(&vm->pause.reasons, __ATOMIC_ACQUIRE);
}
