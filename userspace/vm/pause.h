/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pausing: no vCPU is in GONDOLA_RUN, none has an answer to a device access
 * outstanding, and the guest's clocks stand still.  It is asked for by reasons,
 * each of which counts once: the VM runs again when the last one is gone.
 */
#ifndef VM_PAUSE_H
#define VM_PAUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct vcpu;

/**
 * enum pause_reason - why a VM does not run
 * @PAUSE_USER: gondola pause
 * @PAUSE_START: its state is not complete yet: it is being resumed or received
 * @PAUSE_SUSPEND: its state is being saved
 * @PAUSE_MIGRATE: stop-and-copy, or it runs elsewhere now
 * @PAUSE_ERROR: it cannot go on (memory that a lost link did not bring); somebody must decide
 * @PAUSE_INSPECT: its state is being read; the VM counts as running
 * @PAUSE_DEBUG: a debugger has stopped it
 * @PAUSE_DUMP: its memory is being written to a file
 * @PAUSE_REASONS: how many there are
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
 * struct pause - a VM's pausing
 * @reasons: a bit for each that holds
 * @parked: vCPUs that wait here
 * @threads: vCPUs that have a thread
 * @stopped: the clocks stand still, at @stopped_ns of CLOCK_BOOTTIME
 * @lost_ns: how long they stood, before that
 * @module_lost_ns: the part of it that the module counts too
 * @words: what vm_pause_because() said
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
 * vm_pause() - returns when all vCPUs are parked and the clocks stand
 *
 * Any thread but a vCPU's, without the device lock.  The guest's devices go on:
 * see device/state.h for how to quiet them.
 */
void vm_pause(struct vm *vm, enum pause_reason reason);
/** vm_pause_begin() - asks for it, and does not wait; any thread */
void vm_pause_begin(struct vm *vm, enum pause_reason reason);
/** vm_pause_wait() - as vm_pause(); false if this reason was withdrawn meanwhile, or the VM ends */
bool vm_pause_wait(struct vm *vm, enum pause_reason reason);
/** vm_pause_because() - asks for it and does not wait; any thread.  @words: told to the user */
void vm_pause_because(struct vm *vm, enum pause_reason reason, const char *words);
/** vm_unpause() - this reason holds no more */
void vm_unpause(struct vm *vm, enum pause_reason reason);
/** vm_paused() - bits of enum pause_reason */
unsigned int vm_paused(struct vm *vm);
const char *pause_reason_name(enum pause_reason reason);

/** vm_clock_ns() - nanoseconds of CLOCK_BOOTTIME, less those in which the VM was paused */
uint64_t vm_clock_ns(struct vm *vm);
/** vm_clock_set() - let it go on from @ns; while the VM is paused */
void vm_clock_set(struct vm *vm, uint64_t ns);

/** pause_threads() - so many vCPUs have a thread now; wakes those that wait, to see the VM's end */
void pause_threads(struct vm *vm, unsigned int threads);
/** vcpu_park() - a vCPU's thread, before each GONDOLA_RUN: waits while the VM is paused */
void vcpu_park(struct vcpu *vcpu);

#endif
