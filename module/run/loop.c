// SPDX-License-Identifier: GPL-2.0-only
/* The run loop: requests, HLT, injection, entry, exit. */
#include <linux/sched/signal.h>
#include <linux/task_work.h>
#include <linux/vtime.h>
#include "internal.h"
#include "assist.h"
#include "history.h"
#include "host/compat.h"
#include "host/run.h"
#include "irq/irq.h"
#include "pv/pv.h"
#include "trace.h"
#include "vcpu.h"
#include "host/vcpu_host.h"
#include "xen/guest.h"

/* Requests that wake a halted vCPU.  Others wait for its next entry. */
#define WAKING		(BIT(GONDOLA_REQ_EVENT) | BIT(GONDOLA_REQ_NMI) | BIT(GONDOLA_REQ_TIMER) | \
			 BIT(GONDOLA_REQ_TSC) | BIT(GONDOLA_REQ_TRIPLE_FAULT))
/* The host's work for this thread, to be done before an entry. */
#define HOST_WORK	(RESCHEDULE | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL)
#define RESCHEDULE	(_TIF_NEED_RESCHED | _TIF_NEED_RESCHED_LAZY)

static int leave(struct gondola_vcpu *vcpu, enum gondola_user_exit why)
{
	vcpu->run->exit = why;
	return RUN_LEAVE;
}

/* The launcher must make present what an access found missing. */
static int leave_for_memory(struct gondola_vcpu *vcpu)
{
	vcpu->run->memory.gpa = vcpu->missing;
	vcpu->run->memory.write = vcpu->missing_write;
	vcpu->run->memory.pad = 0;
	return leave(vcpu, GONDOLA_EXIT_MEMORY);
}

/* ---- between two stays in the guest ------------------------------------------ */

static int host_work(void)
{
	if (signal_pending(current))
		return -EINTR;
	/* This work is done on the way to user mode; the launcher calls again at once. */
	if (test_thread_flag(TIF_NOTIFY_RESUME) && task_work_pending(current))
		return -EINTR;
	if (read_thread_flags() & RESCHEDULE)
		schedule();
	return 0;
}

static void handle_requests(struct gondola_vcpu *vcpu)
{
	if (gondola_take_request(vcpu, GONDOLA_REQ_NMI))
		vcpu->nmi_pending = gondola_nmi_latch(vcpu->nmi_pending, run_nmi_blocked(vcpu));
	if (gondola_take_request(vcpu, GONDOLA_REQ_TIMER))
		vcpu->xen ? gondola_xen_timer_fired(vcpu) : gondola_lapic_timer_fired(vcpu);
	if (gondola_take_request(vcpu, GONDOLA_REQ_TSC)) {
		vcpu->engine->set_tsc_offset(vcpu);
		gondola_lapic_rearm(vcpu);
	}
	/* Each entry checks for interrupts; INIT and start-up IPIs are handled here. */
	if (gondola_take_request(vcpu, GONDOLA_REQ_EVENT))
		run_startup(vcpu);
}

static bool nmi_wakes(struct gondola_vcpu *vcpu)
{
	return vcpu->nmi_pending && !run_nmi_blocked(vcpu);
}

/* Another vCPU has to start it first. */
static bool waits_for_start(struct gondola_vcpu *vcpu)
{
	return unlikely(vcpu->xen) ? gondola_xen_waiting(vcpu) : gondola_lapic_waiting(vcpu);
}

/* Does an event end HLT?  Only a request does while the vCPU waits for its start. */
static bool event_wakes(struct gondola_vcpu *vcpu)
{
	if (waits_for_start(vcpu))
		return false;
	if (unlikely(vcpu->xen))
		return gondola_xen_wakes(vcpu);
	if (unlikely(READ_ONCE(vcpu->unhalted)) && xchg(&vcpu->unhalted, false))
		return true;
	return vcpu->event.kind != GONDOLA_EVENT_NONE || run_interrupt_wakes(vcpu) || nmi_wakes(vcpu);
}

/* Sleep until there is a request, with the engine unloaded. */
static int sleep_in_hlt(struct gondola_vcpu *vcpu)
{
	bool waiting = waits_for_start(vcpu);
	int err, woken;

	gondola_count(vcpu, GONDOLA_COUNTER_HALTS);
	if (gondola_pv_wants_steal(vcpu))
		gondola_pv_descheduled(vcpu);
	gondola_vcpu_unload(vcpu);
	woken = wait_event_interruptible(vcpu->host->wait, (READ_ONCE(vcpu->requests) & WAKING) ||
					 (!waiting && run_interrupt_wakes(vcpu)));
	err = gondola_vcpu_load(vcpu);
	if (err)
		return err;
	return woken ? -EINTR : 0;
}

static bool can_enter(struct gondola_vcpu *vcpu)
{
	return !vcpu->engine->can_enter || vcpu->engine->can_enter(vcpu);
}

