/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pausing: no vCPU is in GONDOLA_RUN or waits for the answer to a device access, and the guest's
 * clocks are stopped.  Each request has a reason, which counts once: the VM runs again when the
 * last reason is withdrawn.
 */
#ifndef VM_PAUSE_H
#define VM_PAUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct vcpu;

/**
 * enum pause_reason - the reason why a VM does not run
 * @PAUSE_USER: gondola pause
 * @PAUSE_START: its state is incomplete: it is being resumed or received
 * @PAUSE_SUSPEND: its state is being saved
 * @PAUSE_MIGRATE: stop-and-copy; or it runs elsewhere
 * @PAUSE_ERROR: it cannot continue, since a lost link left memory missing: a user must decide
 * @PAUSE_INSPECT: its state is being read; the VM counts as running
 * @PAUSE_DEBUG: a debugger has stopped it
 * @PAUSE_DUMP: its memory is being written to a file
 * @PAUSE_REASONS: number of reasons
 */
enum pause_reason {
	PAUSE_USER,
	PAUSE_START,
	PAUSE_SUSPEND,
	PAUSE_MIGRATE,
	PAUSE_ERROR,
	PAUSE_INSPECT,
	PAUSE_DEBUG,
	PAUSE_DUMP,
	PAUSE_REASONS
};

/**
 * struct pause - the pause of a VM
 * @reasons: a bit for each reason that holds
 * @parked: number of vCPUs that wait
 * @threads: number of vCPUs with a thread
 * @stopped: the clocks are stopped, at @stopped_ns of CLOCK_BOOTTIME
 * @lost_ns: total time for which they were stopped before
 * @module_lost_ns: the part of it that the module counts, too
 * @words: of vm_pause_because()
 */
struct pause {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int reasons;
	unsigned int parked;
	unsigned int threads;
	bool stopped;
	uint64_t stopped_ns;
	uint64_t lost_ns;
	uint64_t module_lost_ns;
	char words[256];
};

void pause_init(struct pause *pause);

/**
 * vm_pause() - pause the VM; returns when all vCPUs are parked and the clocks are stopped
 *
 * Any thread except vCPUs', without the device lock.  Devices continue: see device/state.h for how
 * to freeze them.
 */
void vm_pause(struct vm *vm, enum pause_reason reason);
/** vm_pause_begin() - request a pause, without waiting; any thread */
void vm_pause_begin(struct vm *vm, enum pause_reason reason);
/** vm_pause_wait() - wait as vm_pause(); false if the reason was withdrawn meanwhile, or the VM ends */
bool vm_pause_wait(struct vm *vm, enum pause_reason reason);
/** vm_pause_because() - request a pause, without waiting; any thread.  @words: for the user */
void vm_pause_because(struct vm *vm, enum pause_reason reason, const char *words);
/** vm_unpause() - withdraw a reason */
void vm_unpause(struct vm *vm, enum pause_reason reason);
/** vm_paused() - get the bits of enum pause_reason */
unsigned int vm_paused(struct vm *vm);
const char *pause_reason_name(enum pause_reason reason);

/** vm_clock_ns() - get the nanoseconds of CLOCK_BOOTTIME without those of pauses */
uint64_t vm_clock_ns(struct vm *vm);
/** vm_clock_set() - set the clock to @ns; while the VM is paused */
void vm_clock_set(struct vm *vm, uint64_t ns);

/** pause_threads() - set the number of vCPUs with a thread, and wake waiters to see the VM's end */
void pause_threads(struct vm *vm, unsigned int threads);
/** vcpu_park() - wait while the VM is paused; in a vCPU's thread, before each GONDOLA_RUN */
void vcpu_park(struct vcpu *vcpu);

#endif
