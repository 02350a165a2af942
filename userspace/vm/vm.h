/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One running virtual machine: its descriptors, memory, buses and threads.
 *
 * Threads: the main one runs vm->loop (control socket, signals), another one vm->device_loop
 * (console, timers), each vCPU has one.  Devices are entered from all of them but the main one, and
 * are guarded by vm->devices, which vCPUs take for the buses; callbacks of the loop take it
 * themselves.  A disk, or a page that is on its way from another host, may keep that lock for long:
 * the main thread does not take it, so that "kill", "status" and signals are always heard.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "bus.h"
#include "lib/libgondola.h"
#include "base/hurry.h"
#include "base/loop.h"
#include "memory.h"
#include "pause.h"
#include "states.h"

/* The reason of the machine's end. */
enum vm_end_kind {
	VM_RUNNING = 0,
	VM_POWEROFF,
	VM_RESET,
	VM_TRIPLE_FAULT,
	VM_STOPPED,			/* by a signal or from the keyboard */
	VM_DEBUG_EXIT,			/* the guest wrote to the debug-exit port */
	VM_ERROR,
	VM_MIGRATED,			/* it runs on another host */
	VM_SUSPENDED,			/* its state is in a file */
};

struct acpi_pm;
struct json_object;
struct count_notes;
struct virtio_devices;
struct vm;

/**
 * struct vcpu - a virtual processor and its thread
 * @ran: GONDOLA_RUN was called
 * @stepped: a debugger has asked for one step of it
 * @held: it stays parked while others run: one of them is stepped
 * @tid: its thread, to ask the host how long it ran; 0: it has not begun
 * @started, @ended: host TSC at its first GONDOLA_RUN and after its last
 */
struct vcpu {
	struct vm *vm;
	uint32_t id;
	int fd;
	struct gondola_run *run;
	pthread_t thread;
	pid_t tid;
	bool ran;
	bool stepped;
	bool held;
	uint64_t started;
	uint64_t ended;
};

/**
 * struct vm - see above
 * @config: its configuration as JSON, the start of its saved or migrated state
 * @cpuid, @nr_cpuid: its vCPUs' CPUID; the host's choice unless set before vm_create()
 * @rest: called before each GONDOLA_RUN to slow the guest down; or NULL
 * @absent: called for a missing page that touching would not bring; or NULL
 * @debuggers: number of debuggers connected or expected, whose breakpoints may be in memory; the
 *	main thread adds one
 * @stopped: a debugger is there.  The thread of a vCPU that
 *	one of them or a step has stopped calls it (@why of GONDOLA_DEBUG_*), or that met
 *	GONDOLA_EXIT_EMULATION (0).  False: this was not the debugger's doing.  NULL: there is none
 * @panicked: called when the guest's kernel says that it has panicked, by the vCPU's thread with
 *	the device lock held; or NULL
 * @on_xen: a paravirtualized guest tells something: enum gondola_xen_exit, with the device lock
 *	held; @data: GONDOLA_RUN_SIZE - GONDOLA_RUN_IO_OFFSET bytes
 * @born_ns: CLOCK_MONOTONIC at its creation
 * @busy: an operation in progress: VM_STATE_SUSPENDING …, else VM_STATE_RUNNING
 * @state_changed: called by any thread after a change of @busy; or NULL
 * @end: enum vm_end_kind, set once by vm_end(); all threads leave when it is not VM_RUNNING
 * @end_value: the value written to the debug-exit port
 * @end_vcpu: the vCPU that ended it by a triple fault or an error, or -1
 * @end_words: words for the user
 * @counts: the guest's notes by the count port; NULL without one
 * @pm: for the power button
 * @virtio: its virtio devices; NULL without any
 */
struct vm {
	int sys;
	int fd;
	uint32_t engine;
	char name[GONDOLA_NAME_LEN];
	struct guest_memory memory;
	pthread_mutex_t devices;
	struct bus pio;
	struct bus mmio;
	struct loop loop;
	struct loop device_loop;
	struct vcpu vcpus[GONDOLA_MAX_VCPUS];
	unsigned int nr_vcpus;
	struct json_object *config;
	struct gondola_cpuid_entry cpuid[GONDOLA_MAX_CPUID];
	uint32_t nr_cpuid;
	/* False: touch the page. */
	bool (*absent)(struct vcpu *vcpu, uint64_t gpa);
	void (*rest)(struct vcpu *vcpu);
	bool (*stopped)(struct vcpu *vcpu, uint32_t why);
	void (*panicked)(struct vm *vm);
	void (*on_xen)(struct vm *vm, uint32_t op, uint32_t value, const char *data);
	unsigned int debuggers;
	struct pause pause;
	enum vm_state busy;
	void (*state_changed)(struct vm *vm);
	uint64_t born_ns;
	int end;
	pthread_mutex_t end_lock;
	uint32_t end_value;
	int end_vcpu;
	char end_words[512];
	struct count_notes *counts;
	struct acpi_pm *pm;
	struct virtio_devices *virtio;
};

