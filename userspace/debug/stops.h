/* SPDX-License-Identifier: GPL-2.0-only */
/* Letting the guest go on until a breakpoint, or by one step; and hearing of it. */
#ifndef DEBUG_STOPS_H
#define DEBUG_STOPS_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct vm;

#define STOPS_BREAKPOINTS	64
#define STOPS_HARDWARE		4

/**
 * struct stop - what has stopped a vCPU
 * @why: GONDOLA_DEBUG_*, or 0: the step met an instruction that cannot be emulated
 * @kind, @address: of the hardware breakpoint that was met
 */
struct stop {
	unsigned int vcpu;
	uint32_t why;
	enum stops_kind { STOPS_EXECUTE, STOPS_WRITE, STOPS_ACCESS = 3 } kind;
	uint64_t address;
};

/*
 * One debugger's, in the thread of its loop: the calls wait for vCPUs.
 */

/**
 * stops_open() - of a VM that is paused: @stopped is called, in @loop's thread, when a vCPU was stopped and all stand
 *
 * The VM is paused (PAUSE_DEBUG) already.  False: no descriptor, or no such call in the module.
 */
bool stops_open(struct vm *vm, struct loop *loop, void (*stopped)(const struct stop *stop));
/** stops_close() - breakpoints are gone, no vCPU is stepped, and the guest goes on */
void stops_close(void);

/** stops_insert() - INT3 at a virtual address of @vcpu; the VM is paused */
bool stops_insert(unsigned int vcpu, uint64_t address);
bool stops_remove(uint64_t address);
/** stops_watch() - by debug registers, on all vCPUs; -EINVAL, -ENOSPC, or -EOPNOTSUPP: not here */
int stops_watch(enum stops_kind kind, uint64_t address, unsigned int bytes);
bool stops_unwatch(enum stops_kind kind, uint64_t address, unsigned int bytes);
/** stops_continue() - all vCPUs, until one meets a breakpoint */
void stops_continue(void);
/** stops_step() - @vcpu alone, for one instruction */
void stops_step(unsigned int vcpu);
/** stops_pause() - now; @stopped is not called for it */
void stops_pause(void);

#endif
