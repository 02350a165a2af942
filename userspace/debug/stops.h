/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs the guest to a breakpoint, or for a step, and reports the stop. */
#ifndef DEBUG_STOPS_H
#define DEBUG_STOPS_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct vm;

#define STOPS_BREAKPOINTS	64
#define STOPS_HARDWARE		4

/**
 * struct stop - the reason why a vCPU stopped
 * @why: GONDOLA_DEBUG_*, or 0: the step met an instruction that cannot be emulated
 * @kind, @address: of the hardware breakpoint met
 */
struct stop {
	unsigned int vcpu;
	uint32_t why;
	enum stops_kind { STOPS_EXECUTE, STOPS_WRITE, STOPS_ACCESS = 3 } kind;
	uint64_t address;
};

/* For the debugger, in the thread of its loop: the calls wait for vCPUs. */

/**
 * stops_open() - begin to debug a VM, which is paused already (PAUSE_DEBUG)
 *
 * @loop's thread calls @stopped when a vCPU has stopped and all vCPUs are paused.  False: no
 *	descriptor, or the module lacks the call.
 */
bool stops_open(struct vm *vm, struct loop *loop, void (*stopped)(const struct stop *stop));
/** stops_close() - remove the breakpoints, end stepping, and continue the guest */
void stops_close(void);

/** stops_insert() - put INT3 at a virtual address of @vcpu; the VM is paused */
bool stops_insert(unsigned int vcpu, uint64_t address);
bool stops_remove(uint64_t address);
/** stops_watch() - use debug registers of all vCPUs; -EINVAL, -ENOSPC, or -EOPNOTSUPP: not here */
int stops_watch(enum stops_kind kind, uint64_t address, unsigned int bytes);
bool stops_unwatch(enum stops_kind kind, uint64_t address, unsigned int bytes);
/** stops_continue() - run all vCPUs until one meets a breakpoint */
void stops_continue(void);
/** stops_step() - run @vcpu alone, for one instruction */
void stops_step(unsigned int vcpu);
/** stops_pause() - stop all vCPUs now; @stopped is not called for it */
void stops_pause(void);

#endif
