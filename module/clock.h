/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The time of a VM: a clock, by which LAPIC timers and the PIT count, and the TSC.  Both stop while
 * they are held.  Any thread may read them in any context.
 */
#ifndef GONDOLA_CLOCK_H
#define GONDOLA_CLOCK_H

#include <linux/seqlock.h>
#include <linux/types.h>

struct gondola_vcpu;
struct gondola_vm;

/**
 * struct gondola_clock - the relation of the VM's time to the host's
 * @lock: for changes of the other fields, and of the vCPUs' own TSC offsets; readers retry
 * @held: the clocks are stopped, at @held_tsc of the host's TSC and @held_ns of its clock
 * @lost_ns: total time for which they were stopped before
 * @tsc_offset: guest TSC = host TSC + this + the vCPU's own offset
 * @tsc_khz: the TSC's frequency that the guest assumes; 0: the host's
 */
struct gondola_clock {
	seqlock_t lock;
	bool held;
	u64 held_tsc;
	u64 held_ns;
	u64 lost_ns;
	u64 tsc_offset;
	u64 tsc_khz;
};

/** gondola_clock_init() - start the VM's time and TSC */
void gondola_clock_init(struct gondola_vm *vm);
/** gondola_clock_held() - are the clocks stopped? */
bool gondola_clock_held(const struct gondola_vm *vm);
/** gondola_clock_hold() - stop the clocks; vm->lock and all vCPUs' mutexes held */
void gondola_clock_hold(struct gondola_vm *vm);
/** gondola_clock_release() - continue the clocks; vm->lock held */
void gondola_clock_release(struct gondola_vm *vm);

/** gondola_vm_clock_ns() - get the VM's time */
u64 gondola_vm_clock_ns(const struct gondola_vm *vm);
/** gondola_vm_clock_host_ns() - get the host's time for @ns of the VM's; false: the clock is stopped */
bool gondola_vm_clock_host_ns(const struct gondola_vm *vm, u64 ns, u64 *host_ns);

/** gondola_guest_tsc() - get the vCPU's TSC */
u64 gondola_guest_tsc(const struct gondola_vcpu *vcpu);
/** gondola_guest_tsc_offset() - get guest TSC - RDTSC, while the clocks run; for the engine */
u64 gondola_guest_tsc_offset(const struct gondola_vcpu *vcpu);
/** gondola_tsc_after_sleep() - before the vCPU runs: correct its TSC if the host has slept */
void gondola_tsc_after_sleep(struct gondola_vcpu *vcpu);
/** gondola_guest_tsc_khz() - get the TSC's frequency that the guest assumes */
u32 gondola_guest_tsc_khz(const struct gondola_vm *vm);
/**
 * gondola_set_guest_tsc() - set this vCPU's TSC to @tsc; returns the difference to the old value
 *
 * Called by the vCPU's thread, which tells the engine afterwards.
 */
u64 gondola_set_guest_tsc(struct gondola_vcpu *vcpu, u64 tsc);
/** gondola_move_guest_tsc() - likewise, add @by */
void gondola_move_guest_tsc(struct gondola_vcpu *vcpu, u64 by);
#endif