/* The engine cannot enter: the emulator executes one instruction, or delivers one event. */
static int step_emulated(struct gondola_vcpu *vcpu)
{
	int next = host_work();

	if (unlikely(next))
		return next;
	if (unlikely(READ_ONCE(gondola_host_stopping)))
		return -ESHUTDOWN;
	if (unlikely(vcpu->vm->dead))
		return -EIO;
	run_pick_event(vcpu);
	if (likely(vcpu->event.kind == GONDOLA_EVENT_NONE))
		return assist_emulate(vcpu);
	return assist_deliver(vcpu);
}

/* Prepare the next entry.  REENTER, LEAVE or -errno. */
static int prepare(struct gondola_vcpu *vcpu)
{
	int err;

	for (;;) {
		if (unlikely(READ_ONCE(vcpu->requests))) {
			if (gondola_take_request(vcpu, GONDOLA_REQ_TRIPLE_FAULT))
				return leave(vcpu, GONDOLA_EXIT_SHUTDOWN);
			handle_requests(vcpu);
			if (gondola_take_request(vcpu, GONDOLA_REQ_STEAL) &&
			    gondola_pv_scheduled(vcpu))
				return -EAGAIN;
			if (!vcpu->halted && gondola_take_request(vcpu, GONDOLA_REQ_STEP))
				return run_step(vcpu);
		}
		if (unlikely(vcpu->eoi_offered) && gondola_lapic_collect_eoi(vcpu))
			return -EAGAIN;
		if (likely(!vcpu->halted)) {
			if (likely(can_enter(vcpu)))
				break;
			err = step_emulated(vcpu);
			if (err != RUN_REENTER)
				return err;
		} else if (event_wakes(vcpu)) {
			vcpu->halted = false;
		} else {
			err = sleep_in_hlt(vcpu);
			if (err)
				return err;
		}
	}
	if (unlikely(vcpu->vm->dead))
		return -EIO;
	if (unlikely(vcpu->xen)) {
		err = gondola_xen_prepare(vcpu);
		if (err != RUN_REENTER)
			return err;
	}
	err = gondola_mmu_load(vcpu);
	if (unlikely(err))
		return err;
	/* This follows the load, which requests a flush if it changed tables. */
	if (gondola_take_request(vcpu, GONDOLA_REQ_TLB_FLUSH)) {
		vcpu->engine->flush_tlb(vcpu);
		gondola_count(vcpu, GONDOLA_COUNTER_TLB_FLUSHES);
	}
	return RUN_REENTER;
}

/* ---- interrupts are off from here ... ------------------------------------------- */

/* Pick the event that the guest takes now, or ask for an exit when it can take one. */
static void pick_event(struct gondola_vcpu *vcpu)
{
	struct gondola_vcpu_host *host = vcpu->host;
	bool interrupt = run_pick_event(vcpu);
	u8 window;

	window = (interrupt ? GONDOLA_WINDOW_INTERRUPT : 0) |
		 (vcpu->nmi_pending ? GONDOLA_WINDOW_NMI : 0);
	if (window != host->window) {
		vcpu->engine->open_window(vcpu, window & GONDOLA_WINDOW_INTERRUPT,
					  window & GONDOLA_WINDOW_NMI);
		host->window = window;
	}
}

static void inject(struct gondola_vcpu *vcpu)
{
	const struct gondola_event *event = &vcpu->event;

	if (event->kind == GONDOLA_EVENT_EXCEPTION && event->vector == VEC_PF)
		vcpu->cr2 = event->cr2;
	/*
	 * The handler begins without an interrupt shadow.  Only a single step ends in a shadow, and
	 * VMX refuses an event together with one.
	 */
	if (unlikely(vcpu->regs.rflags & RFL_TF))
		assist_shadow(vcpu, 0);
	vcpu->engine->inject(vcpu, event);
	run_event_given(vcpu);
}

static void run_guest(struct gondola_vcpu *vcpu)
{
	bool hardware = gondola_engine_is_hardware(vcpu->engine);

	if (likely(hardware))
		gondola_thread_enter(vcpu);
	trace_gondola_entry(vcpu->vm->id, vcpu->id, vcpu->regs.rip);
	vtime_account_guest_enter();
	vcpu->engine->enter(vcpu);
	if (likely(hardware))
		gondola_thread_leave(vcpu);
}

