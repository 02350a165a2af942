/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The time of a VM: one clock, of which LAPIC timers and the PIT count, and the TSC beside it.
 * Both stand while they are held.  Any thread and any context may read them.
 */
#ifndef GONDOLA_CLOCK_H
#define GONDOLA_CLOCK_H

#include <linux/seqlock.h>
#include <linux/types.h>

struct gondola_vcpu;
struct gondola_vm;

/**
 * struct gondola_clock - how the VM's time follows from the host's
 * @lock: all changes of what follows, and of the vCPUs' own TSC offsets; readers try again
 * @held: they stand still, at @held_tsc of the host's TSC and @held_ns of its clock
 * @lost_ns: how long they stood before
 * @tsc_offset: guest TSC = host TSC + this + the vCPU's own offset
 * @tsc_khz: what the guest takes its TSC's frequency for; 0: the host's
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

/** gondola_clock_init() - time and TSC begin with the VM */
void gondola_clock_init(struct gondola_vm *vm);
/** gondola_clock_held() - do they stand?  Holding waits for no vCPU: it must not be inside RUN */
bool gondola_clock_held(const struct gondola_vm *vm);
/** gondola_clock_hold() - they stand from now on; vm->lock is held, and all vCPUs' mutexes */
void gondola_clock_hold(struct gondola_vm *vm);
/** gondola_clock_release() - they go on from where they were; vm->lock is held */
void gondola_clock_release(struct gondola_vm *vm);

/** gondola_vm_clock_ns() - the VM's time */
u64 gondola_vm_clock_ns(const struct gondola_vm *vm);
/** gondola_vm_clock_host_ns() - when on the host's clock it is @ns; false: not while it stands */
bool gondola_vm_clock_host_ns(const struct gondola_vm *vm, u64 ns, u64 *host_ns);

/** gondola_guest_tsc() - what RDTSC gives this vCPU now */
u64 gondola_guest_tsc(const struct gondola_vcpu *vcpu);
/** gondola_guest_tsc_offset() - guest TSC - RDTSC, while the clocks go; for the engine */
u64 gondola_guest_tsc_offset(const struct gondola_vcpu *vcpu);
/** gondola_tsc_after_sleep() - the vCPU is about to run: has the host slept since it last did? */
void gondola_tsc_after_sleep(struct gondola_vcpu *vcpu);
/** gondola_guest_tsc_khz() - what the guest takes its frequency for */
u32 gondola_guest_tsc_khz(const struct gondola_vm *vm);
/**
 * gondola_set_guest_tsc() - this vCPU's TSC goes on from @tsc; returns by how much it jumps
 *
 * The vCPU's thread, which tells the engine then.
 */
u64 gondola_set_guest_tsc(struct gondola_vcpu *vcpu, u64 tsc);
/** gondola_move_guest_tsc() - likewise, by @by */
void gondola_move_guest_tsc(struct gondola_vcpu *vcpu, u64 by);
#endif
