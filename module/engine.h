/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of engines.  An engine only executes: it enters the guest and reports, in the terms
 * below, why the guest exited.  The caller (run/) has policy and bookkeeping.
 * Documentation/engines.rst goes through this table in the order in which you would write another
 * engine.
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

/* Bits of @caps. */
#define GONDOLA_ENGINE_ASKED_FOR	BIT(0)	/* only used if it is named */

/* The engines' tables leave out exits that gondola does not enable. */
static_assert(GONDOLA_REASON_UNKNOWN == 0);

/**
 * struct gondola_exit - the reason of an exit, in terms that all engines share
 * @reason: enum gondola_reason
 * @hw_reason: the engine's raw code
 * @insn_len: length of the instruction that caused it, or 0 if the engine does not know it; then
 *	the caller asks the decoder first
 * @handled: the engine has handled the exit (HOST_NMI): re-enter
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
		struct {		/* EXCEPTION */
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
 * struct gondola_engine_ops - an engine
 * @id: enum gondola_engine_id
 * @name: for the module parameter, JSON and traces
 * @caps: GONDOLA_ENGINE_*, valid after a successful probe
 *
 * The thread that runs a vCPU calls all operations on it, with its mutex held, between vcpu_load()
 * and vcpu_put() unless noted otherwise.  "Preemptible" means that the thread may move to another
 * processor: vcpu_put() and vcpu_load() are called by preempt notifiers.
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
	/** @setup: allocate for all processors, before the first cpu_on().  0 or -errno.  May be NULL. */
	int (*setup)(void);
	/** @teardown: free it, after the last cpu_off().  May be NULL. */
	void (*teardown)(void);
	/**
	 * @cpu_on: enter root operation on this processor; interrupts off.  -EBUSY if taken. NULL:
	 *	an engine in software, which does not need the processor.
	 */
	int (*cpu_on)(void);
	/** @cpu_off: leave root operation; interrupts off; also called in a crash: no locks, no printk. */
	void (*cpu_off)(void);

	/**
	 * @cpuid: CPUID of the processor that executes, which has no XSAVE.  NULL: it is the
	 *	host's.
	 */
	void (*cpuid)(u32 function, u32 index, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);

	/** @vcpu_create: allocate vcpu->engine_data, set the state after a reset.  0 or -errno. */
	int (*vcpu_create)(struct gondola_vcpu *vcpu);
	/** @vcpu_destroy: free it; no processor has it loaded. */
	void (*vcpu_destroy)(struct gondola_vcpu *vcpu);
	/** @vcpu_load: load it on this processor; preemption off. */
	void (*vcpu_load)(struct gondola_vcpu *vcpu, int cpu);
	/**
	 * @vcpu_put: restore the host's state on the processor; preemption off.  If cpu_off() came
	 *	after @vcpu_load, use no instruction of the hardware's extension.
	 */
	void (*vcpu_put)(struct gondola_vcpu *vcpu);

	/**
	 * @can_enter: does the processor enter the guest in its present state?  If not, run/ emulates
	 * one instruction and asks again.  Preemptible.  NULL: it always does.
	 */
	bool (*can_enter)(struct gondola_vcpu *vcpu);
	/**
	 * @enter: run the guest until it exits.  Interrupts and preemption are off, also
	 *	afterwards.  Uses vcpu->regs, vcpu->hw_root and all that was set before; updates
	 *	vcpu->regs (gpr, rip, rflags).  Passes a host NMI that ended the run to the host
	 *	before it returns, while interrupts are still off.
	 */
	void (*enter)(struct gondola_vcpu *vcpu);
	/**
	 * @decode: report the reason, after @enter.  Preemptible, interrupts on.  If the exit
	 *	interrupted the delivery of an event, the event is put into vcpu->event (of kind
	 *	NONE before) and delivered again.
	 */
	void (*decode)(struct gondola_vcpu *vcpu, struct gondola_exit *exit);

	/** @inject: deliver @event at the next entry (exactly one; interrupts off). */
	void (*inject)(struct gondola_vcpu *vcpu, const struct gondola_event *event);
	/** @cancel_injection: withdraw what @inject set, since the entry was abandoned. */
	void (*cancel_injection)(struct gondola_vcpu *vcpu);
	/**
	 * @get_shadow: get the interrupt shadow: bit 0 STI, bit 1 MOV SS; bit 2: NMIs are blocked
	 *	(until IRET).
	 */
	u32 (*get_shadow)(struct gondola_vcpu *vcpu);
	/** @set_shadow: the reverse. */
	void (*set_shadow)(struct gondola_vcpu *vcpu, u32 shadow);
	/** @open_window: exit as soon as an interrupt (NMI) could be taken, or stop asking. */
	void (*open_window)(struct gondola_vcpu *vcpu, bool interrupt, bool nmi);

	/** @get_segment: get a segment register with its hidden part; DPL of SS is the CPL. */
	void (*get_segment)(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			    struct gondola_segment *out);
	/** @set_segment: the reverse; setting SS sets the CPL. */
	void (*set_segment)(struct gondola_vcpu *vcpu, enum gondola_seg seg,
			    const struct gondola_segment *in);
	/** @cpl: get the current privilege level, 0 … 3; cheap. */
	int (*cpl)(struct gondola_vcpu *vcpu);
	/** @get_dtable: get IDTR if @idt, else GDTR. */
	void (*get_dtable)(struct gondola_vcpu *vcpu, bool idt, struct gondola_dtable *out);
	/** @set_dtable: the reverse. */
	void (*set_dtable)(struct gondola_vcpu *vcpu, bool idt, const struct gondola_dtable *in);

	/**
	 * @update_control: derive the hardware's registers after a change of vcpu->cr0, cr4 or
	 *	efer.  With shadow paging it always runs with PG, WP, PAE and NXE set (and with NE,
	 *	which VMX demands); the guest reads its own values from vcpu->cr*.
	 */
	void (*update_control)(struct gondola_vcpu *vcpu);
	/**
	 * @set_debug: apply vcpu->breakpoints: INT3 exits while it is set.  -EOPNOTSUPP: this
	 *	processor cannot arm vcpu->debug_dr7; nothing has changed.
	 */
	int (*set_debug)(struct gondola_vcpu *vcpu);
	/** @set_dr7: set the hardware's DR7 for the guest's run. */
	void (*set_dr7)(struct gondola_vcpu *vcpu, u64 dr7);
	/** @set_tsc_offset: apply guest TSC = host TSC + gondola_guest_tsc_offset(). */
	void (*set_tsc_offset)(struct gondola_vcpu *vcpu);

	/**
	 * @get_msr: get an MSR that the engine keeps or switches: FS_BASE, GS_BASE, KERNEL_GS_BASE,
	 *	SYSENTER_*, STAR, LSTAR, CSTAR, SFMASK, TSC_AUX, PAT.  -ENOENT for any other.
	 */
	int (*get_msr)(struct gondola_vcpu *vcpu, u32 index, u64 *value);
	/** @set_msr: set such an MSR; the value is checked.  -ENOENT likewise. */
	int (*set_msr)(struct gondola_vcpu *vcpu, u32 index, u64 value);

	/** @flush_tlb: drop the vCPU's guest translations before its next instruction. */
	void (*flush_tlb)(struct gondola_vcpu *vcpu);
	/** @flush_gva: the same for one address, all sizes. */
	void (*flush_gva)(struct gondola_vcpu *vcpu, gva_t gva);
};

/* The engines, in order of preference. */
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