/* True: the guest has run.  False: pending work must be handled first. */
static bool enter(struct gondola_vcpu *vcpu)
{
	/* This keeps preemption off, too, as the engine needs it. */
	local_irq_disable();
	/* Pairs with gondola_request(): either it finds us in the guest, or we find its bit. */
	smp_store_mb(vcpu->mode, GONDOLA_IN_GUEST);
	if (unlikely(READ_ONCE(vcpu->requests) || (read_thread_flags() & HOST_WORK) ||
		     !gondola_host_ready(vcpu->engine))) {
		WRITE_ONCE(vcpu->mode, GONDOLA_OUTSIDE);
		local_irq_enable();
		return false;
	}
	pick_event(vcpu);
	if (vcpu->event.kind != GONDOLA_EVENT_NONE)
		inject(vcpu);
	run_guest(vcpu);
	/* A thread that finds us outside also sees all that the guest wrote. */
	smp_store_release(&vcpu->mode, GONDOLA_OUTSIDE);
	/* The interrupt that ended the stay is taken here; a tick counts as the guest's time. */
	local_irq_enable();
	vtime_account_guest_exit();
	return true;
}

/* ---- ... to here ------------------------------------------------------------------ */

static int after_exit(struct gondola_vcpu *vcpu)
{
	struct gondola_exit exit;

	exit.insn_len = 0;
	exit.handled = false;
	vcpu->engine->decode(vcpu, &exit);
	if (unlikely(exit.reason >= GONDOLA_REASON_COUNT))
		exit.reason = GONDOLA_REASON_UNKNOWN;
	vcpu->exits[exit.reason]++;
	trace_gondola_exit(vcpu->vm->id, vcpu->id, exit.reason, exit.hw_reason, vcpu->vm->phase,
			   vcpu->vm->round, vcpu->regs.rip, ++vcpu->nr_exits);
	history_add(vcpu, &exit);

	switch (exit.reason) {
	case GONDOLA_REASON_HOST_INTERRUPT:
		/* enter() let it in; it may have brought work for this thread. */
		return host_work() ?: RUN_REENTER;
	case GONDOLA_REASON_INTERRUPT_WINDOW:
	case GONDOLA_REASON_NMI_WINDOW:
		/* The window was used: the next entry decides anew. */
		vcpu->host->window = GONDOLA_WINDOW_UNKNOWN;
		return RUN_REENTER;
	case GONDOLA_REASON_ENTRY_FAILED:
		vcpu->engine->cancel_injection(vcpu);
		break;
	}
	return run_handle_exit(vcpu, &exit);
}

/* One stay in the guest, with its preparation and the exit. */
static int run_once(struct gondola_vcpu *vcpu)
{
	int next = prepare(vcpu);

	if (next != RUN_REENTER)
		return next;
	if (likely(enter(vcpu)))
		return after_exit(vcpu);
	if (unlikely(READ_ONCE(gondola_host_stopping)))
		return -ESHUTDOWN;
	return host_work() ?: RUN_REENTER;
}

static int run_loop(struct gondola_vcpu *vcpu)
{
	int next = assist_complete_user_exit(vcpu);

	/* The instruction will be repeated from its start. */
	if (next == -EAGAIN)
		vcpu->stepping = false;
	if (next == RUN_REENTER && READ_ONCE(vcpu->run->immediate_exit))
		return -EINTR;
	while (next == RUN_REENTER) {
		next = run_once(vcpu);
		/* Saved state has it in one place, and at the next entry another may be more urgent. */
		run_interrupt_not_taken(vcpu);
	}
	return next;
}

/* Note the end of GONDOLA_RUN: RUN_LEAVE, for which the run page has the reason, or an error. */
static void note_leave(struct gondola_vcpu *vcpu, int next)
{
	u32 why = GONDOLA_EXIT_NONE;

	vcpu->run->hw_reason = history_last(vcpu)->hw_reason;
	if (next == -EINTR)
		vcpu->run->exit = GONDOLA_EXIT_INTR;
	if (next == RUN_LEAVE)
		gondola_count(vcpu, GONDOLA_COUNTER_USER_EXITS);
	if (next == RUN_LEAVE || next == -EINTR)
		why = READ_ONCE(vcpu->run->exit);
	history_leave(vcpu, why, next == -EINTR ? 0 : -next);
	trace_gondola_leave(vcpu->vm->id, vcpu->id, why, next, vcpu->regs.rip);
}

int gondola_vcpu_run(struct gondola_vcpu *vcpu)
{
	int next = gondola_vcpu_load(vcpu);

	if (next)
		return next;
	/* A saved state may say otherwise. */
	if (waits_for_start(vcpu))
		vcpu->halted = true;
	gondola_tsc_after_sleep(vcpu);
	if (!vcpu->fpu)
		gondola_thread_fpu_swap(vcpu, true);
	next = run_loop(vcpu);
	if (next == -EAGAIN)
		next = leave_for_memory(vcpu);
	if (!vcpu->fpu)
		gondola_thread_fpu_swap(vcpu, false);
	/* After a shutdown during a sleep there is nothing to unload. */
	if (next != -ESHUTDOWN || vcpu->cpu >= 0)
		gondola_vcpu_unload(vcpu);

	note_leave(vcpu, next);
	return next;
}
