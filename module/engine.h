/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract that every engine fulfils.  An engine only executes: it enters
 * the guest and says, in the terms below, why the guest left.  The caller (run/)
 * has policy and bookkeeping.  Documentation/engines.rst goes through this table
 * in the order in which you would write another engine.
 */
#ifndef GONDOLA_ENGINE_H
#define GONDOLA_ENGINE_H

#include <linux/build_bug.h>
#include <linux/types.h>
#include <uapi/linux/gondola.h>
#include <uapi/linux/gondola_state.h>
#include "x86/event.h"

struct gondola_vm;
struct gondola_vcpu;

/* Bits of @caps: abilities that not every engine has. */
#define GONDOLA_ENGINE_ASKED_FOR	BIT(0)	/* never chosen: used where it is named */

/* The engines' tables leave out the exits that gondola never asks for. */
static_assert(GONDOLA_REASON_UNKNOWN == 0);

/**
 * struct gondola_exit - why the guest left, in terms that all engines share
 * @reason: enum gondola_reason
 * @hw_reason: the engine's raw code
 * @insn_len: length of the instruction that caused it; 0 if the engine does not know (then the
 *            caller asks the decoder, before it does anything)
 * @handled: the engine did all there was to do (HOST_NMI): re-enter
 * @pf: PAGE_FAULT
 * @exception: EXCEPTION
 * @io: IO
 * @cr: CR0_WRITE … CR_READ, DR_ACCESS
 * @invlpg: INVLPG
 * @fail: UNKNOWN, ENTRY_FAILED
 */
struct gondola_exit {
	u32 reason;
	u32 hw_reason;
	u8 insn_len;
	bool handled;
	union {
		struct {		/* PAGE_FAULT */
			gva_t gva;
			u32 error;	/* PFEC_* */
		} pf;
		struct {		/* EXCEPTION: one that was intercepted */
			u8 vector;
			bool has_error;
			u32 error;
			u64 dr6;	/* #DB: the conditions met */
			bool syscall;	/* #UD: the engine had switched SYSCALL off for now */
		} exception;
		struct {		/* IO */
			u16 port;
			u8 width;
			bool in;
			bool string;	/* INS, OUTS: emulate it */
		} io;
		struct {		/* CR0/3/4/8_WRITE, CR_READ; DR_ACCESS */
			u8 cr;
			u8 gpr;
			bool write;
			bool clts;	/* CR0_WRITE by CLTS */
			bool lmsw;	/* CR0_WRITE by LMSW with source @value */
			u16 value;
			bool decoded;	/* false: emulate it */
		} cr;
		struct {		/* INVLPG */
			gva_t gva;
			bool decoded;	/* false: emulate it */
		} invlpg;
		struct {		/* UNKNOWN, ENTRY_FAILED */
			u64 qualification;
			u32 error;
			const char *field;	/* static string, or NULL */
		} fail;
	};
};

/**
 * struct gondola_engine_ops - one engine
 * @id: enum gondola_engine_id
 * @name: for the module parameter, JSON and traces
 * @caps: GONDOLA_ENGINE_*, valid after a successful probe
 *
 * All operations on a vCPU are called by the one thread that runs it (its
 * mutex is held), between vcpu_load() and vcpu_put() unless said otherwise.
 * "Preemptible" means that the implementation must cope with being moved:
 * vcpu_put()/vcpu_load() run from preempt notifiers.
 */
struct gondola_engine_ops {
	u32 id;
	const char *name;
	u32 caps;

	/**
	 * @probe: can it be used on this machine?  Looks at CPUID and MSRs
	 * itself, changes nothing.  @detail has 64 bytes.  Returns enum
	 * gondola_preflight_reason.  Process context; called at module load
	 * and again before each first VM, since another hypervisor may come.
	 */
	u32 (*probe)(char *detail);
	/** @setup: allocate what all processors need, before the first cpu_on(). 0 or -errno. May be NULL. */
	int (*setup)(void);
	/** @teardown: give it back, after the last cpu_off(). May be NULL. */
	void (*teardown)(void);
	/**
	 * @cpu_on: this processor enters root operation; interrupts off.  -EBUSY if taken.
	 * NULL: an engine in software, which takes nothing of the processor.
	 */
	int (*cpu_on)(void);
	/** @cpu_off: leave it; interrupts off, also from the crash path: no locks, no printk. */
	void (*cpu_off)(void);

	/**
	 * @cpuid: what the processor that executes can do, where that is not the host's; it has no
	 * XSAVE.  NULL: the host's.
	 */
	void (*cpuid)(u32 function, u32 index, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);

	/** @vcpu_create: allocate vcpu->engine_data, set the state after a reset.  0 or -errno. */
	int (*vcpu_create)(struct gondola_vcpu *vcpu);
	/** @vcpu_destroy: free it; it is loaded nowhere. */
	void (*vcpu_destroy)(struct gondola_vcpu *vcpu);
	/** @vcpu_load: make it current on this processor; preemption off. */
	void (*vcpu_load)(struct gondola_vcpu *vcpu, int cpu);
	/**
	 * @vcpu_put: the processor is given to others; preemption off.  Also where cpu_off() came
	 * after @vcpu_load: no instruction of the engine's, but all host state is back.
	 */
	void (*vcpu_put)(struct gondola_vcpu *vcpu);

