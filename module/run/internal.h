/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The run loop (loop.c), the next event (event.c), the handling of exits (exit.c: a table by enum
 * gondola_reason), and the instruction emulator's help (assist.c).
 */
#ifndef GONDOLA_RUN_INTERNAL_H
#define GONDOLA_RUN_INTERNAL_H

#include <linux/types.h>
#include "engine.h"
#include "run.h"
#include "vcpu.h"

/*
 * The next step of the run loop, or -errno for GONDOLA_RUN.  -EAGAIN: memory is missing, see
 * vcpu->missing.  Only the loop makes an exit of this; then the instruction is repeated.
 */
enum run_next {
	RUN_LEAVE = 0,		/* GONDOLA_RUN returns; vcpu->run has the reason */
	RUN_REENTER = 1,
};

/** run_handle_exit() - handle an exit; preemptible, may sleep */
int run_handle_exit(struct gondola_vcpu *vcpu, struct gondola_exit *exit);
/**
 * assist_emulate() - emulate the instruction at RIP
 *
 * Returns enum run_next or -errno.  If it needs the launcher, it fills the run page and returns
 * LEAVE; assist_complete_user_exit() takes the answer at the next GONDOLA_RUN.
 */
int assist_emulate(struct gondola_vcpu *vcpu);
/** assist_emulate_known() - the same, but RUN_REENTER if the instruction is unknown */
int assist_emulate_known(struct gondola_vcpu *vcpu);
/**
 * assist_emulate_privileged() - emulate a privileged instruction for a kernel that runs in ring 3
 *
 * Only those that touch MSRs, ports, debug registers, CR0, CR2 and CR4, and caches; else #GP.
 */
int assist_emulate_privileged(struct gondola_vcpu *vcpu);
/**
 * assist_emulate_table_write() - the same, for a write to a shadowed table at @gpa
 *
 * If the instruction is unknown, the shadow of the table is zapped and the guest writes by itself.
 */
int assist_emulate_table_write(struct gondola_vcpu *vcpu, gpa_t gpa);
/** assist_user_pio() - pass IN or OUT on RAX to the launcher */
int assist_user_pio(struct gondola_vcpu *vcpu, u16 port, unsigned int width, bool in,
		    unsigned int insn_len);
/**
 * run_xen_exception() - an exception of a paravirtualized guest, which may mean something else
 *
 * True: it is handled, and *@next is the next step.
 */
bool run_xen_exception(struct gondola_vcpu *vcpu, struct gondola_exit *exit, int *next);
/** run_set_rax() - set RAX to @value of @width bytes, as IN does */
void run_set_rax(struct gondola_vcpu *vcpu, unsigned int width, u32 value);
/** assist_complete_user_exit() - take the launcher's answer, first in GONDOLA_RUN; as assist_emulate() */
int assist_complete_user_exit(struct gondola_vcpu *vcpu);
/* An opcode in one of the decoder's maps, see struct gondola_insn. */
#define RUN_OPCODE(map, opcode)	((map) << 8 | (opcode))
/**
 * assist_measure() - find the length of the instruction at RIP that caused an exit
 * @opcode: RUN_OPCODE() of the instruction that the processor saw
 * @len: out; 0: another vCPU has rewritten the instruction, or its page is gone
 *
 * Called before the instruction has any effect; reads its bytes once.  With @len 0 the guest runs
 * the new bytes, as if it had come there later.  REENTER, LEAVE or -errno.
 */
int assist_measure(struct gondola_vcpu *vcpu, u16 opcode, u8 *len);
/** run_skip() - move RIP past the instruction */
void run_skip(struct gondola_vcpu *vcpu, unsigned int insn_len);
/** assist_deliver() - let the emulator deliver vcpu->event; enum run_next or -errno */
int assist_deliver(struct gondola_vcpu *vcpu);

/**
 * run_pick_event() - set vcpu->event to what the guest would take now, unless it is set already
 *
 * Returns true if an interrupt is pending that the guest cannot take now.  Interrupts may be off.
 */
bool run_pick_event(struct gondola_vcpu *vcpu);
/** run_event_given() - vcpu->event is delivered, or the coming entry delivers it */
void run_event_given(struct gondola_vcpu *vcpu);
/** run_nmi_blocked() - does the handler of an NMI run, or begin? */
bool run_nmi_blocked(struct gondola_vcpu *vcpu);
/** run_interrupt_wakes() - is an interrupt pending that the guest would take? */
bool run_interrupt_wakes(struct gondola_vcpu *vcpu);
/** run_queue_event() - queue the exception @next, merged with the queued event (vcpu->event) */
void run_queue_event(struct gondola_vcpu *vcpu, const struct gondola_event *next);
/** run_queue_exception() - queue an exception, merged with the queued event (vcpu->event) */
void run_queue_exception(struct gondola_vcpu *vcpu, u8 vector, bool has_error, u32 error);
/** run_queue_page_fault() - #PF with @error at @gva (CR2 on delivery) */
void run_queue_page_fault(struct gondola_vcpu *vcpu, gva_t gva, u32 error);
/** run_interrupt_not_taken() - return an interrupt in vcpu->event to its controller */
void run_interrupt_not_taken(struct gondola_vcpu *vcpu);

/* fpu.c: the guest's XMM registers, in the processor or in memory. */
void run_get_xmm(struct gondola_vcpu *vcpu, unsigned int n, void *buf);
void run_set_xmm(struct gondola_vcpu *vcpu, unsigned int n, const void *buf);

/** run_leave_debug() - make a GONDOLA_EXIT_DEBUG; @why: GONDOLA_DEBUG_*; returns RUN_LEAVE */
int run_leave_debug(struct gondola_vcpu *vcpu, u32 why);
/** run_leave_breakpoint() - the same for GONDOLA_DEBUG_HARDWARE; @dr6: the conditions met */
int run_leave_breakpoint(struct gondola_vcpu *vcpu, u64 dr6);
/** run_step() - handle GONDOLA_REQ_STEP; enum run_next or -errno */
int run_step(struct gondola_vcpu *vcpu);
/** assist_step() - emulate the instruction at RIP for a step, at any privilege level */
int assist_step(struct gondola_vcpu *vcpu);

/** run_startup() - handle INIT and start-up IPIs that arrived; the vCPU is loaded */
void run_startup(struct gondola_vcpu *vcpu);

#endif
