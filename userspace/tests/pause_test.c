// SPDX-License-Identifier: GPL-2.0-only
/* Pausing, where a kick takes longer than it does on an idle computer. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "pause_test.h"
#include "tap.h"
#include "vm/vm.h"

#define KICK_SIGNAL	SIGUSR1
#define HANDLER_NS	50000000l	/* longer than the first kicks are apart */
#define MANY		40u

static unsigned int kicks;
static bool over;

/* ---- what pausing asks of a VM ---------------------------------------------------------- */

static void on_kick(int signal)
{
	struct timespec slow = { .tv_nsec = HANDLER_NS };

	(void)signal;
	/* A thread that only ever serves kicks is let go in the end, so that the test ends. */
	if (__atomic_load_n(&kicks, __ATOMIC_RELAXED) < MANY)
		nanosleep(&slow, NULL);
}

void vcpu_kick(struct vcpu *vcpu)
{
	__atomic_add_fetch(&kicks, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

bool vcpu_run_once(struct vcpu *vcpu)
{
	while (!__atomic_exchange_n(&vcpu->run->immediate_exit, 0, __ATOMIC_ACQ_REL))
		sched_yield();
	return false;
}

bool vm_ending(struct vm *vm)
{
	(void)vm;
	return __atomic_load_n(&over, __ATOMIC_ACQUIRE);
}

void vm_end(struct vm *vm, enum vm_end_kind kind, const char *format, ...)
{
	(void)vm;
	(void)kind;
	(void)format;
}

static void *run(void *argument)
{
	struct vcpu *vcpu = argument;

	while (!vm_ending(vcpu->vm)) {
		vcpu_park(vcpu);
		if (!vm_ending(vcpu->vm))
			vcpu_run_once(vcpu);
		vcpu->ran = true;
	}
	return NULL;
}

/* ---- tests ------------------------------------------------------------------------------- */

/* On a computer with much to do, or in an emulated one, a kick outlasts the wait for it. */
void pause_slow_kicks(void)
{
	struct sigaction action = { .sa_handler = on_kick };
	struct vm *vm = calloc(1, sizeof(*vm));
	struct vcpu *vcpu;

	require(vm);
	vm->fd = -1;
	vcpu = &vm->vcpus[0];
	vcpu->vm = vm;
	vcpu->run = calloc(1, sizeof(*vcpu->run));
	require(vcpu->run);
	sigaction(KICK_SIGNAL, &action, NULL);
	pause_init(&vm->pause);
	require_equal(pthread_create(&vcpu->thread, NULL, run, vcpu), 0);
	pause_threads(vm, 1);
	vm_pause(vm, PAUSE_USER);
	tap_check(kicks < MANY, false, "%u kicks kept a vCPU from its place to wait", kicks);
	expect_equal(vm->pause.parked, 1);
	vm_unpause(vm, PAUSE_USER);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	vcpu_kick(vcpu);
	require_equal(pthread_join(vcpu->thread, NULL), 0);
	free(vcpu->run);
	free(vm);
}
