/* SPDX-License-Identifier: GPL-2.0-only */
/* The vCPU object.  vm/vcpu.c has its lifetime and ioctls, run/loop.c the run loop. */
#ifndef GONDOLA_VCPU_H
#define GONDOLA_VCPU_H

#include <linux/bitops.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <uapi/linux/gondola.h>
#include "engine.h"
#include "mmu/mmu.h"
#include "vm.h"
#include "x86/control.h"
#include "x86/event.h"
#include "x86/regs.h"
#include "x86/x86.h"

struct gondola_lapic;
struct gondola_emulator;
struct gondola_fxsave;
struct gondola_xen_vcpu;

/* Requests to a vCPU by others; handled before its next entry. */
enum gondola_request {
	GONDOLA_REQ_TLB_FLUSH,		/* all translations */
	GONDOLA_REQ_EVENT,		/* look at interrupts again */
	GONDOLA_REQ_MMU_RELOAD,		/* the root is gone: find another */
	GONDOLA_REQ_MMU_SYNC,		/* sync the current root's tables */
	GONDOLA_REQ_TRIPLE_FAULT,
	GONDOLA_REQ_NMI,
	GONDOLA_REQ_TIMER,		/* the LAPIC timer fired */
	GONDOLA_REQ_TSC,		/* the VM's TSC was changed from outside */
	GONDOLA_REQ_STEAL,		/* steal time: its thread runs again */
	GONDOLA_REQ_STEP,		/* GONDOLA_DEBUG_STEP, not done yet */
};

/* The place of the vCPU, which decides how to kick it (vcpu->mode). */
enum gondola_vcpu_mode {
	GONDOLA_OUTSIDE,		/* will look at its requests before it enters */
	GONDOLA_IN_GUEST,		/* needs an IPI */
};

/**
 * struct gondola_vcpu - a virtual processor
 * @regs: general registers, RIP and RFLAGS; valid whenever the guest is not running
 * @cr0, @cr2, @cr3, @cr4, @efer, @xcr0: the guest's values; change cr0, cr4 and efer only by
 *	gondola_set_cr0() etc. (x86/control.h), which tell MMU and engine
 * @hw_root: host-physical address of the shadow root, for the engine (set by mmu/)
 * @event: the one event that the next entry delivers (kind NONE: none)
 * @requests: enum gondola_request bits; set with gondola_request(), then kick
 * @mode: enum gondola_vcpu_mode; written by the vCPU's thread alone
 * @cpu: the processor it is loaded on, or -1
 * @tsc_offset: guest TSC = host TSC + this + the VM's, see clock.h
 * @tsc_gain: ticks that the host's sleeps had added to its TSC when the vCPU last ran
 * @missing, @missing_write: the guest-physical memory for which the last -EAGAIN was returned, and
 *	whether it is to be written; only mmu_fault_in() sets them
 * @xen: see xen/guest.h; NULL: it is a machine's processor
 * @engine_data: the engine's own
 * @fpu: FPU state of engines in software; NULL: the processor has it
 */
struct gondola_vcpu {
	struct gondola_regs regs;	/* first: see the engines' entry assembly */
	u64 cr0;
	u64 cr2;
	u64 cr3;
	u64 cr4;
	u64 efer;
	u64 xcr0;
	u64 hw_root;
	u64 tsc_offset;
	u64 tsc_gain;
	u64 missing;

	struct gondola_vm *vm;
	const struct gondola_engine_ops *engine;
	struct gondola_xen_vcpu *xen;
	void *engine_data;
	struct gondola_fxsave *fpu;
	u32 id;
	int cpu;
	int mode;
	unsigned long requests;

	struct gondola_event event;
	u8 nmi_pending;
	bool halted;
	bool ran;
	bool preempted;
	bool missing_write;
	bool eoi_offered;		/* paravirtual EOI: the guest may leave one in memory */
	bool breakpoints;		/* GONDOLA_DEBUG_BREAKPOINTS */
	bool stepping;			/* GONDOLA_REQ_STEP: its instruction is under way */
	bool unhalted;			/* GONDOLA_HC_KICK_CPU: ends one HLT, also one to come */
	u64 dr[4];
	u64 dr6;
	u64 dr7;
	u64 hw_dr7;			/* in force: the guest's or, if it is not 0, @debug_dr7 */
	u64 debug_dr7;			/* GONDOLA_DEBUG_HARDWARE */
	u64 debug_dr[4];

	struct gondola_vcpu_mmu mmu;
	struct gondola_lapic *lapic;
	struct gondola_emulator *emulator;
	struct gondola_run *run;

	struct gondola_cpuid_entry *cpuid;
	u32 nr_cpuid;
	u8 maxphyaddr;			/* from CPUID, or 36 */
	u64 cr4_allowed;		/* CR4 bits that its CPUID offers */
	u64 efer_allowed;
	const u64 *saved_pdptes;	/* while state is set: those of the record, or NULL */
	struct gondola_msrs msrs;

	u64 exits[GONDOLA_MAX_REASONS];
	u64 nr_exits;			/* their sum */
	/* Exit number n is in entry n % GONDOLA_HISTORY_LEN; run/history.h writes it. */
	struct gondola_history_entry history[GONDOLA_HISTORY_LEN] __aligned(32);
	u64 counters[GONDOLA_MAX_COUNTERS];
	u64 run_delay;			/* of its thread, at the last update of steal time */

	/* vcpu.c's own (lifetime, FPU, scheduling); NULL in tests */
	struct gondola_vcpu_host *host;
};

static inline void gondola_count(struct gondola_vcpu *vcpu, enum gondola_counter counter)
{
	vcpu->counters[counter]++;
}

static inline void gondola_request(struct gondola_vcpu *vcpu, enum gondola_request req)
{
	set_bit(req, &vcpu->requests);
	/* Pairs with the barrier between publishing IN_GUEST and reading the requests. */
	smp_mb__after_atomic();
}

static inline bool gondola_take_request(struct gondola_vcpu *vcpu, enum gondola_request req)
{
	return test_bit(req, &vcpu->requests) && test_and_clear_bit(req, &vcpu->requests);
}

/**
 * gondola_vcpu_kick() - make a vCPU handle its requests soon
 *
 * Wakes it from HLT, or sends an IPI if it is in the guest.  Any context.
 * Tests supply their own.
 */
void gondola_vcpu_kick(struct gondola_vcpu *vcpu);

/**
 * gondola_vcpu_yield_to() - let this vCPU's thread run instead of the caller
 *
 * Does nothing if the thread runs or sleeps.  Process context.  Tests supply their own.
 */
bool gondola_vcpu_yield_to(struct gondola_vcpu *vcpu);
/** gondola_vcpu_spins() - let a preempted vCPU run, since this one waits for another */
void gondola_vcpu_spins(struct gondola_vcpu *vcpu);

/**
 * gondola_kick_all_and_wait() - make a request to every vCPU, and wait until all are out of the
 * guest
 *
 * After it returns no vCPU runs with translations cached before the call. May be called with the
 * MMU lock held and interrupts on; never by a vCPU that is in guest mode.
 */
void gondola_kick_all_and_wait(struct gondola_vm *vm, enum gondola_request req);

static inline bool gondola_long_mode(const struct gondola_vcpu *vcpu)
{
	return vcpu->efer & EFER_F_LMA;
}

static inline bool gondola_paging(const struct gondola_vcpu *vcpu)
{
	return vcpu->cr0 & CR0_PG;
}

#endif