	/**
	 * @can_enter: does the processor enter the guest in its present state?  If not, run/ emulates
	 * one instruction and asks again.  Preemptible.  NULL: it always does.
	 */
	bool (*can_enter)(struct gondola_vcpu *vcpu);
	/**
	 * @enter: run the guest until it leaves.  Interrupts and preemption
	 * off; returns likewise.  Takes vcpu->regs, vcpu->hw_root and what was
	 * set before, gives back vcpu->regs (all of gpr, rip, rflags).  A host
	 * NMI that ended it has been handed to the host before it returns (it
	 * must be, before interrupts are opened).
	 */
	void (*enter)(struct gondola_vcpu *vcpu);
	/**
	 * @decode: say why, after @enter.  Preemptible, interrupts on.  If the
	 * exit struck during the delivery of an event, that event is put into
	 * vcpu->event (kind NONE before), to be delivered again.
	 */
	void (*decode)(struct gondola_vcpu *vcpu, struct gondola_exit *exit);

	/** @inject: deliver @event at the next entry (exactly one; interrupts off). */
	void (*inject)(struct gondola_vcpu *vcpu, const struct gondola_event *event);
	/** @cancel_injection: the entry was abandoned; forget what @inject set. */
	void (*cancel_injection)(struct gondola_vcpu *vcpu);
	/**
	 * @get_shadow: interrupt shadow: bit 0 STI, bit 1 MOV SS; bit 2: NMIs
	 * are blocked (until IRET).
	 */
	u32 (*get_shadow)(struct gondola_vcpu *vcpu);
	/** @set_shadow: the reverse. */
	void (*set_shadow)(struct gondola_vcpu *vcpu, u32 shadow);
	/** @open_window: exit as soon as an interrupt (NMI) could be taken, or stop asking. */
	void (*open_window)(struct gondola_vcpu *vcpu, bool interrupt, bool nmi);

	/** @get_segment: a segment register, hidden part and all; SS has the CPL as its DPL. */
	void (*get_segment)(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			    struct gondola_segment *out);
	/** @set_segment: the reverse; setting SS sets the CPL. */
	void (*set_segment)(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			    const struct gondola_segment *in);
	/** @cpl: current privilege level, 0 … 3; cheap. */
	int (*cpl)(struct gondola_vcpu *vcpu);
	/** @get_dtable: IDTR if @idt, else GDTR. */
	void (*get_dtable)(struct gondola_vcpu *vcpu, bool idt, struct gondola_dtable *out);
	/** @set_dtable: the reverse. */
	void (*set_dtable)(struct gondola_vcpu *vcpu, bool idt, const struct gondola_dtable *in);

	/**
	 * @update_control: vcpu->cr0, cr4 or efer changed: derive what the
	 * hardware runs with.  Shadow paging means that it always runs with
	 * PG, WP, PAE and NXE set (and NE where VMX demands it); the guest
	 * reads its own values, since reads come from vcpu->cr*.
	 */
	void (*update_control)(struct gondola_vcpu *vcpu);
	/**
	 * @set_debug: apply vcpu->breakpoints: while it is set, INT3 exits.  -EOPNOTSUPP: this
	 * processor does not arm vcpu->debug_dr7, and nothing has changed.
	 */
	int (*set_debug)(struct gondola_vcpu *vcpu);
	/** @set_dr7: set the DR7 that the hardware has while the guest runs. */
	void (*set_dr7)(struct gondola_vcpu *vcpu, u64 dr7);
	/** @set_tsc_offset: guest TSC = host TSC + gondola_guest_tsc_offset(). */
	void (*set_tsc_offset)(struct gondola_vcpu *vcpu);

	/**
	 * @get_msr: MSRs that live in the engine's control block or are
	 * switched by it: FS_BASE, GS_BASE, KERNEL_GS_BASE, SYSENTER_*,
	 * STAR, LSTAR, CSTAR, SFMASK, TSC_AUX, PAT.  -ENOENT for any other.
	 */
	int (*get_msr)(struct gondola_vcpu *vcpu, u32 index, u64 *value);
	/** @set_msr: the same MSRs; the value was checked.  -ENOENT likewise. */
	int (*set_msr)(struct gondola_vcpu *vcpu, u32 index, u64 value);

	/** @flush_tlb: the guest's translations of this vCPU are gone before its next instruction. */
	void (*flush_tlb)(struct gondola_vcpu *vcpu);
	/** @flush_gva: the same for one address, all sizes. */
	void (*flush_gva)(struct gondola_vcpu *vcpu, gva_t gva);
};

/* The module's list of engines, in order of preference; entries may be NULL when not built. */
extern const struct gondola_engine_ops gondola_vmx_ops;
extern const struct gondola_engine_ops gondola_svm_ops;
extern const struct gondola_engine_ops gondola_ring3_ops;
extern const struct gondola_engine_ops gondola_interp_ops;

/* Does the guest run on the processor itself, with its FPU and breakpoint registers? */
static inline bool gondola_engine_is_hardware(const struct gondola_engine_ops *ops)
{
	return ops->cpu_on;
}

#endif