/**
 * struct vm_processors - what vCPUs a VM gets
 * @count: how many
 * @pv: they show KVM's paravirtual interface
 * @model: which processor they show, see cpu_model.h
 * @xen: they are those of a paravirtualized guest of Xen's interface
 */
struct vm_processors {
	unsigned int count;
	bool pv;
	const char *model;
	bool xen;
};

/**
 * vm_create() - open the device, choose an engine, create VM and vCPUs; false with @error
 *
 * vm->memory is there already: what is loaded into it needs no device.
 */
bool vm_create(struct vm *vm, uint32_t engine, const char *name,
	       const struct vm_processors *processors, struct error *error);
/** vm_lock_devices() - not by the main thread while its loop runs */
static inline void vm_lock_devices(struct vm *vm)
{
	assert(hurry_may_wait());
	pthread_mutex_lock(&vm->devices);
}

static inline void vm_unlock_devices(struct vm *vm)
{
	pthread_mutex_unlock(&vm->devices);
}

/**
 * vm_has_halted() - is each vCPU in HLT with interrupts off, so that only an NMI can wake it?
 *
 * Stops the VM for a moment: not for the main thread, and not while another thread has
 * PAUSE_INSPECT.
 */
bool vm_has_halted(struct vm *vm);
/** vm_run() - start all vCPUs, run the loop until vm_end(), join all threads */
void vm_run(struct vm *vm);
void vm_destroy(struct vm *vm);

/** vm_end() - end the VM; any thread, any number of times: the first reason stays */
void vm_end(struct vm *vm, enum vm_end_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** vm_debug_exit() - end the VM with the value that the guest wrote */
void vm_debug_exit(struct vm *vm, uint32_t value);
bool vm_ending(struct vm *vm);

/** vm_add_pio(), vm_add_mmio() - bus_add() for a fixed place of the machine, without overlaps */
void vm_add_pio(struct vm *vm, uint16_t start, unsigned int count, unsigned int width,
		const struct bus_ops *ops, void *device);
void vm_add_mmio(struct vm *vm, uint64_t start, uint64_t bytes, unsigned int width,
		 const struct bus_ops *ops, void *device);

/** vm_state() - get the state; any thread */
enum vm_state vm_state(struct vm *vm);
/** vm_debugged() - see @debuggers; any thread */
bool vm_debugged(const struct vm *vm);
/** vm_set_busy() - set @busy, and tell subscribers the new state */
void vm_set_busy(struct vm *vm, enum vm_state busy);

/** vcpu_run_once() - call GONDOLA_RUN and handle its exit; false if it was interrupted or failed */
bool vcpu_run_once(struct vcpu *vcpu);
/** vcpu_thread() - the run loop of a vCPU; @argument is the struct vcpu */
void *vcpu_thread(void *argument);
/** vcpu_kick() - make GONDOLA_RUN return, even if the thread is just about to call it */
void vcpu_kick(struct vcpu *vcpu);

/**
 * vcpu_kick_ns() - get the time to wait for a vCPU's thread before the next kick
 * @kicks: number of kicks before
 *
 * The time doubles from 20 ms to 1.3 s.  On a busy computer a kick may take long, and a thread that
 * is kicked again too early makes no progress.
 */
static inline uint64_t vcpu_kick_ns(unsigned int kicks)
{
	return 20000000ull << (kicks < 6 ? kicks : 6);
}

/** vcpu_dump() - print registers and the last exits on stderr */
void vcpu_dump(const struct vcpu *vcpu);

/** vm_collect_stats() - sum up the counters of all vCPUs, which may be running */
void vm_collect_stats(const struct vm *vm, struct gondola_stats *sum);
/** vm_stats_json() - add "exits", "exits_total" and "counters" to @to: those that are not 0, by name */
void vm_stats_json(const struct gondola_stats *stats, struct json_object *to);
/** vm_unknown_hypercalls() - of a paravirtualized guest: those it asked for in vain, by number; else none */
void vm_unknown_hypercalls(struct vm *vm, struct json_object *to);
/** vm_report() - what happened as one JSON object on @fd; closes it */
void vm_report(struct vm *vm, int exit_code, int fd);

#endif
