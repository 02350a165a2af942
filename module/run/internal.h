/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The run loop (loop.c), the event that comes next (event.c), what is done about an exit (exit.c:
 * a table by enum gondola_reason), and how the instruction emulator helps (assist.c).
 */
#ifndef GONDOLA_RUN_INTERNAL_H
#define GONDOLA_RUN_INTERNAL_H

#include <linux/types.h>
#include "engine.h"
#include "run.h"
#include "vcpu.h"

/*
 * The next step of the run loop; negative: -errno for GONDOLA_RUN.  -EAGAIN: memory is missing, see
 * vcpu->missing; the loop alone makes an exit of it, and the instruction is done again.
 */
enum run_next {
	RUN_LEAVE = 0,		/* vcpu->run says why */
	RUN_REENTER = 1,
};

/** run_handle_exit() - act on an exit; preemptible, may sleep */
int run_handle_exit(struct gondola_vcpu *vcpu, struct gondola_exit *exit);
/**
 * assist_emulate() - emulate the instruction at RIP
 *
 * Returns enum run_next or -errno.  When the launcher's help is needed it
 * fills the run page and returns LEAVE; the answer is taken up by
 * assist_complete_user_exit() at the next GONDOLA_RUN.
 */
int assist_emulate(struct gondola_vcpu *vcpu);
/** assist_emulate_known() - the same, but RUN_REENTER if the emulator does not know it */
int assist_emulate_known(struct gondola_vcpu *vcpu);
/**
 * assist_emulate_table_write() - the same, for a write to a shadowed table at @gpa
 *
 * An instruction that the emulator does not know is no reason to give up
 * here: the shadow of the table is dropped instead, and the guest writes.
 */
int assist_emulate_table_write(struct gondola_vcpu *vcpu, gpa_t gpa);
/** assist_user_pio() - let the launcher do IN or OUT on RAX, by the run page */
int assist_user_pio(struct gondola_vcpu *vcpu, u16 port, unsigned int width, bool in,
		    unsigned int insn_len);
/** run_set_rax() - what IN does with the @width bytes of @value */
void run_set_rax(struct gondola_vcpu *vcpu, unsigned int width, u32 value);
/** assist_complete_user_exit() - first thing in GONDOLA_RUN; REENTER, LEAVE or -errno */
int assist_complete_user_exit(struct gondola_vcpu *vcpu);
/* An opcode in one of the decoder's maps, see struct gondola_insn. */
#define RUN_OPCODE(map, opcode)	((map) << 8 | (opcode))
/**
 * assist_measure() - how long is the instruction at RIP that made the guest leave?
 * @opcode: RUN_OPCODE() of what the processor saw there
 * @len: out; 0: another vCPU has rewritten it since, or its page is gone
 *
 * Asked before the instruction has any effect, and its bytes are read once.  With @len 0 the guest
 * runs what is there now: as if it had come there later.  REENTER, LEAVE or -errno.
 */
int assist_measure(struct gondola_vcpu *vcpu, u16 opcode, u8 *len);
/** run_skip() - move RIP past the instruction */
void run_skip(struct gondola_vcpu *vcpu, unsigned int insn_len);
/** assist_deliver() - let the emulator deliver vcpu->event; enum run_next or -errno */
int assist_deliver(struct gondola_vcpu *vcpu);

/**
 * run_pick_event() - make vcpu->event what the guest would take now, if there is none yet
 *
 * Returns whether an interrupt waits that was not taken.  Interrupts may be off.
 */
bool run_pick_event(struct gondola_vcpu *vcpu);
/** run_event_given() - vcpu->event is delivered, or will be by the entry that comes */
void run_event_given(struct gondola_vcpu *vcpu);
/** run_nmi_blocked() - the handler of an NMI runs, or is about to */
bool run_nmi_blocked(struct gondola_vcpu *vcpu);
/** run_interrupt_wakes() - an interrupt is pending that the guest would take */
bool run_interrupt_wakes(struct gondola_vcpu *vcpu);
/** run_queue_event() - queue the exception @next, merged with what is queued (vcpu->event) */
void run_queue_event(struct gondola_vcpu *vcpu, const struct gondola_event *next);
/** run_queue_exception() - raise it, merged with what is queued (vcpu->event) */
void run_queue_exception(struct gondola_vcpu *vcpu, u8 vector, bool has_error, u32 error);
/** run_queue_page_fault() - #PF with @error at @gva (CR2 on delivery) */
void run_queue_page_fault(struct gondola_vcpu *vcpu, gva_t gva, u32 error);
/** run_interrupt_not_taken() - an interrupt in vcpu->event goes back to its controller */
void run_interrupt_not_taken(struct gondola_vcpu *vcpu);

/*
 * fpu.c: 16 bytes of an XMM register of the guest, whether they
 * are in the processor now or in memory.
 */
void run_get_xmm(struct gondola_vcpu *vcpu, unsigned int n, void *buf);
void run_set_xmm(struct gondola_vcpu *vcpu, unsigned int n, const void *buf);

/** run_leave_debug() - GONDOLA_EXIT_DEBUG: @why of GONDOLA_DEBUG_*; RUN_LEAVE */
int run_leave_debug(struct gondola_vcpu *vcpu, u32 why);
/** run_leave_breakpoint() - the same for those of GONDOLA_DEBUG_HARDWARE; @dr6: what was met */
int run_leave_breakpoint(struct gondola_vcpu *vcpu, u64 dr6);
/** run_step() - GONDOLA_REQ_STEP was taken; enum run_next or -errno */
int run_step(struct gondola_vcpu *vcpu);
/** assist_step() - emulate the instruction at RIP, whatever the privilege level; never drops it */
int assist_step(struct gondola_vcpu *vcpu);

/** run_startup() - do what INIT and start-up IPIs that came ask for; the vCPU is loaded */
void run_startup(struct gondola_vcpu *vcpu);

#endif
